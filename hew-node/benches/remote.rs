//! How fast two nodes talk: two processes over loopback TCP.
//!
//! `cargo bench -p hew-node --bench remote -- [--quick] [NAME…]` prints one JSON object per line. The suite starts
//! itself a second time as the other node. Each line holds in `limit` what plain sockets reached in the same run: for
//! `tell` a stream of as many payload bytes in writes of 64 KiB, for `ask` a blocking ping-pong of 64 bytes between two
//! processes. Names that end in `_noise`, and all asks, are encrypted.
//!
//! Each node has one worker and each process a core of its own, as the plain sockets have: two machines, so to speak. With
//! more busy threads than cores the figures would be those of the kernel's scheduler.

#[path = "remote/asks.rs"]
mod asks;
#[path = "../../hew-actor/benches/local/measure.rs"]
mod measure;
#[path = "remote/messages.rs"]
mod messages;
#[path = "remote/overload.rs"]
mod overload;
#[path = "remote/pair.rs"]
mod pair;
#[path = "remote/peer.rs"]
mod peer;
#[path = "remote/process.rs"]
mod process;
#[path = "remote/raw.rs"]
mod raw;
#[path = "remote/tells.rs"]
mod tells;

use hew_node::{Node, NodeBuilder, NodeId, Stack};
use hew_security::danger::Plaintext;
use measure::{Failure, Line, Run, Samples, complain, warn_of_debug_build};
use pair::Pair;
use process::Role;
use raw::Raw;
use std::process::ExitCode;
use std::time::Duration;

/// The measurements of messages: name, payload bytes, pairs of actors.
const TELLS: [(&str, usize, u64); 4] = [
    ("remote/tell_64", 64, 1),
    ("remote/tell_1k", 1 << 10, 1),
    ("remote/tell_64k", 64 << 10, 1),
    ("remote/tell_64_4to4", 64, 4),
];
const ASK_P50: &str = "remote/ask_p50";
const ASK_P99: &str = "remote/ask_p99";
const ASK_UNDER_BULK: &str = "remote/ask_under_bulk_p99";
const ASK_P50_SPIN: &str = "remote/ask_p50_spin";
const OVERLOAD: &str = "remote/rss_under_overload";
/// How long links look for what comes next before they sleep, where they do.
const SPIN: Duration = Duration::from_micros(30);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match Role::asked_for(&arguments) {
        Some(role) => peer::run(role),
        None => measure_all(&Run::from_arguments(arguments.into_iter())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&format!("remote: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn measure_all(run: &Run) -> Result<(), Failure> {
    warn_of_debug_build();
    run.start_watchdog();
    raw::stay_on(raw::Core::Ours)?;
    let raw = Raw::start()?;
    let tells = |suffix: &str| -> Vec<(String, usize, u64)> {
        let named = TELLS.iter().map(|&(name, bytes, pairs)| (format!("{name}{suffix}"), bytes, pairs));
        named.filter(|(name, ..)| run.wants(name)).collect()
    };
    let (plain, noise) = (tells(""), tells("_noise"));
    if !plain.is_empty() {
        let node = one().authenticator(Plaintext::on_local_addresses());
        let pair = Pair::start(node, Role::PlainNode)?;
        tell(run, &pair, &plain, &raw)?;
        pair.end()?;
    }
    let asks = [ASK_P50, ASK_P99, ASK_UNDER_BULK].iter().any(|name| run.wants(name));
    if !noise.is_empty() || asks {
        let pair = Pair::start(one(), Role::NoiseNode)?;
        tell(run, &pair, &noise, &raw)?;
        ask(run, &pair, &raw)?;
        pair.end()?;
    }
    if run.wants(ASK_P50_SPIN) {
        let pair = Pair::start(one().spin(SPIN), Role::SpinningNode)?;
        let limit = raw.ping_pong_busy(run)?;
        let count = run.scale(4_000, 100);
        let (p50, p99) = run.latencies(|| asks::ask(&pair, count))?;
        Line::new(ASK_P50_SPIN, "us", &in_microseconds(&p50))
            .limit(in_microseconds(&limit))
            .with("p99", p99.median() / 1e3)
            .print();
        pair.end()?;
    }
    raw.end()?;
    if run.wants(OVERLOAD) {
        overload::measure(run, OVERLOAD, one)?;
    }
    Ok(())
}

/// The node of this process; that of the other one has id 2.
fn one() -> NodeBuilder {
    Node::builder(NodeId::from_raw(1)).workers(1)
}

fn tell<S: Stack>(
    run: &Run,
    pair: &Pair<S>,
    wanted: &[(String, usize, u64)],
    raw: &Raw,
) -> Result<(), Failure> {
    for (name, bytes, senders) in wanted {
        // Most messages of a repetition: what one queue of the receiver could hold, were it never served.
        let most = tells::IN_FLIGHT_BYTES_MAX / *bytes as u64;
        // The limit of each figure is measured just before it: what sockets reach changes with the hour, and with the
        // cores that the kernel chooses.
        let limit = raw.stream(run)?.map(|bytes_per_second| bytes_per_second / *bytes as f64);
        let rate = run.time(200, most, |count| tells::tell(pair, *senders, *bytes, count))?.rate();
        Line::new(name, "msg/s", &rate)
            .limit(limit)
            .with("bytes_per_s", rate.median() * *bytes as f64)
            .print();
    }
    Ok(())
}

fn in_microseconds(samples: &Samples) -> Samples {
    samples.map(|nanoseconds| nanoseconds / 1e3)
}

fn ask<S: Stack>(run: &Run, pair: &Pair<S>, raw: &Raw) -> Result<(), Failure> {
    let idle = run.wants(ASK_P50) || run.wants(ASK_P99);
    if !idle && !run.wants(ASK_UNDER_BULK) {
        return Ok(());
    }
    let (limit_p50, limit_p99) = raw.ping_pong(run)?;
    if idle {
        let count = run.scale(4_000, 100);
        let (p50, p99) = run.latencies(|| asks::ask(pair, count))?;
        if run.wants(ASK_P50) {
            Line::new(ASK_P50, "us", &in_microseconds(&p50)).limit(in_microseconds(&limit_p50)).print();
        }
        if run.wants(ASK_P99) {
            Line::new(ASK_P99, "us", &in_microseconds(&p99)).limit(in_microseconds(&limit_p99)).print();
        }
    }
    if run.wants(ASK_UNDER_BULK) {
        let count = run.scale(500, 20);
        let bulk = tells::Bulk::start(pair)?;
        let latencies = run.latencies(|| asks::ask(pair, count));
        let rate = bulk.stop()?;
        let (p50, p99) = latencies?;
        Line::new(ASK_UNDER_BULK, "us", &in_microseconds(&p99))
            .limit(in_microseconds(&limit_p99))
            .with("p50", p50.median() / 1e3)
            .with("bulk_bytes_per_s", rate)
            .print();
    }
    Ok(())
}

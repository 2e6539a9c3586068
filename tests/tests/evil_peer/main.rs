//! One table of attacks, each with what must come of it, against a real node over TCP.
//!
//! After every row the node still serves a healthy peer over the same connection as before, nothing has panicked, and
//! exactly the named counters have moved.

// Where the requirements of handshakes and records have their rows; what is a pure machine's own is tested beside it, too.
//
// | requirement | rows |
// |---|---|
// | both hellos are bound | `every_bit`; `handshakes`, `listeners`: a hello changed on the way |
// | no plaintext | `hellos`: encryption not offered, plaintext after the hello; `records`: a record in plaintext |
// | the key is the node id's | `hellos`: keys and ids; `handshakes`, `listeners`: proves another key than the hello names |
// | nobody before the proof | `handshakes`: the healthy node named, a last tag that is wrong |
// | records open, in order, once | `every_bit`; `records`: flipped, twice, exchanged, left out, cut off |
// | no end without a goodbye | `records`: cut after each of the first 21 records |
// | keys change in step | `records`: 65,536 records, and then one under the same keys |
// | half-open connections | `hellos`: a byte each second, silence; `together`: 256 that have said a byte |
// | lengths before memory | `hellos`, `handshakes`: 65,535 bytes; `records`: 4 GiB, says its header |
// | decoding is total, counts are true | `messages`: nested, too long, a count of 2^32 - 1 |
// | fragments | `records`: from a fragment with a gap to one that is never finished |
// | compression | `compression` |

mod compression;
mod every_bit;
mod handshakes;
mod hellos;
mod listeners;
mod messages;
mod records;
mod together;

use hew_node::{Actor, Context, Incarnation, Name, NodeId, Outcome, Pid, SERVICE_SERIAL};
use hew_tests::actors::Counter;
use hew_tests::evil::Heard;
use hew_tests::evil::forge::{Halfway, Script, Wire, extension, hello};
use hew_tests::evil::link::{EvilLink, control, fragment, frame, message, number, raw_frame, reply};
use hew_tests::evil::log;
use hew_tests::evil::stage::{ACCOMPLICE, EVIL, GOOD, Stage, TARGET};
use hew_wire::control::Control;
use hew_wire::frame::{FragmentHead, FrameKind, flags};
use hew_wire::membership::{MemberState, MemberUpdate, MembershipMessage};
use hew_wire::registry::{Page, Put, RegistryMessage};
use hew_wire::{ExitReason, Role};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// What the evil peer must hear.
#[derive(Clone, Copy, Debug)]
enum Hears {
    /// A verdict in the clear with this status.
    Verdict(u8),
    /// A verdict in a record with this status.
    Sealed(u8),
    Closed,
    Alive,
}
use Hears::{Alive, Closed, Sealed, Verdict};

struct Row {
    name: &'static str,
    attack: fn(&Stage) -> Result<Heard, Heard>,
    hears: Hears,
    /// Counters of the node that must have moved, and by how much; no others may, but those of ends that are not named: a row
    /// that is over drops its link. The log must give the same reasons, but for messages.
    counts: &'static [(&'static str, u64)],
}

const fn row(
    name: &'static str,
    attack: fn(&Stage) -> Result<Heard, Heard>,
    hears: Hears,
    counts: &'static [(&'static str, u64)],
) -> Row {
    Row { name, attack, hears, counts }
}

/// Runs every row on one stage; all complaints are told together.
fn run(rows: &[Row]) {
    let stage = Stage::set();
    let complaints: Vec<String> = rows.iter().flat_map(|row| run_row(&stage, row)).collect();
    stage.strike();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// Runs one row, and says what is wrong afterwards.
fn run_row(stage: &Stage, row: &Row) -> Vec<String> {
    let mut complaints = Vec::new();
    let before = stage.counted();
    let logged: BTreeMap<&str, u64> = row
        .counts
        .iter()
        .filter_map(|(name, _)| Some((*name, log::lines(TARGET, name.split_once(' ')?.1))))
        .collect();
    let heard = (row.attack)(stage).unwrap_or_else(|heard| heard);
    let fits = match (&heard, row.hears) {
        (Heard::Refused { status, sealed: false, reason }, Verdict(expected))
        | (Heard::Refused { status, sealed: true, reason }, Sealed(expected)) => {
            *status == expected && !reason.is_empty() && !reason.chars().any(char::is_control)
        }
        (Heard::Closed, Closed) | (Heard::Alive, Alive) => true,
        _ => false,
    };
    if !fits {
        complaints.push(format!("{}: heard {heard}, expected {:?}", row.name, row.hears));
    }
    let expected: BTreeMap<String, u64> =
        row.counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    let moved = || {
        let now = stage.counted();
        let moved = now.into_iter().map(|(name, count)| {
            let by = count - before.get(&name).copied().unwrap_or(0);
            (name, by)
        });
        let counts = |name: &String| !name.starts_with("end ") || expected.contains_key(name);
        moved.filter(|(name, by)| *by > 0 && counts(name)).collect::<BTreeMap<String, u64>>()
    };
    if !stage.eventually(Duration::from_secs(3), || moved() == expected) {
        complaints.push(format!("{}: counted {:?}, expected {expected:?}", row.name, moved()));
    }
    for (name, count) in row.counts {
        let Some((kind, reason)) = name.split_once(' ') else { continue };
        let told = || log::lines(TARGET, reason) - logged.get(name).copied().unwrap_or(0);
        if kind != "message" && !stage.eventually(Duration::from_secs(1), || told() >= *count) {
            complaints.push(format!("{}: the log told {reason} {} times, not {count}", row.name, told()));
        }
    }
    complaints.extend(stage.complaints().into_iter().map(|text| format!("{}: {text}", row.name)));
    complaints
}

fn expect_within(
    begun: Instant,
    seconds: std::ops::RangeInclusive<u64>,
    heard: Heard,
) -> Result<Heard, Heard> {
    let took = begun.elapsed().as_secs();
    if seconds.contains(&took) { Ok(heard) } else { Ok(Heard::Odd(format!("{heard} after {took} s"))) }
}

//! How fast actors are on one machine.
//!
//! `cargo bench -p hew-actor --bench local -- [--quick] [NAME…]` prints one JSON object per line. Plain names are
//! measured with two workers, names that end in `_1w` with one. A name on the command line selects the measurements
//! that contain it.

#[path = "local/limits.rs"]
mod limits;
#[path = "local/measure.rs"]
mod measure;
#[path = "local/memory.rs"]
mod memory;
#[path = "local/scenes.rs"]
mod scenes;

use hew_actor::{Runtime, RuntimeConfig, System, SystemConfig};
use measure::{Failure, Line, Run, complain, warn_of_debug_build};
use std::process::ExitCode;

/// Suffix and workers of the two ways in which most things are measured.
const WORKERS: [(&str, usize); 2] = [("", 2), ("_1w", 1)];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match memory::asked_for(&arguments) {
        Some(actors) => memory::in_this_process(actors),
        None => measure_all(&Run::from_arguments(arguments.into_iter())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&format!("local: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn measure_all(run: &Run) -> Result<(), Failure> {
    warn_of_debug_build();
    run.start_watchdog();
    for (suffix, workers) in WORKERS {
        one_way(run, &format!("local/one_way_1to1{suffix}"), workers, 1)?;
        one_way(run, &format!("local/one_way_4to1{suffix}"), workers, 4)?;
        ping_pong(run, &format!("local/ping_pong{suffix}"), workers)?;
        ask(run, &format!("local/ask{suffix}"), workers)?;
        spawn_stop(run, &format!("local/spawn_stop{suffix}"), workers)?;
        fan_out(run, &format!("local/fan_out{suffix}"), workers)?;
        ring(run, &format!("local/ring{suffix}"), workers)?;
    }
    idle_bytes(run, "local/idle_bytes")
}

/// Gives `body` a system of its own, and fails if messages went nowhere meanwhile.
fn on_workers<T>(workers: usize, body: impl FnOnce(&System) -> Result<T, Failure>) -> Result<T, Failure> {
    let runtime = Runtime::start(RuntimeConfig { workers, ..RuntimeConfig::default() })?;
    let system = System::new(runtime.clone(), SystemConfig::default());
    let result = body(&system);
    let lost = system.dead_letters().messages();
    runtime.shutdown();
    match result {
        Ok(_) if lost > 0 => Err(format!("{lost} messages reached nobody").into()),
        result => result,
    }
}

fn one_way(run: &Run, name: &str, workers: usize, senders: u64) -> Result<(), Failure> {
    if !run.wants(name) {
        return Ok(());
    }
    let rate = on_workers(workers, |system| {
        run.time(20_000, 1 << 26, |count| scenes::one_way(system, senders, count))
    })?
    .rate();
    let channel = on_workers(workers, |system| {
        run.time(20_000, 1 << 26, |count| limits::channel(system, senders, count))
    })?
    .rate();
    let line = Line::new(name, "msg/s", &rate)
        .with("channel", channel.median())
        .with("channel_ratio", rate.median() / channel.median());
    match (senders, workers) {
        (1, 1) => line.limit(run.time(20_000, 1 << 26, limits::queue_in_one_thread)?.rate()),
        (1, _) => line.limit(run.time(20_000, 1 << 26, limits::queue_between_threads)?.rate()),
        _ => line,
    }
    .print();
    Ok(())
}

fn ping_pong(run: &Run, name: &str, workers: usize) -> Result<(), Failure> {
    if !run.wants(name) {
        return Ok(());
    }
    let seconds =
        on_workers(workers, |system| run.time(1_000, 1 << 26, |rounds| scenes::ping_pong(system, rounds)))?;
    Line::new(name, "ns", &seconds.map(|seconds| seconds * 1e9)).print();
    Ok(())
}

fn ask(run: &Run, name: &str, workers: usize) -> Result<(), Failure> {
    if !run.wants(name) {
        return Ok(());
    }
    let asks = run.scale(50_000, 1_000);
    let (p50, p99) = on_workers(workers, |system| run.latencies(|| scenes::ask(system, asks)))?;
    Line::new(name, "ns", &p50).with("p99", p99.median()).print();
    Ok(())
}

fn spawn_stop(run: &Run, name: &str, workers: usize) -> Result<(), Failure> {
    if !run.wants(name) {
        return Ok(());
    }
    let seconds =
        on_workers(workers, |system| run.time(1_000, 1 << 24, |count| scenes::spawn_stop(system, count)))?;
    Line::new(name, "actors/s", &seconds.rate()).print();
    Ok(())
}

fn fan_out(run: &Run, name: &str, workers: usize) -> Result<(), Failure> {
    if !run.wants(name) {
        return Ok(());
    }
    let actors = run.scale(100_000, 5_000);
    let rate = on_workers(workers, |system| {
        let crowd = scenes::Crowd::gather(system, actors)?;
        // The first message of an actor makes its queue.
        crowd.tell_all()?;
        run.repeat(|| Ok(actors as f64 / crowd.tell_all()?.as_secs_f64()))
    })?;
    Line::new(name, "msg/s", &rate).with("actors", actors as f64).print();
    Ok(())
}

fn ring(run: &Run, name: &str, workers: usize) -> Result<(), Failure> {
    if !run.wants(name) {
        return Ok(());
    }
    let hops = run.scale(10_000_000, 20_000);
    let rate = on_workers(workers, |system| {
        let ring = scenes::Ring::join(system)?;
        ring.turn(hops / 10)?;
        run.repeat(|| Ok(hops as f64 / ring.turn(hops)?.as_secs_f64()))
    })?;
    Line::new(name, "hops/s", &rate).with("actors", scenes::RING_ACTORS as f64).print();
    Ok(())
}

fn idle_bytes(run: &Run, name: &str) -> Result<(), Failure> {
    if !run.wants(name) {
        return Ok(());
    }
    let actors = run.scale(1_000_000, 10_000);
    // Memory does not vary as time does, and a new process has nothing to warm up.
    let bytes = run.repeat_times(3, || memory::in_another_process(actors))?;
    Line::new(name, "bytes", &bytes).with("actors", actors as f64).print();
    Ok(())
}

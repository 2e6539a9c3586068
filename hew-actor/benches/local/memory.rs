//! The memory of idle actors, measured in a process that does nothing else.

use crate::measure::Failure;
use hew_actor::{Actor, Context, Lifecycle, Outcome, Runtime, RuntimeConfig, System, SystemConfig};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

const OPTION: &str = "--measure-idle-actors";

static STARTED: AtomicU64 = AtomicU64::new(0);

/// An actor with a small state that has never had a message.
struct Idle {
    total: u64,
}

impl Actor for Idle {
    type Message = u64;

    async fn started(&mut self, _: &mut Context<u64>) -> Outcome {
        STARTED.fetch_add(1, Ordering::Relaxed);
        Outcome::Continue
    }

    async fn handle(&mut self, message: u64, _: &mut Context<u64>) -> Outcome {
        self.total += message;
        Outcome::Continue
    }
}

/// How many actors this process is to hold, if that is what it was started for.
pub(crate) fn asked_for(arguments: &[String]) -> Option<u64> {
    match arguments {
        [option, actors] if option == OPTION => actors.parse().ok(),
        _ => None,
    }
}

/// Resident bytes per actor, as another process sees them.
pub(crate) fn in_another_process(actors: u64) -> Result<f64, Failure> {
    let output = Command::new(std::env::current_exe()?)
        .args([OPTION, &actors.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    text.trim().parse().map_err(|_| format!("the measuring process ended with {}", output.status).into())
}

/// Prints the resident bytes per actor.
#[allow(clippy::print_stdout, reason = "the answer to the process that asked")]
pub(crate) fn in_this_process(actors: u64) -> Result<(), Failure> {
    let runtime = Runtime::start(RuntimeConfig { workers: 2, ..RuntimeConfig::default() })?;
    let system = System::new(runtime.clone(), SystemConfig::default());
    settle(&system, 1_000);
    let before = resident_bytes()?;
    settle(&system, actors);
    let after = resident_bytes()?;
    println!("{:.1}", (after - before) / actors as f64);
    // Ending so many actors one by one would only take time.
    std::process::exit(0);
}

/// Spawns actors, which live on without references, and returns when they are idle.
fn settle(system: &System, actors: u64) {
    let wanted = STARTED.load(Ordering::Relaxed) + actors;
    for _ in 0..actors {
        system.spawn(Idle { total: 0 });
    }
    while STARTED.load(Ordering::Relaxed) < wanted {
        std::thread::yield_now();
    }
    let idle = |pid| system.lifecycle(pid) == Some(Lifecycle::Idle);
    while !system.pids().into_iter().rev().take(1_000).all(idle) {
        std::thread::yield_now();
    }
}

fn resident_bytes() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024.0)
}

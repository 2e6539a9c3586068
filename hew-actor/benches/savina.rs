//! How fast the ten core programs of the Savina suite run.
//!
//! Sizes and messages are those of Imam and Sarkar, "Savina - An Actor Benchmark Suite" (2014), unless a program's
//! file says what is different and why. Each program checks its result, and a wrong one fails the suite.
//!
//! `cargo bench -p hew-actor --bench savina -- [--quick] [NAME...]` prints one JSON object per line: the milliseconds
//! from before the first actor is spawned until the last has ended, and the messages per second, answers to questions
//! included. Plain names are measured with two workers, names that end in `_1w` with one. A name on the command line
//! selects the measurements that contain it.

#[path = "savina/banking.rs"]
mod banking;
#[path = "savina/big.rs"]
mod big;
#[path = "savina/bounded_buffer.rs"]
mod bounded_buffer;
#[path = "savina/chameneos.rs"]
mod chameneos;
#[path = "savina/count.rs"]
mod count;
#[path = "savina/fork_join_create.rs"]
mod fork_join_create;
#[path = "savina/fork_join_throughput.rs"]
mod fork_join_throughput;
#[path = "local/measure.rs"]
#[allow(dead_code, reason = "a program has a size, a limit and a distribution belong to other suites")]
mod measure;
#[path = "savina/philosophers.rs"]
mod philosophers;
#[path = "savina/pingpong.rs"]
mod pingpong;
#[path = "savina/program.rs"]
mod program;
#[path = "savina/thread_ring.rs"]
mod thread_ring;

use hew_actor::{Runtime, RuntimeConfig, System, SystemConfig};
use measure::{Failure, Line, Run, complain, warn_of_debug_build};
use program::{Played, expect};
use std::process::ExitCode;
use std::time::Duration;

/// Suffix and workers of the two ways in which each program is measured.
const WORKERS: [(&str, usize); 2] = [("", 2), ("_1w", 1)];

/// How long what is left of the ends of a program's actors may take.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(10);

/// Plays one program once, in the size that the run asks for.
type Program = fn(&System, &Run) -> Result<Played, Failure>;

const PROGRAMS: [(&str, Program); 10] = [
    ("pingpong", |system, run| pingpong::play(system, run.scale(40_000, 400))),
    ("count", |system, run| count::play(system, run.scale(1_000_000, 10_000))),
    ("fork_join_throughput", |system, run| {
        fork_join_throughput::play(system, run.scale(60, 6), run.scale(10_000, 1_000))
    }),
    ("fork_join_create", |system, run| fork_join_create::play(system, run.scale(40_000, 400))),
    ("thread_ring", |system, run| thread_ring::play(system, run.scale(100, 10), run.scale(100_000, 1_000))),
    ("chameneos", |system, run| chameneos::play(system, run.scale(100, 10), run.scale(200_000, 2_000))),
    ("big", |system, run| big::play(system, run.scale(120, 12), run.scale(20_000, 200))),
    ("banking", |system, run| banking::play(system, run.scale(1_000, 10), run.scale(50_000, 20_000))),
    ("bounded_buffer", |system, run| bounded_buffer::play(system, 40, run.scale(1_000, 20))),
    ("philosophers", |system, run| philosophers::play(system, run.scale(20, 5), run.scale(10_000, 100))),
];

fn main() -> ExitCode {
    match measure_all(&Run::from_arguments(std::env::args().skip(1))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&format!("savina: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn measure_all(run: &Run) -> Result<(), Failure> {
    warn_of_debug_build();
    run.start_watchdog();
    for (suffix, workers) in WORKERS {
        for (program, play) in PROGRAMS {
            let name = format!("savina/{program}{suffix}");
            if run.wants(&name) {
                measure(run, &name, workers, play).map_err(|failure| format!("{name}: {failure}"))?;
            }
        }
    }
    Ok(())
}

/// Plays the program several times on one system, after once to warm up, and prints the line.
fn measure(run: &Run, name: &str, workers: usize, play: Program) -> Result<(), Failure> {
    let runtime = Runtime::start(RuntimeConfig { workers, ..RuntimeConfig::default() })?;
    let system = System::new(runtime.clone(), SystemConfig::default());
    play(&system, run)?;
    let mut rates = Vec::new();
    let milliseconds = run.repeat(|| {
        let Played { took, messages } = play(&system, run)?;
        rates.push(messages as f64 / took.as_secs_f64());
        Ok(took.as_secs_f64() * 1e3)
    })?;
    // The values of a program's actors are gone by now; their last steps may not be over.
    let report = runtime.block_on(system.shutdown(SHUTDOWN_DEADLINE));
    expect("actors that did not end", report.killed, 0)?;
    expect("messages that reached nobody", system.dead_letters().messages(), 0)?;
    runtime.shutdown();
    rates.sort_by(f64::total_cmp);
    Line::new(name, "ms", &milliseconds).with("messages_per_s", rates[rates.len() / 2]).print();
    Ok(())
}

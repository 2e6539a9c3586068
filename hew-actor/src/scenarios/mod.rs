//! Stories of the whole actor system, each under thousands of schedules; see docs/models.md.
//!
//! A scenario runs a real runtime with two workers, whose threads, atomics and locks are the checker's. It must end
//! with nobody left: a thread that waits for ever is a deadlock, which fails the schedule, as does every assertion on the
//! thread of the test. Actors do not panic here (a panic would be shown as the failure of the schedule), and what they
//! find out is [noted](Census) and looked at in the end.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod kills;
mod questions;
mod relations;
mod senders;
mod shutdown;
mod storm;
mod supervision;
mod timers;

use crate::*;
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler};
use shuttle::{Config, Runner};
use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Schedules that each scenario is tried under.
const SCHEDULES: usize = 10_000;
/// So many times a thread with priority is made to wait, under the scheduler that gives priorities.
const DEPTH: usize = 3;
/// Where the schedules begin, so that a test does the same each time; `SHUTTLE_RANDOM_SEED` replaces it.
const SEED: u64 = 0x5EED;
/// Names a file with a schedule, as the checker has printed it, to repeat that one instead.
const REPLAY: &str = "HEW_REPLAY";
/// Steps of one schedule, after which it counts as one that does not end.
const STEPS_MAX: usize = 200_000;
const STACK_BYTES: usize = 256 * 1024;

/// Tries a scenario under random schedules.
fn check(scenario: fn()) {
    run(RandomScheduler::new_from_seed(SEED, SCHEDULES), scenario);
}

/// Tries a scenario under schedules that keep to priorities, which find what needs few preemptions at rare places.
fn check_priorities(scenario: fn()) {
    run(PctScheduler::new_from_seed(SEED, DEPTH, SCHEDULES), scenario);
}

fn run(scheduler: impl shuttle::scheduler::Scheduler + 'static, scenario: fn()) {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.silence_warnings = true;
    config.max_steps = shuttle::MaxSteps::FailAfter(STEPS_MAX);
    match std::env::var(REPLAY) {
        Ok(file) => {
            let schedule = std::fs::read_to_string(file).unwrap().replace('\n', "");
            Runner::new(ReplayScheduler::new_from_encoded(&schedule), config).run(scenario)
        }
        Err(_) => Runner::new(scheduler, config).run(scenario),
    };
}

/// A number below `bound`, chosen anew by each schedule.
fn pick(bound: usize) -> usize {
    use shuttle::rand::Rng;
    shuttle::rand::thread_rng().gen_range(0..bound)
}

/// Starts a thread of the schedule.
fn thread<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> shuttle::thread::JoinHandle<T> {
    shuttle::thread::spawn(f)
}

/// Waits on the thread of the test.
fn wait<T>(future: impl Future<Output = T>) -> T {
    shuttle::future::block_on(future)
}

/// A runtime with two workers, and a system on it.
struct Stage {
    runtime: Runtime,
    system: System,
    census: Census,
}

impl Stage {
    fn new() -> Stage {
        let config = RuntimeConfig { workers: 2, name: "scenario".into(), seed: Some(1) };
        let runtime = Runtime::start(config).unwrap();
        let system = System::new(runtime.clone(), SystemConfig::default());
        Stage { runtime, system, census: Census::default() }
    }

    /// Ends everything, after which nothing may be left.
    fn close(self) {
        let Stage { runtime, system, census } = self;
        // A second shutdown would end what the first has left.
        if !runtime.is_shut_down() {
            if pick(2) == 0 {
                // Without a deadline: it ends when all actors have.
                wait(system.shutdown(Duration::MAX));
            }
            runtime.shutdown();
        }
        assert!(system.is_empty(), "an actor is left after the shutdown");
        drop(system);
        drop(runtime);
        census.assert_all_gone();
    }
}

/// Counts the values that a scenario makes, each of which must be dropped once.
#[derive(Clone, Default)]
struct Census(Arc<Records>);

#[derive(Default)]
struct Records {
    /// Whether each value was dropped.
    dropped: Mutex<Vec<bool>>,
    dropped_twice: AtomicUsize,
    met: AtomicUsize,
    handled: AtomicU64,
}

impl Census {
    fn one(&self) -> Counted {
        let mut dropped = self.0.dropped.lock().unwrap();
        dropped.push(false);
        Counted { census: self.clone(), number: dropped.len() - 1 }
    }

    /// Notes a message that was handled.
    fn handled(&self) {
        self.0.handled.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.handled.load(Ordering::Relaxed)
    }

    fn assert_all_gone(&self) {
        let dropped = self.0.dropped.lock().unwrap();
        let left = dropped.iter().filter(|dropped| !**dropped).count();
        assert_eq!(left, 0, "of {} values so many were never dropped", dropped.len());
        assert_eq!(self.0.dropped_twice.load(Ordering::Relaxed), 0, "dropped twice");
        assert_eq!(self.0.met.load(Ordering::Relaxed), 0, "two handlers of one actor at once");
    }
}

/// A value that must be dropped exactly once.
struct Counted {
    census: Census,
    number: usize,
}

impl Drop for Counted {
    fn drop(&mut self) {
        if std::mem::replace(&mut self.census.0.dropped.lock().unwrap()[self.number], true) {
            self.census.0.dropped_twice.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Part of each actor here: notes when two of its hooks run at once.
struct Alone {
    inside: Arc<AtomicUsize>,
    counted: Counted,
}

impl Alone {
    fn new(census: &Census) -> Alone {
        Alone { inside: Arc::default(), counted: census.one() }
    }

    /// To be held for the time of a hook. Others run meanwhile.
    fn enter(&self) -> Inside {
        if self.inside.fetch_add(1, Ordering::Relaxed) > 0 {
            self.counted.census.0.met.fetch_add(1, Ordering::Relaxed);
        }
        shuttle::thread::sleep(Duration::ZERO);
        Inside(self.inside.clone())
    }
}

struct Inside(Arc<AtomicUsize>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A count that others wait for.
#[derive(Clone, Default)]
struct Tally(Arc<(AtomicU64, crate::sync::Event)>);

impl Tally {
    fn add(&self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
        self.0.1.notify(usize::MAX);
    }

    fn count(&self) -> u64 {
        self.0.0.load(Ordering::SeqCst)
    }

    async fn reaches(&self, count: u64) {
        loop {
            let changed = self.0.1.listen();
            if self.count() >= count {
                return;
            }
            changed.await;
        }
    }
}

/// An actor that counts its messages, and gives its turn away now and then if told so.
struct Counter {
    alone: Alone,
    yields: bool,
}

impl Counter {
    fn new(census: &Census) -> Counter {
        Counter { alone: Alone::new(census), yields: pick(2) == 0 }
    }
}

impl Actor for Counter {
    type Message = Counted;

    async fn handle(&mut self, message: Counted, _: &mut Context<Counted>) -> Outcome {
        // Begun is handled: a kill that comes while it waits is no reason to count it as lost.
        message.census.handled();
        let inside = self.alone.enter();
        if self.yields {
            futures_lite::future::yield_now().await;
        }
        drop(inside);
        Outcome::Continue
    }
}

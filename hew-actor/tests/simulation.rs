//! A simulated world: virtual time, and everything in an order drawn from a seed.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod common;

use common::*;
use hew_actor::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A story with many tasks, timers, actors, crashes and random choices; what happened, with times.
fn eventful(seed: u64) -> Vec<String> {
    let simulation = Simulation::new(seed);
    let runtime = simulation.runtime();
    let system = System::new(runtime.clone(), SystemConfig::default());
    let log = Log::default();
    let start = runtime.now();
    let actors: Vec<_> = (0..8).map(|_| system.spawn(Scripted::new("x", &log))).collect();
    for (n, actor) in actors.iter().enumerate() {
        system.monitor(actors[(n + 1) % 8].pid(), actor.pid());
    }
    for sender in 0..4u64 {
        let (runtime, actors, log) = (runtime.clone(), actors.clone(), log.clone());
        simulation
            .runtime()
            .spawn(async move {
                let mut rng = fastrand::Rng::with_seed(runtime.seed());
                for n in 0..50 {
                    runtime.sleep(Duration::from_millis(rng.u64(0..5))).await;
                    let actor = &actors[rng.usize(..8)];
                    let message =
                        if rng.u8(..40) == 0 { Cmd::Panic("by chance") } else { Cmd::Note(sender * 100 + n) };
                    let result = actor.send(message).await;
                    let at = runtime.now() - start;
                    log.add(format!("{at:?} {sender} to {}: {:?}", actor.pid(), result.err()));
                }
            })
            .detach();
    }
    simulation.run_for(SECOND).unwrap();
    log.add(format!("{:?} {} {:?}", simulation.elapsed(), runtime.unix_ms(), system.dead_letters()));
    log.lines()
}

#[test]
fn the_same_seed_gives_the_same_order_of_everything() {
    let first = eventful(1);
    assert!(first.len() > 300, "{}", first.len());
    assert_eq!(first, eventful(1));
    assert_eq!(eventful(2), eventful(2));
    let different: std::collections::BTreeSet<_> = (0..10).map(eventful).collect();
    assert_eq!(different.len(), 10, "the seed changes nothing");
}

#[test]
fn runnable_tasks_run_in_every_order() {
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let simulation = Simulation::new(seed);
        let log = Log::default();
        let tasks: Vec<_> = (0..3)
            .map(|n| {
                let log = log.clone();
                simulation.runtime().spawn(async move { log.add(n.to_string()) })
            })
            .collect();
        simulation
            .run(async {
                for task in tasks {
                    task.await;
                }
            })
            .unwrap();
        orders.insert(log.lines());
    }
    assert_eq!(orders.len(), 6);
}

#[test]
fn time_jumps_to_the_next_timer_and_the_wall_clock_goes_with_it() {
    let simulation = Simulation::new(1);
    let runtime = simulation.runtime();
    let start = runtime.now();
    simulation
        .run(async {
            let long = runtime.sleep(1_000_000 * SECOND);
            runtime.sleep(3 * SECOND).await;
            assert_eq!(runtime.now() - start, 3 * SECOND);
            runtime.sleep_until(start).await;
            assert_eq!(runtime.now() - start, 3 * SECOND);
            drop(long);
            assert_eq!(runtime.timeout(SECOND, std::future::pending::<()>()).await, Err(Elapsed));
            assert_eq!(runtime.timeout(SECOND, async { 7 }).await, Ok(7));
            // A future that is ready at the deadline wins.
            assert_eq!(runtime.timeout(SECOND, runtime.sleep(SECOND)).await, Ok(()));
        })
        .unwrap();
    assert_eq!(simulation.elapsed(), 5 * SECOND);
    assert_eq!(runtime.unix_ms(), UNIX_MS_BASE + 5000);
    simulation.run_for(SECOND).unwrap();
    assert_eq!(simulation.elapsed(), 6 * SECOND);
}

#[test]
fn a_world_in_which_nothing_can_happen_is_stuck() {
    let simulation = Simulation::new(1);
    assert_eq!(simulation.run(std::future::pending::<()>()), Err(Stuck::Deadlock(Duration::ZERO)));
    let runtime = simulation.runtime();
    let never = async {
        runtime.sleep(SECOND).await;
        runtime.sleep(Duration::MAX).await;
    };
    assert_eq!(simulation.run(never), Err(Stuck::Deadlock(SECOND)));
    // The world can go on.
    assert_eq!(simulation.run(async { 7 }), Ok(7));
}

#[test]
fn shutting_down_drops_every_task_and_spawns_no_more() {
    struct Counted(Arc<AtomicU64>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicU64::new(0));
    let simulation = Simulation::new(1);
    let runtime = simulation.runtime();
    for n in 0..10 {
        let (counted, keeps_it_alive) = (Counted(dropped.clone()), runtime.clone());
        runtime
            .spawn(async move {
                if n % 2 == 0 {
                    keeps_it_alive.sleep(SECOND).await;
                }
                std::future::pending::<()>().await;
                drop(counted);
            })
            .detach();
    }
    simulation.run_for(SECOND / 2).unwrap();
    let closing = runtime.clone();
    let inside = simulation.run(async move {
        closing.shutdown();
        std::future::pending::<()>().await;
    });
    assert_eq!(inside, Err(Stuck::ShutDown(SECOND / 2)));
    assert_eq!(dropped.load(Ordering::SeqCst), 10);
    let counted = Counted(dropped.clone());
    let late = runtime.spawn(async move { drop(counted) });
    assert!(late.is_finished());
    assert_eq!(dropped.load(Ordering::SeqCst), 11);
}

#[test]
fn a_panic_in_a_task_comes_to_whoever_awaits_it() {
    let simulation = Simulation::new(1);
    let task = simulation.runtime().spawn(async { panic!("in a task") });
    simulation.run_for(SECOND).unwrap();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| simulation.run(task)));
    assert!(caught.is_err());
    assert_eq!(simulation.run(async { 7 }), Ok(7));
}

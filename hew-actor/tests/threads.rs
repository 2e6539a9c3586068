//! The real runtime: many starts and stops, storms, fairness.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod common;

use common::*;
use futures_lite::io::{AsyncReadExt as _, AsyncWriteExt as _};
use hew_actor::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[test]
fn a_runtime_starts_and_stops_fifty_times() {
    fn threads() -> usize {
        std::fs::read_dir("/proc/self/task").unwrap().count()
    }
    let started = Arc::new(AtomicU64::new(0));
    let mut most = 0;
    for round in 0..50 {
        let config = RuntimeConfig { workers: 1 + round % 3, name: "fifty".into(), seed: Some(7) };
        let runtime = Runtime::start(config).unwrap();
        let system = System::new(runtime.clone(), SystemConfig::default());
        let counting = started.clone();
        let task = runtime.spawn(async move { counting.fetch_add(1, Ordering::SeqCst) });
        runtime.block_on(task);
        // An actor, and a task that would go on for ever and keeps a handle of the runtime.
        let actor = system.spawn(Scripted::default());
        runtime.block_on(settled(&actor));
        let handle = runtime.clone();
        runtime
            .spawn(async move {
                loop {
                    handle.sleep(Duration::from_millis(1)).await;
                }
            })
            .detach();
        runtime.shutdown();
        runtime.shutdown();
        assert!(runtime.is_shut_down());
        assert!(runtime.spawn(async {}).is_finished());
        assert_eq!(system.len(), 0);
        if round == 5 {
            most = threads();
        }
    }
    assert_eq!(started.load(Ordering::SeqCst), 50);
    // Other tests of this process start threads of their own at the same time, but not fifty runtimes' worth.
    assert!(threads() < most + 40, "{} threads, once {most}", threads());
}

#[test]
fn shutdown_from_a_task_does_not_wait_for_itself() {
    for workers in [1, 2] {
        let runtime = Runtime::start(RuntimeConfig { workers, ..RuntimeConfig::default() }).unwrap();
        let (inside, returned) = (runtime.clone(), Arc::new(AtomicU64::new(0)));
        let noted = returned.clone();
        let task = runtime.spawn(async move {
            inside.shutdown();
            noted.store(1, Ordering::SeqCst);
        });
        // Finished, or dropped with the runtime: both end the wait.
        futures_lite::future::block_on(task.fallible());
        runtime.shutdown();
        assert_eq!(returned.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_runtime_without_handles_ends_by_itself() {
    let runtime = Runtime::start(RuntimeConfig { workers: 2, ..RuntimeConfig::default() }).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    runtime
        .spawn(async move {
            std::future::pending::<()>().await;
            drop(sender);
        })
        .detach();
    drop(runtime);
    // The task is dropped, and with it the sender.
    assert_eq!(receiver.recv_timeout(PATIENCE), Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
}

#[test]
fn the_seed_stream_follows_from_the_seed() {
    let values = |seed| {
        let runtime = Runtime::start(RuntimeConfig { workers: 1, seed, ..RuntimeConfig::default() }).unwrap();
        let values = [runtime.seed(), runtime.seed(), runtime.seed()];
        runtime.shutdown();
        values
    };
    assert_eq!(values(Some(1)), values(Some(1)));
    assert_ne!(values(Some(1)), values(Some(2)));
    assert_ne!(values(None), values(None));
}

/// Counts what it handles in a place that outlives it.
struct Handling(Arc<AtomicU64>);

impl Actor for Handling {
    type Message = u64;
    async fn handle(&mut self, message: u64, _: &mut Context<u64>) -> Outcome {
        self.0.fetch_add(1, Ordering::SeqCst);
        match message % 97 {
            0 => Outcome::Stop,
            1 => panic!("a storm"),
            2 => {
                futures_lite::future::yield_now().await;
                Outcome::Continue
            }
            _ => Outcome::Continue,
        }
    }
}

#[test]
fn every_message_of_a_storm_is_handled_or_counted() {
    const SENDERS: u64 = 4;
    const ROUNDS: u64 = 300;
    for overflow in [Overflow::Block, Overflow::DropNew, Overflow::DropOld, Overflow::Fail] {
        threaded(2, |system| async move {
            let handled = Arc::new(AtomicU64::new(0));
            let senders: Vec<_> = (0..SENDERS)
                .map(|sender| {
                    let (system, handled) = (system.clone(), handled.clone());
                    let storm = system.clone();
                    storm.runtime().spawn(async move {
                        let mut rng = fastrand::Rng::with_seed(sender);
                        let mut accepted = 0;
                        for _ in 0..ROUNDS {
                            let mailbox = MailboxOptions {
                                capacity: Some(rng.usize(1..40)),
                                overflow,
                                coalesce: None,
                                ..MailboxOptions::default()
                            };
                            let options = SpawnOptions { mailbox, ..SpawnOptions::default() };
                            let actor = system.spawn_with(Handling(handled.clone()), options).unwrap();
                            let second = {
                                let (actor, seed) = (actor.clone(), rng.u64(..));
                                system.runtime().spawn(async move {
                                    let mut rng = fastrand::Rng::with_seed(seed);
                                    let mut accepted = 0;
                                    for _ in 0..30 {
                                        accepted += u64::from(actor.send(rng.u64(..)).await.is_ok());
                                    }
                                    accepted
                                })
                            };
                            for _ in 0..30 {
                                accepted += u64::from(actor.try_send(rng.u64(..)).is_ok());
                            }
                            match rng.u8(..4) {
                                0 => actor.kill(),
                                1 => actor.stop(),
                                2 => actor.close(),
                                _ => {}
                            }
                            accepted += second.await;
                        }
                        accepted
                    })
                })
                .collect();
            let mut accepted = 0;
            for sender in senders {
                accepted += sender.await;
            }
            let report = system.shutdown(PATIENCE).await;
            assert_eq!((report.killed, report.stuck), (0, 0));
            let (handled, lost) = (handled.load(Ordering::SeqCst), system.dead_letters());
            assert_eq!(accepted, handled + lost.messages(), "{overflow:?}: {handled} handled, {lost:?}");
            assert!(handled > 0 && lost.stopped > 0);
        });
    }
}

#[test]
fn a_flooded_actor_leaves_others_their_turn() {
    struct Flood;
    impl Actor for Flood {
        type Message = ();
        async fn handle(&mut self, (): (), context: &mut Context<()>) -> Outcome {
            // Never out of work.
            let _ = context.this().try_send(());
            Outcome::Continue
        }
    }
    threaded(1, |system| async move {
        let flood = system.spawn(Flood);
        for _ in 0..500 {
            flood.send(()).await.unwrap();
        }
        let pings: Vec<_> = (0..20).map(|_| system.spawn(Scripted::default())).collect();
        for n in 0..50 {
            for ping in &pings {
                let answer = ping.ask_within(PATIENCE, |reply| Cmd::Next(n, reply)).await;
                assert_eq!(answer, Ok(n + 1));
            }
        }
        assert!(system.is_alive(flood.pid()));
    });
}

#[test]
fn a_flood_of_a_thousand_activations_does_not_starve_a_neighbour_in_virtual_time() {
    // The same by counting: between two answers of the neighbour the flooder handles a bounded number of messages.
    struct Flood(Arc<AtomicU64>);
    impl Actor for Flood {
        type Message = ();
        async fn handle(&mut self, (): (), context: &mut Context<()>) -> Outcome {
            self.0.fetch_add(1, Ordering::SeqCst);
            let _ = context.this().try_send(());
            Outcome::Continue
        }
    }
    let simulation = Simulation::new(1);
    let system = System::new(simulation.runtime(), SystemConfig::default());
    let handled = Arc::new(AtomicU64::new(0));
    simulation
        .run(async {
            let flood = system.spawn(Flood(handled.clone()));
            flood.send(()).await.unwrap();
            let ping = system.spawn(Scripted::default());
            for n in 0..100 {
                assert_eq!(ping.ask(|reply| Cmd::Next(n, reply)).await, Ok(n + 1));
            }
            let between = handled.load(Ordering::SeqCst) / 100;
            assert!(between <= 20 * u64::from(MESSAGES_PER_TURN), "{between} messages between two answers");
            flood.kill();
        })
        .unwrap();
}

#[test]
fn spawning_and_stopping_from_many_tasks_leaves_nobody() {
    threaded(2, |system| async move {
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let system = system.clone();
                let spawning = system.clone();
                spawning.runtime().spawn(async move {
                    let mut pids = Vec::new();
                    for _ in 0..2000 {
                        let actor = system.spawn(Scripted::default());
                        pids.push(actor.pid());
                        actor.stop();
                    }
                    pids
                })
            })
            .collect();
        let mut pids = Vec::new();
        for task in tasks {
            pids.extend(task.await);
        }
        for &pid in &pids {
            system.ended(pid).await;
        }
        pids.sort();
        pids.dedup();
        assert_eq!(pids.len(), 8000, "a PID was used twice");
        assert_eq!(system.len(), 0);
    });
}

/// The worker that sleeps serves the sockets itself: what becomes ready there is a job of its own, which it must see although
/// nobody else has woken it. There is no alarm that would wake it by chance.
#[test]
fn a_task_goes_on_when_its_socket_is_ready_and_nothing_else_happens() {
    let runtime = Runtime::start(RuntimeConfig { workers: 1, ..RuntimeConfig::default() }).unwrap();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let ours = async_io::Async::new(ours).unwrap();
    theirs.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let echo = runtime.spawn(async move {
        let mut byte = [0];
        while (&ours).read_exact(&mut byte).await.is_ok() {
            (&ours).write_all(&byte).await.unwrap();
        }
    });
    for round in 0..2_000_u32 {
        let byte = [round as u8];
        std::io::Write::write_all(&mut &theirs, &byte).unwrap();
        let mut back = [0];
        std::io::Read::read_exact(&mut &theirs, &mut back)
            .unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(back, byte);
    }
    drop(theirs);
    runtime.block_on(echo);
}

/// A vital task goes on while actors block every worker: its alarms, its socket, and what wakes it from elsewhere.
#[test]
fn vital_tasks_go_on_while_actors_block_all_workers() {
    for workers in [1, 2] {
        let runtime = Runtime::start(RuntimeConfig { workers, ..RuntimeConfig::default() }).unwrap();
        let vital = runtime.vital().unwrap();
        let system = System::new(runtime.clone(), SystemConfig::default());
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let ours = async_io::Async::new(ours).unwrap();
        let sleeper = vital.clone();
        let echo = vital.spawn(async move {
            let mut byte = [0];
            while (&ours).read_exact(&mut byte).await.is_ok() {
                sleeper.sleep(Duration::from_millis(1)).await;
                (&ours).write_all(&byte).await.unwrap();
            }
        });
        // It is in nobody's way.
        let restless = vital.spawn(async {
            loop {
                futures_lite::future::yield_now().await;
            }
        });
        // The blocked handlers and this thread.
        let released = Arc::new(std::sync::Barrier::new(workers + 1));
        let begun = Arc::new(AtomicU64::new(0));
        for _ in 0..workers {
            let (released, begun) = (released.clone(), begun.clone());
            system.spawn(Blocks { begun, released }).try_send(()).unwrap();
        }
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while begun.load(Ordering::SeqCst) < workers as u64 {
            assert!(std::time::Instant::now() < deadline, "the actors did not begin");
            std::thread::yield_now();
        }
        theirs.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        for round in 0..20_u8 {
            std::io::Write::write_all(&mut &theirs, &[round]).unwrap();
            let mut back = [0];
            std::io::Read::read_exact(&mut &theirs, &mut back).unwrap();
            assert_eq!(back, [round]);
        }
        released.wait();
        drop(theirs);
        runtime.block_on(echo);
        drop(restless);
        runtime.shutdown();
    }
}

struct Blocks {
    begun: Arc<AtomicU64>,
    released: Arc<std::sync::Barrier>,
}

impl Actor for Blocks {
    type Message = ();

    async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.released.wait();
        Outcome::Stop
    }
}

/// Neither vital tasks that never rest nor actors that never rest keep the others from their turns.
#[test]
fn vital_tasks_and_actors_take_turns() {
    let runtime = Runtime::start(RuntimeConfig { workers: 1, ..RuntimeConfig::default() }).unwrap();
    let vital = runtime.vital().unwrap();
    let turns: [Arc<AtomicU64>; 2] = Default::default();
    let [of_vital, of_others] = turns.clone();
    let tasks = [(vital, of_vital), (runtime.clone(), of_others)].map(|(runtime, turns)| {
        runtime.spawn(async move {
            loop {
                turns.fetch_add(1, Ordering::Relaxed);
                futures_lite::future::yield_now().await;
            }
        })
    });
    let count = |turns: &Arc<AtomicU64>| turns.load(Ordering::Relaxed);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while turns.iter().any(|turns| count(turns) < 10_000) {
        assert!(std::time::Instant::now() < deadline, "{turns:?}");
        std::thread::yield_now();
    }
    drop(tasks);
    runtime.shutdown();
    let (of_vital, of_others) = (count(&turns[0]), count(&turns[1]));
    assert!(of_vital < 3 * of_others && of_others < 3 * of_vital, "{of_vital} and {of_others} turns");
}

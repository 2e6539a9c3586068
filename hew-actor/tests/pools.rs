//! Pools give each message to one living member, and lose none while members come and go.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod common;

use common::*;
use futures_lite::future::{block_on, yield_now};
use hew_actor::*;
use hew_wire::{ExitReason, NodeId, Pid};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const STRATEGIES: [PoolStrategy; 4] =
    [PoolStrategy::RoundRobin, PoolStrategy::Random, PoolStrategy::LeastLoaded, PoolStrategy::ConsistentHash];

/// Counts what it is told to.
struct Worker(Arc<AtomicU64>);

#[derive(Debug)]
enum Job {
    Count,
    Crash,
    Yield,
    /// Waits for the gate.
    Hold(Gate),
    Who(ReplyTo<Pid>),
    /// Panics with the question in hand.
    Break(ReplyTo<Pid>),
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("gate")
    }
}

impl Actor for Worker {
    type Message = Job;
    async fn handle(&mut self, job: Job, context: &mut Context<Job>) -> Outcome {
        self.0.fetch_add(1, Ordering::SeqCst);
        match job {
            Job::Count => {}
            Job::Crash => return Outcome::Crash("told to".into()),
            Job::Yield => yield_now().await,
            Job::Hold(gate) => gate.wait().await,
            Job::Who(reply) => reply.send(context.pid()),
            Job::Break(_reply) => panic!("with a question"),
        }
        Outcome::Continue
    }
}

/// Actors with mailboxes of this size, and what all of them count together.
fn workers(system: &System, count: usize, capacity: usize) -> (Vec<ActorRef<Job>>, Arc<AtomicU64>) {
    let handled = Arc::new(AtomicU64::new(0));
    let spawn = |_| {
        let mailbox = MailboxOptions { capacity: Some(capacity), ..MailboxOptions::default() };
        let options = SpawnOptions { mailbox, ..SpawnOptions::default() };
        system.spawn_with(Worker(handled.clone()), options).unwrap()
    };
    ((0..count).map(spawn).collect(), handled)
}

fn pool_of(system: &System, strategy: PoolStrategy, actors: &[ActorRef<Job>]) -> Pool<Job> {
    let pool = Pool::new(system, strategy);
    actors.iter().for_each(|actor| pool.add(actor.clone()).unwrap());
    pool
}

/// How often each of the actors is there.
fn shares(picks: impl Iterator<Item = Pid>, actors: &[ActorRef<Job>]) -> Vec<usize> {
    let mut shares = vec![0; actors.len()];
    for pid in picks {
        shares[actors.iter().position(|actor| actor.pid() == pid).unwrap()] += 1;
    }
    shares
}

/// Waits until the actor sits in its handler, its mailbox empty.
async fn held(actor: &ActorRef<Job>) -> Gate {
    let gate = Gate::default();
    actor.send(Job::Hold(gate.clone())).await.unwrap();
    while actor.mailbox_len() > 0 {
        yield_now().await;
    }
    gate
}

#[test]
fn round_robin_gives_every_member_its_turn() {
    simulated(1, |system| async move {
        let (actors, _) = workers(&system, 5, 100);
        let pool = pool_of(&system, PoolStrategy::RoundRobin, &actors);
        for _ in 0..50 {
            pool.try_send(Job::Count).unwrap();
        }
        assert!(actors.iter().all(|actor| actor.mailbox_len() == 10));
        let picks: Vec<Pid> = (0..5).map(|_| pool.pick().unwrap().pid()).collect();
        assert_eq!(picks, pool.members());
        assert_eq!(picks, actors.iter().map(ActorRef::pid).collect::<Vec<Pid>>());
    });
}

#[test]
fn random_is_even_and_follows_from_the_seed() {
    let picks = |seed| {
        simulated(seed, |system| async move {
            let (actors, _) = workers(&system, 8, 100);
            let pool = pool_of(&system, PoolStrategy::Random, &actors);
            let picks: Vec<Pid> = (0..8_000).map(|_| pool.pick().unwrap().pid()).collect();
            let shares = shares(picks.iter().copied(), &actors);
            // Five times the standard deviation of 29.6.
            assert!(shares.iter().all(|share| (850..1_150).contains(share)), "{shares:?}");
            picks
        })
    };
    for seed in 0..20 {
        assert_eq!(picks(seed), picks(seed));
        assert_ne!(picks(seed), picks(seed + 1));
    }
}

#[test]
fn least_loaded_levels_the_mailboxes_and_takes_turns_among_equals() {
    simulated(2, |system| async move {
        let (actors, _) = workers(&system, 4, 100);
        let pool = pool_of(&system, PoolStrategy::LeastLoaded, &actors);
        for (actor, load) in actors.iter().zip([7, 0, 3, 0]) {
            (0..load).for_each(|_| actor.try_send(Job::Count).unwrap());
        }
        // Nothing is sent, so the loads stay: the two empty ones are equals.
        let even = shares((0..20).map(|_| pool.pick().unwrap().pid()), &actors);
        assert_eq!(even, [0, 10, 0, 10]);
        for _ in 0..18 {
            pool.try_send(Job::Count).unwrap();
        }
        assert!(actors.iter().all(|actor| actor.mailbox_len() == 7));
    });
}

#[test]
fn least_loaded_takes_the_shorter_of_two_in_a_large_pool() {
    simulated(3, |system| async move {
        let (actors, _) = workers(&system, LEAST_LOADED_SCAN_MAX + 1, 1000);
        let pool = pool_of(&system, PoolStrategy::LeastLoaded, &actors);
        (0..100).for_each(|_| actors[4].try_send(Job::Count).unwrap());
        let picks = shares((0..1_600).map(|_| pool.pick().unwrap().pid()), &actors);
        for (place, share) in picks.iter().enumerate() {
            // The longest is never the shorter of two. Each other one expects 100 picks.
            assert!(if place == 4 { *share == 0 } else { (50..150).contains(share) }, "{picks:?}");
        }
        (0..16 * 50).for_each(|_| pool.try_send(Job::Count).unwrap());
        let lengths: Vec<usize> = actors.iter().map(ActorRef::mailbox_len).collect();
        assert_eq!(lengths[4], 100);
        // Choosing one at random would leave them some twenty apart.
        let others =
            || lengths.iter().enumerate().filter(|(place, _)| *place != 4).map(|(_, length)| *length);
        assert!(others().max().unwrap() - others().min().unwrap() <= 6, "{lengths:?}");
    });
}

#[test]
fn a_key_stays_with_its_member_and_few_move_when_members_change() {
    // No multiple of the members: taking turns must not look like owning.
    const KEYS: u64 = 20_003;
    for strategy in STRATEGIES {
        simulated(4, |system| async move {
            let (actors, _) = workers(&system, 11, 100);
            let (newcomer, actors) = actors.split_last().unwrap();
            let pool = pool_of(&system, strategy, actors);
            let owners = || -> Vec<Pid> { (0..KEYS).map(|key| pool.pick_for(&key).unwrap().pid()).collect() };
            let before = owners();
            if strategy != PoolStrategy::ConsistentHash {
                assert_ne!(owners(), before, "{strategy:?} does not look at keys");
                return;
            }
            assert_eq!(owners(), before);
            let share = shares(before.iter().copied(), actors);
            assert!(share.iter().all(|share| (1_400..2_600).contains(share)), "{share:?}");
            // Another pool that got them in another order agrees, as another process would.
            let reversed: Vec<ActorRef<Job>> = actors.iter().rev().cloned().collect();
            let twin = pool_of(&system, strategy, &reversed);
            assert!((0..KEYS).all(|key| twin.pick_for(&key).unwrap().pid() == before[key as usize]));

            pool.add(newcomer.clone()).unwrap();
            let after = owners();
            let moved: Vec<usize> = (0..before.len()).filter(|&key| before[key] != after[key]).collect();
            assert!(moved.iter().all(|&key| after[key] == newcomer.pid()), "keys move to the newcomer only");
            let fair = KEYS as usize / 11;
            assert!((fair * 7 / 10..fair * 13 / 10).contains(&moved.len()), "{} of {KEYS}", moved.len());

            assert!(pool.remove(actors[3].pid()));
            let left = owners();
            for key in 0..before.len() {
                assert_eq!(left[key] != after[key], after[key] == actors[3].pid(), "only its own keys move");
            }
            pool.send_for("a key", Job::Count).await.unwrap();
            assert_eq!(pool.pick_for("a key").unwrap().mailbox_len(), 1);
            assert_eq!(pool.pick_for("a key"), pool.pick_for(&String::from("a key")));
        });
    }
}

#[test]
fn members_leave_when_they_end_and_the_dead_are_refused() {
    for strategy in STRATEGIES {
        simulated(5, |system| async move {
            let (actors, _) = workers(&system, 4, 100);
            let pool = pool_of(&system, strategy, &actors);
            assert_eq!(pool.add(actors[0].clone()), Err(PoolError::AlreadyMember));
            actors[0].kill();
            actors[1].stop();
            actors[2].send(Job::Crash).await.unwrap();
            for actor in &actors[..3] {
                system.ended(actor.pid()).await;
                assert!(!pool.members().contains(&actor.pid()), "still there");
                assert!(!pool.remove(actor.pid()), "removed twice");
                assert_eq!(pool.add(actor.clone()), Err(PoolError::Ended(ExitReason::NoProcess)));
            }
            assert_eq!((pool.len(), pool.members()), (1, vec![actors[3].pid()]));
            assert!((0..9u8).all(|key| pool.pick_for(&key).unwrap() == actors[3]));
            let other = System::new(system.runtime().clone(), SystemConfig::default());
            assert_eq!(pool.add(workers(&other, 1, 1).0.remove(0)), Err(PoolError::OtherSystem));
            // Leaving and coming back.
            assert!(pool.remove(actors[3].pid()) && pool.is_empty() && pool.pick().is_none());
            pool.add(actors[3].clone()).unwrap();
            system.set_node(NodeId::new(9).unwrap());
            assert_eq!(pool.add(actors[3].clone()), Err(PoolError::AlreadyMember), "under its new PID too");
            assert!(pool.remove(actors[3].pid()));
        });
    }
}

#[test]
fn a_pool_has_a_bounded_number_of_members() {
    simulated(6, |system| async move {
        let (actors, _) = workers(&system, POOL_MEMBERS_MAX + 1, 1);
        let pool = pool_of(&system, PoolStrategy::RoundRobin, &actors[1..]);
        assert_eq!(pool.add(actors[0].clone()), Err(PoolError::Full));
        assert_eq!(pool.len(), POOL_MEMBERS_MAX);
        assert!(pool.remove(actors[1].pid()));
        pool.add(actors[0].clone()).unwrap();
    });
}

#[test]
fn a_message_that_meets_the_dead_goes_on_and_an_empty_pool_gives_it_back() {
    for strategy in STRATEGIES {
        simulated(7, |system| async move {
            let (actors, handled) = workers(&system, 5, 100);
            let pool = pool_of(&system, strategy, &actors);
            // They take no more messages, and have not ended.
            let mut gates = Vec::new();
            for actor in &actors[..4] {
                gates.push(held(actor).await);
                actor.close();
            }
            assert_eq!((pool.len(), system.len()), (5, 5));
            for key in 0..10u8 {
                pool.try_send(Job::Count).unwrap();
                pool.send_for(&key, Job::Count).await.unwrap();
                assert_eq!(pool.ask(Job::Who).await, Ok(actors[4].pid()));
                assert_eq!(pool.ask_for(&key, Job::Who).await, Ok(actors[4].pid()));
            }
            assert_eq!(handled.load(Ordering::SeqCst), 4 + 40);
            gates.push(held(&actors[4]).await);
            actors[4].close();
            assert!(matches!(pool.try_send(Job::Count), Err(PoolSendError::NoMember(Job::Count))));
            assert!(matches!(pool.send(Job::Crash).await, Err(PoolSendError::NoMember(Job::Crash))));
            assert_eq!(pool.ask(Job::Who).await, Err(AskError::Ended(ExitReason::NoProcess)));
            assert_eq!(pool.len(), 0);
            gates.iter().for_each(Gate::open);
        });
    }
}

#[test]
fn a_question_that_was_taken_is_asked_once() {
    simulated(8, |system| async move {
        let (actors, handled) = workers(&system, 3, 100);
        let pool = pool_of(&system, PoolStrategy::RoundRobin, &actors);
        let error = pool.ask(Job::Break).await.unwrap_err();
        assert!(matches!(error, AskError::Ended(ExitReason::Crashed(_))), "{error}");
        assert_eq!(handled.load(Ordering::SeqCst), 1);
        let gates = [held(&actors[1]).await, held(&actors[2]).await];
        system.ended(actors[0].pid()).await;
        let (runtime, second) = (system.runtime(), Duration::from_secs(1));
        let start = runtime.now();
        assert_eq!(pool.ask_within(second, Job::Who).await, Err(AskError::Timeout));
        assert_eq!(pool.ask_for_within(&7u8, second, Job::Who).await, Err(AskError::Timeout));
        assert_eq!(runtime.now() - start, 2 * second);
        gates.iter().for_each(Gate::open);
    });
}

#[test]
fn full_members_are_passed_over_except_by_keys() {
    simulated(9, |system| async move {
        for strategy in STRATEGIES {
            let (actors, handled) = workers(&system, 3, 2);
            let pool = pool_of(&system, strategy, &actors);
            // One is full before; whenever it is its turn, another one takes the message.
            (0..2).for_each(|_| actors[1].try_send(Job::Count).unwrap());
            (0..4).for_each(|_| pool.try_send(Job::Count).unwrap());
            assert!(matches!(pool.try_send(Job::Crash), Err(PoolSendError::Full(Job::Crash))));
            // Waits, and is taken.
            pool.send(Job::Count).await.unwrap();
            while handled.load(Ordering::SeqCst) < 7 {
                yield_now().await;
            }
            for _ in 0..2 {
                pool.try_send_for("x", Job::Count).unwrap();
            }
            let third = pool.try_send_for("x", Job::Count);
            match strategy {
                PoolStrategy::ConsistentHash => assert!(third.unwrap_err().is_full()),
                _ => third.unwrap(),
            }
        }
    });
}

#[test]
fn a_full_pool_whose_mailboxes_do_not_let_wait_gives_the_message_back() {
    simulated(15, |system| async move {
        let pool = Pool::new(&system, PoolStrategy::RoundRobin);
        let mailbox =
            MailboxOptions { capacity: Some(1), overflow: Overflow::Fail, ..MailboxOptions::default() };
        let options = SpawnOptions { mailbox, ..SpawnOptions::default() };
        pool.add(system.spawn_with(Worker(Arc::default()), options).unwrap()).unwrap();
        pool.send(Job::Count).await.unwrap();
        assert!(matches!(pool.send(Job::Crash).await, Err(PoolSendError::Full(Job::Crash))));
        assert_eq!(pool.ask(Job::Who).await, Err(AskError::Full));
        assert_eq!(pool.len(), 1, "full is not dead");
    });
}

#[test]
fn a_message_that_waits_for_a_member_that_ends_goes_to_another() {
    for strategy in STRATEGIES {
        simulated(10, |system| async move {
            let (actors, _) = workers(&system, 2, 1);
            let pool = pool_of(&system, strategy, &actors);
            for actor in &actors {
                held(actor).await;
                actor.try_send(Job::Count).unwrap();
            }
            let waits = |job| {
                let pool = pool.clone();
                system.runtime().spawn(async move { pool.send_for("x", job).await })
            };
            let sending = waits(Job::Yield);
            system.runtime().sleep(Duration::from_secs(1)).await;
            assert!(!sending.is_finished());
            // Whoever it waits for, it comes to wait for the other.
            actors[0].kill();
            system.runtime().sleep(Duration::from_secs(1)).await;
            assert!(!sending.is_finished());
            actors[1].kill();
            assert!(matches!(sending.await, Err(PoolSendError::NoMember(Job::Yield))));
        });
    }
}

/// Sends while members crash, stop and join; every message that was taken is handled or counted.
async fn storm(system: System, strategy: PoolStrategy, seed: u64) {
    let (mut actors, handled) = workers(&system, 4, 4);
    let pool = pool_of(&system, strategy, &actors);
    let sender = |number: u64| {
        let (pool, mut rng) = (pool.clone(), fastrand::Rng::with_seed(seed * 8 + number));
        system.runtime().spawn(async move {
            let (mut taken, mut refused) = (0, 0);
            for _ in 0..100 {
                let job = if rng.u8(..) < 20 { Job::Crash } else { Job::Yield };
                let result = match rng.u8(..3) {
                    0 => pool.try_send(job),
                    1 => pool.send(job).await,
                    _ => pool.send_for(&rng.u8(..), job).await,
                };
                *if result.is_ok() { &mut taken } else { &mut refused } += 1;
                yield_now().await;
            }
            (taken, refused)
        })
    };
    let senders: Vec<_> = (0..3).map(sender).collect();
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..40 {
        let victim = actors.swap_remove(rng.usize(..actors.len()));
        match rng.u8(..4) {
            0 => victim.kill(),
            1 => victim.stop(),
            2 => victim.close(),
            _ => drop(pool.remove(victim.pid())),
        }
        let one_more = system.spawn(Worker(handled.clone()));
        pool.add(one_more.clone()).unwrap();
        actors.push(one_more);
        yield_now().await;
    }
    let (mut taken, mut refused) = (0, 0);
    for sender in senders {
        let (more_taken, more_refused) = sender.await;
        (taken, refused) = (taken + more_taken, refused + more_refused);
    }
    system.shutdown(PATIENCE).await;
    let lost = system.dead_letters();
    assert_eq!(taken + refused, 300);
    assert_eq!(taken, handled.load(Ordering::SeqCst) + lost.messages(), "{strategy:?}, {seed}: {lost:?}");
    assert!(taken > 100, "{strategy:?}, {seed}: {taken}");
    assert_eq!(pool.len(), 0, "{strategy:?}, {seed}: the dead are still there");
}

#[test]
fn a_pool_loses_no_message_while_members_crash() {
    for seed in 0..200 {
        simulated(seed, |system| storm(system, STRATEGIES[seed as usize % 4], seed));
    }
}

#[test]
fn a_pool_loses_no_message_while_members_stop_and_four_threads_send() {
    for strategy in STRATEGIES {
        threaded(2, |system| async move {
            let (actors, handled) = workers(&system, 40, 8);
            let pool = pool_of(&system, strategy, &actors);
            let taken = Arc::new(AtomicU64::new(0));
            let send = |thread: u64| {
                let (pool, taken) = (pool.clone(), taken.clone());
                std::thread::spawn(move || {
                    for key in 0..2_000 {
                        match key % 3 {
                            0 => block_on(pool.send(Job::Count)).unwrap(),
                            1 => block_on(pool.send_for(&(thread, key), Job::Count)).unwrap(),
                            _ => match pool.try_send(Job::Count) {
                                Ok(()) => {}
                                Err(error) => {
                                    assert!(error.is_full());
                                    continue;
                                }
                            },
                        }
                        taken.fetch_add(1, Ordering::SeqCst);
                    }
                })
            };
            let threads: Vec<_> = (0..4).map(send).collect();
            for (number, actor) in actors[1..].iter().enumerate() {
                let mark = taken.load(Ordering::SeqCst);
                while taken.load(Ordering::SeqCst) < (mark + 100).min(4_000) {
                    yield_now().await;
                }
                if number % 2 == 0 { actor.stop() } else { actor.kill() }
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            for actor in &actors[1..] {
                system.ended(actor.pid()).await;
            }
            // An actor is gone a moment before those who watch it are told.
            while pool.len() > 1 {
                yield_now().await;
            }
            assert_eq!(pool.members(), [actors[0].pid()]);
            system.shutdown(PATIENCE).await;
            let lost = system.dead_letters();
            let (taken, handled) = (taken.load(Ordering::SeqCst), handled.load(Ordering::SeqCst));
            assert_eq!(taken, handled + lost.messages(), "{strategy:?}: {lost:?}");
        });
    }
}

#[test]
fn an_actor_that_ends_while_it_is_added_does_not_stay() {
    threaded(2, |system| async move {
        let pool = Pool::new(&system, PoolStrategy::ConsistentHash);
        let (mut refused, mut joined) = (0, 0);
        for round in 0..3_000 {
            let actor = workers(&system, 1, 1).0.remove(0);
            let (victim, ended) = (actor.clone(), system.ended(actor.pid()));
            let killing = || system.runtime().spawn(async move { victim.kill() });
            // Ends before it is added, while it is, or after it was.
            let result = match round % 3 {
                0 => {
                    killing().await;
                    ended.await;
                    pool.add(actor)
                }
                1 => {
                    let killing = killing();
                    (0..round).for_each(|_| std::hint::spin_loop());
                    let result = pool.add(actor);
                    killing.await;
                    ended.await;
                    result
                }
                _ => {
                    let result = pool.add(actor);
                    killing().await;
                    ended.await;
                    result
                }
            };
            match result {
                Ok(()) => joined += 1,
                Err(PoolError::Ended(_)) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(joined >= 1_000 && refused >= 1_000 && joined + refused == 3_000);
        // All have ended; those who were told of it before the pool was may be a moment ahead.
        while !pool.is_empty() {
            yield_now().await;
        }
    });
}

/// Takes copies.
struct Counter(Arc<AtomicU64>);

impl Actor for Counter {
    type Message = u64;
    async fn handle(&mut self, message: u64, _: &mut Context<u64>) -> Outcome {
        self.0.fetch_add(message, Ordering::SeqCst);
        Outcome::Continue
    }
}

#[test]
fn a_broadcast_reaches_every_member_or_says_who_refused() {
    simulated(11, |system| async move {
        let sums: Vec<_> = (0..4).map(|_| Arc::new(AtomicU64::new(0))).collect();
        let mailbox = MailboxOptions { capacity: Some(1), ..MailboxOptions::default() };
        let options = SpawnOptions { mailbox, ..SpawnOptions::default() };
        let spawn = |sum: &Arc<AtomicU64>| system.spawn_with(Counter(sum.clone()), options.clone()).unwrap();
        let actors: Vec<ActorRef<u64>> = sums.iter().map(spawn).collect();
        let pool = Pool::new(&system, PoolStrategy::RoundRobin);
        assert_eq!(pool.broadcast(1), Broadcast { taken: 0, refused: Vec::new() });
        actors.iter().for_each(|actor| pool.add(actor.clone()).unwrap());
        actors[1].try_send(100).unwrap();
        // It takes nothing more, and its end has not been told.
        actors[2].try_send(100).unwrap();
        actors[2].close();
        let report = pool.broadcast(1);
        let reason = ExitReason::Normal;
        let expected = [
            (actors[1].pid(), TrySendError::Full(1)),
            (actors[2].pid(), TrySendError::Closed { message: 1, reason }),
        ];
        assert_eq!(report, Broadcast { taken: 2, refused: expected.into() });
        assert_eq!(pool.len(), 3, "the dead one has left");
        // All three are full.
        actors[1].try_send(0).unwrap_err();
        let report = pool.broadcast_waiting(10).await;
        assert_eq!(report, Broadcast { taken: 3, refused: Vec::new() });
        actors.iter().for_each(ActorRef::close);
        for actor in &actors {
            system.ended(actor.pid()).await;
        }
        let sums: Vec<u64> = sums.iter().map(|sum| sum.load(Ordering::SeqCst)).collect();
        assert_eq!(sums, [11, 110, 100, 11]);
    });
}

#[test]
fn a_broadcast_that_waits_hears_of_members_that_end_meanwhile() {
    let story = |system: System, kill: bool| async move {
        let (held_one, full) = (system.spawn(Counter(Arc::default())), Arc::new(AtomicU64::new(0)));
        let mailbox = MailboxOptions { capacity: Some(1), ..MailboxOptions::default() };
        let options = SpawnOptions { mailbox, ..SpawnOptions::default() };
        let dying = system.spawn_with(Counter(full.clone()), options).unwrap();
        let pool = Pool::new(&system, PoolStrategy::Random);
        pool.add(dying.clone()).unwrap();
        pool.add(held_one.clone()).unwrap();
        dying.try_send(1).unwrap();
        let mut broadcast = std::pin::pin!(pool.broadcast_waiting(5));
        assert!(futures_lite::future::poll_once(broadcast.as_mut()).await.is_none());
        assert_eq!(held_one.mailbox_len(), 1, "who has room does not wait");
        if kill {
            dying.kill()
        } else {
            dying.close()
        }
        let report = broadcast.await;
        let reason = if kill { ExitReason::Killed } else { ExitReason::Normal };
        let refused = vec![(dying.pid(), TrySendError::Closed { message: 5, reason })];
        assert_eq!(report, Broadcast { taken: 1, refused });
        assert_eq!(pool.members(), [held_one.pid()], "it has left, whether its end has been told or not");
    };
    for seed in 0..200 {
        simulated(seed, |system| story(system, seed % 2 == 0));
    }
}

/// Another node: keeps what is sent, and whom it was asked to monitor.
#[derive(Default)]
struct Elsewhere {
    sent: Mutex<Vec<Pid>>,
    down: std::sync::atomic::AtomicBool,
    monitors: Mutex<Vec<(MonitorRef, Pid)>>,
}

impl RemoteActor<Job> for Elsewhere {
    fn try_send(&self, target: Pid, message: Job) -> Result<(), TrySendError<Job>> {
        if self.down.load(Ordering::SeqCst) {
            return Err(TrySendError::Closed { message, reason: ExitReason::NodeDown });
        }
        self.sent.lock().unwrap().push(target);
        Ok(())
    }
    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
    fn stop(&self, _: Pid) {}
    fn kill(&self, _: Pid) {}
}

impl Outside for Elsewhere {
    fn monitor(&self, monitor: MonitorRef, watcher: Pid, _: Pid) {
        self.monitors.lock().unwrap().push((monitor, watcher));
    }
    fn demonitor(&self, monitor: MonitorRef, watcher: Pid, _: Pid) {
        self.monitors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|known| *known != (monitor, watcher));
    }
    fn link(&self, _: Pid, _: Pid) {}
    fn unlink(&self, _: Pid, _: Pid) {}
    fn exit(&self, _: Pid, _: Pid, _: ExitReason) {}
}

#[test]
fn members_on_other_nodes_leave_when_their_monitor_or_a_message_says_so() {
    simulated(13, |system| async move {
        system.set_node(NodeId::new(1).unwrap());
        let elsewhere = Arc::new(Elsewhere::default());
        system.set_outside(elsewhere.clone());
        let pid = |serial| Pid::new(NodeId::new(2).unwrap(), serial);
        let remote = |serial| ActorRef::remote(&system, pid(serial), elsewhere.clone());
        let (here, _) = workers(&system, 2, 100);
        let pool = pool_of(&system, PoolStrategy::LeastLoaded, &here);
        (5000..5004).for_each(|serial| pool.add(remote(serial)).unwrap());
        assert_eq!(pool.add(remote(5000)), Err(PoolError::AlreadyMember));
        assert_eq!(system.len(), 3, "two workers and the sentinel");
        // Mailboxes elsewhere cannot be seen: they count as the mean of those here, neither as empty nor as full.
        here.iter().for_each(|actor| (0..3).for_each(|_| actor.try_send(Job::Count).unwrap()));
        (0..12).for_each(|_| pool.try_send(Job::Count).unwrap());
        let sent = elsewhere.sent.lock().unwrap().len();
        assert!((4..=10).contains(&sent), "{sent} of 12");

        let known = std::mem::take(&mut *elsewhere.monitors.lock().unwrap());
        assert_eq!(known.len(), 4);
        elsewhere.monitors.lock().unwrap().extend(&known[1..]);
        assert!(system.notify_down(known[0].1, known[0].0, pid(5000), ExitReason::Normal));
        while pool.members().contains(&pid(5000)) {
            yield_now().await;
        }
        assert!(pool.remove(pid(5001)));
        assert_eq!(*elsewhere.monitors.lock().unwrap(), known[2..]);
        elsewhere.down.store(true, Ordering::SeqCst);
        (0..6).for_each(|_| pool.try_send(Job::Count).unwrap());
        assert_eq!(pool.members(), here.iter().map(ActorRef::pid).collect::<Vec<Pid>>());
        assert!(elsewhere.monitors.lock().unwrap().is_empty(), "nobody listens any more");

        elsewhere.down.store(false, Ordering::SeqCst);
        pool.add(remote(5009)).unwrap();
        let sentinel = elsewhere.monitors.lock().unwrap()[0].1;
        drop(pool);
        assert!(elsewhere.monitors.lock().unwrap().is_empty(), "the last handle took the monitors with it");
        system.ended(sentinel).await;
        assert_eq!(system.len(), 2);
    });
}

#[test]
fn members_elsewhere_are_refused_when_the_system_shuts_down() {
    simulated(14, |system| async move {
        let elsewhere = Arc::new(Elsewhere::default());
        system.set_outside(elsewhere.clone());
        let pool = Pool::new(&system, PoolStrategy::RoundRobin);
        system.shutdown(PATIENCE).await;
        let remote = ActorRef::remote(&system, Pid::new(NodeId::new(2).unwrap(), 5000), elsewhere.clone());
        assert_eq!(pool.add(remote.clone()), Err(PoolError::ShuttingDown));
        assert_eq!(pool.add(remote), Err(PoolError::ShuttingDown), "and is not half in");
        assert!(pool.is_empty() && elsewhere.monitors.lock().unwrap().is_empty());
    });
}

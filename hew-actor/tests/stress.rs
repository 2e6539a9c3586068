//! Storms on real threads, bounded by counts: what goes in comes out, once.
//!
//! Each runs some seconds; `HEW_STRESS` is how many races of monitors and exits there are, 100,000 by default. Built with an
//! address sanitizer (see CONTRIBUTING.md) these are what it looks at.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod common;

use common::PATIENCE;
use hew_actor::*;
use hew_wire::Pid;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

const SENDERS: usize = 8;

fn world() -> (Runtime, System) {
    let config = RuntimeConfig { workers: 3, seed: Some(1), ..RuntimeConfig::default() };
    let runtime = Runtime::start(config).unwrap();
    (runtime.clone(), System::new(runtime, SystemConfig::default()))
}

/// Waits until the system has no actors.
fn settle(runtime: &Runtime, system: &System) {
    let report = runtime.block_on(system.shutdown(PATIENCE));
    assert_eq!((report.killed, report.stuck), (0, 0));
}

/// Notes how often each of many values was dropped.
struct Roll {
    drops: Vec<AtomicU8>,
    next: AtomicUsize,
}

impl Roll {
    fn new(values_max: usize) -> Arc<Roll> {
        Arc::new(Roll {
            drops: (0..values_max).map(|_| AtomicU8::new(0)).collect(),
            next: AtomicUsize::new(0),
        })
    }

    fn token(self: &Arc<Roll>) -> Token {
        Token { roll: self.clone(), number: Box::new(self.next.fetch_add(1, Ordering::Relaxed)) }
    }

    fn assert_each_dropped_once(&self) {
        let made = self.next.load(Ordering::SeqCst);
        for (number, drops) in self.drops[..made].iter().enumerate() {
            assert_eq!(drops.load(Ordering::SeqCst), 1, "drops of value {number} of {made}");
        }
    }
}

/// A value with memory of its own, which must be dropped once.
struct Token {
    roll: Arc<Roll>,
    number: Box<usize>,
}

impl Drop for Token {
    fn drop(&mut self) {
        self.roll.drops[*self.number].fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Clone, Copy)]
enum Then {
    GoOn,
    Yield,
    Stop,
    Crash,
}

struct Parcel {
    _token: Token,
    then: Then,
}

/// Counts what it handles, and does what it is told.
struct Worker {
    _token: Token,
    handled: Arc<AtomicU64>,
}

impl Actor for Worker {
    type Message = Parcel;

    async fn handle(&mut self, parcel: Parcel, _: &mut Context<Parcel>) -> Outcome {
        self.handled.fetch_add(1, Ordering::Relaxed);
        match parcel.then {
            Then::GoOn => {}
            Then::Yield => futures_lite::future::yield_now().await,
            Then::Stop => return Outcome::Stop,
            Then::Crash => return Outcome::Crash("told to".into()),
        }
        Outcome::Continue
    }
}

/// The mailboxes of the storm: every policy, sizes that are emptied at once and one at a time.
fn storm_options(random: &mut fastrand::Rng) -> SpawnOptions<Parcel> {
    let overflow =
        [Overflow::Block, Overflow::DropNew, Overflow::DropOld, Overflow::Fail][random.usize(0..4)];
    let mut mailbox = MailboxOptions {
        capacity: Some([1, 3, BULK_MIN, 64][random.usize(0..4)]),
        overflow,
        ..MailboxOptions::default()
    };
    if random.u8(0..8) == 0 {
        mailbox.coalesce = Some(Arc::new(|parcel: &Parcel| Some((0, parcel.then as u64))));
        mailbox.weigh = Some(Arc::new(|_| 10));
    }
    SpawnOptions { mailbox, messages_per_turn: random.u32(1..20), ..SpawnOptions::default() }
}

#[test]
fn what_is_sent_is_handled_or_counted_or_comes_back() {
    const ROUNDS: usize = 300;
    const MESSAGES: usize = 16;
    let (runtime, system) = world();
    let roll = Roll::new(SENDERS * ROUNDS * (MESSAGES + 1));
    let (handled, refused) = <(Arc<AtomicU64>, Arc<AtomicU64>)>::default();
    let board: Arc<Mutex<Vec<ActorRef<Parcel>>>> = Arc::default();
    let storm = |seed: usize| {
        let (runtime, system, roll) = (runtime.clone(), system.clone(), roll.clone());
        let (handled, refused, board) = (handled.clone(), refused.clone(), board.clone());
        move || {
            let mut random = fastrand::Rng::with_seed(seed as u64);
            for _ in 0..ROUNDS {
                let worker = Worker { _token: roll.token(), handled: handled.clone() };
                let mine = system.spawn_with(worker, storm_options(&mut random)).unwrap();
                let other = {
                    let mut board = board.lock().unwrap();
                    board.push(mine.clone());
                    let place = random.usize(0..board.len());
                    if board.len() > SENDERS { board.swap_remove(place) } else { board[place].clone() }
                };
                for n in 0..MESSAGES {
                    let then = match random.u8(0..64) {
                        0 => Then::Stop,
                        1 => Then::Crash,
                        2..16 => Then::Yield,
                        _ => Then::GoOn,
                    };
                    let parcel = Parcel { _token: roll.token(), then };
                    let to = if n % 2 == 0 { &mine } else { &other };
                    let sent = if random.bool() {
                        to.try_send(parcel).is_ok()
                    } else {
                        runtime.block_on(to.send(parcel)).is_ok()
                    };
                    refused.fetch_add(u64::from(!sent), Ordering::Relaxed);
                }
                match random.u8(0..4) {
                    0 => other.stop(),
                    1 => other.kill(),
                    2 => other.close(),
                    _ => {}
                }
            }
        }
    };
    let threads: Vec<_> = (0..SENDERS).map(|seed| thread::spawn(storm(seed))).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    settle(&runtime, &system);
    let (handled, refused) = (handled.load(Ordering::SeqCst), refused.load(Ordering::SeqCst));
    let letters = system.dead_letters();
    assert_eq!(handled + letters.messages() + refused, (SENDERS * ROUNDS * MESSAGES) as u64, "{letters:?}");
    for (reason, count) in [
        ("handled", handled),
        ("refused", refused),
        ("full", letters.full),
        ("dropped old", letters.dropped_old),
        ("stopped", letters.stopped),
    ] {
        assert!(count > 0, "the storm does not reach: {reason}");
    }
    runtime.shutdown();
    drop((board, system));
    roll.assert_each_dropped_once();
}

/// Counts the signals of each of its monitors.
struct Watcher {
    downs: HashMap<u64, u32>,
    count: Arc<AtomicU64>,
}

impl Actor for Watcher {
    type Message = ReplyTo<Vec<(u64, u32)>>;

    async fn handle(&mut self, reply: Self::Message, _: &mut Context<Self::Message>) -> Outcome {
        reply.send(self.downs.drain().collect());
        Outcome::Stop
    }

    async fn signal(&mut self, signal: Signal, _: &mut Context<Self::Message>) -> Outcome {
        if let Signal::Down { monitor, .. } = signal {
            *self.downs.entry(monitor.id()).or_default() += 1;
            self.count.fetch_add(1, Ordering::SeqCst);
        }
        Outcome::Continue
    }
}

struct Target;

impl Actor for Target {
    type Message = ();

    async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
        Outcome::Stop
    }
}

/// Waits, looking now and then, for what other threads bring about.
fn await_that(what: &str, condition: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        thread::yield_now();
    }
}

#[test]
fn each_monitor_that_races_with_an_exit_fires_once() {
    const THREADS: usize = 3;
    // Monitors and watches of each thread in each round, in equal parts.
    const EACH: usize = 100;
    let races = std::env::var("HEW_STRESS").map_or(100_000, |count| count.parse().unwrap());
    let rounds = usize::div_ceil(races, 2 * THREADS * EACH);
    let (runtime, system) = world();
    let start = Arc::new(Barrier::new(THREADS + 1));
    let end = Arc::new(Barrier::new(THREADS + 1));
    let round: Arc<Mutex<Option<(Pid, Pid)>>> = Arc::default();
    let called = Arc::new(AtomicU64::new(0));
    let made: Arc<Mutex<Vec<u64>>> = Arc::default();
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (start, end, round) = (start.clone(), end.clone(), round.clone());
            let (system, called, made) = (system.clone(), called.clone(), made.clone());
            thread::spawn(move || {
                for _ in 0..rounds {
                    start.wait();
                    let (target, watcher) = round.lock().unwrap().unwrap();
                    let mut ids = Vec::with_capacity(EACH);
                    for _ in 0..EACH {
                        ids.push(system.monitor(watcher, target).id());
                        let called = called.clone();
                        system.watch(target, move |_, _| {
                            called.fetch_add(1, Ordering::SeqCst);
                        });
                    }
                    made.lock().unwrap().append(&mut ids);
                    end.wait();
                }
            })
        })
        .collect();
    let mut random = fastrand::Rng::with_seed(1);
    let all = (THREADS * EACH) as u64;
    for done in 0..rounds as u64 {
        let count = Arc::new(AtomicU64::new(0));
        let watcher = system.spawn(Watcher { downs: HashMap::new(), count: count.clone() });
        let target = system.spawn(Target);
        *round.lock().unwrap() = Some((target.pid(), watcher.pid()));
        start.wait();
        (0..random.u32(0..20_000)).for_each(|_| std::hint::spin_loop());
        match random.u8(0..3) {
            0 => target.stop(),
            1 => target.kill(),
            _ => target.try_send(()).unwrap(),
        }
        end.wait();
        await_that("a monitor has not fired", || count.load(Ordering::SeqCst) >= all);
        await_that("a watch has not fired", || called.load(Ordering::SeqCst) >= (done + 1) * all);
        let mut downs = runtime.block_on(watcher.ask(|reply| reply)).unwrap();
        let mut expected: Vec<_> = made.lock().unwrap().drain(..).map(|id| (id, 1)).collect();
        downs.sort_unstable();
        expected.sort_unstable();
        assert_eq!(downs, expected);
        assert_eq!(called.load(Ordering::SeqCst), (done + 1) * all);
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    settle(&runtime, &system);
    assert_eq!(called.load(Ordering::SeqCst), (rounds * THREADS * EACH) as u64);
    runtime.shutdown();
}

/// Knows for whom its messages are.
struct Addressee {
    mistaken: Arc<AtomicU64>,
    handled: Arc<AtomicU64>,
}

impl Actor for Addressee {
    type Message = Pid;

    async fn handle(&mut self, to: Pid, context: &mut Context<Pid>) -> Outcome {
        self.handled.fetch_add(1, Ordering::Relaxed);
        if to != context.pid() {
            self.mistaken.fetch_add(1, Ordering::Relaxed);
        }
        Outcome::Stop
    }
}

#[test]
fn pids_of_ended_actors_never_reach_new_ones() {
    const ACTORS: usize = 100_000;
    const THREADS: usize = 4;
    // References that are sent to once more, long after their actors have ended.
    const OLD: usize = 16;
    let (runtime, system) = world();
    let (mistaken, handled) = <(Arc<AtomicU64>, Arc<AtomicU64>)>::default();
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (system, mistaken, handled) = (system.clone(), mistaken.clone(), handled.clone());
            thread::spawn(move || {
                let (mut pids, mut old) = (Vec::new(), std::collections::VecDeque::new());
                let mut late = 0;
                for _ in 0..ACTORS / THREADS {
                    let actor = Addressee { mistaken: mistaken.clone(), handled: handled.clone() };
                    let actor = system.spawn(actor);
                    actor.try_send(actor.pid()).unwrap();
                    pids.push(actor.pid().serial());
                    old.push_back(actor);
                    if old.len() > OLD {
                        let past: ActorRef<Pid> = old.pop_front().unwrap();
                        late += u64::from(past.try_send(past.pid()).is_ok());
                        if !system.is_alive(past.pid()) {
                            assert!(system.resolve::<Pid>(past.pid()).is_none());
                            assert!(past.try_send(past.pid()).is_err(), "an ended actor took a message");
                        }
                    }
                }
                (pids, late)
            })
        })
        .collect();
    let (mut all, mut late) = (Vec::new(), 0);
    for thread in threads {
        let (pids, more) = thread.join().unwrap();
        all.extend(pids);
        late += more;
    }
    await_that("an actor has not ended", || system.is_empty());
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), ACTORS, "a PID was given twice");
    assert_eq!(mistaken.load(Ordering::SeqCst), 0);
    let sum = handled.load(Ordering::SeqCst) + system.dead_letters().stopped;
    assert_eq!(sum, ACTORS as u64 + late);
    runtime.shutdown();
}

#[test]
fn timers_that_are_cancelled_while_they_fire_send_or_do_not() {
    const THREADS: usize = 2;
    const TIMERS: usize = 10_000;
    let (runtime, system) = world();
    let roll = Roll::new(1 + THREADS * TIMERS);
    let handled = Arc::new(AtomicU64::new(0));
    let worker = Worker { _token: roll.token(), handled: handled.clone() };
    let actor = system.spawn_with(
        worker,
        SpawnOptions {
            mailbox: MailboxOptions { capacity: Some(THREADS * TIMERS), ..MailboxOptions::default() },
            ..SpawnOptions::default()
        },
    );
    let actor = actor.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let set: Arc<Mutex<Vec<TimerRef>>> = Arc::default();
    // Sets timers in bunches, so that cancelling them takes about as long as they do.
    let threads: Vec<_> = (0..THREADS)
        .map(|seed| {
            let (actor, roll, set) = (actor.clone(), roll.clone(), set.clone());
            thread::spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed as u64);
                for bunch in 0..TIMERS / 100 {
                    let timers = (0..100).map(|_| {
                        let parcel = Parcel { _token: roll.token(), then: Then::GoOn };
                        actor.send_after(Duration::from_micros(random.u64(0..3_000)), parcel)
                    });
                    let mut timers: Vec<_> = timers.collect();
                    set.lock().unwrap().append(&mut timers);
                    if bunch % 4 == 0 {
                        thread::sleep(Duration::from_millis(1));
                    }
                }
            })
        })
        .collect();
    let canceller = {
        let (set, done) = (set.clone(), done.clone());
        thread::spawn(move || {
            let (mut cancelled, mut over) = (0, 0);
            loop {
                let last = done.load(Ordering::SeqCst);
                let timers = std::mem::take(&mut *set.lock().unwrap());
                for timer in timers {
                    let by_us = timer.cancel();
                    assert!(!timer.is_pending());
                    if by_us { cancelled += 1 } else { over += 1 }
                }
                if last {
                    return (cancelled, over);
                }
                thread::yield_now();
            }
        })
    };
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    done.store(true, Ordering::SeqCst);
    let (cancelled, over): (u64, u64) = canceller.join().unwrap();
    assert_eq!(cancelled + over, (THREADS * TIMERS) as u64);
    assert!(cancelled > 0 && over > 0, "{cancelled} cancelled, {over} sent");
    actor.close();
    settle(&runtime, &system);
    assert_eq!(handled.load(Ordering::SeqCst) + system.dead_letters().messages(), over);
    runtime.shutdown();
    drop((actor, system));
    roll.assert_each_dropped_once();
}

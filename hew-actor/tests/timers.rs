//! Messages that are sent later, and the deadlines of questions.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod common;

use common::*;
use futures_lite::future::{or, yield_now, zip};
use hew_actor::*;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A world of virtual time, and an actor in it that notes the milliseconds at which messages come.
struct World {
    simulation: Simulation,
    system: System,
    clock: ActorRef<u64>,
    seen: Arc<Mutex<Vec<(u64, u64)>>>,
}

struct Clock {
    start: Instant,
    seen: Arc<Mutex<Vec<(u64, u64)>>>,
}

/// This message keeps the clock busy for three and a half seconds.
const BUSY: u64 = 1000;

impl Actor for Clock {
    type Message = u64;
    async fn handle(&mut self, number: u64, context: &mut Context<u64>) -> Outcome {
        let now = context.runtime().now().duration_since(self.start).as_millis() as u64;
        self.seen.lock().unwrap().push((now, number));
        if number == BUSY {
            context.runtime().sleep(3500 * MS).await;
        }
        Outcome::Continue
    }
}

impl World {
    fn new(seed: u64, capacity: usize, overflow: Overflow) -> World {
        let simulation = Simulation::new(seed);
        let system = System::new(simulation.runtime(), SystemConfig::default());
        let seen = Arc::default();
        let clock = Clock { start: system.runtime().now(), seen: Arc::clone(&seen) };
        let mailbox = MailboxOptions { capacity: Some(capacity), overflow, ..MailboxOptions::default() };
        let clock = system.spawn_with(clock, SpawnOptions { mailbox, ..SpawnOptions::default() }).unwrap();
        World { simulation, system, clock, seen }
    }

    fn run_for(&self, duration: Duration) {
        self.simulation.run_for(duration).unwrap();
    }

    /// When which numbers came, since the last call.
    fn take(&self) -> Vec<(u64, u64)> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// Numbers from 1 on.
fn counting() -> impl FnMut() -> u64 + Send {
    let mut number = 0;
    move || {
        number += 1;
        number
    }
}

#[test]
fn a_message_comes_at_its_time_and_in_the_order_of_times() {
    for seed in 0..50 {
        let world = World::new(seed, 100, Overflow::Block);
        for (delay, number) in [(300, 3), (100, 1), (0, 0), (200, 2), (86_400_000, 5), (300, 4)] {
            let _ = world.clock.send_after(Duration::from_millis(delay), number);
        }
        let never = world.clock.send_after(Duration::MAX, 9);
        world.run_for(Duration::from_secs(86_401));
        // Those of the same time come in the order in which they were set.
        assert_eq!(world.take(), [(0, 0), (100, 1), (200, 2), (300, 3), (300, 4), (86_400_000, 5)]);
        assert!(never.is_pending() && never.cancel() && !never.is_pending());
    }
}

#[test]
fn cancelled_before_its_time_a_timer_never_sends_and_afterwards_cancel_says_no() {
    let world = World::new(1, 100, Overflow::Block);
    let (early, late) = (world.clock.send_after(SECOND, 1), world.clock.send_after(2 * SECOND, 2));
    let copy = late.clone();
    world.run_for(SECOND + MS);
    assert!(!early.is_pending() && !early.cancel());
    assert!(late.is_pending() && copy.cancel());
    assert!(!late.is_pending() && !late.cancel());
    world.run_for(10 * SECOND);
    assert_eq!(world.take(), [(1000, 1)]);
    // Dropping the handle cancels nothing.
    drop(world.clock.send_after(SECOND, 3));
    world.run_for(2 * SECOND);
    assert_eq!(world.take(), [(12_001, 3)]);
    assert_eq!(world.system.dead_letters(), DeadLetters::default());
}

#[test]
fn true_from_cancel_means_that_nothing_is_sent() {
    // In virtual time: cancelled by a task at the same instant, in every order.
    for seed in 0..200 {
        let world = World::new(seed, 100, Overflow::Block);
        let timer = world.clock.send_after(SECOND, 1);
        let runtime = world.system.runtime().clone();
        let cancelled = world.simulation.run(async {
            runtime.sleep(SECOND).await;
            timer.cancel()
        });
        world.run_for(SECOND);
        assert_eq!(world.take().len(), usize::from(!cancelled.unwrap()));
    }
    // On threads: against the alarm, which goes off on a worker.
    struct Count(Arc<AtomicU64>);
    impl Actor for Count {
        type Message = ();
        async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
            self.0.fetch_add(1, Ordering::SeqCst);
            Outcome::Continue
        }
    }
    threaded(2, |system| async move {
        let sent = Arc::new(AtomicU64::new(0));
        let (actor, mut rng, mut kept) = (system.spawn(Count(sent.clone())), fastrand::Rng::with_seed(1), 0);
        for round in 0..200 {
            // In every other round all at once, and cancelled from the last one on as soon as the first has been sent.
            let together = round % 2 == 0;
            let delay =
                |rng: &mut fastrand::Rng| if together { MS } else { Duration::from_micros(rng.u64(0..3000)) };
            let timers: Vec<_> = (0..50).map(|_| actor.send_after(delay(&mut rng), ())).collect();
            let (start, wait) = (Instant::now(), Duration::from_micros(rng.u64(0..3000)));
            let is_time = || if together { !timers[0].is_pending() } else { start.elapsed() >= wait };
            while !is_time() {
                std::hint::spin_loop();
                assert!(start.elapsed() < PATIENCE);
            }
            kept += timers.iter().rev().filter(|timer| !timer.cancel()).count() as u64;
            assert!(timers.iter().all(|timer| !timer.is_pending()));
        }
        // Whatever was sent was sent when `cancel` returned.
        actor.close();
        system.ended(actor.pid()).await;
        assert_eq!(sent.load(Ordering::SeqCst), kept);
        assert_eq!(system.dead_letters(), DeadLetters::default());
        assert!(kept > 0 && kept < 10_000, "no race: {kept}");
    });
}

#[test]
fn a_period_is_kept_until_the_timer_is_cancelled() {
    let world = World::new(1, 100, Overflow::Block);
    let timer = world.clock.send_every(SECOND, counting());
    world.run_for(4 * SECOND + 500 * MS);
    assert_eq!(world.take(), [(1000, 1), (2000, 2), (3000, 3), (4000, 4)]);
    assert!(timer.is_pending() && timer.cancel() && !timer.is_pending());
    assert!(!timer.cancel());
    world.run_for(10 * SECOND);
    assert_eq!(world.take(), []);
}

#[test]
fn a_period_does_not_pile_up_in_a_full_mailbox() {
    for overflow in [Overflow::Block, Overflow::DropNew, Overflow::Fail] {
        let world = World::new(1, 1, overflow);
        let timer = world.clock.send_every(SECOND, counting());
        world.clock.try_send(BUSY).unwrap();
        world.run_for(6 * SECOND + 500 * MS);
        // One waits, two find no room; then the period goes on as it was.
        assert_eq!(world.take(), [(0, BUSY), (3500, 1), (4000, 4), (5000, 5), (6000, 6)], "{overflow:?}");
        assert_eq!((world.system.dead_letters().full, world.system.dead_letters().messages()), (2, 2));
        assert!(timer.cancel());
    }
}

#[test]
fn times_that_have_passed_are_left_out() {
    // The closure takes longer than a period, as far as the clock can tell: it jumps while it runs.
    threaded(1, |system| async move {
        let (calls, count) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        struct Count(Arc<AtomicU64>);
        impl Actor for Count {
            type Message = ();
            async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
                self.0.fetch_add(1, Ordering::SeqCst);
                Outcome::Continue
            }
        }
        let actor = system.spawn(Count(count.clone()));
        let (period, start) = (5 * MS, Instant::now());
        let calling = calls.clone();
        let timer = actor.send_every(period, move || {
            if calling.fetch_add(1, Ordering::SeqCst) == 0 {
                let late = Instant::now();
                while late.elapsed() < 10 * period {}
            }
        });
        while count.load(Ordering::SeqCst) < 3 {
            yield_now().await;
        }
        timer.cancel();
        // Nine or more periods passed during the first call, and nobody makes up for them.
        let periods = start.elapsed().as_nanos() / period.as_nanos();
        let calls = u128::from(calls.load(Ordering::SeqCst));
        assert!(calls + 9 <= periods, "{calls} calls in {periods} periods");
    });
}

#[test]
fn a_period_ends_with_its_actor_and_with_a_panic() {
    let world = World::new(1, 100, Overflow::Block);
    let timer = world.clock.send_every(SECOND, counting());
    world.run_for(1500 * MS);
    world.clock.stop();
    world.run_for(SECOND);
    assert!(!timer.is_pending() && !timer.cancel());
    assert_eq!(world.take(), [(1000, 1)]);
    // Nobody is to get what was not sent.
    assert_eq!(world.system.dead_letters(), DeadLetters::default());

    let world = World::new(1, 100, Overflow::Block);
    let mut count = counting();
    let timer = world.clock.send_every(SECOND, move || match count() {
        3 => panic!("in a timer"),
        number => number,
    });
    world.run_for(10 * SECOND);
    assert_eq!(world.take(), [(1000, 1), (2000, 2)]);
    assert!(!timer.is_pending() && !timer.cancel());
    assert!(world.system.is_alive(world.clock.pid()));
}

#[test]
fn a_closure_may_cancel_its_own_timer_and_so_may_a_message_that_is_dropped() {
    type Place = Arc<Mutex<Option<TimerRef>>>;
    /// Cancels the timer when dropped, handled or not.
    struct Last(Place);
    impl Drop for Last {
        fn drop(&mut self) {
            let timer = self.0.lock().unwrap().take();
            if let Some(timer) = timer {
                timer.cancel();
            }
        }
    }
    struct Busy;
    impl Actor for Busy {
        type Message = Option<Last>;
        async fn handle(&mut self, message: Option<Last>, _: &mut Context<Option<Last>>) -> Outcome {
            if message.is_none() {
                std::future::pending::<()>().await;
            }
            Outcome::Continue
        }
    }
    for overflow in [Overflow::Block, Overflow::DropNew, Overflow::DropOld, Overflow::Fail] {
        simulated(1, |system| async move {
            let mailbox = MailboxOptions { capacity: Some(1), overflow, ..MailboxOptions::default() };
            let options = SpawnOptions { mailbox, ..SpawnOptions::default() };
            let actor = system.spawn_with(Busy, options).unwrap();
            actor.send(None).await.unwrap();
            system.runtime().sleep(SECOND).await;
            let place = Place::default();
            let made = place.clone();
            let timer = actor.send_every(SECOND, move || Some(Last(made.clone())));
            *place.lock().unwrap() = Some(timer.clone());
            // The second message meets the first one in the full mailbox.
            system.runtime().sleep(10 * SECOND).await;
            assert!(!timer.is_pending(), "{overflow:?}");
            assert_eq!(system.dead_letters().messages(), 1, "{overflow:?}");
        });
    }
    let world = World::new(1, 100, Overflow::Block);
    let place = Place::default();
    let (own, mut count) = (place.clone(), counting());
    let timer = world.clock.send_every(SECOND, move || {
        let number = count();
        if number == 3 {
            assert!(own.lock().unwrap().take().unwrap().cancel());
        }
        number
    });
    *place.lock().unwrap() = Some(timer.clone());
    world.run_for(10 * SECOND);
    assert_eq!(world.take(), [(1000, 1), (2000, 2)]);
    assert!(!timer.is_pending());
}

#[test]
#[should_panic(expected = "a timer without a period")]
fn a_period_of_nothing_is_refused() {
    let world = World::new(1, 100, Overflow::Block);
    let _ = world.clock.send_every(Duration::ZERO, || 1);
}

#[test]
fn a_timer_for_an_actor_that_ended_is_a_dead_letter() {
    for forgotten in [false, true] {
        let world = World::new(1, 100, Overflow::Block);
        let (pid, mut letters) = (world.clock.pid(), world.system.dead_letter_stream());
        let timer = world.clock.send_after(2 * SECOND, 1);
        world.clock.stop();
        // With and without a reference that keeps its memory.
        let kept = (!forgotten).then_some(world.clock);
        world.simulation.run_for(SECOND).unwrap();
        assert!(timer.is_pending() && letters.try_next().is_none());
        world.simulation.run_for(2 * SECOND).unwrap();
        let letter = letters.try_next().unwrap();
        assert_eq!((letter.reason, letter.target, letter.count), (DeadLetterReason::Timer, Some(pid), 1));
        assert_eq!(letters.try_next(), None);
        assert_eq!(world.system.dead_letters().timers, 1);
        drop(kept);
    }
}

/// Keeps the addresses of questions that are not to be answered.
#[derive(Default)]
struct Silent(Vec<ReplyTo<u64>>);

impl Actor for Silent {
    type Message = (bool, ReplyTo<u64>);
    async fn handle(&mut self, (answer, reply): Self::Message, _: &mut Context<Self::Message>) -> Outcome {
        if answer {
            reply.send(1)
        } else {
            self.0.push(reply)
        }
        Outcome::Continue
    }
}

/// Something that a handler does with questions; the answer says in how many milliseconds, and what came of it.
type Story = (u64, Vec<Result<u64, AskError>>);

/// Asks in its handler.
struct Asker(ActorRef<(bool, ReplyTo<u64>)>);

enum Ask {
    /// Answered questions with long and short deadlines, then one without an answer.
    Reused,
    /// Two at once that are not answered, the later deadline first or last.
    Both { later_first: bool },
    /// One that wakes by a waker of its own.
    OwnWaker,
    /// Two, of which the handler polls one before it goes on to wait for the other.
    PolledBefore,
    /// One that was begun here and goes on in a task.
    Moved,
}

impl Asker {
    fn ask(
        &self,
        answer: bool,
        deadline: Duration,
    ) -> impl Future<Output = Result<u64, AskError>> + Send + use<> {
        let silent = self.0.clone();
        async move { silent.ask_within(deadline, |reply| (answer, reply)).await }
    }
}

impl Actor for Asker {
    type Message = (Ask, ReplyTo<Story>);
    async fn handle(
        &mut self,
        (story, reply): Self::Message,
        context: &mut Context<Self::Message>,
    ) -> Outcome {
        let start = context.runtime().now();
        let answers = match story {
            Ask::Reused => {
                let mut answers = Vec::new();
                for deadline in [5 * SECOND, 50 * MS, 5 * SECOND] {
                    answers.push(self.ask(true, deadline).await);
                }
                answers.push(self.ask(false, 50 * MS).await);
                // The alarm of the last one is over when that of this one is to be set.
                answers.push(self.ask(true, 50 * MS).await);
                answers.push(self.ask(false, 80 * MS).await);
                answers
            }
            Ask::Both { later_first } => {
                let (late, early) = (self.ask(false, 100 * MS), self.ask(false, 50 * MS));
                let (a, b) = if later_first { zip(late, early).await } else { zip(early, late).await };
                vec![a, b]
            }
            Ask::OwnWaker => {
                // The alarm of this one, should it be left, wakes the handler only.
                let first = self.ask(true, 20 * MS).await;
                vec![first, OwnWaker::new(self.ask(false, 50 * MS)).await]
            }
            Ask::PolledBefore => {
                let mut first = pin!(self.ask(false, 100 * MS));
                assert!(futures_lite::future::poll_once(first.as_mut()).await.is_none());
                let second = or(self.ask(false, 50 * MS), std::future::pending()).await;
                vec![second, first.await]
            }
            Ask::Moved => {
                let mut ask = Box::pin(self.ask(false, 50 * MS));
                assert!(futures_lite::future::poll_once(ask.as_mut()).await.is_none());
                vec![context.runtime().spawn(ask).await]
            }
        };
        let elapsed = context.runtime().now().duration_since(start).as_millis();
        reply.send((elapsed as u64, answers));
        Outcome::Continue
    }
}

/// As combinators over many futures do: polls the inner future only when the waker that it was given was called.
struct OwnWaker<F> {
    inner: std::pin::Pin<Box<F>>,
    flag: Arc<Flag>,
}

struct Flag {
    woken: AtomicBool,
    outer: Mutex<Option<Waker>>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        if let Some(outer) = &*self.outer.lock().unwrap() {
            outer.wake_by_ref();
        }
    }
}

impl<F> OwnWaker<F> {
    fn new(inner: F) -> OwnWaker<F> {
        let flag = Flag { woken: AtomicBool::new(true), outer: Mutex::new(None) };
        OwnWaker { inner: Box::pin(inner), flag: Arc::new(flag) }
    }
}

impl<F: Future> Future for OwnWaker<F> {
    type Output = F::Output;
    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<F::Output> {
        *self.flag.outer.lock().unwrap() = Some(cx.waker().clone());
        if !self.flag.woken.swap(false, Ordering::SeqCst) {
            return Poll::Pending;
        }
        let waker = Waker::from(self.flag.clone());
        self.inner.as_mut().poll(&mut std::task::Context::from_waker(&waker))
    }
}

#[test]
fn deadlines_of_questions_in_handlers_are_kept() {
    let late = || Err(AskError::Timeout);
    type Case = (fn() -> Ask, u64, Vec<Result<u64, AskError>>);
    let stories: [Case; 6] = [
        (|| Ask::Reused, 130, vec![Ok(1), Ok(1), Ok(1), late(), Ok(1), late()]),
        (|| Ask::Both { later_first: true }, 100, vec![late(), late()]),
        (|| Ask::Both { later_first: false }, 100, vec![late(), late()]),
        (|| Ask::OwnWaker, 50, vec![Ok(1), late()]),
        (|| Ask::PolledBefore, 100, vec![late(), late()]),
        (|| Ask::Moved, 50, vec![late()]),
    ];
    for (story, elapsed, expected) in stories {
        for seed in 0..20 {
            let expected = expected.clone();
            simulated(seed, |system| async move {
                let asker = system.spawn(Asker(system.spawn(Silent::default())));
                let told = asker.ask_within(PATIENCE, |reply| (story(), reply)).await;
                assert_eq!(told, Ok((elapsed, expected)));
            });
        }
        for workers in [1, 2] {
            let expected = expected.clone();
            threaded(workers, |system| async move {
                let asker = system.spawn(Asker(system.spawn(Silent::default())));
                let (took, answers) = asker.ask_within(PATIENCE, |reply| (story(), reply)).await.unwrap();
                assert_eq!(answers, expected);
                // Never early, and before a longer deadline that was set once would have come.
                assert!(took >= elapsed && took < 5000, "{took} ms instead of {elapsed}");
            });
        }
    }
}

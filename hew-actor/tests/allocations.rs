//! What costs memory and what does not, counted by an allocator of our own.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod common;

use common::*;
use hew_actor::*;
use std::alloc::{GlobalAlloc, Layout, System as SystemAllocator};
use std::cell::Cell;
use std::time::Duration;

/// Counts what each thread allocates and frees. A runtime with one worker does everything that is counted here on that
/// one, so that nobody else disturbs: each count is made by an actor.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Allocated minus freed by this thread.
    static BYTES: Cell<i64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn note(allocations: u64, bytes: i64) {
    ALLOCATIONS.set(ALLOCATIONS.get() + allocations);
    BYTES.set(BYTES.get() + bytes);
}

// SAFETY: everything is done by the allocator of the system, with the arguments as they came. What is counted lies in
// thread-locals without a destructor, which neither allocate nor go before their thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as i64);
        // SAFETY: the caller's obligations are the same.
        unsafe { SystemAllocator.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        note(0, -(layout.size() as i64));
        // SAFETY: as in `alloc`.
        unsafe { SystemAllocator.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, size as i64 - layout.size() as i64);
        // SAFETY: as in `alloc`.
        unsafe { SystemAllocator.realloc(memory, layout, size) }
    }
}

/// Rounds until every queue and buffer has the size that it keeps.
const WARM_UP: u64 = 2_000;
/// Rounds that are counted.
const ROUNDS: u64 = 5_000;
/// Messages of a burst.
const BURST: u64 = 100;
/// The reactor allocates a node of its tree of timers each time a worker looks at the sockets, which it does by time (every
/// 100 us while it is busy) and not by what it handles: that is allowed in one of so many steps.
const STEPS_PER_LOOK_MIN: u64 = 5;

/// Nothing was allocated in so many steps but what each of them may, what the reactor may, and an alarm now and then.
fn check(allocations: u64, steps: u64, each: u64) {
    let most = each * steps + steps / STEPS_PER_LOOK_MIN;
    assert!(allocations <= most, "{allocations} allocations in {steps} steps of {each}");
}

/// Tells who asked how many allocations the rounds after the warm-up made.
struct Tally {
    rounds: u64,
    before: u64,
    reply: Option<ReplyTo<u64>>,
}

impl Tally {
    fn new(reply: ReplyTo<u64>) -> Tally {
        Tally { rounds: 0, before: 0, reply: Some(reply) }
    }

    /// Another round; whether it was the last.
    fn round(&mut self) -> bool {
        self.rounds += 1;
        if self.rounds == WARM_UP {
            self.before = ALLOCATIONS.get();
        }
        let over = self.rounds == WARM_UP + ROUNDS;
        if over && let Some(reply) = self.reply.take() {
            reply.send(ALLOCATIONS.get() - self.before);
        }
        over
    }
}

enum Play {
    Start(ActorRef<Play>, ReplyTo<u64>),
    Ball(ActorRef<Play>),
}

#[derive(Default)]
struct Player(Option<Tally>);

impl Actor for Player {
    type Message = Play;
    async fn handle(&mut self, message: Play, context: &mut Context<Play>) -> Outcome {
        let other = match message {
            Play::Start(other, reply) => {
                self.0 = Some(Tally::new(reply));
                other
            }
            Play::Ball(other) => other,
        };
        if self.0.as_mut().is_some_and(Tally::round) {
            return Outcome::Stop;
        }
        let sent = other.send(Play::Ball(context.this())).await;
        assert!(sent.is_ok() || self.0.is_none());
        Outcome::Continue
    }
}

#[test]
fn a_round_trip_between_two_actors_allocates_nothing() {
    threaded(1, |system| async move {
        let (a, b) = (system.spawn(Player::default()), system.spawn(Player::default()));
        check(a.ask_within(PATIENCE, |reply| Play::Start(b, reply)).await.unwrap(), ROUNDS, 0);
    });
}

enum Pour {
    Start(ActorRef<Droplet>, ReplyTo<u64>),
    Empty,
}

/// The number of the message in its burst, and who pours.
struct Droplet(u64, ActorRef<Pour>);

#[derive(Default)]
struct Source(Option<(Tally, ActorRef<Droplet>)>);

impl Actor for Source {
    type Message = Pour;
    async fn handle(&mut self, message: Pour, context: &mut Context<Pour>) -> Outcome {
        if let Pour::Start(sink, reply) = message {
            self.0 = Some((Tally::new(reply), sink));
        }
        let Some((tally, sink)) = &mut self.0 else { return Outcome::Stop };
        if tally.round() {
            return Outcome::Stop;
        }
        for n in 0..BURST {
            sink.try_send(Droplet(n, context.this())).unwrap();
        }
        Outcome::Continue
    }
}

struct Sink;

impl Actor for Sink {
    type Message = Droplet;
    async fn handle(&mut self, Droplet(n, source): Droplet, _: &mut Context<Droplet>) -> Outcome {
        if n == BURST - 1 {
            source.try_send(Pour::Empty).unwrap();
        }
        Outcome::Continue
    }
}

#[test]
fn sending_and_handling_small_messages_allocates_nothing() {
    threaded(1, |system| async move {
        let (source, sink) = (system.spawn(Source::default()), system.spawn(Sink));
        let all = source.ask_within(PATIENCE, |reply| Pour::Start(sink, reply)).await.unwrap();
        check(all, ROUNDS * BURST, 0);
    });
}

/// What a question costs in a handler that goes on with the next one: the place for the answer.
const ALLOCATIONS_OF_ASK: u64 = 1;
/// What it costs in a handler that does nothing else: that, and the memory of the handler itself, which waits.
const ALLOCATIONS_OF_ASKING_HANDLER: u64 = ALLOCATIONS_OF_ASK + 1;

enum Ask {
    /// Asks in one handler, again and again.
    Loop(ReplyTo<u64>),
    /// Asks once in each handler.
    Start(ReplyTo<u64>),
    Again,
}

struct Asker {
    other: ActorRef<Cmd>,
    tally: Option<Tally>,
}

impl Actor for Asker {
    type Message = Ask;
    async fn handle(&mut self, message: Ask, context: &mut Context<Ask>) -> Outcome {
        match message {
            Ask::Loop(reply) => {
                let (mut tally, mut bytes) = (Tally::new(reply), 0);
                while !tally.round() {
                    if tally.rounds == WARM_UP {
                        bytes = BYTES.get();
                    }
                    assert_eq!(self.other.ask(|reply| Cmd::Next(1, reply)).await, Ok(2));
                }
                // Nothing is left of any question, be it its alarm.
                let kept = BYTES.get() - bytes;
                assert!(kept < 1024, "{kept} bytes kept after {ROUNDS} questions");
                return Outcome::Continue;
            }
            Ask::Start(reply) => self.tally = Some(Tally::new(reply)),
            Ask::Again => {}
        }
        if self.tally.as_mut().is_some_and(Tally::round) {
            return Outcome::Stop;
        }
        assert_eq!(self.other.ask(|reply| Cmd::Next(1, reply)).await, Ok(2));
        context.this().try_send(Ask::Again).unwrap();
        Outcome::Continue
    }
}

#[test]
fn a_question_allocates_the_place_for_its_answer() {
    threaded(1, |system| async move {
        let other = system.spawn(Scripted::default());
        let asker = system.spawn(Asker { other, tally: None });
        check(asker.ask_within(PATIENCE, Ask::Loop).await.unwrap(), ROUNDS, ALLOCATIONS_OF_ASK);
        check(asker.ask_within(PATIENCE, Ask::Start).await.unwrap(), ROUNDS, ALLOCATIONS_OF_ASKING_HANDLER);
    });
}

#[test]
fn a_million_timers_are_set_and_cancelled_and_leave_no_memory() {
    const TIMERS: usize = 1_000_000;
    /// What the wheel keeps: its slots, a few pages, and some 50 bytes for each page of 256 that it has had.
    const KEPT_MAX: i64 = 1 << 20;
    threaded(1, |system| async move {
        let log = Log::default();
        let target = system.spawn(Scripted::new("a", &log));
        settled(&target).await;
        let host = system.spawn(Scripted::default());
        let set_and_cancel = |reply: ReplyTo<(i64, i64)>| {
            let target = target.clone();
            run(move |_| {
                let start = BYTES.get();
                let delay = |n| Duration::from_secs(100 + n as u64 % 1000);
                let timers: Vec<_> =
                    (0..TIMERS).map(|n| target.send_after(delay(n), Cmd::Note(n as u64))).collect();
                let most = BYTES.get() - start;
                assert_eq!(timers.iter().filter(|timer| timer.is_pending()).count(), TIMERS);
                assert_eq!(timers.iter().filter(|timer| timer.cancel()).count(), TIMERS);
                assert_eq!(timers.iter().filter(|timer| timer.is_pending()).count(), 0);
                drop(timers);
                reply.send((most, BYTES.get() - start));
                Outcome::Continue
            })
        };
        for round in 0..2 {
            let (most, kept) = host.ask_within(PATIENCE, set_and_cancel).await.unwrap();
            assert!(most > 100 * KEPT_MAX, "a million timers in {most} bytes");
            let kept_max = if round == 0 { KEPT_MAX } else { KEPT_MAX / 16 };
            assert!(kept <= kept_max, "{kept} of {most} bytes kept after round {round}");
        }
        assert_eq!(log.lines(), ["a started"]);
        assert_eq!(system.dead_letters(), DeadLetters::default());
    });
}

//! Who runs when: fairness, priorities, handlers that block, wake-ups from outside, and the end of a runtime.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod common;

use common::*;
use hew_actor::*;
use hew_wire::Pid;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};

/// A runtime that the test outlives, and a system on it.
fn started(workers: usize) -> (Runtime, System) {
    let runtime =
        Runtime::start(RuntimeConfig { workers, seed: Some(1), ..RuntimeConfig::default() }).unwrap();
    let system = System::new(runtime.clone(), SystemConfig::default());
    (runtime, system)
}

/// Never out of work: sends itself the message that it handles. Counts.
struct Flooder(Arc<AtomicU64>);

impl Actor for Flooder {
    type Message = ();
    async fn handle(&mut self, (): (), context: &mut Context<()>) -> Outcome {
        self.0.fetch_add(1, Ordering::SeqCst);
        let _ = context.this().try_send(());
        Outcome::Continue
    }
}

fn per_turn<M>(messages_per_turn: u32) -> SpawnOptions<M> {
    SpawnOptions { messages_per_turn, ..SpawnOptions::default() }
}

/// Keeps the worker that runs it until the sender is dropped or sends.
fn occupy(actor: &ActorRef<Cmd>) -> mpsc::Sender<()> {
    let (occupied, is_occupied) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let block = run(move |_| {
        occupied.send(()).unwrap();
        let _ = released.recv_timeout(PATIENCE);
        Outcome::Continue
    });
    actor.try_send(block).unwrap();
    is_occupied.recv_timeout(PATIENCE).unwrap();
    release
}

#[test]
fn a_flooder_leaves_a_hundred_others_their_turn() {
    const PINGS: usize = 100;
    const ROUNDS: u64 = 50;
    /// Turns of the flooder that may pass between a message to an idle actor and its handler: one that had begun, and
    /// one that was in the queue before.
    const TURNS_MAX: u64 = 2;

    /// Notes how many messages the flooder has handled since the ping was sent.
    struct Ping(Arc<AtomicU64>);
    impl Actor for Ping {
        type Message = (u64, ReplyTo<u64>);
        async fn handle(
            &mut self,
            (sent_at, reply): Self::Message,
            _: &mut Context<Self::Message>,
        ) -> Outcome {
            reply.send(self.0.load(Ordering::SeqCst) - sent_at);
            Outcome::Continue
        }
    }
    threaded(1, |system| async move {
        let flooded = Arc::new(AtomicU64::new(0));
        let flooder = system.spawn_with(Flooder(flooded.clone()), per_turn(16)).unwrap();
        for _ in 0..500 {
            flooder.send(()).await.unwrap();
        }
        let pings: Vec<_> = (0..PINGS).map(|_| system.spawn(Ping(flooded.clone()))).collect();
        // On the worker itself: what is sent there comes to its own queue, in order.
        let story = {
            let system = system.clone();
            system.clone().runtime().spawn(async move {
                for _ in 0..ROUNDS {
                    let asks = pings.iter().map(|ping| {
                        let ping = ping.clone();
                        let sent_at = flooded.load(Ordering::SeqCst);
                        system
                            .runtime()
                            .spawn(async move { ping.ask_within(PATIENCE, |reply| (sent_at, reply)).await })
                    });
                    for ask in asks.collect::<Vec<_>>() {
                        // The task that asks has a turn of its own before the ping has.
                        let waited = ask.await.unwrap();
                        assert!(waited <= 2 * TURNS_MAX * 16, "{waited} messages before the ping's turn");
                    }
                }
                flooded.load(Ordering::SeqCst)
            })
        };
        let handled = story.await;
        assert!(handled >= ROUNDS * 16, "the flooder handled only {handled}");
        assert!(system.is_alive(flooder.pid()));
    });
}

/// Turns that are looked at, a multiple of two.
const TURNS: usize = 4096;

/// Always ready, one message a turn: notes who has a turn.
struct Eager {
    class: usize,
    turns: Arc<Mutex<Vec<usize>>>,
    /// Called in the middle.
    change: Option<fn(&System, Pid)>,
    done: mpsc::Sender<()>,
}

impl Actor for Eager {
    type Message = ();
    async fn handle(&mut self, (): (), context: &mut Context<()>) -> Outcome {
        let number = {
            let mut turns = self.turns.lock().unwrap();
            turns.push(self.class);
            turns.len()
        };
        if number >= TURNS / 2
            && let Some(change) = self.change.take()
        {
            change(&context.system(), context.pid());
        }
        if number >= TURNS {
            let _ = self.done.send(());
            return Outcome::Stop;
        }
        context.this().try_send(()).unwrap();
        Outcome::Continue
    }
}

/// Whose turn it is on one worker while an actor of each class is always ready, once all three are in its queue.
fn turns(change: Option<fn(&System, Pid)>) -> Vec<usize> {
    let (runtime, system) = started(1);
    let (turns, (done, is_done)) = (Arc::new(Mutex::new(Vec::new())), mpsc::channel());
    let release = occupy(&system.spawn(Scripted::default()));
    for (class, priority) in Priority::ALL.into_iter().enumerate() {
        let eager = Eager { class, turns: turns.clone(), change, done: done.clone() };
        let options = SpawnOptions { priority, messages_per_turn: 1, ..SpawnOptions::default() };
        system.spawn_with(eager, options).unwrap().try_send(()).unwrap();
    }
    drop(release);
    is_done.recv_timeout(PATIENCE).unwrap();
    runtime.shutdown();
    let turns = turns.lock().unwrap();
    let first = (0..3).map(|class| turns.iter().position(|&other| other == class).unwrap()).max().unwrap();
    turns[first + 1..TURNS].to_vec()
}

/// How many of these turns each class had.
fn shares(turns: &[usize]) -> [usize; 3] {
    std::array::from_fn(|class| turns.iter().filter(|&&other| other == class).count())
}

#[test]
fn high_comes_before_normal_before_low_and_none_starves() {
    let turns = turns(None);
    assert!(turns.len() > TURNS / 2);
    for window in turns.windows(32) {
        // Of eight one is for the normal class first; of 32 that one is for the low class first.
        assert_eq!(shares(window), [28, 3, 1]);
    }
}

#[test]
fn a_priority_can_be_changed_while_the_actor_runs() {
    let turns = turns(Some(|system, pid| {
        let (before, after) = match system.priority(pid).unwrap() {
            Priority::High => (Priority::High, Priority::Low),
            Priority::Low => (Priority::Low, Priority::High),
            Priority::Normal => (Priority::Normal, Priority::Normal),
        };
        assert!(system.set_priority(pid, after));
        assert_eq!((system.priority(pid), before == after), (Some(after), after == Priority::Normal));
    }));
    assert_eq!(shares(&turns[..32]), [28, 3, 1]);
    for window in turns[turns.len() - TURNS / 4..].windows(32) {
        assert_eq!(shares(window), [1, 3, 28]);
    }
    let (_, system) = started(1);
    let nobody = Pid::new(system.node(), 1);
    assert!(!system.set_priority(nobody, Priority::High));
    assert_eq!(system.priority(nobody), None);
}

#[test]
fn an_actor_that_is_declared_blocking_keeps_no_worker() {
    threaded(1, |system| async move {
        let options = SpawnOptions { blocking: true, ..SpawnOptions::default() };
        let log = Log::default();
        let blocking = system.spawn_with(Scripted::new("a", &log), options).unwrap();
        let other = system.spawn(Scripted::default());
        for n in 0..10 {
            let release = occupy(&blocking);
            assert_eq!(other.ask_within(PATIENCE, |reply| Cmd::Next(n, reply)).await, Ok(n + 1));
            drop(release);
            // It is an actor as any other: one message at a time, in order, and answers.
            blocking.send(Cmd::Note(n)).await.unwrap();
        }
        settled(&blocking).await;
        assert_eq!(log.lines()[1..], notes("a", 0..10));
        blocking.stop();
        system.ended(blocking.pid()).await;
    });
}

#[test]
fn a_handler_that_blocks_does_not_delay_what_it_has_scheduled() {
    for _ in 0..20 {
        let (runtime, system) = started(2);
        let others: Vec<_> = (0..20).map(|_| system.spawn(Scripted::default())).collect();
        let (host, (done, is_done)) = (system.spawn(Scripted::default()), mpsc::channel());
        // Until all have run, this handler keeps its worker, and in its queue are all of them.
        let block = run(move |_| {
            let (ran, have_run) = mpsc::channel();
            for other in &others {
                let ran = ran.clone();
                let note = run(move |_| {
                    ran.send(()).unwrap();
                    Outcome::Continue
                });
                other.try_send(note).unwrap();
            }
            let all = others.iter().all(|_| have_run.recv_timeout(PATIENCE).is_ok());
            done.send(all).unwrap();
            Outcome::Continue
        });
        host.try_send(block).unwrap();
        assert_eq!(is_done.recv_timeout(2 * PATIENCE), Ok(true), "stuck behind a handler that blocks");
        runtime.shutdown();
    }
}

#[test]
fn cooperate_gives_way_once_in_so_many_calls() {
    struct Long {
        flooded: Arc<AtomicU64>,
    }
    impl Actor for Long {
        type Message = ReplyTo<(u64, u64)>;
        async fn handle(&mut self, reply: Self::Message, context: &mut Context<Self::Message>) -> Outcome {
            let (mut gave_way, mut others_ran) = (0, 0);
            for _ in 0..1000 {
                let before = self.flooded.load(Ordering::SeqCst);
                if context.cooperate().await {
                    gave_way += 1;
                    others_ran += u64::from(self.flooded.load(Ordering::SeqCst) > before);
                } else {
                    assert_eq!(self.flooded.load(Ordering::SeqCst), before, "gave way without saying so");
                }
            }
            reply.send((gave_way, others_ran));
            Outcome::Continue
        }
    }
    threaded(1, |system| async move {
        let flooded = Arc::new(AtomicU64::new(0));
        let flooder = system.spawn_with(Flooder(flooded.clone()), per_turn(1)).unwrap();
        flooder.send(()).await.unwrap();
        let long = system.spawn_with(Long { flooded }, per_turn(10)).unwrap();
        assert_eq!(long.ask_within(PATIENCE, |reply| reply).await, Ok((100, 100)));
    });
}

#[test]
fn block_in_place_hands_over_what_waits_and_what_is_sent_meanwhile() {
    for _ in 0..20 {
        let (runtime, system) = started(2);
        let others: Vec<_> = (0..20).map(|_| system.spawn(Scripted::default())).collect();
        let (host, (done, is_done)) = (system.spawn(Scripted::default()), mpsc::channel());
        let block = run(move |context| {
            let (ran, have_run) = mpsc::channel();
            let note = |ran: &mpsc::Sender<()>| {
                let ran = ran.clone();
                run(move |_| {
                    ran.send(()).unwrap();
                    Outcome::Continue
                })
            };
            let (before, after) = others.split_at(10);
            before.iter().for_each(|other| other.try_send(note(&ran)).unwrap());
            let all = context.runtime().block_in_place(|| {
                let waited = before.iter().all(|_| have_run.recv_timeout(PATIENCE).is_ok());
                // The usual thing to block for: the answer to a question that is asked here.
                after.iter().for_each(|other| other.try_send(note(&ran)).unwrap());
                let sent = after.iter().all(|_| have_run.recv_timeout(PATIENCE).is_ok());
                let ask = others[0].ask_within(PATIENCE, |reply| Cmd::Next(1, reply));
                (waited, sent, futures_lite::future::block_on(ask))
            });
            done.send(all).unwrap();
            Outcome::Continue
        });
        host.try_send(block).unwrap();
        assert_eq!(is_done.recv_timeout(4 * PATIENCE), Ok((true, true, Ok(2))));
        runtime.shutdown();
    }
}

#[test]
fn no_wake_up_from_outside_is_lost() {
    const SENDERS: usize = 4;
    const ROUNDS: u64 = 1000;
    for workers in [1, 3] {
        let (runtime, system) = started(workers);
        let actors: Vec<_> = (0..SENDERS).map(|_| system.spawn(Scripted::default())).collect();
        let barrier = Arc::new(Barrier::new(SENDERS));
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (actors, barrier) = (actors.clone(), barrier.clone());
                std::thread::spawn(move || {
                    let mut rng = fastrand::Rng::with_seed(sender as u64);
                    let (answer, answers) = mpsc::channel();
                    for round in 0..ROUNDS {
                        // All have their answers, so that nobody has anything to do: workers fall asleep, or nearly.
                        barrier.wait();
                        if rng.bool() {
                            std::thread::yield_now();
                        }
                        let burst = rng.usize(1..4);
                        for n in 0..burst {
                            let answer = answer.clone();
                            // Not `ask`: its alarm would wake somebody, too.
                            let note = run(move |_| {
                                answer.send(()).unwrap();
                                Outcome::Continue
                            });
                            actors[(sender + n) % SENDERS].try_send(note).unwrap();
                        }
                        for _ in 0..burst {
                            answers.recv_timeout(PATIENCE).unwrap_or_else(|_| {
                                panic!("sender {sender}, round {round}: a wake-up was lost")
                            });
                        }
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.join().unwrap();
        }
        runtime.shutdown();
    }
}

#[test]
fn no_wake_up_is_lost_by_a_worker_that_is_about_to_sleep() {
    for workers in [1, 2] {
        let (runtime, system) = started(workers);
        let actor = system.spawn(Scripted::default());
        let (mut rng, handled) = (fastrand::Rng::with_seed(1), Arc::new(AtomicU64::new(0)));
        for round in 1..=10_000 {
            let counting = handled.clone();
            let count = run(move |_| {
                counting.fetch_add(1, Ordering::SeqCst);
                Outcome::Continue
            });
            // At any moment of its way to bed, which begins when it has counted.
            (0..rng.u32(0..300)).for_each(|_| std::hint::spin_loop());
            actor.try_send(count).unwrap();
            let sent = std::time::Instant::now();
            while handled.load(Ordering::SeqCst) < round {
                if sent.elapsed() > std::time::Duration::from_millis(1) {
                    std::thread::yield_now();
                }
                assert!(sent.elapsed() < PATIENCE, "the wake-up of round {round} was lost");
            }
        }
        runtime.shutdown();
    }
}

#[test]
fn rings_with_room_for_one_message_finish_or_say_full() {
    /// A number of hops to go, and where to say that it is over.
    struct Token(u64, Arc<Ended>);
    #[derive(Default)]
    struct Ended {
        finished: AtomicU64,
        refused: AtomicU64,
        gate: Gate,
    }
    impl Ended {
        fn note(&self, counter: &AtomicU64) {
            counter.fetch_add(1, Ordering::SeqCst);
            if self.total() == TOKENS {
                self.gate.open();
            }
        }
        fn total(&self) -> u64 {
            self.finished.load(Ordering::SeqCst) + self.refused.load(Ordering::SeqCst)
        }
    }
    struct Member(Option<ActorRef<Step>>);
    enum Step {
        Next(ActorRef<Step>),
        Token(Token),
    }
    impl Actor for Member {
        type Message = Step;
        async fn handle(&mut self, message: Step, _: &mut Context<Step>) -> Outcome {
            let Token(hops, ended) = match message {
                Step::Next(next) => {
                    self.0 = Some(next);
                    return Outcome::Continue;
                }
                Step::Token(token) => token,
            };
            if hops == 0 {
                ended.note(&ended.finished);
                return Outcome::Continue;
            }
            let Some(next) = &self.0 else { return Outcome::Stop };
            match next.send(Step::Token(Token(hops - 1, ended))).await {
                Ok(()) => {}
                Err(SendError::Full(Step::Token(Token(_, ended)))) => ended.note(&ended.refused),
                Err(error) => panic!("{error}"),
            }
            Outcome::Continue
        }
    }
    const TOKENS: u64 = 40;
    let check = |members: usize| {
        move |system: System| async move {
            let mailbox = MailboxOptions { capacity: Some(1), ..MailboxOptions::default() };
            let ring: Vec<_> = (0..members)
                .map(|_| {
                    let options = SpawnOptions { mailbox: mailbox.clone(), ..SpawnOptions::default() };
                    system.spawn_with(Member(None), options).unwrap()
                })
                .collect();
            for (n, member) in ring.iter().enumerate() {
                member.send(Step::Next(ring[(n + 1) % members].clone())).await.unwrap();
            }
            let ended = Arc::new(Ended::default());
            for n in 0..TOKENS {
                let (member, token) = (ring[n as usize % members].clone(), Token(20, ended.clone()));
                system
                    .runtime()
                    .spawn(async move { assert!(member.send(Step::Token(token)).await.is_ok()) })
                    .detach();
            }
            ended.gate.wait().await;
            assert_eq!(ended.total(), TOKENS);
        }
    };
    for members in 1..=4 {
        for seed in 0..50 {
            simulated(seed, check(members));
        }
        for _ in 0..5 {
            threaded(2, check(members));
        }
    }
}

/// Counts how often each of so many values was dropped.
#[derive(Clone)]
struct Drops(Arc<Vec<AtomicU64>>);

impl Drops {
    fn new(values: usize) -> Drops {
        Drops(Arc::new((0..values).map(|_| AtomicU64::new(0)).collect()))
    }

    fn value(&self, number: usize) -> CountedDrop {
        CountedDrop(self.clone(), number)
    }

    fn all(&self) -> u64 {
        self.0.iter().map(|drops| drops.load(Ordering::SeqCst)).sum()
    }

    fn assert_each_once(&self) {
        for (number, drops) in self.0.iter().enumerate() {
            assert_eq!(drops.load(Ordering::SeqCst), 1, "drops of number {number}");
        }
    }
}

struct CountedDrop(Drops, usize);

impl Drop for CountedDrop {
    fn drop(&mut self) {
        self.0.0[self.1].fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_chain_of_a_hundred_thousand_actors_ends_without_recursion() {
    const LENGTH: usize = 100_000;
    struct Link {
        next: Option<ActorRef<()>>,
        _drop: CountedDrop,
    }
    impl Actor for Link {
        type Message = ();
        async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
            Outcome::Stop
        }
        async fn stopped(&mut self, reason: &hew_wire::ExitReason, _: &mut Context<()>) {
            // One end leads to the next.
            if let Some(next) = self.next.take()
                && reason.is_normal()
            {
                let _ = next.try_send(());
            }
        }
    }
    let chain = |system: &System| {
        let (drops, mut head) = (Drops::new(LENGTH), None);
        for number in 0..LENGTH {
            head = Some(system.spawn(Link { next: head.take(), _drop: drops.value(number) }));
        }
        (drops, head.unwrap())
    };
    // From the head on, each by the one before.
    let drops = threaded(2, |system| async move {
        let (drops, head) = chain(&system);
        head.send(()).await.unwrap();
        drop(head);
        while !system.is_empty() {
            system.runtime().sleep(std::time::Duration::from_millis(1)).await;
        }
        drops
    });
    drops.assert_each_once();
    // All at once, by the shutdown of the system.
    let drops = threaded(2, |system| async move {
        let (drops, _) = chain(&system);
        assert_eq!(system.shutdown(PATIENCE).await, ShutdownReport { stopped: LENGTH, killed: 0, stuck: 0 });
        drops
    });
    drops.assert_each_once();
    // With the runtime.
    let (runtime, system) = started(2);
    let (drops, head) = chain(&system);
    runtime.shutdown();
    drops.assert_each_once();
    drop(head);
    // And with a world of virtual time.
    let simulation = Simulation::new(1);
    let system = System::new(simulation.runtime(), SystemConfig::default());
    let (drops, head) = chain(&system);
    drop(simulation);
    drops.assert_each_once();
    drop((head, system));
}

#[test]
fn the_end_of_a_runtime_ends_idle_queued_waiting_and_blocking_actors() {
    const EACH: usize = 50;
    enum Task {
        Wait,
        Block(Arc<Barrier>),
        Never,
    }
    struct Lodger {
        arrived: mpsc::Sender<()>,
        released: [Arc<AtomicBool>; 2],
        blocking: bool,
        _drop: CountedDrop,
    }
    impl Actor for Lodger {
        type Message = Task;
        async fn started(&mut self, _: &mut Context<Task>) -> Outcome {
            let _ = self.arrived.send(());
            Outcome::Continue
        }
        async fn handle(&mut self, message: Task, _: &mut Context<Task>) -> Outcome {
            match message {
                Task::Wait => {
                    self.arrived.send(()).unwrap();
                    std::future::pending::<()>().await;
                }
                Task::Block(entered) => {
                    entered.wait();
                    while !self.released[usize::from(self.blocking)].load(Ordering::SeqCst) {
                        std::thread::yield_now();
                    }
                }
                Task::Never => panic!("the runtime was shut down"),
            }
            Outcome::Continue
        }
    }
    for workers in [1, 2] {
        let (runtime, system) = started(workers);
        // Those with a thread of their own at the end: on each worker one, and two of the blocking kind.
        let (threads, total) = (workers + 2, 3 * EACH + workers + 2);
        let released: [Arc<AtomicBool>; 2] = Default::default();
        let (drops, (arrived, arrivals)) = (Drops::new(total), mpsc::channel());
        let numbers = AtomicU64::new(0);
        let spawn = |blocking: bool| {
            let number = numbers.fetch_add(1, Ordering::SeqCst) as usize;
            let (arrived, released, _drop) = (arrived.clone(), released.clone(), drops.value(number));
            let lodger = Lodger { arrived, released, blocking, _drop };
            system.spawn_with(lodger, SpawnOptions { blocking, ..SpawnOptions::default() }).unwrap()
        };
        let await_arrivals = |count: usize| (0..count).for_each(|_| arrivals.recv_timeout(PATIENCE).unwrap());
        let idle: Vec<_> = (0..EACH).map(|_| spawn(false)).collect();
        let waiting: Vec<_> = (0..EACH).map(|_| spawn(false)).collect();
        waiting.iter().for_each(|actor| actor.try_send(Task::Wait).unwrap());
        await_arrivals(3 * EACH);
        let entered = Arc::new(Barrier::new(threads + 1));
        let holders: Vec<_> = (0..threads).map(|n| spawn(n < 2)).collect();
        await_arrivals(threads);
        holders.iter().for_each(|actor| actor.try_send(Task::Block(entered.clone())).unwrap());
        entered.wait();
        // No worker is free: these have not even started, nor do they.
        let queued: Vec<_> = (0..EACH).map(|_| spawn(false)).collect();
        queued.iter().for_each(|actor| actor.try_send(Task::Never).unwrap());
        // Idle ones come into the queue, too.
        idle.iter().for_each(|actor| actor.try_send(Task::Never).unwrap());
        let shutdown = {
            let runtime = runtime.clone();
            std::thread::spawn(move || runtime.shutdown())
        };
        while !runtime.is_shut_down() {
            std::thread::yield_now();
        }
        // The workers leave, and with them all but those that keep threads of another kind, for which it waits.
        released[0].store(true, Ordering::SeqCst);
        while drops.all() < total as u64 - 2 {
            std::thread::yield_now();
        }
        (0..1000).for_each(|_| std::thread::yield_now());
        assert!(!shutdown.is_finished());
        released[1].store(true, Ordering::SeqCst);
        shutdown.join().unwrap();
        drops.assert_each_once();
        assert_eq!(system.len(), 0);
        assert!(arrivals.try_recv().is_err(), "an actor started after the shutdown");
        assert_eq!(system.dead_letters().stopped, 2 * EACH as u64);
    }
}

#[test]
fn a_blocking_actor_can_shut_its_runtime_down() {
    let (runtime, system) = started(1);
    let options = SpawnOptions { blocking: true, ..SpawnOptions::default() };
    let (log, (returned, has_returned)) = (Log::default(), mpsc::channel());
    let blocking = system.spawn_with(Scripted::new("a", &log), options).unwrap();
    let shutdown = run(move |context| {
        context.runtime().shutdown();
        returned.send(()).unwrap();
        Outcome::Continue
    });
    blocking.try_send(shutdown).unwrap();
    has_returned.recv_timeout(PATIENCE).expect("it waits for itself");
    runtime.shutdown();
    assert_eq!(log.lines(), ["a started", "a dropped"]);
}

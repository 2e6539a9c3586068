//! What can be seen from outside: dead letters as they come, metrics, mailboxes.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod common;

use common::*;
use hew_actor::*;
use hew_wire::Pid;
use std::sync::Arc;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// What a stream has told so far.
fn told(letters: &mut DeadLetterStream) -> Vec<(DeadLetterReason, Option<Pid>, u64)> {
    let mut told = Vec::new();
    while let Some(letter) = letters.try_next() {
        told.push((letter.reason, letter.target, letter.count));
    }
    told
}

fn bounded(capacity: usize, overflow: Overflow) -> SpawnOptions<Cmd> {
    let mailbox = MailboxOptions { capacity: Some(capacity), overflow, ..MailboxOptions::default() };
    SpawnOptions { mailbox, ..SpawnOptions::default() }
}

/// An actor whose handler waits at a gate, so that its mailbox fills.
async fn busy(system: &System, options: SpawnOptions<Cmd>) -> (ActorRef<Cmd>, Gate) {
    let actor = system.spawn_with(Scripted::default(), options).unwrap();
    let (entered, gate) = (Gate::default(), Gate::default());
    actor.send(Cmd::Wait(entered.clone(), gate.clone())).await.unwrap();
    entered.wait().await;
    (actor, gate)
}

#[test]
fn each_dead_letter_is_told_with_its_reason_its_target_and_how_many() {
    use DeadLetterReason::*;
    simulated(1, |system| async move {
        let mut letters = system.dead_letter_stream();
        // Into full mailboxes.
        let (actor, _gate) = busy(&system, bounded(1, Overflow::DropNew)).await;
        actor.send(Cmd::Note(1)).await.unwrap();
        actor.send(Cmd::Note(2)).await.unwrap();
        assert_eq!(told(&mut letters), [(Full, Some(actor.pid()), 1)]);
        let (actor, _gate) = busy(&system, bounded(2, Overflow::DropOld)).await;
        for n in 0..4 {
            actor.send(Cmd::Note(n)).await.unwrap();
        }
        assert_eq!(told(&mut letters), [(DroppedOld, Some(actor.pid()), 1); 2]);
        let mut options = bounded(1, Overflow::Fail);
        options.mailbox.coalesce = Some(Arc::new(|_| Some((1, 1))));
        let (actor, _gate) = busy(&system, options).await;
        actor.send(Cmd::Note(1)).await.unwrap();
        actor.send(Cmd::Note(2)).await.unwrap();
        assert_eq!(told(&mut letters), [(Coalesced, Some(actor.pid()), 1)]);
        // What an actor leaves behind is told at once.
        let (actor, _gate) = busy(&system, bounded(20, Overflow::Block)).await;
        for n in 0..7 {
            actor.send(Cmd::Note(n)).await.unwrap();
        }
        let pid = actor.pid();
        actor.kill();
        system.ended(pid).await;
        assert_eq!(told(&mut letters), [(Stopped, Some(pid), 7)]);
        // To the dead: timers, signals, bytes.
        let _ = actor.send_after(SECOND, Cmd::Note(1));
        system.runtime().sleep(2 * SECOND).await;
        assert!(!system.exit(pid, pid, hew_wire::ExitReason::Killed));
        assert_eq!(system.deliver(pid, None, 1, &[]), Err(DeliverError::NoProcess));
        assert_eq!(told(&mut letters), [Timer, Signal, NoProcess].map(|reason| (reason, Some(pid), 1)));
        // Bytes that mean nothing.
        let decoder: Decoder<Cmd> = Arc::new(|_, _| Err("no".into()));
        let options = SpawnOptions { decoder: Some(decoder), ..SpawnOptions::default() };
        let (deaf, picky) =
            (system.spawn(Scripted::default()), system.spawn_with(Scripted::default(), options).unwrap());
        assert_eq!(system.deliver(deaf.pid(), None, 1, &[]), Err(DeliverError::NotRemote));
        assert!(system.deliver(picky.pid(), None, 1, &[]).is_err());
        assert_eq!(
            told(&mut letters),
            [(NotRemote, Some(deaf.pid()), 1), (Undecodable, Some(picky.pid()), 1)]
        );
        // An answer that comes too late, for nobody in particular.
        let (actor, gate) = busy(&system, SpawnOptions::default()).await;
        assert_eq!(actor.ask(|reply| Cmd::Next(1, reply)).await, Err(AskError::Timeout));
        gate.open();
        settled(&actor).await;
        assert_eq!(told(&mut letters), [(LateReply, None, 1)]);
        assert_eq!(letters.missed(), 0);
        // The target is named as everyone sees it.
        let node = hew_wire::NodeId::new(7).unwrap();
        system.set_node(node);
        assert!(!system.exit(pid, pid, hew_wire::ExitReason::Killed));
        assert_eq!(told(&mut letters), [(Signal, Some(Pid::new(node, pid.serial())), 1)]);
    });
}

#[test]
fn a_stream_of_dead_letters_is_bounded_and_counts_what_it_missed() {
    simulated(1, |system| async move {
        let (mut full, mut empty) = (system.dead_letter_stream(), system.dead_letter_stream());
        let (actor, _gate) = busy(&system, bounded(10, Overflow::DropNew)).await;
        for n in 0..10 {
            actor.send(Cmd::Note(n)).await.unwrap();
        }
        for n in 0..DEAD_LETTERS_WAITING_MAX as u64 + 5 {
            actor.send(Cmd::Note(n)).await.unwrap();
            assert_eq!(empty.try_next().map(|letter| letter.count), Some(1), "{n}");
        }
        // Ten messages in one letter.
        actor.kill();
        system.ended(actor.pid()).await;
        assert_eq!((full.missed(), empty.missed()), (15, 0));
        let all = told(&mut full);
        assert_eq!(all.len(), DEAD_LETTERS_WAITING_MAX);
        assert!(all.iter().all(|letter| letter.0 == DeadLetterReason::Full));
        assert_eq!(told(&mut empty), [(DeadLetterReason::Stopped, Some(actor.pid()), 10)]);
        // There is room again.
        let _ = system.deliver(actor.pid(), None, 1, &[]);
        assert_eq!((told(&mut full).len(), full.missed()), (1, 15));
    });
}

#[test]
fn observation_of_dead_letters_begins_and_ends_with_its_stream() {
    let simulation = Simulation::new(1);
    let system = System::new(simulation.runtime(), SystemConfig::default());
    let nobody = Pid::new(system.node(), 1);
    let lose = || drop(system.deliver(nobody, None, 1, &[]));
    lose();
    let mut first = system.dead_letter_stream();
    lose();
    let mut second = system.dead_letter_stream();
    lose();
    assert_eq!((told(&mut first).len(), told(&mut second).len()), (2, 1));
    drop(first);
    lose();
    assert_eq!((told(&mut second).len(), second.missed()), (1, 0));
    assert_eq!(system.dead_letters().no_process, 4);
    // One that waits hears of the next one, and of the end of the system.
    let next = simulation.run(async {
        let lost = system.runtime().spawn({
            let system = system.clone();
            async move { drop(system.deliver(nobody, None, 1, &[])) }
        });
        let next = second.next().await;
        lost.await;
        next
    });
    assert_eq!(next.unwrap().unwrap().target, Some(nobody));
    drop(system);
    assert_eq!(simulation.run(second.next()), Ok(None));
}

/// Takes the time that the message says.
struct Worker;

impl Actor for Worker {
    type Message = Duration;
    async fn handle(&mut self, duration: Duration, context: &mut Context<Duration>) -> Outcome {
        context.runtime().sleep(duration).await;
        Outcome::Continue
    }
}

struct Other;

impl Actor for Other {
    type Message = Duration;
    async fn handle(&mut self, _: Duration, _: &mut Context<Duration>) -> Outcome {
        Outcome::Stop
    }
}

fn measured(seed: u64) -> (Simulation, System) {
    let simulation = Simulation::new(seed);
    let config = SystemConfig { metrics: true, ..SystemConfig::default() };
    let system = System::new(simulation.runtime(), config);
    (simulation, system)
}

#[test]
fn metrics_are_off_unless_asked_for() {
    simulated(1, |system| async move {
        let worker = system.spawn(Worker);
        worker.send(SECOND).await.unwrap();
        assert_eq!(system.metrics(), []);
    });
}

#[test]
fn metrics_count_actors_and_messages_by_type() {
    let (simulation, system) = measured(1);
    assert_eq!(system.metrics(), []);
    let workers: Vec<_> = (0..3).map(|_| system.spawn(Worker)).collect();
    let others: Vec<_> = (0..5).map(|_| system.spawn(Other)).collect();
    let counts = || {
        let counts = |metrics: TypeMetrics| {
            let name = metrics.type_name.rsplit("::").next().unwrap();
            (name, metrics.spawned, metrics.living, metrics.handled, metrics.queued)
        };
        system.metrics().into_iter().map(counts).collect::<Vec<_>>()
    };
    assert_eq!(counts(), [("Other", 5, 5, 0, 0), ("Worker", 3, 3, 0, 0)]);
    for _ in 0..4 {
        workers[0].try_send(10 * SECOND).unwrap();
    }
    workers[1].try_send(SECOND).unwrap();
    others[0].try_send(SECOND).unwrap();
    assert_eq!(counts(), [("Other", 5, 5, 0, 1), ("Worker", 3, 3, 0, 5)]);
    simulation.run_for(5 * SECOND).unwrap();
    // One has stopped, one has begun with the first of four, one has done what it had.
    assert_eq!(counts(), [("Other", 5, 4, 1, 0), ("Worker", 3, 3, 2, 3)]);
    simulation.run_for(10 * SECOND).unwrap();
    assert_eq!(counts(), [("Other", 5, 4, 1, 0), ("Worker", 3, 3, 3, 2)]);
    workers.iter().for_each(ActorRef::kill);
    simulation.run_for(SECOND).unwrap();
    // What a killed one leaves behind waits for nobody.
    assert_eq!(counts(), [("Other", 5, 4, 1, 0), ("Worker", 3, 0, 3, 0)]);
}

#[test]
fn metrics_tell_how_long_messages_waited_and_handlers_took() {
    // Mailboxes of both kinds: those that give many messages at a time, and those that give one.
    for capacity in [4, 100] {
        let (simulation, system) = measured(1);
        let mailbox = MailboxOptions { capacity: Some(capacity), ..MailboxOptions::default() };
        let options = SpawnOptions { mailbox, ..SpawnOptions::default() };
        let worker = system.spawn_with(Worker, options).unwrap();
        let metrics = || system.metrics().remove(0);
        simulation.run_for(SECOND).unwrap();
        // The first message says that time is to be taken from the next one on.
        worker.try_send(100 * MS).unwrap();
        simulation.run_for(40 * MS).unwrap();
        assert_eq!(metrics().handler_time.count, 0);
        worker.try_send(30 * MS).unwrap();
        simulation.run_for(SECOND).unwrap();
        let seen = metrics();
        let (handler, queue) = (&seen.handler_time, &seen.queue_time);
        assert_eq!((handler.count, handler.total, handler.max), (2, 130 * MS, 100 * MS));
        assert_eq!((queue.count, queue.total, queue.max), (1, 60 * MS, 60 * MS));
        // 2^20 ns is more than a millisecond: 30 ms is below 2^25 ns, 100 ms below 2^27 ns, in buckets from 64 ns on.
        let filled: Vec<_> = (0..TIME_BUCKETS).filter(|&bucket| handler.buckets[bucket] > 0).collect();
        assert_eq!(filled, [25 - 6, 27 - 6]);
        assert_eq!((handler.quantile(0.5), handler.quantile(1.0)), (Duration::from_nanos(1 << 25), 100 * MS));
        // Of a batch, one is a sample: the one that came first after the last visit.
        worker.try_send(50 * MS).unwrap();
        worker.try_send(10 * MS).unwrap();
        worker.try_send(10 * MS).unwrap();
        simulation.run_for(SECOND).unwrap();
        let seen = metrics();
        assert_eq!((seen.handled, seen.handler_time.total), (5, 200 * MS));
        assert_eq!((seen.queue_time.count, seen.queue_time.total), (2, 60 * MS));
        // Handlers that are cut off have no end.
        worker.try_send(SECOND).unwrap();
        simulation.run_for(MS).unwrap();
        worker.kill();
        simulation.run_for(10 * SECOND).unwrap();
        assert_eq!((metrics().handled, metrics().handler_time.count), (6, 5));
    }
}

#[test]
fn a_mailbox_tells_its_messages_their_bytes_and_what_was_dropped() {
    simulated(1, |system| async move {
        let stats = |actor: &ActorRef<Cmd>| {
            let stats = system.mailbox_stats(actor.pid()).unwrap();
            (stats.messages, stats.bytes, stats.dropped)
        };
        // As large as its type.
        let (actor, gate) = busy(&system, bounded(100, Overflow::DropNew)).await;
        assert_eq!(stats(&actor), (0, 0, 0));
        for n in 0..103 {
            actor.send(Cmd::Note(n)).await.unwrap();
        }
        assert_eq!(stats(&actor), (100, 100 * size_of::<Cmd>(), 3));
        gate.open();
        settled(&actor).await;
        assert_eq!(stats(&actor).2, 3);
        actor.stop();
        system.ended(actor.pid()).await;
        assert_eq!(system.mailbox_stats(actor.pid()), None);
        // As it weighs, under every way to make room.
        let weigh: Weigh<Cmd> = Arc::new(|message| match message {
            Cmd::Note(n) => *n as usize,
            _ => 0,
        });
        let coalesce: CoalesceKey<Cmd> = Arc::new(|message| match message {
            Cmd::Note(n) => Some((0, n % 10)),
            _ => None,
        });
        for (overflow, coalesce, expected) in [
            (Overflow::DropNew, None, (3, 11 + 22 + 33, 2)),
            (Overflow::DropOld, None, (3, 33 + 41 + 52, 2)),
            (Overflow::DropNew, Some(coalesce), (3, 41 + 52 + 33, 2)),
        ] {
            let mut options = bounded(3, overflow);
            (options.mailbox.weigh, options.mailbox.coalesce) = (Some(weigh.clone()), coalesce);
            let (actor, gate) = busy(&system, options).await;
            for n in [11, 22, 33, 41, 52] {
                actor.send(Cmd::Note(n)).await.unwrap();
            }
            assert_eq!(stats(&actor), expected, "{overflow:?}");
            gate.open();
            settled(&actor).await;
            assert_eq!(stats(&actor), (0, 0, expected.2));
        }
        // Bytes from the network that find no room count as well.
        let mut options = bounded(1, Overflow::Block);
        options.decoder = Some(Arc::new(|_, _| Ok(Cmd::Note(1))));
        let (actor, _gate) = busy(&system, options).await;
        assert_eq!(system.deliver(actor.pid(), None, 1, &[]), Ok(()));
        assert_eq!(system.deliver(actor.pid(), None, 1, &[]), Err(DeliverError::Full));
        assert_eq!(stats(&actor), (1, size_of::<Cmd>(), 1));
    });
}

//! Messages arrive, in order, within the bounds of the mailbox.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod common;

use common::*;
use hew_actor::*;
use hew_wire::{ExitReason, NodeId, Pid};
use std::sync::Arc;

fn bounded(capacity: usize, overflow: Overflow) -> SpawnOptions<Cmd> {
    let mailbox =
        MailboxOptions { capacity: Some(capacity), overflow, coalesce: None, ..MailboxOptions::default() };
    SpawnOptions { mailbox, ..SpawnOptions::default() }
}

/// An actor whose handler waits at a gate, so that the mailbox fills.
async fn blocked(system: &System, log: &Log, options: SpawnOptions<Cmd>) -> (ActorRef<Cmd>, Gate) {
    let actor = system.spawn_with(Scripted::new("a", log), options).unwrap();
    let (entered, gate) = (Gate::default(), Gate::default());
    actor.send(Cmd::Wait(entered.clone(), gate.clone())).await.unwrap();
    entered.wait().await;
    (actor, gate)
}

fn handled(log: &Log) -> Vec<String> {
    log.lines().into_iter().filter(|line| !line.ends_with("started")).collect()
}

#[test]
fn a_message_waits_for_nobody_while_there_is_room() {
    simulated(1, |system| async move {
        let log = Log::default();
        let actor = system.spawn(Scripted::new("a", &log));
        for n in 0..1000 {
            actor.try_send(Cmd::Note(n)).unwrap();
        }
        settled(&actor).await;
        assert_eq!(handled(&log), notes("a", 0..1000));
    });
}

#[test]
fn order_is_kept_for_each_sender() {
    let check = |system: System| async move {
        let log = Log::default();
        let actor = system.spawn_with(Scripted::new("a", &log), bounded(7, Overflow::Block)).unwrap();
        let senders: Vec<_> = (0..4)
            .map(|sender| {
                let actor = actor.clone();
                system.runtime().spawn(async move {
                    for n in 0..500 {
                        actor.send(Cmd::Note(sender * 1000 + n)).await.unwrap();
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.await;
        }
        settled(&actor).await;
        for sender in 0..4 {
            let mine: Vec<_> = handled(&log)
                .into_iter()
                .filter(|line| line[2..].parse::<u64>().unwrap() / 1000 == sender)
                .collect();
            assert_eq!(mine, notes("a", sender * 1000..sender * 1000 + 500));
        }
    };
    for seed in 0..20 {
        simulated(seed, check);
    }
    threaded(2, check);
}

#[test]
fn block_makes_send_wait_and_try_send_refuse() {
    simulated(2, |system| async move {
        let log = Log::default();
        let (actor, gate) = blocked(&system, &log, bounded(3, Overflow::Block)).await;
        for n in 0..3 {
            actor.send(Cmd::Note(n)).await.unwrap();
        }
        let Err(TrySendError::Full(Cmd::Note(3))) = actor.try_send(Cmd::Note(3)) else { panic!("not full") };
        let waiting = system.runtime().spawn({
            let actor = actor.clone();
            async move { actor.send(Cmd::Note(3)).await }
        });
        system.runtime().sleep(std::time::Duration::from_secs(60)).await;
        assert!(!waiting.is_finished());
        gate.open();
        waiting.await.unwrap();
        settled(&actor).await;
        assert_eq!(handled(&log), notes("a", 0..4));
        assert_eq!(system.dead_letters(), DeadLetters::default());
    });
}

#[test]
fn senders_that_wait_all_get_their_turn_or_hear_of_the_end() {
    for seed in 0..50 {
        simulated(seed, |system| async move {
            let log = Log::default();
            let (actor, gate) = blocked(&system, &log, bounded(1, Overflow::Block)).await;
            let senders: Vec<_> = (0..20)
                .map(|n| {
                    let actor = actor.clone();
                    system.runtime().spawn(async move { actor.send(Cmd::Note(n)).await })
                })
                .collect();
            if seed % 2 == 0 {
                let stop = actor.clone();
                system.runtime().spawn(async move { stop.stop() }).detach();
            }
            gate.open();
            let mut sent = 0;
            for sender in senders {
                match sender.await {
                    Ok(()) => sent += 1,
                    Err(SendError::Closed { reason, .. }) => assert_eq!(reason, ExitReason::Normal),
                    Err(error) => panic!("{error}"),
                }
            }
            if seed % 2 == 1 {
                settled(&actor).await;
            } else {
                system.ended(actor.pid()).await;
            }
            let notes =
                handled(&log).iter().filter(|line| line.as_bytes()[2].is_ascii_digit()).count() as u64;
            assert_eq!(sent, notes + system.dead_letters().stopped, "seed {seed}");
        });
    }
}

#[test]
fn drop_new_keeps_the_first() {
    simulated(3, |system| async move {
        let log = Log::default();
        let (actor, gate) = blocked(&system, &log, bounded(3, Overflow::DropNew)).await;
        for n in 0..5 {
            actor.send(Cmd::Note(n)).await.unwrap();
        }
        assert!(actor.try_send(Cmd::Note(9)).unwrap_err().is_full());
        gate.open();
        settled(&actor).await;
        assert_eq!(handled(&log), notes("a", 0..3));
        assert_eq!(system.dead_letters().full, 2);
        assert_eq!(system.dead_letters().messages(), 2);
    });
}

#[test]
fn drop_old_keeps_the_last() {
    simulated(4, |system| async move {
        let log = Log::default();
        let (actor, gate) = blocked(&system, &log, bounded(3, Overflow::DropOld)).await;
        for n in 0..4 {
            actor.send(Cmd::Note(n)).await.unwrap();
        }
        actor.try_send(Cmd::Note(4)).unwrap();
        gate.open();
        settled(&actor).await;
        assert_eq!(handled(&log), notes("a", 2..5));
        assert_eq!(system.dead_letters().dropped_old, 2);
    });
}

#[test]
fn fail_gives_the_message_back() {
    simulated(5, |system| async move {
        let log = Log::default();
        let (actor, gate) = blocked(&system, &log, bounded(1, Overflow::Fail)).await;
        actor.send(Cmd::Note(0)).await.unwrap();
        let Err(SendError::Full(Cmd::Note(1))) = actor.send(Cmd::Note(1)).await else { panic!("not full") };
        gate.open();
        settled(&actor).await;
        assert_eq!(system.dead_letters(), DeadLetters::default());
    });
}

#[test]
fn coalesce_replaces_in_place_and_only_when_full() {
    simulated(6, |system| async move {
        let log = Log::default();
        let key = |message: &Cmd| match message {
            Cmd::Note(n) => Some((0, n / 10)),
            _ => None,
        };
        let mailbox = MailboxOptions {
            capacity: Some(4),
            overflow: Overflow::Fail,
            coalesce: Some(Arc::new(key)),
            ..MailboxOptions::default()
        };
        let options = SpawnOptions { mailbox, ..SpawnOptions::default() };
        let (actor, gate) = blocked(&system, &log, options).await;
        for n in [10, 20, 21, 30] {
            actor.try_send(Cmd::Note(n)).unwrap();
        }
        // Full: the oldest with the key is replaced where it stands.
        actor.try_send(Cmd::Note(22)).unwrap();
        // No such key: the fallback decides.
        assert!(actor.send(Cmd::Note(40)).await.unwrap_err().is_full());
        gate.open();
        settled(&actor).await;
        assert_eq!(handled(&log), notes("a", [10, 22, 21, 30]));
        assert_eq!(system.dead_letters().coalesced, 1);
        // The keys of handled messages are gone with them.
        let (entered, gate) = (Gate::default(), Gate::default());
        actor.send(Cmd::Wait(entered.clone(), gate.clone())).await.unwrap();
        entered.wait().await;
        for n in [50, 60, 70, 80, 51] {
            actor.try_send(Cmd::Note(n)).unwrap();
        }
        gate.open();
        settled(&actor).await;
        assert_eq!(handled(&log)[4..], notes("a", [51, 60, 70, 80]));
    });
}

#[test]
fn an_ended_actor_gives_messages_back_with_the_reason() {
    simulated(7, |system| async move {
        let actor = system.spawn(Scripted::default());
        actor.send(run(|_| Outcome::Crash("enough".into()))).await.unwrap();
        assert_eq!(system.ended(actor.pid()).await, ExitReason::crashed("enough"));
        let Err(SendError::Closed { message: Cmd::Note(7), reason }) = actor.send(Cmd::Note(7)).await else {
            panic!("sent")
        };
        assert_eq!(reason, ExitReason::crashed("enough"));
        assert!(system.resolve::<Cmd>(actor.pid()).is_none());
        assert!(!system.is_alive(actor.pid()));
        assert_eq!(system.len(), 0);
    });
}

#[test]
fn pids_resolve_by_type_and_follow_the_node_id() {
    simulated(8, |system| async move {
        let actor = system.spawn(Scripted::default());
        let before = actor.pid();
        assert!(before.node().is_local());
        assert_eq!(system.resolve::<Cmd>(before).unwrap(), actor);
        assert!(system.resolve::<u8>(before).is_none());
        system.set_node(NodeId::new(3).unwrap());
        assert_eq!(actor.pid(), Pid::new(NodeId::new(3).unwrap(), before.serial()));
        assert_eq!(system.resolve::<Cmd>(before).unwrap(), actor);
        assert_eq!(system.resolve::<Cmd>(actor.pid()).unwrap(), actor);
        assert!(system.resolve::<Cmd>(Pid::new(NodeId::new(4).unwrap(), before.serial())).is_none());
    });
}

#[test]
fn services_choose_their_serial() {
    simulated(9, |system| async move {
        let at = |serial| SpawnOptions { serial: Some(serial), ..SpawnOptions::default() };
        let service = system.spawn_with(Scripted::default(), at(7)).unwrap();
        assert_eq!(service.pid().serial(), 7);
        assert_eq!(system.spawn_with(Scripted::default(), at(7)).unwrap_err(), SpawnError::SerialTaken(7));
        for serial in [0, 1024, u64::MAX] {
            let error = system.spawn_with(Scripted::default(), at(serial)).unwrap_err();
            assert_eq!(error, SpawnError::SerialNotReserved(serial));
        }
        assert_eq!(system.len(), 1);
    });
}

#[test]
fn serials_are_not_reused_and_come_round_past_the_reserved_ones() {
    let simulation = Simulation::new(1);
    let config = SystemConfig { first_serial: (1 << 48) - 2, ..SystemConfig::default() };
    let system = System::new(simulation.runtime(), config);
    let serials: Vec<u64> = (0..4).map(|_| system.spawn(Scripted::default()).pid().serial()).collect();
    assert_eq!(serials, [(1 << 48) - 2, (1 << 48) - 1, 1024, 1025]);
}

#[test]
fn actors_that_would_wait_for_each_other_in_a_circle_are_refused() {
    struct Pusher {
        next: Option<ActorRef<Push>>,
        refused: Log,
    }
    enum Push {
        Next(ActorRef<Push>),
        /// Sends many of the next lower kind to the next one, until refused.
        Flood(u8),
    }
    impl Actor for Pusher {
        type Message = Push;
        async fn handle(&mut self, message: Push, context: &mut Context<Push>) -> Outcome {
            match message {
                Push::Next(next) => self.next = Some(next),
                Push::Flood(0) => {}
                Push::Flood(n) => {
                    let Some(next) = &self.next else { return Outcome::Continue };
                    for _ in 0..50 {
                        if next.send(Push::Flood(n - 1)).await.is_err() {
                            self.refused.add(context.pid().to_string());
                            return Outcome::Continue;
                        }
                    }
                }
            }
            Outcome::Continue
        }
    }
    let check = |actors: usize| {
        move |system: System| async move {
            let refused = Log::default();
            let mailbox = MailboxOptions { capacity: Some(2), ..MailboxOptions::default() };
            let ring: Vec<_> = (0..actors)
                .map(|_| {
                    let actor = Pusher { next: None, refused: refused.clone() };
                    let options = SpawnOptions { mailbox: mailbox.clone(), ..SpawnOptions::default() };
                    system.spawn_with(actor, options).unwrap()
                })
                .collect();
            for (n, actor) in ring.iter().enumerate() {
                actor.send(Push::Next(ring[(n + 1) % actors].clone())).await.unwrap();
            }
            for actor in &ring {
                actor.send(Push::Flood(2)).await.unwrap();
            }
            // In virtual time: until nothing moves.
            let deadline = system.runtime().now() + PATIENCE / 2;
            while refused.len() == 0 && system.runtime().now() < deadline {
                system.runtime().sleep(std::time::Duration::from_millis(1)).await;
            }
            assert!(refused.len() > 0, "nobody was refused");
            // Nobody hangs: every actor still ends when asked to.
            for actor in &ring {
                actor.stop();
            }
            for actor in &ring {
                system.ended(actor.pid()).await;
            }
        }
    };
    for actors in 1..=3 {
        for seed in 0..20 {
            simulated(seed, check(actors));
        }
        threaded(2, check(actors));
    }
}

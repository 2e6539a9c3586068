//! Questions are answered once, in time, or the asker hears why not.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod common;

use common::*;
use hew_actor::*;
use hew_wire::ExitReason;
use std::time::Duration;

#[test]
fn an_ask_is_answered() {
    let check = |system: System| async move {
        let actor = system.spawn(Scripted::default());
        for n in 0..100 {
            assert_eq!(actor.ask(|reply| Cmd::Next(n, reply)).await, Ok(n + 1));
        }
    };
    simulated(1, check);
    threaded(1, check);
    threaded(2, check);
}

#[test]
fn a_reply_address_can_be_passed_on() {
    simulated(2, |system| async move {
        let (front, back) = (system.spawn(Scripted::default()), system.spawn(Scripted::default()));
        let answer = front.ask(|reply| {
            run(move |_| {
                back.try_send(Cmd::Next(41, reply)).unwrap();
                Outcome::Continue
            })
        });
        assert_eq!(answer.await, Ok(42));
    });
}

#[test]
fn a_deadline_passes_and_the_late_answer_is_dropped_and_counted() {
    let simulation = Simulation::new(3);
    let system = System::new(simulation.runtime(), SystemConfig::default());
    simulation
        .run(async {
            let log = Log::default();
            let actor = system.spawn(Scripted::new("a", &log));
            let runtime = system.runtime().clone();
            let late = actor.ask_within(Duration::from_secs(2), |reply: ReplyTo<u64>| {
                run(move |context| {
                    let answering = context.runtime().clone();
                    let sleep = answering.sleep(Duration::from_secs(3));
                    answering
                        .spawn(async move {
                            sleep.await;
                            assert!(!reply.is_awaited());
                            reply.send(1);
                        })
                        .detach();
                    Outcome::Continue
                })
            });
            assert_eq!(late.await, Err(AskError::Timeout));
            assert_eq!(simulation.elapsed(), Duration::from_secs(2));
            // The next question gets its own answer, not the late one.
            assert_eq!(actor.ask(|reply| Cmd::Next(5, reply)).await, Ok(6));
            runtime.sleep(Duration::from_secs(2)).await;
            assert_eq!(system.dead_letters().late_replies, 1);
            assert_eq!(system.dead_letters().messages(), 0);
        })
        .unwrap();
}

#[test]
fn the_default_deadline_is_five_seconds() {
    let simulation = Simulation::new(4);
    let system = System::new(simulation.runtime(), SystemConfig::default());
    let actor = system.spawn(Scripted::default());
    assert_eq!(simulation.run(actor.ask(Cmd::Keep)).unwrap(), Err(AskError::Timeout));
    assert_eq!(simulation.elapsed(), ASK_DEADLINE);
    assert_eq!(ASK_DEADLINE, Duration::from_secs(5));
}

/// Asks and expects the answer at the same instant of virtual time.
async fn at_once(system: &System, ask: impl Future<Output = Result<u64, AskError>>) -> AskError {
    let start = system.runtime().now();
    let error = ask.await.unwrap_err();
    assert_eq!(system.runtime().now(), start, "{error}");
    error
}

#[test]
fn asking_the_dead_answers_at_once_with_the_reason() {
    simulated(5, |system| async move {
        let actor = system.spawn(Scripted::default());
        actor.send(Cmd::Panic("boom")).await.unwrap();
        system.ended(actor.pid()).await;
        let error = at_once(&system, actor.ask(Cmd::Keep)).await;
        assert_eq!(error, AskError::Ended(ExitReason::crashed("boom")));
    });
}

#[test]
fn every_way_to_lose_a_question_is_told_at_once() {
    for seed in 0..20 {
        simulated(seed, |system| async move {
            let spawn = || system.spawn(Scripted::default());
            // Dropped by the handler.
            let actor = spawn();
            let forgets = actor.ask(|reply| run(move |_| Outcome::from_drop(reply)));
            assert_eq!(at_once(&system, forgets).await, AskError::NoReply);
            // The handler panics with it in hand.
            let crashed = AskError::Ended(ExitReason::crashed("with a question"));
            assert_eq!(at_once(&system, spawn().ask(Cmd::PanicWith)).await, crashed);
            // It waits in the mailbox of an actor that stops.
            let actor = spawn();
            actor.try_send(run(|_| Outcome::Stop)).unwrap();
            let queued = at_once(&system, actor.ask(Cmd::Keep)).await;
            assert_eq!(queued, AskError::Ended(ExitReason::Normal));
            // It is in the state of an actor that ends.
            let actor = spawn();
            let end = actor.clone();
            let kept = async {
                let ask = actor.ask(Cmd::Keep);
                let end = async {
                    settled(&end).await;
                    end.try_send(run(|_| Outcome::Crash("full".into()))).unwrap();
                };
                futures_lite::future::zip(ask, end).await.0
            };
            assert_eq!(at_once(&system, kept).await, AskError::Ended(ExitReason::crashed("full")));
            // Its handler waits and is killed.
            let (actor, entered) = (spawn(), Gate::default());
            let killed = async {
                let ask = actor.ask(|reply| Cmd::Hold(entered.clone(), reply));
                let kill = async {
                    entered.wait().await;
                    actor.kill();
                };
                futures_lite::future::zip(ask, kill).await.0
            };
            assert_eq!(at_once(&system, killed).await, AskError::Ended(ExitReason::Killed));
        });
    }
}

trait FromDrop {
    fn from_drop(reply: ReplyTo<u64>) -> Self;
}

impl FromDrop for Outcome {
    fn from_drop(reply: ReplyTo<u64>) -> Outcome {
        drop(reply);
        Outcome::Continue
    }
}

#[test]
fn a_full_mailbox_answers_full_when_it_refuses_or_discards() {
    for overflow in [Overflow::DropNew, Overflow::DropOld, Overflow::Fail] {
        simulated(6, |system| async move {
            let mailbox =
                MailboxOptions { capacity: Some(1), overflow, coalesce: None, ..MailboxOptions::default() };
            let options = SpawnOptions { mailbox, ..SpawnOptions::default() };
            let actor = system.spawn_with(Scripted::default(), options).unwrap();
            let (entered, gate) = (Gate::default(), Gate::default());
            actor.send(Cmd::Wait(entered.clone(), gate.clone())).await.unwrap();
            entered.wait().await;
            let start = system.runtime().now();
            let first = system.runtime().spawn({
                let actor = actor.clone();
                async move { actor.ask(|reply| Cmd::Next(1, reply)).await }
            });
            while actor.mailbox_len() == 0 {
                futures_lite::future::yield_now().await;
            }
            let second = system.runtime().spawn({
                let actor = actor.clone();
                async move { actor.ask(|reply| Cmd::Next(2, reply)).await }
            });
            let lost = if overflow == Overflow::DropOld { first } else { second };
            assert_eq!(lost.await, Err(AskError::Full), "{overflow:?}");
            assert_eq!(system.runtime().now(), start);
            gate.open();
        });
    }
}

#[test]
fn a_cancelled_question_counts_its_answer_as_late() {
    simulated(7, |system| async move {
        let actor = system.spawn(Scripted::default());
        let (entered, gate) = (Gate::default(), Gate::default());
        actor.send(Cmd::Wait(entered.clone(), gate.clone())).await.unwrap();
        entered.wait().await;
        let ask = system.runtime().spawn({
            let actor = actor.clone();
            async move { actor.ask(|reply| Cmd::Next(1, reply)).await }
        });
        while actor.mailbox_len() == 0 {
            futures_lite::future::yield_now().await;
        }
        drop(ask);
        gate.open();
        settled(&actor).await;
        assert_eq!(system.dead_letters().late_replies, 1);
    });
}

#[test]
fn a_caught_panic_in_a_handler_does_not_leave_its_asker_waiting() {
    simulated(8, |system| async move {
        let actor = system.spawn(Scripted::default());
        let ask = actor.ask(|reply: ReplyTo<u64>| {
            run(move |_| {
                let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    let _reply = reply;
                    panic!("caught by the handler itself");
                }));
                assert!(caught.is_err());
                Outcome::Continue
            })
        });
        assert_eq!(at_once(&system, ask).await, AskError::NoReply);
        assert!(system.is_alive(actor.pid()));
    });
}

#[test]
fn raw_actors_are_asked_with_bytes() {
    struct Reverse;
    impl Actor for Reverse {
        type Message = RawMessage;
        async fn handle(&mut self, message: RawMessage, _: &mut Context<RawMessage>) -> Outcome {
            let bytes: Vec<u8> = message.payload.iter().rev().copied().collect();
            if let Some(reply) = message.reply {
                reply.send_bytes(&bytes);
            }
            Outcome::Continue
        }
    }
    simulated(9, |system| async move {
        let actor = system.spawn(Reverse);
        let ask = actor.ask(|reply| RawMessage { msg_type: 4, payload: vec![1, 2, 3], reply: Some(reply) });
        assert_eq!(ask.await, Ok(Raw(vec![3, 2, 1])));
    });
}

#[test]
fn ask_futures_can_be_spawned() {
    fn is_send(_: &impl Send) {}
    simulated(10, |system| async move {
        let actor = system.spawn(Scripted::default());
        let ask = actor.ask(|reply| Cmd::Next(1, reply));
        is_send(&ask);
        let send = actor.send(Cmd::Note(1));
        is_send(&send);
    });
}

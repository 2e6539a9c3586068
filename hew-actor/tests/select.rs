//! Of several questions the first answer counts, and the others are given up.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod common;

use common::*;
use futures_lite::future::{poll_once, yield_now};
use hew_actor::*;
use hew_wire::ExitReason;
use std::future::{Future, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Keeps the questions for the test.
#[derive(Clone, Default)]
struct Oracle(Arc<Mutex<Vec<ReplyTo<u64>>>>);

impl Oracle {
    async fn asked(&self, count: usize) -> Vec<ReplyTo<u64>> {
        while self.0.lock().unwrap().len() < count {
            yield_now().await;
        }
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Actor for Oracle {
    type Message = ReplyTo<u64>;
    async fn handle(&mut self, reply: ReplyTo<u64>, _: &mut Context<ReplyTo<u64>>) -> Outcome {
        self.0.lock().unwrap().push(reply);
        Outcome::Continue
    }
}

/// Several oracles, in the order in which they are asked.
fn oracles(system: &System, count: usize) -> (Vec<Oracle>, Vec<ActorRef<ReplyTo<u64>>>) {
    let oracles: Vec<Oracle> = (0..count).map(|_| Oracle::default()).collect();
    let actors = oracles.iter().map(|oracle| system.spawn(oracle.clone())).collect();
    (oracles, actors)
}

#[test]
fn the_first_answer_wins_and_the_others_are_given_up() {
    for seed in 0..200 {
        simulated(seed, |system| async move {
            let (oracles, actors) = oracles(&system, 5);
            let asking = system.runtime().spawn({
                let actors = actors.clone();
                async move { select(actors.iter().map(|actor| actor.ask(|reply| reply))).await }
            });
            let mut questions = Vec::new();
            for oracle in &oracles {
                questions.extend(oracle.asked(1).await);
            }
            assert!(questions.iter().all(ReplyTo::is_awaited));
            // Two answer before the asker has its turn: the first of them counts, whatever its place.
            let place = (seed % 4) as usize + 1;
            questions.remove(place).send(100);
            questions.remove(0).send(200);
            assert_eq!(asking.await, Ok((place, Ok(100))));
            assert!(questions.iter().all(|question| !question.is_awaited()), "the losers know");
            let before = system.dead_letters().late_replies;
            assert_eq!(before, 1, "the answer that came too late");
            questions.into_iter().for_each(|question| question.send(300));
            assert_eq!(system.dead_letters().late_replies, before + 3);
        });
    }
}

#[test]
fn what_is_ready_at_once_wins_in_the_order_of_the_list() {
    simulated(1, |_| async move {
        let two = [ready(Ok(1)), ready(Ok(2))];
        assert_eq!(select(two).await, Ok((0, Ok(1))));
        let failing: [BoxFuture<'_, Result<u8, AskError>>; 3] =
            [Box::pin(std::future::pending()), Box::pin(ready(Err(AskError::Full))), Box::pin(ready(Ok(3)))];
        assert_eq!(select(failing).await, Ok((1, Err(AskError::Full))));
    });
}

#[test]
fn an_empty_list_is_an_error_and_not_a_wait() {
    simulated(2, |system| async move {
        let nothing = Vec::<std::future::Ready<Result<(), AskError>>>::new;
        assert_eq!(select(nothing()).await, Err(SelectError::Empty));
        assert_eq!(select_within(system.runtime(), SECOND, nothing()).await, Err(SelectError::Empty));
        assert_eq!(select_ok(nothing()).await, Err(SelectOkError::Empty));
    });
}

#[test]
fn after_the_deadline_nobody_waits_any_more() {
    for seed in 0..200 {
        simulated(seed, |system| async move {
            let (oracles, actors) = oracles(&system, 3);
            let asks = || actors.iter().map(|actor| actor.ask(|reply| reply));
            let before = system.runtime().now();
            assert_eq!(select_within(system.runtime(), SECOND, asks()).await, Err(SelectError::Elapsed));
            assert_eq!(system.runtime().now() - before, SECOND);
            for oracle in &oracles {
                let question = oracle.asked(1).await.remove(0);
                assert!(!question.is_awaited());
                question.send(1);
            }
            assert_eq!(system.dead_letters().late_replies, 3);
            // The deadline of each question is earlier here: its own error comes back.
            let impatient = actors.iter().map(|actor| actor.ask_within(SECOND / 2, |reply| reply));
            let answer = select_within(system.runtime(), SECOND, impatient).await;
            assert!(matches!(answer, Ok((_, Err(AskError::Timeout)))), "{answer:?}");
            // And one that is dropped gives up as well.
            let mut dropped = Box::pin(select(asks()));
            assert!(poll_once(dropped.as_mut()).await.is_none());
            let mut questions = Vec::new();
            for oracle in &oracles {
                questions.extend(oracle.asked(2).await.pop());
            }
            assert!(questions.iter().all(ReplyTo::is_awaited));
            drop(dropped);
            assert!(!questions.iter().any(ReplyTo::is_awaited));
        });
    }
}

#[test]
fn select_ok_passes_over_failures() {
    for seed in 0..200 {
        simulated(seed, |system| async move {
            let (oracles, actors) = oracles(&system, 3);
            let asking = || {
                let actors = actors.clone();
                let ask = async move { select_ok(actors.iter().map(|actor| actor.ask(|reply| reply))).await };
                system.runtime().spawn(ask)
            };
            let first = asking();
            drop(oracles[0].asked(1).await);
            let third = oracles[2].asked(1).await.remove(0);
            oracles[1].asked(1).await.remove(0).send(7);
            assert_eq!(first.await, Ok((1, 7)));
            assert!(!third.is_awaited());
            let second = asking();
            actors[2].kill();
            oracles[1].asked(1).await.remove(0).fail(AskError::NotAllowed);
            drop(oracles[0].asked(1).await);
            let Err(SelectOkError::Failed(errors)) = second.await else { panic!("nobody answered") };
            let killed = AskError::Ended(ExitReason::Killed);
            assert_eq!(errors, [AskError::NoReply, AskError::NotAllowed, killed], "in the order of the list");
        });
    }
}

/// Waits to be told, and counts how often it is polled.
#[derive(Clone, Default)]
struct Door(Arc<Mutex<(Option<Waker>, bool)>>, Arc<AtomicUsize>);

impl Door {
    fn opened(&self) -> impl Future<Output = Result<(), AskError>> + use<> {
        let door = self.clone();
        poll_fn(move |cx| {
            door.1.fetch_add(1, Ordering::SeqCst);
            let mut state = door.0.lock().unwrap();
            state.0 = Some(cx.waker().clone());
            if state.1 { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
    }

    fn knock(&self) {
        let waker = self.0.lock().unwrap().0.clone();
        waker.unwrap().wake();
    }

    fn polls(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }
}

#[test]
fn only_what_was_woken_is_polled() {
    simulated(3, |_| async move {
        let doors: Vec<Door> = (0..1_000).map(|_| Door::default()).collect();
        let mut selecting = pin!(select(doors.iter().map(Door::opened)));
        assert!(poll_once(selecting.as_mut()).await.is_none());
        for _ in 0..10 {
            doors[500].knock();
            doors[500].knock();
            assert!(poll_once(selecting.as_mut()).await.is_none());
            // A task that polls for another reason polls none.
            assert!(poll_once(selecting.as_mut()).await.is_none());
        }
        let polls: usize = doors.iter().map(Door::polls).sum();
        assert_eq!((polls, doors[500].polls()), (1_010, 11));
        doors[7].0.lock().unwrap().1 = true;
        doors[7].knock();
        assert_eq!(Arc::strong_count(&doors[0].0), 2, "the door and who waits for it");
        assert_eq!(selecting.as_mut().await, Ok((7, Ok(()))));
        assert!(
            doors.iter().all(|door| Arc::strong_count(&door.0) == 1),
            "the losers are dropped before the answer"
        );
        // Wakers outlive the wait and do nothing.
        doors[8].knock();
    });
}

#[test]
fn a_question_that_wakes_itself_leaves_others_their_turn() {
    simulated(4, |system| async move {
        let busy = || -> BoxFuture<'static, Result<u8, AskError>> {
            let mut polls = 0;
            Box::pin(poll_fn(move |cx| {
                polls += 1;
                assert!(polls < 10_000, "the other one has no turn");
                cx.waker().wake_by_ref();
                Poll::Pending
            }))
        };
        let runtime = system.runtime().clone();
        let other: BoxFuture<'static, Result<u8, AskError>> = Box::pin(async move {
            for _ in 0..10 {
                yield_now().await;
            }
            // Others of this runtime have their turn too.
            runtime.spawn(ready(Ok(5))).await
        });
        assert_eq!(select([busy(), other, busy()]).await, Ok((1, Ok(5))));
    });
}

#[test]
fn a_race_that_is_over_does_not_keep_its_task() {
    let door = Door::default();
    let task = Arc::new(Sleeper);
    let waker = Waker::from(task.clone());
    let mut selecting = Box::pin(select([door.opened()]));
    assert!(Pin::new(&mut selecting).poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    drop(waker);
    assert_eq!(Arc::strong_count(&task), 2);
    drop(selecting);
    assert_eq!(Arc::strong_count(&task), 1, "whoever holds the waker of a question does not hold the asker");
}

struct Sleeper;

impl std::task::Wake for Sleeper {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn asks_race_on_threads() {
    threaded(2, |system| async move {
        let pool = Pool::new(&system, PoolStrategy::RoundRobin);
        for _ in 0..4 {
            pool.add(system.spawn(Scripted::default())).unwrap();
        }
        let askers: Vec<_> = (0..4)
            .map(|_| {
                let (pool, runtime) = (pool.clone(), system.runtime().clone());
                system.runtime().spawn(async move {
                    for n in 0..500 {
                        let asks = (0..4).map(|_| pool.ask(|reply| Cmd::Next(n, reply)));
                        let (_, answer) = select_within(&runtime, PATIENCE, asks).await.unwrap();
                        assert_eq!(answer, Ok(n + 1));
                    }
                })
            })
            .collect();
        for asker in askers {
            asker.await;
        }
    });
}

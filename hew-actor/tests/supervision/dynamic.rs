//! Children come and go while the supervisor runs.

use super::*;

/// Does nothing, in little memory.
struct Idle;

impl Actor for Idle {
    type Message = ();
    async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
        Outcome::Continue
    }
}

#[test]
fn children_come_and_go_while_the_supervisor_runs() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        for seed in 0..SEEDS {
            simulated(seed, |system| async move {
                let log = Log::default();
                let mut supervisor = Supervisor::new(strategy).budget(1000, 3600 * SECOND);
                let children =
                    ["a", "b", "c"].map(|name| supervisor.add(&system, plain(name, &log)).unwrap());
                let supervisor = supervisor.spawn(&system);
                assert_eq!(supervisor.children().await.unwrap().len(), 3);
                let before = log.len();
                let d = supervisor.add(plain("d", &log)).await.unwrap();
                assert_eq!(d.ask(|reply| Cmd::Next(1, reply)).await, Ok(2));
                let error = supervisor.add(plain("d", &log)).await.unwrap_err();
                assert_eq!(error, AddChildError::NameTaken("d".into()));
                assert_eq!(supervisor.remove("b").await, Ok(true));
                assert_eq!(supervisor.remove("b").await, Ok(false));
                let life =
                    ["d#1 made", "d#1 starting", "d#1 started", "b#1 stopping", "b#1 stopped", "b#1 dropped"];
                assert_eq!(log.lines()[before..], lines(&life));
                assert_eq!(children[1].ready().await, Err(ExitReason::NoProcess));
                assert_eq!(supervisor.count().await, Ok(3));
                // The name is free, and the order is that of adding.
                supervisor.add(plain("b", &log)).await.unwrap();
                for child in [&children[0], &children[2], &d] {
                    crash_now(&system, child).await;
                    system.runtime().sleep(SECOND).await;
                    child.ready().await.unwrap();
                }
                let broken =
                    member("broken", &log, |_| Habits { panics_in_started: true, ..Habits::default() });
                let error = supervisor.add(broken).await.unwrap_err();
                assert!(
                    matches!(&error, AddChildError::NotStarted { error, .. } if error.contains("in started"))
                );
                let names: Vec<_> =
                    supervisor.children().await.unwrap().into_iter().map(|child| child.name).collect();
                assert_eq!(names, ["a", "c", "d", "b"]);
                let found = supervisor.child::<Cmd>("d").await.unwrap().unwrap();
                assert_eq!(found.pid(), d.pid());
                assert!(supervisor.child::<()>("d").await.unwrap().is_none());
                assert!(supervisor.child::<Cmd>("e").await.unwrap().is_none());
                check_serial(&log.lines());
            });
        }
    }
}

#[test]
fn a_child_is_restarted_by_name() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let log = Log::default();
            // Restarts by name are not in the budget.
            let mut supervisor = Supervisor::new(Strategy::OneForAll).budget(1, 3600 * SECOND);
            let one = plain("one", &log).restart(Restart::Transient);
            let one = supervisor.add(&system, one).unwrap();
            let limits = CircuitBreaker { crashes_max: 0, window: SECOND, cooldown: 3600 * SECOND };
            let bad = supervisor.add(&system, plain("bad", &log).circuit_breaker(limits)).unwrap();
            let supervisor = supervisor.spawn(&system);
            let (old, sibling) = (one.ready().await.unwrap().pid(), bad.ready().await.unwrap());
            assert_eq!(supervisor.restart("one").await, Ok(()));
            assert_ne!(one.pid().unwrap(), old);
            assert_eq!(bad.pid(), Some(sibling.pid()));
            // One that has ended for good.
            one.send(run(|_| Outcome::Stop)).await.unwrap();
            system.ended(one.pid().unwrap()).await;
            system.runtime().sleep(MS).await;
            assert_eq!(info(&supervisor, "one").await.state, ChildState::Ended);
            assert_eq!(supervisor.restart("one").await, Ok(()));
            assert_eq!(one.ask(|reply| Cmd::Next(1, reply)).await, Ok(2));
            // One whose circuit is open, without waiting for the cooldown.
            crash_now(&system, &bad).await;
            system.runtime().sleep(MS).await;
            assert_eq!(info(&supervisor, "bad").await.circuit, Circuit::Open);
            assert_eq!(supervisor.restart("bad").await, Ok(()));
            assert_eq!(info(&supervisor, "bad").await.circuit, Circuit::Closed);
            let nobody = RestartChildError::NoChild("nobody".into());
            assert_eq!(supervisor.restart("nobody").await, Err(nobody));
            // The one restart of the budget is still there.
            crash_now(&system, &one).await;
            one.ready().await.unwrap();
            check_serial(&log.lines());
        });
    }
}

#[test]
fn a_restart_by_name_that_fails_says_so_and_is_a_crash() {
    simulated(1, |system| async move {
        let log = Log::default();
        let mut supervisor = Supervisor::new(Strategy::OneForOne);
        let one = member("one", &log, |n| Habits { panics_in_started: n == 2, ..Habits::default() });
        let one = supervisor.add(&system, one).unwrap();
        let supervisor = supervisor.spawn(&system);
        let old = one.ready().await.unwrap().pid();
        let Err(RestartChildError::NotStarted { error, .. }) = supervisor.restart("one").await else {
            panic!("started")
        };
        assert!(error.contains("in started"), "{error}");
        renewed(&one, old).await;
        assert_eq!(info(&supervisor, "one").await.restarts, 1);
    });
}

#[test]
fn a_thousand_children_are_added_and_removed() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let supervisor = Supervisor::new(Strategy::OneForOne).spawn(&system);
            let mut kept = Vec::new();
            // Half of them one after the other, half at once.
            for n in 0..500 {
                kept.push(supervisor.add(ChildSpec::new(n.to_string(), || Idle)).await.unwrap());
            }
            let adding: Vec<_> = (500..1000)
                .map(|n| {
                    let supervisor = supervisor.clone();
                    let spec = ChildSpec::new(n.to_string(), || Idle);
                    system.runtime().spawn(async move { supervisor.add(spec).await.unwrap() })
                })
                .collect();
            for one in adding {
                kept.push(one.await);
            }
            assert_eq!(supervisor.count().await, Ok(1000));
            assert_eq!(system.len(), 1001);
            let removing: Vec<_> = (0..1000)
                .map(|n| {
                    let supervisor = supervisor.clone();
                    system.runtime().spawn(async move { supervisor.remove(n.to_string()).await })
                })
                .collect();
            for one in removing {
                assert_eq!(one.await, Ok(true));
            }
            assert_eq!(supervisor.count().await, Ok(0));
            assert_eq!(system.len(), 1);
            for child in kept {
                assert_eq!(child.ready().await, Err(ExitReason::NoProcess));
            }
        });
    }
}

#[test]
fn a_supervisor_has_at_most_so_many_children() {
    simulated(1, |system| async move {
        let mut supervisor = Supervisor::new(Strategy::OneForOne);
        for n in 1..CHILDREN_MAX {
            supervisor.add(&system, ChildSpec::new(n.to_string(), || Idle)).unwrap();
        }
        let supervisor = supervisor.spawn(&system);
        supervisor.add(ChildSpec::new("last", || Idle)).await.unwrap();
        let refused = supervisor.add(ChildSpec::new("one more", || Idle)).await.unwrap_err();
        assert_eq!(refused, AddChildError::TooMany(CHILDREN_MAX));
        assert_eq!(supervisor.count().await, Ok(CHILDREN_MAX));
        assert_eq!(system.len(), CHILDREN_MAX + 1);
        assert_eq!(supervisor.remove("7").await, Ok(true));
        supervisor.add(ChildSpec::new("one more", || Idle)).await.unwrap();
    });
}

#[test]
fn temporary_children_that_ended_are_forgotten() {
    simulated(1, |system| async move {
        let log = Log::default();
        let supervisor = Supervisor::new(Strategy::OneForOne).spawn(&system);
        for _ in 0..3 {
            let child = plain("t", &log).restart(Restart::Temporary);
            let child = supervisor.add(child).await.unwrap();
            crash_now(&system, &child).await;
            assert_eq!(child.ready().await, Err(ExitReason::crashed("boom")));
            assert_eq!(supervisor.count().await, Ok(0));
        }
    });
}

#[test]
fn callers_that_wait_for_the_same_are_bounded() {
    simulated(1, |system| async move {
        let log = Log::default();
        let slow = member("slow", &log, |_| Habits { stops_for: SECOND, ..Habits::default() });
        let supervisor = Supervisor::new(Strategy::OneForOne).with(slow).unwrap().spawn(&system);
        supervisor.children().await.unwrap();
        let asking: Vec<_> = (0..CALLERS_MAX + 10)
            .map(|_| {
                let supervisor = supervisor.clone();
                system.runtime().spawn(async move { supervisor.remove("slow").await })
            })
            .collect();
        let mut answers = [0; 3];
        for one in asking {
            let answer = match one.await {
                Ok(true) => 0,
                Ok(false) => 1,
                Err(AskError::Full) => 2,
                Err(error) => panic!("{error}"),
            };
            answers[answer] += 1;
        }
        assert_eq!(answers, [1, CALLERS_MAX - 1, 10]);
    });
}

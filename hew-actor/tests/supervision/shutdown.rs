//! A supervisor that ends takes its children with it, in order.

use super::*;
use crate::restarts::family;

/// Three levels: `root` has `a`, `mid` and `z`; `mid` has `b`, `low` and `y`; `low` has `c`, `stubborn` and `x`. `stubborn` takes
/// some time to stop, and is killed after 7 seconds: longer than a supervisor with the deadline of other actors had.
fn tree(log: &Log, stubborn_for: Duration) -> Supervisor {
    let (outer, inner) = (log.clone(), log.clone());
    let low = move || {
        let stubborn =
            member("stubborn", &inner, move |_| Habits { stops_for: stubborn_for, ..Habits::default() });
        let low = Supervisor::new(Strategy::OneForOne).with(plain("c", &inner)).unwrap();
        low.with(stubborn.stop_deadline(7 * SECOND)).unwrap().with(plain("x", &inner)).unwrap()
    };
    let mid = move || {
        let mid = Supervisor::new(Strategy::OneForOne).with(plain("b", &outer)).unwrap();
        let mid = mid.with(ChildSpec::supervisor("low", low.clone())).unwrap();
        mid.with(plain("y", &outer)).unwrap()
    };
    let root = Supervisor::new(Strategy::OneForOne).with(plain("a", log)).unwrap();
    root.with(ChildSpec::supervisor("mid", mid)).unwrap().with(plain("z", log)).unwrap()
}

fn whole_lives(names: &[&str], killed: &str) -> Vec<String> {
    let mut expected = Vec::new();
    for name in names {
        expected.push(format!("{name}#1 stopping"));
        if *name != killed {
            expected.push(format!("{name}#1 stopped"));
        }
        expected.push(format!("{name}#1 dropped"));
    }
    expected
}

#[test]
fn three_levels_stop_in_order_and_one_child_is_killed() {
    let order = ["z", "y", "x", "stubborn", "c", "b", "a"];
    for seed in 0..SEEDS {
        for by_system in [false, true] {
            simulated(seed, |system| async move {
                let log = Log::default();
                let root = tree(&log, 3600 * SECOND).spawn(&system);
                root.children().await.unwrap();
                let made: Vec<_> = log.take().into_iter().filter(|line| line.ends_with("made")).collect();
                assert_eq!(
                    made,
                    ["a", "b", "c", "stubborn", "x", "y", "z"].map(|name| format!("{name}#1 made"))
                );
                let begin = system.runtime().now();
                if by_system {
                    let report = system.shutdown(10 * SECOND).await;
                    assert_eq!(report, ShutdownReport { stopped: 10, killed: 0, stuck: 0 });
                } else {
                    root.stop();
                    assert_eq!(system.ended(root.pid()).await, ExitReason::Normal);
                }
                assert_eq!(system.runtime().now() - begin, 7 * SECOND);
                assert_eq!(log.take(), whole_lives(&order, "stubborn"));
                assert_eq!(system.len(), 0);
            });
        }
    }
}

#[test]
fn a_nested_supervisor_is_stopped_by_its_parent_in_order() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let log = Log::default();
            let root = tree(&log, SECOND).spawn(&system);
            root.children().await.unwrap();
            log.take();
            assert_eq!(root.remove("mid").await, Ok(true));
            assert_eq!(log.take(), whole_lives(&["y", "x", "stubborn", "c", "b"], ""));
            assert_eq!(system.len(), 3);
        });
    }
}

#[test]
fn a_supervisor_that_exceeds_its_own_deadline_is_killed_with_all_below_it() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let (log, inner) = (Log::default(), Log::default());
            let shared = inner.clone();
            let nested = ChildSpec::supervisor("nested", move || {
                let slow = |_| Habits { stops_for: 3600 * SECOND, traps_exits: true, ..Habits::default() };
                let nested = Supervisor::new(Strategy::OneForOne).with(plain("one", &shared)).unwrap();
                nested.with(member("two", &shared, slow).stop_deadline(1000 * SECOND)).unwrap()
            });
            let root = Supervisor::new(Strategy::OneForOne).with(plain("a", &log)).unwrap();
            let root = root.with(nested.stop_deadline(2 * SECOND)).unwrap().spawn(&system);
            root.children().await.unwrap();
            let begin = system.runtime().now();
            root.stop();
            system.ended(root.pid()).await;
            assert_eq!(system.runtime().now() - begin, 2 * SECOND);
            assert_eq!(system.len(), 0);
            let ended = inner.lines().into_iter().filter(|line| line.ends_with("dropped")).count();
            assert_eq!((ended, log.lines().last().unwrap().as_str()), (2, "a#1 dropped"));
        });
    }
}

#[test]
fn a_killed_supervisor_takes_its_tree_along() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let log = Log::default();
            let root = tree(&log, SECOND);
            // An exit signal does not end this one.
            let trapping = member("t", &log, |_| Habits { traps_exits: true, ..Habits::default() });
            let root = root.with(trapping).unwrap();
            // Nor does this one stop.
            let slow = |_| Habits { traps_exits: true, stops_for: 3600 * SECOND, ..Habits::default() };
            let root = root.with(member("slow", &log, slow)).unwrap().spawn(&system);
            root.children().await.unwrap();
            assert_eq!(system.len(), 12);
            root.actor().kill();
            assert_eq!(system.ended(root.pid()).await, ExitReason::Killed);
            system.runtime().sleep(2 * SECOND).await;
            assert_eq!(system.len(), 1, "{:#?}", log.lines());
            system.runtime().sleep(STOP_DEADLINE - 2 * SECOND).await;
            system.runtime().sleep(MS).await;
            assert_eq!(system.len(), 0, "{:#?}", log.lines());
            check_serial(&log.lines());
        });
    }
}

#[test]
fn a_supervisor_that_is_starting_stops_when_asked() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let log = Log::default();
            let slow = member("slow", &log, |_| Habits { starts_for: 3 * SECOND, ..Habits::default() });
            let supervisor = Supervisor::new(Strategy::OneForOne).with(plain("a", &log)).unwrap();
            let supervisor =
                supervisor.with(slow).unwrap().with(plain("never", &log)).unwrap().spawn(&system);
            let ended = watched(&system, supervisor.pid());
            let early = {
                let supervisor = supervisor.clone();
                system.runtime().spawn(async move { supervisor.children().await })
            };
            system.runtime().sleep(SECOND).await;
            assert_eq!(supervisor.count().await, Ok(3));
            supervisor.stop();
            assert_eq!(ended.await, ExitReason::Normal);
            assert_eq!(early.await, Err(AskError::Ended(ExitReason::Normal)));
            let expected = [
                "a#1 made",
                "a#1 starting",
                "a#1 started",
                "slow#1 made",
                "slow#1 starting",
                "slow#1 started",
                "slow#1 stopping",
                "slow#1 stopped",
                "slow#1 dropped",
                "a#1 stopping",
                "a#1 stopped",
                "a#1 dropped",
            ];
            assert_eq!(log.take(), lines(&expected));
        });
    }
}

#[test]
fn children_start_in_order_and_stop_in_reverse() {
    for seed in 0..20 {
        simulated(seed, |system| async move {
            let log = Log::default();
            let (supervisor, children) = family(&system, &log, Strategy::OneForOne).await;
            assert_eq!(log.take(), ["a started", "b started", "c started"]);
            let names: Vec<_> =
                supervisor.children().await.unwrap().into_iter().map(|c| (c.name, c.pid)).collect();
            assert_eq!(names[1], ("b".to_owned(), children[1].pid()));
            supervisor.stop();
            assert_eq!(system.ended(supervisor.pid()).await, ExitReason::Normal);
            let reverse = ["c", "b", "a"].map(|x| [format!("{x} stopped: normal"), format!("{x} dropped")]);
            assert_eq!(log.take(), reverse.concat());
            assert_eq!(system.len(), 0);
            let Err(SendError::Closed { reason: ExitReason::NoProcess, .. }) =
                children[0].send(Cmd::Note(1)).await
            else {
                panic!("sent to a child without a supervisor")
            };
        });
    }
}

//! Which children are restarted after which end, when, and how often.

use super::*;

fn child(name: &'static str, log: &Log) -> ChildSpec<Cmd> {
    let log = log.clone();
    ChildSpec::new(name, move || Scripted::new(name, &log))
}

/// A supervisor of the children `a`, `b` and `c` with plenty of budget.
pub(crate) async fn family(
    system: &System,
    log: &Log,
    strategy: Strategy,
) -> (SupervisorRef, Vec<ChildRef<Cmd>>) {
    let mut supervisor = Supervisor::new(strategy).budget(1000, Duration::from_secs(3600));
    let children = ["a", "b", "c"].map(|name| supervisor.add(system, child(name, log)).unwrap());
    let supervisor = supervisor.spawn(system);
    for child in &children {
        child.ready().await.unwrap();
    }
    (supervisor, children.into())
}

/// Waits in virtual time and returns what happened.
async fn after(system: &System, time: Duration, log: &Log) -> Vec<String> {
    system.runtime().sleep(time).await;
    log.take()
}

#[test]
fn one_for_one_restarts_the_failed_child_only() {
    simulated(1, |system| async move {
        let log = Log::default();
        let (_supervisor, children) = family(&system, &log, Strategy::OneForOne).await;
        log.take();
        let before = children[1].pid();
        children[1].send(Cmd::Panic("boom")).await.unwrap();
        assert_eq!(
            after(&system, SECOND / 100, &log).await,
            ["b stopped: crashed: boom", "b dropped", "b started"]
        );
        assert_ne!(children[1].pid(), before);
        assert!(children[1].pid().is_some());
    });
}

#[test]
fn one_for_all_and_rest_for_one_stop_in_reverse_and_start_in_order() {
    let cases = [
        (
            Strategy::OneForAll,
            vec![
                "c stopped: normal",
                "c dropped",
                "a stopped: normal",
                "a dropped",
                "a started",
                "b started",
                "c started",
            ],
        ),
        (Strategy::RestForOne, vec!["c stopped: normal", "c dropped", "b started", "c started"]),
    ];
    for (strategy, expected) in cases {
        simulated(1, |system| async move {
            let log = Log::default();
            let (_supervisor, children) = family(&system, &log, strategy).await;
            log.take();
            children[1].send(Cmd::Panic("boom")).await.unwrap();
            let lines = after(&system, SECOND / 100, &log).await;
            assert_eq!(lines[..2], ["b stopped: crashed: boom", "b dropped"]);
            assert_eq!(lines[2..], expected);
            for child in &children {
                assert_eq!(child.ask(|reply| Cmd::Next(1, reply)).await, Ok(2));
            }
        });
    }
}

#[test]
fn restart_kinds_decide_after_which_end_a_child_returns() {
    type End = fn(&mut Context<Cmd>) -> Outcome;
    let normal: End = |_| Outcome::Stop;
    let crash: End = |_| Outcome::Crash("x".into());
    for (restart, end, returns) in [
        (Restart::Permanent, normal, true),
        (Restart::Permanent, crash, true),
        (Restart::Transient, normal, false),
        (Restart::Transient, crash, true),
        (Restart::Temporary, normal, false),
        (Restart::Temporary, crash, false),
    ] {
        simulated(1, |system| async move {
            let log = Log::default();
            let mut supervisor = Supervisor::new(Strategy::OneForAll);
            let one = supervisor.add(&system, child("one", &log).restart(restart)).unwrap();
            let other = supervisor.add(&system, child("other", &log)).unwrap();
            supervisor.spawn(&system);
            let other_pid = other.ready().await.unwrap().pid();
            one.send(run(end)).await.unwrap();
            system.runtime().sleep(SECOND / 100).await;
            assert_eq!(one.actor().is_some(), returns, "{restart:?}");
            // An end that is not a failure is no reason to restart the others.
            assert_eq!(other.pid() == Some(other_pid), !returns, "{restart:?}");
            if !returns {
                let error = one.ask(|reply| Cmd::Next(1, reply)).await.unwrap_err();
                assert!(
                    matches!(error, AskError::Ended(ExitReason::Normal | ExitReason::Crashed(_))),
                    "{error}"
                );
            }
        });
    }
}

#[test]
fn a_temporary_child_that_was_stopped_for_another_does_not_return() {
    simulated(1, |system| async move {
        let log = Log::default();
        let mut supervisor = Supervisor::new(Strategy::OneForAll);
        let temporary = supervisor.add(&system, child("t", &log).restart(Restart::Temporary)).unwrap();
        let permanent = supervisor.add(&system, child("p", &log)).unwrap();
        supervisor.spawn(&system);
        permanent.ready().await.unwrap();
        permanent.send(Cmd::Panic("boom")).await.unwrap();
        system.runtime().sleep(SECOND / 100).await;
        assert!(permanent.actor().is_some());
        assert!(temporary.actor().is_none());
        assert_eq!(temporary.ready().await, Err(ExitReason::Normal));
    });
}

/// Crashes at once in `started` as long as `failures` lasts, then works.
fn failing(failures: u64, starts: &Log, system: &System) -> ChildSpec<Cmd> {
    let (attempts, starts, runtime) = (Arc::new(AtomicU64::new(0)), starts.clone(), system.runtime().clone());
    let begin = runtime.now();
    ChildSpec::new("failing", move || {
        starts.add(format!("{}", (runtime.now() - begin).as_nanos()));
        let attempt = attempts.fetch_add(1, Ordering::SeqCst);
        // The first start works, so that the supervisor itself starts.
        Scripted::with("f", &Log::default(), |f| f.panic_in_started = attempt > 0 && attempt <= failures)
    })
}

#[test]
fn the_first_restart_is_at_once_and_later_ones_wait_longer_and_longer() {
    simulated(1, |system| async move {
        let starts = Log::default();
        let mut supervisor = Supervisor::new(Strategy::OneForOne).budget(100, Duration::from_secs(3600));
        let child = supervisor.add(&system, failing(6, &starts, &system)).unwrap();
        supervisor.spawn(&system);
        let first = child.ready().await.unwrap();
        child.send(Cmd::Panic("first")).await.unwrap();
        system.ended(first.pid()).await;
        // Sent while it is away, handled when it is back.
        assert_eq!(child.ask_within(60 * SECOND, |reply| Cmd::Next(1, reply)).await, Ok(2));
        let times: Vec<u64> = starts.lines().iter().map(|line| line.parse().unwrap()).collect();
        let waits: Vec<u64> = times.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(waits.len(), 7);
        assert_eq!(waits[0], 0);
        for (n, &wait) in waits[1..].iter().enumerate() {
            let base = 100_000_000 << n;
            assert!((base..=base + base / 4).contains(&wait), "{waits:?}");
        }
    });
}

#[test]
fn a_child_that_lived_for_the_window_starts_afresh() {
    simulated(1, |system| async move {
        let starts = Log::default();
        let mut supervisor = Supervisor::new(Strategy::OneForOne).budget(100, 10 * SECOND);
        let child = supervisor.add(&system, failing(0, &starts, &system)).unwrap();
        let supervisor = supervisor.spawn(&system);
        for round in 0..3 {
            child.ready().await.unwrap();
            child.send(Cmd::Panic("now and then")).await.unwrap();
            system.runtime().sleep(SECOND / 100).await;
            assert!(child.actor().is_some(), "round {round}");
            assert_eq!(supervisor.children().await.unwrap()[0].restarts, 1);
            system.runtime().sleep(11 * SECOND).await;
        }
    });
}

#[test]
fn too_many_restarts_crash_the_supervisor_with_its_children_stopped() {
    simulated(1, |system| async move {
        let log = Log::default();
        let mut supervisor = Supervisor::new(Strategy::OneForOne).budget(2, 60 * SECOND);
        let bad = supervisor.add(&system, child("bad", &log)).unwrap();
        let good = supervisor.add(&system, child("good", &log)).unwrap();
        let supervisor = supervisor.spawn(&system);
        let ended = watched(&system, supervisor.pid());
        good.ready().await.unwrap();
        for _ in 0..3 {
            let present = bad.ready().await.unwrap();
            bad.send(Cmd::Panic("again")).await.unwrap();
            system.ended(present.pid()).await;
            system.runtime().sleep(SECOND).await;
        }
        let ExitReason::Crashed(text) = ended.await else { panic!("no crash") };
        assert!(text.contains("\"bad\"") && text.contains("again") && text.contains("2 restarts"), "{text}");
        assert_eq!(system.len(), 0);
        assert_eq!(log.lines().last().unwrap(), "good dropped");
        assert_eq!(good.ready().await, Err(ExitReason::NoProcess));
    });
}

#[test]
fn a_child_that_cannot_start_crashes_a_starting_supervisor() {
    simulated(1, |system| async move {
        let log = Log::default();
        let broken =
            ChildSpec::new("broken", || Scripted::with("x", &Log::default(), |x| x.panic_in_started = true));
        let supervisor = Supervisor::new(Strategy::OneForOne).with(child("first", &log)).unwrap();
        let supervisor = supervisor.with(broken).unwrap().spawn(&system);
        let ExitReason::Crashed(text) = watched(&system, supervisor.pid()).await else { panic!("no crash") };
        assert!(text.contains("\"broken\" did not start: crashed: in started"), "{text}");
        assert_eq!(log.lines(), ["first started", "first stopped: normal", "first dropped"]);
        // The closure may fail as well.
        let broken = ChildSpec::new("broken", || -> Scripted { panic!("no value") });
        let supervisor = Supervisor::new(Strategy::OneForOne).with(broken).unwrap().spawn(&system);
        let ExitReason::Crashed(text) = watched(&system, supervisor.pid()).await else { panic!("no crash") };
        assert!(text.contains("no value"), "{text}");
    });
}

#[test]
fn each_child_has_a_back_off_of_its_own() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let starts = Log::default();
            let mut supervisor = Supervisor::new(Strategy::OneForOne).budget(100, 3600 * SECOND);
            let spec = failing(4, &starts, &system).backoff(SECOND, 3 * SECOND);
            let child = supervisor.add(&system, spec).unwrap();
            supervisor.spawn(&system);
            crash_now(&system, &child).await;
            child.ready().await.unwrap();
            let times: Vec<u64> = starts.lines().iter().map(|line| line.parse().unwrap()).collect();
            let waits_ms: Vec<u64> = times.windows(2).map(|two| (two[1] - two[0]) / 1_000_000).collect();
            let bounds = [0..=0, 1000..=1250, 2000..=2500, 2250..=3000, 2250..=3000];
            assert_eq!(waits_ms.len(), bounds.len());
            assert!(waits_ms.iter().zip(bounds).all(|(wait, bounds)| bounds.contains(wait)), "{waits_ms:?}");
        });
    }
}

#[test]
fn a_crash_in_started_is_a_crash_of_the_child() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let log = Log::default();
            let mut supervisor = Supervisor::new(Strategy::RestForOne).budget(3, 3600 * SECOND);
            let bad = |n| Habits { panics_in_started: n == 2 || n == 3, ..Habits::default() };
            let bad = supervisor.add(&system, member("bad", &log, bad)).unwrap();
            let next = supervisor.add(&system, plain("next", &log)).unwrap();
            let supervisor = supervisor.spawn(&system);
            let old = next.ready().await.unwrap();
            crash_now(&system, &bad).await;
            bad.ready().await.unwrap();
            renewed(&next, old.pid()).await;
            assert_eq!(info(&supervisor, "bad").await.restarts, 3);
            let story = log.lines();
            check_serial(&story);
            // The next one is not started before the one that it follows works.
            let at = |line: &str| story.iter().position(|other| other == line).unwrap();
            assert!(at("bad#3 dropped") < at("bad#4 started") && at("bad#4 started") < at("next#2 made"));
            // Three restarts were the budget.
            let ended = watched(&system, supervisor.pid());
            crash_now(&system, &bad).await;
            assert!(matches!(ended.await, ExitReason::Crashed(text) if text.contains("after 3 restarts")));
        });
    }
}

#[test]
fn a_crash_during_the_stop_is_a_stop() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let log = Log::default();
            // One restart is in the budget: that of the child that failed.
            let mut supervisor = Supervisor::new(Strategy::OneForAll).budget(1, 3600 * SECOND);
            let good = supervisor.add(&system, plain("good", &log)).unwrap();
            let bad = |_| Habits { panics_in_stopped: true, stops_for: MS, ..Habits::default() };
            let bad = supervisor.add(&system, member("bad", &log, bad)).unwrap();
            let supervisor = supervisor.spawn(&system);
            let old = bad.ready().await.unwrap().pid();
            crash_now(&system, &good).await;
            renewed(&bad, old).await;
            let children = supervisor.children().await.unwrap();
            assert_eq!(children.iter().map(|child| child.restarts).collect::<Vec<_>>(), [1, 0]);
            assert_eq!(supervisor.remove("bad").await, Ok(true));
            check_serial(&log.lines());
            supervisor.stop();
            assert_eq!(system.ended(supervisor.pid()).await, ExitReason::Normal);
        });
    }
}

#[test]
fn a_panic_in_the_drop_of_a_child_is_a_crash() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let log = Log::default();
            let mut supervisor = Supervisor::new(Strategy::OneForOne);
            let bad = |n| Habits { panics_in_drop: n == 1, ..Habits::default() };
            let bad = member("bad", &log, bad).restart(Restart::Transient);
            let bad = supervisor.add(&system, bad).unwrap();
            let supervisor = supervisor.spawn(&system);
            let old = bad.ready().await.unwrap().pid();
            // A normal end, but for the drop: a transient child returns.
            bad.send(run(|_| Outcome::Stop)).await.unwrap();
            assert_eq!(system.ended(old).await, ExitReason::crashed("in drop"));
            renewed(&bad, old).await;
            bad.send(run(|_| Outcome::Stop)).await.unwrap();
            assert_eq!(bad.ask(|reply| Cmd::Next(1, reply)).await, Err(AskError::Ended(ExitReason::Normal)));
            assert_eq!(info(&supervisor, "bad").await.restarts, 1);
            check_serial(&log.lines());
        });
    }
}

#[test]
fn a_crash_before_its_turn_to_stop_is_a_stop() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let log = Log::default();
            // One restart is in the budget: that of the child that failed first.
            let mut supervisor = Supervisor::new(Strategy::OneForAll).budget(1, 3600 * SECOND);
            let a = supervisor.add(&system, plain("a", &log)).unwrap();
            let b = supervisor.add(&system, plain("b", &log)).unwrap();
            let slow = |_| Habits { stops_for: SECOND, ..Habits::default() };
            supervisor.add(&system, member("slow", &log, slow)).unwrap();
            let supervisor = supervisor.spawn(&system);
            assert_eq!(supervisor.children().await.unwrap().len(), 3);
            let old = a.pid().unwrap();
            crash_now(&system, &a).await;
            system.runtime().sleep(SECOND / 2).await;
            crash_now(&system, &b).await;
            renewed(&a, old).await;
            b.ready().await.unwrap();
            assert_eq!(info(&supervisor, "b").await.restarts, 0);
            check_serial(&log.lines());
        });
    }
}

#[test]
fn no_mailbox_policy_of_a_supervisor_loses_a_restart() {
    for overflow in [Overflow::Block, Overflow::DropNew, Overflow::DropOld, Overflow::Fail] {
        for seed in 0..SEEDS {
            simulated(seed, |system| async move {
                let log = Log::default();
                let inner = log.clone();
                let nested = ChildSpec::supervisor("nested", move || {
                    let nested = Supervisor::new(Strategy::OneForOne).budget(100, SECOND);
                    ["a", "b", "c"]
                        .into_iter()
                        .fold(nested, |nested, name| nested.with(plain(name, &inner)).unwrap())
                });
                let mailbox = MailboxOptions { capacity: Some(1), overflow, ..MailboxOptions::default() };
                let nested = nested.options(SpawnOptions { mailbox, ..SpawnOptions::default() });
                let mut root = Supervisor::new(Strategy::OneForOne);
                let nested = SupervisorRef::from(root.add(&system, nested).unwrap());
                root.spawn(&system);
                system.runtime().sleep(SECOND).await;
                let mut children = Vec::new();
                for name in ["a", "b", "c"] {
                    children.push(nested.child::<Cmd>(name).await.unwrap().unwrap());
                }
                for _ in 0..3 {
                    for child in &children {
                        assert!(child.try_send(crash()).is_ok());
                    }
                    // Fills the mailbox again and again while the restarts go on.
                    for _ in 0..20 {
                        let nested = nested.clone();
                        let asking = async move { nested.count().await.unwrap_or(0) };
                        system.runtime().spawn(asking).detach();
                        futures_lite::future::yield_now().await;
                    }
                    system.runtime().sleep(SECOND).await;
                }
                assert_eq!(log.lines().iter().filter(|line| line.ends_with("started")).count(), 12);
            });
        }
    }
}

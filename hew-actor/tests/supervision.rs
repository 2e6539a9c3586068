//! Supervisors keep their children running, within limits.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod common;

use common::*;
use hew_actor::*;
use hew_wire::{ExitReason, Pid};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn child(name: &'static str, log: &Log) -> ChildSpec<Cmd> {
    let log = log.clone();
    ChildSpec::new(name, move || Scripted::new(name, &log))
}

/// A supervisor of the children `a`, `b` and `c` with plenty of budget.
async fn family(system: &System, log: &Log, strategy: Strategy) -> (SupervisorRef, Vec<ChildRef<Cmd>>) {
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
        starts.add(format!("{}", (runtime.now() - begin).as_millis()));
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
            let base = 100 << n;
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
fn a_nested_supervisor_that_gives_up_is_made_anew_by_its_parent() {
    simulated(1, |system| async move {
        let log = Log::default();
        let made = Arc::new(AtomicU64::new(0));
        let (inner_log, making) = (log.clone(), made.clone());
        let nested = ChildSpec::new("nested", move || {
            making.fetch_add(1, Ordering::SeqCst);
            let leaf = child("leaf", &inner_log)
                .options(SpawnOptions { serial: Some(9), ..SpawnOptions::default() });
            Supervisor::new(Strategy::OneForOne).budget(1, 60 * SECOND).with(leaf).unwrap()
        });
        let mut parent = Supervisor::new(Strategy::OneForOne);
        let nested = parent.add(&system, nested).unwrap();
        let parent = parent.spawn(&system);
        nested.ready().await.unwrap();
        let leaf = hew_wire::Pid::new(hew_wire::NodeId::LOCAL, 9);
        for _ in 0..2 {
            let actor = system.resolve::<Cmd>(leaf).unwrap();
            actor.send(Cmd::Panic("leaf")).await.unwrap();
            system.runtime().sleep(SECOND / 20).await;
        }
        assert_eq!(made.load(Ordering::SeqCst), 2);
        assert!(system.is_alive(leaf));
        assert!(system.is_alive(parent.pid()));
        // Ordered shutdown: the leaf before its supervisor, that before the parent.
        assert_eq!(system.shutdown(SECOND).await, ShutdownReport { stopped: 3, killed: 0, stuck: 0 });
        assert_eq!(log.lines().last().unwrap(), "leaf dropped");
    });
}

#[test]
fn a_killed_supervisor_takes_its_tree_along() {
    simulated(1, |system| async move {
        let log = Log::default();
        let inner = log.clone();
        let nested = ChildSpec::new("nested", move || {
            Supervisor::new(Strategy::OneForOne).with(child("leaf", &inner)).unwrap()
        });
        let supervisor = Supervisor::new(Strategy::OneForOne).with(nested).unwrap().spawn(&system);
        system.runtime().sleep(SECOND).await;
        assert_eq!(system.len(), 3);
        supervisor.actor().kill();
        system.runtime().sleep(SECOND).await;
        assert_eq!(system.len(), 0, "{:?}", log.lines());
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
fn a_start_hook_that_hangs_and_a_child_that_does_not_stop_are_killed() {
    struct Slow;
    impl Actor for Slow {
        type Message = ();
        async fn started(&mut self, _: &mut Context<()>) -> Outcome {
            std::future::pending().await
        }
        async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
            Outcome::Continue
        }
    }
    let simulation = Simulation::new(1);
    let system = System::new(simulation.runtime(), SystemConfig::default());
    simulation
        .run(async {
            let slow = ChildSpec::new("slow", || Slow).start_deadline(2 * SECOND);
            let supervisor = Supervisor::new(Strategy::OneForOne).with(slow).unwrap().spawn(&system);
            let ExitReason::Crashed(text) = watched(&system, supervisor.pid()).await else {
                panic!("no crash")
            };
            assert!(text.contains("not started within 2s"), "{text}");
            assert_eq!(simulation.elapsed(), 2 * SECOND);

            let log = Log::default();
            let mut supervisor = Supervisor::new(Strategy::OneForOne);
            let busy = supervisor.add(&system, child("busy", &log).stop_deadline(3 * SECOND)).unwrap();
            let supervisor = supervisor.spawn(&system);
            let ended = watched(&system, supervisor.pid());
            busy.send(Cmd::Wait(Gate::default(), Gate::default())).await.unwrap();
            supervisor.stop();
            assert_eq!(ended.await, ExitReason::Normal);
            assert_eq!(simulation.elapsed(), 5 * SECOND);
            assert_eq!(log.lines(), ["busy started", "busy dropped"]);
        })
        .unwrap();
}

#[test]
fn a_new_start_never_overlaps_the_old_end() {
    /// Counts itself while it exists.
    struct Alone(Arc<AtomicU64>);
    impl Drop for Alone {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    impl Actor for Alone {
        type Message = ReplyTo<(u64, Pid)>;
        async fn handle(
            &mut self,
            reply: ReplyTo<(u64, Pid)>,
            context: &mut Context<ReplyTo<(u64, Pid)>>,
        ) -> Outcome {
            reply.send((self.0.load(Ordering::SeqCst), context.pid()));
            if context.runtime().seed().is_multiple_of(2) { Outcome::Stop } else { panic!("one of two") }
        }
        async fn stopped(&mut self, _: &ExitReason, context: &mut Context<ReplyTo<(u64, Pid)>>) {
            context.runtime().sleep(Duration::from_millis(1)).await;
        }
    }
    let story = |system: System| async move {
        let living = Arc::new(AtomicU64::new(0));
        let mut supervisor = Supervisor::new(Strategy::RestForOne).budget(1000, SECOND / 1000);
        let spec = |living: Arc<AtomicU64>| {
            move || {
                assert_eq!(living.fetch_add(1, Ordering::SeqCst), 0, "two at once");
                Alone(living.clone())
            }
        };
        let child = supervisor.add(&system, ChildSpec::new("alone", spec(living.clone()))).unwrap();
        let supervisor = supervisor.spawn(&system);
        let ended = watched(&system, supervisor.pid());
        for _ in 0..30 {
            let (living, pid) = child.ask_within(PATIENCE, |reply| reply).await.unwrap();
            assert_eq!(living, 1);
            // A question to one that has answered and not yet ended would be lost.
            system.ended(pid).await;
            // Long enough to be counted as having lived, so that restarts stay immediate.
            system.runtime().sleep(Duration::from_millis(2)).await;
        }
        supervisor.stop();
        assert_eq!(ended.await, ExitReason::Normal);
    };
    for seed in 0..10 {
        simulated(seed, story);
    }
    threaded(2, story);
}

#[test]
fn children_come_and_go_while_the_supervisor_runs() {
    simulated(1, |system| async move {
        let log = Log::default();
        let (supervisor, children) = family(&system, &log, Strategy::OneForOne).await;
        log.take();
        let d = supervisor.add(child("d", &log)).await.unwrap();
        assert_eq!(d.ask(|reply| Cmd::Next(1, reply)).await, Ok(2));
        assert_eq!(supervisor.add(child("d", &log)).await.unwrap_err(), AddChildError::NameTaken("d".into()));
        assert_eq!(supervisor.remove("b").await, Ok(true));
        assert_eq!(supervisor.remove("b").await, Ok(false));
        assert_eq!(log.take(), ["d started", "b stopped: normal", "b dropped"]);
        assert_eq!(children[1].ready().await, Err(ExitReason::NoProcess));
        // The others are where they were.
        for child in [&children[0], &children[2], &d] {
            child.send(Cmd::Panic("boom")).await.unwrap();
            system.runtime().sleep(SECOND).await;
            assert!(child.actor().is_some());
        }
        let broken =
            ChildSpec::new("broken", || Scripted::with("x", &Log::default(), |x| x.panic_in_started = true));
        let error = supervisor.add(broken).await.unwrap_err();
        assert!(matches!(&error, AddChildError::NotStarted { .. }), "{error}");
        let names: Vec<_> =
            supervisor.children().await.unwrap().into_iter().map(|child| child.name).collect();
        assert_eq!(names, ["a", "c", "d"]);
    });
}

#[test]
fn a_child_reference_follows_its_child_through_crashes() {
    let story = |system: System| async move {
        let log = Log::default();
        let mut supervisor = Supervisor::new(Strategy::OneForOne).budget(1000, SECOND / 1_000_000);
        let child = supervisor.add(&system, child("c", &log)).unwrap();
        supervisor.spawn(&system);
        for n in 0..200 {
            if n % 10 == 0 {
                child.send(run(|_| Outcome::Crash("now and then".into()))).await.unwrap();
            }
            // Each is taken by somebody: no message is refused because a child is away.
            child.send(Cmd::Note(n)).await.unwrap();
        }
        // Behind a crash in the same mailbox a question is lost, and its asker hears of it.
        let mut asked = 1;
        while let Err(error) = child.ask_within(PATIENCE, |reply| Cmd::Next(1, reply)).await {
            assert_eq!(error, AskError::Ended(ExitReason::crashed("now and then")));
            asked += 1;
        }
        let count = |what: fn(&&String) -> bool| log.lines().iter().filter(what).count() as u64;
        let notes = count(|line| line.as_bytes()[2].is_ascii_digit());
        let crashes = count(|line| line.contains("stopped: crashed"));
        // 200 notes, 20 crashes and the questions: handled, answered once, or counted.
        assert_eq!(notes + crashes + 1 + system.dead_letters().stopped, 220 + asked);
    };
    for seed in 0..10 {
        simulated(seed, story);
    }
    threaded(2, story);
}

//! A child that crashes too often is left alone for a while.

use super::*;

const LIMITS: CircuitBreaker =
    CircuitBreaker { crashes_max: 2, window: Duration::from_secs(10), cooldown: Duration::from_secs(60) };

/// Crashes the child until its circuit opens.
async fn open(system: &System, supervisor: &SupervisorRef, child: &ChildRef<Cmd>) {
    for _ in 0..=LIMITS.crashes_max {
        crash_now(system, child).await;
        system.runtime().sleep(SECOND / 2).await;
    }
    assert_eq!(info(supervisor, "bad").await.circuit, Circuit::Open);
}

#[test]
fn a_circuit_opens_is_tried_and_closes() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let (log, runtime) = (Log::default(), system.runtime().clone());
            // Three restarts are in the budget: neither an open circuit nor a try costs any.
            let mut supervisor = Supervisor::new(Strategy::OneForOne).budget(3, 3600 * SECOND);
            let bad = plain("bad", &log).circuit_breaker(LIMITS);
            let bad = supervisor.add(&system, bad).unwrap();
            let supervisor = supervisor.spawn(&system);
            assert_eq!(info(&supervisor, "bad").await.circuit, Circuit::Closed);
            open(&system, &supervisor, &bad).await;
            let opened = runtime.now();
            assert_eq!(info(&supervisor, "bad").await.state, ChildState::Waiting);

            // Tried after the cooldown, not earlier; fails on trial, and is left alone again.
            for _ in 0..2 {
                assert_eq!(bad.actor(), None);
                runtime.sleep(LIMITS.cooldown - SECOND).await;
                assert_eq!(bad.actor(), None);
                runtime.sleep(SECOND).await;
                bad.ready().await.unwrap();
                assert_eq!(info(&supervisor, "bad").await.circuit, Circuit::HalfOpen);
                runtime.sleep(LIMITS.window - SECOND).await;
                assert_eq!(info(&supervisor, "bad").await.circuit, Circuit::HalfOpen);
                crash_now(&system, &bad).await;
                runtime.sleep(MS).await;
                assert_eq!(info(&supervisor, "bad").await.circuit, Circuit::Open);
            }
            assert!(runtime.now() - opened > 2 * LIMITS.cooldown);

            // Survives the trial.
            let tried = runtime.now();
            bad.ready().await.unwrap();
            assert!(runtime.now() - tried > LIMITS.cooldown - SECOND);
            runtime.sleep(LIMITS.window).await;
            assert_eq!(info(&supervisor, "bad").await.circuit, Circuit::Closed);
            assert_eq!(log.lines().iter().filter(|line| line.ends_with("made")).count(), 6);
            // Closed it does cost budget: the last restart, and then there is none left.
            crash_now(&system, &bad).await;
            bad.ready().await.unwrap();
            let ended = watched(&system, supervisor.pid());
            crash_now(&system, &bad).await;
            let ExitReason::Crashed(text) = ended.await else { panic!("no crash") };
            assert!(text.contains("after 3 restarts"), "{text}");
            check_serial(&log.lines());
        });
    }
}

#[test]
fn a_breaker_does_not_disturb_siblings() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        for seed in 0..SEEDS {
            simulated(seed, |system| async move {
                let log = Log::default();
                let mut supervisor = Supervisor::new(strategy);
                let before = supervisor.add(&system, plain("before", &log)).unwrap();
                let bad = plain("bad", &log).circuit_breaker(CircuitBreaker { crashes_max: 0, ..LIMITS });
                let bad = supervisor.add(&system, bad).unwrap();
                let after = supervisor.add(&system, plain("after", &log)).unwrap();
                let supervisor = supervisor.spawn(&system);
                let siblings = [before.ready().await.unwrap(), after.ready().await.unwrap()];
                for _ in 0..5 {
                    // Opens the circuit, each time from the trial.
                    crash_now(&system, &bad).await;
                    system.runtime().sleep(LIMITS.cooldown / 2).await;
                    assert_eq!(info(&supervisor, "bad").await.circuit, Circuit::Open);
                    for (sibling, place) in siblings.iter().zip([&before, &after]) {
                        assert_eq!(sibling.ask(|reply| Cmd::Next(1, reply)).await, Ok(2));
                        assert_eq!(place.pid(), Some(sibling.pid()));
                    }
                }
                // A sibling that crashes is restarted without waiting for the one that is down.
                crash_now(&system, &before).await;
                system.runtime().sleep(MS).await;
                assert_ne!(before.ready().await.unwrap().pid(), siblings[0].pid());
                assert!(after.actor().is_some());
                assert_eq!(bad.actor(), None);
                bad.ready().await.unwrap();
                check_serial(&log.lines());
            });
        }
    }
}

#[test]
fn references_wait_for_an_open_circuit() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let log = Log::default();
            let mut supervisor = Supervisor::new(Strategy::OneForOne);
            let bad = supervisor.add(&system, plain("bad", &log).circuit_breaker(LIMITS)).unwrap();
            let supervisor = supervisor.spawn(&system);
            open(&system, &supervisor, &bad).await;
            let opened = system.runtime().now();
            let Err(TrySendError::Full(Cmd::Note(7))) = bad.try_send(Cmd::Note(7)) else { panic!("taken") };
            let question = |reply| Cmd::Next(1, reply);
            assert_eq!(bad.ask_within(5 * SECOND, question).await, Err(AskError::Timeout));
            assert_eq!(system.runtime().now() - opened, 5 * SECOND);
            assert_eq!(bad.ask_within(LIMITS.cooldown, question).await, Ok(2));
            bad.send(Cmd::Note(8)).await.unwrap();
        });
    }
}

#[test]
fn a_failed_start_counts_as_a_crash() {
    simulated(1, |system| async move {
        let log = Log::default();
        let mut supervisor = Supervisor::new(Strategy::OneForOne);
        let bad = member("bad", &log, |n| Habits { panics_in_started: n > 1 && n < 5, ..Habits::default() });
        let bad = supervisor.add(&system, bad.circuit_breaker(LIMITS)).unwrap();
        let supervisor = supervisor.spawn(&system);
        crash_now(&system, &bad).await;
        // The crash and two starts that fail; then one on trial, that fails too.
        system.runtime().sleep(10 * SECOND).await;
        assert_eq!(info(&supervisor, "bad").await.circuit, Circuit::Open);
        assert_eq!(log.lines().last().unwrap(), "bad#3 dropped");
        system.runtime().sleep(LIMITS.cooldown).await;
        assert_eq!(info(&supervisor, "bad").await.circuit, Circuit::Open);
        assert_eq!(log.lines().last().unwrap(), "bad#4 dropped");
        bad.ready().await.unwrap();
        assert_eq!(info(&supervisor, "bad").await.circuit, Circuit::HalfOpen);
    });
}

#[test]
fn a_normal_end_is_no_crash_for_a_breaker() {
    simulated(1, |system| async move {
        let log = Log::default();
        let mut supervisor = Supervisor::new(Strategy::OneForOne);
        let child = plain("child", &log).circuit_breaker(CircuitBreaker { crashes_max: 0, ..LIMITS });
        let child = supervisor.add(&system, child).unwrap();
        let supervisor = supervisor.spawn(&system);
        for _ in 0..3 {
            let old = child.ready().await.unwrap();
            old.send(run(|_| Outcome::Stop)).await.unwrap();
            renewed(&child, old.pid()).await;
            assert_eq!(info(&supervisor, "child").await.circuit, Circuit::Closed);
        }
    });
}

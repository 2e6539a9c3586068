//! Stopping, killing, closing, and shutting everything down.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod common;

use common::*;
use hew_actor::*;
use hew_wire::ExitReason;
use std::time::Duration;

/// An actor inside a handler that waits at a gate, with `notes` messages behind it.
async fn busy(system: &System, log: &Log, notes: u64) -> (ActorRef<Cmd>, Gate) {
    let actor = system.spawn(Scripted::new("a", log));
    let (entered, gate) = (Gate::default(), Gate::default());
    actor.send(Cmd::Wait(entered.clone(), gate.clone())).await.unwrap();
    entered.wait().await;
    for n in 0..notes {
        actor.send(Cmd::Note(n)).await.unwrap();
    }
    (actor, gate)
}

#[test]
fn stop_lets_the_message_at_hand_finish_and_overtakes_the_rest() {
    simulated(1, |system| async move {
        let log = Log::default();
        let (actor, gate) = busy(&system, &log, 3).await;
        actor.stop();
        actor.stop();
        system.runtime().sleep(Duration::from_secs(1)).await;
        assert!(system.is_alive(actor.pid()));
        gate.open();
        assert_eq!(system.ended(actor.pid()).await, ExitReason::Normal);
        assert_eq!(log.lines(), ["a started", "a stopped: normal", "a dropped"]);
        assert_eq!(system.dead_letters().stopped, 3);
    });
}

#[test]
fn stop_between_two_messages_of_a_batch_leaves_the_second_unhandled() {
    simulated(2, |system| async move {
        let log = Log::default();
        let actor = system.spawn(Scripted::new("a", &log));
        actor.send(Cmd::Note(1)).await.unwrap();
        actor
            .send(run(|context| {
                context.stop();
                Outcome::Continue
            }))
            .await
            .unwrap();
        actor.send(Cmd::Note(2)).await.unwrap();
        system.ended(actor.pid()).await;
        assert_eq!(log.lines(), ["a started", "a 1", "a stopped: normal", "a dropped"]);
        assert_eq!(system.dead_letters().stopped, 1);
    });
}

#[test]
fn kill_cuts_a_handler_at_its_await_and_runs_no_hook() {
    for threads in [false, true] {
        let story = |system: System| async move {
            let log = Log::default();
            let (actor, _gate) = busy(&system, &log, 2).await;
            let ended = watched(&system, actor.pid());
            actor.kill();
            assert_eq!(ended.await, ExitReason::Killed);
            assert_eq!(log.lines(), ["a started", "a dropped"]);
            assert_eq!(system.dead_letters().stopped, 2);
            assert!(!system.kill(actor.pid()));
        };
        if threads { threaded(2, story) } else { simulated(3, story) }
    }
}

#[test]
fn kill_reaches_an_idle_actor_and_one_that_never_started() {
    simulated(4, |system| async move {
        let idle = system.spawn(Scripted::default());
        settled(&idle).await;
        idle.kill();
        assert_eq!(system.ended(idle.pid()).await, ExitReason::Killed);
        let fresh = system.spawn(Scripted::default());
        fresh.kill();
        assert_eq!(system.ended(fresh.pid()).await, ExitReason::Killed);
    });
}

#[test]
fn close_refuses_new_messages_and_handles_those_that_wait() {
    simulated(5, |system| async move {
        let log = Log::default();
        let (actor, gate) = busy(&system, &log, 3).await;
        actor.close();
        let Err(TrySendError::Closed { reason: ExitReason::Normal, .. }) = actor.try_send(Cmd::Note(9))
        else {
            panic!("sent to a closed mailbox")
        };
        gate.open();
        assert_eq!(system.ended(actor.pid()).await, ExitReason::Normal);
        assert_eq!(log.lines(), ["a started", "a 0", "a 1", "a 2", "a stopped: normal", "a dropped"]);
        assert_eq!(system.dead_letters(), DeadLetters::default());
        // Closing an idle actor ends it too.
        let idle = system.spawn(Scripted::default());
        settled(&idle).await;
        idle.close();
        assert_eq!(system.ended(idle.pid()).await, ExitReason::Normal);
    });
}

#[test]
fn the_lifecycle_can_be_observed() {
    simulated(6, |system| async move {
        let log = Log::default();
        let actor = system.spawn(Scripted::new("a", &log));
        let pid = actor.pid();
        assert_eq!(system.lifecycle(pid), Some(Lifecycle::Runnable));
        system.runtime().sleep(Duration::from_secs(1)).await;
        assert_eq!(system.lifecycle(pid), Some(Lifecycle::Idle));
        let (entered, gate) = (Gate::default(), Gate::default());
        actor.send(Cmd::Wait(entered.clone(), gate.clone())).await.unwrap();
        assert_eq!(system.lifecycle(pid), Some(Lifecycle::Runnable));
        entered.wait().await;
        assert_eq!(system.lifecycle(pid), Some(Lifecycle::Running));
        gate.open();
        actor.stop();
        system.ended(pid).await;
        assert_eq!(system.lifecycle(pid), None);
    });
}

#[test]
fn shutdown_stops_everyone_and_refuses_new_ones() {
    let check = |system: System| async move {
        let log = Log::default();
        let actors: Vec<_> = (0..50).map(|_| system.spawn(Scripted::new("a", &log))).collect();
        let report = system.shutdown(Duration::from_secs(10)).await;
        assert_eq!(report, ShutdownReport { stopped: 50, killed: 0, stuck: 0 });
        assert_eq!(system.len(), 0);
        assert_eq!(log.lines().iter().filter(|line| line.ends_with("dropped")).count(), 50);
        assert_eq!(
            system.spawn_with(Scripted::default(), SpawnOptions::default()).unwrap_err(),
            SpawnError::ShuttingDown
        );
        let late = system.spawn(Scripted::default());
        assert!(late.send(Cmd::Note(1)).await.is_err());
        assert_ne!(late.pid(), actors[0].pid());
        assert_eq!(system.ended(late.pid()).await, ExitReason::NoProcess);
    };
    simulated(7, check);
    threaded(2, check);
}

#[test]
fn shutdown_kills_what_does_not_stop_in_time() {
    let simulation = Simulation::new(8);
    let system = System::new(simulation.runtime(), SystemConfig::default());
    simulation
        .run(async {
            let log = Log::default();
            let (actor, _gate) = busy(&system, &log, 0).await;
            let easy = system.spawn(Scripted::default());
            let report = system.shutdown(Duration::from_secs(3)).await;
            assert_eq!(report, ShutdownReport { stopped: 2, killed: 1, stuck: 0 });
            assert_eq!(simulation.elapsed(), Duration::from_secs(3));
            assert!(!system.is_alive(actor.pid()) && !system.is_alive(easy.pid()));
        })
        .unwrap();
}

#[test]
fn actors_of_a_runtime_that_is_shut_down_end_as_killed() {
    let runtime = Runtime::start(RuntimeConfig { workers: 2, ..RuntimeConfig::default() }).unwrap();
    let system = System::new(runtime.clone(), SystemConfig::default());
    let log = Log::default();
    let idle = system.spawn(Scripted::new("idle", &log));
    let holding = system.spawn(Scripted::new("holding", &log));
    let entered = Gate::default();
    // Asked from another runtime, which goes on.
    let other = Runtime::start(RuntimeConfig { workers: 1, ..RuntimeConfig::default() }).unwrap();
    let ask = other.spawn({
        let (holding, entered) = (holding.clone(), entered.clone());
        async move { holding.ask_within(PATIENCE, |reply| Cmd::Hold(entered, reply)).await }
    });
    let idle_ended = other.spawn({
        let (system, pid) = (system.clone(), idle.pid());
        async move { system.ended(pid).await }
    });
    other.block_on(entered.wait());
    other.block_on(settled(&idle));
    runtime.shutdown();
    assert_eq!(other.block_on(ask), Err(AskError::Ended(ExitReason::Killed)));
    let reason = other.block_on(idle_ended);
    assert!(matches!(reason, ExitReason::Killed | ExitReason::NoProcess), "{reason}");
    assert_eq!(system.len(), 0);
    assert!(matches!(
        idle.try_send(Cmd::Note(1)),
        Err(TrySendError::Closed { reason: ExitReason::Killed, .. })
    ));
    assert_eq!(log.lines().iter().filter(|line| line.ends_with("dropped")).count(), 2);
    assert!(system.spawn(Scripted::default()).try_send(Cmd::Note(1)).is_err());
    other.shutdown();
}

#[test]
fn a_timer_sends_later_unless_cancelled_or_the_actor_ended() {
    let simulation = Simulation::new(9);
    let system = System::new(simulation.runtime(), SystemConfig::default());
    let log = Log::default();
    let actor = system.spawn(Scripted::new("a", &log));
    let second = Duration::from_secs(1);
    let kept = actor.send_after(second, Cmd::Note(1));
    let cancelled = actor.send_after(second, Cmd::Note(2));
    let too_late = actor.send_after(3 * second, Cmd::Note(3));
    assert!(cancelled.cancel());
    assert!(!cancelled.cancel());
    simulation.run_for(2 * second).unwrap();
    assert!(!kept.cancel() && !kept.is_pending());
    assert_eq!(log.take(), ["a started", "a 1"]);
    actor.stop();
    simulation.run_for(2 * second).unwrap();
    assert!(!too_late.is_pending());
    assert_eq!(log.take(), ["a stopped: normal", "a dropped"]);
    assert_eq!(system.dead_letters().timers, 1);
}

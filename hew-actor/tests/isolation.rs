//! A failure stays in the actor that failed.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod common;

use common::*;
use hew_actor::*;
use hew_wire::ExitReason;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

type Setting = fn(&mut Scripted);

#[test]
fn a_panic_anywhere_ends_that_actor_only_and_is_the_reason() {
    let nothing: Setting = |_| {};
    let cases: [(&str, Setting, &str, bool); 6] = [
        ("handler", nothing, "in handler", true),
        ("started", |a| a.panic_in_started = true, "in started", false),
        ("stopped", |a| a.panic_in_stopped = true, "in stopped", false),
        ("drop", |a| a.panic_in_drop = true, "in drop", false),
        ("stopped and drop", |a| (a.panic_in_stopped, a.panic_in_drop) = (true, true), "in stopped", false),
        ("handler and drop", |a| a.panic_in_drop = true, "in handler", true),
    ];
    let check = |system: System| async move {
        let log = Log::default();
        let other = system.spawn(Scripted::new("other", &log));
        for (place, setting, text, in_handler) in cases {
            let actor = system.spawn(Scripted::with("a", &log, setting));
            let pid = actor.pid();
            let ended = watched(&system, pid);
            // The start hook may have failed before the watch was in place.
            let _ =
                actor.send(if in_handler { Cmd::Panic("in handler") } else { run(|_| Outcome::Stop) }).await;
            let reason = ended.await;
            let expected = ExitReason::crashed(text);
            assert!(
                reason == expected || (place == "started" && reason == ExitReason::NoProcess),
                "{place}: {reason}"
            );
            assert!(!system.is_alive(pid), "{place}");
            settled(&other).await;
        }
        assert_eq!(system.len(), 1);
    };
    for seed in 0..10 {
        simulated(seed, check);
    }
    threaded(1, check);
    threaded(2, check);
}

#[test]
fn hooks_run_in_order_and_the_value_is_dropped_before_anyone_hears() {
    simulated(1, |system| async move {
        let log = Log::default();
        let watching = log.clone();
        let actor = system.spawn(Scripted::new("a", &log));
        system.watch(actor.pid(), move |_, reason| watching.add(format!("watched: {reason}")));
        actor.send(Cmd::Note(1)).await.unwrap();
        actor.send(Cmd::Panic("boom")).await.unwrap();
        actor.send(Cmd::Note(2)).await.unwrap();
        system.ended(actor.pid()).await;
        let expected =
            ["a started", "a 1", "a stopped: crashed: boom", "a dropped", "watched: crashed: boom"];
        assert_eq!(log.lines(), expected);
        assert_eq!(system.dead_letters().stopped, 1);
    });
}

#[test]
fn a_message_that_panics_when_dropped_hurts_nobody() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a message explodes");
        }
    }
    struct Keeper;
    impl Actor for Keeper {
        type Message = Option<Bomb>;
        async fn handle(&mut self, bomb: Option<Bomb>, _: &mut Context<Option<Bomb>>) -> Outcome {
            if bomb.is_none() { Outcome::Stop } else { Outcome::Continue }
        }
    }
    let check = |system: System| async move {
        // In the handler: its own.
        let actor = system.spawn(Keeper);
        let ended = system.ended(actor.pid());
        actor.send(Some(Bomb)).await.unwrap();
        ended.await;
        // Left in the mailbox at the end: nobody's, and all are counted.
        let actor = system.spawn(Keeper);
        actor.try_send(None).unwrap();
        let before = system.dead_letters().stopped;
        let mut waiting = 0;
        for _ in 0..5 {
            match actor.try_send(Some(Bomb)) {
                Ok(()) => waiting += 1,
                // It has ended already; this one is ours to leave alone.
                Err(error) => drop(Box::leak(Box::new(error.into_message()))),
            }
        }
        system.ended(actor.pid()).await;
        assert_eq!(system.dead_letters().stopped - before, waiting);
        // Dropped for a newer one.
        let mailbox = MailboxOptions {
            capacity: Some(1),
            overflow: Overflow::DropOld,
            coalesce: None,
            ..MailboxOptions::default()
        };
        let actor = system.spawn_with(Keeper, SpawnOptions { mailbox, ..SpawnOptions::default() }).unwrap();
        for _ in 0..3 {
            if let Err(error) = actor.try_send(Some(Bomb)) {
                Box::leak(Box::new(error.into_message()));
            }
        }
    };
    for seed in 0..10 {
        simulated(seed, check);
    }
    threaded(2, check);
}

#[test]
fn workers_survive_panics() {
    threaded(1, |system| async move {
        for _ in 0..50 {
            let actor = system.spawn(Scripted::with("a", &Log::default(), |a| a.panic_in_drop = true));
            actor.send(Cmd::Panic("again")).await.unwrap();
        }
        system.runtime().spawn(async { panic!("in a task") }).detach();
        let actor = system.spawn(Scripted::default());
        settled(&actor).await;
    });
}

#[test]
fn a_watch_that_panics_does_not_keep_others_from_hearing() {
    simulated(2, |system| async move {
        let heard = Arc::new(AtomicU64::new(0));
        let actor = system.spawn(Scripted::default());
        for n in 0..4 {
            let heard = heard.clone();
            system.watch(actor.pid(), move |_, _| {
                assert!(n % 2 == 0, "every other watch fails");
                heard.fetch_add(1, Ordering::SeqCst);
            });
        }
        actor.stop();
        system.ended(actor.pid()).await;
        assert_eq!(heard.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_handler_that_awaits_keeps_no_worker() {
    threaded(1, |system| async move {
        let sleepers: Vec<_> = (0..100).map(|_| system.spawn(Scripted::default())).collect();
        let gate = Gate::default();
        for sleeper in &sleepers {
            sleeper.send(Cmd::Wait(Gate::default(), gate.clone())).await.unwrap();
        }
        let other = system.spawn(Scripted::default());
        let answer = other.ask_within(Duration::from_secs(20), |reply| Cmd::Next(1, reply)).await;
        assert_eq!(answer, Ok(2));
        gate.open();
    });
}

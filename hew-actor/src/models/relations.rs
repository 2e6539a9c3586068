//! Monitors, links and watches against the end of an actor.

use super::check;
use super::stage::{Ear, Heard, Memory, Notes, Stage, Tell};
use crate::actor::Signal;
use crate::reference::ActorRef;
use hew_wire::Pid;
use loom::thread::spawn;
use std::sync::Arc;

/// An actor that notes what it hears, and one whose end it is to hear of; both wait for messages.
struct Pair {
    stage: Arc<Stage>,
    notes: Notes,
    ear: ActorRef<Tell>,
    other: ActorRef<Tell>,
}

impl Pair {
    fn new() -> Pair {
        let (stage, notes) = (Stage::new(), Notes::default());
        let (ear, other) =
            (stage.system.spawn(Ear(notes.clone())), stage.system.spawn(Ear(Notes::default())));
        stage.run();
        Pair { stage, notes, ear, other }
    }

    /// Ends the other actor on a thread of its own while this one does `act`, and lets everything happen that follows.
    fn end_while(&self, act: impl FnOnce(Pid)) -> Vec<Heard> {
        let (stage, other) = (self.stage.clone(), self.other.clone());
        let ending = spawn(move || {
            other.kill();
            stage.run();
        });
        act(self.other.pid());
        self.stage.run();
        ending.join().unwrap();
        self.stage.run();
        assert!(!self.stage.system.is_alive(self.other.pid()));
        self.notes.lock().unwrap().clone()
    }

    fn tell(&self, what: Tell) {
        assert!(self.ear.try_send(what).is_ok());
    }
}

fn downs(heard: &[Heard]) -> usize {
    heard.iter().filter(|heard| matches!(heard, Heard::Signal(Signal::Down { .. }))).count()
}

fn exits(heard: &[Heard]) -> usize {
    heard.iter().filter(|heard| matches!(heard, Heard::Signal(Signal::Exit { .. }))).count()
}

/// What was heard before and after the actor forgot about the other, and whether it still had something to forget.
fn around_forgetting(heard: &[Heard]) -> (usize, usize, bool) {
    let place = heard.iter().position(|heard| matches!(heard, Heard::Forgot(_))).expect("it was told to");
    (place, heard.len() - place - 1, heard[place] == Heard::Forgot(true))
}

/// Monitoring against the end: one signal, neither none nor two.
#[test]
fn a_monitor_made_while_its_target_ends_fires_once() {
    check(|| {
        let pair = Pair::new();
        let heard = pair.end_while(|target| {
            pair.stage.system.monitor(pair.ear.pid(), target);
        });
        assert_eq!((downs(&heard), heard.len()), (1, 1));
    });
}

/// A watch with a callback against the end: called once; and never after it was taken back.
#[test]
fn a_watch_is_called_once_or_taken_back() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    check(|| {
        let pair = Pair::new();
        let calls = Arc::new(AtomicUsize::new(0));
        let counting = calls.clone();
        let mut taken_back = None;
        pair.end_while(|target| {
            let monitor = pair.stage.system.watch(target, move |_, _| {
                counting.fetch_add(1, Ordering::Relaxed);
            });
            taken_back = Some(pair.stage.system.unwatch(monitor));
        });
        assert_eq!(calls.load(Ordering::Relaxed), usize::from(taken_back == Some(false)));
    });
}

/// Demonitoring against the end: after it no signal arrives, and one came before if there was nothing left to remove.
#[test]
fn nothing_is_heard_of_a_monitor_after_it_was_removed() {
    check(|| {
        let pair = Pair::new();
        let monitor = pair.stage.system.monitor(pair.ear.pid(), pair.other.pid());
        let heard = pair.end_while(|_| pair.tell(Tell::Forget(monitor)));
        let (before, after, removed) = around_forgetting(&heard);
        assert_eq!(after, 0, "{heard:?}");
        assert!(before == 0 || !removed, "{heard:?}");
    });
}

/// Unlinking against the end: after it no signal arrives.
#[test]
fn nothing_is_heard_of_a_link_after_it_was_removed() {
    check(|| {
        let pair = Pair::new();
        pair.stage.system.link(pair.ear.pid(), pair.other.pid());
        let heard = pair.end_while(|other| pair.tell(Tell::Unlink(other)));
        let (before, after, _) = around_forgetting(&heard);
        assert!(before <= 1 && after == 0, "{heard:?}");
    });
}

/// Linking against the end, from the side that lives: one signal.
#[test]
fn a_link_made_while_the_other_ends_signals_once() {
    check(|| {
        let pair = Pair::new();
        let heard = pair.end_while(|other| pair.stage.system.link(pair.ear.pid(), other));
        assert_eq!((exits(&heard), heard.len()), (1, 1));
    });
}

/// The same with the sides exchanged, as the relations of both are not changed in one step.
#[test]
fn a_link_made_by_the_one_that_ends_signals_once() {
    check(|| {
        let pair = Pair::new();
        let heard = pair.end_while(|other| pair.stage.system.link(other, pair.ear.pid()));
        assert_eq!((exits(&heard), heard.len()), (1, 1));
    });
}

/// Both of a link end at once: nobody waits for the other, one of them may hear of it, and both are freed.
#[test]
fn two_linked_actors_may_end_at_once() {
    check(|| {
        let pair = Pair::new();
        pair.stage.system.link(pair.ear.pid(), pair.other.pid());
        let memory = [pair.stage.memory(pair.ear.pid()), pair.stage.memory(pair.other.pid())];
        let heard = pair.end_while(|_| pair.ear.kill());
        assert!(exits(&heard) <= 1 && pair.stage.system.is_empty());
        drop(pair);
        assert!(memory.iter().all(Memory::is_freed));
    });
}

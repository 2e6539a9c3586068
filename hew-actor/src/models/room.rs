//! Waiting for room in a full mailbox.

use super::stage::{Ear, Heard, Notes, Stage, Tell};
use super::{block_on, check};
use crate::mailbox::BULK_MIN;
use crate::options::{MailboxOptions, SpawnOptions};
use crate::reference::ActorRef;
use loom::thread::{JoinHandle, spawn};
use std::sync::Arc;

/// An actor whose mailbox is full, and which is in the run queue.
fn full(stage: &Stage, capacity: usize) -> (ActorRef<Tell>, Notes) {
    let notes = Notes::default();
    let mailbox = MailboxOptions { capacity: Some(capacity), ..MailboxOptions::default() };
    let options = SpawnOptions { mailbox, ..SpawnOptions::default() };
    let actor = stage.system.spawn_with(Ear(notes.clone()), options).unwrap();
    (0..capacity).for_each(|n| assert!(actor.try_send(Tell::Note(n as u32)).is_ok()));
    (actor, notes)
}

/// Waits for room on a thread, which then runs what is ready; whether the message was sent.
fn send(stage: &Arc<Stage>, actor: &ActorRef<Tell>, message: u32) -> JoinHandle<bool> {
    let (stage, actor) = (stage.clone(), actor.clone());
    spawn(move || {
        let sent = block_on(actor.send(Tell::Note(message))).is_ok();
        stage.run();
        sent
    })
}

fn sum(notes: &Notes) -> u32 {
    notes.lock().unwrap().iter().map(|heard| if let Heard::Message(n) = heard { *n } else { 0 }).sum()
}

/// A sender that announces that it waits, against the consumer that makes room: it is told.
#[test]
fn a_sender_that_waits_for_room_is_told() {
    check(|| {
        let stage = Stage::new();
        let (actor, notes) = full(&stage, 1);
        let sender = send(&stage, &actor, 10);
        stage.run();
        assert!(sender.join().unwrap());
        assert_eq!((sum(&notes), notes.lock().unwrap().len()), (10, 2));
    });
}

/// Two senders and one place after the other: none of them waits for ever.
#[test]
fn two_senders_that_wait_for_one_place_are_told_one_by_one() {
    check(|| {
        let stage = Stage::new();
        let (actor, notes) = full(&stage, 1);
        let senders = [send(&stage, &actor, 10), send(&stage, &actor, 100)];
        stage.run();
        assert!(senders.into_iter().all(|sender| sender.join().unwrap()));
        assert_eq!((sum(&notes), notes.lock().unwrap().len()), (110, 3));
    });
}

/// The same for a mailbox whose messages are taken many at a time, and whose room comes back in steps.
#[test]
fn a_sender_is_told_when_room_comes_back_in_steps() {
    check(|| {
        let stage = Stage::new();
        let (actor, notes) = full(&stage, BULK_MIN);
        let sender = send(&stage, &actor, 1000);
        stage.run();
        assert!(sender.join().unwrap());
        assert_eq!(notes.lock().unwrap().len(), BULK_MIN + 1);
    });
}

/// A sender waits while the actor ends: it hears so, or its message was taken in time.
#[test]
fn a_sender_that_waits_hears_of_the_end() {
    check(|| {
        let stage = Stage::new();
        let (actor, notes) = full(&stage, 1);
        let sender = send(&stage, &actor, 10);
        actor.stop();
        stage.run();
        let sent = sender.join().unwrap();
        let lost = stage.system.dead_letters().messages() as usize;
        assert_eq!(notes.lock().unwrap().len() + lost, 1 + usize::from(sent));
    });
}

/// A sender waits while the actor is told to end after what waits: it hears so, or its message was taken in time.
#[test]
fn a_sender_that_waits_hears_that_the_actor_drains() {
    check(|| {
        let stage = Stage::new();
        let (actor, notes) = full(&stage, 1);
        let sender = send(&stage, &actor, 10);
        actor.close();
        let sent = sender.join().unwrap();
        stage.run();
        assert_eq!(notes.lock().unwrap().len(), 1 + usize::from(sent));
    });
}

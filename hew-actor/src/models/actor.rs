//! Whole actors: their turns, their memory and their hooks, on two threads that both run what is ready.

use super::check;
use super::stage::{Ear, Heard, Notes, Stage, Tell};
use crate::actor::{Actor, Outcome};
use crate::context::Context;
use crate::options::SpawnOptions;
use loom::sync::Mutex as LoomMutex;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread::spawn;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

/// Sends from two threads to an actor that parks, and its end: each message is handled or counted, the actor is freed by
/// the last reference, and not before.
#[test]
fn a_parked_actor_leaves_one_reference_to_who_wakes_it() {
    check(|| {
        let (stage, notes) = (Stage::new(), Notes::default());
        let actor = stage.system.spawn(Ear(notes.clone()));
        stage.run();
        let memory = stage.memory(actor.pid());
        let (other, far) = (stage.clone(), actor.clone());
        let thread = spawn(move || {
            let sent = far.try_send(Tell::Note(1)).is_ok();
            drop(far);
            other.run();
            sent
        });
        assert!(actor.try_send(Tell::Note(2)).is_ok());
        stage.run();
        actor.stop();
        assert!(!memory.is_freed());
        drop(actor);
        stage.run();
        let sent = thread.join().unwrap();
        stage.run();
        let lost = stage.system.dead_letters().messages() as usize;
        assert_eq!(notes.lock().unwrap().len() + lost, 1 + usize::from(sent));
        assert!(memory.is_freed() && stage.system.is_empty());
        assert_eq!(Arc::strong_count(&notes), 1, "the actor value was dropped");
    });
}

/// The last reference goes while its message is on the way and the actor ends: nothing is freed too early or too late.
#[test]
fn the_last_reference_may_go_while_the_actor_ends() {
    check(|| {
        let (stage, notes) = (Stage::new(), Notes::default());
        let actor = stage.system.spawn(Ear(notes.clone()));
        stage.run();
        let (memory, pid, other) = (stage.memory(actor.pid()), actor.pid(), stage.clone());
        let thread = spawn(move || {
            other.system.kill(pid);
            other.run();
        });
        let sent = actor.try_send(Tell::Note(1)).is_ok();
        drop(actor);
        stage.run();
        thread.join().unwrap();
        stage.run();
        let lost = stage.system.dead_letters().messages() as usize;
        assert_eq!(notes.lock().unwrap().len() + lost, usize::from(sent));
        assert!(memory.is_freed());
        assert_eq!(Arc::strong_count(&notes), 1);
    });
}

/// What the handler of a [`Sleeper`] waits for.
#[derive(Default)]
struct Gate {
    open: AtomicBool,
    waker: LoomMutex<Option<Waker>>,
}

impl Gate {
    fn open(&self) {
        self.open.store(true, Ordering::Release);
        if let Some(waker) = self.waker.lock().unwrap().take() {
            waker.wake();
        }
    }

    async fn pass(&self) {
        poll_fn(|cx| {
            *self.waker.lock().unwrap() = Some(cx.waker().clone());
            if self.open.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Waits inside its handler.
struct Sleeper(Arc<Gate>, Notes);

impl Actor for Sleeper {
    type Message = u32;

    async fn handle(&mut self, message: u32, _: &mut Context<u32>) -> Outcome {
        self.0.pass().await;
        self.1.lock().unwrap().push(Heard::Message(message));
        Outcome::Continue
    }
}

/// A handler that waits, its waker and the next message: the handler goes on, then the message is handled; nothing of the
/// wait stays behind.
#[test]
fn a_handler_that_waits_is_woken_and_freed() {
    check(|| {
        let (stage, notes, gate) = (Stage::new(), Notes::default(), Arc::new(Gate::default()));
        let actor = stage.system.spawn(Sleeper(gate.clone(), notes.clone()));
        stage.run();
        let memory = stage.memory(actor.pid());
        let (other, opening) = (stage.clone(), gate.clone());
        let thread = spawn(move || {
            opening.open();
            other.run();
        });
        assert!(actor.try_send(1).is_ok() && actor.try_send(2).is_ok());
        stage.run();
        thread.join().unwrap();
        stage.run();
        assert_eq!(*notes.lock().unwrap(), [Heard::Message(1), Heard::Message(2)]);
        actor.close();
        drop((actor, gate));
        stage.run();
        assert!(memory.is_freed());
    });
}

/// A handler that waits is killed while it is woken: it ends once, with all that it held.
#[test]
fn a_handler_that_waits_is_killed_while_it_is_woken() {
    check(|| {
        let (stage, notes, gate) = (Stage::new(), Notes::default(), Arc::new(Gate::default()));
        let actor = stage.system.spawn(Sleeper(gate.clone(), notes.clone()));
        assert!(actor.try_send(1).is_ok());
        let memory = stage.memory(actor.pid());
        let (first, opening) = (stage.clone(), gate.clone());
        let (second, killing) = (stage.clone(), actor.clone());
        let threads = [
            spawn(move || {
                opening.open();
                first.run();
            }),
            spawn(move || {
                killing.kill();
                drop(killing);
                second.run();
            }),
        ];
        stage.run();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        stage.run();
        assert!(stage.system.is_empty() && notes.lock().unwrap().len() <= 1);
        // The waker that waits at the gate is the last reference, if the gate was not opened in time.
        drop((actor, gate));
        assert!(memory.is_freed());
        assert_eq!(Arc::strong_count(&notes), 1);
    });
}

/// A serial that is used again: a reference to the old actor never reaches the new one, and the end of the old one does
/// not take the new one out of the table.
#[test]
fn a_reference_to_an_ended_actor_never_reaches_the_next_of_its_serial() {
    check(|| {
        let (stage, old, new) = (Stage::new(), Notes::default(), Notes::default());
        let options = || SpawnOptions { serial: Some(5), ..SpawnOptions::default() };
        let first = stage.system.spawn_with(Ear(old.clone()), options()).unwrap();
        stage.run();
        let (other, ending) = (stage.clone(), first.clone());
        let thread = spawn(move || {
            ending.kill();
            other.run();
        });
        let second = stage.system.spawn_with(Ear(new.clone()), options());
        let sent = first.try_send(Tell::Note(1)).is_ok();
        stage.run();
        thread.join().unwrap();
        stage.run();
        assert!(new.lock().unwrap().is_empty());
        let lost = stage.system.dead_letters().messages() as usize;
        assert_eq!(old.lock().unwrap().len() + lost, usize::from(sent));
        assert_eq!(stage.system.is_alive(first.pid()), second.is_ok());
        assert_eq!(stage.system.len(), usize::from(second.is_ok()));
    });
}

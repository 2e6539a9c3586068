//! Timers: cancelling against firing.

use super::check;
use super::stage::Stage;
use crate::error::TrySendError;
use crate::reference::{ActorRef, BoxFuture, RemoteActor};
use hew_wire::Pid;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread::spawn;
use std::sync::Arc;
use std::time::Duration;

const PERIOD: Duration = Duration::from_secs(1);

/// Counts what is sent to it at the moment at which it is sent.
struct Counting(AtomicUsize);

impl RemoteActor<u32> for Counting {
    fn try_send(&self, _: Pid, _: u32) -> Result<(), TrySendError<u32>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn stop(&self, _: Pid) {}

    fn kill(&self, _: Pid) {}
}

fn target(stage: &Stage) -> (ActorRef<u32>, Arc<Counting>) {
    let counting = Arc::new(Counting(AtomicUsize::new(0)));
    (ActorRef::remote(&stage.system, Pid::from_raw(1 << 60), counting.clone()), counting)
}

/// Once: cancelled and never sent, or sent and not cancelled.
#[test]
fn a_message_that_was_cancelled_is_not_sent() {
    check(|| {
        let stage = Stage::new();
        let (target, counting) = target(&stage);
        let timer = target.send_after(PERIOD, 1);
        let other = stage.clone();
        let thread = spawn(move || other.run());
        let cancelled = timer.cancel();
        let then = counting.0.load(Ordering::Acquire);
        thread.join().unwrap();
        let sent = counting.0.load(Ordering::Acquire);
        assert_eq!((then, sent), if cancelled { (0, 0) } else { (1, 1) });
        assert!(!timer.is_pending());
    });
}

/// Again and again: after `cancel` has returned `true` there are no more; it is never too late for that.
#[test]
fn a_timer_that_was_cancelled_sends_no_more() {
    check(|| {
        let stage = Stage::new();
        let (target, counting) = target(&stage);
        let timer = target.send_every(PERIOD, || 1);
        let other = stage.clone();
        let thread = spawn(move || other.simulation.run_for(PERIOD * 5 / 2).unwrap());
        assert!(timer.cancel());
        let then = counting.0.load(Ordering::Acquire);
        thread.join().unwrap();
        stage.run();
        assert_eq!(counting.0.load(Ordering::Acquire), then);
        assert!(!timer.cancel());
    });
}

/// Two that cancel: one of them did.
#[test]
fn one_of_two_cancels_a_timer() {
    check(|| {
        let stage = Stage::new();
        let (target, counting) = target(&stage);
        let timer = target.send_after(PERIOD, 1);
        let (other, also) = (stage.clone(), timer.clone());
        let thread = spawn(move || other.run());
        let second = spawn(move || also.cancel());
        let cancelled = [timer.cancel(), second.join().unwrap()];
        thread.join().unwrap();
        let count = cancelled.into_iter().filter(|cancelled| *cancelled).count();
        assert_eq!(count + counting.0.load(Ordering::Acquire), 1);
    });
}

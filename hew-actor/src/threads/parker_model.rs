//! How a worker of a model sleeps: on a condition, without sockets and without time.

use super::worker::Step;
use crate::sync::{Condvar, Mutex};
use std::sync::PoisonError;
use std::time::Instant;

/// Where one worker sleeps and is woken.
pub(super) struct Parker {
    notified: Mutex<bool>,
    changed: Condvar,
}

impl Default for Parker {
    fn default() -> Parker {
        Parker { notified: Mutex::new(false), changed: Condvar::new() }
    }
}

impl Parker {
    /// Wakes the worker, or keeps it from falling asleep the next time.
    pub(super) fn wake(&self) {
        *self.notified.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Takes steps until one says to leave.
    pub(super) fn drive(&self, mut step: impl FnMut() -> Step, asleep: impl Fn(bool)) {
        loop {
            match step() {
                Step::Again | Step::Serve => {}
                Step::Sleep(deadline) => {
                    asleep(true);
                    self.sleep(deadline);
                    asleep(false);
                }
                Step::Leave => return,
            }
        }
    }

    /// Sleeps until somebody wakes this worker. With a deadline it may return any time.
    fn sleep(&self, deadline: Option<Instant>) {
        let mut notified = self.notified.lock().unwrap_or_else(PoisonError::into_inner);
        while !*notified && deadline.is_none() {
            notified = self.changed.wait(notified).unwrap_or_else(PoisonError::into_inner);
        }
        let was_notified = std::mem::take(&mut *notified);
        drop(notified);
        if !was_notified {
            crate::sync::doze(deadline);
        }
    }
}

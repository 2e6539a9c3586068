//! How a worker of a model sleeps: on a condition, without sockets and without time.

use crate::sync::{Condvar, Mutex};
use std::sync::PoisonError;
use std::time::Instant;

/// Where one worker sleeps and is woken.
pub(super) struct Parker {
    notified: Mutex<bool>,
    changed: Condvar,
}

/// What a worker keeps between its sleeps.
#[derive(Default)]
pub(super) struct Bed;

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

    /// Sleeps until somebody wakes this worker. With a deadline it may return any time.
    pub(super) fn sleep(&self, _: &mut Bed, deadline: Option<Instant>) {
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

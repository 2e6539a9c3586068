//! Models of the races of this crate: loom runs each of them in every order of its steps that the bounds allow.
//!
//! A model drives the code itself, never a copy of it. `docs/models.md` says how to run them, what each shows, and how it
//! was seen to fail.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod actor;
mod mailbox;
mod relations;
mod reply;
mod room;
pub(crate) mod stage;
mod state_lock;
mod timer;

use loom::sync::{Condvar, Mutex};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// How often a thread is interrupted in one run, unless `LOOM_MAX_PREEMPTIONS` says otherwise. Most races need one.
const PREEMPTIONS_MAX: usize = 2;
/// Steps of one run after which a model is taken to be one that never ends.
const STEPS_MAX: usize = 20_000;

/// Runs a model in all orders within the bounds.
pub(crate) fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS_MAX);
    builder.max_branches = STEPS_MAX;
    builder.check(model);
}

/// Runs a future on a thread of a model; the model fails if nobody ever wakes it.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let bell = Arc::new(Bell { rung: Mutex::new(false), changed: Condvar::new() });
    let waker = Waker::from(bell.clone());
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
        let mut rung = bell.rung.lock().unwrap();
        while !std::mem::take(&mut *rung) {
            rung = bell.changed.wait(rung).unwrap();
        }
    }
}

struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Bell {
    fn wake(self: Arc<Bell>) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

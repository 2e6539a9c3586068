//! Models of the workers of a runtime. They belong to [`threads`](crate::threads), whose parts are its own.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod alarms;
mod end;
mod queue;
mod sleep;

use super::core::Core;
use super::worker::Worker;
use crate::job::Job;
use loom::thread::{JoinHandle, spawn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What became of jobs, counted without putting them in an order.
#[derive(Clone, Default)]
struct Tally {
    run: Arc<AtomicUsize>,
    gone: Arc<AtomicUsize>,
}

impl Tally {
    fn run(&self) -> usize {
        self.run.load(Ordering::Relaxed)
    }

    /// Run or dropped.
    fn gone(&self) -> usize {
        self.gone.load(Ordering::Relaxed)
    }

    /// What a job does; it counts as gone also when it is dropped before it began.
    fn work(&self) -> impl Future<Output = ()> + Send + 'static {
        struct Gone(Tally);
        impl Drop for Gone {
            fn drop(&mut self) {
                self.0.gone.fetch_add(1, Ordering::Relaxed);
            }
        }
        let gone = Gone(self.clone());
        async move {
            gone.0.run.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn job(&self) -> Job {
        job(self.work())
    }
}

/// A job that does not wait.
fn job(work: impl Future<Output = ()> + Send + 'static) -> Job {
    let (runnable, task) = async_task::spawn(work, |_| unreachable!("it does not wait"));
    task.detach();
    Job::Task(runnable)
}

/// A worker of the core on a thread of the model.
fn start(core: &Arc<Core>, number: usize) -> JoinHandle<()> {
    core.expect_worker();
    let core = core.clone();
    spawn(move || {
        core.enlist(number);
        Worker::new(core.clone(), number).run();
        core.dismiss_worker();
    })
}

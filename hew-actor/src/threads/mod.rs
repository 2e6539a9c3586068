//! The real executor: worker threads that one runtime owns.

mod alarms;
mod core;
mod idle;
#[cfg(all(test, loom))]
#[path = "../models/threads/mod.rs"]
mod models;
#[cfg_attr(any(loom, shuttle), path = "parker_model.rs")]
mod parker;
mod queue;
mod steward;
mod tasks;
mod worker;

use self::core::Core;
use crate::job::Job;
use crate::lock::Lock;
use crate::options::Priority;
use crate::runtime::{Alarm, RuntimeConfig, Tenants, WORKERS_MAX};
use crate::sync::thread::{Builder, JoinHandle};
use crate::task::Task;
use async_task::Runnable;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use worker::Worker;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Workers, what they share, and the seed stream.
pub(crate) struct Threads {
    core: Arc<Core>,
    /// The steward is one of them.
    workers: Lock<Vec<JoinHandle<()>>>,
    name: String,
    rng: Lock<fastrand::Rng>,
}

impl Threads {
    pub(crate) fn start(config: RuntimeConfig) -> io::Result<Threads> {
        let seed = match config.seed {
            Some(seed) => seed,
            None => getrandom::u64().map_err(io::Error::other)?,
        };
        let workers = config.workers.clamp(1, WORKERS_MAX);
        let threads = Threads {
            core: Arc::new(Core::new(NEXT_ID.fetch_add(1, Ordering::Relaxed), workers)),
            workers: Lock::new(Vec::new()),
            name: config.name,
            rng: Lock::new(fastrand::Rng::with_seed(seed)),
        };
        for number in 0..workers {
            if let Err(error) = threads.add_worker(number) {
                threads.shutdown();
                return Err(error);
            }
        }
        Ok(threads)
    }

    fn add_worker(&self, number: usize) -> io::Result<()> {
        let core = Arc::clone(&self.core);
        core.expect_worker();
        let run = move || {
            core.enlist(number);
            let mut worker = Worker::new(Arc::clone(&core), number);
            // A panic of users' code stays in its actor or task; should one ever come this far, the worker goes on.
            while catch_unwind(AssertUnwindSafe(|| worker.run())).is_err() {}
            core.dismiss_worker();
        };
        match Builder::new().name(format!("{}-{number}", self.name)).spawn(run) {
            Ok(worker) => {
                self.workers.lock().push(worker);
                Ok(())
            }
            Err(error) => {
                self.core.dismiss_worker();
                Err(error)
            }
        }
    }

    /// Starts the thread that sees to vital tasks, unless there is one.
    pub(crate) fn employ_steward(&self) -> io::Result<()> {
        // Held, so that a second caller returns only when there is one.
        let mut workers = self.workers.lock();
        if self.is_shut_down() || !self.core.steward.employ() {
            return Ok(());
        }
        let core = Arc::clone(&self.core);
        core.expect_worker();
        let run = move || {
            core.enlist_steward();
            while catch_unwind(AssertUnwindSafe(|| steward::run(&core))).is_err() {}
            core.dismiss_worker();
        };
        match Builder::new().name(format!("{}-steward", self.name)).spawn(run) {
            Ok(steward) => workers.push(steward),
            Err(error) => {
                self.core.steward.dismiss();
                self.core.dismiss_worker();
                return Err(error);
            }
        }
        Ok(())
    }

    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
        vital: bool,
    ) -> Task<T> {
        if self.is_shut_down() {
            drop(future);
            return Task::never();
        }
        let finished = Finished { number: self.core.tasks.reserve(), core: Arc::clone(&self.core) };
        let number = finished.number;
        let future = async move {
            let _finished = finished;
            future.await
        };
        let core = Arc::clone(&self.core);
        let schedule = move |runnable: Runnable| match vital {
            true => core.schedule_vital(Job::Task(runnable)),
            false => core.schedule(Job::Task(runnable), Priority::Normal),
        };
        let (runnable, task) = async_task::Builder::new().propagate_panic(true).spawn(|()| future, schedule);
        self.core.tasks.note(number, runnable.waker());
        runnable.schedule();
        if self.is_shut_down() {
            // The shutdown may have looked for tasks before this one was there.
            self.core.end_everything();
        }
        Task::new(task)
    }

    #[inline]
    pub(crate) fn schedule(&self, job: Job, priority: Priority) {
        self.core.schedule(job, priority);
    }

    pub(crate) fn schedule_blocking(&self, job: Job) {
        self.core.schedule_blocking(job);
    }

    pub(crate) fn block_in_place<R>(&self, f: impl FnOnce() -> R) -> R {
        self.core.block_in_place(f)
    }

    pub(crate) fn sweep(&self) {
        // Until the workers have left, they may hold actors of which it is not known yet that they are to be killed.
        self.core.end_everything();
    }

    pub(crate) fn tenants(&self) -> &Tenants {
        &self.core.tenants
    }

    pub(crate) fn set_alarm(&self, deadline: Instant, alarm: Alarm) -> Result<crate::wheel::Key, Alarm> {
        self.core.set_alarm(deadline, alarm)
    }

    pub(crate) fn cancel_alarm(&self, key: crate::wheel::Key) -> Option<Alarm> {
        self.core.alarms.cancel(key)
    }

    pub(crate) fn seed(&self) -> u64 {
        self.rng.lock().u64(..)
    }

    #[inline]
    pub(crate) fn is_shut_down(&self) -> bool {
        self.core.is_closed()
    }

    pub(crate) fn shutdown(&self) {
        self.core.close();
        if self.core.is_own_thread() {
            return;
        }
        // Held while joining, so that a second caller returns only when the first has finished.
        let mut workers = self.workers.lock();
        for worker in workers.drain(..) {
            // The panics of a worker were caught in its loop.
            let _ = worker.join();
        }
        self.core.await_blocking();
        self.core.end_the_rest();
        self.core.conclude();
        drop(workers);
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // The last handle may go on any thread, also on a worker: do not wait.
        self.core.close();
    }
}

/// Part of every task's future: forgets the task when the future is dropped.
struct Finished {
    core: Arc<Core>,
    number: usize,
}

impl Drop for Finished {
    fn drop(&mut self) {
        self.core.tasks.release(self.number);
    }
}

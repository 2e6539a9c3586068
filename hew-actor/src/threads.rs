//! The real executor: worker threads that one runtime owns.

use crate::lock::Lock;
use crate::runtime::{RuntimeConfig, WORKERS_MAX};
use crate::task::Task;
use async_executor::Executor;
use event_listener::Event;
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// The runtime whose worker this thread is; 0 for other threads.
    static WORKER_OF: Cell<u64> = const { Cell::new(0) };
}

/// Workers, their executor and the seed stream.
///
/// Each worker holds the executor; so does `executor` until shutdown. Whoever lets go last drops it and with it every
/// task, which is after the last worker has left its loop, so no task is dropped while it runs.
pub(crate) struct Threads {
    id: u64,
    executor: RwLock<Option<Arc<Executor<'static>>>>,
    workers: Lock<Vec<JoinHandle<()>>>,
    stop: Arc<Stop>,
    rng: Lock<fastrand::Rng>,
}

/// Tells the workers to leave. `flag` is set before `event` fires and read after listening.
struct Stop {
    flag: AtomicBool,
    event: Event,
}

impl Stop {
    fn set(&self) {
        self.flag.store(true, Ordering::SeqCst);
        self.event.notify(usize::MAX);
    }

    async fn wait(&self) {
        while !self.flag.load(Ordering::SeqCst) {
            let listener = self.event.listen();
            if self.flag.load(Ordering::SeqCst) {
                return;
            }
            listener.await;
        }
    }
}

impl Threads {
    pub(crate) fn start(config: RuntimeConfig) -> io::Result<Threads> {
        let seed = match config.seed {
            Some(seed) => seed,
            None => getrandom::u64().map_err(io::Error::other)?,
        };
        let threads = Threads {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            executor: RwLock::new(Some(Arc::new(Executor::new()))),
            workers: Lock::new(Vec::new()),
            stop: Arc::new(Stop { flag: AtomicBool::new(false), event: Event::new() }),
            rng: Lock::new(fastrand::Rng::with_seed(seed)),
        };
        for number in 0..config.workers.clamp(1, WORKERS_MAX) {
            if let Err(error) = threads.add_worker(&config.name, number) {
                threads.shutdown();
                return Err(error);
            }
        }
        Ok(threads)
    }

    fn add_worker(&self, name: &str, number: usize) -> io::Result<()> {
        let Some(executor) = self.executor() else { return Ok(()) };
        let (stop, id) = (self.stop.clone(), self.id);
        let worker = std::thread::Builder::new().name(format!("{name}-{number}")).spawn(move || {
            WORKER_OF.set(id);
            // A panic in a task stays in the task; should one ever come this far, the worker goes on all the same.
            while catch_unwind(AssertUnwindSafe(|| async_io::block_on(executor.run(stop.wait())))).is_err() {}
        })?;
        self.workers.lock().push(worker);
        Ok(())
    }

    fn executor(&self) -> Option<Arc<Executor<'static>>> {
        self.executor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Task<T> {
        let executor = self.executor.read().unwrap_or_else(PoisonError::into_inner);
        match &*executor {
            Some(executor) => Task::new(executor.spawn(future)),
            None => {
                // The future's Drop may come back here.
                drop(executor);
                drop(future);
                Task::never()
            }
        }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.rng.lock().u64(..)
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.stop.flag.load(Ordering::SeqCst)
    }

    pub(crate) fn shutdown(&self) {
        self.stop.set();
        let executor = self.executor.write().unwrap_or_else(PoisonError::into_inner).take();
        if WORKER_OF.get() == self.id {
            return;
        }
        // Held while joining, so that a second caller returns only when the first has finished.
        let mut workers = self.workers.lock();
        for worker in workers.drain(..) {
            // The panics of a worker were caught in its loop.
            let _ = worker.join();
        }
        drop(workers);
        drop(executor);
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // The last handle may go on any thread, also on a worker: do not wait.
        self.stop.set();
    }
}

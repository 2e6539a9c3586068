//! The worker threads, and spare ones for handlers that wait.
//!
//! A handler in C runs on a worker and keeps it while it waits for an answer or sleeps. Were nothing done about it, as
//! many waiting handlers as there are workers would stop the process for good, the actors that they wait for among
//! them. So a runtime gets [`SPARE_WORKERS`] threads more than it needs, and that many of its workers are parked at any
//! time: each sits in a task that waits on a condition. Who is about to wait lets one of them go; when the wait is over
//! another parks. The number of workers that run handlers stays the same.

use crate::error::{Failure, HEW_ERR_OOM};
use hew_actor::{Runtime, RuntimeConfig, WORKERS_MAX};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Most handlers that wait at once; one more is refused its wait, with `HEW_ERR_OOM`. Fewer if `HEW_WORKERS` is above
/// 192, since a process has at most 256 workers of both kinds.
pub(crate) const SPARE_WORKERS: usize = 64;

pub(crate) struct Workers {
    pub(crate) runtime: Runtime,
    parking: Arc<Parking>,
}

#[derive(Default)]
struct Parking {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Park tasks that were spawned and not told to end: parked workers, and some that will be.
    parked: usize,
    /// Of those told to end, the ones that have not heard it.
    leaving: usize,
    closed: bool,
}

impl Workers {
    /// Starts `workers` threads, and spare ones.
    ///
    /// # Errors
    /// The system gives no threads.
    pub(crate) fn start(workers: usize) -> Result<Workers, Failure> {
        let workers = workers.clamp(1, WORKERS_MAX - 1);
        let spare = SPARE_WORKERS.min(WORKERS_MAX - workers);
        let config =
            RuntimeConfig { workers: workers + spare, name: "hew".into(), ..RuntimeConfig::default() };
        let runtime = Runtime::start(config).map_err(|error| {
            Failure::new(HEW_ERR_OOM, format!("cannot start {} threads: {error}", workers + spare))
        })?;
        let workers = Workers { runtime, parking: Arc::default() };
        for _ in 0..spare {
            workers.park_one();
        }
        Ok(workers)
    }

    /// Lets a spare worker run until the value is dropped.
    ///
    /// # Errors
    /// No worker is left.
    pub(crate) fn stand_in(&self) -> Result<StandIn<'_>, Failure> {
        let mut state = self.parking.state();
        if state.closed {
            return Ok(StandIn { workers: self });
        }
        if state.parked == 0 {
            let text = format!("{SPARE_WORKERS} handlers wait already, which is the limit");
            return Err(Failure::new(HEW_ERR_OOM, text));
        }
        state.parked -= 1;
        state.leaving += 1;
        drop(state);
        self.parking.changed.notify_one();
        Ok(StandIn { workers: self })
    }

    /// Stops all threads and waits for them, so no handler may be stuck.
    pub(crate) fn stop(&self) {
        self.release_all();
        self.runtime.shutdown();
    }

    /// Lets every parked worker go, for good.
    pub(crate) fn release_all(&self) {
        self.parking.state().closed = true;
        self.parking.changed.notify_all();
    }

    fn park_one(&self) {
        let mut state = self.parking.state();
        if state.closed {
            return;
        }
        state.parked += 1;
        drop(state);
        let parking = Arc::clone(&self.parking);
        let runtime = self.runtime.clone();
        let park = async move { runtime.block_in_place(|| parking.park()) };
        self.runtime.spawn(park).detach();
    }
}

/// A worker that runs in the place of one that waits.
pub(crate) struct StandIn<'a> {
    workers: &'a Workers,
}

impl Drop for StandIn<'_> {
    fn drop(&mut self) {
        self.workers.park_one();
    }
}

impl Parking {
    /// Keeps this worker until somebody wants it.
    fn park(&self) {
        let mut state = self.state();
        while state.leaving == 0 && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.leaving = state.leaving.saturating_sub(1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Only additions happen under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Polls once: what is ready at once needs no spare worker.
pub(crate) fn ready_now<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Waits for `future` on this thread, while a spare worker takes its place if it is one.
pub(crate) fn wait<F: Future>(future: F) -> Result<F::Output, Failure> {
    let mut future = pin!(future);
    if let Some(value) = ready_now(future.as_mut()) {
        return Ok(value);
    }
    blocking(|| futures_lite::future::block_on(future))
}

/// Runs `f`, which waits, while a spare worker takes the place of this one if this is one.
pub(crate) fn blocking<R>(f: impl FnOnce() -> R) -> Result<R, Failure> {
    let process = crate::running::actor().and_then(|entry| entry.process());
    let _stand_in = process.as_ref().map(|process| process.workers.stand_in()).transpose()?;
    // What this handler has sent, perhaps its very question, must not wait for this worker.
    Ok(match &process {
        Some(process) => process.workers.runtime.block_in_place(f),
        None => f(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn workers_that_wait_are_replaced_up_to_a_limit() {
        let workers = Arc::new(Workers::start(1).unwrap());
        let (release, gate) = (Arc::new(std::sync::Barrier::new(SPARE_WORKERS + 1)), Arc::new(Mutex::new(0)));
        // One worker and SPARE_WORKERS tasks that each need a worker of their own until all have begun.
        for _ in 0..SPARE_WORKERS {
            let (workers, release, gate) = (Arc::clone(&workers), Arc::clone(&release), Arc::clone(&gate));
            let runtime = workers.runtime.clone();
            runtime
                .spawn(async move {
                    let stand_in = workers.stand_in();
                    *gate.lock().unwrap() += usize::from(stand_in.is_ok());
                    release.wait();
                })
                .detach();
        }
        release.wait();
        assert_eq!(*gate.lock().unwrap(), SPARE_WORKERS);
        workers.stop();
    }

    #[test]
    fn one_more_than_the_spare_workers_is_refused() {
        let workers = Workers::start(1).unwrap();
        let held: Vec<_> = (0..SPARE_WORKERS).map(|_| workers.stand_in().unwrap()).collect();
        assert_eq!(workers.stand_in().err().unwrap().code, HEW_ERR_OOM);
        drop(held);
        let (done, finished) = mpsc::channel();
        workers.runtime.spawn(async move { done.send(()).unwrap() }).detach();
        finished.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(workers.stand_in().is_ok());
        workers.stop();
    }
}

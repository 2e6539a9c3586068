//! The one place a node takes its clock, timers, randomness and tasks from: real threads or a simulation.

use crate::simulation::World;
use crate::task::Task;
use crate::threads::Threads;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Most worker threads that a runtime starts.
pub const WORKERS_MAX: usize = 256;

/// Settings of a [`Runtime`] with real threads.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// Worker threads, 1 to [`WORKERS_MAX`]; values outside are moved to the nearest bound. Default: the number of
    /// processors this process may use.
    pub workers: usize,
    /// Prefix of the threads' names, followed by `-` and a number. Default `hew`.
    pub name: String,
    /// First state of [`Runtime::seed`]; `None` (the default) takes it from the operating system.
    pub seed: Option<u64>,
}

impl Default for RuntimeConfig {
    fn default() -> RuntimeConfig {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        RuntimeConfig { workers, name: "hew".into(), seed: None }
    }
}

/// A handle to the clock, the timers, the randomness and the executor of a node. Cheap to clone.
///
/// A runtime is either real (threads of its own, started by [`Runtime::start`]) or simulated (one thread, virtual
/// time, every order drawn from a seed; made by [`Simulation`](crate::Simulation)). Code that takes everything from
/// here runs the same in both. A process may have any number of runtimes, one after the other or at once.
///
/// A real runtime that is not [shut down](Runtime::shutdown) stops its threads when the last handle is dropped; a task
/// that holds a handle keeps it alive.
#[derive(Clone)]
pub struct Runtime {
    inner: Inner,
}

#[derive(Clone)]
enum Inner {
    Threads(Arc<Threads>),
    Simulated(Arc<World>),
}

/// The time given to [`Runtime::timeout`] has passed; the future was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time is over")]
pub struct Elapsed;

impl Runtime {
    /// Starts worker threads that run the tasks of this runtime.
    ///
    /// # Errors
    /// The operating system refused a thread or gave no randomness; no thread is left running.
    pub fn start(config: RuntimeConfig) -> io::Result<Runtime> {
        Ok(Runtime { inner: Inner::Threads(Arc::new(Threads::start(config)?)) })
    }

    pub(crate) fn simulated(world: Arc<World>) -> Runtime {
        Runtime { inner: Inner::Simulated(world) }
    }

    /// Runs a future on this runtime. After [`Runtime::shutdown`] the future is dropped without running.
    ///
    /// A panic in the future stays in its task. A panic in the `Drop` of the future or of its result, when nobody
    /// awaits it, ends the process.
    pub fn spawn<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Task<T> {
        match &self.inner {
            Inner::Threads(threads) => threads.spawn(future),
            Inner::Simulated(world) => world.spawn(future),
        }
    }

    /// Runs a future on the calling thread until it is done, while the workers run everything else.
    ///
    /// For threads that are not workers of a runtime. Inside a task it would stop a worker for that long.
    ///
    /// # Panics
    /// On a simulated runtime, whose only thread is the one that calls: use
    /// [`Simulation::run`](crate::Simulation::run).
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        assert!(!self.is_simulated(), "block_on on a simulated runtime: use Simulation::run");
        futures_lite::future::block_on(future)
    }

    /// The monotonic clock; virtual when simulated.
    pub fn now(&self) -> Instant {
        match &self.inner {
            Inner::Threads(_) => Instant::now(),
            Inner::Simulated(world) => world.now(),
        }
    }

    /// Milliseconds since 1970 on the wall clock; 2026-01-01 plus the virtual time when simulated.
    pub fn unix_ms(&self) -> u64 {
        match &self.inner {
            Inner::Threads(_) => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }
            Inner::Simulated(world) => world.unix_ms(),
        }
    }

    /// Resolves after `duration`; never, if that is further away than the clock reaches.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_at(self.now().checked_add(duration))
    }

    /// Resolves at `deadline`; at once if that is past.
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        self.sleep_at(Some(deadline))
    }

    fn sleep_at(&self, deadline: Option<Instant>) -> Sleep {
        Sleep(match (&self.inner, deadline) {
            (_, None) => Timer::Never,
            (Inner::Threads(_), Some(deadline)) => Timer::Real(async_io::Timer::at(deadline)),
            (Inner::Simulated(world), Some(deadline)) => Timer::Simulated(world.timer(deadline)),
        })
    }

    /// Waits for `future`, but no longer than `duration`. A future that is ready at the deadline wins.
    ///
    /// # Errors
    /// [`Elapsed`]: the time is over and the future was dropped.
    pub async fn timeout<T>(
        &self,
        duration: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        let mut future = pin!(future);
        // A future that is ready at once costs no timer.
        let mut sleep: Option<Sleep> = None;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(value));
            }
            let sleep = sleep.get_or_insert_with(|| self.sleep(duration));
            Pin::new(sleep).poll(cx).map(|()| Err(Elapsed))
        })
        .await
    }

    /// The next value of this runtime's seed stream: the only source of randomness of a node.
    pub fn seed(&self) -> u64 {
        match &self.inner {
            Inner::Threads(threads) => threads.seed(),
            Inner::Simulated(world) => world.seed(),
        }
    }

    /// Whether time is virtual and the order of everything is drawn from a seed.
    pub fn is_simulated(&self) -> bool {
        matches!(self.inner, Inner::Simulated(_))
    }

    /// Stops the workers, waits for them, and drops all tasks. Further calls have no effect.
    ///
    /// A worker stops after the task it is polling yields, so a task that blocks its thread delays this call. Called
    /// from a task of this runtime it cannot wait for its own worker: it returns at once, and the last worker to stop
    /// drops the tasks.
    pub fn shutdown(&self) {
        match &self.inner {
            Inner::Threads(threads) => threads.shutdown(),
            Inner::Simulated(world) => world.shutdown(),
        }
    }

    /// Whether [`Runtime::shutdown`] was called.
    pub fn is_shut_down(&self) -> bool {
        match &self.inner {
            Inner::Threads(threads) => threads.is_shut_down(),
            Inner::Simulated(world) => world.is_shut_down(),
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("simulated", &self.is_simulated()).finish_non_exhaustive()
    }
}

/// A future that resolves at a time of a runtime's clock. Dropping it removes its timer.
#[must_use = "a sleep does nothing unless awaited"]
pub struct Sleep(Timer);

enum Timer {
    Never,
    Real(async_io::Timer),
    Simulated(crate::simulation::VirtualTimer),
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Timer::Never => Poll::Pending,
            Timer::Real(timer) => Pin::new(timer).poll(cx).map(|_| ()),
            Timer::Simulated(timer) => timer.poll(cx),
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}

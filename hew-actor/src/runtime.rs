//! The one place a node takes its clock, timers, randomness and tasks from: real threads or a simulation.

use crate::job::Job;
use crate::options::Priority;
use crate::simulation::World;
use crate::task::Task;
use crate::threads::Threads;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
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
    /// Tasks that are spawned by this handle are vital.
    vital: bool,
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
        Ok(Runtime::real(Arc::new(Threads::start(config)?)))
    }

    pub(crate) fn real(threads: Arc<Threads>) -> Runtime {
        Runtime { inner: Inner::Threads(threads), vital: false }
    }

    pub(crate) fn simulated(world: Arc<World>) -> Runtime {
        Runtime { inner: Inner::Simulated(world), vital: false }
    }

    /// A handle of the same runtime whose tasks are *vital*: they go on also while actors block all workers.
    ///
    /// Vital tasks run on the workers, in turn with everything else. When none of them was begun for two to four
    /// milliseconds, and when an alarm is as late, a thread of its own sees to them, which never runs an actor. For links
    /// and whatever must answer for its node; a vital task that blocks, blocks the others. Simulated, it is the same handle.
    ///
    /// # Errors
    /// The operating system refused that thread, which the first call starts.
    pub fn vital(&self) -> io::Result<Runtime> {
        match &self.inner {
            Inner::Threads(threads) => threads.employ_steward()?,
            Inner::Simulated(_) => {}
        }
        Ok(Runtime { inner: self.inner.clone(), vital: true })
    }

    /// Runs a future on this runtime. After [`Runtime::shutdown`] the future is dropped without running.
    ///
    /// A panic in the future stays in its task. A panic in the `Drop` of the future or of its result, when nobody
    /// awaits it, ends the process.
    pub fn spawn<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Task<T> {
        match &self.inner {
            Inner::Threads(threads) => threads.spawn(future, self.vital),
            Inner::Simulated(world) => world.spawn(future),
        }
    }

    /// Puts a job into a run queue. After [`Runtime::shutdown`], [`Runtime::sweep`] runs it.
    #[inline]
    pub(crate) fn schedule(&self, job: Job, priority: Priority) {
        match &self.inner {
            Inner::Threads(threads) => threads.schedule(job, priority),
            Inner::Simulated(world) => world.schedule(job),
        }
    }

    /// Runs a job on a thread that may block.
    pub(crate) fn schedule_blocking(&self, job: Job) {
        match &self.inner {
            Inner::Threads(threads) => threads.schedule_blocking(job),
            Inner::Simulated(world) => world.schedule(job),
        }
    }

    /// Runs what was scheduled after the shutdown: actors, to their ends. Without a shutdown it does nothing. To be called
    /// without any lock, after scheduling something new.
    #[inline]
    pub(crate) fn sweep(&self) {
        if self.is_shut_down() {
            match &self.inner {
                Inner::Threads(threads) => threads.sweep(),
                Inner::Simulated(world) => drop(world.sweep()),
            }
        }
    }

    /// Notes whose actors run here, to end them at the shutdown.
    pub(crate) fn attach(&self, tenant: &Arc<dyn Tenant>) {
        match &self.inner {
            Inner::Threads(threads) => threads.tenants().attach(tenant),
            Inner::Simulated(world) => world.tenants().attach(tenant),
        }
    }

    /// Sets an alarm; it comes back if the runtime was shut down.
    pub(crate) fn set_alarm(&self, deadline: Instant, alarm: Alarm) -> Result<AlarmKey, Alarm> {
        match &self.inner {
            Inner::Threads(threads) => threads.set_alarm(deadline, alarm).map(AlarmKey::Real),
            Inner::Simulated(world) => world.set_alarm(deadline, alarm).map(AlarmKey::Simulated),
        }
    }

    /// Takes an alarm back; `None`: it went off, or is going off.
    pub(crate) fn cancel_alarm(&self, key: AlarmKey) -> Option<Alarm> {
        match (&self.inner, key) {
            (Inner::Threads(threads), AlarmKey::Real(key)) => threads.cancel_alarm(key),
            (Inner::Simulated(world), AlarmKey::Simulated(key)) => world.cancel_alarm(key),
            (Inner::Threads(_), AlarmKey::Simulated(_)) | (Inner::Simulated(_), AlarmKey::Real(_)) => None,
        }
    }

    /// Runs `f`, which blocks the calling thread: if that is a worker of this runtime, what waits for it goes to the others
    /// first, and what `f` schedules goes to them, too.
    ///
    /// A worker that blocks is one less that runs actors until it is back. Better are handlers that await, actors that
    /// are declared [blocking](crate::SpawnOptions::blocking), and the `blocking` crate.
    pub fn block_in_place<R>(&self, f: impl FnOnce() -> R) -> R {
        match &self.inner {
            Inner::Threads(threads) => threads.block_in_place(f),
            Inner::Simulated(_) => f(),
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
        crate::sync::block_on(future)
    }

    /// The monotonic clock; virtual when simulated.
    pub fn now(&self) -> Instant {
        match &self.inner {
            Inner::Threads(_) => crate::sync::now(),
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
        Sleep { runtime: self.clone(), deadline, alarm: None }
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
    /// from a task or an actor of this runtime it cannot wait for its own thread: it returns at once, and the last thread
    /// to stop drops the tasks.
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

/// What an alarm does when its time has come.
pub(crate) enum Alarm {
    Wake(Waker),
    Call(Box<dyn FnOnce() + Send>),
}

impl Alarm {
    /// Goes off. What is called may run code of users, which is contained.
    pub(crate) fn go_off(self) {
        match self {
            Alarm::Wake(waker) => waker.wake(),
            Alarm::Call(call) => crate::unwind::contained(call),
        }
    }
}

/// Which alarm.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AlarmKey {
    Real(crate::wheel::Key),
    Simulated((Duration, u64)),
}

/// A system, as the runtime sees it: something whose actors must end with the runtime.
pub(crate) trait Tenant: Send + Sync {
    /// Kills all actors; how many there were.
    fn end_all(&self) -> usize;
    /// Whether an actor is in a run queue, or on its way to one.
    fn any_queued(&self) -> bool;
}

/// The systems whose actors run on one runtime.
#[derive(Default)]
pub(crate) struct Tenants(crate::lock::Lock<Vec<std::sync::Weak<dyn Tenant>>>);

impl Tenants {
    fn attach(&self, tenant: &Arc<dyn Tenant>) {
        let mut tenants = self.0.lock();
        tenants.retain(|other| other.strong_count() > 0);
        tenants.push(Arc::downgrade(tenant));
    }

    /// Kills all actors of all systems; how many there were.
    pub(crate) fn end_all(&self) -> usize {
        self.all().iter().map(|tenant| tenant.end_all()).sum()
    }

    /// Whether an actor of any system is in a run queue, or on its way to one.
    pub(crate) fn any_queued(&self) -> bool {
        self.all().iter().any(|tenant| tenant.any_queued())
    }

    fn all(&self) -> Vec<Arc<dyn Tenant>> {
        self.0.lock().iter().filter_map(std::sync::Weak::upgrade).collect()
    }
}

/// A future that resolves at a time of a runtime's clock, on real threads at most two milliseconds later while a worker
/// is free. Dropping it removes its timer.
#[must_use = "a sleep does nothing unless awaited"]
pub struct Sleep {
    runtime: Runtime,
    /// `None`: never.
    deadline: Option<Instant>,
    /// The alarm, and whom it wakes.
    alarm: Option<(AlarmKey, Waker)>,
}

impl Sleep {
    fn disarm(&mut self) {
        if let Some((key, _)) = self.alarm.take() {
            drop(self.runtime.cancel_alarm(key));
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else { return Poll::Pending };
        if self.runtime.now() >= deadline {
            self.disarm();
            return Poll::Ready(());
        }
        if self.alarm.as_ref().is_none_or(|(_, waker)| !waker.will_wake(cx.waker())) {
            self.disarm();
            let waker = cx.waker().clone();
            // A runtime that was shut down has no timers any more; its tasks are dropped.
            if let Ok(key) = self.runtime.set_alarm(deadline, Alarm::Wake(waker.clone())) {
                self.alarm = Some((key, waker));
            }
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}

//! The simulated executor: one thread, virtual time, every order drawn from a seed.

use crate::job::Job;
use crate::lock::Lock;
use crate::runtime::{Alarm, Runtime, Tenants};
use crate::scratch::Scratch;
use crate::task::Task;
use async_task::Runnable;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// Wall clock at the start of every simulation: 2026-01-01T00:00:00Z in milliseconds since 1970.
pub const UNIX_MS_BASE: u64 = 1_767_225_600_000;
/// Most polls at one instant of virtual time; more means that tasks keep waking each other and time cannot go on.
pub const POLLS_PER_INSTANT_MAX: u64 = 20_000_000;

/// A world on one thread in virtual time, for tests of whole systems.
///
/// Tasks spawned on [`Simulation::runtime`] run inside [`Simulation::run`], one poll at a time, in an order drawn from
/// the seed. When none can run, the clock jumps to the next timer. The same seed gives the same order of everything,
/// provided that the tasks take clock, timers and randomness from the runtime, share nothing with other threads, and
/// do not iterate over hash maps with random keys.
///
/// ```
/// # use hew_actor::Simulation;
/// # use std::time::Duration;
/// let simulation = Simulation::new(7);
/// let runtime = simulation.runtime();
/// let hour = simulation.run(async { runtime.sleep(Duration::from_secs(3600)).await });
/// assert!(hour.is_ok());
/// assert_eq!(simulation.elapsed(), Duration::from_secs(3600));
/// ```
pub struct Simulation {
    world: Arc<World>,
}

/// [`Simulation::run`] cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stuck {
    /// No task can run, no timer is set, and the future is not done: it waits for something that cannot happen.
    #[error("deadlock after {0:?} of virtual time: nothing can run and no timer is set")]
    Deadlock(Duration),
    /// [`POLLS_PER_INSTANT_MAX`] polls without the time going on.
    #[error("livelock after {0:?} of virtual time: tasks keep waking each other")]
    Livelock(Duration),
    /// The simulated runtime was shut down from inside.
    #[error("the runtime was shut down after {0:?} of virtual time")]
    ShutDown(Duration),
}

impl Simulation {
    /// A world whose every choice follows from `seed`.
    pub fn new(seed: u64) -> Simulation {
        let mut rng = fastrand::Rng::with_seed(seed);
        let seeds = rng.fork();
        let state = State {
            ready: Vec::new(),
            sweeping: false,
            root_ready: false,
            active: BTreeMap::new(),
            timers: BTreeMap::new(),
            next_key: 0,
            elapsed: Duration::ZERO,
            order: rng,
            seeds,
            closed: false,
        };
        Simulation {
            world: Arc::new(World {
                base: Instant::now(),
                state: Lock::new(state),
                tenants: Tenants::default(),
            }),
        }
    }

    /// The runtime of this world.
    pub fn runtime(&self) -> Runtime {
        Runtime::simulated(self.world.clone())
    }

    /// Runs the world until `future` is done. Tasks that are left go on in the next call.
    ///
    /// # Errors
    /// [`Stuck`]: the future can never be done; it was dropped.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> Result<T, Stuck> {
        let mut future = pin!(future);
        let waker = Waker::from(Arc::new(RootWaker(Arc::downgrade(&self.world))));
        let mut cx = Context::from_waker(&waker);
        waker.wake_by_ref();
        let mut polls = 0;
        let mut scratch = Scratch::default();
        loop {
            polls += 1;
            match self.world.next() {
                _ if polls > POLLS_PER_INSTANT_MAX => return Err(Stuck::Livelock(self.elapsed())),
                Next::Root => {
                    if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
                        return Ok(value);
                    }
                }
                Next::Job(job) => job.run(&mut scratch),
                Next::TimeWentOn => polls = 0,
                Next::Nothing => return Err(Stuck::Deadlock(self.elapsed())),
                Next::Closed => {
                    self.world.end_everything();
                    return Err(Stuck::ShutDown(self.elapsed()));
                }
            }
        }
    }

    /// Runs the world for `duration` of virtual time.
    ///
    /// # Errors
    /// [`Stuck`] as for [`Simulation::run`], but never [`Stuck::Deadlock`].
    pub fn run_for(&self, duration: Duration) -> Result<(), Stuck> {
        self.run(self.runtime().sleep(duration))
    }

    /// Virtual time since the start.
    pub fn elapsed(&self) -> Duration {
        self.world.state.lock().elapsed
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.world.shutdown();
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation").field("elapsed", &self.elapsed()).finish_non_exhaustive()
    }
}

/// What the runtime handles of a simulation share.
pub(crate) struct World {
    base: Instant,
    state: Lock<State>,
    tenants: Tenants,
}

struct State {
    ready: Vec<Job>,
    /// Somebody runs what is ready after the shutdown.
    sweeping: bool,
    /// Whether the future given to `run` was woken.
    root_ready: bool,
    /// Wakers of all tasks that have not finished, so that shutdown can reach those that wait.
    active: BTreeMap<u64, Waker>,
    timers: BTreeMap<(Duration, u64), Alarm>,
    next_key: u64,
    elapsed: Duration,
    order: fastrand::Rng,
    seeds: fastrand::Rng,
    closed: bool,
}

enum Next {
    Root,
    Job(Job),
    TimeWentOn,
    Nothing,
    Closed,
}

impl World {
    fn next(&self) -> Next {
        let mut state = self.state.lock();
        if state.closed {
            return Next::Closed;
        }
        let count = state.ready.len() + usize::from(state.root_ready);
        if count > 0 {
            let pick = state.order.usize(..count);
            if pick == state.ready.len() {
                state.root_ready = false;
                return Next::Root;
            }
            return Next::Job(state.ready.swap_remove(pick));
        }
        let Some((&(deadline, _), _)) = state.timers.first_key_value() else { return Next::Nothing };
        state.elapsed = state.elapsed.max(deadline);
        let now = state.elapsed;
        let mut due = Vec::new();
        while let Some(entry) = state.timers.first_entry()
            && entry.key().0 <= now
        {
            due.push(entry.remove());
        }
        drop(state);
        due.into_iter().for_each(Alarm::go_off);
        Next::TimeWentOn
    }

    pub(crate) fn spawn<T: Send + 'static>(
        self: &Arc<World>,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Task<T> {
        let key = {
            let mut state = self.state.lock();
            if state.closed {
                drop(state);
                drop(future);
                return Task::never();
            }
            state.key()
        };
        let finished = Finished { world: Arc::downgrade(self), key };
        let future = async move {
            let _finished = finished;
            future.await
        };
        let world = Arc::downgrade(self);
        let schedule = move |runnable: Runnable| {
            if let Some(world) = Weak::upgrade(&world) {
                world.schedule(Job::Task(runnable));
            }
        };
        let (runnable, task) = async_task::Builder::new().propagate_panic(true).spawn(|()| future, schedule);
        self.state.lock().active.insert(key, runnable.waker());
        runnable.schedule();
        self.sweep_if_closed();
        Task::new(task)
    }

    pub(crate) fn now(&self) -> Instant {
        self.base + self.state.lock().elapsed
    }

    pub(crate) fn unix_ms(&self) -> u64 {
        let elapsed = self.state.lock().elapsed.as_millis();
        UNIX_MS_BASE.saturating_add(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    pub(crate) fn seed(&self) -> u64 {
        self.state.lock().seeds.u64(..)
    }

    pub(crate) fn schedule(&self, job: Job) {
        self.state.lock().ready.push(job);
    }

    pub(crate) fn tenants(&self) -> &Tenants {
        &self.tenants
    }

    pub(crate) fn set_alarm(&self, deadline: Instant, alarm: Alarm) -> Result<(Duration, u64), Alarm> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(alarm);
        }
        let key = (deadline.saturating_duration_since(self.base), state.key());
        state.timers.insert(key, alarm);
        Ok(key)
    }

    pub(crate) fn cancel_alarm(&self, key: (Duration, u64)) -> Option<Alarm> {
        self.state.lock().timers.remove(&key)
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.state.lock().closed
    }

    pub(crate) fn shutdown(&self) {
        self.state.lock().closed = true;
        self.end_everything();
    }

    /// Ends every actor and drops every task that is not running at this moment; the one that calls, if any, is dropped
    /// by `run`.
    fn end_everything(&self) {
        loop {
            let (active, timers) = {
                let mut state = self.state.lock();
                (std::mem::take(&mut state.active), std::mem::take(&mut state.timers))
            };
            let actors = self.tenants.end_all();
            let nothing = active.is_empty() && timers.is_empty();
            // A woken task comes to the ready queue.
            active.into_values().for_each(Waker::wake);
            drop(timers);
            if self.sweep() == 0 && nothing {
                // What is left of `actors` is running: it calls.
                let _ = actors;
                return;
            }
        }
    }

    fn sweep_if_closed(&self) {
        if self.is_shut_down() {
            self.sweep();
        }
    }

    /// Runs actors, which end, and drops tasks, until none are ready; how many there were.
    pub(crate) fn sweep(&self) -> usize {
        if std::mem::replace(&mut self.state.lock().sweeping, true) {
            // Called by something that is being dropped: the one that sweeps goes on afterwards.
            return 0;
        }
        let (mut count, mut scratch) = (0, Scratch::default());
        loop {
            let job = {
                let mut state = self.state.lock();
                let job = state.ready.pop();
                state.sweeping = job.is_some();
                job
            };
            match job {
                Some(Job::Task(runnable)) => drop(runnable),
                Some(actor) => actor.run(&mut scratch),
                None => return count,
            }
            count += 1;
        }
    }
}

impl State {
    fn key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }
}

/// Part of every task's future: forgets the task's waker when the future is dropped.
struct Finished {
    world: Weak<World>,
    key: u64,
}

impl Drop for Finished {
    fn drop(&mut self) {
        if let Some(world) = self.world.upgrade() {
            let waker = world.state.lock().active.remove(&self.key);
            drop(waker);
        }
    }
}

struct RootWaker(Weak<World>);

impl Wake for RootWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(world) = self.0.upgrade() {
            world.state.lock().root_ready = true;
        }
    }
}

//! What the workers of a runtime share, and how something gets into their queues.

use super::alarms::Alarms;
use super::idle::{Idle, waker};
use super::parker::Parker;
use super::queue::RunQueue;
use super::steward::Steward;
use super::tasks::Tasks;
use super::worker::Step;
use crate::job::Job;
use crate::options::Priority;
use crate::runtime::{Alarm, Tenants};
use crate::scratch::Scratch;
use crate::sync::{
    AtomicBool, AtomicU64, AtomicUsize, Event, Listener as _, Ordering, detach, fence, now, relax,
    thread_local,
};
use crate::unwind;
use std::cell::Cell;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

/// So many jobs in the queue of one worker wake another one at once: of the shortest jobs it is a millisecond's work.
/// Fewer wait for the watch, which sees how long they take.
const BACKLOG: usize = 4096;

thread_local! {
    /// The runtime whose worker this thread is, and which of its workers; 0 for other threads, and while it blocks.
    static WORKER: Cell<(u64, usize)> = const { Cell::new((0, 0)) };
    /// The runtime whose job this thread runs, whether as a worker or as one of the blocking pool; 0 for other threads.
    static EMPLOYER: Cell<u64> = const { Cell::new(0) };
    /// This worker sleeps: what it schedules now, it does on behalf of the sockets that it serves meanwhile.
    static ASLEEP: Cell<bool> = const { Cell::new(false) };
    /// This thread runs what is left after a shutdown.
    static SWEEPING: Cell<bool> = const { Cell::new(false) };
    /// This thread ends everything after a shutdown, and looks once more for what it brings itself.
    static ENDING: Cell<bool> = const { Cell::new(false) };
}

/// What each worker has for itself.
pub(super) struct Station {
    pub(super) queue: RunQueue,
    /// Jobs that the worker has begun. Written by it alone; the watch sees whether it gets on.
    pub(super) begun: AtomicU64,
}

pub(super) struct Core {
    pub(super) id: u64,
    pub(super) stations: Box<[Station]>,
    pub(super) parkers: Box<[Parker]>,
    /// What comes from other threads than the workers.
    pub(super) injector: RunQueue,
    /// Vital tasks, for whichever worker comes first, or else for the steward.
    pub(super) vital: RunQueue,
    /// How many of them were taken.
    vital_taken: AtomicU64,
    pub(super) steward: Steward,
    pub(super) idle: Idle,
    pub(super) alarms: Alarms,
    pub(super) tenants: Tenants,
    pub(super) tasks: Tasks,
    /// Set once, by the shutdown; workers leave when they see it.
    closed: AtomicBool,
    /// The shutdown is over: nobody looks any more for what comes.
    concluded: AtomicBool,
    /// Workers that have not left. The last one ends everything that is left.
    working: AtomicUsize,
    /// Jobs on threads of the blocking pool.
    blocking: AtomicUsize,
    /// Fires when such a job is over.
    unblocked: Event,
}

impl Core {
    pub(super) fn new(id: u64, workers: usize) -> Core {
        let station = || Station { queue: RunQueue::new(), begun: AtomicU64::new(0) };
        Core {
            id,
            stations: std::iter::repeat_with(station).take(workers).collect(),
            parkers: std::iter::repeat_with(Parker::default).take(workers).collect(),
            injector: RunQueue::new(),
            vital: RunQueue::new(),
            vital_taken: AtomicU64::new(0),
            steward: Steward::default(),
            idle: Idle::new(),
            alarms: Alarms::new(now()),
            tenants: Tenants::default(),
            tasks: Tasks::default(),
            closed: AtomicBool::new(false),
            concluded: AtomicBool::new(false),
            working: AtomicUsize::new(0),
            blocking: AtomicUsize::new(0),
            unblocked: Event::new(),
        }
    }

    /// The number of the worker that this thread is, if it is one of this runtime.
    #[inline]
    pub(super) fn worker(&self) -> Option<usize> {
        let (id, worker) = WORKER.get();
        (id == self.id).then_some(worker)
    }

    /// Does what `step` says until it says to leave, as the worker that this thread is.
    pub(super) fn drive(&self, worker: usize, step: impl FnMut() -> Step) {
        self.parkers[worker].drive(step, |asleep| ASLEEP.set(asleep));
    }

    /// This thread is the steward from now on.
    pub(super) fn enlist_steward(&self) {
        EMPLOYER.set(self.id);
    }

    /// This thread is a worker from now on.
    pub(super) fn enlist(&self, worker: usize) {
        WORKER.set((self.id, worker));
        EMPLOYER.set(self.id);
    }

    /// Whether this thread runs a job of this runtime: waiting for all of them it would wait for itself.
    pub(super) fn is_own_thread(&self) -> bool {
        EMPLOYER.get() == self.id
    }

    /// Puts a job where a worker finds it, and wakes one if that is needed.
    #[inline]
    pub(super) fn schedule(self: &Arc<Core>, job: Job, priority: Priority) {
        let Some(worker) = self.worker() else { return self.inject(job, priority) };
        let waiting = self.stations[worker].queue.push(job, priority);
        if self.idle.sleepers() > 0 {
            if ASLEEP.get() {
                self.parkers[worker].wake();
            } else if waiting >= BACKLOG {
                self.idle.wake_one(waker(&self.parkers));
            } else {
                self.idle.watch(waker(&self.parkers));
            }
        }
    }

    fn inject(self: &Arc<Core>, job: Job, priority: Priority) {
        self.injector.push(job, priority);
        self.idle.wake_one(waker(&self.parkers));
        // The fence of `wake_one` is between the push and this look; see `conclude`.
        if self.concluded.load(Ordering::SeqCst) {
            self.end_late();
        }
    }

    /// Puts a vital task where the workers, which take turns with it, and the steward find it.
    pub(super) fn schedule_vital(self: &Arc<Core>, job: Job) {
        self.vital.push(job, Priority::Normal);
        match self.worker() {
            Some(worker) if ASLEEP.get() => self.parkers[worker].wake(),
            // It comes to it after the job at hand; another one would wake up later than that.
            Some(_) => {}
            None => self.idle.wake_one(waker(&self.parkers)),
        }
        self.steward.attend();
        fence(Ordering::SeqCst);
        if self.concluded.load(Ordering::SeqCst) {
            self.end_late();
        }
    }

    #[inline]
    pub(super) fn take_vital(&self) -> Option<Job> {
        let job = self.vital.pop()?;
        self.vital_taken.fetch_add(1, Ordering::Relaxed);
        Some(job)
    }

    pub(super) fn vital_taken(&self) -> u64 {
        self.vital_taken.load(Ordering::Relaxed)
    }

    /// Something came after the shutdown. Who brings it may hold locks, so it ends on another thread.
    #[cold]
    fn end_late(self: &Arc<Core>) {
        if !ENDING.get() {
            let core = Arc::clone(self);
            detach(move || core.end_everything());
        }
    }

    /// Runs a job on a thread of the blocking pool.
    pub(super) fn schedule_blocking(self: &Arc<Core>, job: Job) {
        if self.is_closed() {
            return self.inject(job, Priority::Normal);
        }
        self.blocking.fetch_add(1, Ordering::SeqCst);
        let core = Arc::clone(self);
        let run = move || {
            let before = EMPLOYER.replace(core.id);
            job.run(&mut Scratch::default());
            if core.is_closed() {
                // Before it counts as over: who waits for this job finds everything ended that it left.
                core.end_everything();
            }
            EMPLOYER.set(before);
            core.blocking.fetch_sub(1, Ordering::SeqCst);
            core.unblocked.notify(usize::MAX);
        };
        detach(run);
    }

    /// Runs something that blocks, after giving away what waits for this worker.
    pub(super) fn block_in_place<R>(&self, f: impl FnOnce() -> R) -> R {
        let Some(worker) = self.worker() else { return f() };
        loop {
            let stolen = self.stations[worker].queue.steal();
            if stolen.count == 0 {
                break;
            }
            self.injector.take_in(stolen);
            self.idle.wake_one(waker(&self.parkers));
        }
        /// This thread is the worker again.
        struct Restore((u64, usize));
        impl Drop for Restore {
            fn drop(&mut self) {
                WORKER.set(self.0);
            }
        }
        let _blocked = self.idle.block();
        // Nobody looks after the queue of a worker that blocks: what `f` schedules goes to where the others find it.
        let _restore = Restore(WORKER.replace((0, 0)));
        f()
    }

    pub(super) fn set_alarm(&self, deadline: Instant, alarm: Alarm) -> Result<crate::wheel::Key, Alarm> {
        let (key, earliest) = self.alarms.set(deadline, alarm)?;
        // A worker that is alone looks at the time itself before it sleeps.
        if earliest && !(self.stations.len() == 1 && self.worker().is_some()) {
            self.idle.rearm(waker(&self.parkers));
        }
        Ok(key)
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Tells the workers to leave.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // Who brings something looks at `closed` afterwards, who closes looks for it afterwards: one sees the other.
        fence(Ordering::SeqCst);
        self.parkers.iter().for_each(Parker::wake);
        self.steward.ask();
    }

    /// A worker is about to start.
    pub(super) fn expect_worker(&self) {
        self.working.fetch_add(1, Ordering::SeqCst);
    }

    /// A worker has left, or did not start.
    pub(super) fn dismiss_worker(&self) {
        if self.working.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.end_the_rest();
        }
    }

    /// Waits until no job runs on the blocking pool.
    pub(super) fn await_blocking(&self) {
        loop {
            let listener = self.unblocked.listen();
            if self.blocking.load(Ordering::SeqCst) == 0 {
                return;
            }
            listener.wait();
        }
    }

    /// Ends every actor and drops every task and alarm, unless it is running at this moment.
    pub(super) fn end_everything(&self) {
        let _ending = Ending(ENDING.replace(true));
        loop {
            let alarms = self.alarms.close();
            alarms.into_iter().for_each(|alarm| unwind::contained(|| drop(alarm)));
            self.tenants.end_all();
            let tasks = self.tasks.take_all();
            let nothing = tasks.is_empty();
            // A woken task comes to a queue.
            tasks.into_iter().for_each(Waker::wake);
            if self.sweep() == 0 && nothing {
                return;
            }
        }
    }

    /// Ends everything once no worker is left. Other threads may have ended the wait of an actor or of a task and not have
    /// put it into a queue yet, where nobody would look for it later: for that, which takes a few instructions, this waits.
    pub(super) fn end_the_rest(&self) {
        let mut attempt = 0;
        loop {
            self.end_everything();
            // Whoever is called by something that is being dropped must not wait for it.
            let called_from_sweep = SWEEPING.get();
            if called_from_sweep || (self.tasks.living() == 0 && !self.tenants.any_queued()) {
                return;
            }
            relax(attempt);
            attempt = attempt.saturating_add(1);
        }
    }

    /// The shutdown is over. Who brings something looks afterwards whether it is, who says so looks afterwards for what was
    /// brought: one sees the other.
    pub(super) fn conclude(&self) {
        self.concluded.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.end_everything();
    }

    /// Runs actors, which end, and drops tasks, until no queue holds any; how many there were.
    pub(super) fn sweep(&self) -> usize {
        if SWEEPING.replace(true) {
            // Called by something that is being dropped: the sweep that drops it goes on afterwards.
            return 0;
        }
        let (mut count, mut scratch) = (0, Scratch::default());
        let queues =
            || self.stations.iter().map(|station| &station.queue).chain([&self.injector, &self.vital]);
        while let Some(job) = queues().find_map(RunQueue::pop) {
            count += 1;
            unwind::contained(|| match job {
                Job::Task(runnable) => drop(runnable),
                actor => actor.run(&mut scratch),
            });
        }
        SWEEPING.set(false);
        count
    }
}

/// Says again that the thread does not end everything, when it is done with it.
struct Ending(bool);

impl Drop for Ending {
    fn drop(&mut self) {
        ENDING.set(self.0);
    }
}

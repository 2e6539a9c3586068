//! The loop of one worker: its own queue, then what came from outside, then what others have too much of, then sleep.

use super::core::{Core, Station};
use super::idle::{QUIET_LOOKS, Role, TICK_BUSY, TICK_QUIET, waker};
use crate::job::Job;
use crate::scratch::Scratch;
use crate::sync::{AtomicU64, Ordering, now};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Of this many turns, one looks outside before into the own queue: however long the jobs are, what comes from outside waits
/// for a few of them only.
const OUTSIDE_FIRST: u32 = 4;
/// Most turns after which a busy worker looks at the time; fewer when they take longer than [`ALARMS_WITHIN`] together.
const ALARMS_EVERY_MAX: u32 = 16;
/// How late alarms may be on a busy worker.
const ALARMS_WITHIN: Duration = Duration::from_micros(500);
/// How often a busy worker sees which sockets are ready: nobody else may be there to do it.
const SERVE_EVERY: Duration = Duration::from_micros(100);
/// Waiting jobs of another worker that are worth taking some. A single one is left to its worker, which is about to run
/// it, unless the watch finds it stuck.
const WORTH_STEALING: usize = 2;
/// A queue that its worker, at the rate of the last tick, would not empty within so many ticks is worth sharing. A job
/// that moves to another core takes a dozen lines of cache with it, which costs more than running a short one.
const BACKLOG_TICKS: u64 = 4;

/// What a worker does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The next step.
    Again,
    /// The same, after a look at the sockets.
    Serve,
    /// It sleeps until somebody wakes it or, if given, until the deadline. Sockets are served meanwhile.
    Sleep(Option<Instant>),
    /// Nothing: the runtime is closed.
    Leave,
}

pub(super) struct Worker {
    core: Arc<Core>,
    number: usize,
    until_outside: u32,
    /// The next turn is that of a vital task, if one waits.
    vital_first: bool,
    until_alarms: u32,
    /// Turns between two looks at the time.
    alarms_every: u32,
    /// When it looked at the time, if it has been busy since.
    looked: Option<Instant>,
    /// Since when the sockets were not served by this worker, as far as it has looked at the time.
    served: Option<Instant>,
    /// They are to be served.
    io_due: bool,
    /// It counts as asleep, and how often it looks if it is the watch.
    asleep: Option<Duration>,
    /// It has slept since it looked last.
    has_slept: bool,
    scratch: Scratch,
    /// While it is the watch: what each worker had begun at the last look.
    seen: Vec<u64>,
    /// The same of vital tasks.
    seen_vital: u64,
    quiet_looks: u32,
    /// It was woken for something that it has not found yet.
    searching: bool,
}

impl Worker {
    pub(super) fn new(core: Arc<Core>, number: usize) -> Worker {
        let seen = vec![0; core.stations.len()];
        Worker {
            core,
            number,
            until_outside: OUTSIDE_FIRST,
            vital_first: true,
            until_alarms: 1,
            alarms_every: 1,
            looked: None,
            served: None,
            io_due: false,
            asleep: None,
            has_slept: false,
            scratch: Scratch::default(),
            seen,
            seen_vital: 0,
            quiet_looks: 0,
            searching: false,
        }
    }

    /// Runs jobs until the runtime is closed.
    pub(super) fn run(&mut self) {
        let core = Arc::clone(&self.core);
        core.drive(self.number, || self.step());
    }

    /// One job, or one look for one.
    fn step(&mut self) -> Step {
        if let Some(tick) = self.asleep {
            return self.rest(tick);
        }
        if self.core.is_closed() {
            return Step::Leave;
        }
        match self.find() {
            Some(job) => self.work(job),
            None => self.lie_down(),
        }
        if std::mem::take(&mut self.io_due) { Step::Serve } else { Step::Again }
    }

    #[inline]
    fn station(&self) -> &Station {
        &self.core.stations[self.number]
    }

    #[inline]
    fn work(&mut self, job: Job) {
        if self.searching {
            self.searching = false;
            self.core.idle.arrived();
            // What was pushed while this worker was on its way may be work for another one.
            if self.core.injector.len() > 0 {
                self.core.idle.wake_one(waker(&self.core.parkers));
            }
        }
        let begun: &AtomicU64 = &self.station().begun;
        begun.store(begun.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        job.run(&mut self.scratch);
        self.until_alarms -= 1;
        if self.until_alarms == 0 {
            self.look_at_alarms();
        }
    }

    /// Sets off what is due, and learns from how long the last turns took how many more there may be before the next look.
    fn look_at_alarms(&mut self) {
        self.until_alarms = self.alarms_every;
        if !self.core.alarms.are_set() {
            self.looked = None;
            return;
        }
        let now = now();
        if let Some(before) = self.looked.replace(now) {
            let late = now.saturating_duration_since(before) > ALARMS_WITHIN;
            self.alarms_every = if late { 1 } else { (self.alarms_every * 2).min(ALARMS_EVERY_MAX) };
            self.until_alarms = self.alarms_every;
        }
        if now.saturating_duration_since(*self.served.get_or_insert(now)) > SERVE_EVERY {
            self.served = None;
            self.io_due = true;
        }
        self.core.alarms.turn(now);
    }

    #[inline]
    fn find(&mut self) -> Option<Job> {
        // Links and actors take turns, so that neither starves the other.
        self.vital_first = !self.vital_first;
        if self.vital_first
            && let Some(job) = self.core.take_vital()
        {
            return Some(job);
        }
        self.until_outside -= 1;
        if self.until_outside == 0 {
            self.until_outside = OUTSIDE_FIRST;
            if let Some(job) = self.core.injector.pop() {
                return Some(job);
            }
        }
        self.station()
            .queue
            .pop()
            .or_else(|| self.core.injector.pop())
            .or_else(|| self.core.take_vital())
            .or_else(|| self.steal(WORTH_STEALING))
    }

    /// Takes half of what another worker has waiting, if that is at least so many.
    fn steal(&self, worth: usize) -> Option<Job> {
        let workers = self.core.stations.len();
        (1..workers)
            .map(|distance| (self.number + distance) % workers)
            .filter(|&other| self.core.stations[other].queue.len() >= worth)
            .find_map(|other| self.steal_from(other))
    }

    fn steal_from(&self, other: usize) -> Option<Job> {
        let mut stolen = self.core.stations[other].queue.steal();
        let job = stolen.pop()?;
        if stolen.count > 0 {
            self.station().queue.take_in(stolen);
        }
        Some(job)
    }

    /// Nothing was found: it counts as asleep from now on, and looks once more.
    fn lie_down(&mut self) {
        self.look_at_alarms();
        self.looked = None;
        if std::mem::take(&mut self.searching) {
            self.core.idle.arrived();
        }
        if self.station().queue.len() > 0 {
            return;
        }
        self.core.idle.enter(self.number);
        self.quiet_looks = 0;
        self.has_slept = false;
        self.asleep = Some(TICK_BUSY);
    }

    /// Counts as asleep: wakes up if there may be something to do, else sleeps on.
    fn rest(&mut self, mut tick: Duration) -> Step {
        if std::mem::take(&mut self.has_slept) {
            match self.core.idle.role(self.number) {
                Role::Awake => return self.woken(),
                Role::Sleeper => {}
                Role::Watch { looking } => {
                    // What goes off here comes to the queue of this worker.
                    self.core.alarms.turn(now());
                    if looking {
                        match self.look() {
                            Sight::Stuck(job) => {
                                self.wake_up();
                                self.work(job);
                                return Step::Again;
                            }
                            Sight::Waiting => tick = TICK_BUSY,
                            Sight::Nothing => tick = TICK_QUIET,
                        }
                        self.asleep = Some(tick);
                    }
                }
            }
        }
        if self.core.is_closed() || self.has_work() {
            self.wake_up();
            return Step::Again;
        }
        let deadline = match self.core.idle.role(self.number) {
            Role::Awake => return self.woken(),
            Role::Sleeper => None,
            Role::Watch { looking } => self.next_look(looking.then_some(tick)),
        };
        self.has_slept = true;
        Step::Sleep(deadline)
    }

    /// Somebody has taken it off the list of sleepers, for something that it is to find.
    fn woken(&mut self) -> Step {
        self.asleep = None;
        self.searching = true;
        self.core.steward.attend();
        Step::Again
    }

    /// Whether something waits that it would find.
    fn has_work(&self) -> bool {
        self.core.injector.len() > 0 || self.station().queue.len() > 0 || self.core.vital.len() > 0
    }

    fn wake_up(&mut self) {
        self.asleep = None;
        self.searching = !self.core.idle.leave(self.number, waker(&self.core.parkers));
        self.core.steward.attend();
    }

    /// Until when the watch sleeps.
    fn next_look(&self, tick: Option<Duration>) -> Option<Instant> {
        // A single worker has nobody to look after.
        let tick = tick.filter(|_| self.core.stations.len() > 1);
        let look = tick.map(|tick| now() + tick);
        match (look, self.core.alarms.next()) {
            (Some(look), Some(alarm)) => Some(look.min(alarm)),
            (look, alarm) => look.or(alarm),
        }
    }

    /// Looks after the other workers.
    fn look(&mut self) -> Sight {
        let workers = self.core.stations.len();
        if self.core.idle.is_quiet(workers) {
            self.quiet_looks += 1;
            if self.quiet_looks >= QUIET_LOOKS {
                self.core.idle.stop_watching(workers);
            }
            return Sight::Nothing;
        }
        self.quiet_looks = 0;
        let taken = self.core.vital_taken();
        if std::mem::replace(&mut self.seen_vital, taken) == taken
            && let Some(job) = self.core.take_vital()
        {
            return Sight::Stuck(job);
        }
        let mut sight = Sight::Nothing;
        for other in (0..workers).filter(|&other| other != self.number) {
            let station = &self.core.stations[other];
            let begun = station.begun.load(Ordering::Relaxed);
            let lately = begun.wrapping_sub(std::mem::replace(&mut self.seen[other], begun));
            let waiting = station.queue.len() as u64;
            if waiting == 0 {
                continue;
            }
            // Nothing begun since the last look: what waits is stuck behind one long job.
            if waiting > lately.saturating_mul(BACKLOG_TICKS)
                && let Some(job) = self.steal_from(other)
            {
                return Sight::Stuck(job);
            }
            sight = Sight::Waiting;
        }
        sight
    }
}

/// What the watch has seen.
enum Sight {
    /// Something waits behind a long job: here it is.
    Stuck(Job),
    /// Something waits, and will not have to wait for long.
    Waiting,
    Nothing,
}

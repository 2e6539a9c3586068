//! Which workers sleep, and the one of them that watches over the others.
//!
//! Waking a thread costs both sides a system call, and work that moves to another core leaves its cache behind. So a worker
//! that schedules something does not wake another for it: usually it comes to it itself, sooner. What keeps work from
//! waiting behind a long handler is the *watch*: the worker that went to sleep first looks after the others every
//! [`TICK_BUSY`] to [`TICK_QUIET`] while they are awake, takes what has got stuck, and also keeps the time for timers. When
//! all sleep, it sleeps as well.

use super::parker::Parker;
use crate::lock::Lock;
use crate::sync::{AtomicBool, AtomicUsize, Ordering, fence};
use std::time::Duration;

/// How often the watch looks while jobs wait.
pub(super) const TICK_BUSY: Duration = Duration::from_micros(250);
/// How often it looks while none do.
pub(super) const TICK_QUIET: Duration = Duration::from_millis(1);
/// Looks at sleeping workers after which the watch sleeps too.
pub(super) const QUIET_LOOKS: u32 = 20;

/// Who sleeps.
pub(super) struct Idle {
    /// The sleepers, the one that went to sleep first at the front: it is the watch.
    sleeping: Lock<Vec<usize>>,
    /// Their number, written under the lock. A sleeper writes it before it looks for work once more, a pusher reads it
    /// after it has pushed: with a fence between on both sides, one of them sees the other.
    sleepers: AtomicUsize,
    /// Workers that block in a job: not asleep, but nothing to look after.
    blocked: AtomicUsize,
    /// Somebody was woken and has not found its work yet: another need not be. Cleared before that worker looks for more.
    waking: AtomicBool,
    /// The watch looks at the others from time to time. Written under the lock.
    watching: AtomicBool,
}

impl Idle {
    pub(super) fn new() -> Idle {
        Idle {
            sleeping: Lock::new(Vec::new()),
            sleepers: AtomicUsize::new(0),
            blocked: AtomicUsize::new(0),
            waking: AtomicBool::new(false),
            watching: AtomicBool::new(false),
        }
    }

    /// How many sleep.
    #[inline]
    pub(super) fn sleepers(&self) -> usize {
        self.sleepers.load(Ordering::Relaxed)
    }

    /// The worker blocks in a job until the value is dropped.
    pub(super) fn block(&self) -> Blocked<'_> {
        self.blocked.fetch_add(1, Ordering::SeqCst);
        Blocked { idle: self }
    }

    /// Whether, of so many workers, none runs anything.
    pub(super) fn is_quiet(&self, workers: usize) -> bool {
        self.sleepers.load(Ordering::SeqCst) + self.blocked.load(Ordering::SeqCst) >= workers
    }

    /// Whether a worker blocks in a job, so that it looks after nothing meanwhile.
    pub(super) fn is_any_blocked(&self) -> bool {
        self.blocked.load(Ordering::SeqCst) > 0
    }

    /// The worker is about to sleep: it must look for work once more after this.
    pub(super) fn enter(&self, worker: usize) {
        let mut sleeping = self.sleeping.lock();
        sleeping.push(worker);
        self.sleepers.store(sleeping.len(), Ordering::SeqCst);
        if sleeping.len() == 1 {
            self.watching.store(true, Ordering::SeqCst);
        }
        drop(sleeping);
        fence(Ordering::SeqCst);
    }

    /// The worker does not sleep any more. Whoever comes to be the watch instead is told. `false`: somebody has woken it
    /// already, and it must [arrive](Idle::arrived).
    #[must_use]
    pub(super) fn leave(&self, worker: usize, parkers: impl Fn(usize)) -> bool {
        let mut sleeping = self.sleeping.lock();
        let Some(place) = sleeping.iter().position(|&other| other == worker) else { return false };
        sleeping.remove(place);
        self.sleepers.store(sleeping.len(), Ordering::SeqCst);
        let heir = sleeping.first().copied().filter(|_| place == 0);
        if heir.is_some() {
            self.watching.store(true, Ordering::SeqCst);
        }
        drop(sleeping);
        if let Some(heir) = heir {
            parkers(heir);
        }
        true
    }

    /// Whether the worker counts as sleeping, and whether it is the watch.
    pub(super) fn role(&self, worker: usize) -> Role {
        let sleeping = self.sleeping.lock();
        match sleeping.iter().position(|&other| other == worker) {
            None => Role::Awake,
            Some(0) if self.watching.load(Ordering::SeqCst) => Role::Watch { looking: true },
            Some(0) => Role::Watch { looking: false },
            Some(_) => Role::Sleeper,
        }
    }

    /// The watch has seen nobody awake for a while, and sleeps without looking until somebody asks for it, unless somebody
    /// is awake after all.
    pub(super) fn stop_watching(&self, workers: usize) {
        let _sleeping = self.sleeping.lock();
        if self.is_quiet(workers) {
            self.watching.store(false, Ordering::SeqCst);
        }
    }

    /// Something waits for a worker that is busy: sees to it that the watch looks.
    #[inline]
    pub(super) fn watch(&self, parkers: impl Fn(usize)) {
        if !self.watching.load(Ordering::Relaxed) {
            self.start_watching(parkers);
        }
    }

    #[cold]
    fn start_watching(&self, parkers: impl Fn(usize)) {
        let sleeping = self.sleeping.lock();
        let watch = sleeping.first().copied();
        if watch.is_some() {
            self.watching.store(true, Ordering::SeqCst);
        }
        drop(sleeping);
        if let Some(watch) = watch {
            parkers(watch);
        }
    }

    /// An alarm was set that is earlier than all others: the watch looks at the time again.
    pub(super) fn rearm(&self, parkers: impl Fn(usize)) {
        fence(Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            let watch = self.sleeping.lock().first().copied();
            if let Some(watch) = watch {
                parkers(watch);
            }
        }
    }

    /// Something was put where any worker finds it: wakes one, unless one is on its way. Not the watch, if another sleeps.
    pub(super) fn wake_one(&self, parkers: impl Fn(usize)) {
        fence(Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) == 0 || self.waking.swap(true, Ordering::SeqCst) {
            return;
        }
        let mut sleeping = self.sleeping.lock();
        let woken = sleeping.pop();
        self.sleepers.store(sleeping.len(), Ordering::SeqCst);
        drop(sleeping);
        match woken {
            Some(worker) => parkers(worker),
            None => self.waking.store(false, Ordering::SeqCst),
        }
    }

    /// A worker that was woken has found work, or has found none: the next push may wake another.
    pub(super) fn arrived(&self) {
        self.waking.store(false, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }
}

/// While it lives, a worker blocks.
pub(super) struct Blocked<'a> {
    idle: &'a Idle,
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.idle.blocked.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What a worker is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Awake,
    Sleeper,
    Watch { looking: bool },
}

/// Wakes a worker by its number.
pub(super) fn waker(parkers: &[Parker]) -> impl Fn(usize) + '_ {
    |worker| {
        if let Some(parker) = parkers.get(worker) {
            parker.wake();
        }
    }
}

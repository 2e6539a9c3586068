//! The thread that runs vital tasks when no worker comes to them.
//!
//! Links, heartbeats and membership must go on whatever the code of users does. Running them on a thread of their own
//! costs two wake-ups for each message between a link and an actor, more than everything else together. So their tasks,
//! the *vital* ones, run on the same workers as the actors, which take turns with them; and while any worker is awake the
//! steward looks every [`TICK`] whether the vital tasks and the alarms get on. If a handler blocks its worker and they do
//! not, it runs them itself. It never runs an actor, so no code of users can stop it.

use super::core::Core;
use crate::scratch::Scratch;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often it looks.
const TICK: Duration = Duration::from_millis(2);
/// Looks that find everybody asleep after which it sleeps, too.
const QUIET_LOOKS: u32 = 3;

/// How the steward sleeps and is woken.
#[derive(Default)]
pub(super) struct Steward {
    /// There is one: somebody has vital tasks. Written once, before the first of them.
    employed: AtomicBool,
    /// It looks from time to time, or is about to. Cleared by the steward before it looks for the last time; whoever brings
    /// something to do reads it afterwards: with a fence between on both sides, one of them sees the other.
    attentive: AtomicBool,
    /// Somebody has asked for its attention, or it is to leave.
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Steward {
    /// Whether the caller is the first to employ one.
    pub(super) fn employ(&self) -> bool {
        !self.employed.swap(true, Ordering::SeqCst)
    }

    /// There is no steward after all.
    pub(super) fn dismiss(&self) {
        self.employed.store(false, Ordering::SeqCst);
    }

    /// A worker is awake, or a vital task waits.
    #[inline]
    pub(super) fn attend(&self) {
        if !self.employed.load(Ordering::Relaxed) {
            return;
        }
        fence(Ordering::SeqCst);
        if !self.attentive.load(Ordering::Relaxed) {
            self.ask();
        }
    }

    #[cold]
    pub(super) fn ask(&self) {
        self.attentive.store(true, Ordering::SeqCst);
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Sleeps until somebody asks.
    fn sleep(&self) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        while !std::mem::take(&mut *asked) {
            asked = self.changed.wait(asked).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Works until the runtime is closed.
pub(super) fn run(core: &Core) {
    let mut scratch = Scratch::default();
    while !core.is_closed() {
        watch_over(core, &mut scratch);
        core.steward.attentive.store(false, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if core.is_closed() || !is_quiet(core) {
            core.steward.attentive.store(true, Ordering::SeqCst);
            continue;
        }
        core.steward.sleep();
    }
}

/// Looks from time to time, until everybody has been asleep for a while.
fn watch_over(core: &Core, scratch: &mut Scratch) {
    let mut quiet_looks = 0;
    let mut seen = core.vital_taken();
    while quiet_looks < QUIET_LOOKS && !core.is_closed() {
        std::thread::sleep(TICK);
        look_at_alarms(core);
        if core.vital_taken() == seen {
            stand_in(core, scratch);
        }
        seen = core.vital_taken();
        quiet_looks = if is_quiet(core) { quiet_looks + 1 } else { 0 };
    }
}

/// Sets off what is due and a worker would have set off long ago.
fn look_at_alarms(core: &Core) {
    let now = Instant::now();
    if core.alarms.next().is_some_and(|due| now > due + TICK) {
        core.alarms.turn(now);
    }
}

/// Runs vital tasks for as long as some wait and no worker takes any. They may be tasks that never rest, so the alarms are
/// looked at all the while.
fn stand_in(core: &Core, scratch: &mut Scratch) {
    let mut looked = Instant::now();
    let mut taken = core.vital_taken();
    while !core.is_closed() && core.vital_taken() == taken {
        let Some(job) = core.take_vital() else { return };
        taken += 1;
        job.run(scratch);
        if looked.elapsed() > TICK {
            look_at_alarms(core);
            looked = Instant::now();
        }
    }
}

/// Whether nothing is to be looked after: who goes to sleep has looked for work, and wakes for more.
fn is_quiet(core: &Core) -> bool {
    core.vital.len() == 0 && core.idle.is_quiet(core.stations.len()) && !core.idle.is_any_blocked()
}

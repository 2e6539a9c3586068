//! The alarms of the real runtime: a wheel of ticks of a millisecond, turned by whichever worker comes by.

use crate::lock::Lock;
use crate::runtime::Alarm;
use crate::sync::{AtomicU64, Ordering};
use crate::wheel::{Key, Wheel};
use std::time::{Duration, Instant};

/// Nothing is due.
const NEVER: u64 = u64::MAX;
/// The length of a tick is 2 to the power of this, in nanoseconds: 1.05 ms.
const TICK_SHIFT: u32 = 20;

pub(super) struct Alarms {
    base: Instant,
    /// The earliest tick at which something may be due. Written under the lock of the wheel; who reads a stale value
    /// comes late by one look.
    next: AtomicU64,
    wheel: Lock<Option<Wheel<Alarm>>>,
}

impl Alarms {
    /// With ticks that are counted from `base`.
    pub(super) fn new(base: Instant) -> Alarms {
        Alarms { base, next: AtomicU64::new(NEVER), wheel: Lock::new(Some(Wheel::new())) }
    }

    /// Sets an alarm, and whether it is now the earliest; it comes back when the alarms are closed or too many.
    pub(super) fn set(&self, deadline: Instant, alarm: Alarm) -> Result<(Key, bool), Alarm> {
        // Rounded up: an alarm never goes off early.
        let elapsed = deadline.saturating_duration_since(self.base).as_nanos();
        let tick = u64::try_from(elapsed >> TICK_SHIFT).unwrap_or(u64::MAX - 1).saturating_add(1);
        let mut wheel = self.wheel.lock();
        let Some(open) = &mut *wheel else { return Err(alarm) };
        let key = open.insert(tick, alarm)?;
        let earliest = tick < self.next.load(Ordering::Relaxed);
        if earliest {
            self.next.store(tick, Ordering::SeqCst);
        }
        Ok((key, earliest))
    }

    pub(super) fn cancel(&self, key: Key) -> Option<Alarm> {
        self.wheel.lock().as_mut()?.cancel(key)
    }

    /// When the earliest alarm may be due.
    pub(super) fn next(&self) -> Option<Instant> {
        match self.next.load(Ordering::SeqCst) {
            NEVER => None,
            tick => self.base.checked_add(Duration::from_nanos(tick.checked_mul(1 << TICK_SHIFT)?)),
        }
    }

    /// Whether there is any.
    #[inline]
    pub(super) fn are_set(&self) -> bool {
        self.next.load(Ordering::Relaxed) != NEVER
    }

    /// Sets off what is due.
    pub(super) fn turn(&self, time: Instant) {
        let next = self.next.load(Ordering::Relaxed);
        if next == NEVER {
            return;
        }
        let elapsed = time.saturating_duration_since(self.base).as_nanos();
        let now = u64::try_from(elapsed >> TICK_SHIFT).unwrap_or(u64::MAX);
        if now < next {
            return;
        }
        let mut due = Vec::new();
        let mut wheel = self.wheel.lock();
        if let Some(open) = &mut *wheel {
            open.advance(now, |alarm| due.push(alarm));
            self.next.store(open.next_deadline().unwrap_or(NEVER), Ordering::SeqCst);
        }
        drop(wheel);
        due.into_iter().for_each(Alarm::go_off);
    }

    /// Refuses alarms from now on; those that are left.
    pub(super) fn close(&self) -> Vec<Alarm> {
        let wheel = self.wheel.lock().take();
        self.next.store(NEVER, Ordering::SeqCst);
        wheel.map(|mut wheel| wheel.drain()).unwrap_or_default()
    }
}

//! A timer wheel that the program drives itself: it calls `hew_timer_wheel_tick`, and due timers run there.

use crate::error::{Failure, HEW_ERR_OOM, HEW_ERR_STALE, status, value, void};
use crate::handle::{Kind, Table, pointer};
use crate::landing::{self, Call};
use crate::types::{HewTimerEntry, HewTimerFn, HewTimerWheel};
use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Instant;

/// Most timers that wait in one wheel.
const TIMERS_MAX: usize = 1 << 20;

static WHEELS: Table<Wheel> = Table::new(Kind::TimerWheel, "timer wheel");
static ENTRIES: Table<Entry> = Table::new(Kind::TimerEntry, "timer");

#[derive(Default)]
struct Wheel {
    state: Mutex<State>,
}

/// Ordered by when they are due, and by when they were made.
#[derive(Default)]
struct State {
    waiting: BTreeMap<(u64, u64), Timer>,
    made: u64,
}

struct Timer {
    call: Ring,
    handle: usize,
}

/// What the handle of a timer stands for.
struct Entry {
    wheel: Weak<Wheel>,
    key: (u64, u64),
}

#[derive(Clone, Copy)]
struct Ring {
    function: unsafe extern "C" fn(*mut c_void),
    /// The caller's pointer as a number: it is only handed back.
    user: usize,
}

impl Call for Ring {
    type Output = ();

    fn run(&self) {
        // SAFETY: hew.h gives this type of function to `hew_timer_wheel_schedule`, and `user` is what came with it.
        unsafe { (self.function)(std::ptr::with_exposed_provenance_mut(self.user)) }
    }
}

impl Wheel {
    fn state(&self) -> MutexGuard<'_, State> {
        // Only map operations happen under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out the first timer that is due.
    fn pop(&self, now: u64) -> Option<Timer> {
        let mut state = self.state();
        let first = state.waiting.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(first.remove())
    }
}

/// Milliseconds of a clock that only goes forward; its zero is the first call.
#[unsafe(no_mangle)]
pub extern "C" fn hew_now_ms() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    // Fits for 584 million years.
    START.get_or_init(Instant::now).elapsed().as_millis() as u64
}

/// An empty wheel, freed by `hew_timer_wheel_free`.
#[unsafe(no_mangle)]
pub extern "C" fn hew_timer_wheel_new() -> *mut HewTimerWheel {
    value("hew_timer_wheel_new", null_mut(), || WHEELS.insert(Arc::default()).map(pointer))
}

/// Frees a wheel; its timers never run.
#[unsafe(no_mangle)]
pub extern "C" fn hew_timer_wheel_free(wheel: *mut HewTimerWheel) {
    if wheel.is_null() {
        return;
    }
    void("hew_timer_wheel_free", || {
        let wheel = WHEELS.remove(wheel.addr())?;
        let waiting = std::mem::take(&mut wheel.state().waiting);
        for timer in waiting.values() {
            // Its only other way out is cancelling, at the same time.
            let _ = ENTRIES.remove(timer.handle);
        }
        Ok(())
    });
}

/// Lets `function(user)` run in the first tick after `delay_ms` milliseconds. The handle is valid until the timer has run
/// or was cancelled. NULL on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_timer_wheel_schedule(
    wheel: *mut HewTimerWheel,
    delay_ms: u64,
    function: HewTimerFn,
    user: *mut c_void,
) -> *mut HewTimerEntry {
    value("hew_timer_wheel_schedule", null_mut(), || {
        let function = function.ok_or_else(|| Failure::null("function"))?;
        let wheel = WHEELS.find(wheel.addr())?;
        let call = Ring { function, user: user.expose_provenance() };
        let mut state = wheel.state();
        if state.waiting.len() >= TIMERS_MAX {
            let text = format!("{TIMERS_MAX} timers wait in this wheel, which is the limit");
            return Err(Failure::new(HEW_ERR_OOM, text));
        }
        state.made += 1;
        let key = (hew_now_ms().saturating_add(delay_ms), state.made);
        let handle = ENTRIES.insert(Arc::new(Entry { wheel: Arc::downgrade(&wheel), key }))?;
        state.waiting.insert(key, Timer { call, handle });
        Ok(pointer(handle))
    })
}

/// Cancels a timer: 0, and it never runs; a negative code if it has run, was cancelled, or is of another wheel.
#[unsafe(no_mangle)]
pub extern "C" fn hew_timer_wheel_cancel(wheel: *mut HewTimerWheel, timer: *mut HewTimerEntry) -> c_int {
    status("hew_timer_wheel_cancel", || {
        let wheel = WHEELS.find(wheel.addr())?;
        let entry = ENTRIES.find(timer.addr())?;
        if !entry.wheel.upgrade().is_some_and(|own| Arc::ptr_eq(&own, &wheel)) {
            return Err(Failure::invalid("the timer is of another wheel"));
        }
        let waiting = wheel.state().waiting.remove(&entry.key);
        let waiting = waiting.ok_or_else(|| Failure::new(HEW_ERR_STALE, "the timer runs already"))?;
        ENTRIES.remove(waiting.handle).map(drop)
    })
}

/// Runs every timer that was due when the call began, in order, on this thread; how many. A timer may schedule others
/// and cancel; those that are due at once run in the next tick. One that calls `hew_panic` is over, the others run.
#[unsafe(no_mangle)]
pub extern "C" fn hew_timer_wheel_tick(wheel: *mut HewTimerWheel) -> c_int {
    value("hew_timer_wheel_tick", 0, || {
        let wheel = WHEELS.find(wheel.addr())?;
        let (now, newest) = (hew_now_ms(), wheel.state().made);
        let mut later = Vec::new();
        let mut count = 0;
        while let Some(timer) = wheel.pop(now) {
            let made = ENTRIES.find(timer.handle).map(|entry| entry.key);
            match made {
                Ok(key) if key.1 > newest => later.push((key, timer)),
                _ => {
                    let _ = ENTRIES.remove(timer.handle);
                    count += 1;
                    if let Err(text) = landing::call(&timer.call) {
                        tracing::warn!(text, "a timer panicked");
                    }
                }
            }
        }
        wheel.state().waiting.extend(later);
        Ok(count)
    })
}

/// Milliseconds until the next timer is due, 0 if one is; -1 if none waits.
#[unsafe(no_mangle)]
pub extern "C" fn hew_timer_wheel_next_deadline_ms(wheel: *mut HewTimerWheel) -> i64 {
    value("hew_timer_wheel_next_deadline_ms", -1, || {
        let wheel = WHEELS.find(wheel.addr())?;
        let next = wheel.state().waiting.first_key_value().map(|(key, _)| key.0);
        let left = next.map(|due| due.saturating_sub(hew_now_ms()));
        Ok(left.map_or(-1, |left| i64::try_from(left).unwrap_or(i64::MAX)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    unsafe extern "C" fn count(user: *mut c_void) {
        // SAFETY: the tests of this file pass the address of an AtomicUsize that lives as long as the wheel.
        unsafe { &*user.cast::<AtomicUsize>() }.fetch_add(1, Ordering::Relaxed);
    }

    unsafe extern "C" fn panic(_: *mut c_void) {
        crate::landing::hew_panic();
    }

    fn schedule(wheel: *mut HewTimerWheel, delay: u64, rings: &AtomicUsize) -> *mut HewTimerEntry {
        // SAFETY: `count` takes the address of an AtomicUsize.
        unsafe { hew_timer_wheel_schedule(wheel, delay, Some(count), (&raw const *rings).cast_mut().cast()) }
    }

    #[test]
    fn due_timers_run_once_and_cancelled_ones_never() {
        let (wheel, rings) = (hew_timer_wheel_new(), AtomicUsize::new(0));
        assert_eq!(hew_timer_wheel_next_deadline_ms(wheel), -1);
        let first = schedule(wheel, 0, &rings);
        let cancelled = schedule(wheel, 0, &rings);
        let late = schedule(wheel, 3_600_000, &rings);
        assert_eq!(hew_timer_wheel_next_deadline_ms(wheel), 0);
        assert_eq!(hew_timer_wheel_cancel(wheel, cancelled), 0);
        assert!(hew_timer_wheel_cancel(wheel, cancelled) < 0);
        assert_eq!(hew_timer_wheel_tick(wheel), 1);
        assert_eq!(hew_timer_wheel_tick(wheel), 0);
        assert_eq!(rings.load(Ordering::Relaxed), 1);
        assert!(hew_timer_wheel_cancel(wheel, first) < 0);
        assert!(hew_timer_wheel_next_deadline_ms(wheel) > 3_000_000);
        let other = hew_timer_wheel_new();
        assert_eq!(hew_timer_wheel_cancel(other, late), crate::error::HEW_ERR_INVALID);
        hew_timer_wheel_free(other);
        hew_timer_wheel_free(wheel);
        hew_timer_wheel_free(wheel);
        assert!(ENTRIES.find(late.addr()).is_err(), "freed with its wheel");
    }

    #[test]
    fn a_timer_that_panics_is_over_and_the_others_run() {
        let (wheel, rings) = (hew_timer_wheel_new(), AtomicUsize::new(0));
        // SAFETY: `panic` ignores its argument.
        unsafe { hew_timer_wheel_schedule(wheel, 0, Some(panic), null_mut()) };
        schedule(wheel, 0, &rings);
        assert_eq!(hew_timer_wheel_tick(wheel), 2);
        assert_eq!(rings.load(Ordering::Relaxed), 1);
        hew_timer_wheel_free(wheel);
    }
}

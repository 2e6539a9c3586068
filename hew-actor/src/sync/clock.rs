//! The clock of a schedule: it stands still, except while somebody sleeps until a time.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// How far one sleep moves the clock at most. So short deadlines come in the middle of things, and long ones when there is
/// nothing else to do.
const STEP: Duration = Duration::from_millis(1);

// All threads of a schedule run on one thread of the system. Nothing depends on the time at which a schedule begins.
std::thread_local! {
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
}

pub(crate) fn now() -> Instant {
    let now = NOW.get().unwrap_or_else(Instant::now);
    NOW.set(Some(now));
    now
}

/// Lets others run, and then time pass, but not beyond `deadline`.
pub(crate) fn doze(deadline: Option<Instant>) {
    shuttle::thread::yield_now();
    let now = now();
    if let Some(deadline) = deadline
        && deadline > now
    {
        NOW.set(Some(deadline.min(now + STEP)));
    }
}

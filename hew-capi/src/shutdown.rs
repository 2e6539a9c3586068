//! Shutting a process down in phases: nothing new, what waits is handled, then everything stops.

use crate::error::{Failure, HEW_ERR_CLOSED, HEW_ERR_OOM, status, void};
use crate::process::{running_process, shut_down};
use crate::running;
use std::ffi::c_int;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The process works as usual.
pub const HEW_SHUTDOWN_RUNNING: c_int = 0;
/// It was told to shut down.
pub const HEW_SHUTDOWN_QUIESCE: c_int = 1;
/// Actors handle what waits for them.
pub const HEW_SHUTDOWN_DRAIN: c_int = 2;
/// Nodes, actors and workers stop.
pub const HEW_SHUTDOWN_TERMINATE: c_int = 3;
/// It is over.
pub const HEW_SHUTDOWN_DONE: c_int = 4;

/// How often the drain looks whether somebody has something to do.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);
/// So often in a row nobody must have: a message may be on its way from one mailbox to another.
const QUIET_LOOKS: u32 = 3;

static PHASE: Mutex<c_int> = Mutex::new(HEW_SHUTDOWN_RUNNING);
static CHANGED: Condvar = Condvar::new();

fn phase() -> MutexGuard<'static, c_int> {
    // It is one number.
    PHASE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn advance(next: c_int) {
    *phase() = next;
    CHANGED.notify_all();
}

/// A process that was cleaned up begins anew.
pub(crate) fn reset() {
    let mut phase = phase();
    if *phase == HEW_SHUTDOWN_DONE {
        *phase = HEW_SHUTDOWN_RUNNING;
    }
}

/// The phase of the shutdown, `HEW_SHUTDOWN_…`.
#[unsafe(no_mangle)]
pub extern "C" fn hew_shutdown_phase() -> c_int {
    *phase()
}

/// 1 from `hew_shutdown_initiate` on, else 0; 0 again after `hew_runtime_cleanup`.
#[unsafe(no_mangle)]
pub extern "C" fn hew_is_shutting_down() -> c_int {
    c_int::from(*phase() != HEW_SHUTDOWN_RUNNING)
}

/// Begins to shut the process down: actors handle what waits, for at most `drain_ms` milliseconds (0 or less: not at
/// all) and no longer than there is something to do; then everything stops as in `hew_sched_shutdown`. Returns at once,
/// also in a handler; `hew_shutdown_wait` waits. A second call has no effect.
#[unsafe(no_mangle)]
pub extern "C" fn hew_shutdown_initiate(drain_ms: i64) {
    void("hew_shutdown_initiate", || {
        let mut phase = phase();
        if *phase != HEW_SHUTDOWN_RUNNING {
            return Ok(());
        }
        let limit = Duration::from_millis(u64::try_from(drain_ms).unwrap_or(0));
        std::thread::Builder::new()
            .name("hew-shutdown".into())
            .spawn(move || run(limit))
            .map_err(|error| Failure::new(HEW_ERR_OOM, format!("no thread: {error}")))?;
        *phase = HEW_SHUTDOWN_QUIESCE;
        Ok(())
    });
}

fn run(limit: Duration) {
    advance(HEW_SHUTDOWN_DRAIN);
    drain(limit);
    advance(HEW_SHUTDOWN_TERMINATE);
    void("hew_shutdown_initiate", shut_down);
    advance(HEW_SHUTDOWN_DONE);
}

/// Waits until no actor has anything to do, at most for `limit`.
fn drain(limit: Duration) {
    let Some(process) = running_process() else { return };
    let deadline = Instant::now().checked_add(limit);
    let mut quiet = 0;
    while quiet < QUIET_LOOKS && deadline.is_none_or(|deadline| Instant::now() < deadline) {
        let idle = |pid: &hew_wire::Pid| {
            process.system.lifecycle(*pid).is_none_or(|state| state == hew_actor::Lifecycle::Idle)
                && process.system.mailbox_len(*pid).is_none_or(|waiting| waiting == 0)
        };
        quiet = if process.system.pids().iter().all(idle) { quiet + 1 } else { 0 };
        std::thread::sleep(LOOK_INTERVAL);
    }
}

/// Waits until the shutdown is over: 0. A negative code if none was begun, and for handlers, which it would wait for.
#[unsafe(no_mangle)]
pub extern "C" fn hew_shutdown_wait() -> c_int {
    status("hew_shutdown_wait", || {
        if running::actor().is_some() {
            return Err(Failure::invalid("a handler cannot wait for its own end"));
        }
        let mut phase = phase();
        if *phase == HEW_SHUTDOWN_RUNNING {
            return Err(Failure::new(HEW_ERR_CLOSED, "no shutdown was begun"));
        }
        while *phase != HEW_SHUTDOWN_DONE {
            phase = CHANGED.wait(phase).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    })
}

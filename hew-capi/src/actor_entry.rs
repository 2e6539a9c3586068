//! What the library knows of one actor written in C, alive or ended.

use crate::error::{Failure, HEW_ERR_ACTOR_STOPPED};
use crate::process::Process;
use hew_actor::{ActorRef, Outcome, RawMessage};
use hew_wire::{ExitReason, Pid};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Instant;

/// How the text of an end by `hew_actor_trap` begins; the code follows.
const TRAPPED: &str = "trapped with code ";

/// What the handle of an actor stands for.
pub(crate) struct ActorEntry {
    process: Weak<Process>,
    handle: OnceLock<usize>,
    /// Set by the thread that spawns, before any message.
    actor: OnceLock<ActorRef<RawMessage>>,
    /// Whether exit signals arrive as messages. Written by any thread, read by the actor's own.
    trap_exit: AtomicBool,
    /// What the running handler asked for, to be done when it returns.
    wish: Mutex<Option<Outcome>>,
    end: Mutex<Option<ExitReason>>,
    ended: Condvar,
    /// Monitors of this actor that have not fired.
    monitors: Mutex<Vec<u64>>,
}

impl ActorEntry {
    pub(crate) fn new(process: &Arc<Process>) -> ActorEntry {
        ActorEntry {
            process: Arc::downgrade(process),
            handle: OnceLock::new(),
            actor: OnceLock::new(),
            trap_exit: AtomicBool::new(false),
            wish: Mutex::new(None),
            end: Mutex::new(None),
            ended: Condvar::new(),
            monitors: Mutex::new(Vec::new()),
        }
    }

    /// Completes the entry of an actor that was just spawned.
    pub(crate) fn spawned(self: &Arc<Self>, handle: usize, actor: ActorRef<RawMessage>) {
        let (system, pid) = (actor.system(), actor.pid());
        // Only the thread that spawns comes here.
        let _ = self.handle.set(handle);
        let _ = self.actor.set(actor);
        let entry = Arc::clone(self);
        system.watch(pid, move |_, reason| entry.ended(reason));
    }

    pub(crate) fn process(&self) -> Option<Arc<Process>> {
        self.process.upgrade()
    }

    /// The handle, 0 until it has one.
    pub(crate) fn handle(&self) -> usize {
        self.handle.get().copied().unwrap_or(0)
    }

    pub(crate) fn actor(&self) -> Result<&ActorRef<RawMessage>, Failure> {
        self.actor.get().ok_or_else(|| Failure::new(HEW_ERR_ACTOR_STOPPED, "the actor was not spawned"))
    }

    pub(crate) fn pid(&self) -> Option<Pid> {
        self.actor.get().map(ActorRef::pid)
    }

    pub(crate) fn traps_exit(&self) -> bool {
        // Relaxed: nothing else is published by it.
        self.trap_exit.load(Ordering::Relaxed)
    }

    pub(crate) fn set_trap_exit(&self, trap: bool) {
        self.trap_exit.store(trap, Ordering::Relaxed);
    }

    /// Lets the actor end so when its handler returns.
    pub(crate) fn wish(&self, outcome: Outcome) {
        *lock(&self.wish) = Some(outcome);
    }

    pub(crate) fn take_wish(&self) -> Option<Outcome> {
        lock(&self.wish).take()
    }

    pub(crate) fn add_monitor(&self, id: u64) {
        lock(&self.monitors).push(id);
    }

    pub(crate) fn forget_monitor(&self, id: u64) {
        lock(&self.monitors).retain(|monitor| *monitor != id);
    }

    pub(crate) fn take_monitors(&self) -> Vec<u64> {
        std::mem::take(&mut lock(&self.monitors))
    }

    /// Why it ended, if it has.
    pub(crate) fn end(&self) -> Option<ExitReason> {
        lock(&self.end).clone()
    }

    /// Waits until the actor has ended; `None` if the deadline came first. Keeps the thread.
    pub(crate) fn wait_for_end(&self, deadline: Option<Instant>) -> Option<ExitReason> {
        let mut end = lock(&self.end);
        loop {
            if let Some(reason) = &*end {
                return Some(reason.clone());
            }
            end = match deadline {
                None => self.ended.wait(end).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.checked_duration_since(Instant::now())?;
                    self.ended.wait_timeout(end, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn ended(&self, reason: ExitReason) {
        *lock(&self.end) = Some(reason);
        self.ended.notify_all();
    }
}

/// The reason of an end by `hew_actor_trap`.
pub(crate) fn trapped(code: i32) -> ExitReason {
    if code == 0 { ExitReason::Normal } else { ExitReason::crashed(format!("{TRAPPED}{code}")) }
}

/// The number of a reason in C: 0 for a normal end, the code of `hew_actor_trap`, else a negative number.
pub(crate) fn reason_code(reason: &ExitReason) -> i32 {
    if let ExitReason::Crashed(text) = reason
        && let Some(code) = text.strip_prefix(TRAPPED).and_then(|code| code.parse().ok())
    {
        return code;
    }
    reason.code()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind each of these locks is replaced in one step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_numbers_and_a_trap_keeps_its_own() {
        assert_eq!(reason_code(&ExitReason::Normal), 0);
        assert_eq!(reason_code(&trapped(0)), 0);
        for code in [7, -5, i32::MIN, i32::MAX] {
            assert_eq!(reason_code(&trapped(code)), code);
        }
        assert_eq!(reason_code(&ExitReason::crashed("boom")), -1);
        assert_eq!(reason_code(&ExitReason::crashed("trapped with code x")), -1);
        assert_eq!(reason_code(&ExitReason::NodeDown), -17);
    }
}

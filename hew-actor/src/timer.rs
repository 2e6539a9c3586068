//! Messages that are sent later, once or again and again.

use crate::counters::Reason;
use crate::error::{AskError, TrySendError};
use crate::options::Overflow;
use crate::reference::{ActorRef, WeakRef};
use crate::runtime::{Alarm, AlarmKey, Runtime};
use crate::state_lock::StateLock;
use crate::sync::relax;
use crate::system::Shared;
use crate::unwind;
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The word of a timer's lock.
const PENDING: u64 = 0;
/// Its message is being sent.
const FIRING: u64 = 1 << 1;
const OVER: u64 = 2 << 1;
const CANCELLED: u64 = 3 << 1;

thread_local! {
    /// The address of the timer whose message this thread is sending; 0 for none.
    static SENDING: Cell<usize> = const { Cell::new(0) };
}

/// A message that will be sent; see [`ActorRef::send_after`] and [`ActorRef::send_every`]. Dropping the handle leaves
/// the timer running.
#[derive(Clone)]
pub struct TimerRef {
    timer: Arc<Timer>,
}

/// What a timer's handles and its alarm share.
struct Timer {
    /// Leaves `PENDING` by whoever comes first, the alarm or `cancel`.
    state: StateLock<Option<AlarmKey>>,
    repeats: bool,
    runtime: Runtime,
}

impl TimerRef {
    /// Cancels the timer. `true`: after this returns no message of it is sent. `false`: it was sent, cancelled or
    /// over before.
    pub fn cancel(&self) -> bool {
        let mut attempt = 0;
        loop {
            let mut state = self.timer.state.lock();
            match state.word() {
                // Called while a message is dropped, by the send itself: this one, or one that made room for it.
                FIRING if SENDING.get() == self.timer.address() => {
                    if self.timer.repeats {
                        state.set_word(CANCELLED);
                    }
                    return self.timer.repeats;
                }
                // For as long as one `try_send` takes.
                FIRING => {
                    drop(state);
                    relax(attempt);
                    attempt += 1;
                }
                PENDING => {
                    state.set_word(CANCELLED);
                    let key = state.take();
                    drop(state);
                    // The message is dropped here, outside the lock.
                    let alarm = key.and_then(|key| self.timer.runtime.cancel_alarm(key));
                    unwind::contained(|| drop(alarm));
                    return true;
                }
                _ => return false,
            }
        }
    }

    /// Whether a message of it is still to be sent.
    pub fn is_pending(&self) -> bool {
        match self.timer.state.word() {
            PENDING => true,
            // The message that is being sent may have been handled already.
            FIRING => self.timer.repeats,
            _ => false,
        }
    }
}

impl fmt::Debug for TimerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerRef").field("pending", &self.is_pending()).finish()
    }
}

impl Timer {
    fn new(runtime: &Runtime, repeats: bool) -> Arc<Timer> {
        Arc::new(Timer { state: StateLock::new(PENDING, None), repeats, runtime: runtime.clone() })
    }

    fn address(self: &Arc<Timer>) -> usize {
        Arc::as_ptr(self).addr()
    }

    /// Sets the alarm that leads to the next message, unless the timer was cancelled.
    fn arm(self: &Arc<Timer>, deadline: Option<Instant>, fire: impl FnOnce() + Send + 'static) {
        // Further away than the clock reaches: never.
        let Some(deadline) = deadline else { return };
        let mut state = self.state.lock();
        if state.word() != PENDING {
            return;
        }
        // Under the lock: the alarm may go off at once, and then waits for its key to be here.
        match self.runtime.set_alarm(deadline, Alarm::Call(Box::new(fire))) {
            Ok(key) => *state = Some(key),
            Err(refused) => {
                state.set_word(OVER);
                drop(state);
                unwind::contained(|| drop(refused));
            }
        }
    }

    /// Whether this alarm may send now; if so, `cancel` waits until [`Timer::fired`].
    fn fire(self: &Arc<Timer>) -> bool {
        let mut state = self.state.lock();
        let may = state.word() == PENDING;
        if may {
            state.set_word(FIRING);
            *state = None;
            SENDING.set(self.address());
        }
        may
    }

    /// The message was sent, or is not to be.
    fn fired(&self, next: u64) {
        SENDING.set(0);
        let mut state = self.state.lock();
        if matches!(state.word(), PENDING | FIRING) {
            state.set_word(next);
        }
    }
}

pub(crate) fn send_after<M: Send + 'static>(target: &ActorRef<M>, delay: Duration, message: M) -> TimerRef {
    let shared = target.shared().clone();
    let timer = Timer::new(&shared.runtime, false);
    let (firing, weak, serial) = (timer.clone(), target.downgrade(), target.pid().serial());
    let deadline = shared.runtime.now().checked_add(delay);
    timer.arm(deadline, move || {
        if !firing.fire() {
            return;
        }
        match weak.upgrade() {
            Some(target) => send(&shared, &target, message),
            None => lost(&shared, message, serial),
        }
        firing.fired(OVER);
    });
    TimerRef { timer }
}

fn send<M: Send + 'static>(shared: &Arc<Shared>, target: &ActorRef<M>, message: M) {
    let serial = target.pid().serial();
    match target.try_send(message) {
        Ok(()) => {}
        Err(TrySendError::Full(message)) if target.overflow() == Overflow::Block => {
            // The alarm must not wait, and the message must not be lost.
            let (target, waiting) = (target.clone(), shared.clone());
            let send = async move {
                if let Err(error) = target.send(message).await {
                    lost(&waiting, error.into_message(), serial);
                }
            };
            shared.runtime.spawn(send).detach();
        }
        Err(error @ TrySendError::Full(_)) => {
            shared.discard([error.into_message()], Reason::Full, AskError::Full, serial);
        }
        Err(error) => lost(shared, error.into_message(), serial),
    }
}

/// The time of a message has come, but not for its actor.
fn lost<M>(shared: &Shared, message: M, serial: u64) {
    let error = AskError::Ended(hew_wire::ExitReason::NoProcess);
    shared.discard([message], Reason::Timer, error, serial);
}

pub(crate) fn send_every<M: Send + 'static>(
    target: &ActorRef<M>,
    period: Duration,
    make: impl FnMut() -> M + Send + 'static,
) -> TimerRef {
    assert!(!period.is_zero(), "a timer without a period");
    let shared = target.shared().clone();
    let timer = Timer::new(&shared.runtime, true);
    let due = shared.runtime.now().checked_add(period);
    let every = Every { timer: timer.clone(), target: target.downgrade(), shared, period, make };
    every.arm(due);
    TimerRef { timer }
}

/// A timer that goes on.
struct Every<M, F> {
    timer: Arc<Timer>,
    target: WeakRef<M>,
    shared: Arc<Shared>,
    period: Duration,
    make: F,
}

impl<M: Send + 'static, F: FnMut() -> M + Send + 'static> Every<M, F> {
    fn arm(self, due: Option<Instant>) {
        let timer = self.timer.clone();
        timer.arm(due, move || self.tick(due));
    }

    fn tick(mut self, due: Option<Instant>) {
        let target = self.target.upgrade().filter(ActorRef::takes_messages);
        let (Some(target), Ok(message)) = (target, unwind::catch(|| (self.make)())) else {
            // The actor has ended, or the closure has panicked and would again.
            self.timer.fired(OVER);
            return;
        };
        if !self.timer.fire() {
            unwind::contained(|| drop(message));
            return;
        }
        if let Err(error) = target.try_send(message) {
            let serial = target.pid().serial();
            self.shared.discard([error.into_message()], Reason::Full, AskError::Full, serial);
        }
        drop(target);
        self.timer.fired(PENDING);
        let next = self.next_due(due);
        self.arm(next);
    }

    /// The first time after now that is a whole number of periods after `due`.
    fn next_due(&self, due: Option<Instant>) -> Option<Instant> {
        let (due, now) = (due?, self.shared.runtime.now());
        let late = now.saturating_duration_since(due).as_nanos() / self.period.as_nanos();
        let periods = u32::try_from(late.saturating_add(1)).unwrap_or(u32::MAX);
        due.checked_add(self.period.checked_mul(periods)?)
    }
}

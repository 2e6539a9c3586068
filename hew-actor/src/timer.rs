//! Messages that are sent later.

use crate::counters::Reason;
use crate::error::AskError;
use crate::mailbox::discard;
use crate::reference::ActorRef;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

const PENDING: u8 = 0;
const FIRED: u8 = 1;
const CANCELLED: u8 = 2;

/// A message that will be sent; see [`ActorRef::send_after`]. Dropping the handle leaves the timer running.
#[derive(Clone)]
pub struct TimerRef {
    // Leaves PENDING once, by the compare-exchange of whoever comes first: the timer's task or `cancel`.
    state: Arc<AtomicU8>,
}

impl TimerRef {
    /// Cancels the timer. `true`: the message is not sent, now or later. `false`: it was sent or cancelled before.
    pub fn cancel(&self) -> bool {
        self.leave_pending(CANCELLED)
    }

    /// Whether the message was neither sent nor cancelled yet.
    pub fn is_pending(&self) -> bool {
        self.state.load(Ordering::Acquire) == PENDING
    }

    fn leave_pending(&self, next: u8) -> bool {
        self.state.compare_exchange(PENDING, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl fmt::Debug for TimerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerRef").field("pending", &self.is_pending()).finish()
    }
}

pub(crate) fn send_after<M: Send + 'static>(target: &ActorRef<M>, delay: Duration, message: M) -> TimerRef {
    let timer = TimerRef { state: Arc::new(AtomicU8::new(PENDING)) };
    let (system, fired) = (target.system().clone(), timer.clone());
    let (runtime, target) = (system.runtime().clone(), target.downgrade());
    let sleep = runtime.sleep(delay);
    let task = async move {
        sleep.await;
        if !fired.leave_pending(FIRED) {
            return;
        }
        let refused = match target.upgrade() {
            Some(target) => match target.send(message).await {
                Ok(()) => return,
                Err(error) => error.into_message(),
            },
            None => message,
        };
        let error = AskError::Ended(hew_wire::ExitReason::NoProcess);
        system.counters().add(Reason::Timer, discard([refused], error));
    };
    runtime.spawn(task).detach();
    timer
}

//! What the tasks of a supervisor report to it.

use crate::lock::Lock;
use crate::reference::ActorRef;
use crate::supervisor::handle::SupervisorMessage;
use hew_wire::ExitReason;
use std::collections::VecDeque;
use std::sync::Arc;

/// Something that happened to a child in the state that had this number.
pub(crate) struct Event {
    pub(crate) child: u64,
    pub(crate) epoch: u64,
    pub(crate) what: Happening,
}

pub(crate) enum Happening {
    /// Its back-off or its cooldown is over.
    Due,
    /// Its start hook is over.
    Started,
    /// It will not start.
    NotStarted(ExitReason),
    /// Its start hook takes too long.
    StartOverdue,
    /// It was killed, and did not end by that.
    Stuck,
    /// It has ended.
    Over,
}

/// Events that wait for their supervisor, at most two of each state of a child.
///
/// They do not go through the mailbox: that may be full, and may drop messages if its policy is so. The mailbox only
/// has to make the supervisor look here, and any message does.
#[derive(Default)]
pub(crate) struct Events {
    queue: Lock<VecDeque<Event>>,
}

impl Events {
    pub(crate) fn take(&self) -> VecDeque<Event> {
        std::mem::take(&mut self.queue.lock())
    }
}

/// Where a task reports.
#[derive(Clone)]
pub(crate) struct Reporter {
    pub(crate) events: Arc<Events>,
    pub(crate) supervisor: ActorRef<SupervisorMessage>,
    pub(crate) child: u64,
    pub(crate) epoch: u64,
}

impl Reporter {
    pub(crate) fn report(&self, what: Happening) {
        let is_first = {
            let mut queue = self.events.queue.lock();
            queue.push_back(Event { child: self.child, epoch: self.epoch, what });
            queue.len() == 1
        };
        // The one before has called already. If the mailbox is full, the supervisor comes by all the same.
        if is_first {
            drop(self.supervisor.try_send(SupervisorMessage::look()));
        }
    }
}

//! One message for every member of a pool.

use crate::error::TrySendError;
use crate::pool::Pool;
use crate::pool::members::Snapshot;
use hew_wire::Pid;
use std::fmt;

/// Who took a broadcast message: each member that was in the pool when it began is counted or listed once.
#[derive(Clone, PartialEq, Eq)]
pub struct Broadcast<M> {
    /// Members that took it.
    pub taken: usize,
    /// Members that did not, in the order in which they were added, with their copy of the message; at most
    /// [`POOL_MEMBERS_MAX`](crate::POOL_MEMBERS_MAX).
    pub refused: Vec<(Pid, TrySendError<M>)>,
}

impl<M: Clone + Send + 'static> Pool<M> {
    /// Sends a copy of the message to every member, without waiting.
    ///
    /// A pool is the set of actors of one type, so this is here rather than in [`Group`](crate::Group), whose actors
    /// take all kinds of messages. Members that are found dead leave the pool.
    pub fn broadcast(&self, message: M) -> Broadcast<M> {
        self.offer_all(&self.members.snapshot(), message)
    }

    /// Sends a copy of the message to every member, and waits for room in those that are full as
    /// [`ActorRef::send`](crate::ActorRef::send) does.
    ///
    /// Members that have room get it at once. Those that are full are waited for one after the other, so that a circle
    /// of actors that wait for each other is noticed; a full mailbox that drops messages does so. Cancelled while it
    /// waits, some members have got it.
    pub async fn broadcast_waiting(&self, message: M) -> Broadcast<M> {
        let snapshot = self.members.snapshot();
        let Broadcast { mut taken, refused: first } = self.offer_all(&snapshot, message);
        let mut refused = Vec::new();
        let mut members = snapshot.members.iter();
        for (pid, error) in first {
            let TrySendError::Full(message) = error else {
                refused.push((pid, error));
                continue;
            };
            // Both are in the order of the list.
            let Some(member) = members.by_ref().find(|member| member.actor.pid() == pid) else {
                refused.push((pid, TrySendError::Full(message)));
                continue;
            };
            match member.actor.send(message).await {
                Ok(()) => taken += 1,
                Err(error) => {
                    let error = TrySendError::from(error);
                    if matches!(error, TrySendError::Closed { .. }) {
                        self.members.expel(member);
                    }
                    refused.push((pid, error));
                }
            }
        }
        Broadcast { taken, refused }
    }

    fn offer_all(&self, snapshot: &Snapshot<M>, message: M) -> Broadcast<M> {
        let mut report = Broadcast { taken: 0, refused: Vec::new() };
        for member in &snapshot.members {
            match member.actor.try_send(message.clone()) {
                Ok(()) => report.taken += 1,
                Err(error) => {
                    if matches!(error, TrySendError::Closed { .. }) {
                        self.members.expel(member);
                    }
                    report.refused.push((member.actor.pid(), error));
                }
            }
        }
        report
    }
}

impl<M> fmt::Debug for Broadcast<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast").field("taken", &self.taken).field("refused", &self.refused).finish()
    }
}

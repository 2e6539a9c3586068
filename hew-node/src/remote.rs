//! Sending to actors of another node.

use crate::crossing::Crossing;
use crate::link::peer::{Peer, PushError};
use crate::shared::Shared;
use crate::stats::Count;
use hew_actor::{
    Boundary, BoxFuture, Outgoing, RawMessage, Refused, RemoteActor, RemoteMailbox, TrySendError,
};
use hew_wire::control::Control;
use hew_wire::frame::MessageHead;
use hew_wire::{ExitReason, NodeId, Pid};
use std::cell::RefCell;
use std::sync::Arc;

/// Encoding buffers larger than this are given back instead of being kept for the thread's next message.
const SCRATCH_BYTES_MAX: usize = 256 * 1024;

thread_local! {
    /// Where this thread encodes payloads before they are appended to a link's queue.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The way to the actors of one other node.
pub(crate) struct RemoteNode {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
}

impl RemoteNode {
    pub(crate) fn new(shared: &Arc<Shared>, node: NodeId) -> RemoteNode {
        RemoteNode { shared: Arc::clone(shared), peer: shared.peer(node) }
    }

    fn encode_and_push(
        &self,
        target: Pid,
        message: &dyn Outgoing,
        crossing: &Crossing<'_>,
        scratch: &mut Vec<u8>,
    ) -> Result<(), Refused> {
        scratch.clear();
        let msg_type = crossing.enter(|| message.encode(scratch)).map_err(Refused::Unencodable)?;
        self.check_size(scratch.len())?;
        self.push(target, msg_type, scratch, crossing)
    }

    fn push_raw(&self, target: Pid, message: &RawMessage, crossing: &Crossing<'_>) -> Result<(), Refused> {
        self.check_size(message.payload.len())?;
        if let Some(sink) = message.reply.as_ref().and_then(|reply| reply.sink()) {
            crossing.export_reply(sink).map_err(Refused::Unencodable)?;
        }
        self.push(target, message.msg_type, &message.payload, crossing)
    }

    fn check_size(&self, bytes: usize) -> Result<(), Refused> {
        self.shared.check_size(&self.peer, bytes).map_err(Refused::Unencodable)
    }

    fn push(
        &self,
        target: Pid,
        msg_type: i32,
        payload: &[u8],
        crossing: &Crossing<'_>,
    ) -> Result<(), Refused> {
        let source = self.shared.sender();
        let head = MessageHead { target, source, msg_type, reply: crossing.frame_reply() };
        self.shared.push_message(&self.peer, &head, payload).map_err(|error| match error {
            PushError::Full => Refused::Full,
            PushError::Gone => Refused::Closed(ExitReason::NodeDown),
        })
    }
}

impl RemoteActor<RawMessage> for RemoteNode {
    fn try_send(&self, target: Pid, message: RawMessage) -> Result<(), TrySendError<RawMessage>> {
        let crossing = Crossing::outgoing(&self.shared, self.peer.node);
        let result = self.push_raw(target, &message, &crossing);
        match result {
            Ok(()) => {
                self.shared.stats.add(Count::MessagesSent, 1);
                Ok(())
            }
            Err(refused) => {
                crossing.revoke();
                Err(match refused {
                    Refused::Full => TrySendError::Full(message),
                    Refused::Closed(reason) => TrySendError::Closed { message, reason },
                    Refused::Unencodable(error) => TrySendError::Unencodable { message, error },
                })
            }
        }
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        RemoteMailbox::ready(self)
    }

    fn is_crowded(&self) -> bool {
        self.peer.is_crowded()
    }

    fn stop(&self, target: Pid) {
        RemoteMailbox::stop(self, target);
    }

    fn kill(&self, target: Pid) {
        RemoteMailbox::kill(self, target);
    }
}

impl RemoteMailbox for RemoteNode {
    fn try_send(&self, target: Pid, message: &dyn Outgoing) -> Result<(), Refused> {
        let crossing = Crossing::outgoing(&self.shared, self.peer.node);
        let result = SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
            Ok(mut scratch) => {
                let result = self.encode_and_push(target, message, &crossing, &mut scratch);
                if scratch.capacity() > SCRATCH_BYTES_MAX {
                    *scratch = Vec::new();
                }
                result
            }
            // A message whose Serialize sends a message.
            Err(_) => self.encode_and_push(target, message, &crossing, &mut Vec::new()),
        });
        match &result {
            Ok(()) => self.shared.stats.add(Count::MessagesSent, 1),
            Err(_) => crossing.revoke(),
        }
        result
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.peer.wait_for_room())
    }

    fn is_crowded(&self) -> bool {
        self.peer.is_crowded()
    }

    fn stop(&self, target: Pid) {
        self.shared.send_control(&self.peer, &Control::Stop { target });
    }

    fn kill(&self, target: Pid) {
        self.shared.send_control(&self.peer, &Control::Kill { target });
    }
}

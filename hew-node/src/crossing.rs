//! What becomes of reply addresses and actor references when a message crosses between two nodes.

use crate::remote::RemoteNode;
use crate::shared::Shared;
use hew_actor::{
    AskError, Boundary, ExportedReply, ImportedActor, RemoteReply, ReplyAddress, ReplySink, boundary,
};
use hew_wire::{NodeId, Pid};
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// The boundary of one message, going to or coming from `peer`.
pub(crate) struct Crossing<'a> {
    shared: &'a Arc<Shared>,
    peer: NodeId,
    /// Coming in: the reply reference in the frame's header, until a value of the message takes it.
    frame_reply: Cell<Option<u64>>,
    /// Going out: the asks that were opened for reply addresses in the message; the first is the frame's own.
    opened: RefCell<Vec<u64>>,
}

impl<'a> Crossing<'a> {
    /// For a message to `peer`.
    pub(crate) fn outgoing(shared: &'a Arc<Shared>, peer: NodeId) -> Crossing<'a> {
        Crossing::incoming(shared, peer, None)
    }

    /// For a message from `peer` with the reply reference of its frame.
    pub(crate) fn incoming(shared: &'a Arc<Shared>, peer: NodeId, frame_reply: Option<u64>) -> Crossing<'a> {
        Crossing { shared, peer, frame_reply: Cell::new(frame_reply), opened: RefCell::default() }
    }

    /// Runs `f` with this boundary in force.
    pub(crate) fn enter<T>(&self, f: impl FnOnce() -> T) -> T {
        boundary::enter(self, f)
    }

    /// The reference for the frame of the message that was encoded.
    pub(crate) fn frame_reply(&self) -> Option<u64> {
        self.opened.borrow().first().copied()
    }

    /// The message was not sent: the questions in it are the message's own again.
    pub(crate) fn revoke(&self) {
        let opened = self.opened.take();
        for reference in opened {
            if let Some(sink) = self.shared.asks.withdraw(reference) {
                sink.revoke();
            }
        }
    }

    /// The message could not be delivered: if it was a question that nobody took, it is answered with `error`.
    pub(crate) fn refuse(&self, error: AskError) {
        if self.frame_reply.get().is_some()
            && let Ok(reply) = self.import_frame_reply()
        {
            reply.send(Err(error));
        }
    }
}

impl Boundary for Crossing<'_> {
    fn export_reply(&self, sink: ReplySink) -> Result<ExportedReply, String> {
        let reference = self.shared.open_ask(self.peer, sink)?;
        let mut opened = self.opened.borrow_mut();
        opened.push(reference);
        if opened.len() == 1 {
            return Ok(ExportedReply::Frame);
        }
        Ok(ExportedReply::Address(ReplyAddress { node: self.shared.id, reference }))
    }

    fn import_frame_reply(&self) -> Result<Arc<dyn RemoteReply>, String> {
        let reference = self.frame_reply.take().ok_or("the message carries no reply address")?;
        self.import_reply(ReplyAddress { node: self.peer, reference })
    }

    fn import_reply(&self, address: ReplyAddress) -> Result<Arc<dyn RemoteReply>, String> {
        if address.node.is_local() {
            return Err("a reply address names node 0".into());
        }
        Ok(Arc::new(Answer { shared: Arc::clone(self.shared), address }))
    }

    fn export_actor(&self, pid: Pid) -> Result<Pid, String> {
        Ok(if pid.node().is_local() { Pid::new(self.shared.id, pid.serial()) } else { pid })
    }

    fn import_actor(&self, pid: Pid) -> Result<ImportedActor, String> {
        if pid.node().is_local() {
            return Err("an actor reference names node 0".into());
        }
        if pid.node() == self.shared.id {
            return Ok(ImportedActor::Local(self.shared.system.clone()));
        }
        let node = RemoteNode::new(self.shared, pid.node());
        Ok(ImportedActor::Remote(self.shared.system.clone(), Arc::new(node)))
    }
}

/// The answering side of a question from another node, or of one of ours that came back in a message.
struct Answer {
    shared: Arc<Shared>,
    address: ReplyAddress,
}

impl RemoteReply for Answer {
    fn send(&self, answer: Result<Vec<u8>, AskError>) {
        self.shared.send_reply(self.address, answer);
    }

    fn encoding(&self, encode: &mut dyn FnMut()) {
        Crossing::outgoing(&self.shared, self.address.node).enter(encode);
    }
}

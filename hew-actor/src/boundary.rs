//! How reply addresses and actor references become bytes and back: only while a boundary is entered.

use crate::error::AskError;
use crate::reference::RemoteMailbox;
use crate::reply::ReplySink;
use crate::system::System;
use hew_wire::{NodeId, Pid};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::sync::Arc;

/// Where an answer goes: the node that asked, and the number it gave to the question.
///
/// On the wire a MessagePack array `[node, reference]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(NodeId, u64)", into = "(NodeId, u64)")]
pub struct ReplyAddress {
    /// The node that waits for the answer.
    pub node: NodeId,
    /// The question's number on that node.
    pub reference: u64,
}

impl From<(NodeId, u64)> for ReplyAddress {
    fn from((node, reference): (NodeId, u64)) -> ReplyAddress {
        ReplyAddress { node, reference }
    }
}

impl From<ReplyAddress> for (NodeId, u64) {
    fn from(address: ReplyAddress) -> (NodeId, u64) {
        (address.node, address.reference)
    }
}

/// How [`Boundary::export_reply`] wants a reply address written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportedReply {
    /// As nil: it is the frame's own reply address, which the frame's header carries.
    Frame,
    /// As the array `[node, reference]`.
    Address(ReplyAddress),
}

/// What the PID of a decoded actor reference means on this node.
pub enum ImportedActor {
    /// An actor of this system, living or dead.
    Local(System),
    /// An actor of another node, reached through the given mailbox. The system provides the clock for asks.
    Remote(System, Arc<dyn RemoteMailbox>),
}

/// The answering side of a question that came from another node.
pub trait RemoteReply: Send + Sync {
    /// Sends the answer, MessagePack of the asked type (raw bytes for a raw question), or why there is none.
    ///
    /// Called exactly once by the reply address that holds this, from any thread; must not wait.
    fn send(&self, answer: Result<Vec<u8>, AskError>);

    /// The boundary for encoding the answer, if answers may hold references themselves. Default: none.
    fn boundary(&self) -> Option<Arc<dyn Boundary>> {
        None
    }
}

/// The node's side of encoding and decoding one message: what becomes of reply addresses and actor references in it.
///
/// Errors are texts for the serde error that stops the encoding or decoding.
pub trait Boundary: Send + Sync {
    /// A reply address is being written. The sink completes the question when its answer comes; dropping the sink, or
    /// [`ReplySink::revoke`], gives the question back to the message.
    ///
    /// # Errors
    /// The message must not be encoded; the sink is given back.
    fn export_reply(&self, sink: ReplySink) -> Result<ExportedReply, String>;

    /// Nil was read: the address in the frame's header. Only one value of a message can be it.
    ///
    /// # Errors
    /// The frame has none, or it is taken.
    fn import_frame_reply(&self) -> Result<Arc<dyn RemoteReply>, String>;

    /// An address was read.
    ///
    /// # Errors
    /// Its node cannot be answered.
    fn import_reply(&self, address: ReplyAddress) -> Result<Arc<dyn RemoteReply>, String>;

    /// An actor reference is being written: the PID to write, which must name the node (not node 0).
    ///
    /// # Errors
    /// The reference means nothing to the receiver.
    fn export_actor(&self, pid: Pid) -> Result<Pid, String>;

    /// An actor reference was read.
    ///
    /// # Errors
    /// The reference means nothing here.
    fn import_actor(&self, pid: Pid) -> Result<ImportedActor, String>;
}

thread_local! {
    static ENTERED: RefCell<Vec<Arc<dyn Boundary>>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` with `boundary` in force on this thread; boundaries nest, the innermost counts.
pub fn enter<R>(boundary: &Arc<dyn Boundary>, f: impl FnOnce() -> R) -> R {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            let left = ENTERED.with_borrow_mut(Vec::pop);
            drop(left);
        }
    }
    ENTERED.with_borrow_mut(|entered| entered.push(boundary.clone()));
    let _leave = Leave;
    f()
}

/// The boundary in force on this thread, or the error for serde.
pub(crate) fn current(what: &str) -> Result<Arc<dyn Boundary>, String> {
    ENTERED
        .with_borrow(|entered| entered.last().cloned())
        .ok_or_else(|| format!("{what} can be encoded and decoded only as part of a message to another node"))
}

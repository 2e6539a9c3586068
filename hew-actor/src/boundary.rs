//! How reply addresses and actor references become bytes and back: only while a boundary is entered.

use crate::error::AskError;
use crate::reference::RemoteMailbox;
use crate::reply::ReplySink;
use crate::system::System;
use hew_wire::{NodeId, Pid};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::ptr::NonNull;
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

    /// Calls `encode` once, which writes the answer: inside a boundary ([`enter`]), if answers may hold references
    /// themselves. Default: calls it.
    fn encoding(&self, encode: &mut dyn FnMut()) {
        encode();
    }
}

/// The node's side of encoding and decoding one message: what becomes of reply addresses and actor references in it.
///
/// Errors are texts for the serde error that stops the encoding or decoding.
pub trait Boundary {
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
    /// The boundary in force; only while [`enter`] runs, which was given it as a reference.
    static ENTERED: Cell<Option<NonNull<dyn Boundary>>> = const { Cell::new(None) };
}

/// Runs `f` with `boundary` in force on this thread; boundaries nest, the innermost counts.
pub fn enter<R>(boundary: &dyn Boundary, f: impl FnOnce() -> R) -> R {
    struct Leave(Option<NonNull<dyn Boundary>>);
    impl Drop for Leave {
        fn drop(&mut self) {
            ENTERED.set(self.0);
        }
    }
    // SAFETY: only the lifetime changes. The pointer is followed by `with_current` alone, on this thread, and `Leave` takes
    // it away before this function returns, so while `boundary` is borrowed.
    let entered: NonNull<dyn Boundary> = unsafe {
        std::mem::transmute::<NonNull<dyn Boundary + '_>, NonNull<dyn Boundary>>(NonNull::from(boundary))
    };
    let _leave = Leave(ENTERED.replace(Some(entered)));
    f()
}

/// Asks the boundary in force on this thread; an error for serde if there is none.
pub(crate) fn with_current<R>(
    what: &str,
    f: impl FnOnce(&dyn Boundary) -> Result<R, String>,
) -> Result<R, String> {
    let Some(entered) = ENTERED.get() else {
        return Err(format!("{what} can be encoded and decoded only as part of a message to another node"));
    };
    // SAFETY: `enter` has set it, on this thread, and runs until it has taken it away; its reference is valid until then.
    f(unsafe { entered.as_ref() })
}

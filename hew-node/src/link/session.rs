//! What is said of the session with another node: its standing, what a handshake agreed on, and what came of that.

use super::block::Lost;
use super::outgoing::{Full, NeverSent};
use event_listener::Event;
use hew_cluster::MembershipError;
use hew_security::{HandshakeError, Permissions, PublicKey};
use hew_wire::compression::Compression;
use hew_wire::{Incarnation, NodeId};
use std::sync::Arc;
use std::time::Instant;

/// Whether a peer can be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing is known about it but that somebody named it.
    Unknown,
    /// Membership, or a connection, says that it is there.
    Reachable,
    /// Membership says that it is down, has left, or its session ended: messages to it are refused.
    Gone,
}

/// A connection of the peer's session.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Counts the connections to this peer.
    pub(crate) generation: u64,
    /// This node dialled.
    pub(crate) dialed_here: bool,
    /// When it was attached.
    pub(crate) since: Instant,
    /// Whether its records are encrypted.
    pub(crate) encrypted: bool,
    /// Notified to end it.
    pub(crate) close: Arc<Event>,
    /// It is to end, also if it does not run yet.
    pub(crate) is_closing: bool,
}

/// What the handshake agreed on for a connection.
#[derive(Clone, Debug)]
pub(crate) struct Agreed {
    pub(crate) incarnation: Incarnation,
    pub(crate) public_key: PublicKey,
    pub(crate) encrypted: bool,
    pub(crate) dialed_here: bool,
    /// Largest payload that the peer takes.
    pub(crate) payload_bytes_max: usize,
    /// The session both sides still have, if they do.
    pub(crate) resumed: bool,
    /// The session's id from now on.
    pub(crate) session: u64,
    /// With `resumed`: how many frames the peer has received in it.
    pub(crate) received: u64,
    /// What the peer may do here.
    pub(crate) permissions: Permissions,
    /// What both sides want; a session that goes on keeps what it began with.
    pub(crate) compression: Compression,
}

/// Why a connection was not attached. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AttachError {
    /// The peer was told that the session goes on, which is not true any more: the next handshake begins a new one.
    #[error("the session ended during the handshake")]
    SessionEnded,
    /// A later start of the peer was attached during the handshake.
    #[error("incarnation {known} has come meanwhile, which is newer than {given}")]
    Older { known: Incarnation, given: Incarnation },
    /// The peer claims what cannot be; with this session it would again.
    #[error("claims to have received frame {} of {}", .0.claimed, .0.sent)]
    NeverSent(NeverSent),
    /// The peer's key is not welcome any more since the handshake looked.
    #[error("{0}")]
    NotAllowed(HandshakeError),
    #[error("this node is stopping")]
    Stopping,
    #[error("{0}")]
    Membership(#[from] MembershipError),
}

impl AttachError {
    /// A short stable name for counters.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            AttachError::SessionEnded => "session_ended",
            AttachError::Older { .. } => "older_incarnation",
            AttachError::NeverSent(_) => "never_sent",
            AttachError::NotAllowed(error) => error.reason_code(),
            AttachError::Stopping => "stopping",
            AttachError::Membership(_) => "membership",
        }
    }
}

/// A connection that was attached to its session.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) generation: u64,
    /// The session that it belongs to.
    pub(crate) session: u64,
    /// Number of the first sequenced frame that this node sends on it.
    pub(crate) start: u64,
    /// The session goes on; otherwise nothing has been received in it yet.
    pub(crate) resumed: bool,
    /// What the session agreed on when it began.
    pub(crate) compression: Compression,
    /// What an older session lost when it ended just now.
    pub(crate) lost: Option<Lost>,
}

/// The link to another node, as [`Node::links`](crate::Node::links) shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkInfo {
    /// The other node.
    pub node: NodeId,
    /// Whether there is a connection now.
    pub connected: bool,
    /// Whether there is none because nothing was sent for a while; it is made again when something is.
    pub idle: bool,
    /// Whether that connection is encrypted.
    pub encrypted: bool,
    /// The static key that the node proved; `None` before the first encrypted connection.
    pub public_key: Option<PublicKey>,
    /// Which start of the node, as far as known.
    pub incarnation: Option<Incarnation>,
    /// Where it is dialled, if known.
    pub address: Option<String>,
    /// Bytes queued for it or not acknowledged by it.
    pub outgoing_bytes: usize,
}

/// Why an outgoing frame was not queued. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PushError {
    /// The peer's bound is reached.
    Full,
    /// The peer is down or was never there.
    Gone,
}

impl From<Full> for PushError {
    fn from(Full: Full) -> PushError {
        PushError::Full
    }
}

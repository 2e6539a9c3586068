//! Why a handshake failed.

use crate::{Denied, PublicKey};
use hew_wire::{DecodeError, HelloError, NodeId, Refusal, RefusalStatus};
use std::fmt;

/// Where in the handshake something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Waiting for the peer's hello, or its verdict on ours.
    Hello,
    /// Waiting for this node's own decision.
    Decision,
    /// Noise message 1.
    Message1,
    /// Noise message 2, or the listener's extension in the clear.
    Message2,
    /// Noise message 3, or the dialer's extension in the clear.
    Message3,
    /// The last verdict.
    Verdict,
}

impl Stage {
    /// The reason code among these, which are in the order of the stages.
    fn code(self, codes: [&'static str; 6]) -> &'static str {
        codes[self as usize]
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Hello => "hello",
            Stage::Decision => "decision",
            Stage::Message1 => "message 1",
            Stage::Message2 => "message 2",
            Stage::Message3 => "message 3",
            Stage::Verdict => "verdict",
        })
    }
}

// The reason codes of causes that several stages have, in the order of the stages.
const NOISE: [&str; 6] = [
    "noise_hello",
    "noise_decision",
    "noise_message_1",
    "noise_message_2",
    "noise_message_3",
    "noise_verdict",
];
const OVERSIZED: [&str; 6] = [
    "oversized_hello",
    "oversized_decision",
    "oversized_message_1",
    "oversized_message_2",
    "oversized_message_3",
    "oversized_verdict",
];
const MALFORMED: [&str; 6] = [
    "malformed_hello",
    "malformed_decision",
    "malformed_message_1",
    "malformed_message_2",
    "malformed_message_3",
    "malformed_verdict",
];
const TIMEOUT: [&str; 6] = [
    "timeout_hello",
    "timeout_decision",
    "timeout_message_1",
    "timeout_message_2",
    "timeout_message_3",
    "timeout_verdict",
];
const CLOSED: [&str; 6] = [
    "closed_hello",
    "closed_decision",
    "closed_message_1",
    "closed_message_2",
    "closed_message_3",
    "closed_verdict",
];

/// Why a handshake failed.
///
/// The handshake is over and gives this error again to whatever it is asked; bytes that it still wants to send to the
/// peer are in [`poll`](crate::Handshake::poll), and the connection is closed after them. The one exception is
/// [`HandshakeError::OutOfTurn`], which changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The other side does not speak this protocol.
    #[error("not a Hew node: it begins with {:?}", String::from_utf8_lossy(given))]
    BadMagic {
        /// Its first four bytes.
        given: [u8; 4],
    },
    /// The hello names node id 0.
    #[error("the peer's hello names node id 0")]
    NodeIdZero,
    /// The peer demands features that are unknown here.
    #[error("the peer demands features that are unknown here: {unknown:#010x}")]
    UnknownFlags {
        /// The unknown mandatory bits.
        unknown: u32,
    },
    /// The protocol versions differ.
    #[error("protocol version {theirs} there, {ours} here")]
    VersionMismatch {
        /// Our version.
        ours: u16,
        /// The peer's.
        theirs: u16,
    },
    /// The schema hashes differ.
    #[error("control schema {theirs:#010x} there, {ours:#010x} here")]
    SchemaMismatch {
        /// Our hash.
        ours: u32,
        /// The peer's.
        theirs: u32,
    },
    /// The peer claims the node id of this node.
    #[error("the peer claims node id {node}, which is ours")]
    NodeIdConflict {
        /// The id.
        node: NodeId,
    },
    /// The peer claims the key of this node: our own hello came back, or our key was copied.
    #[error("the peer claims our own key")]
    Reflection,
    /// The key is not allowed, or not under this node id.
    #[error("node {node} with key {key}: {denied}")]
    NotAllowed {
        /// The node id in the hello.
        node: NodeId,
        /// The key in the hello.
        key: PublicKey,
        /// Why not.
        denied: Denied,
    },
    /// The key that the peer proved is not the one in its hello.
    #[error("node {node} claims key {claimed}, but proved another")]
    KeyMismatch {
        /// The node id in the hello.
        node: NodeId,
        /// The key in the hello.
        claimed: PublicKey,
    },
    /// This side's policy requires encryption, and the peer does not offer it.
    #[error("encryption is required here, and the peer does not offer it")]
    EncryptionRequired,
    /// The link would be in plaintext, and the address is not local.
    #[error("plaintext is refused: the address is not local")]
    PlaintextRefused,
    /// A message of the handshake does not open: a wrong key, a changed hello, or a changed message.
    #[error("{stage} does not open: it was changed on the way, or its sender does not hold the key")]
    Noise {
        /// Which message.
        stage: Stage,
    },
    /// A declared length is over the limit of its message.
    #[error("{stage} of {given} bytes is over the limit of {limit}")]
    Oversized {
        /// Which message.
        stage: Stage,
        /// The declared length.
        given: usize,
        /// The limit.
        limit: usize,
    },
    /// A message opened, but does not hold what it should.
    #[error("{stage}: {error}")]
    Malformed {
        /// Which message.
        stage: Stage,
        /// What is wrong.
        error: DecodeError,
    },
    /// The peer refused us.
    #[error("refused by the peer: {0}")]
    Refused(Refusal),
    /// This node refused the peer.
    #[error("refused by this node: {0}")]
    RefusedHere(Refusal),
    /// The handshake took longer than its deadline.
    #[error("no complete handshake before the deadline; was waiting for {stage}")]
    Timeout {
        /// What was awaited.
        stage: Stage,
    },
    /// The peer closed the connection.
    #[error("the peer closed the connection; was waiting for {stage}")]
    Closed {
        /// What was awaited.
        stage: Stage,
    },
    /// A verb was used out of turn: an answer to a question that is not open. A mistake of the caller.
    #[error("{verb} is out of turn")]
    OutOfTurn {
        /// The verb.
        verb: &'static str,
    },
    /// The operating system gives no randomness.
    #[error("no randomness from the operating system")]
    Entropy,
}

impl HandshakeError {
    /// A word for metrics: one for each cause, with the stage where several can have it, and one for each status of a
    /// refusal.
    pub fn reason_code(&self) -> &'static str {
        match self {
            HandshakeError::BadMagic { .. } => "bad_magic",
            HandshakeError::NodeIdZero => "node_id_zero",
            HandshakeError::UnknownFlags { .. } => "unknown_flags",
            HandshakeError::VersionMismatch { .. } => "version_mismatch",
            HandshakeError::SchemaMismatch { .. } => "schema_mismatch",
            HandshakeError::NodeIdConflict { .. } => "own_node_id",
            HandshakeError::Reflection => "reflection",
            HandshakeError::NotAllowed { denied, .. } => match denied {
                Denied::UnknownKey => "unknown_key",
                Denied::KeyPinnedElsewhere => "key_pinned_elsewhere",
                Denied::NodePinnedElsewhere => "node_pinned_elsewhere",
                Denied::Revoked => "revoked_key",
                Denied::ZeroKey => "zero_key",
            },
            HandshakeError::KeyMismatch { .. } => "key_mismatch",
            HandshakeError::EncryptionRequired => "encryption_required",
            HandshakeError::PlaintextRefused => "plaintext_refused",
            HandshakeError::Noise { stage } => stage.code(NOISE),
            HandshakeError::Oversized { stage, .. } => stage.code(OVERSIZED),
            HandshakeError::Malformed { stage, .. } => stage.code(MALFORMED),
            HandshakeError::Refused(refusal) => match refusal.status {
                RefusalStatus::VersionMismatch => "refused_version_mismatch",
                RefusalStatus::SchemaMismatch => "refused_schema_mismatch",
                RefusalStatus::NodeIdConflict => "refused_node_id_conflict",
                RefusalStatus::NotAllowed => "refused_not_allowed",
                RefusalStatus::Busy => "refused_busy",
                RefusalStatus::Malformed => "refused_malformed",
                RefusalStatus::EncryptionRequired => "refused_encryption_required",
                RefusalStatus::ClusterMismatch => "refused_cluster_mismatch",
                RefusalStatus::Unknown(_) => "refused_unknown",
            },
            HandshakeError::RefusedHere(refusal) => refusal.status.code(),
            HandshakeError::Timeout { stage } => stage.code(TIMEOUT),
            HandshakeError::Closed { stage } => stage.code(CLOSED),
            HandshakeError::OutOfTurn { .. } => "out_of_turn",
            HandshakeError::Entropy => "entropy",
        }
    }

    /// What the peer is told, if anything. Details that only help an attacker stay here.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let status = match self {
            HandshakeError::BadMagic { .. }
            | HandshakeError::NodeIdZero
            | HandshakeError::UnknownFlags { .. }
            | HandshakeError::Oversized { .. }
            | HandshakeError::Malformed { .. } => RefusalStatus::Malformed,
            HandshakeError::VersionMismatch { .. } => RefusalStatus::VersionMismatch,
            HandshakeError::SchemaMismatch { .. } => RefusalStatus::SchemaMismatch,
            HandshakeError::NodeIdConflict { .. }
            | HandshakeError::NotAllowed { denied: Denied::NodePinnedElsewhere, .. } => {
                RefusalStatus::NodeIdConflict
            }
            HandshakeError::Reflection
            | HandshakeError::NotAllowed { .. }
            | HandshakeError::KeyMismatch { .. } => RefusalStatus::NotAllowed,
            HandshakeError::EncryptionRequired | HandshakeError::PlaintextRefused => {
                RefusalStatus::EncryptionRequired
            }
            HandshakeError::RefusedHere(refusal) => return Some(refusal.clone()),
            HandshakeError::Entropy => RefusalStatus::Busy,
            HandshakeError::Noise { .. }
            | HandshakeError::Refused(_)
            | HandshakeError::Timeout { .. }
            | HandshakeError::Closed { .. }
            | HandshakeError::OutOfTurn { .. } => return None,
        };
        Some(Refusal::new(status, self.as_told_to_peer()))
    }

    /// Our sentences name "here" and "there" from this side; the peer reads them from the other.
    fn as_told_to_peer(&self) -> String {
        match self {
            HandshakeError::BadMagic { .. } => "this is a Hew node, and that was no Hew hello".into(),
            HandshakeError::VersionMismatch { ours, theirs } => {
                format!("the node you reached speaks protocol version {ours}, you speak {theirs}")
            }
            HandshakeError::SchemaMismatch { ours, theirs } => {
                format!("the node you reached has control schema {ours:#010x}, you have {theirs:#010x}")
            }
            HandshakeError::NodeIdConflict { node } => {
                format!("node id {node} is taken by the node you reached")
            }
            HandshakeError::Reflection => "your key is the key of the node you reached".into(),
            HandshakeError::NotAllowed { node, key, denied } => {
                format!("node {node} with key {key}: {denied}")
            }
            HandshakeError::EncryptionRequired => "the node you reached requires encryption".into(),
            HandshakeError::PlaintextRefused => {
                "the node you reached accepts plaintext from local addresses only".into()
            }
            other => other.to_string(),
        }
    }
}

impl From<HelloError> for HandshakeError {
    fn from(error: HelloError) -> HandshakeError {
        match error {
            HelloError::BadMagic { given } => HandshakeError::BadMagic { given },
            HelloError::NodeIdZero => HandshakeError::NodeIdZero,
            HelloError::UnknownFlags { unknown } => HandshakeError::UnknownFlags { unknown },
            HelloError::VersionMismatch { ours, theirs } => HandshakeError::VersionMismatch { ours, theirs },
            HelloError::SchemaMismatch { ours, theirs } => HandshakeError::SchemaMismatch { ours, theirs },
        }
    }
}

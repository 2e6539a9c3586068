//! What a node asks of whoever authenticates its links, and the verbs of one handshake.

use crate::{Denied, HandshakeError, Opener, Permissions, PublicKey, Sealer};
use hew_wire::{Extension, Hello, NodeId, Refusal, schema_hash};
use std::time::{Duration, Instant};

/// Time for a whole handshake, from connecting or accepting to the last verdict.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(5);

/// Proves identities and sets up the protection of links.
pub trait Authenticator: Send + Sync + 'static {
    /// One handshake of this authenticator.
    type Handshake: Handshake;

    /// The public key that our hello carries; [`PublicKey::ZERO`] when there is none.
    fn public_key(&self) -> PublicKey;

    /// The feature flags that our hello carries, see [`hew_wire::feature`].
    fn features(&self) -> u32;

    /// Begins a handshake on a connection that this side opened. The hello is its first output.
    fn dial(&self, setup: Setup) -> Self::Handshake;

    /// Begins a handshake on a connection that the other side opened.
    fn accept(&self, setup: Setup) -> Self::Handshake;

    /// What a peer may do that has come through a handshake. Asked when its link comes up, and again after each change of
    /// [`generation`](Authenticator::generation).
    fn rights(&self, _peer: &Peer) -> Rights {
        Rights::Granted(Permissions::default())
    }

    /// A number that grows whenever [`rights`](Authenticator::rights) may answer something else than before.
    fn generation(&self) -> u64 {
        0
    }

    /// Trusts a key no more, until it is allowed again by hand. Returns whether that is news.
    fn revoke(&self, _key: &PublicKey) -> bool {
        false
    }

    /// Whether a key was revoked, and not allowed again since.
    fn is_revoked(&self, _key: &PublicKey) -> bool {
        false
    }
}

/// What a connected peer may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// It is welcome, and may do this.
    Granted(Permissions),
    /// Its key is not welcome any more, but another one of its node is: it may come back with that.
    Retired(Denied),
    /// It is not welcome any more.
    Refused(Denied),
}

/// What a handshake needs to know about this node and this connection.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Now: the deadline counts from here.
    pub now: Instant,
    /// This node.
    pub node: NodeId,
    /// Time for the whole handshake; [`DEADLINE_DEFAULT`].
    pub deadline: Duration,
    /// Whether the connection cannot leave this machine: loopback, a Unix socket, memory. Default: no.
    pub peer_is_local: bool,
    /// Hash of the control protocol that this node speaks; [`schema_hash`].
    pub schema: u32,
}

impl Setup {
    /// Defaults for a node and a connection to a remote address.
    pub fn new(now: Instant, node: NodeId) -> Setup {
        Setup { now, node, deadline: DEADLINE_DEFAULT, peer_is_local: false, schema: schema_hash() }
    }
}

/// One handshake: a pure machine.
///
/// The caller carries bytes between the connection and the handshake:
/// - bytes that arrive go to [`handle_bytes`](Handshake::handle_bytes), which says how many it took. The rest stays
///   with the caller, who offers it again after each answer it gave, and gives it to the link after
///   [`HandshakeOutput::Established`].
/// - after each call, [`poll`](Handshake::poll) is drained until `None` and the outputs are carried out in order.
/// - [`handle_timeout`](Handshake::handle_timeout) is called when the time of
///   [`poll_timeout`](Handshake::poll_timeout) has come.
///
/// After an error (other than [`HandshakeError::OutOfTurn`]) the handshake is over. `poll` may still hold one last [`HandshakeOutput::Send`] that tells the peer
/// why: write it, then close. Every later call gives the same error.
pub trait Handshake: Send + 'static {
    /// Bytes have arrived. Returns how many of them were taken: all of them, unless the handshake waits for an answer
    /// of the node or is complete.
    ///
    /// # Errors
    /// Any [`HandshakeError`] that is the peer's doing, or [`HandshakeError::Timeout`].
    fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) -> Result<usize, HandshakeError>;

    /// The node's answer to [`HandshakeOutput::Admit`].
    ///
    /// # Errors
    /// [`HandshakeError::RefusedHere`] after a refusal; [`HandshakeError::OutOfTurn`], which changes nothing;
    /// [`HandshakeError::Timeout`]; [`HandshakeError::Entropy`].
    fn handle_admission(&mut self, now: Instant, admission: Admission) -> Result<(), HandshakeError>;

    /// The node's answer to [`HandshakeOutput::Confirm`].
    ///
    /// # Errors
    /// [`HandshakeError::RefusedHere`] after a refusal; [`HandshakeError::OutOfTurn`], which changes nothing;
    /// [`HandshakeError::NotAllowed`] when the key was removed or the node id taken in the meantime;
    /// [`HandshakeError::Timeout`].
    fn handle_confirmation(
        &mut self,
        now: Instant,
        confirmation: Result<(), Refusal>,
    ) -> Result<(), HandshakeError>;

    /// Time has passed.
    ///
    /// # Errors
    /// [`HandshakeError::Timeout`] at the deadline.
    fn handle_timeout(&mut self, now: Instant) -> Result<(), HandshakeError>;

    /// The connection ended. Returns the reason to report: the error that came before, or
    /// [`HandshakeError::Closed`]. After [`HandshakeOutput::Established`] the end is the link's affair, and not
    /// reported here.
    fn handle_end(&mut self) -> HandshakeError;

    /// When to call [`handle_timeout`](Handshake::handle_timeout) next; `None` when the handshake is over.
    fn poll_timeout(&self) -> Option<Instant>;

    /// The next thing to do. `None`: nothing until something happens.
    fn poll(&mut self) -> Option<HandshakeOutput>;
}

/// What a handshake asks its caller to do.
#[derive(Debug)]
pub enum HandshakeOutput {
    /// Write these bytes to the connection.
    Send(Vec<u8>),
    /// The peer's hello passed the cheap checks: magic, version, schema, flags, policy, and that its key may have its
    /// node id. Decide, by [`handle_admission`](Handshake::handle_admission), whether there is room for it and what
    /// to tell it. **Nothing in the hello is proven**: end no other session on its word.
    Admit {
        /// The peer's hello.
        hello: Hello,
    },
    /// The peer has proven its key (if [`Peer::proven`]) and said what it is. Decide, by
    /// [`handle_confirmation`](Handshake::handle_confirmation), whether this incarnation of it is welcome. The peer
    /// learns the decision: a dialer by the last verdict, a listener by getting message 3 or not.
    Confirm {
        /// Who it is.
        peer: Peer,
        /// What it says.
        extension: Extension,
    },
    /// The link is up. The last output.
    Established(Established),
}

/// The node's answer to a hello.
#[derive(Clone, Debug)]
pub enum Admission {
    /// Go on, and tell the peer this under the protection of the handshake.
    Accept {
        /// What we say about ourselves.
        extension: Extension,
    },
    /// Refuse.
    Refuse(Refusal),
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its node id.
    pub node: NodeId,
    /// Its static key; [`PublicKey::ZERO`] when it has none.
    pub key: PublicKey,
    /// Whether it has proven to hold the key. Without encryption it has not: node id and key are what it says.
    pub proven: bool,
}

/// A link that is up.
#[derive(Debug)]
pub struct Established {
    /// Who is at the other end.
    pub peer: Peer,
    /// What it said under the protection of the handshake.
    pub extension: Extension,
    /// Protects what we send.
    pub sealer: Sealer,
    /// Opens what the peer sends.
    pub opener: Opener,
    /// Whether the link is encrypted.
    pub encrypted: bool,
    /// The feature flags that both sides have set.
    pub features: u32,
}

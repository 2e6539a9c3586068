//! The node's decisions during a handshake: whether a peer is welcome, and what it is told.

use super::handshake::Gate;
use super::peer::{Agreed, Peer};
use super::session::AttachError;
use super::settle::{Existing, Settled, settle};
use crate::core::Core;
use crate::events::NodeEvent;
use crate::rights::not_allowed;
use crate::shared::FRAME_EXTRA_BYTES;
use crate::stack::Stack;
use hew_cluster::Membership;
use hew_security::{Admission, Authenticator, Denied, HandshakeError, Rights};
use hew_wire::{Extension, Hello, NodeId, PROTOCOL_VERSION, Refusal, RefusalStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an older incarnation has to show that it still lives when a newer one appears.
const LIFE_SIGN: Duration = Duration::from_millis(300);

/// Reason codes of a conflict about a node id.
const OLDER: &str = "older_incarnation";
const RUNNING: &str = "node_id_conflict";

/// Which side of the connection this node is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    /// It dialled; the node it wants to find there, if it knows.
    Dialer { expected: Option<NodeId> },
    /// It accepted, at this time.
    Listener { accepted: Instant },
}

/// See the module's documentation. One for each handshake.
pub(crate) struct LinkGate<'a, S: Stack> {
    core: &'a Core<S>,
    side: Side,
    peer: Option<Arc<Peer>>,
    ours: Option<Extension>,
    connected: Option<NodeId>,
    /// Who the other end says it is. Not proven.
    claimed: Option<NodeId>,
    refused: Option<&'static str>,
}

impl<'a, S: Stack> LinkGate<'a, S> {
    pub(crate) fn new(core: &'a Core<S>, side: Side) -> LinkGate<'a, S> {
        LinkGate { core, side, peer: None, ours: None, connected: None, claimed: None, refused: None }
    }

    /// The peer, and what both sides' words agree on; after a handshake that succeeded.
    pub(crate) fn agreed(
        &self,
        peer: &hew_security::Peer,
        theirs: &Extension,
        encrypted: bool,
    ) -> Result<(Arc<Peer>, Agreed), AttachError> {
        let (Some(known), Some(ours)) = (self.peer.clone(), self.ours.as_ref()) else {
            return Err(AttachError::SessionEnded);
        };
        let permissions = match self.core.authenticator.rights(peer) {
            Rights::Granted(permissions) => permissions,
            // Since the handshake looked.
            Rights::Retired(denied) | Rights::Refused(denied) => {
                return Err(AttachError::NotAllowed(not_allowed(peer, denied)));
            }
        };
        let is_same_start = known.incarnation() == Some(theirs.incarnation);
        let resumed = is_same_start && ours.session != 0 && ours.session == theirs.session;
        let session = if resumed { ours.session } else { ours.fresh.wrapping_add(theirs.fresh).max(1) };
        let agreed = Agreed {
            incarnation: theirs.incarnation,
            public_key: peer.key,
            encrypted,
            dialed_here: matches!(self.side, Side::Dialer { .. }),
            payload_bytes_max: (theirs.frame_bytes_max as usize).saturating_sub(FRAME_EXTRA_BYTES),
            resumed,
            session,
            received: theirs.received,
            permissions,
            compression: self.core.shared.compression.with(theirs.compression),
        };
        Ok((known, agreed))
    }

    /// The node at the other end, if the dial was given up because there is a connection to it already.
    pub(crate) fn connected(&self) -> Option<NodeId> {
        self.connected
    }

    /// Whether the other end went away because another connection between the two is there or coming up, as far as can be
    /// told.
    pub(crate) fn is_superseded(&self, error: &HandshakeError) -> bool {
        let other = || self.claimed.and_then(|node| self.core.shared.peers.peer(node));
        matches!(error, HandshakeError::Closed { .. })
            && other().is_some_and(|peer| {
                peer.with_connection(|connection, dialing| connection.is_some() || dialing)
            })
    }

    /// Why the handshake failed, as a word for counters; more exact than the status that the peer was told if it was this
    /// gate that refused.
    pub(crate) fn reason_code(&self, error: &HandshakeError) -> &'static str {
        match (error, self.refused) {
            (HandshakeError::RefusedHere(_), Some(code)) => code,
            _ => error.reason_code(),
        }
    }

    /// Says so, if the peer was refused because it claims the id of another node that lives.
    pub(crate) fn report_conflict(&self, error: &HandshakeError) {
        let claimed = match error {
            HandshakeError::NotAllowed { node, denied: Denied::NodePinnedElsewhere, .. }
            | HandshakeError::NodeIdConflict { node } => *node,
            HandshakeError::RefusedHere(_) if matches!(self.refused, Some(RUNNING | OLDER)) => {
                let Some(peer) = &self.peer else { return };
                peer.node
            }
            _ => return,
        };
        let shared = &self.core.shared;
        let lives =
            claimed == shared.id || shared.peers.peer(claimed).is_some_and(|peer| peer.is_connected());
        if lives {
            let detail = error.to_string();
            shared.events.publish(&NodeEvent::Conflict { node: claimed, detail });
        }
    }

    /// Whether the incarnation that this node has a connection to answers while a newer one knocks.
    async fn older_lives(&self, peer: &Peer) -> bool {
        if !peer.is_connected() {
            return false;
        }
        let runtime = &self.core.shared.runtime;
        let asked = runtime.now();
        peer.ask_for_life();
        runtime.sleep(LIFE_SIGN).await;
        peer.is_connected() && peer.heard().is_some_and(|heard| heard > asked)
    }
}

impl<S: Stack> Gate for LinkGate<'_, S> {
    fn admit(&mut self, hello: &Hello) -> Admission {
        if hello.node == self.core.shared.id {
            self.refused = Some("own_node_id");
            let reason = format!("node id {} is this node's own", hello.node);
            return Admission::Refuse(Refusal::new(RefusalStatus::NodeIdConflict, reason));
        }
        if let Side::Dialer { expected: Some(expected) } = self.side
            && expected != hello.node
        {
            self.refused = Some("unexpected_node");
            let reason = format!("node {expected} was expected here, not node {}", hello.node);
            return Admission::Refuse(Refusal::new(RefusalStatus::NodeIdConflict, reason));
        }
        self.claimed = Some(hello.node);
        // Looked up, not made: whoever knocks with an invented id must not leave anything behind.
        let known = self.core.shared.peers.peer(hello.node);
        if matches!(self.side, Side::Dialer { .. }) {
            if known.as_ref().is_some_and(|peer| peer.is_connected()) {
                self.connected = Some(hello.node);
                return Admission::Refuse(Refusal::new(RefusalStatus::Busy, "connected already"));
            }
            let peer = self.core.shared.peer(hello.node);
            peer.set_dialing(true);
            self.peer = Some(peer);
        }
        let ours = self.core.extension(known.as_deref());
        self.ours = Some(ours.clone());
        Admission::Accept { extension: ours }
    }

    async fn confirm(&mut self, proven: &hew_security::Peer, theirs: &Extension) -> Result<(), Refusal> {
        let refuse = |status, reason: String| Err(Refusal::new(status, reason));
        let shared = &self.core.shared;
        if theirs.cluster != shared.cluster {
            let reason = format!("this is cluster {}, not {}", shared.cluster, theirs.cluster);
            return refuse(RefusalStatus::ClusterMismatch, reason);
        }
        if !(theirs.version_min..=theirs.version_max).contains(&PROTOCOL_VERSION) {
            let (min, max) = (theirs.version_min, theirs.version_max);
            let reason = format!("version {PROTOCOL_VERSION} here, {min} to {max} there");
            return refuse(RefusalStatus::VersionMismatch, reason);
        }
        let peer = self.peer.get_or_insert_with(|| shared.peer(proven.node)).clone();
        // What a connection has proven, and what other members say.
        let said = self
            .core
            .look(|machines| machines.membership.member(proven.node).map(|member| member.incarnation()));
        let known = peer.incarnation().max(said);
        if let Some(known) = known.filter(|known| *known > theirs.incarnation) {
            let reason = format!(
                "node {} is known with incarnation {known}, which is newer than {}",
                proven.node, theirs.incarnation
            );
            self.refused = Some(OLDER);
            return refuse(RefusalStatus::NodeIdConflict, reason);
        }
        if known.is_some_and(|known| known < theirs.incarnation) && self.older_lives(&peer).await {
            self.refused = Some(RUNNING);
            let reason = format!("node {} is running already, and answers", proven.node);
            return refuse(RefusalStatus::NodeIdConflict, reason);
        }
        let existing = peer.with_connection(|connection, dialing| match (connection, self.side) {
            // What a dialer finds came up while it was dialling.
            (Some(connection), Side::Dialer { .. }) => {
                Existing::Connected { dialed_here: connection.dialed_here, older: false }
            }
            (Some(connection), Side::Listener { accepted }) => Existing::Connected {
                dialed_here: connection.dialed_here,
                older: connection.since < accepted,
            },
            (None, Side::Listener { .. }) if dialing => Existing::Dialing,
            (None, _) => Existing::None,
        });
        let settled = match self.side {
            Side::Listener { .. } => settle(shared.id, proven.node, existing),
            // Seen from the listener, which decides by the same rule with the roles exchanged.
            Side::Dialer { .. } => match existing {
                Existing::Connected { dialed_here: false, .. } if shared.id > proven.node => Settled::Refuse,
                _ => Settled::Take,
            },
        };
        match settled {
            Settled::Take => Ok(()),
            Settled::Refuse => refuse(RefusalStatus::Busy, "another connection between the two stays".into()),
        }
    }
}

impl<S: Stack> Drop for LinkGate<'_, S> {
    fn drop(&mut self) {
        if let (Some(peer), Side::Dialer { .. }) = (&self.peer, self.side) {
            peer.set_dialing(false);
        }
    }
}

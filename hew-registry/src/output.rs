//! What goes into a registry about peers, and what comes out of it.

use hew_wire::registry::{DeleteReason, RegistryMessage};
use hew_wire::{Incarnation, Name, NodeId, Pid};

/// What a driver tells a registry about another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// A session with it exists from now on, fresh or resumed: messages can be sent to it.
    SessionUp,
    /// Its session ended: what was on the way is lost.
    SessionDown,
    /// It is a live member: its names may be shown.
    NodeUp,
    /// It is down: its names are hidden at once. It may come up again.
    NodeDown,
    /// It left, for good: this incarnation never comes up again.
    NodeLeft,
}

/// What a registry wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send `message` to the node `to`, in order with all earlier ones. If there is no session any more, drop it.
    Send {
        /// The receiver.
        to: NodeId,
        /// What to send; at most [`hew_wire::registry::REGISTRY_MESSAGE_BYTES_MAX`] when encoded.
        message: RegistryMessage,
    },
    /// Something happened to a name.
    Event(RegistryEvent),
}

/// What happened to a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryEvent {
    /// From now on lookups of `name` find `pid`; if they found another one before, they do no more.
    Registered {
        /// The name.
        name: Name,
        /// The actor, on any node.
        pid: Pid,
    },
    /// From now on lookups of `name` find nobody.
    Unregistered {
        /// The name.
        name: Name,
        /// The actor that had it.
        pid: Pid,
        /// Why; `None` if the change was missed and its reason is not kept any more.
        reason: Option<DeleteReason>,
    },
    /// An actor of this node lost its name, because the registration of another node wins the conflict.
    /// Said exactly once for each registration that loses, and only on the loser's node.
    Lost {
        /// The name.
        name: Name,
        /// The actor of this node that had it.
        loser: Pid,
        /// The actor that has it now.
        winner: Pid,
    },
    /// From now on lookups find the names that are known of this node; no single events are given for them.
    NodeShown {
        /// The node.
        node: NodeId,
        /// Which start of it.
        incarnation: Incarnation,
    },
    /// From now on lookups find no name of this node; no single events are given for them.
    NodeHidden {
        /// The node.
        node: NodeId,
        /// Which start of it.
        incarnation: Incarnation,
    },
}

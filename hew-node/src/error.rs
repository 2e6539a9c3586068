//! What can go wrong with a node's own operations.

use crate::state_file::StateFileError;
use hew_cluster::InvalidConfig;
use hew_registry::RegisterError as Refused;
use hew_transport::{InvalidAddr, TransportError};
use hew_wire::{InvalidName, Name, NodeId, Pid};

/// A node was not started. Nothing is left behind: no thread, no socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address to listen at, to advertise or to join is none.
    #[error("{setting}: {error}")]
    Address {
        /// Which setting.
        setting: &'static str,
        /// What is wrong.
        error: InvalidAddr,
    },
    /// The cluster's or the node's name is none.
    #[error("{setting}: {error}")]
    Name {
        /// Which setting.
        setting: &'static str,
        /// What is wrong.
        error: InvalidName,
    },
    /// The node id is 0.
    #[error("a node needs an id from 1 to 65535")]
    NodeId,
    /// A number is out of its range.
    #[error("{setting}: {given} is not between {min} and {max}")]
    Range {
        /// Which setting.
        setting: &'static str,
        /// The number.
        given: u64,
        /// Its least value.
        min: u64,
        /// Its greatest value.
        max: u64,
    },
    /// The node cannot listen.
    #[error("cannot listen at {0}")]
    Listen(#[source] TransportError),
    /// No key could be made or the allowlist is unusable.
    #[error("no identity: {0}")]
    Identity(#[source] std::io::Error),
    /// The file with the node's incarnation cannot be used, or it forbids the incarnation that was set.
    #[error(transparent)]
    StateFile(#[from] StateFileError),
    /// Membership refuses its settings.
    #[error("membership: {0}")]
    Membership(#[from] InvalidConfig),
    /// The system gives no threads.
    #[error("no threads: {0}")]
    Threads(#[source] std::io::Error),
    /// The actor system that was given belongs to another node.
    #[error("the actor system belongs to node {node} already")]
    SystemTaken {
        /// That node.
        node: NodeId,
    },
}

/// A name was not registered. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The text cannot be a name.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Another actor has the name.
    #[error("name {name} is taken by {holder}")]
    Taken {
        /// The name.
        name: Name,
        /// The actor that has it.
        holder: Pid,
    },
    /// The actor has ended.
    #[error("{pid} has ended, or never was")]
    NoProcess {
        /// The actor.
        pid: Pid,
    },
    /// The actor runs on another node; it is registered there.
    #[error("{pid} is no actor of node {node}: a name is registered where its actor runs")]
    NotLocal {
        /// The actor.
        pid: Pid,
        /// This node.
        node: NodeId,
    },
    /// The node has as many names as it may have.
    #[error("this node has {limit} names, which is its limit")]
    Full {
        /// The limit.
        limit: usize,
    },
}

impl RegisterError {
    pub(crate) fn from_registry(name: Name, error: Refused) -> RegisterError {
        match error {
            Refused::Taken { holder } => RegisterError::Taken { name, holder },
            Refused::NotLocal { pid, node } => RegisterError::NotLocal { pid, node },
            Refused::Full { limit } => RegisterError::Full { limit },
        }
    }
}

/// A name was not taken away. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnregisterError {
    /// The text cannot be a name.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Nobody has the name.
    #[error("nobody is registered as {name}")]
    NotFound {
        /// The name.
        name: Name,
    },
    /// An actor of another node has the name.
    #[error("{name} belongs to {holder}, an actor of node {}: it is taken away there", .holder.node())]
    NotOwner {
        /// The name.
        name: Name,
        /// The actor.
        holder: Pid,
    },
}

/// A name does not lead to an actor. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The text cannot be a name.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Nobody has the name, as far as this node knows.
    #[error("nobody is registered as {name:?}, as far as node {node} knows")]
    NotFound {
        /// The name.
        name: String,
        /// This node.
        node: NodeId,
    },
    /// An actor of this node has the name, and takes other messages than the reference that was asked for.
    #[error("{name} is {pid}, which takes other messages")]
    OtherMessages {
        /// The name.
        name: String,
        /// The actor.
        pid: Pid,
    },
}

/// A connection to an address was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The text is no address.
    #[error(transparent)]
    Address(#[from] InvalidAddr),
    /// Nobody could be reached there, or the two nodes refuse each other; the text names the address and the cause.
    #[error("{cause}")]
    Failed {
        /// The address and what happened.
        cause: String,
        /// A short stable name of the cause, as in [`NodeStats::refusals`](crate::NodeStats::refusals).
        code: &'static str,
    },
}

//! Why a registry refuses something.

use hew_wire::{NodeId, Pid};

/// Why a name was not registered. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// Somebody has the name; the same actor counts too.
    #[error("the name is taken by {holder}")]
    Taken {
        /// Who.
        holder: Pid,
    },
    /// Names are given to actors of this node only.
    #[error("{pid} is not an actor of node {node}: names are registered on the actor's own node")]
    NotLocal {
        /// The actor.
        pid: Pid,
        /// This node.
        node: NodeId,
    },
    /// This node has as many names as it may have.
    #[error("the limit of {limit} names is reached")]
    Full {
        /// The limit.
        limit: usize,
    },
}

/// Why a name was not unregistered. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnregisterError {
    /// Nobody has the name.
    #[error("nobody is registered under this name")]
    NotFound,
    /// An actor of another node has the name; only that node can take it away.
    #[error("the name belongs to {holder}, an actor of node {}", .holder.node())]
    NotOwner {
        /// Who.
        holder: Pid,
    },
}

/// Why a message of a peer was dropped. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The driver has not said that there is a session with this node.
    #[error("a message of node {from}, with which there is no session")]
    NoSession {
        /// The sender.
        from: NodeId,
    },
    /// This registry talks to nobody.
    #[error("a message of node {from} for a registry that is local only")]
    LocalOnly {
        /// The sender.
        from: NodeId,
    },
    /// The message speaks of a node 0.
    #[error("a log of node 0, which does not exist")]
    NoOwner,
    /// The log of one node gives a name to an actor of another.
    #[error("the log of node {owner} gives a name to {pid}")]
    ForeignPid {
        /// Whose log.
        owner: NodeId,
        /// The actor.
        pid: Pid,
    },
    /// The numbers of a page contradict each other.
    #[error("a page of the log of node {owner} contradicts itself: {reason}")]
    BadPage {
        /// Whose log.
        owner: NodeId,
        /// What is wrong.
        reason: &'static str,
    },
    /// The owner has more names than a copy may hold.
    #[error("the log of node {owner} has more names than the limit of {limit}")]
    OwnerFull {
        /// Whose log.
        owner: NodeId,
        /// The limit.
        limit: usize,
    },
    /// All nodes together have more names than the table may hold.
    #[error("there are more names in the cluster than the limit of {limit}")]
    TableFull {
        /// The limit.
        limit: usize,
    },
}

//! What any membership is to a node: its inputs, its outputs, its events and its errors.

use crate::Member;
use hew_wire::membership::MembershipMessage;
use hew_wire::{Incarnation, NodeId};
use std::time::{Duration, Instant};

/// A membership as a pure state machine.
///
/// **Contract.** Call `handle_*` when something happened and [`handle_timeout`](Membership::handle_timeout) at or after
/// the time that [`poll_timeout`](Membership::poll_timeout) names; after each call drain [`poll`](Membership::poll)
/// until it gives `None`, then ask `poll_timeout` again. `now` must never go back. Calling `handle_timeout` early is
/// allowed and does nothing. Nothing blocks and nothing is done behind the caller's back.
///
/// The order of inputs from one peer matters: [`LinkEvent::Up`] before the first message of that link, and
/// [`LinkEvent::Broken`] after the last.
pub trait Membership: Send + 'static {
    /// A message of `from` came in on an authenticated link.
    ///
    /// # Errors
    /// [`MembershipError`]; each variant says what was changed. The machine goes on in every case; a peer that causes
    /// errors again and again is misbehaving, and the caller decides about its link.
    fn handle_message(
        &mut self,
        now: Instant,
        from: NodeId,
        message: MembershipMessage,
    ) -> Result<(), MembershipError>;

    /// Something happened to the link with `peer`, or to the attempt to make one.
    ///
    /// # Errors
    /// [`MembershipError::Stale`] if the link is one of an incarnation that is over: close it.
    /// [`MembershipError::OwnId`] if the peer has this node's id: close it. Others as each variant says.
    fn handle_link(&mut self, now: Instant, peer: NodeId, event: LinkEvent) -> Result<(), MembershipError>;

    /// Whether a link is all that shows that a member lives: then none is closed for being idle.
    fn judges_by_links(&self) -> bool {
        false
    }

    /// Starts to leave the cluster; the end is told by [`MembershipEvent::HasLeft`]. A second call does nothing.
    fn leave(&mut self, now: Instant);

    /// Time has passed.
    fn handle_timeout(&mut self, now: Instant);

    /// When to call [`handle_timeout`](Membership::handle_timeout) next; `None` if only inputs can change anything.
    fn poll_timeout(&self) -> Option<Instant>;

    /// The next output, in order; `None` when all have been taken.
    fn poll(&mut self) -> Option<Output>;

    /// What is known of `node`, also if it is down; `None` if nothing is.
    fn member(&self, node: NodeId) -> Option<&Member>;

    /// All members that are known, with this node and those that are down, in order of node id.
    fn members(&self) -> impl Iterator<Item = &Member>;
}

/// This node, as the others will know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalMember {
    /// Its id; not 0.
    pub node: NodeId,
    /// This start of it, as the links' handshakes tell it to peers.
    pub incarnation: Incarnation,
    /// Where others can dial it; `None` if it does not listen. At most 255 bytes without control characters.
    pub address: Option<String>,
}

/// What happened to a link, as the machine needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The link is up, for the first time or again. What it says of the peer is proven by the handshake.
    Up {
        /// The peer's incarnation.
        incarnation: Incarnation,
        /// Where the peer says it can be dialled; `None` if it does not listen.
        address: Option<String>,
        /// The address as it was dialled, if the link exists because a seed (a configured address whose node id was
        /// not known) was dialled. Starts the join, or the merge of two clusters.
        seed: Option<String>,
    },
    /// The connection under the link is gone. Both sides may dial again.
    Broken,
    /// The connection under the link was closed because nothing was sent on it, and is made again when something is: no sign
    /// that the peer is gone, nor that it will be missed if it goes. Not told where
    /// [`judges_by_links`](Membership::judges_by_links) is true, unless it was the peer that closed it.
    Idle,
    /// Anything at all was received from the peer: as good as the answer to a ping. Telling it often costs little;
    /// once per read is enough. Messages given to [`Membership::handle_message`] need not be told again.
    Heard,
    /// An attempt to dial the peer failed.
    Unreachable {
        /// Whether the peer's machine answered that nobody listens there (connection refused, no such Unix socket).
        /// `false` for time-outs, unreachable networks, and everything else that a network can do to a living peer.
        refused: bool,
    },
}

/// What the caller must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send `message` to `to`, dialling it by [`Member::address`] if there is no link. If that is not possible, drop the
    /// message and tell [`LinkEvent::Unreachable`].
    Send {
        /// The receiver.
        to: NodeId,
        /// The message.
        message: MembershipMessage,
    },
    /// Try to make a link to this address, once; the answer is [`LinkEvent::Up`], or nothing.
    Dial {
        /// Who is expected there; `None` for a seed, whose `Up` must carry the address as
        /// [`seed`](LinkEvent::Up::seed).
        node: Option<NodeId>,
        /// The address, as it was advertised or configured.
        address: String,
    },
    /// Something to tell the rest of the node and its users.
    Event {
        /// 1 for the first event of this machine, and one more for each that follows.
        seq: u64,
        /// What happened.
        event: MembershipEvent,
    },
}

/// A change of the cluster, as this node sees it.
///
/// About each other node the events form one sequence: `Up`, any number of `Suspect` and `Alive` in turn, `Down`, and
/// then perhaps `Up` again. `Down` and `Up` of a restart are adjacent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembershipEvent {
    /// A seed answered: this node is in the cluster. The members it told about have had their `Up` before.
    Joined {
        /// The seed.
        through: NodeId,
    },
    /// A member is there: new, restarted, or back after having been declared down wrongly.
    Up {
        /// The member.
        node: NodeId,
        /// This start of it.
        incarnation: Incarnation,
        /// Where it can be dialled, if anywhere.
        address: Option<String>,
    },
    /// A member does not answer. It counts as there until it is `Down`.
    Suspect {
        /// The member.
        node: NodeId,
        /// This start of it.
        incarnation: Incarnation,
    },
    /// A member that was suspected has refuted that.
    Alive {
        /// The member.
        node: NodeId,
        /// This start of it.
        incarnation: Incarnation,
    },
    /// A member is gone.
    Down {
        /// The member.
        node: NodeId,
        /// Which start of it; actors of this incarnation will not be heard of again, unless an `Up` of the same
        /// incarnation follows (it was only cut off).
        incarnation: Incarnation,
        /// Why.
        reason: DownReason,
    },
    /// So many members went silent that this node, and not they, must be cut off. For a while it declares nobody
    /// dead by its own observation; see [`isolation_hold`](crate::SwimConfig::isolation_hold).
    Isolated {
        /// How many members this node suspects by its own observation.
        suspects: usize,
    },
    /// The others are heard again. Without this, the isolation ended by declaring the silent ones down.
    Rejoined,
    /// Others know this node's id with an incarnation above its own, or as having left: it cannot take part. It must
    /// start again with a higher incarnation, or somebody else is using its id.
    Conflict {
        /// The incarnation that others know.
        claimed: Incarnation,
    },
    /// Leaving is complete: enough others know, or time was up. The machine is silent from here on.
    HasLeft {
        /// How many members acknowledged.
        acknowledged: usize,
    },
}

/// Why a member is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DownReason {
    /// It did not answer and did not refute, here or at others.
    Timeout,
    /// Its connection broke and its machine says that nobody listens there any more.
    Refused,
    /// A newer incarnation of the same node is there.
    Replaced,
    /// It said goodbye.
    Left,
    /// [`Swim::force_down`](crate::Swim::force_down) was called on this node.
    Forced,
}

/// Why an input was not taken, or not wholly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// The peer is 0 or this node's own id. Nothing was changed.
    #[error("a peer claims the node id {node}, which is this node's own or none")]
    OwnId {
        /// The id.
        node: NodeId,
    },
    /// A message of a node that is not a member and has no link. Nothing was changed.
    #[error("a membership message of node {node}, which is not a member")]
    UnknownSender {
        /// The sender.
        node: NodeId,
    },
    /// The peer is an incarnation that is over. Nothing was changed; a `Stale` message tells the peer.
    #[error("node {node} is incarnation {given}, but incarnation {known} is known")]
    Stale {
        /// The peer.
        node: NodeId,
        /// The highest incarnation known of it.
        known: Incarnation,
        /// The one it has.
        given: Incarnation,
    },
    /// An update that cannot be true was skipped. The rest of the message was applied.
    #[error("node {from} says about node {node}: {reason}")]
    InvalidUpdate {
        /// Who said it.
        from: NodeId,
        /// About whom.
        node: NodeId,
        /// What is wrong.
        reason: &'static str,
    },
    /// A new member does not fit into the table and was skipped. The rest of the message was applied.
    #[error("node {node} does not fit: the table of members is full at {limit}")]
    TableFull {
        /// The new member.
        node: NodeId,
        /// The limit.
        limit: usize,
    },
    /// The peer is not on the static list. Nothing was changed.
    #[error("node {node} is not on the list of members")]
    NotListed {
        /// The peer.
        node: NodeId,
    },
}

/// A long time that still can be added to any instant, for durations that come out too large.
pub(crate) const LONG: Duration = Duration::from_secs(365 * 24 * 3600);

//! What a registry knows of another node: its incarnation, whether it is up, and the copy of its log.

use crate::log::Log;
use crate::table::Owner;
use hew_wire::{Incarnation, NodeId};
use std::time::Instant;

/// What membership said last about an incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Nothing so far.
    Unknown,
    /// It is up. Only now there is a copy of its log, and the copy is visible.
    Up,
    /// It is down. There may still be a copy, hidden, until it is swept.
    Down,
    /// It left: final for this incarnation.
    Left,
}

/// Another node.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The newest incarnation that is known.
    pub(crate) incarnation: Incarnation,
    pub(crate) presence: Presence,
    /// When the last digest was sent to it.
    pub(crate) digest_sent: Option<Instant>,
    pub(crate) copy: Option<Copy>,
    /// When the hidden copy is swept.
    pub(crate) sweep_at: Option<Instant>,
}

/// A copy of another node's log.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) log: Log,
    pub(crate) scan: Option<Scan>,
}

/// A walk through all names of a log that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    /// The sender's last change when it began.
    pub(crate) since: u64,
    /// The walk has come to this change.
    pub(crate) cursor: u64,
}

impl Peer {
    pub(crate) fn new(incarnation: Incarnation) -> Peer {
        Peer { incarnation, presence: Presence::Unknown, digest_sent: None, copy: None, sweep_at: None }
    }

    /// Whether this very incarnation is up.
    pub(crate) fn is_up(&self, incarnation: Incarnation) -> bool {
        self.presence == Presence::Up && self.incarnation == incarnation
    }

    /// The copy of the log of a node that is up; an empty one if there is none yet.
    pub(crate) fn copy_mut(&mut self, node: NodeId) -> &mut Copy {
        let incarnation = self.incarnation;
        self.copy
            .get_or_insert_with(|| Copy { log: Log::new(Owner::new(node, incarnation, true)), scan: None })
    }

    /// The log, if it may be shown to others: of a node that is up, not empty, and not in the middle of a scan.
    pub(crate) fn served_log(&self) -> Option<&Log> {
        let copy = self.copy.as_ref().filter(|copy| copy.scan.is_none() && copy.log.seq() > 0)?;
        (self.presence == Presence::Up).then_some(&copy.log)
    }
}

//! What waits to be drained, in order.

use crate::RegistryEvent;
use hew_wire::registry::RegistryMessage;
use hew_wire::{Incarnation, NodeId};
use std::collections::{BTreeSet, VecDeque};

/// Most answers to pulls that wait. A pull beyond it is dropped; whoever sent it asks again.
pub(crate) const ANSWERS_MAX: usize = 4096;
/// Most pages of one answer to a pull; for more, the receiver pulls again. Together with the limit of pulls it bounds
/// what is on the way to one peer, and leaves room between for what is urgent.
pub(crate) const ANSWER_PAGES_MAX: usize = 4;

/// One thing that waits.
#[derive(Debug)]
pub(crate) enum Item {
    Event(RegistryEvent),
    /// One message for several nodes; the last one is sent first.
    Send {
        to: Vec<NodeId>,
        message: RegistryMessage,
    },
    Answer(Answer),
}

/// The rest of an answer to a pull. Its pages are made when they are drained, so that an answer that waits is small.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) to: NodeId,
    /// The number of the pull.
    pub(crate) number: u64,
    pub(crate) owner: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) after: u64,
    pub(crate) scan: Option<u64>,
    pub(crate) pages_left: usize,
}

/// What waits to be drained.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    items: VecDeque<Item>,
    /// Receiver and owner of each answer that waits.
    answers: BTreeSet<(NodeId, NodeId)>,
}

impl Outbox {
    pub(crate) fn event(&mut self, event: RegistryEvent) {
        self.items.push_back(Item::Event(event));
    }

    /// `to` is in the order in which the copies leave.
    pub(crate) fn send(&mut self, mut to: Vec<NodeId>, message: RegistryMessage) {
        if !to.is_empty() {
            to.reverse();
            self.items.push_back(Item::Send { to, message });
        }
    }

    /// Takes an answer, unless too many wait. One about the same log to the same peer that still waits stays instead.
    pub(crate) fn answer(&mut self, answer: Answer) -> bool {
        if self.answers.len() >= ANSWERS_MAX {
            return false;
        }
        if self.answers.insert((answer.to, answer.owner)) {
            self.items.push_back(Item::Answer(answer));
        }
        true
    }

    pub(crate) fn next(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        if let Item::Answer(answer) = &item {
            self.answers.remove(&(answer.to, answer.owner));
        }
        Some(item)
    }

    /// Puts the rest of an item back to the front.
    pub(crate) fn put_back(&mut self, item: Item) {
        if let Item::Answer(answer) = &item {
            self.answers.insert((answer.to, answer.owner));
        }
        self.items.push_front(item);
    }

    /// Drops the answers to `peer`, whose session ended.
    pub(crate) fn forget_peer(&mut self, peer: NodeId) {
        if self.answers.iter().any(|&(to, _)| to == peer) {
            self.answers.retain(|&(to, _)| to != peer);
            self.items.retain(|item| !matches!(item, Item::Answer(answer) if answer.to == peer));
        }
    }
}

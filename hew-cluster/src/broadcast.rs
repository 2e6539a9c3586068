//! The news that are still to be passed on: the least often sent first, then the newest.
//!
//! Only the subject is queued; what is said of it is looked up in the table when it is sent, so newer news of a member
//! replace older ones by themselves, and the queue never holds more entries than the table.

use hew_wire::NodeId;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(crate) struct Broadcasts {
    order: BTreeSet<(u32, Reverse<u64>, NodeId)>,
    entries: BTreeMap<NodeId, (u32, u64)>,
    next_age: u64,
}

impl Broadcasts {
    /// There are news of `node`.
    pub(crate) fn push(&mut self, node: NodeId) {
        self.remove(node);
        self.next_age += 1;
        self.entries.insert(node, (0, self.next_age));
        self.order.insert((0, Reverse(self.next_age), node));
    }

    pub(crate) fn remove(&mut self, node: NodeId) {
        if let Some((sent, age)) = self.entries.remove(&node) {
            self.order.remove(&(sent, Reverse(age), node));
        }
    }

    /// The subjects of the next message of at most `count` news; each is dropped once it was taken `limit` times.
    pub(crate) fn take(&mut self, count: usize, limit: u32) -> Vec<NodeId> {
        let taken: Vec<_> = self.order.iter().take(count).copied().collect();
        for &(sent, Reverse(age), node) in &taken {
            self.order.remove(&(sent, Reverse(age), node));
            if sent + 1 < limit {
                self.entries.insert(node, (sent + 1, age));
                self.order.insert((sent + 1, Reverse(age), node));
            } else {
                self.entries.remove(&node);
            }
        }
        taken.into_iter().map(|(_, _, node)| node).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.order.clear();
        self.entries.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

/// How often one member sends one piece of news in a cluster of `members`: ceil(factor × log2(members + 1)).
pub(crate) fn retransmit_limit(factor: u32, members: usize) -> u32 {
    (f64::from(factor) * ((members + 1) as f64).log2()).ceil() as u32
}

/// How many gossip intervals news need to reach all of `members`: ceil(log2(members)) + 2.
pub(crate) fn dissemination_rounds(members: usize) -> u32 {
    (members.max(1) as f64).log2().ceil() as u32 + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_sent_first_then_newest_until_the_limit() {
        let n = NodeId::from_raw;
        let mut queue = Broadcasts::default();
        queue.push(n(1));
        queue.push(n(2));
        assert_eq!(queue.take(1, 2), [n(2)]);
        assert_eq!(queue.take(2, 2), [n(1), n(2)]);
        assert_eq!(queue.take(2, 2), [n(1)]);
        assert!(queue.is_empty());
        queue.push(n(1));
        assert_eq!(queue.take(1, 2), [n(1)]);
        queue.push(n(1));
        assert_eq!(queue.take(1, 2), [n(1)], "newer news start again");
        assert_eq!(queue.entries.len(), 1);
    }

    #[test]
    fn limits_grow_with_the_logarithm() {
        let limits: Vec<_> = [1, 10, 100, 1000, 10_000].iter().map(|&n| retransmit_limit(3, n)).collect();
        assert_eq!(limits, [3, 11, 20, 30, 40]);
        let rounds: Vec<_> = [1, 2, 10, 100, 1000].iter().map(|&n| dissemination_rounds(n)).collect();
        assert_eq!(rounds, [2, 3, 6, 9, 12]);
    }
}

//! Who has what this node misses, and what it has asked for.
//!
//! Every hint that somebody holds more of a log becomes an *offer*. Offers of nodes that are up are taken up as slots
//! allow: one pull for each log, a few for each peer, so that an answer never floods a link and a peer that does not
//! answer blocks its own slots only.

use hew_wire::{Incarnation, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Most pulls under way to one peer.
pub(crate) const PULLS_PER_PEER_MAX: usize = 8;
/// Most pulls under way.
pub(crate) const PULLS_MAX: usize = 64;

/// "`peer` has changes of this log up to `seq`."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) incarnation: Incarnation,
    pub(crate) seq: u64,
    pub(crate) peer: NodeId,
    pub(crate) repair: Repair,
}

/// What is wrong with the copy at hand, if its owner says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Repair {
    /// Nothing: it is only too short.
    No,
    /// It is longer than the owner's log. Pulled as if it were right: if it is, the owner has grown meanwhile.
    Position,
    /// It is as long as the owner's log, and differs. Everything is pulled.
    Content,
}

/// A pull under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Active {
    pub(crate) peer: NodeId,
    /// The number of the question that waits for an answer.
    pub(crate) number: u64,
    pub(crate) deadline: Instant,
    /// Position and cursor of the copy when the last pull was sent: an answer must move one of them.
    pub(crate) progress: (u64, u64),
    pub(crate) repair: Repair,
}

/// Offers and pulls, by the owner of the log.
#[derive(Debug, Default)]
pub(crate) struct Pulls {
    offers: BTreeMap<NodeId, Offer>,
    /// The owners whose offer can be taken up, by the peer of the offer. No set is empty.
    ready: BTreeMap<NodeId, BTreeSet<NodeId>>,
    active: BTreeMap<NodeId, Active>,
}

impl Pulls {
    /// Takes note of an offer, if it is better than the one at hand: of the incarnation that is up (`live`), of a
    /// newer one, of the owner itself, or of more changes.
    pub(crate) fn offer(&mut self, owner: NodeId, live: Option<Incarnation>, offer: Offer) {
        if let Some(held) = self.offers.get(&owner) {
            let rank = |offer: &Offer| {
                let Offer { incarnation, seq, peer, repair } = *offer;
                (live == Some(incarnation), incarnation, peer == owner, repair, seq)
            };
            if rank(held) >= rank(&offer) {
                return;
            }
        }
        self.unready(owner);
        self.offers.insert(owner, offer);
    }

    /// Says that `owner` is up, so that its offer may be taken up.
    pub(crate) fn make_ready(&mut self, owner: NodeId) {
        if self.active.contains_key(&owner) {
            return;
        }
        if let Some(offer) = self.offers.get(&owner) {
            self.ready.entry(offer.peer).or_default().insert(owner);
        }
    }

    /// An offer to take up now; it is forgotten with that.
    pub(crate) fn take_ready(&mut self) -> Option<(NodeId, Offer)> {
        if self.active.len() >= PULLS_MAX {
            return None;
        }
        let has_slot = |peer: NodeId| self.active_at(peer) < PULLS_PER_PEER_MAX;
        let owner =
            self.ready.iter().find(|&(&peer, _)| has_slot(peer)).and_then(|(_, owners)| owners.first());
        let owner = *owner?;
        self.unready(owner);
        self.offers.remove(&owner).map(|offer| (owner, offer))
    }

    pub(crate) fn start(&mut self, owner: NodeId, pull: Active) {
        self.active.insert(owner, pull);
    }

    /// Frees the slot of `owner`.
    pub(crate) fn finish(&mut self, owner: NodeId) -> Option<Active> {
        self.active.remove(&owner)
    }

    /// Says that `owner` is not up any more: frees its slot. Its offer waits until it is up again, or is replaced.
    pub(crate) fn suspend(&mut self, owner: NodeId) {
        self.unready(owner);
        self.active.remove(&owner);
    }

    /// Forgets the offers of `peer` and frees its slots. Returns the owners whose pull was under way.
    pub(crate) fn forget_peer(&mut self, peer: NodeId) -> Vec<NodeId> {
        self.offers.retain(|_, offer| offer.peer != peer);
        self.ready.remove(&peer);
        let broken =
            self.active.iter().filter(|(_, pull)| pull.peer == peer).map(|(&owner, _)| owner).collect();
        self.active.retain(|_, pull| pull.peer != peer);
        broken
    }

    /// The owners whose pull was not answered in time.
    pub(crate) fn expired(&self, now: Instant) -> Vec<NodeId> {
        self.active.iter().filter(|(_, pull)| pull.deadline <= now).map(|(&owner, _)| owner).collect()
    }

    pub(crate) fn active(&self, owner: NodeId) -> Option<&Active> {
        self.active.get(&owner)
    }

    pub(crate) fn active_mut(&mut self, owner: NodeId) -> Option<&mut Active> {
        self.active.get_mut(&owner)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.active.values().map(|pull| pull.deadline).min()
    }

    fn active_at(&self, peer: NodeId) -> usize {
        self.active.values().filter(|pull| pull.peer == peer).count()
    }

    fn unready(&mut self, owner: NodeId) {
        let Some(offer) = self.offers.get(&owner) else { return };
        if let Some(owners) = self.ready.get_mut(&offer.peer) {
            owners.remove(&owner);
            if owners.is_empty() {
                self.ready.remove(&offer.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u16) -> NodeId {
        NodeId::new(id).unwrap()
    }

    fn offer(peer: u16, incarnation: u64, seq: u64) -> Offer {
        Offer { incarnation: Incarnation(incarnation), seq, peer: node(peer), repair: Repair::No }
    }

    #[allow(clippy::disallowed_methods)]
    fn pull(peer: u16) -> Active {
        Active { peer: node(peer), number: 1, deadline: Instant::now(), progress: (0, 0), repair: Repair::No }
    }

    #[test]
    fn the_better_offer_stays() {
        // Each is better than the ones before it.
        let live = Some(Incarnation(5));
        let offers = [offer(2, 4, 1), offer(2, 9, 1), offer(2, 5, 7), offer(3, 5, 8), offer(9, 5, 2)];
        for (i, better) in offers.iter().enumerate() {
            for worse in &offers[..i] {
                for pair in [[better, worse], [worse, better]] {
                    let mut pulls = Pulls::default();
                    for offer in pair {
                        pulls.offer(node(9), live, *offer);
                    }
                    pulls.make_ready(node(9));
                    assert_eq!(pulls.take_ready(), Some((node(9), *better)));
                    assert_eq!(pulls.take_ready(), None);
                }
            }
        }
    }

    #[test]
    fn slots_are_limited_for_each_peer_and_in_total() {
        let mut pulls = Pulls::default();
        for owner in 100..1000 {
            pulls.offer(node(owner), None, offer(1 + owner % 20, 1, 1));
            pulls.make_ready(node(owner));
        }
        let mut taken = Vec::new();
        while let Some((owner, offer)) = pulls.take_ready() {
            pulls.start(owner, pull(offer.peer.raw()));
            taken.push(offer.peer);
        }
        assert_eq!(taken.len(), PULLS_MAX);
        for peer in 1..=20 {
            assert!(taken.iter().filter(|p| p.raw() == peer).count() <= PULLS_PER_PEER_MAX);
        }
        let broken = pulls.forget_peer(node(1));
        assert_eq!(broken.len(), PULLS_PER_PEER_MAX);
        assert_ne!(pulls.take_ready().unwrap().1.peer, node(1));
    }

    #[test]
    fn a_log_is_pulled_once_at_a_time() {
        let mut pulls = Pulls::default();
        pulls.start(node(9), pull(1));
        pulls.offer(node(9), None, offer(2, 1, 1));
        pulls.make_ready(node(9));
        assert_eq!(pulls.take_ready(), None);
        assert!(pulls.finish(node(9)).is_some());
        pulls.make_ready(node(9));
        assert_eq!(pulls.take_ready().unwrap().0, node(9));
    }
}

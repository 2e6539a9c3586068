//! Whose turn it is to be probed: a shuffled round-robin (SWIM section 4.3).
//!
//! Every member is probed once per round, so the time until a crash is noticed is bounded by two rounds; a random order
//! per round keeps the probers from marching in step. A newcomer gets a random place in the round under way.

use fastrand::Rng;
use hew_wire::NodeId;

/// The members that are probed, and the order of the present round.
#[derive(Debug, Default)]
pub(crate) struct Rotation {
    /// All members that are probed, sorted.
    peers: Vec<NodeId>,
    /// What is left of the round, the next one last. May hold members that are gone.
    round: Vec<NodeId>,
}

impl Rotation {
    pub(crate) fn insert(&mut self, rng: &mut Rng, node: NodeId) {
        if let Err(place) = self.peers.binary_search(&node) {
            self.peers.insert(place, node);
            self.round.insert(rng.usize(..=self.round.len()), node);
        }
    }

    pub(crate) fn remove(&mut self, node: NodeId) {
        if let Ok(place) = self.peers.binary_search(&node) {
            self.peers.remove(place);
            // Else a member that comes and goes would leave one entry in the round each time.
            self.round.retain(|&other| other != node);
        }
    }

    /// The member to probe next; `None` if there is none.
    pub(crate) fn next(&mut self, rng: &mut Rng) -> Option<NodeId> {
        if self.round.is_empty() {
            self.round.clone_from(&self.peers);
            rng.shuffle(&mut self.round);
        }
        self.round.pop()
    }

    /// The members that are probed, sorted.
    pub(crate) fn peers(&self) -> &[NodeId] {
        &self.peers
    }

    /// Up to `count` different members for which `is_fit` holds, at random.
    pub(crate) fn sample(&self, rng: &mut Rng, count: usize, is_fit: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
        let mut chosen = Vec::with_capacity(count);
        // Picking at random is cheap and nearly always enough; the rest is for when few are fit.
        for _ in 0..4 * count {
            if chosen.len() == count || self.peers.is_empty() {
                break;
            }
            let node = self.peers[rng.usize(..self.peers.len())];
            if !chosen.contains(&node) && is_fit(node) {
                chosen.push(node);
            }
        }
        if chosen.len() < count {
            let mut rest: Vec<_> =
                self.peers.iter().copied().filter(|&node| !chosen.contains(&node) && is_fit(node)).collect();
            rng.shuffle(&mut rest);
            rest.truncate(count - chosen.len());
            chosen.extend(rest);
        }
        chosen
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::time::Instant;

    /// Some instant; the rules depend on differences only.
    #[allow(clippy::disallowed_methods)]
    pub(crate) fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn everybody_has_a_turn_each_round() {
        let mut rng = Rng::with_seed(1);
        let mut rotation = Rotation::default();
        assert_eq!(rotation.next(&mut rng), None);
        let nodes: Vec<_> = (1..=10).map(NodeId::from_raw).collect();
        nodes.iter().for_each(|&node| rotation.insert(&mut rng, node));
        for _ in 0..5 {
            let mut round: Vec<_> = (0..10).map(|_| rotation.next(&mut rng).unwrap()).collect();
            assert_ne!(round, nodes, "the order is shuffled");
            round.sort_unstable();
            assert_eq!(round, nodes);
        }
    }

    #[test]
    fn samples_are_distinct_and_fit() {
        let mut rng = Rng::with_seed(1);
        let mut rotation = Rotation::default();
        (1..=10).for_each(|id| rotation.insert(&mut rng, NodeId::from_raw(id)));
        for _ in 0..100 {
            let mut sample = rotation.sample(&mut rng, 4, |node| node.raw() % 2 == 0);
            sample.sort_unstable();
            sample.dedup();
            assert_eq!(sample.len(), 4);
            assert!(sample.iter().all(|node| node.raw() % 2 == 0));
        }
        assert_eq!(rotation.sample(&mut rng, 9, |node| node.raw() > 8).len(), 2);
    }

    #[test]
    fn coming_and_going_does_not_grow_the_round() {
        let mut rng = Rng::with_seed(1);
        let mut rotation = Rotation::default();
        rotation.insert(&mut rng, NodeId::from_raw(1));
        for _ in 0..1000 {
            rotation.insert(&mut rng, NodeId::from_raw(2));
            rotation.remove(NodeId::from_raw(2));
        }
        assert!(rotation.round.len() <= 1);
    }
}

//! One shard of the table: open addressing with linear probing.
//!
//! A name's hash is computed once per lookup with a key that peers do not know, and stored beside the name, so that
//! a probe compares two words and rarely a text. Nothing here iterates in the order of hashes for a result.

use super::claim::{Claim, Claims, Owner};
use hew_wire::Name;

const CAPACITY_MIN: usize = 8;

#[derive(Debug)]
struct Slot {
    hash: u64,
    name: Name,
    claims: Claims,
}

/// The names whose hash falls into this shard.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    /// Empty, or a power of two of slots, at least an eighth of them free.
    slots: Vec<Option<Slot>>,
    len: usize,
}

impl Shard {
    pub(crate) fn claims(&self, hash: u64, name: &str) -> Option<&Claims> {
        let at = self.find(hash, name)?;
        self.slots[at].as_ref().map(|slot| &slot.claims)
    }

    pub(crate) fn put(&mut self, hash: u64, name: &Name, claim: Claim) {
        if let Some(at) = self.find(hash, name.as_str()) {
            if let Some(slot) = &mut self.slots[at] {
                slot.claims.put(claim);
            }
            return;
        }
        if (self.len + 1) * 8 > self.slots.len() * 7 {
            self.resize((self.slots.len() * 2).max(CAPACITY_MIN));
        }
        self.insert(Slot { hash, name: name.clone(), claims: Claims::One(claim) });
        self.len += 1;
    }

    pub(crate) fn remove(&mut self, hash: u64, name: &str, owner: &Owner) -> Option<Claim> {
        let at = self.find(hash, name)?;
        let (removed, is_empty) = self.slots[at].as_mut()?.claims.remove(owner);
        if is_empty {
            self.vacate(at);
            self.len -= 1;
            if self.slots.len() > CAPACITY_MIN && self.len * 8 < self.slots.len() {
                self.resize(self.slots.len() / 2);
            }
        }
        removed
    }

    /// All names with their claims, in no order that may be shown.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Name, &Claims)> {
        self.slots.iter().flatten().map(|slot| (&slot.name, &slot.claims))
    }

    fn find(&self, hash: u64, name: &str) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        // Ends because an eighth of the slots is free.
        while let Some(slot) = &self.slots[at] {
            if slot.hash == hash && slot.name.as_str() == name {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
        None
    }

    fn insert(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = slot.hash as usize & mask;
        while self.slots[at].is_some() {
            at = (at + 1) & mask;
        }
        self.slots[at] = Some(slot);
    }

    /// Frees the slot `hole` and moves later ones of the run up, so that no run has a gap (Knuth, 6.4, algorithm R).
    fn vacate(&mut self, mut hole: usize) {
        let mask = self.slots.len() - 1;
        self.slots[hole] = None;
        let mut at = (hole + 1) & mask;
        while let Some(slot) = &self.slots[at] {
            let home = slot.hash as usize & mask;
            let from_home_to_hole = hole.wrapping_sub(home) & mask;
            let from_home_to_here = at.wrapping_sub(home) & mask;
            if from_home_to_hole < from_home_to_here {
                self.slots.swap(hole, at);
                hole = at;
            }
            at = (at + 1) & mask;
        }
    }

    fn resize(&mut self, capacity: usize) {
        let mut slots = Vec::new();
        slots.resize_with(capacity, || None);
        for slot in std::mem::replace(&mut self.slots, slots).into_iter().flatten() {
            self.insert(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hew_wire::{Incarnation, NodeId, Pid};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn claim(owner: &Arc<Owner>, serial: u64) -> Claim {
        let pid = Pid::new(owner.node, serial);
        Claim { owner: owner.clone(), pid, stamp: 1, seq: serial, priority: 0 }
    }

    #[test]
    fn behaves_like_a_map() {
        // Few distinct hashes, so that runs are long, wrap around and are broken up by removals.
        let owner = Owner::new(NodeId::new(1).unwrap(), Incarnation(1), true);
        let mut rng = fastrand::Rng::with_seed(7);
        let mut shard = Shard::default();
        let mut model = BTreeMap::new();
        for step in 0..20_000u64 {
            let key = rng.u64(0..200);
            let (hash, name) = (key % 23 * 5, Name::new(&format!("n{key}")).unwrap());
            // Phases of mostly putting and mostly removing make it grow and shrink.
            if rng.u64(0..10) < if step / 2000 % 2 == 0 { 7 } else { 2 } {
                shard.put(hash, &name, claim(&owner, step));
                model.insert(key, step);
            } else {
                let removed = shard.remove(hash, name.as_str(), &owner).map(|claim| claim.seq);
                assert_eq!(removed, model.remove(&key));
            }
            assert_eq!(shard.len, model.len());
        }
        for key in 0..200 {
            let found = shard.claims(key % 23 * 5, &format!("n{key}")).map(|c| c.as_slice()[0].seq);
            assert_eq!(found, model.get(&key).copied());
        }
        assert_eq!(shard.iter().count(), model.len());
    }

    #[test]
    fn memory_is_given_back() {
        let owner = Owner::new(NodeId::new(1).unwrap(), Incarnation(1), true);
        let mut shard = Shard::default();
        let names: Vec<_> = (0..1000).map(|i| Name::new(&format!("n{i}")).unwrap()).collect();
        for (i, name) in names.iter().enumerate() {
            shard.put(i as u64, name, claim(&owner, 1));
        }
        assert!(shard.slots.len() >= 1024);
        for (i, name) in names.iter().enumerate() {
            assert!(shard.remove(i as u64, name.as_str(), &owner).is_some());
        }
        assert_eq!(shard.slots.len(), CAPACITY_MIN);
    }
}

//! A claim: one owner's entry for one name; and which of several claims wins.

use crate::{Entry, Policy};
use hew_wire::{Incarnation, NodeId, Pid};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One incarnation of one node, as far as the table is concerned.
///
/// All claims of the incarnation share it, so that hiding and showing them is one store.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) node: NodeId,
    pub(crate) incarnation: Incarnation,
    /// Written by the machine only, with Release in `show` and `hide`; read by any thread with Acquire in
    /// `is_visible`. A lookup that starts after `hide` returned finds no claim of this owner.
    visible: AtomicBool,
}

impl Owner {
    pub(crate) fn new(node: NodeId, incarnation: Incarnation, visible: bool) -> Arc<Owner> {
        Arc::new(Owner { node, incarnation, visible: AtomicBool::new(visible) })
    }

    pub(crate) fn show(&self) {
        self.visible.store(true, Ordering::Release);
    }

    pub(crate) fn hide(&self) {
        self.visible.store(false, Ordering::Release);
    }

    pub(crate) fn is_visible(&self) -> bool {
        self.visible.load(Ordering::Acquire)
    }

    fn is(&self, other: &Owner) -> bool {
        self.node == other.node && self.incarnation == other.incarnation
    }
}

/// One owner's entry for one name.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) owner: Arc<Owner>,
    pub(crate) pid: Pid,
    pub(crate) stamp: u64,
    pub(crate) seq: u64,
    pub(crate) priority: u8,
}

impl Claim {
    pub(crate) fn entry(&self) -> Entry {
        Entry { pid: self.pid, incarnation: self.owner.incarnation, stamp: self.stamp }
    }

    /// Whether this wins against `other`: a total order on what the entries hold, so that every node agrees.
    fn beats(&self, other: &Claim, policy: Policy) -> bool {
        let by_age = match policy {
            Policy::KeepNewest => self.stamp.cmp(&other.stamp),
            Policy::KeepOldest => other.stamp.cmp(&self.stamp),
        };
        // A PID orders by node id, then serial. The incarnation only tells apart what no node shows at once.
        self.priority
            .cmp(&other.priority)
            .then(by_age)
            .then(self.pid.cmp(&other.pid))
            .then(self.owner.incarnation.cmp(&other.owner.incarnation))
            .is_gt()
    }
}

/// All claims for one name. Nearly always there is one.
#[derive(Debug)]
pub(crate) enum Claims {
    One(Claim),
    /// At least two, each of another owner.
    Many(Vec<Claim>),
}

impl Claims {
    pub(crate) fn as_slice(&self) -> &[Claim] {
        match self {
            Claims::One(claim) => std::slice::from_ref(claim),
            Claims::Many(claims) => claims,
        }
    }

    /// The visible claim that wins.
    pub(crate) fn winner(&self, policy: Policy) -> Option<&Claim> {
        let visible = self.as_slice().iter().filter(|claim| claim.owner.is_visible());
        visible.reduce(|best, claim| if claim.beats(best, policy) { claim } else { best })
    }

    pub(crate) fn of(&self, owner: &Owner) -> Option<&Claim> {
        self.as_slice().iter().find(|claim| claim.owner.is(owner))
    }

    /// Adds `claim`; it takes the place of an earlier one of the same owner.
    pub(crate) fn put(&mut self, claim: Claim) {
        match self {
            Claims::One(one) if one.owner.is(&claim.owner) => *one = claim,
            Claims::One(one) => *self = Claims::Many(vec![one.clone(), claim]),
            Claims::Many(claims) => match claims.iter_mut().find(|held| held.owner.is(&claim.owner)) {
                Some(held) => *held = claim,
                None => claims.push(claim),
            },
        }
    }

    /// Takes the claim of `owner` out. Afterwards the name is without claims if the second value is true.
    pub(crate) fn remove(&mut self, owner: &Owner) -> (Option<Claim>, bool) {
        match self {
            Claims::One(one) if one.owner.is(owner) => (Some(one.clone()), true),
            Claims::One(_) => (None, false),
            Claims::Many(claims) => {
                let at = claims.iter().position(|claim| claim.owner.is(owner));
                let removed = at.map(|at| claims.swap_remove(at));
                if let [last] = &claims[..] {
                    *self = Claims::One(last.clone());
                }
                (removed, false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(node: u16, serial: u64, stamp: u64, priority: u8) -> Claim {
        let node = NodeId::new(node).unwrap();
        let owner = Owner::new(node, Incarnation(1), true);
        Claim { owner, pid: Pid::new(node, serial), stamp, seq: 1, priority }
    }

    #[test]
    fn claims_have_a_total_order() {
        // Each row wins against all rows below it.
        for (policy, order) in [
            (
                Policy::KeepNewest,
                [
                    claim(1, 1, 5, 1),
                    claim(1, 1, 9, 0),
                    claim(3, 1, 8, 0),
                    claim(2, 9, 8, 0),
                    claim(2, 8, 8, 0),
                ],
            ),
            (
                Policy::KeepOldest,
                [
                    claim(1, 1, 9, 1),
                    claim(1, 1, 5, 0),
                    claim(3, 1, 8, 0),
                    claim(2, 9, 8, 0),
                    claim(2, 8, 8, 0),
                ],
            ),
        ] {
            for (i, a) in order.iter().enumerate() {
                for (j, b) in order.iter().enumerate() {
                    assert_eq!(a.beats(b, policy), i < j, "{policy:?}: {a:?} against {b:?}");
                }
            }
        }
    }

    #[test]
    fn hidden_claims_do_not_win() {
        let (old, new) = (claim(1, 1, 5, 0), claim(2, 1, 6, 0));
        let mut claims = Claims::One(old.clone());
        claims.put(new.clone());
        assert_eq!(claims.winner(Policy::KeepNewest).unwrap().pid, new.pid);
        new.owner.hide();
        assert_eq!(claims.winner(Policy::KeepNewest).unwrap().pid, old.pid);
        old.owner.hide();
        assert!(claims.winner(Policy::KeepNewest).is_none());
        assert!(!claims.remove(&new.owner).1);
        assert!(claims.remove(&new.owner).0.is_none());
        assert!(claims.remove(&old.owner).1);
    }
}

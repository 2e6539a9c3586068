//! Which member takes the next message.

use crate::pool::members::{Member, Snapshot};
use crate::pool::ring::mix;
use crate::runtime::Runtime;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Largest pool of which [`PoolStrategy::LeastLoaded`] looks at every mailbox.
pub const LEAST_LOADED_SCAN_MAX: usize = 16;

/// How a [`Pool`](crate::Pool) chooses the member for a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PoolStrategy {
    /// One after the other, in the order in which they were added. A member that comes or goes shifts the turn.
    #[default]
    RoundRobin,
    /// Any, all equally likely, drawn from a seed that the pool takes from the runtime when it is made.
    Random,
    /// The shortest mailbox; members with equally short ones take turns.
    ///
    /// A member on another node counts as the mean of those here, rounded down, because its mailbox cannot be seen. In
    /// pools of more than [`LEAST_LOADED_SCAN_MAX`] members two are drawn at random and the shorter mailbox of those is
    /// taken, which is nearly as even and costs the same however many there are (Mitzenmacher, "The Power of Two
    /// Choices in Randomized Load Balancing", 2001).
    LeastLoaded,
    /// The key of the message decides: the same member for the same key as long as it is there. A member that comes or
    /// goes moves about one of n keys. Messages without a key take turns.
    ///
    /// Points are made from the members' PIDs when they are added, so that two processes that add the same members
    /// agree; members added before this process started a node have other points than elsewhere.
    ConsistentHash,
}

/// The state behind a strategy. Every step is one atomic operation on its own, so `Relaxed` is enough.
pub(super) struct Chooser {
    strategy: PoolStrategy,
    turn: AtomicUsize,
    /// State of SplitMix64: each draw adds the same odd number.
    dice: AtomicU64,
}

impl Chooser {
    pub(super) fn new(strategy: PoolStrategy, runtime: &Runtime) -> Chooser {
        let seed = match strategy {
            PoolStrategy::Random | PoolStrategy::LeastLoaded => runtime.seed(),
            PoolStrategy::RoundRobin | PoolStrategy::ConsistentHash => 0,
        };
        Chooser { strategy, turn: AtomicUsize::new(0), dice: AtomicU64::new(seed) }
    }

    pub(super) fn strategy(&self) -> PoolStrategy {
        self.strategy
    }

    /// Whether this key, if there is one, names the only member that may take the message.
    pub(super) fn is_bound(&self, key: Option<u64>) -> bool {
        self.strategy == PoolStrategy::ConsistentHash && key.is_some()
    }

    /// A place in the list; `None` if it is empty.
    pub(super) fn choose<M: Send + 'static>(
        &self,
        snapshot: &Snapshot<M>,
        key: Option<u64>,
    ) -> Option<usize> {
        let members = &snapshot.members;
        if members.is_empty() {
            return None;
        }
        match (self.strategy, key) {
            (PoolStrategy::ConsistentHash, Some(key)) => snapshot.ring.owner(key),
            (PoolStrategy::RoundRobin, _) | (PoolStrategy::ConsistentHash, None) => {
                Some(self.turn(members.len()))
            }
            (PoolStrategy::Random, _) => Some(self.draw(members.len())),
            (PoolStrategy::LeastLoaded, _) if members.len() <= LEAST_LOADED_SCAN_MAX => {
                Some(self.least_of_all(members))
            }
            (PoolStrategy::LeastLoaded, _) => Some(self.less_of_two(members)),
        }
    }

    fn turn(&self, count: usize) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed) % count
    }

    /// A number below `count`, which is not 0.
    fn draw(&self, count: usize) -> usize {
        let state = self.dice.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        ((u128::from(mix(state)) * count as u128) >> 64) as usize
    }

    fn least_of_all<M: Send + 'static>(&self, members: &[Member<M>]) -> usize {
        let mut known = [None; LEAST_LOADED_SCAN_MAX];
        for (load, member) in known.iter_mut().zip(members) {
            *load = load_of(member);
        }
        let known = &known[..members.len()];
        let (sum, count) = known.iter().flatten().fold((0, 0), |(sum, count), load| (sum + load, count + 1));
        let mean = sum.checked_div(count).unwrap_or(0);
        let load = |place: &usize| known[*place].unwrap_or(mean);
        let least = (0..known.len()).map(|place| load(&place)).min().unwrap_or(0);
        let mut equal = (0..known.len()).filter(|place| load(place) == least);
        let turn = self.turn(equal.clone().count().max(1));
        equal.nth(turn).unwrap_or(0)
    }

    /// For at least two members.
    fn less_of_two<M: Send + 'static>(&self, members: &[Member<M>]) -> usize {
        let first = self.draw(members.len());
        let second = (first + 1 + self.draw(members.len() - 1)) % members.len();
        match (load_of(&members[first]), load_of(&members[second])) {
            (Some(one), Some(other)) if other < one => second,
            _ => first,
        }
    }
}

/// Messages that wait; `None` if that cannot be seen from here.
fn load_of<M: Send + 'static>(member: &Member<M>) -> Option<usize> {
    member.actor.is_local().then(|| member.actor.mailbox_len())
}

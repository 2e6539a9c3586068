//! The table that lookups read, on any thread.

mod claim;
mod shard;

pub(crate) use claim::{Claim, Owner};

use crate::Policy;
use hew_wire::{Incarnation, Name, Pid};
use shard::Shard;
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Number of shards. A writer holds one of them for the time of one change, so that a reader waits for it rarely.
const SHARDS: usize = 256;

/// The names of the cluster, for lookups on any thread. Cheap to clone; every clone sees the same names.
///
/// Only its registry writes to it. A lookup takes one uncontended read lock, compares one text and never touches the
/// network.
///
/// # Examples
/// ```
/// use hew_registry::{LocalOnly, Registry};
/// use hew_wire::{Name, NodeId, Pid};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = NodeId::new(1)?;
/// let mut registry = LocalOnly::new(node);
/// let table = registry.table();
/// # #[allow(clippy::disallowed_methods)]
/// let now = std::time::Instant::now();
/// registry.register(now, 0, Name::new("counter")?, Pid::new(node, 2000))?;
/// assert_eq!(table.lookup("counter").map(|entry| entry.pid), Some(Pid::new(node, 2000)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct NameTable(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Keys the hash, so that who chooses names cannot make them collide.
    seed: u64,
    policy: Policy,
    shards: Vec<RwLock<Shard>>,
}

/// Who has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The actor.
    pub pid: Pid,
    /// The incarnation of its node.
    pub incarnation: Incarnation,
    /// When it was registered: hybrid logical clock, milliseconds since 1970.
    pub stamp: u64,
}

/// What a change of the claims for one name did to lookups.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) before: Option<Entry>,
    pub(crate) after: Option<Entry>,
    /// Whether more than one owner claims the name afterwards.
    pub(crate) contested: bool,
}

impl NameTable {
    pub(crate) fn new(seed: u64, policy: Policy) -> NameTable {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        NameTable(Arc::new(Inner { seed, policy, shards }))
    }

    /// Who has `name`, or `None`.
    pub fn lookup(&self, name: &str) -> Option<Entry> {
        let hash = self.hash(name);
        let shard = self.read(hash);
        shard.claims(hash, name)?.winner(self.0.policy).map(Claim::entry)
    }

    /// All names and who has them, sorted by name. Costs time in proportion to all names; shards are read one after
    /// another, so changes meanwhile may or may not be in it.
    pub fn names(&self) -> Vec<(Name, Entry)> {
        let mut names = Vec::new();
        for shard in &self.0.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            let visible = shard.iter().filter_map(|(name, claims)| {
                claims.winner(self.0.policy).map(|claim| (name.clone(), claim.entry()))
            });
            names.extend(visible);
        }
        names.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        names
    }

    /// The number of names that lookups find. Costs time in proportion to all names.
    pub fn len(&self) -> usize {
        let visible = |shard: &RwLock<Shard>| {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            shard.iter().filter(|(_, claims)| claims.winner(self.0.policy).is_some()).count()
        };
        self.0.shards.iter().map(visible).sum()
    }

    /// Whether lookups find no name at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a claim; it takes the place of an earlier one of the same owner for the same name.
    pub(crate) fn put(&self, name: &Name, claim: Claim) -> Change {
        let hash = self.hash(name.as_str());
        let mut shard = self.write(hash);
        let before = shard.claims(hash, name.as_str()).and_then(|claims| claims.winner(self.0.policy));
        let before = before.map(Claim::entry);
        shard.put(hash, name, claim);
        self.change(&shard, hash, name, before)
    }

    /// Takes out the claim of `owner`, if there is one.
    pub(crate) fn remove(&self, name: &Name, owner: &Owner) -> Option<(Claim, Change)> {
        let hash = self.hash(name.as_str());
        let mut shard = self.write(hash);
        let before = shard.claims(hash, name.as_str()).and_then(|claims| claims.winner(self.0.policy));
        let before = before.map(Claim::entry);
        let claim = shard.remove(hash, name.as_str(), owner)?;
        Some((claim, self.change(&shard, hash, name, before)))
    }

    /// The claim of `owner` for `name`.
    pub(crate) fn claim(&self, name: &Name, owner: &Owner) -> Option<Claim> {
        let hash = self.hash(name.as_str());
        self.read(hash).claims(hash, name.as_str())?.of(owner).cloned()
    }

    fn change(&self, shard: &Shard, hash: u64, name: &Name, before: Option<Entry>) -> Change {
        let claims = shard.claims(hash, name.as_str());
        let after = claims.and_then(|claims| claims.winner(self.0.policy)).map(Claim::entry);
        let contested = claims.is_some_and(|claims| claims.as_slice().len() > 1);
        Change { before, after, contested }
    }

    fn hash(&self, name: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0.seed);
        hasher.write(name.as_bytes());
        hasher.finish()
    }

    // The shard is chosen by the upper bits, the slot in it by the lower ones. Shards stay whole if a thread panics
    // while it reads, and the machine does not panic while it writes; so poison says nothing.
    fn read(&self, hash: u64) -> RwLockReadGuard<'_, Shard> {
        self.0.shards[shard_of(hash)].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, hash: u64) -> RwLockWriteGuard<'_, Shard> {
        self.0.shards[shard_of(hash)].write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shard_of(hash: u64) -> usize {
    (hash >> 56) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use hew_wire::NodeId;

    fn put(table: &NameTable, owner: &Arc<Owner>, name: &str, stamp: u64) -> Change {
        let pid = Pid::new(owner.node, stamp);
        let claim = Claim { owner: owner.clone(), pid, stamp, seq: stamp, priority: 0 };
        table.put(&Name::new(name).unwrap(), claim)
    }

    #[test]
    fn one_flag_hides_all_names_of_an_owner() {
        let table = NameTable::new(1, Policy::KeepNewest);
        let a = Owner::new(NodeId::new(1).unwrap(), Incarnation(1), true);
        let b = Owner::new(NodeId::new(2).unwrap(), Incarnation(1), true);
        for i in 0..1000 {
            put(&table, &a, &format!("a{i}"), 10);
        }
        let change = put(&table, &b, "a7", 20);
        assert!(change.contested);
        assert_eq!(change.before.unwrap().pid.node(), a.node);
        assert_eq!(change.after.unwrap().pid.node(), b.node);
        assert_eq!(table.len(), 1000);
        b.hide();
        assert_eq!(table.lookup("a7").unwrap().pid.node(), a.node);
        a.hide();
        assert!(table.is_empty());
        assert_eq!(table.lookup("a3"), None);
        a.show();
        assert_eq!(table.len(), 1000);
    }

    #[test]
    fn names_are_sorted_whatever_the_seed() {
        let owner = Owner::new(NodeId::new(1).unwrap(), Incarnation(1), true);
        let lists = [1u64, 2].map(|seed| {
            let table = NameTable::new(seed, Policy::KeepNewest);
            for i in 0..100 {
                put(&table, &owner, &format!("n{i:02}"), i);
            }
            table.names()
        });
        assert_eq!(lists[0], lists[1]);
        assert!(lists[0].is_sorted_by(|(a, _), (b, _)| a < b));
    }

    #[test]
    fn lookups_on_other_threads_see_whole_entries() {
        let table = NameTable::new(1, Policy::KeepNewest);
        let owner = Owner::new(NodeId::new(1).unwrap(), Incarnation(1), true);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut last = 0;
                while last < 10_000 {
                    if let Some(entry) = table.lookup("x") {
                        assert_eq!(entry.pid.serial(), entry.stamp);
                        assert!(entry.stamp >= last);
                        last = entry.stamp;
                    }
                }
            });
            for stamp in 1..=10_000 {
                put(&table, &owner, "x", stamp);
            }
            reader.join().unwrap();
        });
    }
}

//! Who is in a pool: a table that knows when members end, and the list that senders read.

use crate::lock::Lock;
use crate::monitor::MonitorRef;
use crate::pool::error::PoolError;
use crate::pool::ring::Ring;
use crate::pool::watch::{Hearer, ShuttingDown, Watch, Watches, key};
use crate::reference::ActorRef;
use crate::system::System;
use hew_wire::{ExitReason, Pid};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most members of a [`Pool`](crate::Pool).
pub const POOL_MEMBERS_MAX: usize = 1024;

/// The members of one pool.
///
/// The table says who is in; whoever takes an entry out is the one who removes that member. The list follows from it
/// under the lock of the table, and is replaced, never changed: senders, who do not look at the table, hold a lock as
/// long as it takes to clone an [`Arc`], also while a long list is being copied.
pub(super) struct Members<M: Send + 'static> {
    watches: Watches,
    /// Whether the list has a ring.
    hashed: bool,
    table: Lock<BTreeMap<Pid, Entry>>,
    /// Replaced only by holders of the lock of the table.
    list: Lock<Arc<Snapshot<M>>>,
}

enum Entry {
    /// Between being noted and being watched; not in the list yet.
    Joining,
    /// Ended while joining.
    Ended(ExitReason),
    Member(Watch),
}

/// The members at one moment, in the order in which they were added.
pub(super) struct Snapshot<M> {
    pub(super) members: Box<[Member<M>]>,
    pub(super) ring: Ring,
}

pub(super) struct Member<M> {
    key: Pid,
    pub(super) actor: ActorRef<M>,
}

impl<M: Send + 'static> Members<M> {
    pub(super) fn new(system: &System, hashed: bool) -> Members<M> {
        let empty = Arc::new(Snapshot { members: Box::default(), ring: Ring::default() });
        Members {
            watches: Watches::new(system),
            hashed,
            table: Lock::new(BTreeMap::new()),
            list: Lock::new(empty),
        }
    }

    pub(super) fn system(&self) -> &System {
        self.watches.system()
    }

    /// The list as it is now.
    pub(super) fn snapshot(&self) -> Arc<Snapshot<M>> {
        self.list.lock().clone()
    }

    pub(super) fn add(self: &Arc<Self>, actor: ActorRef<M>) -> Result<(), PoolError> {
        // Each system has counters of its own.
        if !Arc::ptr_eq(actor.system().counters(), self.system().counters()) {
            return Err(PoolError::OtherSystem);
        }
        let key = key(self.system(), actor.pid());
        {
            let mut table = self.table.lock();
            if table.contains_key(&key) {
                return Err(PoolError::AlreadyMember);
            }
            if table.len() >= POOL_MEMBERS_MAX {
                return Err(PoolError::Full);
            }
            table.insert(key, Entry::Joining);
        }
        // May tell of the end before it returns, therefore not under the lock.
        let watch = self.watches.watch(key, self);
        let mut table = self.table.lock();
        let entry = table.remove(&key);
        let watch = watch.map_err(|ShuttingDown| PoolError::ShuttingDown)?;
        if let Some(Entry::Ended(reason)) = entry {
            drop(table);
            // Not fired yet if a monitor of an earlier membership said so.
            self.watches.unwatch(watch);
            return Err(PoolError::Ended(reason));
        }
        table.insert(key, Entry::Member(watch));
        let list = self.snapshot().with(Member { key, actor }, self.hashed);
        let old = std::mem::replace(&mut *self.list.lock(), list);
        drop(table);
        drop(old);
        Ok(())
    }

    /// Takes a member out; whether it was one.
    pub(super) fn remove(&self, pid: Pid) -> bool {
        let key = key(self.system(), pid);
        match self.take(key, |_| true) {
            Some(watch) => {
                self.watches.unwatch(watch);
                true
            }
            None => false,
        }
    }

    /// Takes a member out that takes no messages any more, though its end may not have been told yet.
    pub(super) fn expel(&self, member: &Member<M>) {
        if let Some(watch) = self.take(member.key, |_| true) {
            self.watches.unwatch(watch);
        }
    }

    /// The one step that removes a member.
    fn take(&self, key: Pid, wanted: impl FnOnce(Watch) -> bool) -> Option<Watch> {
        let mut table = self.table.lock();
        let Some(Entry::Member(watch)) = table.get(&key) else { return None };
        let watch = *watch;
        if !wanted(watch) {
            return None;
        }
        table.remove(&key);
        let list = self.snapshot().without(key);
        let old = std::mem::replace(&mut *self.list.lock(), list);
        drop(table);
        // Its references may be the last ones, and messages are dropped with an actor.
        drop(old);
        Some(watch)
    }
}

impl<M: Send + 'static> Hearer for Members<M> {
    fn ended(&self, key: Pid, monitor: Option<MonitorRef>, reason: ExitReason) {
        {
            let mut table = self.table.lock();
            if let Some(entry @ Entry::Joining) = table.get_mut(&key) {
                *entry = Entry::Ended(reason);
                return;
            }
        }
        // Not for a monitor of an earlier membership, whose signal was on its way when that ended.
        self.take(key, |watch| monitor.is_none_or(|monitor| watch == Watch::Elsewhere(monitor)));
    }
}

impl<M: Send + 'static> Drop for Members<M> {
    fn drop(&mut self) {
        let entries = std::mem::take(&mut *self.table.lock());
        for entry in entries.into_values() {
            if let Entry::Member(watch) = entry {
                self.watches.unwatch(watch);
            }
        }
    }
}

impl<M: Send + 'static> Snapshot<M> {
    fn with(&self, member: Member<M>, hashed: bool) -> Arc<Snapshot<M>> {
        let place = self.members.len() as u32;
        let ring = if hashed { self.ring.with(member.actor.pid().raw(), place) } else { Ring::default() };
        Arc::new(Snapshot { members: self.members.iter().cloned().chain([member]).collect(), ring })
    }

    fn without(&self, key: Pid) -> Arc<Snapshot<M>> {
        // A place that nobody has, if it is not in the list, which then stays as it is.
        let place = self.members.iter().position(|member| member.key == key).unwrap_or(self.members.len());
        let left = self.members.iter().filter(|member| member.key != key);
        Arc::new(Snapshot { members: left.cloned().collect(), ring: self.ring.without(place as u32) })
    }
}

impl<M> Clone for Member<M> {
    fn clone(&self) -> Member<M> {
        Member { key: self.key, actor: self.actor.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Actor, Context, Outcome, Simulation, SystemConfig};

    struct Nobody;

    impl Actor for Nobody {
        type Message = ();
        async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
            Outcome::Continue
        }
    }

    fn monitors(members: &Members<()>) -> Vec<MonitorRef> {
        let table = members.table.lock();
        let monitors = table.values().map(|entry| match entry {
            Entry::Member(Watch::Here(monitor)) => *monitor,
            Entry::Member(Watch::Elsewhere(_)) | Entry::Joining | Entry::Ended(_) => {
                panic!("not a member here")
            }
        });
        monitors.collect()
    }

    #[test]
    fn a_pool_takes_its_watches_back() {
        let simulation = Simulation::new(1);
        let system = System::new(simulation.runtime(), SystemConfig::default());
        let members = Arc::new(Members::new(&system, true));
        let actors = [(); 3].map(|()| system.spawn(Nobody));
        actors.iter().for_each(|actor| members.add(actor.clone()).unwrap());
        let [removed, expelled, left] = monitors(&members)[..] else { panic!("three were added") };
        assert!(members.remove(actors[0].pid()) && !members.remove(actors[0].pid()));
        assert!(!system.unwatch(removed), "taken back by `remove`");
        let snapshot = members.snapshot();
        members.expel(&snapshot.members[0]);
        members.expel(&snapshot.members[0]);
        assert!(!system.unwatch(expelled), "taken back by `expel`");
        assert_eq!(monitors(&members), [left]);
        drop(members);
        assert!(!system.unwatch(left), "taken back with the last handle");
    }

    #[test]
    fn an_end_is_told_to_the_membership_that_it_belongs_to() {
        let simulation = Simulation::new(1);
        let system = System::new(simulation.runtime(), SystemConfig::default());
        let members = Arc::new(Members::new(&system, false));
        let actor = system.spawn(Nobody);
        members.add(actor.clone()).unwrap();
        let key = key(&system, actor.pid());
        members.ended(key, Some(MonitorRef::from_parts(999, key)), ExitReason::Killed);
        assert_eq!(members.snapshot().members.len(), 1, "a monitor of an earlier membership");
        members.ended(key, None, ExitReason::Killed);
        members.ended(key, None, ExitReason::Killed);
        assert_eq!(members.snapshot().members.len(), 0);
        // One that ends while it joins is not a member, and nobody is told so twice.
        members.table.lock().insert(key, Entry::Joining);
        members.ended(key, None, ExitReason::Killed);
        assert!(matches!(members.table.lock()[&key], Entry::Ended(ExitReason::Killed)));
        assert!(!members.remove(actor.pid()));
    }
}

//! Monitors between nodes: who waits here for the end of an actor elsewhere, and who elsewhere waits for one of ours.

use hew_actor::MonitorRef;
use hew_wire::{ExitReason, NodeId, Pid};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Monitors of one peer on actors of this node; beyond that its monitors are answered with `NoProcess` and counted.
pub(crate) const INBOUND_PER_PEER_MAX: usize = 1 << 20;

/// Called exactly once, when the actor has ended or its node is gone. Must not wait.
pub(crate) type OnDown = Box<dyn FnOnce(Pid, ExitReason) + Send>;

struct Outbound {
    target: Pid,
    /// The local actor's monitor that this is for.
    watcher: Option<u64>,
    on_down: OnDown,
}

/// Whether a monitor of a peer got a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reserved {
    /// It has one.
    New,
    /// There is no room; nothing changed.
    Full,
    /// The peer has a monitor with this reference, which goes on; nothing changed.
    InUse,
}

#[derive(Default)]
struct Tables {
    next: u64,
    outbound: BTreeMap<u64, Outbound>,
    /// Local actor's monitor → outbound reference.
    by_watcher: BTreeMap<u64, u64>,
    /// Peer → its reference → our watch; `None` until the watch is made.
    inbound: BTreeMap<NodeId, BTreeMap<u64, Option<MonitorRef>>>,
}

impl Tables {
    fn take_outbound(&mut self, reference: u64) -> Option<Outbound> {
        let outbound = self.outbound.remove(&reference)?;
        if let Some(watcher) = outbound.watcher {
            self.by_watcher.remove(&watcher);
        }
        Some(outbound)
    }
}

/// See the module's documentation. Every entry fires by being taken out, so it fires once.
#[derive(Default)]
pub(crate) struct Monitors {
    tables: Mutex<Tables>,
}

impl Monitors {
    /// Waits for `target` on another node; the returned reference goes into the monitor message.
    pub(crate) fn add_outbound(&self, watcher: Option<u64>, target: Pid, on_down: OnDown) -> u64 {
        let mut tables = self.tables();
        tables.next += 1;
        let reference = tables.next;
        if let Some(watcher) = watcher {
            tables.by_watcher.insert(watcher, reference);
        }
        tables.outbound.insert(reference, Outbound { target, watcher, on_down });
        reference
    }

    /// The reference for a local actor's monitor that has not fired.
    pub(crate) fn outbound_of(&self, watcher: u64) -> Option<u64> {
        self.tables().by_watcher.get(&watcher).copied()
    }

    /// Forgets a monitor. Returns whether it had not fired; then it never will.
    pub(crate) fn remove_outbound(&self, reference: u64) -> bool {
        let outbound = self.tables().take_outbound(reference);
        outbound.is_some()
    }

    /// `from` says that the actor of a monitor has ended. Returns whether there was such a monitor on that node.
    pub(crate) fn fire(&self, from: NodeId, reference: u64, reason: ExitReason) -> bool {
        let mut tables = self.tables();
        // Only the node of the actor may say so.
        if tables.outbound.get(&reference).is_none_or(|outbound| outbound.target.node() != from) {
            return false;
        }
        let Some(Outbound { target, on_down, .. }) = tables.take_outbound(reference) else { return false };
        drop(tables);
        on_down(target, reason);
        true
    }

    /// The session with `node` has ended: every monitor on its actors fires. Returns our watches for its monitors.
    pub(crate) fn end_node(&self, node: NodeId) -> Vec<MonitorRef> {
        let mut tables = self.tables();
        let references: Vec<u64> = tables
            .outbound
            .iter()
            .filter(|(_, outbound)| outbound.target.node() == node)
            .map(|(reference, _)| *reference)
            .collect();
        let fired: Vec<Outbound> =
            references.into_iter().filter_map(|reference| tables.take_outbound(reference)).collect();
        let inbound = tables.inbound.remove(&node).unwrap_or_default();
        drop(tables);
        for Outbound { target, on_down, .. } in fired {
            on_down(target, ExitReason::NodeDown);
        }
        inbound.into_values().flatten().collect()
    }

    /// `peer` wants to watch an actor of this node.
    pub(crate) fn reserve_inbound(&self, peer: NodeId, reference: u64) -> Reserved {
        let mut tables = self.tables();
        let inbound = tables.inbound.entry(peer).or_default();
        if inbound.contains_key(&reference) {
            return Reserved::InUse;
        }
        if inbound.len() >= INBOUND_PER_PEER_MAX {
            return Reserved::Full;
        }
        inbound.insert(reference, None);
        Reserved::New
    }

    /// The watch for a reserved monitor, unless it has fired already.
    pub(crate) fn fill_inbound(&self, peer: NodeId, reference: u64, watch: MonitorRef) {
        if let Some(slot) =
            self.tables().inbound.get_mut(&peer).and_then(|inbound| inbound.get_mut(&reference))
        {
            *slot = Some(watch);
        }
    }

    /// The actor has ended. Returns whether `peer` still waits to hear of it.
    pub(crate) fn end_inbound(&self, peer: NodeId, reference: u64) -> bool {
        self.tables().inbound.get_mut(&peer).is_some_and(|inbound| inbound.remove(&reference).is_some())
    }

    /// `peer` does not want to hear of it any more.
    pub(crate) fn remove_inbound(&self, peer: NodeId, reference: u64) -> Option<MonitorRef> {
        self.tables().inbound.get_mut(&peer)?.remove(&reference)?
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Only map operations happen under this lock; what is called is called after it.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn node(id: u16) -> NodeId {
        NodeId::from_raw(id)
    }

    fn counting() -> (OnDown, Arc<AtomicU32>) {
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let on_down = Box::new(move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        (on_down, count)
    }

    #[test]
    fn a_monitor_fires_once_and_only_by_its_own_node() {
        let monitors = Monitors::default();
        let (on_down, count) = counting();
        let reference = monitors.add_outbound(Some(7), Pid::new(node(2), 5), on_down);
        assert_eq!(monitors.outbound_of(7), Some(reference));
        assert!(!monitors.fire(node(3), reference, ExitReason::Normal), "node 3 does not own the actor");
        assert!(monitors.fire(node(2), reference, ExitReason::Normal));
        assert!(!monitors.fire(node(2), reference, ExitReason::Normal));
        monitors.end_node(node(2));
        assert_eq!(count.load(Ordering::SeqCst), 1);
        assert_eq!(monitors.outbound_of(7), None);
    }

    #[test]
    fn a_removed_monitor_never_fires() {
        let monitors = Monitors::default();
        let (on_down, count) = counting();
        let reference = monitors.add_outbound(None, Pid::new(node(2), 5), on_down);
        assert!(monitors.remove_outbound(reference));
        assert!(!monitors.remove_outbound(reference));
        monitors.end_node(node(2));
        assert_eq!(count.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn the_end_of_a_node_fires_its_monitors_only() {
        let monitors = Monitors::default();
        let (on_two, two) = counting();
        let (on_three, three) = counting();
        monitors.add_outbound(None, Pid::new(node(2), 5), on_two);
        monitors.add_outbound(None, Pid::new(node(3), 5), on_three);
        let watch = MonitorRef::from_parts(1, Pid::new(node(1), 9));
        for peer in [2, 3] {
            assert_eq!(monitors.reserve_inbound(node(peer), 4), Reserved::New);
            assert_eq!(monitors.reserve_inbound(node(peer), 4), Reserved::InUse);
            monitors.fill_inbound(node(peer), 4, watch);
        }
        assert_eq!(monitors.end_node(node(2)), [watch]);
        assert_eq!((two.load(Ordering::SeqCst), three.load(Ordering::SeqCst)), (1, 0));
        assert_eq!(monitors.remove_inbound(node(2), 4), None);
        assert_eq!(monitors.remove_inbound(node(3), 4), Some(watch));
    }
}

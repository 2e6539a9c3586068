//! Monitors, links and exit signals between actors of different nodes.

use crate::link::peer::{Peer, PushError};
use crate::shared::Shared;
use hew_actor::{MonitorRef, Outside};
use hew_security::Permission;
use hew_wire::control::Control;
use hew_wire::{ExitReason, NodeId, Pid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Links between actors of this node and those of one other; beyond that a link is answered with `NoProcess`.
pub(crate) const LINKS_PER_NODE_MAX: usize = 1 << 20;

/// Links between local actors and actors of other nodes, by node: what has to be told when a node is gone.
#[derive(Default)]
pub(crate) struct RemoteLinks {
    /// Node → (local actor, remote actor).
    by_node: Mutex<BTreeMap<NodeId, BTreeSet<(Pid, Pid)>>>,
}

impl RemoteLinks {
    /// Returns whether there was room.
    pub(crate) fn add(&self, local: Pid, remote: Pid) -> bool {
        let mut by_node = self.by_node();
        let links = by_node.entry(remote.node()).or_default();
        if links.len() >= LINKS_PER_NODE_MAX {
            return false;
        }
        links.insert((local, remote));
        true
    }

    pub(crate) fn remove(&self, local: Pid, remote: Pid) -> bool {
        self.by_node().get_mut(&remote.node()).is_some_and(|links| links.remove(&(local, remote)))
    }

    pub(crate) fn end_node(&self, node: NodeId) -> BTreeSet<(Pid, Pid)> {
        self.by_node().remove(&node).unwrap_or_default()
    }

    fn by_node(&self) -> MutexGuard<'_, BTreeMap<NodeId, BTreeSet<(Pid, Pid)>>> {
        // Only map operations happen under this lock.
        self.by_node.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the actor system calls for the other nodes. Holds the node weakly: the node holds the system.
pub(crate) struct ToOthers(pub(crate) Weak<Shared>);

impl ToOthers {
    fn tell(&self, node: NodeId, control: &Control) -> Result<Arc<Shared>, PushError> {
        let shared = self.0.upgrade().ok_or(PushError::Gone)?;
        shared.push_control(&shared.peer(node), control)?;
        Ok(shared)
    }
}

impl Outside for ToOthers {
    fn monitor(&self, monitor: MonitorRef, watcher: Pid, target: Pid) {
        let Some(shared) = self.0.upgrade() else { return };
        let system = shared.system.clone();
        shared.monitor_remote(
            Some(monitor.id()),
            target,
            Box::new(move |target, reason| {
                system.notify_down(watcher, monitor, target, reason);
            }),
        );
    }

    fn demonitor(&self, monitor: MonitorRef, _watcher: Pid, target: Pid) {
        if let Some(shared) = self.0.upgrade() {
            shared.demonitor_remote_actor(monitor.id(), target);
        }
    }

    fn link(&self, local: Pid, remote: Pid) {
        let Some(shared) = self.0.upgrade() else { return };
        if !shared.links.add(local, remote) {
            shared.system.link_ended(local, remote, ExitReason::NoProcess);
            return;
        }
        let control = Control::Link { from: local, to: remote };
        if self.tell(remote.node(), &control).is_err() && shared.links.remove(local, remote) {
            shared.system.link_ended(local, remote, ExitReason::NodeDown);
        }
    }

    fn unlink(&self, local: Pid, remote: Pid) {
        let Some(shared) = self.0.upgrade() else { return };
        shared.links.remove(local, remote);
        // A node that is gone has no links any more.
        let _ = self.tell(remote.node(), &Control::Unlink { from: local, to: remote });
    }

    fn exit(&self, target: Pid, from: Pid, reason: ExitReason) {
        let Some(shared) = self.0.upgrade() else { return };
        shared.links.remove(from, target);
        let _ = self.tell(target.node(), &Control::Exit { from, to: target, reason });
    }
}

impl Shared {
    /// `peer` links its actor `from` to ours.
    pub(crate) fn receive_link(&self, peer: &Arc<Peer>, from: Pid, to: Pid) {
        if from.node() != peer.node || to.node() != self.id {
            self.control_error(peer, "foreign_link");
            return;
        }
        if !self.links.add(to, from) || !self.system.link_from_outside(to, from) {
            self.links.remove(to, from);
            self.send_control(peer, &Control::Exit { from: to, to: from, reason: ExitReason::NoProcess });
        }
    }

    /// `peer` removes the link of its actor `from` to ours.
    pub(crate) fn receive_unlink(&self, peer: &Arc<Peer>, from: Pid, to: Pid) {
        if from.node() != peer.node {
            self.control_error(peer, "foreign_link");
            return;
        }
        self.links.remove(to, from);
        self.system.unlink_from_outside(to, from);
    }

    /// The actor `from` of `peer`, linked to ours, has ended.
    pub(crate) fn receive_exit(&self, peer: &Arc<Peer>, from: Pid, to: Pid, reason: ExitReason) {
        if from.node() != peer.node {
            self.control_error(peer, "foreign_link");
            return;
        }
        // What a link brings was asked for by making it.
        if self.links.remove(to, from) || self.may(peer, Permission::ExitSignals, to) {
            self.system.link_ended(to, from, reason);
        }
    }
}

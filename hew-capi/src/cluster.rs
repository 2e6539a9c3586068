//! The cluster as one node sees it: counts, leaving, and a callback for what happens to members.

use crate::any_node::AnyNode;
use crate::error::{Failure, status, value, void};
use crate::handle::{Kind, Table, pointer};
use crate::landing::{self, Call};
use crate::node::{self, NodeEntry};
use crate::types::{HewCluster, HewMembershipCallback, HewNode};
use hew_cluster::DownReason;
use hew_node::{EventStream, NodeEvent};
use hew_wire::NodeId;
use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

/// A node is there, or answers again after it was suspected.
pub const HEW_MEMBER_JOINED: u8 = 1;
/// A node does not answer; it counts as there until it is dead.
pub const HEW_MEMBER_SUSPECT: u8 = 2;
/// A node is gone.
pub const HEW_MEMBER_DEAD: u8 = 3;
/// A node said goodbye.
pub const HEW_MEMBER_LEFT: u8 = 4;

static CLUSTERS: Table<Weak<NodeEntry>> = Table::new(Kind::Cluster, "cluster");

/// Frees the handle of a node's cluster.
pub(crate) fn forget(handle: usize) {
    // The node knows its only handle.
    let _ = CLUSTERS.remove(handle);
}

fn entry(cluster: *const HewCluster) -> Result<Arc<NodeEntry>, Failure> {
    let node = CLUSTERS.find(cluster.addr())?;
    node.upgrade()
        .ok_or_else(|| Failure::new(crate::error::HEW_ERR_STALE, "the node of this cluster was freed"))
}

/// Who hears of members of one node's cluster.
#[derive(Default)]
pub(crate) struct Listener {
    callback: Mutex<Option<Callback>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Clone, Copy)]
struct Callback {
    function: unsafe extern "C" fn(u16, u8, *mut c_void),
    /// The caller's pointer as a number: it is only handed back, from another thread.
    user: usize,
}

#[derive(Clone, Copy)]
struct Telling {
    callback: Callback,
    node: u16,
    event: u8,
}

impl Call for Telling {
    type Output = ();

    fn run(&self) {
        let user = std::ptr::with_exposed_provenance_mut(self.callback.user);
        // SAFETY: `HewMembershipCallback` in hew.h takes these arguments, on any thread, and `user` is what it was
        // registered with.
        unsafe { (self.callback.function)(self.node, self.event, user) }
    }
}

impl Listener {
    /// Begins to tell what happens in the node's cluster, if there is a callback.
    pub(crate) fn follow(self: &Arc<Self>, node: &Arc<dyn AnyNode>) {
        let mut thread = self.thread();
        if self.callback().is_none() || thread.is_some() {
            return;
        }
        // Subscribed before the members are read, so that none is missed.
        let events = node.events();
        let own = node.id();
        let there = node.members().into_iter().filter(|member| member.node != own && member.state == "alive");
        let there: Vec<NodeId> = there.map(|member| member.node).collect();
        let listener = Arc::clone(self);
        let name = format!("hew-events-{own}");
        *thread =
            std::thread::Builder::new().name(name).spawn(move || listener.tell_all(&there, events)).ok();
        if thread.is_none() {
            tracing::warn!("no thread for the membership callback");
        }
    }

    /// Waits until everything was told; the node has stopped.
    pub(crate) fn join(&self) {
        let thread = self.thread().take();
        if let Some(thread) = thread {
            // Panics of this library's code in it concern nobody any more.
            let _ = thread.join();
        }
    }

    pub(crate) fn is_current_thread(&self) -> bool {
        self.thread().as_ref().is_some_and(|thread| thread.thread().id() == std::thread::current().id())
    }

    fn tell_all(&self, there: &[NodeId], mut events: EventStream) {
        let mut told: BTreeMap<NodeId, u8> = BTreeMap::new();
        for node in there {
            self.tell(&mut told, *node, HEW_MEMBER_JOINED);
        }
        while let Some(event) = futures_lite::future::block_on(events.next()) {
            if let Some((node, event)) = member_event(&event) {
                self.tell(&mut told, node, event);
            }
        }
    }

    fn tell(&self, told: &mut BTreeMap<NodeId, u8>, node: NodeId, event: u8) {
        if told.insert(node, event) == Some(event) {
            return;
        }
        let callback = *self.callback();
        if let Some(callback) = callback {
            let telling = Telling { callback, node: node.raw(), event };
            if let Err(text) = landing::call(&telling) {
                tracing::warn!(text, "a membership callback panicked");
            }
        }
    }

    fn callback(&self) -> MutexGuard<'_, Option<Callback>> {
        // It is replaced in one step.
        self.callback.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn thread(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        // It is replaced in one step.
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an event is to the callback.
fn member_event(event: &NodeEvent) -> Option<(NodeId, u8)> {
    match event {
        NodeEvent::MemberUp { node, .. } | NodeEvent::MemberAlive { node } => {
            Some((*node, HEW_MEMBER_JOINED))
        }
        NodeEvent::MemberSuspect { node } => Some((*node, HEW_MEMBER_SUSPECT)),
        NodeEvent::MemberDown { node, reason: DownReason::Left, .. } => Some((*node, HEW_MEMBER_LEFT)),
        NodeEvent::MemberDown { node, .. } => Some((*node, HEW_MEMBER_DEAD)),
        _ => None,
    }
}

/// The cluster of a node; the same handle each time, until the node is freed. NULL on failure.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_cluster(node: *mut HewNode) -> *mut HewCluster {
    value("hew_node_cluster", null_mut(), || {
        let entry = node::find(node)?;
        entry.cluster_handle(|| CLUSTERS.insert(Arc::new(Arc::downgrade(&entry)))).map(pointer)
    })
}

/// Members that the running node knows, itself and those that are down included; a negative code on failure.
#[unsafe(no_mangle)]
pub extern "C" fn hew_cluster_member_count(cluster: *mut HewCluster) -> c_int {
    count("hew_cluster_member_count", cluster, |_| true)
}

/// Members that are alive, the node itself included; a negative code on failure.
#[unsafe(no_mangle)]
pub extern "C" fn hew_cluster_alive_count(cluster: *mut HewCluster) -> c_int {
    count("hew_cluster_alive_count", cluster, |state| state == "alive")
}

fn count(function: &str, cluster: *mut HewCluster, counts: impl Fn(&str) -> bool) -> c_int {
    let mut number = 0;
    let code = status(function, || {
        let members = entry(cluster)?.node()?.members();
        // At most 65,535.
        number = members.iter().filter(|member| counts(&member.state)).count() as c_int;
        Ok(())
    });
    if code == 0 { number } else { code }
}

/// Calls `callback(node, HEW_MEMBER_…, user)` for every member that is there and for whatever happens from now on, one
/// after the other on a thread of the library. Another call replaces it, NULL removes it. May be set before the node
/// starts. The callback may use the node, but not stop or free it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_cluster_set_membership_callback(
    cluster: *mut HewCluster,
    callback: HewMembershipCallback,
    user: *mut c_void,
) {
    void("hew_cluster_set_membership_callback", || {
        let entry = entry(cluster)?;
        let callback = callback.map(|function| Callback { function, user: user.expose_provenance() });
        *entry.listener.callback() = callback;
        if let Ok(node) = entry.node() {
            entry.listener.follow(&node);
        }
        Ok(())
    });
}

/// Leaves the cluster: stops the node, as `hew_node_stop` does.
#[unsafe(no_mangle)]
pub extern "C" fn hew_cluster_leave(cluster: *mut HewCluster) {
    void("hew_cluster_leave", || entry(cluster)?.stop());
}

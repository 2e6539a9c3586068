//! The other nodes that this one has heard of.

use crate::link::peer::Peer;
use hew_wire::NodeId;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// All peers by node id: at most 65,535, because ids are 16 bits. A peer stays once it was mentioned, so that
/// references to its actors keep one thing to hold on to, whatever becomes of the node.
#[derive(Default)]
pub(crate) struct Peers {
    by_node: RwLock<BTreeMap<NodeId, Arc<Peer>>>,
}

impl Peers {
    pub(crate) fn peer(&self, node: NodeId) -> Option<Arc<Peer>> {
        // Only map operations happen under this lock, so a poisoned one holds a consistent map.
        self.by_node.read().unwrap_or_else(PoisonError::into_inner).get(&node).cloned()
    }

    /// The peer, and whether it was made just now.
    pub(crate) fn peer_or(&self, node: NodeId, make: impl FnOnce() -> Peer) -> (Arc<Peer>, bool) {
        if let Some(peer) = self.peer(node) {
            return (peer, false);
        }
        let mut by_node = self.by_node.write().unwrap_or_else(PoisonError::into_inner);
        let mut made = false;
        let peer = by_node.entry(node).or_insert_with(|| {
            made = true;
            Arc::new(make())
        });
        (Arc::clone(peer), made)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Peer>> {
        self.by_node.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

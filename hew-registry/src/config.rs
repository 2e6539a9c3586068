//! Settings of the gossip registry.

use std::time::Duration;

/// Settings of [`crate::Gossip`]. All nodes of a cluster should have the same.
#[derive(Clone, Debug)]
pub struct Config {
    /// Most names that this node may register; a copy of another node's log may hold twice as many while it catches
    /// up. Default 1,048,576.
    pub names_per_owner_max: usize,
    /// Most names of all nodes together, hidden ones that are not swept yet included. Default 8,388,608.
    pub names_max: usize,
    /// Most deletions remembered for each log. A copy that misses more than these is not told of each but reads all
    /// names of the log anew. Default 65,536.
    pub deletes_per_owner_max: usize,
    /// Who wins when two nodes registered the same name. Must be the same on all nodes: if it is not, both may keep
    /// the name or both may lose it. Default [`Policy::KeepNewest`].
    pub policy: Policy,
    /// Up to this many sessions, a change is pushed to every peer; with more, to [`Config::fanout`] of them, who pass
    /// it on. Default 64.
    pub direct_peers_max: usize,
    /// To how many random peers a change is pushed when there are more than [`Config::direct_peers_max`]. Default 6,
    /// which reaches all but e^-6 of the nodes; digests find the others.
    pub fanout: usize,
    /// How often this node compares itself with one random peer. Repairs whatever a push did not reach. Default 1 s.
    pub digest_interval: Duration,
    /// How long an unanswered pull keeps its slot. Should be well above a round trip. Default 2 s.
    pub pull_timeout: Duration,
    /// How long the names of a node that is down are kept in memory, hidden, in case it comes back. Default 60 s.
    pub sweep_after: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            names_per_owner_max: 1 << 20,
            names_max: 1 << 23,
            deletes_per_owner_max: 1 << 16,
            policy: Policy::KeepNewest,
            direct_peers_max: 64,
            fanout: 6,
            digest_interval: Duration::from_secs(1),
            pull_timeout: Duration::from_secs(2),
            sweep_after: Duration::from_secs(60),
        }
    }
}

/// Who wins when two nodes registered the same name without knowing of each other.
///
/// In both, the greater priority wins first, and what is left equal is decided by node id and serial: every node
/// finds the same winner from the two entries alone, whatever it heard first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The later registration wins.
    #[default]
    KeepNewest,
    /// The earlier registration wins.
    KeepOldest,
}

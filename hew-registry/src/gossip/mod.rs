//! The gossip registry: what happens when something happens.
//!
//! Three flows meet here. *Own changes* are written to the own log and pushed when the driver drains the outputs.
//! *Copies* of other logs grow by pages, which are pushed or pulled. *Digests* compare copies: when a session begins,
//! and with one random peer every second, so that whatever a push did not reach is found.

mod outbox;
mod receive;
mod send;

use crate::clock::Clock;
use crate::log::{Effect, Log};
use crate::own::Own;
use crate::peers::{Peer, Presence};
use crate::pulls::Pulls;
use crate::{
    Config, DeleteReason, NameTable, Output, PeerEvent, RegisterError, Registry, RegistryError,
    RegistryEvent, UnregisterError,
};
use hew_wire::registry::RegistryMessage;
use hew_wire::{Incarnation, Name, NodeId, Pid};
use outbox::Outbox;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// Most hidden claims that one [`Registry::handle_timeout`] takes out of the table.
const SWEEP_BATCH: usize = 8192;
/// Time between two such batches.
const SWEEP_INTERVAL: Duration = Duration::from_millis(5);

/// The registry that spreads names to all nodes. The crate's documentation says how it works and how to drive it.
#[derive(Debug)]
pub struct Gossip {
    config: Config,
    rng: fastrand::Rng,
    table: NameTable,
    clock: Clock,
    own: Own,
    /// Own changes up to this number were pushed.
    pushed: u64,
    peers: BTreeMap<NodeId, Peer>,
    /// The peers with a session, sorted.
    sessions: Vec<NodeId>,
    pulls: Pulls,
    /// The number of the last pull.
    pull_number: u64,
    outbox: Outbox,
    /// Names of this node, of all copies, and of what is to be swept.
    names: usize,
    /// Logs of incarnations that are over, whose claims are still in the table, hidden.
    dead: VecDeque<Log>,
    sweep_next: Option<Instant>,
    /// When the hidden copies of nodes that are down are given up.
    give_up: BTreeSet<(Instant, NodeId)>,
    digest_next: Option<Instant>,
    stats: Stats,
}

/// Counters since the start, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Pages that brought news.
    pub pages_applied: u64,
    /// Pages without news.
    pub pages_stale: u64,
    /// Pages that came too early, so that what lies between had to be pulled.
    pub pages_early: u64,
    /// Pages about a node that is not up, or about this node itself.
    pub pages_ignored: u64,
    /// Messages that were refused with a [`RegistryError`].
    pub messages_refused: u64,
    /// Pulls sent.
    pub pulls_sent: u64,
    /// Pulls that were not answered in time.
    pub pulls_expired: u64,
    /// Pulls of others that could not be answered, because the log is not held here.
    pub pulls_unserved: u64,
    /// Pulls of others that were dropped because too many were waiting.
    pub pulls_overflowed: u64,
    /// Copies that were read anew because they did not seem to agree with their owner.
    pub rereads: u64,
    /// Names that own actors lost to another node.
    pub conflicts_lost: u64,
}

impl Gossip {
    /// An empty registry of the node `node` in its start `incarnation`.
    ///
    /// The seed decides which peers are drawn, and keys the hash of the table: it should be secret. Two registries
    /// with the same seed and inputs give the same outputs.
    pub fn new(node: NodeId, incarnation: Incarnation, config: Config, seed: u64) -> Gossip {
        let mut rng = fastrand::Rng::with_seed(seed);
        Gossip {
            table: NameTable::new(rng.u64(..), config.policy),
            clock: Clock::default(),
            own: Own::new(node, incarnation),
            pushed: 0,
            peers: BTreeMap::new(),
            sessions: Vec::new(),
            pulls: Pulls::default(),
            pull_number: 0,
            outbox: Outbox::default(),
            names: 0,
            dead: VecDeque::new(),
            sweep_next: None,
            give_up: BTreeSet::new(),
            digest_next: None,
            stats: Stats::default(),
            config,
            rng,
        }
    }

    /// One number for everything this node holds of the nodes that are up: equal on two nodes that hold the same.
    pub fn fingerprint(&self) -> u64 {
        self.logs()
            .map(|log| log.digest())
            .filter(|digest| digest.seq > 0)
            .fold(0, |sum: u64, digest| sum.wrapping_add(digest.fingerprint()))
    }

    /// Counters since the start.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// The number of names held: those of this node, those copied from others, and hidden ones not yet swept.
    pub fn names_held(&self) -> usize {
        self.names
    }

    /// The own log and all copies that may be shown to others.
    fn logs(&self) -> impl Iterator<Item = &Log> {
        std::iter::once(&self.own.log).chain(self.peers.values().filter_map(Peer::served_log))
    }

    /// The log of one incarnation of one node, if it may be shown to others.
    fn log(&self, owner: NodeId, incarnation: Incarnation) -> Option<&Log> {
        let log = if owner == self.own.node {
            &self.own.log
        } else {
            self.peers.get(&owner).and_then(Peer::served_log)?
        };
        (log.owner().incarnation == incarnation).then_some(log)
    }

    fn has_session(&self, peer: NodeId) -> bool {
        self.sessions.binary_search(&peer).is_ok()
    }

    fn delete_own(&mut self, name: &Name, reason: DeleteReason) -> Option<Pid> {
        let (pid, change) = self.own.delete(&self.table, name, reason, self.config.deletes_per_owner_max)?;
        self.names -= 1;
        self.tell(Effect { name: name.clone(), change, reason: Some(reason) });
        Some(pid)
    }

    /// Says what a change did to lookups, if it did something.
    fn tell(&mut self, effect: Effect) {
        let Effect { name, change, reason } = effect;
        let (before, after) = (change.before.map(|entry| entry.pid), change.after.map(|entry| entry.pid));
        match (before, after) {
            (before, Some(pid)) if before != Some(pid) => {
                self.outbox.event(RegistryEvent::Registered { name, pid });
            }
            (Some(pid), None) => self.outbox.event(RegistryEvent::Unregistered { name, pid, reason }),
            (_, _) => {}
        }
    }

    /// Takes back own entries for those of `names` that another node's entry wins.
    fn yield_lost(&mut self, names: Vec<Name>) {
        for name in names {
            let Some(winner) = self.table.lookup(name.as_str()).map(|entry| entry.pid) else { continue };
            if winner.node() == self.own.node {
                continue;
            }
            if let Some(loser) = self.delete_own(&name, DeleteReason::Conflict { winner }) {
                self.stats.conflicts_lost += 1;
                self.outbox.event(RegistryEvent::Lost { name, loser, winner });
            }
        }
    }

    fn session_up(&mut self, now: Instant, peer: NodeId) {
        // If there was a session before, what was on its way may be lost: everything is asked for again.
        self.session_down(peer);
        if let Err(at) = self.sessions.binary_search(&peer) {
            self.sessions.insert(at, peer);
        }
        if self.digest_next.is_none() {
            self.schedule_digest(now);
        }
        if let Some(known) = self.peers.get_mut(&peer) {
            known.digest_sent = None;
        }
        self.send_digest(now, peer, false);
    }

    fn session_down(&mut self, peer: NodeId) {
        if let Ok(at) = self.sessions.binary_search(&peer) {
            self.sessions.remove(at);
        }
        for owner in self.pulls.forget_peer(peer) {
            self.end_pull(owner);
        }
        self.outbox.forget_peer(peer);
    }

    fn node_up(&mut self, now: Instant, node: NodeId) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if !matches!(peer.presence, Presence::Unknown | Presence::Down) {
            return;
        }
        peer.presence = Presence::Up;
        if let Some(at) = peer.sweep_at.take() {
            self.give_up.remove(&(at, node));
        }
        if let Some(copy) = &peer.copy {
            copy.log.owner().show();
            let incarnation = peer.incarnation;
            self.outbox.event(RegistryEvent::NodeShown { node, incarnation });
            let lost = contested(&self.own, &copy.log, &self.table);
            self.yield_lost(lost);
        }
        self.pulls.make_ready(node);
        self.pump(now);
        if self.has_session(node) {
            self.send_summary(node);
        }
    }

    fn node_down(&mut self, now: Instant, node: NodeId, presence: Presence) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if peer.presence == Presence::Left || peer.presence == presence {
            return;
        }
        peer.presence = presence;
        if let Some(copy) = &mut peer.copy {
            copy.scan = None;
            let was_visible = copy.log.owner().is_visible();
            copy.log.owner().hide();
            if was_visible {
                let incarnation = peer.incarnation;
                self.outbox.event(RegistryEvent::NodeHidden { node, incarnation });
            }
            match presence {
                Presence::Left => self.bury(now, node),
                Presence::Down | Presence::Unknown | Presence::Up => {
                    let at = now + self.config.sweep_after;
                    peer.sweep_at = Some(at);
                    self.give_up.insert((at, node));
                }
            }
        }
        self.pulls.suspend(node);
        self.pump(now);
    }

    /// A newer incarnation of `node` appeared: everything of the old one is over.
    fn replace(&mut self, now: Instant, node: NodeId, incarnation: Incarnation) {
        self.node_down(now, node, Presence::Left);
        self.session_down(node);
        self.peers.insert(node, Peer::new(incarnation));
    }

    /// Gives up the hidden copy of `node`.
    fn bury(&mut self, now: Instant, node: NodeId) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if let Some(at) = peer.sweep_at.take() {
            self.give_up.remove(&(at, node));
        }
        if let Some(copy) = peer.copy.take() {
            self.dead.push_back(copy.log);
            self.sweep_next.get_or_insert(now + SWEEP_INTERVAL);
        }
    }

    fn sweep(&mut self, now: Instant) {
        let mut left = SWEEP_BATCH;
        while left > 0
            && let Some(log) = self.dead.front_mut()
        {
            let swept = log.sweep(&self.table, left);
            self.names -= swept;
            left -= swept;
            if log.names() == 0 {
                self.dead.pop_front();
            }
        }
        self.sweep_next = (!self.dead.is_empty()).then(|| now + SWEEP_INTERVAL);
    }
}

/// The names that both this node and `other` claim; looks at the shorter list.
fn contested(own: &Own, other: &Log, table: &NameTable) -> Vec<Name> {
    if own.log.names() <= other.names() {
        own.names().filter(|name| table.claim(name, other.owner()).is_some()).cloned().collect()
    } else {
        let names = other.puts().map(|put| &put.name);
        names.filter(|name| table.claim(name, own.log.owner()).is_some()).cloned().collect()
    }
}

impl Registry for Gossip {
    fn register(&mut self, _: Instant, unix_ms: u64, name: Name, pid: Pid) -> Result<(), RegisterError> {
        let stamp = self.clock.stamp(unix_ms);
        if self.names >= self.config.names_max {
            return Err(RegisterError::Full { limit: self.config.names_max });
        }
        let change = self.own.register(&self.table, &name, pid, stamp, self.config.names_per_owner_max)?;
        self.names += 1;
        self.tell(Effect { name, change, reason: None });
        Ok(())
    }

    fn unregister(&mut self, _: Instant, name: &Name) -> Result<Pid, UnregisterError> {
        if let Some(pid) = self.delete_own(name, DeleteReason::Unregistered) {
            return Ok(pid);
        }
        match self.table.lookup(name.as_str()) {
            Some(entry) => Err(UnregisterError::NotOwner { holder: entry.pid }),
            None => Err(UnregisterError::NotFound),
        }
    }

    fn forget_pid(&mut self, _: Instant, pid: Pid) {
        for name in self.own.names_of(pid) {
            self.delete_own(&name, DeleteReason::Ended);
        }
    }

    fn handle_message(
        &mut self,
        now: Instant,
        from: NodeId,
        message: RegistryMessage,
    ) -> Result<(), RegistryError> {
        let result = self.receive(now, from, message);
        self.stats.messages_refused += u64::from(result.is_err());
        result
    }

    fn handle_peer(&mut self, now: Instant, peer: NodeId, incarnation: Incarnation, event: PeerEvent) {
        if peer == self.own.node || peer.is_local() {
            return;
        }
        let known = self.peers.entry(peer).or_insert_with(|| Peer::new(incarnation)).incarnation;
        if incarnation < known {
            return;
        }
        if incarnation > known {
            self.replace(now, peer, incarnation);
        }
        match event {
            PeerEvent::SessionUp => self.session_up(now, peer),
            PeerEvent::SessionDown => self.session_down(peer),
            PeerEvent::NodeUp => self.node_up(now, peer),
            PeerEvent::NodeDown => self.node_down(now, peer, Presence::Down),
            PeerEvent::NodeLeft => self.node_down(now, peer, Presence::Left),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.digest_next.is_some_and(|at| at <= now) {
            self.digest_round(now);
        }
        for owner in self.pulls.expired(now) {
            self.stats.pulls_expired += 1;
            self.end_pull(owner);
        }
        self.pump(now);
        while let Some(&(at, node)) = self.give_up.first().filter(|(at, _)| *at <= now) {
            self.give_up.remove(&(at, node));
            self.bury(now, node);
        }
        if self.sweep_next.is_some_and(|at| at <= now) {
            self.sweep(now);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let give_up = self.give_up.first().map(|&(at, _)| at);
        [self.digest_next, self.pulls.deadline(), give_up, self.sweep_next].into_iter().flatten().min()
    }

    fn poll(&mut self) -> Option<Output> {
        self.next_output()
    }

    fn table(&self) -> NameTable {
        self.table.clone()
    }
}

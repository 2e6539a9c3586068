//! A cluster of registries in virtual time: sessions with delays that break and come back, partitions, crashes.
//!
//! Every message goes through the encoding and must stay below its limit. Checks that hold at any time are made
//! while it runs: what an actor owns, when it loses it and to whom.

use hew_registry::{
    Config, Gossip, NameTable, Output, PeerEvent, Policy, RegisterError, Registry, RegistryEvent,
    RegistryMessage,
};
use hew_wire::control::Control;
use hew_wire::registry::REGISTRY_MESSAGE_BYTES_MAX;
use hew_wire::{Incarnation, Name, NodeId, Pid};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// Wall-clock time at the start of each simulation.
const UNIX_MS: u64 = 1_800_000_000_000;

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn node(id: u16) -> NodeId {
    NodeId::new(id).unwrap()
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What is on its way.
enum Parcel {
    Message { from: u16, to: u16, session: u64, message: RegistryMessage },
    Peer { to: u16, peer: u16, incarnation: Incarnation, event: PeerEvent },
}

pub(crate) struct Node {
    pub(crate) incarnation: Incarnation,
    pub(crate) gossip: Gossip,
    pub(crate) table: NameTable,
    /// How wrong its wall clock is.
    pub(crate) skew_ms: i64,
    pub(crate) events: Vec<RegistryEvent>,
    /// What its actors own, as a program would know it: registered, not given back, not lost.
    pub(crate) owned: BTreeMap<Name, Pid>,
    next_serial: u64,
}

pub(crate) struct Cluster {
    pub(crate) config: Config,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) nodes: BTreeMap<u16, Node>,
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    rng: fastrand::Rng,
    seed: u64,
    delay: Duration,
    /// In order of arrival; the number keeps what leaves earlier first.
    parcels: BTreeMap<(Instant, u64), Parcel>,
    parcels_sent: u64,
    /// When the last message from one to the other arrives: sessions keep order.
    lanes: BTreeMap<(u16, u16), Instant>,
    /// The sessions that exist, by the smaller and the greater id, and their number.
    sessions: BTreeMap<(u16, u16), u64>,
    sessions_made: u64,
    incarnations: u64,
    /// The stamp of every registration that ever was.
    stamps: BTreeMap<(Name, Pid), u64>,
    /// Every line of this is equal in two runs with the same seed.
    pub(crate) journal: VecDeque<String>,
    pub(crate) keep_journal: bool,
}

impl Cluster {
    /// Nodes 1 to `count`, all up, each with a session to each.
    pub(crate) fn new(count: u16, config: Config, seed: u64) -> Cluster {
        let mut cluster = Cluster::without_sessions(count, config, seed);
        for a in 1..=count {
            for b in a + 1..=count {
                cluster.connect(a, b);
            }
        }
        cluster.run(ms(50));
        cluster
    }

    /// Nodes 1 to `count`, all up.
    #[allow(clippy::disallowed_methods)] // Only differences to this instant matter.
    pub(crate) fn without_sessions(count: u16, config: Config, seed: u64) -> Cluster {
        let now = Instant::now();
        let mut cluster = Cluster {
            config,
            start: now,
            now,
            nodes: BTreeMap::new(),
            messages: 0,
            bytes: 0,
            rng: fastrand::Rng::with_seed(seed),
            seed,
            delay: ms(2),
            parcels: BTreeMap::new(),
            parcels_sent: 0,
            lanes: BTreeMap::new(),
            sessions: BTreeMap::new(),
            sessions_made: 0,
            incarnations: 100,
            stamps: BTreeMap::new(),
            journal: VecDeque::new(),
            keep_journal: false,
        };
        for id in 1..=count {
            cluster.boot(id);
        }
        cluster
    }

    /// Starts a node, and tells all others that it is up and it that they are.
    pub(crate) fn boot(&mut self, id: u16) {
        self.incarnations += 1;
        let incarnation = Incarnation(self.incarnations);
        let seed = self.seed.wrapping_mul(1000).wrapping_add(self.incarnations);
        let gossip = Gossip::new(node(id), incarnation, self.config.clone(), seed);
        let booted = Node {
            incarnation,
            table: gossip.table(),
            gossip,
            skew_ms: 0,
            events: Vec::new(),
            owned: BTreeMap::new(),
            next_serial: 2000 + self.incarnations * 100_000,
        };
        assert!(self.nodes.insert(id, booted).is_none(), "node {id} is running");
        for other in self.others(id) {
            self.membership(id, other, PeerEvent::NodeUp);
            self.membership(other, id, PeerEvent::NodeUp);
        }
    }

    /// Ends a node without a word.
    pub(crate) fn crash(&mut self, id: u16) {
        for other in self.others(id) {
            self.disconnect(id, other);
            self.membership(other, id, PeerEvent::NodeDown);
        }
        self.nodes.remove(&id);
    }

    /// After a delay, tells `to` what membership says about `peer`.
    pub(crate) fn membership(&mut self, to: u16, peer: u16, event: PeerEvent) {
        let incarnation = self.nodes[&peer].incarnation;
        self.parcel(to, to, Parcel::Peer { to, peer, incarnation, event });
    }

    /// Makes a session, unless there is one or a node is not running.
    pub(crate) fn connect(&mut self, a: u16, b: u16) {
        let pair = (a.min(b), a.max(b));
        if !self.nodes.contains_key(&a) || !self.nodes.contains_key(&b) || self.sessions.contains_key(&pair) {
            return;
        }
        self.sessions_made += 1;
        self.sessions.insert(pair, self.sessions_made);
        let (of_a, of_b) = (self.nodes[&a].incarnation, self.nodes[&b].incarnation);
        self.peer_event(a, b, of_b, PeerEvent::SessionUp);
        self.peer_event(b, a, of_a, PeerEvent::SessionUp);
    }

    /// Ends a session, if there is one; what is on its way is lost.
    pub(crate) fn disconnect(&mut self, a: u16, b: u16) {
        if self.sessions.remove(&(a.min(b), a.max(b))).is_some() {
            let (of_a, of_b) = (self.nodes[&a].incarnation, self.nodes[&b].incarnation);
            self.peer_event(a, b, of_b, PeerEvent::SessionDown);
            self.peer_event(b, a, of_a, PeerEvent::SessionDown);
        }
    }

    /// Ends all sessions between `side` and the rest; with `noticed`, membership calls the other side down.
    pub(crate) fn partition(&mut self, side: &[u16], noticed: bool) {
        self.across(side, |cluster, a, b| {
            cluster.disconnect(a, b);
            if noticed {
                cluster.membership(a, b, PeerEvent::NodeDown);
                cluster.membership(b, a, PeerEvent::NodeDown);
            }
        });
    }

    /// Ends a partition.
    pub(crate) fn heal(&mut self, side: &[u16]) {
        self.across(side, |cluster, a, b| {
            cluster.membership(a, b, PeerEvent::NodeUp);
            cluster.membership(b, a, PeerEvent::NodeUp);
            cluster.connect(a, b);
        });
    }

    fn across(&mut self, side: &[u16], mut act: impl FnMut(&mut Cluster, u16, u16)) {
        let (inside, outside): (Vec<u16>, Vec<u16>) =
            self.ids().into_iter().partition(|id| side.contains(id));
        for &a in &inside {
            for &b in &outside {
                act(self, a, b);
            }
        }
    }

    pub(crate) fn ids(&self) -> Vec<u16> {
        self.nodes.keys().copied().collect()
    }

    pub(crate) fn others(&self, id: u16) -> Vec<u16> {
        self.nodes.keys().copied().filter(|&other| other != id).collect()
    }

    /// Registers a new actor of node `id` under `text`.
    pub(crate) fn register(&mut self, id: u16, text: &str) -> Result<Pid, RegisterError> {
        let unix_ms = UNIX_MS + (self.now - self.start).as_millis() as u64;
        let (now, member) = (self.now, self.nodes.get_mut(&id).unwrap());
        let pid = Pid::new(node(id), member.next_serial);
        member.next_serial += 1;
        let unix_ms = unix_ms.saturating_add_signed(member.skew_ms);
        member.gossip.register(now, unix_ms, name(text), pid)?;
        let entry = member.table.lookup(text).expect("visible at once on its own node");
        assert_eq!(entry.pid, pid);
        member.owned.insert(name(text), pid);
        self.stamps.insert((name(text), pid), entry.stamp);
        self.drain(id);
        Ok(pid)
    }

    /// Takes a name back; returns whether the node had it.
    pub(crate) fn unregister(&mut self, id: u16, text: &str) -> bool {
        let (now, member) = (self.now, self.nodes.get_mut(&id).unwrap());
        let result = member.gossip.unregister(now, &name(text));
        assert_eq!(result.as_ref().ok(), member.owned.remove(&name(text)).as_ref());
        self.drain(id);
        result.is_ok()
    }

    /// Ends an actor.
    pub(crate) fn end(&mut self, pid: Pid) {
        let (id, now) = (pid.node().raw(), self.now);
        let member = self.nodes.get_mut(&id).unwrap();
        member.gossip.forget_pid(now, pid);
        member.owned.retain(|_, holder| *holder != pid);
        self.drain(id);
    }

    /// Hands a message to `to` as if `from` had sent it.
    pub(crate) fn inject(
        &mut self,
        from: u16,
        to: u16,
        message: RegistryMessage,
    ) -> Result<(), hew_registry::RegistryError> {
        let now = self.now;
        let result = self.nodes.get_mut(&to).unwrap().gossip.handle_message(now, node(from), message);
        self.drain(to);
        result
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let arrival = self.parcels.first_key_value().map(|(&(at, _), _)| at);
            let timer = self.nodes.values().filter_map(|member| member.gossip.poll_timeout()).min();
            let Some(next) = [arrival, timer].into_iter().flatten().min().filter(|&at| at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let (_, parcel) = self.parcels.pop_first().expect("it was first just now");
                self.deliver(parcel);
            } else {
                self.fire();
            }
        }
        self.now = end;
    }

    /// What all tables show, which must be the same everywhere and what the actors own.
    pub(crate) fn check_agreement(&self, context: &str) {
        let mut expected = BTreeMap::new();
        for (id, member) in &self.nodes {
            for (name, pid) in &member.owned {
                let other = expected.insert(name.clone(), *pid);
                assert_eq!(other, None, "{context}: node {id} and another one own {name}");
            }
        }
        let expected: Vec<(Name, Pid)> = expected.into_iter().collect();
        for (id, member) in &self.nodes {
            let shown: Vec<(Name, Pid)> =
                member.table.names().into_iter().map(|(name, entry)| (name, entry.pid)).collect();
            assert_eq!(shown, expected, "{context}: what node {id} shows");
        }
        let fingerprints: BTreeSet<u64> =
            self.nodes.values().map(|member| member.gossip.fingerprint()).collect();
        assert_eq!(fingerprints.len(), 1, "{context}: digests differ");
    }

    /// How many nodes find `text`, and whom.
    pub(crate) fn found(&self, text: &str) -> (usize, BTreeSet<Pid>) {
        let found: Vec<Pid> = self
            .nodes
            .values()
            .filter_map(|member| member.table.lookup(text))
            .map(|entry| entry.pid)
            .collect();
        (found.len(), found.into_iter().collect())
    }

    pub(crate) fn lost_events(&self) -> Vec<(Pid, Pid)> {
        let events = self.nodes.values().flat_map(|member| &member.events);
        events
            .filter_map(|event| match event {
                RegistryEvent::Lost { loser, winner, .. } => Some((*loser, *winner)),
                _ => None,
            })
            .collect()
    }

    fn deliver(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Message { from, to, session, message } => {
                if self.sessions.get(&(from.min(to), from.max(to))) != Some(&session) {
                    return;
                }
                let now = self.now;
                let member = self.nodes.get_mut(&to).expect("a session ends with its nodes");
                member.gossip.handle_message(now, node(from), message).expect("honest messages are accepted");
                self.drain(to);
            }
            Parcel::Peer { to, peer, incarnation, event } => {
                if self.nodes.contains_key(&to) {
                    self.peer_event(to, peer, incarnation, event);
                }
            }
        }
    }

    fn peer_event(&mut self, to: u16, peer: u16, incarnation: Incarnation, event: PeerEvent) {
        let now = self.now;
        self.nodes.get_mut(&to).unwrap().gossip.handle_peer(now, node(peer), incarnation, event);
        self.drain(to);
    }

    fn fire(&mut self) {
        for id in self.ids() {
            let now = self.now;
            let member = self.nodes.get_mut(&id).unwrap();
            if member.gossip.poll_timeout().is_some_and(|at| at <= now) {
                member.gossip.handle_timeout(now);
                let next = member.gossip.poll_timeout();
                assert!(next.is_none_or(|at| at > now), "node {id} asks for a timeout that has passed");
                self.drain(id);
            }
        }
    }

    fn drain(&mut self, id: u16) {
        while let Some(output) = self.nodes.get_mut(&id).unwrap().gossip.poll() {
            if self.keep_journal {
                self.journal.push_back(format!("{:?} n{id} {output:?}", self.now - self.start));
            }
            match output {
                Output::Send { to, message } => self.send(id, to.raw(), message),
                Output::Event(event) => self.note(id, event),
            }
        }
    }

    fn send(&mut self, from: u16, to: u16, message: RegistryMessage) {
        let Some(&session) = self.sessions.get(&(from.min(to), from.max(to))) else { return };
        let mut bytes = Vec::new();
        Control::Registry(message.clone()).encode(&mut bytes).unwrap();
        assert!(bytes.len() <= REGISTRY_MESSAGE_BYTES_MAX + 16, "{} bytes", bytes.len());
        assert_eq!(Control::decode(&bytes).unwrap(), Control::Registry(message.clone()));
        self.messages += 1;
        self.bytes += bytes.len();
        self.parcel(from, to, Parcel::Message { from, to, session, message });
    }

    fn parcel(&mut self, from: u16, to: u16, parcel: Parcel) {
        let jitter = Duration::from_micros(self.rng.u64(0..=self.delay.as_micros() as u64));
        let lane = self.lanes.entry((from, to)).or_insert(self.now);
        *lane = (self.now + self.delay + jitter).max(*lane);
        self.parcels.insert((*lane, self.parcels_sent), parcel);
        self.parcels_sent += 1;
    }

    /// Checks what can be checked at once, and keeps the event.
    fn note(&mut self, id: u16, event: RegistryEvent) {
        let member = self.nodes.get_mut(&id).unwrap();
        if let RegistryEvent::Lost { name, loser, winner } = &event {
            assert_eq!(member.owned.remove(name), Some(*loser), "lost something it did not own: {event:?}");
            let rank = |pid: &Pid| (self.stamps[&(name.clone(), *pid)], *pid);
            let is_right = match self.config.policy {
                Policy::KeepNewest => rank(winner) > rank(loser),
                Policy::KeepOldest => {
                    let ((won, winner), (lost, loser)) = (rank(winner), rank(loser));
                    (lost, winner) > (won, loser)
                }
            };
            assert!(is_right, "the wrong one won: {event:?}");
        }
        member.events.push(event);
    }
}

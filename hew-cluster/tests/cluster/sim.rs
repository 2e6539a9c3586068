//! A small discrete-event simulation of machines, links and time around the membership machine.
//!
//! Links are as `hew-node` makes them: ordered and reliable while they live, made on demand, resumed after a break. A
//! lost packet is a delay (TCP sends it again), a cut path holds what is under way until the link gives up.

mod links;

use fastrand::Rng;
use hew_cluster::{
    LinkEvent, LocalMember, MemberState, Membership, MembershipEvent, Output, Swim, SwimConfig,
};
use hew_wire::membership::MembershipMessage;
use hew_wire::{Incarnation, NodeId};
use links::{Lane, pair};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// What the network is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Net {
    /// One way.
    pub(crate) latency: Duration,
    /// Added to the latency, evenly from zero to this.
    pub(crate) jitter: Duration,
    /// Probability that a packet is lost once; each time costs a retransmission after 200 ms, 400 ms, …
    pub(crate) loss: f64,
    /// How long a link lives while its data do not get through.
    pub(crate) link_timeout: Duration,
    /// How long a dial waits for an answer.
    pub(crate) dial_timeout: Duration,
}

impl Default for Net {
    fn default() -> Net {
        Net {
            latency: Duration::from_micros(500),
            jitter: Duration::from_micros(200),
            loss: 0.0,
            link_timeout: Duration::from_secs(5),
            dial_timeout: Duration::from_secs(2),
        }
    }
}

/// An event of one node, with the time since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) at: Duration,
    pub(crate) node: u16,
    pub(crate) seq: u64,
    pub(crate) event: MembershipEvent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    Running,
    Paused,
    /// The process is gone; the machine refuses connections.
    Killed,
    /// The machine is gone; nothing answers.
    Silent,
}

#[derive(Debug)]
enum Input {
    Message(NodeId, MembershipMessage),
    Link(NodeId, LinkEvent),
}

struct Host {
    power: Power,
    swim: Swim,
    incarnation: Incarnation,
    seeds: Vec<String>,
    inbox: VecDeque<Input>,
    wake: Option<Instant>,
}

#[derive(Debug)]
enum Step {
    Wake(u16, Instant),
    Pump(u16, u16),
    Dialled { from: u16, to: u16, seed: Option<String>, started: Instant, incarnation: Incarnation },
    Redial(u16, u16),
    DialSeeds(u16, Incarnation),
    Tell(u16, NodeId, LinkEvent),
}

/// The whole world.
pub(crate) struct Sim {
    pub(crate) net: Net,
    pub(crate) log: Vec<Entry>,
    /// Messages sent by all nodes, and their bytes as MessagePack.
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    start: Instant,
    now: Instant,
    rng: Rng,
    steps: BTreeMap<(Instant, u64), Step>,
    step_last: u64,
    hosts: BTreeMap<u16, Host>,
    lanes: BTreeMap<(u16, u16), Lane>,
    connected: BTreeSet<(u16, u16)>,
    cut: BTreeSet<(u16, u16)>,
    /// Nodes that run but do not listen any more.
    deaf: BTreeSet<u16>,
}

pub(crate) fn n(id: u16) -> NodeId {
    NodeId::from_raw(id)
}

pub(crate) fn secs(s: f64) -> Duration {
    Duration::from_secs_f64(s)
}

impl Sim {
    #[allow(clippy::disallowed_methods)] // Some instant to start from; only differences matter.
    pub(crate) fn new(seed: u64, net: Net) -> Sim {
        let start = Instant::now();
        Sim {
            net,
            log: Vec::new(),
            messages: 0,
            bytes: 0,
            start,
            now: start,
            rng: Rng::with_seed(seed),
            steps: BTreeMap::new(),
            step_last: 0,
            hosts: BTreeMap::new(),
            lanes: BTreeMap::new(),
            connected: BTreeSet::new(),
            cut: BTreeSet::new(),
            deaf: BTreeSet::new(),
        }
    }

    /// A cluster of nodes 1 to `count`, all joined through node 1 and settled.
    pub(crate) fn cluster(seed: u64, net: Net, count: u16, config: &SwimConfig) -> Sim {
        let mut sim = Sim::new(seed, net);
        for id in 1..=count {
            sim.boot(id, 1, config, &[1]);
        }
        let joined = sim.run_until(secs(60.0), |sim| sim.is_settled());
        assert!(joined.is_some(), "no cluster after 60 s");
        // Long enough for links among all and for all news to be sent.
        sim.run_for(config.probe_interval * 4 + secs(1.0));
        sim
    }

    pub(crate) fn boot(&mut self, id: u16, incarnation: u64, config: &SwimConfig, seeds: &[u16]) {
        let seeds: Vec<_> = seeds.iter().filter(|&&seed| seed != id).map(|seed| format!("n{seed}")).collect();
        let config = SwimConfig { seeds: seeds.clone(), ..config.clone() };
        let local = LocalMember {
            node: n(id),
            incarnation: Incarnation(incarnation),
            address: Some(format!("n{id}")),
        };
        let swim = Swim::new(local, config, self.rng.u64(..), self.now).unwrap();
        // A machine that came back: links of the earlier process break when they are used, which is now.
        for other in self.hosts.keys().copied().collect::<Vec<_>>() {
            self.disconnect(id, other, Duration::ZERO);
            self.lanes.remove(&(id, other));
            self.lanes.remove(&(other, id));
        }
        let incarnation = Incarnation(incarnation);
        let host =
            Host { power: Power::Running, swim, incarnation, seeds, inbox: VecDeque::new(), wake: None };
        self.hosts.insert(id, host);
        self.schedule(Duration::ZERO, Step::DialSeeds(id, incarnation));
        self.drain(id);
    }

    pub(crate) fn now(&self) -> Duration {
        self.now - self.start
    }

    pub(crate) fn swim(&self, id: u16) -> &Swim {
        &self.hosts[&id].swim
    }

    pub(crate) fn running(&self) -> Vec<u16> {
        self.hosts.iter().filter(|(_, host)| host.power == Power::Running).map(|(&id, _)| id).collect()
    }

    /// kill -9: links break, connections are refused.
    pub(crate) fn kill(&mut self, id: u16) {
        self.host(id).power = Power::Killed;
        for other in self.running() {
            let delay = self.delay();
            self.disconnect(id, other, delay);
        }
    }

    /// Pulls the plug: nothing is heard of it any more, not even a refusal.
    pub(crate) fn cut_power(&mut self, id: u16) {
        self.host(id).power = Power::Silent;
    }

    pub(crate) fn pause(&mut self, id: u16) {
        if self.host(id).power == Power::Running {
            self.host(id).power = Power::Paused;
        }
    }

    pub(crate) fn resume(&mut self, id: u16) {
        if self.host(id).power != Power::Paused {
            return;
        }
        self.host(id).power = Power::Running;
        let (now, timers_first) = (self.now, self.rng.bool());
        if timers_first {
            self.host(id).swim.handle_timeout(now);
        }
        while let Some(input) = self.host(id).inbox.pop_front() {
            self.input(id, input);
        }
        self.host(id).swim.handle_timeout(now);
        self.drain(id);
    }

    pub(crate) fn leave(&mut self, id: u16) {
        let now = self.now;
        self.host(id).swim.leave(now);
        self.drain(id);
    }

    pub(crate) fn force_down(&mut self, at: u16, node: u16) {
        let now = self.now;
        self.host(at).swim.force_down(now, n(node));
        self.drain(at);
    }

    pub(crate) fn inject(&mut self, to: u16, from: u16, message: MembershipMessage) {
        self.input(to, Input::Message(n(from), message));
    }

    /// Breaks the connection between two nodes; both may dial again.
    pub(crate) fn break_link(&mut self, a: u16, b: u16) {
        self.disconnect(a, b, Duration::ZERO);
    }

    /// Links all running nodes with each other, as `hew-node` does in clusters that are not too large.
    pub(crate) fn link_all(&mut self) {
        let running = self.running();
        for &from in &running {
            running.iter().filter(|&&to| to > from).for_each(|&to| self.dial_if_needed(from, to));
        }
        self.run_for(self.net.latency * 4 + self.net.jitter * 4);
    }

    /// Closes the node's listener: dialling it is refused, though it lives.
    pub(crate) fn close_listener(&mut self, id: u16) {
        self.deaf.insert(id);
    }

    pub(crate) fn cut_path(&mut self, from: u16, to: u16) {
        self.cut.insert((from, to));
    }

    pub(crate) fn split(&mut self, left: &[u16], right: &[u16]) {
        for &a in left {
            for &b in right {
                self.cut.insert((a, b));
                self.cut.insert((b, a));
            }
        }
    }

    pub(crate) fn heal_paths(&mut self) {
        self.cut.clear();
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until `is_done` holds; gives the time it took, or `None` after `limit`.
    pub(crate) fn run_until(&mut self, limit: Duration, is_done: impl Fn(&Sim) -> bool) -> Option<Duration> {
        let begin = self.now;
        let end = begin + limit;
        while !is_done(self) {
            if !self.step(end) {
                return None;
            }
        }
        Some(self.now - begin)
    }

    /// Whether each running node takes exactly the running nodes for alive.
    pub(crate) fn is_settled(&self) -> bool {
        let running = self.running();
        let alive = |id: u16| {
            let swim = self.swim(id);
            swim.members()
                .filter(|member| member.state() == MemberState::Alive)
                .map(|member| (member.node().raw(), member.incarnation()))
                .collect::<Vec<_>>()
        };
        let expected: Vec<_> = running.iter().map(|&id| (id, self.hosts[&id].incarnation)).collect();
        running.iter().all(|&id| alive(id) == expected)
    }

    /// Whether all running nodes but the one itself have `node` as `state`.
    pub(crate) fn all_see(&self, node: u16, state: MemberState) -> bool {
        let others = self.running().into_iter().filter(|&id| id != node);
        others.into_iter().all(|id| self.swim(id).member(n(node)).is_some_and(|m| m.state() == state))
    }

    /// The events of one node about another, since `from`.
    pub(crate) fn events_about(&self, at: u16, node: u16, from: Duration) -> Vec<MembershipEvent> {
        let about = |event: &MembershipEvent| match event {
            MembershipEvent::Up { node, .. }
            | MembershipEvent::Suspect { node, .. }
            | MembershipEvent::Alive { node, .. }
            | MembershipEvent::Down { node, .. } => Some(node.raw()),
            _ => None,
        };
        let entries = self.log.iter().filter(|e| e.node == at && e.at >= from);
        entries.map(|e| e.event.clone()).filter(|event| about(event) == Some(node)).collect()
    }

    /// All `Down` events since `from`: when, who says it, of whom.
    pub(crate) fn downs(&self, from: Duration) -> Vec<(Duration, u16, u16)> {
        let down = |e: &Entry| match e.event {
            MembershipEvent::Down { node, .. } if e.at >= from => Some((e.at, e.node, node.raw())),
            _ => None,
        };
        self.log.iter().filter_map(down).collect()
    }

    fn host(&mut self, id: u16) -> &mut Host {
        self.hosts.get_mut(&id).unwrap()
    }

    fn delay(&mut self) -> Duration {
        let mut delay = self.net.latency + self.net.jitter.mul_f64(self.rng.f64());
        let mut again = Duration::from_millis(200);
        while self.rng.f64() < self.net.loss {
            delay += again;
            again = (again * 2).min(secs(3.2));
        }
        delay
    }

    fn schedule(&mut self, delay: Duration, step: Step) {
        self.step_last += 1;
        self.steps.insert((self.now + delay, self.step_last), step);
    }

    fn step(&mut self, end: Instant) -> bool {
        let Some(entry) = self.steps.first_entry().filter(|entry| entry.key().0 <= end) else { return false };
        let ((at, _), step) = entry.remove_entry();
        self.now = at.max(self.now);
        match step {
            Step::Wake(id, wake) => {
                let now = self.now;
                let host = self.host(id);
                if host.power == Power::Running && host.wake == Some(wake) {
                    host.wake = None;
                    host.swim.handle_timeout(now);
                    self.drain(id);
                }
            }
            Step::Pump(from, to) => self.pump(from, to),
            Step::Dialled { from, to, seed, started, incarnation } => {
                self.dialled(from, to, seed, started, incarnation);
            }
            Step::Redial(from, to) => {
                let wanted = self.lanes.get(&(from, to)).is_some_and(|lane| !lane.is_empty());
                let is_up = self.swim(from).member(n(to)).is_some_and(|member| member.is_up());
                if wanted && is_up && self.hosts[&from].power == Power::Running {
                    self.dial(from, to, None);
                }
            }
            Step::DialSeeds(id, incarnation) => self.dial_seeds(id, incarnation),
            Step::Tell(id, peer, event) => self.input(id, Input::Link(peer, event)),
        }
        true
    }

    fn input(&mut self, id: u16, input: Input) {
        let now = self.now;
        let host = self.host(id);
        match host.power {
            Power::Paused => return host.inbox.push_back(input),
            Power::Killed | Power::Silent => return,
            Power::Running => {}
        }
        // Errors are for the caller to close links; the simulation lets the machine cope.
        let _ = match input {
            Input::Message(from, message) => host.swim.handle_message(now, from, message),
            Input::Link(peer, event) => host.swim.handle_link(now, peer, event),
        };
        self.drain(id);
    }

    fn drain(&mut self, id: u16) {
        while let Some(output) = self.host(id).swim.poll() {
            match output {
                Output::Send { to, message } => self.send(id, to.raw(), message),
                Output::Dial { node, address } => {
                    let to: u16 = address[1..].parse().unwrap();
                    let seed = node.is_none().then_some(address);
                    if seed.is_some() || !self.connected.contains(&pair(id, to)) {
                        self.dial(id, to, seed);
                    }
                }
                Output::Event { seq, event } => {
                    self.log.push(Entry { at: self.now - self.start, node: id, seq, event });
                }
            }
        }
        let now = self.now;
        let host = self.host(id);
        let next = host.swim.poll_timeout();
        if host.wake != next && host.power == Power::Running {
            host.wake = next;
            if let Some(at) = next {
                self.schedule(at.saturating_duration_since(now), Step::Wake(id, at));
            }
        }
    }

    /// What `hew-node` does at its start: dial every seed until one answered.
    fn dial_seeds(&mut self, id: u16, incarnation: Incarnation) {
        let host = &self.hosts[&id];
        if host.incarnation != incarnation || matches!(host.power, Power::Killed | Power::Silent) {
            return;
        }
        let is_alone = host.swim.members_up() == 1;
        if is_alone && !host.seeds.is_empty() {
            for seed in host.seeds.clone() {
                let to: u16 = seed[1..].parse().unwrap();
                self.dial(id, to, Some(seed));
            }
            self.schedule(Duration::from_millis(500), Step::DialSeeds(id, incarnation));
        }
    }
}

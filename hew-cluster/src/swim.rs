//! SWIM with Lifeguard: the machine's state, its inputs and its clock.
//!
//! One file per part: [`table`](self::table) merges what is said about members, [`probing`](self::probing) watches
//! them, [`spread`](self::spread) passes news on, [`join`](self::join) brings tables together (join, digests, healing),
//! [`leaving`](self::leaving) says goodbye, [`messages`](self::messages) takes each message to the part it belongs to.

mod join;
mod leaving;
mod messages;
mod probing;
mod spread;
mod table;

use crate::broadcast::{Broadcasts, dissemination_rounds};
use crate::config::{InvalidConfig, SwimConfig};
use crate::member::Member;
use crate::membership::{LinkEvent, LocalMember, Membership, MembershipError, MembershipEvent, Output};
use crate::rotation::Rotation;
use crate::rtt::Rtt;
use crate::suspicion::Bounds;
use crate::timers::Timers;
use fastrand::Rng;
use hew_wire::membership::{MemberState, MembershipMessage, is_member_address};
use hew_wire::{Incarnation, NodeId};
use join::Seed;
use leaving::Phase;
use probing::{Probe, Relay};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// Most members of a cluster: every node id but 0.
pub const MEMBERS_MAX: usize = 65_535;
/// Most seeds, configured or learned by dialling; later ones are not remembered.
pub const SEEDS_MAX: usize = 64;
/// Most pings under way on behalf of others; further requests are not answered.
pub const RELAYS_MAX: usize = 256;
/// Largest local health multiplier of Lifeguard (its S): a troubled node probes and waits up to nine times slower.
const HEALTH_MAX: u32 = 8;

/// What the clock is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The next member's turn to be probed.
    Probe,
    /// A probe of this member goes to its next stage.
    Stage(NodeId),
    /// A ping on behalf of another node was not answered.
    Relay(u64),
    /// The suspicion of this member runs out.
    Suspicion(NodeId),
    /// News are passed on.
    Gossip,
    /// The table is compared with that of a random member.
    Sync,
    /// A dead member or a seed is dialled.
    Heal,
    /// Leaving has waited long enough.
    Leave,
}

/// SWIM membership with Lifeguard's extensions, as a pure state machine.
///
/// **What it needs.** Links that are authenticated and, while they live, ordered and reliable; [`Membership`] says in
/// which order to call. The caller dials the seeds at the start and tells `Up` with the seed's address; from then on
/// the machine finds all others by itself.
///
/// **What it bounds.** The table holds at most [`members_max`](SwimConfig::members_max) members, ever: one per node id,
/// living or not. News waiting to be passed on: one per member. Probes under way: one per member. Pings for others:
/// [`RELAYS_MAX`]. Seeds: [`SEEDS_MAX`]. Each input queues at most as many outputs as its message has updates, plus
/// one snapshot of the table; snapshots, digests, accusations and corrections go to one peer at most once per T.
///
/// **What a lying member can do.** It can name members that do not exist (up to the size of the table; they are
/// suspected, declared dead and kept as watermarks), say falsely that another has left or restarted, which costs that
/// other one a restart, and accuse others, who refute. It cannot speak for other nodes on a link, and it cannot raise an
/// incarnation beyond a day from this node's clock or 2^48, whichever is less.
#[derive(Debug)]
pub struct Swim {
    config: SwimConfig,
    local: NodeId,
    created: Instant,
    rng: Rng,
    table: BTreeMap<NodeId, Member>,
    /// The members that are up, without this node.
    rotation: Rotation,
    probes: BTreeMap<NodeId, Probe>,
    /// The round-trip times of all members together, for those not yet measured.
    rtt: Rtt,
    relays: BTreeMap<u64, Relay>,
    seq_last: u64,
    news: Broadcasts,
    gossiped: Option<Instant>,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
    event_last: u64,
    /// Lifeguard's local health multiplier: 0 when this node keeps up, to [`HEALTH_MAX`].
    health: u32,
    /// Members that this node itself found silent.
    accused: BTreeSet<NodeId>,
    is_isolated: bool,
    seeds: Vec<Seed>,
    is_joined: bool,
    /// How many rounds of anti-entropy follow the next one closely.
    syncs_early: u32,
    /// Highest incarnation for which a conflict was reported.
    conflict: Option<Incarnation>,
    phase: Phase,
}

impl Swim {
    /// A cluster of this node alone. `seed` feeds all random choices.
    ///
    /// # Errors
    /// [`InvalidConfig`] names the setting, or the part of `local`, that is out of its range.
    pub fn new(
        local: LocalMember,
        config: SwimConfig,
        seed: u64,
        now: Instant,
    ) -> Result<Swim, InvalidConfig> {
        config.validate()?;
        if local.node.is_local() {
            return Err(InvalidConfig { setting: "node", rule: "must not be 0" });
        }
        if local.incarnation > Incarnation::MAX {
            return Err(InvalidConfig { setting: "incarnation", rule: "must be at most 2^48" });
        }
        if !local.address.as_deref().is_none_or(is_member_address) {
            return Err(InvalidConfig {
                setting: "address",
                rule: "must be at most 255 bytes without control characters",
            });
        }
        let mut rng = Rng::with_seed(seed);
        let mut timers = Timers::new();
        let t = config.probe_interval;
        // Nodes that start together must not probe, sync and heal in step.
        timers.set(Timer::Probe, now + t.mul_f64(rng.f64()));
        timers.set(Timer::Sync, now + config.sync_interval.mul_f64(0.5 + rng.f64()));
        timers.set(Timer::Heal, now + config.heal_interval.mul_f64(0.5 + rng.f64()));
        let seeds =
            config.seeds.iter().map(|address| Seed { address: address.clone(), node: None }).collect();
        let me = Member::new(local.node, local.incarnation, MemberState::Alive, local.address);
        Ok(Swim {
            config,
            local: local.node,
            created: now,
            rng,
            table: BTreeMap::from([(local.node, me)]),
            rotation: Rotation::default(),
            probes: BTreeMap::new(),
            rtt: Rtt::default(),
            relays: BTreeMap::new(),
            seq_last: 0,
            news: Broadcasts::default(),
            gossiped: None,
            timers,
            outputs: VecDeque::new(),
            event_last: 0,
            health: 0,
            accused: BTreeSet::new(),
            is_isolated: false,
            seeds,
            is_joined: false,
            syncs_early: 0,
            conflict: None,
            phase: Phase::Member,
        })
    }

    /// Declares a member down at once, on the operator's word. A member that lives refutes it and comes back; to keep it
    /// out, take its key off the allowlist. Does nothing for this node itself and for members that are not up.
    pub fn force_down(&mut self, now: Instant, node: NodeId) {
        self.condemn(now, node);
    }

    /// Lifeguard's local health multiplier: 0 when this node keeps up, to 8 when it is slow or cut off. Probing is
    /// slower by this plus one.
    pub fn health(&self) -> u32 {
        self.health
    }

    /// How many members are up, with this node.
    pub fn members_up(&self) -> usize {
        self.rotation.peers().len() + 1
    }

    /// A period of this length, slowed by the local health.
    fn slowed(&self, length: Duration) -> Duration {
        length * (self.health + 1)
    }

    fn worsen_health(&mut self, by: u32) {
        self.health = self.health.saturating_add(by).min(HEALTH_MAX);
    }

    /// The bounds of a suspicion in a cluster of the present size.
    fn bounds(&self) -> Bounds {
        let members = self.members_up();
        let spread = self.config.gossip_interval * dissemination_rounds(members);
        let min = (self.config.probe_interval * self.config.suspicion_periods_min).max(2 * spread);
        Bounds {
            min,
            max: min * self.config.suspicion_factor_max,
            // Neither the suspect nor the first suspector confirms.
            confirmations: self.config.confirmations.min(members.saturating_sub(2)),
            short: self.config.refused_suspicion,
        }
    }

    fn next_seq(&mut self) -> u64 {
        self.seq_last += 1;
        self.seq_last
    }

    fn send(&mut self, to: NodeId, message: MembershipMessage) {
        self.outputs.push_back(Output::Send { to, message });
    }

    fn emit(&mut self, event: MembershipEvent) {
        self.event_last += 1;
        self.outputs.push_back(Output::Event { seq: self.event_last, event });
    }

    fn check_peer(&self, peer: NodeId) -> Result<(), MembershipError> {
        if peer.is_local() || peer == self.local {
            return Err(MembershipError::OwnId { node: peer });
        }
        Ok(())
    }

    /// Whether `last`, the time of an answer to some peer, is so recent that another one must wait.
    fn is_recent(&self, now: Instant, last: Option<Instant>) -> bool {
        last.is_some_and(|last| now.saturating_duration_since(last) < self.config.probe_interval)
    }

    /// The process was stopped, or starved, for `late`: what it did not hear meanwhile says nothing about others.
    fn resume_from_pause(&mut self, now: Instant, late: Duration) {
        let periods = late.as_nanos() / self.config.probe_interval.as_nanos().max(1);
        self.worsen_health(u32::try_from(periods).unwrap_or(HEALTH_MAX));
        for target in std::mem::take(&mut self.probes).into_keys() {
            self.timers.cancel(Timer::Stage(target));
        }
        for seq in std::mem::take(&mut self.relays).into_keys() {
            self.timers.cancel(Timer::Relay(seq));
        }
        for member in self.table.values_mut() {
            if let Some(suspicion) = &mut member.suspicion {
                suspicion.postpone(late);
            }
        }
        self.timers.set(Timer::Probe, now);
    }

    fn fire(&mut self, now: Instant, timer: Timer) {
        match timer {
            Timer::Probe => self.probe_next(now),
            Timer::Stage(target) => self.probe_stage(now, target),
            Timer::Relay(seq) => self.relay_timeout(now, seq),
            Timer::Suspicion(node) => self.suspicion_timeout(now, node),
            Timer::Gossip => self.gossip(now),
            Timer::Sync => self.sync(now),
            Timer::Heal => self.heal(now),
            Timer::Leave => self.leave_timeout(),
        }
    }
}

impl Membership for Swim {
    fn handle_message(
        &mut self,
        now: Instant,
        from: NodeId,
        message: MembershipMessage,
    ) -> Result<(), MembershipError> {
        self.receive(now, from, message)
    }

    fn handle_link(&mut self, now: Instant, peer: NodeId, event: LinkEvent) -> Result<(), MembershipError> {
        self.check_peer(peer)?;
        if !matches!(self.phase, Phase::Member) {
            return Ok(());
        }
        match event {
            LinkEvent::Up { incarnation, address, seed } => {
                self.link_up(now, peer, incarnation, address)?;
                if let Some(seed) = seed {
                    self.reach_seed(peer, seed);
                }
            }
            LinkEvent::Broken => self.link_broken(now, peer),
            LinkEvent::Idle => self.link_idle(peer),
            LinkEvent::Heard => {
                self.hear(now, peer);
                self.accuse(now, peer);
            }
            LinkEvent::Unreachable { refused } => self.dial_failed(now, peer, refused),
        }
        Ok(())
    }

    fn leave(&mut self, now: Instant) {
        self.start_leaving(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some(late) = self.timers.next().map(|due| now.saturating_duration_since(due))
            && late > self.config.probe_interval
        {
            self.resume_from_pause(now, late);
        }
        while let Some(timer) = self.timers.pop_due(now) {
            self.fire(now, timer);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn member(&self, node: NodeId) -> Option<&Member> {
        self.table.get(&node)
    }

    fn members(&self) -> impl Iterator<Item = &Member> {
        self.table.values()
    }
}

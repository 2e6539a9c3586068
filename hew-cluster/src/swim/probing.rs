//! Watching members: pings, pings through others, and what links tell.

use super::table::Source;
use super::{RELAYS_MAX, Swim, Timer};
use crate::member::Member;
use crate::membership::MembershipError;
use crate::suspicion::Evidence;
use hew_wire::membership::{MemberState, MemberUpdate, MembershipMessage, is_member_address};
use hew_wire::{Incarnation, NodeId};
use std::time::{Duration, Instant};

/// A probe of one member.
#[derive(Debug)]
pub(super) struct Probe {
    seq: u64,
    started: Instant,
    /// When it has failed at the latest.
    until: Instant,
    is_indirect: bool,
    /// Who was asked to ping it, and has not said that it did so in vain.
    helpers: Vec<NodeId>,
    /// Who said so.
    nackers: Vec<NodeId>,
}

/// A ping on behalf of another node.
#[derive(Debug)]
pub(super) struct Relay {
    requester: NodeId,
    seq: u64,
    target: NodeId,
    /// When it is given up.
    until: Instant,
}

impl Swim {
    /// The next member's turn.
    pub(super) fn probe_next(&mut self, now: Instant) {
        self.timers.set(Timer::Probe, now + self.slowed(self.config.probe_interval));
        self.retry_join();
        if let Some(target) = self.rotation.next(&mut self.rng) {
            self.start_probe(now, target);
        }
    }

    /// Pings a member, unless a probe of it is under way.
    pub(super) fn start_probe(&mut self, now: Instant, target: NodeId) {
        let t = self.config.probe_interval;
        let Some(member) = self.table.get(&target).filter(|member| member.is_up()) else { return };
        if self.probes.contains_key(&target) {
            return;
        }
        let timeout = match member.contact.rtt.mean() {
            Some(_) => member.contact.rtt.timeout(self.config.ping_timeout_min, t / 2),
            // Four times that of the others, because a link may have to be made first.
            None => (4 * self.rtt.timeout(self.config.ping_timeout_min, t / 2)).min(t / 2),
        };
        let timeout = self.slowed(timeout);
        let seq = self.next_seq();
        let probe = Probe {
            seq,
            started: now,
            until: now + self.slowed(t),
            is_indirect: false,
            helpers: Vec::new(),
            nackers: Vec::new(),
        };
        self.probes.insert(target, probe);
        self.timers.set(Timer::Stage(target), now + timeout);
        let updates = self.news_for(target);
        self.send(target, MembershipMessage::Ping { seq, updates });
    }

    /// The ping of `target` was not answered in time, or not at all.
    pub(super) fn probe_stage(&mut self, now: Instant, target: NodeId) {
        let Some(probe) = self.probes.get_mut(&target) else { return };
        if probe.is_indirect {
            self.fail_probe(now, target);
            return;
        }
        probe.is_indirect = true;
        let (seq, until) = (probe.seq, probe.until);
        self.timers.set(Timer::Stage(target), until);
        let table = &self.table;
        let is_fit = |node| {
            node != target && table.get(&node).is_some_and(|member| member.state == MemberState::Alive)
        };
        let helpers = self.rotation.sample(&mut self.rng, self.config.indirect_probes, is_fit);
        // Half of what is left of the period: if all helpers say no, the verdict need not wait for its end.
        let wait = until.saturating_duration_since(now) / 2;
        let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).max(1);
        for &helper in &helpers {
            let updates = self.news_for(helper);
            self.send(helper, MembershipMessage::PingRequest { seq, target, wait_ms, updates });
        }
        if let Some(probe) = self.probes.get_mut(&target) {
            probe.helpers = helpers;
        }
    }

    fn fail_probe(&mut self, now: Instant, target: NodeId) {
        let Some(probe) = self.probes.remove(&target) else { return };
        self.timers.cancel(Timer::Stage(target));
        // Helpers that did not even say no: the trouble may be here. Without any helper nothing can be told apart.
        let silent = probe.helpers.len() as u32;
        self.worsen_health(if probe.nackers.is_empty() { silent.max(1) } else { silent });
        // Each helper that pinged in vain has seen it for itself.
        let mut suspectors = vec![self.local];
        suspectors.extend(probe.nackers);
        self.suspect(now, target, &suspectors, Evidence::Probes, Source::Own);
    }

    /// Anything came from `node`.
    pub(super) fn hear(&mut self, now: Instant, node: NodeId) {
        let Some(member) = self.table.get_mut(&node) else { return };
        member.contact.heard = Some(now);
        self.pass_probe(node);
    }

    fn pass_probe(&mut self, target: NodeId) {
        if self.probes.remove(&target).is_some() {
            self.timers.cancel(Timer::Stage(target));
            self.health = self.health.saturating_sub(1);
        }
    }

    pub(super) fn sample_rtt(&mut self, now: Instant, from: NodeId, seq: u64) {
        if let Some(probe) = self.probes.get(&from).filter(|probe| probe.seq == seq)
            && let Some(member) = self.table.get_mut(&from)
        {
            let rtt = now.saturating_duration_since(probe.started);
            member.contact.rtt.sample(rtt);
            self.rtt.sample(rtt);
        }
    }

    /// An ack of `seq`: to a relayed ping, or from a helper. (That of the target itself counts as being heard.)
    pub(super) fn take_ack(&mut self, from: NodeId, seq: u64) {
        if self.relays.get(&seq).is_some_and(|relay| relay.target == from) {
            if let Some(relay) = self.relays.remove(&seq) {
                self.timers.cancel(Timer::Relay(seq));
                let updates = self.news_for(relay.requester);
                self.send(relay.requester, MembershipMessage::Ack { seq: relay.seq, updates });
            }
            return;
        }
        if let Some(target) = self.helped_probe(from, seq) {
            self.pass_probe(target);
        }
    }

    pub(super) fn take_nack(&mut self, now: Instant, from: NodeId, seq: u64) {
        let Some(target) = self.helped_probe(from, seq) else { return };
        let Some(probe) = self.probes.get_mut(&target) else { return };
        probe.helpers.retain(|&helper| helper != from);
        probe.nackers.push(from);
        if probe.helpers.is_empty() {
            self.fail_probe(now, target);
        }
    }

    /// The target of the probe `seq` for which `helper` was asked.
    fn helped_probe(&self, helper: NodeId, seq: u64) -> Option<NodeId> {
        let is_it = |probe: &Probe| probe.seq == seq && probe.helpers.contains(&helper);
        self.probes.iter().find(|(_, probe)| is_it(probe)).map(|(&target, _)| target)
    }

    /// Pings `target` for `requester`.
    pub(super) fn relay_ping(
        &mut self,
        now: Instant,
        requester: NodeId,
        seq: u64,
        target: NodeId,
        wait: Duration,
    ) {
        if target == self.local {
            let updates = self.news_for(requester);
            self.send(requester, MembershipMessage::Ack { seq, updates });
            return;
        }
        // No answer if there was no try: a nack counts as having seen the target silent.
        let is_up = self.table.get(&target).is_some_and(Member::is_up);
        if !is_up || target == requester || self.relays.len() >= RELAYS_MAX {
            return;
        }
        let wait = wait.min(self.config.probe_interval * (super::HEALTH_MAX + 1));
        let own_seq = self.next_seq();
        self.relays.insert(own_seq, Relay { requester, seq, target, until: now + wait });
        self.timers.set(Timer::Relay(own_seq), now + wait * 4 / 5);
        let updates = self.news_for(target);
        self.send(target, MembershipMessage::Ping { seq: own_seq, updates });
    }

    /// At 80 % of the wait the requester is told no; at its end the relay is forgotten.
    pub(super) fn relay_timeout(&mut self, now: Instant, seq: u64) {
        let Some(relay) = self.relays.get(&seq) else { return };
        if now >= relay.until {
            self.relays.remove(&seq);
            return;
        }
        let (requester, asked) = (relay.requester, relay.seq);
        self.timers.set(Timer::Relay(seq), relay.until);
        let updates = self.news_for(requester);
        self.send(requester, MembershipMessage::Nack { seq: asked, updates });
    }

    /// A link is up: the peer is alive, with this incarnation and at this address.
    pub(super) fn link_up(
        &mut self,
        now: Instant,
        peer: NodeId,
        incarnation: Incarnation,
        address: Option<String>,
    ) -> Result<(), MembershipError> {
        let invalid = |reason| MembershipError::InvalidUpdate { from: peer, node: peer, reason };
        if incarnation > Incarnation::MAX {
            return Err(invalid("its incarnation is above 2^48"));
        }
        let address = address.unwrap_or_default();
        if !is_member_address(&address) {
            return Err(invalid("its address is too long or has control characters"));
        }
        let known = self.table.get(&peer).map(|member| member.incarnation);
        let update = MemberUpdate {
            node: peer,
            incarnation,
            refutation: 0,
            state: MemberState::Alive,
            address,
            suspectors: Vec::new(),
        };
        match known {
            None => self.add(now, &update, Source::Gossip)?,
            Some(known) if known > incarnation => {
                if let Some(member) = self.table.get_mut(&peer) {
                    member.contact.linked = Some(incarnation);
                }
                self.correct(now, peer, peer);
                return Err(MembershipError::Stale { node: peer, known, given: incarnation });
            }
            Some(known) if known < incarnation => self.replace(now, &update, Source::Gossip),
            Some(_) => {}
        }
        let Some(member) = self.table.get_mut(&peer) else { return Ok(()) };
        member.contact.linked = Some(incarnation);
        member.contact.is_broken = false;
        if !update.address.is_empty() && member.address() != Some(&update.address) {
            member.address = Some(update.address);
        }
        // What was said on an earlier link may be lost.
        member.contact.corrected = None;
        self.hear(now, peer);
        self.accuse(now, peer);
        Ok(())
    }

    /// A link broke: see at once whether the peer is still there.
    pub(super) fn link_broken(&mut self, now: Instant, peer: NodeId) {
        let Some(member) = self.table.get_mut(&peer) else { return };
        let was_current = member.contact.linked.take() == Some(member.incarnation);
        if was_current {
            member.contact.is_broken = true;
            self.start_probe(now, peer);
        }
    }

    /// A link was closed because nothing was sent on it. If the next dial is refused, it is as after a link that broke.
    pub(super) fn link_idle(&mut self, peer: NodeId) {
        let Some(member) = self.table.get_mut(&peer) else { return };
        member.contact.is_broken |= member.contact.linked.take() == Some(member.incarnation);
    }

    /// The peer could not be dialled.
    pub(super) fn dial_failed(&mut self, now: Instant, peer: NodeId, refused: bool) {
        let Some(member) = self.table.get(&peer).filter(|member| member.is_up()) else { return };
        if member.is_linked() {
            return;
        }
        if refused && (member.contact.is_broken || member.state == MemberState::Suspect) {
            // It was there, and now its machine says that nobody listens: the process is gone, in all likelihood. Without a
            // link before, the refusal alone could come from a wrong address.
            let me = [self.local];
            self.suspect(now, peer, &me, Evidence::Refused, Source::Own);
            // The probe that the break started has its answer.
            self.probes.remove(&peer);
            self.timers.cancel(Timer::Stage(peer));
            return;
        }
        // No use to wait for an answer to a ping that was not sent: others may get through.
        match self.probes.get(&peer) {
            Some(probe) if !probe.is_indirect => self.probe_stage(now, peer),
            Some(_) => {}
            None if member.state == MemberState::Alive => self.start_probe(now, peer),
            None => {}
        }
    }
}

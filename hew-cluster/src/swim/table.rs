//! Merging what is said about members into the table, and what follows from each change.

use super::{Swim, Timer};
use crate::member::{Claim, Contact, Member, Verdict, compare};
use crate::membership::{DownReason, MembershipError, MembershipEvent};
use crate::suspicion::{Evidence, Suspicion};
use hew_wire::membership::{MemberState, MemberUpdate, MembershipMessage, is_member_address};
use hew_wire::{Incarnation, NodeId};
use std::time::Instant;

/// How far ahead of this node's clock a rumour may put an incarnation: one day, in milliseconds.
const INCARNATION_AHEAD_MAX: u64 = 86_400_000;
/// Incarnations from here on are taken for milliseconds since 1970 (November 2004), below for a counter.
const INCARNATION_CLOCK_MIN: u64 = 1 << 40;

/// How far ahead of what is known a rumour may put a refutation: far more than a node can have refuted unheard, and
/// far from the end of the numbers, where the node could refute no more.
const REFUTATION_AHEAD_MAX: u32 = 1024;

/// Why isolation is reviewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// This node found one more member silent.
    Accused,
    /// A suspect has refuted.
    Acquitted,
    /// A member is down.
    Ended,
}

/// Where a statement about a member comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// This node's own observation: passed on.
    Own,
    /// News on their way through the cluster: passed on.
    Gossip,
    /// The differences between two tables: passed on, because they may join two halves of a cluster.
    Sync,
    /// The table that a newcomer is given: not passed on, because all others have it.
    Snapshot,
}

impl Swim {
    /// Applies every update that is valid; the first that is not is the error.
    pub(super) fn apply_all(
        &mut self,
        now: Instant,
        from: NodeId,
        updates: &[MemberUpdate],
        source: Source,
    ) -> Result<(), MembershipError> {
        let mut result = Ok(());
        for update in updates {
            result = result.and(self.apply(now, from, update, source));
        }
        result
    }

    pub(super) fn apply(
        &mut self,
        now: Instant,
        from: NodeId,
        update: &MemberUpdate,
        source: Source,
    ) -> Result<(), MembershipError> {
        let invalid = |reason| MembershipError::InvalidUpdate { from, node: update.node, reason };
        if update.node.is_local() {
            return Err(invalid("0 is not a node id"));
        }
        if !is_member_address(&update.address) {
            return Err(invalid("its address is too long or has control characters"));
        }
        if update.node == self.local {
            self.hear_of_self(now, from, update);
            return Ok(());
        }
        let known = self.table.get(&update.node).map(Claim::from);
        if known.is_none_or(|known| update.incarnation > known.incarnation) {
            self.check_rumoured_incarnation(now, update.incarnation).map_err(invalid)?;
        }
        let Some(known) = known else {
            return self.add(now, update, source);
        };
        if update.incarnation == known.incarnation
            && update.refutation.saturating_sub(known.refutation) > REFUTATION_AHEAD_MAX
        {
            return Err(invalid("its refutation is too far ahead of what is known"));
        }
        match compare(known, update.into()) {
            Verdict::Replaces => self.replace(now, update, source),
            Verdict::Newer => self.advance(now, from, update, source),
            Verdict::Same => self.confirm(now, update, source),
            Verdict::Older => {}
            Verdict::Stale => self.correct(now, from, update.node),
        }
        Ok(())
    }

    /// A rumour must not raise a watermark so high that the node it speaks of could never come back.
    fn check_rumoured_incarnation(&self, now: Instant, incarnation: Incarnation) -> Result<(), &'static str> {
        if incarnation > Incarnation::MAX {
            return Err("its incarnation is above 2^48");
        }
        let own = self.table[&self.local].incarnation.0;
        let elapsed = now.saturating_duration_since(self.created).as_millis() as u64;
        let limit = own.saturating_add(elapsed).saturating_add(INCARNATION_AHEAD_MAX);
        if own >= INCARNATION_CLOCK_MIN && incarnation.0 > limit {
            return Err("its incarnation is more than a day ahead of this node's clock");
        }
        Ok(())
    }

    /// A member that was not known.
    pub(super) fn add(
        &mut self,
        now: Instant,
        update: &MemberUpdate,
        source: Source,
    ) -> Result<(), MembershipError> {
        if self.table.len() >= self.config.members_max {
            return Err(MembershipError::TableFull { node: update.node, limit: self.config.members_max });
        }
        let address = Some(update.address.clone()).filter(|address| !address.is_empty());
        let member = Member::new(update.node, update.incarnation, MemberState::Left, address);
        self.table.insert(update.node, member);
        self.enter(now, update, source);
        Ok(())
    }

    /// A later start of a member: the earlier one is down, now.
    pub(super) fn replace(&mut self, now: Instant, update: &MemberUpdate, source: Source) {
        self.take_down(now, update.node, MemberState::Dead, DownReason::Replaced);
        let Some(member) = self.table.get_mut(&update.node) else { return };
        member.incarnation = update.incarnation;
        member.address = Some(update.address.clone()).filter(|address| !address.is_empty());
        member.contact = Contact { linked: member.contact.linked, ..Contact::default() };
        self.enter(now, update, source);
    }

    /// The first statement about an incarnation that is in the table but not up.
    fn enter(&mut self, now: Instant, update: &MemberUpdate, source: Source) {
        let Some(member) = self.table.get_mut(&update.node) else { return };
        member.refutation = update.refutation;
        match update.state {
            MemberState::Alive => self.bring_up(now, update.node, source),
            MemberState::Suspect => {
                self.bring_up(now, update.node, source);
                self.suspect(now, update.node, &update.suspectors, Evidence::Probes, source);
            }
            // It was never up here, so nobody needs to hear that it is down; the watermark stays.
            MemberState::Dead | MemberState::Left => {
                member.state = update.state;
                member.contact.died = Some(now);
            }
        }
    }

    /// News of the incarnation that is known.
    fn advance(&mut self, now: Instant, from: NodeId, update: &MemberUpdate, source: Source) {
        let node = update.node;
        let Some(member) = self.table.get_mut(&node) else { return };
        let known = member.state;
        member.refutation = update.refutation;
        // Learned once; only the member's own link may change it, else a rumour could.
        if member.address.is_none() && !update.address.is_empty() {
            member.address = Some(update.address.clone());
        }
        match (known, update.state) {
            (MemberState::Left, _) => {}
            (_, MemberState::Left) => {
                self.take_down(now, node, MemberState::Left, DownReason::Left);
                self.tell(now, node, source);
            }
            (MemberState::Alive, MemberState::Alive) => self.tell(now, node, source),
            (MemberState::Suspect, MemberState::Alive) => {
                self.acquit(node);
                self.tell(now, node, source);
            }
            (MemberState::Dead, MemberState::Alive) => {
                self.bring_up(now, node, source);
                if from == node {
                    // It was cut off, perhaps with others: see what else is known on its side.
                    self.send_digest(node);
                }
            }
            (MemberState::Alive, MemberState::Suspect) => {
                self.suspect(now, node, &update.suspectors, Evidence::Probes, source);
            }
            (MemberState::Suspect, MemberState::Suspect) => {
                // It has refuted the suspicion that is known and was suspected again.
                member.suspicion = None;
                self.accused.remove(&node);
                self.suspect(now, node, &update.suspectors, Evidence::Probes, source);
            }
            (MemberState::Dead, MemberState::Suspect) => {
                self.bring_up(now, node, source);
                self.suspect(now, node, &update.suspectors, Evidence::Probes, source);
            }
            (MemberState::Alive | MemberState::Suspect, MemberState::Dead) => {
                self.suspect(now, node, &[], Evidence::DeclaredDead, source);
            }
            (MemberState::Dead, MemberState::Dead) => {}
        }
    }

    /// The same statement again: it may add confirmations and an address.
    fn confirm(&mut self, now: Instant, update: &MemberUpdate, source: Source) {
        let Some(member) = self.table.get_mut(&update.node) else { return };
        if member.address.is_none() && !update.address.is_empty() {
            member.address = Some(update.address.clone());
        }
        if update.state == MemberState::Suspect {
            self.suspect(now, update.node, &update.suspectors, Evidence::Probes, source);
        }
    }

    /// Suspects a member that is up, or adds to the suspicion.
    pub(super) fn suspect(
        &mut self,
        now: Instant,
        node: NodeId,
        suspectors: &[NodeId],
        evidence: Evidence,
        source: Source,
    ) {
        let bounds = self.bounds();
        let Some(member) = self.table.get_mut(&node).filter(|member| member.is_up()) else { return };
        let (was, incarnation) = (member.state, member.incarnation);
        let is_new = member.suspicion.is_none();
        let suspicion = member.suspicion.get_or_insert_with(|| Suspicion::new(now));
        // Nobody suspects itself, and others cannot suspect in this node's name.
        let local = self.local;
        let is_fit = |&suspector: &NodeId| {
            suspector != node && !suspector.is_local() && (suspector != local || source == Source::Own)
        };
        let is_confirmed = suspicion.confirm(suspectors.iter().copied().filter(is_fit));
        suspicion.strengthen(evidence);
        let evidence = suspicion.evidence();
        member.state = MemberState::Suspect;
        self.timers.set(Timer::Suspicion(node), suspicion.deadline(bounds));
        if was == MemberState::Alive {
            self.emit(MembershipEvent::Suspect { node, incarnation });
        }
        // A machine that refuses connections is heard, so it says nothing about this node's own network.
        if evidence == Evidence::Refused {
            if self.accused.remove(&node) {
                self.review_isolation(Change::Ended);
            }
        } else if source == Source::Own && self.accused.insert(node) {
            self.review_isolation(Change::Accused);
        }
        if is_new || is_confirmed {
            self.tell(now, node, source);
        }
        if is_new && source != Source::Snapshot {
            if source == Source::Own {
                self.accuse(now, node);
            } else if self.rng.f64() * (self.members_up() as f64) < 5.0 {
                // About five members look for themselves, else confirmations would take several T to come. The ping
                // tells the suspect, too.
                self.start_probe(now, node);
            }
        }
    }

    /// The suspicion of `node` may have run out.
    pub(super) fn suspicion_timeout(&mut self, now: Instant, node: NodeId) {
        let (bounds, limit) = (self.bounds(), self.config.suspicion_factor_max);
        let Some(member) = self.table.get_mut(&node) else { return };
        let heard = member.contact.heard;
        let Some(suspicion) = &mut member.suspicion else { return };
        let evidence = suspicion.evidence();
        let deadline = suspicion.deadline(bounds);
        if deadline > now {
            self.timers.set(Timer::Suspicion(node), deadline);
            return;
        }
        if suspicion.extend_if_heard(now, heard, bounds.min, limit) {
            self.timers.set(Timer::Suspicion(node), suspicion.deadline(bounds).max(now + bounds.short));
            member.contact.corrected = None;
            self.accuse(now, node);
            return;
        }
        let reason = match evidence {
            Evidence::Probes => {
                if self.is_isolated && now < deadline + self.config.isolation_hold {
                    self.timers.set(Timer::Suspicion(node), now + self.config.probe_interval / 2);
                    return;
                }
                DownReason::Timeout
            }
            Evidence::DeclaredDead => DownReason::Timeout,
            Evidence::Refused => DownReason::Refused,
        };
        self.take_down(now, node, MemberState::Dead, reason);
        self.tell(now, node, Source::Gossip);
    }

    /// Declares a member down on the operator's word.
    pub(super) fn condemn(&mut self, now: Instant, node: NodeId) {
        if node != self.local && self.table.get(&node).is_some_and(Member::is_up) {
            self.take_down(now, node, MemberState::Dead, DownReason::Forced);
            self.tell(now, node, Source::Gossip);
        }
    }

    fn bring_up(&mut self, now: Instant, node: NodeId, source: Source) {
        let Some(member) = self.table.get_mut(&node) else { return };
        member.state = MemberState::Alive;
        member.contact.died = None;
        let event =
            MembershipEvent::Up { node, incarnation: member.incarnation, address: member.address.clone() };
        self.rotation.insert(&mut self.rng, node);
        self.emit(event);
        self.tell(now, node, source);
    }

    /// A suspicion is over because the suspect refuted it.
    fn acquit(&mut self, node: NodeId) {
        let Some(member) = self.table.get_mut(&node) else { return };
        member.state = MemberState::Alive;
        member.suspicion = None;
        let incarnation = member.incarnation;
        self.timers.cancel(Timer::Suspicion(node));
        self.accused.remove(&node);
        self.emit(MembershipEvent::Alive { node, incarnation });
        self.review_isolation(Change::Acquitted);
    }

    /// Ends a member that is up, or one that is dead and now has left.
    fn take_down(&mut self, now: Instant, node: NodeId, state: MemberState, reason: DownReason) {
        let Some(member) = self.table.get_mut(&node) else { return };
        let (was_up, incarnation) = (member.is_up(), member.incarnation);
        member.state = state;
        member.suspicion = None;
        member.contact.died.get_or_insert(now);
        if was_up {
            self.timers.cancel(Timer::Suspicion(node));
            self.timers.cancel(Timer::Stage(node));
            self.probes.remove(&node);
            self.rotation.remove(node);
            self.accused.remove(&node);
            self.emit(MembershipEvent::Down { node, incarnation, reason });
            self.review_isolation(Change::Ended);
        }
    }

    /// Somebody speaks about this node.
    fn hear_of_self(&mut self, now: Instant, from: NodeId, update: &MemberUpdate) {
        let Some(me) = self.table.get_mut(&self.local) else { return };
        match compare(Claim::from(&*me), update.into()) {
            Verdict::Replaces => self.report_conflict(update.incarnation),
            Verdict::Stale => self.correct(now, from, self.local),
            Verdict::Same => {}
            // Somebody has not heard yet that this is refuted.
            Verdict::Older => self.tell_of_self(now, from),
            Verdict::Newer if update.state == MemberState::Left => self.report_conflict(update.incarnation),
            Verdict::Newer => {
                // At the limit the accusation cannot be refuted any more; only a restart helps.
                me.refutation = update.refutation.saturating_add(1);
                // Lifeguard: who is suspected may be the slow one.
                self.worsen_health(1);
                self.tell(now, self.local, Source::Gossip);
                self.tell_of_self(now, from);
            }
        }
    }

    fn tell_of_self(&mut self, now: Instant, to: NodeId) {
        let Some(peer) = self.table.get_mut(&to) else { return };
        peer.contact.corrected = Some(now);
        let updates = vec![self.table[&self.local].update()];
        self.send(to, MembershipMessage::Gossip { updates });
    }

    /// This node's id is known with a later incarnation, or as having left.
    pub(super) fn report_conflict(&mut self, claimed: Incarnation) {
        let own = self.table[&self.local].incarnation;
        if claimed >= own && self.conflict.is_none_or(|reported| claimed > reported) {
            self.conflict = Some(claimed);
            self.emit(MembershipEvent::Conflict { claimed });
        }
    }

    /// Whether so many members are silent for this node that it must be the one that is cut off.
    fn seems_isolated(&self) -> bool {
        self.accused.len() >= 3 && self.accused.len() * 3 >= self.rotation.peers().len()
    }

    /// Called when the number of accused, or of members, has changed for the reason `change`.
    fn review_isolation(&mut self, change: Change) {
        match (self.is_isolated, self.seems_isolated()) {
            (false, true) if change == Change::Accused => {
                self.is_isolated = true;
                self.worsen_health(super::HEALTH_MAX);
                self.emit(MembershipEvent::Isolated { suspects: self.accused.len() });
            }
            (true, false) => {
                self.is_isolated = false;
                // Else the slow probing that made sense while cut off would go on for many T.
                self.health = self.health.min(2);
                if change == Change::Acquitted {
                    self.emit(MembershipEvent::Rejoined);
                }
            }
            (false, _) | (true, true) => {}
        }
    }
}

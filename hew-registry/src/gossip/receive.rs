//! What the gossip registry does with what others say.

use super::Gossip;
use crate::RegistryError;
use crate::log::{Authority, Effect};
use crate::peers::{Presence, Scan};
use crate::pulls::{Active, Offer, Repair};
use hew_wire::NodeId;
use hew_wire::registry::{OwnerDigest, PAGE_DELETES_MAX, PAGE_PUTS_MAX, Page, Pull, RegistryMessage};
use std::time::Instant;

/// What became of a page.
enum Verdict {
    /// It was merged.
    Applied,
    /// It says nothing new.
    Stale,
    /// Changes before it are missing.
    Early,
}

impl Gossip {
    pub(super) fn receive(
        &mut self,
        now: Instant,
        from: NodeId,
        message: RegistryMessage,
    ) -> Result<(), RegistryError> {
        if !self.has_session(from) {
            return Err(RegistryError::NoSession { from });
        }
        match message {
            RegistryMessage::Summary { fingerprint } => {
                if fingerprint != self.fingerprint() {
                    self.send_digest(now, from, true);
                }
            }
            RegistryMessage::Digest { owners, reply } => {
                check_digest(&owners)?;
                for digest in owners {
                    self.on_digest(from, digest);
                }
                self.pump(now);
                if reply {
                    self.send_digest(now, from, false);
                }
            }
            RegistryMessage::Pull(pull) => self.begin_answer(from, &pull),
            RegistryMessage::Page(page) => {
                check_page(&page)?;
                self.on_page(now, from, page)?;
                self.pump(now);
            }
        }
        Ok(())
    }

    fn on_digest(&mut self, from: NodeId, digest: OwnerDigest) {
        let OwnerDigest { owner, incarnation, seq, content } = digest;
        if owner == self.own.node {
            // Only this node knows its own log; who has it wrong finds out by this node's digest.
            return;
        }
        let held = match self.peers.get(&owner) {
            Some(peer) if incarnation < peer.incarnation => return,
            Some(peer) if peer.is_up(incarnation) => peer.copy.as_ref(),
            _ => None,
        };
        let repair = match held {
            Some(copy) if from == owner && seq < copy.log.seq() => Repair::Position,
            Some(copy) if from == owner && seq == copy.log.seq() && content != copy.log.digest().content => {
                Repair::Content
            }
            Some(copy) if seq <= copy.log.seq() => return,
            Some(_) => Repair::No,
            None if seq == 0 => return,
            None => Repair::No,
        };
        self.offer(owner, Offer { incarnation, seq, peer: from, repair });
    }

    fn offer(&mut self, owner: NodeId, offer: Offer) {
        let up = self.peers.get(&owner).filter(|peer| peer.presence == Presence::Up);
        let live = up.map(|peer| peer.incarnation);
        self.pulls.offer(owner, live, offer);
        if live.is_some() {
            self.pulls.make_ready(owner);
        }
    }

    fn on_page(&mut self, now: Instant, from: NodeId, page: Page) -> Result<(), RegistryError> {
        let (owner, incarnation, head) = (page.owner, page.incarnation, page.head);
        if owner == self.own.node {
            self.stats.pages_ignored += 1;
            return Ok(());
        }
        let hint = Offer { incarnation, seq: head, peer: from, repair: Repair::No };
        let known = self.peers.get_mut(&owner);
        if known.as_ref().is_some_and(|peer| incarnation < peer.incarnation) {
            self.stats.pages_ignored += 1;
            return Ok(());
        }
        let Some(peer) = known.filter(|peer| peer.is_up(incarnation)) else {
            // Membership has not said yet that it is up; then the offer will be taken up.
            self.stats.pages_ignored += 1;
            self.offer(owner, hint);
            return Ok(());
        };
        let held = peer.copy_mut(owner).log.names();
        // While a copy catches up it may hold names that are gone already, beside those that replaced them.
        let owner_limit = self.config.names_per_owner_max.saturating_mul(2);
        if held.saturating_add(page.puts.len()) > owner_limit {
            return Err(RegistryError::OwnerFull { owner, limit: owner_limit });
        }
        if self.names.saturating_add(page.puts.len()) > self.config.names_max {
            return Err(RegistryError::TableFull { limit: self.config.names_max });
        }

        let is_answer = |pull: &Active| pull.peer == from && page.answer == Some(pull.number);
        let asked = self.pulls.active(owner).copied().filter(is_answer);
        let end = asked.filter(|_| page.end);
        let news = (page.forward && page.answer.is_none()).then(|| page.clone());
        let is_push = page.answer.is_none();
        let verdict = match page.scan {
            Some(since) => match asked {
                Some(pull) => self.scan_page(pull, since, page),
                None => Verdict::Stale,
            },
            None => self.next_page(page),
        };
        match verdict {
            Verdict::Applied => {
                self.stats.pages_applied += 1;
                if let Some(page) = news {
                    self.forward(from, page);
                }
            }
            Verdict::Early => {
                self.stats.pages_early += 1;
                self.offer(owner, hint);
            }
            Verdict::Stale => {
                self.stats.pages_stale += 1;
                let is_behind = self.copy_seq(owner).is_some_and(|seq| head < seq);
                if from == owner && is_push && is_behind {
                    self.offer(owner, Offer { repair: Repair::Position, ..hint });
                }
            }
        }
        if asked.is_some()
            && let Some(pull) = self.pulls.active_mut(owner)
        {
            pull.deadline = now + self.config.pull_timeout;
        }
        if let Some(pull) = end {
            self.answered(now, owner, pull, head);
        }
        Ok(())
    }

    /// A page of changes that continues the copy, or does not.
    fn next_page(&mut self, page: Page) -> Verdict {
        let (owner, after, upto) = (page.owner, page.after, page.upto);
        match self.copy_seq(owner) {
            Some(seq) if after > seq => Verdict::Early,
            Some(seq) if upto > seq => {
                self.merge(page, Authority::Adds);
                if let Some(peer) = self.peers.get_mut(&owner) {
                    peer.copy_mut(owner).log.advance(upto);
                }
                Verdict::Applied
            }
            Some(_) | None => Verdict::Stale,
        }
    }

    /// A page of a scan, in answer to `pull`.
    fn scan_page(&mut self, pull: Active, since: u64, page: Page) -> Verdict {
        let (owner, after, upto, head) = (page.owner, page.after, page.upto, page.head);
        let Some(peer) = self.peers.get_mut(&owner) else { return Verdict::Stale };
        let scan = &mut peer.copy_mut(owner).scan;
        if after == 0 {
            *scan = Some(Scan { since, cursor: 0 });
        }
        if *scan != Some(Scan { since, cursor: after }) {
            return Verdict::Stale;
        }
        *scan = Some(Scan { since, cursor: upto });
        let authority = if pull.peer == owner { Authority::Overrules } else { Authority::Adds };
        self.merge(page, authority);
        if upto < head {
            return Verdict::Applied;
        }
        let Some(peer) = self.peers.get_mut(&owner) else { return Verdict::Applied };
        let copy = peer.copy_mut(owner);
        copy.scan = None;
        let (incarnation, seq) = (copy.log.owner().incarnation, copy.log.seq());
        copy.log.advance(head);
        copy.log.end_scan(since);
        if authority == Authority::Overrules {
            self.stats.rereads += u64::from(pull.repair != Repair::No);
            let before = copy.log.names();
            let effects = copy.log.truncate(&self.table, head);
            self.names -= before - copy.log.names();
            effects.into_iter().for_each(|effect| self.tell(effect));
            if seq > head {
                // What was beyond is a lie, or news that overtook this answer: the owner knows.
                self.offer(owner, Offer { incarnation, seq, peer: owner, repair: Repair::No });
            }
        }
        Verdict::Applied
    }

    /// Merges a page into the copy, tells what that did to lookups, and takes own entries back that lost.
    fn merge(&mut self, page: Page, authority: Authority) {
        let owner = page.owner;
        for put in &page.puts {
            self.clock.observe(put.stamp);
        }
        let Some(peer) = self.peers.get_mut(&owner) else { return };
        let log = &mut peer.copy_mut(owner).log;
        let before = log.names();
        let effects = log.apply(&self.table, page, authority, self.config.deletes_per_owner_max);
        self.names = self.names - before + log.names();
        let is_contested = |effect: &&Effect| effect.change.contested;
        let contested = effects.iter().filter(is_contested).map(|effect| effect.name.clone()).collect();
        effects.into_iter().for_each(|effect| self.tell(effect));
        self.yield_lost(contested);
    }

    /// The last page of an answer came: pulls on, or frees the slot.
    fn answered(&mut self, now: Instant, owner: NodeId, pull: Active, head: u64) {
        let Some(peer) = self.peers.get_mut(&owner) else { return };
        let incarnation = peer.incarnation;
        let copy = peer.copy_mut(owner);
        let (seq, scan) = (copy.log.seq(), copy.scan);
        let progress = (seq, scan.map_or(0, |scan| scan.cursor));
        let is_done = scan.is_none() && seq >= head;
        if is_done || progress == pull.progress {
            self.end_pull(owner);
            return;
        }
        let deadline = now + self.config.pull_timeout;
        let number = self.next_number();
        self.pulls.start(owner, Active { number, deadline, progress, ..pull });
        let (after, scan) = scan.map_or((seq, None), |scan| (scan.cursor, Some(scan.since)));
        self.send_pull(pull.peer, Pull { number, owner, incarnation, after, scan });
    }

    fn copy_seq(&self, owner: NodeId) -> Option<u64> {
        self.peers.get(&owner)?.copy.as_ref().map(|copy| copy.log.seq())
    }
}

fn check_digest(owners: &[OwnerDigest]) -> Result<(), RegistryError> {
    if owners.iter().any(|digest| digest.owner.is_local()) {
        return Err(RegistryError::NoOwner);
    }
    Ok(())
}

/// Checks everything about a page that can be checked without knowing the copy.
fn check_page(page: &Page) -> Result<(), RegistryError> {
    let Page { owner, after, upto, head, .. } = *page;
    let bad = |reason| Err(RegistryError::BadPage { owner, reason });
    if owner.is_local() {
        return Err(RegistryError::NoOwner);
    }
    if page.puts.len() > PAGE_PUTS_MAX || page.deletes.len() > PAGE_DELETES_MAX {
        return bad("too many changes");
    }
    if after > upto || upto > head || page.scan.is_some_and(|since| since > head) {
        return bad("its range is reversed");
    }
    let puts = page.puts.iter().map(|put| put.seq);
    let deletes = page.deletes.iter().map(|delete| delete.seq);
    if !rises_within(puts, after, upto) || !rises_within(deletes, after, upto) {
        return bad("its changes are out of order or out of range");
    }
    match page.puts.iter().find(|put| put.pid.node() != owner) {
        Some(put) => Err(RegistryError::ForeignPid { owner, pid: put.pid }),
        None => Ok(()),
    }
}

/// Whether each number is greater than the one before it, and all are from `after + 1` to `upto`.
fn rises_within(mut seqs: impl Iterator<Item = u64>, after: u64, upto: u64) -> bool {
    let mut last = after;
    seqs.all(|seq| std::mem::replace(&mut last, seq) < seq && seq <= upto)
}

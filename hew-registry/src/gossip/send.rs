//! What the gossip registry says to others: pushes, digests, pulls and the answers to them.

use super::Gossip;
use super::outbox::{ANSWER_PAGES_MAX, Answer, Item};
use crate::Output;
use crate::log::Log;
use crate::peers::Peer;
use crate::pulls::{Active, Repair};
use hew_wire::NodeId;
use hew_wire::registry::{DIGEST_OWNERS_MAX, OwnerDigest, Page, Pull, RegistryMessage};
use std::time::{Duration, Instant};

/// Most pages that are pushed at once. If more changed between two drains, only the digest is pushed, and the
/// receivers pull at their own speed.
const PUSH_PAGES_MAX: usize = 8;
/// Shortest time between two full digests to the same peer: a full digest is much larger than what asks for it.
const DIGEST_GAP: Duration = Duration::from_millis(100);

impl Gossip {
    pub(super) fn next_output(&mut self) -> Option<Output> {
        loop {
            match self.outbox.next() {
                Some(Item::Event(event)) => return Some(Output::Event(event)),
                Some(Item::Send { mut to, message }) => {
                    let Some(node) = to.pop() else { continue };
                    if to.is_empty() {
                        return Some(Output::Send { to: node, message });
                    }
                    self.outbox.put_back(Item::Send { to, message: message.clone() });
                    return Some(Output::Send { to: node, message });
                }
                Some(Item::Answer(answer)) => {
                    if let Some(output) = self.answer_page(answer) {
                        return Some(output);
                    }
                }
                None if self.pushed < self.own.log.seq() => self.push(),
                None => return None,
            }
        }
    }

    /// Pushes the own changes that were not pushed yet.
    fn push(&mut self) {
        let log = &self.own.log;
        if self.sessions.is_empty() {
            self.pushed = log.seq();
            return;
        }
        let forward = self.sessions.len() > self.config.direct_peers_max;
        let mut messages = Vec::new();
        let mut after = self.pushed;
        while after < log.seq() && log.can_continue(after, None) && messages.len() < PUSH_PAGES_MAX {
            let page = Page { forward, ..log.page(after, None) };
            after = page.upto;
            messages.push(RegistryMessage::Page(page));
        }
        if after < log.seq() {
            messages = vec![RegistryMessage::Digest { owners: vec![log.digest()], reply: false }];
        }
        self.pushed = log.seq();
        let to = if forward { self.draw_peers(&[]) } else { self.sessions.clone() };
        for message in messages {
            self.outbox.send(to.clone(), message);
        }
    }

    /// Passes a page on to a few others.
    pub(super) fn forward(&mut self, from: NodeId, page: Page) {
        let to = self.draw_peers(&[from, page.owner]);
        self.outbox.send(to, RegistryMessage::Page(page));
    }

    /// Up to [`crate::Config::fanout`] different random peers with a session.
    fn draw_peers(&mut self, except: &[NodeId]) -> Vec<NodeId> {
        let mut peers: Vec<_> = self.sessions.iter().copied().filter(|peer| !except.contains(peer)).collect();
        let count = peers.len().min(self.config.fanout);
        for i in 0..count {
            let j = self.rng.usize(i..peers.len());
            peers.swap(i, j);
        }
        peers.truncate(count);
        peers
    }

    pub(super) fn schedule_digest(&mut self, now: Instant) {
        // Between 75 % and 125 % of the interval, so that nodes that started together drift apart.
        let interval = self.config.digest_interval;
        self.digest_next = Some(now + interval.mul_f64(0.75 + self.rng.f64() / 2.0));
    }

    /// Compares with one random peer.
    pub(super) fn digest_round(&mut self, now: Instant) {
        if self.sessions.is_empty() {
            self.digest_next = None;
            return;
        }
        let peer = self.sessions[self.rng.usize(0..self.sessions.len())];
        self.send_summary(peer);
        self.schedule_digest(now);
    }

    pub(super) fn send_summary(&mut self, peer: NodeId) {
        let fingerprint = self.fingerprint();
        self.outbox.send(vec![peer], RegistryMessage::Summary { fingerprint });
    }

    /// Sends the digest of everything to `peer`, unless it got one just now.
    pub(super) fn send_digest(&mut self, now: Instant, peer: NodeId, reply: bool) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if known.digest_sent.is_some_and(|sent| now.saturating_duration_since(sent) < DIGEST_GAP) {
            return;
        }
        known.digest_sent = Some(now);
        // The own log is in it even while it is empty: who believes otherwise shall know.
        let digests: Vec<OwnerDigest> = self.logs().map(Log::digest).collect();
        let pages = digests.chunks(DIGEST_OWNERS_MAX);
        let last = pages.len() - 1;
        for (i, owners) in pages.enumerate() {
            let message = RegistryMessage::Digest { owners: owners.to_vec(), reply: reply && i == last };
            self.outbox.send(vec![peer], message);
        }
    }

    /// Takes up offers while there are slots.
    pub(super) fn pump(&mut self, now: Instant) {
        while let Some((owner, offer)) = self.pulls.take_ready() {
            if !self.has_session(offer.peer) {
                continue;
            }
            let Some(peer) = self.peers.get_mut(&owner).filter(|peer| peer.is_up(offer.incarnation)) else {
                continue;
            };
            let seq = peer.copy_mut(owner).log.seq();
            let after = match offer.repair {
                Repair::No if offer.seq <= seq => continue,
                Repair::No | Repair::Position => seq,
                Repair::Content => 0,
            };
            let deadline = now + self.config.pull_timeout;
            let (peer, repair) = (offer.peer, offer.repair);
            let number = self.next_number();
            self.pulls.start(owner, Active { peer, number, deadline, progress: (seq, 0), repair });
            self.send_pull(peer, Pull { number, owner, incarnation: offer.incarnation, after, scan: None });
        }
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.pull_number += 1;
        self.pull_number
    }

    pub(super) fn send_pull(&mut self, peer: NodeId, pull: Pull) {
        self.stats.pulls_sent += 1;
        self.outbox.send(vec![peer], RegistryMessage::Pull(pull));
    }

    /// Frees the slot of the pull of `owner`'s log, and gives up the scan it may have been in.
    pub(super) fn end_pull(&mut self, owner: NodeId) {
        self.pulls.finish(owner);
        if let Some(copy) = self.peers.get_mut(&owner).and_then(|peer| peer.copy.as_mut()) {
            copy.scan = None;
        }
        if self.peers.get(&owner).is_some_and(|peer: &Peer| peer.presence == crate::peers::Presence::Up) {
            self.pulls.make_ready(owner);
        }
    }

    /// Begins to answer a pull.
    pub(super) fn begin_answer(&mut self, to: NodeId, pull: &Pull) {
        let Some(log) = self.log(pull.owner, pull.incarnation) else {
            self.stats.pulls_unserved += 1;
            return;
        };
        let (after, scan) = log.answer_from(pull);
        let Pull { number, owner, incarnation, .. } = *pull;
        let answer = Answer { to, number, owner, incarnation, after, scan, pages_left: ANSWER_PAGES_MAX };
        if !self.outbox.answer(answer) {
            self.stats.pulls_overflowed += 1;
        }
    }

    /// The next page of an answer; `None` if the log is not held any more.
    fn answer_page(&mut self, answer: Answer) -> Option<Output> {
        let Answer { to, number, owner, incarnation, after, scan, pages_left } = answer;
        let log = self.log(owner, incarnation)?;
        if !log.can_continue(after, scan) {
            return None;
        }
        let mut page = log.page(after, scan);
        page.answer = Some(number);
        page.end = pages_left == 1 || page.upto == page.head;
        if !page.end {
            let rest = Answer { after: page.upto, pages_left: pages_left - 1, ..answer };
            self.outbox.put_back(Item::Answer(rest));
        }
        Some(Output::Send { to, message: RegistryMessage::Page(page) })
    }
}

//! Passing news on: gossip, the news that travel with other messages, and words to those who are behind.

use super::table::Source;
use super::{Swim, Timer};
use crate::broadcast::retransmit_limit;
use hew_wire::NodeId;
use hew_wire::membership::{MemberState, MemberUpdate, MembershipMessage};
use std::time::Instant;

/// Most news in one message of gossip, ping or ack.
const NEWS_MAX: usize = 32;

impl Swim {
    /// There are news of `node` to pass on, unless everybody has them already.
    pub(super) fn tell(&mut self, now: Instant, node: NodeId, source: Source) {
        if source == Source::Snapshot {
            return;
        }
        self.news.push(node);
        if !self.timers.is_set(Timer::Gossip) {
            // The first push goes out at once, if the last one is long enough ago.
            let due = self.gossiped.map_or(now, |last| (last + self.config.gossip_interval).max(now));
            self.timers.set(Timer::Gossip, due);
        }
    }

    /// One push of news to a few random members.
    pub(super) fn gossip(&mut self, now: Instant) {
        self.gossiped = Some(now);
        let targets = self.rotation.sample(&mut self.rng, self.config.gossip_fanout, |_| true);
        if targets.is_empty() {
            // Whoever comes later is given the whole table.
            self.news.clear();
        }
        for to in targets {
            let updates = self.news_for(to);
            if !updates.is_empty() {
                self.send(to, MembershipMessage::Gossip { updates });
            }
        }
        if !self.news.is_empty() {
            self.timers.set(Timer::Gossip, now + self.config.gossip_interval);
        }
    }

    /// What to tell `to` along with a message: first what it is accused of (Lifeguard's buddy system), then news.
    pub(super) fn news_for(&mut self, to: NodeId) -> Vec<MemberUpdate> {
        let limit = retransmit_limit(self.config.retransmit_factor, self.members_up());
        let accusation = self.table.get(&to).filter(|member| member.state != MemberState::Alive);
        let mut updates: Vec<_> = accusation.map(|member| member.update()).into_iter().collect();
        for node in self.news.take(NEWS_MAX, limit) {
            if node != to
                && let Some(member) = self.table.get(&node)
            {
                updates.push(member.update());
            }
        }
        updates
    }

    /// Tells a suspect or dead member so, that it may refute; at most once per T.
    pub(super) fn accuse(&mut self, now: Instant, node: NodeId) {
        let Some(member) = self.table.get(&node) else { return };
        let is_accused = matches!(member.state, MemberState::Suspect | MemberState::Dead);
        if !is_accused || self.is_recent(now, member.contact.corrected) {
            return;
        }
        let updates = vec![member.update()];
        if let Some(member) = self.table.get_mut(&node) {
            member.contact.corrected = Some(now);
        }
        self.send(node, MembershipMessage::Gossip { updates });
    }

    /// Tells `to` that it speaks of an incarnation of `node` that is over; at most once per T.
    pub(super) fn correct(&mut self, now: Instant, to: NodeId, node: NodeId) {
        let Some(incarnation) = self.table.get(&node).map(|member| member.incarnation) else { return };
        let Some(peer) = self.table.get(&to) else { return };
        if self.is_recent(now, peer.contact.corrected) {
            return;
        }
        if let Some(peer) = self.table.get_mut(&to) {
            peer.contact.corrected = Some(now);
        }
        self.send(to, MembershipMessage::Stale { node, incarnation });
    }
}

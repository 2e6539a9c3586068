//! What comes in from peers, taken to the part of the machine that it belongs to.

use super::Swim;
use super::leaving::Phase;
use super::table::Source;
use crate::membership::MembershipError;
use hew_wire::NodeId;
use hew_wire::membership::{MemberState, MembershipMessage};
use std::time::{Duration, Instant};

impl Swim {
    /// A message came in: who sends it decides whether it counts, and it is a sign of life in any case.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        from: NodeId,
        message: MembershipMessage,
    ) -> Result<(), MembershipError> {
        self.check_peer(from)?;
        let Some(member) = self.table.get(&from) else {
            return Err(MembershipError::UnknownSender { node: from });
        };
        let (known, linked) = (member.incarnation, member.contact.linked);
        if let Some(given) = linked.filter(|&given| given < known) {
            self.correct(now, from, from);
            return Err(MembershipError::Stale { node: from, known, given });
        }
        match self.phase {
            Phase::Member => {}
            Phase::Leaving { .. } => return self.handle_while_leaving(from, message),
            Phase::Left => return Ok(()),
        }
        if let MembershipMessage::Ack { seq, .. } = message {
            self.sample_rtt(now, from, seq);
        }
        self.hear(now, from);
        let has_left = self.table.get(&from).is_some_and(|member| member.state == MemberState::Left);
        if has_left && !matches!(message, MembershipMessage::Leave { .. }) {
            return Ok(());
        }
        let result = self.take_message(now, from, message);
        // Whoever is accused and speaks should hear of it, also if nothing was asked.
        self.accuse(now, from);
        result
    }

    fn take_message(
        &mut self,
        now: Instant,
        from: NodeId,
        message: MembershipMessage,
    ) -> Result<(), MembershipError> {
        match message {
            MembershipMessage::Ping { seq, updates } => {
                let result = self.apply_all(now, from, &updates, Source::Gossip);
                let updates = self.news_for(from);
                self.send(from, MembershipMessage::Ack { seq, updates });
                result
            }
            MembershipMessage::Ack { seq, updates } => {
                self.take_ack(from, seq);
                self.apply_all(now, from, &updates, Source::Gossip)
            }
            MembershipMessage::PingRequest { seq, target, wait_ms, updates } => {
                let result = self.apply_all(now, from, &updates, Source::Gossip);
                self.relay_ping(now, from, seq, target, Duration::from_millis(wait_ms.into()));
                result
            }
            MembershipMessage::Nack { seq, updates } => {
                self.take_nack(now, from, seq);
                self.apply_all(now, from, &updates, Source::Gossip)
            }
            MembershipMessage::Gossip { updates } => self.apply_all(now, from, &updates, Source::Gossip),
            MembershipMessage::Join { member } => self.take_join(now, from, member),
            MembershipMessage::JoinReply { members, last } => self.take_join_reply(now, from, &members, last),
            MembershipMessage::Leave { seq, member } => self.take_leave(now, from, seq, member),
            MembershipMessage::Stale { node, incarnation } => {
                if node == self.local {
                    self.report_conflict(incarnation);
                }
                Ok(())
            }
            MembershipMessage::Digest { buckets } => {
                self.take_digest(now, from, &buckets);
                Ok(())
            }
            MembershipMessage::DigestDiff { buckets } => {
                self.take_digest_diff(from, &buckets);
                Ok(())
            }
            MembershipMessage::Members { members } => self.apply_all(now, from, &members, Source::Sync),
        }
    }
}

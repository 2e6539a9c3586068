//! Saying goodbye, and hearing it.

use super::table::Source;
use super::{Swim, Timer};
use crate::membership::{MembershipError, MembershipEvent};
use hew_wire::NodeId;
use hew_wire::membership::{MemberState, MemberUpdate, MembershipMessage};
use std::time::Instant;

/// Whether this node takes part.
#[derive(Debug)]
pub(super) enum Phase {
    /// It does.
    Member,
    /// It has said goodbye and waits for acknowledgements.
    Leaving {
        /// Who was told, with which number, and did not acknowledge yet.
        told: Vec<(NodeId, u64)>,
        acknowledged: usize,
    },
    /// It is silent.
    Left,
}

impl Swim {
    pub(super) fn start_leaving(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Member) {
            return;
        }
        let Some(me) = self.table.get_mut(&self.local) else { return };
        me.state = MemberState::Left;
        let member = me.update();
        self.timers.clear();
        self.probes.clear();
        self.relays.clear();
        // Enough that gossip carries it on, whatever happens to one of them.
        let count = (self.members_up() as f64).log2().ceil().max(3.0) as usize;
        let targets = self.rotation.sample(&mut self.rng, count, |_| true);
        let mut told = Vec::new();
        for to in targets {
            let seq = self.next_seq();
            self.send(to, MembershipMessage::Leave { seq, member: member.clone() });
            told.push((to, seq));
        }
        let is_alone = told.is_empty();
        self.phase = Phase::Leaving { told, acknowledged: 0 };
        self.timers.set(Timer::Leave, now + self.config.leave_timeout);
        if is_alone {
            self.leave_timeout();
        }
    }

    /// While leaving only acknowledgements count, and others may still ask whether this node is there.
    pub(super) fn handle_while_leaving(
        &mut self,
        from: NodeId,
        message: MembershipMessage,
    ) -> Result<(), MembershipError> {
        match message {
            MembershipMessage::Ack { seq, .. } => {
                if let Phase::Leaving { told, acknowledged } = &mut self.phase
                    && let Some(place) = told.iter().position(|&entry| entry == (from, seq))
                {
                    told.swap_remove(place);
                    *acknowledged += 1;
                    if told.is_empty() {
                        self.leave_timeout();
                    }
                }
            }
            MembershipMessage::Ping { seq, .. } => {
                let updates = vec![self.table[&self.local].update()];
                self.send(from, MembershipMessage::Ack { seq, updates });
            }
            _ => {}
        }
        Ok(())
    }

    /// All have acknowledged, or time is up.
    pub(super) fn leave_timeout(&mut self) {
        if let Phase::Leaving { acknowledged, .. } = self.phase {
            self.timers.clear();
            self.phase = Phase::Left;
            self.emit(MembershipEvent::HasLeft { acknowledged });
        }
    }

    pub(super) fn take_leave(
        &mut self,
        now: Instant,
        from: NodeId,
        seq: u64,
        member: MemberUpdate,
    ) -> Result<(), MembershipError> {
        if member.node != from || member.state != MemberState::Left {
            return Err(MembershipError::InvalidUpdate {
                from,
                node: member.node,
                reason: "a node can only say of itself that it leaves",
            });
        }
        let result = self.apply(now, from, &member, Source::Gossip);
        self.send(from, MembershipMessage::Ack { seq, updates: Vec::new() });
        result
    }
}

//! Membership by a fixed list: who belongs is configured, and links alone tell who is there.
//!
//! Nothing is gossiped and nobody is suspected, so two nodes may disagree about a third. For a few nodes with
//! addresses that do not change.

use crate::config::InvalidConfig;
use crate::member::Member;
use crate::membership::{
    DownReason, LinkEvent, LocalMember, Membership, MembershipError, MembershipEvent, Output,
};
use crate::timers::Timers;
use hew_wire::membership::{MemberState, MembershipMessage, is_member_address};
use hew_wire::{Incarnation, NodeId};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Settings of [`StaticList`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticConfig {
    /// The other members and where they are dialled; an entry for this node itself is skipped.
    pub members: Vec<(NodeId, String)>,
    /// How often a member without a link is dialled. Default 1 s; at least 10 ms.
    pub redial_interval: Duration,
    /// For how long a member stays up whose link broke and cannot be made again. A refused connection ends it at once.
    /// Default 5 s.
    pub down_after: Duration,
}

impl StaticConfig {
    /// These members, with the default times.
    pub fn new(members: Vec<(NodeId, String)>) -> StaticConfig {
        StaticConfig { members, redial_interval: Duration::from_secs(1), down_after: Duration::from_secs(5) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Down(NodeId),
    Redial(NodeId),
}

/// A fixed list of members, judged by links alone.
///
/// A listed member is down, with incarnation 0, until a link with it comes up; it is down again when it says goodbye,
/// when its link broke and a new connection is refused, and when no link comes up within
/// [`down_after`](StaticConfig::down_after). A link with a later incarnation replaces the earlier one at once. Whoever
/// is not listed is refused.
#[derive(Debug)]
pub struct StaticList {
    config: StaticConfig,
    local: NodeId,
    table: BTreeMap<NodeId, Member>,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
    event_last: u64,
    has_left: bool,
}

impl StaticList {
    /// The list; every other member is dialled at once.
    ///
    /// # Errors
    /// [`InvalidConfig`] names the setting, or the part of `local`, that is out of its range.
    pub fn new(local: LocalMember, config: StaticConfig, now: Instant) -> Result<StaticList, InvalidConfig> {
        if local.node.is_local() {
            return Err(InvalidConfig { setting: "node", rule: "must not be 0" });
        }
        if config.redial_interval < Duration::from_millis(10) {
            return Err(InvalidConfig { setting: "redial_interval", rule: "must be at least 10 ms" });
        }
        let is_legal = |(node, address): &(NodeId, String)| !node.is_local() && is_member_address(address);
        if !config.members.iter().all(is_legal) {
            return Err(InvalidConfig {
                setting: "members",
                rule: "must have ids that are not 0 and addresses of at most 255 bytes without control characters",
            });
        }
        let mut timers = Timers::new();
        let mut table = BTreeMap::new();
        for (node, address) in config.members.iter().filter(|(node, _)| *node != local.node) {
            let address = Some(address.clone()).filter(|address| !address.is_empty());
            table.insert(*node, Member::new(*node, Incarnation(0), MemberState::Dead, address));
            timers.set(Timer::Redial(*node), now);
        }
        let me = Member::new(local.node, local.incarnation, MemberState::Alive, local.address);
        table.insert(local.node, me);
        let outputs = VecDeque::new();
        Ok(StaticList { config, local: local.node, table, timers, outputs, event_last: 0, has_left: false })
    }

    fn emit(&mut self, event: MembershipEvent) {
        self.event_last += 1;
        self.outputs.push_back(Output::Event { seq: self.event_last, event });
    }

    fn listed(&mut self, peer: NodeId) -> Result<&mut Member, MembershipError> {
        if peer.is_local() || peer == self.local {
            return Err(MembershipError::OwnId { node: peer });
        }
        self.table.get_mut(&peer).ok_or(MembershipError::NotListed { node: peer })
    }

    fn take_down(&mut self, node: NodeId, state: MemberState, reason: DownReason) {
        let Some(member) = self.table.get_mut(&node) else { return };
        let (was_up, incarnation) = (member.is_up(), member.incarnation);
        member.state = state;
        self.timers.cancel(Timer::Down(node));
        if was_up {
            self.emit(MembershipEvent::Down { node, incarnation, reason });
        }
    }

    fn link_up(
        &mut self,
        now: Instant,
        peer: NodeId,
        incarnation: Incarnation,
    ) -> Result<(), MembershipError> {
        let member = self.listed(peer)?;
        let known = member.incarnation;
        let has_left = member.state == MemberState::Left && incarnation == known;
        if incarnation < known || has_left {
            let message = MembershipMessage::Stale { node: peer, incarnation: known };
            self.outputs.push_back(Output::Send { to: peer, message });
            return Err(MembershipError::Stale { node: peer, known, given: incarnation });
        }
        if incarnation > known {
            self.take_down(peer, MemberState::Dead, DownReason::Replaced);
        }
        let member = self.listed(peer)?;
        let was_up = member.is_up();
        member.incarnation = incarnation;
        member.state = MemberState::Alive;
        member.contact.linked = Some(incarnation);
        member.contact.heard = Some(now);
        let address = member.address.clone();
        self.timers.cancel(Timer::Redial(peer));
        self.timers.cancel(Timer::Down(peer));
        if !was_up {
            self.emit(MembershipEvent::Up { node: peer, incarnation, address });
        }
        Ok(())
    }

    fn redial(&mut self, now: Instant, node: NodeId) {
        let Some(member) = self.table.get(&node).filter(|member| !member.is_linked()) else { return };
        // Who does not listen, dials us.
        if let Some(address) = member.address.clone() {
            self.outputs.push_back(Output::Dial { node: Some(node), address });
            self.timers.set(Timer::Redial(node), now + self.config.redial_interval);
        }
    }
}

impl Membership for StaticList {
    fn handle_message(
        &mut self,
        now: Instant,
        from: NodeId,
        message: MembershipMessage,
    ) -> Result<(), MembershipError> {
        self.listed(from)?.contact.heard = Some(now);
        match message {
            MembershipMessage::Ping { seq, .. } => {
                let message = MembershipMessage::Ack { seq, updates: Vec::new() };
                self.outputs.push_back(Output::Send { to: from, message });
            }
            MembershipMessage::Leave { seq, .. } => {
                self.take_down(from, MemberState::Left, DownReason::Left);
                let message = MembershipMessage::Ack { seq, updates: Vec::new() };
                self.outputs.push_back(Output::Send { to: from, message });
            }
            _ => {}
        }
        Ok(())
    }

    fn handle_link(&mut self, now: Instant, peer: NodeId, event: LinkEvent) -> Result<(), MembershipError> {
        let (redial, down_after) = (self.config.redial_interval, self.config.down_after);
        let has_left = self.has_left;
        let member = self.listed(peer)?;
        if has_left {
            return Ok(());
        }
        match event {
            LinkEvent::Up { incarnation, .. } => return self.link_up(now, peer, incarnation),
            // Without a link nothing would be known of the peer.
            LinkEvent::Broken | LinkEvent::Idle => {
                member.contact.linked = None;
                if member.is_up() {
                    self.timers.set(Timer::Down(peer), now + down_after);
                }
                self.redial(now, peer);
            }
            LinkEvent::Heard => member.contact.heard = Some(now),
            LinkEvent::Unreachable { refused } => {
                if refused && member.is_up() && !member.is_linked() {
                    self.take_down(peer, MemberState::Dead, DownReason::Refused);
                    self.timers.set(Timer::Redial(peer), now + redial);
                }
            }
        }
        Ok(())
    }

    fn judges_by_links(&self) -> bool {
        true
    }

    fn leave(&mut self, _now: Instant) {
        if self.has_left {
            return;
        }
        self.has_left = true;
        self.timers.clear();
        let Some(me) = self.table.get_mut(&self.local) else { return };
        me.state = MemberState::Left;
        let member = me.update();
        let linked: Vec<_> =
            self.table.values().filter(|member| member.is_linked()).map(|m| m.node).collect();
        for (seq, to) in (1..).zip(linked) {
            let message = MembershipMessage::Leave { seq, member: member.clone() };
            self.outputs.push_back(Output::Send { to, message });
        }
        // Nobody passes it on, so there is nothing to wait for: whoever does not hear it sees the link break.
        self.emit(MembershipEvent::HasLeft { acknowledged: 0 });
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Down(node) => self.take_down(node, MemberState::Dead, DownReason::Timeout),
                Timer::Redial(node) => self.redial(now, node),
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::tests::start;

    const S: Duration = Duration::from_secs(1);

    fn n(id: u16) -> NodeId {
        NodeId::from_raw(id)
    }

    fn list(now: Instant) -> StaticList {
        let local = LocalMember { node: n(1), incarnation: Incarnation(5), address: Some("a:1".into()) };
        let members = vec![(n(1), "a:1".into()), (n(2), "b:1".into()), (n(3), "c:1".into())];
        StaticList::new(local, StaticConfig::new(members), now).unwrap()
    }

    fn up(incarnation: u64) -> LinkEvent {
        LinkEvent::Up { incarnation: Incarnation(incarnation), address: None, seed: None }
    }

    fn drain(list: &mut StaticList) -> (Vec<MembershipEvent>, Vec<NodeId>) {
        let (mut events, mut dialled) = (Vec::new(), Vec::new());
        while let Some(output) = list.poll() {
            match output {
                Output::Event { event, .. } => events.push(event),
                Output::Dial { node, .. } => dialled.extend(node),
                Output::Send { .. } => {}
            }
        }
        (events, dialled)
    }

    fn down(incarnation: u64, reason: DownReason) -> MembershipEvent {
        MembershipEvent::Down { node: n(2), incarnation: Incarnation(incarnation), reason }
    }

    #[test]
    fn members_are_dialled_until_a_link_is_up() {
        let t0 = start();
        let mut list = list(t0);
        list.handle_timeout(t0);
        assert_eq!(drain(&mut list).1, [n(2), n(3)]);
        list.handle_link(t0, n(2), up(7)).unwrap();
        assert!(matches!(drain(&mut list).0[..], [MembershipEvent::Up { .. }]));
        list.handle_timeout(t0 + S);
        assert_eq!(drain(&mut list).1, [n(3)]);
        let stranger = list.handle_link(t0, n(4), up(1));
        assert_eq!(stranger, Err(MembershipError::NotListed { node: n(4) }));
        assert_eq!(list.handle_link(t0, n(1), up(1)), Err(MembershipError::OwnId { node: n(1) }));
    }

    #[test]
    fn links_alone_tell_who_is_down() {
        let t0 = start();
        let mut list = list(t0);
        let refused = LinkEvent::Unreachable { refused: true };
        list.handle_link(t0, n(2), up(7)).unwrap();
        list.handle_link(t0, n(2), refused.clone()).unwrap();
        assert!(list.member(n(2)).unwrap().is_up(), "a link that is up is stronger than a dial that failed");
        list.handle_link(t0, n(2), LinkEvent::Broken).unwrap();
        list.handle_link(t0, n(2), refused).unwrap();
        assert_eq!(drain(&mut list).0[1..], [down(7, DownReason::Refused)]);

        list.handle_link(t0, n(2), up(7)).unwrap();
        list.handle_link(t0, n(2), LinkEvent::Broken).unwrap();
        list.handle_timeout(t0 + 4 * S);
        list.handle_timeout(t0 + 5 * S);
        assert_eq!(drain(&mut list).0[1..], [down(7, DownReason::Timeout)]);

        list.handle_link(t0, n(2), up(7)).unwrap();
        list.handle_link(t0, n(2), up(8)).unwrap();
        assert_eq!(drain(&mut list).0[1], down(7, DownReason::Replaced));
        assert!(matches!(list.handle_link(t0, n(2), up(7)), Err(MembershipError::Stale { .. })));

        let member = list.member(n(2)).unwrap().update();
        list.handle_message(t0, n(2), MembershipMessage::Leave { seq: 1, member }).unwrap();
        assert_eq!(drain(&mut list).0, [down(8, DownReason::Left)]);
        assert!(list.handle_link(t0, n(2), up(8)).is_err(), "leaving is final for the incarnation");
        list.handle_link(t0, n(2), up(9)).unwrap();
    }
}

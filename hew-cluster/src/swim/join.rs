//! Bringing tables together: the join, the comparison of digests, and the healing of a split cluster.

use super::table::Source;
use super::{SEEDS_MAX, Swim, Timer};
use crate::member::Member;
use crate::membership::{MembershipError, MembershipEvent, Output};
use hew_wire::NodeId;
use hew_wire::membership::{
    DIGEST_BUCKETS, MEMBER_UPDATES_MAX, MemberState, MemberUpdate, MembershipMessage, is_member_address,
};
use std::time::{Duration, Instant};

/// How many comparisons with other members follow a join at intervals of T.
const SYNCS_AFTER_JOIN: u32 = 3;

/// An address through which the cluster can be found.
#[derive(Debug)]
pub(super) struct Seed {
    pub(super) address: String,
    /// Who was found there last.
    pub(super) node: Option<NodeId>,
}

impl Swim {
    /// A seed was dialled, and this peer is there.
    pub(super) fn reach_seed(&mut self, peer: NodeId, address: String) {
        if let Some(seed) = self.seeds.iter_mut().find(|seed| seed.address == address) {
            seed.node = Some(peer);
        } else if self.seeds.len() < SEEDS_MAX && is_member_address(&address) {
            self.seeds.push(Seed { address, node: Some(peer) });
        }
        let is_seed = |node: NodeId| self.seeds.iter().any(|seed| seed.node == Some(node));
        let is_newcomer = !self.is_joined && self.rotation.peers().iter().all(|&node| is_seed(node));
        if is_newcomer {
            self.send_join(peer);
            return;
        }
        // Both sides are clusters: compare rather than copy.
        self.send_digest(peer);
        if !self.is_joined {
            self.is_joined = true;
            self.emit(MembershipEvent::Joined { through: peer });
        }
    }

    fn send_join(&mut self, seed: NodeId) {
        let member = self.table[&self.local].update();
        if let Some(peer) = self.table.get_mut(&seed) {
            peer.contact.is_join_open = true;
        }
        self.send(seed, MembershipMessage::Join { member });
    }

    /// Asks the seeds again that have a link and did not answer.
    pub(super) fn retry_join(&mut self) {
        if self.is_joined {
            return;
        }
        let linked = |node: &NodeId| self.table.get(node).is_some_and(Member::is_linked);
        let seeds: Vec<_> = self.seeds.iter().filter_map(|seed| seed.node).filter(linked).collect();
        seeds.into_iter().for_each(|seed| self.send_join(seed));
    }

    pub(super) fn take_join(
        &mut self,
        now: Instant,
        from: NodeId,
        member: MemberUpdate,
    ) -> Result<(), MembershipError> {
        if member.node != from {
            return Err(MembershipError::InvalidUpdate {
                from,
                node: member.node,
                reason: "a node can only join as itself",
            });
        }
        self.apply(now, from, &member, Source::Gossip)?;
        let Some(peer) = self.table.get_mut(&from) else { return Ok(()) };
        // Else a peer could have the whole table sent as fast as it asks.
        let last = peer.contact.snapshot_sent;
        if last.is_some_and(|last| now.saturating_duration_since(last) < self.config.probe_interval / 2) {
            return Ok(());
        }
        peer.contact.snapshot_sent = Some(now);
        let table: Vec<_> = self.table.values().map(Member::update).collect();
        let pages = table.chunks(MEMBER_UPDATES_MAX).count();
        for (page, members) in table.chunks(MEMBER_UPDATES_MAX).enumerate() {
            let last = page + 1 == pages;
            self.send(from, MembershipMessage::JoinReply { members: members.to_vec(), last });
        }
        Ok(())
    }

    pub(super) fn take_join_reply(
        &mut self,
        now: Instant,
        from: NodeId,
        members: &[MemberUpdate],
        last: bool,
    ) -> Result<(), MembershipError> {
        let Some(peer) = self.table.get_mut(&from).filter(|peer| peer.contact.is_join_open) else {
            return Ok(());
        };
        peer.contact.is_join_open = !last;
        let result = self.apply_all(now, from, members, Source::Snapshot);
        if last && !self.is_joined {
            self.is_joined = true;
            self.syncs_early = SYNCS_AFTER_JOIN - 1;
            self.timers.set(Timer::Sync, now + self.config.probe_interval);
            self.emit(MembershipEvent::Joined { through: from });
        }
        result
    }

    /// Compares the table with that of one random member.
    pub(super) fn sync(&mut self, now: Instant) {
        let wait = if self.syncs_early > 0 {
            self.syncs_early -= 1;
            self.config.probe_interval
        } else {
            self.jittered(self.config.sync_interval)
        };
        self.timers.set(Timer::Sync, now + wait);
        let table = &self.table;
        let is_alive = |node| table.get(&node).is_some_and(|member| member.state == MemberState::Alive);
        for peer in self.rotation.sample(&mut self.rng, 1, is_alive) {
            self.send_digest(peer);
        }
    }

    fn jittered(&mut self, interval: Duration) -> Duration {
        interval.mul_f64(0.5 + self.rng.f64())
    }

    pub(super) fn send_digest(&mut self, peer: NodeId) {
        let buckets = fingerprints(self.table.values());
        let buckets = (0..=u8::MAX).zip(buckets).filter(|&(_, fingerprint)| fingerprint != 0).collect();
        if let Some(peer) = self.table.get_mut(&peer) {
            peer.contact.is_digest_open = true;
        }
        self.send(peer, MembershipMessage::Digest { buckets });
    }

    pub(super) fn take_digest(&mut self, now: Instant, from: NodeId, theirs: &[(u8, u64)]) {
        let Some(peer) = self.table.get(&from) else { return };
        if self.is_recent(now, peer.contact.digest_answered) {
            return;
        }
        let mut difference = fingerprints(self.table.values());
        for &(bucket, fingerprint) in theirs {
            difference[usize::from(bucket)] ^= fingerprint;
        }
        let buckets: Vec<u8> =
            (0..=u8::MAX).zip(difference).filter(|&(_, d)| d != 0).map(|(bucket, _)| bucket).collect();
        if buckets.is_empty() {
            return;
        }
        if let Some(peer) = self.table.get_mut(&from) {
            peer.contact.digest_answered = Some(now);
        }
        self.send(from, MembershipMessage::DigestDiff { buckets: buckets.clone() });
        self.send_members(from, &buckets);
    }

    pub(super) fn take_digest_diff(&mut self, from: NodeId, buckets: &[u8]) {
        let Some(peer) = self.table.get_mut(&from).filter(|peer| peer.contact.is_digest_open) else { return };
        peer.contact.is_digest_open = false;
        self.send_members(from, buckets);
    }

    fn send_members(&mut self, to: NodeId, buckets: &[u8]) {
        let mut is_wanted = [false; DIGEST_BUCKETS];
        buckets.iter().for_each(|&bucket| is_wanted[usize::from(bucket)] = true);
        let wanted: Vec<_> = self
            .table
            .values()
            .filter(|member| is_wanted[bucket_of(member.node)])
            .map(Member::update)
            .collect();
        for members in wanted.chunks(MEMBER_UPDATES_MAX) {
            self.send(to, MembershipMessage::Members { members: members.to_vec() });
        }
    }

    /// Perhaps dials a dead member or a seed nobody is known to be behind: two halves of a cluster, each of which takes
    /// the other for dead, find each other in no other way.
    pub(super) fn heal(&mut self, now: Instant) {
        let wait = self.jittered(self.config.heal_interval);
        self.timers.set(Timer::Heal, now + wait);
        // So that a large cluster does not hammer one dead member: about three nodes per interval.
        if self.rng.f64() * self.members_up() as f64 >= 3.0 {
            return;
        }
        let is_dialled = |member: &&Member| {
            member.state == MemberState::Dead
                && member.contact.died.is_some_and(|died| now < died + self.config.dead_dialled)
        };
        let dead = self.table.values().filter(is_dialled);
        let dead = dead.filter_map(|member| Some((Some(member.node), member.address.clone()?)));
        let seeds = self.seeds.iter().filter(|seed| !self.is_covered(seed));
        let mut choices: Vec<_> = dead.chain(seeds.map(|seed| (None, seed.address.clone()))).collect();
        if !choices.is_empty() {
            let (node, address) = choices.swap_remove(self.rng.usize(..choices.len()));
            self.outputs.push_back(Output::Dial { node, address });
        }
    }

    /// Whether a member that is up, or this node itself, is behind a seed's address.
    fn is_covered(&self, seed: &Seed) -> bool {
        let is_up = |node: NodeId| self.table.get(&node).is_some_and(Member::is_up);
        seed.node.is_some_and(is_up)
            || self.table.values().any(|member| member.is_up() && member.address() == Some(&seed.address))
    }
}

fn bucket_of(node: NodeId) -> usize {
    usize::from(node.raw()) % DIGEST_BUCKETS
}

/// One fingerprint per bucket: the exclusive or of those of its members, so that the order does not matter.
fn fingerprints<'a>(members: impl Iterator<Item = &'a Member>) -> [u64; DIGEST_BUCKETS] {
    let mut buckets = [0; DIGEST_BUCKETS];
    for member in members {
        buckets[bucket_of(member.node)] ^= fingerprint(member);
    }
    buckets
}

/// FNV-1a of what all nodes should agree on about a member.
fn fingerprint(member: &Member) -> u64 {
    let state = u8::from(member.state);
    let has_address = u8::from(member.is_up() && member.address.is_some());
    let bytes = member.node.raw().to_be_bytes().into_iter();
    let bytes = bytes.chain(member.incarnation.0.to_be_bytes()).chain(member.refutation.to_be_bytes());
    let hash = bytes
        .chain([state, has_address])
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    // FNV mixes its high bits little, and exclusive or would let members cancel out: finish as splitmix64 does.
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hew_wire::Incarnation;

    fn member(id: u16) -> Member {
        Member::new(NodeId::from_raw(id), Incarnation(5), MemberState::Alive, None)
    }

    #[test]
    fn fingerprints_tell_differences_and_only_these() {
        let table: Vec<_> = (1..=600).map(member).collect();
        let same = fingerprints(table.iter().rev());
        assert_eq!(fingerprints(table.iter()), same);
        let changes: [fn(&mut Member); 4] = [
            |m| m.refutation = 1,
            |m| m.state = MemberState::Suspect,
            |m| m.incarnation = Incarnation(6),
            |m| m.address = Some("h:1".into()),
        ];
        for change in changes {
            let mut other = table.clone();
            change(&mut other[299]);
            let changed = fingerprints(other.iter());
            let differing: Vec<_> = (0..DIGEST_BUCKETS).filter(|&b| changed[b] != same[b]).collect();
            assert_eq!(differing, [300 % 256]);
        }
    }
}

//! One machine, fed by hand: each rule of the protocol by itself.

use crate::sim::{n, secs};
use hew_cluster::{
    DownReason, LinkEvent, LocalMember, MemberState, Membership, MembershipError, MembershipEvent, Output,
    Swim, SwimConfig,
};
use hew_wire::membership::{MemberUpdate, MembershipMessage};
use hew_wire::{Incarnation, NodeId};
use std::time::{Duration, Instant};

/// Node 1, with links to nodes 2 to `count`, and what it has put out.
struct Fed {
    swim: Swim,
    now: Instant,
    sent: Vec<(NodeId, MembershipMessage)>,
    events: Vec<MembershipEvent>,
    dialled: Vec<String>,
}

impl Fed {
    #[allow(clippy::disallowed_methods)] // Some instant to start from; only differences matter.
    fn new(count: u16, config: SwimConfig) -> Fed {
        let now = Instant::now();
        let local = LocalMember { node: n(1), incarnation: Incarnation(5), address: None };
        let swim = Swim::new(local, config, 1, now).unwrap();
        let mut fed = Fed { swim, now, sent: Vec::new(), events: Vec::new(), dialled: Vec::new() };
        for id in 2..=count {
            fed.up(id, 5);
        }
        fed.run(secs(0.0));
        fed.clear();
        fed
    }

    fn up(&mut self, id: u16, incarnation: u64) {
        let address = Some(format!("n{id}"));
        let event = LinkEvent::Up { incarnation: Incarnation(incarnation), address, seed: None };
        self.link(id, event);
    }

    fn link(&mut self, id: u16, event: LinkEvent) {
        self.swim.handle_link(self.now, n(id), event).unwrap();
        self.drain();
    }

    fn take(&mut self, from: u16, message: MembershipMessage) {
        self.swim.handle_message(self.now, n(from), message).unwrap();
        self.drain();
    }

    fn tell(&mut self, from: u16, update: MemberUpdate) {
        self.take(from, MembershipMessage::Gossip { updates: vec![update] });
    }

    /// Lets time pass. Pings to members in `answering` are answered at once.
    fn run_answered(&mut self, time: Duration, answering: &[u16]) {
        let end = self.now + time;
        while let Some(at) = self.swim.poll_timeout().filter(|&at| at <= end) {
            self.now = at.max(self.now);
            self.swim.handle_timeout(self.now);
            let before = self.sent.len();
            self.drain();
            let fresh = self.sent[before..].to_vec();
            for (to, message) in fresh {
                if let MembershipMessage::Ping { seq, .. } = message
                    && answering.contains(&to.raw())
                {
                    self.take(to.raw(), MembershipMessage::Ack { seq, updates: Vec::new() });
                }
            }
        }
        self.now = end;
    }

    fn run(&mut self, time: Duration) {
        self.run_answered(time, &[2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }

    fn drain(&mut self) {
        while let Some(output) = self.swim.poll() {
            match output {
                Output::Send { to, message } => self.sent.push((to, message)),
                Output::Dial { address, .. } => self.dialled.push(address),
                Output::Event { event, .. } => self.events.push(event),
            }
        }
    }

    fn clear(&mut self) {
        self.sent.clear();
        self.events.clear();
    }

    /// How often others were told about `id`.
    fn told_about(&self, id: u16) -> usize {
        let updates = self.sent.iter().flat_map(|(_, message)| match message {
            MembershipMessage::Gossip { updates }
            | MembershipMessage::Ping { updates, .. }
            | MembershipMessage::Ack { updates, .. } => updates.clone(),
            _ => Vec::new(),
        });
        updates.filter(|update| update.node == n(id)).count()
    }

    fn state(&self, id: u16) -> MemberState {
        self.swim.member(n(id)).unwrap().state()
    }
}

fn claim(node: u16, refutation: u32, state: MemberState) -> MemberUpdate {
    let (node, incarnation) = (n(node), Incarnation(5));
    MemberUpdate { node, incarnation, refutation, state, address: String::new(), suspectors: Vec::new() }
}

/// Breaks the link to `target`, which starts a probe; gives the number of the ping.
fn start_probe(fed: &mut Fed, target: u16) -> u64 {
    fed.link(target, LinkEvent::Broken);
    let ping = fed.sent.iter().find_map(|(to, message)| match message {
        MembershipMessage::Ping { seq, .. } if *to == n(target) => Some(*seq),
        _ => None,
    });
    ping.expect("a broken link is looked after at once")
}

fn helpers(fed: &Fed, target: u16) -> Vec<(u16, u32)> {
    let request = |(to, message): &(NodeId, MembershipMessage)| match message {
        MembershipMessage::PingRequest { target: of, wait_ms, .. } if *of == n(target) => {
            Some((to.raw(), *wait_ms))
        }
        _ => None,
    };
    fed.sent.iter().filter_map(request).collect()
}

const ALL_BUT_3: &[u16] = &[2, 4, 5, 6, 7, 8, 9, 10];

#[test]
fn helpers_are_asked_and_their_ack_is_as_good_as_the_targets() {
    let config = SwimConfig::lan();
    let mut fed = Fed::new(8, config.clone());
    let seq = start_probe(&mut fed, 3);
    fed.run_answered(config.probe_interval / 2, ALL_BUT_3);
    let asked = helpers(&fed, 3);
    assert_eq!(asked.len(), config.indirect_probes);
    assert!(
        asked.iter().all(|&(helper, wait_ms)| helper != 3 && (100..=500).contains(&wait_ms)),
        "{asked:?}"
    );
    fed.take(asked[0].0, MembershipMessage::Ack { seq, updates: Vec::new() });
    fed.run_answered(config.probe_interval * 6 / 10, ALL_BUT_3);
    assert_eq!(fed.state(3), MemberState::Alive);
}

#[test]
fn a_member_nobody_reaches_is_suspected_with_the_helpers_as_witnesses() {
    let config = SwimConfig::lan();
    let mut fed = Fed::new(8, config.clone());
    let seq = start_probe(&mut fed, 3);
    fed.run_answered(config.probe_interval / 2, ALL_BUT_3);
    let asked = helpers(&fed, 3);
    let not_asked = (4..=8).find(|id| !asked.iter().any(|(helper, _)| helper == id)).unwrap();
    let nack = || MembershipMessage::Nack { seq, updates: Vec::new() };
    fed.take(not_asked, nack());
    fed.take(asked[0].0, nack());
    fed.take(asked[0].0, nack());
    fed.take(asked[1].0, nack());
    assert_eq!(fed.state(3), MemberState::Alive, "one helper is still out");
    fed.clear();
    fed.take(asked[2].0, nack());
    assert_eq!(fed.state(3), MemberState::Suspect, "no need to wait for the end of the period");
    let accusation = fed.sent.iter().find_map(|(to, message)| match message {
        MembershipMessage::Gossip { updates } if *to == n(3) => Some(updates[0].clone()),
        _ => None,
    });
    let mut witnesses = accusation.expect("the suspect is told at once").suspectors;
    witnesses.sort_unstable();
    let mut expected: Vec<_> = asked.iter().map(|&(helper, _)| n(helper)).chain([n(1)]).collect();
    expected.sort_unstable();
    assert_eq!(witnesses, expected);
    // With three confirmations the suspicion is the shortest.
    fed.run_answered(config.probe_interval * config.suspicion_periods_min - secs(0.01), ALL_BUT_3);
    assert_eq!(fed.state(3), MemberState::Suspect);
    fed.run_answered(secs(0.02), ALL_BUT_3);
    assert_eq!(fed.state(3), MemberState::Dead);
    let down = |event: &MembershipEvent| matches!(event, MembershipEvent::Down { reason: DownReason::Timeout, node, .. } if *node == n(3));
    assert!(fed.events.iter().any(down));
}

#[test]
fn helpers_that_say_nothing_make_this_node_doubt_itself() {
    let config = SwimConfig::lan();
    let mut fed = Fed::new(8, config.clone());
    start_probe(&mut fed, 3);
    fed.run_answered(config.probe_interval * 19 / 20, ALL_BUT_3);
    let before = fed.swim.health();
    fed.run_answered(config.probe_interval / 10, ALL_BUT_3);
    assert_eq!(fed.state(3), MemberState::Suspect);
    assert!(fed.swim.health() > before, "{} after {before}", fed.swim.health());
    fed.run_answered(secs(30.0), ALL_BUT_3);
    assert_eq!(fed.swim.health(), 0, "pings that are answered restore its trust");
}

#[test]
fn news_are_passed_on_as_often_as_the_limit_says() {
    let mut fed = Fed::new(10, SwimConfig { sync_interval: secs(3600.0), ..SwimConfig::lan() });
    fed.run(secs(60.0));
    fed.clear();
    fed.tell(2, claim(77, 0, MemberState::Left));
    fed.tell(2, claim(3, 1, MemberState::Alive));
    fed.run(secs(0.0));
    assert_eq!(fed.told_about(3), 3, "the first push goes out at once");
    fed.run(secs(1.0));
    // Ten members: ceil(3 log2(11)) = 11, less those that would have told node 3 of itself.
    assert!((8..=11).contains(&fed.told_about(3)), "{}", fed.told_about(3));
    let told = fed.told_about(3);
    fed.run(secs(30.0));
    assert_eq!(fed.told_about(3), told, "and no more");
    assert_eq!(fed.told_about(77), 0, "an end of somebody who was never there is no news");
}

#[test]
fn a_newcomer_does_not_pass_on_what_it_was_given() {
    let mut fed = Fed::new(1, SwimConfig { sync_interval: secs(3600.0), ..SwimConfig::lan() });
    let (incarnation, address) = (Incarnation(5), Some("n2".to_string()));
    fed.link(2, LinkEvent::Up { incarnation, address, seed: Some("n2".into()) });
    assert!(matches!(fed.sent[..], [(_, MembershipMessage::Join { .. })]));
    let page = |ids: std::ops::RangeInclusive<u16>, last| MembershipMessage::JoinReply {
        members: ids.map(|id| claim(id, 0, MemberState::Alive)).collect(),
        last,
    };
    fed.take(2, page(1..=6, false));
    assert!(!fed.events.contains(&MembershipEvent::Joined { through: n(2) }));
    fed.take(2, page(7..=10, true));
    assert_eq!(fed.events.last(), Some(&MembershipEvent::Joined { through: n(2) }));
    assert_eq!(fed.swim.members_up(), 10);
    fed.run(secs(0.9));
    assert_eq!((3..=10).map(|id| fed.told_about(id)).sum::<usize>(), 0);
    fed.run(secs(5.0));
    let digests = fed.sent.iter().filter(|(_, message)| matches!(message, MembershipMessage::Digest { .. }));
    assert_eq!(digests.count(), 3, "it compares with three others instead");
}

#[test]
fn the_table_is_compared_with_others_again_and_again() {
    let config = SwimConfig::lan();
    let mut fed = Fed::new(10, config.clone());
    fed.run(config.sync_interval * 100);
    let digests = fed.sent.iter().filter(|(_, message)| matches!(message, MembershipMessage::Digest { .. }));
    let peers: std::collections::BTreeSet<_> = digests.clone().map(|(to, _)| *to).collect();
    assert!((80..=125).contains(&digests.clone().count()), "{}", digests.count());
    assert_eq!(peers.len(), 9, "with each of them");
}

#[test]
fn an_accused_member_that_speaks_is_told_once_per_period() {
    let config = SwimConfig::lan();
    for state in [MemberState::Suspect, MemberState::Dead] {
        let mut fed = Fed::new(30, config.clone());
        fed.tell(2, claim(3, 0, MemberState::Suspect));
        if state == MemberState::Dead {
            fed.swim.force_down(fed.now, n(3));
        }
        let told = |fed: &Fed| {
            let accusation = |(to, message): &&(NodeId, MembershipMessage)| {
                *to == n(3)
                    && matches!(message, MembershipMessage::Gossip { updates } if updates[0].node == n(3))
            };
            fed.sent.iter().filter(accusation).count()
        };
        fed.now += config.probe_interval;
        fed.clear();
        fed.take(3, MembershipMessage::Gossip { updates: Vec::new() });
        assert_eq!(told(&fed), 1, "{state:?}");
        fed.take(3, MembershipMessage::Gossip { updates: Vec::new() });
        fed.link(3, LinkEvent::Heard);
        assert_eq!(told(&fed), 1, "{state:?}");
        fed.take(3, MembershipMessage::Ping { seq: 9, updates: Vec::new() });
        let Some((_, MembershipMessage::Ack { updates, .. })) = fed.sent.last() else { panic!("no ack") };
        assert_eq!((updates[0].node, updates[0].state), (n(3), state), "whatever else it is told");
        fed.now += config.probe_interval;
        fed.link(3, LinkEvent::Heard);
        assert_eq!(told(&fed), 2, "{state:?}");
        fed.link(3, LinkEvent::Broken);
        fed.up(3, 5);
        assert_eq!(told(&fed), 3, "{state:?}: a new link is told at once");
    }
}

#[test]
fn a_suspect_that_is_heard_has_more_time_but_not_for_ever() {
    let config = SwimConfig { confirmations: 0, ..SwimConfig::lan() };
    let min = config.probe_interval * config.suspicion_periods_min;
    let mut fed = Fed::new(8, config.clone());
    fed.tell(2, claim(3, 0, MemberState::Suspect));
    let begin = fed.now;
    while fed.state(3) == MemberState::Suspect {
        fed.run(secs(0.5));
        fed.link(3, LinkEvent::Heard);
        assert!(fed.now - begin < 20 * min, "a member that does not refute cannot stay suspect for ever");
    }
    assert_eq!(fed.state(3), MemberState::Dead);
    assert!(fed.now - begin > 2 * min, "{:?}", fed.now - begin);
}

#[test]
fn a_member_that_comes_back_from_the_dead_is_compared_with() {
    let mut fed = Fed::new(8, SwimConfig::lan());
    fed.swim.force_down(fed.now, n(3));
    fed.drain();
    fed.clear();
    fed.tell(3, claim(3, 1, MemberState::Alive));
    assert!(matches!(fed.events[..], [MembershipEvent::Up { .. }]));
    let digest = |(to, message): &(NodeId, MembershipMessage)| {
        *to == n(3) && matches!(message, MembershipMessage::Digest { .. })
    };
    assert!(fed.sent.iter().any(digest), "others may have been cut off with it");
}

#[test]
fn a_refusal_counts_after_a_broken_link_or_of_a_suspect_only() {
    let config = SwimConfig::lan();
    let refused = || LinkEvent::Unreachable { refused: true };
    // Never linked, and nobody complains: its address may be wrong.
    let mut fed = Fed::new(8, config.clone());
    fed.tell(2, claim(20, 0, MemberState::Alive));
    fed.link(20, refused());
    assert_eq!(fed.state(20), MemberState::Alive);
    assert_eq!(helpers(&fed, 20).len() + fed.sent.iter().filter(|(to, _)| *to == n(20)).count(), 1);
    // Linked: a dial that fails beside a link says nothing.
    fed.link(3, refused());
    assert_eq!(fed.state(3), MemberState::Alive);
    assert!(!fed.sent.iter().any(|(to, _)| *to == n(3)), "it is not even pinged");
    // Broken, then refused.
    fed.link(3, LinkEvent::Broken);
    fed.link(3, LinkEvent::Unreachable { refused: false });
    assert_eq!(fed.state(3), MemberState::Alive);
    fed.link(3, refused());
    assert_eq!(fed.state(3), MemberState::Suspect);
    // Suspected by others, then refused.
    fed.tell(2, claim(20, 0, MemberState::Suspect));
    fed.link(20, refused());
    fed.run(config.refused_suspicion);
    assert_eq!([fed.state(3), fed.state(20)], [MemberState::Dead, MemberState::Dead]);
}

#[test]
fn the_dead_and_the_missing_seeds_are_dialled_the_left_and_the_living_are_not() {
    let seeds = vec!["n2".to_string(), "elsewhere".to_string()];
    let config = SwimConfig { seeds, dead_dialled: secs(300.0), ..SwimConfig::lan() };
    let mut fed = Fed::new(3, config);
    fed.up(4, 5);
    fed.up(5, 5);
    // A seed under another name than the address that its node advertises.
    let (incarnation, address) = (Incarnation(5), Some("n3".to_string()));
    fed.link(3, LinkEvent::Up { incarnation, address, seed: Some("alias".into()) });
    fed.swim.force_down(fed.now, n(4));
    fed.take(5, MembershipMessage::Leave { seq: 1, member: claim(5, 0, MemberState::Left) });
    fed.run(secs(290.0));
    let mut dialled = std::mem::take(&mut fed.dialled);
    dialled.sort_unstable();
    dialled.dedup();
    assert_eq!(dialled, ["elsewhere", "n4"]);
    fed.run(secs(300.0));
    fed.dialled.clear();
    fed.run(secs(300.0));
    fed.dialled.dedup();
    assert_eq!(fed.dialled, ["elsewhere"], "the dead are given up in the end, seeds never");
}

#[test]
fn the_end_of_an_old_link_is_not_heard_once_a_later_incarnation_is_known() {
    let mut fed = Fed::new(4, SwimConfig::lan());
    fed.tell(2, MemberUpdate { incarnation: Incarnation(6), ..claim(3, 0, MemberState::Alive) });
    let (node, incarnation) = (n(3), Incarnation(5));
    let down = MembershipEvent::Down { node, incarnation, reason: DownReason::Replaced };
    let address = None;
    assert_eq!(fed.events, [down, MembershipEvent::Up { node, incarnation: Incarnation(6), address }]);
    let late = MembershipMessage::Gossip { updates: vec![claim(4, 0, MemberState::Dead)] };
    let stale = MembershipError::Stale { node, known: Incarnation(6), given: incarnation };
    assert_eq!(fed.swim.handle_message(fed.now, node, late), Err(stale));
    assert_eq!(fed.state(4), MemberState::Alive);
    fed.link(3, LinkEvent::Broken);
    assert_eq!(fed.state(3), MemberState::Alive);
    fed.up(3, 6);
    assert!(fed.swim.member(node).unwrap().is_linked());
}

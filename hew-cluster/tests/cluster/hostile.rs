//! A member that lies, on an authenticated link: nothing panics, nothing grows without bound, nobody else dies.

use crate::random::check_order_of_events;
use crate::sim::{Entry, Net, Sim, n, secs};
use hew_cluster::{
    LinkEvent, LocalMember, MemberState, Membership, MembershipError, MembershipEvent, Output, Swim,
    SwimConfig,
};
use hew_wire::Incarnation;
use hew_wire::membership::{MEMBER_UPDATES_MAX, MemberUpdate, MembershipMessage};
use std::time::Instant;

fn claim(node: u16, incarnation: u64, refutation: u32, state: MemberState) -> MemberUpdate {
    MemberUpdate {
        node: n(node),
        incarnation: Incarnation(incarnation),
        refutation,
        state,
        address: String::new(),
        suspectors: Vec::new(),
    }
}

fn gossip(updates: Vec<MemberUpdate>) -> MembershipMessage {
    MembershipMessage::Gossip { updates }
}

#[allow(clippy::disallowed_methods)] // Some instant to start from.
fn start() -> Instant {
    Instant::now()
}

/// Node 1 with a link to node 2.
fn linked(now: Instant, incarnation: u64, config: SwimConfig) -> Swim {
    let local = LocalMember { node: n(1), incarnation: Incarnation(incarnation), address: None };
    let mut swim = Swim::new(local, config, 1, now).unwrap();
    let up = LinkEvent::Up { incarnation: Incarnation(incarnation), address: None, seed: None };
    swim.handle_link(now, n(2), up).unwrap();
    drain(&mut swim);
    swim
}

fn drain(swim: &mut Swim) -> Vec<Output> {
    std::iter::from_fn(|| swim.poll()).collect()
}

#[test]
fn rumours_of_death_about_all_kill_nobody() {
    use MemberState::{Dead, Suspect};
    for (states, count) in
        [(&[Dead][..], 16), (&[Suspect], 16), (&[Suspect, Dead], 16), (&[Suspect, Dead], 64)]
    {
        for config in [SwimConfig::lan(), SwimConfig::fast()] {
            let mut sim = Sim::cluster(4, Net::default(), count, &config);
            let begin = sim.now();
            for _ in 0..30 {
                for to in 1..count {
                    for &state in states {
                        let lie = |id| MemberUpdate {
                            suspectors: vec![n(3), n(4), n(5), n(6)],
                            ..claim(id, 1, 0, state)
                        };
                        sim.inject(to, count, gossip((1..=count).map(lie).collect()));
                    }
                }
                sim.run_for(secs(0.3));
            }
            sim.run_until(secs(30.0), Sim::is_settled).expect("all refuted");
            assert_eq!(sim.downs(begin), [], "{states:?}, {count} nodes");
        }
    }
}

#[test]
fn rumours_of_death_about_one_told_to_one_kill_nobody() {
    for count in [3, 10, 64] {
        for config in [SwimConfig::lan(), SwimConfig::fast()] {
            for seed in 0..10 {
                let mut sim = Sim::cluster(seed, Net::default(), count, &config);
                let begin = sim.now();
                for state in [MemberState::Suspect, MemberState::Dead] {
                    sim.inject(1, count, gossip(vec![claim(2, 1, 0, state)]));
                }
                sim.run_for(secs(10.0));
                assert_eq!(sim.downs(begin), [], "{count} nodes, seed {seed}");
                assert!(sim.is_settled());
            }
        }
    }
}

#[test]
fn an_accusation_at_the_highest_refutation_does_not_overflow() {
    let mut sim = Sim::cluster(4, Net::default(), 5, &SwimConfig::lan());
    sim.inject(3, 5, gossip(vec![claim(3, 1, u32::MAX, MemberState::Suspect)]));
    assert_eq!(sim.swim(3).member(n(3)).unwrap().refutation(), u32::MAX);
    sim.inject(3, 5, gossip(vec![claim(3, 1, u32::MAX, MemberState::Dead)]));
    sim.run_for(secs(60.0));
}

#[test]
fn what_cannot_be_true_is_skipped_and_the_rest_applied() {
    let now = start();
    let mut swim = linked(now, 1_800_000_000_000, SwimConfig::lan());
    let day_after_tomorrow = 1_800_000_000_000 + 2 * 86_400_000;
    for (node, incarnation) in
        [(0, 5), (9, u64::MAX), (9, (1 << 48) + 1), (9, day_after_tomorrow), (2, day_after_tomorrow)]
    {
        let updates = vec![
            claim(node, incarnation, 0, MemberState::Alive),
            claim(3, 1_800_000_000_000, 0, MemberState::Alive),
        ];
        let result = swim.handle_message(now, n(2), gossip(updates));
        assert!(
            matches!(result, Err(MembershipError::InvalidUpdate { .. })),
            "{node} {incarnation}: {result:?}"
        );
        assert!(swim.member(n(3)).is_some() && swim.member(n(9)).is_none() && swim.member(n(0)).is_none());
    }
    assert_eq!(swim.member(n(2)).unwrap().incarnation(), Incarnation(1_800_000_000_000));
    // Incarnations that count starts instead of milliseconds are bounded, too.
    let mut counting = linked(now, 5, SwimConfig::lan());
    let lie = gossip(vec![claim(9, (1 << 48) + 1, 0, MemberState::Alive)]);
    assert!(counting.handle_message(now, n(2), lie).is_err() && counting.member(n(9)).is_none());
    counting.handle_message(now, n(2), gossip(vec![claim(9, 1 << 48, 0, MemberState::Alive)])).unwrap();
    // The node itself may prove it, on its own link.
    let up = |incarnation| LinkEvent::Up { incarnation: Incarnation(incarnation), address: None, seed: None };
    swim.handle_link(now, n(9), up(day_after_tomorrow)).unwrap();
    assert!(swim.handle_link(now, n(9), up(u64::MAX)).is_err());
    assert_eq!(swim.member(n(9)).unwrap().incarnation(), Incarnation(day_after_tomorrow));
}

#[test]
fn nobody_confirms_in_the_name_of_this_node_of_the_suspect_or_of_nobody() {
    let now = start();
    let mut swim = linked(now, 5, SwimConfig::lan());
    let others = (3..=9).map(|id| claim(id, 5, 0, MemberState::Alive)).collect();
    swim.handle_message(now, n(2), gossip(others)).unwrap();
    let lie =
        MemberUpdate { suspectors: vec![n(1), n(3), n(0), n(2)], ..claim(3, 5, 0, MemberState::Suspect) };
    swim.handle_message(now, n(2), gossip(vec![lie])).unwrap();
    drain(&mut swim);
    let join = MembershipMessage::Join { member: claim(2, 5, 0, MemberState::Alive) };
    swim.handle_message(now, n(2), join).unwrap();
    let told = drain(&mut swim).into_iter().find_map(|output| match output {
        Output::Send { message: MembershipMessage::JoinReply { members, .. }, .. } => Some(members),
        _ => None,
    });
    let about_3 = told.unwrap().into_iter().find(|update| update.node == n(3)).unwrap();
    assert_eq!(about_3.suspectors, [n(2)]);
}

#[test]
fn peers_that_cannot_be_are_refused() {
    let now = start();
    let mut swim = linked(now, 5, SwimConfig::lan());
    for own in [0, 1] {
        let refused = Err(MembershipError::OwnId { node: n(own) });
        assert_eq!(swim.handle_message(now, n(own), gossip(vec![])), refused);
        assert_eq!(swim.handle_link(now, n(own), LinkEvent::Heard), refused);
    }
    let unknown = swim.handle_message(now, n(7), gossip(vec![]));
    assert_eq!(unknown, Err(MembershipError::UnknownSender { node: n(7) }));
    for message in [
        MembershipMessage::Join { member: claim(3, 5, 0, MemberState::Alive) },
        MembershipMessage::Leave { seq: 1, member: claim(3, 5, 0, MemberState::Left) },
        MembershipMessage::Leave { seq: 1, member: claim(2, 5, 0, MemberState::Alive) },
    ] {
        assert!(swim.handle_message(now, n(2), message).is_err());
    }
    assert!(swim.member(n(3)).is_none());
}

#[test]
fn the_table_is_bounded() {
    let now = start();
    let config = SwimConfig { members_max: 100, ..SwimConfig::lan() };
    let mut swim = linked(now, 5, config);
    let all: Vec<_> = (0..=u16::MAX).map(|id| claim(id, 5, 0, MemberState::Alive)).collect();
    for updates in all.chunks(MEMBER_UPDATES_MAX) {
        let _ = swim.handle_message(now, n(2), gossip(updates.to_vec()));
    }
    assert_eq!(swim.members().count(), 100);
    let full = swim.handle_message(now, n(2), gossip(vec![claim(5000, 5, 0, MemberState::Alive)]));
    assert_eq!(full, Err(MembershipError::TableFull { node: n(5000), limit: 100 }));
    let up = LinkEvent::Up { incarnation: Incarnation(5), address: None, seed: None };
    assert!(matches!(swim.handle_link(now, n(5000), up), Err(MembershipError::TableFull { .. })));
}

#[test]
fn a_million_rumours_about_every_id_fit_the_table() {
    let mut now = start();
    let mut swim = linked(now, 5, SwimConfig::fast());
    let states = [MemberState::Alive, MemberState::Suspect, MemberState::Dead, MemberState::Left];
    let mut rng = fastrand::Rng::with_seed(1);
    for round in 0..1_000_000 / MEMBER_UPDATES_MAX {
        let lies = (0..MEMBER_UPDATES_MAX).map(|_| {
            let state = states[rng.usize(..4)];
            claim(rng.u16(1..2000), rng.u64(5..8), rng.u32(..3), state)
        });
        let _ = swim.handle_message(now, n(2), gossip(lies.collect()));
        assert!(drain(&mut swim).len() < 10 * MEMBER_UPDATES_MAX);
        if round % 100 == 0 {
            now += secs(0.1);
            swim.handle_timeout(now);
            drain(&mut swim);
        }
    }
    assert!(swim.members().count() < 2000);
}

#[test]
fn costly_answers_are_given_once_per_period() {
    let now = start();
    let mut swim = linked(now, 5, SwimConfig::lan());
    let mut answers = |message: MembershipMessage, now| {
        for _ in 0..100 {
            let _ = swim.handle_message(now, n(2), message.clone());
        }
        drain(&mut swim).into_iter().filter(|output| matches!(output, Output::Send { .. })).count()
    };
    assert_eq!(answers(MembershipMessage::Join { member: claim(2, 5, 0, MemberState::Alive) }, now), 1);
    let digest = MembershipMessage::Digest { buckets: vec![(77, 1)] };
    assert_eq!(answers(digest.clone(), now), 2, "the diff and one page");
    assert_eq!(answers(digest, now + secs(1.5)), 2);
    assert_eq!(answers(gossip(vec![claim(2, 4, 0, MemberState::Alive)]), now), 1, "a correction");
    assert_eq!(answers(MembershipMessage::DigestDiff { buckets: vec![1, 2, 3] }, now), 0, "nobody asked");
    let reply =
        MembershipMessage::JoinReply { members: vec![claim(9, 5, 0, MemberState::Alive)], last: true };
    assert_eq!(answers(reply, now), 0);
    assert!(swim.member(n(9)).is_none(), "an answer to no question");
}

#[test]
fn pings_for_others_are_bounded() {
    let now = start();
    let mut swim = linked(now, 5, SwimConfig::lan());
    swim.handle_message(now, n(2), gossip(vec![claim(3, 5, 0, MemberState::Alive)])).unwrap();
    drain(&mut swim);
    for seq in 0..1000 {
        let request =
            MembershipMessage::PingRequest { seq, target: n(3), wait_ms: u32::MAX, updates: vec![] };
        swim.handle_message(now, n(2), request).unwrap();
    }
    let pings = drain(&mut swim);
    assert_eq!(pings.len(), hew_cluster::RELAYS_MAX);
    let mut nacks = 0;
    while let Some(at) = swim.poll_timeout().filter(|&at| at < now + secs(9.1)) {
        swim.handle_timeout(at);
        let is_nack =
            |output: &Output| matches!(output, Output::Send { message: MembershipMessage::Nack { .. }, .. });
        nacks += drain(&mut swim).iter().filter(|output| is_nack(output)).count();
    }
    assert_eq!(nacks, hew_cluster::RELAYS_MAX, "each is answered once, within nine periods at most");
    let request = MembershipMessage::PingRequest { seq: 0, target: n(3), wait_ms: 100, updates: vec![] };
    swim.handle_message(now + secs(9.1), n(2), request).unwrap();
    assert!(!drain(&mut swim).is_empty(), "there is room again");
}

#[test]
fn claims_about_this_node_that_it_cannot_refute_are_reported_once() {
    let now = start();
    let mut swim = linked(now, 5, SwimConfig::lan());
    for _ in 0..3 {
        for lie in [claim(1, 5, 0, MemberState::Left), claim(1, 7, 0, MemberState::Alive)] {
            swim.handle_message(now, n(2), gossip(vec![lie])).unwrap();
        }
        let stale = MembershipMessage::Stale { node: n(1), incarnation: Incarnation(7) };
        swim.handle_message(now, n(2), stale).unwrap();
    }
    let conflicts: Vec<_> = drain(&mut swim)
        .into_iter()
        .filter_map(|output| match output {
            Output::Event { event: MembershipEvent::Conflict { claimed }, .. } => Some(claimed.0),
            _ => None,
        })
        .collect();
    assert_eq!(conflicts, [5, 7]);
    assert_eq!(swim.member(n(1)).unwrap().state(), MemberState::Alive);
}

/// Any member message, about a few nodes.
fn any_message(rng: &mut fastrand::Rng) -> MembershipMessage {
    let any_claim = |rng: &mut fastrand::Rng| {
        let states = [MemberState::Alive, MemberState::Suspect, MemberState::Dead, MemberState::Left];
        let incarnation = [4, 5, 5, 5, 6, u64::MAX][rng.usize(..6)];
        let refutation = [0, 0, 1, u32::MAX][rng.usize(..4)];
        let suspectors = (0..rng.usize(..5)).map(|_| n(rng.u16(..9))).collect();
        MemberUpdate { suspectors, ..claim(rng.u16(..9), incarnation, refutation, states[rng.usize(..4)]) }
    };
    let updates: Vec<_> = (0..rng.usize(..6)).map(|_| any_claim(rng)).collect();
    let seq = rng.u64(..40);
    match rng.u8(..12) {
        0 => MembershipMessage::Ping { seq, updates },
        1 => MembershipMessage::Ack { seq, updates },
        2 => {
            let wait_ms = [0, 100, u32::MAX][rng.usize(..3)];
            MembershipMessage::PingRequest { seq, target: n(rng.u16(..9)), wait_ms, updates }
        }
        3 => MembershipMessage::Nack { seq, updates },
        4 | 5 => MembershipMessage::Gossip { updates },
        6 => MembershipMessage::Join { member: any_claim(rng) },
        7 => MembershipMessage::JoinReply { members: updates, last: rng.bool() },
        8 => MembershipMessage::Leave { seq, member: any_claim(rng) },
        9 => MembershipMessage::Stale { node: n(rng.u16(..9)), incarnation: Incarnation(rng.u64(..9)) },
        10 => MembershipMessage::Digest { buckets: (0..rng.u8(..9)).map(|b| (b, rng.u64(..))).collect() },
        _ if rng.bool() => MembershipMessage::DigestDiff { buckets: (0..rng.u8(..)).collect() },
        _ => MembershipMessage::Members { members: updates },
    }
}

#[test]
fn any_inputs_in_any_order_do_no_harm() {
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let begin = start();
        let mut now = begin;
        let mut swim = linked(now, 5, SwimConfig { seeds: vec!["s".into()], ..SwimConfig::fast() });
        let mut log = Vec::new();
        let mut last_seq = 1;
        for _ in 0..500 {
            let peer = n(rng.u16(..9));
            let _ = match rng.u8(..20) {
                0..=11 => swim.handle_message(now, peer, any_message(&mut rng)),
                12..=14 => {
                    let incarnation = Incarnation([4, 5, 5, 6, u64::MAX][rng.usize(..5)]);
                    let seed = rng.bool().then(|| "s".to_string());
                    let address = rng.bool().then(|| "h:1".to_string());
                    swim.handle_link(now, peer, LinkEvent::Up { incarnation, address, seed })
                }
                15 => swim.handle_link(now, peer, LinkEvent::Broken),
                16 => swim.handle_link(now, peer, LinkEvent::Unreachable { refused: rng.bool() }),
                17 => swim.handle_link(now, peer, LinkEvent::Heard),
                _ => {
                    now += [secs(0.0), secs(0.01), secs(0.2), secs(1.0), secs(60.0)][rng.usize(..5)];
                    swim.handle_timeout(now);
                    assert!(
                        swim.poll_timeout().is_none_or(|at| at > now),
                        "seed {seed}: a timer is left behind"
                    );
                    Ok(())
                }
            };
            let outputs = drain(&mut swim);
            assert!(outputs.len() < 100, "seed {seed}: {} outputs", outputs.len());
            for output in outputs {
                match output {
                    Output::Event { seq, event } => {
                        // The first event came before the log: that node 2 is up.
                        assert_eq!(seq, last_seq + 1);
                        last_seq = seq;
                        log.push(Entry { at: now - begin, node: 1, seq: seq - 1, event });
                    }
                    Output::Send { to, .. } => assert!(to != n(1) && to != n(0), "seed {seed}"),
                    Output::Dial { node, .. } => assert_ne!(node, Some(n(1)), "seed {seed}"),
                }
            }
            let me = swim.member(n(1)).unwrap();
            assert_eq!((me.state(), me.incarnation()), (MemberState::Alive, Incarnation(5)), "seed {seed}");
            assert!(swim.members().count() <= 8);
            let up = swim.members().filter(|member| member.is_up()).count();
            assert_eq!(swim.members_up(), up, "seed {seed}: the rotation holds exactly those who are up");
        }
        let up = MembershipEvent::Up { node: n(2), incarnation: Incarnation(5), address: None };
        let first = Entry { at: secs(0.0), node: 1, seq: 1, event: up };
        let log: Vec<_> = std::iter::once(first)
            .chain(log.into_iter().map(|entry| Entry { seq: entry.seq + 1, ..entry }))
            .collect();
        check_order_of_events(&log, seed);
    }
}

//! Nodes join, restart and leave.

use crate::sim::{Net, Sim, n, secs};
use hew_cluster::{DownReason, MemberState, MembershipEvent, SwimConfig};
use hew_wire::Incarnation;

fn down(node: u16, incarnation: u64, reason: DownReason) -> MembershipEvent {
    MembershipEvent::Down { node: n(node), incarnation: Incarnation(incarnation), reason }
}

fn up(node: u16, incarnation: u64) -> MembershipEvent {
    MembershipEvent::Up {
        node: n(node),
        incarnation: Incarnation(incarnation),
        address: Some(format!("n{node}")),
    }
}

#[test]
fn nodes_join_through_one_seed() {
    for count in [2, 3, 16, 64] {
        let config = SwimConfig::lan();
        let mut sim = Sim::new(7, Net::default());
        for id in 1..=count {
            sim.boot(id, 1, &config, &[1]);
        }
        let took = sim.run_until(secs(60.0), Sim::is_settled).expect("all joined");
        println!("{count} nodes all see each other after {took:?}");
        assert!(took < secs(3.0), "{count} nodes: {took:?}");
        sim.run_for(secs(1.0));
        let joined = sim.log.iter().filter(|e| matches!(e.event, MembershipEvent::Joined { .. })).count();
        assert_eq!(joined, usize::from(count) - 1);
        assert_eq!(sim.downs(secs(0.0)), []);
    }
}

#[test]
fn a_cluster_of_more_members_than_fit_one_page_is_told_to_a_newcomer() {
    let config = SwimConfig::lan();
    let mut sim = Sim::cluster(1, Net::default(), 120, &config);
    sim.boot(200, 1, &config, &[1]);
    assert!(sim.run_until(secs(1.0), |sim| sim.swim(200).members_up() == 121).is_some());
    assert!(sim.run_until(secs(5.0), Sim::is_settled).is_some());
}

#[test]
fn a_node_may_start_before_its_seed() {
    let config = SwimConfig::fast();
    let mut sim = Sim::new(1, Net::default());
    sim.boot(2, 1, &config, &[1]);
    sim.run_for(secs(30.0));
    sim.boot(1, 1, &config, &[1]);
    assert!(sim.run_until(secs(5.0), Sim::is_settled).is_some());
}

#[test]
fn leaving_is_told_as_leaving() {
    let config = SwimConfig::lan();
    for (count, told) in [(2, 1), (5, 3), (40, 6)] {
        let mut sim = Sim::cluster(1, Net::default(), count, &config);
        let begin = sim.now();
        sim.leave(count);
        let left = sim.run_until(secs(2.0), |sim| sim.all_see(count, MemberState::Left)).unwrap();
        println!("{count} nodes: all know of the leaving after {left:?}");
        sim.run_for(secs(1.5));
        sim.kill(count);
        sim.run_for(secs(60.0));
        for id in 1..count {
            assert_eq!(sim.events_about(id, count, begin), [down(count, 1, DownReason::Left)], "at {id}");
        }
        let has_left = sim.log.iter().rev().find(|entry| entry.node == count).unwrap();
        let MembershipEvent::HasLeft { acknowledged } = has_left.event else { panic!("{has_left:?}") };
        assert_eq!(acknowledged, told);

        sim.boot(count, 2, &config, &[1]);
        sim.run_until(secs(5.0), Sim::is_settled).expect("it may come back as a later incarnation");
    }
}

#[test]
fn the_last_node_leaves_at_once() {
    let mut sim = Sim::new(1, Net::default());
    sim.boot(1, 1, &SwimConfig::lan(), &[]);
    sim.leave(1);
    assert_eq!(sim.log.last().unwrap().event, MembershipEvent::HasLeft { acknowledged: 0 });
}

#[test]
fn a_restart_is_down_and_up_next_to_each_other() {
    let config = SwimConfig::lan();
    for (count, seeds) in [(2, 20), (3, 20), (20, 20)] {
        let (mut slowest, mut refused) = (secs(0.0), 0_u64);
        for seed in 0..seeds {
            let mut sim = Sim::cluster(seed, Net::default(), count, &config);
            sim.link_all();
            let begin = sim.now();
            sim.kill(2);
            sim.run_for(secs(0.2));
            sim.boot(2, 2, &config, &[1]);
            slowest = slowest.max(sim.run_until(secs(10.0), Sim::is_settled).unwrap());
            sim.run_for(secs(30.0));
            for id in (1..=count).filter(|&id| id != 2) {
                let events = sim.events_about(id, 2, begin);
                let [.., before, last] = &events[..] else { panic!("seed {seed}, at {id}: {events:?}") };
                assert_eq!(*last, up(2, 2), "seed {seed}, at {id}");
                // A few of many nodes hear of the new one only after the short suspicion of a refused connection.
                match before {
                    MembershipEvent::Down { reason: DownReason::Refused, .. } if count > 3 => refused += 1,
                    _ => assert_eq!(*before, down(2, 1, DownReason::Replaced), "seed {seed}, at {id}"),
                }
                let downs = events.iter().filter(|event| matches!(event, MembershipEvent::Down { .. }));
                assert_eq!(downs.count(), 1, "seed {seed}, at {id}: {events:?}");
                let seqs: Vec<_> = sim.log.iter().filter(|e| e.node == id).map(|e| e.seq).collect();
                assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "sequence numbers have no gap");
            }
        }
        println!("{count} nodes, {seeds} trials: all know the new incarnation after {slowest:?} at most");
        println!("and {refused} times its end was known a little earlier");
        assert!(slowest < secs(1.5), "{slowest:?}");
        let observations = seeds * u64::from(count - 1);
        assert!(refused * 5 <= observations, "mostly the new one tells the end of the old: {refused}");
    }
}

#[test]
fn restarts_do_not_grow_the_table() {
    let config = SwimConfig::local();
    let mut sim = Sim::cluster(5, Net::default(), 8, &config);
    for round in 2..100 {
        for id in [3, 4] {
            sim.kill(id);
            sim.run_for(secs(0.05));
            sim.boot(id, round, &config, &[1]);
        }
        sim.run_for(secs(0.1));
    }
    sim.run_until(secs(10.0), Sim::is_settled).unwrap();
    for id in 1..=8 {
        use hew_cluster::Membership;
        assert_eq!(sim.swim(id).members().count(), 8);
        assert!(sim.downs(secs(0.0)).iter().all(|&(_, _, of)| of == 3 || of == 4));
    }
}

#[test]
fn an_earlier_incarnation_never_comes_back() {
    let config = SwimConfig::lan();
    let mut sim = Sim::cluster(5, Net::default(), 6, &config);
    sim.kill(4);
    sim.boot(4, 9, &config, &[1]);
    sim.run_until(secs(10.0), Sim::is_settled).unwrap();
    sim.kill(4);
    sim.run_until(secs(10.0), |sim| sim.all_see(4, MemberState::Dead)).unwrap();
    sim.run_for(secs(1.0));

    let begin = sim.now();
    sim.boot(4, 8, &config, &[1, 2, 3]);
    sim.run_for(secs(60.0));
    for id in [1, 2, 3, 5, 6] {
        assert_eq!(sim.events_about(id, 4, begin), [], "at {id}");
    }
    let conflict = MembershipEvent::Conflict { claimed: Incarnation(9) };
    let conflicts = sim.log.iter().filter(|e| e.node == 4 && e.at >= begin && e.event == conflict).count();
    assert_eq!(conflicts, 1, "the stale node is told, once");
}

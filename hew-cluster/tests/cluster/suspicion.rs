//! Healthy members are not declared dead, whatever their network or their scheduler does for a while.

use crate::sim::{Net, Sim, n, secs};
use hew_cluster::{MemberState, MembershipEvent, SwimConfig};

fn count(sim: &Sim, is_it: impl Fn(&MembershipEvent) -> bool) -> usize {
    sim.log.iter().filter(|entry| is_it(&entry.event)).count()
}

#[test]
fn a_quiet_cluster_stays_quiet() {
    let mut sim = Sim::cluster(2, Net::default(), 32, &SwimConfig::fast());
    let (begin, messages, bytes) = (sim.now(), sim.messages, sim.bytes);
    sim.run_for(secs(120.0));
    let per_second = 32.0 * 120.0;
    println!(
        "idle at T = 250 ms: {:.2} messages and {:.0} bytes per node and second",
        (sim.messages - messages) as f64 / per_second,
        (sim.bytes - bytes) as f64 / per_second
    );
    assert!(sim.log.iter().all(|entry| entry.at < begin), "no event at all");
}

#[test]
fn links_that_break_again_and_again_kill_nobody() {
    let mut sim = Sim::cluster(2, Net::default(), 8, &SwimConfig::fast());
    let begin = sim.now();
    for round in 0..400_u16 {
        sim.break_link(1 + round % 8, 1 + (round / 8) % 8);
        sim.run_for(secs(0.05));
    }
    assert_eq!(sim.downs(begin), []);
}

#[test]
fn a_node_that_only_stopped_listening_is_not_taken_for_dead() {
    for seed in 0..20 {
        let mut sim = Sim::cluster(seed, Net::default(), 6, &SwimConfig::lan());
        let begin = sim.now();
        sim.close_listener(3);
        for _ in 0..20 {
            (1..=6).filter(|&id| id != 3).for_each(|id| sim.break_link(id, 3));
            sim.run_for(secs(1.5));
        }
        assert_eq!(sim.downs(begin), [], "seed {seed}");
    }
}

#[test]
fn lost_packets_kill_nobody() {
    for loss in [0.05, 0.1, 0.25] {
        let net = Net { loss, latency: secs(0.005), jitter: secs(0.01), ..Net::default() };
        let mut sim = Sim::cluster(2, net, 16, &SwimConfig::lan());
        let begin = sim.now();
        sim.run_for(secs(300.0));
        let suspicions = count(&sim, |event| matches!(event, MembershipEvent::Suspect { .. }));
        println!(
            "loss {loss}: {suspicions} suspicions in 4,800 node-periods, {} downs",
            sim.downs(begin).len()
        );
        assert_eq!(sim.downs(begin), []);
    }
}

#[test]
fn a_path_cut_in_one_direction_kills_nobody() {
    for (from, to) in [(2, 5), (5, 2)] {
        let mut sim = Sim::cluster(2, Net::default(), 10, &SwimConfig::lan());
        let begin = sim.now();
        sim.cut_path(from, to);
        sim.run_for(secs(120.0));
        assert_eq!(sim.downs(begin), []);
    }
}

#[test]
fn a_node_whose_every_outgoing_path_is_cut_is_found_and_comes_back() {
    let mut sim = Sim::cluster(2, Net::default(), 10, &SwimConfig::lan());
    let begin = sim.now();
    (2..=10).for_each(|to| sim.cut_path(1, to));
    let others_see = |sim: &Sim| {
        (2..=10).all(|id| {
            use hew_cluster::Membership;
            sim.swim(id).member(n(1)).unwrap().state() == MemberState::Dead
        })
    };
    let took = sim.run_until(secs(60.0), others_see).expect("declared dead");
    println!("a mute node is dead to all after {took:?}");
    let healthy = |(_, at, of): &(_, u16, u16)| *at != 1 && *of != 1;
    assert!(!sim.downs(begin).iter().any(healthy), "{:?}", sim.downs(begin));
    sim.heal_paths();
    let took = sim.run_until(secs(60.0), Sim::is_settled).expect("it is taken back");
    println!("and is back {took:?} after it can speak again");
}

#[test]
fn a_paused_node_accuses_nobody_and_refutes() {
    for config in [SwimConfig::lan(), SwimConfig::fast()] {
        for seed in 0..10 {
            let mut sim = Sim::cluster(seed, Net::default(), 12, &config);
            let begin = sim.now();
            sim.pause(7);
            sim.run_for(secs(10.0));
            sim.resume(7);
            sim.run_until(secs(30.0), Sim::is_settled).expect("all agree again");
            sim.run_for(secs(30.0));
            let wrong: Vec<_> = sim.downs(begin).into_iter().filter(|&(_, _, of)| of != 7).collect();
            assert_eq!(wrong, [], "seed {seed}: only the paused one may be taken for dead");
            let accused = sim.log.iter().filter(|e| {
                e.at >= begin && e.node == 7 && matches!(e.event, MembershipEvent::Suspect { .. })
            });
            assert_eq!(accused.count(), 0, "seed {seed}: the paused node suspects nobody");
        }
    }
}

#[test]
fn what_was_under_way_when_a_node_was_paused_says_nothing() {
    // A round trip of T/5, so that often a ping is under way when the pause begins.
    let net = Net { latency: secs(0.1), jitter: secs(0.02), ..Net::default() };
    for seed in 0..20 {
        let mut sim = Sim::cluster(seed, net, 8, &SwimConfig::lan());
        let begin = sim.now();
        for _ in 0..10 {
            sim.run_for(secs(2.13));
            sim.pause(7);
            sim.run_for(secs(2.5));
            sim.resume(7);
        }
        sim.run_for(secs(5.0));
        let accused = sim
            .log
            .iter()
            .filter(|e| e.at >= begin && e.node == 7 && matches!(e.event, MembershipEvent::Suspect { .. }));
        assert_eq!(accused.count(), 0, "seed {seed}");
    }
}

#[test]
fn a_node_that_slept_through_a_refutation_hears_it_before_it_judges() {
    for seed in 0..20 {
        let mut sim = Sim::cluster(seed, Net::default(), 8, &SwimConfig::lan());
        let begin = sim.now();
        sim.pause(2);
        sim.run_until(secs(10.0), |sim| sim.all_see(2, MemberState::Suspect)).expect("all suspect it");
        sim.pause(7);
        sim.resume(2);
        sim.run_for(secs(20.0));
        sim.resume(7);
        sim.run_until(secs(30.0), Sim::is_settled).expect("all agree again");
        let wrong: Vec<_> = sim.downs(begin).into_iter().filter(|&(_, _, of)| of == 2).collect();
        assert_eq!(wrong, [], "seed {seed}");
    }
}

#[test]
fn a_short_pause_is_suspected_at_most() {
    for seed in 0..20 {
        let mut sim = Sim::cluster(seed, Net::default(), 12, &SwimConfig::lan());
        let begin = sim.now();
        for _ in 0..10 {
            sim.pause(7);
            sim.run_for(secs(2.5));
            sim.resume(7);
            sim.run_for(secs(2.5));
        }
        assert_eq!(sim.downs(begin), [], "seed {seed}");
    }
}

#[test]
fn a_suspicion_is_refuted() {
    let mut sim = Sim::cluster(2, Net::default(), 12, &SwimConfig::lan());
    let begin = sim.now();
    sim.pause(7);
    let suspected = |sim: &Sim| sim.all_see(7, MemberState::Suspect);
    sim.run_until(secs(10.0), suspected).expect("all suspect it");
    sim.resume(7);
    let took = sim.run_until(secs(5.0), Sim::is_settled).expect("all take it for alive");
    println!("refuted everywhere after {took:?}");
    assert!(took < secs(1.5), "{took:?}");
    assert_eq!(sim.downs(begin), []);
    for id in (1..=12).filter(|&id| id != 7) {
        use hew_cluster::Membership;
        assert!(sim.swim(id).member(n(7)).unwrap().refutation() > 0);
        assert!(matches!(
            sim.events_about(id, 7, begin)[..],
            [MembershipEvent::Suspect { .. }, MembershipEvent::Alive { .. }]
        ));
    }
}

#[test]
fn whoever_is_cut_off_from_all_holds_its_verdicts() {
    let config = SwimConfig::lan();
    let mut sim = Sim::cluster(2, Net::default(), 12, &config);
    let begin = sim.now();
    let others: Vec<_> = (1..=12).filter(|&id| id != 7).collect();
    sim.split(&[7], &others);
    sim.run_for(secs(20.0));
    let isolated =
        sim.log.iter().find(|e| e.node == 7 && matches!(e.event, MembershipEvent::Isolated { .. }));
    println!("isolated after {:?}", isolated.expect("it knows").at - begin);
    let by_it = sim.downs(begin).into_iter().filter(|&(_, at, _)| at == 7).count();
    assert_eq!(by_it, 0, "it declares nobody dead");
    assert!(others.iter().all(|&id| sim.downs(begin).iter().any(|&(_, at, of)| at == id && of == 7)));
    sim.heal_paths();
    let took = sim.run_until(secs(60.0), Sim::is_settled).expect("one cluster again");
    println!("one cluster again after {took:?}");
    assert!(count(&sim, |event| matches!(event, MembershipEvent::Rejoined)) == 1);
    assert!(sim.downs(begin).iter().all(|&(_, at, of)| at == 7 || of == 7));
}

#[test]
fn a_member_can_be_forced_down_and_a_living_one_comes_back() {
    let config = SwimConfig::fast();
    let mut sim = Sim::cluster(2, Net::default(), 5, &config);
    let begin = sim.now();
    sim.force_down(1, 4);
    let reason = hew_cluster::DownReason::Forced;
    let incarnation = hew_wire::Incarnation(1);
    assert_eq!(sim.events_about(1, 4, begin), [MembershipEvent::Down { node: n(4), incarnation, reason }]);
    sim.run_until(secs(5.0), Sim::is_settled).expect("it refutes");
    let mut others = sim.downs(begin);
    others.retain(|&(_, at, _)| at != 1);
    assert_eq!(others, [], "elsewhere it was only suspected");
}

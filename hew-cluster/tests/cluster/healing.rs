//! Split clusters become one again, without an operator and without more harm.

use crate::sim::{Net, Sim, secs};
use hew_cluster::{MemberState, Membership, SwimConfig};

fn ids(range: std::ops::RangeInclusive<u16>) -> Vec<u16> {
    range.collect()
}

/// Splits a cluster for `length`, and lets it heal.
fn check_split(seed: u64, count: u16, parts: &[Vec<u16>], length: f64, config: &SwimConfig) {
    let mut sim = Sim::cluster(seed, Net::default(), count, config);
    for (i, left) in parts.iter().enumerate() {
        parts[i + 1..].iter().for_each(|right| sim.split(left, right));
    }
    sim.run_for(secs(length));
    for part in parts {
        for &id in part {
            let alive: Vec<_> = sim
                .swim(id)
                .members()
                .filter(|member| member.state() == MemberState::Alive)
                .map(|member| member.node().raw())
                .collect();
            assert_eq!(&alive, part, "each part is a cluster of its own");
        }
    }
    sim.heal_paths();
    let healed = sim.now();
    let took = sim.run_until(secs(120.0), Sim::is_settled).expect("one cluster again");
    println!("seed {seed}, {count} nodes in {} parts: one cluster after {took:?}", parts.len());
    assert!(took < 2 * config.heal_interval, "{took:?}");
    sim.run_for(secs(60.0));
    assert_eq!(sim.downs(healed), [], "nobody is declared dead by the merge");
    assert!(sim.is_settled());
}

#[test]
fn two_halves_find_each_other() {
    let config = SwimConfig::lan();
    for seed in 0..5 {
        check_split(seed, 10, &[ids(1..=5), ids(6..=10)], 600.0, &config);
    }
    check_split(1, 48, &[ids(1..=24), ids(25..=48)], 120.0, &config);
    check_split(1, 2, &[ids(1..=1), ids(2..=2)], 600.0, &config);
}

#[test]
fn a_small_part_and_three_parts_find_each_other() {
    let config = SwimConfig::lan();
    for seed in 0..3 {
        check_split(seed, 20, &[ids(1..=18), ids(19..=20)], 600.0, &config);
        check_split(seed, 12, &[ids(1..=4), ids(5..=8), ids(9..=12)], 600.0, &config);
    }
}

#[test]
fn two_clusters_that_never_met_merge_through_a_seed() {
    let config = SwimConfig::lan();
    let mut sim = Sim::new(3, Net::default());
    sim.split(&ids(1..=4), &ids(5..=8));
    // The first cluster's seeds name a node of the second, which was out of reach at the start.
    for id in 1..=4 {
        sim.boot(id, 1, &config, &[1, 5]);
    }
    for id in 5..=8 {
        sim.boot(id, 1, &config, &[5]);
    }
    sim.run_for(secs(60.0));
    assert_eq!([sim.swim(1).members_up(), sim.swim(5).members_up()], [4, 4]);
    sim.heal_paths();
    let took = sim.run_until(secs(60.0), Sim::is_settled).expect("one cluster");
    println!("merged after {took:?}");
    assert_eq!(sim.downs(secs(0.0)), []);
}

#[test]
fn a_short_split_that_ends_amid_the_verdicts_heals() {
    let config = SwimConfig::lan();
    for seed in 0..20 {
        let mut sim = Sim::cluster(seed, Net::default(), 12, &config);
        let begin = sim.now();
        sim.split(&ids(1..=6), &ids(7..=12));
        sim.run_for(secs(3.0 + seed as f64));
        sim.heal_paths();
        let healed = sim.now();
        sim.run_until(secs(120.0), Sim::is_settled).expect("one cluster again");
        sim.run_for(secs(60.0));
        assert!(sim.is_settled(), "seed {seed}");
        let within = |(_, at, of): &(_, u16, u16)| (*at <= 6) == (*of <= 6);
        assert!(
            !sim.downs(begin).iter().any(within),
            "seed {seed}, healed at {healed:?}: {:?}",
            sim.downs(begin)
        );
    }
}

//! Random operations and faults, many seeds: what must hold whatever happens.

use crate::simulation::{Cluster, ms};
use hew_registry::{Config, PeerEvent, Policy};

const SEEDS: u64 = 300;

fn config(rng: &mut fastrand::Rng) -> Config {
    Config {
        policy: if rng.bool() { Policy::KeepNewest } else { Policy::KeepOldest },
        // Small numbers make the rare paths common: scans, passing on, early sweeps.
        deletes_per_owner_max: if rng.bool() { 3 } else { 1000 },
        direct_peers_max: if rng.bool() { 2 } else { 64 },
        fanout: rng.usize(1..4),
        sweep_after: ms(if rng.bool() { 500 } else { 60_000 }),
        ..Config::default()
    }
}

fn step(cluster: &mut Cluster, rng: &mut fastrand::Rng, nodes: u16) {
    let id = rng.u16(1..=nodes);
    let other = rng.u16(1..=nodes);
    let text = format!("n{}", rng.u8(0..12));
    if !cluster.nodes.contains_key(&id) {
        if rng.u8(0..4) == 0 {
            cluster.boot(id);
            cluster.others(id).into_iter().for_each(|other| cluster.connect(id, other));
        }
        return;
    }
    match rng.u8(0..100) {
        0..50 => {
            let _ = cluster.register(id, &text);
        }
        50..65 => {
            cluster.unregister(id, &text);
        }
        65..75 => {
            let pid = cluster.nodes[&id].owned.values().next().copied();
            pid.into_iter().for_each(|pid| cluster.end(pid));
        }
        75..83 if id != other && cluster.nodes.contains_key(&other) => cluster.disconnect(id, other),
        83..92 if id != other => cluster.connect(id, other),
        92..94 => {
            let side: Vec<u16> = cluster.ids().into_iter().filter(|_| rng.bool()).collect();
            let noticed = rng.bool();
            cluster.partition(&side, noticed);
        }
        94..96 => cluster.heal(&[id]),
        96..98 => cluster.crash(id),
        98 => cluster.nodes.get_mut(&id).unwrap().skew_ms = rng.i64(-2000..2000),
        _ => {}
    }
    if rng.u8(0..3) == 0 {
        cluster.run(ms(rng.u64(0..40)));
    }
    if rng.u8(0..60) == 0 {
        cluster.run(ms(rng.u64(0..3000)));
    }
}

/// Everybody runs, is up in everybody's eyes, and has a session to everybody or only to two neighbours.
fn calm_down(cluster: &mut Cluster, rng: &mut fastrand::Rng, nodes: u16) {
    let ring = rng.bool();
    for id in 1..=nodes {
        if !cluster.nodes.contains_key(&id) {
            cluster.boot(id);
        }
    }
    for a in 1..=nodes {
        for b in a + 1..=nodes {
            let is_neighbour = b == a + 1 || (a == 1 && b == nodes);
            if ring && !is_neighbour {
                cluster.disconnect(a, b);
            } else {
                cluster.connect(a, b);
            }
            cluster.membership(a, b, PeerEvent::NodeUp);
            cluster.membership(b, a, PeerEvent::NodeUp);
        }
    }
    cluster.run(ms(30_000));
}

fn play(seed: u64, keep_journal: bool) -> Cluster {
    let mut rng = fastrand::Rng::with_seed(seed);
    let config = config(&mut rng);
    let nodes = rng.u16(2..=6);
    let mut cluster = Cluster::new(nodes, config, seed);
    cluster.keep_journal = keep_journal;
    for _ in 0..rng.usize(20..250) {
        step(&mut cluster, &mut rng, nodes);
    }
    calm_down(&mut cluster, &mut rng, nodes);
    cluster
}

#[test]
fn all_seeds_converge() {
    for seed in 0..SEEDS {
        let cluster = play(seed, false);
        cluster.check_agreement(&format!("seed {seed}"));
    }
}

#[test]
fn the_same_seed_gives_the_same_outputs() {
    for seed in 0..10 {
        let (first, second) = (play(seed, true), play(seed, true));
        assert!(first.journal.len() > 50);
        assert_eq!(first.journal, second.journal);
    }
}

#[test]
fn nothing_is_left_in_memory() {
    for seed in 0..20 {
        let mut cluster = play(seed, false);
        cluster.run(cluster.config.sweep_after + ms(1000));
        let owned: usize = cluster.nodes.values().map(|member| member.owned.len()).sum();
        for (id, member) in &cluster.nodes {
            assert_eq!(member.gossip.names_held(), owned, "seed {seed}, node {id}");
        }
    }
}

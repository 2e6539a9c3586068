//! Random faults, many seeds: what must hold whatever happens.

use crate::sim::{Entry, Net, Sim, secs};
use fastrand::Rng;
use hew_cluster::{MembershipEvent, SwimConfig};
use std::collections::BTreeMap;

/// One run: `steps` random faults on a few nodes, then quiet. Checks that all agree in the end.
fn check_faults(seed: u64, steps: usize) -> Sim {
    let mut rng = Rng::with_seed(seed);
    let count = rng.u16(2..=12);
    let config = if rng.bool() { SwimConfig::fast() } else { SwimConfig::lan() };
    let loss = [0.0, 0.0, 0.02, 0.1][rng.usize(..4)];
    let mut sim = Sim::cluster(seed, Net { loss, ..Net::default() }, count, &config);
    let mut incarnation = 1;
    let seeds = [1, 2];
    for _ in 0..steps {
        let (a, b) = (rng.u16(1..=count), rng.u16(1..=count));
        match rng.u8(..10) {
            0 => sim.kill(a),
            1 => sim.cut_power(a),
            2 | 3 => sim.pause(a),
            4 => (1..=count).for_each(|id| sim.resume(id)),
            5 if a != b => sim.cut_path(a, b),
            6 => {
                let (left, right): (Vec<_>, Vec<_>) = (1..=count).partition(|_| rng.bool());
                sim.split(&left, &right);
            }
            7 => sim.heal_paths(),
            8 if a != b => sim.break_link(a, b),
            _ => {
                incarnation += 1;
                sim.kill(a);
                sim.boot(a, incarnation, &config, &seeds);
            }
        }
        sim.run_for(secs(rng.f64() * 6.0));
    }
    // Everything works again, and whoever is gone comes back.
    sim.heal_paths();
    let running = |sim: &Sim| sim.running();
    (1..=count).for_each(|id| sim.resume(id));
    let gone: Vec<_> = (1..=count).filter(|id| !running(&sim).contains(id)).collect();
    for id in gone {
        incarnation += 1;
        sim.boot(id, incarnation, &config, &seeds);
    }
    assert!(sim.run_until(secs(600.0), Sim::is_settled).is_some(), "seed {seed}: all agree after the faults");
    sim
}

/// The events of each node about each other one must make sense in their order.
pub(crate) fn check_order_of_events(log: &[Entry], seed: u64) {
    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Seen {
        Nothing,
        Alive(u64),
        Suspect(u64),
        Down(u64),
    }
    let mut seen: BTreeMap<(u16, u16), Seen> = BTreeMap::new();
    let mut last_seq: BTreeMap<u16, u64> = BTreeMap::new();
    for entry in log {
        let context = || format!("seed {seed}: {entry:?}");
        let seq = last_seq.entry(entry.node).or_default();
        if entry.seq == 1 {
            // A new process, which knows nothing.
            *seq = 0;
            seen.retain(|&(at, _), _| at != entry.node);
        }
        *seq += 1;
        assert_eq!(entry.seq, *seq, "{}", context());
        let (node, next, is_legal): (_, _, fn(Seen, u64) -> bool) = match entry.event {
            MembershipEvent::Up { node, incarnation, .. } => {
                (node, Seen::Alive(incarnation.0), |before, new| match before {
                    Seen::Nothing => true,
                    Seen::Down(old) => new >= old,
                    _ => false,
                })
            }
            MembershipEvent::Suspect { node, incarnation } => {
                (node, Seen::Suspect(incarnation.0), |before, new| before == Seen::Alive(new))
            }
            MembershipEvent::Alive { node, incarnation } => {
                (node, Seen::Alive(incarnation.0), |before, new| before == Seen::Suspect(new))
            }
            MembershipEvent::Down { node, incarnation, .. } => {
                (node, Seen::Down(incarnation.0), |before, new| {
                    before == Seen::Alive(new) || before == Seen::Suspect(new)
                })
            }
            _ => continue,
        };
        assert_ne!(node.raw(), entry.node, "a node never speaks of itself: {}", context());
        let before = seen.insert((entry.node, node.raw()), next).unwrap_or(Seen::Nothing);
        let (Seen::Alive(new) | Seen::Suspect(new) | Seen::Down(new)) = next else { unreachable!() };
        assert!(is_legal(before, new), "after {before:?}: {}", context());
    }
}

#[test]
fn all_agree_after_random_faults() {
    for seed in 0..200 {
        let mut sim = check_faults(seed, 12);
        check_order_of_events(&sim.log, seed);
        let settled = sim.now();
        // From here on nothing happens; without loss, nothing may be said.
        sim.run_for(secs(30.0));
        if sim.net.loss == 0.0 {
            assert_eq!(
                sim.downs(settled + secs(0.001)),
                [],
                "seed {seed}: a healthy member was declared dead"
            );
        }
        assert!(sim.is_settled() || sim.net.loss > 0.0, "seed {seed}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [11, 12, 13] {
        let (first, second) = (check_faults(seed, 12), check_faults(seed, 12));
        assert!(!first.log.is_empty());
        assert_eq!(first.log, second.log);
        assert_eq!((first.messages, first.bytes), (second.messages, second.bytes));
    }
    assert_ne!(check_faults(1, 3).log, check_faults(2, 3).log);
}

//! Nodes crash, and all others come to know it.

use crate::sim::{Net, Sim, n, secs};
use hew_cluster::{DownReason, MemberState, MembershipEvent, SwimConfig};
use hew_wire::Incarnation;

#[test]
fn a_crashed_machine_is_found_by_all() {
    for (name, config) in [("lan", SwimConfig::lan()), ("fast", SwimConfig::fast())] {
        for count in [2, 3, 10, 64] {
            let mut sim = Sim::cluster(3, Net::default(), count, &config);
            sim.cut_power(count);
            let took = sim.run_until(secs(60.0), |sim| sim.all_see(count, MemberState::Dead)).expect("found");
            println!(
                "{name}, {count} nodes: all know after {:.1} T",
                took.div_duration_f64(config.probe_interval)
            );
            assert!(took < config.probe_interval * 12, "{name}, {count} nodes: {took:?}");
        }
    }
}

#[test]
fn a_killed_process_is_found_fast() {
    for (name, config) in [("lan", SwimConfig::lan()), ("fast", SwimConfig::fast())] {
        for count in [2, 3, 10, 64] {
            let mut sim = Sim::cluster(3, Net::default(), count, &config);
            sim.link_all();
            let begin = sim.now();
            sim.kill(count);
            let took = sim.run_until(secs(60.0), |sim| sim.all_see(count, MemberState::Dead)).expect("found");
            println!("{name}, {count} nodes: all know after {took:?}");
            assert!(took < secs(1.5), "{name}, {count} nodes: {took:?}");
            let down = MembershipEvent::Down {
                node: n(count),
                incarnation: Incarnation(1),
                reason: DownReason::Refused,
            };
            assert_eq!(sim.events_about(1, count, begin).last(), Some(&down));
        }
    }
}

#[test]
fn many_killed_processes_are_found_as_fast_as_one() {
    let config = SwimConfig::fast();
    let mut sim = Sim::cluster(3, Net::default(), 8, &config);
    let begin = sim.now();
    (3..=8).for_each(|id| sim.kill(id));
    let all_dead = |sim: &Sim| (3..=8).all(|id| sim.all_see(id, MemberState::Dead));
    let took = sim.run_until(secs(10.0), all_dead).expect("found");
    assert!(took < secs(1.5), "{took:?}");
    let isolated = |event: &MembershipEvent| matches!(event, MembershipEvent::Isolated { .. });
    assert!(!sim.log.iter().any(|entry| entry.at >= begin && isolated(&entry.event)));
}

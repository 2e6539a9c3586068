//! How fast and at what cost: figures over many trials, printed, with gates beside what was measured.

use crate::sim::{Net, Sim, secs};
use hew_cluster::{MemberState, Membership, MembershipEvent, SwimConfig};
use std::time::Duration;

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn percentile_99(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[(times.len() * 99).div_ceil(100) - 1]
}

/// Crashes one node of `count` in each of `trials` clusters. Gives the times of the first suspicion and of all knowing.
fn crash(count: u16, trials: u64, config: &SwimConfig) -> (Vec<Duration>, Vec<Duration>) {
    let trial = |seed| {
        let mut sim = Sim::cluster(seed, Net::default(), count, config);
        // At any time of the period.
        sim.run_for(config.probe_interval.mul_f64((seed as f64 * 0.618).fract()));
        sim.cut_power(count);
        let is_suspected = |sim: &Sim| {
            sim.log.last().is_some_and(|entry| matches!(entry.event, MembershipEvent::Suspect { .. }))
        };
        let first = sim.run_until(secs(120.0), is_suspected).expect("suspected");
        let rest = sim.run_until(secs(120.0), |sim| sim.all_see(count, MemberState::Dead)).expect("found");
        (first, first + rest)
    };
    (0..trials).map(trial).unzip()
}

#[test]
fn a_silent_crash_is_found_in_a_few_periods() {
    // Measured in T, lan, 3 / 10 / 64 nodes: first suspicion at 1.0 / 1.1 / 1.5 on average, which is the mean of a
    // Poisson process of one ping per T plus 0.4; all know after 4.0 / 4.1 / 4.8 (median).
    let (lan, fast) = (SwimConfig::lan(), SwimConfig::fast());
    for (name, config, count, trials) in
        [("lan", &lan, 3, 60), ("lan", &lan, 10, 60), ("lan", &lan, 64, 30), ("fast", &fast, 10, 60)]
    {
        let (mut first, mut all) = crash(count, trials, config);
        let t = |time: Duration| time.div_duration_f64(config.probe_interval);
        let mean = t(first.iter().sum::<Duration>() / trials as u32);
        let figures = [percentile_99(&mut first), median(&mut all), percentile_99(&mut all)];
        let [first_99, all_50, all_99] = figures.map(t);
        println!(
            "{name}, {count} nodes, {trials} trials, in T: suspected mean {mean:.2} p99 {first_99:.2}; \
                 all know p50 {all_50:.2} p99 {all_99:.2}"
        );
        assert!(mean < 2.0 && first_99 < 8.0);
        assert!(all_50 < 5.5 && all_99 < 12.0);
    }
}

#[test]
fn an_idle_cluster_is_cheap_whatever_its_size() {
    for count in [10, 64] {
        let mut sim = Sim::cluster(1, Net::default(), count, &SwimConfig::lan());
        sim.run_for(secs(60.0));
        let (messages, bytes) = (sim.messages, sim.bytes);
        sim.run_for(secs(100.0));
        let per = f64::from(count) * 100.0;
        let (messages, bytes) = ((sim.messages - messages) as f64 / per, (sim.bytes - bytes) as f64 / per);
        println!(
            "{count} nodes, T = 1 s, idle: {messages:.2} messages, {bytes:.0} bytes per node and second"
        );
        assert!(messages < 3.0 && bytes < 250.0);
    }
}

#[test]
fn news_reach_all_within_their_rounds() {
    let config = SwimConfig::lan();
    let mut times = Vec::new();
    for seed in 0..20 {
        let mut sim = Sim::cluster(seed, Net::default(), 64, &config);
        sim.boot(100, 1, &config, &[1]);
        let knows = |sim: &Sim| (1..=64).all(|id| sim.swim(id).members_up() == 65);
        times.push(sim.run_until(secs(10.0), knows).expect("all know the newcomer"));
    }
    println!("64 nodes know a newcomer: p50 {:?}, p99 {:?}", median(&mut times), percentile_99(&mut times));
    assert!(percentile_99(&mut times) < secs(1.6), "{times:?}");
}

#[test]
fn two_hundred_nodes_work_as_well() {
    let mut sim = Sim::cluster(1, Net::default(), 200, &SwimConfig::lan());
    assert_eq!(sim.swim(7).members().count(), 200);
    sim.cut_power(9);
    let took = sim.run_until(secs(60.0), |sim| sim.all_see(9, MemberState::Dead)).expect("found");
    println!("200 nodes, T = 1 s: all know of a crash after {took:?}");
    assert!(sim.downs(secs(0.0)).iter().all(|&(_, _, of)| of == 9));
}

//! Nodes join, restart and leave.

use crate::sim::{Net, Sim, secs};
use hew_cluster::{MembershipEvent, SwimConfig};

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

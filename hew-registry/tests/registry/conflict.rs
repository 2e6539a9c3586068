//! Two nodes registered the same name without knowing of each other.

use crate::simulation::{Cluster, ms, name};
use hew_registry::{Config, DeleteReason, Policy, RegistryEvent};

fn check_one_loser(policy: Policy, winner_is_later: bool) {
    let config = Config { policy, ..Config::default() };
    let mut cluster = Cluster::new(4, config, 1);
    let earlier = cluster.register(3, "x").unwrap();
    cluster.run(ms(1));
    let later = cluster.register(2, "x").unwrap();
    cluster.run(ms(20));
    let (winner, loser) = if winner_is_later { (later, earlier) } else { (earlier, later) };
    assert_eq!(cluster.found("x"), (4, [winner].into()), "{policy:?}");
    assert_eq!(cluster.lost_events(), [(loser, winner)], "{policy:?}");
    let events = &cluster.nodes[&loser.node().raw()].events;
    assert_eq!(events.last(), Some(&RegistryEvent::Lost { name: name("x"), loser, winner }));
    cluster.run(ms(5000));
    assert_eq!(cluster.lost_events().len(), 1, "said once");
    cluster.check_agreement("after the conflict");
}

#[test]
fn concurrent_registrations_have_one_winner_and_one_loser() {
    check_one_loser(Policy::KeepNewest, true);
    check_one_loser(Policy::KeepOldest, false);
}

#[test]
fn all_at_once_on_all_nodes_leaves_one() {
    for seed in 0..20 {
        let mut cluster = Cluster::new(8, Config::default(), seed);
        for id in 1..=8 {
            cluster.register(id, "x").unwrap();
        }
        cluster.run(ms(30));
        assert_eq!(cluster.lost_events().len(), 7);
        let (found, winners) = cluster.found("x");
        assert_eq!((found, winners.len()), (8, 1));
        cluster.check_agreement("after eight claims");
    }
}

#[test]
fn a_partition_heals_to_one_winner_for_each_name() {
    for (seed, noticed) in [(1, true), (2, false)] {
        let mut cluster = Cluster::new(6, Config::default(), seed);
        let side = [1, 2, 3];
        cluster.partition(&side, noticed);
        cluster.run(ms(100));
        for i in 0..100 {
            cluster.register(1 + i % 3, &format!("n{i}")).unwrap();
            if i % 10 == 0 {
                cluster.register(4 + i % 3, &format!("n{i}")).unwrap();
            }
        }
        cluster.run(ms(10_000));
        assert!(cluster.lost_events().is_empty(), "neither side knows of the other");
        cluster.heal(&side);
        cluster.run(ms(3000));
        assert_eq!(cluster.lost_events().len(), 10);
        assert_eq!(cluster.nodes[&5].table.len(), 100);
        cluster.check_agreement("after the heal");
    }
}

#[test]
fn a_wrong_clock_wins_but_pushes_others_by_half_a_second_only() {
    let mut cluster = Cluster::new(3, Config::default(), 3);
    cluster.nodes.get_mut(&3).unwrap().skew_ms = 3_600_000;
    cluster.register(3, "wild").unwrap();
    let right = cluster.register(1, "right").unwrap();
    let stamp = |cluster: &Cluster, text: &str| cluster.nodes[&1].table.lookup(text).unwrap().stamp;
    let before = stamp(&cluster, "right");
    cluster.run(ms(10));
    cluster.end(right);
    cluster.register(1, "right").unwrap();
    assert!(stamp(&cluster, "right") > before + 400);
    assert!(stamp(&cluster, "right") <= before + 520);
}

#[test]
fn the_name_of_a_lost_node_can_be_taken_and_is_kept_when_it_returns() {
    let mut cluster = Cluster::new(3, Config::default(), 4);
    let old = cluster.register(3, "leader").unwrap();
    cluster.run(ms(20));
    cluster.partition(&[3], true);
    cluster.run(ms(100));
    let new = cluster.register(1, "leader").unwrap();
    cluster.run(ms(1000));
    cluster.heal(&[3]);
    cluster.run(ms(2000));
    assert_eq!(cluster.found("leader"), (3, [new].into()));
    assert_eq!(cluster.lost_events(), [(old, new)]);
    cluster.check_agreement("after the return");
}

#[test]
fn a_name_given_back_does_not_take_another_one_down() {
    // The other side registered and gave back while it was away: there is no conflict any more.
    let mut cluster = Cluster::new(2, Config::default(), 5);
    cluster.partition(&[1], false);
    let kept = cluster.register(1, "x").unwrap();
    cluster.run(ms(100));
    cluster.register(2, "x").unwrap();
    cluster.unregister(2, "x");
    cluster.heal(&[1]);
    cluster.run(ms(2000));
    assert_eq!(cluster.found("x"), (2, [kept].into()));
    assert!(cluster.lost_events().is_empty());
}

#[test]
fn others_hear_why_a_name_changed_hands() {
    let mut cluster = Cluster::new(3, Config::default(), 6);
    cluster.disconnect(1, 2);
    let first = cluster.register(1, "x").unwrap();
    cluster.run(ms(10));
    let second = cluster.register(2, "x").unwrap();
    cluster.run(ms(10));
    let registered = |pid| RegistryEvent::Registered { name: name("x"), pid };
    assert_eq!(cluster.nodes[&3].events, [registered(first), registered(second)]);
    cluster.connect(1, 2);
    cluster.run(ms(20));
    assert_eq!(cluster.lost_events(), [(first, second)]);
    cluster.unregister(2, "x");
    cluster.run(ms(20));
    let reason = Some(DeleteReason::Unregistered);
    let gone = RegistryEvent::Unregistered { name: name("x"), pid: second, reason };
    assert_eq!(cluster.nodes[&3].events.last(), Some(&gone), "the loser's entry does not come back");
}

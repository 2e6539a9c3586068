//! Names spread to all nodes and vanish with their actor and their node.

use crate::simulation::{Cluster, ms, name, node};
use hew_registry::{
    Config, DeleteReason, Gossip, LocalOnly, Output, PeerEvent, RegisterError, Registry, RegistryEvent,
    UnregisterError,
};
use hew_wire::registry::{Page, RegistryMessage};
use hew_wire::{Incarnation, Pid};

#[test]
fn a_name_registered_on_one_node_is_found_on_all() {
    let mut cluster = Cluster::new(5, Config::default(), 1);
    let pid = cluster.register(2, "counter").unwrap();
    assert_eq!(cluster.found("counter").0, 1, "at once only on its own node");
    cluster.run(ms(5));
    assert_eq!(cluster.found("counter"), (5, [pid].into()));
    let events = &cluster.nodes[&4].events;
    assert_eq!(*events, [RegistryEvent::Registered { name: name("counter"), pid }]);
    cluster.check_agreement("after a push");
}

#[test]
fn a_name_vanishes_with_its_actor() {
    let mut cluster = Cluster::new(3, Config::default(), 2);
    let pid = cluster.register(2, "counter").unwrap();
    cluster.run(ms(5));
    cluster.end(pid);
    cluster.run(ms(5));
    assert_eq!(cluster.found("counter").0, 0);
    let gone = RegistryEvent::Unregistered { name: name("counter"), pid, reason: Some(DeleteReason::Ended) };
    assert_eq!(cluster.nodes[&3].events.last(), Some(&gone));
    cluster.register(3, "counter").unwrap();
}

#[test]
fn the_names_of_a_node_vanish_at_once_when_it_is_down() {
    let mut cluster = Cluster::new(3, Config::default(), 3);
    for i in 0..3000 {
        cluster.register(2, &format!("name/{i}")).unwrap();
    }
    cluster.run(ms(100));
    assert_eq!(cluster.nodes[&1].table.len(), 3000);
    let sent = cluster.messages;
    let incarnation = cluster.nodes[&2].incarnation;
    let now = cluster.now;
    let member = cluster.nodes.get_mut(&1).unwrap();
    member.gossip.handle_peer(now, node(2), incarnation, PeerEvent::NodeDown);
    assert_eq!(member.table.len(), 0, "before anything else happens");
    let hidden = RegistryEvent::NodeHidden { node: node(2), incarnation };
    assert_eq!(member.gossip.poll(), Some(Output::Event(hidden)));
    assert_eq!(member.gossip.poll(), None, "without a message");
    assert_eq!(cluster.messages, sent);
    assert_eq!(cluster.nodes[&1].gossip.names_held(), 3000, "still in memory");
    cluster.crash(2);
    cluster.run(cluster.config.sweep_after + ms(1000));
    assert_eq!(cluster.nodes[&1].gossip.names_held(), 0, "swept");
    cluster.check_agreement("after the sweep");
}

#[test]
fn a_node_that_was_only_cut_off_shows_its_names_again() {
    let mut cluster = Cluster::new(2, Config::default(), 4);
    let pid = cluster.register(2, "stays").unwrap();
    cluster.register(2, "goes").unwrap();
    cluster.run(ms(10));
    cluster.partition(&[1], true);
    cluster.run(ms(10));
    assert_eq!(cluster.nodes[&1].table.lookup("stays"), None);
    cluster.unregister(2, "goes");
    cluster.heal(&[1]);
    cluster.run(ms(20));
    assert_eq!(cluster.nodes[&1].table.lookup("stays").map(|entry| entry.pid), Some(pid));
    assert_eq!(cluster.nodes[&1].table.lookup("goes"), None);
    cluster.check_agreement("after the heal");
}

#[test]
fn a_restarted_node_starts_without_names() {
    let mut cluster = Cluster::new(3, Config::default(), 5);
    cluster.register(2, "old").unwrap();
    cluster.run(ms(10));
    cluster.crash(2);
    cluster.boot(2);
    for other in [1, 3] {
        cluster.connect(2, other);
    }
    let pid = cluster.register(2, "new").unwrap();
    cluster.run(ms(20));
    assert_eq!(cluster.found("old").0, 0);
    assert_eq!(cluster.found("new"), (3, [pid].into()));
    cluster.run(ms(2000));
    cluster.check_agreement("after the restart");
}

#[test]
fn news_of_an_old_incarnation_changes_nothing() {
    let mut cluster = Cluster::new(2, Config::default(), 6);
    let pid = cluster.register(2, "x").unwrap();
    cluster.run(ms(10));
    let now = cluster.now;
    let before = Incarnation(cluster.nodes[&2].incarnation.0 - 1);
    let gossip = &mut cluster.nodes.get_mut(&1).unwrap().gossip;
    for event in [PeerEvent::NodeDown, PeerEvent::NodeLeft, PeerEvent::SessionDown] {
        gossip.handle_peer(now, node(2), before, event);
    }
    assert_eq!(gossip.poll(), None);
    assert_eq!(cluster.found("x"), (2, [pid].into()));
}

#[test]
fn a_node_that_left_does_not_come_up_again() {
    let mut cluster = Cluster::new(2, Config::default(), 7);
    cluster.register(2, "x").unwrap();
    cluster.run(ms(10));
    for event in [PeerEvent::NodeLeft, PeerEvent::NodeUp] {
        cluster.membership(1, 2, event);
    }
    cluster.run(ms(5000));
    assert!(cluster.nodes[&1].table.is_empty());
    assert_eq!(cluster.nodes[&1].gossip.names_held(), 0);
}

#[test]
fn a_taken_name_is_refused_and_its_holder_named() {
    let mut cluster = Cluster::new(2, Config::default(), 8);
    let holder = cluster.register(2, "x").unwrap();
    assert_eq!(cluster.register(2, "x"), Err(RegisterError::Taken { holder }), "on the same node");
    cluster.run(ms(10));
    assert_eq!(cluster.register(1, "x"), Err(RegisterError::Taken { holder }), "on another node");
    let now = cluster.now;
    let gossip = &mut cluster.nodes.get_mut(&1).unwrap().gossip;
    assert_eq!(gossip.unregister(now, &name("x")), Err(UnregisterError::NotOwner { holder }));
    assert_eq!(gossip.unregister(now, &name("y")), Err(UnregisterError::NotFound));
}

#[test]
fn a_joiner_learns_10000_names_from_one_peer_in_pages() {
    let mut cluster = Cluster::new(3, Config::default(), 9);
    for i in 0..10_000u16 {
        cluster.register(1 + i % 3, &format!("service/{i}")).unwrap();
    }
    cluster.run(ms(1000));
    let (messages, bytes) = (cluster.messages, cluster.bytes);
    cluster.boot(4);
    cluster.connect(4, 1);
    cluster.run(ms(300));
    assert_eq!(cluster.nodes[&4].table.len(), 10_000);
    cluster.check_agreement("after the join");
    let (messages, bytes) = (cluster.messages - messages, cluster.bytes - bytes);
    assert!(messages < 80, "{messages} messages");
    assert!(bytes < 10_000 * 64, "{bytes} bytes");
}

#[test]
fn bulk_changes_between_two_drains_travel_in_few_messages() {
    let mut cluster = Cluster::new(2, Config::default(), 10);
    let now = cluster.now;
    let gossip = &mut cluster.nodes.get_mut(&1).unwrap().gossip;
    for i in 0..1000u64 {
        gossip.register(now, 1, name(&format!("n{i}")), Pid::new(node(1), 5000 + i)).unwrap();
    }
    let sent = |gossip: &mut Gossip| {
        let outputs = std::iter::from_fn(|| gossip.poll());
        outputs.filter(|output| matches!(output, Output::Send { .. })).collect::<Vec<_>>()
    };
    let pages = sent(gossip);
    assert!(matches!(pages[..], [_, _]), "{} messages", pages.len());
    // Too much to push: only the digest is sent, and the receiver pulls at its own speed.
    for i in 1000..100_000u64 {
        gossip.register(now, 1, name(&format!("n{i}")), Pid::new(node(1), 5000 + i)).unwrap();
    }
    let digest = sent(gossip);
    assert!(matches!(&digest[..], [Output::Send { message: RegistryMessage::Digest { .. }, .. }]));
}

#[test]
fn a_lost_push_is_found_by_digests() {
    let mut cluster = Cluster::new(3, Config::default(), 11);
    // Node 3 has a session with node 1 only, so pushes of node 2 do not reach it.
    cluster.disconnect(2, 3);
    let pid = cluster.register(2, "x").unwrap();
    cluster.run(ms(10));
    assert_eq!(cluster.found("x").0, 2);
    cluster.run(ms(4000));
    assert_eq!(cluster.found("x"), (3, [pid].into()));
}

#[test]
fn equal_nodes_compare_themselves_in_one_small_message() {
    let mut cluster = Cluster::new(10, Config::default(), 12);
    for id in 1..=10 {
        cluster.register(id, &format!("n{id}")).unwrap();
    }
    cluster.run(ms(1000));
    let (messages, bytes) = (cluster.messages, cluster.bytes);
    cluster.run(ms(10_000));
    let (messages, bytes) = (cluster.messages - messages, cluster.bytes - bytes);
    assert!(messages <= 10 * 14, "{messages} messages of 10 nodes in 10 s");
    assert!(bytes <= messages * 40, "{bytes} bytes");
}

#[test]
fn more_than_64_nodes_pass_changes_on() {
    let mut cluster = Cluster::new(80, Config::default(), 13);
    cluster.run(ms(1500));
    let messages = cluster.messages;
    let pid = cluster.register(7, "x").unwrap();
    cluster.run(ms(20));
    let (found, _) = cluster.found("x");
    assert!(found > 70, "{found} of 80 by pushes alone");
    assert!(cluster.messages - messages < 80 * 7, "{} messages", cluster.messages - messages);
    cluster.run(ms(3000));
    assert_eq!(cluster.found("x"), (80, [pid].into()));
}

#[test]
fn a_copy_that_misses_too_many_deletions_reads_all_names_anew() {
    let config = Config { deletes_per_owner_max: 10, ..Config::default() };
    let mut cluster = Cluster::new(2, config, 14);
    for i in 0..3000 {
        cluster.register(1, &format!("n{i}")).unwrap();
    }
    cluster.run(ms(100));
    cluster.disconnect(1, 2);
    for i in 0..1000 {
        cluster.unregister(1, &format!("n{i}"));
    }
    for i in 0..10 {
        cluster.register(1, &format!("m{i}")).unwrap();
    }
    cluster.connect(1, 2);
    cluster.run(ms(100));
    assert_eq!(cluster.nodes[&2].table.len(), 2010);
    cluster.check_agreement("after the scan");
}

#[test]
fn limits_are_reached_and_said() {
    let config = Config { names_per_owner_max: 5, names_max: 8, ..Config::default() };
    let mut cluster = Cluster::new(2, config, 15);
    for i in 0..5 {
        cluster.register(1, &format!("a{i}")).unwrap();
    }
    assert_eq!(cluster.register(1, "a5"), Err(RegisterError::Full { limit: 5 }));
    cluster.run(ms(10));
    for i in 0..3 {
        cluster.register(2, &format!("b{i}")).unwrap();
    }
    assert_eq!(cluster.register(2, "b3"), Err(RegisterError::Full { limit: 8 }));
    // A place that becomes free can be used again.
    cluster.unregister(2, "b0");
    cluster.register(2, "b3").unwrap();
}

#[test]
fn a_log_at_its_limit_can_change() {
    let config = Config { names_per_owner_max: 5, ..Config::default() };
    let mut cluster = Cluster::new(2, config, 16);
    for i in 0..5 {
        cluster.register(1, &format!("a{i}")).unwrap();
    }
    for i in 0..50 {
        cluster.unregister(1, &format!("a{i}"));
        cluster.register(1, &format!("a{}", i + 5)).unwrap();
        if i % 10 == 0 {
            cluster.disconnect(1, 2);
        }
        if i % 10 == 8 {
            cluster.connect(1, 2);
            cluster.run(ms(20));
            cluster.check_agreement("a full log");
        }
    }
}

#[test]
fn a_local_registry_has_the_same_rules_and_no_messages() {
    let cluster = Cluster::without_sessions(1, Config::default(), 17);
    let (now, me) = (cluster.now, node(1));
    let mut registry = LocalOnly::new(me);
    let table = registry.table();
    let (first, second) = (Pid::new(me, 2000), Pid::new(me, 2001));
    registry.register(now, 1, name("x"), first).unwrap();
    registry.register(now, 1, name("y"), first).unwrap();
    let taken = RegisterError::Taken { holder: first };
    assert_eq!(registry.register(now, 1, name("x"), second), Err(taken));
    let foreign = Pid::new(node(2), 2000);
    let not_local = RegisterError::NotLocal { pid: foreign, node: me };
    assert_eq!(registry.register(now, 1, name("z"), foreign), Err(not_local));
    assert_eq!(registry.unregister(now, &name("x")), Ok(first));
    assert_eq!(registry.unregister(now, &name("x")), Err(UnregisterError::NotFound));
    registry.register(now, 1, name("x"), second).unwrap();
    registry.forget_pid(now, first);
    assert_eq!(table.names().into_iter().map(|(name, _)| name).collect::<Vec<_>>(), [name("x")]);
    assert_eq!(std::iter::from_fn(|| registry.poll()).count(), 5, "one event for each change");
    let message = RegistryMessage::Summary { fingerprint: 1 };
    assert!(registry.handle_message(now, node(2), message).is_err());
    assert_eq!(registry.poll_timeout(), None);
}

#[test]
fn what_a_new_peer_is_told_does_not_wait_for_membership() {
    // The session comes first, then the digest, and only then membership says that the node is up.
    let mut cluster = Cluster::without_sessions(1, Config::default(), 18);
    cluster.register(1, "x").unwrap();
    let now = cluster.now;
    let mut gossip = Gossip::new(node(9), Incarnation(1), Config::default(), 1);
    let table = gossip.table();
    let incarnation = cluster.nodes[&1].incarnation;
    gossip.handle_peer(now, node(1), incarnation, PeerEvent::SessionUp);
    let page = Page {
        owner: node(1),
        incarnation,
        scan: None,
        after: 0,
        upto: 1,
        head: 1,
        answer: None,
        end: false,
        forward: false,
        puts: Vec::new(),
        deletes: Vec::new(),
    };
    gossip.handle_message(now, node(1), RegistryMessage::Page(page)).unwrap();
    assert!(table.is_empty());
    while gossip.poll().is_some() {}
    gossip.handle_peer(now, node(1), incarnation, PeerEvent::NodeUp);
    let Some(Output::Send { to, message: RegistryMessage::Pull(pull) }) = gossip.poll() else {
        panic!("no pull")
    };
    assert_eq!((to, pull.owner, pull.after), (node(1), node(1), 0));
}

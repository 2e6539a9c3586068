//! What peers may do, in virtual time: permissions, keys that are taken back or exchanged, and lists in files.

use hew_node::{
    Actor, ActorRef, Allowlist, AskError, Context, ExitReason, NodeBuilder, NodeEvent, NodeId, NodeRequest,
    Outcome, Pid, PublicKey, SERVICE_SERIAL, SwimConfig,
};
use hew_security::{AllowlistFile, Entry, NoiseXx, Permission, Permissions, danger};
use hew_tests::actors::{Counter, CounterActor, Journal, JournalActor};
use hew_tests::cluster::{Cluster, SimNode, SimStack};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const SECOND: Duration = Duration::from_secs(1);

fn id(node: u16) -> NodeId {
    NodeId::from_raw(node)
}

fn key(seed: u64) -> PublicKey {
    danger::keypair_from_seed(seed).public()
}

/// The key of a node of the cluster with everything but what is taken away.
fn entry(node: u16, permissions: Permissions) -> Entry {
    Entry { permissions, ..Entry::new(key(node.into()), Some(id(node))) }
}

/// A node with a list of its own.
fn with_list(cluster: &Cluster, node: u16, list: &Allowlist) -> (NodeBuilder<SimStack>, NoiseXx) {
    let keypair = danger::keypair_from_seed(node.into());
    let noise = danger::noise_from_seed(keypair, list.clone(), cluster.runtime().seed());
    (cluster.builder(node).authenticator(noise.clone()), noise)
}

/// Node 1 with a list, and node 2, which lists everybody.
async fn two(cluster: &Cluster, list: &Allowlist) -> [SimNode; 2] {
    let first = cluster.start_as(with_list(cluster, 1, list).0).await.expect("the node starts");
    let second = cluster.start(2).await.expect("the node starts");
    first.wait_for_members(2, SOON).await.expect("two members");
    second.wait_for_members(2, SOON).await.expect("two members");
    [first, second]
}

/// Links itself to an actor elsewhere.
struct Linked(Pid);

impl Actor for Linked {
    type Message = ();
    async fn started(&mut self, context: &mut Context<()>) -> Outcome {
        context.link(self.0);
        Outcome::Continue
    }
    async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
        Outcome::Continue
    }
}

/// Uses `permission` from node 2; whether node 1 let it.
async fn uses(cluster: &Cluster, nodes: &[SimNode; 2], permission: Permission) -> bool {
    let [first, second] = nodes;
    let counter = first.spawn(CounterActor::default());
    let remote: ActorRef<Counter> = second.actor(counter.pid()).expect("another node's actor");
    match permission {
        Permission::Send => {
            let answer = remote.ask(Counter::Get).await;
            assert!(matches!(answer, Ok(0) | Err(AskError::NotAllowed)), "{answer:?}");
            answer.is_ok()
        }
        Permission::Lookup => {
            let service: ActorRef<NodeRequest> =
                second.actor(Pid::new(first.id(), SERVICE_SERIAL)).expect("another node's actor");
            let answer = service.ask(NodeRequest::Members).await;
            assert!(matches!(answer, Ok(_) | Err(AskError::NotAllowed)), "{answer:?}");
            answer.is_ok()
        }
        Permission::Monitor => {
            let monitor = second.monitor(counter.pid());
            cluster.runtime().sleep(SECOND).await;
            let refused = monitor.reason();
            assert!(matches!(refused, None | Some(ExitReason::NotAllowed)), "{refused:?}");
            refused.is_none()
        }
        Permission::ExitSignals => {
            let linked = second.spawn(Linked(counter.pid()));
            let monitor = second.monitor(linked.pid());
            cluster.runtime().sleep(SECOND).await;
            let refused = monitor.reason();
            if let Some(reason) = &refused {
                assert!(
                    matches!(reason, ExitReason::Linked(text) if text.contains("not allowed")),
                    "{reason}"
                );
            }
            refused.is_none()
        }
        Permission::Kill => {
            let monitor = first.monitor(counter.pid());
            remote.kill();
            cluster.runtime().sleep(SECOND).await;
            monitor.reason().is_some()
        }
        Permission::Administration => {
            second.revoke_key(&key(77));
            cluster.runtime().sleep(SECOND).await;
            !first.stats().denied.contains_key("administration")
        }
        Permission::Spawn => unreachable!("nothing asks for it yet"),
    }
}

#[test]
fn s16_each_permission_is_needed_and_what_lacks_it_is_refused() {
    let used = Permission::ALL.into_iter().filter(|permission| *permission != Permission::Spawn);
    for (seed, lacking) in (0..).zip(used.clone()) {
        let cluster = Cluster::new(seed);
        cluster.run(async {
            let list = Allowlist::strict([entry(2, Permissions::ALL.without(lacking))]);
            let nodes = two(&cluster, &list).await;
            let mut events = nodes[1].events();
            for permission in used.clone().filter(|permission| *permission != lacking) {
                assert!(uses(&cluster, &nodes, permission).await, "{permission:?} without {lacking:?}");
            }
            assert!(!uses(&cluster, &nodes, lacking).await, "without {lacking:?}");
            let revoked = if lacking == Permission::Administration { vec![] } else { vec![key(77)] };
            assert_eq!(list.revoked(), revoked, "without {lacking:?}");
            let stats = nodes[0].stats();
            assert!(stats.denied.keys().eq([&lacking.name()]), "{stats:?}");
            assert_eq!(
                (stats.connections, stats.violations.len()),
                (1, 0),
                "the connection stays: {stats:?}"
            );
            let denied = async {
                loop {
                    if let Some(NodeEvent::Denied { node, permission, .. }) = events.next().await {
                        return (node, permission);
                    }
                }
            };
            let denied = cluster.runtime().timeout(SOON, denied).await.expect("the peer hears why");
            assert_eq!(denied, (id(1), lacking));
            // The node itself may do everything there.
            let counter = nodes[1].spawn(CounterActor::default());
            let remote: ActorRef<Counter> = nodes[0].actor(counter.pid()).expect("another node's actor");
            assert_eq!(remote.ask(Counter::Get).await, Ok(0));
            for node in nodes.iter().rev() {
                node.shutdown().await;
            }
        });
    }
}

#[test]
fn s16_who_may_not_look_up_sees_no_names_and_a_change_holds_at_once() {
    let cluster = Cluster::new(1);
    cluster.run(async {
        let list = Allowlist::strict([entry(2, Permissions::ALL.without(Permission::Lookup))]);
        let nodes = two(&cluster, &list).await;
        let counter = nodes[0].spawn(CounterActor::default());
        nodes[0].register("counter", &counter).await.expect("the name is free");
        cluster.runtime().sleep(SOON).await;
        assert_eq!(nodes[1].whereis("counter"), None);
        list.allow(entry(2, Permissions::default()));
        cluster
            .wait_until("it sees the name", SOON, || nodes[1].whereis("counter") == Some(counter.pid()))
            .await;
        list.allow(entry(2, Permissions::NONE));
        cluster.runtime().sleep(SECOND).await;
        for permission in [Permission::Send, Permission::Lookup, Permission::Monitor, Permission::Kill] {
            assert!(!uses(&cluster, &nodes, permission).await, "{permission:?}");
        }
        let stats = nodes[0].stats();
        assert_eq!((stats.connections, stats.violations.len()), (1, 0), "the connection stays: {stats:?}");
        for node in nodes.iter().rev() {
            node.shutdown().await;
        }
    });
}

#[test]
fn s11_a_key_that_is_removed_while_it_streams_is_out_within_a_second() {
    for seed in 0..10 {
        let cluster = Cluster::new(seed);
        cluster.run(async {
            let list = Allowlist::strict([entry(2, Permissions::ALL)]);
            let [first, second] = two(&cluster, &list).await;
            let journal = first.spawn(JournalActor::default());
            let remote: ActorRef<Journal> = second.actor(journal.pid()).expect("another node's actor");
            let monitor = second.spawn(CounterActor::default());
            let monitor = first.monitor(monitor.pid());
            let streaming = cluster.runtime().spawn({
                let runtime = cluster.runtime();
                async move {
                    for number in 0.. {
                        let note = Journal::Note { sender: 1, number, ballast: vec![0; 100] };
                        if remote.send(note).await.is_err() {
                            return;
                        }
                        runtime.sleep(Duration::from_millis(1)).await;
                    }
                }
            });
            cluster.runtime().sleep(SECOND).await;
            assert!(list.revoke(&key(2)));
            cluster.runtime().sleep(SECOND).await;
            let received = async || journal.ask(Journal::Report).await.expect("it lives").received[&1];
            let at_once = received().await;
            assert!(first.links().iter().all(|link| !link.connected), "seed {seed}");
            assert_eq!(monitor.reason(), Some(ExitReason::NodeDown), "seed {seed}");
            cluster.runtime().sleep(SOON).await;
            assert_eq!(received().await, at_once, "seed {seed}: nothing gets in any more");
            let stats = first.stats();
            assert!(
                stats.refusals.get("revoked_key").is_some_and(|count| *count >= 2),
                "seed {seed}: {stats:?}"
            );
            drop(streaming);
            second.crash().await;
            first.shutdown().await;
        });
    }
}

/// Nodes 1 to 3, each of which lists all, whose connections are closed after a second without traffic.
async fn three_idle(cluster: &Cluster, lists: &[Allowlist; 3]) -> Vec<SimNode> {
    const HOUR: Duration = Duration::from_secs(3600);
    let mut nodes = Vec::new();
    for (node, list) in (1..).zip(lists) {
        let swim = SwimConfig {
            probe_interval: HOUR,
            sync_interval: HOUR,
            heal_interval: HOUR,
            ..SwimConfig::lan()
        };
        let builder = with_list(cluster, node, list).0.swim(swim).idle_timeout(SECOND).registry(|setup| {
            let config = hew_registry::Config { digest_interval: HOUR, ..hew_registry::Config::default() };
            hew_registry::Gossip::new(setup.node, setup.incarnation, config, setup.seed)
        });
        nodes.push(cluster.start_as(builder).await.expect("the node starts"));
    }
    for node in &nodes {
        node.wait_for_members(3, SOON).await.expect("three members");
    }
    let is_idle = |node: &SimNode| node.links().len() == 2 && node.links().iter().all(|link| link.idle);
    cluster.wait_until("all links are idle", SOON, || nodes.iter().all(is_idle)).await;
    nodes
}

#[test]
fn s11_a_key_is_taken_back_also_where_the_link_is_idle() {
    for seed in 0..5 {
        let cluster = Cluster::new(seed);
        cluster.run(async {
            let lists =
                [(); 3].map(|()| Allowlist::strict((1..=4).map(|node| entry(node, Permissions::ALL))));
            let nodes = three_idle(&cluster, &lists).await;
            let counter = nodes[2].spawn(CounterActor::default());
            let monitors = [&nodes[0], &nodes[1]].map(|node| node.monitor(counter.pid()));
            let is_idle = |node: &SimNode| node.links().iter().all(|link| link.idle);
            cluster.wait_until("all links are idle", SOON, || nodes.iter().all(is_idle)).await;
            // No connection stands, on which it could be told or that could end.
            assert!(nodes[0].revoke_key(&key(3)));
            cluster.runtime().sleep(SECOND).await;
            for (monitor, list) in monitors.iter().zip(&lists) {
                assert_eq!(monitor.reason(), Some(ExitReason::NodeDown), "seed {seed}");
                assert_eq!(list.revoked(), [key(3)], "seed {seed}");
            }
            // Allowed again everywhere; a node that comes later does not bring the revocation back.
            lists.iter().for_each(|list| list.allow(entry(3, Permissions::ALL)));
            let list = Allowlist::strict((1..=4).map(|node| entry(node, Permissions::ALL)));
            let fourth = cluster.start_as(with_list(&cluster, 4, &list).0).await.expect("the node starts");
            fourth.wait_for_members(3, SOON).await.expect("it joins");
            cluster.runtime().sleep(SOON).await;
            for list in lists.iter().chain([&list]) {
                assert_eq!(list.revoked(), [], "seed {seed}");
            }
            for node in nodes.into_iter().chain([fourth]) {
                node.crash().await;
            }
        });
    }
}

#[test]
fn s11_keys_are_exchanged_while_both_are_listed_and_nothing_is_lost() {
    for seed in 0..10 {
        let cluster = Cluster::new(seed);
        cluster.run(async {
            let (old, new) = (entry(2, Permissions::ALL), Entry::new(key(1002), Some(id(2))));
            let first_list = Allowlist::strict([old.clone(), new.clone()]);
            let first =
                cluster.start_as(with_list(&cluster, 1, &first_list).0).await.expect("the node starts");
            let (builder, noise) = with_list(&cluster, 2, &Allowlist::strict([entry(1, Permissions::ALL)]));
            let second = cluster.start_as(builder).await.expect("the node starts");
            second.wait_for_members(2, SOON).await.expect("two members");
            first.wait_for_members(2, SOON).await.expect("two members");
            let journals = [&first, &second].map(|node| node.spawn(JournalActor::default()));
            let nodes = [&first, &second];
            const MESSAGES: u64 = 2000;
            let stream = async |at: usize| {
                let remote: ActorRef<Journal> =
                    nodes[at].actor(journals[1 - at].pid()).expect("another node's actor");
                for number in 0..MESSAGES {
                    remote
                        .send(Journal::Note { sender: 1, number, ballast: vec![0; 50] })
                        .await
                        .expect("lives");
                    cluster.runtime().sleep(Duration::from_millis(2)).await;
                }
            };
            let exchange = async {
                cluster.runtime().sleep(SECOND).await;
                noise.replace_keypair(danger::keypair_from_seed(1002));
                cluster.runtime().sleep(SECOND).await;
                let key_of = |node: &SimNode| node.links().first().and_then(|link| link.public_key);
                assert_eq!(key_of(&first), Some(old.key), "seed {seed}: the session drains with the old key");
                first_list.replace([new.clone()]);
                cluster.runtime().sleep(SECOND).await;
                assert_eq!(key_of(&first), Some(new.key), "seed {seed}");
            };
            futures::join!(stream(0), stream(1), exchange);
            cluster.runtime().sleep(SECOND).await;
            for journal in &journals {
                let report = journal.ask(Journal::Report).await.expect("it lives");
                let expected = (None, Some(MESSAGES));
                assert_eq!((report.first_error, report.received.get(&1).copied()), expected, "seed {seed}");
            }
            assert_eq!((first.stats().connections, first.stats().resumed), (2, 1), "seed {seed}");
            second.shutdown().await;
            first.shutdown().await;
        });
    }
}

#[test]
fn s11_a_list_in_a_file_is_followed_and_one_that_cannot_be_read_is_not() {
    let cluster = Cluster::new(1);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("peers");
    let write = |text: &str| {
        let fresh = folder.path().join("fresh");
        std::fs::write(&fresh, text).expect("it is written");
        std::fs::rename(&fresh, &path).expect("it is renamed");
    };
    cluster.run(async {
        write(&format!("{}\n", entry(2, Permissions::default())));
        let file = AllowlistFile::load(&path).expect("it is a list");
        let builder = cluster.builder(1).identity_with_file(danger::keypair_from_seed(1), file);
        let first = cluster.start_as(builder).await.expect("the node starts");
        let second = cluster.start(2).await.expect("the node starts");
        second.wait_for_members(2, SOON).await.expect("two members");
        let mut events = first.events();
        let is_linked = || first.links().iter().any(|link| link.connected);
        cluster.wait_until("they are linked", SOON, is_linked).await;
        write("nonsense\n");
        let unreadable = async {
            loop {
                if let Some(NodeEvent::AllowlistUnreadable { cause }) = events.next().await {
                    return cause;
                }
            }
        };
        let cause = cluster.runtime().timeout(SECOND, unreadable).await.expect("it is told");
        assert!(cause.contains("peers") && cause.contains("line 1"), "{cause}");
        cluster.runtime().sleep(SOON).await;
        assert!(is_linked());
        assert!(events.try_next().is_none(), "it is told once");
        write("# nobody\n");
        cluster.runtime().sleep(SECOND).await;
        assert!(!is_linked());
        write(&format!("{}\n", entry(2, Permissions::default())));
        cluster.wait_until("it is back", SOON, is_linked).await;
        second.shutdown().await;
        first.shutdown().await;
    });
}

#[test]
fn s11_a_revocation_reaches_every_node_that_lists_the_key_and_those_that_come_later() {
    for seed in 0..5 {
        let cluster = Cluster::new(seed);
        cluster.run(async {
            let list = || Allowlist::strict((1..=5).map(|node| entry(node, Permissions::ALL)));
            let mut nodes = Vec::new();
            for node in 1..=4 {
                let builder = with_list(&cluster, node, &list()).0;
                nodes.push(cluster.start_as(builder).await.expect("the node starts"));
            }
            for node in &nodes {
                node.wait_for_members(4, SOON).await.expect("four members");
            }
            let sees_fourth =
                |node: &SimNode| node.links().iter().any(|link| link.node == id(4) && link.connected);
            cluster.wait_until("all are linked", SOON, || nodes[..3].iter().all(sees_fourth)).await;
            assert!(nodes[0].revoke_key(&key(4)));
            assert!(!nodes[0].revoke_key(&key(4)), "it is no news any more");
            cluster.runtime().sleep(SECOND).await;
            assert!(!nodes[..3].iter().any(sees_fourth), "seed {seed}");
            let fifth = cluster.start_as(with_list(&cluster, 5, &list()).0).await.expect("the node starts");
            cluster.runtime().sleep(SOON).await;
            assert!(!sees_fourth(&fifth), "seed {seed}");
            assert!(fifth.links().iter().filter(|link| link.connected).count() >= 3, "seed {seed}");
            nodes.push(fifth);
            for node in nodes {
                node.crash().await;
            }
        });
    }
}

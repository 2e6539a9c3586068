//! Sessions in virtual time: connections break, sessions do not.

use hew_actor::MailboxOptions;
use hew_node::{
    Actor, ActorRef, EventStream, ExitReason, Incarnation, NodeBuilder, NodeEvent, NodeId, SpawnOptions,
};
use hew_tests::actors::{Counter, CounterActor, Journal, JournalActor};
use hew_tests::cluster::{Cluster, SimNode, SimStack};
use hew_tests::evil::log;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

async fn two(cluster: &Cluster) -> [SimNode; 2] {
    let first = cluster.start(1).await.expect("the node starts");
    let second = cluster.start(2).await.expect("the node starts");
    first.wait_for_members(2, SOON).await.expect("two members");
    second.wait_for_members(2, SOON).await.expect("two members");
    [first, second]
}

/// An actor with room for everything that a test sends.
fn spawn_roomy<A>(node: &SimNode, actor: A) -> ActorRef<A::Message>
where
    A: Actor,
    A::Message: Serialize + DeserializeOwned,
{
    let mailbox = MailboxOptions { capacity: Some(1 << 20), ..MailboxOptions::default() };
    node.spawn_with(actor, SpawnOptions { mailbox, ..SpawnOptions::default() }).expect("it is spawned")
}

fn note(sender: u64, number: u64, bytes: usize) -> Journal {
    Journal::Note { sender, number, ballast: vec![7; bytes] }
}

#[test]
fn broken_connections_lose_double_and_reorder_nothing() {
    for seed in 0..20 {
        let cluster = Cluster::new(seed);
        cluster.run(async {
            let [first, second] = two(&cluster).await;
            let journals =
                [spawn_roomy(&first, JournalActor::default()), spawn_roomy(&second, JournalActor::default())];
            let runtime = cluster.runtime();
            const MESSAGES: u64 = 3000;
            let send = async |from: &SimNode, to: &ActorRef<Journal>| {
                let remote: ActorRef<Journal> = from.actor(to.pid()).expect("another node's actor");
                for number in 0..MESSAGES {
                    // Every now and then one that is cut into fragments.
                    let bytes = if number % 500 == 499 { 200_000 } else { number as usize % 900 };
                    remote.send(note(1, number, bytes)).await.expect("the node lives");
                    if number % 10 == 0 {
                        runtime.sleep(Duration::from_millis(10)).await;
                    }
                }
            };
            let breaking = async {
                for _ in 0..40 {
                    runtime.sleep(Duration::from_micros(73_300)).await;
                    cluster.network().sever("n1", "n2");
                }
            };
            futures::join!(send(&first, &journals[1]), send(&second, &journals[0]), breaking);
            for journal in &journals {
                // Asked by the other node, so that the question comes after all messages on the same way.
                let other = if journal.pid().node() == first.id() { &second } else { &first };
                let remote: ActorRef<Journal> = other.actor(journal.pid()).expect("another node's actor");
                cluster
                    .wait_until("everything is acknowledged", SOON, || {
                        other.outgoing_bytes(journal.pid().node()) == 0
                    })
                    .await;
                let report = remote.ask(Journal::Report).await.expect("the journal lives");
                assert_eq!(report.first_error, None, "seed {seed}");
                assert_eq!(report.received.get(&1), Some(&MESSAGES), "seed {seed}");
            }
            let stats = first.stats();
            assert!(stats.resumed >= 10, "seed {seed}: the connections were not broken: {stats:?}");
            assert_eq!((stats.messages_lost, stats.violations.len()), (0, 0), "seed {seed}: {stats:?}");
            second.shutdown().await;
            first.shutdown().await;
        });
    }
}

#[test]
fn a_full_link_pushes_back_and_a_stopped_reader_costs_the_bound() {
    let cluster = Cluster::new(1);
    cluster.run(async {
        const BOUND: usize = 256 << 10;
        let first =
            cluster.start_as(cluster.builder(1).outgoing_bytes_max(BOUND)).await.expect("the node starts");
        let second = cluster.start(2).await.expect("the node starts");
        first.wait_for_members(2, SOON).await.expect("two members");
        let journal = spawn_roomy(&second, JournalActor::default());
        let remote: ActorRef<Journal> = first.actor(journal.pid()).expect("another node's actor");
        assert_eq!(remote.ask(Journal::Report).await.expect("the journal lives").first_error, None);
        cluster.network().partition("n1", "n2");
        let mut sent = 0;
        let refused = loop {
            match remote.try_send(note(1, sent, 1000)) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
            assert!(first.outgoing_bytes(second.id()) <= BOUND);
        };
        assert!(refused.is_full(), "{refused}");
        assert!(
            matches!(refused.into_message(), Journal::Note { number, .. } if number == sent),
            "it comes back"
        );
        let waiting = cluster.runtime().spawn({
            let remote = remote.clone();
            async move { remote.send(note(1, sent, 1000)).await }
        });
        cluster.runtime().sleep(Duration::from_millis(300)).await;
        assert!(!waiting.is_finished(), "there is no room");
        cluster.network().heal_all();
        waiting.await.expect("room was made");
        let report = remote.ask(Journal::Report).await.expect("the journal lives");
        assert_eq!((report.first_error, report.received.get(&1).copied()), (None, Some(sent + 1)));
        second.shutdown().await;
        first.shutdown().await;
    });
}

#[test]
fn what_a_dead_node_did_not_get_is_counted() {
    let cluster = Cluster::new(2);
    cluster.run(async {
        let [first, second] = two(&cluster).await;
        let counter = second.spawn(CounterActor::default());
        let remote: ActorRef<Counter> = first.actor(counter.pid()).expect("another node's actor");
        cluster.network().partition("n1", "n2");
        for _ in 0..50 {
            remote.send(Counter::Add(1)).await.expect("nobody knows yet");
        }
        for mut events in [first.events(), second.events()] {
            while !matches!(events.next().await.expect("the node runs"), NodeEvent::MemberDown { .. }) {}
        }
        assert_eq!(first.stats().messages_lost, 50);
        assert_eq!(first.outgoing_bytes(second.id()), 0);
        // When the network heals the two find each other again, in a new session that has nothing of the old one.
        cluster.network().heal_all();
        first.wait_for_members(2, 6 * SOON).await.expect("it is back");
        second.wait_for_members(2, 6 * SOON).await.expect("it is back");
        cluster.wait_until("the link is up", SOON, || first.links().iter().any(|link| link.connected)).await;
        remote.send(Counter::Add(1)).await.expect("it is back");
        assert_eq!(remote.ask(Counter::Get).await, Ok(1));
        second.shutdown().await;
        first.shutdown().await;
    });
}

#[test]
fn a_node_whose_clock_went_back_is_let_in_with_a_state_file() {
    let cluster = Cluster::new(8);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("n2.incarnation");
    cluster.run(async {
        let first = cluster.start(1).await.expect("the node starts");
        let hour = 3600 * 1000;
        // As it would be with a clock that is an hour ahead.
        let ahead = Incarnation(cluster.runtime().unix_ms() + hour);
        let builder = cluster.builder(2).incarnation(ahead).state_file(&path);
        let second = cluster.start_as(builder).await.expect("the node starts");
        first.wait_for_members(2, SOON).await.expect("it gets in");
        second.crash().await;
        // Then the clock is set right. What it says alone would be refused.
        let lost = cluster.start(2).await.expect("the node starts");
        assert!(lost.incarnation() < ahead);
        let error = lost.connect("mem:n1").await.expect_err("an older one is refused");
        assert!(error.to_string().contains("newer than"), "{error}");
        lost.crash().await;
        for later in 1..=3 {
            let again = cluster.start_as(cluster.builder(2).state_file(&path)).await.expect("it starts");
            assert_eq!(again.incarnation(), Incarnation(ahead.0 + later));
            again.wait_for_members(2, SOON).await.expect("it gets in");
            again.crash().await;
        }
        // An incarnation set by hand does not go back either, and nothing is left of that start.
        let builder = cluster.builder(2).incarnation(ahead).state_file(&path);
        let error = cluster.start_as(builder).await.expect_err("it is not greater").to_string();
        assert!(error.contains("n2.incarnation") && error.contains("is not greater"), "{error}");
        first.crash().await;
    });
}

/// The next conflict about a node id that a node tells.
async fn conflict(cluster: &Cluster, events: &mut EventStream) -> (NodeId, String) {
    let told = async {
        loop {
            match events.next().await {
                Some(NodeEvent::Conflict { node, detail }) => return (node, detail),
                Some(_) => {}
                None => panic!("no conflict was told"),
            }
        }
    };
    cluster.runtime().timeout(SOON, told).await.expect("a conflict is told")
}

/// Node 2 lives, and a second one comes as node 2, as `imposter` sets it up. It is refused for `reason`, both sides count, log and
/// tell that, and node 2 is not disturbed.
fn refuse_a_second_node_2(
    seed: u64,
    imposter: impl FnOnce(&Cluster, Incarnation) -> NodeBuilder<SimStack>,
    reason: &str,
    words: &str,
) {
    log::listen();
    let cluster = Cluster::new(seed);
    cluster.run(async {
        let [first, second] = two(&cluster).await;
        let mut events = first.events();
        let logged = |node, reason| log::lines(node, reason);
        let before = (logged(1, reason), logged(2, "refused_node_id_conflict"));
        let later = Incarnation(second.incarnation().0 + 5000);
        let builder = imposter(&cluster, later).listen("mem:twin");
        let twin = cluster.start_as(builder.transport(cluster.network().endpoint("twin"))).await;
        let twin = twin.expect("it starts");
        let mut twin_events = twin.events();
        for events in [&mut events, &mut twin_events] {
            let (node, detail) = conflict(&cluster, events).await;
            assert_eq!(node, second.id());
            assert!(detail.contains(words), "{detail}");
        }
        let counted = |node: &SimNode, reason| node.stats().refusals.get(reason).copied().unwrap_or(0);
        assert!(counted(&first, reason) > 0, "{:?}", first.stats().refusals);
        assert!(counted(&twin, "refused_node_id_conflict") > 0, "{:?}", twin.stats().refusals);
        assert!(logged(1, reason) > before.0 && logged(2, "refused_node_id_conflict") > before.1);
        // The living one was not disturbed.
        let counter = second.spawn(CounterActor::default());
        let remote: ActorRef<Counter> = first.actor(counter.pid()).expect("another node's actor");
        assert_eq!(remote.ask(Counter::Get).await, Ok(0));
        assert_eq!(second.stats().connections, 1);
        twin.crash().await;
        for node in [second, first] {
            node.shutdown().await;
        }
    });
}

#[test]
fn a_second_node_with_the_same_id_is_refused_while_the_first_one_lives() {
    let twin = |cluster: &Cluster, later| cluster.builder(2).incarnation(later);
    refuse_a_second_node_2(3, twin, "node_id_conflict", "node 2 is running already");
}

#[test]
fn an_older_start_of_a_living_node_is_refused_on_both_sides() {
    let older = |cluster: &Cluster, _| cluster.builder(2).incarnation(Incarnation(7));
    refuse_a_second_node_2(3, older, "older_incarnation", "which is newer than 7");
}

#[test]
fn a_living_node_id_with_another_key_is_refused_on_both_sides() {
    // The key of node 3, which is listed.
    let other_key = |cluster: &Cluster, later| cluster.builder_with_key(2, 3).incarnation(later);
    refuse_a_second_node_2(3, other_key, "node_pinned_elsewhere", "the node id is pinned to another key");
}

#[test]
fn a_key_that_is_not_listed_or_pinned_to_another_id_is_refused() {
    let cluster = Cluster::new(4);
    cluster.run(async {
        let first = cluster.start(1).await.expect("the node starts");
        for (key_seed, expected) in [(1000, "not_allowed"), (3, "node_id_conflict")] {
            let stranger = cluster.start_as(cluster.builder_with_key(2, key_seed)).await.expect("it starts");
            let mut events = stranger.events();
            let refused = async {
                loop {
                    if let Some(NodeEvent::Refused { cause, .. }) = events.next().await {
                        return cause;
                    }
                }
            };
            let cause = cluster.runtime().timeout(SOON, refused).await.expect("the stranger hears why");
            assert!(cause.contains(expected), "key {key_seed}: {cause}");
            stranger.crash().await;
        }
        assert_eq!(first.members().len(), 1, "nobody got in");
        assert!(first.stats().refusals.values().sum::<u64>() >= 2, "{:?}", first.stats().refusals);
        first.shutdown().await;
    });
}

#[test]
fn another_cluster_is_refused() {
    let cluster = Cluster::new(5);
    cluster.run(async {
        let first = cluster.start(1).await.expect("the node starts");
        let other = cluster.start_as(cluster.builder(2).cluster("other")).await.expect("it starts");
        let error = other.connect("mem:n1").await.expect_err("another cluster");
        assert!(error.to_string().contains("cluster"), "{error}");
        assert_eq!(first.members().len(), 1);
        other.crash().await;
        first.shutdown().await;
    });
}

#[test]
fn a_client_uses_the_cluster_without_being_a_member() {
    use hew_node::{NodeRequest, Pid, SERVICE_SERIAL};
    let cluster = Cluster::new(6);
    cluster.run(async {
        let [first, second] = two(&cluster).await;
        let counter = second.spawn(CounterActor::default());
        second.register("counter", &counter).await.expect("the name is free");
        let client = cluster.start_as(cluster.builder(60).client()).await.expect("the client starts");
        let through = client.connect("mem:n1").await.expect("node 1 listens");
        assert_eq!(through, NodeId::from_raw(1));
        let service: ActorRef<NodeRequest> =
            client.actor(Pid::new(through, SERVICE_SERIAL)).expect("another node's actor");
        let members = service.ask(NodeRequest::Members).await.expect("the service answers");
        assert_eq!(members.iter().map(|member| member.node.raw()).collect::<Vec<_>>(), [1, 2]);
        cluster.wait_until("the name spreads", SOON, || first.whereis("counter").is_some()).await;
        let pid = service
            .ask(|reply| NodeRequest::Lookup { name: "counter".into(), reply })
            .await
            .expect("the service answers");
        assert_eq!(pid, Some(counter.pid()));
        client.shutdown().await;
        cluster.runtime().sleep(Duration::from_secs(15)).await;
        assert_eq!(first.members().len(), 2, "the client never was a member");
        for node in [second, first] {
            node.shutdown().await;
        }
    });
}

#[test]
fn a_client_keeps_its_session_over_connections_that_break_again_and_again() {
    let cluster = Cluster::new(8);
    cluster.run(async {
        let first = cluster.start(1).await.expect("the node starts");
        let client = cluster.start_as(cluster.builder(60).client()).await.expect("the client starts");
        client.connect("mem:n1").await.expect("node 1 listens");
        let journal = first.spawn(JournalActor::default());
        let remote: ActorRef<Journal> = client.actor(journal.pid()).expect("another node's actor");
        let monitor = client.monitor(journal.pid());
        for number in 0..6 {
            remote.send(note(1, number, 10)).await.expect("the node lives");
            cluster.runtime().sleep(Duration::from_secs(2)).await;
            cluster.network().sever("n1", "n60");
            let connected = || client.links().iter().any(|link| link.connected);
            cluster.wait_until("it is connected again", Duration::from_secs(2), connected).await;
        }
        let report = remote.ask(Journal::Report).await.expect("the journal lives");
        assert_eq!((report.first_error, report.received.get(&1).copied()), (None, Some(6)));
        assert_eq!((client.stats().resumed, client.stats().messages_lost), (6, 0));
        assert_eq!(monitor.reason(), None);
        // For longer than a client may be away.
        cluster.network().partition("n1", "n60");
        assert_eq!(cluster.runtime().timeout(SOON, monitor.down()).await, Ok(ExitReason::NodeDown));
        client.crash().await;
        first.shutdown().await;
    });
}

#[test]
fn a_message_over_a_limit_is_refused_by_whoever_knows_it_and_disturbs_nobody() {
    let cluster = Cluster::new(7);
    cluster.run(async {
        let first = cluster.start(1).await.expect("the node starts");
        let small = cluster.builder(2).payload_bytes_max(100_000);
        let second = cluster.start_as(small).await.expect("the node starts");
        first.wait_for_members(2, SOON).await.expect("two members");
        let journal = spawn_roomy(&second, JournalActor::default());
        let remote: ActorRef<Journal> = first.actor(journal.pid()).expect("another node's actor");
        assert_eq!(remote.ask(Journal::Report).await.expect("the journal lives").first_error, None);
        let error = remote.send(note(1, 0, 150_000)).await.expect_err("node 2 said what it takes");
        assert!(error.to_string().contains("limit of 100000 of node 2"), "{error}");
        assert!(matches!(error.into_message(), Journal::Note { number: 0, .. }), "it comes back");
        remote.send(note(1, 0, 90_000)).await.expect("that is within the limit");
        let report = remote.ask(Journal::Report).await;
        assert_eq!(report.map(|report| report.received.get(&1).copied()), Ok(Some(1)));

        // A node that does not know the limit yet: its message is skipped, and what comes after it arrives.
        let third = cluster.start(3).await.expect("the node starts");
        cluster.network().partition("n2", "n3");
        third.wait_for_members(3, SOON).await.expect("three members, one of them not linked");
        let remote: ActorRef<Journal> = third.actor(journal.pid()).expect("another node's actor");
        remote.send(note(3, 0, 150_000)).await.expect("nobody has said anything");
        cluster.network().heal_all();
        let report = remote.ask_within(SOON, Journal::Report).await.expect("the journal lives");
        assert_eq!(report.received.get(&3), None);
        assert_eq!(second.stats().messages_refused, 1, "{:?}", second.stats());
        assert!(second.stats().violations.is_empty());
        for node in [third, second, first] {
            node.shutdown().await;
        }
    });
}

//! Connections on which nothing is sent, in virtual time: they are closed, and opened again when something is.

use hew_node::{
    Actor, ActorRef, Context, ExitReason, NodeBuilder, NodeEvent, NodeId, Outcome, ReplyTo, SwimConfig,
};
use hew_registry::Gossip;
use hew_tests::actors::{Counter, CounterActor, Journal, JournalActor};
use hew_tests::cluster::{Cluster, SimNode, SimStack};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(3);
const HOUR: Duration = Duration::from_secs(3600);
/// Shorter than the first pause of membership, which is drawn.
const QUIET: Duration = Duration::from_secs(120);

/// Answers late.
#[derive(Default)]
struct Keeper(Vec<ReplyTo<u64>>);

#[derive(Serialize, Deserialize)]
enum Keep {
    Question(ReplyTo<u64>),
    AnswerAll,
    Stop,
}

impl Actor for Keeper {
    type Message = Keep;
    async fn handle(&mut self, message: Keep, _: &mut Context<Keep>) -> Outcome {
        match message {
            Keep::Question(reply) => self.0.push(reply),
            Keep::AnswerAll => self.0.drain(..).for_each(|reply| reply.send(7)),
            Keep::Stop => return Outcome::Stop,
        }
        Outcome::Continue
    }
}

/// A membership and a registry that send nothing for a long time, so that nothing keeps a connection open.
fn silent(builder: NodeBuilder<SimStack>) -> NodeBuilder<SimStack> {
    let swim =
        SwimConfig { probe_interval: HOUR, sync_interval: HOUR, heal_interval: HOUR, ..SwimConfig::lan() };
    builder.swim(swim).idle_timeout(TIMEOUT).registry(|setup| {
        let config = hew_registry::Config { digest_interval: HOUR, ..hew_registry::Config::default() };
        Gossip::new(setup.node, setup.incarnation, config, setup.seed)
    })
}

async fn two(cluster: &Cluster) -> [SimNode; 2] {
    let first = cluster.start_as(silent(cluster.builder(1))).await.expect("the node starts");
    let second = cluster.start_as(silent(cluster.builder(2))).await.expect("the node starts");
    first.wait_for_members(2, SOON).await.expect("two members");
    second.wait_for_members(2, SOON).await.expect("two members");
    [first, second]
}

fn is_idle(node: &SimNode) -> bool {
    node.links().iter().all(|link| link.idle && !link.connected)
}

async fn until_idle(cluster: &Cluster, nodes: &[SimNode]) {
    cluster.wait_until("all links are idle", SOON, || nodes.iter().all(is_idle)).await;
}

#[test]
fn an_idle_connection_is_closed_and_opens_for_whoever_has_something_to_send() {
    for seed in 0..10 {
        let cluster = Cluster::new(seed);
        cluster.run(async {
            let nodes = two(&cluster).await;
            let counters = nodes.each_ref().map(|node| node.spawn(CounterActor::default()));
            let remote = |at: usize| -> ActorRef<Counter> {
                nodes[at].actor(counters[1 - at].pid()).expect("another node's actor")
            };
            let mut events = nodes[0].events();
            until_idle(&cluster, &nodes).await;
            let idle_since = cluster.runtime().now();
            // Whoever's id is smaller or larger, it is dialled at once, and the session goes on.
            for (round, at) in [0, 1, 1, 0].into_iter().enumerate() {
                let began = cluster.runtime().now();
                remote(at).send(Counter::Add(1)).await.expect("the other lives");
                let total = remote(at).ask(Counter::Get).await.expect("the other lives");
                assert!(total > 0, "seed {seed}, round {round}");
                let took = cluster.runtime().now() - began;
                assert!(took < Duration::from_millis(50), "seed {seed}, round {round}: {took:?}");
                assert!(!is_idle(&nodes[0]) && !is_idle(&nodes[1]));
                until_idle(&cluster, &nodes).await;
            }
            // It stays closed for as long as nobody wants it, and nobody takes the other for dead.
            let dials = nodes.each_ref().map(|node| node.stats().connections);
            cluster.runtime().sleep(QUIET).await;
            assert_eq!(nodes.each_ref().map(|node| node.stats().connections), dials, "seed {seed}");
            assert!(nodes.iter().all(is_idle));
            assert!(cluster.runtime().now() > idle_since + QUIET);
            for node in &nodes {
                let stats = node.stats();
                assert_eq!((stats.resumed, stats.messages_lost), (4, 0), "seed {seed}: {stats:?}");
                assert!(stats.violations.is_empty(), "{stats:?}");
            }
            while let Some(event) = events.try_next() {
                let link = matches!(event, NodeEvent::LinkUp { .. } | NodeEvent::LinkDown { .. });
                assert!(link, "seed {seed}: {event:?}");
                if let NodeEvent::LinkDown { cause, .. } = event {
                    assert_eq!(cause, "idle", "seed {seed}");
                }
            }
            for node in &nodes {
                node.shutdown().await;
            }
        });
    }
}

#[test]
fn monitors_and_questions_outlive_idle_connections() {
    let cluster = Cluster::new(1);
    cluster.run(async {
        let [first, second] = two(&cluster).await;
        let keeper = second.spawn(Keeper::default());
        let remote: ActorRef<Keep> = first.actor(keeper.pid()).expect("another node's actor");
        let monitor = first.monitor(keeper.pid());
        let question = cluster.runtime().spawn(async move { remote.ask_within(HOUR, Keep::Question).await });
        let nodes = [first, second];
        until_idle(&cluster, &nodes).await;
        assert!(!question.is_finished());
        keeper.send(Keep::AnswerAll).await.expect("it lives");
        assert_eq!(question.await, Ok(7));
        until_idle(&cluster, &nodes).await;
        keeper.send(Keep::Stop).await.expect("it lives");
        let down = cluster.runtime().timeout(SOON, monitor.down()).await.expect("it is told");
        assert_eq!(down, ExitReason::Normal);
        // What is sent to a sleeping link right before a shutdown is delivered.
        until_idle(&cluster, &nodes).await;
        let journal = nodes[1].spawn(JournalActor::default());
        let remote: ActorRef<Journal> = nodes[0].actor(journal.pid()).expect("another node's actor");
        for number in 0..100 {
            remote.send(Journal::Note { sender: 1, number, ballast: vec![0; 100] }).await.expect("it lives");
        }
        nodes[0].shutdown().await;
        let report = journal.ask(Journal::Report).await.expect("it lives");
        assert_eq!((report.first_error, report.received.get(&1).copied()), (None, Some(100)));
        nodes[1].shutdown().await;
    });
}

#[test]
fn nothing_is_lost_when_one_closes_while_the_other_sends() {
    for seed in 0..100 {
        let cluster = Cluster::new(seed);
        cluster.run(async {
            let nodes = two(&cluster).await;
            let journals = nodes.each_ref().map(|node| node.spawn(JournalActor::default()));
            const MESSAGES: u64 = 30;
            let send = async |at: usize, seed: u64| {
                let remote: ActorRef<Journal> =
                    nodes[at].actor(journals[1 - at].pid()).expect("another node's actor");
                let mut rng = fastrand::Rng::with_seed(seed);
                for number in 0..MESSAGES {
                    remote
                        .send(Journal::Note { sender: 1, number, ballast: vec![0; 10] })
                        .await
                        .expect("lives");
                    // Around the moment at which the connection is closed.
                    let pause = TIMEOUT.as_micros() as u64 + rng.u64(0..2_000_000);
                    cluster.runtime().sleep(Duration::from_micros(pause)).await;
                }
            };
            futures::join!(send(0, 2 * seed), send(1, 2 * seed + 1));
            until_idle(&cluster, &nodes).await;
            for (node, journal) in nodes.iter().zip(&journals) {
                let report = journal.ask(Journal::Report).await.expect("it lives");
                let expected = (None, Some(MESSAGES));
                assert_eq!((report.first_error, report.received.get(&1).copied()), expected, "seed {seed}");
                assert_eq!(node.stats().messages_lost, 0, "seed {seed}");
                node.shutdown().await;
            }
        });
    }
}

#[test]
fn a_connection_is_exchanged_for_one_with_new_keys_every_hour() {
    let cluster = Cluster::new(0);
    cluster.run(async {
        let start = |id| cluster.start_as(cluster.builder(id).swim(SwimConfig::lan()));
        let (first, second) = (start(1).await.expect("it starts"), start(2).await.expect("it starts"));
        let client = cluster.start_as(cluster.builder(60).client()).await.expect("the client starts");
        client.connect("mem:n1").await.expect("node 1 listens");
        second.wait_for_members(2, SOON).await.expect("two members");
        let journal = first.spawn(JournalActor::default());
        const MESSAGES: u64 = 1000;
        let stream = async |node: &SimNode, sender: u64| {
            let remote: ActorRef<Journal> = node.actor(journal.pid()).expect("another node's actor");
            for number in 0..MESSAGES {
                remote.send(Journal::Note { sender, number, ballast: vec![0; 10] }).await.expect("lives");
                cluster.runtime().sleep(Duration::from_secs(5)).await;
            }
        };
        futures::join!(stream(&second, 2), stream(&client, 60));
        let report = journal.ask(Journal::Report).await.expect("it lives");
        assert_eq!(report.first_error, None);
        assert!(report.received.values().eq(&[MESSAGES; 2]), "{report:?}");
        for node in [&second, &client] {
            let stats = node.stats();
            assert_eq!((stats.connections, stats.resumed, stats.messages_lost), (2, 1, 0), "{stats:?}");
            assert!(stats.violations.is_empty(), "{stats:?}");
        }
        for node in [client, second, first] {
            node.shutdown().await;
        }
    });
}

#[test]
fn a_node_that_died_while_its_link_was_idle_is_found_when_it_is_sent_to() {
    let cluster = Cluster::new(2);
    cluster.run(async {
        let [first, second] = two(&cluster).await;
        let counter = second.spawn(CounterActor::default());
        let remote: ActorRef<Counter> = first.actor(counter.pid()).expect("another node's actor");
        let nodes = [first, second];
        until_idle(&cluster, &nodes).await;
        let [first, second] = nodes;
        let mut events = first.events();
        second.crash().await;
        cluster.runtime().sleep(10 * TIMEOUT).await;
        assert!(events.try_next().is_none(), "it was not needed");
        remote.send(Counter::Add(1)).await.expect("nobody knows yet");
        let down = async { while !matches!(events.next().await, Some(NodeEvent::MemberDown { .. })) {} };
        cluster.runtime().timeout(SOON, down).await.expect("its machine refuses");
        assert_eq!(first.stats().messages_lost, 1);
        first.shutdown().await;
    });
}

#[test]
fn connections_of_clients_and_of_those_who_do_not_want_it_stay() {
    let cluster = Cluster::new(3);
    cluster.run(async {
        let first = cluster.start_as(silent(cluster.builder(1))).await.expect("the node starts");
        let never = silent(cluster.builder(2)).idle_timeout(None);
        let other = cluster.start_as(never).await.expect("the node starts");
        let client = cluster.start_as(silent(cluster.builder(60)).client()).await.expect("the client starts");
        client.connect("mem:n1").await.expect("node 1 listens");
        other.wait_for_members(2, SOON).await.expect("two members");
        cluster.runtime().sleep(2 * TIMEOUT).await;
        let state = |node: u16| {
            let links = first.links();
            links
                .iter()
                .find(|link| link.node == NodeId::from_raw(node))
                .map(|link| (link.connected, link.idle))
        };
        assert_eq!(state(60), Some((true, false)), "the client cannot be dialled");
        // One side is enough.
        assert_eq!(state(2), Some((false, true)));
        let error = cluster.builder(3).idle_timeout(Duration::from_millis(999)).start().await.map(|_| ());
        let error = error.expect_err("it is less than the least").to_string();
        assert!(error.contains("idle_timeout") && error.contains("999"), "{error}");
        for node in [client, other, first] {
            node.shutdown().await;
        }
    });
}

#[test]
fn a_cluster_with_idle_links_keeps_its_members_and_names() {
    const NODES: u16 = 12;
    let cluster = Cluster::new(4);
    cluster.run(async {
        let mut nodes = Vec::new();
        for id in 1..=NODES {
            let builder = cluster.builder(id).swim(SwimConfig::lan()).idle_timeout(Duration::from_secs(1));
            nodes.push(cluster.start_as(builder).await.expect("the node starts"));
        }
        for node in &nodes {
            node.wait_for_members(usize::from(NODES), SOON).await.expect("all join");
        }
        cluster.runtime().sleep(SOON).await;
        let mut events: Vec<_> = nodes.iter().map(|node| node.events()).collect();
        let counter = nodes[0].spawn(CounterActor::default());
        nodes[0].register("counter", &counter).await.expect("the name is free");
        let mut connected = 0;
        for _ in 0..60 {
            cluster.runtime().sleep(Duration::from_secs(5)).await;
            connected += nodes.iter().flat_map(|node| node.links()).filter(|link| link.connected).count();
        }
        let all = 60 * usize::from(NODES) * usize::from(NODES - 1);
        assert!(connected < all * 2 / 3, "{connected} of {all} links were connected");
        for (node, events) in nodes.iter().zip(&mut events) {
            assert_eq!(node.whereis("counter"), Some(counter.pid()));
            let mut seen = BTreeSet::new();
            while let Some(event) = events.try_next() {
                let expected = matches!(
                    event,
                    NodeEvent::LinkUp { .. } | NodeEvent::LinkDown { .. } | NodeEvent::NameUp { .. }
                );
                assert!(expected, "node {}: {event:?}", node.id());
                if let NodeEvent::LinkUp { node, resumed, .. } = event {
                    assert!(resumed, "the session ended");
                    seen.insert(node);
                }
            }
            assert!(!seen.is_empty());
        }
        for node in nodes.iter().rev() {
            node.shutdown().await;
        }
    });
}

//! Sixteen nodes that dial each other at once: every pair settles on one connection.

use hew_node::{EventStream, Node, NodeEvent, NodeId, Stack};
use hew_tests::actors::{Counter, CounterActor};
use hew_tests::chaos::Fate;
use hew_tests::cluster::Cluster;
use hew_tests::real::number;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const NODES: u16 = 16;
/// A tenth of a second of real time each; `HEW_SEEDS` is another number.
const SEEDS: u64 = 20;
/// A handshake takes three ways there and back, and a node that was refused waits a little before it dials again.
const SETTLED: Duration = Duration::from_millis(500);
/// Long enough for whoever has lost a connection to dial again.
const LATER: Duration = Duration::from_secs(1);

/// How the dials of a seed meet: at the same instant in an order that is drawn, or on the way, all with the same delay.
fn latency(seed: u64) -> Option<Duration> {
    (!seed.is_multiple_of(3)).then(|| Duration::from_millis(1 + seed % 20))
}

fn linked<S: Stack>(node: &Node<S>) -> Vec<NodeId> {
    node.links().iter().filter(|link| link.connected).map(|link| link.node).collect()
}

type Tally = BTreeMap<(NodeId, NodeId), u64>;

/// Adds up what has become of links since the last time.
fn count_links<S: Stack>(nodes: &[Node<S>], events: &mut [EventStream], ups: &mut Tally, downs: &mut Tally) {
    for (node, events) in nodes.iter().zip(events) {
        while let Some(event) = events.try_next() {
            match event {
                NodeEvent::LinkUp { node: other, .. } => *ups.entry((node.id(), other)).or_default() += 1,
                NodeEvent::LinkDown { node: other, .. } => *downs.entry((node.id(), other)).or_default() += 1,
                _ => {}
            }
        }
    }
}

fn story(seed: u64) {
    let cluster = Cluster::new(seed);
    cluster.run(async {
        let mut proxies = Vec::new();
        if let Some(latency) = latency(seed) {
            for id in 1..=NODES {
                proxies.push(cluster.proxy(id, 0, move |_| Fate { latency, ..Fate::default() }).await);
            }
        }
        let at = |id: u16| if proxies.is_empty() { format!("mem:n{id}") } else { format!("mem:p{id}") };
        let (mut nodes, mut events) = (Vec::new(), Vec::new());
        for id in 1..=NODES {
            // Everyone knows everyone from the start, so everyone dials everyone.
            let seeds = (1..=NODES).filter(|&other| other != id).map(at);
            let builder = cluster.proxied_builder(id).advertise(at(id));
            let node = seeds.fold(builder, |builder, seed| builder.join(seed)).start().await;
            let node = node.expect("the node starts");
            events.push(node.events());
            nodes.push(node);
        }
        let runtime = cluster.runtime();
        runtime.sleep(SETTLED).await;
        for node in &nodes {
            let others: Vec<NodeId> =
                nodes.iter().map(Node::id).filter(|other| *other != node.id()).collect();
            assert_eq!(linked(node), others, "seed {seed}: node {} after {SETTLED:?}", node.id());
        }
        let (mut ups, mut downs) = (Tally::default(), Tally::default());
        count_links(&nodes, &mut events, &mut ups, &mut downs);
        // Where time passes between the steps of a handshake, each pair has made one connection and no other. At one
        // instant, what came first cannot be told: two may have replaced each other, and a third one has stayed.
        let most = if proxies.is_empty() { 3 } else { 1 };
        let often: Vec<_> = ups.iter().filter(|(_, times)| **times > most).collect();
        assert_eq!(often, [], "seed {seed}: connections that were made more than {most} times");
        assert!(most > 1 || downs.is_empty(), "seed {seed}: connections that were given up: {downs:?}");
        // Nothing comes and goes any more.
        let before = ups.clone();
        runtime.sleep(LATER).await;
        count_links(&nodes, &mut events, &mut ups, &mut downs);
        assert_eq!(ups, before, "seed {seed}: connections were made later");
        // And both ends of it are the same one.
        let counter = nodes[0].spawn(CounterActor::default());
        for node in &nodes[1..] {
            let counter = node.actor::<Counter>(counter.pid()).expect("another node's actor");
            assert_eq!(counter.ask(Counter::Get).await, Ok(0), "seed {seed}: node {}", node.id());
        }
        for node in nodes {
            node.crash().await;
        }
    });
}

#[test]
fn all_pairs_of_sixteen_dial_at_once_and_keep_one_connection_each() {
    let (seeds, begun) = (number("HEW_SEEDS", SEEDS), Instant::now());
    std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| scope.spawn(move || (half..seeds).step_by(2).for_each(story)));
        for half in halves {
            if let Err(panic) = half.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    println!("{seeds} seeds, {:.1} per second", seeds as f64 / begun.elapsed().as_secs_f64());
}

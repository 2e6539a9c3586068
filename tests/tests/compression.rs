//! Nodes that compress, nodes that do not, and both together, in virtual time.

use hew_node::{Actor, ActorRef, Compression, Context, Incarnation, NodeStats, Outcome, ReplyTo};
use hew_tests::cluster::{Cluster, SimNode};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// Answers with what it gets.
struct Echo;

#[derive(Debug, Serialize, Deserialize)]
enum ToEcho {
    Back(ByteBuf, ReplyTo<ByteBuf>),
}

impl Actor for Echo {
    type Message = ToEcho;

    async fn handle(&mut self, ToEcho::Back(bytes, reply): ToEcho, _: &mut Context<ToEcho>) -> Outcome {
        reply.send(bytes);
        Outcome::Continue
    }
}

async fn two(cluster: &Cluster, kinds: [Compression; 2]) -> [SimNode; 2] {
    let start = async |id: u16, kind| {
        let builder = cluster.builder(id).compression(kind);
        cluster.start_as(builder).await.expect("the node starts")
    };
    let nodes = [start(1, kinds[0]).await, start(2, kinds[1]).await];
    for node in &nodes {
        node.wait_for_members(2, SOON).await.expect("two members");
    }
    nodes
}

fn there(from: &SimNode, echo: &ActorRef<ToEcho>) -> ActorRef<ToEcho> {
    from.actor(echo.pid()).expect("another node's actor")
}

async fn comes_back(echo: &ActorRef<ToEcho>, payload: &[u8]) {
    let answer = echo.ask(|reply| ToEcho::Back(ByteBuf::from(payload), reply)).await;
    let answer = answer.expect("the echo lives");
    assert!(answer == payload, "{} bytes came back as {} others", payload.len(), answer.len());
}

/// Lines of a log: what shrinks to about a third.
fn lines(bytes: usize) -> Vec<u8> {
    let line = |number: usize| format!("{number:08} node {} is up, {} members\n", number % 7, number % 60);
    let mut text: Vec<u8> = (0..).map(line).take(bytes / 30 + 1).collect::<String>().into();
    text.truncate(bytes);
    text
}

/// Bytes that repeat nothing.
fn noise(bytes: usize) -> Vec<u8> {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x as u8
    };
    (0..bytes).map(|_| next()).collect()
}

fn compressed(stats: &NodeStats) -> (u64, u64) {
    (stats.messages_compressed, stats.bytes_saved)
}

fn nothing_went_wrong(node: &SimNode) {
    let stats = node.stats();
    let lost = stats.messages_lost + stats.messages_refused + stats.replies_lost + stats.unknown_skipped;
    assert_eq!((lost, stats.violations.len()), (0, 0), "{stats:?}");
}

#[test]
fn two_nodes_that_compress_save_bytes_and_change_none() {
    let cluster = Cluster::new(1);
    cluster.run(async {
        let [first, second] = two(&cluster, [Compression::Lz4; 2]).await;
        let echo = there(&first, &second.spawn(Echo));
        let before = [compressed(&first.stats()), compressed(&second.stats())];
        assert_eq!(before, [(0, 0); 2], "control messages and small ones are not compressed");
        // One that is too small, one frame, and fragments.
        let sizes = [4_000, 10_000, 100_000, 3_000_000];
        for bytes in sizes {
            comes_back(&echo, &lines(bytes)).await;
        }
        for node in [&first, &second] {
            let (messages, saved) = compressed(&node.stats());
            assert_eq!(messages, 3, "node {}", node.id());
            assert!((1_500_000..3_100_000).contains(&saved), "node {}: {saved} bytes", node.id());
            nothing_went_wrong(node);
        }
        second.shutdown().await;
        first.shutdown().await;
    });
}

#[test]
fn what_is_queued_and_bounded_is_what_travels() {
    let cluster = Cluster::new(1);
    cluster.run(async {
        const BOUND: usize = 256 << 10;
        let builder = cluster.builder(1).compression(Compression::Lz4).outgoing_bytes_max(BOUND);
        let first = cluster.start_as(builder).await.expect("the node starts");
        let builder = cluster.builder(2).compression(Compression::Lz4);
        let second = cluster.start_as(builder).await.expect("the node starts");
        first.wait_for_members(2, SOON).await.expect("two members");
        let echo = there(&first, &second.spawn(Echo));
        comes_back(&echo, b"it is there").await;
        cluster.network().partition("n1", "n2");
        // Eight times the bound when they are plain.
        let open: Vec<_> =
            (0..8).map(|_| echo.ask(|reply| ToEcho::Back(ByteBuf::from(vec![7; BOUND]), reply))).collect();
        let asked = futures::future::join_all(open);
        let healed = async {
            cluster.runtime().sleep(Duration::from_millis(100)).await;
            let held = first.outgoing_bytes(second.id());
            assert_eq!(first.stats().messages_compressed, 8);
            assert!(held < BOUND / 8, "{held} bytes are held");
            cluster.network().heal("n1", "n2");
        };
        let (answers, ()) = futures::join!(asked, healed);
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|bytes| *bytes == vec![7; BOUND])));
        second.shutdown().await;
        first.shutdown().await;
    });
}

#[test]
fn one_side_alone_compresses_nothing() {
    for kinds in [[Compression::Lz4, Compression::Off], [Compression::Off, Compression::Lz4]] {
        let cluster = Cluster::new(1);
        cluster.run(async {
            let [first, second] = two(&cluster, kinds).await;
            let echo = there(&first, &second.spawn(Echo));
            for bytes in [10_000, 100_000] {
                comes_back(&echo, &lines(bytes)).await;
            }
            for node in [&first, &second] {
                assert_eq!(compressed(&node.stats()), (0, 0), "node {} of {kinds:?}", node.id());
                nothing_went_wrong(node);
            }
            second.shutdown().await;
            first.shutdown().await;
        });
    }
}

#[test]
fn what_does_not_shrink_travels_as_it_is_and_does_not_stay_in_the_way() {
    let cluster = Cluster::new(1);
    cluster.run(async {
        let [first, second] = two(&cluster, [Compression::Lz4; 2]).await;
        let echo = there(&first, &second.spawn(Echo));
        let noise = noise(20_000);
        for _ in 0..50 {
            comes_back(&echo, &noise).await;
        }
        assert_eq!(compressed(&first.stats()), (0, 0));
        // After at most as many as are skipped, what shrinks is found to.
        let lines = lines(20_000);
        for _ in 0..100 {
            comes_back(&echo, &lines).await;
        }
        let (messages, _) = compressed(&first.stats());
        assert!((30..=99).contains(&messages), "{messages} of 100");
        second.shutdown().await;
        first.shutdown().await;
    });
}

#[test]
fn compressed_payloads_survive_broken_connections() {
    for seed in 0..5 {
        let cluster = Cluster::new(seed);
        cluster.run(async {
            let [first, second] = two(&cluster, [Compression::Lz4; 2]).await;
            let echo = there(&first, &second.spawn(Echo));
            let runtime = cluster.runtime();
            let asking = async {
                for round in 0..200 {
                    comes_back(&echo, &lines(5_000 + 997 * round)).await;
                    runtime.sleep(Duration::from_millis(10)).await;
                }
            };
            let breaking = async {
                for _ in 0..30 {
                    runtime.sleep(Duration::from_micros(73_300)).await;
                    cluster.network().sever("n1", "n2");
                }
            };
            futures::join!(asking, breaking);
            for node in [&first, &second] {
                assert_eq!(node.stats().messages_compressed, 200, "seed {seed}");
                assert!(node.stats().resumed >= 5, "seed {seed}: {:?}", node.stats());
                nothing_went_wrong(node);
            }
            second.shutdown().await;
            first.shutdown().await;
        });
    }
}

#[test]
fn a_session_agrees_anew() {
    let cluster = Cluster::new(1);
    cluster.run(async {
        let [first, second] = two(&cluster, [Compression::Lz4; 2]).await;
        comes_back(&there(&first, &second.spawn(Echo)), &lines(10_000)).await;
        assert_eq!(first.stats().messages_compressed, 1);
        second.shutdown().await;
        // The same node as a later start, which reads nothing compressed; then one that does again.
        for (later, kind, expected) in [(100, Compression::Off, 1), (200, Compression::Lz4, 2)] {
            let incarnation = Incarnation(cluster.runtime().unix_ms() + 1000 * later);
            let builder = cluster.builder(2).incarnation(incarnation).compression(kind);
            let second = cluster.start_as(builder).await.expect("the node starts");
            second.wait_for_members(2, SOON).await.expect("two members");
            comes_back(&there(&first, &second.spawn(Echo)), &lines(10_000)).await;
            assert_eq!(first.stats().messages_compressed, expected, "{kind:?}");
            nothing_went_wrong(&second);
            second.shutdown().await;
        }
        first.shutdown().await;
    });
}

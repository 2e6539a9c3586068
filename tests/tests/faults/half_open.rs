//! A connection that nothing passes on any more, without a sign: it is found out in time, and the session goes on.

use hew_node::{ActorRef, EventStream, Node, NodeEvent, Stack};
use hew_tests::actors::Journal;
use hew_tests::chaos::{Fate, Flow, Proxy, TcpCarrier, Way};
use hew_tests::cluster::Cluster;
use hew_tests::real::{patient_builder, runtime, wait_until};
use hew_tests::talk::{Pace, Talk, complaint, journal};
use std::time::{Duration, Instant};

/// A connection on which nothing is heard for 5 s is given up by a node that looks once a second.
const SILENCE: Duration = Duration::from_secs(5);
const FOUND: Duration = Duration::from_secs(6);
const SOON: Duration = Duration::from_secs(30);
const PACE: Pace = Pace { burst: 2, pause: Duration::from_millis(50), bytes_max: 900, large_every: 50 };

/// What is done to the connection under way: what becomes of the bytes from the dialler, and of those to it.
const CASES: [(&str, Flow, Flow); 5] = [
    ("swallowed both ways", Flow::Swallow, Flow::Swallow),
    ("swallowed on the way forth", Flow::Swallow, Flow::Pass),
    ("swallowed on the way back", Flow::Pass, Flow::Swallow),
    // Nobody takes the bytes either: a writer waits for room while nothing is heard.
    ("held both ways", Flow::Hold, Flow::Hold),
    ("held on the way back", Flow::Pass, Flow::Hold),
];

/// When this side finds out. That the other side has closed is not its own finding.
async fn link_down<S: Stack>(node: &Node<S>, events: &mut EventStream) -> Instant {
    loop {
        match events.next().await.expect("the node runs") {
            NodeEvent::LinkDown { cause, .. } if cause.contains("nothing was heard for 5 s") => {
                return node.runtime().now();
            }
            NodeEvent::MemberSuspect { .. } | NodeEvent::MemberDown { .. } => panic!("nobody is suspected"),
            _ => {}
        }
    }
}

/// When the first of both does.
async fn found_out<S: Stack>(first: &Node<S>, second: &Node<S>, events: &mut [EventStream; 2]) -> Instant {
    let [here, there] = events;
    let found = futures_lite::future::or(link_down(first, here), link_down(second, there));
    first.runtime().timeout(SOON, found).await.expect("a silent connection is given up")
}

#[test]
fn a_silent_connection_is_found_within_its_time_and_costs_nothing() {
    for (seed, (what, forth, back)) in CASES.into_iter().enumerate() {
        let cluster = Cluster::new(seed as u64);
        cluster.run(async {
            let proxies = [
                cluster.proxy(1, 0, |_| Fate::default()).await,
                cluster.proxy(2, 0, |_| Fate::default()).await,
            ];
            let first = cluster.start_as(cluster.proxied_builder(1)).await.expect("the node starts");
            let second = cluster.start_as(cluster.proxied_builder(2)).await.expect("the node starts");
            first.wait_for_members(2, SOON).await.expect("two members");
            second.wait_for_members(2, SOON).await.expect("two members");
            let journal = journal(&second);
            let talk = Talk::begin(&first, &journal, 3, PACE);
            let runtime = cluster.runtime();
            for round in 0..20 {
                // Somewhere in the rhythm of heartbeats.
                runtime.sleep(Duration::from_millis(1700 + 130 * round)).await;
                let mut events = [first.events(), second.events()];
                let begun = runtime.now();
                for proxy in &proxies {
                    proxy.set(Way::Forth, forth);
                    proxy.set(Way::Back, back);
                }
                let at = found_out(&first, &second, &mut events).await;
                let took = at - begun;
                // What was heard last was heard a little before, or on its way.
                let earliest = SILENCE - Duration::from_millis(1100);
                assert!((earliest..=FOUND).contains(&took), "{what}, round {round}: found after {took:?}");
                let linked =
                    || [&first, &second].iter().all(|node| node.links().iter().any(|link| link.connected));
                cluster.wait_until("the session goes on", SOON, linked).await;
            }
            talk.end();
            cluster.wait_until("all have said it", SOON, || talk.is_over()).await;
            cluster.wait_until("all is acknowledged", SOON, || first.outgoing_bytes(second.id()) == 0).await;
            let remote: ActorRef<Journal> = first.actor(journal.pid()).expect("another node's actor");
            let report = remote.ask_within(SOON, Journal::Report).await.expect("the journal lives");
            assert_eq!(complaint(&report, &talk), None, "{what}");
            let stats = first.stats();
            assert!(stats.resumed >= 20 && stats.messages_lost == 0, "{what}: {stats:?}");
            second.shutdown().await;
            first.shutdown().await;
        });
    }
}

#[test]
fn a_silent_tcp_connection_is_found_within_its_time_and_costs_nothing() {
    // Real time may be late, never early.
    const LATE: Duration = Duration::from_secs(4);
    let runtime = runtime(2);
    runtime.block_on(async {
        // All cases at once: each waits for 5 s.
        let mut told = Vec::new();
        for (what, forth, back) in CASES {
            let runtime = runtime.clone();
            let case = runtime.clone().spawn(async move {
                let first = patient_builder(&runtime, 1).start().await.expect("the node starts");
                let address = first.local_addr().expect("it listens").to_string();
                let ways = ("127.0.0.1:0", address.as_str());
                let proxy = Proxy::start_with(&runtime, TcpCarrier::default(), ways, Fate::default()).await;
                // It advertises where nobody listens, so that it is always the one that dials.
                let second = patient_builder(&runtime, 2).advertise("127.0.0.1:1").join(proxy.address());
                let second = second.start().await.expect("the node starts");
                second.wait_for_members(2, SOON).await.expect("two members");
                first.wait_for_members(2, SOON).await.expect("two members");
                let journal = journal(&first);
                let talk = Talk::begin(&second, &journal, 2, PACE);
                wait_until(&runtime, "there is traffic", SOON, || talk.total() > 50).await;
                let mut events = [first.events(), second.events()];
                let begun = runtime.now();
                proxy.set(Way::Forth, forth);
                proxy.set(Way::Back, back);
                let at = found_out(&first, &second, &mut events).await;
                let took = at - begun;
                assert!(took <= FOUND + LATE, "{what}: found after {took:?}");
                talk.end();
                wait_until(&runtime, "all have said it", SOON, || talk.is_over()).await;
                wait_until(&runtime, "all is acknowledged", SOON, || second.outgoing_bytes(first.id()) == 0)
                    .await;
                let remote: ActorRef<Journal> = second.actor(journal.pid()).expect("another node's actor");
                let report = remote.ask_within(SOON, Journal::Report).await.expect("the journal lives");
                assert_eq!(complaint(&report, &talk), None, "{what}");
                let stats = second.stats();
                assert!(stats.resumed > 0 && stats.messages_lost == 0, "{what}: {stats:?}");
                second.crash().await;
                first.crash().await;
                (what, took)
            });
            told.push(case);
        }
        for case in told {
            let (what, took) = case.await;
            println!("{what}: found after {took:.2?}");
        }
    });
    runtime.shutdown();
}

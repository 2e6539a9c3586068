//! Broken connections over real sockets: as many as fit into a short test, or as `HEW_BREAKS` says.

use hew_node::{ActorRef, Node, Runtime};
use hew_tests::actors::Journal;
use hew_tests::chaos::{Proxy, TcpCarrier, draw};
use hew_tests::real::{free_address, number, patient_builder, runtime, wait_until};
use hew_tests::talk::{Pace, Talk, complaint, journal};
use std::time::{Duration, Instant};

/// Pairs of nodes that have their connections broken side by side: most of the time of each is spent waiting to dial.
const PAIRS: u64 = 16;
const BREAKS: u64 = 1000;
const LONG: Duration = Duration::from_secs(120);
const PACE: Pace = Pace { burst: 4, pause: Duration::from_millis(20), bytes_max: 900, large_every: 500 };

/// Two nodes that dial each other through proxies, and talk.
struct Pair {
    nodes: [Node; 2],
    proxies: [Proxy; 2],
    journals: [ActorRef<Journal>; 2],
    talks: [Talk; 2],
}

impl Pair {
    async fn begin(runtime: &Runtime, seed: u64) -> Pair {
        let (here, there) = (free_address(), free_address());
        let fate = |random: &mut fastrand::Rng| draw::broken(random, 20_000, true);
        let proxy = async |back: &str, seed| {
            Proxy::start(runtime, TcpCarrier::default(), ("127.0.0.1:0", back), seed, fate).await
        };
        let proxies = [proxy(&here, 2 * seed).await, proxy(&there, 2 * seed + 1).await];
        let first = patient_builder(runtime, 1).listen(here).advertise(proxies[0].address());
        let first = first.start().await.expect("the node starts");
        let second = patient_builder(runtime, 2).listen(there).advertise(proxies[1].address());
        let second = second.join(proxies[0].address()).start().await.expect("the node starts");
        for node in [&first, &second] {
            node.wait_for_members(2, LONG).await.expect("two members");
        }
        let journals = [journal(&first), journal(&second)];
        let talks = [Talk::begin(&first, &journals[1], 2, PACE), Talk::begin(&second, &journals[0], 2, PACE)];
        Pair { nodes: [first, second], proxies, journals, talks }
    }

    fn broken(&self) -> u64 {
        self.proxies.iter().map(Proxy::broken).sum()
    }

    /// Everything that was said has arrived, once and in order.
    async fn end(self, runtime: &Runtime) -> (u64, u64) {
        self.talks.iter().for_each(Talk::end);
        self.proxies.iter().for_each(Proxy::calm);
        wait_until(runtime, "all have said it", LONG, || self.talks.iter().all(Talk::is_over)).await;
        let (mut attached, mut messages) = (0, 0);
        for (talker, talk, journal) in [
            (&self.nodes[0], &self.talks[0], &self.journals[1]),
            (&self.nodes[1], &self.talks[1], &self.journals[0]),
        ] {
            let target = journal.pid().node();
            wait_until(runtime, "everything is acknowledged", LONG, || talker.outgoing_bytes(target) == 0)
                .await;
            let remote: ActorRef<Journal> = talker.actor(journal.pid()).expect("another node's actor");
            let report = remote.ask_within(LONG, Journal::Report).await.expect("the journal lives");
            assert_eq!(complaint(&report, talk), None);
            let stats = talker.stats();
            assert_eq!(stats.messages_lost, 0, "{stats:?}");
            assert!(stats.violations.keys().all(|rule| *rule == "record_not_authentic"), "{stats:?}");
            attached += stats.connections;
            messages += talk.total();
        }
        for node in &self.nodes {
            node.crash().await;
        }
        (attached, messages)
    }
}

#[test]
fn breaks_over_tcp_lose_double_and_reorder_nothing() {
    let wanted = number("HEW_BREAKS", BREAKS);
    let runtime = runtime(2);
    runtime.block_on(async {
        let mut pairs = Vec::new();
        for seed in 0..PAIRS {
            pairs.push(Pair::begin(&runtime, seed).await);
        }
        let begun = Instant::now();
        let broken = || pairs.iter().map(Pair::broken).sum::<u64>();
        wait_until(&runtime, "enough is broken", LONG + Duration::from_millis(100 * wanted), || broken() >= wanted).await;
        let (broken, took) = (broken(), begun.elapsed());
        let tallies = pairs.iter().flat_map(|pair| &pair.proxies).map(Proxy::tally);
        let (connections, late) =
            tallies.fold((0, 0), |sum, tally| (sum.0 + tally.connections, sum.1 + tally.late));
        let (mut attached, mut messages) = (0, 0);
        for pair in pairs {
            let (more_attached, more_messages) = pair.end(&runtime).await;
            attached += more_attached;
            messages += more_messages;
        }
        println!(
            "{broken} of {connections} connections broken in {took:.1?}, {} of them before both sides had a link; \
             late bytes arrived {late} times; {messages} messages",
            connections.saturating_sub(attached / 2)
        );
        assert!(late > 0);
    });
    runtime.shutdown();
}

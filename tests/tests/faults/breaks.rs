//! Ten thousand broken connections, in virtual time: nothing is lost, doubled or reordered.

use hew_node::ActorRef;
use hew_tests::actors::{Journal, JournalReport};
use hew_tests::chaos::{Proxy, draw};
use hew_tests::cluster::{Cluster, SimNode};
use hew_tests::talk::{Pace, Talk, complaint, journal};
use std::collections::BTreeMap;
use std::time::Duration;

/// Breaks of each seed.
const BREAKS: u64 = 500;
const SEEDS: u64 = 20;
/// In virtual time.
const LONG: Duration = Duration::from_secs(3600);

const PACE: Pace = Pace { burst: 3, pause: Duration::from_millis(400), bytes_max: 900, large_every: 200 };

/// What a seed did.
#[derive(Default)]
struct Figures {
    connections: u64,
    broken: u64,
    late: u64,
    attached: u64,
    resumed: u64,
    messages: u64,
    harms: BTreeMap<&'static str, u64>,
}

impl Figures {
    fn add(&mut self, more: Figures) {
        self.connections += more.connections;
        self.broken += more.broken;
        self.late += more.late;
        self.attached += more.attached;
        self.resumed += more.resumed;
        self.messages += more.messages;
        for (name, count) in more.harms {
            *self.harms.entry(name).or_default() += count;
        }
    }
}

fn broken(proxies: &[Proxy]) -> u64 {
    proxies.iter().map(Proxy::broken).sum()
}

/// Asked by the node that talked, so that the question comes after all messages on the same way.
async fn report(cluster: &Cluster, talker: &SimNode, journal: &ActorRef<Journal>) -> JournalReport {
    let target = journal.pid().node();
    cluster.wait_until("everything is acknowledged", LONG, || talker.outgoing_bytes(target) == 0).await;
    let remote: ActorRef<Journal> = talker.actor(journal.pid()).expect("another node's actor");
    remote.ask_within(LONG, Journal::Report).await.expect("the journal lives")
}

/// Two nodes talk both ways while every connection between them breaks.
fn story(seed: u64, figures: &mut Figures) {
    let cluster = Cluster::new(seed);
    cluster.run(async {
        let mut proxies = Vec::new();
        for id in [1, 2] {
            proxies.push(
                cluster
                    .proxy(id, seed * 2 + u64::from(id), |random| draw::broken(random, 60_000, false))
                    .await,
            );
        }
        let first = cluster.start_as(cluster.proxied_builder(1)).await.expect("the node starts");
        let second = cluster.start_as(cluster.proxied_builder(2)).await.expect("the node starts");
        for node in [&first, &second] {
            node.wait_for_members(2, LONG).await.expect("two members");
        }
        let journals = [journal(&first), journal(&second)];
        let talks = [Talk::begin(&first, &journals[1], 3, PACE), Talk::begin(&second, &journals[0], 3, PACE)];
        let runtime = cluster.runtime();
        let until = runtime.now() + LONG;
        while broken(&proxies) < BREAKS {
            assert!(runtime.now() < until, "seed {seed}: {:?}", cluster.log().lines());
            runtime.sleep(Duration::from_millis(100)).await;
        }
        talks.iter().for_each(Talk::end);
        // Whatever is still said is said through breaking connections, too.
        cluster.wait_until("all have said it", LONG, || talks.iter().all(Talk::is_over)).await;
        proxies.iter().for_each(Proxy::calm);
        for (talker, journal, talk) in [(&first, &journals[1], &talks[0]), (&second, &journals[0], &talks[1])]
        {
            let report = report(&cluster, talker, journal).await;
            assert_eq!(complaint(&report, talk), None, "seed {seed}, said by node {}", talker.id());
            let stats = talker.stats();
            assert_eq!(stats.messages_lost, 0, "seed {seed}: {stats:?}");
            assert!(
                stats.violations.keys().all(|rule| *rule == "record_not_authentic"),
                "seed {seed}: {stats:?}"
            );
            figures.attached += stats.connections;
            figures.resumed += stats.resumed;
            figures.messages += talk.total();
        }
        for proxy in &proxies {
            let tally = proxy.tally();
            figures.connections += tally.connections;
            figures.broken += tally.broken;
            figures.late += tally.late;
            for ((name, _), count) in tally.harms {
                *figures.harms.entry(name).or_default() += count;
            }
        }
        second.shutdown().await;
        first.shutdown().await;
    });
}

#[test]
fn ten_thousand_breaks_lose_double_and_reorder_nothing() {
    let mut figures = Figures::default();
    std::thread::scope(|scope| {
        let half = |seeds: std::ops::Range<u64>| {
            scope.spawn(move || {
                let mut figures = Figures::default();
                seeds.for_each(|seed| story(seed, &mut figures));
                figures
            })
        };
        for half in [half(0..SEEDS / 2), half(SEEDS / 2..SEEDS)] {
            match half.join() {
                Ok(more) => figures.add(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    let Figures { connections, broken, late, attached, resumed, messages, harms } = figures;
    println!(
        "{broken} of {connections} connections were broken: {harms:?}, {} of them before both sides had a link; \
         {resumed} of {attached} attached ends resumed; late bytes arrived {late} times; {messages} messages",
        connections - attached / 2
    );
    assert!(broken >= SEEDS * BREAKS && late > 0 && resumed > 0);
}

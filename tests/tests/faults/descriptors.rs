//! A node whose process is out of file descriptors: it waits for better times, and what it has goes on.

use hew_node::{ActorRef, Node};
use hew_tests::actors::{Counter, CounterActor, Journal};
use hew_tests::again::{Child, command, is_child, orders, say};
use hew_tests::chaos::{Fate, Flow, Proxy, TcpCarrier};
use hew_tests::evil::Heard;
use hew_tests::evil::forge::Wire;
use hew_tests::real::{patient_builder, runtime, wait_until};
use hew_tests::talk::{Pace, Talk, complaint, journal};
use hew_tests::usage::{limit_descriptors, ticks};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const NAME: &str = "descriptors::a_node_without_descriptors_waits_and_its_links_go_on";
const SOON: Duration = Duration::from_secs(30);
/// For how long the rate of failed accepts is measured.
const MEASURED: Duration = Duration::from_secs(3);
const PACE: Pace = Pace { burst: 1, pause: Duration::from_millis(10), bytes_max: 500, large_every: 0 };

/// The process that runs out of descriptors; what it does is asked for on its standard input.
fn starve() {
    let runtime = runtime(1);
    let node = runtime.block_on(patient_builder(&runtime, 1).start()).expect("the node starts");
    let (counter, journal) = (node.spawn(CounterActor::default()), journal(&node));
    node.register_pid("counter", counter.pid()).expect("the name is free");
    node.register_pid("journal", journal.pid()).expect("the name is free");
    let mut hoard = Vec::new();
    say(format_args!("at {}", node.local_addr().expect("it listens")));
    for order in orders() {
        match order.as_str() {
            "starve" => {
                limit_descriptors(Some(256));
                while let Ok(file) = File::open("/dev/null") {
                    hoard.push(file);
                }
                say(format_args!("starved with {}", hoard.len()));
            }
            "failures" => {
                let failures = node.stats().refusals.get("accept").copied().unwrap_or(0);
                say(format_args!("failures {failures}"));
            }
            "feed" => {
                hoard.clear();
                say(format_args!("fed"));
            }
            _ => break,
        }
    }
    runtime.block_on(node.shutdown());
}

/// Asks all the time; whoever gets no answer within a second has been disturbed.
async fn keep_asking(node: Node, counter: ActorRef<Counter>, answered: Arc<AtomicU64>) {
    loop {
        let answer = counter.ask_within(Duration::from_secs(1), Counter::Get).await;
        assert_eq!(answer, Ok(0), "the link is disturbed: {:?}", node.links());
        answered.fetch_add(1, Ordering::SeqCst);
        node.runtime().sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_node_without_descriptors_waits_and_its_links_go_on() {
    if is_child(NAME) {
        return starve();
    }
    let mut starving = Child::start(command(NAME));
    let address = starving.answer("at");
    let runtime = runtime(1);
    runtime.block_on(async {
        // Node 2 has a link that stays; the one of node 3 breaks at the worst of times.
        let proxy =
            Proxy::start_with(&runtime, TcpCarrier::default(), ("127.0.0.1:0", &address), Fate::default())
                .await;
        let second = patient_builder(&runtime, 2).join(&address).start().await.expect("the node starts");
        // It advertises where nobody listens, so that it is always the one that dials.
        let third = patient_builder(&runtime, 3).advertise("127.0.0.1:1").join(proxy.address());
        let third = third.start().await.expect("the node starts");
        let counter: ActorRef<Counter> = second.wait_for("counter", SOON).await.expect("the name spreads");
        let journal: ActorRef<Journal> = third.wait_for("journal", SOON).await.expect("the name spreads");
        let answered = Arc::new(AtomicU64::new(0));
        let asking = runtime.spawn(keep_asking(second.clone(), counter, answered.clone()));
        let talk = Talk::begin(&third, &journal, 2, PACE);
        wait_until(&runtime, "there is traffic", SOON, || {
            talk.total() > 10 && answered.load(Ordering::SeqCst) > 1
        })
        .await;

        starving.ask("starve", "starved");
        proxy.set_both(Flow::End);
        let at = address.parse().expect("an address");
        let waiting: Vec<Wire> = (0..20).map(|_| Wire::connect(at)).collect();
        let begun = Instant::now();
        while starving.ask("failures", "failures") == "0" {
            assert!(begun.elapsed() < SOON, "it never tried to accept");
        }
        let (before, asked) = (ticks(starving.id()), answered.load(Ordering::SeqCst));
        // Not to wait for something, but to measure a rate.
        runtime.sleep(MEASURED).await;
        let used = ticks(starving.id()) - before;
        let failures: u64 = starving.ask("failures", "failures").parse().expect("a number");
        let asked = answered.load(Ordering::SeqCst) - asked;
        println!("{used} ticks in 3 s, {failures} failed accepts, {asked} questions answered meanwhile");
        assert!(used < 60, "it spins: {used} ticks of 10 ms in 3 s");
        assert!(failures < 50, "{failures} failed accepts in about 3 s");
        assert!(asked > 10, "{asked} questions were answered in 3 s");
        assert!(!asking.is_finished(), "somebody was not answered");
        talk.end();
        starving.ask("feed", "fed");

        // Those who waited are served now: a byte that is no magic is answered.
        for mut wire in waiting {
            wire.send(b"nope");
            let heard = wire.read_hello().expect_err("it was no hello");
            assert!(matches!(heard, Heard::Refused { status: 6, .. }), "{heard}");
        }
        // The session that lost its connection goes on, and has lost nothing else.
        wait_until(&runtime, "all have said it", SOON, || talk.is_over()).await;
        let report = journal.ask_within(SOON, Journal::Report).await.expect("the journal lives");
        let target = journal.pid().node();
        wait_until(&runtime, "everything is acknowledged", SOON, || third.outgoing_bytes(target) == 0).await;
        let report = journal.ask_within(SOON, Journal::Report).await.unwrap_or(report);
        assert_eq!(complaint(&report, &talk), None);
        let stats = third.stats();
        assert!(stats.resumed > 0 && stats.messages_lost == 0, "{stats:?}");
        asking.cancel().await;
        let fourth = patient_builder(&runtime, 4).join(&address).start().await.expect("the node starts");
        fourth.wait_for_members(4, SOON).await.expect("four members");
        for node in [second, third, fourth] {
            node.crash().await;
        }
    });
    assert!(starving.end().success());
    runtime.shutdown();
}

//! Messages of more than 100 MiB over a slow network: nobody looks dead, and small messages do not wait for them.

use hew_node::{
    Actor, ActorRef, Context, Node, NodeEvent, OUTGOING_BYTES_DEFAULT, Outcome, Runtime, Stack, SwimConfig,
};
use hew_tests::actors::{Counter, CounterActor, Journal};
use hew_tests::chaos::{Fate, Proxy, TcpCarrier};
use hew_tests::cluster::{Cluster, SimNode};
use hew_tests::real::{free_address, number, patient_builder, runtime};
use hew_tests::talk::journal;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// 10 Mbit/s.
const BYTES_PER_S: u64 = 1_250_000;
const PAYLOAD_BYTES_MAX: usize = 128 << 20;
/// Bytes that the network itself buffers, in each of its hops.
const HOP_BYTES: usize = 8 << 10;
/// A record is at most 64 KiB.
const RECORD_TIME: Duration = Duration::from_micros(65_536 * 1_000_000 / BYTES_PER_S);
const LONG: Duration = Duration::from_secs(600);

async fn slow_pair(
    cluster: &Cluster,
    outgoing_bytes_max: usize,
    swim: SwimConfig,
) -> ([SimNode; 2], [Proxy; 2]) {
    slow_pair_at(cluster, BYTES_PER_S, outgoing_bytes_max, swim).await
}

async fn slow_pair_at(
    cluster: &Cluster,
    bytes_per_s: u64,
    outgoing_bytes_max: usize,
    swim: SwimConfig,
) -> ([SimNode; 2], [Proxy; 2]) {
    let network = cluster.network().clone().pipe_bytes_max(HOP_BYTES);
    let slow = Fate {
        latency: Duration::from_millis(1),
        bytes_per_s: Some(bytes_per_s),
        room: HOP_BYTES,
        ..Fate::default()
    };
    let start = async |id: u16| {
        let slow = slow.clone();
        let proxy = cluster.proxy_over(&network, id, 0, move |_| slow.clone()).await;
        let builder = cluster
            .proxied_builder(id)
            .swim(swim.clone())
            .transport(network.endpoint(&format!("n{id}")))
            .payload_bytes_max(PAYLOAD_BYTES_MAX)
            .outgoing_bytes_max(outgoing_bytes_max);
        (cluster.start_as(builder).await.expect("the node starts"), proxy)
    };
    let ((first, first_proxy), (second, second_proxy)) = (start(1).await, start(2).await);
    first.wait_for_members(2, LONG).await.expect("two members");
    second.wait_for_members(2, LONG).await.expect("two members");
    ([first, second], [first_proxy, second_proxy])
}

/// Asks a small question again and again, and notes how long each answer took.
struct Pinger {
    counter: ActorRef<Counter>,
    runtime: Runtime,
    times: Arc<Mutex<Vec<Duration>>>,
}

impl Actor for Pinger {
    type Message = ();

    async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
        loop {
            let asked = self.runtime.now();
            match self.counter.ask_within(LONG, Counter::Get).await {
                Ok(_) => self.times.lock().expect("no panic").push(self.runtime.now() - asked),
                // The nodes stop when the test is over.
                Err(_) => return Outcome::Stop,
            }
            self.runtime.sleep(Duration::from_millis(17)).await;
        }
    }
}

/// Starts a pinger whose lane is not that of messages which are sent outside of actors.
fn ping<S: Stack>(node: &Node<S>, counter: &ActorRef<Counter>) -> Arc<Mutex<Vec<Duration>>> {
    loop {
        let (times, runtime) = (Arc::default(), node.runtime().clone());
        let counter = node.actor(counter.pid()).expect("another node's actor");
        let pinger = node.system().spawn(Pinger { counter, runtime, times: Arc::clone(&times) });
        if !pinger.pid().serial().is_multiple_of(8) {
            pinger.try_send(()).expect("an empty mailbox");
            return times;
        }
    }
}

/// A big message crosses, and nothing else happens; how long that took, and how long small questions of another sender
/// took meanwhile, sorted.
async fn cross<S: Stack>(
    first: &Node<S>,
    second: &Node<S>,
    journal: &ActorRef<Journal>,
    times: &Mutex<Vec<Duration>>,
    big_bytes: usize,
) -> (Duration, Vec<Duration>) {
    let mut events = [first.events(), second.events()];
    let big_to: ActorRef<Journal> = first.actor(journal.pid()).expect("another node's actor");
    let runtime = first.runtime();
    let begun = runtime.now();
    let big = Journal::Note { sender: 0, number: 0, ballast: vec![0; big_bytes] };
    big_to.send(big).await.expect("a message is taken when nothing is queued");
    // On the same lane, so it is answered when the big message has come.
    let report = big_to.ask_within(LONG, Journal::Report).await;
    let took = runtime.now() - begun;
    for event in events.iter_mut().flat_map(|events| std::iter::from_fn(|| events.try_next())) {
        let is_harm = matches!(
            event,
            NodeEvent::MemberSuspect { .. } | NodeEvent::MemberDown { .. } | NodeEvent::LinkDown { .. }
        );
        assert!(!is_harm, "{event:?}");
    }
    let stats = first.stats();
    assert_eq!((stats.messages_lost, stats.violations.len()), (0, 0), "{stats:?}");
    let report = report.expect("the journal lives");
    assert_eq!((report.first_error, report.received.get(&0)), (None, Some(&1)));
    let mut times = times.lock().expect("no panic").clone();
    times.sort();
    (took, times)
}

/// As [`cross`], in virtual time over a slow network.
fn cross_slowly(big_bytes: usize, outgoing_bytes_max: usize, swim: SwimConfig) -> (Duration, Vec<Duration>) {
    let cluster = Cluster::new(1);
    cluster.run(async {
        let ([first, second], _proxies) = slow_pair(&cluster, outgoing_bytes_max, swim).await;
        let (journal, counter) = (journal(&second), second.spawn(CounterActor::default()));
        let times = ping(&first, &counter);
        let crossed = cross(&first, &second, &journal, &times, big_bytes).await;
        second.crash().await;
        first.crash().await;
        crossed
    })
}

/// The value that a share of 100 of them does not exceed.
fn at(times: &[Duration], share: usize) -> Duration {
    times[(times.len() - 1) * share / 100]
}

fn shares(times: &[Duration]) -> String {
    let [p50, p99, most] = [50, 99, 100].map(|share| at(times, share));
    format!("{} small questions meanwhile: p50 {p50:.1?}, p99 {p99:.1?}, max {most:.1?}", times.len())
}

#[test]
fn small_messages_and_signs_of_life_pass_a_message_of_100_mib() {
    for swim in [SwimConfig::lan(), SwimConfig::fast()] {
        let (took, times) = cross_slowly(101 << 20, 256 << 20, swim);
        println!("101 MiB in {took:.1?}; {}", shares(&times));
        assert!(times.len() > 500, "{} small questions", times.len());
        // The record that is being written, and what the network buffers.
        let p99 = at(&times, 99);
        assert!(p99 < 2 * RECORD_TIME, "p99 {p99:?}, and a record takes {RECORD_TIME:?}");
    }
}

#[test]
fn w8_control_waits_for_a_record_at_most_while_bulk_flows() {
    /// 100 Mbit/s.
    const FAST: u64 = 10 * BYTES_PER_S;
    const BULK_MIB: u64 = 1024;
    let cluster = Cluster::new(1);
    cluster.run(async {
        let ([first, second], _proxies) =
            slow_pair_at(&cluster, FAST, OUTGOING_BYTES_DEFAULT, SwimConfig::lan()).await;
        let journal = journal(&second);
        let ended = second.spawn(CounterActor::default()).pid();
        second.system().kill(ended);
        // A monitor on what has ended is answered by the other node at once, on the control lane both ways.
        let round_trip = async || {
            let asked = first.runtime().now();
            first.monitor(ended).down().await;
            first.runtime().sleep(Duration::from_millis(17)).await;
            first.runtime().now() - asked - Duration::from_millis(17)
        };
        let mut idle = Vec::new();
        for _ in 0..200 {
            idle.push(round_trip().await);
        }
        let bulk = first.runtime().spawn({
            let remote: ActorRef<Journal> = first.actor(journal.pid()).expect("another node's actor");
            async move {
                for number in 0..BULK_MIB {
                    let bulk = Journal::Note { sender: 0, number, ballast: vec![0; 1 << 20] };
                    remote.send(bulk).await.expect("the node lives");
                }
                remote.ask_within(LONG, Journal::Report).await
            }
        });
        let mut busy = Vec::new();
        while !bulk.is_finished() {
            busy.push(round_trip().await);
        }
        let report = bulk.await.expect("the journal lives");
        assert_eq!((report.first_error, report.received.get(&0)), (None, Some(&BULK_MIB)));
        idle.sort();
        busy.sort();
        let record = Duration::from_micros(65_536 * 1_000_000 / FAST);
        let (quiet, p99) = (at(&idle, 99), at(&busy, 99));
        println!("{BULK_MIB} MiB; idle p99 {quiet:.1?}, a record {record:.1?}; {}", shares(&busy));
        assert!(busy.len() > 200, "{} round trips", busy.len());
        assert!(p99 <= 3 * quiet + record, "p99 {p99:?}, idle {quiet:?}, a record takes {record:?}");
        second.crash().await;
        first.crash().await;
    });
}

#[test]
fn a_message_over_twice_the_bound_of_the_queue_does_not_end_the_session() {
    cross_slowly(24 << 20, OUTGOING_BYTES_DEFAULT, SwimConfig::lan());
}

#[test]
fn a_big_message_over_slow_tcp_makes_nobody_suspect() {
    let bytes_per_s = number("HEW_BYTES_PER_S", 20_000_000);
    let runtime = runtime(2);
    runtime.block_on(async {
        let slow = Fate { bytes_per_s: Some(bytes_per_s), room: 32 << 10, ..Fate::default() };
        let carrier = TcpCarrier { receive_bytes: Some(256 << 10) };
        let start = async |id: u16, seed: Option<&str>| {
            let address = free_address();
            let proxy = Proxy::start_with(&runtime, carrier, ("127.0.0.1:0", &address), slow.clone()).await;
            let builder = patient_builder(&runtime, id)
                .listen(address)
                .advertise(proxy.address())
                .swim(SwimConfig::lan())
                .payload_bytes_max(PAYLOAD_BYTES_MAX)
                .outgoing_bytes_max(256 << 20);
            let builder = match seed {
                Some(seed) => builder.join(seed),
                None => builder,
            };
            (builder.start().await.expect("the node starts"), proxy)
        };
        let (first, first_proxy) = start(1, None).await;
        let (second, _second_proxy) = start(2, Some(first_proxy.address())).await;
        first.wait_for_members(2, LONG).await.expect("two members");
        second.wait_for_members(2, LONG).await.expect("two members");
        let (journal, counter) = (journal(&second), second.spawn(CounterActor::default()));
        let times = ping(&first, &counter);
        let (took, small) = cross(&first, &second, &journal, &times, 101 << 20).await;
        println!("101 MiB over TCP in {took:.1?}; {}", shares(&small));
        // 400 KiB are on their way: what the kernels of three processes receive ahead, and send ahead.
        let p50 = at(&small, 50);
        let allowed = Duration::from_millis(100) + Duration::from_secs_f64(1e6 / bytes_per_s as f64);
        assert!(p50 < allowed, "half of the small questions took longer than {allowed:?}: {p50:?}");
        second.crash().await;
        first.crash().await;
    });
    runtime.shutdown();
}

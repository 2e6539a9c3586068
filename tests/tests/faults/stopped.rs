//! A process that is stopped while others send to it as fast as they can: it costs the bound, and nobody else anything.

use hew_node::{ActorRef, Node, NodeId};
use hew_tests::actors::{Journal, JournalReport};
use hew_tests::again::{Child, alone, command, orders, say};
use hew_tests::real::{number, patient_builder, runtime, wait_until};
use hew_tests::talk::{Pace, Talk, complaint, journal};
use hew_tests::usage::resident_kib;
use rustix::process::Signal;
use std::time::{Duration, Instant};

const NAME: &str = "stopped::a_stopped_process_costs_the_bound_and_others_nothing";
/// Which node a child is; the one that sends has none.
const ROLE: &str = "HEW_TEST_ROLE";
/// How long it is stopped, in seconds; `HEW_STOPPED_S` is another number.
const STOPPED_S: u64 = 8;
const BOUND_BYTES: usize = 16 << 20;
const CONTROL_BYTES: usize = 64 << 10;
const SOON: Duration = Duration::from_secs(60);
/// As fast as it goes.
const PACE: Pace = Pace { burst: 64, pause: Duration::from_micros(1), bytes_max: 8192, large_every: 0 };
/// For how long the rate of messages to the healthy node is measured beforehand.
const MEASURED: Duration = Duration::from_secs(2);

/// One of the processes that are sent to.
fn receive(role: &str) {
    let id: u16 = role.parse().expect("a node id");
    let runtime = runtime(1);
    let seed = std::env::var("HEW_TEST_SEED").expect("where node 1 is");
    let node = runtime.block_on(patient_builder(&runtime, id).join(seed).start()).expect("the node starts");
    let journal = journal(&node);
    node.register_pid(&format!("journal{id}"), journal.pid()).expect("the name is free");
    say(format_args!("ready"));
    orders().for_each(drop);
}

async fn report(node: &Node, journal: &ActorRef<Journal>) -> JournalReport {
    let target = journal.pid().node();
    wait_until(node.runtime(), "everything is acknowledged", SOON, || node.outgoing_bytes(target) == 0).await;
    journal.ask_within(SOON, Journal::Report).await.expect("the journal lives")
}

#[test]
fn a_stopped_process_costs_the_bound_and_others_nothing() {
    if !alone(NAME) {
        return;
    }
    if let Ok(role) = std::env::var(ROLE) {
        return receive(&role);
    }
    let stopped_for = Duration::from_secs(number("HEW_STOPPED_S", STOPPED_S));
    let runtime = runtime(2);
    runtime.block_on(async {
        let first = patient_builder(&runtime, 1).outgoing_bytes_max(BOUND_BYTES).start().await;
        let first = first.expect("the node starts");
        let address = first.local_addr().expect("it listens").to_string();
        let start = |id: u16| {
            let mut command = command(NAME);
            command.env(ROLE, id.to_string()).env("HEW_TEST_SEED", &address);
            let mut child = Child::start(command);
            child.answer("ready");
            child
        };
        let (second, third) = (start(2), start(3));
        let stalled: ActorRef<Journal> = first.wait_for("journal2", SOON).await.expect("the name spreads");
        let healthy: ActorRef<Journal> = first.wait_for("journal3", SOON).await.expect("the name spreads");
        let to_stalled = Talk::begin(&first, &stalled, 2, PACE);
        let to_healthy = Talk::begin(&first, &healthy, 2, PACE);
        wait_until(&runtime, "there is traffic", SOON, || to_stalled.total().min(to_healthy.total()) > 5000)
            .await;

        // Not to wait for something, but to measure rates, here and below.
        let rate = async |during: Duration, mut look: Box<dyn FnMut()>| {
            let (before, begun) = (to_healthy.total(), Instant::now());
            while begun.elapsed() < during {
                runtime.sleep(Duration::from_millis(50)).await;
                look();
            }
            (to_healthy.total() - before) as f64 / begun.elapsed().as_secs_f64()
        };
        let rate_before = rate(MEASURED, Box::new(|| ())).await;
        let resident_before = resident_kib(std::process::id());
        second.signal(Signal::STOP);
        let most = std::rc::Rc::new(std::cell::Cell::new((0, 0)));
        let look = {
            let (most, first) = (most.clone(), first.clone());
            move || {
                let (resident, held) = most.get();
                let now = (resident_kib(std::process::id()), first.outgoing_bytes(NodeId::from_raw(2)));
                most.set((resident.max(now.0), held.max(now.1)));
            }
        };
        let rate_during = rate(stopped_for, Box::new(look)).await;
        second.signal(Signal::CONT);
        let (resident, held) = most.get();
        let grown = resident.saturating_sub(resident_before);
        println!(
            "stopped for {stopped_for:?}: at most {} KiB held of {} KiB, {grown} KiB more resident; \
             to the healthy node {rate_before:.0} messages/s before, {rate_during:.0} messages/s meanwhile",
            held >> 10,
            BOUND_BYTES >> 10
        );
        // What membership and registry have to say is let in beyond the bound of messages.
        assert!(held <= BOUND_BYTES + CONTROL_BYTES, "{held} bytes held");
        assert!(held > BOUND_BYTES / 2, "{held} bytes held: it was not full");
        // Whoever waits for the stopped one would send next to nothing; the rest is other load of this machine.
        assert!(rate_during > rate_before / 4.0, "the healthy node got less");
        assert!(grown < (BOUND_BYTES as u64 * 5 / 2) >> 10, "{grown} KiB more for one stopped peer");
        to_stalled.end();
        to_healthy.end();
        wait_until(&runtime, "all have said it", SOON, || to_stalled.is_over() && to_healthy.is_over()).await;
        assert_eq!(complaint(&report(&first, &healthy).await, &to_healthy), None);
        assert_eq!(complaint(&report(&first, &stalled).await, &to_stalled), None);
        let stats = first.stats();
        assert!(stats.resumed > 0 && stats.messages_lost == 0, "{stats:?}");
        first.crash().await;
        drop((second, third));
    });
    runtime.shutdown();
}

//! What a node costs: memory under lying peers, starting and stopping.
//!
//! Each test runs in a process of its own, because it counts what the whole process has.

use hew_node::{ActorRef, Node, NodeId, Pid};
use hew_tests::actors::Counter;
use hew_tests::again::alone;
use hew_tests::evil::Heard;
use hew_tests::evil::link::control;
use hew_tests::evil::stage::Stage;
use hew_tests::real::runtime;
use hew_tests::usage::resident_kib;
use hew_wire::control::Control;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);

fn count(directory: &str) -> usize {
    std::fs::read_dir(directory).expect("Linux").count()
}

#[test]
fn a_monitor_that_is_asked_for_again_and_again_costs_one() {
    if !alone("a_monitor_that_is_asked_for_again_and_again_costs_one") {
        return;
    }
    const TIMES: usize = 300_000;
    let stage = Stage::set();
    let mut link = stage.client().expect("a link");
    let monitor = control(&Control::Monitor { reference: 5, target: stage.counter.pid() });
    let batch = monitor.repeat(1000);
    link.send(&batch);
    assert_eq!(link.pulse(), Heard::Alive);
    let before = resident_kib(std::process::id());
    for _ in 0..TIMES / 1000 {
        link.send(&batch);
        assert_eq!(link.pulse(), Heard::Alive);
    }
    let grown = resident_kib(std::process::id()).saturating_sub(before);
    println!("{TIMES} monitors under one reference: {grown} KiB more");
    assert!(grown < 8 << 10, "{grown} KiB more for one monitor asked for {TIMES} times");
    stage.strike();
}

#[test]
fn a_node_that_is_stopped_leaves_nothing_behind() {
    if !alone("a_node_that_is_stopped_leaves_nothing_behind") {
        return;
    }
    let runtime = runtime(1);
    let round = || {
        runtime.block_on(async {
            let first = Node::builder(NodeId::from_raw(1)).listen("127.0.0.1:0").workers(2).start().await;
            let first = first.expect("the node starts");
            let address = first.local_addr().expect("it listens").to_string();
            let second = Node::builder(NodeId::from_raw(2)).listen("127.0.0.1:0").workers(2).join(address);
            let second = second.start().await.expect("the node starts");
            second.wait_for_members(2, SOON).await.expect("two members");
            let service: ActorRef<Counter> =
                second.actor(Pid::new(first.id(), 1 << 30)).expect("another node's actor");
            // A question to nobody: something is under way when the nodes stop.
            let _ = service.ask_within(SOON, Counter::Get).await;
            second.shutdown().await;
            first.shutdown().await;
        });
        (count("/proc/self/task"), count("/proc/self/fd"))
    };
    let after_first = round();
    let mut last = after_first;
    for _ in 1..50 {
        last = round();
    }
    println!("threads and descriptors after one round {after_first:?}, after fifty {last:?}");
    assert_eq!(last, after_first, "threads and descriptors");
}

#[test]
fn a_dropped_node_on_a_shared_runtime_falls_silent() {
    if !alone("a_dropped_node_on_a_shared_runtime_falls_silent") {
        return;
    }
    let runtime = runtime(1);
    let shared = runtime.clone();
    runtime.block_on(async {
        let start =
            |id: u16| Node::builder(NodeId::from_raw(id)).listen("127.0.0.1:0").runtime(shared.clone());
        let first = start(1).start().await.expect("the node starts");
        let address = first.local_addr().expect("it listens").to_string();
        let second = start(2).join(address).start().await.expect("the node starts");
        second.wait_for_members(2, SOON).await.expect("two members");
        drop(second);
        let alive = || first.members().iter().filter(|member| member.state == "alive").count();
        let begun = Instant::now();
        while alive() > 1 {
            assert!(begun.elapsed() < SOON, "a node that was dropped is a member still");
            shared.sleep(Duration::from_millis(20)).await;
        }
        let linked = || first.links().iter().any(|link| link.connected);
        while linked() {
            assert!(begun.elapsed() < SOON, "a node that was dropped keeps its connection");
            shared.sleep(Duration::from_millis(20)).await;
        }
        first.shutdown().await;
    });
}

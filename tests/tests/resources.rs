//! What a node costs: memory under silent and lying peers, a process out of descriptors, starting and stopping.
//!
//! Each test runs in a process of its own, because it counts what the whole process has.

use hew_node::{ActorRef, Node, NodeId, Pid, Runtime, RuntimeConfig};
use hew_tests::actors::Counter;
use hew_tests::evil::Heard;
use hew_tests::evil::forge::Wire;
use hew_tests::evil::link::control;
use hew_tests::evil::stage::Stage;
use hew_wire::control::Control;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const CHILD: &str = "HEW_RESOURCES_CHILD";
const SOON: Duration = Duration::from_secs(30);

/// Whether this process is the one that runs the test `name`; if not, starts it and waits for it.
fn alone(name: &str) -> bool {
    if std::env::var(CHILD).is_ok_and(|child| child == name) {
        return true;
    }
    // Its output is this test's, but not its results, which are counted by whoever reads ours.
    let output = child(name).output().expect("the test binary can be started again");
    let told = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| !line.starts_with("test "))
        .fold(String::new(), |told, line| told + line + "\n");
    assert!(
        output.status.success(),
        "{name}: {}\n{told}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

fn child(name: &str) -> Command {
    let binary = std::env::current_exe().expect("the path of this test");
    let mut command = Command::new(binary);
    command.args(["--exact", name, "--nocapture"]).env(CHILD, name);
    command
}

/// Lets this process open as many files as it may.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).expect("up to the hard limit");
}

/// Resident memory of this process, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line VmRSS");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

fn count(directory: &str) -> usize {
    std::fs::read_dir(directory).expect("Linux").count()
}

fn runtime() -> Runtime {
    let config = RuntimeConfig { workers: 1, ..RuntimeConfig::default() };
    Runtime::start(config).expect("the system gives threads")
}

#[test]
fn silent_connections_cost_little_and_keep_nobody_out() {
    if !alone("silent_connections_cost_little_and_keep_nobody_out") {
        return;
    }
    const SILENT: usize = 2000;
    raise_descriptors();
    let stage = Stage::set();
    // Once, so that what is made on first use is there already.
    assert_eq!(stage.client().expect("a link").pulse(), Heard::Alive);
    let before = resident_kib();
    let silent: Vec<Wire> = (0..SILENT).map(|_| Wire::connect(stage.address)).collect();
    let begun = Instant::now();
    assert_eq!(stage.client().expect("a link").pulse(), Heard::Alive);
    let joined = begun.elapsed();
    let grown = resident_kib().saturating_sub(before);
    println!("{SILENT} silent connections: {grown} KiB more, and a good peer in {joined:?}");
    assert!(grown < 32 << 10, "{grown} KiB more for {SILENT} silent connections");
    assert!(joined < Duration::from_secs(2), "a good peer needed {joined:?}");
    let refused = || stage.target.stats().refusals.get("half_open_evicted").copied().unwrap_or(0);
    assert!(stage.eventually(SOON, || refused() as usize >= SILENT - 256), "{:?}", stage.target.stats());
    assert_eq!(stage.complaints(), Vec::<String>::new());
    drop(silent);
    stage.strike();
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
    let before = resident_kib();
    for _ in 0..TIMES / 1000 {
        link.send(&batch);
        assert_eq!(link.pulse(), Heard::Alive);
    }
    let grown = resident_kib().saturating_sub(before);
    println!("{TIMES} monitors under one reference: {grown} KiB more");
    assert!(grown < 8 << 10, "{grown} KiB more for one monitor asked for {TIMES} times");
    stage.strike();
}

/// The process that runs out of descriptors; what it does is asked for on its standard input.
fn starve() {
    let runtime = runtime();
    let node = runtime.block_on(Node::builder(NodeId::from_raw(1)).listen("127.0.0.1:0").workers(1).start());
    let node = node.expect("the node starts");
    let limit = getrlimit(Resource::Nofile);
    let mut lines = std::io::stdin().lines();
    let mut hoard = Vec::new();
    say(format_args!("at {}", node.local_addr().expect("it listens")));
    while let Some(Ok(line)) = lines.next() {
        match line.as_str() {
            "starve" => {
                let lowered = Rlimit { current: Some(256), maximum: limit.maximum };
                setrlimit(Resource::Nofile, lowered).expect("lower is allowed");
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

/// Says a line to the parent, on a line of its own whatever the test runner has written.
fn say(words: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{words}").and_then(|()| out.flush()).expect("the parent listens");
}

/// Processor time that a process has used, in clock ticks of 10 ms.
fn ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("after the name").split_whitespace().collect();
    // utime and stime are fields 14 and 15; the name is field 2.
    fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number")
}

#[test]
fn a_node_without_descriptors_waits_for_better_times() {
    const NAME: &str = "a_node_without_descriptors_waits_for_better_times";
    if std::env::var(CHILD).is_ok_and(|child| child == NAME) {
        return starve();
    }
    let mut starving = child(NAME)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test binary can be started again");
    let mut orders = starving.stdin.take().expect("piped");
    let mut lines = BufReader::new(starving.stdout.take().expect("piped")).lines();
    let mut answer = |order: &str, begins: &str| {
        writeln!(orders, "{order}").expect("it listens to us");
        let line = lines.by_ref().map(|line| line.expect("text")).find(|line| line.starts_with(begins));
        line.unwrap_or_else(|| panic!("no answer to {order:?}"))[begins.len()..].trim().to_owned()
    };
    // The address comes unasked, before the first answer.
    let address = answer("failures", "at").parse().expect("an address");
    answer("starve", "starved");
    let waiting: Vec<Wire> = (0..20).map(|_| Wire::connect(address)).collect();
    let begun = Instant::now();
    while answer("failures", "failures") == "0" {
        assert!(begun.elapsed() < SOON, "it never tried to accept");
    }
    let before = ticks(starving.id());
    // Not to wait for something, but to measure a rate.
    std::thread::sleep(Duration::from_secs(3));
    let used = ticks(starving.id()) - before;
    let failures: u64 = answer("failures", "failures").parse().expect("a number");
    println!("{used} ticks in 3 s, {failures} failed accepts");
    assert!(used < 60, "it spins: {used} ticks of 10 ms in 3 s");
    assert!(failures < 50, "{failures} failed accepts in about 3 s");
    answer("feed", "fed");
    // Those who waited are served now: a byte that is no magic is answered.
    for mut wire in waiting {
        wire.send(b"nope");
        let heard = wire.read_hello().expect_err("it was no hello");
        assert!(matches!(heard, Heard::Refused { status: 6, .. }), "{heard}");
    }
    drop(orders);
    assert!(starving.wait().expect("it ends").success());
}

#[test]
fn a_node_that_is_stopped_leaves_nothing_behind() {
    if !alone("a_node_that_is_stopped_leaves_nothing_behind") {
        return;
    }
    let runtime = runtime();
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
    let runtime = runtime();
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

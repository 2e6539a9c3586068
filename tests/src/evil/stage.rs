//! The world of the evil peer: the node that is attacked, and a healthy one that must not notice.

use super::Heard;
use super::forge::{Key, Script, extension};
use super::link::EvilLink;
use super::log;
use crate::actors::{Counter, CounterActor};
use hew_node::{
    ActorRef, Allowlist, Compression, EventStream, Node, NodeEvent, NodeId, NodeStats, Runtime,
    RuntimeConfig, StaticKeypair,
};
use hew_security::Entry;
use hew_wire::Role;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The attacked node's id.
pub const TARGET: u16 = 1;
/// The healthy node's id.
pub const GOOD: u16 = 2;
/// The evil node's id: listed, with a key of its own.
pub const EVIL: u16 = 66;
/// An id that is listed too, for a second evil peer.
pub const ACCOMPLICE: u16 = 67;

/// Panics on threads of nodes since the first stage was set; a panic in a task of a node shows nowhere else.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// See the module's documentation.
pub struct Stage {
    /// The node that is attacked.
    pub target: Node,
    /// The node that must not notice.
    pub good: Node,
    /// An actor of the target.
    pub counter: ActorRef<Counter>,
    /// Where the target listens.
    pub address: SocketAddr,
    /// The evil node's key, on the target's allowlist for [`EVIL`].
    pub key: Key,
    /// Another key, listed for [`ACCOMPLICE`].
    pub accomplice: Key,
    /// The healthy node's public key, which is no secret.
    pub good_key: hew_node::PublicKey,
    /// Runs what the test itself waits for.
    pub runtime: Runtime,
    events: Mutex<EventStream>,
    incarnations: AtomicU64,
    asking: Asking,
    connections: u64,
}

/// A thread that keeps the two good nodes asking each other.
struct Asking {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    failures: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

/// The counters that tell what was refused, by name; what carries good traffic is left out.
pub fn counted(stats: &NodeStats) -> BTreeMap<String, u64> {
    let reasons = [
        ("refusal", &stats.refusals),
        ("violation", &stats.violations),
        ("control", &stats.control_errors),
        ("message", &stats.refused),
        ("end", &stats.ends),
    ];
    let mut all: BTreeMap<String, u64> = reasons
        .into_iter()
        .flat_map(|(kind, map)| map.iter().map(move |(reason, n)| (format!("{kind} {reason}"), *n)))
        .collect();
    all.insert("replies_unexpected".into(), stats.replies_unexpected);
    all.insert("unknown_skipped".into(), stats.unknown_skipped);
    all
}

impl Stage {
    /// Two nodes of one cluster with a Strict allowlist that pins four keys.
    pub fn set() -> Stage {
        count_panics();
        log::listen();
        let runtime = Runtime::start(RuntimeConfig { workers: 1, ..RuntimeConfig::default() })
            .expect("the system gives threads");
        let (target_key, good_key) = (generate(), generate());
        let (key, accomplice) = (Key::generate(), Key::generate());
        let good_public = good_key.public();
        let entries = [
            (TARGET, target_key.public()),
            (GOOD, good_public),
            (EVIL, key.public),
            (ACCOMPLICE, accomplice.public),
        ];
        let allowlist =
            || Allowlist::strict(entries.map(|(node, key)| Entry::new(key, Some(NodeId::from_raw(node)))));
        // The target reads what is compressed; the healthy node wants none of it.
        let start = |node: u16, keypair: StaticKeypair, compression, seed: Option<String>| {
            let mut builder = Node::builder(NodeId::from_raw(node))
                .listen("127.0.0.1:0")
                .workers(1)
                .compression(compression)
                .identity(keypair, allowlist());
            if let Some(seed) = seed {
                builder = builder.join(seed);
            }
            runtime.block_on(builder.start()).expect("the node starts")
        };
        let target = start(TARGET, target_key, Compression::Lz4, None);
        let events = Mutex::new(target.events());
        let listening = target.local_addr().expect("it listens");
        let good = start(GOOD, good_key, Compression::Off, Some(listening.to_string()));
        runtime.block_on(good.wait_for_members(2, Duration::from_secs(30))).expect("two members");
        runtime.block_on(target.wait_for_members(2, Duration::from_secs(30))).expect("two members");
        let counter = target.spawn(CounterActor::default());
        let address = listening.socket_addr().expect("a TCP address");
        let asking = Asking::begin(&runtime, &target, &good, &counter);
        let connections = settled(&good);
        Stage {
            target,
            good,
            counter,
            address,
            key,
            accomplice,
            good_key: good_public,
            runtime,
            events,
            incarnations: AtomicU64::new(1000),
            asking,
            connections,
        }
    }

    /// A number greater than all before it.
    pub fn next_incarnation(&self) -> u64 {
        self.incarnations.fetch_add(10, Ordering::Relaxed)
    }

    /// A handshake of the evil node without a flaw.
    pub fn script(&self, role: Role) -> Script {
        Script::new(EVIL, &self.key, &extension(role, self.next_incarnation()))
    }

    /// A link of the evil node, as a client that has started.
    pub fn client(&self) -> Result<EvilLink, Heard> {
        let mut link = self.script(Role::Client).dial(self.address)?;
        link.start();
        Ok(link)
    }

    /// A link of the evil node, as a member that has started.
    pub fn member(&self) -> Result<EvilLink, Heard> {
        let mut link = self.script(Role::Member).dial(self.address)?;
        link.start();
        Ok(link)
    }

    /// What [`counted`] says of the target now.
    pub fn counted(&self) -> BTreeMap<String, u64> {
        counted(&self.target.stats())
    }

    /// Waits until `condition` holds; whether it did within the deadline.
    pub fn eventually(&self, deadline: Duration, condition: impl Fn() -> bool) -> bool {
        let until = Instant::now() + deadline;
        while !condition() {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }

    /// What is wrong with the good nodes, if anything: they must go on asking each other over the connection that
    /// they had, nobody may have panicked, and no text that others will log may hold a control character.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let before = self.asking.answered.load(Ordering::SeqCst);
        let answered = || self.asking.answered.load(Ordering::SeqCst);
        if !self.eventually(Duration::from_secs(10), || answered() >= before + 4) {
            complaints.push("the good nodes do not answer each other any more".into());
        }
        let mut failures = self.asking.failures.lock().unwrap_or_else(PoisonError::into_inner);
        complaints.append(&mut failures);
        let connections = self.good.stats().connections;
        if connections != self.connections {
            complaints.push(format!("the good link was made {connections} times"));
        }
        let panics = PANICS.swap(0, Ordering::SeqCst);
        if panics > 0 {
            complaints.push(format!("{panics} panics"));
        }
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(event) = events.try_next() {
            let text = match &event {
                NodeEvent::Refused { cause, .. } | NodeEvent::LinkDown { cause, .. } => cause.clone(),
                NodeEvent::Conflict { detail, .. } => detail.clone(),
                _ => continue,
            };
            if text.chars().any(char::is_control) {
                complaints.push(format!("an event holds control characters: {text:?}"));
            }
        }
        complaints
    }

    /// How many questions the good nodes have answered each other so far.
    pub fn answered(&self) -> u64 {
        self.asking.answered.load(Ordering::SeqCst)
    }

    /// Ends both nodes in order.
    pub fn strike(mut self) {
        self.asking.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.asking.thread.take() {
            thread.join().expect("the asking thread does not panic");
        }
        self.runtime.block_on(self.good.shutdown());
        self.runtime.block_on(self.target.shutdown());
        self.runtime.shutdown();
    }
}

impl Asking {
    fn begin(runtime: &Runtime, target: &Node, good: &Node, counter: &ActorRef<Counter>) -> Asking {
        let there: ActorRef<Counter> = good.actor(counter.pid()).expect("another node's actor");
        let local = good.spawn(CounterActor::default());
        let back: ActorRef<Counter> = target.actor(local.pid()).expect("another node's actor");
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let failures: Arc<Mutex<Vec<String>>> = Arc::default();
        let thread = std::thread::spawn({
            let (stop, answered, failures) = (stop.clone(), answered.clone(), failures.clone());
            let runtime = runtime.clone();
            move || {
                while !stop.load(Ordering::SeqCst) {
                    for (way, actor) in [("good to target", &there), ("target to good", &back)] {
                        match runtime.block_on(actor.ask(Counter::Get)) {
                            Ok(_) => {}
                            Err(error) => {
                                let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                                failures.push(format!("an ask from {way} failed: {error}"));
                            }
                        }
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                    // A pace, so that the machine has time for the attack as well.
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        });
        Asking { stop, answered, failures, thread: Some(thread) }
    }
}

/// How many connections a node has made, once there is one: it is counted a moment after the members know.
fn settled(node: &Node) -> u64 {
    let until = Instant::now() + Duration::from_secs(10);
    while node.stats().connections == 0 {
        assert!(Instant::now() < until, "a member without a connection");
        std::thread::sleep(Duration::from_millis(1));
    }
    node.stats().connections
}

fn generate() -> StaticKeypair {
    StaticKeypair::generate().expect("the system gives randomness")
}

fn count_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // Threads of nodes carry this name; a test that fails on its own thread is no panic of a node.
            if std::thread::current().name().is_some_and(|name| name.starts_with("hew-")) {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            usual(info);
        }));
    });
}

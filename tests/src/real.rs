//! Real nodes over TCP on this machine, with deadlines for whatever a test waits for.

use crate::cluster::patient;
use hew_node::{Allowlist, Node, NodeBuilder, NodeId, Runtime, RuntimeConfig};
use hew_security::danger;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A runtime of real threads.
///
/// # Panics
/// If the system gives none.
pub fn runtime(workers: usize) -> Runtime {
    let config = RuntimeConfig { workers, ..RuntimeConfig::default() };
    Runtime::start(config).expect("the system gives threads")
}

/// Node `id` on this runtime, at a port that the system gives, with a membership that suspects nobody, and with the
/// same key in every process.
pub fn patient_builder(runtime: &Runtime, id: u16) -> NodeBuilder {
    Node::builder(NodeId::from_raw(id))
        .listen("127.0.0.1:0")
        .swim(patient())
        .identity(danger::keypair_from_seed(u64::from(id)), Allowlist::open())
        .runtime(runtime.clone())
}

/// An address at which nobody listens yet, for a node that is told where to listen before it does.
///
/// Not of the ports that the system gives to whoever dials or asks for any: it could give this one away before the node has
/// it. Each process begins elsewhere, so that tests beside each other do not try the same ones.
///
/// # Panics
/// If there is none.
pub fn free_address() -> String {
    const FIRST: u32 = 10_000;
    const PORTS: u32 = 20_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(211);
    let port = (0..PORTS).find_map(|_| {
        let port = FIRST + begin.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % PORTS;
        TcpListener::bind(("127.0.0.1", u16::try_from(port).ok()?)).ok().map(|_| port)
    });
    format!("127.0.0.1:{}", port.expect("a port is free"))
}

/// Waits until `condition` holds.
///
/// # Panics
/// If it does not within the deadline; `what` says what was awaited.
pub async fn wait_until(
    runtime: &Runtime,
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> bool,
) {
    let until = Instant::now() + deadline;
    while !condition() {
        assert!(Instant::now() < until, "not within {deadline:?}: {what}");
        runtime.sleep(Duration::from_millis(5)).await;
    }
}

/// A number from the environment: how long, or how often, a test does what it does.
///
/// # Panics
/// If it is there and no number.
pub fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("{variable}={text}: {error}")),
        Err(_) => default,
    }
}

//! Real nodes over TCP on this machine, with deadlines for whatever a test waits for.

use crate::cluster::patient;
use hew_node::{Allowlist, Node, NodeBuilder, NodeId, Runtime, RuntimeConfig};
use hew_security::danger;
use std::net::TcpListener;
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

/// An address that is free at this moment, for a node that is to be advertised, or to come back, at a known one.
///
/// # Panics
/// If the system has no port.
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it listens").to_string()
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

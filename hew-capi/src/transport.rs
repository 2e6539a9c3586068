//! Transports, each its own entry: a program that names one does not link the others.

use crate::any_node::{AnyNode, start_failure};
use crate::error::{Failure, value, void};
use crate::handle::{Kind, Table, pointer};
use crate::options::Setup;
use hew_actor::BoxFuture;
use hew_node::{Mem, Node, Tcp, Unix};
use hew_transport::Transport;
use std::ptr::null_mut;
use std::sync::{Arc, OnceLock};

/// How the bytes of a node get to others.
pub struct HewTransport {
    _opaque: [u8; 0],
}

/// Starts a node over one transport.
pub(crate) struct Entry {
    start: Box<Start>,
}

type Start = dyn Fn(Setup) -> BoxFuture<'static, Result<Arc<dyn AnyNode>, Failure>> + Send + Sync;

static TRANSPORTS: Table<Entry> = Table::new(Kind::Transport, "transport");

impl Entry {
    pub(crate) fn new<T: Transport + Clone>(transport: T) -> Entry {
        Entry { start: Box::new(move |setup| Box::pin(start(transport.clone(), setup))) }
    }

    pub(crate) fn start(&self, setup: Setup) -> BoxFuture<'static, Result<Arc<dyn AnyNode>, Failure>> {
        (self.start)(setup)
    }
}

/// The transport of a handle.
pub(crate) fn find(transport: *const HewTransport) -> Result<Arc<Entry>, Failure> {
    TRANSPORTS.find(transport.addr())
}

async fn start<T: Transport>(transport: T, setup: Setup) -> Result<Arc<dyn AnyNode>, Failure> {
    let Setup { id, settings, authenticator, system } = setup;
    let mut builder =
        Node::builder(id).transport(transport).swim(settings.swim()).authenticator(authenticator);
    for seed in &settings.seeds {
        builder = builder.join(seed.as_str());
    }
    if let Some(bind) = &settings.bind {
        builder = builder.listen(bind.as_str());
    }
    if let Some(address) = &settings.advertise {
        builder = builder.advertise(address.as_str());
    }
    if let Some(cluster) = &settings.cluster {
        builder = builder.cluster(cluster.as_str());
    }
    if let Some(bytes) = settings.outgoing_bytes_max {
        builder = builder.outgoing_bytes_max(bytes);
    }
    builder = match system {
        Some(system) => builder.system(system),
        // No actor of C runs on a node of its own system: one thread for its service.
        None => builder.workers(1),
    };
    let node = builder.start().await.map_err(|error| start_failure(&error))?;
    Ok(Arc::new(node))
}

fn new(function: &str, entry: impl FnOnce() -> Entry) -> *mut HewTransport {
    value(function, null_mut(), || TRANSPORTS.insert(Arc::new(entry())).map(pointer))
}

/// TCP, for addresses like `127.0.0.1:9000`, `[::1]:9000` and `host:9000`. Nodes without a transport have this one.
#[unsafe(no_mangle)]
pub extern "C" fn hew_transport_tcp_new() -> *mut HewTransport {
    new("hew_transport_tcp_new", || Entry::new(Tcp::new()))
}

/// Unix sockets, for addresses like "unix:/run/hew.sock".
#[unsafe(no_mangle)]
pub extern "C" fn hew_transport_unix_new() -> *mut HewTransport {
    new("hew_transport_unix_new", || Entry::new(Unix::new()))
}

/// Memory of this process, for addresses like "mem:name": nodes of one process find each other.
#[unsafe(no_mangle)]
pub extern "C" fn hew_transport_mem_new() -> *mut HewTransport {
    static NETWORK: OnceLock<Mem> = OnceLock::new();
    new("hew_transport_mem_new", || Entry::new(NETWORK.get_or_init(Mem::new).clone()))
}

/// Frees the handle; nodes that were made with the transport keep it.
#[unsafe(no_mangle)]
pub extern "C" fn hew_transport_free(transport: *mut HewTransport) {
    if !transport.is_null() {
        void("hew_transport_free", || TRANSPORTS.remove(transport.addr()).map(drop));
    }
}

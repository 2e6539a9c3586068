//! Transports, each its own entry: a program that names one does not link the others.

use crate::any_node::{AnyNode, start_failure};
use crate::boundary::{free_malloc, read, struct_to_malloc};
use crate::error::{Failure, HEW_ERR_OOM, value, void};
use crate::foreign::Foreign;
use crate::options::{Settings, Setup};
use crate::streams::{self, Streams};
use crate::types::{HewTransport, HewTransportOps};
use hew_actor::BoxFuture;
use hew_node::{Mem, Node, NodeBuilder, Stack, Tcp, Unix};
use hew_transport::Transport;
use std::ptr::null_mut;
use std::sync::{Arc, OnceLock};

/// Starts a node over one transport.
pub(crate) struct Entry {
    start: Box<Start>,
}

type Start = dyn Fn(Setup) -> BoxFuture<'static, Result<Arc<dyn AnyNode>, Failure>> + Send + Sync;

impl Entry {
    pub(crate) fn new<T: Transport + Clone>(transport: T) -> Entry {
        Entry { start: Box::new(move |setup| Box::pin(start(transport.clone(), setup))) }
    }

    pub(crate) fn start(&self, setup: Setup) -> BoxFuture<'static, Result<Arc<dyn AnyNode>, Failure>> {
        (self.start)(setup)
    }
}

/// The entry of a transport: ours, or one that calls the functions of the C program.
///
/// # Safety
/// `transport` is NULL, or a structure of a constructor below, or one of the program's whose functions may be called with
/// its `impl` from any thread until `destroy` was.
pub(crate) unsafe fn entry(transport: *const HewTransport) -> Result<Arc<Entry>, Failure> {
    // SAFETY: the condition of this function.
    let transport = unsafe { read("transport", transport) }?;
    if let Some(streams) = streams::of(&transport) {
        return Ok(streams.entry());
    }
    // SAFETY: the condition of this function, for `ops`.
    let ops = unsafe { read("the transport's ops", transport.ops) }?;
    // SAFETY: the condition of this function, for what `ops` points to.
    Ok(Arc::new(Entry::new(unsafe { Foreign::new(ops, transport.impl_) })))
}

async fn start<T: Transport>(transport: T, setup: Setup) -> Result<Arc<dyn AnyNode>, Failure> {
    let Setup { id, settings, authenticator, allowlist_file, system } = setup;
    let builder = Node::builder(id).transport(transport).swim(settings.swim()).authenticator(authenticator);
    let mut builder = apply(builder, &settings);
    if let Some(file) = allowlist_file {
        builder = builder.allowlist_file(file);
    }
    builder = match system {
        Some(system) => builder.system(system),
        // No actor of C runs on a node of its own system: one thread for its service.
        None => builder.workers(1),
    };
    let node = builder.start().await.map_err(|error| start_failure(&error))?;
    Ok(Arc::new(node))
}

/// What was set, apart from the layers of the node.
fn apply<S: Stack>(builder: NodeBuilder<S>, settings: &Settings) -> NodeBuilder<S> {
    let mut builder = builder.spin(settings.spin).compression(settings.compression);
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
    if let Some(timeout) = settings.idle_timeout {
        builder = builder.idle_timeout((!timeout.is_zero()).then_some(timeout));
    }
    if let Some(path) = &settings.state_file {
        builder = builder.state_file(path.as_str());
    }
    builder
}

fn new<T: Transport + Clone>(
    function: &str,
    ops: &'static HewTransportOps,
    transport: T,
) -> *mut HewTransport {
    value(function, null_mut(), || {
        let streams = Streams::register(transport)?;
        struct_to_malloc(HewTransport { ops, impl_: crate::handle::pointer(streams) })
            .ok_or_else(|| Failure::new(HEW_ERR_OOM, "no memory for a transport"))
    })
}

/// TCP, for addresses like `127.0.0.1:9000`, `[::1]:9000` and `host:9000`. Nodes without a transport have this one.
#[unsafe(no_mangle)]
pub extern "C" fn hew_transport_tcp_new() -> *mut HewTransport {
    new("hew_transport_tcp_new", streams::ops::<Tcp>(), Tcp::new())
}

/// Unix sockets, for addresses like "unix:/run/hew.sock".
#[unsafe(no_mangle)]
pub extern "C" fn hew_transport_unix_new() -> *mut HewTransport {
    new("hew_transport_unix_new", streams::ops::<Unix>(), Unix::new())
}

/// Memory of this process, for addresses like "mem:name": nodes of one process find each other.
#[unsafe(no_mangle)]
pub extern "C" fn hew_transport_mem_new() -> *mut HewTransport {
    static NETWORK: OnceLock<Mem> = OnceLock::new();
    new("hew_transport_mem_new", streams::ops::<Mem>(), NETWORK.get_or_init(Mem::new).clone())
}

/// Frees a transport of one of the constructors above, once; nodes that were made with it keep what they need.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_transport_free(transport: *mut HewTransport) {
    if transport.is_null() {
        return;
    }
    void("hew_transport_free", || {
        // SAFETY: hew.h: `transport` is of a constructor above and was not freed.
        let inner = unsafe { read("transport", transport) }?;
        streams::of(&inner).ok_or_else(|| Failure::invalid("the transport is not of this library"))?;
        streams::free(&inner);
        // SAFETY: the constructors allocate with `malloc`; nobody uses it after this.
        unsafe { free_malloc(transport.cast()) };
        Ok(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use hew_node::{Compression, NodeId, Pid, RawMessage};
    use std::time::Duration;

    /// What is out of its range gets to the node, which refuses it by its name.
    #[test]
    fn settings_reach_the_node() {
        let spin = Settings { spin: Duration::from_millis(2), ..Settings::default() };
        let idle = Settings { idle_timeout: Some(Duration::from_millis(1)), ..Settings::default() };
        let state = Settings { state_file: Some(String::new()), ..Settings::default() };
        for (settings, setting) in [(spin, "spin"), (idle, "idle_timeout"), (state, "state file")] {
            let builder = Node::builder(NodeId::from_raw(1)).transport(Mem::new()).workers(1);
            let error = futures_lite::future::block_on(apply(builder, &settings).start()).err();
            let text = error.expect("out of its range").to_string();
            assert!(text.contains(setting), "{text}");
        }
    }

    #[test]
    fn payloads_are_compressed_where_that_was_set() {
        for (compression, compressed) in [(Compression::Lz4, 1), (Compression::Off, 0)] {
            let settings = Settings { compression, ..Settings::default() };
            let network = Mem::new();
            let start = async |id| {
                let builder = Node::builder(NodeId::from_raw(id)).transport(network.clone()).workers(1);
                apply(builder.listen(format!("mem:{id}")), &settings).start().await.expect("it starts")
            };
            futures_lite::future::block_on(async {
                let (one, two) = (start(1).await, start(2).await);
                two.connect("mem:1").await.expect("node 1 listens");
                let target = two.raw_actor(Pid::new(one.id(), 5000)).expect("node 1 is known");
                target.send(RawMessage::new(1, vec![0; 60_000])).await.expect("node 1 is there");
                assert_eq!(two.stats().messages_compressed, compressed);
                two.shutdown().await;
                one.shutdown().await;
            });
        }
    }

    #[test]
    fn an_idle_timeout_of_zero_is_none() {
        let settings = Settings { idle_timeout: Some(Duration::ZERO), ..Settings::default() };
        let builder = Node::builder(NodeId::from_raw(1)).transport(Mem::new()).workers(1);
        let node = futures_lite::future::block_on(apply(builder, &settings).start()).expect("it starts");
        futures_lite::future::block_on(node.shutdown());
    }
}

//! An in-memory network: for tests, and for simulations with faults.

mod network;
mod pipe;

use crate::addr::{Addr, Scheme};
use crate::error::TransportError;
use crate::transport::{Connection, Listener, Transport};
use async_trait::async_trait;
use futures_lite::future::poll_fn;
use futures_lite::io::{AsyncRead, AsyncWrite};
use network::{ConnectError, Dial, Link, Network};
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// An in-memory network, seen from one of its endpoints.
///
/// Each [`Mem::new`] is a network of its own; clones and [`endpoint`](Mem::endpoint)s belong to the network they were
/// made from. Connections work on any executor: nothing here has a thread, a clock or chance, so that a program that
/// runs the same way runs the same way again, faults included.
///
/// Faults name endpoints. A connection joins the endpoint that dialled with the name that was dialled (and with the
/// name of the endpoint that listens there, if that is another). A cut of one pair says nothing of other pairs.
///
/// ```
/// # use hew_transport::{Mem, Transport, Listener};
/// # futures_lite::future::block_on(async {
/// let network = Mem::new();
/// let (n1, n2) = (network.endpoint("n1"), network.endpoint("n2"));
/// let mut listener = n1.listen(&"mem:n1".parse()?).await?;
/// let dialled = n2.connect(&"mem:n1".parse()?).await?;
/// assert_eq!(listener.accept().await?.peer.to_string(), "mem:n2");
///
/// network.partition("n1", "n2");
/// assert!(n2.connect(&"mem:n1".parse()?).await.is_err());
/// network.heal("n1", "n2");
/// assert!(n2.connect(&"mem:n1".parse()?).await.is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Mem {
    network: Arc<Network>,
    endpoint: Option<Arc<str>>,
    pipe_bytes_max: usize,
}

/// A name of an in-memory network that somebody listens at.
#[derive(Debug)]
pub struct MemListener {
    network: Arc<Network>,
    name: Arc<str>,
}

/// The half of an in-memory connection that bytes are read from.
pub struct MemReader(Half);

/// The half of an in-memory connection that bytes are written to.
pub struct MemWriter(Half);

struct Half {
    link: Arc<Link>,
    side: Side,
}

#[derive(Clone, Copy)]
enum Side {
    Dialled,
    Accepted,
}

impl Mem {
    /// How many bytes each direction of a connection takes before its writer waits, by default: 256 KiB.
    pub const PIPE_BYTES_MAX: usize = 256 * 1024;

    /// A new, empty network, seen from an endpoint without a name: its connections come from `mem:~1`, `mem:~2` ….
    pub fn new() -> Mem {
        Mem { network: Arc::default(), endpoint: None, pipe_bytes_max: Mem::PIPE_BYTES_MAX }
    }

    /// How many bytes, at least 1, each direction of the connections takes that this handle dials.
    #[must_use]
    pub fn pipe_bytes_max(mut self, bytes: usize) -> Mem {
        self.pipe_bytes_max = bytes.max(1);
        self
    }

    /// The same network, seen from the endpoint `name`: connections from it come from `mem:name`.
    ///
    /// # Panics
    /// If `mem:name` is not an address.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> Mem {
        if let Err(error) = Addr::mem(name) {
            panic!("{error}");
        }
        Mem { endpoint: Some(name.into()), ..self.clone() }
    }

    /// Breaks every connection between `a` and `b`: both sides see `ConnectionReset`, what was on the way is lost.
    /// New connections are not hindered.
    pub fn sever(&self, a: &str, b: &str) {
        self.network.sever(|link| link.joins(a, b));
    }

    /// Breaks every connection of `name`, as [`sever`](Mem::sever) does.
    pub fn sever_all(&self, name: &str) {
        self.network.sever(|link| link.touches(name));
    }

    /// Cuts `a` and `b` off from each other until they are healed: bytes, ends and drops are held back without a sign,
    /// in both directions, and new connections fail at once with [`TransportError::Unreachable`].
    ///
    /// What had reached the other side before can still be read there. A writer waits when its pipe is full.
    pub fn partition(&self, a: &str, b: &str) {
        self.network.change_cuts(|cuts| {
            cuts.insert((a.into(), b.into()));
            cuts.insert((b.into(), a.into()));
        });
    }

    /// Cuts one direction only: nothing gets from `source` to `target`. New connections between them fail, because
    /// one needs both directions.
    pub fn partition_one_way(&self, source: &str, target: &str) {
        self.network.change_cuts(|cuts| {
            cuts.insert((source.into(), target.into()));
        });
    }

    /// Ends what cuts `a` and `b` off from each other: what was held back arrives, complete and in order.
    pub fn heal(&self, a: &str, b: &str) {
        self.network.change_cuts(|cuts| {
            cuts.remove(&(a.into(), b.into()));
            cuts.remove(&(b.into(), a.into()));
        });
    }

    /// Ends every partition of this network.
    pub fn heal_all(&self) {
        self.network.change_cuts(|cuts| cuts.clear());
    }
}

impl Default for Mem {
    fn default() -> Mem {
        Mem::new()
    }
}

impl fmt::Debug for Mem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mem").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for Mem {
    type Listener = MemListener;
    type Reader = MemReader;
    type Writer = MemWriter;

    async fn listen(&self, addr: &Addr) -> Result<MemListener, TransportError> {
        let name = name_of(addr)?;
        if !self.network.listen(&name, self.endpoint.clone()) {
            return Err(TransportError::AddressInUse { addr: addr.clone() });
        }
        Ok(MemListener { network: self.network.clone(), name })
    }

    async fn connect(&self, addr: &Addr) -> Result<Connection<MemReader, MemWriter>, TransportError> {
        let name = name_of(addr)?;
        let mut dial = Dial::new(&self.network, self.endpoint.clone(), name, self.pipe_bytes_max);
        let connected = poll_fn(|cx| dial.poll(cx)).await;
        let addr = addr.clone();
        match connected {
            Ok(link) => Ok(connection(link, Side::Dialled, addr)),
            Err(ConnectError::Refused) => Err(TransportError::Refused { addr }),
            Err(ConnectError::Partitioned) => {
                let source = io::Error::new(io::ErrorKind::HostUnreachable, "partitioned");
                Err(TransportError::Unreachable { addr, source })
            }
        }
    }
}

#[async_trait]
impl Listener for MemListener {
    type Reader = MemReader;
    type Writer = MemWriter;

    fn local_addr(&self) -> Addr {
        mem_addr(&self.name)
    }

    async fn accept(&mut self) -> Result<Connection<MemReader, MemWriter>, TransportError> {
        let link = poll_fn(|cx| self.network.poll_accept(&self.name, cx)).await;
        let peer = mem_addr(&link.source);
        Ok(connection(link, Side::Accepted, peer))
    }
}

impl Drop for MemListener {
    fn drop(&mut self) {
        self.network.unlisten(&self.name);
    }
}

impl AsyncRead for MemReader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.pipe().poll_read(cx, buffer)
    }
}

impl AsyncWrite for MemWriter {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.pipe().poll_write(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.pipe().poll_write(cx, buffers)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pipe().end();
        Poll::Ready(Ok(()))
    }
}

impl MemReader {
    fn pipe(&self) -> &pipe::Pipe {
        match self.0.side {
            Side::Dialled => &self.0.link.back,
            Side::Accepted => &self.0.link.forth,
        }
    }
}

impl MemWriter {
    fn pipe(&self) -> &pipe::Pipe {
        match self.0.side {
            Side::Dialled => &self.0.link.forth,
            Side::Accepted => &self.0.link.back,
        }
    }
}

impl Drop for MemReader {
    fn drop(&mut self) {
        self.pipe().abandon();
    }
}

impl Drop for MemWriter {
    fn drop(&mut self) {
        self.pipe().end();
    }
}

impl fmt::Debug for MemReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemReader")
    }
}

impl fmt::Debug for MemWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemWriter")
    }
}

fn connection(link: Arc<Link>, side: Side, peer: Addr) -> Connection<MemReader, MemWriter> {
    let half = || Half { link: link.clone(), side };
    Connection { reader: MemReader(half()), writer: MemWriter(half()), peer }
}

fn name_of(addr: &Addr) -> Result<Arc<str>, TransportError> {
    match addr.mem_name() {
        Some(name) => Ok(name.into()),
        None => Err(TransportError::Unsupported { addr: addr.clone(), takes: Scheme::Mem }),
    }
}

fn mem_addr(name: &str) -> Addr {
    Addr::mem(name).expect("names come from addresses, from `endpoint` which checks, or are a number after ~")
}

#[cfg(test)]
mod tests;

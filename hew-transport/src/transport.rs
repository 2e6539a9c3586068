//! The traits that a transport implements: listen, connect, accept, and the two halves of a byte stream.

use crate::addr::Addr;
use crate::error::TransportError;
use async_trait::async_trait;
use futures_lite::io::{AsyncRead, AsyncWrite};

/// A way to carry ordered byte streams between nodes.
///
/// A transport knows nothing of what the bytes mean: encryption, frames, keep-alives and reconnection are the link's
/// work. What it has to promise is little, and the conformance kit (`testkit`) checks each sentence:
///
/// - **Bytes** arrive complete and in the order in which they were written, or the stream ends or fails. A write may
///   take only a part; what it says it took is on its way without a flush.
/// - **Backpressure.** A writer whose peer does not read waits; a transport buffers a bounded number of bytes.
/// - **Close.** `close` on the writer ends the peer's reads with end-of-stream after all bytes written before; the
///   other direction stays open. Dropping the writer does the same. A write after `close` is an error; closing again
///   is not. End-of-stream, once read, is read again.
/// - **Drop.** Dropping both halves closes the connection without waiting: the peer's reads end after what reached
///   it, or fail, and its writes fail, at the latest when its buffers are full. Whoever must know that the peer read
///   everything closes the writer and reads to the end before dropping. What the peer's writes do after only the
///   reader was dropped is not specified.
/// - **Cancellation.** Dropping the future of `connect`, `accept`, a read or a write before it is ready loses
///   nothing: no accepted connection, no byte; and leaves nothing open.
/// - **Threads.** The two halves may live on different threads. A pending operation costs a waker, not a thread.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// What [`listen`](Transport::listen) returns.
    type Listener: Listener<Reader = Self::Reader, Writer = Self::Writer>;
    /// The half of a connection that bytes are read from.
    type Reader: AsyncRead + Unpin + Send + 'static;
    /// The half of a connection that bytes are written to.
    type Writer: AsyncWrite + Unpin + Send + 'static;

    /// Starts to listen at `addr`.
    ///
    /// # Errors
    /// [`TransportError::Unsupported`] for an address of another scheme, [`TransportError::AddressInUse`] where
    /// somebody listens already, and what else the system reports.
    async fn listen(&self, addr: &Addr) -> Result<Self::Listener, TransportError>;

    /// Connects to `addr`. May be ready before the other side has accepted.
    ///
    /// # Errors
    /// [`TransportError::Unsupported`] for an address of another scheme, an error that
    /// [`is_refused`](TransportError::is_refused) where nobody listens, and what else the system reports.
    async fn connect(&self, addr: &Addr) -> Result<Connection<Self::Reader, Self::Writer>, TransportError>;
}

/// Waits at an address for connections. Dropping it frees the address at once; accepted connections live on, and
/// connections nobody accepted end.
#[async_trait]
pub trait Listener: Send + 'static {
    /// The half of a connection that bytes are read from.
    type Reader: AsyncRead + Unpin + Send + 'static;
    /// The half of a connection that bytes are written to.
    type Writer: AsyncWrite + Unpin + Send + 'static;

    /// Where it listens, with port 0 replaced by the port that was given.
    fn local_addr(&self) -> Addr;

    /// Waits for the next connection. Connections made before the call are kept for it, up to a bounded number.
    ///
    /// # Errors
    /// If the error [`is_transient`](TransportError::is_transient), accept again after a pause; otherwise the
    /// listener is of no more use. A listener whose process has nothing left to accept with should rest by itself in
    /// the next call, as those of this crate do: whoever accepts in a loop must not spin.
    async fn accept(&mut self) -> Result<Connection<Self::Reader, Self::Writer>, TransportError>;
}

/// A byte stream in each direction.
#[derive(Debug)]
pub struct Connection<R, W> {
    /// Bytes from the peer.
    pub reader: R,
    /// Bytes to the peer.
    pub writer: W,
    /// The peer: for a connection that was dialled, the address that answered; for one that was accepted, the address
    /// it came from, which is in general not one to connect to. It says nothing about who the peer is.
    pub peer: Addr,
}

//! A transport of one's own: byte streams through pipes inside one process.

#![forbid(unsafe_code)]

use async_channel::{Receiver, Sender};
use hew_transport::{Addr, AsyncRead, AsyncWrite, Connection, Listener, Scheme};
use hew_transport::{Transport, TransportError, async_trait};
use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// Bytes that each direction of a connection takes before its writer waits.
const PIPE_BYTES_MAX: usize = 64 * 1024;
/// Connections that wait for an accept before the next connect waits.
const BACKLOG_MAX: usize = 128;

/// Pipes between everybody who holds a clone of this value, at `mem:` addresses.
#[derive(Clone, Debug, Default)]
pub struct Pipes {
    doors: Arc<Mutex<Doors>>,
}

/// Who listens where.
type Doors = BTreeMap<Addr, Sender<Connection<PipeReader, PipeWriter>>>;

/// An address somebody listens at.
#[derive(Debug)]
pub struct PipeListener {
    addr: Addr,
    dialled: Receiver<Connection<PipeReader, PipeWriter>>,
    pipes: Pipes,
}

/// The half of a connection that bytes are read from.
pub struct PipeReader(piper::Reader);

/// The half of a connection that bytes are written to.
pub struct PipeWriter(piper::Writer);

impl Pipes {
    fn doors(&self) -> MutexGuard<'_, Doors> {
        // A panic cannot leave the map half changed.
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(addr: &Addr) -> Result<(), TransportError> {
    match addr.scheme() {
        Scheme::Mem => Ok(()),
        _ => Err(TransportError::Unsupported { addr: addr.clone(), takes: Scheme::Mem }),
    }
}

#[async_trait]
impl Transport for Pipes {
    type Listener = PipeListener;
    type Reader = PipeReader;
    type Writer = PipeWriter;

    async fn listen(&self, addr: &Addr) -> Result<PipeListener, TransportError> {
        check(addr)?;
        let mut doors = self.doors();
        if doors.contains_key(addr) {
            return Err(TransportError::AddressInUse { addr: addr.clone() });
        }
        let (door, dialled) = async_channel::bounded(BACKLOG_MAX);
        doors.insert(addr.clone(), door);
        Ok(PipeListener { addr: addr.clone(), dialled, pipes: self.clone() })
    }

    async fn connect(&self, addr: &Addr) -> Result<Connection<PipeReader, PipeWriter>, TransportError> {
        check(addr)?;
        let refused = || TransportError::Refused { addr: addr.clone() };
        let door = self.doors().get(addr).cloned().ok_or_else(refused)?;
        let (to_us, from_them) = piper::pipe(PIPE_BYTES_MAX);
        let (to_them, from_us) = piper::pipe(PIPE_BYTES_MAX);
        let end = |reader, writer| Connection {
            reader: PipeReader(reader),
            writer: PipeWriter(writer),
            peer: addr.clone(),
        };
        // If this future is dropped while it waits for room, both ends go with it.
        door.send(end(to_them, from_them)).await.map_err(|_| refused())?;
        Ok(end(to_us, from_us))
    }
}

#[async_trait]
impl Listener for PipeListener {
    type Reader = PipeReader;
    type Writer = PipeWriter;

    fn local_addr(&self) -> Addr {
        self.addr.clone()
    }

    async fn accept(&mut self) -> Result<Connection<PipeReader, PipeWriter>, TransportError> {
        // It never fails: while the listener lives, the table keeps a sender.
        let accepted = self.dialled.recv().await;
        accepted.map_err(|_| TransportError::Refused { addr: self.addr.clone() })
    }
}

impl Drop for PipeListener {
    fn drop(&mut self) {
        // The last sender and the receiver go, and with them the connections that nobody accepted.
        self.pipes.doors().remove(&self.addr);
    }
}

impl AsyncRead for PipeReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for PipeWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.0).poll_write(cx, bytes) {
            // What this pipe says of a reader that is gone, and after a close.
            Poll::Ready(Ok(0)) if !bytes.is_empty() => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            written => written,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

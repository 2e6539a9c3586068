//! An in-memory transport that breaks one promise.

use super::super::ConnectionOf;
use crate::addr::Addr;
use crate::error::TransportError;
use crate::transport::{Connection, Listener, Transport};
use crate::{AsyncRead, AsyncWrite, Mem, MemListener, MemReader, MemWriter};
use async_io::Timer;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// Bytes that all connections together hold under [`Fault::SharesRoom`].
const SHARED_ROOM: usize = 100_000;
/// Buffers of a vectored write that are written under [`Fault::SkipsBuffers`].
const BUFFERS_WRITTEN: usize = 1000;

/// What is wrong with a [`Faulty`] transport.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    /// Bytes arrive changed.
    Changes,
    /// A write says that it took more than it did.
    Loses,
    /// A vectored write of very many buffers says that it took them all, and took the first ones.
    SkipsBuffers,
    /// What a read has no room for is lost.
    LosesRests,
    /// All connections, in both directions, have room for so many bytes together.
    SharesRoom,
    /// A listener accepts when the connection before has ended.
    AcceptsOneAtATime,
    /// A writer that waits is not woken.
    ForgetsWriters,
    /// A read that waits wakes its task at once, to look again.
    Spins,
    /// The first task that waits in a read is woken, and no other.
    KeepsFirstWaker,
    /// A close does nothing.
    IgnoresClose,
    /// When the reader is dropped, the writer is of no more use.
    DropsTogether,
    /// A write fails once; those after it say that all is well.
    ForgetsFailure,
    /// A writer that is dropped after its reader stays open.
    Leaks,
    /// Any address does.
    TakesEveryScheme,
    /// A dead address is not told from other trouble.
    HidesRefusal,
    /// A connect waits until somebody listens.
    WaitsForListeners,
    /// A reader gives nothing before its own writer has written.
    HearsAfterSpeaking,
    /// A dropped listener stays.
    KeepsListeners,
    /// Only the thread that made the transport may dial.
    OneThread,
    /// Whatever is dialled, the first listener is reached.
    ConnectsToFirst,
    /// When one connection is dropped, all of them fail.
    FailsTogether,
}

pub(super) struct Faulty {
    mem: Mem,
    shared: Arc<Shared>,
}

/// What all connections of a transport share.
struct Shared {
    fault: Fault,
    made_by: ThreadId,
    first_listened: OnceLock<Addr>,
    /// Bytes written and not read.
    held: AtomicUsize,
    /// Connections accepted and not dropped.
    accepted: AtomicUsize,
    one_is_gone: AtomicBool,
    kept_listeners: Mutex<Vec<MemListener>>,
    kept_writers: Mutex<Vec<MemWriter>>,
}

/// What the two halves of one side share.
struct Both {
    shared: Arc<Shared>,
    is_accepted: bool,
    spoke: AtomicBool,
    reader_is_gone: AtomicBool,
}

pub(super) struct FaultyListener {
    mem: Option<MemListener>,
    shared: Arc<Shared>,
}

pub(super) struct FaultyReader {
    mem: MemReader,
    both: Arc<Both>,
    first_waker: Option<Waker>,
}

pub(super) struct FaultyWriter {
    mem: Option<MemWriter>,
    both: Arc<Both>,
    failed: bool,
}

impl Faulty {
    pub(super) fn new(fault: Fault) -> Faulty {
        let shared = Shared {
            fault,
            made_by: thread::current().id(),
            first_listened: OnceLock::new(),
            held: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            one_is_gone: AtomicBool::new(false),
            kept_listeners: Mutex::default(),
            kept_writers: Mutex::default(),
        };
        Faulty { mem: Mem::new(), shared: Arc::new(shared) }
    }
}

#[crate::async_trait]
impl Transport for Faulty {
    type Listener = FaultyListener;
    type Reader = FaultyReader;
    type Writer = FaultyWriter;

    async fn listen(&self, addr: &Addr) -> Result<FaultyListener, TransportError> {
        let addr = match self.shared.fault {
            Fault::TakesEveryScheme => Addr::mem("anything").unwrap(),
            _ => addr.clone(),
        };
        self.shared.first_listened.get_or_init(|| addr.clone());
        Ok(FaultyListener { mem: Some(self.mem.listen(&addr).await?), shared: self.shared.clone() })
    }

    async fn connect(&self, addr: &Addr) -> Result<ConnectionOf<Faulty>, TransportError> {
        let fault = self.shared.fault;
        if fault == Fault::OneThread && thread::current().id() != self.shared.made_by {
            return Err(TransportError::Refused { addr: addr.clone() });
        }
        let addr = match fault {
            Fault::ConnectsToFirst => self.shared.first_listened.get().unwrap_or(addr),
            _ => addr,
        };
        loop {
            match (self.mem.connect(addr).await, fault) {
                (Err(TransportError::Refused { .. }), Fault::WaitsForListeners) => {
                    Timer::after(Duration::from_millis(1)).await;
                }
                (Err(TransportError::Refused { addr }), Fault::HidesRefusal) => {
                    let source = io::ErrorKind::Other.into();
                    return Err(TransportError::Io { addr, operation: "connect", source });
                }
                (connected, _) => return connected.map(|connection| faulty(connection, &self.shared, false)),
            }
        }
    }
}

#[crate::async_trait]
impl Listener for FaultyListener {
    type Reader = FaultyReader;
    type Writer = FaultyWriter;

    fn local_addr(&self) -> Addr {
        self.mem.as_ref().unwrap().local_addr()
    }

    async fn accept(&mut self) -> Result<ConnectionOf<Faulty>, TransportError> {
        while self.shared.fault == Fault::AcceptsOneAtATime && self.shared.accepted.load(SeqCst) > 0 {
            Timer::after(Duration::from_millis(1)).await;
        }
        let connection = self.mem.as_mut().unwrap().accept().await?;
        self.shared.accepted.fetch_add(1, SeqCst);
        Ok(faulty(connection, &self.shared, true))
    }
}

impl Drop for FaultyListener {
    fn drop(&mut self) {
        if self.shared.fault == Fault::KeepsListeners {
            self.shared.kept_listeners.lock().unwrap().extend(self.mem.take());
        }
    }
}

fn faulty(connection: ConnectionOf<Mem>, shared: &Arc<Shared>, is_accepted: bool) -> ConnectionOf<Faulty> {
    let Connection { reader, writer, peer } = connection;
    let (spoke, reader_is_gone) = (AtomicBool::new(false), AtomicBool::new(false));
    let both = Arc::new(Both { shared: shared.clone(), is_accepted, spoke, reader_is_gone });
    let reader = FaultyReader { mem: reader, both: both.clone(), first_waker: None };
    Connection { reader, writer: FaultyWriter { mem: Some(writer), both, failed: false }, peer }
}

impl Drop for Both {
    fn drop(&mut self) {
        self.shared.one_is_gone.store(true, SeqCst);
        if self.is_accepted {
            self.shared.accepted.fetch_sub(1, SeqCst);
        }
    }
}

impl AsyncRead for FaultyReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let FaultyReader { mem, both, first_waker } = &mut *self;
        let mem = Pin::new(mem);
        match both.shared.fault {
            Fault::LosesRests => {
                let mut larger = vec![0; buffer.len() + 100_000];
                mem.poll_read(cx, &mut larger).map_ok(|read| {
                    let kept = read.min(buffer.len());
                    buffer[..kept].copy_from_slice(&larger[..kept]);
                    kept
                })
            }
            Fault::SharesRoom => mem.poll_read(cx, buffer).map_ok(|read| {
                both.shared.held.fetch_sub(read, SeqCst);
                read
            }),
            Fault::Spins => {
                let read = mem.poll_read(cx, buffer);
                if read.is_pending() {
                    cx.waker().wake_by_ref();
                }
                read
            }
            Fault::KeepsFirstWaker => {
                let waker = first_waker.get_or_insert_with(|| cx.waker().clone());
                mem.poll_read(&mut Context::from_waker(waker), buffer)
            }
            Fault::HearsAfterSpeaking if !both.spoke.load(SeqCst) => Poll::Pending,
            Fault::FailsTogether if both.shared.one_is_gone.load(SeqCst) => {
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            _ => mem.poll_read(cx, buffer),
        }
    }
}

impl Drop for FaultyReader {
    fn drop(&mut self) {
        self.both.reader_is_gone.store(true, SeqCst);
    }
}

impl AsyncWrite for FaultyWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let FaultyWriter { mem: Some(mem), both, failed } = &mut *self else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        both.spoke.store(true, SeqCst);
        let mem = Pin::new(mem);
        match both.shared.fault {
            Fault::Changes => {
                let changed: Vec<_> = bytes.iter().map(|byte| byte ^ u8::from(bytes.len() > 1000)).collect();
                mem.poll_write(cx, &changed)
            }
            Fault::Loses => {
                let lost = bytes.len() / 1000;
                mem.poll_write(cx, &bytes[lost..]).map_ok(|written| written + lost)
            }
            Fault::SharesRoom => {
                let room = SHARED_ROOM.saturating_sub(both.shared.held.load(SeqCst));
                if room == 0 {
                    // It looks again, so that this is about the room and not about who is woken.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                mem.poll_write(cx, &bytes[..bytes.len().min(room)]).map_ok(|written| {
                    both.shared.held.fetch_add(written, SeqCst);
                    written
                })
            }
            Fault::ForgetsWriters => mem.poll_write(&mut Context::from_waker(Waker::noop()), bytes),
            Fault::DropsTogether if both.reader_is_gone.load(SeqCst) => {
                Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
            }
            Fault::ForgetsFailure if *failed => Poll::Ready(Ok(bytes.len())),
            Fault::ForgetsFailure => mem.poll_write(cx, bytes).map_err(|error| {
                *failed = true;
                error
            }),
            _ => mem.poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let fault = self.both.shared.fault;
        match (&mut self.mem, fault) {
            (Some(mem), Fault::SkipsBuffers) => {
                let (written, skipped) = buffers.split_at(buffers.len().min(BUFFERS_WRITTEN));
                let skipped: usize = skipped.iter().map(|buffer| buffer.len()).sum();
                Pin::new(mem).poll_write_vectored(cx, written).map_ok(|written| written + skipped)
            }
            _ => {
                let first = buffers.iter().find(|buffer| !buffer.is_empty());
                self.poll_write(cx, first.map_or(&[], |buffer| buffer))
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.both.shared.fault != Fault::IgnoresClose {
            self.mem = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for FaultyWriter {
    fn drop(&mut self) {
        if self.both.shared.fault == Fault::Leaks && self.both.reader_is_gone.load(SeqCst) {
            self.both.shared.kept_writers.lock().unwrap().extend(self.mem.take());
        }
    }
}

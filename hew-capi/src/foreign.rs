//! A transport written in C, as a node uses it: its functions block, so each connection has two threads of its own, with
//! a bounded pipe in memory between them and the node.

use crate::landing::{self, Call};
use crate::types::HewTransportOps;
use async_channel::{Receiver, Sender};
use futures_lite::future::block_on;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use hew_node::Mem;
use hew_transport::{
    Addr, Connection, Listener, MemReader, MemWriter, Transport, TransportError, async_trait,
};
use std::ffi::{CString, c_int, c_void};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long one call of `accept` may wait: how late a node that stops leaves its address.
const ACCEPT_MS: c_int = 100;
/// Connections that wait to be taken by the node.
const ACCEPTED_MAX: usize = 16;
/// Bytes that one call of `send` or `recv` is given.
const CHUNK_BYTES: usize = 64 * 1024;

/// A transport of the C program.
#[derive(Clone)]
pub(crate) struct Foreign {
    functions: Arc<Functions>,
}

/// Its functions; `destroy` is called when nothing of the transport is used any more.
struct Functions {
    ops: HewTransportOps,
    /// The program's pointer as a number: it is only handed back.
    user: usize,
}

/// A call of one function, made of values that are `Copy`.
#[derive(Clone, Copy)]
struct Op<F>(F);

impl<R: Copy, F: Fn() -> R + Copy> Call for Op<F> {
    type Output = R;

    fn run(&self) -> R {
        (self.0)()
    }
}

/// What the function answers; -1 if it is not there or panics.
fn answer(call: impl Fn() -> Option<c_int> + Copy) -> c_int {
    match landing::call(&Op(call)) {
        Ok(Some(code)) => code,
        Ok(None) => -1,
        Err(text) => {
            tracing::warn!(text, "a function of a transport panicked");
            -1
        }
    }
}

impl Functions {
    fn user(&self) -> *mut c_void {
        std::ptr::with_exposed_provenance_mut(self.user)
    }

    fn connect(&self, address: &CString) -> c_int {
        let (ops, user, address) = (&self.ops, self.user(), address.as_ptr());
        // SAFETY: `Foreign::new`: the function may be called with `user`; `address` ends with NUL and is borrowed.
        answer(|| ops.connect.map(|connect| unsafe { connect(user, address) }))
    }

    fn listen(&self, address: &CString) -> c_int {
        let (ops, user, address) = (&self.ops, self.user(), address.as_ptr());
        // SAFETY: `Foreign::new`: the function may be called with `user`; `address` ends with NUL and is borrowed.
        answer(|| ops.listen.map(|listen| unsafe { listen(user, address) }))
    }

    fn accept(&self) -> c_int {
        let (ops, user) = (&self.ops, self.user());
        // SAFETY: `Foreign::new`: the function may be called with `user`.
        answer(|| ops.accept.map(|accept| unsafe { accept(user, ACCEPT_MS) }))
    }

    fn send(&self, connection: c_int, data: &[u8]) -> c_int {
        let (ops, user) = (&self.ops, self.user());
        let (pointer, size) = (data.as_ptr().cast(), data.len());
        // SAFETY: `Foreign::new`: the function may be called with `user`; `data` is borrowed for the call.
        answer(|| ops.send.map(|send| unsafe { send(user, connection, pointer, size) }))
    }

    fn recv(&self, connection: c_int, buffer: &mut [u8]) -> c_int {
        let (ops, user) = (&self.ops, self.user());
        let (pointer, size) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: `Foreign::new`: the function may be called with `user`; `buffer` is borrowed for the call.
        answer(|| ops.recv.map(|recv| unsafe { recv(user, connection, pointer, size) }))
    }

    fn close(&self, connection: c_int) {
        let (ops, user) = (&self.ops, self.user());
        // SAFETY: `Foreign::new`: the function may be called with `user`.
        answer(|| ops.close_conn.map(|close| unsafe { close(user, connection) }).map(|()| 0));
    }
}

impl Drop for Functions {
    fn drop(&mut self) {
        let (ops, user) = (&self.ops, self.user());
        // SAFETY: `Foreign::new`: the function may be called with `user`, and nobody else has these functions any more.
        answer(|| ops.destroy.map(|destroy| unsafe { destroy(user) }).map(|()| 0));
    }
}

impl Foreign {
    /// # Safety
    /// The functions may be called from any thread with `user`, until `destroy` was.
    pub(crate) unsafe fn new(ops: HewTransportOps, user: *mut c_void) -> Foreign {
        Foreign { functions: Arc::new(Functions { ops, user: user.expose_provenance() }) }
    }

    /// Runs a function that blocks beside the node's thread.
    async fn aside<R: Send + 'static>(
        &self,
        addr: &Addr,
        operation: &'static str,
        call: impl FnOnce(&Functions) -> R + Send + 'static,
    ) -> Result<R, TransportError> {
        let failed = |error| TransportError::from_io(addr, operation, error);
        let (send, answer) = async_channel::bounded(1);
        let functions = Arc::clone(&self.functions);
        let run = move || drop(send.send_blocking(call(&functions)));
        thread::Builder::new().name("hew-transport".into()).spawn(run).map_err(failed)?;
        answer.recv().await.map_err(|error| failed(io::Error::other(error)))
    }
}

fn refused(addr: &Addr, operation: &'static str) -> TransportError {
    let text = format!("the program's transport refused to {operation}");
    TransportError::from_io(addr, operation, io::Error::other(text))
}

fn text_of(addr: &Addr) -> Result<CString, TransportError> {
    CString::new(addr.to_string())
        .map_err(|error| TransportError::from_io(addr, "write", io::Error::other(error)))
}

#[async_trait]
impl Transport for Foreign {
    type Listener = ForeignListener;
    type Reader = MemReader;
    type Writer = MemWriter;

    async fn listen(&self, addr: &Addr) -> Result<ForeignListener, TransportError> {
        let text = text_of(addr)?;
        if self.aside(addr, "listen", move |functions| functions.listen(&text)).await? != 0 {
            return Err(refused(addr, "listen"));
        }
        let (send, accepted) = async_channel::bounded(ACCEPTED_MAX);
        let functions = Arc::clone(&self.functions);
        let failed = |error| TransportError::from_io(addr, "listen", error);
        let run = move || accept_all(&functions, &send);
        thread::Builder::new().name("hew-accept".into()).spawn(run).map_err(failed)?;
        Ok(ForeignListener { foreign: self.clone(), addr: addr.clone(), accepted })
    }

    async fn connect(&self, addr: &Addr) -> Result<Connection<MemReader, MemWriter>, TransportError> {
        let text = text_of(addr)?;
        let connection = self.aside(addr, "connect", move |functions| functions.connect(&text)).await?;
        if connection < 0 {
            return Err(refused(addr, "connect"));
        }
        piped(&self.functions, connection, addr).await
    }
}

/// Connections that come in, taken by a thread of their own.
pub(crate) struct ForeignListener {
    foreign: Foreign,
    addr: Addr,
    accepted: Receiver<c_int>,
}

#[async_trait]
impl Listener for ForeignListener {
    type Reader = MemReader;
    type Writer = MemWriter;

    fn local_addr(&self) -> Addr {
        self.addr.clone()
    }

    async fn accept(&mut self) -> Result<Connection<MemReader, MemWriter>, TransportError> {
        match self.accepted.recv().await {
            Ok(connection) => piped(&self.foreign.functions, connection, &self.addr).await,
            Err(_) => Err(refused(&self.addr, "accept")),
        }
    }
}

fn accept_all(functions: &Functions, accepted: &Sender<c_int>) {
    while !accepted.is_closed() {
        let begin = Instant::now();
        let connection = functions.accept();
        if connection >= 0 {
            if accepted.send_blocking(connection).is_err() {
                functions.close(connection);
            }
        } else if begin.elapsed() < Duration::from_millis(1) {
            // An error, not a timeout: not again at once.
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Closes the connection once, whichever of its two threads ends first.
struct Open {
    functions: Arc<Functions>,
    connection: c_int,
    closed: AtomicBool,
}

impl Open {
    fn close(&self) {
        // AcqRel: the thread that closes sees what the other one did before.
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.functions.close(self.connection);
        }
    }
}

/// A connection of the program's as the node sees it: the near ends of two pipes whose far ends are pumped.
async fn piped(
    functions: &Arc<Functions>,
    connection: c_int,
    peer: &Addr,
) -> Result<Connection<MemReader, MemWriter>, TransportError> {
    let (functions, closed) = (Arc::clone(functions), AtomicBool::new(false));
    let open = Arc::new(Open { functions, connection, closed });
    let pipes = Mem::new();
    let name = Addr::mem("pump")
        .map_err(|error| TransportError::from_io(peer, "connect", io::Error::other(error)))?;
    let mut listener = pipes.listen(&name).await?;
    let near = pipes.connect(&name).await?;
    let far = listener.accept().await?;
    let started = pump(&open, far.reader, far.writer);
    if let Err(error) = started {
        open.close();
        return Err(TransportError::from_io(peer, "connect", error));
    }
    Ok(Connection { reader: near.reader, writer: near.writer, peer: peer.clone() })
}

fn pump(open: &Arc<Open>, reader: MemReader, writer: MemWriter) -> io::Result<()> {
    let (one, other) = (Arc::clone(open), Arc::clone(open));
    thread::Builder::new().name("hew-recv".into()).spawn(move || {
        pump_in(&one, writer);
        one.close();
    })?;
    thread::Builder::new().name("hew-send".into()).spawn(move || {
        pump_out(&other, reader);
        other.close();
    })?;
    Ok(())
}

/// From the connection to the node, until either ends. Dropping the pipe ends the node's stream.
fn pump_in(open: &Open, mut writer: MemWriter) {
    let mut buffer = vec![0; CHUNK_BYTES];
    while !open.closed.load(Ordering::Acquire) {
        let received = open.functions.recv(open.connection, &mut buffer);
        // A number above the capacity would be a lie.
        let Some(bytes) = usize::try_from(received).ok().and_then(|count| buffer.get(..count)) else {
            return;
        };
        if bytes.is_empty() || block_on(writer.write_all(bytes)).is_err() {
            return;
        }
    }
}

/// From the node to the connection, until either ends.
fn pump_out(open: &Open, mut reader: MemReader) {
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(read @ 1..) = block_on(reader.read(&mut buffer)) {
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            let sent = open.functions.send(open.connection, rest);
            match usize::try_from(sent).ok().and_then(|count| rest.get(count..)) {
                Some(left) if sent > 0 => rest = left,
                _ => return,
            }
        }
    }
}

//! The transports of this library behind the functions that C programs call: blocking, with numbers for connections.

use crate::boundary::{bytes, bytes_mut, text};
use crate::error::{Failure, HEW_ERR_CLOSED, HEW_ERR_OOM, HEW_ERR_TRANSPORT, value, void};
use crate::handle::{Kind, Table};
use crate::transport::Entry;
use crate::types::{HewTransport, HewTransportOps};
use crate::workers::wait;
use async_channel::{Receiver, Sender};
use async_io::Timer;
use futures_lite::future::or;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use hew_transport::{Addr, Connection, Listener, Transport};
use std::any::Any;
use std::collections::BTreeMap;
use std::ffi::{c_char, c_int, c_void};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most connections of one transport that C programs made themselves.
const CONNECTIONS_MAX: usize = 65_536;

static TRANSPORTS: Table<Streams> = Table::new(Kind::Transport, "transport");

/// What `impl` of a transport of this library stands for.
pub(crate) struct Streams {
    entry: Arc<Entry>,
    ops: &'static HewTransportOps,
    /// `Of<T>`.
    of: Arc<dyn Any + Send + Sync>,
}

impl Streams {
    /// The handle of a new one.
    pub(crate) fn register<T: Transport + Clone>(transport: T) -> Result<usize, Failure> {
        let entry = Arc::new(Entry::new(transport.clone()));
        let of = Of {
            transport,
            listener: async_lock::Mutex::new(None),
            connections: Mutex::new((0, BTreeMap::new())),
        };
        TRANSPORTS.insert(Arc::new(Streams { entry, ops: ops::<T>(), of: Arc::new(of) }))
    }

    /// How nodes use it.
    pub(crate) fn entry(&self) -> Arc<Entry> {
        Arc::clone(&self.entry)
    }
}

/// What stands behind a transport of this library; `None` for one of the program's, also if it borrows our `impl`.
pub(crate) fn of(transport: &HewTransport) -> Option<Arc<Streams>> {
    let streams = TRANSPORTS.find(transport.impl_.addr()).ok()?;
    std::ptr::eq(transport.ops, streams.ops).then_some(streams)
}

/// Frees the handle of a transport of this library.
pub(crate) fn free(transport: &HewTransport) {
    // Freed by `destroy` before, or now.
    let _ = TRANSPORTS.remove(transport.impl_.addr());
}

/// The functions of `T` for C.
pub(crate) fn ops<T: Transport>() -> &'static HewTransportOps {
    &Ops::<T>::OPS
}

struct Ops<T>(PhantomData<T>);

impl<T: Transport> Ops<T> {
    const OPS: HewTransportOps = HewTransportOps {
        connect: Some(connect::<T>),
        listen: Some(listen::<T>),
        accept: Some(accept::<T>),
        send: Some(send::<T>),
        recv: Some(recv::<T>),
        close_conn: Some(close_conn::<T>),
        destroy: Some(destroy),
    };
}

/// The last number, and what has one.
type Numbered<V> = (c_int, BTreeMap<c_int, Arc<V>>);

/// A transport with what a program made of it.
struct Of<T: Transport> {
    transport: T,
    listener: async_lock::Mutex<Option<T::Listener>>,
    connections: Mutex<Numbered<Stream<T>>>,
}

struct Stream<T: Transport> {
    reader: async_lock::Mutex<T::Reader>,
    writer: async_lock::Mutex<T::Writer>,
    /// Closed, as a channel, when the connection is.
    close: Sender<()>,
    closed: Receiver<()>,
}

impl<T: Transport> Of<T> {
    fn find(handle: *mut c_void) -> Result<Arc<Of<T>>, Failure> {
        let streams = TRANSPORTS.find(handle.addr())?;
        let of = Arc::clone(&streams.of).downcast();
        of.map_err(|_| Failure::invalid("the transport is of another kind than its function"))
    }

    fn keep(&self, connection: Connection<T::Reader, T::Writer>) -> Result<c_int, Failure> {
        let (close, closed) = async_channel::bounded(1);
        let (reader, writer) = (connection.reader.into(), connection.writer.into());
        let mut connections = self.connections();
        let (last, all) = &mut *connections;
        if all.len() >= CONNECTIONS_MAX {
            let text = format!("there are {CONNECTIONS_MAX} connections, which is the limit");
            return Err(Failure::new(HEW_ERR_OOM, text));
        }
        // Fewer numbers are taken than there are.
        loop {
            *last = last.checked_add(1).unwrap_or(0);
            if !all.contains_key(last) {
                break;
            }
        }
        all.insert(*last, Arc::new(Stream { reader, writer, close, closed }));
        Ok(*last)
    }

    fn stream(&self, connection: c_int) -> Result<Arc<Stream<T>>, Failure> {
        let stream = self.connections().1.get(&connection).cloned();
        stream.ok_or_else(|| Failure::invalid(format!("there is no connection {connection}")))
    }

    fn connections(&self) -> MutexGuard<'_, Numbered<Stream<T>>> {
        // Only map operations happen under this lock.
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// # Safety
/// `address` is NULL or a text that ends with NUL.
unsafe fn address(address: *const c_char) -> Result<Addr, Failure> {
    // SAFETY: the condition of this function.
    unsafe { text("address", address) }?.parse().map_err(|error| Failure::invalid(format!("{error}")))
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(HEW_ERR_TRANSPORT, error.to_string())
}

unsafe extern "C" fn connect<T: Transport>(handle: *mut c_void, target: *const c_char) -> c_int {
    value("connect", -1, || {
        let of = Of::<T>::find(handle)?;
        // SAFETY: hew.h, Conventions: `target` is NULL or ends with NUL.
        let target = unsafe { address(target) }?;
        let connection = wait(of.transport.connect(&target))?.map_err(failed)?;
        of.keep(connection)
    })
}

unsafe extern "C" fn listen<T: Transport>(handle: *mut c_void, at: *const c_char) -> c_int {
    value("listen", -1, || {
        let of = Of::<T>::find(handle)?;
        // SAFETY: hew.h, Conventions: `at` is NULL or ends with NUL.
        let at = unsafe { address(at) }?;
        let listener = wait(of.transport.listen(&at))?.map_err(failed)?;
        wait(async { *of.listener.lock().await = Some(listener) })?;
        Ok(0)
    })
}

unsafe extern "C" fn accept<T: Transport>(handle: *mut c_void, timeout_ms: c_int) -> c_int {
    value("accept", -1, || {
        let of = Of::<T>::find(handle)?;
        let accepted = async {
            let mut listener = of.listener.lock().await;
            match &mut *listener {
                Some(listener) => listener.accept().await.map_err(failed),
                None => Err(Failure::invalid("the transport does not listen")),
            }
        };
        let late = async {
            match u64::try_from(timeout_ms) {
                Ok(ms) => drop(Timer::after(Duration::from_millis(ms)).await),
                Err(_) => std::future::pending().await,
            }
            Err(Failure::new(crate::error::HEW_ERR_TIMEOUT, "nobody connected in time"))
        };
        let connection = wait(or(accepted, late))??;
        of.keep(connection)
    })
}

unsafe extern "C" fn send<T: Transport>(
    handle: *mut c_void,
    connection: c_int,
    data: *const c_void,
    size: usize,
) -> c_int {
    value("send", -1, || {
        let stream = Of::<T>::find(handle)?.stream(connection)?;
        // SAFETY: hew.h, Conventions: `data` is NULL or has `size` bytes. No more than the result can say.
        let data = unsafe { bytes("data", data, size.min(c_int::MAX as usize)) }?;
        let written = async { stream.writer.lock().await.write(data).await.map_err(failed) };
        // At most `c_int::MAX`.
        wait(or(written, gone(&stream.closed)))?.map(|count| count as c_int)
    })
}

unsafe extern "C" fn recv<T: Transport>(
    handle: *mut c_void,
    connection: c_int,
    buffer: *mut c_void,
    capacity: usize,
) -> c_int {
    value("recv", -1, || {
        let stream = Of::<T>::find(handle)?.stream(connection)?;
        // SAFETY: hew.h, Conventions: `buffer` is NULL or has room for `capacity` bytes that nobody else uses.
        let buffer = unsafe { bytes_mut("buffer", buffer, capacity.min(c_int::MAX as usize)) }?;
        let read = async { stream.reader.lock().await.read(buffer).await.map_err(failed) };
        // At most `c_int::MAX`.
        wait(or(read, gone(&stream.closed)))?.map(|count| count as c_int)
    })
}

async fn gone(closed: &Receiver<()>) -> Result<usize, Failure> {
    // Nothing is ever sent: this ends when the channel is closed.
    let _ = closed.recv().await;
    Err(Failure::new(HEW_ERR_CLOSED, "the connection was closed"))
}

unsafe extern "C" fn close_conn<T: Transport>(handle: *mut c_void, connection: c_int) {
    void("close_conn", || {
        let stream = Of::<T>::find(handle)?.connections().1.remove(&connection);
        let stream =
            stream.ok_or_else(|| Failure::invalid(format!("there is no connection {connection}")))?;
        stream.close.close();
        Ok(())
    });
}

unsafe extern "C" fn destroy(handle: *mut c_void) {
    void("destroy", || TRANSPORTS.remove(handle.addr()).map(drop));
}

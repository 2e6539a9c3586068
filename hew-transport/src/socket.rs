//! The two halves of a connected stream socket, and how one is made: what TCP and Unix sockets have in common.

use crate::addr::Addr;
use crate::error::TransportError;
use async_io::{Async, Timer};
use futures_lite::io::{AsyncRead, AsyncWrite};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

/// Connections that the kernel keeps for a listener until they are accepted (`net.core.somaxconn` may lower it).
pub(crate) const ACCEPT_BACKLOG: i32 = 1024;

/// Buffers that one vectored write passes to the kernel (`IOV_MAX`); what is beyond is left to the next write.
const WRITE_BUFFERS_MAX: usize = 1024;

/// What accept(2) can fail with although the listener is good: a connection that died in the queue, errors of the
/// network that Linux passes on from it, a firewall's verdict, and a process or system that is out of something.
const ACCEPT_TRANSIENT: [Errno; 19] = [
    Errno::CONNABORTED,
    Errno::CONNRESET,
    Errno::INTR,
    Errno::MFILE,
    Errno::NFILE,
    Errno::NOBUFS,
    Errno::NOMEM,
    Errno::NOSPC,
    Errno::PERM,
    Errno::PROTO,
    Errno::NOPROTOOPT,
    Errno::NETDOWN,
    Errno::NETUNREACH,
    Errno::HOSTDOWN,
    Errno::HOSTUNREACH,
    Errno::NONET,
    Errno::OPNOTSUPP,
    Errno::TIMEDOUT,
    Errno::AGAIN,
];

/// What a process or the system can be out of. Until somebody gives some back, each accept would fail at once.
const OUT_OF: [Errno; 5] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::NOSPC];

/// How long a listener rests before it asks the kernel again, when there was nothing left to accept with: at first,
/// and at most.
const RESTS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Acceptor {
    socket: Async<Socket>,
    addr: Addr,
    rest: Option<Rest>,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Instant,
    length: Duration,
}

/// The half of a socket that bytes are read from.
#[derive(Debug)]
pub(crate) struct ReadHalf {
    pub(crate) socket: Arc<Async<Socket>>,
}

/// The half of a socket that bytes are written to; dropping it ends the peer's reads.
#[derive(Debug)]
pub(crate) struct WriteHalf {
    socket: Arc<Async<Socket>>,
}

/// Both halves of a connected socket.
pub(crate) fn halves(socket: Async<Socket>) -> (ReadHalf, WriteHalf) {
    let socket = Arc::new(socket);
    (ReadHalf { socket: socket.clone() }, WriteHalf { socket })
}

/// A new socket, connected to `remote`. Dropping the future closes it.
pub(crate) async fn connect(domain: Domain, remote: &SockAddr) -> io::Result<Async<Socket>> {
    let socket = Socket::new(domain, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(remote) {
        Ok(()) => return Async::new_nonblocking(socket),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INPROGRESS) => {}
        Err(error) => return Err(error),
    }
    let socket = Async::new_nonblocking(socket)?;
    socket.writable().await?;
    match socket.get_ref().take_error()? {
        None => Ok(socket),
        Some(error) => Err(error),
    }
}

impl Acceptor {
    /// `socket` listens already.
    pub(crate) fn new(socket: Async<Socket>, addr: Addr) -> Acceptor {
        Acceptor { socket, addr, rest: None }
    }

    pub(crate) fn addr(&self) -> &Addr {
        &self.addr
    }

    /// The next connection. There is no wait between taking it from the kernel's queue and returning it, so that
    /// dropping the future loses none.
    ///
    /// A connection that cannot be taken for want of descriptors stays in the queue, and the socket stays readable. So
    /// that whoever calls again at once does not spin, the next call rests first, longer each time.
    pub(crate) async fn accept(&mut self) -> Result<(Async<Socket>, SockAddr), TransportError> {
        if let Some(rest) = self.rest {
            Timer::at(rest.until).await;
        }
        let accepted = self.socket.read_with(Socket::accept).await;
        let accepted = accepted.and_then(|(socket, peer)| Ok((Async::new(socket)?, peer)));
        self.rest = match &accepted {
            Err(error) if is_one_of(&OUT_OF, error) => Some(Rest::after(self.rest)),
            Ok(_) | Err(_) => None,
        };
        accepted.map_err(|source| {
            let transient = is_one_of(&ACCEPT_TRANSIENT, &source);
            TransportError::Accept { addr: self.addr.clone(), transient, source }
        })
    }
}

impl Rest {
    fn after(previous: Option<Rest>) -> Rest {
        let (first, longest) = RESTS;
        let length = previous.map_or(first, |previous| (previous.length * 2).min(longest));
        Rest { until: Instant::now() + length, length }
    }
}

fn is_one_of(errnos: &[Errno], error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| errnos.contains(&errno))
}

impl ReadHalf {
    /// Reads what is there, without waiting.
    pub(crate) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (bytes, _) = rustix::net::recv(self.socket.get_ref(), buffer, RecvFlags::empty())?;
        Ok(bytes)
    }
}

impl WriteHalf {
    // Always NOSIGNAL: a write to a peer that is gone would otherwise raise SIGPIPE, which Rust programs ignore, but
    // which ends a C program that embeds a node. The standard library's writes differ in this by socket and by call.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(self.socket.get_ref(), bytes, SendFlags::NOSIGNAL)?)
    }

    fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let buffers = &buffers[..buffers.len().min(WRITE_BUFFERS_MAX)];
        let socket = self.socket.get_ref();
        let mut no_control = SendAncillaryBuffer::default();
        Ok(rustix::net::sendmsg(socket, buffers, &mut no_control, SendFlags::NOSIGNAL)?)
    }

    fn shutdown(&self) -> io::Result<()> {
        match rustix::net::shutdown(self.socket.get_ref(), Shutdown::Write) {
            // The connection is gone already; there is nobody left to tell.
            Ok(()) | Err(Errno::NOTCONN) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn poll_with(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match write() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => return Poll::Ready(result),
            }
            ready!(self.socket.poll_writable(cx))?;
        }
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => return Poll::Ready(result),
            }
            // Who polls with this waker is not going to be told, so there is nothing to note.
            if cx.waker().will_wake(Waker::noop()) {
                return Poll::Pending;
            }
            ready!(self.socket.poll_readable(cx))?;
        }
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_with(cx, || self.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(cx, || self.try_write_vectored(buffers))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown())
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        // The reader may keep the socket open; the peer learns here that nothing more comes.
        let _ = self.shutdown();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_descriptors_is_transient_and_a_bad_socket_is_not() {
        for (errno, transient) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::CONNABORTED, true),
            (Errno::INVAL, false),
            (Errno::BADF, false),
            (Errno::NOTSOCK, false),
        ] {
            assert_eq!(is_one_of(&ACCEPT_TRANSIENT, &errno.into()), transient, "{errno:?}");
        }
        assert!(!is_one_of(&ACCEPT_TRANSIENT, &io::Error::other("x")));
        assert!(OUT_OF.iter().all(|errno| ACCEPT_TRANSIENT.contains(errno)));
    }

    #[test]
    fn rests_grow_to_a_bound() {
        let mut lengths = Vec::new();
        let mut rest = None;
        for _ in 0..7 {
            let next = Rest::after(rest);
            lengths.push(next.length.as_millis());
            rest = Some(next);
        }
        assert_eq!(lengths, [10, 20, 40, 80, 160, 250, 250]);
    }
}

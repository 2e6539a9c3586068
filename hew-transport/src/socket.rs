//! The two halves of a connected stream socket, and how one is made: what TCP and Unix sockets have in common.

use crate::addr::Addr;
use crate::error::TransportError;
use async_io::Async;
use futures_lite::io::{AsyncRead, AsyncWrite};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

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

/// The half of a socket that bytes are read from.
#[derive(Debug)]
pub(crate) struct ReadHalf {
    socket: Arc<Async<Socket>>,
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

/// The next connection of `listener`. There is no wait between taking it from the kernel's queue and returning it, so
/// that dropping the future loses none.
pub(crate) async fn accept(
    listener: &Async<Socket>,
    addr: &Addr,
) -> Result<(Async<Socket>, SockAddr), TransportError> {
    let accepted = listener.read_with(Socket::accept).await;
    accepted.and_then(|(socket, peer)| Ok((Async::new(socket)?, peer))).map_err(|source| {
        TransportError::Accept { addr: addr.clone(), transient: is_transient(&source), source }
    })
}

fn is_transient(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| ACCEPT_TRANSIENT.contains(&errno))
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
            assert_eq!(is_transient(&errno.into()), transient, "{errno:?}");
        }
        assert!(!is_transient(&io::Error::other("x")));
    }
}

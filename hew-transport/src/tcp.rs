//! TCP: between machines, and the default.

use crate::addr::{Addr, Scheme};
use crate::error::TransportError;
use crate::socket::{self, ACCEPT_BACKLOG, Acceptor, ReadHalf, WriteHalf};
use crate::transport::{Connection, Listener, Transport};
use async_io::{Async, Timer};
use async_trait::async_trait;
use futures_lite::FutureExt;
use futures_lite::io::{AsyncRead, AsyncWrite};
use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// How many addresses of one host name are tried, in the order of the resolver.
const HOST_ADDRESSES_MAX: usize = 16;

/// Bytes that the kernel takes beyond those that it can send at once. Left to itself it takes megabytes, and on a slow
/// network whatever is written after them, signs of life too, waits for seconds.
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

/// TCP over IPv4 and IPv6, with host names.
///
/// Each connection has `TCP_NODELAY`, because frames are written whole; keep-alive probes, because a peer whose
/// machine lost power sends nothing; and a limit on how long sent bytes may stay unacknowledged, because a cut cable
/// sends nothing either. Membership notices all three sooner; this is what frees the socket.
#[derive(Clone, Debug)]
pub struct Tcp {
    connect_timeout: Duration,
    user_timeout: Duration,
    keepalive: Duration,
}

/// A TCP socket that listens.
#[derive(Debug)]
pub struct TcpListener {
    acceptor: Acceptor,
    options: Tcp,
}

/// The half of a TCP connection that bytes are read from.
#[derive(Debug)]
pub struct TcpReader(ReadHalf);

/// The half of a TCP connection that bytes are written to.
#[derive(Debug)]
pub struct TcpWriter(WriteHalf);

impl Tcp {
    /// How long a connect takes at most, by default: 5 s.
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
    /// How long sent bytes stay unacknowledged before the connection fails, by default: 30 s.
    pub const USER_TIMEOUT: Duration = Duration::from_secs(30);
    /// After how much silence the kernel begins to probe the peer, by default: 15 s.
    pub const KEEPALIVE: Duration = Duration::from_secs(15);

    /// TCP with the default settings.
    pub fn new() -> Tcp {
        Tcp {
            connect_timeout: Tcp::CONNECT_TIMEOUT,
            user_timeout: Tcp::USER_TIMEOUT,
            keepalive: Tcp::KEEPALIVE,
        }
    }

    /// How long a connect takes at most, name resolution and every address of the host included.
    ///
    /// An address that does not answer takes an equal share of what is left, so that a later one gets its chance.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Tcp {
        self.connect_timeout = timeout;
        self
    }

    /// How long sent bytes may stay unacknowledged before the connection fails (`TCP_USER_TIMEOUT`, on Linux).
    /// Whole milliseconds; 0 leaves it to the system, which waits about 15 minutes.
    #[must_use]
    pub fn user_timeout(mut self, timeout: Duration) -> Tcp {
        self.user_timeout = timeout;
        self
    }

    /// After how much silence the kernel begins to probe the peer, and, divided by three, how often (`SO_KEEPALIVE`).
    /// Whole seconds, at least 1.
    #[must_use]
    pub fn keepalive(mut self, silence: Duration) -> Tcp {
        self.keepalive = silence;
        self
    }

    fn check_scheme(addr: &Addr) -> Result<(), TransportError> {
        match addr.scheme() {
            Scheme::Tcp => Ok(()),
            Scheme::Unix | Scheme::Mem => {
                Err(TransportError::Unsupported { addr: addr.clone(), takes: Scheme::Tcp })
            }
        }
    }

    fn bind(target: SocketAddr) -> io::Result<Acceptor> {
        let socket = Socket::new(Domain::for_address(target), Type::STREAM, None)?;
        // A restarted node takes its port again although connections of its former life linger in TIME_WAIT.
        socket.set_reuse_address(true)?;
        if target.is_ipv6() {
            // Whether [::] takes IPv4 as well would otherwise depend on a setting of the machine.
            socket.set_only_v6(false)?;
        }
        socket.bind(&target.into())?;
        socket.listen(ACCEPT_BACKLOG)?;
        let addr = socket.local_addr()?.as_socket().map_or_else(|| target.into(), Addr::from);
        Ok(Acceptor::new(Async::new(socket)?, addr))
    }

    async fn connect_one(
        &self,
        target: SocketAddr,
        patience: Duration,
    ) -> Result<Async<Socket>, TransportError> {
        let addr = Addr::from(target);
        let remote = SockAddr::from(target);
        let connect = async {
            let socket = socket::connect(Domain::for_address(target), &remote).await?;
            if is_connected_to_itself(&socket) {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            self.configure(&socket)?;
            Ok(socket)
        };
        within(patience, &addr, async {
            connect.await.map_err(|e| TransportError::from_io(&addr, "connect", e))
        })
        .await
    }

    fn configure(&self, socket: &Async<Socket>) -> io::Result<()> {
        let socket = socket.get_ref();
        let probe = TcpKeepalive::new()
            .with_time(self.keepalive.max(Duration::from_secs(1)))
            .with_interval((self.keepalive / 3).max(Duration::from_secs(1)));
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_keepalive(&probe)?;
        set_unsent_bytes_max(socket)?;
        set_user_timeout(socket, self.user_timeout)
    }
}

impl Default for Tcp {
    fn default() -> Tcp {
        Tcp::new()
    }
}

#[async_trait]
impl Transport for Tcp {
    type Listener = TcpListener;
    type Reader = TcpReader;
    type Writer = TcpWriter;

    /// Listens at the first address of the host that works.
    async fn listen(&self, addr: &Addr) -> Result<TcpListener, TransportError> {
        Tcp::check_scheme(addr)?;
        let mut failed = Vec::new();
        for target in resolve(addr).await? {
            match Tcp::bind(target) {
                Ok(acceptor) => return Ok(TcpListener { acceptor, options: self.clone() }),
                Err(error) => failed.push(TransportError::from_io(&target.into(), "listen", error)),
            }
        }
        Err(all_failed(addr, failed))
    }

    /// Tries each address of the host in turn, all within the connect timeout.
    async fn connect(&self, addr: &Addr) -> Result<Connection<TcpReader, TcpWriter>, TransportError> {
        Tcp::check_scheme(addr)?;
        let deadline = Instant::now() + self.connect_timeout;
        let targets = within(self.connect_timeout, addr, resolve(addr)).await?;
        let mut failed = Vec::new();
        let mut left = u32::try_from(targets.len()).unwrap_or(u32::MAX);
        for target in targets {
            let patience = whole_ms(deadline.saturating_duration_since(Instant::now()) / left.max(1));
            left -= 1;
            match self.connect_one(target, patience).await {
                Ok(socket) => return Ok(connection(socket, target.into())),
                Err(error) => failed.push(error),
            }
        }
        Err(all_failed(addr, failed))
    }
}

#[async_trait]
impl Listener for TcpListener {
    type Reader = TcpReader;
    type Writer = TcpWriter;

    fn local_addr(&self) -> Addr {
        self.acceptor.addr().clone()
    }

    async fn accept(&mut self) -> Result<Connection<TcpReader, TcpWriter>, TransportError> {
        let (socket, peer) = self.acceptor.accept().await?;
        if let Err(error) = self.options.configure(&socket) {
            // Some systems refuse options on a connection that the peer has reset meanwhile: its reads will tell.
            tracing::debug!(addr = %self.acceptor.addr(), %error, "cannot set options of an accepted connection");
        }
        let peer = peer.as_socket().map_or_else(|| self.local_addr(), Addr::from);
        Ok(connection(socket, peer))
    }
}

impl TcpReader {
    /// Reads what is there, without waiting; for a reader that looks a few times before it waits.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there, and what a read would report.
    pub fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl AsyncRead for TcpReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for TcpWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, buffers)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

fn connection(socket: Async<Socket>, peer: Addr) -> Connection<TcpReader, TcpWriter> {
    let (reader, writer) = socket::halves(socket);
    Connection { reader: TcpReader(reader), writer: TcpWriter(writer), peer }
}

/// The addresses of the host: at least one, at most [`HOST_ADDRESSES_MAX`]. Names are looked up on a thread that may
/// block; dropping the future does not wait for it.
async fn resolve(addr: &Addr) -> Result<Vec<SocketAddr>, TransportError> {
    if let Some(ip) = addr.socket_addr() {
        return Ok(vec![ip]);
    }
    let (host, port) = (addr.host_name().unwrap_or_default(), addr.port().unwrap_or_default());
    let unresolved = |source| TransportError::Resolve { addr: addr.clone(), host: host.to_owned(), source };
    let mut found = async_net::resolve((host, port)).await.map_err(unresolved)?;
    found.truncate(HOST_ADDRESSES_MAX);
    if found.is_empty() {
        return Err(unresolved(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
    }
    Ok(found)
}

async fn within<T>(
    patience: Duration,
    addr: &Addr,
    work: impl Future<Output = Result<T, TransportError>>,
) -> Result<T, TransportError> {
    work.or(async {
        Timer::after(patience).await;
        Err(TransportError::TimedOut { addr: addr.clone(), after: patience })
    })
    .await
}

/// Rounded up, because an error that says "within 5s" reads better than one that says "within 4.999973s".
fn whole_ms(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(u64::MAX))
}

/// One error for all that failed; a single one speaks for itself.
fn all_failed(addr: &Addr, mut attempts: Vec<TransportError>) -> TransportError {
    match attempts.pop() {
        Some(only) if attempts.is_empty() && only.addr() == addr => only,
        last => {
            attempts.extend(last);
            TransportError::AllFailed { addr: addr.clone(), attempts }
        }
    }
}

/// A dialler on the machine whose port nobody listens at may be given that very port as its own, and then the kernel
/// connects the socket to itself.
fn is_connected_to_itself(socket: &Async<Socket>) -> bool {
    let socket = socket.get_ref();
    match (socket.local_addr(), socket.peer_addr()) {
        (Ok(local), Ok(peer)) => local.as_socket() == peer.as_socket(),
        _ => false,
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_unsent_bytes_max(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_unsent_bytes_max(_: &Socket) -> io::Result<()> {
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_user_timeout(socket: &Socket, timeout: Duration) -> io::Result<()> {
    socket.set_tcp_user_timeout(Some(timeout))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_user_timeout(_: &Socket, _: Duration) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::block_on;
    use futures_lite::{AsyncReadExt, AsyncWriteExt};

    fn addr(text: &str) -> Addr {
        text.parse().unwrap()
    }

    /// A connection to `listener` and its other end, with the promises of each family kept.
    async fn connected(
        tcp: &Tcp,
        listener: &mut TcpListener,
        target: &Addr,
    ) -> [Connection<TcpReader, TcpWriter>; 2] {
        let mut dialled = tcp.connect(target).await.unwrap();
        let mut accepted = listener.accept().await.unwrap();
        assert_eq!(dialled.peer, listener.local_addr());
        assert_eq!(accepted.peer.host(), listener.local_addr().host(), "from the same host");
        for (writer, reader) in
            [(&mut dialled.writer, &mut accepted.reader), (&mut accepted.writer, &mut dialled.reader)]
        {
            writer.write_all(b"x").await.unwrap();
            reader.read_exact(&mut [0]).await.unwrap();
        }
        [dialled, accepted]
    }

    #[test]
    fn options_are_set_on_both_sides_whatever_the_family() {
        block_on(async {
            let tcp = Tcp::new().user_timeout(Duration::from_millis(1234)).keepalive(Duration::from_secs(9));
            for (listen, host) in
                [("127.0.0.1:0", "127.0.0.1:1"), ("127.0.0.1:0", "localhost:1"), ("[::1]:0", "[::1]:1")]
            {
                let mut listener = match tcp.listen(&addr(listen)).await {
                    // A machine without IPv6.
                    Err(TransportError::AddressUnavailable { .. }) if listen.starts_with('[') => continue,
                    listener => listener.unwrap(),
                };
                let target = addr(host).with_port(listener.local_addr().port().unwrap());
                for connection in connected(&tcp, &mut listener, &target).await {
                    let socket = connection.reader.0.socket.get_ref();
                    assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap(), "{target}");
                    assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(9));
                    assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(3));
                    #[cfg(target_os = "linux")]
                    assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_millis(1234)));
                }
            }
        });
    }

    #[test]
    fn the_defaults_are_those_that_are_documented() {
        block_on(async {
            for (tcp, user_timeout) in
                [(Tcp::new(), Some(Tcp::USER_TIMEOUT)), (Tcp::new().user_timeout(Duration::ZERO), None)]
            {
                let mut listener = tcp.listen(&addr("127.0.0.1:0")).await.unwrap();
                let target = listener.local_addr();
                for connection in connected(&tcp, &mut listener, &target).await {
                    let socket = connection.reader.0.socket.get_ref();
                    assert_eq!(socket.tcp_keepalive_time().unwrap(), Tcp::KEEPALIVE);
                    assert_eq!(socket.tcp_keepalive_interval().unwrap(), Tcp::KEEPALIVE / 3);
                    #[cfg(target_os = "linux")]
                    assert_eq!(socket.tcp_user_timeout().unwrap(), user_timeout);
                }
            }
        });
    }

    #[test]
    fn a_name_tries_every_address_and_names_each_failure() {
        block_on(async {
            let listener = Tcp::new().listen(&addr("127.0.0.1:0")).await.unwrap();
            let port = listener.local_addr().port().unwrap();
            // Also where localhost is [::1] first: nobody listens there.
            let connection = Tcp::new().connect(&addr("localhost:1").with_port(port)).await.unwrap();
            assert_eq!(connection.peer, listener.local_addr());

            let error = Tcp::new().connect(&addr("localhost:1")).await.unwrap_err();
            assert!(error.is_refused(), "{error}");
            let text = error.to_string();
            assert!(text.contains("localhost:1") && text.contains("127.0.0.1:1"), "{text}");
        });
    }

    #[test]
    fn a_name_that_does_not_resolve_is_named() {
        let error = block_on(Tcp::new().connect(&addr("no-such-host.invalid:1"))).unwrap_err();
        assert!(
            matches!(&error, TransportError::Resolve { host, .. } if host == "no-such-host.invalid")
                || matches!(&error, TransportError::TimedOut { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("no-such-host.invalid:1"), "{error}");
    }

    #[test]
    fn a_socket_that_is_connected_to_itself_is_recognised() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.connect(&socket.local_addr().unwrap()).unwrap();
        assert!(is_connected_to_itself(&Async::new(socket).unwrap()));
        block_on(async {
            let listener = Tcp::new().listen(&addr("127.0.0.1:0")).await.unwrap();
            let target = listener.local_addr().socket_addr().unwrap();
            let dialled = Tcp::new().connect_one(target, Duration::from_secs(5)).await.unwrap();
            assert!(!is_connected_to_itself(&dialled));
        });
    }

    #[test]
    fn a_silent_peer_times_out() {
        block_on(async {
            // A listener whose queue is full does not answer: Linux drops the SYN.
            let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            full.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
            full.listen(0).unwrap();
            let target = Addr::from(full.local_addr().unwrap().as_socket().unwrap());
            let patience = Duration::from_millis(200);
            let tcp = Tcp::new().connect_timeout(patience);
            let mut held = Vec::new();
            let error = loop {
                assert!(held.len() < 16, "the queue never fills");
                match tcp.connect(&target).await {
                    Ok(connection) => held.push(connection),
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, TransportError::TimedOut { .. }), "{error}");
            assert!(error.to_string().contains(&target.to_string()), "{error}");
        });
    }

    #[test]
    fn the_unspecified_ipv6_address_takes_ipv4_too() {
        block_on(async {
            let Ok(mut listener) = Tcp::new().listen(&addr("[::]:0")).await else {
                return; // A machine without IPv6.
            };
            let target = addr("127.0.0.1:0").with_port(listener.local_addr().port().unwrap());
            let mut dialled = Tcp::new().connect(&target).await.unwrap();
            let mut accepted = listener.accept().await.unwrap();
            assert_eq!(accepted.peer.host().as_deref(), Some("127.0.0.1"), "written as IPv4");
            dialled.writer.write_all(b"x").await.unwrap();
            accepted.reader.read_exact(&mut [0]).await.unwrap();
        });
    }

    #[test]
    fn try_read_does_not_wait() {
        block_on(async {
            let mut listener = Tcp::new().listen(&addr("127.0.0.1:0")).await.unwrap();
            let mut dialled = Tcp::new().connect(&listener.local_addr()).await.unwrap();
            let mut accepted = listener.accept().await.unwrap();
            let nothing = accepted.reader.try_read(&mut [0; 8]).unwrap_err();
            assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
            dialled.writer.write_all(b"ab").await.unwrap();
            accepted.reader.read_exact(&mut [0]).await.unwrap();
            assert_eq!(accepted.reader.try_read(&mut [0; 8]).unwrap(), 1);
        });
    }
}

//! What a chaos proxy listens and dials with: real sockets, or the simulated network.

use futures_lite::io::{AsyncRead, AsyncWrite};
use hew_transport::{Addr, Connection, Listener, Mem, MemListener, MemReader, MemWriter, Transport};
use std::io;
use std::time::Duration;

/// See the module's documentation.
pub trait Carrier: Clone + Send + Sync + 'static {
    /// What it listens with.
    type Listener: Send + 'static;
    /// The half of a stream that is read.
    type Reader: AsyncRead + Unpin + Send + 'static;
    /// The half of a stream that is written.
    type Writer: AsyncWrite + Unpin + Send + 'static;

    /// Listens at an address.
    fn listen(&self, address: &str) -> impl Future<Output = io::Result<Self::Listener>> + Send;
    /// Where that is.
    fn address(listener: &Self::Listener) -> String;
    /// The next connection.
    fn accept(listener: &mut Self::Listener) -> impl Future<Output = io::Result<Halves<Self>>> + Send;
    /// Dials.
    fn connect(&self, address: &str) -> impl Future<Output = io::Result<Halves<Self>>> + Send;
    /// Has the peer see a reset when the stream is dropped after this; a carrier that cannot do that lets it see an
    /// end.
    fn reset_on_drop(writer: &Self::Writer);
}

/// Both halves of a stream.
pub type Halves<C> = (<C as Carrier>::Reader, <C as Carrier>::Writer);

/// TCP, with as small buffers in the kernel as the proxy asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpCarrier {
    /// Size of the kernel's receive buffers; `None` leaves it to the kernel, which then takes megabytes.
    pub receive_bytes: Option<usize>,
}

impl Carrier for TcpCarrier {
    type Listener = async_net::TcpListener;
    type Reader = async_net::TcpStream;
    type Writer = async_net::TcpStream;

    async fn listen(&self, address: &str) -> io::Result<async_net::TcpListener> {
        let listener = async_net::TcpListener::bind(address).await?;
        if let Some(bytes) = self.receive_bytes {
            // Accepted connections inherit it, and the window that they offer from the start.
            rustix::net::sockopt::set_socket_recv_buffer_size(&listener, bytes)?;
        }
        Ok(listener)
    }

    fn address(listener: &async_net::TcpListener) -> String {
        listener.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string())
    }

    async fn accept(listener: &mut async_net::TcpListener) -> io::Result<Halves<Self>> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream.clone(), stream))
    }

    async fn connect(&self, address: &str) -> io::Result<Halves<Self>> {
        let stream = async_net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        if let Some(bytes) = self.receive_bytes {
            rustix::net::sockopt::set_socket_recv_buffer_size(&stream, bytes)?;
        }
        Ok((stream.clone(), stream))
    }

    fn reset_on_drop(writer: &async_net::TcpStream) {
        // On a socket that is closed already there is nothing to reset.
        let _ = rustix::net::sockopt::set_socket_linger(writer, Some(Duration::ZERO));
    }
}

impl Carrier for Mem {
    type Listener = MemListener;
    type Reader = MemReader;
    type Writer = MemWriter;

    async fn listen(&self, address: &str) -> io::Result<MemListener> {
        Transport::listen(self, &parse(address)?).await.map_err(io::Error::other)
    }

    fn address(listener: &MemListener) -> String {
        listener.local_addr().to_string()
    }

    async fn accept(listener: &mut MemListener) -> io::Result<Halves<Self>> {
        Listener::accept(listener).await.map(halves).map_err(io::Error::other)
    }

    async fn connect(&self, address: &str) -> io::Result<Halves<Self>> {
        Transport::connect(self, &parse(address)?).await.map(halves).map_err(io::Error::other)
    }

    fn reset_on_drop(_: &MemWriter) {}
}

fn halves(connection: Connection<MemReader, MemWriter>) -> (MemReader, MemWriter) {
    (connection.reader, connection.writer)
}

fn parse(address: &str) -> io::Result<Addr> {
    address.parse().map_err(io::Error::other)
}

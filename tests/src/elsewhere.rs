//! An in-memory network whose endpoints are on other machines, as far as a listener can see.

use async_trait::async_trait;
use hew_transport::{
    Addr, Connection, Listener, Mem, MemListener, MemReader, MemWriter, Transport, TransportError,
};

/// A network in which a connection from the endpoint `10.0.0.1` comes from port 4000 of that address; from an endpoint
/// whose name is no IP address it comes as in [`Mem`].
#[derive(Clone)]
pub struct Elsewhere(pub Mem);

/// Its listener.
pub struct ElsewhereListener(MemListener);

#[async_trait]
impl Transport for Elsewhere {
    type Listener = ElsewhereListener;
    type Reader = MemReader;
    type Writer = MemWriter;

    async fn listen(&self, addr: &Addr) -> Result<ElsewhereListener, TransportError> {
        self.0.listen(addr).await.map(ElsewhereListener)
    }

    async fn connect(&self, addr: &Addr) -> Result<Connection<MemReader, MemWriter>, TransportError> {
        self.0.connect(addr).await
    }
}

#[async_trait]
impl Listener for ElsewhereListener {
    type Reader = MemReader;
    type Writer = MemWriter;

    fn local_addr(&self) -> Addr {
        self.0.local_addr()
    }

    async fn accept(&mut self) -> Result<Connection<MemReader, MemWriter>, TransportError> {
        let mut connection = self.0.accept().await?;
        let ip = connection.peer.mem_name().and_then(|name| name.parse::<std::net::IpAddr>().ok());
        if let Some(ip) = ip {
            connection.peer = std::net::SocketAddr::new(ip, 4000).into();
        }
        Ok(connection)
    }
}

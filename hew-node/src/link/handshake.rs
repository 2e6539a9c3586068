//! Drives the machine of an authenticator over a byte stream.

use super::connection::Wires;
use futures_lite::future;
use futures_lite::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use hew_actor::Runtime;
use hew_security::{Admission, Established, Handshake, HandshakeError, HandshakeOutput, Peer};
use hew_transport::Connection;
use hew_wire::{Extension, Hello, Refusal};
use std::time::Duration;

/// Bytes read at once before the peer is authenticated.
const READ_BYTES: usize = 1024;
/// Time for telling a peer why it is refused.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The node's part in a handshake.
pub(crate) trait Gate {
    /// The peer has said who it claims to be; nothing is proven.
    fn admit(&mut self, hello: &Hello) -> Admission;
    /// The peer has proven who it is.
    fn confirm(
        &mut self,
        peer: &Peer,
        extension: &Extension,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// Runs a handshake to its end. On success the connection's halves come back with their ciphers.
pub(crate) async fn run<H, R, W, G>(
    runtime: &Runtime,
    handshake: H,
    connection: Connection<R, W>,
    gate: &mut G,
    mut first_bytes: impl FnMut() + Send,
) -> Result<(Wires<R, W>, Peer, Extension, bool), HandshakeError>
where
    H: Handshake,
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
    G: Gate + Send,
{
    let Connection { mut reader, mut writer, .. } = connection;
    let mut driver = Driver { runtime, handshake, unread: Vec::new() };
    match driver.establish(&mut reader, &mut writer, gate, &mut first_bytes).await {
        Ok(Established { peer, extension, sealer, opener, encrypted, .. }) => {
            let wires = Wires { reader, writer, sealer, opener, read_ahead: driver.unread };
            Ok((wires, peer, extension, encrypted))
        }
        // A peer that has had all of its time gets no more of it.
        Err(error @ HandshakeError::Timeout { .. }) => Err(error),
        Err(error) => {
            // Whatever can still be said is said; the stream is closed either way.
            let farewell = async {
                while let Some(output) = driver.handshake.poll() {
                    if let HandshakeOutput::Send(bytes) = output
                        && writer.write_all(&bytes).await.is_err()
                    {
                        break;
                    }
                }
                // The peer hears the reason only if it can read to the end before the connection is reset.
                if writer.close().await.is_ok() {
                    let mut rest = [0; READ_BYTES];
                    while matches!(reader.read(&mut rest).await, Ok(1..)) {}
                }
            };
            // Time being up means that the peer does not read, which is its loss.
            let _ = runtime.timeout(LAST_WORDS, farewell).await;
            Err(error)
        }
    }
}

struct Driver<'a, H> {
    runtime: &'a Runtime,
    handshake: H,
    unread: Vec<u8>,
}

impl<H: Handshake> Driver<'_, H> {
    async fn establish<R, W, G>(
        &mut self,
        reader: &mut R,
        writer: &mut W,
        gate: &mut G,
        first_bytes: &mut (impl FnMut() + Send),
    ) -> Result<Established, HandshakeError>
    where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
        G: Gate + Send,
    {
        loop {
            while let Some(output) = self.handshake.poll() {
                match output {
                    HandshakeOutput::Send(bytes) => {
                        if !self.in_time(async { writer.write_all(&bytes).await.is_ok() }).await? {
                            return Err(self.handshake.handle_end());
                        }
                    }
                    HandshakeOutput::Admit { hello } => {
                        let admission = gate.admit(&hello);
                        self.handshake.handle_admission(self.runtime.now(), admission)?;
                    }
                    HandshakeOutput::Confirm { peer, extension } => {
                        let confirmation = self.in_time(gate.confirm(&peer, &extension)).await?;
                        self.handshake.handle_confirmation(self.runtime.now(), confirmation)?;
                    }
                    HandshakeOutput::Established(established) => return Ok(established),
                }
            }
            if !self.unread.is_empty() {
                let taken = self.handshake.handle_bytes(self.runtime.now(), &self.unread)?;
                self.unread.drain(..taken);
                if taken > 0 {
                    continue;
                }
            }
            let mut bytes = [0; READ_BYTES];
            match self.in_time(async { reader.read(&mut bytes).await }).await? {
                Ok(count @ 1..) => {
                    first_bytes();
                    self.unread.extend_from_slice(&bytes[..count]);
                }
                Ok(0) | Err(_) => return Err(self.handshake.handle_end()),
            }
        }
    }

    /// What `work` gives, unless the handshake's time is up first.
    async fn in_time<T>(&mut self, work: impl Future<Output = T>) -> Result<T, HandshakeError> {
        let Some(deadline) = self.handshake.poll_timeout() else { return Ok(work.await) };
        let timer = self.runtime.sleep_until(deadline);
        let in_time = future::or(async { Some(work.await) }, async {
            timer.await;
            None
        });
        match in_time.await {
            Some(value) => Ok(value),
            None => {
                self.handshake.handle_timeout(self.runtime.now())?;
                // The machine has no deadline any more: it has ended.
                Err(self.handshake.handle_end())
            }
        }
    }
}

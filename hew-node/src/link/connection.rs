//! An established connection: how it runs, and why it ends.

use super::incoming::Violation;
use super::peer::{Attached, Peer};
use super::reader::Reader;
use super::writer::Writer;
use crate::shared::Shared;
use event_listener::Event;
use futures_lite::FutureExt;
use futures_lite::io::{AsyncRead, AsyncWrite};
use hew_security::{Opener, RecordError, Sealer};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// A peer that has been silent for this long is asked for a sign of life.
pub(crate) const HEARTBEAT_AFTER: Duration = Duration::from_secs(1);
/// A connection on which nothing was heard for this long is given up; the session goes on with the next one.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(5);

/// A connection that is older is exchanged for a new one, which has keys that nothing is known of. The session goes on.
pub(super) const AGE_MAX: Duration = Duration::from_secs(3600);
/// How long the peer may take to close a connection that was idle after it was told so.
const IDLE_LINGER: Duration = Duration::from_secs(1);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    #[error("closed by this node")]
    Closed,
    #[error("the peer ended it: {0}")]
    Goodbye(String),
    /// One of both sides has closed it until there is something to send.
    #[error("idle")]
    Idle,
    #[error("the stream ended without a goodbye")]
    Truncated,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("a record could not be opened: {0}")]
    Record(#[from] RecordError),
    #[error("protocol violation: {0}")]
    Violation(#[from] Violation),
    #[error("nothing was heard for {} s", SILENCE_MAX.as_secs())]
    Silence,
}

impl End {
    /// A short stable name for counters.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            End::Closed => "closed",
            End::Goodbye(_) => "goodbye",
            End::Idle => "idle",
            End::Truncated => "truncated",
            End::Io(_) => "io",
            End::Record(error) => error.reason_code(),
            End::Violation(violation) => violation.code(),
            End::Silence => "silence",
        }
    }
}

/// What the handshake left: the stream, its ciphers, and bytes that were read too far.
pub(crate) struct Wires<R, W> {
    pub(crate) reader: R,
    pub(crate) writer: W,
    pub(crate) sealer: Sealer,
    pub(crate) opener: Opener,
    pub(crate) read_ahead: Vec<u8>,
}

/// Runs the connection until it ends, and says why.
pub(crate) async fn run<R, W>(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    wires: Wires<R, W>,
    attached: &Attached,
    close: &Event,
    is_member: bool,
) -> End
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let closed = close.listen();
    let generation = attached.generation;
    // Looked at after listening, so that nobody's wish to end it is missed.
    if !peer.is_current(generation) || peer.is_closing() {
        return End::Closed;
    }
    peer.note_heard(shared.runtime.now());
    let compression = attached.compression;
    let reader =
        Reader::new(Arc::clone(shared), Arc::clone(peer), generation, wires.opener, compression, is_member);
    let writer = Writer::new(Arc::clone(shared), Arc::clone(peer), generation, wires.sealer, is_member);
    // The reader has a task of its own, so that opening and sealing can run side by side. Dropping it ends it.
    let mut reading = shared.runtime.spawn(reader.run(wires.reader, wires.read_ahead, attached.session));
    let mut closes_idle = false;
    let writing = async {
        let end = writer.run(wires.writer, attached.start).await;
        closes_idle = matches!(end, End::Idle);
        end
    };
    let mut closed = pin!(async {
        closed.await;
        End::Closed
    });
    let end = closed.as_mut().or(&mut reading).or(writing).await;
    if closes_idle {
        // The peer may be writing: if this side closed now, that would fail, and the peer not see why.
        let _ = shared.runtime.timeout(IDLE_LINGER, closed.or(reading)).await;
    }
    end
}

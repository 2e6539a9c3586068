//! An established connection: its reader and its writer.

use super::incoming::{Accepted, Incoming, Violation};
use super::peer::{Attached, Peer};
use crate::shared::Shared;
use event_listener::Event;
use futures_lite::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use futures_lite::{FutureExt, future};
use hew_security::{Opener, RecordError, Sealer};
use hew_wire::frame::{
    Frame, FrameHeader, FrameKind, LANE_CONTROL, MessageHead, RECORD_PLAINTEXT_BYTES_MAX, ReplyHead,
    write_frame, write_number,
};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait before received frames are acknowledged.
const ACKNOWLEDGE_AFTER: Duration = Duration::from_millis(20);
/// A peer that has been silent for this long is asked for a sign of life.
pub(crate) const HEARTBEAT_AFTER: Duration = Duration::from_secs(1);
/// A connection on which nothing was heard for this long is given up; the session goes on with the next one.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Membership is told at most this often that a peer was heard.
const HEARD_EVERY: Duration = Duration::from_millis(100);
/// Bytes read at once; holds several records.
const READ_BYTES: usize = 256 * 1024;
/// Bytes that a reader handles before the other tasks' turn.
const TURN_BYTES: usize = 64 * 1024;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    #[error("closed by this node")]
    Closed,
    #[error("the peer ended it: {0}")]
    Goodbye(String),
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
    if !peer.is_current(generation) {
        return End::Closed;
    }
    peer.note_heard(shared.runtime.now());
    let reader = Reader {
        shared: Arc::clone(shared),
        peer: Arc::clone(peer),
        generation,
        opener: wires.opener,
        is_member,
        told_heard: None,
    };
    let writer = Writer {
        shared: Arc::clone(shared),
        peer: Arc::clone(peer),
        generation,
        sealer: wires.sealer,
        plain: Vec::new(),
        sealed: Vec::new(),
    };
    // The reader has a task of its own, so that opening and sealing can run side by side. Dropping it ends it.
    let reading = shared.runtime.spawn(reader.run(wires.reader, wires.read_ahead, attached.session));
    let writing = writer.run(wires.writer, attached.start);
    let closed = async {
        closed.await;
        End::Closed
    };
    closed.or(reading).or(writing).await
}

struct Reader {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    generation: u64,
    opener: Opener,
    is_member: bool,
    told_heard: Option<Instant>,
}

impl Reader {
    async fn run<R: AsyncRead + Unpin>(mut self, mut stream: R, read_ahead: Vec<u8>, session: u64) -> End {
        let peer = Arc::clone(&self.peer);
        let mut incoming = peer.incoming().await;
        incoming.begin(session);
        let mut buffer = ReadBuffer::new(read_ahead);
        let mut turn_bytes = 0;
        loop {
            match self.handle_records(&mut incoming, &mut buffer) {
                Ok(()) => {}
                Err(end) => return end,
            }
            match buffer.fill(&mut stream).await {
                Ok(0) => return End::Truncated,
                Ok(count) => turn_bytes += count,
                Err(error) => return End::Io(error),
            }
            // A stream that always has more would otherwise never let the other links, the timers and this link's
            // own acknowledgements have their turn.
            if turn_bytes >= TURN_BYTES {
                turn_bytes = 0;
                future::yield_now().await;
            }
        }
    }

    /// Handles every whole record that has been read.
    fn handle_records(&mut self, incoming: &mut Incoming, buffer: &mut ReadBuffer) -> Result<(), End> {
        let now = self.shared.runtime.now();
        let mut bytes = 0;
        let mut asked = false;
        let mut is_authentic = false;
        let before = incoming.received();
        let mut result = incoming.handle_timeout(now).map_err(End::from);
        while result.is_ok() {
            let Some(record) = buffer.next_record() else { break };
            result = match self.opener.open(record) {
                Ok(plain) => {
                    bytes += plain.len();
                    is_authentic = true;
                    handle_frames(&self.shared, &self.peer, self.generation, now, incoming, plain, &mut asked)
                }
                Err(error) => Err(error.into()),
            };
        }
        // Counted even when a later frame was a violation: what was accepted must not be repeated.
        if incoming.received() == before && !asked {
            bytes = 0;
        }
        self.peer.note_received(self.generation, incoming.received(), bytes, asked);
        // Bytes that are no record yet may come from anybody on the way: they are no sign of the peer's life.
        if is_authentic {
            self.note_heard(now);
        }
        result
    }

    fn note_heard(&mut self, now: Instant) {
        self.peer.note_heard(now);
        if self.is_member && self.told_heard.is_none_or(|told| now >= told + HEARD_EVERY) {
            self.told_heard = Some(now);
            self.shared.handle_heard(self.peer.node);
        }
    }
}

fn handle_frames(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    generation: u64,
    now: Instant,
    incoming: &mut Incoming,
    mut plain: &[u8],
    asked: &mut bool,
) -> Result<(), End> {
    while !plain.is_empty() {
        let (frame, rest) = Frame::split(plain).map_err(Violation::from)?;
        plain = rest;
        // A session that ended meanwhile delivers nothing more.
        if !peer.is_current(generation) {
            return Err(End::Closed);
        }
        match incoming.accept(now, frame)? {
            Accepted::New(frame) => dispatch(shared, peer, &frame)?,
            Accepted::Whole(bytes) => {
                let (frame, _) = Frame::split(&bytes).map_err(Violation::from)?;
                dispatch(shared, peer, &frame)?;
            }
            Accepted::Acknowledged(number) => peer
                .note_acknowledged(generation, number)
                .map_err(|lie| Violation::NeverSent { claimed: lie.claimed, sent: lie.sent })?,
            Accepted::Heartbeat => *asked = true,
            Accepted::Goodbye(reason) => return Err(End::Goodbye(reason)),
            Accepted::Oversized(beginning) => shared.refuse_oversized(peer, &beginning),
            Accepted::Nothing => {}
            Accepted::Unknown => shared.skip_unknown(),
        }
    }
    Ok(())
}

fn dispatch(shared: &Arc<Shared>, peer: &Arc<Peer>, frame: &Frame<'_>) -> Result<(), Violation> {
    match FrameKind::from_u8(frame.header.kind) {
        Some(FrameKind::Message) => {
            let (head, payload) = MessageHead::decode(frame)?;
            shared.receive_message(peer, &head, payload);
        }
        Some(FrameKind::Reply) => {
            let (head, value) = ReplyHead::decode(frame)?;
            shared.receive_reply(peer, &head, value);
        }
        Some(FrameKind::Control) => shared.receive_control(peer, frame.body)?,
        _ => shared.skip_unknown(),
    }
    Ok(())
}

/// Bytes read from the stream, cut into records: u16 length, big-endian, then as many bytes.
struct ReadBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl ReadBuffer {
    fn new(read_ahead: Vec<u8>) -> ReadBuffer {
        let end = read_ahead.len();
        ReadBuffer { bytes: read_ahead, start: 0, end }
    }

    fn next_record(&mut self) -> Option<&mut [u8]> {
        let rest = &self.bytes[self.start..self.end];
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk::<2>()?));
        if rest.len() < 2 + length {
            return None;
        }
        let begin = self.start + 2;
        self.start = begin + length;
        Some(&mut self.bytes[begin..begin + length])
    }

    async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        // What is left of a record moves to the front; the room behind it always holds the rest of that record.
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.bytes.len() < READ_BYTES {
            self.bytes.resize(READ_BYTES, 0);
        }
        let count = stream.read(&mut self.bytes[self.end..]).await?;
        self.end += count;
        Ok(count)
    }
}

struct Writer {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    generation: u64,
    sealer: Sealer,
    /// Frames that are not part of the session, before the session's.
    plain: Vec<u8>,
    sealed: Vec<u8>,
}

impl Writer {
    async fn run<W: AsyncWrite + Unpin>(mut self, mut stream: W, start: u64) -> End {
        write_number(&mut self.plain, FrameKind::Start, start);
        let mut acknowledge_at = None;
        let mut heartbeat_at = self.shared.runtime.now() + HEARTBEAT_AFTER;
        loop {
            // Made before looking, so that nothing that comes while looking is missed.
            let work = self.peer.listen_for_work();
            let now = self.shared.runtime.now();
            let heard = self.peer.heard().unwrap_or(now);
            if now >= heard + SILENCE_MAX {
                return End::Silence;
            }
            let chunk = self.peer.take_chunk(self.generation);
            let due = match self.peer.acknowledgement() {
                None => {
                    acknowledge_at = None;
                    false
                }
                Some((_, urgent)) => {
                    let at = *acknowledge_at.get_or_insert(now + ACKNOWLEDGE_AFTER);
                    urgent || chunk.is_some() || !self.plain.is_empty() || now >= at
                }
            };
            if due && let Some(number) = self.peer.take_acknowledgement() {
                write_number(&mut self.plain, FrameKind::Ack, number);
                acknowledge_at = None;
            }
            if now >= heartbeat_at || self.peer.take_life_wanted() {
                if now >= heard + HEARTBEAT_AFTER || now < heartbeat_at {
                    write_frame(&mut self.plain, FrameKind::Heartbeat, LANE_CONTROL, 0, &[]);
                }
                heartbeat_at = now + HEARTBEAT_AFTER;
            }
            if chunk.is_some() || !self.plain.is_empty() {
                let frames = chunk.as_ref().map_or(&[][..], |chunk| chunk.bytes());
                if let Err(end) = self.write(&mut stream, frames).await {
                    return end;
                }
                continue;
            }
            if let Some(reason) = self.peer.goodbye() {
                return self.say_goodbye(stream, &reason).await;
            }
            let wake_at = acknowledge_at.map_or(heartbeat_at, |at: Instant| at.min(heartbeat_at));
            let sleep = self.shared.runtime.sleep_until(wake_at);
            future::or(work, async {
                sleep.await;
            })
            .await;
        }
    }

    async fn write<W: AsyncWrite + Unpin>(&mut self, stream: &mut W, frames: &[u8]) -> Result<(), End> {
        self.sealed.clear();
        let mut records = records(frames);
        let first = records.next().unwrap_or_default();
        if self.plain.len() + first.len() > RECORD_PLAINTEXT_BYTES_MAX {
            self.sealer.seal_record(&[&self.plain], &mut self.sealed)?;
            self.plain.clear();
        }
        // What is not part of the session shares a record with what is, where there is room.
        self.sealer.seal_record(&[&self.plain, first], &mut self.sealed)?;
        self.plain.clear();
        for record in records {
            self.sealer.seal_record(&[record], &mut self.sealed)?;
        }
        let mut writing = pin!(stream.write_all(&self.sealed));
        loop {
            // A peer from which nothing is heard while it takes nothing is gone; one that talks is only slow.
            let heard = self.peer.heard().unwrap_or_else(|| self.shared.runtime.now());
            let limit = self.shared.runtime.sleep_until(heard + SILENCE_MAX);
            let written = future::or(async { Some((&mut writing).await) }, async {
                limit.await;
                None
            });
            match written.await {
                Some(result) => return result.map_err(End::Io),
                None if self.peer.heard().is_none_or(|now| now <= heard) => return Err(End::Silence),
                None => {}
            }
        }
    }

    async fn say_goodbye<W: AsyncWrite + Unpin>(mut self, mut stream: W, reason: &str) -> End {
        write_frame(&mut self.plain, FrameKind::Goodbye, LANE_CONTROL, 0, &[reason.as_bytes()]);
        match self.write(&mut stream, &[]).await {
            Ok(()) => match stream.close().await {
                Ok(()) => End::Closed,
                Err(error) => End::Io(error),
            },
            Err(end) => end,
        }
    }
}

/// Cuts a run of frames into the largest runs of whole frames that fit into a record.
fn records(mut frames: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let mut end = 0;
        while let Ok(header) = FrameHeader::decode(&frames[end..]) {
            let next = end + hew_wire::frame::FRAME_HEADER_BYTES + header.length as usize;
            if next > RECORD_PLAINTEXT_BYTES_MAX && end > 0 {
                break;
            }
            end = next;
        }
        let (record, rest) = frames.split_at(end);
        frames = rest;
        (!record.is_empty()).then_some(record)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_hold_whole_frames() {
        let mut frames = Vec::new();
        for size in [10, 60_000, 5_000, 500, 61_452, 61_452, 1] {
            write_frame(&mut frames, FrameKind::Message, 1, 0, &[&vec![0; size]]);
        }
        let sizes: Vec<usize> = records(&frames).map(<[u8]>::len).collect();
        assert_eq!(sizes.iter().sum::<usize>(), frames.len());
        assert!(sizes.iter().all(|&size| size <= RECORD_PLAINTEXT_BYTES_MAX), "{sizes:?}");
        assert_eq!(sizes.len(), 3, "{sizes:?}");
        for mut record in records(&frames) {
            while !record.is_empty() {
                record = Frame::split(record).expect("a frame crosses records").1;
            }
        }
    }

    #[test]
    fn records_are_found_however_the_bytes_come() {
        let stream = [&[0, 3][..], b"abc", &[0, 0], &[0, 1], b"z"].concat();
        for cut in 0..=stream.len() {
            let mut found = Vec::new();
            let mut buffer = ReadBuffer::new(stream[..cut].to_vec());
            let mut rest = &stream[cut..];
            loop {
                while let Some(record) = buffer.next_record() {
                    found.push(record.to_vec());
                }
                if futures_lite::future::block_on(buffer.fill(&mut rest)).expect("a slice can be read") == 0 {
                    break;
                }
            }
            assert_eq!(found, [b"abc".to_vec(), b"".to_vec(), b"z".to_vec()], "cut at {cut}");
        }
    }
}

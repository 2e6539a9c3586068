//! The reading half of a connection: records, frames, and what they mean.

use super::arrivals::Arrivals;
use super::connection::End;
use super::decompressing::Decompressor;
use super::incoming::{Accepted, Incoming, Violation};
use super::peer::Peer;
use super::spin::Spin;
use crate::shared::Shared;
use futures_lite::future;
use futures_lite::io::{AsyncRead, AsyncReadExt};
use hew_actor::Runtime;
use hew_security::Opener;
use hew_wire::compression::Compression;
use hew_wire::frame::{Frame, FrameKind, MessageHead, ReplyHead};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Membership is told at most this often that a peer was heard.
const HEARD_EVERY: Duration = Duration::from_millis(100);
/// Bytes read at once; holds several records.
const READ_BYTES: usize = 128 * 1024;
/// Bytes that a reader handles before the other tasks' turn.
const TURN_BYTES: usize = 64 * 1024;

pub(super) struct Reader {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    generation: u64,
    opener: Opener,
    is_member: bool,
    told_heard: Option<Instant>,
    arrivals: Arrivals,
    spin: Spin,
    decompressor: Decompressor,
}

impl Reader {
    pub(super) fn new(
        shared: Arc<Shared>,
        peer: Arc<Peer>,
        generation: u64,
        opener: Opener,
        compression: Compression,
        is_member: bool,
    ) -> Reader {
        let spin = Spin::new(shared.bounds.spin, &shared.runtime);
        let decompressor = Decompressor::new(compression, shared.bounds.payload_bytes_max);
        Reader {
            shared,
            peer,
            generation,
            opener,
            is_member,
            told_heard: None,
            arrivals: Arrivals::default(),
            spin,
            decompressor,
        }
    }

    pub(super) async fn run<R: AsyncRead + Unpin>(
        mut self,
        mut stream: R,
        read_ahead: Vec<u8>,
        session: u64,
    ) -> End {
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
            match buffer.fill(&mut stream, &self.shared.runtime, &mut self.spin, || peer.writes()).await {
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
                    let (shared, peer, generation) = (&self.shared, &self.peer, self.generation);
                    let (arrivals, decompressor) = (&mut self.arrivals, &mut self.decompressor);
                    Record { shared, peer, generation, now, arrivals, decompressor, asked: &mut asked }
                        .handle(incoming, plain)
                }
                Err(error) => Err(error.into()),
            };
        }
        // Before it counts as received.
        self.arrivals.deliver(&self.shared);
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

/// One record, opened.
struct Record<'a> {
    shared: &'a Arc<Shared>,
    peer: &'a Arc<Peer>,
    generation: u64,
    now: Instant,
    arrivals: &'a mut Arrivals,
    decompressor: &'a mut Decompressor,
    /// The peer wants an acknowledgement.
    asked: &'a mut bool,
}

impl Record<'_> {
    fn handle(mut self, incoming: &mut Incoming, mut plain: &[u8]) -> Result<(), End> {
        while !plain.is_empty() {
            let (frame, rest) = Frame::split(plain).map_err(Violation::from)?;
            plain = rest;
            // A session that ended meanwhile delivers nothing more.
            if !self.peer.is_current(self.generation) {
                return Err(End::Closed);
            }
            match incoming.accept(self.now, frame)? {
                Accepted::New(frame) => self.dispatch(&frame, rest)?,
                Accepted::Whole(bytes) => {
                    let (frame, _) = Frame::split(&bytes).map_err(Violation::from)?;
                    self.dispatch(&frame, &[])?;
                }
                Accepted::Acknowledged(number) => self
                    .peer
                    .note_acknowledged(self.now, self.generation, number)
                    .map_err(|lie| Violation::NeverSent { claimed: lie.claimed, sent: lie.sent })?,
                Accepted::Heartbeat => *self.asked = true,
                Accepted::Goodbye(reason) => return Err(End::Goodbye(reason)),
                Accepted::Idle => return Err(End::Idle),
                Accepted::Oversized(beginning) => self.shared.refuse_oversized(self.peer, &beginning),
                Accepted::Nothing => {}
                Accepted::Unknown => self.shared.skip_unknown(),
            }
        }
        Ok(())
    }

    /// `rest` is what follows the frame in its record.
    fn dispatch(&mut self, frame: &Frame<'_>, rest: &[u8]) -> Result<(), Violation> {
        let (shared, peer) = (self.shared, self.peer);
        match FrameKind::from_u8(frame.header.kind) {
            Some(FrameKind::Message) => {
                let (head, payload) = MessageHead::decode(frame)?;
                self.decompressor.plain(frame, payload, |payload| match payload {
                    Ok(payload) => self.arrivals.add(shared, peer, &head, payload, rest),
                    Err(error) => shared.refuse_compressed(peer, frame, &error),
                })?;
            }
            Some(FrameKind::Reply) => {
                let (head, value) = ReplyHead::decode(frame)?;
                self.decompressor.plain(frame, value, |value| match value {
                    Ok(value) => shared.receive_reply(peer, &head, value),
                    Err(error) => shared.refuse_compressed(peer, frame, &error),
                })?;
            }
            Some(FrameKind::Control) => {
                // A message that came before a control message is there before it, too.
                self.arrivals.deliver(self.shared);
                self.shared.receive_control(self.peer, frame.body)?;
            }
            _ => self.shared.skip_unknown(),
        }
        Ok(())
    }
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

    async fn fill(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        runtime: &Runtime,
        spin: &mut Spin,
        writes: impl Fn() -> u64,
    ) -> io::Result<usize> {
        // What is left of a record moves to the front; the room behind it always holds the rest of that record.
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.bytes.len() < READ_BYTES {
            self.bytes.resize(READ_BYTES, 0);
        }
        let room = &mut self.bytes[self.end..];
        let count = match spin.read(runtime, stream, room, writes).await {
            Some(count) => count?,
            None => stream.read(room).await?,
        };
        self.end += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_found_however_the_bytes_come() {
        let stream = [&[0, 3][..], b"abc", &[0, 0], &[0, 1], b"z"].concat();
        for cut in 0..=stream.len() {
            let mut found = Vec::new();
            let mut buffer = ReadBuffer::new(stream[..cut].to_vec());
            let mut rest = &stream[cut..];
            let runtime = hew_actor::Simulation::new(1).runtime();
            let mut spin = Spin::new(std::time::Duration::ZERO, &runtime);
            loop {
                while let Some(record) = buffer.next_record() {
                    found.push(record.to_vec());
                }
                let filled =
                    futures_lite::future::block_on(buffer.fill(&mut rest, &runtime, &mut spin, || 0));
                if filled.expect("a slice can be read") == 0 {
                    break;
                }
            }
            assert_eq!(found, [b"abc".to_vec(), b"".to_vec(), b"z".to_vec()], "cut at {cut}");
        }
    }
}

//! What one node has received from another: counts frames, drops repeated ones, puts fragments together.
//!
//! Pure: no I/O, no waiting; time is an argument.

use hew_wire::DecodeError;
use hew_wire::frame::{FRAME_BODY_BYTES_MAX, FragmentHead, Frame, FrameHeader, FrameKind, read_number};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, Instant};

/// Larger frames that may be incomplete at the same time, per peer. Lanes bound an honest peer to 8.
const INCOMPLETE_MAX: usize = 64;
/// An incomplete frame whose next part does not come for this long ends the session.
const INCOMPLETE_IDLE_MAX: Duration = Duration::from_secs(60);

/// Why a connection must end: the peer broke a rule of the protocol. Frames accepted before stay accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("the first frame is of kind {kind:#04x}, not a start")]
    NoStart { kind: u8 },
    #[error("a second start")]
    SecondStart,
    #[error("frames up to {received} were received and the connection starts at {start}")]
    Gap { start: u64, received: u64 },
    #[error("acknowledges frame {claimed}, and {sent} were sent")]
    NeverSent { claimed: u64, sent: u64 },
    #[error("{0}")]
    Undecodable(#[from] DecodeError),
    #[error("control message: {0}")]
    Control(DecodeError),
    #[error("a frame of kind {kind:#04x} inside a fragmented frame")]
    Nested { kind: u8 },
    #[error("more than {limit} {what} in incomplete frames")]
    OverBudget { what: &'static str, limit: usize },
    #[error("part at {offset} of fragmented frame {id}, expected {expected}")]
    OutOfOrder { id: u32, offset: u32, expected: u32 },
    #[error("fragmented frame {id} has {total} bytes, and had {before}")]
    TotalChanged { id: u32, total: u32, before: u32 },
    #[error("{what}, which was not agreed on")]
    NotAgreed { what: &'static str },
    #[error("a fragmented frame stayed incomplete for {} s", INCOMPLETE_IDLE_MAX.as_secs())]
    Incomplete,
}

impl Violation {
    /// A short stable name for counters.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Violation::NoStart { .. } => "no_start",
            Violation::SecondStart => "second_start",
            Violation::Gap { .. } => "gap",
            Violation::NeverSent { .. } => "never_sent",
            Violation::Undecodable(error) => match error {
                DecodeError::Truncated { .. } => "truncated",
                DecodeError::Trailing { .. } => "trailing_bytes",
                DecodeError::TooLarge { .. } => "too_large",
                DecodeError::TooDeep { .. } => "too_deep",
                DecodeError::Invalid { .. } => "invalid",
                _ => "unknown",
            },
            Violation::Control(error) => match error {
                DecodeError::Truncated { .. } => "control_truncated",
                DecodeError::Trailing { .. } => "control_trailing_bytes",
                DecodeError::TooLarge { .. } => "control_too_large",
                DecodeError::TooDeep { .. } => "control_too_deep",
                DecodeError::Invalid { .. } => "control_invalid",
                _ => "control_unknown",
            },
            Violation::Nested { .. } => "nested",
            Violation::OverBudget { what: "frames", .. } => "too_many_incomplete",
            Violation::OverBudget { .. } => "over_budget",
            Violation::OutOfOrder { offset, expected, .. } if offset > expected => "fragment_gap",
            Violation::OutOfOrder { .. } => "fragment_overlap",
            Violation::TotalChanged { .. } => "fragment_total",
            Violation::NotAgreed { .. } => "not_agreed",
            Violation::Incomplete => "incomplete",
        }
    }
}

/// What a frame means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Accepted<'a> {
    /// A message, a reply or a control message that was not seen before.
    New(Frame<'a>),
    /// As [`Accepted::New`]: a frame that was put together from fragments, header included.
    Whole(Vec<u8>),
    /// The peer has received every frame up to this number.
    Acknowledged(u64),
    /// The peer wants an acknowledgement now.
    Heartbeat,
    /// The peer ends the connection on purpose; its reason.
    Goodbye(String),
    /// The peer closes the connection because nothing was sent on it.
    Idle,
    /// The first part of a frame that is larger than this node takes; the rest will be skipped.
    Oversized(Vec<u8>),
    /// Nothing to do: a frame seen before, or a part of a larger one.
    Nothing,
    /// A frame of a kind, or with flags, that this version does not know.
    Unknown,
}

#[derive(Debug)]
struct Incomplete {
    total: u32,
    received: u32,
    /// What has come; stays empty for a frame that is too large to be taken.
    bytes: Vec<u8>,
    last_part: Instant,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The session that everything here belongs to; 0 before the first.
    session: u64,
    /// Number of the last sequenced frame received in this session.
    received: u64,
    /// Number of the next sequenced frame on this connection; none before its start.
    next: Option<u64>,
    incomplete: BTreeMap<u32, Incomplete>,
    incomplete_bytes: usize,
    frame_bytes_max: usize,
}

impl Incoming {
    /// `frame_bytes_max` bounds one fragmented frame; incomplete ones together are bounded by twice that.
    pub(crate) fn new(frame_bytes_max: usize) -> Incoming {
        Incoming {
            session: 0,
            received: 0,
            next: None,
            incomplete: BTreeMap::new(),
            incomplete_bytes: 0,
            frame_bytes_max,
        }
    }

    /// A new connection of that session. What was received in another one is forgotten here, and not by whoever began
    /// the session: that connection may have been replaced before its reader came to work.
    pub(crate) fn begin(&mut self, session: u64) {
        if self.session != session {
            *self = Incoming::new(self.frame_bytes_max);
            self.session = session;
        }
        self.next = None;
    }

    /// Number of sequenced frames received in this session.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    pub(crate) fn accept<'a>(&mut self, now: Instant, frame: Frame<'a>) -> Result<Accepted<'a>, Violation> {
        let kind = FrameKind::from_u8(frame.header.kind);
        let Some(next) = self.next else {
            if kind != Some(FrameKind::Start) {
                return Err(Violation::NoStart { kind: frame.header.kind });
            }
            let start = read_number(&frame)?;
            if start == 0 || start > self.received + 1 {
                return Err(Violation::Gap { start, received: self.received });
            }
            self.next = Some(start);
            return Ok(Accepted::Nothing);
        };
        if frame.body.len() > FRAME_BODY_BYTES_MAX {
            let (given, limit) = (frame.body.len() as u64, FRAME_BODY_BYTES_MAX as u64);
            return Err(DecodeError::TooLarge { what: "frame", given, limit }.into());
        }
        if frame.header.is_sequenced() {
            self.next = Some(next + 1);
            if next <= self.received {
                return Ok(Accepted::Nothing);
            }
            self.received = next;
        }
        if frame.header.has_unknown_flags() {
            return Ok(Accepted::Unknown);
        }
        Ok(match kind {
            Some(FrameKind::Message | FrameKind::Reply | FrameKind::Control) => Accepted::New(frame),
            Some(FrameKind::Fragment) => return self.accept_part(now, &frame),
            Some(FrameKind::Start) => return Err(Violation::SecondStart),
            Some(FrameKind::Ack) => Accepted::Acknowledged(read_number(&frame)?),
            Some(FrameKind::Heartbeat) => Accepted::Heartbeat,
            Some(FrameKind::Goodbye) if frame.header.is_idle() => Accepted::Idle,
            Some(FrameKind::Goodbye) => Accepted::Goodbye(goodbye_text(frame.body)),
            None => Accepted::Unknown,
        })
    }

    /// When [`Incoming::handle_timeout`] wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.incomplete.values().map(|incomplete| incomplete.last_part + INCOMPLETE_IDLE_MAX).min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), Violation> {
        match self.poll_timeout() {
            Some(at) if at <= now => Err(Violation::Incomplete),
            _ => Ok(()),
        }
    }

    fn accept_part(&mut self, now: Instant, frame: &Frame<'_>) -> Result<Accepted<'static>, Violation> {
        let (head, part) = FragmentHead::decode(frame)?;
        let is_oversized = head.total as usize > self.frame_bytes_max;
        if !is_oversized && self.incomplete_bytes + part.len() > 2 * self.frame_bytes_max {
            return Err(Violation::OverBudget { what: "bytes", limit: 2 * self.frame_bytes_max });
        }
        let count = self.incomplete.len();
        let incomplete = match self.incomplete.entry(head.id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                if count == INCOMPLETE_MAX {
                    return Err(Violation::OverBudget { what: "frames", limit: INCOMPLETE_MAX });
                }
                entry.insert(Incomplete { total: head.total, received: 0, bytes: Vec::new(), last_part: now })
            }
        };
        if head.total != incomplete.total {
            return Err(Violation::TotalChanged { id: head.id, total: head.total, before: incomplete.total });
        }
        if head.offset != incomplete.received {
            let expected = incomplete.received;
            return Err(Violation::OutOfOrder { id: head.id, offset: head.offset, expected });
        }
        // A part is at most a frame, and ends within the total.
        incomplete.received += part.len() as u32;
        incomplete.last_part = now;
        if !is_oversized {
            // The vector grows with what has come, not with what was announced.
            incomplete.bytes.extend_from_slice(part);
            self.incomplete_bytes += part.len();
        }
        let is_complete = incomplete.received == incomplete.total;
        let whole = if is_complete { self.incomplete.remove(&head.id) } else { None };
        if is_oversized {
            return Ok(if head.offset == 0 { Accepted::Oversized(part.to_vec()) } else { Accepted::Nothing });
        }
        let Some(whole) = whole else { return Ok(Accepted::Nothing) };
        self.incomplete_bytes -= whole.bytes.len();
        let header = FrameHeader::decode(&whole.bytes)?;
        match FrameKind::from_u8(header.kind) {
            Some(FrameKind::Message | FrameKind::Reply) => {}
            Some(_) => return Err(Violation::Nested { kind: header.kind }),
            None => return Ok(Accepted::Unknown),
        }
        if header.has_unknown_flags() {
            return Ok(Accepted::Unknown);
        }
        let (_, rest) = Frame::split(&whole.bytes)?;
        if !rest.is_empty() {
            return Err(DecodeError::Trailing { what: "fragmented frame", bytes: rest.len() }.into());
        }
        Ok(Accepted::Whole(whole.bytes))
    }
}

fn goodbye_text(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(255)]).escape_debug().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hew_wire::frame::{write_frame, write_number};

    const LIMIT: usize = 1 << 20;

    fn started(start: u64) -> Incoming {
        let mut incoming = Incoming::new(LIMIT);
        incoming.received = start - 1;
        feed(&mut incoming, &number(FrameKind::Start, start)).unwrap();
        incoming
    }

    fn number(kind: FrameKind, value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_number(&mut bytes, kind, value);
        bytes
    }

    fn frame(kind: FrameKind, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, kind, 1, 0, &[body]);
        bytes
    }

    fn part(id: u32, total: u32, offset: u32, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        FragmentHead { id, total, offset }.write(&mut out, 1, bytes);
        out
    }

    fn feed<'a>(incoming: &mut Incoming, bytes: &'a [u8]) -> Result<Accepted<'a>, Violation> {
        let (frame, _) = Frame::split(bytes).unwrap();
        incoming.accept(Instant::now(), frame)
    }

    #[test]
    fn a_connection_begins_with_a_start_without_a_gap() {
        let mut incoming = Incoming::new(LIMIT);
        let message = frame(FrameKind::Message, &[0; 20]);
        assert_eq!(feed(&mut incoming, &message), Err(Violation::NoStart { kind: 1 }));
        assert_eq!(
            feed(&mut incoming, &number(FrameKind::Start, 2)),
            Err(Violation::Gap { start: 2, received: 0 })
        );
        assert_eq!(
            feed(&mut incoming, &number(FrameKind::Start, 0)),
            Err(Violation::Gap { start: 0, received: 0 })
        );
        feed(&mut incoming, &number(FrameKind::Start, 1)).unwrap();
        assert_eq!(feed(&mut incoming, &number(FrameKind::Start, 1)), Err(Violation::SecondStart));
    }

    #[test]
    fn repeated_frames_are_dropped() {
        let mut incoming = started(5);
        let message = frame(FrameKind::Message, &[0; 20]);
        for _ in 5..8 {
            assert!(matches!(feed(&mut incoming, &message), Ok(Accepted::New(_))));
        }
        assert_eq!(incoming.received(), 7);
        incoming.begin(0);
        feed(&mut incoming, &number(FrameKind::Start, 6)).unwrap();
        assert_eq!(feed(&mut incoming, &message), Ok(Accepted::Nothing));
        assert_eq!(feed(&mut incoming, &message), Ok(Accepted::Nothing));
        assert!(matches!(feed(&mut incoming, &message), Ok(Accepted::New(_))));
        assert_eq!(incoming.received(), 8);
    }

    #[test]
    fn kinds_and_flags_of_later_versions_are_skipped_and_counted() {
        let mut incoming = started(1);
        for (kind, flags, received) in [
            (0x7F, 0, 1),
            (0xF0, 0, 1),
            (0x01, 0x8000, 2),
            (0x83, 0x8000, 2),
            // A message may be compressed by what is known, and nothing else.
            (0x01, 0x0400, 3),
            (0x03, 0x0200, 4),
            (0x04, 0x0200, 5),
        ] {
            let header = FrameHeader { kind, lane: 0, flags, length: 0 };
            let bytes = header.encode();
            assert_eq!(feed(&mut incoming, &bytes), Ok(Accepted::Unknown), "kind {kind:#x}");
            assert_eq!(incoming.received(), received, "kind {kind:#x}");
        }
    }

    #[test]
    fn fragments_become_a_frame() {
        let mut incoming = started(1);
        let whole = frame(FrameKind::Message, &vec![7; 200_000]);
        let total = whole.len() as u32;
        let mut offset = 0;
        for bytes in whole.chunks(60_000) {
            let part = part(9, total, offset, bytes);
            offset += bytes.len() as u32;
            match feed(&mut incoming, &part).unwrap() {
                Accepted::Whole(bytes) => assert!(offset == total && bytes == whole),
                other => assert!(offset < total && other == Accepted::Nothing),
            }
        }
        assert_eq!((incoming.incomplete_bytes, incoming.incomplete.len()), (0, 0));
    }

    #[test]
    fn fragments_that_lie_end_the_connection() {
        let limit = LIMIT as u32;
        let check = |parts: &[Vec<u8>], expected: &str| {
            let mut incoming = started(1);
            let mut last = Ok(Accepted::Nothing);
            for part in parts {
                last = feed(&mut incoming, part);
            }
            assert_eq!(last.unwrap_err().code(), expected);
        };
        check(&[part(1, 10, 1, b"x")], "fragment_gap");
        check(&[part(1, 10, 0, b"x"), part(1, 10, 2, b"x")], "fragment_gap");
        check(&[part(1, 10, 0, b"xy"), part(1, 10, 1, b"x")], "fragment_overlap");
        check(&[part(1, 10, 0, b"x"), part(1, 11, 1, b"x")], "fragment_total");
        check(&[part(1, 8, 0, &frame(FrameKind::Start, b""))], "nested");
        check(&[part(1, 8, 0, &frame(FrameKind::Fragment, b""))], "nested");
        check(&[part(1, 9, 0, &[frame(FrameKind::Message, b""), vec![0]].concat())], "trailing_bytes");
        let many: Vec<_> = (0..=INCOMPLETE_MAX as u32).map(|id| part(id, 10, 0, b"x")).collect();
        check(&many, "too_many_incomplete");
        let large: Vec<_> = (0..35u32).map(|id| part(id, limit, 0, &vec![0; 61_000])).collect();
        check(&large, "over_budget");
    }

    #[test]
    fn a_frame_that_is_too_large_is_skipped_and_the_next_one_taken() {
        let mut incoming = started(1);
        let limit = LIMIT as u32;
        let first = part(1, limit + 5, 0, &[7; 100]);
        assert_eq!(feed(&mut incoming, &first), Ok(Accepted::Oversized(vec![7; 100])));
        let mut offset = 100;
        while offset < limit + 5 {
            let bytes = vec![7; 60_000.min(limit + 5 - offset) as usize];
            assert_eq!(feed(&mut incoming, &part(1, limit + 5, offset, &bytes)), Ok(Accepted::Nothing));
            assert_eq!(incoming.incomplete_bytes, 0, "nothing of it is kept");
            offset += bytes.len() as u32;
        }
        assert!(incoming.incomplete.is_empty());
        let message = frame(FrameKind::Message, &[0; 20]);
        assert!(matches!(feed(&mut incoming, &message), Ok(Accepted::New(_))));
    }

    #[test]
    fn an_abandoned_fragment_times_out() {
        let mut incoming = started(1);
        assert_eq!(incoming.poll_timeout(), None);
        feed(&mut incoming, &part(1, 10, 0, b"x")).unwrap();
        let at = incoming.poll_timeout().unwrap();
        assert_eq!(incoming.handle_timeout(at - Duration::from_millis(1)), Ok(()));
        assert_eq!(incoming.handle_timeout(at), Err(Violation::Incomplete));
    }
}

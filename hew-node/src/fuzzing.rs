//! What a fuzzer cannot reach from outside: fragments that become frames again.

use crate::link::incoming::{Accepted, Incoming, Violation};
use hew_actor::Simulation;
use hew_wire::frame::{FragmentHead, Frame, FrameHeader, FrameKind};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Larger frames than this are skipped; small, so that every bound is within reach of short inputs.
const FRAME_BYTES_MAX: usize = 2048;

/// What has been sent of each incomplete frame, put together in the simplest way.
#[derive(Default)]
struct Sent(BTreeMap<u32, (u32, Vec<u8>)>);

/// Feeds frames, as they would come out of records, to the receiving side of a session until one breaks a rule.
///
/// The connection has begun. Between two frames a little time passes. A goodbye ends the connection, and the next one
/// begins where the session was.
///
/// # Panics
/// If the receiving side does, if it takes parts in any order but theirs, or if what it puts together is not what was
/// sent.
pub fn reassemble(bytes: &[u8]) {
    let mut incoming = Incoming::new(FRAME_BYTES_MAX);
    let mut now = start();
    let mut sent = Sent::default();
    begin(&mut incoming, now);
    let mut rest = bytes;
    while let Ok((frame, after)) = Frame::split(rest) {
        rest = after;
        now += Duration::from_millis(100);
        if incoming.handle_timeout(now).is_err() {
            return;
        }
        let part = part(&frame);
        let is_in_order = part.is_some_and(|(head, _)| sent.goes_on_with(&head));
        let before = incoming.received();
        let accepted = match incoming.accept(now, frame) {
            Ok(accepted) => accepted,
            // A violation ends the connection and the session: nothing is asked of the machine afterwards.
            Err(violation) => {
                let is_about_order = matches!(violation, Violation::OutOfOrder { .. });
                assert!(!(is_about_order && is_in_order), "a part in order was refused");
                return;
            }
        };
        let counted = incoming.received() - before;
        assert_eq!(counted, u64::from(frame.header.is_sequenced()), "each sequenced frame is counted once");
        let complete = part.and_then(|(head, part)| {
            assert!(is_in_order, "a part out of order was taken");
            sent.add(&head, part)
        });
        match accepted {
            Accepted::Whole(whole) => {
                assert_eq!(Some(&whole), complete.as_ref(), "what was put together is what was sent");
                assert!(whole.len() <= FRAME_BYTES_MAX, "a frame over the limit was taken");
                let (_, rest) = Frame::split(&whole).expect("a whole frame");
                assert!(rest.is_empty(), "bytes behind a whole frame");
            }
            Accepted::Goodbye(_) | Accepted::Idle => begin(&mut incoming, now),
            Accepted::New(_)
            | Accepted::Acknowledged(_)
            | Accepted::Heartbeat
            | Accepted::Oversized(_)
            | Accepted::Nothing
            | Accepted::Unknown => {}
        }
    }
}

impl Sent {
    fn goes_on_with(&self, head: &FragmentHead) -> bool {
        match self.0.get(&head.id) {
            Some((total, bytes)) => (head.total, head.offset as usize) == (*total, bytes.len()),
            None => head.offset == 0,
        }
    }

    /// The whole, if this part completes it; whether that is taken or not, its id is free again.
    fn add(&mut self, head: &FragmentHead, part: &[u8]) -> Option<Vec<u8>> {
        let (total, bytes) = self.0.entry(head.id).or_insert((head.total, Vec::new()));
        bytes.extend_from_slice(part);
        let is_complete = bytes.len() == *total as usize;
        if is_complete { self.0.remove(&head.id).map(|(_, bytes)| bytes) } else { None }
    }
}

/// Begins a connection of the one session.
fn begin(incoming: &mut Incoming, now: Instant) {
    incoming.begin(1);
    let number = (incoming.received() + 1).to_le_bytes();
    let header = FrameHeader { kind: FrameKind::Start as u8, lane: 0, flags: 0, length: number.len() as u32 };
    let begun = incoming.accept(now, Frame { header, body: &number });
    assert_eq!(begun, Ok(Accepted::Nothing), "a connection may go on where the session was");
}

/// What the frame carries of a larger one; nothing if it has a flag of a later version, because then it is skipped.
fn part<'a>(frame: &Frame<'a>) -> Option<(FragmentHead, &'a [u8])> {
    let is_skipped = frame.header.has_unknown_flags();
    let is_fragment = FrameKind::from_u8(frame.header.kind) == Some(FrameKind::Fragment);
    if is_fragment && !is_skipped { FragmentHead::decode(frame).ok() } else { None }
}

/// Some moment; which one does not matter, and only the runtime makes one.
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(|| Simulation::new(0).runtime().now())
}

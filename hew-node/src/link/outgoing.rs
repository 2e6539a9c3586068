//! What one node has for another: frames queued in lanes, and frames sent but not yet acknowledged.
//!
//! Senders append frames; the link's writer takes a *turn* (control first, then the ordinary lanes in round robin) and
//! writes it with whatever else it has. A turn becomes a *chunk* that is kept until the peer has acknowledged its last
//! frame, so that a new connection can begin where the peer's knowledge ends. Frames are numbered from 1 by counting.
//! Pure: no clock, no I/O, no waiting.

use hew_wire::frame::{
    FRAGMENT_BYTES_MAX, FRAME_HEADER_BYTES, FragmentHead, Frame, FrameKind, LANE_CONTROL, LANES,
};
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes that an ordinary lane may send before the next lane's turn.
const LANE_TURN_BYTES: usize = 64 * 1024;
/// Bytes after which a turn ends, so that a control frame never waits for more than about this much.
const TURN_BYTES: usize = 128 * 1024;
/// Largest frame body that travels unfragmented.
const WHOLE_BODY_BYTES_MAX: usize = FRAGMENT_BYTES_MAX;
/// Acknowledged chunks whose buffers are kept for the next turns.
const SPARE_CHUNKS_MAX: usize = 4;
/// Replies and control messages may exceed the bound by this factor: what they answer was bounded when it came in.
const HARD_BOUND_FACTOR: usize = 2;

/// A run of sequenced frames that were sent together.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// Number of the first frame.
    first: u64,
    /// How many frames.
    count: u64,
    /// Whole frames, one after the other.
    bytes: Vec<u8>,
}

impl Chunk {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn last(&self) -> u64 {
        self.first + self.count - 1
    }
}

/// Frames of one lane that were not sent yet.
#[derive(Debug, Default)]
struct Lane {
    bytes: Vec<u8>,
    sent: usize,
}

impl Lane {
    fn queued(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Moves whole frames to `out`: at least one, then as many as stay within `budget`. Returns how many.
    fn take(&mut self, budget: usize, out: &mut Vec<u8>) -> u64 {
        let rest = &self.bytes[self.sent..];
        let (mut end, mut count) = (0, 0);
        while let Ok((frame, _)) = Frame::split(&rest[end..]) {
            let next = end + frame.encoded_bytes();
            if count > 0 && next > budget {
                break;
            }
            (end, count) = (next, count + 1);
        }
        out.extend_from_slice(&rest[..end]);
        self.sent += end;
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
        } else if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        count
    }
}

/// The bound of a peer is reached; nothing was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// How strictly the bound holds for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// A message of a user: refused at the bound.
    Ordinary,
    /// A reply or a control message: refused only at twice the bound.
    Owed,
}

/// What was queued or unacknowledged when a session ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Messages of users.
    pub(crate) messages: u64,
    /// Replies to asks.
    pub(crate) replies: u64,
    /// Control messages.
    pub(crate) control: u64,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Outgoing {
    lanes: [Lane; LANES as usize],
    next_lane: usize,
    /// Sent and not acknowledged, oldest first.
    replay: VecDeque<Arc<Chunk>>,
    /// Index in `replay` of the next chunk that this connection has not carried yet.
    resend: usize,
    /// Number of the next frame that leaves a lane.
    next: u64,
    acknowledged: u64,
    queued_bytes: usize,
    unacknowledged_bytes: usize,
    bound_bytes: usize,
    /// The largest frame that was refused for want of room, for those who wait until it fits.
    refused_bytes: usize,
    next_fragment: u32,
    spare: Vec<Vec<u8>>,
}

/// An acknowledgement or a resume that names frames which were never sent: the peer lies. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NeverSent {
    pub(crate) claimed: u64,
    pub(crate) sent: u64,
}

impl Outgoing {
    pub(crate) fn new(bound_bytes: usize) -> Outgoing {
        Outgoing {
            lanes: Default::default(),
            next_lane: 1,
            replay: VecDeque::new(),
            resend: 0,
            next: 1,
            acknowledged: 0,
            queued_bytes: 0,
            unacknowledged_bytes: 0,
            bound_bytes,
            refused_bytes: 0,
            next_fragment: 0,
            spare: Vec::new(),
        }
    }

    /// Queues the frame that `write` appends, of about `size` bytes, in `lane`.
    ///
    /// A frame that is larger than the bound by itself is accepted when nothing else is held.
    pub(crate) fn push(
        &mut self,
        lane: u8,
        size: usize,
        urgency: Urgency,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Full> {
        let bound = match urgency {
            Urgency::Ordinary => self.bound_bytes,
            Urgency::Owed => self.bound_bytes.saturating_mul(HARD_BOUND_FACTOR),
        };
        let held = self.held_bytes();
        if held > 0 && held + size > bound {
            self.refused_bytes = self.refused_bytes.max(size);
            return Err(Full);
        }
        let queue = &mut self.lanes[usize::from(lane)].bytes;
        let before = queue.len();
        write(queue);
        if queue.len() - before > FRAME_HEADER_BYTES + WHOLE_BODY_BYTES_MAX {
            let whole = queue.split_off(before);
            fragment(&whole, self.next_fragment, lane, queue);
            self.next_fragment = self.next_fragment.wrapping_add(1);
        }
        self.queued_bytes += queue.len() - before;
        Ok(())
    }

    /// The next chunk for this connection, if there is anything to send: first what a broken connection left
    /// unacknowledged, then a turn of what is queued.
    pub(crate) fn take(&mut self) -> Option<Arc<Chunk>> {
        if let Some(chunk) = self.replay.get(self.resend) {
            self.resend += 1;
            return Some(Arc::clone(chunk));
        }
        if self.queued_bytes == 0 {
            return None;
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        let control = &mut self.lanes[usize::from(LANE_CONTROL)];
        let mut count = 0;
        while control.queued() > 0 && bytes.len() < TURN_BYTES {
            count += control.take(TURN_BYTES, &mut bytes);
        }
        for _ in 1..LANES {
            if bytes.len() >= TURN_BYTES {
                break;
            }
            let lane = &mut self.lanes[self.next_lane];
            if lane.queued() > 0 {
                count += lane.take(LANE_TURN_BYTES, &mut bytes);
            }
            self.next_lane = if self.next_lane + 1 == usize::from(LANES) { 1 } else { self.next_lane + 1 };
        }
        let chunk = Arc::new(Chunk { first: self.next, count, bytes });
        self.next += count;
        self.queued_bytes -= chunk.bytes.len();
        self.unacknowledged_bytes += chunk.bytes.len();
        self.replay.push_back(Arc::clone(&chunk));
        self.resend += 1;
        Some(chunk)
    }

    /// The peer has received every frame up to `number`.
    pub(crate) fn acknowledge(&mut self, number: u64) -> Result<(), NeverSent> {
        if number >= self.next {
            return Err(NeverSent { claimed: number, sent: self.next - 1 });
        }
        self.acknowledged = self.acknowledged.max(number);
        while self.replay.front().is_some_and(|chunk| chunk.last() <= number) {
            let Some(chunk) = self.replay.pop_front() else { break };
            self.resend = self.resend.saturating_sub(1);
            self.unacknowledged_bytes -= chunk.bytes.len();
            self.recycle(chunk);
        }
        Ok(())
    }

    /// A new connection begins, and the peer says that it has received every frame up to `number`. Everything after
    /// that is sent again. Returns the number of the first frame that will follow.
    pub(crate) fn rewind(&mut self, number: u64) -> Result<u64, NeverSent> {
        // An acknowledgement on the old connection may be newer than what the peer said in the handshake.
        let number = number.max(self.acknowledged);
        self.acknowledge(number)?;
        self.resend = 0;
        if let Some(chunk) = self.replay.front_mut()
            && chunk.first <= number
        {
            let skip = number + 1 - chunk.first;
            let rest = frames_after(&chunk.bytes, skip);
            self.unacknowledged_bytes -= chunk.bytes.len() - rest.len();
            *chunk = Arc::new(Chunk { first: number + 1, count: chunk.count - skip, bytes: rest.to_vec() });
        }
        Ok(self.replay.front().map_or(self.next, |chunk| chunk.first))
    }

    /// The session is over: forgets everything and says what it was. Numbers begin at 1 again.
    pub(crate) fn clear(&mut self) -> Lost {
        let mut lost = Lost::default();
        for chunk in &self.replay {
            lost.count(&chunk.bytes);
        }
        for lane in &self.lanes {
            lost.count(&lane.bytes[lane.sent..]);
        }
        *self = Outgoing::new(self.bound_bytes);
        lost
    }

    /// Whether those who were refused should try again: half of the bound is free, so that they come back to do
    /// something, and the largest frame that was refused fits.
    pub(crate) fn has_made_room(&mut self) -> bool {
        let held = self.held_bytes();
        let room = held == 0 || held <= self.bound_bytes / 2 && held + self.refused_bytes <= self.bound_bytes;
        if room {
            self.refused_bytes = 0;
        }
        room
    }

    /// Bytes queued or unacknowledged.
    pub(crate) fn held_bytes(&self) -> usize {
        self.queued_bytes + self.unacknowledged_bytes
    }

    /// Number of the last frame that the peer has acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Whether the next [`Outgoing::take`] returns something.
    pub(crate) fn has_work(&self) -> bool {
        self.resend < self.replay.len() || self.queued_bytes > 0
    }

    fn recycle(&mut self, chunk: Arc<Chunk>) {
        if self.spare.len() < SPARE_CHUNKS_MAX
            && let Ok(chunk) = Arc::try_unwrap(chunk)
            && chunk.bytes.capacity() <= 2 * TURN_BYTES
        {
            let mut bytes = chunk.bytes;
            bytes.clear();
            self.spare.push(bytes);
        }
    }
}

impl Lost {
    /// Counts whole messages: of a fragmented one, the fragment that begins it.
    fn count(&mut self, mut bytes: &[u8]) {
        while let Ok((frame, rest)) = Frame::split(bytes) {
            bytes = rest;
            let kind = match FrameKind::from_u8(frame.header.kind) {
                Some(FrameKind::Fragment) => match FragmentHead::decode(&frame) {
                    Ok((FragmentHead { offset: 0, .. }, [kind, ..])) => FrameKind::from_u8(*kind),
                    _ => continue,
                },
                kind => kind,
            };
            match kind {
                Some(FrameKind::Message) => self.messages += 1,
                Some(FrameKind::Reply) => self.replies += 1,
                _ => self.control += 1,
            }
        }
    }
}

fn fragment(whole: &[u8], id: u32, lane: u8, out: &mut Vec<u8>) {
    let total = u32::try_from(whole.len()).expect("payloads are bounded far below 4 GiB");
    let mut offset = 0;
    for part in whole.chunks(FRAGMENT_BYTES_MAX) {
        FragmentHead { id, total, offset }.write(out, lane, part);
        offset += part.len() as u32;
    }
}

fn frames_after(mut bytes: &[u8], skip: u64) -> &[u8] {
    for _ in 0..skip {
        let Ok((_, rest)) = Frame::split(bytes) else { break };
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use hew_wire::frame::write_frame;

    fn push(outgoing: &mut Outgoing, lane: u8, body: &[u8]) -> Result<(), Full> {
        outgoing.push(lane, body.len() + 8, Urgency::Ordinary, |out| {
            write_frame(out, FrameKind::Message, lane, 0, &[body]);
        })
    }

    fn bodies(chunk: &Chunk) -> Vec<Vec<u8>> {
        let mut bytes = chunk.bytes();
        let mut bodies = Vec::new();
        while let Ok((frame, rest)) = Frame::split(bytes) {
            bodies.push(frame.body.to_vec());
            bytes = rest;
        }
        bodies
    }

    #[test]
    fn control_goes_first_and_lanes_take_turns() {
        let mut outgoing = Outgoing::new(1 << 20);
        for i in 0..3 {
            push(&mut outgoing, 1, &vec![i; 40_000]).unwrap();
        }
        push(&mut outgoing, 2, b"small").unwrap();
        push(&mut outgoing, LANE_CONTROL, b"control").unwrap();
        let first = bodies(&outgoing.take().unwrap());
        assert_eq!(first[0], b"control");
        assert!(first.contains(&b"small".to_vec()), "lane 2 did not get its turn");
        assert_eq!(
            first.iter().filter(|body| body.len() == 40_000).count(),
            1,
            "lane 1 took more than its turn"
        );
    }

    #[test]
    fn the_bound_holds_and_gives_way_when_acknowledged() {
        let mut outgoing = Outgoing::new(100);
        push(&mut outgoing, 1, &[0; 72]).unwrap();
        assert_eq!(push(&mut outgoing, 1, &[0; 13]), Err(Full));
        let chunk = outgoing.take().unwrap();
        assert_eq!(push(&mut outgoing, 1, &[0; 13]), Err(Full), "unacknowledged bytes count");
        outgoing.acknowledge(chunk.last()).unwrap();
        push(&mut outgoing, 1, &[0; 13]).unwrap();
        assert_eq!(outgoing.held_bytes(), 21);
        // Owed frames have more room; a single large frame is accepted when nothing is held.
        outgoing.push(0, 120, Urgency::Owed, |out| out.extend_from_slice(&[0; 8])).unwrap();
        let mut empty = Outgoing::new(100);
        push(&mut empty, 1, &[0; 1000]).unwrap();
        assert_eq!(push(&mut empty, 1, b""), Err(Full));
    }

    #[test]
    fn a_new_connection_continues_inside_a_chunk() {
        let mut outgoing = Outgoing::new(1 << 20);
        for i in 0..10u8 {
            push(&mut outgoing, 1, &[i]).unwrap();
        }
        outgoing.take().unwrap();
        push(&mut outgoing, 1, &[10]).unwrap();
        assert_eq!(outgoing.rewind(4), Ok(5));
        assert_eq!(bodies(&outgoing.take().unwrap()), (4..10u8).map(|i| vec![i]).collect::<Vec<_>>());
        assert_eq!(bodies(&outgoing.take().unwrap()), [[10]]);
        assert!(outgoing.take().is_none());
        // The peer's handshake may be older than an acknowledgement on the old connection.
        outgoing.acknowledge(8).unwrap();
        assert_eq!(outgoing.rewind(4), Ok(9));
        outgoing.acknowledge(11).unwrap();
        assert_eq!(outgoing.held_bytes(), 0);
        assert_eq!(outgoing.rewind(11), Ok(12));
    }

    #[test]
    fn a_peer_cannot_acknowledge_what_was_never_sent() {
        let mut outgoing = Outgoing::new(1 << 20);
        push(&mut outgoing, 1, b"x").unwrap();
        assert_eq!(outgoing.acknowledge(1), Err(NeverSent { claimed: 1, sent: 0 }), "queued, not sent");
        outgoing.take().unwrap();
        assert_eq!(outgoing.rewind(2), Err(NeverSent { claimed: 2, sent: 1 }));
        assert_eq!(outgoing.acknowledge(u64::MAX), Err(NeverSent { claimed: u64::MAX, sent: 1 }));
    }

    #[test]
    fn what_a_session_loses_is_counted_by_message() {
        let mut outgoing = Outgoing::new(16 << 20);
        push(&mut outgoing, 1, b"sent").unwrap();
        outgoing.take().unwrap();
        push(&mut outgoing, 1, &vec![0; 300_000]).unwrap();
        outgoing.push(3, 8, Urgency::Owed, |out| write_frame(out, FrameKind::Reply, 3, 0, &[])).unwrap();
        outgoing.push(0, 8, Urgency::Owed, |out| write_frame(out, FrameKind::Control, 0, 0, &[])).unwrap();
        assert_eq!(outgoing.clear(), Lost { messages: 2, replies: 1, control: 1 });
        assert_eq!(outgoing.held_bytes(), 0);
        assert_eq!(outgoing.clear(), Lost::default());
    }

    #[test]
    fn buffers_are_reused() {
        let mut outgoing = Outgoing::new(1 << 20);
        let mut buffers = std::collections::BTreeSet::new();
        for round in 1..=100 {
            push(&mut outgoing, 1, &[0; 1000]).unwrap();
            let chunk = outgoing.take().unwrap();
            buffers.insert(chunk.bytes().as_ptr() as usize);
            drop(chunk);
            outgoing.acknowledge(round).unwrap();
        }
        assert!(buffers.len() <= 2, "{} buffers for 100 turns", buffers.len());
    }
}

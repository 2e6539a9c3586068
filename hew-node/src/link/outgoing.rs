//! What one node has for another: frames queued in lanes, and frames sent but not yet acknowledged.
//!
//! Senders append frames to blocks; the link's writer takes a *turn* of whole blocks (control first, then the ordinary lanes
//! in round robin, as far as the window allows) and writes each as a record. A block is kept until the peer has
//! acknowledged its last frame, so that a new connection can begin where the peer's knowledge ends. Frames are numbered
//! from 1 by counting. Pure: no clock, no I/O, no waiting.

use super::block::{BLOCK_BYTES_MAX, Block, Lost, Tally};
use super::window::Window;
use hew_wire::frame::{
    FRAGMENT_BYTES_MAX, FRAME_HEADER_BYTES, FragmentHead, FrameFront, LANE_CONTROL, LANES,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Bytes after which a turn ends: with the block that reaches them it is at most two records.
pub(super) const TURN_BYTES: usize = 64 * 1024;
/// Largest frame body that travels unfragmented.
const WHOLE_BODY_BYTES_MAX: usize = FRAGMENT_BYTES_MAX;
/// A fragment that would be smaller than this begins a new block instead of filling one up.
const FRAGMENT_BYTES_WORTH: usize = 4 * 1024;
/// Neighbours in the replay that are not larger than this together become one block: a peer that acknowledges late must not
/// cost a buffer for each small turn.
const MERGED_BYTES_MAX: usize = BLOCK_BYTES_MAX / 2;
/// Buffers that are kept for the next blocks.
const SPARE_MAX: usize = 32;

/// The bound of a peer is reached; nothing was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Free bytes for which senders that wait are woken: more than a window, so that the link has something to send meanwhile,
/// and little against the bound, so that senders and the link work at the same time and not by turns.
const WORTH_COMING_BACK: usize = 256 << 10;

/// Whose room a frame takes.
///
/// The bound holds for messages of users with everything else that is held, and for each kind of what is owed by itself, so
/// that no message, however large, is in the way of that. The first of its kind is always taken: what is owed, which never
/// ends, keeps no message waiting for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Message,
    Reply,
    Control,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// What was not sent yet.
    lanes: [VecDeque<Block>; LANES as usize],
    next_lane: usize,
    /// Sent and not acknowledged, oldest first.
    replay: VecDeque<Arc<Block>>,
    /// Index in `replay` of the next block that this connection has not carried yet.
    resend: usize,
    /// Number of the next frame that leaves a lane.
    next: u64,
    acknowledged: u64,
    control_bytes: usize,
    /// With those of control.
    queued_bytes: usize,
    unacknowledged_bytes: usize,
    /// Both together, by [`Room`].
    held_bytes: [usize; 3],
    bound_bytes: usize,
    window: Window,
    /// The largest frame that was refused for want of room, for those who wait until it fits.
    refused_bytes: usize,
    next_fragment: u32,
    /// Empty blocks.
    spare: Vec<Arc<Block>>,
    /// Buffers without anything in them.
    buffers: Vec<Vec<u8>>,
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
            control_bytes: 0,
            queued_bytes: 0,
            unacknowledged_bytes: 0,
            held_bytes: [0; 3],
            bound_bytes,
            window: Window::new(bound_bytes),
            refused_bytes: 0,
            next_fragment: 0,
            spare: Vec::new(),
            buffers: Vec::new(),
        }
    }

    /// Queues a frame in `lane`: its front, and what follows.
    ///
    /// A frame that is larger than the bound by itself is accepted when nothing else is held.
    pub(crate) fn push(&mut self, lane: u8, room: Room, front: &FrameFront, rest: &[u8]) -> Result<(), Full> {
        let size = front.len() + rest.len();
        let own = self.held_bytes[room as usize];
        let held = if room == Room::Message { self.held_bytes() } else { own };
        if own > 0 && held + size > self.bound_bytes {
            if room == Room::Message {
                self.refused_bytes = self.refused_bytes.max(size);
            }
            return Err(Full);
        }
        let mut queued = size;
        if size <= FRAME_HEADER_BYTES + WHOLE_BODY_BYTES_MAX {
            let block = self.block(lane, size);
            front.write(&mut block.bytes);
            block.bytes.extend_from_slice(rest);
            block.count += 1;
        } else {
            queued = self.push_fragments(lane, front, rest);
        }
        // Of a message in parts the whole counts until its last part is acknowledged.
        self.held_bytes[room as usize] += queued;
        if let Some(block) = self.lanes[usize::from(lane)].back_mut() {
            block.ends[room as usize] += queued;
        }
        self.queued_bytes += queued;
        if lane == LANE_CONTROL {
            self.control_bytes += queued;
        }
        Ok(())
    }

    /// Cuts a frame into parts that fill up records; how many bytes were queued.
    fn push_fragments(&mut self, lane: u8, front: &FrameFront, rest: &[u8]) -> usize {
        const HEAD_BYTES: usize = FRAME_HEADER_BYTES + FragmentHead::BYTES;
        let id = self.next_fragment;
        self.next_fragment = self.next_fragment.wrapping_add(1);
        let size = front.len() + rest.len();
        let total = u32::try_from(size).expect("payloads are bounded far below 4 GiB");
        let mut first = Vec::with_capacity(front.len());
        front.write(&mut first);
        let (mut offset, mut queued) = (0, 0);
        while offset < size {
            let block = self.block(lane, HEAD_BYTES + FRAGMENT_BYTES_WORTH.min(size - offset));
            let length = FRAGMENT_BYTES_MAX.min(block.room() - HEAD_BYTES).min(size - offset);
            let head = FragmentHead { id, total, offset: offset as u32 };
            let (begin, end) = (offset.max(front.len()), offset + length);
            // The front is shorter than any first part.
            head.write_parts(&mut block.bytes, lane, [&first, &rest[begin - front.len()..end - front.len()]]);
            block.count += 1;
            first.clear();
            offset = end;
            queued += HEAD_BYTES + length;
        }
        queued
    }

    /// The block of `lane` that takes a frame of `size` bytes.
    #[inline]
    fn block(&mut self, lane: u8, size: usize) -> &mut Block {
        let lane = &mut self.lanes[usize::from(lane)];
        if lane.back().is_none_or(|last| last.room() < size) {
            // A lane that has filled one block is going to fill the next.
            let bytes_min = if lane.is_empty() { 0 } else { BLOCK_BYTES_MAX };
            let bytes = self.buffers.pop().unwrap_or_else(|| Vec::with_capacity(bytes_min));
            lane.push_back(Block { bytes, ..Block::default() });
        }
        lane.back_mut().expect("it has one by now")
    }

    /// Adds the next blocks for this connection to `turn`, if there is anything to send: first what a broken connection left
    /// unacknowledged, then a turn of what is queued, until it has at least `turn_bytes`.
    pub(crate) fn take(&mut self, now: Instant, turn_bytes: usize, turn: &mut Vec<Arc<Block>>) {
        let mut bytes = 0;
        while let Some(block) = self.replay.get(self.resend) {
            if bytes >= turn_bytes {
                return;
            }
            bytes += block.bytes.len();
            turn.push(Arc::clone(block));
            self.resend += 1;
        }
        self.merge_sent();
        let before = turn.len();
        while bytes < TURN_BYTES
            && let Some(block) = self.lanes[usize::from(LANE_CONTROL)].pop_front()
        {
            self.control_bytes -= block.bytes.len();
            bytes += block.bytes.len();
            turn.push(self.sent(block));
        }
        let mut empty_lanes = 0;
        while empty_lanes < LANES - 1 && bytes < turn_bytes && self.window.has_room(self.unacknowledged_bytes)
        {
            let lane = self.next_lane;
            self.next_lane = if lane + 1 == usize::from(LANES) { 1 } else { lane + 1 };
            match self.lanes[lane].pop_front() {
                None => empty_lanes += 1,
                Some(block) => {
                    empty_lanes = 0;
                    bytes += block.bytes.len();
                    turn.push(self.sent(block));
                }
            }
        }
        if turn.len() > before {
            self.window.wrote(now, self.next - 1);
        }
    }

    /// Numbers a block that leaves its lane, and keeps it.
    fn sent(&mut self, mut block: Block) -> Arc<Block> {
        block.first = self.next;
        self.next += block.count;
        self.queued_bytes -= block.bytes.len();
        self.unacknowledged_bytes += block.bytes.len();
        let mut kept = self.spare.pop().unwrap_or_default();
        match Arc::get_mut(&mut kept) {
            Some(place) => *place = block,
            None => kept = Arc::new(block),
        }
        self.replay.push_back(Arc::clone(&kept));
        self.resend += 1;
        kept
    }

    /// Puts the last two blocks together, if they are small and were written.
    fn merge_sent(&mut self) {
        let count = self.replay.len();
        if count < 2 || self.resend < count {
            return;
        }
        let (earlier, last) = (&self.replay[count - 2], &self.replay[count - 1]);
        if earlier.bytes.len() + last.bytes.len() > MERGED_BYTES_MAX {
            return;
        }
        let Some(mut last) = self.replay.pop_back() else { return };
        match (self.replay.back_mut().and_then(Arc::get_mut), Arc::get_mut(&mut last)) {
            (Some(earlier), Some(block)) => {
                earlier.bytes.extend_from_slice(&block.bytes);
                earlier.count += block.count;
                earlier.ends.iter_mut().zip(block.ends).for_each(|(sum, bytes)| *sum += bytes);
                self.resend -= 1;
                self.recycle(last);
            }
            // A writer still has one of them.
            _ => self.replay.push_back(last),
        }
    }

    /// The peer has received every frame up to `number`.
    pub(crate) fn acknowledge(&mut self, now: Instant, number: u64) -> Result<(), NeverSent> {
        if number >= self.next {
            return Err(NeverSent { claimed: number, sent: self.next - 1 });
        }
        self.acknowledged = self.acknowledged.max(number);
        let before = self.unacknowledged_bytes;
        while self.replay.front().is_some_and(|block| block.last() <= number) {
            let Some(block) = self.replay.pop_front() else { break };
            self.resend = self.resend.saturating_sub(1);
            self.unacknowledged_bytes -= block.bytes.len();
            self.held_bytes.iter_mut().zip(block.ends).for_each(|(sum, bytes)| *sum -= bytes);
            self.recycle(block);
        }
        self.window.acknowledged(now, number, before - self.unacknowledged_bytes);
        Ok(())
    }

    /// A new connection begins, and the peer says that it has received every frame up to `number`. Everything after
    /// that is sent again. Returns the number of the first frame that will follow.
    pub(crate) fn rewind(&mut self, now: Instant, number: u64) -> Result<u64, NeverSent> {
        // An acknowledgement on the old connection may be newer than what the peer said in the handshake.
        let number = number.max(self.acknowledged);
        self.acknowledge(now, number)?;
        self.resend = 0;
        self.window.interrupted();
        if let Some(front) = self.replay.front_mut()
            && front.first <= number
        {
            // The writer of the old connection may have it still.
            let Block { first, count, ends, ref bytes } = **front;
            let mut block = Block { first, count, ends, bytes: bytes.clone() };
            block.drop_through(number);
            self.unacknowledged_bytes -= front.bytes.len() - block.bytes.len();
            *front = Arc::new(block);
        }
        Ok(self.replay.front().map_or(self.next, |block| block.first))
    }

    /// The session is over: forgets everything and says what it was. Numbers begin at 1 again.
    pub(crate) fn clear(&mut self) -> Lost {
        let mut tally = Tally::default();
        for block in &self.replay {
            tally.count(block.after(self.acknowledged));
        }
        self.lanes.iter().flatten().for_each(|block| tally.count(&block.bytes));
        *self = Outgoing::new(self.bound_bytes);
        tally.lost
    }

    /// Whether senders who were refused should try again: so much is free that they come back to do something, and the
    /// largest frame that was refused fits.
    pub(crate) fn has_made_room(&mut self) -> bool {
        let held = self.held_bytes();
        let enough = WORTH_COMING_BACK.min(self.bound_bytes / 2);
        let room = self.held_bytes[Room::Message as usize] == 0
            || held + enough <= self.bound_bytes && held + self.refused_bytes <= self.bound_bytes;
        if room {
            self.refused_bytes = 0;
        }
        room
    }

    /// Bytes queued or unacknowledged.
    pub(crate) fn held_bytes(&self) -> usize {
        self.queued_bytes + self.unacknowledged_bytes
    }

    /// Bytes that were not sent yet.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Number of the last frame that the peer has acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Whether the next [`Outgoing::take`] returns something.
    pub(crate) fn has_work(&self) -> bool {
        self.resend < self.replay.len()
            || self.control_bytes > 0
            || self.queued_bytes > 0 && self.window.has_room(self.unacknowledged_bytes)
    }

    /// Whether anything has not been sent on this connection.
    pub(crate) fn has_queued(&self) -> bool {
        self.resend < self.replay.len() || self.queued_bytes > 0
    }

    /// Nothing has been sent for a while: gives the memory of buffers back.
    pub(crate) fn trim(&mut self) {
        self.spare = Vec::new();
        self.buffers = Vec::new();
    }

    fn recycle(&mut self, mut block: Arc<Block>) {
        if let Some(free) = Arc::get_mut(&mut block) {
            free.clear();
            if self.buffers.len() < SPARE_MAX {
                self.buffers.push(std::mem::take(&mut free.bytes));
            }
            if self.spare.len() < SPARE_MAX {
                self.spare.push(block);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hew_wire::frame::{Frame, FrameKind};

    fn push(outgoing: &mut Outgoing, lane: u8, body: &[u8]) -> Result<(), Full> {
        push_as(outgoing, FrameKind::Message, lane, Room::Message, body)
    }

    fn push_as(
        outgoing: &mut Outgoing,
        kind: FrameKind,
        lane: u8,
        room: Room,
        body: &[u8],
    ) -> Result<(), Full> {
        outgoing.push(lane, room, &FrameFront::new(kind, lane, 0, body.len()), body)
    }

    fn take(outgoing: &mut Outgoing) -> Vec<Arc<Block>> {
        let mut turn = Vec::new();
        outgoing.take(Instant::now(), TURN_BYTES, &mut turn);
        turn
    }

    fn bodies(turn: &[Arc<Block>]) -> Vec<Vec<u8>> {
        turn.iter().flat_map(|block| bodies_of(block)).collect()
    }

    fn bodies_of(block: &Block) -> Vec<Vec<u8>> {
        let mut bytes = block.bytes();
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
        let first = bodies(&take(&mut outgoing));
        assert_eq!(first[0], b"control");
        let large: Vec<usize> = (0..first.len()).filter(|&place| first[place].len() == 40_000).collect();
        let small = first.iter().position(|body| body == b"small").expect("lane 2 did not get its turn");
        assert!(large[0] < small && small < large[1], "lane 1 took more than its turn");
    }

    #[test]
    fn the_bound_holds_and_gives_way_when_acknowledged() {
        let mut outgoing = Outgoing::new(100);
        push(&mut outgoing, 1, &[0; 72]).unwrap();
        assert_eq!(push(&mut outgoing, 1, &[0; 13]), Err(Full));
        let turn = take(&mut outgoing);
        assert_eq!(push(&mut outgoing, 1, &[0; 13]), Err(Full), "unacknowledged bytes count");
        outgoing.acknowledge(Instant::now(), turn[0].last()).unwrap();
        push(&mut outgoing, 1, &[0; 13]).unwrap();
        assert_eq!(outgoing.held_bytes(), 21);
        // Replies and control messages have rooms of their own; a single large frame is accepted when nothing is held.
        push_as(&mut outgoing, FrameKind::Control, 0, Room::Control, &[0; 112]).unwrap();
        let mut empty = Outgoing::new(100);
        push(&mut empty, 1, &[0; 1000]).unwrap();
        assert_eq!(push(&mut empty, 1, b""), Err(Full));
    }

    #[test]
    fn what_is_owed_keeps_no_large_message_waiting() {
        let mut outgoing = Outgoing::new(100);
        push(&mut outgoing, 1, &[0; 13]).unwrap();
        assert_eq!(push(&mut outgoing, 1, &[0; 1000]), Err(Full));
        let sent = take(&mut outgoing);
        push_as(&mut outgoing, FrameKind::Control, 0, Room::Control, &[0; 52]).unwrap();
        push_as(&mut outgoing, FrameKind::Reply, 3, Room::Reply, &[0; 52]).unwrap();
        assert!(!outgoing.has_made_room());
        outgoing.acknowledge(Instant::now(), sent[0].last()).unwrap();
        assert!(outgoing.has_made_room());
        push(&mut outgoing, 1, &[0; 1000]).unwrap();
    }

    #[test]
    fn a_new_connection_continues_inside_a_block() {
        let mut outgoing = Outgoing::new(1 << 20);
        for i in 0..10u8 {
            push(&mut outgoing, 1, &[i]).unwrap();
        }
        take(&mut outgoing);
        push(&mut outgoing, 1, &[10]).unwrap();
        assert_eq!(outgoing.rewind(Instant::now(), 4), Ok(5));
        assert_eq!(bodies(&take(&mut outgoing)), (4..=10u8).map(|i| vec![i]).collect::<Vec<_>>());
        assert!(take(&mut outgoing).is_empty());
        // The peer's handshake may be older than an acknowledgement on the old connection.
        outgoing.acknowledge(Instant::now(), 8).unwrap();
        assert_eq!(outgoing.rewind(Instant::now(), 4), Ok(9));
        outgoing.acknowledge(Instant::now(), 11).unwrap();
        assert_eq!(outgoing.held_bytes(), 0);
        assert_eq!(outgoing.rewind(Instant::now(), 11), Ok(12));
    }

    #[test]
    fn a_peer_cannot_acknowledge_what_was_never_sent() {
        let mut outgoing = Outgoing::new(1 << 20);
        push(&mut outgoing, 1, b"x").unwrap();
        assert_eq!(
            outgoing.acknowledge(Instant::now(), 1),
            Err(NeverSent { claimed: 1, sent: 0 }),
            "queued, not sent"
        );
        take(&mut outgoing);
        assert_eq!(outgoing.rewind(Instant::now(), 2), Err(NeverSent { claimed: 2, sent: 1 }));
        assert_eq!(
            outgoing.acknowledge(Instant::now(), u64::MAX),
            Err(NeverSent { claimed: u64::MAX, sent: 1 })
        );
    }

    #[test]
    fn what_a_session_loses_is_counted_by_message() {
        let mut outgoing = Outgoing::new(16 << 20);
        push(&mut outgoing, 1, b"sent").unwrap();
        take(&mut outgoing);
        push(&mut outgoing, 1, &vec![0; 300_000]).unwrap();
        push_as(&mut outgoing, FrameKind::Reply, 3, Room::Reply, &[]).unwrap();
        push_as(&mut outgoing, FrameKind::Control, 0, Room::Control, &[]).unwrap();
        assert_eq!(outgoing.clear(), Lost { messages: 2, replies: 1, control: 1 });
        assert_eq!(outgoing.held_bytes(), 0);
        assert_eq!(outgoing.clear(), Lost::default());
    }

    #[test]
    fn fragments_fill_records_up() {
        let mut outgoing = Outgoing::new(64 << 20);
        for _ in 0..4 {
            push(&mut outgoing, 1, &vec![7; 64 << 10]).unwrap();
        }
        let mut blocks = Vec::new();
        while outgoing.has_work() {
            blocks.extend(take(&mut outgoing).iter().map(|block| block.bytes().len()));
        }
        let full = BLOCK_BYTES_MAX - FRAGMENT_BYTES_WORTH;
        assert!(blocks[..blocks.len() - 1].iter().all(|bytes| *bytes > full), "{blocks:?}");
        assert_eq!(blocks.len(), 5, "{blocks:?}");
    }

    #[test]
    fn bulk_waits_for_the_window_and_control_does_not() {
        let mut outgoing = Outgoing::new(64 << 20);
        for _ in 0..2_000 {
            push(&mut outgoing, 1, &[7; 1000]).unwrap();
        }
        let mut sent = 0;
        while outgoing.has_work() {
            sent += take(&mut outgoing).iter().map(|block| block.bytes().len()).sum::<usize>();
        }
        assert!((256 << 10..(256 << 10) + 2 * BLOCK_BYTES_MAX).contains(&sent), "{sent}");
        push_as(&mut outgoing, FrameKind::Control, 0, Room::Control, b"now").unwrap();
        assert!(outgoing.has_work());
        assert_eq!(bodies(&take(&mut outgoing)), [b"now"]);
        assert!(!outgoing.has_work());
        let number = outgoing.next - 1;
        outgoing.acknowledge(Instant::now(), number).unwrap();
        assert!(outgoing.has_work());
    }

    #[test]
    fn small_turns_that_are_not_acknowledged_share_a_block() {
        let mut outgoing = Outgoing::new(1 << 20);
        for _ in 0..1_000 {
            push(&mut outgoing, 1, &[7; 100]).unwrap();
            take(&mut outgoing);
        }
        assert!(outgoing.replay.len() < 10, "{} blocks", outgoing.replay.len());
        assert_eq!(outgoing.held_bytes(), 108_000);
        assert_eq!(outgoing.rewind(Instant::now(), 500), Ok(501));
        let mut again = Vec::new();
        while outgoing.has_work() {
            again.extend(bodies(&take(&mut outgoing)));
        }
        assert_eq!(again.len(), 500);
        assert_eq!(outgoing.held_bytes(), 500 * 108);
    }

    #[test]
    fn what_was_acknowledged_is_not_lost() {
        let mut outgoing = Outgoing::new(1 << 20);
        for _ in 0..10 {
            push(&mut outgoing, 1, b"small").unwrap();
            take(&mut outgoing);
        }
        outgoing.acknowledge(Instant::now(), 7).unwrap();
        assert!(outgoing.replay[0].first <= 7, "the turns share a block");
        assert_eq!(outgoing.clear(), Lost { messages: 3, ..Lost::default() });
    }

    #[test]
    fn buffers_are_reused() {
        let mut outgoing = Outgoing::new(1 << 20);
        let mut buffers = std::collections::BTreeSet::new();
        for round in 1..=100 {
            push(&mut outgoing, 1, &[0; 1000]).unwrap();
            let turn = take(&mut outgoing);
            buffers.insert(turn[0].bytes().as_ptr() as usize);
            drop(turn);
            outgoing.acknowledge(Instant::now(), round).unwrap();
        }
        assert!(buffers.len() <= 2, "{} buffers for 100 turns", buffers.len());
    }
}

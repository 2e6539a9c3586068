//! A run of sequenced frames that travels in one record.

use hew_wire::frame::{FRAME_HEADER_BYTES, FragmentHead, Frame, FrameKind, RECORD_PLAINTEXT_BYTES_MAX};
use std::collections::BTreeMap;

/// Most bytes of a block: a record's, with room for an acknowledgement and a heartbeat beside it.
pub(crate) const BLOCK_BYTES_MAX: usize = RECORD_PLAINTEXT_BYTES_MAX - UNSEQUENCED_BYTES;
/// Bytes of an acknowledgement and a heartbeat.
const UNSEQUENCED_BYTES: usize = FRAME_HEADER_BYTES + size_of::<u64>() + FRAME_HEADER_BYTES;

/// Whole frames, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Block {
    /// Number of the first frame, once the block has left its lane.
    pub(super) first: u64,
    /// How many frames.
    pub(super) count: u64,
    /// Bytes that end in it, by [`Room`](super::outgoing::Room).
    pub(super) ends: [usize; 3],
    pub(super) bytes: Vec<u8>,
}

impl Block {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of the last frame.
    pub(super) fn last(&self) -> u64 {
        self.first + self.count - 1
    }

    /// Bytes that may still be added.
    pub(super) fn room(&self) -> usize {
        BLOCK_BYTES_MAX - self.bytes.len()
    }

    /// The frames after `number`.
    pub(super) fn after(&self, number: u64) -> &[u8] {
        let mut rest = &self.bytes[..];
        for _ in self.first..=number {
            let Ok((_, after)) = Frame::split(rest) else { break };
            rest = after;
        }
        rest
    }

    /// Forgets the frames up to `number`, which is one of this block's but not the last.
    pub(super) fn drop_through(&mut self, number: u64) {
        let gone = self.bytes.len() - self.after(number).len();
        self.bytes.drain(..gone);
        self.count -= number + 1 - self.first;
        self.first = number + 1;
    }

    /// Empties it; what it has allocated stays.
    pub(super) fn clear(&mut self) {
        (self.first, self.count, self.ends) = (0, 0, [0; 3]);
        self.bytes.clear();
    }
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

/// Counts what is in blocks of a session, in their order.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) lost: Lost,
    /// What the fragments that were seen from their first on are parts of.
    parts: BTreeMap<u32, Option<FrameKind>>,
}

impl Tally {
    /// Counts whole messages: of a fragmented one, the fragment that ends it. If its first fragment is not here, having
    /// been acknowledged, it counts as a message.
    pub(super) fn count(&mut self, mut bytes: &[u8]) {
        while let Ok((frame, rest)) = Frame::split(bytes) {
            bytes = rest;
            let kind = match FrameKind::from_u8(frame.header.kind) {
                Some(FrameKind::Fragment) => match self.fragment(&frame) {
                    Some(kind) => kind,
                    None => continue,
                },
                kind => kind,
            };
            match kind {
                Some(FrameKind::Message) => self.lost.messages += 1,
                Some(FrameKind::Reply) => self.lost.replies += 1,
                _ => self.lost.control += 1,
            }
        }
    }

    /// What the fragment ends, if it ends something.
    fn fragment(&mut self, frame: &Frame<'_>) -> Option<Option<FrameKind>> {
        let (head, part) = FragmentHead::decode(frame).ok()?;
        if let (0, [kind, ..]) = (head.offset, part) {
            self.parts.insert(head.id, FrameKind::from_u8(*kind));
        }
        let is_last = head.offset as usize + part.len() == head.total as usize;
        is_last.then(|| self.parts.remove(&head.id).unwrap_or(Some(FrameKind::Message)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hew_wire::frame::{LANE_CONTROL, write_frame, write_number};

    #[test]
    fn a_full_block_leaves_room_for_an_acknowledgement_and_a_heartbeat() {
        let mut beside = Vec::new();
        write_number(&mut beside, FrameKind::Ack, u64::MAX);
        write_frame(&mut beside, FrameKind::Heartbeat, LANE_CONTROL, 0, &[]);
        assert_eq!(BLOCK_BYTES_MAX + beside.len(), RECORD_PLAINTEXT_BYTES_MAX);
    }

    #[test]
    fn what_was_received_is_dropped_from_the_front() {
        let mut block = Block { first: 5, count: 4, ..Block::default() };
        for body in [&b"a"[..], b"bb", b"ccc", b"dddd"] {
            write_frame(&mut block.bytes, FrameKind::Message, 1, 0, &[body]);
        }
        block.drop_through(6);
        assert_eq!((block.first, block.count, block.last()), (7, 2, 8));
        assert_eq!(Frame::split(block.bytes()).unwrap().0.body, b"ccc");
    }
}

//! Frames: what a link carries inside its records.
//!
//! A frame is an eight-byte little-endian header (kind, lane, flags, length) and a body. Kinds below
//! [`UNSEQUENCED_FROM`] are *sequenced*: they are numbered by being counted, kept by the sender until acknowledged and
//! sent again after a broken connection. The others speak about the connection itself and are never repeated. A kind
//! that is not known is skipped, and counted as sequenced if its number says so: old and new nodes stay in step.

use crate::{DecodeError, Pid};

/// Bytes of a frame's header.
pub const FRAME_HEADER_BYTES: usize = 8;
/// Most plaintext bytes that one record carries: 65,535 less the 16-byte tag.
pub const RECORD_PLAINTEXT_BYTES_MAX: usize = 65_519;
/// Longest body of a frame, so that a record holds at least one whole frame.
pub const FRAME_BODY_BYTES_MAX: usize = RECORD_PLAINTEXT_BYTES_MAX - FRAME_HEADER_BYTES;
/// Most bytes of a larger frame that one fragment carries.
pub const FRAGMENT_BYTES_MAX: usize = 60 * 1024;
/// Default bound on a message's payload: 64 MiB.
pub const PAYLOAD_BYTES_DEFAULT: usize = 64 << 20;
/// Kinds from here on are not sequenced.
pub const UNSEQUENCED_FROM: u8 = 0x80;
/// The lane of control frames; 1 to [`LANES`] − 1 are ordinary lanes.
pub const LANE_CONTROL: u8 = 0;
/// Number of lanes, the control lane included.
pub const LANES: u8 = 9;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// A message to an actor: [`MessageHead`], then the payload.
    Message = 0x01,
    /// The answer to an ask: [`ReplyHead`], then the value or the text of the error.
    Reply = 0x02,
    /// A control message, in MessagePack ([`crate::control`]).
    Control = 0x03,
    /// A part of a larger frame: [`FragmentHead`], then the part.
    Fragment = 0x04,
    /// First frame of a connection in each direction: the number (u64) that the next sequenced frame has.
    Start = 0x80,
    /// The number (u64) of sequenced frames received so far in this session.
    Ack = 0x81,
    /// Asks for an [`FrameKind::Ack`] at once; no body.
    Heartbeat = 0x82,
    /// The last frame of a connection that ends on purpose: a reason in UTF-8, at most 255 bytes.
    Goodbye = 0x83,
}

impl FrameKind {
    /// The kind with that number, if this version knows it.
    pub fn from_u8(kind: u8) -> Option<FrameKind> {
        Some(match kind {
            0x01 => FrameKind::Message,
            0x02 => FrameKind::Reply,
            0x03 => FrameKind::Control,
            0x04 => FrameKind::Fragment,
            0x80 => FrameKind::Start,
            0x81 => FrameKind::Ack,
            0x82 => FrameKind::Heartbeat,
            0x83 => FrameKind::Goodbye,
            _ => return None,
        })
    }
}

/// Bits of a frame's flags. The lower eight may be ignored by who does not know them; a frame with an unknown bit
/// among the upper eight is dropped and counted.
pub mod flags {
    /// The goodbye is said because nothing was sent for a while: the session stays, and either side dials when it has
    /// something for the other.
    pub const IDLE: u16 = 0x0001;
    /// The message carries a reply reference: the sender waits for a [`super::FrameKind::Reply`].
    pub const REPLY: u16 = 0x0100;
    /// In place of its payload the message or reply carries a [`Compressed`](crate::compression::Compressed) one. No other
    /// kind of frame knows this bit.
    pub const COMPRESSED: u16 = 0x0200;
    /// The bits that must be understood.
    pub const MANDATORY: u16 = 0xFF00;
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// A [`FrameKind`], or a number that a later version gave a meaning.
    pub kind: u8,
    /// 0 for control, else an ordinary lane.
    pub lane: u8,
    /// See [`flags`].
    pub flags: u16,
    /// Bytes of the body, at most [`FRAME_BODY_BYTES_MAX`] on a link.
    pub length: u32,
}

impl FrameHeader {
    /// The eight bytes.
    pub fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let (flags, length) = (self.flags.to_le_bytes(), self.length.to_le_bytes());
        [self.kind, self.lane, flags[0], flags[1], length[0], length[1], length[2], length[3]]
    }

    /// Reads the header of the first frame in `bytes`.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when there are fewer than eight bytes.
    pub fn decode(bytes: &[u8]) -> Result<FrameHeader, DecodeError> {
        let Some(&[kind, lane, f0, f1, l0, l1, l2, l3]) = bytes.first_chunk::<FRAME_HEADER_BYTES>() else {
            return Err(DecodeError::Truncated { what: "frame header" });
        };
        Ok(FrameHeader {
            kind,
            lane,
            flags: u16::from_le_bytes([f0, f1]),
            length: u32::from_le_bytes([l0, l1, l2, l3]),
        })
    }

    /// Whether the flags hold a bit that must be understood, and is not in a frame of this kind.
    pub fn has_unknown_flags(&self) -> bool {
        let known = match FrameKind::from_u8(self.kind) {
            Some(FrameKind::Message | FrameKind::Reply) => flags::REPLY | flags::COMPRESSED,
            _ => flags::REPLY,
        };
        self.flags & flags::MANDATORY & !known != 0
    }

    /// Whether a goodbye says that the connection was idle.
    pub fn is_idle(&self) -> bool {
        self.flags & flags::IDLE != 0
    }

    /// Whether the payload is compressed, if it has one.
    pub fn is_compressed(&self) -> bool {
        self.flags & flags::COMPRESSED != 0
    }

    /// Whether a frame of this kind is counted, kept until acknowledged, and repeated after a broken connection.
    pub fn is_sequenced(&self) -> bool {
        self.kind < UNSEQUENCED_FROM
    }
}

/// One frame inside a record or a buffer of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its header.
    pub header: FrameHeader,
    /// Its body.
    pub body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Splits the first frame off `bytes`.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when `bytes` end inside the frame. Records carry whole frames, so on a link that is
    /// a lie of the peer.
    pub fn split(bytes: &'a [u8]) -> Result<(Frame<'a>, &'a [u8]), DecodeError> {
        let header = FrameHeader::decode(bytes)?;
        let rest = &bytes[FRAME_HEADER_BYTES..];
        let length = header.length as usize;
        if length > rest.len() {
            return Err(DecodeError::Truncated { what: "frame" });
        }
        let (body, rest) = rest.split_at(length);
        Ok((Frame { header, body }, rest))
    }

    /// Bytes of header and body.
    pub fn encoded_bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.body.len()
    }
}

/// Appends a frame whose body is `parts`, one after the other.
///
/// # Panics
/// If the parts are longer than 4 GiB together; callers bound them far below.
pub fn write_frame(out: &mut Vec<u8>, kind: FrameKind, lane: u8, flags: u16, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length).expect("callers bound payloads far below 4 GiB");
    out.extend_from_slice(&FrameHeader { kind: kind as u8, lane, flags, length }.encode());
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// The beginning of a frame: its header and its fixed fields, without the bytes that follow.
///
/// Kept as words, each of which is written by itself: written as bytes and read again as more of them at once, they would
/// stall the processor for longer than everything else that is done for a small message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameFront {
    words: [u64; FrameFront::BYTES_MAX.div_ceil(8)],
    length: usize,
}

impl FrameFront {
    /// Most bytes of a front.
    pub const BYTES_MAX: usize = FRAME_HEADER_BYTES + MessageHead::BYTES_WITH_REPLY;

    /// The front of a frame without fixed fields, with a body of so many bytes.
    ///
    /// # Panics
    /// If the body is longer than 4 GiB; callers bound payloads far below.
    pub fn new(kind: FrameKind, lane: u8, flags: u16, body_bytes: usize) -> FrameFront {
        let length = u32::try_from(body_bytes).expect("callers bound payloads far below 4 GiB");
        let header = FrameHeader { kind: kind as u8, lane, flags, length };
        let mut words = [0; FrameFront::BYTES_MAX.div_ceil(8)];
        words[0] = u64::from_le_bytes(header.encode());
        FrameFront { words, length: FRAME_HEADER_BYTES }
    }

    /// How many bytes it has.
    #[inline]
    pub fn len(&self) -> usize {
        self.length
    }

    /// The same with [`flags::COMPRESSED`].
    pub fn compressed(mut self) -> FrameFront {
        // The flags are the third and fourth byte of the header.
        self.words[0] |= u64::from(flags::COMPRESSED) << 16;
        self
    }

    /// Never: it has a header.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Appends its bytes.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut left = self.length;
        for word in self.words {
            let bytes = word.to_le_bytes();
            match left {
                8.. => out.extend_from_slice(&bytes),
                4..8 => {
                    out.extend_from_slice(&bytes[..4]);
                    out.extend_from_slice(&bytes[4..left]);
                }
                _ => out.extend_from_slice(&bytes[..left]),
            }
            left = left.saturating_sub(8);
        }
    }
}

/// The fixed fields of a [`FrameKind::Message`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageHead {
    /// The actor it is for.
    pub target: Pid,
    /// The actor that sent it; [`Pid::from_raw`]`(0)` when no actor did.
    pub source: Pid,
    /// Which message it is; for a Rust enum the index of the variant.
    pub msg_type: i32,
    /// Present with [`flags::REPLY`]: what a [`ReplyHead`] names to answer this message.
    pub reply: Option<u64>,
}

impl MessageHead {
    /// Bytes of the fixed fields without the reply reference.
    pub const BYTES: usize = 20;
    /// Bytes with the reply reference.
    pub const BYTES_WITH_REPLY: usize = 28;

    /// Appends a whole message frame.
    pub fn write(&self, out: &mut Vec<u8>, lane: u8, payload: &[u8]) {
        self.front(lane, payload.len()).write(out);
        out.extend_from_slice(payload);
    }

    /// What comes before a payload of so many bytes: the frame's header and the fixed fields.
    ///
    /// # Panics
    /// If the frame is longer than 4 GiB; callers bound payloads far below.
    #[inline]
    pub fn front(&self, lane: u8, payload_bytes: usize) -> FrameFront {
        let (flags, fields) = match self.reply {
            Some(_) => (flags::REPLY, Self::BYTES_WITH_REPLY),
            None => (0, Self::BYTES),
        };
        let mut front = FrameFront::new(FrameKind::Message, lane, flags, fields + payload_bytes);
        let reply = self.reply.unwrap_or(0);
        front.words[1] = self.target.raw();
        front.words[2] = self.source.raw();
        // The message type, and the first half of the reply reference; the second half stands alone.
        front.words[3] = u64::from(self.msg_type as u32) | reply << 32;
        front.words[4] = reply >> 32;
        front.length += fields;
        front
    }

    /// Reads the fields; the rest is the payload.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when the body is shorter than its fields.
    pub fn decode<'a>(frame: &Frame<'a>) -> Result<(MessageHead, &'a [u8]), DecodeError> {
        let mut body = Fields { what: "message", rest: frame.body };
        let target = Pid::from_raw(body.u64()?);
        let source = Pid::from_raw(body.u64()?);
        let msg_type = body.u32()? as i32;
        let reply = if frame.header.flags & flags::REPLY != 0 { Some(body.u64()?) } else { None };
        Ok((MessageHead { target, source, msg_type, reply }, body.rest))
    }
}

/// The fixed fields of a [`FrameKind::Reply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyHead {
    /// The reference that the message carried.
    pub reference: u64,
    /// 0: the rest is the value. Otherwise the number of an error, and the rest is its text in UTF-8.
    pub status: u8,
}

impl ReplyHead {
    /// Bytes of the fixed fields.
    pub const BYTES: usize = 9;

    /// Appends a whole reply frame.
    pub fn write(&self, out: &mut Vec<u8>, lane: u8, value: &[u8]) {
        self.front(lane, value.len()).write(out);
        out.extend_from_slice(value);
    }

    /// What comes before a value of so many bytes, as [`MessageHead::front`].
    ///
    /// # Panics
    /// As there.
    #[inline]
    pub fn front(&self, lane: u8, value_bytes: usize) -> FrameFront {
        let mut front = FrameFront::new(FrameKind::Reply, lane, 0, Self::BYTES + value_bytes);
        front.words[1] = self.reference;
        front.words[2] = u64::from(self.status);
        front.length += Self::BYTES;
        front
    }

    /// Reads the fields; the rest is the value or the text of the error.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when the body is shorter than its fields.
    pub fn decode<'a>(frame: &Frame<'a>) -> Result<(ReplyHead, &'a [u8]), DecodeError> {
        let mut body = Fields { what: "reply", rest: frame.body };
        let reference = body.u64()?;
        let status = body.u8()?;
        Ok((ReplyHead { reference, status }, body.rest))
    }
}

/// The fixed fields of a [`FrameKind::Fragment`]. The parts, in order, are one larger frame, header included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentHead {
    /// Which larger frame: counted by the sender, unique while it is incomplete.
    pub id: u32,
    /// Bytes of the larger frame, header included.
    pub total: u32,
    /// Where this part begins; parts of one frame arrive in order and without gaps.
    pub offset: u32,
}

impl FragmentHead {
    /// Bytes of the fixed fields.
    pub const BYTES: usize = 12;

    /// Appends a whole fragment frame.
    pub fn write(&self, out: &mut Vec<u8>, lane: u8, part: &[u8]) {
        self.write_parts(out, lane, [part, &[]]);
    }

    /// As [`FragmentHead::write`], of a part that lies in two places.
    pub fn write_parts(&self, out: &mut Vec<u8>, lane: u8, [first, second]: [&[u8]; 2]) {
        let (id, total, offset) =
            (self.id.to_le_bytes(), self.total.to_le_bytes(), self.offset.to_le_bytes());
        write_frame(out, FrameKind::Fragment, lane, 0, &[&id, &total, &offset, first, second]);
    }

    /// Reads the fields; the rest is the part.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when the body is shorter than its fields, [`DecodeError::Invalid`] when the part is
    /// empty or reaches beyond the total.
    pub fn decode<'a>(frame: &Frame<'a>) -> Result<(FragmentHead, &'a [u8]), DecodeError> {
        let mut body = Fields { what: "fragment", rest: frame.body };
        let head = FragmentHead { id: body.u32()?, total: body.u32()?, offset: body.u32()? };
        let part = body.rest;
        if part.is_empty() || u64::from(head.offset) + part.len() as u64 > u64::from(head.total) {
            let reason = format!("{} bytes at {} of {}", part.len(), head.offset, head.total);
            return Err(DecodeError::Invalid { what: "fragment", reason });
        }
        Ok((head, part))
    }
}

/// Appends a [`FrameKind::Start`], an [`FrameKind::Ack`]: a frame whose body is one number.
pub fn write_number(out: &mut Vec<u8>, kind: FrameKind, number: u64) {
    write_frame(out, kind, LANE_CONTROL, 0, &[&number.to_le_bytes()]);
}

/// Reads the body of a [`FrameKind::Start`] or an [`FrameKind::Ack`]. Bytes after the number belong to later versions.
///
/// # Errors
/// [`DecodeError::Truncated`] when the body is shorter than eight bytes.
pub fn read_number(frame: &Frame<'_>) -> Result<u64, DecodeError> {
    Fields { what: "number", rest: frame.body }.u64()
}

struct Fields<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (field, rest) =
            self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated { what: self.what })?;
        self.rest = rest;
        Ok(*field)
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take::<1>()?[0])
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.take()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeId;
    use proptest::prelude::*;

    #[test]
    fn a_message_frame_has_these_bytes() {
        let head = MessageHead {
            target: Pid::new(NodeId::from_raw(2), 0x0506_0708),
            source: Pid::new(NodeId::from_raw(1), 0x0102),
            msg_type: -2,
            reply: Some(0x1122_3344_5566_7788),
        };
        let mut bytes = Vec::new();
        head.write(&mut bytes, 3, b"\xc0");
        let golden = [
            1, 3, 0x00, 0x01, 29, 0, 0, 0, // kind, lane, flags, length
            8, 7, 6, 5, 0, 0, 2, 0, // target
            2, 1, 0, 0, 0, 0, 1, 0, // source
            0xFE, 0xFF, 0xFF, 0xFF, // msg_type
            0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, // reply
            0xC0, // payload
        ];
        assert_eq!(bytes, golden);
        let (frame, rest) = Frame::split(&bytes).unwrap();
        assert!(rest.is_empty());
        assert_eq!(MessageHead::decode(&frame).unwrap(), (head, &b"\xc0"[..]));
        for end in 0..bytes.len() {
            assert!(Frame::split(&bytes[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn fields_cut_short_are_refused() {
        let check = |kind: FrameKind, flags: u16, needed: usize, decode: &dyn Fn(&Frame<'_>) -> bool| {
            for length in 0..=needed {
                let body = vec![1; length];
                let header = FrameHeader { kind: kind as u8, lane: 0, flags, length: length as u32 };
                assert_eq!(
                    decode(&Frame { header, body: &body }),
                    length >= needed,
                    "{kind:?} of {length} bytes"
                );
            }
        };
        check(FrameKind::Message, 0, 20, &|frame| MessageHead::decode(frame).is_ok());
        check(FrameKind::Message, flags::REPLY, 28, &|frame| MessageHead::decode(frame).is_ok());
        check(FrameKind::Reply, 0, 9, &|frame| ReplyHead::decode(frame).is_ok());
        check(FrameKind::Ack, 0, 8, &|frame| read_number(frame).is_ok());
    }

    #[test]
    fn fragments_stay_inside_their_total() {
        for (total, offset, part, legal) in [
            (10, 0, 10, true),
            (10, 4, 6, true),
            (10, 4, 7, false),
            (10, 10, 0, false),
            (u32::MAX, u32::MAX, 1, false),
        ] {
            let mut bytes = Vec::new();
            FragmentHead { id: 7, total, offset }.write(&mut bytes, 1, &vec![9; part]);
            let (frame, _) = Frame::split(&bytes).unwrap();
            assert_eq!(FragmentHead::decode(&frame).is_ok(), legal, "{part} at {offset} of {total}");
        }
    }

    #[test]
    fn a_fragment_fits_into_a_record() {
        const {
            assert!(
                FRAME_HEADER_BYTES + FragmentHead::BYTES + FRAGMENT_BYTES_MAX <= RECORD_PLAINTEXT_BYTES_MAX
            )
        };
    }

    proptest! {
        #[test]
        fn any_bytes_split_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok((frame, rest)) = Frame::split(&bytes) {
                prop_assert_eq!(frame.encoded_bytes() + rest.len(), bytes.len());
                let _ = MessageHead::decode(&frame);
                let _ = ReplyHead::decode(&frame);
                let _ = FragmentHead::decode(&frame);
                let _ = read_number(&frame);
            }
        }
    }
}

//! Records and frames by hand, after a handshake that went well.

use super::Heard;
use super::forge::Wire;
use hew_wire::control::Control;
use hew_wire::frame::{
    FragmentHead, Frame, FrameHeader, FrameKind, LANE_CONTROL, MessageHead, ReplyHead, read_number,
    write_frame, write_number,
};
use hew_wire::{Pid, Verdict};
use snow::TransportState;
use std::collections::VecDeque;

/// A link whose one end is the evil peer.
pub struct EvilLink {
    /// The bytes below the records.
    pub wire: Wire,
    /// Whether the node dialled, and still waits for the last verdict.
    pub dialed_by_node: bool,
    session: TransportState,
    frames: VecDeque<(FrameHeader, Vec<u8>)>,
    /// Sequenced frames sent, and bytes with them.
    sent: (u64, usize),
}

/// So many bytes may be acknowledged before the node has seen all of them.
const ACKNOWLEDGED_EARLY_BYTES: usize = 100_000;

impl EvilLink {
    pub(super) fn new(wire: Wire, session: TransportState) -> EvilLink {
        EvilLink { wire, dialed_by_node: false, session, frames: VecDeque::new(), sent: (0, 0) }
    }

    /// As a dialer: the link, if the listener's last verdict is 0.
    pub(super) fn after_verdict(wire: Wire, session: TransportState) -> Result<EvilLink, Heard> {
        let mut link = EvilLink::new(wire, session);
        let record = link.read_record()?;
        match Verdict::decode(&record) {
            Ok(Verdict::Accepted) => Ok(link),
            Ok(Verdict::Refused(refusal)) => match link.wire.fate() {
                Heard::Closed => Err(Heard::Refused {
                    status: refusal.status.byte(),
                    reason: refusal.reason,
                    sealed: true,
                }),
                after => Err(Heard::Odd(format!("after a sealed verdict: {after}"))),
            },
            Err(error) => Err(Heard::Odd(format!("the last verdict: {error}"))),
        }
    }

    /// One record, sealed.
    pub fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0; plain.len() + 16];
        let length = self.session.write_message(plain, &mut buffer).expect("it fits into a record");
        [&(length as u16).to_be_bytes()[..], &buffer[..length]].concat()
    }

    /// Seals and sends one record.
    pub fn send(&mut self, plain: &[u8]) {
        if let Ok((frame, _)) = Frame::split(plain)
            && frame.header.is_sequenced()
        {
            self.sent.0 += 1;
        }
        self.sent.1 += plain.len();
        let record = self.seal(plain);
        self.wire.send(&record);
    }

    /// Begins as the rules ask for.
    pub fn start(&mut self) -> &mut EvilLink {
        self.send(&number(FrameKind::Start, 1));
        self
    }

    /// Asks for a sign of life; otherwise how the connection ended.
    pub fn pulse(&mut self) -> Heard {
        self.send(&frame(FrameKind::Heartbeat, 0, &[]));
        loop {
            match self.read_frame() {
                Ok((header, body)) if header.kind == FrameKind::Ack as u8 => {
                    let number = read_number(&Frame { header, body: &body }).expect("the node's number");
                    if number >= self.sent.0 || self.sent.1 < ACKNOWLEDGED_EARLY_BYTES {
                        return Heard::Alive;
                    }
                }
                Ok(_) => {}
                Err(end) => return end,
            }
        }
    }

    /// Reads until the end, and says that it came.
    pub fn fate(&mut self) -> Heard {
        loop {
            if let Err(end) = self.read_frame() {
                return end;
            }
        }
    }

    /// The next reply.
    pub fn read_reply(&mut self) -> Result<(ReplyHead, Vec<u8>), Heard> {
        loop {
            let (header, body) = self.read_frame()?;
            if header.kind == FrameKind::Reply as u8 {
                let frame = Frame { header, body: &body };
                let (head, value) = ReplyHead::decode(&frame).expect("the node's reply");
                return Ok((head, value.to_vec()));
            }
        }
    }

    /// The next control message that `wanted` takes.
    pub fn read_control<T>(&mut self, wanted: impl Fn(Control) -> Option<T>) -> Result<T, Heard> {
        loop {
            let (header, body) = self.read_frame()?;
            if header.kind == FrameKind::Control as u8
                && let Some(found) = Control::decode(&body).ok().and_then(&wanted)
            {
                return Ok(found);
            }
        }
    }

    fn read_frame(&mut self) -> Result<(FrameHeader, Vec<u8>), Heard> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Ok(frame);
            }
            let record = self.read_record()?;
            let mut rest = &record[..];
            while !rest.is_empty() {
                let (frame, after) = Frame::split(rest).expect("the node's records hold whole frames");
                self.frames.push_back((frame.header, frame.body.to_vec()));
                rest = after;
            }
        }
    }

    fn read_record(&mut self) -> Result<Vec<u8>, Heard> {
        let record = self.wire.read_framed()?;
        let mut plain = vec![0; record.len()];
        match self.session.read_message(&record, &mut plain) {
            Ok(length) => Ok(plain[..length].to_vec()),
            Err(error) => Err(Heard::Odd(format!("a record of the node: {error}"))),
        }
    }
}

/// A frame.
pub fn frame(kind: FrameKind, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_frame(&mut bytes, kind, LANE_CONTROL, flags, &[body]);
    bytes
}

/// A frame of any kind, with any length in its header.
pub fn raw_frame(kind: u8, flags: u16, length: u32, body: &[u8]) -> Vec<u8> {
    [&FrameHeader { kind, lane: 1, flags, length }.encode()[..], body].concat()
}

/// A start or an acknowledgement.
pub fn number(kind: FrameKind, value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_number(&mut bytes, kind, value);
    bytes
}

/// A control message.
pub fn control(control: &Control) -> Vec<u8> {
    let mut body = Vec::new();
    control.encode(&mut body).expect("it fits");
    frame(FrameKind::Control, 0, &body)
}

/// A message; a question if it has a reference.
pub fn message(target: Pid, msg_type: i32, reply: Option<u64>, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    MessageHead { target, source: Pid::from_raw(0), msg_type, reply }.write(&mut bytes, 1, payload);
    bytes
}

/// A fragment.
pub fn fragment(id: u32, total: u32, offset: u32, part: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    FragmentHead { id, total, offset }.write(&mut bytes, 1, part);
    bytes
}

/// A reply.
pub fn reply(reference: u64, status: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    ReplyHead { reference, status }.write(&mut bytes, 1, value);
    bytes
}

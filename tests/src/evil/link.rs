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
use std::time::Instant;

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
        let record = link.read_record(link.wire.deadline())?;
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

    /// Asks for a sign of life; otherwise how the connection ended. The sign is an acknowledgement: of everything sent
    /// so far, if that is so much that an earlier one may be under way.
    pub fn pulse(&mut self) -> Heard {
        self.send(&frame(FrameKind::Heartbeat, 0, &[]));
        let least = if self.sent.1 < ACKNOWLEDGED_EARLY_BYTES { 0 } else { self.sent.0 };
        let acknowledged = self.await_frame(&format!("an acknowledgement of frame {least}"), |frame| {
            (frame.header.kind == FrameKind::Ack as u8)
                .then(|| read_number(frame).expect("the node's number"))
                .filter(|number| *number >= least)
        });
        match acknowledged {
            Ok(_) => Heard::Alive,
            Err(end) => end,
        }
    }

    /// Reads until the end, and says that it came.
    pub fn fate(&mut self) -> Heard {
        match self.await_frame("the end", |_| None::<()>) {
            Ok(()) => Heard::Odd("a frame that nobody asked for".into()),
            Err(end) => end,
        }
    }

    /// The next reply.
    pub fn read_reply(&mut self) -> Result<(ReplyHead, Vec<u8>), Heard> {
        self.await_frame("a reply", |frame| {
            (frame.header.kind == FrameKind::Reply as u8).then(|| {
                let (head, value) = ReplyHead::decode(frame).expect("the node's reply");
                (head, value.to_vec())
            })
        })
    }

    /// The next control message that `wanted` takes.
    pub fn read_control<T>(&mut self, wanted: impl Fn(Control) -> Option<T>) -> Result<T, Heard> {
        self.await_frame("a control message", |frame| {
            let is_control = frame.header.kind == FrameKind::Control as u8;
            is_control.then(|| Control::decode(frame.body).ok()).flatten().and_then(&wanted)
        })
    }

    /// The first frame that `wanted` takes, within the patience of the wire, however much else the node says.
    fn await_frame<T>(
        &mut self,
        awaited: &str,
        wanted: impl Fn(&Frame<'_>) -> Option<T>,
    ) -> Result<T, Heard> {
        let until = self.wire.deadline();
        let mut others = 0;
        loop {
            let read = if Instant::now() < until {
                self.read_frame(until)
            } else {
                Err(Heard::Odd("the time is up".into()))
            };
            let (header, body) = read.map_err(|heard| match heard {
                Heard::Odd(what) => {
                    Heard::Odd(format!("{what}; {awaited} was awaited, and {others} other frames came"))
                }
                end => end,
            })?;
            if let Some(found) = wanted(&Frame { header, body: &body }) {
                return Ok(found);
            }
            others += 1;
        }
    }

    fn read_frame(&mut self, until: Instant) -> Result<(FrameHeader, Vec<u8>), Heard> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Ok(frame);
            }
            let record = self.read_record(until)?;
            let mut rest = &record[..];
            while !rest.is_empty() {
                let (frame, after) = Frame::split(rest).expect("the node's records hold whole frames");
                self.frames.push_back((frame.header, frame.body.to_vec()));
                rest = after;
            }
        }
    }

    fn read_record(&mut self, until: Instant) -> Result<Vec<u8>, Heard> {
        let record = self.wire.read_framed_until(until)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::thread::JoinHandle;
    use std::time::Duration;

    const PATTERN: &str = "Noise_NN_25519_ChaChaPoly_BLAKE2s";
    /// Whoever talks on stops after that, so that a wait without a deadline shows as one that took too long.
    const TALK: Duration = Duration::from_secs(10);
    /// A wait of 200 ms is over by then, on a busy machine as well.
    const SOON: Duration = Duration::from_secs(5);

    /// Both ends of a session.
    fn sessions() -> (TransportState, TransportState) {
        let builder = || snow::Builder::new(PATTERN.parse().unwrap());
        let (mut one, mut other) =
            (builder().build_initiator().unwrap(), builder().build_responder().unwrap());
        let (mut message, mut payload) = ([0; 128], [0; 128]);
        let length = one.write_message(&[], &mut message).unwrap();
        other.read_message(&message[..length], &mut payload).unwrap();
        let length = other.write_message(&[], &mut message).unwrap();
        one.read_message(&message[..length], &mut payload).unwrap();
        (one.into_transport_mode().unwrap(), other.into_transport_mode().unwrap())
    }

    /// A link to somebody who says `frame` again and again, until the link is dropped.
    fn talked_at(frame: Vec<u8>) -> (EvilLink, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, theirs) = sessions();
        let mut talker = EvilLink::new(Wire::accept(&listener), theirs);
        let talking = std::thread::spawn(move || {
            let until = Instant::now() + TALK;
            while Instant::now() < until {
                let record = talker.seal(&frame);
                if !talker.wire.try_send(&record) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let mut link = EvilLink::new(Wire::new(stream), ours);
        link.wire.patience = Duration::from_millis(200);
        (link, talking)
    }

    #[test]
    fn whoever_talks_on_is_not_listened_to_for_ever() {
        type Wait = fn(&mut EvilLink) -> Heard;
        let waits: [(&str, Wait); 5] = [
            ("an acknowledgement of frame 0", EvilLink::pulse),
            ("an acknowledgement of frame 1", |link| {
                link.send(&message(Pid::from_raw(0), 0, None, &[0; 60_000]));
                link.sent.1 = ACKNOWLEDGED_EARLY_BYTES;
                link.pulse()
            }),
            ("the end", EvilLink::fate),
            ("a reply", |link| link.read_reply().unwrap_err()),
            ("a control message", |link| link.read_control(Some).unwrap_err()),
        ];
        for (awaited, wait) in waits {
            // What never is what is awaited: an acknowledgement only of less.
            let said = if awaited.ends_with('1') {
                number(FrameKind::Ack, 0)
            } else {
                frame(FrameKind::Heartbeat, 0, &[])
            };
            let (mut link, talking) = talked_at(said);
            let begun = Instant::now();
            let heard = wait(&mut link);
            let took = begun.elapsed();
            assert!(took < SOON, "{awaited}: {took:?}");
            let Heard::Odd(what) = heard else { panic!("{awaited}: {heard}") };
            assert!(what.contains(&format!("{awaited} was awaited")), "{what}");
            drop(link);
            talking.join().unwrap();
        }
    }

    #[test]
    fn bytes_that_trickle_are_not_listened_to_for_ever() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut trickler = Wire::accept(&listener);
        let trickling = std::thread::spawn(move || {
            let until = Instant::now() + TALK;
            while Instant::now() < until && trickler.try_send(&[0]) {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let mut wire = Wire::new(stream);
        wire.patience = Duration::from_millis(200);
        let waits: [fn(&mut Wire) -> Heard; 3] =
            [|wire| wire.read_exact::<4096>().unwrap_err(), |wire| wire.read_reason(4, false), Wire::fate];
        for wait in waits {
            let begun = Instant::now();
            let heard = wait(&mut wire);
            assert!(matches!(heard, Heard::Odd(_)), "{heard}");
            assert!(begun.elapsed() < SOON, "{heard} after {:?}", begun.elapsed());
        }
        drop(wire);
        trickling.join().unwrap();
    }
}

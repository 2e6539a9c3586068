//! Compressed payloads that lie, that are bombs, or that nobody agreed on.

use super::*;
use crate::records::add;
use hew_wire::compression::{Compression, RATIO_MAX};
use hew_wire::frame::{
    FRAGMENT_BYTES_MAX, FRAME_HEADER_BYTES, MessageHead, PAYLOAD_BYTES_DEFAULT, ReplyHead,
};

/// So many zeros as a block by hand: one of them, then a match with the byte before for all but five of the others.
fn zeros(count: usize) -> Vec<u8> {
    let more = count - 1 - 5 - 19;
    let mut block = vec![0x1f, 0, 1, 0];
    block.resize(block.len() + more / RATIO_MAX, 0xff);
    block.push((more % RATIO_MAX) as u8);
    block.extend([0x50, 0, 0, 0, 0, 0]);
    block
}

/// Bytes as a block by hand, which has nothing but literals.
fn literals(bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 15, "the length fits into the token");
    [&[(bytes.len() as u8) << 4][..], bytes].concat()
}

fn with_size(size: usize, block: &[u8]) -> Vec<u8> {
    [&(size as u32).to_le_bytes(), block].concat()
}

/// A message to the counter with these bytes in place of its payload.
fn sent(stage: &Stage, msg_type: i32, reply: Option<u64>, rest: &[u8]) -> Vec<u8> {
    let head = MessageHead { target: stage.counter.pid(), source: Pid::from_raw(0), msg_type, reply };
    let mut bytes = Vec::new();
    head.front(1, rest.len()).compressed().write(&mut bytes);
    bytes.extend(rest);
    bytes
}

/// A link whose extension names these bits.
fn link(stage: &Stage, compression: u32) -> Result<EvilLink, Heard> {
    let mut words = extension(Role::Client, stage.next_incarnation());
    words.compression = compression;
    let mut link = Script::new(EVIL, &stage.key, &words).dial(stage.address)?;
    link.start();
    Ok(link)
}

/// On a link that agreed on LZ4: these frames, and then an honest message, which arrives if the link lives.
fn with_frames(stage: &Stage, frames: &[Vec<u8>]) -> Result<Heard, Heard> {
    let mut link = link(stage, Compression::Lz4.bits())?;
    for frame in frames {
        link.send(frame);
    }
    Ok(link.pulse())
}

/// On a link that agreed on LZ4: a message with these bytes in place of its payload.
fn told(stage: &Stage, rest: &[u8]) -> Result<Heard, Heard> {
    with_frames(stage, &[sent(stage, 0, None, rest)])
}

/// The same as a question, which has to be answered with that status.
fn asked(stage: &Stage, rest: &[u8], status: u8) -> Result<Heard, Heard> {
    let mut link = link(stage, Compression::Lz4.bits())?;
    link.send(&sent(stage, messages::GET, Some(77), rest));
    let (head, text) = link.read_reply()?;
    if (head.reference, head.status) != (77, status) {
        return Ok(Heard::Odd(format!("the answer is {head:?}, expected status {status}")));
    }
    if status != 0 && text.is_empty() {
        return Ok(Heard::Odd("nobody says what was wrong".into()));
    }
    Ok(link.pulse())
}

/// A frame in fragments.
fn cut(whole: &[u8]) -> Vec<Vec<u8>> {
    let parts = whole.chunks(FRAGMENT_BYTES_MAX).enumerate();
    parts
        .map(|(number, part)| fragment(5, whole.len() as u32, (number * FRAGMENT_BYTES_MAX) as u32, part))
        .collect()
}

const LIES: &[(&str, u64)] = &[("message decompression", 1)];
const TOO_LARGE: &[(&str, u64)] = &[("message too_large", 1)];

pub(crate) const COMPRESSION: &[Row] = &[
    row("a good compressed question", |s| asked(s, &with_size(1, &literals(b"\xc0")), 0), Alive, &[]),
    row(
        "a zip bomb within the limits, which is no message",
        |s| told(s, &with_size(12 << 20, &zeros(12 << 20))),
        Alive,
        &[("message undecodable", 1)],
    ),
    row(
        "zip bombs one after the other",
        |s| {
            let bomb = sent(s, 0, None, &with_size(12 << 20, &zeros(12 << 20)));
            with_frames(s, &vec![bomb; 20])
        },
        Alive,
        &[("message undecodable", 20)],
    ),
    row(
        "a zip bomb over the limit",
        |s| {
            let size = PAYLOAD_BYTES_DEFAULT + 1;
            with_frames(s, &cut(&sent(s, 0, None, &with_size(size, &zeros(size)))))
        },
        Alive,
        TOO_LARGE,
    ),
    row(
        "a question with 4 GiB, says its size",
        |s| asked(s, &with_size(u32::MAX as usize, &zeros(60)), 5),
        Alive,
        TOO_LARGE,
    ),
    row(
        "more than 255 times what has come, says its size",
        |s| asked(s, &with_size(12 << 20, &zeros(1 << 20)), 5),
        Alive,
        TOO_LARGE,
    ),
    row("a size above the truth", |s| asked(s, &with_size(2, &literals(b"\xc0")), 5), Alive, LIES),
    row("a size below the truth", |s| asked(s, &with_size(1, &literals(b"\xc0\xc0")), 5), Alive, LIES),
    row("a size of 0 with a block", |s| asked(s, &with_size(0, &literals(b"\xc0")), 5), Alive, LIES),
    row("a size without a block", |s| asked(s, &with_size(1, b""), 5), Alive, TOO_LARGE),
    row("a block that is none", |s| asked(s, &with_size(40, &[0xff; 20]), 5), Alive, LIES),
    row(
        "a block that begins before its beginning",
        |s| asked(s, &with_size(10, b"\x10a\x02\x00\x50vwxyz"), 5),
        Alive,
        LIES,
    ),
    row(
        "a compressed message without its size",
        |s| told(s, &[1, 0, 0]),
        Closed,
        &[("violation truncated", 1)],
    ),
    row(
        "a compressed message without an agreement",
        |s| {
            let mut link = link(s, 0)?;
            link.send(&sent(s, 0, None, &with_size(1, &literals(b"\x01"))));
            Ok(link.pulse())
        },
        Closed,
        &[("violation not_agreed", 1)],
    ),
    row(
        "a compressed message after an agreement on what nobody knows",
        |s| {
            let mut link = link(s, !Compression::Lz4.bits())?;
            link.send(&sent(s, 0, None, &with_size(1, &literals(b"\x01"))));
            Ok(link.pulse())
        },
        Closed,
        &[("violation not_agreed", 1)],
    ),
    row(
        "a compressed message in fragments without an agreement",
        |s| {
            let mut link = link(s, 0)?;
            for part in cut(&sent(s, 0, None, &with_size(1, &literals(b"\x01")))) {
                link.send(&part);
            }
            Ok(link.pulse())
        },
        Closed,
        &[("violation not_agreed", 1)],
    ),
    row(
        "an algorithm that nobody knows",
        |s| {
            let mut frame = add(s);
            frame[3] |= 0x04;
            with_frames(s, &[frame])
        },
        Alive,
        &[("unknown_skipped", 1)],
    ),
    row(
        "a compressed control message, and a compressed fragment",
        |s| {
            let control = frame(FrameKind::Control, flags::COMPRESSED, &with_size(1, &literals(b"\xc0")));
            let mut part = fragment(1, 100, 0, &[0; 10]);
            part[3] |= (flags::COMPRESSED >> 8) as u8;
            with_frames(s, &[control, part])
        },
        Alive,
        &[("unknown_skipped", 2)],
    ),
    row(
        "a compressed answer that nobody waits for, and one that lies as well",
        |s| {
            let answer = |rest: &[u8]| {
                let mut bytes = Vec::new();
                ReplyHead { reference: 7, status: 0 }.front(1, rest.len()).compressed().write(&mut bytes);
                bytes.extend(rest);
                assert!(bytes.len() > FRAME_HEADER_BYTES);
                bytes
            };
            let good = answer(&with_size(1, &literals(b"\xc0")));
            let lie = answer(&with_size(2, &literals(b"\xc0")));
            with_frames(s, &[good, lie])
        },
        Alive,
        &[("replies_unexpected", 1), ("message decompression", 1)],
    ),
];

#[test]
fn compressed_payloads() {
    run(COMPRESSION);
}

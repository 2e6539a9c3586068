//! What programs send each other: messages and values of every shape.

use hew_wire::compression::{Compressed, Compressor, RATIO_MAX};
use hew_wire::frame::{Frame, FrameKind, MessageHead, ReplyHead};
use hew_wire::payload::{decode_payload, decode_value, encode_payload, encode_value};
use hew_wire::scan::{scan, value_end};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;

/// The messages of an actor: every shape of variant, and what recurses in every way there is.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    Reset,
    Add(u64),
    Move(i32, i32),
    Rename { from: String, to: Option<String> },
    Fill(Filling),
    Nest(Nested),
    Any(Anything),
}

#[derive(Debug, Serialize, Deserialize)]
struct Filling {
    unit: Unit,
    choices: Vec<Choice>,
    bytes: ByteBuf,
    amount: f64,
    wide: i128,
}

#[derive(Debug, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, Serialize, Deserialize)]
enum Choice {
    Nothing,
    One(u8),
    Two(u8, bool),
    Named { of: char },
}

#[derive(Debug, Serialize, Deserialize)]
enum Nested {
    End,
    Boxed(Box<Nested>),
    Optional(Option<Box<Nested>>),
    Many(Vec<Nested>),
    Named { by: BTreeMap<String, Nested>, single: Box<Wrapped> },
}

#[derive(Debug, Serialize, Deserialize)]
struct Wrapped(Option<Box<Wrapped>>);

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Anything {
    Number(i64),
    Float(f32),
    Text(String),
    Many(Vec<Anything>),
    Named(BTreeMap<String, Anything>),
}

/// A frame with a message or a reply: what its actor understands, it would say again in the same way.
pub(crate) fn message(bytes: &[u8]) {
    let Ok((frame, _)) = Frame::split(bytes) else { return };
    if frame.header.kind == FrameKind::Reply as u8 {
        if let Ok((_, value)) = ReplyHead::decode(&frame) {
            reads_as_written::<Filling>(value);
            reads_as_written::<Result<u64, String>>(value);
        }
        return;
    }
    let Ok((head, payload)) = MessageHead::decode(&frame) else { return };
    let Ok(order) = decode_payload::<Order>(head.msg_type, payload) else { return };
    let mut written = Vec::new();
    let msg_type = encode_payload(&order, &mut written).expect("what was read can be written");
    assert_eq!(msg_type, head.msg_type);
    let again = decode_payload::<Order>(msg_type, &written).expect("what was written can be read");
    let mut twice = Vec::new();
    assert_eq!(encode_payload(&again, &mut twice).ok(), Some(msg_type));
    assert_eq!(twice, written, "{order:?}");
}

/// Bytes as MessagePack of any shape: the scan and the reader agree where a value ends.
pub(crate) fn value(bytes: &[u8]) {
    let scanned = scan("value", bytes);
    if !bytes.is_empty() {
        assert_eq!(decode_value::<IgnoredAny>(bytes).is_ok(), scanned.is_ok());
    }
    if let Ok(end) = value_end("value", bytes) {
        assert_eq!(scan("value", &bytes[..end]), Ok(()));
        assert!((0..end).all(|cut| scan("value", &bytes[..cut]).is_err()), "a value that is cut off is one");
    }
    let read = [
        reads_as_written::<Anything>(bytes),
        reads_as_written::<Nested>(bytes),
        reads_as_written::<Filling>(bytes),
        reads_as_written::<Vec<Option<Choice>>>(bytes),
        reads_as_written::<(u8, i64, String)>(bytes),
    ];
    assert!(scanned.is_ok() || bytes.is_empty() || !read.contains(&true), "what is no value was read");
}

/// Whether the bytes are a `T`; what is written of it then is read as the same, which is to say written the same.
fn reads_as_written<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> bool {
    let Ok(value) = decode_value::<T>(bytes) else { return false };
    let mut written = Vec::new();
    encode_value(&value, &mut written).expect("what was read can be written");
    let again: T = decode_value(&written).expect("what was written can be read");
    let mut twice = Vec::new();
    encode_value(&again, &mut twice).expect("it could be written before");
    assert_eq!(twice, written);
    true
}

/// A compressed payload is what its block holds and has the size that it says, within the limit that the first byte sets and
/// within what such a block can hold; there is no more room than that; and it is the same when it is compressed and read
/// again.
pub(crate) fn decompress(bytes: &[u8]) {
    let Some((limit, bytes)) = bytes.split_first() else { return };
    let limit = usize::from(*limit) * 64;
    again(bytes);
    let Ok(compressed) = Compressed::decode(bytes) else { return };
    let most = limit.min(compressed.block.len() * RATIO_MAX);
    let mut room = Vec::new();
    let payload = compressed.decompress(limit, &mut room).map(<[u8]>::to_vec);
    assert!(room.len() <= most, "{} bytes of room, and {most} would do", room.len());
    let plain = expanded(compressed.block, most).filter(|plain| plain.len() == compressed.size as usize);
    assert_eq!(payload.as_deref().ok(), plain.as_deref(), "{payload:?}");
    again(&plain.unwrap_or_default());
}

/// What is compressed is shorter by a sixteenth, and read as it was.
fn again(payload: &[u8]) {
    let mut compressor = Compressor::default();
    let Some(compressed) = compressor.compress(payload) else { return };
    assert!(compressed.len() * 16 <= payload.len() * 15);
    let compressed = Compressed::decode(compressed).expect("it has a size");
    assert_eq!(compressed.decompress(payload.len(), &mut Vec::new()), Ok(payload));
}

/// What a block holds, read in the simplest way; nothing if it is none, or holds more than `most`.
fn expanded(mut block: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    loop {
        let token = *block.split_off_first()?;
        let literals = length(token >> 4, &mut block)?;
        plain.extend_from_slice(block.split_off(..literals)?);
        if plain.len() > most {
            return None;
        }
        if block.is_empty() {
            return Some(plain);
        }
        let (low, high) = (*block.split_off_first()?, *block.split_off_first()?);
        let distance = usize::from(u16::from_le_bytes([low, high]));
        let count = length(token & 15, &mut block)? + 4;
        if distance == 0 || distance > plain.len() || plain.len() + count > most {
            return None;
        }
        for _ in 0..count {
            plain.push(plain[plain.len() - distance]);
        }
    }
}

/// A length of which a token holds the beginning.
fn length(begun: u8, block: &mut &[u8]) -> Option<usize> {
    let mut length = usize::from(begun);
    let mut goes_on = begun == 15;
    while goes_on {
        let more = *block.split_off_first()?;
        length += usize::from(more);
        goes_on = more == 255;
    }
    Some(length)
}

//! Lines about fixed layouts: carried out, and compared with what the encoders write.

use crate::line;
use hew_wire::compression::{Compressed, Compressor, RATIO_MAX};
use hew_wire::frame::{
    FRAME_HEADER_BYTES, FragmentHead, FrameHeader, FrameKind, MessageHead, ReplyHead, flags, write_number,
};
use hew_wire::{
    Extension, HELLO_MAGIC, Hello, Incarnation, Name, NodeId, Pid, Refusal, RefusalStatus, Role, SCHEMA,
    Verdict,
};
use rmp::decode::{read_int, read_map_len, read_str_from_slice};
use std::collections::BTreeMap;

pub(crate) const LINES: [&str; 13] = [
    "hello",
    "verdict",
    "extension",
    "frame",
    "frame 1 message",
    "frame 2 reply",
    "frame 3 control",
    "frame 4 fragment",
    "compressed",
    "frame 128 start",
    "frame 129 ack",
    "frame 130 heartbeat",
    "frame 131 goodbye",
];

/// The bytes of the fixed fields that a line begins with; values are given big-endian.
fn carried_out(layout: &str, values: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in layout.split(", ") {
        let Some((name, kind)) = field.split_once(' ') else { break };
        let Some(width) = width(kind) else { break };
        let found = values.iter().find(|(value, _)| *value == name.trim_end_matches('?'));
        match found {
            Some((_, value)) => {
                assert_eq!(value.len(), width, "{field}");
                let little = kind.ends_with("le");
                bytes.extend(value.iter().copied().take(if little { 0 } else { width }));
                bytes.extend(value.iter().rev().copied().take(if little { width } else { 0 }));
            }
            None => assert!(name.ends_with('?'), "no value for {field}"),
        }
    }
    bytes
}

fn width(kind: &str) -> Option<usize> {
    match kind {
        "u8" => Some(1),
        "u16be" | "u16le" => Some(2),
        "u32be" | "u32le" | "i32le" => Some(4),
        "u64le" => Some(8),
        raw => raw.parse().ok(),
    }
}

/// The body of the one frame in `bytes`, which must be of that kind.
fn body(bytes: &[u8], kind: FrameKind) -> &[u8] {
    assert_eq!(bytes[0], kind as u8);
    &bytes[FRAME_HEADER_BYTES..]
}

#[test]
fn a_hello() {
    let public_key = std::array::from_fn(|i| 0x80 + i as u8);
    let (version, node, schema, features) = (0x0102_u16, 0x0304_u16, 0x0506_0708_u32, 0x090a_0b0c_u32);
    let hello = Hello { version, node: NodeId::from_raw(node), schema, features, public_key };
    let expected = carried_out(
        line("hello"),
        &[
            ("magic", &HELLO_MAGIC),
            ("version", &version.to_be_bytes()),
            ("node", &node.to_be_bytes()),
            ("schema", &schema.to_be_bytes()),
            ("features", &features.to_be_bytes()),
            ("key", &public_key),
        ],
    );
    assert_eq!(hello.encode()[..], expected);
}

#[test]
fn a_verdict() {
    assert_eq!(line("verdict"), "status u8, if not 0: length u8, reason utf8");
    let mut bytes = Vec::new();
    Verdict::Accepted.encode(&mut bytes);
    assert_eq!(bytes, [0]);
    Verdict::Refused(Refusal::new(RefusalStatus::Busy, "é")).encode(&mut bytes);
    assert_eq!(bytes[1..], [5, 2, 0xc3, 0xa9]);
}

#[test]
fn the_header_of_a_frame() {
    let header = FrameHeader { kind: 0x11, lane: 0x22, flags: 0x3344, length: 0x5566_7788 };
    let expected = carried_out(
        line("frame"),
        &[
            ("kind", &[0x11]),
            ("lane", &[0x22]),
            ("flags", &0x3344_u16.to_be_bytes()),
            ("length", &0x5566_7788_u32.to_be_bytes()),
        ],
    );
    assert_eq!(header.encode()[..], expected);
    assert!(line("frame").ends_with(", body; kind < 128 is numbered from 1"));
    for kind in 0..=255 {
        assert_eq!(FrameHeader { kind, ..header }.is_sequenced(), kind < 128, "{kind}");
    }
}

#[test]
fn the_heads_of_frames() {
    let (target, source, reply) =
        (0x0102_0304_0506_0708_u64, 0x1112_1314_1516_1718_u64, 0x2122_2324_2526_2728_u64);
    for reply in [None, Some(reply)] {
        let (target, source) = (Pid::from_raw(target), Pid::from_raw(source));
        let mut bytes = Vec::new();
        MessageHead { target, source, msg_type: -0x0102_0304, reply }.write(&mut bytes, 1, b"payload");
        let reply = reply.map(u64::to_be_bytes);
        let (target, source, msg_type) =
            (target.raw().to_be_bytes(), source.raw().to_be_bytes(), (-0x0102_0304_i32).to_be_bytes());
        let mut values: Vec<(&str, &[u8])> =
            vec![("target", &target), ("source", &source), ("type", &msg_type)];
        values.extend(reply.iter().map(|reply| ("reply", &reply[..])));
        let expected = [carried_out(line("frame 1 message"), &values), b"payload".to_vec()].concat();
        assert_eq!(body(&bytes, FrameKind::Message), expected);
    }

    let mut bytes = Vec::new();
    ReplyHead { reference: reply, status: 0x31 }.write(&mut bytes, 1, b"value");
    let values: [(&str, &[u8]); 2] = [("reference", &reply.to_be_bytes()), ("status", &[0x31])];
    let expected = [carried_out(line("frame 2 reply"), &values), b"value".to_vec()].concat();
    assert_eq!(body(&bytes, FrameKind::Reply), expected);

    let (id, total, offset) = (0x4142_4344_u32, 0x5152_5354_u32, 0x0162_6364_u32);
    let mut bytes = Vec::new();
    FragmentHead { id, total, offset }.write(&mut bytes, 1, b"part");
    let values: [(&str, &[u8]); 3] =
        [("id", &id.to_be_bytes()), ("total", &total.to_be_bytes()), ("offset", &offset.to_be_bytes())];
    let expected = [carried_out(line("frame 4 fragment"), &values), b"part".to_vec()].concat();
    assert_eq!(body(&bytes, FrameKind::Fragment), expected);

    for (kind, name, field) in
        [(FrameKind::Start, "frame 128 start", "next"), (FrameKind::Ack, "frame 129 ack", "received")]
    {
        let mut bytes = Vec::new();
        write_number(&mut bytes, kind, target);
        assert_eq!(body(&bytes, kind), carried_out(line(name), &[(field, &target.to_be_bytes())]));
    }
}

#[test]
fn a_compressed_payload() {
    let ratio = format!("of at most {RATIO_MAX} for 1; with flag {:#06x} instead", flags::COMPRESSED);
    assert!(line("compressed").contains(&ratio), "{ratio}");
    let size = 0x0001_0203_u32;
    let payload = vec![7; size as usize];
    let mut compressor = Compressor::default();
    let compressed = compressor.compress(&payload).unwrap();
    let front = carried_out(line("compressed"), &[("size", &size.to_be_bytes())]);
    assert!(compressed.starts_with(&front));
    let block = Compressed { size, block: &compressed[front.len()..] };
    assert_eq!(Compressed::decode(compressed), Ok(block));

    let (mut message, mut reply) = (Vec::new(), Vec::new());
    let (target, source) = (Pid::from_raw(1), Pid::from_raw(2));
    MessageHead { target, source, msg_type: 3, reply: None }.front(1, 9).compressed().write(&mut message);
    ReplyHead { reference: 1, status: 0 }.front(1, 9).compressed().write(&mut reply);
    for bytes in [message, reply] {
        let header = FrameHeader::decode(&bytes).unwrap();
        assert_eq!((header.flags, header.is_compressed()), (flags::COMPRESSED, true));
        assert_eq!(header.length as usize, bytes.len() - FRAME_HEADER_BYTES + 9);
    }
}

#[test]
fn every_kind_of_frame_has_a_line() {
    let kinds = (0..=u8::MAX).filter_map(|number| Some((number, FrameKind::from_u8(number)?)));
    let names: Vec<_> = kinds
        .map(|(number, kind)| format!("frame {number} {}", format!("{kind:?}").to_lowercase()))
        .collect();
    let lines: Vec<_> = LINES.into_iter().filter(|name| name.starts_with("frame ")).collect();
    assert_eq!(lines, names);
    let described = SCHEMA.lines().filter(|line| line.starts_with("frame ")).count();
    assert_eq!(described, names.len());
}

fn extension() -> Extension {
    Extension {
        incarnation: Incarnation(1),
        node_name: Some(Name::new("n").unwrap()),
        cluster: Name::new("c").unwrap(),
        role: Role::Client,
        version_min: 1,
        version_max: 1,
        frame_bytes_max: 1,
        listen: Some("a".into()),
        session: 1,
        fresh: 1,
        received: 1,
        compression: 1,
    }
}

/// The entries of an encoded extension, by key.
fn entries(bytes: &[u8]) -> BTreeMap<u64, &[u8]> {
    let mut rest = bytes;
    let count = read_map_len(&mut rest).unwrap();
    let mut entries = BTreeMap::new();
    for _ in 0..count {
        let key = read_int(&mut rest).unwrap();
        let end = hew_wire::scan::value_end("value", rest).unwrap();
        let (value, after) = rest.split_at(end);
        entries.insert(key, value);
        rest = after;
    }
    entries
}

#[test]
fn an_extension_has_the_keys_types_and_gaps_of_its_line() {
    let whole = extension().encode();
    let entries = entries(&whole);
    let line = line("extension").strip_prefix('{').unwrap().strip_suffix('}').unwrap();
    let mut described = 0;
    for field in line.split(", ") {
        let words: Vec<_> = field.split(' ').collect();
        let (key, name): (u64, _) = (words[0].parse().unwrap(), words[1]);
        let Some(kind) = words.get(2) else {
            assert!(!entries.contains_key(&key), "{field} is reserved");
            continue;
        };
        described += 1;
        let value = entries.get(&key).unwrap_or_else(|| panic!("{field} is not sent"));
        match *kind {
            "str" => assert!(read_str_from_slice(*value).is_ok(), "{field}"),
            number => {
                let bits: u32 = number.strip_prefix('u').unwrap().parse().unwrap();
                let max = u64::MAX >> (64 - bits);
                // A role has two values only.
                if name != "role" {
                    assert!(Extension::decode(&with(&entries, key, Some(max))).is_ok(), "{field}: {max}");
                }
                if bits < 64 {
                    assert!(
                        Extension::decode(&with(&entries, key, Some(max + 1))).is_err(),
                        "{field}: {max} + 1"
                    );
                }
            }
        }
        let without = Extension::decode(&with(&entries, key, None));
        assert_eq!(without.is_ok(), name.ends_with('?'), "without {field}");
    }
    assert_eq!(described, entries.len(), "the line says nothing of a key that is sent");
}

/// The same entries with another number under `key`, or without it. Where the lowest version changes, so does the
/// highest, which may not be below it.
fn with(entries: &BTreeMap<u64, &[u8]>, key: u64, number: Option<u64>) -> Vec<u8> {
    let encoded = |number: u64| {
        let mut bytes = Vec::new();
        rmp::encode::write_uint(&mut bytes, number).unwrap();
        bytes
    };
    let mut changed: BTreeMap<u64, Vec<u8>> =
        entries.iter().map(|(key, value)| (*key, value.to_vec())).collect();
    match number {
        Some(number) => {
            changed.insert(key, encoded(number));
            if key == 5 {
                changed.insert(6, encoded(number));
            }
        }
        None => {
            changed.remove(&key);
        }
    }
    let mut bytes = Vec::new();
    rmp::encode::write_map_len(&mut bytes, changed.len() as u32).unwrap();
    for (key, value) in changed {
        bytes.extend(encoded(key));
        bytes.extend(value);
    }
    bytes
}

#[test]
fn layouts_are_carried_out_as_they_are_written() {
    let bytes = carried_out(
        "a u16be, b u16le, c? u8, d? u8, rest of it",
        &[("a", &[1, 2]), ("b", &[3, 4]), ("d", &[5])],
    );
    assert_eq!(bytes, [1, 2, 4, 3, 5]);
}

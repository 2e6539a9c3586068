//! Declared lengths and counts that the bytes do not hold: refused before anybody reserves memory for them.

#![allow(clippy::unwrap_used, reason = "a test")]

use hew_wire::control::{CONTROL_TAGS, Control};
use hew_wire::frame::{FragmentHead, Frame};
use hew_wire::frame::{FrameHeader, FrameKind};
use hew_wire::payload::{decode_payload, decode_value};
use hew_wire::{DecodeError, Extension, Verdict};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;

thread_local! {
    /// Most elements or bytes that anybody announced to [`Probe`], in this thread.
    static ANNOUNCED: Cell<usize> = const { Cell::new(0) };
}

fn announced(count: usize) {
    ANNOUNCED.set(ANNOUNCED.get().max(count));
}

/// Takes any value, and keeps in mind how much memory a careless visitor would have reserved for it.
#[derive(Debug)]
struct Probe;

impl<'de> Deserialize<'de> for Probe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Probe, D::Error> {
        struct ProbeVisitor;
        impl<'de> Visitor<'de> for ProbeVisitor {
            type Value = Probe;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_unit<E>(self) -> Result<Probe, E> {
                Ok(Probe)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Probe, E> {
                Ok(Probe)
            }

            fn visit_str<E>(self, text: &str) -> Result<Probe, E> {
                announced(text.len());
                Ok(Probe)
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Probe, E> {
                announced(bytes.len());
                Ok(Probe)
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Probe, D::Error> {
                IgnoredAny::deserialize(inner)?;
                Ok(Probe)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Probe, A::Error> {
                announced(elements.size_hint().unwrap_or(0));
                while elements.next_element::<Probe>()?.is_some() {}
                Ok(Probe)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Probe, A::Error> {
                announced(entries.size_hint().unwrap_or(0));
                while entries.next_entry::<Probe, Probe>()?.is_some() {}
                Ok(Probe)
            }
        }
        deserializer.deserialize_any(ProbeVisitor)
    }
}

/// Heads that declare the most their width can, for every form that declares anything.
const GREATEST: [&[u8]; 14] = [
    b"\xd9\xff",
    b"\xda\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc4\xff",
    b"\xc5\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xc7\xff\x01",
    b"\xc8\xff\xff\x01",
    b"\xc9\xff\xff\xff\xff\x01",
    b"\xdc\xff\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\xde\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xdf\x80\x00\x00\x00",
];

/// `head` alone, with one byte behind it, and with as much as a value of honest size around it.
fn lies(head: &[u8]) -> [Vec<u8>; 5] {
    [
        head.to_vec(),
        [head, b"\x01"].concat(),
        [b"\x91", head, b"\x01"].concat(),
        [b"\x82\xa1a\x01\xa1b", head, b"\x01"].concat(),
        [&[0x91; 60][..], head, &[0xc0; 100]].concat(),
    ]
}

#[test]
fn nobody_hears_of_a_count_that_the_bytes_do_not_hold() {
    for head in GREATEST {
        for bytes in lies(head) {
            let truncated = |result: Result<Probe, DecodeError>| {
                let error = result.unwrap_err();
                assert!(matches!(error, DecodeError::Truncated { .. }), "{bytes:02x?}: {error}");
            };
            truncated(decode_value(&bytes));
            truncated(decode_payload(0, &bytes));
            // Not even what was honest: the bytes are checked to their end before anything is built from them.
            assert_eq!(ANNOUNCED.get(), 0, "{bytes:02x?}");
        }
    }
}

#[test]
fn an_honest_count_is_announced_as_it_is() {
    for (bytes, count) in [
        (&b"\xdd\x00\x00\x00\x03\x01\x01\x01"[..], 3),
        (b"\xdf\x00\x00\x00\x02\x01\x01\x01\x01", 2),
        (b"\xdb\x00\x00\x00\x04aaaa", 4),
        (b"\xc6\x00\x00\x00\x05aaaaa", 5),
    ] {
        ANNOUNCED.set(0);
        decode_value::<Probe>(bytes).unwrap();
        assert_eq!(ANNOUNCED.get(), count);
    }
    // Nor does a vector grow beyond what was there.
    let numbers: Vec<u8> = decode_value(b"\xdd\x00\x00\x00\x03\x01\x01\x01").unwrap();
    assert!(numbers.capacity() <= 8, "{}", numbers.capacity());
}

#[test]
fn the_other_decoders_refuse_the_same_lies() {
    for head in GREATEST {
        for bytes in lies(head) {
            assert!(Control::decode(&bytes).is_err(), "{bytes:02x?}");
            assert!(Extension::decode(&bytes).is_err(), "{bytes:02x?}");
            for tag in CONTROL_TAGS {
                let body = [&[0x81, 0xa0 | tag.len() as u8], tag.as_bytes(), &bytes].concat();
                assert!(matches!(Control::decode(&body), Err(DecodeError::Truncated { .. })), "{body:02x?}");
            }
            // Under a known key of the extension, and under one that it skips.
            for key in [1, 2, 3, 8, 12, 100] {
                assert!(
                    Extension::decode(&[&[0x81, key], &bytes[..]].concat()).is_err(),
                    "{key}: {bytes:02x?}"
                );
            }
        }
    }
}

#[test]
fn frames_and_verdicts_refuse_lengths_that_are_not_there() {
    for length in [1 << 16, 1 << 24, u32::MAX] {
        let header = FrameHeader { kind: FrameKind::Message as u8, lane: 1, flags: 0, length };
        let bytes = [&header.encode()[..], b"\x01"].concat();
        assert_eq!(Frame::split(&bytes), Err(DecodeError::Truncated { what: "frame" }));
    }
    // The total of a fragment is a promise: decoding borrows the part and reserves nothing for the rest.
    let mut bytes = Vec::new();
    FragmentHead { id: 1, total: u32::MAX, offset: 0 }.write(&mut bytes, 1, b"x");
    let (frame, _) = Frame::split(&bytes).unwrap();
    assert_eq!(FragmentHead::decode(&frame).unwrap().1, b"x");
    assert!(matches!(Verdict::decode(b"\x04\xffno"), Err(DecodeError::Truncated { .. })));
}

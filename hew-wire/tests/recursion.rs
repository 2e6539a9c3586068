//! Hostile payloads for types that contain themselves, read on a small stack.
//!
//! Each thread here has 256 KiB, which a recursion without a bound uses up in the first milliseconds: the process
//! would be aborted, and no test of this file would report anything. `--nocapture` shows the figures.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use hew_wire::control::{CONTROL_BYTES_MAX, Control};
use hew_wire::payload::{LEVELS_MAX, decode_payload, decode_value};
use hew_wire::scan::scan;
use hew_wire::{DecodeError, EXTENSION_BYTES_MAX, Extension as Extended};
use proptest::prelude::*;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

/// The stack that any payload must get by with, in a debug build too.
const STACK_BYTES: usize = 256 * 1024;

thread_local! {
    /// Address of a local variable of the frame that reads the outermost value, and of the innermost so far.
    static TOP: Cell<usize> = const { Cell::new(0) };
    static LOWEST: Cell<usize> = const { Cell::new(0) };
}

/// Remembers how deep the stack is here, and goes on. Its own frame makes the figures a little larger than they are.
fn noted<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    let here = 0u8;
    let address = &raw const here as usize;
    LOWEST.set(LOWEST.get().min(address));
    T::deserialize(deserializer)
}

/// What came out, and the bytes of stack from the call to the innermost value.
struct Outcome<T> {
    value: Result<T, DecodeError>,
    stack_bytes: usize,
}

fn on_a_small_stack<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, DecodeError> + Send + 'static,
) -> Outcome<T> {
    let body = move || {
        let here = 0u8;
        TOP.set(&raw const here as usize);
        LOWEST.set(TOP.get());
        let value = read();
        Outcome { value, stack_bytes: TOP.get() - LOWEST.get() }
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(body).unwrap();
    thread.join().unwrap()
}

/// A newtype around an option around itself: asks for two values and reads no byte.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Newtype(#[serde(deserialize_with = "noted")] Option<Box<Newtype>>);

/// An option of itself, without even a newtype in between.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Transparent(#[serde(deserialize_with = "noted")] Option<Box<Transparent>>);

/// A newtype that has no end at all.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Endless(#[serde(deserialize_with = "noted")] Box<Endless>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct List {
    value: u64,
    #[serde(deserialize_with = "noted")]
    next: Option<Box<List>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Pair(u8, #[serde(deserialize_with = "noted")] Option<Box<Pair>>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Sequence(#[serde(deserialize_with = "noted")] Vec<Sequence>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Map(#[serde(deserialize_with = "noted")] BTreeMap<u8, Map>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Held(#[serde(deserialize_with = "noted")] Option<Box<Choice>>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Choice {
    Unit,
    Newtype(Held),
    Tuple(u8, Held),
    Struct { held: Held },
}

/// An extension around itself.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "_ExtStruct")]
struct Extension(#[serde(deserialize_with = "noted")] Box<Extension>);

/// Wide values make wide frames.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Wide {
    a: String,
    b: String,
    c: String,
    d: String,
    e: String,
    f: String,
    g: String,
    h: String,
    #[serde(deserialize_with = "noted")]
    next: Option<Box<Wide>>,
}

/// Whatever the bytes hold, as a program that knows no types would read it.
#[derive(Debug, PartialEq)]
enum Any {
    Leaf,
    Array(Vec<Any>),
    Map(Vec<(Any, Any)>),
    Extension(Box<Any>),
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Any, D::Error> {
        struct AnyVisitor;
        impl<'de> Visitor<'de> for AnyVisitor {
            type Value = Any;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_unit<E>(self) -> Result<Any, E> {
                Ok(Any::Leaf)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Any, E> {
                Ok(Any::Leaf)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Any, E> {
                Ok(Any::Leaf)
            }

            fn visit_bytes<E>(self, _: &[u8]) -> Result<Any, E> {
                Ok(Any::Leaf)
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Any, D::Error> {
                Ok(Any::Extension(Box::new(noted(inner)?)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Any, A::Error> {
                let mut array = Vec::new();
                while let Some(element) = elements.next_element()? {
                    array.push(element);
                }
                Ok(Any::Array(array))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Any, A::Error> {
                let mut map = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    map.push(entry);
                }
                Ok(Any::Map(map))
            }
        }
        deserializer.deserialize_any(AnyVisitor)
    }
}

/// `wrap` around itself `depth` times, with `inner` in the middle.
fn nested(wrap: &[u8], depth: usize, inner: &[u8]) -> Vec<u8> {
    [wrap.repeat(depth), inner.to_vec()].concat()
}

const LIST: &[u8] = b"\x82\xa5value\x01\xa4next";
const WIDE: &[u8] = b"\x81\xa4next";
const CHOICE_NEWTYPE: &[u8] = b"\x81\xa7Newtype";
const CHOICE_TUPLE: &[u8] = b"\x81\xa5Tuple\x92\x01";
const CHOICE_STRUCT: &[u8] = b"\x81\xa6Struct\x81\xa4held";

fn read<T: DeserializeOwned + Send + 'static>(bytes: &[u8]) -> Outcome<T> {
    let bytes = bytes.to_vec();
    on_a_small_stack(move || decode_value(&bytes))
}

/// Both ways to read `bytes` end with "too deep", within three quarters of the small stack.
#[track_caller]
fn check_too_deep<T: DeserializeOwned + fmt::Debug + Send + 'static>(bytes: &[u8]) {
    let payload = bytes.to_vec();
    for outcome in [read::<T>(bytes), on_a_small_stack(move || decode_payload::<T>(0, &payload))] {
        let error = outcome.value.unwrap_err();
        assert!(matches!(error, DecodeError::TooDeep { limit: LEVELS_MAX, .. }), "{error}");
        assert!(error.to_string().ends_with("nested deeper than 64"), "{error}");
        check_stack::<T>(outcome.stack_bytes);
    }
}

#[track_caller]
fn check_stack<T>(stack_bytes: usize) {
    let name = std::any::type_name::<T>();
    println!("{name}: {} bytes of stack for each of {LEVELS_MAX} levels", stack_bytes / LEVELS_MAX);
    assert!(stack_bytes > 0, "{name}: nothing was noted");
    assert!(stack_bytes < STACK_BYTES / 4 * 3, "{name}: {stack_bytes} bytes of stack");
}

#[test]
fn a_type_that_reads_nothing_does_not_recurse_for_ever() {
    for byte in [b"\x01", b"\xc2", b"\x90", b"\xa0"] {
        check_too_deep::<Newtype>(byte);
        check_too_deep::<Transparent>(byte);
        check_too_deep::<Endless>(byte);
    }
    check_too_deep::<Endless>(b"\xc0");
    assert_eq!(read::<Newtype>(b"\xc0").value, Ok(Newtype(None)));
    assert_eq!(read::<Transparent>(b"\xc0").value, Ok(Transparent(None)));
}

#[test]
fn structs_in_options_stop_at_the_limit() {
    // A struct and an option for each element, a struct for the last.
    let fits = LEVELS_MAX / 2;
    let outcome = read::<List>(&nested(LIST, fits, b"\xc0"));
    let mut list = Some(Box::new(outcome.value.unwrap()));
    check_stack::<List>(outcome.stack_bytes);
    let mut count = 0;
    while let Some(node) = list {
        assert_eq!(node.value, 1);
        list = node.next;
        count += 1;
    }
    assert_eq!(count, fits);
    check_too_deep::<List>(&nested(LIST, fits + 1, b"\xc0"));
    check_too_deep::<Wide>(&nested(WIDE, fits + 1, b"\xc0"));
    check_too_deep::<Pair>(&nested(b"\x92\x01", fits + 1, b"\xc0"));
}

#[test]
fn arrays_and_maps_stop_at_the_limit() {
    // A newtype and an array for each element.
    let fits = LEVELS_MAX / 2;
    assert!(read::<Sequence>(&nested(b"\x91", fits - 1, b"\x90")).value.is_ok());
    check_too_deep::<Sequence>(&nested(b"\x91", fits, b"\x90"));
    assert!(read::<Map>(&nested(b"\x81\x01", fits - 1, b"\x80")).value.is_ok());
    check_too_deep::<Map>(&nested(b"\x81\x01", fits, b"\x80"));
}

#[test]
fn enums_stop_at_the_limit() {
    // Enum, newtype and option for each newtype variant; one more for what a tuple or a struct variant holds.
    for (wrap, levels) in [(CHOICE_NEWTYPE, 3), (CHOICE_TUPLE, 4), (CHOICE_STRUCT, 4)] {
        let fits = (LEVELS_MAX - 2) / levels;
        for innermost in [&b"\xa4Unit"[..], b"\x81\xa4Unit\xc0", b"\x81\xa7Newtype\xc0"] {
            assert!(read::<Choice>(&nested(wrap, fits, innermost)).value.is_ok(), "{wrap:02x?}");
        }
        // Through a newtype, because a message whose type is an enum is something else.
        check_too_deep::<Held>(&nested(wrap, fits + 2, b"\xa4Unit"));
    }
}

#[test]
fn the_variant_of_a_message_stops_at_the_limit_too() {
    for (msg_type, wrap) in [(1, CHOICE_NEWTYPE), (2, CHOICE_NEWTYPE), (3, CHOICE_NEWTYPE)] {
        let head: &[u8] = match msg_type {
            2 => b"\x92\x01",
            3 => b"\x81\xa4held",
            _ => b"",
        };
        let payload = |depth: usize| [head.to_vec(), nested(wrap, depth, b"\xa4Unit")].concat();
        let (shallow, deep) = (payload(20), payload(23));
        assert!(on_a_small_stack(move || decode_payload::<Choice>(msg_type, &shallow)).value.is_ok());
        let outcome = on_a_small_stack(move || decode_payload::<Choice>(msg_type, &deep));
        let error = outcome.value.unwrap_err();
        assert!(matches!(error, DecodeError::TooDeep { limit: LEVELS_MAX, .. }), "{msg_type}: {error}");
    }
}

#[test]
fn extensions_end_at_their_parts() {
    for bytes in [&b"\xd4\x01\x01"[..], b"\xc7\x00\x01", b"\x01", b"\x91\xd4\x01\x01"] {
        assert!(read::<Extension>(bytes).value.is_err(), "{bytes:02x?}");
    }
    let parts = Any::Extension(Box::new(Any::Array(vec![Any::Leaf, Any::Leaf])));
    assert_eq!(read::<Any>(b"\xd4\x01\x01").value, Ok(parts));
    // 0xd4 after 0xd4 is the first one's kind, not a value inside it.
    assert!(matches!(read::<Any>(&[0xd4; 1_000_000]).value, Err(DecodeError::Trailing { .. })));
    assert!(read::<Any>(&nested(b"\xc9\x00\x00\x00\x06\x01", 100_000, b"\xc0")).value.is_err());
}

#[test]
fn whoever_reads_anything_stops_at_the_limit() {
    for wrap in [&b"\x91"[..], b"\x92\xd4\x01\x01", b"\x81\x01", b"\x82\xc0\xc0\xc0"] {
        let outcome = read::<Any>(&nested(wrap, LEVELS_MAX, b"\xd4\x01\x01"));
        assert!(outcome.value.is_ok(), "{wrap:02x?}");
        check_stack::<Any>(outcome.stack_bytes);
    }
    for wrap in [&b"\x91"[..], b"\x81\x01"] {
        let error = read::<Any>(&nested(wrap, 65, b"\xc0")).value.unwrap_err();
        assert_eq!(error, scan("value", &nested(wrap, 65, b"\xc0")).unwrap_err());
        assert!(matches!(error, DecodeError::TooDeep { limit: 64, .. }), "{error}");
    }
    // Keys that are maps.
    assert!(read::<Any>(&[vec![0x81; LEVELS_MAX], vec![0xc0; LEVELS_MAX + 1]].concat()).value.is_ok());
}

#[test]
fn a_million_heads_are_refused_by_every_decoder() {
    for head in [0x91, 0x92, 0x9f, 0x81, 0x82, 0x8f, 0xd4, 0xdc, 0xdd, 0xde, 0xdf, 0xc0, 0xc4, 0x01, 0xff] {
        let bytes = vec![head; 1_000_000];
        let refused = |outcome: bool, what: &str| assert!(!outcome, "{what}: {head:#04x}");
        refused(read::<Newtype>(&bytes).value.is_ok(), "newtype");
        refused(read::<List>(&bytes).value.is_ok(), "list");
        refused(read::<Sequence>(&bytes).value.is_ok(), "sequence");
        refused(read::<Map>(&bytes).value.is_ok(), "map");
        refused(read::<Choice>(&bytes).value.is_ok(), "choice");
        refused(read::<Any>(&bytes).value.is_ok(), "any");
        let payload = bytes.clone();
        for msg_type in 0..4 {
            let payload = payload.clone();
            let outcome = on_a_small_stack(move || decode_payload::<Choice>(msg_type, &payload));
            refused(outcome.value.is_ok(), "message");
        }
        let others = on_a_small_stack(move || {
            // The longest input that the other decoders take.
            let (control, extension) = (&bytes[..CONTROL_BYTES_MAX], &bytes[..EXTENSION_BYTES_MAX]);
            let fails = Control::decode(control).is_err() && Extended::decode(extension).is_err();
            Ok(fails && Control::decode(&bytes).is_err() && Extended::decode(&bytes).is_err())
        });
        assert_eq!(others.value, Ok(true), "{head:#04x}");
    }
}

/// Reads on after an element that failed.
#[derive(Debug, PartialEq)]
struct Lenient(Vec<bool>);

impl<'de> Deserialize<'de> for Lenient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Lenient, D::Error> {
        struct LenientVisitor;
        impl<'de> Visitor<'de> for LenientVisitor {
            type Value = Lenient;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Lenient, A::Error> {
                let mut good = Vec::new();
                while elements.size_hint() != Some(0) {
                    good.extend(
                        elements.next_element::<Option<Option<bool>>>().ok().flatten().flatten().flatten(),
                    );
                }
                Ok(Lenient(good))
            }
        }
        deserializer.deserialize_seq(LenientVisitor)
    }
}

#[test]
fn levels_are_given_back() {
    // Side by side is not inside one another.
    let wide = [&b"\xdc\x03\xe8"[..], &nested(b"\x91", 20, b"\x90").repeat(1000)].concat();
    assert_eq!(read::<Vec<Sequence>>(&wide).value.unwrap().len(), 1000);
    // A child that failed gives its levels back as well.
    let bytes = [&b"\xdc\x00\xc9"[..], &[0x01; 200], b"\xc3"].concat();
    assert_eq!(read::<Lenient>(&bytes).value, Ok(Lenient(vec![true])));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_give_an_answer_on_a_small_stack(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        on_a_small_stack(move || {
            let _ = decode_value::<Newtype>(&bytes);
            let _ = decode_value::<List>(&bytes);
            let _ = decode_value::<Choice>(&bytes);
            let _ = decode_value::<Any>(&bytes);
            for msg_type in 0..4 {
                let _ = decode_payload::<Choice>(msg_type, &bytes);
            }
            Ok(())
        }).value.unwrap();
    }
}

//! Every shape of serde's data model survives the way through a payload, and reads as other libraries read it.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

use hew_wire::payload::{decode_payload, decode_value, encode_payload, encode_value};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;
use std::fmt::Debug;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Empty {}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Newtype(Option<u32>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Tuple(i8, Newtype, Unit);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Choice {
    Unit,
    Newtype(Newtype),
    Tuple(char, bool),
    Struct { unit: Unit, text: String },
    Nested(Box<Choice>),
    Optional(Option<Box<Choice>>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Text(String),
    Many(Vec<Untagged>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Number { value: i64 },
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "_ExtStruct")]
struct Extension((i8, ByteBuf));

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    small: (u8, i8, u16, i16, u32, i32, u64, i64),
    wide: (u128, i128),
    floats: (f32, f64),
    truth: bool,
    letter: char,
    text: String,
    bytes: ByteBuf,
    numbers: Vec<u8>,
    unit: (),
    unit_struct: Unit,
    empty: Empty,
    newtype: Newtype,
    tuple: Tuple,
    array: [u16; 3],
    map: BTreeMap<String, Vec<Choice>>,
    numbered: BTreeMap<i32, Option<Unit>>,
    choices: Vec<Choice>,
    untagged: Untagged,
    tagged: (Tagged, Tagged),
    extension: Extension,
    #[serde(flatten)]
    flat: Flat,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    first: u8,
    second: Option<String>,
}

/// Out and in again, as a reply and as a message, and from one library to the other.
#[track_caller]
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let mut bytes = Vec::new();
    encode_value(value, &mut bytes).unwrap();
    assert_eq!(decode_value::<T>(&bytes).unwrap(), *value, "{bytes:02x?}");
    assert_eq!(rmp_serde::from_slice::<T>(&bytes).unwrap(), *value, "{bytes:02x?}");
    for end in 1..bytes.len() {
        assert!(decode_value::<T>(&bytes[..end]).is_err(), "{bytes:02x?} cut at {end}");
    }
    assert!(decode_value::<T>(&[&bytes[..], b"\xc0"].concat()).is_err(), "{bytes:02x?} and more");

    let mut payload = Vec::new();
    let msg_type = encode_payload(value, &mut payload).unwrap();
    assert_eq!(decode_payload::<T>(msg_type, &payload).unwrap(), *value, "{msg_type} {payload:02x?}");
    // Structs as arrays are what compact encoders write.
    let compact = rmp_serde::to_vec(value).unwrap();
    if let Ok(expected) = rmp_serde::from_slice::<T>(&compact) {
        assert_eq!(decode_value::<T>(&compact).unwrap(), expected, "{compact:02x?}");
    }
}

fn everything() -> Everything {
    Everything {
        small: (u8::MAX, i8::MIN, u16::MAX, i16::MIN, u32::MAX, i32::MIN, u64::MAX, i64::MIN),
        wide: (u128::MAX, i128::MIN),
        floats: (-0.5, f64::MAX),
        truth: true,
        letter: 'é',
        text: "x".repeat(300),
        bytes: ByteBuf::from(vec![0, 255]),
        numbers: vec![1, 200],
        unit: (),
        unit_struct: Unit,
        empty: Empty {},
        newtype: Newtype(Some(70_000)),
        tuple: Tuple(-1, Newtype(None), Unit),
        array: [1, 2, 300],
        map: BTreeMap::from([("a".into(), vec![Choice::Unit, Choice::Tuple('z', false)])]),
        numbered: BTreeMap::from([(-5, Some(Unit)), (70_000, None)]),
        choices: vec![
            Choice::Unit,
            Choice::Newtype(Newtype(Some(1))),
            Choice::Struct { unit: Unit, text: String::new() },
            Choice::Nested(Box::new(Choice::Nested(Box::new(Choice::Unit)))),
            Choice::Optional(Some(Box::new(Choice::Unit))),
            Choice::Optional(Some(Box::new(Choice::Newtype(Newtype(None))))),
            Choice::Optional(None),
        ],
        untagged: Untagged::Many(vec![Untagged::Number(7), Untagged::Text("t".into())]),
        tagged: (Tagged::Number { value: -9 }, Tagged::Nothing),
        extension: Extension((-7, ByteBuf::from(vec![9; 20]))),
        flat: Flat { first: 1, second: Some("two".into()) },
    }
}

#[test]
fn every_shape_reads_back() {
    let all = everything();
    check(&all);
    check(&all.small);
    check(&all.wide);
    check(&all.unit_struct);
    check(&all.empty);
    check(&all.newtype);
    check(&all.tuple);
    check(&all.numbers);
    check(&all.bytes);
    check(&all.extension);
    check(&all.tagged.0);
    check(&all.untagged);
    check(&all.numbered);
    for choice in &all.choices {
        check(choice);
    }
}

#[test]
fn numbers_are_numbers_in_whatever_form() {
    for bytes in [&b"\x05"[..], b"\xcc\x05", b"\xcd\x00\x05", b"\xd3\x00\x00\x00\x00\x00\x00\x00\x05"] {
        assert_eq!(decode_value::<u8>(bytes), Ok(5));
        assert_eq!(decode_value::<i64>(bytes), Ok(5));
        assert_eq!(decode_value::<u128>(bytes), Ok(5));
        assert_eq!(decode_value::<i128>(bytes), Ok(5));
        assert_eq!(decode_value::<f64>(bytes), Ok(5.0));
    }
    assert_eq!(decode_value::<i128>(b"\xff"), Ok(-1));
    for (refused, what) in [
        (decode_value::<u128>(b"\xff").map(|_| ()), "below zero"),
        (decode_value::<u8>(b"\xcd\x01\x00").map(|_| ()), "too large"),
        (decode_value::<i8>(b"\xcc\x80").map(|_| ()), "too large for a signed one"),
        (decode_value::<u128>(b"\xc4\x0f123456789012345").map(|_| ()), "15 bytes"),
        (decode_value::<u64>(b"\xca\x3f\x80\x00\x00").map(|_| ()), "a float"),
    ] {
        assert!(refused.is_err(), "{what}");
    }
}

#[test]
fn bytes_and_text_mix_as_far_as_it_is_safe() {
    assert_eq!(decode_value::<Vec<u8>>(b"\xc4\x02\x01\xff"), Ok(vec![1, 255]));
    assert_eq!(decode_value::<Vec<u8>>(b"\x92\x01\xcc\xff"), Ok(vec![1, 255]));
    assert_eq!(decode_value::<ByteBuf>(b"\x92\x01\xcc\xff"), Ok(ByteBuf::from(vec![1, 255])));
    assert_eq!(decode_value::<[u8; 2]>(b"\xc4\x02\x01\xff"), Ok([1, 255]));
    // A string that is not UTF-8 is bytes at best.
    assert_eq!(decode_value::<ByteBuf>(b"\xa2a\xff"), Ok(ByteBuf::from(b"a\xff".to_vec())));
    let error = decode_value::<String>(b"\xa2a\xff").unwrap_err();
    assert!(error.to_string().contains("utf-8"), "{error}");
}

#[test]
fn wrong_shapes_are_refused() {
    for bytes in [
        &b"\x80"[..],                                // no variant
        b"\x82\xa4Unit\xc0\xa4Unit\xc0",             // two
        b"\x81\xa4Unit\x01",                         // content where there is none
        b"\xa7Newtype",                              // none where there is some
        b"\x81\xa5Other\xc0",                        // unknown
        b"\x91\xa4Unit",                             // an array
        b"\x81\xa5Tuple\x93\xa1z\xc3\xc3",           // one more
        b"\x81\xa5Tuple\x91\xa1z",                   // one less
        b"\x81\xa6Struct\x81\xa4text\xa0",           // a field is missing
        b"\xd4\x01\x01",                             // an extension
        b"\x81\xa6Nested\x81\xa6Nested\x81\xa0\xc0", // wrong far inside
    ] {
        assert!(decode_value::<Choice>(bytes).is_err(), "{bytes:02x?}");
    }
    let error = decode_value::<Choice>(b"\x82\xa4Unit\xc0\xa4Unit\xc0").unwrap_err();
    assert!(error.to_string().contains("a map of 2 entries"), "{error}");
    assert!(decode_value::<Unit>(b"\x91\x01").is_err());
    assert!(decode_value::<Extension>(b"\x92\x01\xc4\x00").is_err());
    assert!(decode_value::<(u8, u8)>(b"\x93\x01\x02\x03").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever both libraries accept means the same; ours may refuse more: it wants exactly one value.
    #[test]
    fn what_both_libraries_read_is_the_same(bytes in proptest::collection::vec(msgpack_byte(), 0..40)) {
        if let (Ok(ours), Ok(theirs)) = (decode_value::<Choice>(&bytes), rmp_serde::from_slice::<Choice>(&bytes)) {
            prop_assert_eq!(ours, theirs);
        }
        if let (Ok(ours), Ok(theirs)) = (decode_value::<Tuple>(&bytes), rmp_serde::from_slice::<Tuple>(&bytes)) {
            prop_assert_eq!(ours, theirs);
        }
        if let (Ok(ours), Ok(theirs)) =
            (decode_value::<Vec<Untagged>>(&bytes), rmp_serde::from_slice::<Vec<Untagged>>(&bytes))
        {
            prop_assert_eq!(ours, theirs);
        }
    }
}

/// Bytes that are markers more often than chance has it.
fn msgpack_byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), 0x80..=0x83u8, 0x90..=0x93u8, 0xa0..=0xa2u8, 0xc0..=0xdfu8, 0..4u8]
}

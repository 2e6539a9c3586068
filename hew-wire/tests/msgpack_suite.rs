//! The MessagePack test suite of kawanet: every listed form decodes to its value, every value encodes to a listed form.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

use hew_wire::payload::{decode_payload, decode_value, encode_payload, encode_value};
use hew_wire::scan::scan;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_bytes::ByteBuf;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt::{self, Debug};

const SUITE: &str = include_str!("vectors/msgpack-test-suite.json");

/// A value of any type, as the suite describes it. Numbers are compared as numbers: the suite lists a whole number's
/// forms as a float, too.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Nil,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    Binary(Vec<u8>),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Extension(i8, Vec<u8>),
}

/// The extension as serde's data model has it, which both directions share.
#[derive(Serialize, Deserialize)]
#[serde(rename = "_ExtStruct")]
struct Extension((i8, ByteBuf));

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Nil => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Integer(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(value), _) => serializer.serialize_i64(value),
                (_, Ok(value)) => serializer.serialize_u64(value),
                _ => Err(serde::ser::Error::custom("outside of 64 bits")),
            },
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::Text(value) => serializer.serialize_str(value),
            Value::Binary(value) => serializer.serialize_bytes(value),
            Value::Array(value) => serializer.collect_seq(value),
            Value::Map(value) => serializer.collect_map(value.iter().map(|(key, value)| (key, value))),
            Value::Extension(kind, data) => {
                Extension((*kind, ByteBuf::from(data.clone()))).serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        struct ValueVisitor;
        impl<'de> Visitor<'de> for ValueVisitor {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Nil)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Integer(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(Value::Integer(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(Value::Float(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::Text(value.into()))
            }

            fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
                Ok(Value::Binary(value.into()))
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, parts: D) -> Result<Value, D::Error> {
                let (kind, data) = <(i8, ByteBuf)>::deserialize(parts)?;
                Ok(Value::Extension(kind, data.into_vec()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
                let mut array = Vec::new();
                while let Some(element) = elements.next_element()? {
                    array.push(element);
                }
                Ok(Value::Array(array))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
                let mut map = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    map.push(entry);
                }
                Ok(Value::Map(map))
            }
        }
        deserializer.deserialize_any(ValueVisitor)
    }
}

/// One value of the suite with all its forms.
struct Case {
    value: Value,
    forms: Vec<Vec<u8>>,
}

/// The groups of the suite, each with its cases and their forms.
const GROUPS: [(&str, usize, usize); 15] = [
    ("10.nil.yaml", 1, 1),
    ("11.bool.yaml", 2, 2),
    ("12.binary.yaml", 3, 9),
    ("20.number-positive.yaml", 11, 73),
    ("21.number-negative.yaml", 8, 33),
    ("22.number-float.yaml", 2, 4),
    ("23.number-bignum.yaml", 9, 19),
    ("30.string-ascii.yaml", 4, 13),
    ("31.string-utf8.yaml", 5, 10),
    ("32.string-emoji.yaml", 2, 4),
    ("40.array.yaml", 5, 14),
    ("41.map.yaml", 3, 9),
    ("42.nested.yaml", 4, 12),
    ("50.timestamp.yaml", 19, 19),
    ("60.ext.yaml", 7, 11),
];

fn suite() -> serde_json::Map<String, Json> {
    serde_json::from_str(SUITE).unwrap()
}

fn cases() -> Vec<Case> {
    let suite = suite();
    let cases = suite.values().flat_map(|group| group.as_array().unwrap());
    cases.map(|case| Case { value: described(case), forms: forms(case) }).collect()
}

fn forms(case: &Json) -> Vec<Vec<u8>> {
    case["msgpack"].as_array().unwrap().iter().map(|form| hex(form.as_str().unwrap())).collect()
}

fn hex(text: &str) -> Vec<u8> {
    text.split('-')
        .filter(|byte| !byte.is_empty())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

/// The value of a case: the one key besides its forms says the type. A big number comes as text as well, since not
/// every reader of JSON keeps its digits; the text is the better one.
fn described(case: &Json) -> Value {
    let case = case.as_object().unwrap();
    if let Some(digits) = case.get("bignum") {
        return Value::Integer(digits.as_str().unwrap().parse().unwrap());
    }
    let mut kinds = case.iter().filter(|(kind, _)| *kind != "msgpack");
    let (kind, value) = kinds.next().unwrap();
    assert!(kinds.next().is_none(), "{case:?} has two types");
    match kind.as_str() {
        "binary" => Value::Binary(hex(value.as_str().unwrap())),
        "ext" => {
            let kind = value[0].as_i64().unwrap().try_into().unwrap();
            Value::Extension(kind, hex(value[1].as_str().unwrap()))
        }
        "timestamp" => timestamp(value[0].as_i64().unwrap(), value[1].as_u64().unwrap()),
        "nil" | "bool" | "number" | "string" | "array" | "map" => plain(value),
        other => panic!("the suite has a new type: {other}"),
    }
}

fn plain(value: &Json) -> Value {
    match value {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::Integer(value.into()),
            (_, Some(value)) => Value::Integer(value.into()),
            _ => Value::Float(number.as_f64().unwrap()),
        },
        Json::String(value) => Value::Text(value.clone()),
        Json::Array(value) => Value::Array(value.iter().map(plain).collect()),
        Json::Object(value) => {
            Value::Map(value.iter().map(|(key, value)| (Value::Text(key.clone()), plain(value))).collect())
        }
    }
}

/// The extension that the MessagePack specification defines: kind −1, in the shortest of its three layouts.
fn timestamp(seconds: i64, nanoseconds: u64) -> Value {
    let data = match u64::try_from(seconds) {
        Ok(seconds) if seconds < 1 << 32 && nanoseconds == 0 => (seconds as u32).to_be_bytes().to_vec(),
        Ok(seconds) if seconds < 1 << 34 => (nanoseconds << 34 | seconds).to_be_bytes().to_vec(),
        _ => [&(nanoseconds as u32).to_be_bytes()[..], &seconds.to_be_bytes()].concat(),
    };
    Value::Extension(-1, data)
}

/// Whether a form means the value: whole numbers may come as floats.
fn means(decoded: &Value, value: &Value) -> bool {
    match (decoded, value) {
        (Value::Float(float), Value::Integer(integer)) => float.fract() == 0.0 && *float as i128 == *integer,
        _ => decoded == value,
    }
}

#[test]
fn every_group_is_there_and_nothing_else() {
    let suite = suite();
    let found: Vec<_> = suite
        .iter()
        .map(|(name, group)| {
            let cases = group.as_array().unwrap();
            (name.as_str(), cases.len(), cases.iter().map(|case| forms(case).len()).sum())
        })
        .collect();
    assert_eq!(found, GROUPS);
}

#[test]
fn every_listed_form_means_its_value() {
    let mut forms = 0;
    for case in cases() {
        for form in case.forms {
            scan("form", &form).unwrap();
            let decoded: Value = decode_value(&form).unwrap();
            assert!(means(&decoded, &case.value), "{form:02x?}: {decoded:?} is not {:?}", case.value);
            let message: Value = decode_payload(0, &form).unwrap();
            assert_eq!(message, decoded, "{form:02x?} as a message");
            for end in 0..form.len() {
                assert!(scan("form", &form[..end]).is_err(), "{form:02x?} cut at {end}");
                // No bytes at all are a short form of nil here.
                assert!(end == 0 || decode_value::<Value>(&form[..end]).is_err(), "{form:02x?} cut at {end}");
            }
            forms += 1;
        }
    }
    assert_eq!(forms, GROUPS.iter().map(|(_, _, forms)| forms).sum::<usize>());
}

#[test]
fn every_value_is_written_in_a_listed_form() {
    for case in cases() {
        let mut bytes = Vec::new();
        encode_value(&case.value, &mut bytes).unwrap();
        assert!(case.forms.contains(&bytes), "{:?} is written {bytes:02x?}", case.value);
        // A float of 32 bits is shorter than some numbers, and something else.
        let exact = case.forms.iter().filter(|form| form[0] != 0xca);
        let shortest = exact.map(Vec::len).min().unwrap();
        assert_eq!(bytes.len(), shortest, "{:?} is written longer than needed: {bytes:02x?}", case.value);
        let mut payload = Vec::new();
        assert_eq!(encode_payload(&case.value, &mut payload).unwrap(), 0);
        assert_eq!(payload, bytes, "{:?} as a message", case.value);
    }
}

/// The same forms, read as the types of Rust that hold them.
#[test]
fn typed_values_read_the_same_forms() {
    fn check<T: DeserializeOwned + PartialEq + Debug>(forms: &[Vec<u8>], value: T) {
        for form in forms {
            assert_eq!(decode_value::<T>(form).unwrap(), value, "{form:02x?}");
        }
    }
    for case in cases() {
        // Floats do not become integers.
        let exact: Vec<_> =
            case.forms.iter().filter(|form| !matches!(form[0], 0xca | 0xcb)).cloned().collect();
        match case.value {
            Value::Nil => check(&case.forms, ()),
            Value::Bool(value) => check(&case.forms, value),
            Value::Integer(value) => {
                check(&exact, value);
                if let Ok(value) = i64::try_from(value) {
                    check(&exact, value);
                }
                if let Ok(value) = u64::try_from(value) {
                    check(&exact, value);
                    check(&exact, Some(value));
                }
                if value.unsigned_abs() < 1 << 53 {
                    check(&case.forms, value as f64);
                }
            }
            Value::Float(value) => check(&case.forms, value),
            Value::Text(value) => check(&case.forms, value),
            Value::Binary(value) => {
                check(&case.forms, ByteBuf::from(value.clone()));
                check(&case.forms, value);
            }
            Value::Extension(kind, data) => {
                for form in &case.forms {
                    let Extension(parts) = decode_value(form).unwrap();
                    assert_eq!(parts, (kind, ByteBuf::from(data.clone())), "{form:02x?}");
                }
            }
            Value::Array(value) => check(&case.forms, value),
            Value::Map(entries) => {
                let text = |key: Value| match key {
                    Value::Text(key) => key,
                    other => panic!("{other:?} is a key"),
                };
                let map: BTreeMap<String, Value> =
                    entries.into_iter().map(|(key, value)| (text(key), value)).collect();
                check(&case.forms, map);
            }
        }
    }
}

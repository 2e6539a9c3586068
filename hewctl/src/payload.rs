//! Messages and answers as operators write and read them: JSON on the command line, MessagePack on the wire.

use crate::failure::Failure;
use hew_wire::payload::{decode_value, encode_value};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// The payload of a message: nothing for nothing, which stands for nil.
pub(crate) fn encode(content: Option<&Value>) -> Result<Vec<u8>, Failure> {
    let mut payload = Vec::new();
    if let Some(value) = content {
        encode_value(value, &mut payload).map_err(|error| Failure::usage(error).of("the message"))?;
    }
    Ok(payload)
}

/// An answer as JSON. What JSON lacks becomes text or null: bytes are hexadecimal text, keys are texts, a number
/// without a value is null.
pub(crate) fn decode(answer: &[u8]) -> Result<Value, Failure> {
    let Shown(value) = decode_value(answer).map_err(|error| Failure::failed(error).of("the answer"))?;
    Ok(value)
}

/// A value of any shape.
struct Shown(Value);

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shown, D::Error> {
        deserializer.deserialize_any(AnyShape).map(Shown)
    }
}

struct AnyShape;

impl<'de> Visitor<'de> for AnyShape {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(value.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Shown::deserialize(deserializer).map(|Shown(value)| value)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Shown::deserialize(deserializer).map(|Shown(value)| value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Shown(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some((Shown(key), Shown(value))) = map.next_entry()? {
            let key = match key {
                Value::String(text) => text,
                other => other.to_string(),
            };
            values.insert(key, value);
        }
        Ok(values.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_comes_back_from_the_wire() {
        for value in [
            json!(null),
            json!(true),
            json!(-3),
            json!(18_446_744_073_709_551_615_u64),
            json!(1.5),
            json!("ü"),
            json!([1, "a", []]),
            json!({"a": {"b": [null]}}),
        ] {
            assert_eq!(decode(&encode(Some(&value)).unwrap()).unwrap(), value);
        }
    }

    #[test]
    fn nothing_is_nil() {
        assert!(encode(None).unwrap().is_empty());
        assert_eq!(decode(b"").unwrap(), Value::Null);
    }

    #[test]
    fn what_json_lacks_is_shown_as_text() {
        assert_eq!(decode(b"\xc4\x02\x0a\xff").unwrap(), json!("0aff"));
        assert_eq!(decode(b"\x81\x01\xa1a").unwrap(), json!({"1": "a"}));
        assert_eq!(decode(b"\xcb\x7f\xf8\0\0\0\0\0\0").unwrap(), Value::Null);
        assert!(decode(b"\x92\x01").is_err());
    }
}

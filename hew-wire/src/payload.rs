//! Payloads: a message as `(msg_type, MessagePack)`.
//!
//! For a Rust enum, `msg_type` is the index of the variant and the payload is what the variant holds: nil for a unit
//! variant, the value itself for a newtype variant, an array for a tuple variant, a map of named fields for a struct
//! variant. Any other type has `msg_type` 0 and is its own payload. So a Rust actor and an actor compiled by Hew, whose
//! message types are the zero-based indexes of its `receive fn`s, understand each other. An empty payload stands for nil.

mod access;
mod decode;
mod encode;
pub(crate) mod reader;

pub use decode::{decode_payload, decode_value};
pub use encode::{EncodeError, encode_payload, encode_value};
pub use reader::LEVELS_MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DecodeError;
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};
    use std::collections::BTreeMap;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Order {
        Reset,
        Add(u64),
        Move(i32, i32),
        Rename { from: String, to: Option<String> },
        Nested(Inner),
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Inner {
        One,
        Two(BTreeMap<String, f64>),
        Three { bytes: Vec<u8> },
    }

    fn encode<T: Serialize>(message: &T) -> (i32, Vec<u8>) {
        let mut payload = Vec::new();
        let msg_type = encode_payload(message, &mut payload).unwrap();
        (msg_type, payload)
    }

    #[test]
    fn a_variant_is_its_index_and_its_content() {
        let cases: [(Order, i32, &[u8]); 5] = [
            (Order::Reset, 0, b"\xc0"),
            (Order::Add(300), 1, b"\xcd\x01\x2c"),
            (Order::Move(1, -1), 2, b"\x92\x01\xff"),
            (Order::Rename { from: "a".into(), to: None }, 3, b"\x82\xa4from\xa1a\xa2to\xc0"),
            (Order::Nested(Inner::One), 4, b"\xa3One"),
        ];
        for (order, msg_type, payload) in cases {
            assert_eq!(encode(&order), (msg_type, payload.to_vec()), "{order:?}");
            assert_eq!(decode_payload::<Order>(msg_type, payload).unwrap(), order);
        }
    }

    #[test]
    fn an_empty_payload_is_nil() {
        assert_eq!(decode_payload::<Order>(0, b"").unwrap(), Order::Reset);
        assert!(decode_payload::<Order>(1, b"").is_err());
    }

    #[test]
    fn other_types_are_message_0() {
        assert_eq!(encode(&7u64), (0, vec![7]));
        assert_eq!(decode_payload::<u64>(0, &[7]).unwrap(), 7);
        assert_eq!(encode(&("a", 1)), (0, b"\x92\xa1a\x01".to_vec()));
        assert_eq!(decode_payload::<(String, u8)>(0, b"\x92\xa1a\x01").unwrap(), ("a".into(), 1));
        let error = decode_payload::<u64>(3, &[7]).unwrap_err();
        assert!(error.to_string().contains("message type 3"), "{error}");
    }

    #[test]
    fn unknown_variants_name_their_number() {
        for msg_type in [5, -1, i32::MAX, i32::MIN] {
            let error = decode_payload::<Order>(msg_type, b"\xc0").unwrap_err();
            assert!(matches!(error, DecodeError::Invalid { .. }));
            assert!(error.to_string().contains(&msg_type.to_string()), "{error}");
        }
    }

    #[test]
    fn bytes_after_the_value_are_refused() {
        assert!(matches!(decode_payload::<Order>(1, b"\x01\x01"), Err(DecodeError::Trailing { .. })));
        assert!(matches!(decode_payload::<Order>(0, b"\xc0\xc0"), Err(DecodeError::Trailing { .. })));
    }

    #[test]
    fn struct_variants_grow_fields() {
        let more = b"\x83\xa4from\xa1a\xa3new\x91\x01\xa2to\xa1b";
        let renamed = Order::Rename { from: "a".into(), to: Some("b".into()) };
        assert_eq!(decode_payload::<Order>(3, more).unwrap(), renamed);
    }

    proptest! {
        #[test]
        fn values_read_back(name in ".{0,20}", bytes in proptest::collection::vec(any::<u8>(), 0..50), x in any::<i32>(), y in any::<i32>(), add in any::<u64>(), f in -1e9..1e9f64) {
            let orders = [
                Order::Add(add),
                Order::Move(x, y),
                Order::Rename { from: name.clone(), to: Some(name.clone()) },
                Order::Nested(Inner::Two(BTreeMap::from([(name, f)]))),
                Order::Nested(Inner::Three { bytes }),
            ];
            for order in orders {
                let (msg_type, payload) = encode(&order);
                prop_assert_eq!(decode_payload::<Order>(msg_type, &payload).unwrap(), order.clone());
                for end in 1..payload.len() {
                    prop_assert!(decode_payload::<Order>(msg_type, &payload[..end]).is_err());
                }
            }
        }

        #[test]
        fn any_bytes_give_an_answer(msg_type in -1..8i32, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_payload::<Order>(msg_type, &bytes);
        }
    }
}

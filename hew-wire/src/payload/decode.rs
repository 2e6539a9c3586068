//! From `(msg_type, payload)` to a value.

use crate::DecodeError;
use crate::scan::scan;
use serde::de::value::U32Deserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};

const NIL: &[u8] = b"\xc0";

/// Reads a message of type `M`.
///
/// The payload is scanned first ([`crate::scan`]): complete, one value, at most [`crate::scan::DEPTH_MAX`] deep.
///
/// # Errors
/// [`DecodeError`]; [`DecodeError::Invalid`] names the message type when `M` has no such variant.
pub fn decode_payload<M: DeserializeOwned>(msg_type: i32, payload: &[u8]) -> Result<M, DecodeError> {
    let payload = if payload.is_empty() { NIL } else { payload };
    scan("payload", payload)?;
    M::deserialize(Variant { msg_type, payload }).map_err(|error| DecodeError::Invalid {
        what: "payload",
        reason: format!("message type {msg_type}: {error}"),
    })
}

/// Reads a value in MessagePack: the form of replies. An empty payload stands for nil.
///
/// # Errors
/// [`DecodeError`].
pub fn decode_value<T: DeserializeOwned>(payload: &[u8]) -> Result<T, DecodeError> {
    let payload = if payload.is_empty() { NIL } else { payload };
    scan("value", payload)?;
    let mut content = content(payload);
    T::deserialize(&mut content)
        .map_err(|error| DecodeError::Invalid { what: "value", reason: error.to_string() })
}

type Content<'b> = rmp_serde::Deserializer<rmp_serde::decode::ReadRefReader<'b, [u8]>>;
type Error = rmp_serde::decode::Error;

fn content(payload: &[u8]) -> Content<'_> {
    let mut content = rmp_serde::Deserializer::from_read_ref(payload);
    content.set_max_depth(2 * crate::scan::DEPTH_MAX);
    content
}

/// Puts the outermost variant together; everything inside it is plain MessagePack.
struct Variant<'b> {
    msg_type: i32,
    payload: &'b [u8],
}

impl<'b> Variant<'b> {
    fn message_0(&self) -> Result<Content<'b>, Error> {
        if self.msg_type != 0 {
            return Err(de::Error::custom("this actor has one message, type 0"));
        }
        Ok(content(self.payload))
    }
}

macro_rules! message_0 {
    ($($method:ident($($argument:ident: $type:ty),*),)*) => {$(
        fn $method<V: Visitor<'b>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, Error> {
            (&mut self.message_0()?).$method($($argument,)* visitor)
        }
    )*};
}

impl<'b> Deserializer<'b> for Variant<'b> {
    type Error = Error;

    fn deserialize_enum<V: Visitor<'b>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self)
    }

    message_0! {
        deserialize_any(),
        deserialize_bool(),
        deserialize_i8(),
        deserialize_i16(),
        deserialize_i32(),
        deserialize_i64(),
        deserialize_i128(),
        deserialize_u8(),
        deserialize_u16(),
        deserialize_u32(),
        deserialize_u64(),
        deserialize_u128(),
        deserialize_f32(),
        deserialize_f64(),
        deserialize_char(),
        deserialize_str(),
        deserialize_string(),
        deserialize_bytes(),
        deserialize_byte_buf(),
        deserialize_option(),
        deserialize_unit(),
        deserialize_unit_struct(name: &'static str),
        deserialize_newtype_struct(name: &'static str),
        deserialize_seq(),
        deserialize_tuple(len: usize),
        deserialize_tuple_struct(name: &'static str, len: usize),
        deserialize_map(),
        deserialize_struct(name: &'static str, fields: &'static [&'static str]),
        deserialize_identifier(),
        deserialize_ignored_any(),
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl<'b> de::EnumAccess<'b> for Variant<'b> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'b>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let index = u32::try_from(self.msg_type)
            .map_err(|_| <Error as de::Error>::custom("there is no such message"))?;
        let index: U32Deserializer<Error> = index.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'b> de::VariantAccess<'b> for Variant<'b> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        if self.payload == NIL {
            return Ok(());
        }
        Err(de::Error::custom("a message without content has a payload"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'b>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(&mut content(self.payload))
    }

    fn tuple_variant<V: Visitor<'b>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        (&mut content(self.payload)).deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'b>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        (&mut content(self.payload)).deserialize_struct("", fields, visitor)
    }
}

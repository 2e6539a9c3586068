//! From `(msg_type, payload)` to a value.

use super::reader::{ReadError, Reader, read, read_with};
use crate::DecodeError;
use crate::token::Token;
use serde::de::value::U32Deserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, Visitor,
};

const NIL: &[u8] = b"\xc0";

/// Reads a message of type `M`.
///
/// The payload is scanned first ([`crate::scan`]): complete, one value, at most [`crate::scan::DEPTH_MAX`] deep. Then
/// `M` may ask for at most [`LEVELS_MAX`](super::LEVELS_MAX) values inside one another.
///
/// # Errors
/// [`DecodeError`]; [`DecodeError::Invalid`] names the message type when `M` has no such variant.
pub fn decode_payload<M: DeserializeOwned>(msg_type: i32, payload: &[u8]) -> Result<M, DecodeError> {
    let payload = if payload.is_empty() { NIL } else { payload };
    read_with("payload", payload, |content| {
        M::deserialize(Variant { msg_type, content }).map_err(|error| match error {
            error @ ReadError::UnknownVariant(_) => {
                ReadError::Invalid(format!("message type {msg_type}: {error}").into())
            }
            ReadError::Invalid(reason) => {
                ReadError::custom(format_args!("message type {msg_type}: {reason}"))
            }
            ReadError::TooDeep | ReadError::Truncated => error,
        })
    })
}

/// Reads a value in MessagePack: the form of replies. An empty payload stands for nil. Bounded as [`decode_payload`].
///
/// # Errors
/// [`DecodeError`].
pub fn decode_value<T: DeserializeOwned>(payload: &[u8]) -> Result<T, DecodeError> {
    read("value", if payload.is_empty() { NIL } else { payload })
}

/// Puts the outermost variant together; everything inside it is plain MessagePack.
struct Variant<'r, 'b> {
    msg_type: i32,
    content: &'r mut Reader<'b>,
}

impl<'r, 'b> Variant<'r, 'b> {
    fn message_0(self) -> Result<&'r mut Reader<'b>, ReadError> {
        if self.msg_type != 0 {
            return Err(ReadError::custom("this actor has one message, type 0"));
        }
        Ok(self.content)
    }
}

macro_rules! message_0 {
    ($($method:ident($($argument:ident: $type:ty),*),)*) => {$(
        fn $method<V: Visitor<'b>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, ReadError> {
            self.message_0()?.$method($($argument,)* visitor)
        }
    )*};
}

impl<'b> Deserializer<'b> for Variant<'_, 'b> {
    type Error = ReadError;

    fn deserialize_enum<V: Visitor<'b>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
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

impl<'b> de::EnumAccess<'b> for Variant<'_, 'b> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'b>>(self, seed: V) -> Result<(V::Value, Self), ReadError> {
        let index =
            u32::try_from(self.msg_type).map_err(|_| ReadError::custom("there is no such message"))?;
        let index: U32Deserializer<ReadError> = index.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'b> de::VariantAccess<'b> for Variant<'_, 'b> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        match self.content.token()? {
            Token::Nil => Ok(()),
            _ => Err(ReadError::custom("a message without content has a payload")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'b>>(self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(self.content)
    }

    fn tuple_variant<V: Visitor<'b>>(self, len: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.content.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'b>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.content.deserialize_struct("", fields, visitor)
    }
}

//! Values from MessagePack: a serde deserializer that bounds how deep types recurse.
//!
//! A bound on the nesting of the bytes is not enough. A type such as `struct N(Option<Box<N>>)` asks for a newtype,
//! for an option, for a newtype and so on without reading anything: one byte would recurse until the stack is gone.
//! So each request that can lead to another is a level here, whether it reads bytes or not, and levels are bounded.

use super::access::{Content, Elements, Entries, Extension, NameOnly};
use crate::DecodeError;
use crate::scan::{scan, value_end};
use crate::token::{NoToken, Token};
use serde::de::value::SeqDeserializer;
use serde::de::{self, Deserialize, Deserializer, Error as _, Visitor};
use std::fmt;

/// Most levels of a type that a value from the network may fill: each option, newtype, sequence, tuple, map, struct
/// and enum on the way to the innermost value is one.
///
/// In a debug build a level takes 0.5 to 1.8 KiB of stack, and up to ten times the width of the type that recurses: all
/// levels of a struct of nine strings take 165 KiB, of any narrower type less. An optimised build takes a fraction.
///
/// Types that recurse through `#[serde(flatten)]` or through untagged enums are read from a copy that serde keeps, and
/// levels inside the copy are not counted: such a type must read something on each level, or it has no end.
pub const LEVELS_MAX: usize = 64;

/// The name by which serde's data model lets a type ask for a MessagePack extension.
const EXTENSION_STRUCT: &str = rmp_serde::MSGPACK_EXT_STRUCT_NAME;

const NIL: u8 = 0xc0;

/// Reads a value that fills `bytes` exactly, after a [`scan`].
pub(crate) fn read<'b, T: Deserialize<'b>>(what: &'static str, bytes: &'b [u8]) -> Result<T, DecodeError> {
    read_with(what, bytes, |reader| T::deserialize(reader))
}

/// As [`read`], for values that `read` puts together from the reader.
pub(crate) fn read_with<'b, T>(
    what: &'static str,
    bytes: &'b [u8],
    read: impl FnOnce(&mut Reader<'b>) -> Result<T, ReadError>,
) -> Result<T, DecodeError> {
    scan(what, bytes)?;
    let mut reader = Reader { rest: bytes, levels: 0 };
    let value = read(&mut reader).map_err(|error| match error {
        ReadError::TooDeep => DecodeError::TooDeep { what, limit: LEVELS_MAX },
        ReadError::Truncated => DecodeError::Truncated { what },
        ReadError::UnknownVariant(variant) => DecodeError::Unknown { what, kind: variant.into() },
        ReadError::Invalid(reason) => DecodeError::Invalid { what, reason: reason.into() },
    })?;
    if !reader.rest.is_empty() {
        return Err(DecodeError::Trailing { what, bytes: reader.rest.len() });
    }
    Ok(value)
}

/// Why a value cannot be read. Small, because every frame of the recursion holds some.
#[derive(Debug)]
pub(crate) enum ReadError {
    TooDeep,
    Truncated,
    UnknownVariant(Box<str>),
    Invalid(Box<str>),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::TooDeep => write!(f, "nested deeper than {LEVELS_MAX}"),
            ReadError::Truncated => f.write_str("the bytes end too early"),
            ReadError::UnknownVariant(variant) => write!(f, "unknown variant {variant}"),
            ReadError::Invalid(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(reason: T) -> ReadError {
        ReadError::Invalid(reason.to_string().into())
    }

    fn unknown_variant(variant: &str, _: &'static [&'static str]) -> ReadError {
        ReadError::UnknownVariant(variant.escape_debug().take(64).collect())
    }
}

/// The bytes not read yet, and the level they are read at.
pub(crate) struct Reader<'b> {
    rest: &'b [u8],
    levels: usize,
}

impl<'b> Reader<'b> {
    pub(super) fn token(&mut self) -> Result<Token<'b>, ReadError> {
        let (token, rest) = Token::split(self.rest).map_err(|no_token| match no_token {
            NoToken::Truncated => ReadError::Truncated,
            NoToken::Reserved => ReadError::custom("marker c1"),
        })?;
        self.rest = rest;
        Ok(token)
    }

    /// `count`, or less if so many values cannot follow: what memory may be reserved for.
    pub(super) fn at_most(&self, count: u32) -> usize {
        self.rest.len().min(count as usize)
    }

    /// Goes one level down. Whoever gets an `Ok` calls [`Reader::leave`] afterwards, whatever the value turns out to be:
    /// a visitor may survive the error of a child and go on.
    fn enter(&mut self) -> Result<(), ReadError> {
        if self.levels == LEVELS_MAX {
            return Err(ReadError::TooDeep);
        }
        self.levels += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.levels -= 1;
    }

    fn leaf<V: Visitor<'b>>(&mut self, visitor: V) -> Result<V::Value, ReadError> {
        self.token()?.visit(visitor)
    }

    // A debug build gives each result in a function its own place on the stack, and results are as wide as the types
    // of users. So what recurses passes through few functions, each of which holds at most one result.

    fn value<V: Visitor<'b>>(&mut self, token: Token<'b>, visitor: V) -> Result<V::Value, ReadError> {
        match token {
            Token::Array(count) => self.array(count, visitor),
            Token::Map(count) => self.map(count, visitor),
            Token::Ext(kind, data) => visitor.visit_newtype_struct(Extension { kind, data }),
            leaf => leaf.visit(visitor),
        }
    }

    fn array<V: Visitor<'b>>(&mut self, count: u32, visitor: V) -> Result<V::Value, ReadError> {
        self.enter()?;
        let mut left = count;
        let value = visitor.visit_seq(Elements { reader: self, left: &mut left });
        self.leave();
        if left > 0 && value.is_ok() {
            return Err(ReadError::custom(format_args!("{left} more elements than expected")));
        }
        value
    }

    fn map<V: Visitor<'b>>(&mut self, count: u32, visitor: V) -> Result<V::Value, ReadError> {
        self.enter()?;
        let mut left = count;
        let value = visitor.visit_map(Entries { reader: self, left: &mut left });
        self.leave();
        if left > 0 && value.is_ok() {
            return Err(ReadError::custom(format_args!("{left} more entries than expected")));
        }
        value
    }

    fn wide_integer(&mut self) -> Result<WideInteger, ReadError> {
        Ok(match self.token()? {
            Token::Unsigned(value) => WideInteger::Small(value.into()),
            Token::Signed(value) => WideInteger::Small(value.into()),
            Token::Bin(bytes) => WideInteger::Bytes(
                bytes.try_into().map_err(|_| ReadError::invalid_length(bytes.len(), &"16 bytes"))?,
            ),
            _ => return Err(ReadError::custom("expected an integer of 128 bits")),
        })
    }
}

/// An integer of 128 bits: a plain one if it was written so, else 16 bytes, big-endian.
enum WideInteger {
    Small(i128),
    Bytes([u8; 16]),
}

macro_rules! leaves {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'b>>(self, visitor: V) -> Result<V::Value, ReadError> {
            self.leaf(visitor)
        }
    )*};
}

impl<'b> Deserializer<'b> for &mut Reader<'b> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'b>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let token = self.token()?;
        self.value(token, visitor)
    }

    leaves! {
        deserialize_bool
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string
        deserialize_unit deserialize_identifier
    }

    fn deserialize_i128<V: Visitor<'b>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.wide_integer()? {
            WideInteger::Small(value) => visitor.visit_i128(value),
            WideInteger::Bytes(bytes) => visitor.visit_i128(i128::from_be_bytes(bytes)),
        }
    }

    fn deserialize_u128<V: Visitor<'b>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.wide_integer()? {
            WideInteger::Small(value) => {
                let value =
                    value.try_into().map_err(|_| ReadError::custom(format_args!("{value} is below 0")))?;
                visitor.visit_u128(value)
            }
            WideInteger::Bytes(bytes) => visitor.visit_u128(u128::from_be_bytes(bytes)),
        }
    }

    fn deserialize_bytes<V: Visitor<'b>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'b>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'b>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.token()? {
            // The encoder writes an empty array.
            Token::Array(0) => visitor.visit_unit(),
            token => token.visit(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'b>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if let [NIL, rest @ ..] = self.rest {
            self.rest = rest;
            return visitor.visit_none();
        }
        self.enter()?;
        let value = visitor.visit_some(&mut *self);
        self.leave();
        value
    }

    fn deserialize_newtype_struct<V: Visitor<'b>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        if name == EXTENSION_STRUCT {
            return match self.token()? {
                Token::Ext(kind, data) => visitor.visit_newtype_struct(Extension { kind, data }),
                _ => Err(ReadError::custom("expected an extension")),
            };
        }
        self.enter()?;
        let value = visitor.visit_newtype_struct(&mut *self);
        self.leave();
        value
    }

    fn deserialize_seq<V: Visitor<'b>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.token()? {
            Token::Bin(bytes) => visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied())),
            token => self.value(token, visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'b>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'b>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'b>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'b>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'b>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let before = self.rest;
        match self.token()? {
            Token::Map(1) => {
                self.enter()?;
                let value = visitor.visit_enum(Content { reader: self });
                self.leave();
                value
            }
            Token::Map(count) => {
                Err(ReadError::custom(format_args!("a map of {count} entries where an enum has one")))
            }
            // A variant without content is its name alone.
            _ => {
                self.rest = before;
                visitor.visit_enum(NameOnly { reader: self })
            }
        }
    }

    fn deserialize_ignored_any<V: Visitor<'b>>(self, visitor: V) -> Result<V::Value, ReadError> {
        // Without recursion.
        let end = value_end("ignored value", self.rest).map_err(ReadError::custom)?;
        self.rest = &self.rest[end..];
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

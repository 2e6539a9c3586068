//! One piece of MessagePack: a marker, the length it declares, and the bytes it carries itself.
//!
//! The scan and the reader of payloads both take values apart with this, so that they cannot disagree about where
//! a value ends.

use rmp::Marker;
use serde::de::{Error, Unexpected, Visitor};

/// A value that holds no others, or the head of an array or a map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token<'b> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    /// From a signed form, or negative.
    Signed(i64),
    F32(f32),
    F64(f64),
    /// UTF-8 by the specification, and not checked.
    Str(&'b [u8]),
    Bin(&'b [u8]),
    Array(u32),
    /// The number of entries; twice as many values follow.
    Map(u32),
    Ext(i8, &'b [u8]),
}

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoToken {
    /// The bytes end too early.
    Truncated,
    /// The one marker that MessagePack does not use, `c1`.
    Reserved,
}

impl<'b> Token<'b> {
    /// Splits the first token off `bytes`.
    pub(crate) fn split(bytes: &'b [u8]) -> Result<(Token<'b>, &'b [u8]), NoToken> {
        let mut rest = Rest(bytes);
        let token = match Marker::from_u8(rest.number::<1>()? as u8) {
            Marker::FixPos(value) => Token::Unsigned(value.into()),
            Marker::FixNeg(value) => Token::Signed(value.into()),
            Marker::Null => Token::Nil,
            Marker::True => Token::Bool(true),
            Marker::False => Token::Bool(false),
            Marker::U8 => Token::Unsigned(rest.number::<1>()?),
            Marker::U16 => Token::Unsigned(rest.number::<2>()?),
            Marker::U32 => Token::Unsigned(rest.number::<4>()?),
            Marker::U64 => Token::Unsigned(rest.number::<8>()?),
            // The casts cut to the width that was read, and then extend the sign.
            Marker::I8 => Token::Signed((rest.number::<1>()? as i8).into()),
            Marker::I16 => Token::Signed((rest.number::<2>()? as i16).into()),
            Marker::I32 => Token::Signed((rest.number::<4>()? as i32).into()),
            Marker::I64 => Token::Signed(rest.number::<8>()? as i64),
            Marker::F32 => Token::F32(f32::from_bits(rest.number::<4>()? as u32)),
            Marker::F64 => Token::F64(f64::from_bits(rest.number::<8>()?)),
            Marker::FixStr(length) => Token::Str(rest.take(length.into())?),
            Marker::Str8 => Token::Str(rest.counted::<1>()?),
            Marker::Str16 => Token::Str(rest.counted::<2>()?),
            Marker::Str32 => Token::Str(rest.counted::<4>()?),
            Marker::Bin8 => Token::Bin(rest.counted::<1>()?),
            Marker::Bin16 => Token::Bin(rest.counted::<2>()?),
            Marker::Bin32 => Token::Bin(rest.counted::<4>()?),
            Marker::FixArray(count) => Token::Array(count.into()),
            Marker::Array16 => Token::Array(rest.number::<2>()? as u32),
            Marker::Array32 => Token::Array(rest.number::<4>()? as u32),
            Marker::FixMap(count) => Token::Map(count.into()),
            Marker::Map16 => Token::Map(rest.number::<2>()? as u32),
            Marker::Map32 => Token::Map(rest.number::<4>()? as u32),
            Marker::FixExt1 => rest.ext(1)?,
            Marker::FixExt2 => rest.ext(2)?,
            Marker::FixExt4 => rest.ext(4)?,
            Marker::FixExt8 => rest.ext(8)?,
            Marker::FixExt16 => rest.ext(16)?,
            Marker::Ext8 => {
                let length = rest.number::<1>()?;
                rest.ext(length)?
            }
            Marker::Ext16 => {
                let length = rest.number::<2>()?;
                rest.ext(length)?
            }
            Marker::Ext32 => {
                let length = rest.number::<4>()?;
                rest.ext(length)?
            }
            Marker::Reserved => return Err(NoToken::Reserved),
        };
        Ok((token, rest.0))
    }

    /// How many values follow that belong to this one.
    pub(crate) fn children(&self) -> u64 {
        match *self {
            Token::Array(count) => count.into(),
            Token::Map(count) => 2 * u64::from(count),
            Token::Nil
            | Token::Bool(_)
            | Token::Unsigned(_)
            | Token::Signed(_)
            | Token::F32(_)
            | Token::F64(_)
            | Token::Str(_)
            | Token::Bin(_)
            | Token::Ext(..) => 0,
        }
    }

    /// Hands a value that holds no others to `visitor`; arrays, maps and extensions are errors here.
    pub(crate) fn visit<V: Visitor<'b>, E: Error>(self, visitor: V) -> Result<V::Value, E> {
        match self {
            Token::Nil => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Unsigned(value) => visitor.visit_u64(value),
            Token::Signed(value) => visitor.visit_i64(value),
            Token::F32(value) => visitor.visit_f32(value),
            Token::F64(value) => visitor.visit_f64(value),
            Token::Bin(value) => visitor.visit_borrowed_bytes(value),
            Token::Str(value) => match str::from_utf8(value) {
                Ok(text) => visitor.visit_borrowed_str(text),
                // Who asks for bytes may have them.
                Err(error) => visitor.visit_borrowed_bytes::<E>(value).map_err(|_| E::custom(error)),
            },
            Token::Array(_) => Err(E::invalid_type(Unexpected::Seq, &visitor)),
            Token::Map(_) => Err(E::invalid_type(Unexpected::Map, &visitor)),
            Token::Ext(..) => Err(E::invalid_type(Unexpected::Other("extension"), &visitor)),
        }
    }
}

/// What has not been taken yet.
struct Rest<'b>(&'b [u8]);

impl<'b> Rest<'b> {
    fn take(&mut self, length: u64) -> Result<&'b [u8], NoToken> {
        let length = usize::try_from(length).map_err(|_| NoToken::Truncated)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(NoToken::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A big-endian number of `N` bytes, at most 8.
    fn number<const N: usize>(&mut self) -> Result<u64, NoToken> {
        let (bytes, rest) = self.0.split_first_chunk::<N>().ok_or(NoToken::Truncated)?;
        self.0 = rest;
        Ok(bytes.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    }

    fn counted<const N: usize>(&mut self) -> Result<&'b [u8], NoToken> {
        let length = self.number::<N>()?;
        self.take(length)
    }

    fn ext(&mut self, length: u64) -> Result<Token<'b>, NoToken> {
        let kind = self.number::<1>()? as i8;
        Ok(Token::Ext(kind, self.take(length)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_gives_its_token() {
        let cases: [(&[u8], Token<'_>); 22] = [
            (b"\xc0", Token::Nil),
            (b"\xc3", Token::Bool(true)),
            (b"\x7f", Token::Unsigned(127)),
            (b"\xe0", Token::Signed(-32)),
            (b"\xcc\xff", Token::Unsigned(255)),
            (b"\xcd\x01\x02", Token::Unsigned(0x0102)),
            (b"\xce\xff\x00\x00\x01", Token::Unsigned(0xff00_0001)),
            (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", Token::Unsigned(u64::MAX)),
            (b"\xd0\x80", Token::Signed(-128)),
            (b"\xd1\x80\x00", Token::Signed(-32768)),
            (b"\xd2\xff\xff\xff\xfe", Token::Signed(-2)),
            (b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", Token::Signed(i64::MIN)),
            (b"\xca\x3f\x80\x00\x00", Token::F32(1.0)),
            (b"\xcb\xbf\xe0\x00\x00\x00\x00\x00\x00", Token::F64(-0.5)),
            (b"\xa2ab", Token::Str(b"ab")),
            (b"\xda\x00\x01a", Token::Str(b"a")),
            (b"\xc6\x00\x00\x00\x01\xff", Token::Bin(b"\xff")),
            (b"\xdd\xff\xff\xff\xff", Token::Array(u32::MAX)),
            (b"\xde\x01\x00", Token::Map(256)),
            (b"\xd4\xff\x07", Token::Ext(-1, b"\x07")),
            (b"\xc7\x00\x06", Token::Ext(6, b"")),
            (b"\xc9\x00\x00\x00\x02\x05ab", Token::Ext(5, b"ab")),
        ];
        for (bytes, token) in cases {
            assert_eq!(Token::split(bytes), Ok((token, &b""[..])), "{bytes:02x?}");
            assert_eq!(Token::split(&[bytes, b"\x01"].concat()).map(|(_, rest)| rest.len()), Ok(1));
            for end in 0..bytes.len() {
                assert_eq!(Token::split(&bytes[..end]), Err(NoToken::Truncated), "{bytes:02x?} cut at {end}");
            }
        }
        assert_eq!(Token::split(b"\xc1\x00"), Err(NoToken::Reserved));
        assert_eq!(Token::Map(u32::MAX).children(), 2 * u64::from(u32::MAX));
    }
}

//! What a visitor gets hold of while it reads an array, a map, an enum or an extension.

use super::reader::{ReadError, Reader};
use crate::token::Token;
use serde::de::value::{BorrowedBytesDeserializer, I8Deserializer};
use serde::de::{self, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, Unexpected, Visitor};

/// The elements of an array that have not been read yet.
pub(super) struct Elements<'r, 'b> {
    pub(super) reader: &'r mut Reader<'b>,
    pub(super) left: &'r mut u32,
}

impl<'b> de::SeqAccess<'b> for Elements<'_, 'b> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'b>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        if *self.left == 0 {
            return Ok(None);
        }
        *self.left -= 1;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.reader.at_most(*self.left))
    }
}

/// The entries of a map that have not been read yet.
pub(super) struct Entries<'r, 'b> {
    pub(super) reader: &'r mut Reader<'b>,
    pub(super) left: &'r mut u32,
}

impl<'b> de::MapAccess<'b> for Entries<'_, 'b> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'b>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        if *self.left == 0 {
            return Ok(None);
        }
        *self.left -= 1;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'b>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.reader.at_most(*self.left))
    }
}

/// An enum written as the name of a variant.
pub(super) struct NameOnly<'r, 'b> {
    pub(super) reader: &'r mut Reader<'b>,
}

impl<'b> de::EnumAccess<'b> for NameOnly<'_, 'b> {
    type Error = ReadError;
    type Variant = NoContent;

    fn variant_seed<V: DeserializeSeed<'b>>(self, seed: V) -> Result<(V::Value, NoContent), ReadError> {
        Ok((seed.deserialize(self.reader)?, NoContent))
    }
}

/// What follows the name of a variant without content.
pub(super) struct NoContent;

impl<'b> de::VariantAccess<'b> for NoContent {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'b>>(self, _: T) -> Result<T::Value, ReadError> {
        Err(ReadError::invalid_type(Unexpected::UnitVariant, &"newtype variant"))
    }

    fn tuple_variant<V: Visitor<'b>>(self, _: usize, _: V) -> Result<V::Value, ReadError> {
        Err(ReadError::invalid_type(Unexpected::UnitVariant, &"tuple variant"))
    }

    fn struct_variant<V: Visitor<'b>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, ReadError> {
        Err(ReadError::invalid_type(Unexpected::UnitVariant, &"struct variant"))
    }
}

/// An enum written as a map of one entry, behind the map's head; after the name, what the variant holds.
pub(super) struct Content<'r, 'b> {
    pub(super) reader: &'r mut Reader<'b>,
}

impl<'b> de::EnumAccess<'b> for Content<'_, 'b> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'b>>(self, seed: V) -> Result<(V::Value, Self), ReadError> {
        Ok((seed.deserialize(&mut *self.reader)?, self))
    }
}

impl<'b> de::VariantAccess<'b> for Content<'_, 'b> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        match self.reader.token()? {
            Token::Nil => Ok(()),
            _ => Err(ReadError::custom("a variant without content has some")),
        }
    }

    // The enum's level covers these: from here on, whatever can recurse is a request of its own.

    fn newtype_variant_seed<T: DeserializeSeed<'b>>(self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(self.reader)
    }

    fn tuple_variant<V: Visitor<'b>>(self, len: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.reader.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'b>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.reader.deserialize_struct("", fields, visitor)
    }
}

/// An extension: for serde a sequence of its kind (i8) and its bytes.
pub(super) struct Extension<'b> {
    pub(super) kind: i8,
    pub(super) data: &'b [u8],
}

impl<'de> Deserializer<'de> for Extension<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_seq(ExtensionParts { kind: Some(self.kind), data: Some(self.data) })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

struct ExtensionParts<'b> {
    kind: Option<i8>,
    data: Option<&'b [u8]>,
}

impl<'b> de::SeqAccess<'b> for ExtensionParts<'b> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'b>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        if let Some(kind) = self.kind.take() {
            let kind: I8Deserializer<ReadError> = kind.into_deserializer();
            return seed.deserialize(kind).map(Some);
        }
        let Some(data) = self.data.take() else { return Ok(None) };
        seed.deserialize(BorrowedBytesDeserializer::new(data)).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::read_with;
    use super::*;
    use serde::Deserialize;
    use serde::de::{MapAccess, SeqAccess};

    #[test]
    fn size_hints_are_no_larger_than_the_bytes() {
        // The scan refuses such counts long before; this holds for whoever reads without it, too.
        read_with("case", b"\x92\x01\x01", |reader| {
            let mut left = u32::MAX;
            assert_eq!(Elements { reader, left: &mut left }.size_hint(), Some(3));
            assert_eq!(Entries { reader, left: &mut left }.size_hint(), Some(3));
            reader.deserialize_ignored_any(de::IgnoredAny)
        })
        .unwrap();
    }

    #[test]
    fn what_is_not_read_is_an_error() {
        let error = read_with("case", b"\x92\x01\x01", |reader| reader.token().map(|_| ())).unwrap_err();
        assert_eq!(error.to_string(), "case: 2 bytes follow the value");
        let error = read_with("case", b"\x92\x01\x01", |reader| <(u8,)>::deserialize(reader)).unwrap_err();
        assert_eq!(error.to_string(), "case: 1 more elements than expected");
    }
}

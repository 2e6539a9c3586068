//! From a value to `(msg_type, payload)`.

use rmp_serde::config::{DefaultConfig, StructMapConfig};
use serde::Serialize;
use serde::ser::{self, Serializer};

/// A value that MessagePack cannot hold, or whose own `Serialize` refused. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("the message cannot be encoded: {reason}")]
pub struct EncodeError {
    reason: String,
}

impl EncodeError {
    fn new(reason: impl ToString) -> EncodeError {
        EncodeError { reason: reason.to_string() }
    }
}

/// Appends the payload of `message` to `out` and returns its message type.
///
/// # Errors
/// [`EncodeError`] when `Serialize` refuses or a number has no MessagePack form; `out` is as before.
pub fn encode_payload<M: Serialize + ?Sized>(message: &M, out: &mut Vec<u8>) -> Result<i32, EncodeError> {
    let start = out.len();
    let mut payload = rmp_serde::Serializer::new(&mut *out).with_struct_map();
    let result = message.serialize(Variant { payload: &mut payload });
    if result.is_err() {
        out.truncate(start);
    }
    result.map_err(EncodeError::new)
}

/// Appends `value` to `out` in MessagePack, structs as maps of named fields: the form of replies.
///
/// # Errors
/// As [`encode_payload`].
pub fn encode_value<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    let result = value.serialize(&mut rmp_serde::Serializer::new(&mut *out).with_struct_map());
    if result.is_err() {
        out.truncate(start);
    }
    result.map_err(EncodeError::new)
}

type Payload<'o> = rmp_serde::Serializer<&'o mut Vec<u8>, StructMapConfig<DefaultConfig>>;
type Error = rmp_serde::encode::Error;

/// Takes the outermost variant apart; everything inside it is plain MessagePack.
struct Variant<'p, 'o> {
    payload: &'p mut Payload<'o>,
}

/// What serde is still going to hand over, and the message type that is known already.
struct Typed<C> {
    msg_type: i32,
    content: C,
}

fn msg_type(variant_index: u32) -> Result<i32, Error> {
    i32::try_from(variant_index).map_err(|_| ser::Error::custom("a variant index is above 2^31 - 1"))
}

type Inner<'p, 'o> = &'p mut Payload<'o>;

macro_rules! message_0 {
    ($($method:ident: $type:ty,)*) => {$(
        fn $method(self, value: $type) -> Result<i32, Error> {
            self.payload.$method(value).map(|()| 0)
        }
    )*};
}

impl<'p, 'o> Serializer for Variant<'p, 'o> {
    type Ok = i32;
    type Error = Error;
    type SerializeSeq = Typed<<Inner<'p, 'o> as Serializer>::SerializeSeq>;
    type SerializeTuple = Typed<<Inner<'p, 'o> as Serializer>::SerializeTuple>;
    type SerializeTupleStruct = Typed<<Inner<'p, 'o> as Serializer>::SerializeTupleStruct>;
    type SerializeTupleVariant = Typed<<Inner<'p, 'o> as Serializer>::SerializeTuple>;
    type SerializeMap = Typed<<Inner<'p, 'o> as Serializer>::SerializeMap>;
    type SerializeStruct = Typed<<Inner<'p, 'o> as Serializer>::SerializeStruct>;
    type SerializeStructVariant = Typed<<Inner<'p, 'o> as Serializer>::SerializeStruct>;

    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<i32, Error> {
        self.payload.serialize_unit()?;
        msg_type(index)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<i32, Error> {
        value.serialize(self.payload)?;
        msg_type(index)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Ok(Typed { msg_type: msg_type(index)?, content: self.payload.serialize_tuple(len)? })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        _: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Ok(Typed { msg_type: msg_type(index)?, content: self.payload.serialize_struct(name, len)? })
    }

    message_0! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_f32: f32,
        serialize_f64: f64,
        serialize_char: char,
        serialize_str: &str,
        serialize_bytes: &[u8],
        serialize_unit_struct: &'static str,
    }

    fn serialize_none(self) -> Result<i32, Error> {
        self.payload.serialize_none().map(|()| 0)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<i32, Error> {
        self.payload.serialize_some(value).map(|()| 0)
    }

    fn serialize_unit(self) -> Result<i32, Error> {
        self.payload.serialize_unit().map(|()| 0)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<i32, Error> {
        self.payload.serialize_newtype_struct(name, value).map(|()| 0)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, Error> {
        Ok(Typed { msg_type: 0, content: self.payload.serialize_seq(len)? })
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, Error> {
        Ok(Typed { msg_type: 0, content: self.payload.serialize_tuple(len)? })
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, Error> {
        Ok(Typed { msg_type: 0, content: self.payload.serialize_tuple_struct(name, len)? })
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, Error> {
        Ok(Typed { msg_type: 0, content: self.payload.serialize_map(len)? })
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeStruct, Error> {
        Ok(Typed { msg_type: 0, content: self.payload.serialize_struct(name, len)? })
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl<C: ser::SerializeSeq<Ok = (), Error = Error>> ser::SerializeSeq for Typed<C> {
    type Ok = i32;
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.content.serialize_element(value)
    }

    fn end(self) -> Result<i32, Error> {
        self.content.end().map(|()| self.msg_type)
    }
}

impl<C: ser::SerializeTuple<Ok = (), Error = Error>> ser::SerializeTuple for Typed<C> {
    type Ok = i32;
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.content.serialize_element(value)
    }

    fn end(self) -> Result<i32, Error> {
        self.content.end().map(|()| self.msg_type)
    }
}

impl<C: ser::SerializeTupleStruct<Ok = (), Error = Error>> ser::SerializeTupleStruct for Typed<C> {
    type Ok = i32;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.content.serialize_field(value)
    }

    fn end(self) -> Result<i32, Error> {
        self.content.end().map(|()| self.msg_type)
    }
}

impl<C: ser::SerializeTuple<Ok = (), Error = Error>> ser::SerializeTupleVariant for Typed<C> {
    type Ok = i32;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.content.serialize_element(value)
    }

    fn end(self) -> Result<i32, Error> {
        self.content.end().map(|()| self.msg_type)
    }
}

impl<C: ser::SerializeMap<Ok = (), Error = Error>> ser::SerializeMap for Typed<C> {
    type Ok = i32;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.content.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.content.serialize_value(value)
    }

    fn end(self) -> Result<i32, Error> {
        self.content.end().map(|()| self.msg_type)
    }
}

impl<C: ser::SerializeStruct<Ok = (), Error = Error>> ser::SerializeStruct for Typed<C> {
    type Ok = i32;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        self.content.serialize_field(key, value)
    }

    fn end(self) -> Result<i32, Error> {
        self.content.end().map(|()| self.msg_type)
    }
}

impl<C: ser::SerializeStruct<Ok = (), Error = Error>> ser::SerializeStructVariant for Typed<C> {
    type Ok = i32;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        self.content.serialize_field(key, value)
    }

    fn end(self) -> Result<i32, Error> {
        self.content.end().map(|()| self.msg_type)
    }
}

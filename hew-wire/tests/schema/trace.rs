//! Reads the description of a message off its type: a deserializer that holds no bytes, answers whatever the type asks
//! for, and writes down what that was.

use serde::de::value::{Error, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

/// What is known of a struct: its fields, as `{k type, k? type}`.
pub(crate) fn of_struct<T: DeserializeOwned>() -> String {
    described::<T>(0).content
}

/// What is known of an enum: each variant's name and content.
pub(crate) fn of_enum<T: DeserializeOwned>() -> Vec<(String, String)> {
    let variants = described::<T>(0).variants;
    let each = (0..variants.len()).map(|variant| (variants[variant].to_owned(), described::<T>(variant)));
    each.map(|(name, root)| (name, root.content)).collect()
}

/// The type `T` with its variant of that number, if it is an enum.
fn described<T: DeserializeOwned>(variant: usize) -> Root {
    let read = |omit: Option<&str>| {
        let mut root = Root { variant, omit: omit.map(String::from), ..Root::default() };
        let mut name = String::new();
        T::deserialize(Tracer { seen: &mut name, root: Some(&mut root) }).map(|_| root)
    };
    let mut root = read(None).unwrap();
    if !root.fields.is_empty() {
        let fields = root.fields.iter().map(|(key, kind)| {
            let optional = if read(Some(key)).is_ok() { "?" } else { "" };
            format!("{key}{optional} {kind}")
        });
        root.content = format!("{{{}}}", fields.collect::<Vec<_>>().join(", "));
    }
    root
}

/// How the schema calls a type that has lines of its own.
fn name_of(container: &str) -> &'static str {
    match container {
        "Control" => "control",
        "ExitReason" => "exit",
        "MembershipMessage" => "membership",
        "MemberUpdate" => "update",
        "RegistryMessage" => "registry",
        "OwnerDigest" => "owner",
        "Pull" => "pull",
        "Page" => "page",
        "Put" => "put",
        "Delete" => "deletion",
        "DeleteReason" => "deletion reason",
        other => panic!("{other} has no name in the schema"),
    }
}

/// The type that is being described; what is inside it are values.
#[derive(Default)]
struct Root {
    variant: usize,
    /// A field to leave out, to see whether it is missed.
    omit: Option<String>,
    variants: Vec<&'static str>,
    fields: Vec<(String, String)>,
    content: String,
}

struct Tracer<'t> {
    /// What kind of value was asked for.
    seen: &'t mut String,
    root: Option<&'t mut Root>,
}

macro_rules! answers {
    ($($method:ident $name:literal $visit:ident $value:expr,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            *self.seen = $name.into();
            visitor.$visit($value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Error;

    answers! {
        deserialize_bool "bool" visit_bool true,
        deserialize_u8 "u8" visit_u8 1,
        deserialize_u16 "u16" visit_u16 1,
        deserialize_u32 "u32" visit_u32 1,
        deserialize_u64 "u64" visit_u64 1,
        deserialize_i32 "i32" visit_i32 1,
        deserialize_i64 "i64" visit_i64 1,
        deserialize_str "str" visit_str "x",
        deserialize_string "str" visit_str "x",
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(Tracer { seen: self.seen, root: None })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut kinds = Vec::new();
        let value = visitor.visit_seq(Elements { left: 1, kinds: &mut kinds })?;
        *self.seen = format!("[{}]", kinds.join(", "));
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        let mut kinds = Vec::new();
        let value = visitor.visit_seq(Elements { left: length, kinds: &mut kinds })?;
        *self.seen = format!("({})", kinds.join(", "));
        Ok(value)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.seen = name_of(name).into();
        visitor.visit_map(Fields::new(fields, self.root.unwrap_or(&mut Root::default())))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.seen = name_of(name).into();
        let mut nobody = Root::default();
        let root = self.root.unwrap_or(&mut nobody);
        root.variants = variants.to_vec();
        visitor.visit_enum(Variant { root })
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("a message of the protocol asks for a shape that the schema has no word for"))
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i128 u128 f32 f64 char bytes byte_buf unit unit_struct newtype_struct tuple_struct map identifier
        ignored_any
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

struct Elements<'t> {
    left: usize,
    kinds: &'t mut Vec<String>,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut kind = String::new();
        let value = seed.deserialize(Tracer { seen: &mut kind, root: None })?;
        self.kinds.push(kind);
        Ok(Some(value))
    }
}

struct Fields<'t> {
    left: std::slice::Iter<'static, &'static str>,
    key: &'static str,
    root: &'t mut Root,
}

impl<'t> Fields<'t> {
    fn new(fields: &'static [&'static str], root: &'t mut Root) -> Fields<'t> {
        Fields { left: fields.iter(), key: "", root }
    }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let mut left = self.left.by_ref().filter(|key| self.root.omit.as_deref() != Some(**key));
        let Some(key) = left.next() else { return Ok(None) };
        self.key = key;
        let key: StrDeserializer<'_, Error> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let mut kind = String::new();
        let value = seed.deserialize(Tracer { seen: &mut kind, root: None })?;
        self.root.fields.push((self.key.into(), kind));
        Ok(value)
    }
}

struct Variant<'t> {
    root: &'t mut Root,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name: StrDeserializer<'_, Error> = self.root.variants[self.root.variant].into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.root.content = "its name alone".into();
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(Tracer { seen: &mut self.root.content, root: None })
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        Tracer { seen: &mut self.root.content, root: None }.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(Fields::new(fields, self.root))
    }
}

//! Lines about messages in MessagePack: read off the types that are sent and received.

use crate::trace::{of_enum, of_struct};
use hew_wire::control::{CONTROL_TAGS, Control};
use hew_wire::membership::{MemberUpdate, MembershipMessage};
use hew_wire::registry::{Delete, DeleteReason, OwnerDigest, Page, Pull, Put, RegistryMessage};
use hew_wire::{ExitReason, SCHEMA};
use serde::de::DeserializeOwned;

/// The end of the schema, as the types are.
pub(crate) fn described() -> String {
    [
        kinds::<Control>("control"),
        kinds::<ExitReason>("exit"),
        kinds::<MembershipMessage>("membership"),
        fields::<MemberUpdate>("update"),
        kinds::<RegistryMessage>("registry"),
        fields::<OwnerDigest>("owner"),
        fields::<Pull>("pull"),
        fields::<Page>("page"),
        fields::<Put>("put"),
        fields::<Delete>("deletion"),
        kinds::<DeleteReason>("deletion reason"),
    ]
    .concat()
}

fn kinds<T: DeserializeOwned>(name: &str) -> String {
    of_enum::<T>().iter().map(|(kind, content)| format!("{name} {kind}: {content}\n")).collect()
}

fn fields<T: DeserializeOwned>(name: &str) -> String {
    format!("{name}: {}\n", of_struct::<T>())
}

#[test]
fn the_schema_ends_with_the_messages_as_they_are() {
    let described = described();
    assert!(
        SCHEMA.ends_with(&described),
        "the wire has changed and the schema has not; its last lines would be\n\n{described}"
    );
}

#[test]
fn a_type_that_is_named_has_lines() {
    let described = described();
    let is_described = |word: &str| {
        let lines = || described.lines().chain(SCHEMA.lines());
        lines().any(|line| line.starts_with(&format!("{word}: ")) || line.starts_with(&format!("{word} ")))
    };
    let basic = ["u8", "u16", "u32", "u64", "str", "bool", "its name alone"];
    for line in described.lines() {
        let (_, content) = line.split_once(": ").unwrap();
        // In a map the type comes behind the key.
        let kinds: Vec<_> = match content.strip_prefix('{').and_then(|fields| fields.strip_suffix('}')) {
            Some(fields) => fields
                .split(", ")
                .map(|field| field.split_once(' ').map_or(field, |(_, kind)| kind))
                .collect(),
            None => vec![content],
        };
        for kind in kinds {
            let kind = kind.trim_matches(['[', ']', '(', ')']);
            assert!(basic.contains(&kind) || is_described(kind), "{kind} in {line}");
        }
    }
}

#[test]
fn the_tags_are_those_of_the_type() {
    let tags: Vec<_> = of_enum::<Control>().into_iter().map(|(tag, _)| tag).collect();
    assert_eq!(tags, CONTROL_TAGS);
}

#[test]
fn a_description_names_keys_types_and_what_may_be_absent() {
    #[derive(serde::Deserialize)]
    #[serde(rename = "Pull")]
    struct Sample {
        #[allow(dead_code)]
        #[serde(rename = "k")]
        key: Option<u64>,
        #[allow(dead_code)]
        #[serde(default)]
        list: Vec<(u8, bool)>,
        #[allow(dead_code)]
        text: String,
    }
    assert_eq!(of_struct::<Sample>(), "{k? u64, list? [(u8, bool)], text str}");
}

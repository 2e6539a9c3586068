//! The schema is what the code does: whoever changes a key, a type, a layout, a number or a kind has to change its line,
//! and with it the hash in every hello.
//!
//! Lines about messages are read off the types ([`messages`]); lines about layouts are carried out and compared with
//! what the encoders write ([`layouts`]). `tests/golden` keeps the text of each version.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

mod layouts;
mod messages;
mod numbers;
mod trace;

use hew_wire::{SCHEMA, schema_hash};
use std::fs;
use std::path::Path;

/// Lines that say what other crates do, and that no test here can carry out.
const OF_OTHERS: [&str; 5] = ["order", "noise", "record", "session", "references in payloads"];

/// What the schema says about `name`.
fn line(name: &str) -> &'static str {
    let mut lines = SCHEMA.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| *found == name).unwrap_or_else(|| panic!("the schema says nothing of {name}")).1
}

#[test]
fn every_line_is_checked() {
    let named = [&OF_OTHERS[..], &layouts::LINES, &numbers::LINES].concat();
    let by_hand = SCHEMA.lines().filter_map(|line| line.split_once(": ")).map(|(name, _)| name.to_owned());
    let derived = messages::described();
    let derived = derived.lines().map(|line| line.split_once(": ").unwrap().0.to_owned());
    let mut expected: Vec<_> = named.into_iter().map(String::from).chain(derived).collect();
    let mut found: Vec<_> = by_hand.collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected, "left: the schema, right: what is checked");
}

/// The page describes the hash, so it must show the text, byte for byte.
#[test]
#[allow(clippy::disallowed_methods)] // The test has files; the crate has not.
fn the_page_shows_the_schema() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    let page = String::from_utf8(fs::read(page).unwrap()).unwrap();
    assert!(page.contains(&format!("```text\n{SCHEMA}```\n")), "docs/protocol.md shows another schema");
    let thousands = |number: usize| match number / 1000 {
        0 => number.to_string(),
        thousand => format!("{thousand},{:03}", number % 1000),
    };
    let hash = format!("{:#010x}", schema_hash());
    let size = format!("{} lines", SCHEMA.lines().count());
    let bytes = format!("{} bytes", thousands(SCHEMA.len()));
    for fact in [&format!("The hash is `{hash}`"), &format!("schema hash | `{hash}`"), &size, &bytes] {
        assert!(page.contains(fact.as_str()), "docs/protocol.md does not say: {fact}");
    }
}

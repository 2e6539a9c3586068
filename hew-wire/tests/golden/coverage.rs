//! Everything that the schema describes is in a sample: each frame, verdict, role, kind of message and field; and each
//! field that may be absent is absent in one.

use crate::sample::{Sample, Subject};
use crate::samples;
use hew_wire::frame::{FRAME_HEADER_BYTES, FrameKind};
use hew_wire::payload::decode_value;
use hew_wire::{Extension, RefusalStatus, Role, SCHEMA, Verdict};
use serde_json::Value;
use std::collections::BTreeSet;

/// The types that lines of the schema describe kind by kind, and those that have one line.
const BY_KIND: [&str; 5] = ["control", "exit", "membership", "registry", "deletion reason"];
const OF_FIELDS: [&str; 6] = ["update", "owner", "pull", "page", "put", "deletion"];

fn line(name: &str) -> Option<&'static str> {
    SCHEMA
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(found, _)| *found == name)
        .map(|(_, text)| text)
}

/// The fields in `{k type, k? type}`: key, type, whether it may be absent.
fn fields(content: &str) -> Vec<(&str, &str, bool)> {
    let inside = content.strip_prefix('{').and_then(|content| content.strip_suffix('}'));
    let fields = inside.into_iter().flat_map(|inside| inside.split(", "));
    fields
        // A tuple has commas of its own, and its parts are no fields.
        .filter_map(|field| field.split_once(' '))
        .filter(|(key, _)| !key.ends_with([')', ']']))
        .map(|(key, kind)| (key.trim_end_matches('?'), kind, key.ends_with('?')))
        .collect()
}

/// What has been met: lines, and behind some of them a field that was there or not.
#[derive(Default)]
struct Met(BTreeSet<String>);

impl Met {
    fn value(&mut self, kind: &str, value: &Value) {
        if let Some(element) = kind.strip_prefix('[').and_then(|kind| kind.strip_suffix(']')) {
            value.as_array().unwrap().iter().for_each(|value| self.value(element, value));
        } else if BY_KIND.contains(&kind) {
            let (variant, content) = match value {
                Value::String(name) => (name, None),
                map => {
                    let (name, content) = map.as_object().unwrap().iter().next().unwrap();
                    (name, Some(content))
                }
            };
            self.line(&format!("{kind} {variant}"), content);
        } else if OF_FIELDS.contains(&kind) {
            self.line(kind, Some(value));
        }
    }

    fn line(&mut self, name: &str, content: Option<&Value>) {
        let described =
            line(name).unwrap_or_else(|| panic!("a sample has {name}, which the schema does not know"));
        self.0.insert(name.into());
        let Some(content) = content else { return };
        for (key, kind, _) in fields(described) {
            match content.get(key) {
                Some(value) => {
                    self.0.insert(format!("{name}: {key}"));
                    self.value(kind, value);
                }
                None => {
                    self.0.insert(format!("{name}: no {key}"));
                }
            }
        }
        if !described.starts_with('{') {
            self.value(described, content);
        }
    }
}

/// What there is to be met.
fn described() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (name, content) in SCHEMA.lines().filter_map(|line| line.split_once(": ")) {
        let by_kind =
            BY_KIND.iter().any(|kind| name.strip_prefix(kind).is_some_and(|rest| rest.starts_with(' ')));
        if !by_kind && !OF_FIELDS.contains(&name) {
            continue;
        }
        all.insert(name.into());
        for (key, _, is_optional) in fields(content) {
            all.insert(format!("{name}: {key}"));
            if is_optional {
                all.insert(format!("{name}: no {key}"));
            }
        }
    }
    all
}

#[test]
fn every_kind_and_every_field_of_a_control_message_has_a_sample() {
    let mut met = Met::default();
    let is_control =
        |sample: &Sample| sample.subject == Subject::Frame && sample.bytes[0] == FrameKind::Control as u8;
    for sample in samples().into_iter().filter(is_control) {
        let body: Value = decode_value(&sample.bytes[FRAME_HEADER_BYTES..]).unwrap();
        met.value("control", &body);
    }
    let missing: Vec<_> = described().difference(&met.0).cloned().collect();
    assert!(missing.is_empty(), "no sample has {missing:#?}");
    assert!(met.0.len() > 100, "only {} things were looked for", met.0.len());
}

#[test]
fn every_kind_of_frame_has_a_sample() {
    let samples: Vec<_> = samples().into_iter().filter(|sample| sample.subject == Subject::Frame).collect();
    for kind in (0..=u8::MAX).filter_map(FrameKind::from_u8) {
        assert!(samples.iter().any(|sample| sample.bytes[0] == kind as u8), "{kind:?}");
    }
}

#[test]
fn every_verdict_and_every_role_has_a_sample() {
    let samples: Vec<_> =
        samples().into_iter().filter(|sample| sample.subject == Subject::Handshake).collect();
    let bytes = || samples.iter().map(|sample| &sample.bytes[..]);
    let given: BTreeSet<_> =
        bytes().filter(|bytes| Verdict::decode(bytes).is_ok()).map(|bytes| bytes[0]).collect();
    let known = (0..=u8::MAX)
        .filter(|byte| !matches!(RefusalStatus::from_byte(*byte), Some(RefusalStatus::Unknown(_))));
    let missing: Vec<_> = known.filter(|byte| !given.contains(byte)).collect();
    assert!(missing.is_empty(), "no sample has a verdict of {missing:?}");

    let extensions: Vec<_> = bytes().filter_map(|bytes| Extension::decode(bytes).ok()).collect();
    for role in [Role::Member, Role::Client] {
        assert!(extensions.iter().any(|extension| extension.role == role), "{role:?}");
    }
}

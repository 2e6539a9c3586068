//! Control messages: what nodes say to each other about members, names and the ends of actors.
//!
//! A control message is a MessagePack map with one entry, `{tag: fields}`. Fields have names; who does not know a
//! field ignores it, and who does not know a tag skips the message.

use crate::membership::MembershipMessage;
use crate::payload::reader;
use crate::registry::RegistryMessage;
use crate::scan::scan;
use crate::{DecodeError, ExitReason, Pid};
use serde::{Deserialize, Serialize};

/// Longest encoded control message, so that it fits into one frame.
pub const CONTROL_BYTES_MAX: usize = 48 * 1024;

/// A message of the control lane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Control {
    /// Membership.
    #[serde(rename = "member")]
    Membership(MembershipMessage),
    /// Names.
    #[serde(rename = "registry")]
    Registry(RegistryMessage),
    /// Tell me when `target` ends. Answered by exactly one [`Control::Down`], at once if it has ended already.
    #[serde(rename = "monitor")]
    Monitor {
        /// Chosen by the asking node, unique among its monitors.
        #[serde(rename = "ref")]
        reference: u64,
        /// The actor to watch.
        target: Pid,
    },
    /// The monitor is not needed any more; no answer.
    #[serde(rename = "demonitor")]
    Demonitor {
        /// As in [`Control::Monitor`].
        #[serde(rename = "ref")]
        reference: u64,
    },
    /// A monitored actor ended.
    #[serde(rename = "down")]
    Down {
        /// As in [`Control::Monitor`].
        #[serde(rename = "ref")]
        reference: u64,
        /// Why.
        reason: ExitReason,
    },
    /// `from` and `to` are linked from now on.
    #[serde(rename = "link")]
    Link {
        /// The actor of the sending node.
        from: Pid,
        /// The actor of the receiving node.
        to: Pid,
    },
    /// `from` and `to` are linked no more.
    #[serde(rename = "unlink")]
    Unlink {
        /// The actor of the sending node.
        from: Pid,
        /// The actor of the receiving node.
        to: Pid,
    },
    /// An exit signal.
    #[serde(rename = "exit")]
    Exit {
        /// The actor that ended or that sent the signal.
        from: Pid,
        /// The actor that hears of it.
        to: Pid,
        /// Why.
        reason: ExitReason,
    },
    /// Asks an actor to stop.
    #[serde(rename = "stop")]
    Stop {
        /// The actor.
        target: Pid,
    },
    /// Ends an actor without asking it.
    #[serde(rename = "kill")]
    Kill {
        /// The actor.
        target: Pid,
    },
    /// The receiving node lacks a permission for something that it did. Said now and then, not each time.
    #[serde(rename = "denied")]
    Denied {
        /// The name of the permission.
        #[serde(rename = "what")]
        permission: String,
        /// What it was done to; 0 if that was no actor.
        target: Pid,
    },
    /// A key is not to be trusted any more. From a node with the permission for it.
    #[serde(rename = "revoke")]
    Revoke {
        /// The key, in 64 hexadecimal digits.
        key: String,
    },
}

/// The tags of [`Control`], in the order of its variants.
pub const CONTROL_TAGS: [&str; 12] = [
    "member",
    "registry",
    "monitor",
    "demonitor",
    "down",
    "link",
    "unlink",
    "exit",
    "stop",
    "kill",
    "denied",
    "revoke",
];

impl Control {
    /// Appends the message to `out`.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] when it is longer than [`CONTROL_BYTES_MAX`]; `out` is as before.
    ///
    /// # Panics
    /// Never: every field has a MessagePack form, and writing to a vector cannot fail.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let start = out.len();
        let mut serializer = rmp_serde::Serializer::new(&mut *out).with_struct_map();
        self.serialize(&mut serializer).expect("control messages hold nothing that MessagePack cannot");
        let given = (out.len() - start) as u64;
        if given > CONTROL_BYTES_MAX as u64 {
            out.truncate(start);
            return Err(DecodeError::TooLarge {
                what: "control message",
                given,
                limit: CONTROL_BYTES_MAX as u64,
            });
        }
        Ok(())
    }

    /// Reads a control message.
    ///
    /// # Errors
    /// [`DecodeError::Unknown`] for a tag of a later version, which is safe to skip; any other error means that the
    /// peer does not speak this protocol.
    pub fn decode(bytes: &[u8]) -> Result<Control, DecodeError> {
        const WHAT: &str = "control message";
        if bytes.len() > CONTROL_BYTES_MAX {
            let (given, limit) = (bytes.len() as u64, CONTROL_BYTES_MAX as u64);
            return Err(DecodeError::TooLarge { what: WHAT, given, limit });
        }
        scan(WHAT, bytes)?;
        let tag = tag(bytes)
            .ok_or_else(|| DecodeError::Invalid { what: WHAT, reason: "not {tag: fields}".into() })?;
        if !CONTROL_TAGS.contains(&tag) {
            return Err(DecodeError::Unknown { what: WHAT, kind: tag.escape_debug().take(64).collect() });
        }
        reader::read(WHAT, bytes).map_err(|error| match error {
            DecodeError::Invalid { what, reason } => {
                DecodeError::Invalid { what, reason: format!("{tag}: {reason}") }
            }
            // A later version may have more kinds of these; what a monitor waits for cannot be skipped.
            DecodeError::Unknown { what, kind } if matches!(tag, "member" | "registry") => {
                DecodeError::Unknown { what, kind: format!("{tag} {kind}") }
            }
            DecodeError::Unknown { what, kind } => {
                DecodeError::Invalid { what, reason: format!("{tag}: unknown {kind}") }
            }
            error => error,
        })
    }
}

/// The key of a map with one entry whose key is a string.
fn tag(bytes: &[u8]) -> Option<&str> {
    let mut rest = bytes;
    if rmp::decode::read_map_len(&mut rest).ok()? != 1 {
        return None;
    }
    let (tag, _) = rmp::decode::read_str_from_slice(rest).ok()?;
    Some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeId;
    use proptest::prelude::*;

    fn encode(control: &Control) -> Vec<u8> {
        let mut bytes = Vec::new();
        control.encode(&mut bytes).unwrap();
        bytes
    }

    fn samples() -> Vec<Control> {
        let (a, b) = (Pid::new(NodeId::from_raw(1), 7), Pid::new(NodeId::from_raw(2), 9));
        vec![
            Control::Monitor { reference: 5, target: b },
            Control::Demonitor { reference: 5 },
            Control::Down { reference: 5, reason: ExitReason::crashed("index out of bounds") },
            Control::Down { reference: 6, reason: ExitReason::Normal },
            Control::Link { from: a, to: b },
            Control::Unlink { from: a, to: b },
            Control::Exit { from: a, to: b, reason: ExitReason::Killed },
            Control::Stop { target: b },
            Control::Kill { target: b },
            Control::Denied { permission: "monitor".into(), target: b },
            Control::Revoke { key: "5".repeat(64) },
        ]
    }

    #[test]
    fn every_message_reads_back_and_no_prefix_does() {
        for control in samples() {
            let bytes = encode(&control);
            assert_eq!(Control::decode(&bytes).unwrap(), control);
            for end in 0..bytes.len() {
                assert!(Control::decode(&bytes[..end]).is_err(), "{control:?} cut at {end}");
            }
        }
    }

    #[test]
    fn a_monitor_has_these_bytes() {
        let bytes = encode(&Control::Monitor { reference: 5, target: Pid::from_raw(0x0002_0000_0000_0009) });
        assert_eq!(bytes, b"\x81\xa7monitor\x82\xa3ref\x05\xa6target\xcf\x00\x02\x00\x00\x00\x00\x00\x09");
    }

    #[test]
    fn unknown_fields_are_ignored_and_unknown_tags_named() {
        let with_more = b"\x81\xa9demonitor\x82\xa3ref\x05\xa3new\x93\x01\x02\x03";
        assert_eq!(Control::decode(with_more).unwrap(), Control::Demonitor { reference: 5 });
        let later = b"\x81\xa6f\x1b[31m\x80";
        let Err(DecodeError::Unknown { kind, .. }) = Control::decode(later) else { panic!("not unknown") };
        assert_eq!(kind, "f\\u{1b}[31m");
        for tag in ["member", "registry"] {
            let later = [&[0x81, 0xa0 | tag.len() as u8], tag.as_bytes(), b"\x81\xa5later\x80"].concat();
            let Err(DecodeError::Unknown { kind, .. }) = Control::decode(&later) else {
                panic!("not unknown")
            };
            assert_eq!(kind, format!("{tag} later"));
        }
        let reason = b"\x81\xa4down\x82\xa3ref\x05\xa6reason\xa5later";
        assert!(
            matches!(Control::decode(reason), Err(DecodeError::Invalid { .. })),
            "a down is never skipped"
        );
    }

    #[test]
    fn tags_are_those_of_the_variants() {
        for control in samples() {
            let bytes = encode(&control);
            assert!(CONTROL_TAGS.contains(&tag(&bytes).unwrap()), "{control:?}");
        }
        for tag in CONTROL_TAGS {
            let bytes = [&[0x81, 0xa0 | tag.len() as u8], tag.as_bytes(), &[0xc0]].concat();
            let error = Control::decode(&bytes).unwrap_err();
            assert!(
                error.to_string().contains(tag) && !error.to_string().contains("unknown variant"),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Control::decode(&bytes);
        }

        #[test]
        fn any_body_behind_a_tag_gives_an_answer(which in 0..CONTROL_TAGS.len(), body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let tag = CONTROL_TAGS[which];
            let _ = Control::decode(&[&[0x81, 0xa0 | tag.len() as u8], tag.as_bytes(), &body].concat());
        }
    }
}

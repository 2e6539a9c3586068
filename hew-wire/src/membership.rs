//! Messages of the membership protocol (SWIM), carried on the control lane.
//!
//! Each is a MessagePack map of one key, the kind, whose value is a map with one-letter keys, for example
//! `{"ping": {"q": 7, "u": [{"n": 2, "i": 5, "s": 1}]}}`. Keys that are not known are skipped; a field that is left
//! out has the default its documentation names. What the messages mean is `hew-cluster`'s business.

use crate::{Incarnation, NodeId};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::marker::PhantomData;

/// Most [`MemberUpdate`]s in one message, so that no membership message is larger than 32 KiB.
pub const MEMBER_UPDATES_MAX: usize = 96;
/// Most ids in [`MemberUpdate::suspectors`].
pub const SUSPECTORS_MAX: usize = 4;
/// Longest address of a member, in bytes of UTF-8.
pub const MEMBER_ADDRESS_BYTES_MAX: usize = 255;
/// Number of buckets of a [`MembershipMessage::Digest`]; a member is in the bucket `node id % 256`.
pub const DIGEST_BUCKETS: usize = 256;

/// What a member is thought to be, in the order in which one overrides the other within one incarnation and refutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum MemberState {
    /// It takes part. 0 in the encoding.
    Alive,
    /// It did not answer; it has time to refute. 1 in the encoding.
    Suspect,
    /// Its suspicion ran out. Only itself can take this back, with a higher refutation. 2 in the encoding.
    Dead,
    /// It said goodbye: final for this incarnation. 3 in the encoding.
    Left,
}

impl From<MemberState> for u8 {
    fn from(state: MemberState) -> u8 {
        match state {
            MemberState::Alive => 0,
            MemberState::Suspect => 1,
            MemberState::Dead => 2,
            MemberState::Left => 3,
        }
    }
}

impl TryFrom<u8> for MemberState {
    type Error = String;

    fn try_from(state: u8) -> Result<MemberState, String> {
        match state {
            0 => Ok(MemberState::Alive),
            1 => Ok(MemberState::Suspect),
            2 => Ok(MemberState::Dead),
            3 => Ok(MemberState::Left),
            other => Err(format!("{other} is not a member state: expected 0 to 3")),
        }
    }
}

/// What one node says about one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberUpdate {
    /// The member. 0 decodes, and is refused by the membership machine.
    #[serde(rename = "n")]
    pub node: NodeId,
    /// Which start of it.
    #[serde(rename = "i")]
    pub incarnation: Incarnation,
    /// How often the member has refuted an accusation in this incarnation; default 0. Only the member raises it.
    #[serde(rename = "r", default, skip_serializing_if = "is_zero")]
    pub refutation: u32,
    /// What it is thought to be; default [`MemberState::Alive`].
    #[serde(rename = "s", default = "alive", skip_serializing_if = "is_alive")]
    pub state: MemberState,
    /// Where it listens, or empty (the default) if it does not listen or the sender does not know.
    /// At most [`MEMBER_ADDRESS_BYTES_MAX`] bytes without control characters.
    #[serde(rename = "a", default, skip_serializing_if = "String::is_empty", deserialize_with = "address")]
    pub address: String,
    /// Who suspects it by own observation, when it is [`MemberState::Suspect`]; at most [`SUSPECTORS_MAX`].
    #[serde(rename = "b", default, skip_serializing_if = "Vec::is_empty", deserialize_with = "suspectors")]
    pub suspectors: Vec<NodeId>,
}

/// One message of the membership protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MembershipMessage {
    /// "Are you there?" Answered with [`MembershipMessage::Ack`] of the same `seq`.
    #[serde(rename = "ping")]
    Ping {
        /// The sender's number for this question.
        #[serde(rename = "q")]
        seq: u64,
        /// Gossip on the way.
        #[serde(rename = "u", default, skip_serializing_if = "Vec::is_empty", deserialize_with = "updates")]
        updates: Vec<MemberUpdate>,
    },
    /// "I am" to a ping, "it is" to a ping request, "I heard" to a leave.
    #[serde(rename = "ack")]
    Ack {
        /// The number of the message that is answered.
        #[serde(rename = "q")]
        seq: u64,
        /// Gossip on the way.
        #[serde(rename = "u", default, skip_serializing_if = "Vec::is_empty", deserialize_with = "updates")]
        updates: Vec<MemberUpdate>,
    },
    /// "Ping `target` for me." Answered with an ack once the target answers, or with a nack at 80 % of `wait_ms`.
    #[serde(rename = "ping_request")]
    PingRequest {
        /// The sender's number for this question.
        #[serde(rename = "q")]
        seq: u64,
        /// Whom to ask.
        #[serde(rename = "t")]
        target: NodeId,
        /// How long the sender waits for the answer, in milliseconds.
        #[serde(rename = "w")]
        wait_ms: u32,
        /// Gossip on the way.
        #[serde(rename = "u", default, skip_serializing_if = "Vec::is_empty", deserialize_with = "updates")]
        updates: Vec<MemberUpdate>,
    },
    /// "It has not answered me so far", to a ping request: the path between sender and helper works.
    #[serde(rename = "nack")]
    Nack {
        /// The number of the ping request.
        #[serde(rename = "q")]
        seq: u64,
        /// Gossip on the way.
        #[serde(rename = "u", default, skip_serializing_if = "Vec::is_empty", deserialize_with = "updates")]
        updates: Vec<MemberUpdate>,
    },
    /// News, or an accusation told to the accused.
    #[serde(rename = "gossip")]
    Gossip {
        /// The news.
        #[serde(rename = "u", default, skip_serializing_if = "Vec::is_empty", deserialize_with = "updates")]
        updates: Vec<MemberUpdate>,
    },
    /// "I am new; tell me who is here." Answered with [`MembershipMessage::JoinReply`] pages.
    #[serde(rename = "join")]
    Join {
        /// The sender itself.
        #[serde(rename = "m")]
        member: MemberUpdate,
    },
    /// One page of the table of members, in order of node id.
    #[serde(rename = "join_reply")]
    JoinReply {
        /// The members on this page, including the sender.
        #[serde(rename = "u", default, skip_serializing_if = "Vec::is_empty", deserialize_with = "updates")]
        members: Vec<MemberUpdate>,
        /// Whether this is the last page.
        #[serde(rename = "l")]
        last: bool,
    },
    /// "I am leaving." Answered with an ack.
    #[serde(rename = "leave")]
    Leave {
        /// The sender's number for this message.
        #[serde(rename = "q")]
        seq: u64,
        /// The sender itself, in state [`MemberState::Left`].
        #[serde(rename = "m")]
        member: MemberUpdate,
    },
    /// "You speak of an incarnation that is over": the answer to news older than what is known.
    #[serde(rename = "stale")]
    Stale {
        /// Whose incarnation.
        #[serde(rename = "n")]
        node: NodeId,
        /// The highest one known.
        #[serde(rename = "i")]
        incarnation: Incarnation,
    },
    /// A fingerprint of the table of members, to find differences. Answered with a digest diff if there are any.
    #[serde(rename = "digest")]
    Digest {
        /// The bucket's number and fingerprint, for each bucket that is not empty; at most [`DIGEST_BUCKETS`].
        #[serde(rename = "b", deserialize_with = "digest_buckets")]
        buckets: Vec<(u8, u64)>,
    },
    /// The buckets that differ. The sender's members in these follow as [`MembershipMessage::Members`]; the receiver
    /// sends its own back.
    #[serde(rename = "digest_diff")]
    DigestDiff {
        /// The numbers of the buckets; at most [`DIGEST_BUCKETS`].
        #[serde(rename = "b", deserialize_with = "bucket_numbers")]
        buckets: Vec<u8>,
    },
    /// One page of the members in the buckets that differ.
    #[serde(rename = "members")]
    Members {
        /// The members.
        #[serde(rename = "u", default, skip_serializing_if = "Vec::is_empty", deserialize_with = "updates")]
        members: Vec<MemberUpdate>,
    },
}

/// Whether `address` may stand in [`MemberUpdate::address`]: at most [`MEMBER_ADDRESS_BYTES_MAX`] bytes and no control
/// character, which could forge log lines and terminal output.
pub fn is_member_address(address: &str) -> bool {
    address.len() <= MEMBER_ADDRESS_BYTES_MAX && !address.chars().any(char::is_control)
}

fn is_zero(refutation: &u32) -> bool {
    *refutation == 0
}

fn is_alive(state: &MemberState) -> bool {
    *state == MemberState::Alive
}

fn alive() -> MemberState {
    MemberState::Alive
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Address;
    impl Visitor<'_> for Address {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an address of at most {MEMBER_ADDRESS_BYTES_MAX} bytes without control characters")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
            if is_member_address(text) {
                return Ok(text.into());
            }
            Err(E::custom(format_args!(
                "a member's address of {} bytes is too long or has control characters",
                text.len()
            )))
        }
    }
    deserializer.deserialize_str(Address)
}

fn updates<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<MemberUpdate>, D::Error> {
    deserializer.deserialize_seq(Bounded::<_, MEMBER_UPDATES_MAX>(PhantomData))
}

fn suspectors<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<NodeId>, D::Error> {
    deserializer.deserialize_seq(Bounded::<_, SUSPECTORS_MAX>(PhantomData))
}

fn digest_buckets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(u8, u64)>, D::Error> {
    deserializer.deserialize_seq(Bounded::<_, DIGEST_BUCKETS>(PhantomData))
}

fn bucket_numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    deserializer.deserialize_seq(Bounded::<_, DIGEST_BUCKETS>(PhantomData))
}

/// A sequence of at most `MAX` elements; memory grows with what was read, not with what the peer declares.
struct Bounded<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Bounded<T, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<T>, A::Error> {
        let declared = sequence.size_hint().unwrap_or(0);
        if declared > MAX {
            return Err(A::Error::custom(format_args!("{declared} elements are over the limit of {MAX}")));
        }
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            if elements.len() == MAX {
                return Err(A::Error::custom(format_args!("more than {MAX} elements")));
            }
            elements.push(element);
        }
        Ok(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(node: u16) -> MemberUpdate {
        MemberUpdate {
            node: NodeId::from_raw(node),
            incarnation: Incarnation(5),
            refutation: 0,
            state: MemberState::Alive,
            address: String::new(),
            suspectors: Vec::new(),
        }
    }

    fn bytes(message: &MembershipMessage) -> Vec<u8> {
        rmp_serde::to_vec_named(message).unwrap()
    }

    fn read(bytes: &[u8]) -> Result<MembershipMessage, rmp_serde::decode::Error> {
        rmp_serde::from_slice(bytes)
    }

    fn check_golden(message: MembershipMessage, golden: &[u8]) {
        assert_eq!(bytes(&message), golden, "{message:?}");
        assert_eq!(read(golden).unwrap(), message);
    }

    #[test]
    fn bytes_are_fixed() {
        check_golden(MembershipMessage::Ping { seq: 7, updates: vec![] }, b"\x81\xa4ping\x81\xa1q\x07");
        let suspect = MemberUpdate {
            refutation: 3,
            state: MemberState::Suspect,
            address: "h:1".into(),
            suspectors: vec![NodeId::from_raw(1)],
            ..update(2)
        };
        check_golden(
            MembershipMessage::Gossip { updates: vec![update(300), suspect] },
            b"\x81\xa6gossip\x81\xa1u\x92\
              \x82\xa1n\xcd\x01\x2c\xa1i\x05\
              \x86\xa1n\x02\xa1i\x05\xa1r\x03\xa1s\x01\xa1a\xa3h:1\xa1b\x91\x01",
        );
        check_golden(
            MembershipMessage::PingRequest {
                seq: 1,
                target: NodeId::from_raw(9),
                wait_ms: 500,
                updates: vec![],
            },
            b"\x81\xacping_request\x83\xa1q\x01\xa1t\x09\xa1w\xcd\x01\xf4",
        );
        check_golden(MembershipMessage::Ack { seq: 1, updates: vec![] }, b"\x81\xa3ack\x81\xa1q\x01");
        check_golden(MembershipMessage::Nack { seq: 1, updates: vec![] }, b"\x81\xa4nack\x81\xa1q\x01");
        check_golden(
            MembershipMessage::Join { member: update(1) },
            b"\x81\xa4join\x81\xa1m\x82\xa1n\x01\xa1i\x05",
        );
        check_golden(
            MembershipMessage::JoinReply { members: vec![update(1)], last: true },
            b"\x81\xaajoin_reply\x82\xa1u\x91\x82\xa1n\x01\xa1i\x05\xa1l\xc3",
        );
        check_golden(
            MembershipMessage::Leave {
                seq: 4,
                member: MemberUpdate { state: MemberState::Left, ..update(1) },
            },
            b"\x81\xa5leave\x82\xa1q\x04\xa1m\x83\xa1n\x01\xa1i\x05\xa1s\x03",
        );
        check_golden(
            MembershipMessage::Stale { node: NodeId::from_raw(1), incarnation: Incarnation(6) },
            b"\x81\xa5stale\x82\xa1n\x01\xa1i\x06",
        );
        check_golden(
            MembershipMessage::Digest { buckets: vec![(3, 0x1_0000_0000)] },
            b"\x81\xa6digest\x81\xa1b\x91\x92\x03\xcf\x00\x00\x00\x01\x00\x00\x00\x00",
        );
        check_golden(
            MembershipMessage::DigestDiff { buckets: vec![3, 4] },
            b"\x81\xabdigest_diff\x81\xa1b\x92\x03\x04",
        );
        check_golden(MembershipMessage::Members { members: vec![] }, b"\x81\xa7members\x80");
    }

    #[test]
    fn fields_of_later_versions_are_skipped() {
        let message = read(b"\x81\xa4ping\x82\xa1z\x93\x01\x02\x03\xa1q\x07").unwrap();
        assert_eq!(message, MembershipMessage::Ping { seq: 7, updates: vec![] });
        assert!(read(b"\x81\xa4pong\x81\xa1q\x07").is_err());
    }

    #[test]
    fn a_full_message_stays_within_32_kib() {
        let large = MemberUpdate {
            node: NodeId::from_raw(u16::MAX),
            incarnation: Incarnation(u64::MAX),
            refutation: u32::MAX,
            state: MemberState::Suspect,
            address: "x".repeat(MEMBER_ADDRESS_BYTES_MAX),
            suspectors: vec![NodeId::from_raw(u16::MAX); SUSPECTORS_MAX],
        };
        let full = MembershipMessage::JoinReply { members: vec![large; MEMBER_UPDATES_MAX], last: false };
        assert!(bytes(&full).len() <= 32 * 1024, "{}", bytes(&full).len());
        assert_eq!(read(&bytes(&full)).unwrap(), full);
    }

    #[test]
    fn counts_and_texts_have_limits() {
        let too_many = MembershipMessage::Gossip { updates: vec![update(1); MEMBER_UPDATES_MAX + 1] };
        assert!(read(&bytes(&too_many)).unwrap_err().to_string().contains("97 elements"));
        let too_many =
            MemberUpdate { suspectors: vec![NodeId::from_raw(1); SUSPECTORS_MAX + 1], ..update(1) };
        assert!(read(&bytes(&MembershipMessage::Join { member: too_many })).is_err());
        for address in ["x".repeat(256), "a\nb".into()] {
            let member = MemberUpdate { address, ..update(1) };
            assert!(read(&bytes(&MembershipMessage::Join { member })).is_err());
        }
        assert!(read(&bytes(&MembershipMessage::DigestDiff { buckets: vec![0; 257] })).is_err());
        // A count of four billion with nothing behind it, and a state that does not exist.
        assert!(read(b"\x81\xa6gossip\x81\xa1u\xdd\xff\xff\xff\xff").is_err());
        assert!(read(b"\x81\xa4join\x81\xa1m\x83\xa1n\x01\xa1i\x05\xa1s\x04").is_err());
    }

    #[test]
    fn cut_bytes_give_errors() {
        let whole =
            bytes(&MembershipMessage::Join { member: MemberUpdate { address: "h:1".into(), ..update(1) } });
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "cut at {end}");
        }
    }
}

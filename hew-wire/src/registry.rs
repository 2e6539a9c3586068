//! Messages of the name registry, carried on the control lane.
//!
//! Each is a MessagePack map of one key, the kind, whose value is a map with one-letter keys, for example
//! `{"pull": {"r": 1, "o": 2, "i": 5, "a": 17}}`. Keys that are not known are skipped; a field that is left out has the
//! default its documentation names. What the messages mean is `hew-registry`'s business.
//!
//! Every node numbers the changes of its own names: 1, 2, 3 and so on within one incarnation. That numbered list is
//! its log; everybody else holds copies of it, and the messages below move pieces of logs around.

use crate::{Incarnation, NAME_BYTES_MAX, Name, NodeId, Pid};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::marker::PhantomData;

/// Largest encoded registry message, in bytes. Senders cut what they have to say into pages below it.
pub const REGISTRY_MESSAGE_BYTES_MAX: usize = 32 * 1024;
/// Most [`Put`]s in one [`Page`].
pub const PAGE_PUTS_MAX: usize = 1024;
/// Most [`Delete`]s in one [`Page`].
pub const PAGE_DELETES_MAX: usize = 1024;
/// Most [`OwnerDigest`]s in one [`RegistryMessage::Digest`].
pub const DIGEST_OWNERS_MAX: usize = 512;
/// Bytes of a [`Page`] without its puts and deletes, at most.
pub const PAGE_BYTES_BASE: usize = 104;

/// One message of the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegistryMessage {
    /// One number for everything the sender holds. Answered with [`RegistryMessage::Digest`] if the receiver's differs.
    #[serde(rename = "summary")]
    Summary {
        /// The sum, modulo 2^64, of [`OwnerDigest::fingerprint`] over all live owners of which the sender holds changes.
        #[serde(rename = "h")]
        fingerprint: u64,
    },
    /// How far the sender's copies reach. The receiver pulls what it misses.
    #[serde(rename = "digest")]
    Digest {
        /// Some or all owners, each at most once; at most [`DIGEST_OWNERS_MAX`].
        #[serde(rename = "o", deserialize_with = "owners")]
        owners: Vec<OwnerDigest>,
        /// Whether the sender wants the receiver's digest in return; default false.
        #[serde(rename = "r", default, skip_serializing_if = "is_false")]
        reply: bool,
    },
    /// "Send me what I miss of this log." Answered with pages that name the pull in [`Page::answer`]; the last of them
    /// has [`Page::end`] set. Who does not hold the log does not answer.
    #[serde(rename = "pull")]
    Pull(Pull),
    /// A piece of a log.
    #[serde(rename = "page")]
    Page(Page),
}

/// How far one copy of one log reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerDigest {
    /// Whose log. 0 decodes, and is refused by the registry.
    #[serde(rename = "o")]
    pub owner: NodeId,
    /// Of which start of it.
    #[serde(rename = "i")]
    pub incarnation: Incarnation,
    /// Number of the last change that the copy holds; 0 if there is none.
    #[serde(rename = "s")]
    pub seq: u64,
    /// The sum, modulo 2^64, of [`Put::fingerprint`] over the names that are registered after change `seq`.
    #[serde(rename = "h")]
    pub content: u64,
}

/// A request for a piece of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// The sender's number for this question.
    #[serde(rename = "r")]
    pub number: u64,
    /// Whose log.
    #[serde(rename = "o")]
    pub owner: NodeId,
    /// Of which start of it.
    #[serde(rename = "i")]
    pub incarnation: Incarnation,
    /// The changes up to this number are known; 0 asks for everything.
    #[serde(rename = "a")]
    pub after: u64,
    /// In the middle of a scan: the [`Page::scan`] of the pages received so far; default none.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<u64>,
}

/// A piece of a log: what has become of the changes `after + 1` to `upto`.
///
/// A change that a later one has overtaken is left out, even if the later one is beyond `upto`. So whoever holds
/// everything up to `after` and applies the page holds everything up to `upto`, except for what the changes beyond
/// it will overwrite anyhow; and a name that was put by a change in this range and is not in `puts` is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Whose log.
    #[serde(rename = "o")]
    pub owner: NodeId,
    /// Of which start of it.
    #[serde(rename = "i")]
    pub incarnation: Incarnation,
    /// If set, the page is part of a scan: of a walk through all names from number 0, for a receiver that misses so
    /// much that the deletions are not listed any more. The number is `head` when the scan began; deletions up to it
    /// are left out. Default none.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<u64>,
    /// Number of the change before the first of this page.
    #[serde(rename = "a")]
    pub after: u64,
    /// Number of the last change of this page; at least `after`.
    #[serde(rename = "u")]
    pub upto: u64,
    /// Number of the last change that the sender holds; at least `upto`.
    #[serde(rename = "h")]
    pub head: u64,
    /// The number of the pull that this answers; default none, for a page that was pushed.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<u64>,
    /// Whether this is the last page of the answer to a pull; default false.
    #[serde(rename = "e", default, skip_serializing_if = "is_false")]
    pub end: bool,
    /// Whether a receiver to whom the page is news passes it on to a few others; default false.
    #[serde(rename = "f", default, skip_serializing_if = "is_false")]
    pub forward: bool,
    /// The names put in this range and still there, by rising number; at most [`PAGE_PUTS_MAX`]. Default none.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty", deserialize_with = "puts")]
    pub puts: Vec<Put>,
    /// The names deleted in this range, by rising number; at most [`PAGE_DELETES_MAX`]. Default none.
    #[serde(rename = "d", default, skip_serializing_if = "Vec::is_empty", deserialize_with = "deletes")]
    pub deletes: Vec<Delete>,
}

/// A change that gives a name to an actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    /// Number of the change.
    #[serde(rename = "q")]
    pub seq: u64,
    /// The name.
    #[serde(rename = "n")]
    pub name: Name,
    /// The actor; its node is the owner of the log, or the registry refuses the page.
    #[serde(rename = "p")]
    pub pid: Pid,
    /// When it was registered: hybrid logical clock, milliseconds since 1970.
    #[serde(rename = "t")]
    pub stamp: u64,
    /// Weight in a conflict of two owners over the name; the greater one wins. Default 0.
    #[serde(rename = "w", default, skip_serializing_if = "is_zero")]
    pub priority: u8,
}

/// A change that takes a name away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delete {
    /// Number of the change.
    #[serde(rename = "q")]
    pub seq: u64,
    /// The name.
    #[serde(rename = "n")]
    pub name: Name,
    /// Why.
    #[serde(rename = "r")]
    pub reason: DeleteReason,
}

/// Why a name was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeleteReason {
    /// The program asked for it.
    #[serde(rename = "unregistered")]
    Unregistered,
    /// The actor ended.
    #[serde(rename = "ended")]
    Ended,
    /// Another node had registered the same name, and that registration wins.
    #[serde(rename = "conflict")]
    Conflict {
        /// Who has the name now.
        #[serde(rename = "w")]
        winner: Pid,
    },
}

impl OwnerDigest {
    /// All four fields in one number, the same on every node.
    pub fn fingerprint(&self) -> u64 {
        let OwnerDigest { owner, incarnation, seq, content } = *self;
        [u64::from(owner.raw()), incarnation.0, seq, content].into_iter().fold(FNV_OFFSET, mix)
    }
}

impl Put {
    /// All fields in one number, the same on every node. It finds differences between honest copies; it is no seal.
    pub fn fingerprint(&self) -> u64 {
        let text = self.name.as_str().bytes().fold(FNV_OFFSET, |hash, byte| fnv1a(hash, u64::from(byte)));
        [self.seq, self.pid.raw(), self.stamp, u64::from(self.priority)].into_iter().fold(text, mix)
    }

    /// The most bytes this takes in a [`Page`].
    pub fn bytes_max(&self) -> usize {
        const FIXED: usize = 1 + 11 + 4 + 11 + 11 + 4;
        FIXED + self.name.as_str().len()
    }
}

impl Delete {
    /// The most bytes this takes in a [`Page`].
    pub fn bytes_max(&self) -> usize {
        const FIXED: usize = 1 + 11 + 4 + 2 + 22;
        FIXED + self.name.as_str().len()
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv1a(hash: u64, value: u64) -> u64 {
    (hash ^ value).wrapping_mul(0x0000_0100_0000_01b3)
}

/// One step of a hash over 64-bit words: FNV's, then the finalizer of splitmix64, so that each bit reaches each bit.
fn mix(hash: u64, word: u64) -> u64 {
    let x = fnv1a(hash, word);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

fn is_zero(priority: &u8) -> bool {
    *priority == 0
}

fn owners<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<OwnerDigest>, D::Error> {
    deserializer.deserialize_seq(Bounded::<_, DIGEST_OWNERS_MAX>(PhantomData))
}

fn puts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Put>, D::Error> {
    deserializer.deserialize_seq(Bounded::<_, PAGE_PUTS_MAX>(PhantomData))
}

fn deletes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Delete>, D::Error> {
    deserializer.deserialize_seq(Bounded::<_, PAGE_DELETES_MAX>(PhantomData))
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

// The base leaves room for at least one name of the greatest length, so that every log can be paged.
const _: () = assert!(PAGE_BYTES_BASE + 64 + NAME_BYTES_MAX < REGISTRY_MESSAGE_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    fn put(seq: u64, name: &str) -> Put {
        let pid = Pid::new(NodeId::from_raw(2), 77);
        Put { seq, name: Name::new(name).unwrap(), pid, stamp: 1000, priority: 0 }
    }

    fn page() -> Page {
        Page {
            owner: NodeId::from_raw(2),
            incarnation: Incarnation(5),
            scan: None,
            after: 0,
            upto: 2,
            head: 2,
            answer: None,
            end: false,
            forward: false,
            puts: vec![put(1, "a")],
            deletes: vec![Delete {
                seq: 2,
                name: Name::new("b").unwrap(),
                reason: DeleteReason::Unregistered,
            }],
        }
    }

    /// Every field present, every number of the greatest width.
    fn widest_page() -> Page {
        let (seq, name) = (u64::MAX, Name::new(&"x".repeat(NAME_BYTES_MAX)).unwrap());
        let widest_put =
            Put { seq, name: name.clone(), pid: Pid::from_raw(u64::MAX), stamp: u64::MAX, priority: 255 };
        let reason = DeleteReason::Conflict { winner: Pid::from_raw(u64::MAX) };
        Page {
            owner: NodeId::from_raw(u16::MAX),
            incarnation: Incarnation(u64::MAX),
            scan: Some(u64::MAX),
            after: u64::MAX,
            upto: u64::MAX,
            head: u64::MAX,
            answer: Some(u64::MAX),
            end: true,
            forward: true,
            puts: vec![widest_put; 40],
            deletes: vec![Delete { seq, name, reason }; 40],
        }
    }

    fn bytes(message: &RegistryMessage) -> Vec<u8> {
        rmp_serde::to_vec_named(message).unwrap()
    }

    fn read(bytes: &[u8]) -> Result<RegistryMessage, rmp_serde::decode::Error> {
        rmp_serde::from_slice(bytes)
    }

    fn check_golden(message: RegistryMessage, golden: &[u8]) {
        assert_eq!(bytes(&message), golden, "{message:?}");
        assert_eq!(read(golden).unwrap(), message);
        for end in 0..golden.len() {
            assert!(read(&golden[..end]).is_err(), "cut at {end}: {message:?}");
        }
    }

    #[test]
    fn bytes_are_fixed() {
        check_golden(
            RegistryMessage::Summary { fingerprint: 0x0102_0304_0506_0708 },
            b"\x81\xa7summary\x81\xa1h\xcf\x01\x02\x03\x04\x05\x06\x07\x08",
        );
        let digest =
            OwnerDigest { owner: NodeId::from_raw(300), incarnation: Incarnation(5), seq: 9, content: 1 };
        check_golden(
            RegistryMessage::Digest { owners: vec![digest], reply: false },
            b"\x81\xa6digest\x81\xa1o\x91\x84\xa1o\xcd\x01\x2c\xa1i\x05\xa1s\x09\xa1h\x01",
        );
        check_golden(
            RegistryMessage::Digest { owners: vec![], reply: true },
            b"\x81\xa6digest\x82\xa1o\x90\xa1r\xc3",
        );
        let pull = Pull {
            number: 6,
            owner: NodeId::from_raw(2),
            incarnation: Incarnation(5),
            after: 17,
            scan: None,
        };
        check_golden(RegistryMessage::Pull(pull), b"\x81\xa4pull\x84\xa1r\x06\xa1o\x02\xa1i\x05\xa1a\x11");
        check_golden(
            RegistryMessage::Pull(Pull { scan: Some(20), ..pull }),
            b"\x81\xa4pull\x85\xa1r\x06\xa1o\x02\xa1i\x05\xa1a\x11\xa1k\x14",
        );
        check_golden(
            RegistryMessage::Page(page()),
            b"\x81\xa4page\x87\xa1o\x02\xa1i\x05\xa1a\x00\xa1u\x02\xa1h\x02\
              \xa1p\x91\x84\xa1q\x01\xa1n\xa1a\xa1p\xcf\x00\x02\x00\x00\x00\x00\x00\x4d\xa1t\xcd\x03\xe8\
              \xa1d\x91\x83\xa1q\x02\xa1n\xa1b\xa1r\xacunregistered",
        );
        let ended = Delete { seq: 3, name: Name::new("c").unwrap(), reason: DeleteReason::Ended };
        let conflict = Delete {
            seq: 4,
            name: Name::new("d").unwrap(),
            reason: DeleteReason::Conflict { winner: Pid::from_raw(9) },
        };
        check_golden(
            RegistryMessage::Page(Page {
                scan: Some(8),
                answer: Some(6),
                end: true,
                forward: true,
                upto: 4,
                head: 8,
                puts: vec![Put { priority: 7, ..put(1, "a") }],
                deletes: vec![ended, conflict],
                ..page()
            }),
            b"\x81\xa4page\x8b\xa1o\x02\xa1i\x05\xa1k\x08\xa1a\x00\xa1u\x04\xa1h\x08\xa1r\x06\xa1e\xc3\xa1f\xc3\
              \xa1p\x91\x85\xa1q\x01\xa1n\xa1a\xa1p\xcf\x00\x02\x00\x00\x00\x00\x00\x4d\xa1t\xcd\x03\xe8\xa1w\x07\
              \xa1d\x92\x83\xa1q\x03\xa1n\xa1c\xa1r\xa5ended\
              \x83\xa1q\x04\xa1n\xa1d\xa1r\x81\xa8conflict\x81\xa1w\x09",
        );
    }

    #[test]
    fn fingerprints_are_fixed() {
        // Two nodes compare these numbers, so they must not change between versions.
        assert_eq!(put(1, "a").fingerprint(), 0x12d5_3b71_7fe6_fb23);
        let digest =
            OwnerDigest { owner: NodeId::from_raw(2), incarnation: Incarnation(5), seq: 9, content: 1 };
        assert_eq!(digest.fingerprint(), 0xb6c1_2377_652c_ee69);
    }

    #[test]
    fn fingerprints_depend_on_every_field() {
        let base = put(1, "a");
        let others = [
            Put { seq: 2, ..base.clone() },
            put(1, "b"),
            Put { pid: Pid::from_raw(1), ..base.clone() },
            Put { stamp: 1001, ..base.clone() },
            Put { priority: 1, ..base.clone() },
        ];
        for other in others {
            assert_ne!(base.fingerprint(), other.fingerprint(), "{other:?}");
        }
        let base =
            OwnerDigest { owner: NodeId::from_raw(2), incarnation: Incarnation(5), seq: 9, content: 1 };
        let others = [
            OwnerDigest { owner: NodeId::from_raw(3), ..base },
            OwnerDigest { incarnation: Incarnation(6), ..base },
            OwnerDigest { seq: 10, ..base },
            OwnerDigest { content: 2, ..base },
        ];
        for other in others {
            assert_ne!(base.fingerprint(), other.fingerprint(), "{other:?}");
        }
    }

    #[test]
    fn fields_of_later_versions_are_skipped() {
        let message = read(b"\x81\xa7summary\x82\xa1z\x93\x01\x02\x81\x01\x02\xa1h\x07").unwrap();
        assert_eq!(message, RegistryMessage::Summary { fingerprint: 7 });
        assert!(read(b"\x81\xa7unknown\x81\xa1h\x07").is_err());
    }

    #[test]
    fn sizes_are_upper_bounds() {
        let page = widest_page();
        let sum = page.puts.iter().map(Put::bytes_max).sum::<usize>()
            + page.deletes.iter().map(Delete::bytes_max).sum::<usize>();
        let whole = bytes(&RegistryMessage::Page(page.clone())).len();
        assert!(whole <= PAGE_BYTES_BASE + sum, "{whole} > {PAGE_BYTES_BASE} + {sum}");
        let one = Page { puts: page.puts[..1].to_vec(), ..page.clone() };
        let two = Page { puts: page.puts[..2].to_vec(), ..page.clone() };
        let put = bytes(&RegistryMessage::Page(two)).len() - bytes(&RegistryMessage::Page(one)).len();
        assert_eq!(put, page.puts[0].bytes_max());
        let one = Page { deletes: page.deletes[..1].to_vec(), ..page.clone() };
        let two = Page { deletes: page.deletes[..2].to_vec(), ..page.clone() };
        let delete = bytes(&RegistryMessage::Page(two)).len() - bytes(&RegistryMessage::Page(one)).len();
        assert_eq!(delete, page.deletes[0].bytes_max());
    }

    #[test]
    fn a_full_digest_stays_within_32_kib() {
        let widest = OwnerDigest {
            owner: NodeId::from_raw(u16::MAX),
            incarnation: Incarnation(u64::MAX),
            seq: u64::MAX,
            content: u64::MAX,
        };
        let full = RegistryMessage::Digest { owners: vec![widest; DIGEST_OWNERS_MAX], reply: true };
        assert!(bytes(&full).len() <= REGISTRY_MESSAGE_BYTES_MAX, "{}", bytes(&full).len());
        assert_eq!(read(&bytes(&full)).unwrap(), full);
    }

    #[test]
    fn counts_have_limits() {
        let digest =
            OwnerDigest { owner: NodeId::from_raw(2), incarnation: Incarnation(5), seq: 9, content: 1 };
        let too_many = RegistryMessage::Digest { owners: vec![digest; DIGEST_OWNERS_MAX + 1], reply: false };
        assert!(read(&bytes(&too_many)).unwrap_err().to_string().contains("513 elements"));
        let too_many = Page { puts: vec![put(1, "a"); PAGE_PUTS_MAX + 1], ..page() };
        assert!(
            read(&bytes(&RegistryMessage::Page(too_many))).unwrap_err().to_string().contains("1025 elements")
        );
        let too_many = Page { deletes: vec![page().deletes[0].clone(); PAGE_DELETES_MAX + 1], ..page() };
        assert!(
            read(&bytes(&RegistryMessage::Page(too_many))).unwrap_err().to_string().contains("1025 elements")
        );
    }

    #[test]
    fn a_declared_count_reserves_nothing() {
        // An array of 2^32 − 1 elements is declared in 5 bytes; only what is there may be read.
        assert!(read(b"\x81\xa6digest\x81\xa1o\xdd\xff\xff\xff\xff").is_err());
        assert!(read(b"\x81\xa6digest\x81\xa1o\xdd\x00\x00\x02\x00").is_err());
    }
}

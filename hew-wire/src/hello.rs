//! The first bytes of a connection: two hellos, and the verdict each side gives on the other's.
//!
//! A hello is 48 bytes, big-endian:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `HEW\x01` |
//! | 4 | 2 | protocol version |
//! | 6 | 2 | node id, 1 to 65,535 |
//! | 8 | 4 | schema hash |
//! | 12 | 4 | feature flags |
//! | 16 | 32 | static public key |
//!
//! A verdict is one status byte; when it is not 0, a length byte and so many bytes of UTF-8 follow: the reason.
//! The dialer sends its hello; the listener answers with a verdict, and after a verdict of 0 its own hello follows at
//! once; the dialer answers that with a verdict. The authenticated part of the handshake comes after that.
//! Nothing in a hello is proven: it says what to try, and is bound to the session by the handshake that follows.

use crate::{DecodeError, NodeId};
use std::fmt;

/// Version of the protocol that this crate speaks.
pub const PROTOCOL_VERSION: u16 = 1;
/// Length of a hello.
pub const HELLO_BYTES: usize = 48;
/// First four bytes of a hello.
pub const HELLO_MAGIC: [u8; 4] = *b"HEW\x01";
/// Longest reason of a refusal, in bytes of UTF-8.
pub const REASON_BYTES_MAX: usize = 255;
/// Longest verdict: status, length, reason.
pub const VERDICT_BYTES_MAX: usize = 2 + REASON_BYTES_MAX;

/// Bits of [`Hello::features`].
///
/// A bit of the lower 16 that the other side does not know is ignored; an unknown bit of the upper 16 is a refusal.
pub mod feature {
    /// This side encrypts with Noise.
    pub const ENCRYPTED: u32 = 1 << 0;
    /// This side offers AES-256-GCM; used when both do, else ChaCha20-Poly1305.
    pub const AES_256_GCM: u32 = 1 << 1;
    /// The bits that must be understood.
    pub const MANDATORY: u32 = 0xFFFF_0000;
    /// The mandatory bits that this version understands: none so far.
    pub const MANDATORY_KNOWN: u32 = 0;
}

/// What a side says about itself before anything is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Protocol version; [`PROTOCOL_VERSION`] here.
    pub version: u16,
    /// The node that speaks, never 0.
    pub node: NodeId,
    /// Hash of the control protocol, see [`schema_hash`](crate::schema_hash).
    pub schema: u32,
    /// Feature flags, see [`feature`].
    pub features: u32,
    /// The static public key that the speaker claims; zeros when it has none.
    pub public_key: [u8; 32],
}

/// Why a hello is refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// The first four bytes are not [`HELLO_MAGIC`]: the other side speaks something else.
    #[error("not a Hew node: the first bytes are {:?}", String::from_utf8_lossy(given))]
    BadMagic {
        /// The bytes instead of the magic.
        given: [u8; 4],
    },
    /// The node id is 0, which means "this process" and never crosses a link.
    #[error("the hello names node id 0")]
    NodeIdZero,
    /// A mandatory feature flag is set that this version does not know.
    #[error("the hello demands features that are unknown here: {unknown:#010x}")]
    UnknownFlags {
        /// The unknown mandatory bits.
        unknown: u32,
    },
    /// The protocol versions differ.
    #[error("protocol version {theirs} there, {ours} here")]
    VersionMismatch {
        /// Version of this side.
        ours: u16,
        /// Version of the other side.
        theirs: u16,
    },
    /// The schema hashes differ: the control protocols are not the same.
    #[error("control schema {theirs:#010x} there, {ours:#010x} here")]
    SchemaMismatch {
        /// Schema hash of this side.
        ours: u32,
        /// Schema hash of the other side.
        theirs: u32,
    },
}

impl Hello {
    /// The 48 bytes.
    pub fn encode(&self) -> [u8; HELLO_BYTES] {
        let mut bytes = [0; HELLO_BYTES];
        bytes[0..4].copy_from_slice(&HELLO_MAGIC);
        bytes[4..6].copy_from_slice(&self.version.to_be_bytes());
        bytes[6..8].copy_from_slice(&self.node.raw().to_be_bytes());
        bytes[8..12].copy_from_slice(&self.schema.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.features.to_be_bytes());
        bytes[16..48].copy_from_slice(&self.public_key);
        bytes
    }

    /// Reads a hello. Version and schema are compared by [`Hello::check`].
    ///
    /// # Errors
    /// [`HelloError::BadMagic`]; [`HelloError::NodeIdZero`]; [`HelloError::UnknownFlags`] for a hello of our own
    /// version (in another version the flags may mean something else, and the version is the better reason).
    pub fn decode(bytes: &[u8; HELLO_BYTES]) -> Result<Hello, HelloError> {
        let [m0, m1, m2, m3, v0, v1, n0, n1, s0, s1, s2, s3, f0, f1, f2, f3, public_key @ ..] = *bytes;
        let magic = [m0, m1, m2, m3];
        if magic != HELLO_MAGIC {
            return Err(HelloError::BadMagic { given: magic });
        }
        let hello = Hello {
            version: u16::from_be_bytes([v0, v1]),
            node: NodeId::from_raw(u16::from_be_bytes([n0, n1])),
            schema: u32::from_be_bytes([s0, s1, s2, s3]),
            features: u32::from_be_bytes([f0, f1, f2, f3]),
            public_key,
        };
        if hello.node.is_local() {
            return Err(HelloError::NodeIdZero);
        }
        let unknown = hello.features & feature::MANDATORY & !feature::MANDATORY_KNOWN;
        if hello.version == PROTOCOL_VERSION && unknown != 0 {
            return Err(HelloError::UnknownFlags { unknown });
        }
        Ok(hello)
    }

    /// Compares a peer's hello with ours.
    ///
    /// # Errors
    /// [`HelloError::VersionMismatch`], then [`HelloError::SchemaMismatch`], with both values.
    pub fn check(&self, peer: &Hello) -> Result<(), HelloError> {
        if peer.version != self.version {
            return Err(HelloError::VersionMismatch { ours: self.version, theirs: peer.version });
        }
        if peer.schema != self.schema {
            return Err(HelloError::SchemaMismatch { ours: self.schema, theirs: peer.schema });
        }
        Ok(())
    }

    /// Whether all bits of `flags` are set.
    pub fn has(&self, flags: u32) -> bool {
        self.features & flags == flags
    }
}

/// The kind of a refusal, one byte on the wire; 0 is "accepted" and not a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalStatus {
    /// 1: the protocol versions differ.
    VersionMismatch,
    /// 2: the schema hashes differ.
    SchemaMismatch,
    /// 3: the node id is taken by another key, or is our own.
    NodeIdConflict,
    /// 4: the key is not allowed here, or not for this node id.
    NotAllowed,
    /// 5: too many connections right now; try again later.
    Busy,
    /// 6: the bytes are not what they should be.
    Malformed,
    /// 7: one side insists on encryption, or the other cannot do it.
    EncryptionRequired,
    /// 8: the cluster names differ.
    ClusterMismatch,
    /// A status of a later version.
    Unknown(u8),
}

impl RefusalStatus {
    /// The byte on the wire, 1 to 255.
    pub fn byte(self) -> u8 {
        match self {
            RefusalStatus::VersionMismatch => 1,
            RefusalStatus::SchemaMismatch => 2,
            RefusalStatus::NodeIdConflict => 3,
            RefusalStatus::NotAllowed => 4,
            RefusalStatus::Busy => 5,
            RefusalStatus::Malformed => 6,
            RefusalStatus::EncryptionRequired => 7,
            RefusalStatus::ClusterMismatch => 8,
            // 0 would say "accepted".
            RefusalStatus::Unknown(byte) => byte.max(1),
        }
    }

    /// The status of a byte; `None` for 0, which accepts.
    pub fn from_byte(byte: u8) -> Option<RefusalStatus> {
        match byte {
            0 => None,
            1 => Some(RefusalStatus::VersionMismatch),
            2 => Some(RefusalStatus::SchemaMismatch),
            3 => Some(RefusalStatus::NodeIdConflict),
            4 => Some(RefusalStatus::NotAllowed),
            5 => Some(RefusalStatus::Busy),
            6 => Some(RefusalStatus::Malformed),
            7 => Some(RefusalStatus::EncryptionRequired),
            8 => Some(RefusalStatus::ClusterMismatch),
            byte => Some(RefusalStatus::Unknown(byte)),
        }
    }

    /// A word for metrics and logs.
    pub fn code(self) -> &'static str {
        match self {
            RefusalStatus::VersionMismatch => "version_mismatch",
            RefusalStatus::SchemaMismatch => "schema_mismatch",
            RefusalStatus::NodeIdConflict => "node_id_conflict",
            RefusalStatus::NotAllowed => "not_allowed",
            RefusalStatus::Busy => "busy",
            RefusalStatus::Malformed => "malformed",
            RefusalStatus::EncryptionRequired => "encryption_required",
            RefusalStatus::ClusterMismatch => "cluster_mismatch",
            RefusalStatus::Unknown(_) => "unknown",
        }
    }
}

impl fmt::Display for RefusalStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RefusalStatus::Unknown(byte) => write!(f, "status {byte}"),
            known => f.write_str(known.code()),
        }
    }
}

/// Why a connection is refused, as told to the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind.
    pub status: RefusalStatus,
    /// The reason in words, at most [`REASON_BYTES_MAX`] bytes. Comes from the peer: escaped when shown.
    pub reason: String,
}

impl Refusal {
    /// A refusal whose reason is cut to [`REASON_BYTES_MAX`] bytes, between two characters.
    pub fn new(status: RefusalStatus, reason: impl Into<String>) -> Refusal {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        Refusal { status, reason }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.reason.escape_debug())
    }
}

/// The answer to a hello or to a proven identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Status 0: go on.
    Accepted,
    /// Any other status: the sender of the verdict closes.
    Refused(Refusal),
}

impl Verdict {
    /// Appends the verdict.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Verdict::Accepted => out.push(0),
            Verdict::Refused(refusal) => {
                let reason = &refusal.reason[..refusal.reason.floor_char_boundary(REASON_BYTES_MAX)];
                out.push(refusal.status.byte());
                // At most REASON_BYTES_MAX by the line above.
                out.push(reason.len() as u8);
                out.extend_from_slice(reason.as_bytes());
            }
        }
    }

    /// Length of the verdict that `bytes` begin with, from what is there: 1, 2 or the whole. At most
    /// [`VERDICT_BYTES_MAX`]; when `bytes` is shorter than the result, ask again with more.
    pub fn extent(bytes: &[u8]) -> usize {
        match bytes {
            [] | [0, ..] => 1,
            [_] => 2,
            [_, length, ..] => 2 + usize::from(*length),
        }
    }

    /// Reads a verdict that fills `bytes` exactly. A reason that is not UTF-8 is shown with replacement characters.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] and [`DecodeError::Trailing`].
    pub fn decode(bytes: &[u8]) -> Result<Verdict, DecodeError> {
        let what = "verdict";
        let extent = Verdict::extent(bytes);
        if bytes.len() < extent {
            return Err(DecodeError::Truncated { what });
        }
        if bytes.len() > extent {
            return Err(DecodeError::Trailing { what, bytes: bytes.len() - extent });
        }
        Ok(
            match bytes
                .split_first()
                .and_then(|(status, rest)| Some((RefusalStatus::from_byte(*status)?, rest)))
            {
                None => Verdict::Accepted,
                Some((status, rest)) => {
                    let reason = rest.get(1..).unwrap_or_default();
                    Verdict::Refused(Refusal::new(status, String::from_utf8_lossy(reason)))
                }
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        let mut public_key = [0; 32];
        for (i, byte) in public_key.iter_mut().enumerate() {
            *byte = 0xA0 + i as u8;
        }
        Hello { version: 1, node: NodeId::from_raw(0x0203), schema: 0x1122_3344, features: 5, public_key }
    }

    #[test]
    fn a_hello_has_golden_bytes() {
        let golden = [
            0x48, 0x45, 0x57, 0x01, 0x00, 0x01, 0x02, 0x03, 0x11, 0x22, 0x33, 0x44, 0x00, 0x00, 0x00, 0x05,
            0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xAB, 0xAC, 0xAD, 0xAE, 0xAF,
            0xB0, 0xB1, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xBB, 0xBC, 0xBD, 0xBE, 0xBF,
        ];
        assert_eq!(hello().encode(), golden);
        assert_eq!(Hello::decode(&golden), Ok(hello()));
    }

    #[test]
    fn each_bad_hello_has_its_own_reason() {
        let broken = |at: usize, byte: u8| {
            let mut bytes = hello().encode();
            bytes[at] = byte;
            Hello::decode(&bytes)
        };
        for at in 0..4 {
            assert!(matches!(broken(at, b'x'), Err(HelloError::BadMagic { .. })), "{at}");
        }
        assert_eq!(
            Hello::decode(&Hello { node: NodeId::LOCAL, ..hello() }.encode()),
            Err(HelloError::NodeIdZero)
        );
        for bit in 0..32 {
            let decoded = Hello::decode(&Hello { features: 1 << bit, ..hello() }.encode());
            if bit < 16 {
                assert!(decoded.is_ok(), "optional bit {bit}");
            } else {
                assert_eq!(decoded, Err(HelloError::UnknownFlags { unknown: 1 << bit }));
            }
        }
    }

    #[test]
    fn a_mismatch_names_both_values() {
        let ours = hello();
        assert_eq!(ours.check(&ours), Ok(()));
        let newer = Hello { version: 2, features: 0x8000_0000, schema: 9, ..ours };
        let error = ours.check(&Hello::decode(&newer.encode()).unwrap()).unwrap_err();
        assert_eq!(error, HelloError::VersionMismatch { ours: 1, theirs: 2 });
        assert_eq!(error.to_string(), "protocol version 2 there, 1 here");
        let error = ours.check(&Hello { schema: 9, ..ours }).unwrap_err();
        assert_eq!(error.to_string(), "control schema 0x00000009 there, 0x11223344 here");
    }

    #[test]
    fn verdicts_have_golden_bytes_and_read_back() {
        let mut bytes = Vec::new();
        Verdict::Accepted.encode(&mut bytes);
        assert_eq!(bytes, [0]);
        assert_eq!(Verdict::decode(&bytes), Ok(Verdict::Accepted));
        for status in 1..=255 {
            let status = RefusalStatus::from_byte(status).unwrap();
            let verdict = Verdict::Refused(Refusal::new(status, "no é"));
            let mut bytes = Vec::new();
            verdict.encode(&mut bytes);
            assert_eq!(bytes, [&[status.byte(), 5], "no é".as_bytes()].concat());
            assert_eq!(Verdict::decode(&bytes), Ok(verdict));
            for end in 0..bytes.len() {
                assert_eq!(Verdict::decode(&bytes[..end]), Err(DecodeError::Truncated { what: "verdict" }));
                assert!(Verdict::extent(&bytes[..end]) > end, "more is asked for");
            }
            bytes.push(0);
            assert_eq!(Verdict::decode(&bytes), Err(DecodeError::Trailing { what: "verdict", bytes: 1 }));
        }
        assert_eq!(Verdict::decode(&[0, 0]), Err(DecodeError::Trailing { what: "verdict", bytes: 1 }));
    }

    #[test]
    fn reasons_are_cut_between_characters_and_escaped() {
        let refusal = Refusal::new(RefusalStatus::Busy, format!("x{}", "é".repeat(200)));
        assert_eq!(refusal.reason.len(), 255);
        let refusal = Refusal { status: RefusalStatus::Busy, reason: "é".repeat(200) };
        let mut bytes = Vec::new();
        Verdict::Refused(refusal).encode(&mut bytes);
        assert_eq!((bytes.len(), bytes[1]), (2 + 254, 254));

        let shown = Refusal::new(RefusalStatus::NotAllowed, "a\n\u{1b}[31mb").to_string();
        assert_eq!(shown, "not_allowed: a\\n\\u{1b}[31mb");
        let Ok(Verdict::Refused(refusal)) = Verdict::decode(&[4, 2, 0xFF, 0xFE]) else { panic!("refused") };
        assert_eq!(refusal.reason, "\u{FFFD}\u{FFFD}");
    }

    #[test]
    fn the_longest_reason_survives_replacement() {
        // 255 bytes that are not UTF-8 become 765 bytes of replacement characters: cut again.
        let bytes = [&[4, 255], [0xFF; 255].as_slice()].concat();
        let Ok(Verdict::Refused(refusal)) = Verdict::decode(&bytes) else { panic!("refused") };
        assert!(refusal.reason.len() <= REASON_BYTES_MAX);
    }
}

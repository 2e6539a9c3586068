//! What the two sides tell each other under the protection of the handshake.
//!
//! A MessagePack map with integer keys, at most [`EXTENSION_BYTES_MAX`] bytes. Unknown keys are skipped, so that later
//! versions can add some; a key that occurs twice is an error. Written with ascending keys and the shortest forms.
//!
//! | key | field | type | when absent |
//! |---|---|---|---|
//! | 1 | incarnation | u64 | error |
//! | 2 | node name | str, 1 to 255 bytes | none |
//! | 3 | cluster name | str, 1 to 255 bytes | error |
//! | 4 | role | 0 member, 1 client | error |
//! | 5 | lowest protocol version | u16 | error |
//! | 6 | highest protocol version | u16, at least the lowest | error |
//! | 7 | largest frame accepted, in bytes | u32 | error |
//! | 8 | advertised address | str, 1 to 255 bytes | none |
//! | 9 | session that the speaker still has with the hearer | u64 | 0, none |
//! | 10 | number drawn for a session that would begin now | u64 | 0 |
//! | 11 | sequenced frames received in session 9 | u64 | 0 |
//! | 12 | reserved: proof of a further key | any | none |

use crate::{DecodeError, Incarnation, Name};
use rmp::Marker;
use rmp::decode::{DecodeStringError, NumValueReadError, ValueReadError};
use rmp::decode::{read_int, read_map_len, read_marker, read_str_from_slice};
use rmp::encode::{write_map_len, write_str, write_uint};

/// Longest encoded extension. With the rest of a handshake it stays under the 1 KiB that a side reads from a peer
/// that has not proven who it is.
pub const EXTENSION_BYTES_MAX: usize = 864;
/// Longest advertised address, in bytes of UTF-8.
pub const LISTEN_BYTES_MAX: usize = 255;
/// Deepest nesting inside a skipped value.
const DEPTH_MAX: usize = 8;
/// Most entries of the map: known ones and room for later ones.
const ENTRIES_MAX: u64 = 64;
const WHAT: &str = "handshake extension";

/// What a node is in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// 0: takes part in membership and registry, and is dialled by others.
    Member,
    /// 1: uses the cluster through the node it dialled.
    Client,
}

/// The authenticated part of the handshake, one from each side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// This start of the speaker.
    pub incarnation: Incarnation,
    /// The speaker's name for people.
    pub node_name: Option<Name>,
    /// Both sides must name the same cluster.
    pub cluster: Name,
    /// What the speaker is.
    pub role: Role,
    /// Lowest protocol version that the speaker can use.
    pub version_min: u16,
    /// Highest protocol version that the speaker can use, at least [`Extension::version_min`].
    pub version_max: u16,
    /// Largest frame that the speaker accepts, in bytes.
    pub frame_bytes_max: u32,
    /// Where others can dial the speaker: 1 to [`LISTEN_BYTES_MAX`] bytes without control characters.
    pub listen: Option<String>,
    /// The session that the speaker still has with the hearer, 0 for none. It goes on if both sides name the same.
    pub session: u64,
    /// Drawn anew for each handshake. A session that begins has the sum of both sides' numbers (modulo 2^64, 1 for 0)
    /// as its id.
    pub fresh: u64,
    /// Number of sequenced frames that the speaker has received in [`Extension::session`].
    pub received: u64,
}

impl Extension {
    /// The bytes, at most [`EXTENSION_BYTES_MAX`].
    ///
    /// An address in `listen` that is empty, too long or holds control characters is left out, because the peer
    /// would refuse all of it: whoever configures an address checks it with [`check_listen`].
    pub fn encode(&self) -> Vec<u8> {
        let listen = self.listen.as_deref().filter(|listen| check_listen(listen).is_ok());
        let optional = [(9, self.session), (10, self.fresh), (11, self.received)];
        let entries = 6
            + u32::from(self.node_name.is_some())
            + u32::from(listen.is_some())
            + optional.iter().filter(|(_, value)| *value != 0).count() as u32;

        let mut out = Vec::with_capacity(128);
        let infallible = "writing to a Vec does not fail";
        write_map_len(&mut out, entries).expect(infallible);
        let uint = |out: &mut Vec<u8>, key: u64, value: u64| {
            write_uint(out, key).expect(infallible);
            write_uint(out, value).expect(infallible);
        };
        let text = |out: &mut Vec<u8>, key: u64, value: &str| {
            write_uint(out, key).expect(infallible);
            write_str(out, value).expect(infallible);
        };
        uint(&mut out, 1, self.incarnation.0);
        if let Some(name) = &self.node_name {
            text(&mut out, 2, name.as_str());
        }
        text(&mut out, 3, self.cluster.as_str());
        uint(
            &mut out,
            4,
            match self.role {
                Role::Member => 0,
                Role::Client => 1,
            },
        );
        uint(&mut out, 5, self.version_min.into());
        uint(&mut out, 6, self.version_max.into());
        uint(&mut out, 7, self.frame_bytes_max.into());
        if let Some(listen) = listen {
            text(&mut out, 8, listen);
        }
        for (key, value) in optional.into_iter().filter(|(_, value)| *value != 0) {
            uint(&mut out, key, value);
        }
        out
    }

    /// Reads an extension that fills `bytes` exactly.
    ///
    /// # Errors
    /// [`DecodeError`]: too long, cut off, followed by more bytes, a wrong type or value, a required key missing, a
    /// key twice, a skipped value nested too deep.
    pub fn decode(bytes: &[u8]) -> Result<Extension, DecodeError> {
        within(bytes.len() as u64, EXTENSION_BYTES_MAX as u64)?;
        let mut rest = bytes;
        let entries = read_map_len(&mut rest).map_err(|error| match error {
            ValueReadError::TypeMismatch(_) => invalid(format!("0x{:02x} begins no map", bytes[0])),
            ValueReadError::InvalidMarkerRead(_) | ValueReadError::InvalidDataRead(_) => {
                DecodeError::Truncated { what: WHAT }
            }
        })?;
        within(entries.into(), ENTRIES_MAX)?;
        let mut found = Found::default();
        let mut seen = 0_u64;
        for _ in 0..entries {
            let key: u64 = integer(&mut rest, "key")?;
            if let Some(bit) = 1_u64.checked_shl(key.try_into().unwrap_or(u32::MAX)) {
                if seen & bit != 0 {
                    return Err(invalid(format!("key {key} occurs twice")));
                }
                seen |= bit;
            }
            found.read(key, &mut rest)?;
        }
        if !rest.is_empty() {
            return Err(DecodeError::Trailing { what: WHAT, bytes: rest.len() });
        }
        found.complete()
    }
}

/// Whether `listen` can be advertised.
///
/// # Errors
/// [`DecodeError`] for an empty text, more than [`LISTEN_BYTES_MAX`] bytes, or a control character.
pub fn check_listen(listen: &str) -> Result<(), DecodeError> {
    within(listen.len() as u64, LISTEN_BYTES_MAX as u64)?;
    if listen.is_empty() {
        return Err(invalid("the advertised address is empty"));
    }
    if listen.chars().any(char::is_control) {
        return Err(invalid(format!("the advertised address {listen:?} holds a control character")));
    }
    Ok(())
}

/// The fields met so far.
#[derive(Default)]
struct Found {
    incarnation: Option<u64>,
    node_name: Option<Name>,
    cluster: Option<Name>,
    role: Option<Role>,
    version_min: Option<u16>,
    version_max: Option<u16>,
    frame_bytes_max: Option<u32>,
    listen: Option<String>,
    session: u64,
    fresh: u64,
    received: u64,
}

impl Found {
    fn read(&mut self, key: u64, rest: &mut &[u8]) -> Result<(), DecodeError> {
        match key {
            1 => self.incarnation = Some(integer(rest, "incarnation")?),
            2 => self.node_name = Some(name(rest, "node name")?),
            3 => self.cluster = Some(name(rest, "cluster name")?),
            4 => {
                self.role = Some(match integer::<u64>(rest, "role")? {
                    0 => Role::Member,
                    1 => Role::Client,
                    other => return Err(invalid(format!("role {other} is unknown"))),
                });
            }
            5 => self.version_min = Some(integer(rest, "lowest version")?),
            6 => self.version_max = Some(integer(rest, "highest version")?),
            7 => self.frame_bytes_max = Some(integer(rest, "largest frame")?),
            8 => {
                let listen = string(rest, "advertised address")?;
                check_listen(listen)?;
                self.listen = Some(listen.into());
            }
            9 => self.session = integer(rest, "session")?,
            10 => self.fresh = integer(rest, "fresh")?,
            11 => self.received = integer(rest, "received")?,
            _ => skip_value(rest)?,
        }
        Ok(())
    }

    fn complete(self) -> Result<Extension, DecodeError> {
        fn required<T>(value: Option<T>, field: &str) -> Result<T, DecodeError> {
            value.ok_or_else(|| invalid(format!("{field} is missing")))
        }
        let extension = Extension {
            incarnation: Incarnation(required(self.incarnation, "incarnation")?),
            node_name: self.node_name,
            cluster: required(self.cluster, "cluster name")?,
            role: required(self.role, "role")?,
            version_min: required(self.version_min, "lowest version")?,
            version_max: required(self.version_max, "highest version")?,
            frame_bytes_max: required(self.frame_bytes_max, "largest frame")?,
            listen: self.listen,
            session: self.session,
            fresh: self.fresh,
            received: self.received,
        };
        if extension.version_min > extension.version_max {
            let (min, max) = (extension.version_min, extension.version_max);
            return Err(invalid(format!("lowest version {min} is above highest version {max}")));
        }
        Ok(extension)
    }
}

/// Steps over one value of any type without recursion and without trusting a declared length.
fn skip_value(rest: &mut &[u8]) -> Result<(), DecodeError> {
    // Values still to be skipped at each depth that is open.
    let mut open = [0_u64; DEPTH_MAX];
    let mut depth = 0;
    open[0] = 1;
    loop {
        while open[depth] == 0 {
            if depth == 0 {
                return Ok(());
            }
            depth -= 1;
        }
        open[depth] -= 1;
        let children = skip_one(rest)?;
        if children == 0 {
            continue;
        }
        depth += 1;
        match open.get_mut(depth) {
            Some(count) => *count = children,
            None => return Err(DecodeError::TooDeep { what: WHAT, limit: DEPTH_MAX }),
        }
    }
}

/// Steps over a marker and its own bytes; says how many values are inside it.
fn skip_one(rest: &mut &[u8]) -> Result<u64, DecodeError> {
    let truncated = || DecodeError::Truncated { what: WHAT };
    let marker = read_marker(rest).map_err(|_| truncated())?;
    let mut declared = |bytes: usize| -> Result<u64, DecodeError> {
        let (length, after) = rest.split_at_checked(bytes).ok_or_else(truncated)?;
        *rest = after;
        Ok(length.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    };
    let (bytes, children) = match marker {
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => (0, 0),
        Marker::U8 | Marker::I8 => (1, 0),
        Marker::U16 | Marker::I16 => (2, 0),
        Marker::U32 | Marker::I32 | Marker::F32 => (4, 0),
        Marker::U64 | Marker::I64 | Marker::F64 => (8, 0),
        Marker::FixStr(length) => (length.into(), 0),
        Marker::Str8 | Marker::Bin8 => (declared(1)?, 0),
        Marker::Str16 | Marker::Bin16 => (declared(2)?, 0),
        Marker::Str32 | Marker::Bin32 => (declared(4)?, 0),
        Marker::FixExt1 => (2, 0),
        Marker::FixExt2 => (3, 0),
        Marker::FixExt4 => (5, 0),
        Marker::FixExt8 => (9, 0),
        Marker::FixExt16 => (17, 0),
        Marker::Ext8 => (declared(1)? + 1, 0),
        Marker::Ext16 => (declared(2)? + 1, 0),
        Marker::Ext32 => (declared(4)? + 1, 0),
        Marker::FixArray(count) => (0, count.into()),
        Marker::Array16 => (0, declared(2)?),
        Marker::Array32 => (0, declared(4)?),
        Marker::FixMap(count) => (0, 2 * u64::from(count)),
        Marker::Map16 => (0, 2 * declared(2)?),
        Marker::Map32 => (0, 2 * declared(4)?),
        Marker::Reserved => return Err(invalid("0xc1 begins no value")),
    };
    // Each value inside takes at least one byte, so a larger count is a lie.
    if children > rest.len() as u64 {
        return Err(truncated());
    }
    let bytes = usize::try_from(bytes).map_err(|_| truncated())?;
    *rest = rest.get(bytes..).ok_or_else(truncated)?;
    Ok(children)
}

fn integer<T: TryFrom<u64>>(rest: &mut &[u8], field: &str) -> Result<T, DecodeError> {
    let first = rest.first().copied().unwrap_or_default();
    let value: u64 = read_int(rest).map_err(|error| match error {
        NumValueReadError::InvalidMarkerRead(_) | NumValueReadError::InvalidDataRead(_) => {
            DecodeError::Truncated { what: WHAT }
        }
        NumValueReadError::TypeMismatch(_) | NumValueReadError::OutOfRange => {
            invalid(format!("{field}: 0x{first:02x} begins no unsigned integer"))
        }
    })?;
    value.try_into().map_err(|_| invalid(format!("{field}: {value} is too large")))
}

fn string<'a>(rest: &mut &'a [u8], field: &str) -> Result<&'a str, DecodeError> {
    let first = rest.first().copied().unwrap_or_default();
    let (text, after) = read_str_from_slice(*rest).map_err(|error| match error {
        DecodeStringError::TypeMismatch(_) => invalid(format!("{field}: 0x{first:02x} begins no string")),
        DecodeStringError::InvalidUtf8(..) => invalid(format!("{field}: not UTF-8")),
        DecodeStringError::InvalidMarkerRead(_)
        | DecodeStringError::InvalidDataRead(_)
        | DecodeStringError::BufferSizeTooSmall(_) => DecodeError::Truncated { what: WHAT },
    })?;
    *rest = after;
    Ok(text)
}

fn name(rest: &mut &[u8], field: &str) -> Result<Name, DecodeError> {
    Name::new(string(rest, field)?).map_err(|error| invalid(format!("{field}: {error}")))
}

fn within(given: u64, limit: u64) -> Result<(), DecodeError> {
    if given > limit { Err(DecodeError::TooLarge { what: WHAT, given, limit }) } else { Ok(()) }
}

fn invalid(reason: impl Into<String>) -> DecodeError {
    DecodeError::Invalid { what: WHAT, reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Extension {
        Extension {
            incarnation: Incarnation(1_800_000_000_000),
            node_name: None,
            cluster: Name::new("hew").unwrap(),
            role: Role::Member,
            version_min: 1,
            version_max: 1,
            frame_bytes_max: 65_519,
            listen: None,
            session: 0,
            fresh: 0,
            received: 0,
        }
    }

    fn full() -> Extension {
        Extension {
            incarnation: Incarnation(u64::MAX),
            node_name: Some(Name::new("büro").unwrap()),
            role: Role::Client,
            version_max: 300,
            listen: Some("tcp://10.0.0.1:9000".into()),
            session: 7,
            fresh: 0x1_0000_0000,
            received: 200,
            ..small()
        }
    }

    const GOLDEN_SMALL: &[u8] = b"\x86\x01\xcf\x00\x00\x01\xa3\x18\x5c\x50\x00\x03\xa3hew\x04\x00\x05\x01\
        \x06\x01\x07\xcd\xff\xef";
    const GOLDEN_FULL: &[u8] = b"\x8b\x01\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x02\xa5b\xc3\xbcro\x03\xa3hew\
        \x04\x01\x05\x01\x06\xcd\x01\x2c\x07\xcd\xff\xef\x08\xb3tcp://10.0.0.1:9000\x09\x07\
        \x0a\xcf\x00\x00\x00\x01\x00\x00\x00\x00\x0b\xcc\xc8";

    /// `GOLDEN_SMALL` with one more entry: `key` and the bytes of its value.
    fn with_entry(key: u8, value: &[u8]) -> Vec<u8> {
        [&[0x87], &GOLDEN_SMALL[1..], &[key], value].concat()
    }

    fn reason(bytes: &[u8]) -> String {
        Extension::decode(bytes).unwrap_err().to_string()
    }

    #[test]
    fn an_extension_has_golden_bytes() {
        for (extension, golden) in [(small(), GOLDEN_SMALL), (full(), GOLDEN_FULL)] {
            assert_eq!(extension.encode(), golden);
            assert_eq!(Extension::decode(golden), Ok(extension));
        }
    }

    #[test]
    fn truncation_at_every_byte_is_noticed() {
        for golden in [GOLDEN_SMALL, GOLDEN_FULL] {
            for end in 0..golden.len() {
                assert_eq!(
                    Extension::decode(&golden[..end]),
                    Err(DecodeError::Truncated { what: WHAT }),
                    "{end}"
                );
            }
            let longer = [golden, &[0]].concat();
            assert_eq!(Extension::decode(&longer), Err(DecodeError::Trailing { what: WHAT, bytes: 1 }));
        }
    }

    #[test]
    fn the_longest_extension_fits() {
        let long = "x".repeat(255);
        let extension = Extension {
            incarnation: Incarnation(u64::MAX),
            node_name: Some(Name::new(&long).unwrap()),
            cluster: Name::new(&long).unwrap(),
            listen: Some(long),
            version_min: u16::MAX,
            version_max: u16::MAX,
            frame_bytes_max: u32::MAX,
            session: u64::MAX,
            fresh: u64::MAX,
            received: u64::MAX,
            ..full()
        };
        let bytes = extension.encode();
        assert!(bytes.len() <= EXTENSION_BYTES_MAX, "{}", bytes.len());
        assert_eq!(Extension::decode(&bytes), Ok(extension));
    }

    #[test]
    fn an_address_that_peers_would_refuse_is_left_out() {
        for listen in ["", "a\nb", &"x".repeat(256)] {
            let extension = Extension { listen: Some(listen.into()), ..small() };
            assert_eq!(extension.encode(), GOLDEN_SMALL);
            assert!(check_listen(listen).is_err());
        }
    }

    #[test]
    fn unknown_keys_are_skipped_whatever_they_hold() {
        let values: &[&[u8]] = &[
            b"\x00",
            b"\xff",
            b"\xc0",
            b"\xc2",
            b"\xc3",
            b"\xcc\x01",
            b"\xcd\x01\x02",
            b"\xce\x01\x02\x03\x04",
            b"\xcf\x01\x02\x03\x04\x05\x06\x07\x08",
            b"\xd0\x01",
            b"\xd1\x01\x02",
            b"\xd2\x01\x02\x03\x04",
            b"\xd3\x01\x02\x03\x04\x05\x06\x07\x08",
            b"\xca\x01\x02\x03\x04",
            b"\xcb\x01\x02\x03\x04\x05\x06\x07\x08",
            b"\xa2ab",
            b"\xd9\x02ab",
            b"\xda\x00\x02ab",
            b"\xdb\x00\x00\x00\x02ab",
            b"\xc4\x01x",
            b"\xc5\x00\x01x",
            b"\xc6\x00\x00\x00\x01x",
            b"\xd4\x05x",
            b"\xd5\x05xx",
            b"\xd6\x05xxxx",
            b"\xd7\x05xxxxxxxx",
            b"\xd8\x05xxxxxxxxxxxxxxxx",
            b"\xc7\x01\x05x",
            b"\xc8\x00\x01\x05x",
            b"\xc9\x00\x00\x00\x01\x05x",
            b"\x90",
            b"\x80",
            b"\x92\x01\x02",
            b"\x81\x01\x02",
            b"\xdc\x00\x02\x91\x90\xc0",
            b"\xdd\x00\x00\x00\x01\x01",
            b"\xde\x00\x01\x01\x91\x01",
            b"\xdf\x00\x00\x00\x01\x01\x82\x01\x02\x03\x04",
            b"\x91\x91\x91\x91\x91\x91\x91\x01",
        ];
        for value in values {
            let bytes = with_entry(12, value);
            assert_eq!(Extension::decode(&bytes), Ok(small()), "{value:02x?}");
            for end in GOLDEN_SMALL.len()..bytes.len() {
                assert_eq!(Extension::decode(&bytes[..end]), Err(DecodeError::Truncated { what: WHAT }));
            }
        }
        // A key of eight bytes, too.
        let bytes = [&[0x87], &GOLDEN_SMALL[1..], b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc0"].concat();
        assert_eq!(Extension::decode(&bytes), Ok(small()));
    }

    #[test]
    fn skipping_is_bounded() {
        let deep = with_entry(40, &[&[0x91; 8][..], &[0]].concat());
        assert_eq!(Extension::decode(&deep), Err(DecodeError::TooDeep { what: WHAT, limit: DEPTH_MAX }));
        let deep = with_entry(40, &[0x91; 800]);
        assert_eq!(Extension::decode(&deep), Err(DecodeError::TooDeep { what: WHAT, limit: DEPTH_MAX }));
        for bomb in [
            b"\xdd\xff\xff\xff\xff",
            b"\xdf\xff\xff\xff\xff",
            b"\xdb\xff\xff\xff\xff",
            b"\xc9\xff\xff\xff\xff",
        ] {
            assert_eq!(Extension::decode(&with_entry(40, bomb)), Err(DecodeError::Truncated { what: WHAT }));
        }
        assert!(reason(&with_entry(40, &[0xc1])).contains("0xc1"));
        assert_eq!(
            Extension::decode(&[0x80; EXTENSION_BYTES_MAX + 1]),
            Err(DecodeError::TooLarge { what: WHAT, given: 865, limit: 864 })
        );
        assert_eq!(
            Extension::decode(b"\xdf\xff\xff\xff\xff"),
            Err(DecodeError::TooLarge { what: WHAT, given: u32::MAX.into(), limit: 64 })
        );
    }

    #[test]
    fn each_bad_field_is_named() {
        assert!(reason(b"\x91\x01").contains("begins no map"));
        assert!(reason(&with_entry(1, b"\x01")).contains("key 1 occurs twice"));
        assert!(reason(&with_entry(12, b"\x01")[..GOLDEN_SMALL.len()]).contains("too early"));
        assert!(reason(&with_entry(0xff, b"\x01")).contains("key"));
        assert!(reason(&with_entry(2, b"\xa3a\nb")).contains("control character"));
        assert!(reason(&with_entry(2, b"\xa0")).contains("node name"));
        assert!(reason(&with_entry(2, b"\xa1\xff")).contains("not UTF-8"));
        assert!(reason(&with_entry(8, b"\xa3a\x1bb")).contains("a\\u{1b}b"));
        assert!(reason(&with_entry(9, b"\xff")).contains("session"));
        assert!(reason(&with_entry(8, b"\x05")).contains("begins no string"));
        let at = |index: usize, byte: u8| {
            let mut bytes = GOLDEN_SMALL.to_vec();
            bytes[index] = byte;
            reason(&bytes)
        };
        let role = GOLDEN_SMALL.len() - 9;
        assert!(at(role, 2).contains("role 2 is unknown"), "{}", at(role, 2));
        assert!(at(role + 2, 2).contains("lowest version 2 is above highest version 1"));
        let wide = [&[0x82, 0x05], b"\xce\x00\x01\x00\x00".as_slice()].concat();
        assert!(reason(&wide).contains("lowest version: 65536 is too large"));
    }

    #[test]
    fn each_required_field_is_required() {
        let entries: [&[u8]; 6] = [
            &GOLDEN_SMALL[1..11],
            &GOLDEN_SMALL[11..16],
            &GOLDEN_SMALL[16..18],
            &GOLDEN_SMALL[18..20],
            &GOLDEN_SMALL[20..22],
            &GOLDEN_SMALL[22..],
        ];
        assert_eq!([&[0x86], entries.concat().as_slice()].concat(), GOLDEN_SMALL);
        for without in 0..entries.len() {
            let mut rest = entries.to_vec();
            rest.remove(without);
            let bytes = [&[0x85], rest.concat().as_slice()].concat();
            assert!(reason(&bytes).ends_with("is missing"), "{without}: {}", reason(&bytes));
        }
    }

    #[test]
    fn any_bytes_give_a_value_or_an_error() {
        // Every value of every byte of a full extension, and every pair of bytes at its beginning.
        for at in 0..GOLDEN_FULL.len() {
            for byte in 0..=255 {
                let mut bytes = GOLDEN_FULL.to_vec();
                bytes[at] = byte;
                let _ = Extension::decode(&bytes);
            }
        }
        for first in 0..=255 {
            for second in 0..=255 {
                let _ = Extension::decode(&[first, second, 0x01, 0xff, 0x91]);
            }
        }
    }
}

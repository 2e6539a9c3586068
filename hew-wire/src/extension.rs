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
//! | 13 | compression, as bits: 0 for LZ4 | u32 | 0, none |

use crate::scan::value_end;
use crate::{DecodeError, Incarnation, Name};
use rmp::decode::{DecodeStringError, NumValueReadError, ValueReadError};
use rmp::decode::{read_int, read_map_len, read_str_from_slice};
use rmp::encode::{write_map_len, write_str, write_uint};

/// Longest encoded extension. With the rest of a handshake it stays under the 1 KiB that a side reads from a peer
/// that has not proven who it is.
pub const EXTENSION_BYTES_MAX: usize = 864;
/// Longest advertised address, in bytes of UTF-8.
pub const LISTEN_BYTES_MAX: usize = 255;
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
    /// What the speaker is ready to compress and to decompress, as bits; those that are not known are ignored. See
    /// [`Compression`](crate::compression::Compression).
    pub compression: u32,
}

impl Extension {
    /// The bytes, at most [`EXTENSION_BYTES_MAX`].
    ///
    /// An address in `listen` that is empty, too long or holds control characters is left out, because the peer
    /// would refuse all of it: whoever configures an address checks it with [`check_listen`].
    pub fn encode(&self) -> Vec<u8> {
        let listen = self.listen.as_deref().filter(|listen| check_listen(listen).is_ok());
        let optional =
            [(9, self.session), (10, self.fresh), (11, self.received), (13, self.compression.into())];
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
    compression: u32,
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
            13 => self.compression = integer(rest, "compression")?,
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
            compression: self.compression,
        };
        if extension.version_min > extension.version_max {
            let (min, max) = (extension.version_min, extension.version_max);
            return Err(invalid(format!("lowest version {min} is above highest version {max}")));
        }
        Ok(extension)
    }
}

/// Steps over one value of any type.
fn skip_value(rest: &mut &[u8]) -> Result<(), DecodeError> {
    let end = value_end(WHAT, rest)?;
    *rest = rest.get(end..).unwrap_or_default();
    Ok(())
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
#[path = "extension/tests.rs"]
mod tests;

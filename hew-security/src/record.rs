//! Records: what protects the bytes of a link after the handshake.
//!
//! A record is a length (u16, big-endian) and so many bytes: ciphertext and tag, or the plain bytes on a link without
//! encryption. Each direction has its own key and counts its records from 0; the count is the nonce, so a record that
//! is lost, doubled, moved or changed does not open. Both sides change the key by Noise's REKEY before the record of
//! every multiple of [`REKEY_RECORDS`], without a word about it.

use crate::cipher::{KEY_BYTES, Key, Suite};
use std::fmt;

pub use crate::cipher::TAG_BYTES;

/// Longest body of a record: what its length can say.
pub const RECORD_BYTES_MAX: usize = 65_535;
/// Most plain bytes in one record. The same without encryption.
pub const RECORD_PLAINTEXT_BYTES_MAX: usize = RECORD_BYTES_MAX - TAG_BYTES;
/// Records after which the key of a direction changes.
pub const REKEY_RECORDS: u64 = 1 << 16;
/// Records after which a direction must not be used any more: the link needs a new session before.
pub const RECORDS_MAX: u64 = 1 << 32;
/// Length of a record's length.
const HEADER_BYTES: usize = 2;
/// Bytes that are copied at once. For more, the C library uses an instruction (`rep movsb`) that is fifteen times slower on
/// some processors when the target lies a few bytes further in its page than the source: where a record's length puts it,
/// if both buffers begin with a page, as large ones do.
const COPY_BYTES: usize = 2048;

/// A record could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// More than [`RECORD_PLAINTEXT_BYTES_MAX`] bytes for one record. Nothing was changed.
    #[error("{bytes} bytes do not fit into one record of at most {RECORD_PLAINTEXT_BYTES_MAX}")]
    TooLong {
        /// How many were given.
        bytes: usize,
    },
    /// The direction has carried [`RECORDS_MAX`] records. It carries no more.
    #[error("the session has carried {RECORDS_MAX} records and needs a new handshake")]
    Exhausted,
    /// The record is shorter than its tag. The direction is dead.
    #[error("a record of {bytes} bytes is shorter than its tag")]
    Truncated {
        /// Its length.
        bytes: usize,
    },
    /// The record does not open: changed, lost before it, doubled or out of order. The direction is dead.
    #[error("a record does not open: bytes were changed, lost, doubled or moved on the way")]
    NotAuthentic,
    /// An earlier record failed, and the direction is dead.
    #[error("an earlier record failed, the session is over")]
    SessionOver,
}

impl RecordError {
    /// A word for metrics.
    pub fn reason_code(&self) -> &'static str {
        match self {
            RecordError::TooLong { .. } => "record_too_long",
            RecordError::Exhausted => "record_exhausted",
            RecordError::Truncated { .. } => "record_truncated",
            RecordError::NotAuthentic => "record_not_authentic",
            RecordError::SessionOver => "record_session_over",
        }
    }
}

/// The key and the count of one direction.
struct Direction {
    /// `None` on a link without encryption.
    key: Option<Key>,
    records: u64,
    dead: bool,
}

impl Direction {
    fn new(key: Option<Key>) -> Direction {
        Direction { key, records: 0, dead: false }
    }

    fn usable(&self) -> Result<(), RecordError> {
        if self.dead { Err(RecordError::SessionOver) } else { Ok(()) }
    }

    /// The nonce of the next record, after changing the key if it is time.
    fn advance(&mut self) -> Result<u64, RecordError> {
        let nonce = self.records;
        if nonce >= RECORDS_MAX {
            self.dead = true;
            return Err(RecordError::Exhausted);
        }
        if nonce != 0
            && nonce.is_multiple_of(REKEY_RECORDS)
            && let Some(key) = &mut self.key
        {
            key.rekey();
        }
        self.records += 1;
        Ok(nonce)
    }

    fn overhead(&self) -> usize {
        if self.key.is_some() { TAG_BYTES } else { 0 }
    }
}

/// Seals what this side sends.
pub struct Sealer {
    direction: Direction,
}

impl Sealer {
    pub(crate) fn sealed(suite: Suite, key: &[u8; KEY_BYTES]) -> Sealer {
        Sealer { direction: Direction::new(Some(Key::new(suite, key))) }
    }

    pub(crate) fn plain() -> Sealer {
        Sealer { direction: Direction::new(None) }
    }

    /// Appends `plaintext` to `out` as as many records as it needs, at least one. `out` grows once.
    ///
    /// # Errors
    /// [`RecordError::Exhausted`]; [`RecordError::SessionOver`] afterwards. Records sealed before the error stay in
    /// `out`.
    pub fn seal(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), RecordError> {
        let records = plaintext.len().div_ceil(RECORD_PLAINTEXT_BYTES_MAX).max(1);
        out.reserve(plaintext.len() + records * (HEADER_BYTES + self.direction.overhead()));
        if plaintext.is_empty() {
            return self.seal_record(&[], out);
        }
        plaintext.chunks(RECORD_PLAINTEXT_BYTES_MAX).try_for_each(|chunk| self.seal_record(&[chunk], out))
    }

    /// Appends one record that holds `parts`, one after the other.
    ///
    /// # Errors
    /// [`RecordError::TooLong`], with nothing changed; [`RecordError::Exhausted`]; [`RecordError::SessionOver`].
    pub fn seal_record(&mut self, parts: &[&[u8]], out: &mut Vec<u8>) -> Result<(), RecordError> {
        let bytes = parts.iter().map(|part| part.len()).sum();
        fits(bytes)?;
        self.direction.usable()?;
        out.reserve(HEADER_BYTES + bytes + self.direction.overhead());
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_BYTES]);
        let pieces = parts.iter().flat_map(|part| part.chunks(COPY_BYTES));
        pieces.for_each(|piece| out.extend_from_slice(piece));
        self.seal_in_place(out, start)
    }

    /// Seals what was written straight into `buffer`: two bytes at `start` that are room for the length, and the
    /// plain bytes from there to the end. Nothing is copied; the tag is appended.
    ///
    /// # Errors
    /// As [`Sealer::seal_record`]; after any error `buffer` ends at `start` again, so that nothing unsealed is sent.
    ///
    /// # Panics
    /// When `buffer` is shorter than `start` + 2.
    pub fn seal_in_place(&mut self, buffer: &mut Vec<u8>, start: usize) -> Result<(), RecordError> {
        let (header, plaintext) = buffer[start..].split_at_mut(HEADER_BYTES);
        let ready = fits(plaintext.len()).and_then(|()| self.direction.usable());
        let nonce = match ready.and_then(|()| self.direction.advance()) {
            Ok(nonce) => nonce,
            Err(error) => {
                buffer.truncate(start);
                return Err(error);
            }
        };
        // At most RECORD_BYTES_MAX by `fits`.
        let length = (plaintext.len() + self.direction.overhead()) as u16;
        header.copy_from_slice(&length.to_be_bytes());
        if let Some(key) = &self.direction.key {
            let tag = key.seal(nonce, &[], plaintext);
            buffer.extend_from_slice(&tag);
        }
        Ok(())
    }

    /// Records sealed so far. A link makes a new session before [`RECORDS_MAX`].
    pub fn records(&self) -> u64 {
        self.direction.records
    }
}

/// Opens what the peer sent.
pub struct Opener {
    direction: Direction,
}

impl Opener {
    pub(crate) fn sealed(suite: Suite, key: &[u8; KEY_BYTES]) -> Opener {
        Opener { direction: Direction::new(Some(Key::new(suite, key))) }
    }

    pub(crate) fn plain() -> Opener {
        Opener { direction: Direction::new(None) }
    }

    /// Opens the body of the next record (without its length) in place and returns the plain bytes.
    ///
    /// # Errors
    /// Any [`RecordError`] but `TooLong`. The direction is dead after it, and no later record opens.
    pub fn open<'a>(&mut self, record: &'a mut [u8]) -> Result<&'a mut [u8], RecordError> {
        self.direction.usable()?;
        if record.len() < self.direction.overhead() {
            self.direction.dead = true;
            return Err(RecordError::Truncated { bytes: record.len() });
        }
        let nonce = self.direction.advance()?;
        let Some(key) = &self.direction.key else { return Ok(record) };
        key.open(nonce, &[], record).map_err(|_| {
            self.direction.dead = true;
            RecordError::NotAuthentic
        })
    }

    /// Opens the first record of `buffer` in place, if all of it is there. Returns its whole length in `buffer` and
    /// its plain bytes.
    ///
    /// # Errors
    /// As [`Opener::open`].
    pub fn open_first<'a>(
        &mut self,
        buffer: &'a mut [u8],
    ) -> Result<Option<(usize, &'a mut [u8])>, RecordError> {
        self.direction.usable()?;
        let Some((header, rest)) = buffer.split_first_chunk_mut::<HEADER_BYTES>() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes(*header));
        match rest.get_mut(..length) {
            Some(record) => self.open(record).map(|plaintext| Some((HEADER_BYTES + length, plaintext))),
            None => Ok(None),
        }
    }

    /// Records opened so far.
    pub fn records(&self) -> u64 {
        self.direction.records
    }
}

fn fits(bytes: usize) -> Result<(), RecordError> {
    if bytes > RECORD_PLAINTEXT_BYTES_MAX { Err(RecordError::TooLong { bytes }) } else { Ok(()) }
}

impl fmt::Debug for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protection = if self.key.is_some() { "sealed" } else { "plain" };
        write!(f, "{protection}, {} records{}", self.records, if self.dead { ", dead" } else { "" })
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({:?})", self.direction)
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener({:?})", self.direction)
    }
}

#[cfg(test)]
#[path = "record/tests.rs"]
mod tests;

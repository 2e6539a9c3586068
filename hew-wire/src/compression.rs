//! Payloads in fewer bytes: an LZ4 block behind the size that it has when it is plain.
//!
//! A message or reply with [`flags::COMPRESSED`](crate::frame::flags::COMPRESSED) carries this instead of its payload:
//! the plain size, u32, little-endian, then one block in the format of LZ4 to the end. The size comes first so that a
//! reader can refuse it before it allocates anything, and no more than [`RATIO_MAX`] times what has come is ever believed.

use crate::DecodeError;
use lz4_flex::block::{CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size};
use std::fmt;

/// Payloads shorter than this travel as they are: what could be saved is less than what trying costs.
pub const COMPRESS_FROM_BYTES: usize = 4096;
/// Compressed payloads are at least this part of the plain size shorter: 1/16.
const SAVED_PART_MIN: usize = 16;
/// Most plain bytes for each byte of a block: what one byte of a length stands for in LZ4, so that no honest block says
/// more.
pub const RATIO_MAX: usize = 255;
const WHAT: &str = "compressed payload";

/// Whether payloads are compressed, and how. Two nodes use what both name, see [`Compression::with`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Payloads travel as they are, in both directions.
    #[default]
    Off,
    /// Payloads of at least [`COMPRESS_FROM_BYTES`] travel as LZ4 blocks where that saves a sixteenth.
    Lz4,
}

impl Compression {
    /// The bits of [`Extension::compression`](crate::Extension::compression): what this side is ready to read and to write.
    pub fn bits(self) -> u32 {
        match self {
            Compression::Off => 0,
            Compression::Lz4 => 1 << 0,
        }
    }

    /// What is used with a peer that names these bits; bits of later versions are ignored.
    pub fn with(self, theirs: u32) -> Compression {
        if self.bits() & theirs == 0 { Compression::Off } else { self }
    }
}

/// Compresses payloads one after the other; keeps its tables and the room for what it makes.
#[derive(Default)]
pub struct Compressor {
    table: CompressTable,
    /// Grows to what the longest payload needed, and is not cleared in between.
    out: Vec<u8>,
}

impl Compressor {
    /// The payload's compressed form; none if that is not shorter by a sixteenth.
    pub fn compress(&mut self, payload: &[u8]) -> Option<&[u8]> {
        const SIZE_BYTES: usize = Compressed::SIZE_BYTES;
        let size = u32::try_from(payload.len()).ok()?;
        let room = SIZE_BYTES + get_maximum_output_size(payload.len());
        if self.out.len() < room {
            self.out.resize(room, 0);
        }
        let (front, block) = self.out.split_at_mut(SIZE_BYTES);
        let length = compress_into_with_table(payload, block, &mut self.table).ok()?;
        front.copy_from_slice(&size.to_le_bytes());
        let whole = SIZE_BYTES + length;
        (whole <= payload.len() - payload.len().div_ceil(SAVED_PART_MIN)).then(|| &self.out[..whole])
    }

    /// Gives the room back if it is more than `bytes_max`.
    pub fn trim(&mut self, bytes_max: usize) {
        if self.out.capacity() > bytes_max {
            self.out = Vec::new();
        }
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("room", &self.out.capacity()).finish_non_exhaustive()
    }
}

/// What a frame carries in place of a payload; nothing in it has been believed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compressed<'a> {
    /// The plain size, as the peer says.
    pub size: u32,
    /// The LZ4 block.
    pub block: &'a [u8],
}

impl<'a> Compressed<'a> {
    /// Bytes of the size in front of the block.
    pub const SIZE_BYTES: usize = 4;

    /// Splits the size off.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when there are fewer than four bytes.
    pub fn decode(bytes: &'a [u8]) -> Result<Compressed<'a>, DecodeError> {
        match bytes.split_first_chunk() {
            Some((size, block)) => Ok(Compressed { size: u32::from_le_bytes(*size), block }),
            None => Err(DecodeError::Truncated { what: WHAT }),
        }
    }

    /// The payload, in `room`, which is made larger if need be and holds anything behind it.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] when the size is over `limit`, or more than [`RATIO_MAX`] times the block: then `room` is as
    /// it was. [`DecodeError::Invalid`] when the block is none, or makes more or fewer bytes than its size says.
    pub fn decompress<'r>(&self, limit: usize, room: &'r mut Vec<u8>) -> Result<&'r [u8], DecodeError> {
        let believed = limit.min(self.block.len().saturating_mul(RATIO_MAX));
        let size = match usize::try_from(self.size) {
            Ok(size) if size <= believed => size,
            _ => {
                let (given, limit) = (self.size.into(), believed as u64);
                return Err(DecodeError::TooLarge { what: WHAT, given, limit });
            }
        };
        if room.len() < size {
            room.resize(size, 0);
        }
        let invalid = |reason: String| DecodeError::Invalid { what: WHAT, reason };
        match decompress_into(self.block, &mut room[..size]) {
            Ok(made) if made == size => Ok(&room[..size]),
            Ok(made) => Err(invalid(format!("{made} bytes, and {size} were announced"))),
            Err(error) => Err(invalid(error.to_string())),
        }
    }
}

#[cfg(test)]
#[path = "compression/tests.rs"]
mod tests;

//! Makes payloads that came compressed plain again, before anybody looks at them.

use super::incoming::Violation;
use hew_wire::DecodeError;
use hew_wire::compression::{Compressed, Compression};
use hew_wire::frame::Frame;

/// Room for payloads that a connection keeps between two of them; a larger one has room of its own for as long as it is
/// handled.
const ROOM_BYTES_MAX: usize = 256 * 1024;

/// See the module's documentation. One for each connection.
#[derive(Debug)]
pub(super) struct Decompressor {
    /// What the session agreed on when it began.
    agreed: Compression,
    payload_bytes_max: usize,
    room: Vec<u8>,
}

impl Decompressor {
    pub(super) fn new(agreed: Compression, payload_bytes_max: usize) -> Decompressor {
        Decompressor { agreed, payload_bytes_max, room: Vec::new() }
    }

    /// Hands the frame's payload to `handle`, which `rest` is, or what it stands for; or what is wrong with it, which is a
    /// matter between the one who sent it and the one whom it was for.
    ///
    /// # Errors
    /// A frame that is compressed although nobody agreed to that, or one without its plain size. Then nothing is handled.
    #[inline]
    pub(super) fn plain(
        &mut self,
        frame: &Frame<'_>,
        rest: &[u8],
        handle: impl FnOnce(Result<&[u8], DecodeError>),
    ) -> Result<(), Violation> {
        if !frame.header.is_compressed() {
            handle(Ok(rest));
            return Ok(());
        }
        if self.agreed == Compression::Off {
            return Err(Violation::NotAgreed { what: "a compressed payload" });
        }
        let compressed = Compressed::decode(rest)?;
        handle(compressed.decompress(self.payload_bytes_max, &mut self.room));
        if self.room.capacity() > ROOM_BYTES_MAX {
            self.room = Vec::new();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hew_wire::compression::Compressor;
    use hew_wire::frame::{FrameHeader, FrameKind, flags};

    const LIMIT: usize = 1 << 20;

    /// What is handled of a reply with these flags and this payload.
    fn handled(
        decompressor: &mut Decompressor,
        flags: u16,
        rest: &[u8],
    ) -> Result<Result<Vec<u8>, DecodeError>, Violation> {
        let header = FrameHeader { kind: FrameKind::Reply as u8, lane: 1, flags, length: rest.len() as u32 };
        let mut handled = None;
        decompressor.plain(&Frame { header, body: rest }, rest, |payload| {
            handled = Some(payload.map(<[u8]>::to_vec));
        })?;
        Ok(handled.expect("it is handled"))
    }

    fn compressed(bytes: usize) -> Vec<u8> {
        Compressor::default().compress(&vec![7; bytes]).expect("it shrinks").to_vec()
    }

    #[test]
    fn a_payload_is_what_it_was() {
        let mut decompressor = Decompressor::new(Compression::Lz4, LIMIT);
        for bytes in [5_000, LIMIT, 4_096] {
            let plain = handled(&mut decompressor, flags::COMPRESSED, &compressed(bytes));
            assert_eq!(plain, Ok(Ok(vec![7; bytes])));
            assert!(decompressor.room.capacity() <= ROOM_BYTES_MAX, "what is kept is bounded");
        }
        assert_eq!(handled(&mut decompressor, 0, b"plain"), Ok(Ok(b"plain".to_vec())));
    }

    #[test]
    fn what_is_over_the_limit_is_refused() {
        let mut decompressor = Decompressor::new(Compression::Lz4, LIMIT);
        let refused = handled(&mut decompressor, flags::COMPRESSED, &compressed(LIMIT + 1));
        assert!(matches!(refused, Ok(Err(DecodeError::TooLarge { .. }))), "{refused:?}");
        assert_eq!(decompressor.room.capacity(), 0);
    }

    #[test]
    fn nothing_is_compressed_without_an_agreement_or_without_its_size() {
        let mut off = Decompressor::new(Compression::Off, LIMIT);
        let refused = handled(&mut off, flags::COMPRESSED, &compressed(5_000));
        assert_eq!(refused.unwrap_err().code(), "not_agreed");
        let mut lz4 = Decompressor::new(Compression::Lz4, LIMIT);
        assert_eq!(handled(&mut lz4, flags::COMPRESSED, &[0; 3]).unwrap_err().code(), "truncated");
    }
}

//! A check of MessagePack bytes before anything is built from them.
//!
//! serde allocates on the word of a size hint and recurses as deep as the input says. This scan walks the bytes once,
//! without recursion and without allocation, so that what serde sees afterwards is complete, shallow and no larger
//! than the bytes that carry it.

use crate::DecodeError;
use crate::token::{NoToken, Token};

/// Deepest nesting of arrays and maps that is accepted from the network.
pub const DEPTH_MAX: usize = 64;

/// Checks that `bytes` are exactly one MessagePack value, nested at most [`DEPTH_MAX`] deep.
///
/// # Errors
/// [`DecodeError::Truncated`] when a declared length or count needs more bytes than there are,
/// [`DecodeError::TooDeep`], [`DecodeError::Trailing`] when bytes follow the value, and [`DecodeError::Invalid`] for
/// the one marker that MessagePack does not use (`c1`).
pub fn scan(what: &'static str, bytes: &[u8]) -> Result<(), DecodeError> {
    let end = value_end(what, bytes)?;
    if end < bytes.len() {
        return Err(DecodeError::Trailing { what, bytes: bytes.len() - end });
    }
    Ok(())
}

/// The length of the first MessagePack value in `bytes`, checked as by [`scan`].
///
/// # Errors
/// As [`scan`], without [`DecodeError::Trailing`].
pub fn value_end(what: &'static str, bytes: &[u8]) -> Result<usize, DecodeError> {
    // open[..depth] counts the values still missing in each array or map that is open.
    let mut open = [0u64; DEPTH_MAX];
    let mut depth = 0;
    let mut rest = bytes;
    loop {
        let (token, after) = Token::split(rest).map_err(|no_token| match no_token {
            NoToken::Truncated => DecodeError::Truncated { what },
            NoToken::Reserved => DecodeError::Invalid { what, reason: "marker c1".into() },
        })?;
        rest = after;
        let children = token.children();
        // A value takes at least one byte, so a count larger than the rest is a lie.
        if children > rest.len() as u64 {
            return Err(DecodeError::Truncated { what });
        }
        if children > 0 {
            if depth == DEPTH_MAX {
                return Err(DecodeError::TooDeep { what, limit: DEPTH_MAX });
            }
            open[depth] = children;
            depth += 1;
            continue;
        }
        while depth > 0 {
            open[depth - 1] -= 1;
            if open[depth - 1] > 0 {
                break;
            }
            depth -= 1;
        }
        if depth == 0 {
            return Ok(bytes.len() - rest.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_values_pass() {
        let cases: [&[u8]; 9] = [
            b"\xc0",
            b"\x7f",
            b"\xa3abc",
            b"\x93\x01\x02\x03",
            b"\x82\x01\x02\x03\x90",
            b"\xc4\x02\x00\x00",
            b"\xd4\x05\x00",
            b"\xc7\x03\x05abc",
            b"\xdc\x00\x01\xcb\x00\x00\x00\x00\x00\x00\x00\x00",
        ];
        for bytes in cases {
            assert_eq!(scan("case", bytes), Ok(()), "{bytes:02x?}");
            for end in 0..bytes.len() {
                let error = scan("case", &bytes[..end]).unwrap_err();
                assert!(matches!(error, DecodeError::Truncated { .. }), "{bytes:02x?} cut at {end}: {error}");
            }
            let longer = [bytes, b"\xc0"].concat();
            assert!(matches!(scan("case", &longer), Err(DecodeError::Trailing { bytes: 1, .. })));
        }
    }

    #[test]
    fn lies_about_counts_are_refused() {
        for bytes in [
            &b"\xdd\xff\xff\xff\xff"[..],
            b"\xdf\xff\xff\xff\xff",
            b"\xdb\xff\xff\xff\xff",
            b"\xc9\xff\xff\xff\xff\x01",
        ] {
            assert!(matches!(scan("case", bytes), Err(DecodeError::Truncated { .. })), "{bytes:02x?}");
        }
        assert!(matches!(scan("case", b"\xc1"), Err(DecodeError::Invalid { .. })));
    }

    #[test]
    fn depth_is_bounded_without_recursion() {
        let nested = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
        assert_eq!(scan("case", &nested(DEPTH_MAX)), Ok(()));
        assert!(matches!(scan("case", &nested(DEPTH_MAX + 1)), Err(DecodeError::TooDeep { .. })));
        assert!(matches!(scan("case", &nested(1_000_000)), Err(DecodeError::TooDeep { .. })));
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(end) = value_end("case", &bytes) {
                prop_assert!(end <= bytes.len());
                prop_assert_eq!(scan("case", &bytes[..end]), Ok(()));
            }
        }
    }
}

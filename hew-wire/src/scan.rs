//! A check of MessagePack bytes before anything is built from them.
//!
//! serde allocates on the word of a size hint and recurses as deep as the input says. This scan walks the bytes once,
//! without recursion and without allocation, so that what serde sees afterwards is complete, shallow and no larger
//! than the bytes that carry it.

use crate::DecodeError;
use rmp::Marker;

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
    let mut at = 0;
    loop {
        let element = element(what, &bytes[at..])?;
        // A value takes at least one byte, so a count larger than the rest is a lie.
        let left = (bytes.len() - at) as u64;
        if element.bytes > left || element.children > left - element.bytes {
            return Err(DecodeError::Truncated { what });
        }
        at += element.bytes as usize;
        if element.children > 0 {
            if depth == DEPTH_MAX {
                return Err(DecodeError::TooDeep { what, limit: DEPTH_MAX });
            }
            open[depth] = element.children;
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
            return Ok(at);
        }
    }
}

/// One marker with its length fields and inline bytes, and how many values follow inside it.
struct Element {
    bytes: u64,
    children: u64,
}

fn element(what: &'static str, bytes: &[u8]) -> Result<Element, DecodeError> {
    let &[marker, ..] = bytes else { return Err(DecodeError::Truncated { what }) };
    let length = |width: usize| -> Result<u64, DecodeError> {
        let field = bytes.get(1..1 + width).ok_or(DecodeError::Truncated { what })?;
        Ok(field.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    };
    let leaf = |bytes: u64| Element { bytes, children: 0 };
    Ok(match Marker::from_u8(marker) {
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => leaf(1),
        Marker::U8 | Marker::I8 => leaf(2),
        Marker::U16 | Marker::I16 => leaf(3),
        Marker::U32 | Marker::I32 | Marker::F32 => leaf(5),
        Marker::U64 | Marker::I64 | Marker::F64 => leaf(9),
        Marker::FixStr(n) => leaf(1 + u64::from(n)),
        Marker::Str8 | Marker::Bin8 => leaf(2 + length(1)?),
        Marker::Str16 | Marker::Bin16 => leaf(3 + length(2)?),
        Marker::Str32 | Marker::Bin32 => leaf(5 + length(4)?),
        Marker::FixExt1 => leaf(3),
        Marker::FixExt2 => leaf(4),
        Marker::FixExt4 => leaf(6),
        Marker::FixExt8 => leaf(10),
        Marker::FixExt16 => leaf(18),
        Marker::Ext8 => leaf(3 + length(1)?),
        Marker::Ext16 => leaf(4 + length(2)?),
        Marker::Ext32 => leaf(6 + length(4)?),
        Marker::FixArray(n) => Element { bytes: 1, children: u64::from(n) },
        Marker::Array16 => Element { bytes: 3, children: length(2)? },
        Marker::Array32 => Element { bytes: 5, children: length(4)? },
        Marker::FixMap(n) => Element { bytes: 1, children: 2 * u64::from(n) },
        Marker::Map16 => Element { bytes: 3, children: 2 * length(2)? },
        Marker::Map32 => Element { bytes: 5, children: 2 * length(4)? },
        Marker::Reserved => return Err(DecodeError::Invalid { what, reason: "marker c1".into() }),
    })
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

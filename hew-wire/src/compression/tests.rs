//! Compressed payloads: those that are made, those by hand, and those that lie.

use super::*;
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

/// So many zeros as a block by hand: one of them, then a match with the byte before for all but five of the others.
fn zeros(count: usize) -> Vec<u8> {
    let more = count - 1 - 5 - 19;
    let mut block = vec![0x1f, 0, 1, 0];
    block.resize(block.len() + more / 255, 0xff);
    block.push((more % 255) as u8);
    block.extend([0x50, 0, 0, 0, 0, 0]);
    block
}

fn with_size(size: usize, block: &[u8]) -> Vec<u8> {
    [&(size as u32).to_le_bytes(), block].concat()
}

fn read(bytes: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    Compressed::decode(bytes)?.decompress(limit, &mut Vec::new()).map(<[u8]>::to_vec)
}

/// Bytes that repeat nothing.
fn noise(count: usize) -> Vec<u8> {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x as u8
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn two_sides_use_what_both_name() {
    use Compression::{Lz4, Off};
    let cases =
        [(Off, 0), (Off, 1), (Off, u32::MAX), (Lz4, 0), (Lz4, 0xffff_fffe), (Lz4, 1), (Lz4, u32::MAX)];
    let used = cases.map(|(ours, theirs)| ours.with(theirs));
    assert_eq!(used, [Off, Off, Off, Off, Off, Lz4, Lz4]);
    assert_eq!(Compression::default(), Off);
}

#[test]
fn a_block_by_hand_is_read() {
    // Four literals, a match of nine at distance four, five literals.
    let block = b"\x45abcd\x04\x00\x50vwxyz";
    assert_eq!(read(&with_size(18, block), LIMIT), Ok(b"abcdabcdabcdavwxyz".to_vec()));
    assert_eq!(read(&with_size(100_000, &zeros(100_000)), LIMIT), Ok(vec![0; 100_000]));
    // Nothing but an end.
    assert_eq!(read(&with_size(0, b"\x00"), LIMIT), Ok(Vec::new()));
}

#[test]
fn what_hardly_shrinks_is_left_as_it_is() {
    let mut compressor = Compressor::default();
    assert_eq!(compressor.compress(&noise(100_000)), None);
    // Shorter by a twentieth: what would be saved is not worth a second reading.
    let mut hardly = noise(20_000);
    hardly[..1_000].fill(0);
    assert_eq!(compressor.compress(&hardly), None);
    hardly[..2_000].fill(0);
    let compressed = compressor.compress(&hardly).map(<[u8]>::to_vec).unwrap();
    assert!(compressed.len() <= hardly.len() * 15 / 16, "{}", compressed.len());
    assert_eq!(read(&compressed, LIMIT), Ok(hardly));
    // Where nothing can be saved.
    assert_eq!(compressor.compress(&[]), None);
    assert_eq!(compressor.compress(&[0; 12]), None);
}

#[test]
fn room_is_kept_and_given_back() {
    let mut compressor = Compressor::default();
    compressor.compress(&vec![0; 300_000]).unwrap();
    let room = compressor.out.capacity();
    compressor.trim(room);
    assert_eq!(compressor.out.capacity(), room);
    compressor.trim(room - 1);
    assert_eq!(compressor.out.capacity(), 0);
    let compressed = compressor.compress(&[7; 5_000]).map(<[u8]>::to_vec).unwrap();
    // What a longer payload left behind is no part of a shorter one.
    let mut room = vec![1; 10_000];
    assert_eq!(Compressed::decode(&compressed).unwrap().decompress(LIMIT, &mut room).unwrap(), [7; 5_000]);
    assert_eq!(room.len(), 10_000);
}

#[test]
fn a_size_that_cannot_be_is_refused_before_there_is_room_for_it() {
    let mut room = Vec::new();
    let mut refused = |size: usize, block: &[u8], limit: usize| {
        let error = Compressed { size: size as u32, block }.decompress(limit, &mut room).unwrap_err();
        assert_eq!(room.capacity(), 0, "{size} of {}", block.len());
        error
    };
    let too_large = |given: u64, limit: u64| DecodeError::TooLarge { what: WHAT, given, limit };
    // A true one, over the receiver's limit.
    let bomb = zeros(LIMIT + 1);
    assert_eq!(refused(LIMIT + 1, &bomb, LIMIT), too_large(LIMIT as u64 + 1, LIMIT as u64));
    // More than such a block can hold, within the limit.
    assert_eq!(refused(2551, &[0; 10], LIMIT), too_large(2551, 2550));
    assert_eq!(refused(u32::MAX as usize, &[0; 10], usize::MAX), too_large(u32::MAX.into(), 2550));
    assert_eq!(refused(1, b"", LIMIT), too_large(1, 0));
    // The densest block there is stays below.
    assert_eq!(read(&with_size(LIMIT, &zeros(LIMIT)), LIMIT), Ok(vec![0; LIMIT]));
    assert!(LIMIT / zeros(LIMIT).len() > 250);
}

#[test]
fn a_size_that_lies_is_an_error() {
    let block = zeros(1_000);
    for size in [0, 1, 36, 500, 999, 1_001, 1_034, 2_000] {
        let error = read(&with_size(size, &block), LIMIT).unwrap_err();
        assert!(matches!(error, DecodeError::Invalid { .. }), "{size}: {error}");
    }
    assert_eq!(
        read(&with_size(1_001, &block), LIMIT).unwrap_err().to_string(),
        "compressed payload: 1000 bytes, and 1001 were announced"
    );
}

#[test]
fn no_block_is_no_payload() {
    let bad: [&[u8]; 7] = [
        b"",
        // A match before the beginning, one at distance 0, one without its distance.
        b"\x10a\x02\x00\x50vwxyz",
        b"\x10a\x00\x00\x50vwxyz",
        b"\x10a\x01",
        // Literals, and lengths, that do not come.
        b"\xf0",
        b"\x50abc",
        b"\x1fa\x01\x00\xff\xff",
    ];
    for block in bad {
        for size in 0..64 {
            assert!(read(&with_size(size, block), LIMIT).is_err(), "{block:02x?} as {size}");
        }
    }
}

#[test]
fn truncation_at_every_byte_is_noticed() {
    let payload: Vec<u8> = (0..2_000_u32).flat_map(|i| (i / 3).to_le_bytes()).collect();
    let mut compressor = Compressor::default();
    let compressed = compressor.compress(&payload).unwrap();
    for end in 0..compressed.len() {
        let error = read(&compressed[..end], LIMIT).unwrap_err();
        let is_short = matches!(error, DecodeError::Truncated { .. });
        assert_eq!(is_short, end < Compressed::SIZE_BYTES, "{end}: {error}");
    }
    let longer = [compressed, b"\x00"].concat();
    assert!(read(&longer, LIMIT).is_err());
}

/// Payloads of every density: runs, repeated pieces, and bytes that repeat nothing.
fn payloads() -> impl Strategy<Value = Vec<u8>> {
    let run = (any::<u8>(), 1..3_000_usize).prop_map(|(byte, count)| vec![byte; count]);
    let piece = (prop::collection::vec(any::<u8>(), 1..40), 1..100_usize)
        .prop_map(|(piece, times)| piece.repeat(times));
    let any = prop::collection::vec(any::<u8>(), 0..2_000);
    prop::collection::vec(prop_oneof![run, piece, any], 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn what_is_compressed_is_read_as_it_was(payloads in prop::collection::vec(payloads(), 1..4)) {
        let (mut compressor, mut room) = (Compressor::default(), Vec::new());
        for payload in payloads {
            let Some(compressed) = compressor.compress(&payload) else { continue };
            prop_assert!(compressed.len() * 16 <= payload.len() * 15);
            let compressed = Compressed::decode(compressed).unwrap();
            prop_assert_eq!(compressed.decompress(payload.len(), &mut room), Ok(&payload[..]));
            prop_assert!(compressed.decompress(payload.len() - 1, &mut room).is_err());
        }
    }

    #[test]
    fn any_bytes_give_a_payload_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 0..4_000_u32) {
        let mut room = Vec::new();
        if let Ok(payload) = (Compressed { size, block: &bytes }).decompress(LIMIT, &mut room) {
            prop_assert_eq!(payload.len(), size as usize);
        }
    }
}

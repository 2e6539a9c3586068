//! Extensions byte by byte.

use super::*;
use crate::scan::DEPTH_MAX;

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
        compression: 0,
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
        compression: 1,
        ..small()
    }
}

const GOLDEN_SMALL: &[u8] = b"\x86\x01\xcf\x00\x00\x01\xa3\x18\x5c\x50\x00\x03\xa3hew\x04\x00\x05\x01\
    \x06\x01\x07\xcd\xff\xef";
const GOLDEN_FULL: &[u8] = b"\x8c\x01\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x02\xa5b\xc3\xbcro\x03\xa3hew\
    \x04\x01\x05\x01\x06\xcd\x01\x2c\x07\xcd\xff\xef\x08\xb3tcp://10.0.0.1:9000\x09\x07\
    \x0a\xcf\x00\x00\x00\x01\x00\x00\x00\x00\x0b\xcc\xc8\x0d\x01";

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
        compression: u32::MAX,
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
    let deep = with_entry(40, &[&[0x91; DEPTH_MAX + 1][..], &[0]].concat());
    assert_eq!(Extension::decode(&deep), Err(DecodeError::TooDeep { what: WHAT, limit: DEPTH_MAX }));
    let deep = with_entry(40, &[0x91; 800]);
    assert_eq!(Extension::decode(&deep), Err(DecodeError::TooDeep { what: WHAT, limit: DEPTH_MAX }));
    for bomb in
        [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff"]
    {
        assert_eq!(Extension::decode(&with_entry(40, bomb)), Err(DecodeError::Truncated { what: WHAT }));
    }
    assert!(reason(&with_entry(40, &[0xc1])).contains("c1"));
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

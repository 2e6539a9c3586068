//! Lines about numbers that have a meaning, and about limits.

use crate::line;
use hew_wire::compression::Compression;
use hew_wire::control::CONTROL_BYTES_MAX;
use hew_wire::frame::{
    FRAGMENT_BYTES_MAX, FRAME_BODY_BYTES_MAX, FrameHeader, FrameKind, RECORD_PLAINTEXT_BYTES_MAX, flags,
};
use hew_wire::membership::{
    DIGEST_BUCKETS, MEMBER_ADDRESS_BYTES_MAX, MEMBER_UPDATES_MAX, MemberState, SUSPECTORS_MAX,
};
use hew_wire::registry::{DIGEST_OWNERS_MAX, PAGE_DELETES_MAX, PAGE_PUTS_MAX, REGISTRY_MESSAGE_BYTES_MAX};
use hew_wire::scan::DEPTH_MAX;
use hew_wire::{
    EXIT_TEXT_BYTES_MAX, EXTENSION_BYTES_MAX, Extension, Incarnation, LISTEN_BYTES_MAX, NAME_BYTES_MAX, Name,
    REASON_BYTES_MAX, RefusalStatus, Role, feature,
};

pub(crate) const LINES: [&str; 7] = ["features", "status", "role", "compression", "flags", "limits", "state"];

/// `0 one, 1 two` as the numbers and names that are there.
fn check(name: &str, numbered: impl Iterator<Item = (u64, String)>) {
    let expected: Vec<_> = numbered.map(|(number, name)| format!("{number} {name}")).collect();
    assert_eq!(line(name), expected.join(", "));
}

#[test]
fn the_bits_of_features() {
    let bits = [(feature::ENCRYPTED, "encrypted"), (feature::AES_256_GCM, "aes_256_gcm")];
    let named = bits.map(|(bit, name)| format!("{} {name}", bit.trailing_zeros()));
    assert!(bits.iter().all(|(bit, _)| bit.is_power_of_two()));
    assert_eq!(line("features"), format!("{}, 16..31 mandatory", named.join(", ")));
    assert_eq!((feature::MANDATORY, feature::MANDATORY_KNOWN), (0xffff_0000, 0));
}

#[test]
fn the_status_of_a_verdict() {
    let known = (1..=u8::MAX).filter_map(RefusalStatus::from_byte);
    let known = known.filter(|status| !matches!(status, RefusalStatus::Unknown(_)));
    let refusals = known.map(|status| (u64::from(status.byte()), status.code().to_owned()));
    check("status", [(0, "accepted".to_owned())].into_iter().chain(refusals));
}

#[test]
fn the_roles_of_an_extension() {
    let role = |number: u8| {
        let role = match number {
            0 => Role::Member,
            _ => Role::Client,
        };
        let extension = Extension {
            incarnation: Incarnation(1),
            node_name: None,
            cluster: Name::new("c").unwrap(),
            role,
            version_min: 1,
            version_max: 1,
            frame_bytes_max: 1,
            listen: None,
            session: 0,
            fresh: 0,
            received: 0,
            compression: 0,
        };
        // Behind the incarnation and the cluster, each of them a key and a value.
        let mut bytes = extension.encode();
        assert_eq!(bytes[6..8], [4, number], "{role:?}");
        bytes[7] = 2;
        assert!(Extension::decode(&bytes).is_err(), "there is a third role");
        (u64::from(number), format!("{role:?}").to_lowercase())
    };
    check("role", [0, 1].into_iter().map(role));
}

#[test]
fn the_bits_of_compression() {
    assert_eq!(Compression::Off.bits(), 0);
    let bits = [(Compression::Lz4.bits(), "lz4")];
    check("compression", bits.into_iter().map(|(bit, name)| (bit.trailing_zeros().into(), name.to_owned())));
}

#[test]
fn the_flags_of_frames() {
    let named = [
        (flags::IDLE, "idle"),
        (flags::REPLY, "reply"),
        (flags::COMPRESSED, "compressed"),
        (flags::MANDATORY, "mandatory"),
    ];
    assert_eq!(line("flags"), named.map(|(bit, name)| format!("{bit:#06x} {name}")).join(", "));
    for kind in 0..=u8::MAX {
        let carries_a_payload = kind == FrameKind::Message as u8 || kind == FrameKind::Reply as u8;
        let known = if carries_a_payload { flags::REPLY | flags::COMPRESSED } else { flags::REPLY };
        for flags in (0..16).map(|bit| 1 << bit) {
            let header = FrameHeader { kind, lane: 0, flags, length: 0 };
            let unknown = flags & flags::MANDATORY & !known != 0;
            assert_eq!(header.has_unknown_flags(), unknown, "{flags:#06x} of kind {kind}");
        }
    }
}

#[test]
fn the_states_of_members() {
    let states = (0..=u8::MAX).filter_map(|number| Some((number, MemberState::try_from(number).ok()?)));
    let states = states.map(|(number, state)| {
        assert_eq!(u8::from(state), number);
        (u64::from(number), format!("{state:?}").to_lowercase())
    });
    check("state", states);
}

#[test]
fn the_limits() {
    assert_eq!(LISTEN_BYTES_MAX, MEMBER_ADDRESS_BYTES_MAX, "an address that is advertised is passed on");
    let limits = [
        ("extension", EXTENSION_BYTES_MAX),
        ("reason", REASON_BYTES_MAX),
        ("name", NAME_BYTES_MAX),
        ("address", LISTEN_BYTES_MAX),
        ("plaintext", RECORD_PLAINTEXT_BYTES_MAX),
        ("body", FRAME_BODY_BYTES_MAX),
        ("part", FRAGMENT_BYTES_MAX),
        ("nesting", DEPTH_MAX),
        ("control", CONTROL_BYTES_MAX),
        ("registry", REGISTRY_MESSAGE_BYTES_MAX),
        ("updates", MEMBER_UPDATES_MAX),
        ("suspectors", SUSPECTORS_MAX),
        ("buckets", DIGEST_BUCKETS),
        ("owners", DIGEST_OWNERS_MAX),
        ("puts", PAGE_PUTS_MAX),
        ("deletions", PAGE_DELETES_MAX),
        ("exit text", EXIT_TEXT_BYTES_MAX),
    ];
    let limits = limits.map(|(name, limit)| format!("{name} {limit}"));
    assert_eq!(line("limits"), limits.join(", "));
}

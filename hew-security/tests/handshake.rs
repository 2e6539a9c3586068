//! A handshake from the first byte to the first record, and every way it is declined.

mod common;

use common::*;
use hew_security::danger::Plaintext;
use hew_security::{
    Admission, Allowlist, Authenticator, DEADLINE_DEFAULT, Handshake, HandshakeError, HandshakeOutput,
    NoiseXx, Policy, PublicKey, Setup, Stage, UNPROVEN_BYTES_MAX,
};
use hew_wire::{Hello, PROTOCOL_VERSION, Refusal, RefusalStatus, feature, schema_hash};
use proptest::prelude::*;

fn refusal(status: RefusalStatus) -> Refusal {
    Refusal::new(status, "because")
}

#[test]
fn both_sides_learn_who_the_other_is() {
    let link = Link::noise().run();
    for (end, peer_id) in [(&link.dialer, 2), (&link.listener, 1)] {
        let established = end.established.as_ref().expect("up");
        assert_eq!(established.peer.node, node(peer_id));
        assert_eq!(established.peer.key, keypair(peer_id).public());
        assert!(established.peer.proven && established.encrypted);
        assert_eq!(established.extension, extension(peer_id));
        assert_eq!(end.confirmed, Some((established.peer, extension(peer_id))));
        let hello = end.hello.unwrap();
        assert_eq!((hello.version, hello.schema), (PROTOCOL_VERSION, schema_hash()));
        assert!(end.incoming.is_empty());
        assert_eq!(end.handshake.poll_timeout(), None);
    }
    link.assert_carries_records();
}

#[test]
fn drivers_can_rely_on_noise_and_on_plaintext() {
    driver::check_all(noise, remote);
    driver::check_all(|id| noise(id).without_aes(), local);
    driver::check_all(|_| Plaintext::on_local_addresses(), local);
    driver::check_all(|_| Plaintext::to_remote_addresses_too(), remote);
}

#[test]
fn each_offer_of_ciphers_gives_a_link() {
    // On a machine without the instructions all four are the same.
    let best = noise(1).features() & feature::AES_256_GCM;
    for (dialer_aes, listener_aes) in [(true, true), (true, false), (false, true), (false, false)] {
        let make = |id, aes| if aes { noise(id) } else { noise(id).without_aes() };
        let (one, two) = (make(1, dialer_aes), make(2, listener_aes));
        let link = Link::new(End::dialer(&one, remote(1)), End::listener(&two, remote(2))).run();
        let common = feature::ENCRYPTED | if dialer_aes && listener_aes { best } else { 0 };
        for end in [&link.dialer, &link.listener] {
            assert_eq!(end.established.as_ref().unwrap().features, common);
        }
        link.assert_carries_records();
    }
}

#[test]
fn s15_an_open_list_pins_who_proved_first() {
    let list = Allowlist::open();
    let two = NoiseXx::new(keypair(2), list.clone());
    let dial = |key| {
        let one = NoiseXx::new(keypair(key), Allowlist::open());
        Link::new(End::dialer(&one, remote(1)), End::listener(&two, remote(2))).run()
    };
    assert!(dial(1).is_up());
    assert_eq!(list.learned(), [(node(1), keypair(1).public())]);
    assert_eq!(dial(7).reasons(), ("refused_node_id_conflict", "node_pinned_elsewhere"));
    assert!(dial(1).is_up());
}

#[test]
fn plaintext_on_local_addresses() {
    let plaintext = Plaintext::on_local_addresses();
    let link = Link::new(End::dialer(&plaintext, local(1)), End::listener(&plaintext, local(2))).run();
    let established = link.dialer.established.as_ref().expect("up");
    assert!(!established.encrypted && !established.peer.proven);
    assert_eq!((established.peer.node, established.peer.key), (node(2), PublicKey::ZERO));
    assert_eq!(link.listener.established.as_ref().unwrap().extension, extension(1));
    link.assert_carries_records();
}

#[test]
fn s15_plaintext_to_remote_addresses_needs_its_own_word() {
    let local_only = Plaintext::on_local_addresses();
    let link = Link::new(End::dialer(&local_only, remote(1)), End::listener(&local_only, remote(2))).run();
    assert!(link.dialer.sent.is_empty(), "not even a hello");
    assert!(!link.is_up());

    let mut dialer = End::dialer(&local_only, remote(1));
    assert_eq!(dialer.handshake.poll_timeout(), Some(start()));
    assert_eq!(dialer.handshake.handle_timeout(start()), Err(HandshakeError::PlaintextRefused));
    assert_eq!(dialer.handshake.poll_timeout(), None);

    let everywhere = Plaintext::to_remote_addresses_too();
    let link = Link::new(End::dialer(&everywhere, remote(1)), End::listener(&local_only, remote(2))).run();
    assert_eq!(link.reasons(), ("refused_encryption_required", "plaintext_refused"));
    let link = Link::new(End::dialer(&everywhere, remote(1)), End::listener(&everywhere, remote(2))).run();
    assert!(link.is_up());
}

#[test]
fn s15_the_matrix_of_policies() {
    // Whether the link is encrypted, or none: for each policy of the dialer, of the listener, and kind of address.
    use Policy::{Off, Optional, Required};
    for peer_is_local in [false, true] {
        for dialer in [Required, Optional, Off] {
            for listener in [Required, Optional, Off] {
                let setup = |id| Setup { peer_is_local, ..remote(id) };
                let make = |id, policy| NoiseXx::with_policy(keypair(id), allowlist(), policy);
                let link = Link::new(
                    End::dialer(&make(1, dialer), setup(1)),
                    End::listener(&make(2, listener), setup(2)),
                )
                .run();
                let encrypted = link.dialer.established.as_ref().map(|established| established.encrypted);
                assert_eq!(
                    encrypted,
                    link.listener.established.as_ref().map(|established| established.encrypted)
                );
                let expected = match (dialer, listener) {
                    (Off, Required) | (Required, Off) => None,
                    (Off, _) | (_, Off) => peer_is_local.then_some(false),
                    (Required | Optional, Required | Optional) => Some(true),
                };
                assert_eq!(encrypted, expected, "{dialer:?} dials {listener:?}, local: {peer_is_local}");
            }
        }
    }
}

#[test]
fn the_listener_refuses_a_hello() {
    let mut link = Link::noise();
    link.listener.refuse_hello = Some(refusal(RefusalStatus::Busy));
    let link = link.run();
    assert_eq!(link.listener.error, Some(HandshakeError::RefusedHere(refusal(RefusalStatus::Busy))));
    assert_eq!(link.dialer.error, Some(HandshakeError::Refused(refusal(RefusalStatus::Busy))));
    assert_eq!(link.reasons(), ("refused_busy", "busy"));
    assert_eq!(link.listener.sent, [&[5, 7], "because".as_bytes()].concat());
}

#[test]
fn the_dialer_refuses_a_hello() {
    let mut link = Link::noise();
    link.dialer.refuse_hello = Some(refusal(RefusalStatus::NodeIdConflict));
    let link = link.run();
    assert_eq!(link.reasons(), ("node_id_conflict", "refused_node_id_conflict"));
}

#[test]
fn the_listener_refuses_a_proven_identity() {
    let mut link = Link::noise();
    link.listener.refuse_identity = Some(refusal(RefusalStatus::ClusterMismatch));
    let link = link.run();
    assert_eq!(link.reasons(), ("refused_cluster_mismatch", "cluster_mismatch"));
    assert!(link.dialer.established.is_none() && link.listener.established.is_none());
}

#[test]
fn a_refusing_dialer_never_reveals_itself() {
    let mut link = Link::noise();
    link.dialer.refuse_identity = Some(refusal(RefusalStatus::ClusterMismatch));
    let link = link.run();
    assert_eq!(link.dialer.reason(), "cluster_mismatch");
    assert_eq!(link.listener.error, Some(HandshakeError::Closed { stage: Stage::Message3 }));
    assert!(link.listener.confirmed.is_none());
    assert_eq!(link.dialer.sent.len(), 48 + 1 + 34, "hello, verdict, message 1");
}

#[test]
fn the_same_refusals_without_encryption() {
    let plaintext = Plaintext::on_local_addresses();
    let link = || Link::new(End::dialer(&plaintext, local(1)), End::listener(&plaintext, local(2)));
    let mut one = link();
    one.listener.refuse_identity = Some(refusal(RefusalStatus::ClusterMismatch));
    assert_eq!(one.run().reasons(), ("refused_cluster_mismatch", "cluster_mismatch"));
    let mut one = link();
    one.dialer.refuse_identity = Some(refusal(RefusalStatus::ClusterMismatch));
    assert_eq!(one.run().reasons(), ("cluster_mismatch", "closed_message_3"));
    let mut one = link();
    one.dialer.refuse_hello = Some(refusal(RefusalStatus::Busy));
    assert_eq!(one.run().reasons(), ("busy", "refused_busy"));
}

#[test]
fn versions_and_schemas_are_compared() {
    let link = Link::new(
        End::dialer(&noise(1), Setup { schema: 7, ..remote(1) }),
        End::listener(&noise(2), Setup { schema: 8, ..remote(2) }),
    )
    .run();
    assert_eq!(link.listener.error, Some(HandshakeError::SchemaMismatch { ours: 8, theirs: 7 }));
    assert_eq!(link.dialer.reason(), "refused_schema_mismatch");
    let told = link.dialer.error.unwrap().to_string();
    assert!(told.contains("0x00000008") && told.contains("0x00000007"), "{told}");

    let mut listener = End::listener(&noise(2), remote(2));
    let hello = Hello {
        version: 2,
        node: node(1),
        schema: schema_hash(),
        features: feature::ENCRYPTED | 1 << 31,
        public_key: *keypair(1).public().as_bytes(),
    };
    let answer = listener.feed(&hello.encode());
    assert_eq!(listener.error, Some(HandshakeError::VersionMismatch { ours: 1, theirs: 2 }));
    assert_eq!(answer[0], 1);
}

#[test]
fn the_first_bytes_after_the_handshake_stay_with_the_caller() {
    let mut link = Link::noise();
    // The dialer's last message and its first record arrive together.
    let mut extra = |from_dialer: bool, at: usize, bytes: &mut Vec<u8>| {
        if from_dialer && at == 48 + 1 + 34 && !bytes.is_empty() {
            bytes.extend_from_slice(b"the first record");
        }
    };
    link = link.run_with(usize::MAX, &mut extra);
    assert!(link.is_up());
    assert_eq!(link.listener.incoming, b"the first record");
    assert_eq!(
        link.listener.handshake.handle_bytes(after_ms(10_000), b"more"),
        Ok(0),
        "no deadline any more"
    );
    assert_eq!(link.listener.handshake.handle_timeout(after_ms(10_000)), Ok(()));
}

#[test]
fn no_bytes_are_taken_while_the_node_decides() {
    let authenticator = noise(2);
    let mut handshake = authenticator.accept(remote(2));
    let mut dialer = End::dialer(&noise(1), remote(1));
    let hello = dialer.drain();
    let with_more = [hello.as_slice(), &[0, 1, 2]].concat();
    assert_eq!(handshake.handle_bytes(start(), &with_more), Ok(48));
    assert_eq!(handshake.handle_bytes(start(), &with_more[48..]), Ok(0));
    assert!(matches!(handshake.poll(), Some(HandshakeOutput::Admit { .. })));
    let admission = Admission::Accept { extension: extension(2) };
    let out_of_turn = HandshakeError::OutOfTurn { verb: "handle_confirmation" };
    assert_eq!(handshake.handle_confirmation(start(), Ok(())), Err(out_of_turn));
    assert_eq!(handshake.handle_admission(start(), admission.clone()), Ok(()), "nothing was changed by that");
    let out_of_turn = HandshakeError::OutOfTurn { verb: "handle_admission" };
    assert_eq!(handshake.handle_admission(start(), admission), Err(out_of_turn));
    assert_eq!(handshake.handle_bytes(start(), &[0]), Ok(1));
}

#[test]
fn s8_the_deadline_counts_for_the_whole_handshake() {
    // One byte per second of an otherwise perfect dialer.
    let link = Link::noise().run();
    let authenticator = noise(2);
    let mut listener = End::listener(&authenticator, remote(2));
    let mut ended = None;
    for (second, byte) in link.dialer.sent.iter().enumerate() {
        let now = after_ms(1000 * second as u64);
        if let Err(error) = listener.handshake.handle_bytes(now, &[*byte]) {
            ended = Some((second, error));
            break;
        }
        assert_eq!(listener.handshake.poll_timeout(), Some(start() + DEADLINE_DEFAULT));
    }
    assert_eq!(ended, Some((5, HandshakeError::Timeout { stage: Stage::Hello })));
    assert_eq!(listener.handshake.poll_timeout(), None);
    assert!(listener.drain().is_empty(), "nobody is told");
}

#[test]
fn s8_each_stage_times_out() {
    let plain = Link::noise().run();
    let stages = [(0, Stage::Hello), (48, Stage::Hello), (49, Stage::Message1), (83, Stage::Message3)];
    for (bytes, stage) in stages {
        let mut listener = End::listener(&noise(2), remote(2));
        listener.feed(&plain.dialer.sent[..bytes]);
        assert_eq!(listener.handshake.handle_timeout(after_ms(4_999)), Ok(()));
        let timeout = Err(HandshakeError::Timeout { stage });
        assert_eq!(listener.handshake.handle_timeout(after_ms(5_000)), timeout, "after {bytes} bytes");
        assert_eq!(listener.handshake.handle_bytes(after_ms(5_001), &[0]).map(|_| ()), timeout, "for ever");
        assert_eq!(Err(listener.handshake.handle_end()), timeout);
    }
}

#[test]
fn the_end_of_the_connection_is_named() {
    let mut dialer = End::dialer(&noise(1), remote(1));
    let _ = dialer.drain();
    assert_eq!(dialer.handshake.handle_end(), HandshakeError::Closed { stage: Stage::Hello });
    assert_eq!(dialer.handshake.poll_timeout(), None);
}

#[test]
fn s10_an_unproven_peer_is_read_and_held_within_bounds() {
    let link = Link::noise().run();
    assert!(link.dialer.sent.len() <= UNPROVEN_BYTES_MAX, "{}", link.dialer.sent.len());
    let mut listener = End::listener(&noise(2), remote(2));
    for byte in &link.dialer.sent {
        listener.feed(&[*byte]);
        assert!(listener.handshake.held_bytes() <= 16 * 1024);
    }
    // Bytes that complete nothing are not held beyond the message they belong to.
    let mut listener = End::listener(&noise(2), remote(2));
    listener.feed(&link.dialer.sent[..83]);
    let taken = listener.handshake.handle_bytes(start(), &[&[0x01, 0x00][..], &[7; 200]].concat());
    assert_eq!(taken, Ok(202));
    assert!(listener.handshake.held_bytes() <= 1024);
}

#[test]
fn s8_a_silent_connection_is_small() {
    // 10,000 of them in 32 MiB leave 3,355 bytes for each, and its socket and task need some, too.
    let handshake = noise(2).accept(remote(2));
    let bytes = std::mem::size_of_val(&handshake) + handshake.held_bytes();
    assert!(bytes <= 1024, "{bytes}");
}

#[test]
fn s7_a_reconnect_gives_other_keys() {
    let wires: Vec<_> = (0..2)
        .map(|_| {
            let mut established = Link::noise().run().dialer.established.unwrap();
            let mut wire = Vec::new();
            established.sealer.seal(&[0; 64], &mut wire).unwrap();
            wire
        })
        .collect();
    assert_ne!(wires[0], wires[1]);
}

#[test]
fn s11_a_key_removed_during_the_handshake_does_not_get_in() {
    for remove_from_listener in [true, false] {
        let (one, two) = (noise(1), noise(2));
        let mut link = Link::new(End::dialer(&one, remote(1)), End::listener(&two, remote(2)));
        let mut revoke = |from_dialer: bool, at: usize, bytes: &mut Vec<u8>| {
            if bytes.is_empty() {
            } else if remove_from_listener && from_dialer && at == 83 {
                two.allowlist().revoke(&keypair(1).public());
            } else if !remove_from_listener && !from_dialer && at == 49 {
                one.allowlist().revoke(&keypair(2).public());
            }
        };
        link = link.run_with(usize::MAX, &mut revoke);
        let expected = match remove_from_listener {
            true => ("refused_not_allowed", "revoked_key"),
            false => ("revoked_key", "closed_message_3"),
        };
        assert_eq!(link.reasons(), expected);
        let refuser = if remove_from_listener { &link.listener } else { &link.dialer };
        assert!(refuser.confirmed.is_none(), "the node is not asked about it");
    }
}

#[test]
fn s11_an_exchanged_key_is_used_by_the_next_handshake() {
    let list = allowlist();
    let (one, two) = (NoiseXx::new(keypair(1), list.clone()), NoiseXx::new(keypair(2), list.clone()));
    let link = Link::new(End::dialer(&one, remote(1)), End::listener(&two, remote(2)));
    one.replace_keypair(keypair(10));
    assert_eq!(one.public_key(), keypair(10).public());
    assert!(link.run().is_up(), "begun with the old key");
    let link = || Link::new(End::dialer(&one, remote(1)), End::listener(&two, remote(2))).run();
    assert_eq!(link().reasons(), ("refused_not_allowed", "unknown_key"));
    list.allow(hew_security::Entry { node: Some(node(1)), ..entry(10) });
    assert_eq!(link().listener.established.unwrap().peer.key, keypair(10).public());
}

#[test]
fn a_seeded_handshake_can_be_repeated_bit_by_bit() {
    let run = |seed| {
        let make =
            |id: u16| hew_security::danger::noise_from_seed(keypair(id), allowlist(), seed + u64::from(id));
        let link = Link::new(End::dialer(&make(1), remote(1)), End::listener(&make(2), remote(2))).run();
        assert!(link.is_up());
        (link.dialer.sent, link.listener.sent)
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_chunking_gives_the_same_link(sizes in proptest::collection::vec(1_usize..200, 1..40), plain: bool) {
        let link = match plain {
            true => {
                let plaintext = Plaintext::on_local_addresses();
                Link::new(End::dialer(&plaintext, local(1)), End::listener(&plaintext, local(2)))
            }
            false => Link::noise(),
        };
        let mut next = sizes.iter().copied().cycle();
        let link = link.run_in_chunks(&mut || next.next().unwrap_or(1), &mut |_, _, _| {});
        prop_assert!(link.is_up(), "{:?}", link.reasons());
        prop_assert_eq!(&link.listener.established.as_ref().unwrap().extension, &extension(1));
        link.assert_carries_records();
    }

    #[test]
    fn any_text_is_an_allowlist_or_names_a_line(text in "([0-9*]{1,5}[ \\t]([0-9a-f]{64}|[0-9a-fx]{0,70})[ a-z#]{0,9}\r?\n|.{0,30}\n){0,8}") {
        match Allowlist::parse(&text) {
            Ok(entries) => {
                let shown: Vec<_> = entries.iter().map(|entry| entry.to_string()).collect();
                prop_assert_eq!(Allowlist::parse(&shown.join("\n")).unwrap(), entries);
            }
            Err(error) => prop_assert!(error.line >= 1 && error.line <= text.lines().count()),
        }
    }

    #[test]
    fn any_bytes_end_in_an_error_or_wait(bytes in proptest::collection::vec(any::<u8>(), 0..300), keep in 0_usize..100) {
        // Random bytes after a valid beginning, at both sides.
        let good = Link::noise().run();
        for listen in [true, false] {
            let (mut end, stream) = match listen {
                true => (End::listener(&noise(2), remote(2)), &good.dialer.sent),
                false => (End::dialer(&noise(1), remote(1)), &good.listener.sent),
            };
            end.feed(&stream[..keep.min(stream.len())]);
            end.feed(&bytes);
            prop_assert!(end.established.is_none());
        }
    }
}

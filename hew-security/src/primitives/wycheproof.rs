//! The vectors of Project Wycheproof through the functions that handshakes and records call.
//!
//! What does not apply: nonces of other lengths than 96 bits and keys of other lengths than 256 bits. No caller of ours can
//! name either: the lengths are in the types. Tags are 128 bits in every vector, as here. All that applies is run, and
//! each test says how many that were, so that vectors which are no longer found fail it.

use super::*;
use crate::cipher::NotAuthentic;
use ::wycheproof::{TestResult, aead, xdh};
use ring::aead::Nonce;

/// What became of the vectors of one set.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Computed, or sealed and opened, as the vector says.
    right: usize,
    /// Refused, as it must be.
    refused: usize,
    /// Of those two, how many were also run through what the Noise library is given, which counts nonces in 64 bits.
    counted: usize,
    /// Nonces or keys of other lengths.
    not_applicable: usize,
}

/// A computation of a secret with a key of a handshake.
fn agree(private: &[u8], public: &[u8]) -> Result<[u8; 32], snow::Error> {
    let primitives = Primitives {
        keypair: Arc::new(StaticKeypair::from_boxed(Box::new([4; 32]))),
        entropy: Entropy::Seed(1),
        computations: Computations::default(),
    };
    let mut dh = primitives.resolve_dh(&DHChoice::Curve25519).unwrap();
    dh.set(private);
    let mut secret = [0; 32];
    dh.dh(public, &mut secret).map(|()| secret)
}

/// Noise lets a handshake go on with a secret of zeros, or stop (section 12.1): ours stops. Everything else is
/// computed, also from points that are not in their shortest form or lie on the twist, as RFC 7748 has it; the
/// vectors call these acceptable.
#[test]
fn s3_x25519_computes_every_secret_but_zero() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let mut tally = Tally::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let agreed = agree(&test.private_key, &test.public_key);
        assert_ne!(test.result, TestResult::Invalid);
        if test.flags.contains(&xdh::TestFlag::ZeroSharedSecret) {
            assert_eq!(test.shared_secret[..], [0; 32]);
            assert!(agreed.is_err(), "vector {}: a secret that everybody knows", test.tc_id);
            tally.refused += 1;
        } else {
            assert_eq!(agreed.unwrap()[..], test.shared_secret[..], "vector {}", test.tc_id);
            tally.right += 1;
        }
    }
    assert_eq!(tally, Tally { right: 487, refused: 31, ..Tally::default() });
}

/// One vector of an AEAD under a nonce of 96 bits and a key of 256.
fn seal_and_open(suite: Suite, test: &aead::Test, tally: &mut Tally) {
    let id = test.tc_id;
    let key = Key::new(suite, test.key.first_chunk().unwrap());
    let nonce_bytes: [u8; 12] = *test.nonce.first_chunk().unwrap();
    let nonce = || Nonce::assume_unique_for_key(nonce_bytes);
    let sealed = [&test.ct[..], &test.tag].concat();
    let is_valid = match test.result {
        TestResult::Valid => true,
        TestResult::Invalid => false,
        TestResult::Acceptable => panic!("vector {id}: a cipher is right or wrong"),
    };

    let mut in_out = test.pt.to_vec();
    let tag = key.seal_under(nonce(), &test.aad, &mut in_out);
    assert_eq!([&in_out[..], &tag].concat() == sealed, is_valid, "vector {id} sealed");

    let mut in_out = sealed.clone();
    match key.open_under(nonce(), &test.aad, &mut in_out) {
        Ok(plaintext) => assert!(is_valid && *plaintext == test.pt[..], "vector {id} opened"),
        Err(NotAuthentic) => assert!(!is_valid, "vector {id} did not open"),
    }
    *(if is_valid { &mut tally.right } else { &mut tally.refused }) += 1;

    if let [0, 0, 0, 0, counter @ ..] = nonce_bytes {
        let counter = match suite {
            Suite::ChaCha20Poly1305 => u64::from_le_bytes(counter),
            Suite::Aes256Gcm => u64::from_be_bytes(counter),
        };
        through_the_library(suite, test, counter, &sealed, is_valid);
        tally.counted += 1;
    }
}

/// The same through what the Noise library is given.
fn through_the_library(suite: Suite, test: &aead::Test, counter: u64, sealed: &[u8], is_valid: bool) {
    let mut cipher = Aead::new(suite);
    cipher.set(test.key.first_chunk().unwrap());
    let mut out = vec![0; sealed.len()];
    assert_eq!(cipher.encrypt(counter, &test.aad, &test.pt, &mut out), sealed.len());
    assert_eq!(out == sealed, is_valid, "vector {}", test.tc_id);
    let mut out = vec![0; test.pt.len()];
    assert_eq!(cipher.decrypt(counter, &test.aad, sealed, &mut out).is_ok(), is_valid);
    assert!(!is_valid || out == test.pt[..], "vector {}", test.tc_id);
}

fn check(suite: Suite, name: aead::TestName) -> Tally {
    let set = aead::TestSet::load(name).unwrap();
    let mut tally = Tally::default();
    for group in &set.test_groups {
        assert_eq!(group.tag_size, 8 * TAG_BYTES);
        if (group.nonce_size, group.key_size) == (96, 8 * KEY_BYTES) {
            group.tests.iter().for_each(|test| seal_and_open(suite, test, &mut tally));
        } else {
            tally.not_applicable += group.tests.len();
        }
    }
    tally
}

#[test]
fn s5_chacha20_poly1305_seals_and_opens_as_published() {
    let tally = check(Suite::ChaCha20Poly1305, aead::TestName::ChaCha20Poly1305);
    assert_eq!(tally, Tally { right: 256, refused: 60, counted: 10, not_applicable: 9 });
}

#[test]
fn s5_aes_256_gcm_seals_and_opens_as_published() {
    let tally = check(Suite::Aes256Gcm, aead::TestName::AesGcm);
    assert_eq!(tally, Tally { right: 39, refused: 27, counted: 1, not_applicable: 250 });
}

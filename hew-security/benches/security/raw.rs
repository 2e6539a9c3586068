//! The primitives alone, as their libraries offer them.

use crate::measure::Failure;
use ring::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use std::hint::black_box;
use x25519_dalek::{PublicKey, StaticSecret, x25519};

/// Computations on the curve of one handshake: each side makes an ephemeral key and three secrets.
pub(crate) const COMPUTATIONS: u64 = KEYS + SECRETS;
const KEYS: u64 = 2;
const SECRETS: u64 = 6;

/// Seals and opens the same bytes in place, over and over, under nonces that count.
pub(crate) struct RawAead {
    key: LessSafeKey,
    counter: u64,
    /// Bytes of the text.
    text: usize,
    /// Text and tag.
    buffer: Vec<u8>,
}

impl RawAead {
    pub(crate) fn new(aes: bool, bytes: usize) -> RawAead {
        let algorithm = if aes { &AES_256_GCM } else { &CHACHA20_POLY1305 };
        let key = UnboundKey::new(algorithm, &[7; 32]).expect("both have keys of 32 bytes");
        let buffer = vec![7; bytes + algorithm.tag_len()];
        RawAead { key: LessSafeKey::new(key), counter: 0, text: bytes, buffer }
    }

    pub(crate) fn seal_and_open(&mut self) -> Result<(), Failure> {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.counter.to_le_bytes());
        self.counter += 1;
        let nonce = || Nonce::assume_unique_for_key(nonce);
        let (in_out, tag_bytes) = self.buffer.split_at_mut(self.text);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce(), Aad::empty(), in_out)
            .map_err(|_| "sealing failed")?;
        tag_bytes.copy_from_slice(tag.as_ref());
        self.key.open_in_place(nonce(), Aad::empty(), &mut self.buffer).map_err(|_| "opening failed")?;
        Ok(())
    }
}

/// What a handshake computes on the curve, and nothing else of it.
pub(crate) struct Curve {
    secret: [u8; 32],
    point: [u8; 32],
}

impl Curve {
    pub(crate) fn new() -> Curve {
        Curve { secret: [3; 32], point: *PublicKey::from(&StaticSecret::from([5; 32])).as_bytes() }
    }

    /// Two keys and six secrets; each is the input of the next.
    pub(crate) fn compute(&mut self) {
        for _ in 0..KEYS {
            self.point = *PublicKey::from(&StaticSecret::from(black_box(self.secret))).as_bytes();
        }
        for _ in 0..SECRETS {
            self.secret = x25519(black_box(self.secret), black_box(self.point));
        }
    }
}

//! One AEAD key with Noise's rules for nonces and for changing the key.

use ring::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroize;

/// Bytes of a key of either suite.
pub(crate) const KEY_BYTES: usize = 32;
/// Bytes of the tag at the end of a sealed record.
pub const TAG_BYTES: usize = 16;
/// The nonce that Noise reserves for changing the key (Noise, sections 4.2 and 5.1).
const REKEY_NONCE: u64 = u64::MAX;

/// The cipher of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suite {
    ChaCha20Poly1305,
    Aes256Gcm,
}

impl Suite {
    fn algorithm(self) -> &'static Algorithm {
        match self {
            Suite::ChaCha20Poly1305 => &CHACHA20_POLY1305,
            Suite::Aes256Gcm => &AES_256_GCM,
        }
    }

    /// Four zero bytes and the counter: little-endian for ChaChaPoly, big-endian for AESGCM (Noise, section 12).
    fn nonce(self, counter: u64) -> Nonce {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&match self {
            Suite::ChaCha20Poly1305 => counter.to_le_bytes(),
            Suite::Aes256Gcm => counter.to_be_bytes(),
        });
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Why bytes did not open: the tag is wrong, or there is none.
#[derive(Debug)]
pub(crate) struct NotAuthentic;

/// A key for one direction. Overwritten when it is changed and when it is dropped.
pub(crate) struct Key {
    suite: Suite,
    // Boxed, so that moving the key leaves no copies behind, and overwriting it overwrites the only lasting one.
    key: Box<LessSafeKey>,
}

impl Key {
    pub(crate) fn new(suite: Suite, bytes: &[u8; KEY_BYTES]) -> Key {
        Key { suite, key: Box::new(bound(suite, bytes)) }
    }

    /// Overwrites the key in place.
    pub(crate) fn set(&mut self, bytes: &[u8; KEY_BYTES]) {
        *self.key = bound(self.suite, bytes);
    }

    /// Encrypts in place and returns the tag. The caller never repeats a nonce.
    pub(crate) fn seal(&self, nonce: u64, associated: &[u8], in_out: &mut [u8]) -> [u8; TAG_BYTES] {
        self.seal_under(self.suite.nonce(nonce), associated, in_out)
    }

    /// As [`Key::seal`], under any nonce of its length: published vectors know no counters.
    pub(crate) fn seal_under(&self, nonce: Nonce, associated: &[u8], in_out: &mut [u8]) -> [u8; TAG_BYTES] {
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(associated), in_out)
            .expect("a record is shorter than the limit of either algorithm, 64 GiB");
        let mut bytes = [0; TAG_BYTES];
        bytes.copy_from_slice(tag.as_ref());
        bytes
    }

    /// Decrypts ciphertext and tag in place; the result is the plaintext at the front of `in_out`.
    pub(crate) fn open<'a>(
        &self,
        nonce: u64,
        associated: &[u8],
        in_out: &'a mut [u8],
    ) -> Result<&'a mut [u8], NotAuthentic> {
        self.open_under(self.suite.nonce(nonce), associated, in_out)
    }

    /// As [`Key::open`], under any nonce of its length.
    pub(crate) fn open_under<'a>(
        &self,
        nonce: Nonce,
        associated: &[u8],
        in_out: &'a mut [u8],
    ) -> Result<&'a mut [u8], NotAuthentic> {
        self.key.open_in_place(nonce, Aad::from(associated), in_out).map_err(|_| NotAuthentic)
    }

    /// Noise's REKEY: the new key is what the old one makes of 32 zeros under the reserved nonce.
    pub(crate) fn rekey(&mut self) {
        let mut next = [0; KEY_BYTES];
        self.seal(REKEY_NONCE, &[], &mut next);
        self.set(&next);
        next.zeroize();
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.set(&[0; KEY_BYTES]);
        // Without a reader the compiler may leave the overwriting out.
        std::hint::black_box(&*self.key);
    }
}

fn bound(suite: Suite, bytes: &[u8; KEY_BYTES]) -> LessSafeKey {
    LessSafeKey::new(
        UnboundKey::new(suite.algorithm(), bytes).expect("both algorithms have keys of 32 bytes"),
    )
}

/// Whether this machine has the instructions that make AES-256-GCM faster than ChaCha20-Poly1305, and safe from
/// timing.
pub(crate) fn aes_is_fast() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq")
    }
    #[cfg(target_arch = "aarch64")]
    {
        std::arch::is_aarch64_feature_detected!("aes") && std::arch::is_aarch64_feature_detected!("pmull")
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rekeying_is_what_noise_says() {
        for suite in [Suite::ChaCha20Poly1305, Suite::Aes256Gcm] {
            let mut key = Key::new(suite, &[7; 32]);
            // ENCRYPT(k, 2^64-1, "", zeros), its first 32 bytes.
            let mut next = [0; 32];
            Key::new(suite, &[7; 32]).seal(u64::MAX, &[], &mut next);
            key.rekey();
            let (mut one, mut other) = ([1; 5], [1; 5]);
            assert_eq!(key.seal(0, b"ad", &mut one), Key::new(suite, &next).seal(0, b"ad", &mut other));
            assert_eq!(one, other);
        }
    }

    #[test]
    fn nonces_are_in_the_byte_order_of_their_cipher() {
        assert_eq!(Suite::ChaCha20Poly1305.nonce(1).as_ref(), &[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Suite::Aes256Gcm.nonce(1).as_ref(), &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }
}

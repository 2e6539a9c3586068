//! Static keys: the public one, which is an identity, and the pair, which proves it.

use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;
use x25519_dalek::x25519;
use zeroize::{Zeroize, Zeroizing};

/// An X25519 public key: the identity of a node.
///
/// `Display` and `Debug` show a fingerprint of the first eight bytes, for people; [`PublicKey::to_hex`] is the whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// Text that is not a public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not a public key: expected 64 hexadecimal digits")]
pub struct InvalidKey {
    given: String,
}

impl PublicKey {
    /// All zeros: no key. Never allowed as an identity.
    pub const ZERO: PublicKey = PublicKey([0; 32]);

    /// Any 32 bytes.
    pub const fn new(bytes: [u8; 32]) -> PublicKey {
        PublicKey(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower-case hexadecimal digits; [`FromStr`] reads them back.
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }

    /// Whether this is [`PublicKey::ZERO`].
    pub fn is_zero(&self) -> bool {
        *self == PublicKey::ZERO
    }

    /// Equality in a time that does not depend on the keys.
    pub(crate) fn matches(&self, other: &[u8]) -> bool {
        self.0.ct_eq(other).into()
    }
}

impl FromStr for PublicKey {
    type Err = InvalidKey;

    /// Reads 64 hexadecimal digits of either case.
    fn from_str(text: &str) -> Result<PublicKey, InvalidKey> {
        let invalid = || InvalidKey { given: text.chars().take(80).collect() };
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(invalid());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16).ok_or_else(invalid);
            *byte = (digit(0)? << 4 | digit(1)?) as u8;
        }
        Ok(PublicKey(bytes))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0[..8]))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key:{self}")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

/// A node's static key pair. The secret half is wiped when the value is dropped, and cannot be printed, cloned,
/// compared or serialised; it leaves this crate only through a key file.
pub struct StaticKeypair {
    public: PublicKey,
    // Boxed, so that moving the pair leaves no copies of the secret behind.
    secret: Box<[u8; 32]>,
}

impl StaticKeypair {
    /// A fresh pair from the operating system's random source.
    ///
    /// # Errors
    /// The system's error when it gives no randomness.
    pub fn generate() -> std::io::Result<StaticKeypair> {
        let mut secret = Box::new([0; 32]);
        getrandom::fill(&mut secret[..]).map_err(std::io::Error::from)?;
        Ok(StaticKeypair::from_boxed(secret))
    }

    pub(crate) fn from_boxed(secret: Box<[u8; 32]>) -> StaticKeypair {
        let public = PublicKey(x25519(*secret, x25519_dalek::X25519_BASEPOINT_BYTES));
        StaticKeypair { public, secret }
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// Public then secret half, as in a key file.
    pub(crate) fn to_file_bytes(&self) -> Zeroizing<Box<[u8]>> {
        let mut bytes = Zeroizing::new(vec![0; 64].into_boxed_slice());
        bytes[..32].copy_from_slice(&self.public.0);
        bytes[32..].copy_from_slice(&self.secret[..]);
        bytes
    }
}

impl Drop for StaticKeypair {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl fmt::Debug for StaticKeypair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StaticKeypair({})", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_reads_back_from_hex() {
        let mut bytes = [0; 32];
        bytes[0] = 0xAB;
        bytes[31] = 0x01;
        let key = PublicKey::new(bytes);
        assert_eq!(key.to_hex(), format!("ab{}01", "0".repeat(60)));
        assert_eq!(key.to_hex().parse(), Ok(key));
        assert_eq!(key.to_hex().to_uppercase().parse(), Ok(key));
        assert_eq!(key.to_string(), "ab00000000000000");
        for text in ["", "ab", &"g".repeat(64), &"0".repeat(63), &"0".repeat(65), &"é".repeat(32)] {
            assert!(text.parse::<PublicKey>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_pair_matches_the_published_vector() {
        // RFC 7748, section 5.2, first iteration: the scalar 9 times the base point 9.
        let mut secret = Box::new([0; 32]);
        secret[0] = 9;
        assert_eq!(
            StaticKeypair::from_boxed(secret).public().to_hex(),
            "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"
        );
    }

    #[test]
    fn debug_shows_the_fingerprint_only() {
        let pair = StaticKeypair::from_boxed(Box::new([0x5A; 32]));
        let shown = format!("{pair:?}");
        assert_eq!(shown, format!("StaticKeypair({})", pair.public()));
        assert!(!shown.contains("5a5a5a"));
    }

    #[test]
    fn generated_pairs_differ() {
        let (one, other) = (StaticKeypair::generate().unwrap(), StaticKeypair::generate().unwrap());
        assert_ne!(one.public(), other.public());
        assert!(!one.public().is_zero());
    }
}

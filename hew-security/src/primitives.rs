//! The primitives that the Noise library computes with: X25519, the AEADs and randomness of our choice, wiped after use.

use crate::StaticKeypair;
use crate::cipher::{KEY_BYTES, Key, Suite, TAG_BYTES};
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use subtle::ConstantTimeEq;
use x25519_dalek::{StaticSecret, x25519};
use zeroize::Zeroize;

/// Where ephemeral keys come from.
#[derive(Clone)]
pub(crate) enum Entropy {
    /// The operating system.
    System,
    /// A seed: for simulations, where nothing is secret.
    Seed(u64),
    /// These bytes, for test vectors.
    #[cfg(test)]
    Fixed([u8; 32]),
}

/// Counts X25519 computations. Only ever added to and read for show, so Relaxed is enough.
#[derive(Clone, Default)]
pub(crate) struct Computations(Arc<AtomicU64>);

impl Computations {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Gives the Noise library its primitives for one handshake.
#[derive(Clone)]
pub(crate) struct Primitives {
    pub(crate) keypair: Arc<StaticKeypair>,
    pub(crate) entropy: Entropy,
    pub(crate) computations: Computations,
}

impl CryptoResolver for Primitives {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(match self.entropy {
            Entropy::System => Box::new(SystemRandom),
            Entropy::Seed(seed) => Box::new(SeededRandom(fastrand::Rng::with_seed(seed))),
            #[cfg(test)]
            Entropy::Fixed(bytes) => Box::new(FixedRandom(bytes)),
        })
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        match choice {
            DHChoice::Curve25519 => Some(Box::new(X25519 {
                private: [0; 32],
                public: [0; 32],
                keypair: self.keypair.clone(),
                computations: self.computations.clone(),
            })),
            DHChoice::Curve448 => None,
        }
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        match choice {
            CipherChoice::ChaChaPoly => Some(Box::new(Aead::new(Suite::ChaCha20Poly1305))),
            CipherChoice::AESGCM => Some(Box::new(Aead::new(Suite::Aes256Gcm))),
        }
    }
}

/// One X25519 key of a handshake: the static or the ephemeral one.
struct X25519 {
    private: [u8; 32],
    public: [u8; 32],
    /// Our static pair: the library hands over the private half only, and the public one is known already.
    keypair: Arc<StaticKeypair>,
    computations: Computations,
}

impl X25519 {
    fn multiply(&self, point: [u8; 32]) -> [u8; 32] {
        self.computations.add();
        x25519(self.private, point)
    }

    /// Computes the public half, from tables of the base point: a third of the price of any other point.
    fn set_public(&mut self) {
        self.computations.add();
        self.public = *x25519_dalek::PublicKey::from(&StaticSecret::from(self.private)).as_bytes();
    }
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, private: &[u8]) {
        self.private.copy_from_slice(private);
        let is_ours: bool = self.private.ct_eq(self.keypair.secret()).into();
        match is_ours {
            true => self.public = *self.keypair.public().as_bytes(),
            false => self.set_public(),
        }
    }

    fn generate(&mut self, random: &mut dyn Random) -> Result<(), snow::Error> {
        random.try_fill_bytes(&mut self.private)?;
        self.set_public();
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        &self.private
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        let point = public.first_chunk().ok_or(snow::Error::Dh)?;
        let mut shared = self.multiply(*point);
        // A point of low order gives a secret that everybody knows.
        let known: bool = shared.ct_eq(&[0; 32]).into();
        if known {
            return Err(snow::Error::Dh);
        }
        out.get_mut(..32).ok_or(snow::Error::Dh)?.copy_from_slice(&shared);
        shared.zeroize();
        Ok(())
    }
}

impl Drop for X25519 {
    fn drop(&mut self) {
        self.private.zeroize();
    }
}

/// One cipher of a handshake; without a key until the library sets one.
struct Aead {
    suite: Suite,
    key: Option<Key>,
}

impl Aead {
    fn new(suite: Suite) -> Aead {
        Aead { suite, key: None }
    }
}

impl Cipher for Aead {
    fn name(&self) -> &'static str {
        match self.suite {
            Suite::ChaCha20Poly1305 => "ChaChaPoly",
            Suite::Aes256Gcm => "AESGCM",
        }
    }

    fn set(&mut self, bytes: &[u8; KEY_BYTES]) {
        match &mut self.key {
            Some(key) => key.set(bytes),
            None => self.key = Some(Key::new(self.suite, bytes)),
        }
    }

    fn encrypt(&self, nonce: u64, associated: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let key = self.key.as_ref().expect("the library sets a key before it encrypts");
        let (text, tag) = out.split_at_mut(plaintext.len());
        text.copy_from_slice(plaintext);
        tag[..TAG_BYTES].copy_from_slice(&key.seal(nonce, associated, text));
        plaintext.len() + TAG_BYTES
    }

    fn decrypt(
        &self,
        nonce: u64,
        associated: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, snow::Error> {
        let key = self.key.as_ref().ok_or(snow::Error::Decrypt)?;
        let mut text = ciphertext.to_vec();
        let plaintext = key.open(nonce, associated, &mut text).map_err(|_| snow::Error::Decrypt)?;
        out.get_mut(..plaintext.len()).ok_or(snow::Error::Decrypt)?.copy_from_slice(plaintext);
        Ok(plaintext.len())
    }
}

struct SystemRandom;

impl Random for SystemRandom {
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), snow::Error> {
        getrandom::fill(out).map_err(|_| snow::Error::Rng)
    }
}

struct SeededRandom(fastrand::Rng);

impl Random for SeededRandom {
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), snow::Error> {
        self.0.fill(out);
        Ok(())
    }
}

#[cfg(test)]
struct FixedRandom([u8; 32]);

#[cfg(test)]
impl Random for FixedRandom {
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), snow::Error> {
        out.copy_from_slice(&self.0);
        Ok(())
    }
}

#[cfg(test)]
mod wycheproof;

#[cfg(test)]
mod tests {
    use super::*;

    fn primitives() -> Primitives {
        Primitives {
            keypair: Arc::new(StaticKeypair::from_boxed(Box::new([4; 32]))),
            entropy: Entropy::Seed(1),
            computations: Computations::default(),
        }
    }

    #[test]
    fn s3_points_of_low_order_are_refused() {
        let primitives = primitives();
        let mut dh = primitives.resolve_dh(&DHChoice::Curve25519).unwrap();
        dh.set(&[9; 32]);
        let mut one = [0; 32];
        one[0] = 1;
        let mut out = [0; 32];
        for point in [[0; 32], one] {
            assert!(dh.dh(&point, &mut out).is_err());
        }
        assert!(dh.dh(primitives.keypair.public().as_bytes(), &mut out).is_ok());
    }

    #[test]
    fn the_static_public_key_is_not_computed_again() {
        let primitives = primitives();
        let mut dh = primitives.resolve_dh(&DHChoice::Curve25519).unwrap();
        dh.set(primitives.keypair.secret());
        assert_eq!(dh.pubkey(), primitives.keypair.public().as_bytes());
        assert_eq!(primitives.computations.count(), 0);
        dh.set(&[9; 32]);
        assert_ne!(dh.pubkey(), primitives.keypair.public().as_bytes());
        assert_eq!(primitives.computations.count(), 1);
    }
}

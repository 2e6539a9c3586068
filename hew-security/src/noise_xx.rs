//! The authenticator of real clusters: Noise XX with static keys and an allowlist.

use crate::cipher::aes_is_fast;
use crate::exchange::{Exchange, Identity, Side};
use crate::policy::Rules;
use crate::primitives::{Computations, Entropy};
use crate::{Allowlist, Authenticator, Peer, Permissions, Policy, PublicKey, Rights, Setup, StaticKeypair};
use hew_wire::feature;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Authenticates links by static keys: `Noise_XX_25519_ChaChaPoly_BLAKE2s`, or `…_AESGCM_BLAKE2s` when both sides have
/// the instructions for it. A handle: clones share one key and one allowlist.
///
/// ```
/// use hew_security::{Allowlist, NoiseXx, StaticKeypair};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let keypair = StaticKeypair::generate()?;
/// let peers = "2 c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552 the till";
/// let authenticator = NoiseXx::new(keypair, Allowlist::strict(Allowlist::parse(peers)?));
/// # let _ = authenticator;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct NoiseXx {
    shared: Arc<Shared>,
    /// Whether AES-256-GCM is offered.
    aes: bool,
}

struct Shared {
    keypair: RwLock<Arc<StaticKeypair>>,
    allowlist: Allowlist,
    policy: Policy,
    /// `None`: the operating system.
    seeds: Option<Mutex<fastrand::Rng>>,
    computations: Computations,
}

impl NoiseXx {
    /// Encrypts every link ([`Policy::Required`]) and lets in whom `allowlist` allows.
    pub fn new(keypair: StaticKeypair, allowlist: Allowlist) -> NoiseXx {
        NoiseXx::with_policy(keypair, allowlist, Policy::Required)
    }

    /// With another policy. Plaintext reaches local addresses only, whatever the policy says; see
    /// [`danger`](crate::danger) for more.
    pub fn with_policy(keypair: StaticKeypair, allowlist: Allowlist, policy: Policy) -> NoiseXx {
        NoiseXx::build(keypair, allowlist, policy, None)
    }

    pub(crate) fn seeded(keypair: StaticKeypair, allowlist: Allowlist, seed: u64) -> NoiseXx {
        NoiseXx::build(keypair, allowlist, Policy::Required, Some(seed))
    }

    fn build(keypair: StaticKeypair, allowlist: Allowlist, policy: Policy, seed: Option<u64>) -> NoiseXx {
        let shared = Shared {
            keypair: RwLock::new(Arc::new(keypair)),
            allowlist,
            policy,
            seeds: seed.map(|seed| Mutex::new(fastrand::Rng::with_seed(seed))),
            computations: Computations::default(),
        };
        NoiseXx { shared: Arc::new(shared), aes: aes_is_fast() }
    }

    /// This handle without the offer of AES-256-GCM: its links use ChaCha20-Poly1305.
    pub fn without_aes(mut self) -> NoiseXx {
        self.aes = false;
        self
    }

    /// The allowlist, to be changed or asked again for live sessions.
    pub fn allowlist(&self) -> &Allowlist {
        &self.shared.allowlist
    }

    /// Exchanges our own key. Handshakes that have begun and links that are up keep the old one.
    pub fn replace_keypair(&self, keypair: StaticKeypair) {
        *self.shared.keypair.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keypair);
    }

    /// X25519 computations of all handshakes so far.
    pub fn x25519_computations(&self) -> u64 {
        self.shared.computations.count()
    }

    fn keypair(&self) -> Arc<StaticKeypair> {
        self.shared.keypair.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn entropy(&self) -> Entropy {
        match &self.shared.seeds {
            None => Entropy::System,
            Some(seeds) => Entropy::Seed(seeds.lock().unwrap_or_else(PoisonError::into_inner).u64(..)),
        }
    }

    fn begin(&self, side: Side, setup: Setup) -> Exchange {
        let identity = Identity {
            keypair: Some(self.keypair()),
            allowlist: Some(self.shared.allowlist.clone()),
            rules: Rules { policy: self.shared.policy, plaintext_to_remote: false },
            features: self.features(),
            entropy: self.entropy(),
            computations: self.shared.computations.clone(),
        };
        Exchange::begin(side, identity, setup)
    }
}

impl Authenticator for NoiseXx {
    type Handshake = Exchange;

    fn public_key(&self) -> PublicKey {
        self.keypair().public()
    }

    fn features(&self) -> u32 {
        match self.shared.policy {
            Policy::Off => 0,
            Policy::Required | Policy::Optional if self.aes => feature::ENCRYPTED | feature::AES_256_GCM,
            Policy::Required | Policy::Optional => feature::ENCRYPTED,
        }
    }

    fn dial(&self, setup: Setup) -> Exchange {
        self.begin(Side::Dialer, setup)
    }

    fn accept(&self, setup: Setup) -> Exchange {
        self.begin(Side::Listener, setup)
    }

    /// As the allowlist says. Who has not proven a key, which the [`Policy`] lets happen on local addresses only, has the
    /// default permissions.
    fn rights(&self, peer: &Peer) -> Rights {
        match peer.proven {
            true => self.shared.allowlist.rights(peer.node, &peer.key),
            false => Rights::Granted(Permissions::default()),
        }
    }

    fn generation(&self) -> u64 {
        self.shared.allowlist.generation()
    }

    fn revoke(&self, key: &PublicKey) -> bool {
        self.shared.allowlist.revoke(key)
    }

    fn is_revoked(&self, key: &PublicKey) -> bool {
        self.shared.allowlist.is_revoked(key)
    }
}

impl fmt::Debug for NoiseXx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoiseXx({}, {:?}, {:?})", self.public_key(), self.shared.policy, self.shared.allowlist)
    }
}

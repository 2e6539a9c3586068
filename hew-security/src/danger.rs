//! What gives up protection. Everything here is for tests, simulations, and networks that are trusted entirely.

use crate::exchange::{Exchange, Identity, Side};
use crate::policy::Rules;
use crate::primitives::{Computations, Entropy};
use crate::{Allowlist, Authenticator, NoiseXx, Policy, PublicKey, Setup, StaticKeypair};

/// No encryption, no keys, no proof: a peer is who it says it is. Local addresses only.
#[derive(Clone, Debug)]
pub struct Plaintext {
    to_remote_addresses_too: bool,
}

impl Plaintext {
    /// Plaintext on addresses that cannot leave this machine: loopback, Unix sockets, memory.
    pub fn on_local_addresses() -> Plaintext {
        Plaintext { to_remote_addresses_too: false }
    }

    /// Plaintext to anywhere. Whoever can reach the node is a member, and whoever can see the network reads and
    /// changes everything.
    pub fn to_remote_addresses_too() -> Plaintext {
        Plaintext { to_remote_addresses_too: true }
    }

    fn begin(&self, side: Side, setup: Setup) -> Exchange {
        let identity = Identity {
            keypair: None,
            allowlist: None,
            rules: Rules { policy: Policy::Off, plaintext_to_remote: self.to_remote_addresses_too },
            features: self.features(),
            entropy: Entropy::System,
            computations: Computations::default(),
        };
        Exchange::begin(side, identity, setup)
    }
}

impl Authenticator for Plaintext {
    type Handshake = Exchange;

    fn public_key(&self) -> PublicKey {
        PublicKey::ZERO
    }

    fn features(&self) -> u32 {
        0
    }

    fn dial(&self, setup: Setup) -> Exchange {
        self.begin(Side::Dialer, setup)
    }

    fn accept(&self, setup: Setup) -> Exchange {
        self.begin(Side::Listener, setup)
    }
}

/// A key pair that anybody can compute who knows the seed. For simulations.
pub fn keypair_from_seed(seed: u64) -> StaticKeypair {
    let mut secret = Box::new([0; 32]);
    fastrand::Rng::with_seed(seed).fill(&mut secret[..]);
    StaticKeypair::from_boxed(secret)
}

/// [`NoiseXx`] whose ephemeral keys follow from a seed, so that a run can be repeated bit by bit. For simulations.
pub fn noise_from_seed(keypair: StaticKeypair, allowlist: Allowlist, seed: u64) -> NoiseXx {
    NoiseXx::seeded(keypair, allowlist, seed)
}

//! For tests of what is built on this crate: an authenticator that needs no keys and fails when it is told to, and
//! records without a handshake.
//!
//! Only with the feature `testkit`, which belongs into `[dev-dependencies]`.

use crate::cipher::Suite;
use crate::exchange::{Exchange, Identity, Side};
use crate::policy::Rules;
use crate::primitives::{Computations, Entropy};
use crate::{Admission, Authenticator, Handshake, HandshakeError, HandshakeOutput};
use crate::{Opener, Policy, PublicKey, Sealer, Setup};
use hew_wire::Refusal;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What becomes of one handshake, on the side of whoever has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes as far as the node lets it.
    GoesOn,
    /// The peer's hello is refused before the node is asked, as by an allowlist.
    RefusesHello(Refusal),
    /// The peer's identity is refused before the node is asked.
    RefusesIdentity(Refusal),
    /// It takes what comes and says nothing until the deadline.
    IsSilent,
    /// It fails at the first call of a verb, which is due at once, and says nothing.
    Fails(HandshakeError),
}

/// Authenticates whoever says so: the messages of a link without encryption, on addresses of every kind, and peers that
/// count as proven although nothing was. Two nodes with it do the same in every run. A handle: clones share their fates.
///
/// ```
/// use hew_security::testkit::{Fate, Scripted};
/// use hew_wire::{Refusal, RefusalStatus};
///
/// let authenticator = Scripted::new();
/// authenticator.next_accept(Fate::RefusesHello(Refusal::new(RefusalStatus::Busy, "later")));
/// authenticator.next_accept(Fate::IsSilent);
/// // The third connection that is accepted is handled as usual, and so is every one that is dialled.
/// assert_eq!(authenticator.fates_left(), 2);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Scripted {
    fates: Arc<Mutex<Fates>>,
}

#[derive(Debug, Default)]
struct Fates {
    dials: VecDeque<Fate>,
    accepts: VecDeque<Fate>,
}

impl Scripted {
    /// All handshakes go on.
    pub fn new() -> Scripted {
        Scripted::default()
    }

    /// Says what becomes of the next dialled handshake of which nothing was said.
    pub fn next_dial(&self, fate: Fate) {
        self.fates().dials.push_back(fate);
    }

    /// Says what becomes of the next accepted handshake of which nothing was said.
    pub fn next_accept(&self, fate: Fate) {
        self.fates().accepts.push_back(fate);
    }

    /// How many of the fates have found no handshake yet.
    pub fn fates_left(&self) -> usize {
        let fates = self.fates();
        fates.dials.len() + fates.accepts.len()
    }

    fn fates(&self) -> MutexGuard<'_, Fates> {
        self.fates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(side: Side, fate: Option<Fate>, setup: Setup) -> ScriptedHandshake {
        let now = setup.now;
        let identity = Identity {
            keypair: None,
            allowlist: None,
            rules: Rules { policy: Policy::Off, plaintext_to_remote: true },
            features: 0,
            entropy: Entropy::Seed(0),
            computations: Computations::default(),
        };
        let mut handshake = ScriptedHandshake {
            exchange: Exchange::begin(side, identity, setup),
            fate: fate.unwrap_or(Fate::GoesOn),
            outputs: VecDeque::new(),
            due: None,
        };
        match handshake.fate {
            Fate::IsSilent => {}
            Fate::Fails(_) => handshake.due = Some(now),
            Fate::GoesOn | Fate::RefusesHello(_) | Fate::RefusesIdentity(_) => {
                // The dialer's hello, which asks nothing that could be refused.
                let _ = handshake.carry_out(now, Ok(()));
            }
        }
        handshake
    }
}

impl Authenticator for Scripted {
    type Handshake = ScriptedHandshake;

    fn public_key(&self) -> PublicKey {
        PublicKey::ZERO
    }

    fn features(&self) -> u32 {
        0
    }

    fn dial(&self, setup: Setup) -> ScriptedHandshake {
        Scripted::begin(Side::Dialer, self.fates().dials.pop_front(), setup)
    }

    fn accept(&self, setup: Setup) -> ScriptedHandshake {
        Scripted::begin(Side::Listener, self.fates().accepts.pop_front(), setup)
    }
}

/// Both ends of one direction of a link: with AES-256-GCM (`true`) or ChaCha20-Poly1305 and this key, or without
/// encryption. Any machine has both ciphers here.
pub fn direction(protection: Option<(bool, [u8; 32])>) -> (Sealer, Opener) {
    let Some((aes, key)) = protection else { return (Sealer::plain(), Opener::plain()) };
    let suite = if aes { Suite::Aes256Gcm } else { Suite::ChaCha20Poly1305 };
    (Sealer::sealed(suite, &key), Opener::sealed(suite, &key))
}

/// A handshake of [`Scripted`].
pub struct ScriptedHandshake {
    exchange: Exchange,
    fate: Fate,
    outputs: VecDeque<HandshakeOutput>,
    /// Set until a failure that is due at once was reported.
    due: Option<Instant>,
}

impl ScriptedHandshake {
    /// What goes before every verb: whether this handshake listens at all.
    fn listens(&mut self, now: Instant) -> Result<bool, HandshakeError> {
        match &self.fate {
            Fate::Fails(error) => {
                self.due = None;
                Err(error.clone())
            }
            Fate::IsSilent => self.exchange.handle_timeout(now).map(|()| false),
            Fate::GoesOn | Fate::RefusesHello(_) | Fate::RefusesIdentity(_) => Ok(true),
        }
    }

    /// Answers the questions that the fate answers, and hands on everything else. After an error only bytes are left to be
    /// sent, as with every handshake.
    fn carry_out<T>(
        &mut self,
        now: Instant,
        mut result: Result<T, HandshakeError>,
    ) -> Result<T, HandshakeError> {
        while let Some(mut output) = self.exchange.poll() {
            let answer = match (&mut output, &self.fate) {
                (HandshakeOutput::Admit { .. }, Fate::RefusesHello(refusal)) => {
                    self.exchange.handle_admission(now, Admission::Refuse(refusal.clone()))
                }
                (HandshakeOutput::Confirm { .. }, Fate::RefusesIdentity(refusal)) => {
                    self.exchange.handle_confirmation(now, Err(refusal.clone()))
                }
                (HandshakeOutput::Confirm { peer, .. }, _) => {
                    peer.proven = true;
                    Ok(())
                }
                (HandshakeOutput::Established(established), _) => {
                    established.peer.proven = true;
                    Ok(())
                }
                (HandshakeOutput::Send(_) | HandshakeOutput::Admit { .. }, _) => Ok(()),
            };
            match answer {
                Ok(()) => self.outputs.push_back(output),
                Err(error) => result = Err(error),
            }
        }
        if result.is_err() && self.exchange.poll_timeout().is_none() {
            self.outputs.retain(|output| matches!(output, HandshakeOutput::Send(_)));
        }
        result
    }
}

impl Handshake for ScriptedHandshake {
    fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) -> Result<usize, HandshakeError> {
        if !self.listens(now)? {
            return Ok(bytes.len());
        }
        let taken = self.exchange.handle_bytes(now, bytes);
        self.carry_out(now, taken)
    }

    fn handle_admission(&mut self, now: Instant, admission: Admission) -> Result<(), HandshakeError> {
        if !self.listens(now)? {
            return Err(HandshakeError::OutOfTurn { verb: "handle_admission" });
        }
        let answer = self.exchange.handle_admission(now, admission);
        self.carry_out(now, answer)
    }

    fn handle_confirmation(
        &mut self,
        now: Instant,
        confirmation: Result<(), Refusal>,
    ) -> Result<(), HandshakeError> {
        if !self.listens(now)? {
            return Err(HandshakeError::OutOfTurn { verb: "handle_confirmation" });
        }
        let answer = self.exchange.handle_confirmation(now, confirmation);
        self.carry_out(now, answer)
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), HandshakeError> {
        self.listens(now)?;
        let in_time = self.exchange.handle_timeout(now);
        self.carry_out(now, in_time)
    }

    fn handle_end(&mut self) -> HandshakeError {
        match &self.fate {
            Fate::Fails(error) => {
                self.due = None;
                error.clone()
            }
            _ => self.exchange.handle_end(),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if matches!(self.fate, Fate::Fails(_)) { self.due } else { self.exchange.poll_timeout() }
    }

    fn poll(&mut self) -> Option<HandshakeOutput> {
        self.outputs.pop_front()
    }
}

impl fmt::Debug for ScriptedHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScriptedHandshake({:?}, {:?})", self.fate, self.exchange)
    }
}

#[cfg(test)]
mod tests;

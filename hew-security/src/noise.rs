//! One Noise XX handshake, and the record keys that it ends in.

use crate::cipher::Suite;
use crate::primitives::Primitives;
use crate::{HandshakeError, StaticKeypair};
use crate::{Opener, PublicKey, Sealer, Stage};
use hew_wire::HELLO_BYTES;
use snow::{Builder, HandshakeState};
use std::sync::Arc;
use zeroize::Zeroize;

/// Bytes of message 1: the ephemeral key, and no payload.
pub(crate) const MESSAGE_1_BYTES: usize = 32;
/// What message 2 adds to its payload: ephemeral key, static key and its tag, tag.
pub(crate) const MESSAGE_2_OVERHEAD: usize = 32 + 48 + 16;
/// What message 3 adds to its payload: static key and its tag, tag.
pub(crate) const MESSAGE_3_OVERHEAD: usize = 48 + 16;

/// The protocol, with BLAKE2s as in both suites.
fn protocol(suite: Suite) -> &'static str {
    match suite {
        Suite::ChaCha20Poly1305 => "Noise_XX_25519_ChaChaPoly_BLAKE2s",
        Suite::Aes256Gcm => "Noise_XX_25519_AESGCM_BLAKE2s",
    }
}

/// The prologue: both hellos as they were on the wire, the dialer's first.
pub(crate) fn prologue(dialer: &[u8; HELLO_BYTES], listener: &[u8; HELLO_BYTES]) -> Vec<u8> {
    let mut prologue = b"hew/noise/1".to_vec();
    for hello in [dialer, listener] {
        prologue.extend_from_slice(&(HELLO_BYTES as u16).to_be_bytes());
        prologue.extend_from_slice(hello);
    }
    prologue
}

/// A handshake on its way.
pub(crate) struct Session {
    suite: Suite,
    initiator: bool,
    primitives: Primitives,
    // Boxed, so that there is one place to overwrite: the library does not wipe the chaining key.
    state: Box<HandshakeState>,
}

impl Session {
    pub(crate) fn initiator(suite: Suite, prologue: &[u8], primitives: Primitives) -> Session {
        Session::new(protocol(suite), suite, true, prologue, primitives)
    }

    pub(crate) fn responder(suite: Suite, prologue: &[u8], primitives: Primitives) -> Session {
        Session::new(protocol(suite), suite, false, prologue, primitives)
    }

    fn new(name: &str, suite: Suite, initiator: bool, prologue: &[u8], primitives: Primitives) -> Session {
        let state = build(name, Some(&primitives.keypair.clone()), initiator, prologue, &primitives);
        Session { suite, initiator, primitives, state: Box::new(state) }
    }

    /// The next message, with `payload`, behind its length.
    pub(crate) fn write(
        &mut self,
        stage: Stage,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), HandshakeError> {
        let start = out.len();
        // The library asks for room for a tag also where the message has none.
        out.resize(start + 2 + MESSAGE_2_OVERHEAD + payload.len(), 0);
        let length = self
            .state
            .write_message(payload, &mut out[start + 2..])
            .map_err(|error| failure(stage, error))?;
        out.truncate(start + 2 + length);
        out[start..start + 2].copy_from_slice(&(length as u16).to_be_bytes());
        Ok(())
    }

    /// Reads the next message and returns its payload.
    pub(crate) fn read(&mut self, stage: Stage, message: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        let mut payload = vec![0; message.len()];
        let length = self.state.read_message(message, &mut payload).map_err(|error| failure(stage, error))?;
        payload.truncate(length);
        Ok(payload)
    }

    /// The static key that the peer has proven to hold. Asked only after the message that proves it was read without
    /// error: message 2 for the initiator, message 3 for the responder. Before that the library would give a key that
    /// the peer has merely named.
    pub(crate) fn proven_key(&self) -> Option<PublicKey> {
        let key = self.state.get_remote_static()?.first_chunk()?;
        Some(PublicKey::new(*key))
    }

    /// The record keys, after message 3.
    pub(crate) fn finish(mut self) -> (Sealer, Opener) {
        debug_assert!(self.state.is_handshake_finished());
        let (mut from_initiator, mut from_responder) = self.state.dangerously_get_raw_split();
        let (ours, theirs) = match self.initiator {
            true => (&from_initiator, &from_responder),
            false => (&from_responder, &from_initiator),
        };
        let ends = (Sealer::sealed(self.suite, ours), Opener::sealed(self.suite, theirs));
        from_initiator.zeroize();
        from_responder.zeroize();
        ends
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Overwrites the chaining key, from which the record keys could be derived again.
        *self.state = build("Noise_NN_25519_ChaChaPoly_BLAKE2s", None, true, &[], &self.primitives);
        std::hint::black_box(&*self.state);
    }
}

fn build(
    name: &str,
    keypair: Option<&Arc<StaticKeypair>>,
    initiator: bool,
    prologue: &[u8],
    primitives: &Primitives,
) -> HandshakeState {
    let invariant = "the names are constants of this file, and each option is set once";
    let params = name.parse().expect(invariant);
    let mut builder = Builder::with_resolver(params, Box::new(primitives.clone()));
    builder = builder.prologue(prologue).expect(invariant);
    if let Some(keypair) = keypair {
        builder = builder.local_private_key(keypair.secret()).expect(invariant);
    }
    if initiator { builder.build_initiator() } else { builder.build_responder() }.expect(invariant)
}

fn failure(stage: Stage, error: snow::Error) -> HandshakeError {
    match error {
        snow::Error::Rng => HandshakeError::Entropy,
        _ => HandshakeError::Noise { stage },
    }
}

#[cfg(test)]
#[path = "noise/tests.rs"]
mod tests;

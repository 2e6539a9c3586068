//! What a hostile peer, or somebody between two honest ones, tries.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

mod common;

use common::*;
use hew_security::danger::Plaintext;
use hew_security::{
    Allowlist, Authenticator, Handshake, HandshakeError, NoiseXx, PublicKey, Stage, StaticKeypair,
};
use hew_wire::{Hello, PROTOCOL_VERSION, RefusalStatus, Verdict, feature, schema_hash};
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use std::collections::BTreeMap;

const NOISE: &str = "Noise_XX_25519_ChaChaPoly_BLAKE2s";

/// A hello of node `id` with some key and the encryption flag, but without AES.
fn hello(id: u16, key: PublicKey) -> Hello {
    Hello {
        version: PROTOCOL_VERSION,
        node: node(id),
        schema: schema_hash(),
        features: feature::ENCRYPTED,
        public_key: *key.as_bytes(),
    }
}

/// What a listener makes of a hello: its reason, what it answers, and what it paid.
fn judge(listener: &NoiseXx, bytes: &[u8]) -> (&'static str, Vec<u8>) {
    let before = listener.x25519_computations();
    let mut end = End::listener(listener, remote(2));
    let answer = end.feed(bytes);
    assert!(end.confirmed.is_none() && end.established.is_none());
    assert_eq!(listener.x25519_computations(), before, "{}", end.reason());
    (end.reason(), answer)
}

#[test]
fn s1_no_bit_of_a_hello_can_be_changed() {
    let mut reasons = BTreeMap::<_, usize>::new();
    let lists: [fn() -> Allowlist; 2] = [allowlist, Allowlist::open];
    for list in lists {
        for of_dialer in [true, false] {
            // The listener's hello follows its verdict, one byte.
            let begin: usize = if of_dialer { 0 } else { 1 };
            for bit in 0..384 {
                let mut flips = 0;
                let mut flip = |from_dialer: bool, at: usize, bytes: &mut Vec<u8>| {
                    let place = (begin + bit / 8).checked_sub(at);
                    if from_dialer == of_dialer
                        && let Some(byte) = place.and_then(|place| bytes.get_mut(place))
                    {
                        *byte ^= 1 << (bit % 8);
                        flips += 1;
                    }
                };
                let link = Link::new(
                    End::dialer(&NoiseXx::new(keypair(1), list()), remote(1)),
                    End::listener(&NoiseXx::new(keypair(2), list()), remote(2)),
                )
                .run_with(usize::MAX, &mut flip);
                assert_eq!(flips, 1);
                for end in [&link.dialer, &link.listener] {
                    assert!(end.established.is_none(), "bit {bit}, of the dialer: {of_dialer}");
                }
                *reasons.entry(link.reasons()).or_default() += 1;
            }
        }
    }
    // Each kind of refusal was met, and the bits that pass all cheap checks were caught by Noise.
    for reason in ["bad_magic", "version_mismatch", "schema_mismatch", "unknown_flags", "noise_message_2"] {
        assert!(reasons.keys().any(|(a, b)| *a == reason || *b == reason), "{reason}: {reasons:?}");
    }
    assert_eq!(reasons.values().sum::<usize>(), 2 * 768);
}

#[test]
fn no_byte_of_a_handshake_can_be_changed() {
    let length =
        |link: &Link, dialer: bool| if dialer { link.dialer.sent.len() } else { link.listener.sent.len() };
    let good = Link::noise().run();
    for of_dialer in [true, false] {
        for place in 0..length(&good, of_dialer) {
            let mut flip = |from_dialer: bool, at: usize, bytes: &mut Vec<u8>| {
                if from_dialer == of_dialer
                    && let Some(byte) = place.checked_sub(at).and_then(|place| bytes.get_mut(place))
                {
                    *byte ^= 1 << (place % 8);
                }
            };
            let link = Link::noise().run_with(usize::MAX, &mut flip);
            assert!(!link.is_up(), "byte {place}, of the dialer: {of_dialer}");
            // Only the very last message is behind the listener's decision.
            let last = !of_dialer && place >= length(&good, false) - 19;
            assert_eq!(link.listener.established.is_some(), last, "byte {place}");
        }
    }
}

#[test]
fn s2_strict_never_falls_to_plaintext() {
    let listener = noise(2);
    let key = keypair(1).public();
    let bare = Hello { features: 0, ..hello(1, key) }.encode();
    assert_eq!(judge(&listener, &bare).0, "encryption_required");

    // The flag is set, and then something else than Noise follows the verdict.
    let hello = hello(1, key).encode();
    let mut extension = extension(1).encode();
    extension.splice(0..0, (extension.len() as u16).to_be_bytes());
    let frame = [&[0, 24][..], &[1; 24]].concat();
    for (what, bytes, reason) in [
        ("an extension in the clear", &extension, "oversized_message_1"),
        ("a frame in the clear", &frame, "noise_message_1"),
        ("text", &b"GET / HTTP/1.1\r\n\r\n".to_vec(), "oversized_message_1"),
    ] {
        let (found, answer) = judge(&listener, &[&hello[..], &[0], bytes].concat());
        assert_eq!(found, reason, "{what}");
        assert_eq!(answer.len(), 49, "{what}: nothing but verdict and hello");
    }

    // The other way round: a listener in plaintext gets nothing but hello and refusal from a dialer.
    let link = Link::new(
        End::dialer(&noise(1), remote(1)),
        End::listener(&Plaintext::to_remote_addresses_too(), remote(2)),
    )
    .run();
    assert_eq!(link.reasons(), ("encryption_required", "refused_encryption_required"));
    assert!(link.listener.confirmed.is_none());
    assert_eq!(link.dialer.sent[48], RefusalStatus::EncryptionRequired.byte());
}

#[test]
fn s3_each_false_identity_has_its_reason() {
    let listener = noise(2);
    let check = |id, key: PublicKey, reason, status: RefusalStatus| {
        let (found, answer) = judge(&listener, &hello(id, key).encode());
        assert_eq!(found, reason);
        let Ok(Verdict::Refused(refusal)) = Verdict::decode(&answer) else { panic!("{reason}: {answer:?}") };
        assert_eq!(refusal.status, status, "{reason}");
    };
    use RefusalStatus::{NodeIdConflict, NotAllowed};
    check(3, keypair(1).public(), "node_pinned_elsewhere", NodeIdConflict);
    check(9, keypair(1).public(), "key_pinned_elsewhere", NotAllowed);
    check(1, keypair(9).public(), "unknown_key", NotAllowed);
    check(9, keypair(9).public(), "unknown_key", NotAllowed);
    check(2, keypair(2).public(), "reflection", NotAllowed);
    check(1, keypair(2).public(), "reflection", NotAllowed);
    check(1, PublicKey::ZERO, "zero_key", NotAllowed);
    check(2, keypair(1).public(), "own_node_id", NodeIdConflict);
}

#[test]
fn s3_a_dialer_whose_hello_comes_back_notices() {
    let authenticator = noise(1);
    let mut dialer = End::dialer(&authenticator, remote(1));
    let hello = dialer.drain();
    let answer = dialer.feed(&[&[0][..], &hello].concat());
    assert_eq!(dialer.error, Some(HandshakeError::Reflection));
    assert_eq!(answer[0], RefusalStatus::NotAllowed.byte());
    assert_eq!(authenticator.x25519_computations(), 0);
}

/// An attacker who speaks the protocol well, but lies about keys.
struct Attacker {
    hello: Hello,
    /// The key pair whose private half the attacker holds.
    keypair: [u8; 32],
    /// The public key that the attacker names inside Noise, whatever the private one is.
    named: Option<PublicKey>,
}

impl Attacker {
    fn state(&self, initiator: bool, prologue: &[u8]) -> snow::HandshakeState {
        let resolver = Naming { named: self.named.map(|key| *key.as_bytes()) };
        let builder = snow::Builder::with_resolver(NOISE.parse().unwrap(), Box::new(resolver))
            .local_private_key(&self.keypair)
            .unwrap()
            .prologue(prologue)
            .unwrap();
        if initiator { builder.build_initiator() } else { builder.build_responder() }.unwrap()
    }

    fn prologue(dialer: &[u8], listener: &[u8]) -> Vec<u8> {
        [b"hew/noise/1", &[0, 48][..], dialer, &[0, 48], listener].concat()
    }

    /// Dials `listener` as far as message 3; returns the Noise state and what the listener answered to that.
    fn dial(&self, listener: &mut End) -> (snow::HandshakeState, Vec<u8>) {
        let ours = self.hello.encode();
        let answer = listener.feed(&ours);
        assert_eq!(answer[0], 0, "the hello passes: {:?}", listener.error);
        let mut state = self.state(true, &Attacker::prologue(&ours, &answer[1..]));
        let mut message = [0; 1024];
        let length = state.write_message(&[], &mut message).unwrap();
        let answer = listener.feed(&[&[0, 0, length as u8][..], &message[..length]].concat());
        state.read_message(&answer[2..], &mut message).unwrap();
        let length = state.write_message(&extension(3).encode(), &mut message).unwrap();
        let framed = [&(length as u16).to_be_bytes()[..], &message[..length]].concat();
        let answer = listener.feed(&framed);
        (state, answer)
    }

    /// Answers `dialer` as far as message 2; returns what the dialer sends after it.
    fn answer(&self, dialer: &mut End) -> Vec<u8> {
        let (theirs, ours) = (dialer.drain(), self.hello.encode());
        let answer = dialer.feed(&[&[0][..], &ours].concat());
        assert_eq!(answer[0], 0, "the hello passes: {:?}", dialer.error);
        let mut state = self.state(false, &Attacker::prologue(&theirs, &ours));
        let mut message = [0; 1024];
        state.read_message(&answer[3..], &mut message).unwrap();
        let length = state.write_message(&extension(3).encode(), &mut message).unwrap();
        dialer.feed(&[&(length as u16).to_be_bytes()[..], &message[..length]].concat())
    }
}

/// Gives X25519 keys that show another public half than their own.
struct Naming {
    named: Option<[u8; 32]>,
}

impl CryptoResolver for Naming {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        DefaultResolver.resolve_rng()
    }
    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        let inner = DefaultResolver.resolve_dh(choice)?;
        Some(Box::new(NamedDh { inner, named: self.named, is_static: false }))
    }
    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }
    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

struct NamedDh {
    inner: Box<dyn Dh>,
    named: Option<[u8; 32]>,
    is_static: bool,
}

impl Dh for NamedDh {
    fn name(&self) -> &'static str {
        self.inner.name()
    }
    fn pub_len(&self) -> usize {
        32
    }
    fn priv_len(&self) -> usize {
        32
    }
    fn set(&mut self, private: &[u8]) {
        self.inner.set(private);
        // Only the static key is set; the ephemeral one is generated.
        self.is_static = true;
    }
    fn generate(&mut self, random: &mut dyn Random) -> Result<(), snow::Error> {
        self.inner.generate(random)
    }
    fn pubkey(&self) -> &[u8] {
        match &self.named {
            Some(named) if self.is_static => named,
            _ => self.inner.pubkey(),
        }
    }
    fn privkey(&self) -> &[u8] {
        self.inner.privkey()
    }
    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        self.inner.dh(public, out)
    }
}

/// The private half of a test key, from its key file.
fn secret(pair: &StaticKeypair) -> [u8; 32] {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    pair.save(&path, hew_security::Overwrite::Refuse).unwrap();
    #[allow(clippy::disallowed_methods)] // The test looks at the file, not the crate.
    let bytes = std::fs::read(&path).unwrap();
    bytes[32..].try_into().unwrap()
}

#[test]
fn s3_an_honest_dialer_of_another_program_gets_in() {
    // The attacker without a lie: shows that the lies below are what is refused.
    let attacker =
        Attacker { hello: hello(3, keypair(3).public()), keypair: secret(&keypair(3)), named: None };
    let mut listener = End::listener(&noise(2), remote(2));
    let (state, answer) = attacker.dial(&mut listener);
    assert_eq!(listener.error, None);
    assert_eq!(listener.established.unwrap().peer.key, keypair(3).public());
    let mut transport = state.into_transport_mode().unwrap();
    let mut verdict = [0; 64];
    let length = transport.read_message(&answer[2..], &mut verdict).unwrap();
    assert_eq!(verdict[..length], [0]);
}

#[test]
fn s3_the_key_in_the_hello_must_be_the_proven_one() {
    // B's key in the hello, A's own in Noise; both are allowed.
    let attacker =
        Attacker { hello: hello(3, keypair(3).public()), keypair: secret(&keypair(1)), named: None };
    let mismatch = HandshakeError::KeyMismatch { node: node(3), claimed: keypair(3).public() };

    let mut listener = End::listener(&noise(2), remote(2));
    let (state, answer) = attacker.dial(&mut listener);
    assert_eq!(listener.error, Some(mismatch.clone()));
    assert!(listener.confirmed.is_none() && listener.established.is_none());
    let mut transport = state.into_transport_mode().unwrap();
    let mut verdict = [0; 512];
    let length = transport.read_message(&answer[2..], &mut verdict).unwrap();
    let Ok(Verdict::Refused(refusal)) = Verdict::decode(&verdict[..length]) else { panic!("refused") };
    assert_eq!(refusal.status, RefusalStatus::NotAllowed);

    let mut dialer = End::dialer(&noise(2), remote(2));
    let sent = attacker.answer(&mut dialer);
    assert_eq!(dialer.error, Some(mismatch));
    assert!(dialer.confirmed.is_none());
    assert!(sent.is_empty(), "message 3 is not for everybody");
}

#[test]
fn s4_a_key_that_is_only_named_is_nobody() {
    // The victim's public key inside Noise, without its private half: the last tag cannot be right.
    let victim = keypair(3).public();
    let attacker = Attacker { hello: hello(3, victim), keypair: secret(&keypair(1)), named: Some(victim) };
    let open = Allowlist::open();

    for list in [allowlist(), open.clone()] {
        let mut listener = End::listener(&NoiseXx::new(keypair(2), list), remote(2));
        let (_, answer) = attacker.dial(&mut listener);
        assert_eq!(listener.error, Some(HandshakeError::Noise { stage: Stage::Message3 }));
        assert!(listener.confirmed.is_none(), "the node is not asked");
        assert!(answer.is_empty());
        let told = format!("{} {:?}", listener.error.unwrap(), listener.handshake);
        assert!(!told.contains(&victim.to_string()) && !told.contains("n3"), "{told}");
    }
    assert!(open.learned().is_empty(), "nothing is pinned");

    let mut dialer = End::dialer(&noise(2), remote(2));
    let sent = attacker.answer(&mut dialer);
    assert_eq!(dialer.error, Some(HandshakeError::Noise { stage: Stage::Message2 }));
    assert!(dialer.confirmed.is_none() && sent.is_empty());
}

#[test]
fn s9_nothing_is_computed_before_the_cheap_checks() {
    // `judge` asserts the price of each of these.
    let listener = noise(2);
    let good = hello(1, keypair(1).public());
    let flags = |features| Hello { features, ..good }.encode().to_vec();
    let behind_hello = |bytes: &[u8]| [&good.encode()[..], bytes].concat();
    for (bytes, reason) in [
        (b"GET ".to_vec(), "bad_magic"),
        (Hello { version: 0, ..good }.encode().to_vec(), "version_mismatch"),
        (Hello { schema: 0, ..good }.encode().to_vec(), "schema_mismatch"),
        (flags(feature::ENCRYPTED | 1 << 16), "unknown_flags"),
        (Hello { node: hew_wire::NodeId::LOCAL, ..good }.encode().to_vec(), "node_id_zero"),
        (flags(0), "encryption_required"),
        (hello(1, keypair(9).public()).encode().to_vec(), "unknown_key"),
        (good.encode().to_vec(), "none"),
        (behind_hello(&[0]), "none"),
        (behind_hello(&[5, 0]), "refused_busy"),
        (behind_hello(&[0, 0xFF, 0xFF]), "oversized_message_1"),
        (behind_hello(&[0, 0, 33]), "oversized_message_1"),
        (behind_hello(&[&[0, 0, 31][..], &[7; 31]].concat()), "noise_message_1"),
    ] {
        assert_eq!(judge(&listener, &bytes).0, reason);
    }

    // Message 1 is what costs: an ephemeral key and two secrets; message 3 one more.
    let link = Link::noise().run();
    let listener = noise(2);
    let mut end = End::listener(&listener, remote(2));
    end.feed(&link.dialer.sent[..83]);
    assert_eq!(listener.x25519_computations(), 3);

    // A dialer computes nothing for a listener that it does not like.
    let dialer = noise(1);
    for (hello, reason) in [
        (hello(2, keypair(9).public()), "unknown_key"),
        (hello(3, keypair(2).public()), "node_pinned_elsewhere"),
        (Hello { schema: 0, ..hello(2, keypair(2).public()) }, "schema_mismatch"),
    ] {
        let mut end = End::dialer(&dialer, remote(1));
        end.feed(&[&[0][..], &hello.encode()].concat());
        assert_eq!(end.reason(), reason);
    }
    assert_eq!(dialer.x25519_computations(), 0);
}

#[test]
fn s9_an_ephemeral_key_that_proves_nothing_is_refused() {
    let hello = hello(1, keypair(1).public()).encode();
    let mut listener = End::listener(&noise(2), remote(2));
    let answer = listener.feed(&[&hello[..], &[0, 0, 32], &[0; 32]].concat());
    assert_eq!(listener.error, Some(HandshakeError::Noise { stage: Stage::Message1 }));
    assert_eq!(answer.len(), 49);
}

#[test]
fn s10_a_declared_length_is_judged_when_it_arrives() {
    let link = Link::noise().run();
    let (dialed, answered) = (&link.dialer.sent, &link.listener.sent);
    // (who reads, how much of an honest stream comes before, what is being read)
    let message_2 = 49;
    let verdict = answered.len() - 19;
    for (listens, before, stage, limit) in [
        (true, 49, Stage::Message1, 32),
        (true, 83, Stage::Message3, 864 + 64),
        (false, message_2, Stage::Message2, 864 + 96),
    ] {
        for declared in [limit + 1, 0xFFFF] {
            let mut end = match listens {
                true => End::listener(&noise(2), remote(2)),
                false => End::dialer(&noise(1), remote(1)),
            };
            let stream = if listens { dialed } else { answered };
            end.feed(&stream[..before]);
            end.feed(&(declared as u16).to_be_bytes());
            assert_eq!(end.error, Some(HandshakeError::Oversized { stage, given: declared, limit }));
            assert!(end.handshake.held_bytes() < 1024);
        }
    }
    assert_eq!(u16::from_be_bytes([answered[verdict], answered[verdict + 1]]), 17, "the last verdict");
}

#[test]
fn s14_text_of_a_peer_is_escaped() {
    let mut dialer = End::dialer(&noise(1), remote(1));
    let _ = dialer.drain();
    dialer.feed(&[&[5, 12][..], b"a\n\x1b[31mERROR"].concat());
    let shown = dialer.error.unwrap().to_string();
    assert_eq!(shown, "refused by the peer: busy: a\\n\\u{1b}[31mERROR");

    let mut listener = End::listener(&noise(2), remote(2));
    listener.feed(b"\x1b[2J");
    assert_eq!(listener.error.unwrap().to_string(), "not a Hew node: it begins with \"\\u{1b}[2J\"");
}

#[test]
fn reasons_are_distinct() {
    // The reasons of this file, by the names under which metrics count them.
    let mut codes: Vec<_> = [
        HandshakeError::BadMagic { given: [0; 4] },
        HandshakeError::NodeIdZero,
        HandshakeError::UnknownFlags { unknown: 1 },
        HandshakeError::VersionMismatch { ours: 1, theirs: 2 },
        HandshakeError::SchemaMismatch { ours: 1, theirs: 2 },
        HandshakeError::NodeIdConflict { node: node(1) },
        HandshakeError::Reflection,
        HandshakeError::KeyMismatch { node: node(1), claimed: PublicKey::ZERO },
        HandshakeError::EncryptionRequired,
        HandshakeError::PlaintextRefused,
        HandshakeError::Noise { stage: Stage::Message1 },
        HandshakeError::Oversized { stage: Stage::Message1, given: 1, limit: 0 },
        HandshakeError::Timeout { stage: Stage::Hello },
        HandshakeError::Closed { stage: Stage::Hello },
        HandshakeError::Entropy,
    ]
    .iter()
    .map(HandshakeError::reason_code)
    .collect();
    let count = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), count);
    assert_eq!(noise(1).public_key(), keypair(1).public());
    let mut fresh = noise(1).dial(remote(1));
    assert!(fresh.poll().is_some());
}

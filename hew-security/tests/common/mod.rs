//! Two handshakes and the wire between them, in memory.
#![allow(dead_code, clippy::unwrap_used)] // Each test program uses its part; a failure here fails the test.

pub(crate) mod driver;

use hew_security::danger::keypair_from_seed;
use hew_security::{
    Admission, Allowlist, Authenticator, Entry, Established, Exchange, Handshake, HandshakeError,
    HandshakeOutput, NoiseXx, Peer, Setup, StaticKeypair,
};
use hew_wire::{Extension, Hello, Incarnation, Name, NodeId, Refusal, Role};
use std::time::{Duration, Instant};

pub(crate) fn node(id: u16) -> NodeId {
    NodeId::new(id).unwrap()
}

/// The key pair of a node in these tests.
pub(crate) fn keypair(id: u16) -> StaticKeypair {
    keypair_from_seed(id.into())
}

pub(crate) fn entry(id: u16) -> Entry {
    Entry::new(keypair(id).public(), Some(node(id)))
}

/// Nodes 1 to 3, each with its key.
pub(crate) fn allowlist() -> Allowlist {
    Allowlist::strict([entry(1), entry(2), entry(3)])
}

pub(crate) fn noise(id: u16) -> NoiseXx {
    NoiseXx::new(keypair(id), allowlist())
}

pub(crate) fn extension(id: u16) -> Extension {
    Extension {
        incarnation: Incarnation(1000 + u64::from(id)),
        node_name: Some(Name::new(&format!("node-{id}")).unwrap()),
        cluster: Name::new("test").unwrap(),
        role: Role::Member,
        version_min: 1,
        version_max: 1,
        frame_bytes_max: 65_519,
        listen: Some(format!("tcp://10.0.0.{id}:9000")),
        session: id.into(),
        fresh: 0,
        received: 7,
        compression: 0,
    }
}

/// A setup for a remote peer.
pub(crate) fn remote(id: u16) -> Setup {
    Setup::new(start(), node(id))
}

pub(crate) fn local(id: u16) -> Setup {
    Setup { peer_is_local: true, ..remote(id) }
}

/// The one moment at which the tests begin.
pub(crate) fn start() -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    #[allow(clippy::disallowed_methods)] // An `Instant` has no other origin; its value does not matter.
    *START.get_or_init(Instant::now)
}

/// One side, what it was told and what it did.
pub(crate) struct End<H = Exchange> {
    pub(crate) handshake: H,
    pub(crate) says: Extension,
    /// Refuses the peer's hello.
    pub(crate) refuse_hello: Option<Refusal>,
    /// Refuses the peer's proven identity.
    pub(crate) refuse_identity: Option<Refusal>,
    pub(crate) hello: Option<Hello>,
    pub(crate) confirmed: Option<(Peer, Extension)>,
    pub(crate) established: Option<Established>,
    pub(crate) error: Option<HandshakeError>,
    /// Everything it sent.
    pub(crate) sent: Vec<u8>,
    /// What arrived and was not taken yet.
    pub(crate) incoming: Vec<u8>,
}

impl<H: Handshake> End<H> {
    pub(crate) fn new(handshake: H, says: Extension) -> End<H> {
        End {
            handshake,
            says,
            refuse_hello: None,
            refuse_identity: None,
            hello: None,
            confirmed: None,
            established: None,
            error: None,
            sent: Vec::new(),
            incoming: Vec::new(),
        }
    }

    pub(crate) fn dialer(authenticator: &impl Authenticator<Handshake = H>, setup: Setup) -> End<H> {
        let says = extension(setup.node.raw());
        End::new(authenticator.dial(setup), says)
    }

    pub(crate) fn listener(authenticator: &impl Authenticator<Handshake = H>, setup: Setup) -> End<H> {
        let says = extension(setup.node.raw());
        End::new(authenticator.accept(setup), says)
    }

    /// Carries out what the handshake asks for; returns what it sends.
    pub(crate) fn drain(&mut self) -> Vec<u8> {
        let mut sent = Vec::new();
        while let Some(output) = self.handshake.poll() {
            let answer = match output {
                HandshakeOutput::Send(bytes) => {
                    sent.extend_from_slice(&bytes);
                    Ok(())
                }
                HandshakeOutput::Admit { hello } => {
                    self.hello = Some(hello);
                    let admission = match self.refuse_hello.clone() {
                        Some(refusal) => Admission::Refuse(refusal),
                        None => Admission::Accept { extension: self.says.clone() },
                    };
                    self.handshake.handle_admission(start(), admission)
                }
                HandshakeOutput::Confirm { peer, extension } => {
                    self.confirmed = Some((peer, extension));
                    let confirmation = self.refuse_identity.clone().map_or(Ok(()), Err);
                    self.handshake.handle_confirmation(start(), confirmation)
                }
                HandshakeOutput::Established(established) => {
                    self.established = Some(established);
                    Ok(())
                }
            };
            self.note(answer);
        }
        self.sent.extend_from_slice(&sent);
        sent
    }

    /// Offers what has arrived; returns whether any of it was taken.
    pub(crate) fn take(&mut self, chunk: usize) -> bool {
        if self.error.is_some() || self.incoming.is_empty() {
            return false;
        }
        let offered = self.incoming.len().min(chunk);
        match self.handshake.handle_bytes(start(), &self.incoming[..offered]) {
            Ok(taken) => {
                self.incoming.drain(..taken);
                taken > 0
            }
            Err(error) => {
                self.note(Err(error));
                true
            }
        }
    }

    /// Feeds bytes and returns the answer.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.incoming.extend_from_slice(bytes);
        let mut sent = self.drain();
        while self.take(usize::MAX) {
            sent.extend_from_slice(&self.drain());
        }
        sent
    }

    pub(crate) fn reason(&self) -> &'static str {
        self.error.as_ref().map_or("none", HandshakeError::reason_code)
    }

    fn note(&mut self, result: Result<(), HandshakeError>) {
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
    }
}

/// A dialer, a listener, and the bytes between them.
pub(crate) struct Link<H = Exchange> {
    pub(crate) dialer: End<H>,
    pub(crate) listener: End<H>,
}

/// Changes bytes on the way: whether the dialer sent them, their place in the stream, the bytes.
pub(crate) type Tamper<'a> = &'a mut dyn FnMut(bool, usize, &mut Vec<u8>);

impl Link {
    /// Node 1 dials node 2, both with Noise and the allowlist.
    pub(crate) fn noise() -> Link {
        Link::new(End::dialer(&noise(1), remote(1)), End::listener(&noise(2), remote(2)))
    }
}

impl<H: Handshake> Link<H> {
    pub(crate) fn new(dialer: End<H>, listener: End<H>) -> Link<H> {
        Link { dialer, listener }
    }

    /// Runs until nothing moves any more.
    pub(crate) fn run(self) -> Link<H> {
        self.run_with(usize::MAX, &mut |_, _, _| {})
    }

    pub(crate) fn run_with(self, chunk: usize, tamper: Tamper<'_>) -> Link<H> {
        self.run_in_chunks(&mut || chunk, tamper)
    }

    pub(crate) fn run_in_chunks(mut self, chunk: &mut dyn FnMut() -> usize, tamper: Tamper<'_>) -> Link<H> {
        loop {
            let mut moved = false;
            for from_dialer in [true, false] {
                let (from, to) = match from_dialer {
                    true => (&mut self.dialer, &mut self.listener),
                    false => (&mut self.listener, &mut self.dialer),
                };
                let before = from.sent.len();
                let mut bytes = from.drain();
                moved |= !bytes.is_empty();
                tamper(from_dialer, before, &mut bytes);
                to.incoming.extend_from_slice(&bytes);
                moved |= to.take(chunk().max(1));
                // Whoever failed closes; the other side sees the end after the last bytes.
                let ends = from.error.is_some() && to.incoming.is_empty();
                if ends && to.error.is_none() && to.established.is_none() {
                    to.error = Some(to.handshake.handle_end());
                    moved = true;
                }
            }
            if !moved {
                return self;
            }
        }
    }

    /// Whether both sides consider the link to be up.
    pub(crate) fn is_up(&self) -> bool {
        self.dialer.established.is_some() && self.listener.established.is_some()
    }

    pub(crate) fn reasons(&self) -> (&'static str, &'static str) {
        (self.dialer.reason(), self.listener.reason())
    }

    /// Sends a text each way over a link that is up.
    pub(crate) fn assert_carries_records(self) {
        let mut dialer = self.dialer.established.expect("the dialer is up");
        let mut listener = self.listener.established.expect("the listener is up");
        for text in [&b"hello"[..], &[9; 70_000]] {
            for (from, to) in [(true, false), (false, true)] {
                let sealer = if from { &mut dialer.sealer } else { &mut listener.sealer };
                let mut wire = Vec::new();
                sealer.seal(text, &mut wire).unwrap();
                let opener = if to { &mut dialer.opener } else { &mut listener.opener };
                let (mut at, mut opened) = (0, Vec::new());
                while let Some((taken, plain)) = opener.open_first(&mut wire[at..]).unwrap() {
                    opened.extend_from_slice(plain);
                    at += taken;
                }
                assert!(opened == text);
            }
        }
    }
}

/// Later by so many milliseconds.
pub(crate) fn after_ms(ms: u64) -> Instant {
    start() + Duration::from_millis(ms)
}

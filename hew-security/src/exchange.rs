//! The handshake of either side, with Noise or without, as one machine.

mod steps;

use crate::noise::{MESSAGE_1_BYTES, MESSAGE_2_OVERHEAD, MESSAGE_3_OVERHEAD, Session};
use crate::policy::Rules;
use crate::primitives::{Computations, Entropy};
use crate::{
    Admission, Allowlist, Handshake, HandshakeError, HandshakeOutput, Opener, Peer, PublicKey, Sealer, Setup,
    Stage, StaticKeypair, TAG_BYTES,
};
use hew_wire::{
    EXTENSION_BYTES_MAX, Extension, HELLO_BYTES, HELLO_MAGIC, Hello, PROTOCOL_VERSION, Refusal,
    VERDICT_BYTES_MAX, Verdict,
};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use steps::verdict_record;

/// Most bytes that are read from a peer before it has proven who it is: a listener's share, hello, verdict and
/// messages 1 and 3. A dialer reads less.
pub const UNPROVEN_BYTES_MAX: usize =
    HELLO_BYTES + 1 + (2 + MESSAGE_1_BYTES) + (2 + MESSAGE_3_OVERHEAD + EXTENSION_BYTES_MAX);
const _: () = assert!(UNPROVEN_BYTES_MAX <= 1024);
const _: () = assert!(1 + HELLO_BYTES + 2 + MESSAGE_2_OVERHEAD + EXTENSION_BYTES_MAX <= UNPROVEN_BYTES_MAX);

/// Which side opened the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Dialer,
    Listener,
}

/// What this side brings to a handshake.
pub(crate) struct Identity {
    /// `None`: no encryption is offered.
    pub(crate) keypair: Option<Arc<StaticKeypair>>,
    /// `None`: keys are not looked at.
    pub(crate) allowlist: Option<Allowlist>,
    pub(crate) rules: Rules,
    pub(crate) features: u32,
    pub(crate) entropy: Entropy,
    pub(crate) computations: Computations,
}

/// A handshake of [`NoiseXx`](crate::NoiseXx) or [`danger::Plaintext`](crate::danger::Plaintext).
pub struct Exchange {
    side: Side,
    identity: Identity,
    peer_is_local: bool,
    /// Our hello.
    hello: Hello,
    deadline: Instant,
    state: State,
    /// The message that is arriving, never longer than the longest of its kind.
    inbox: Vec<u8>,
    outputs: VecDeque<HandshakeOutput>,
    /// Set when the dialer fails before its first byte: reported at the first call, which is due at once.
    due: Option<Instant>,
}

/// How far the handshake is. Each state holds what was learned on the way to it.
enum State {
    /// Listener: the dialer's hello. Dialer: the listener's hello, after its verdict.
    PeerHello,
    /// Dialer: the listener's verdict on our hello.
    HelloVerdict,
    /// The node decides on the peer's hello.
    Admission(Known),
    /// Listener: the dialer's verdict on our hello.
    AnswerVerdict(Known, Extension),
    Message1(Known, Extension),
    /// Dialer: the listener's identity.
    Message2(Known, Extension, Option<Session>),
    /// Listener: the dialer's identity.
    Message3(Known, Option<Session>),
    /// Dialer: the node decides on the listener's proven identity; ours was not sent yet.
    DialerConfirmation(Known, Extension, Option<Session>, Peer, Extension),
    /// Listener: the node decides on the dialer's proven identity.
    ListenerConfirmation(Ends, Peer, Extension),
    /// Dialer: the listener's verdict on our proven identity.
    LastVerdict(Ends, Peer, Extension),
    Done,
    Failed(HandshakeError),
}

/// What the peer's hello says, and what follows from it.
#[derive(Clone, Copy)]
struct Known {
    hello: Hello,
    encrypted: bool,
}

/// Both directions of a link that is nearly up.
struct Ends {
    sealer: Sealer,
    opener: Opener,
    encrypted: bool,
    features: u32,
}

/// How a refusal reaches the peer, if it does.
enum Voice {
    /// As a verdict in the clear.
    Clear,
    /// As a verdict in a record.
    Record(Box<Ends>),
    /// Not at all: the peer expects something else now, and would not understand.
    Silent,
}

impl Handshake for Exchange {
    fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) -> Result<usize, HandshakeError> {
        self.check_time(now)?;
        let mut rest = bytes;
        loop {
            match self.wanted() {
                Err(error) => return Err(self.fail(error)),
                Ok(None) => break,
                Ok(Some(wanted)) if self.inbox.len() >= wanted => self.step()?,
                Ok(Some(_)) if rest.is_empty() => break,
                Ok(Some(wanted)) => {
                    let (taken, after) = rest.split_at(rest.len().min(wanted - self.inbox.len()));
                    self.inbox.extend_from_slice(taken);
                    rest = after;
                }
            }
        }
        Ok(bytes.len() - rest.len())
    }

    fn handle_admission(&mut self, now: Instant, admission: Admission) -> Result<(), HandshakeError> {
        self.check_time(now)?;
        let State::Admission(known) = self.state else {
            return Err(HandshakeError::OutOfTurn { verb: "handle_admission" });
        };
        match admission {
            Admission::Refuse(refusal) => {
                Err(self.fail_telling(Voice::Clear, HandshakeError::RefusedHere(refusal)))
            }
            Admission::Accept { extension } => match self.side {
                Side::Dialer => self.dialer_goes_on(known, extension),
                Side::Listener => {
                    let mut bytes = vec![0];
                    bytes.extend_from_slice(&self.hello.encode());
                    self.send(bytes);
                    self.state = State::AnswerVerdict(known, extension);
                    Ok(())
                }
            },
        }
    }

    fn handle_confirmation(
        &mut self,
        now: Instant,
        confirmation: Result<(), Refusal>,
    ) -> Result<(), HandshakeError> {
        self.check_time(now)?;
        match std::mem::replace(&mut self.state, State::Done) {
            State::DialerConfirmation(known, ours, session, peer, theirs) => {
                if let Err(refusal) = confirmation {
                    return Err(self.fail_telling(Voice::Silent, HandshakeError::RefusedHere(refusal)));
                }
                if let Err(error) = self.admit(&peer) {
                    return Err(self.fail_telling(Voice::Silent, error));
                }
                let mut bytes = Vec::new();
                let ends = match self.write_message_3(known, session, &ours, &mut bytes) {
                    Ok(ends) => ends,
                    Err(error) => return Err(self.fail_telling(Voice::Silent, error)),
                };
                self.send(bytes);
                self.state = State::LastVerdict(ends, peer, theirs);
                Ok(())
            }
            State::ListenerConfirmation(mut ends, peer, theirs) => {
                let decision =
                    confirmation.map_err(HandshakeError::RefusedHere).and_then(|()| self.admit(&peer));
                if let Err(error) = decision {
                    return Err(self.fail_telling(Voice::Record(Box::new(ends)), error));
                }
                let bytes = verdict_record(&mut ends.sealer, &Verdict::Accepted);
                self.send(bytes);
                self.establish(ends, peer, theirs);
                Ok(())
            }
            other => {
                self.state = other;
                Err(HandshakeError::OutOfTurn { verb: "handle_confirmation" })
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), HandshakeError> {
        self.check_time(now)
    }

    fn handle_end(&mut self) -> HandshakeError {
        match self.failure() {
            Some(error) => error,
            None => {
                let error = HandshakeError::Closed { stage: self.stage() };
                if matches!(self.state, State::Done) {
                    error
                } else {
                    self.fail_telling(Voice::Silent, error)
                }
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Done => None,
            State::Failed(_) => self.due,
            _ => Some(self.deadline),
        }
    }

    fn poll(&mut self) -> Option<HandshakeOutput> {
        self.outputs.pop_front()
    }
}

impl Exchange {
    pub(crate) fn begin(side: Side, identity: Identity, setup: Setup) -> Exchange {
        let public_key = identity.keypair.as_ref().map_or(PublicKey::ZERO, |pair| pair.public());
        let hello = Hello {
            version: PROTOCOL_VERSION,
            node: setup.node,
            schema: setup.schema,
            features: identity.features,
            public_key: *public_key.as_bytes(),
        };
        let mut exchange = Exchange {
            side,
            peer_is_local: setup.peer_is_local,
            hello,
            deadline: setup.now + setup.deadline,
            state: State::PeerHello,
            inbox: Vec::new(),
            outputs: VecDeque::new(),
            due: None,
            identity,
        };
        if side == Side::Dialer {
            exchange.state = State::HelloVerdict;
            if exchange.identity.rules.refuses_all(setup.peer_is_local) {
                // Not even the hello goes to such an address.
                exchange.state = State::Failed(HandshakeError::PlaintextRefused);
                exchange.due = Some(setup.now);
            } else {
                exchange.send(hello.encode().to_vec());
            }
        }
        exchange
    }

    /// Bytes held for this handshake, arriving and to be sent; for accounting.
    pub fn held_bytes(&self) -> usize {
        let outgoing = self.outputs.iter().map(|output| match output {
            HandshakeOutput::Send(bytes) => bytes.capacity(),
            _ => 0,
        });
        self.inbox.capacity() + outgoing.sum::<usize>()
    }

    /// What is awaited.
    fn stage(&self) -> Stage {
        match self.state {
            State::PeerHello | State::HelloVerdict | State::AnswerVerdict(..) => Stage::Hello,
            State::Admission(_) | State::DialerConfirmation(..) | State::ListenerConfirmation(..) => {
                Stage::Decision
            }
            State::Message1(..) => Stage::Message1,
            State::Message2(..) => Stage::Message2,
            State::Message3(..) => Stage::Message3,
            State::LastVerdict(..) | State::Done | State::Failed(_) => Stage::Verdict,
        }
    }

    /// How many bytes the arriving message has, from what is there of it; `None` when none is awaited.
    fn wanted(&self) -> Result<Option<usize>, HandshakeError> {
        let wanted = match &self.state {
            // The magic is judged as soon as it is there: a peer of another protocol may never send 48 bytes.
            State::PeerHello => match self.inbox.first_chunk() {
                None => HELLO_MAGIC.len(),
                Some(&HELLO_MAGIC) => HELLO_BYTES,
                Some(&given) => return Err(HandshakeError::BadMagic { given }),
            },
            State::HelloVerdict | State::AnswerVerdict(..) => Verdict::extent(&self.inbox),
            State::Message1(..) => self.framed(MESSAGE_1_BYTES)?,
            State::Message2(known, ..) => {
                self.framed(EXTENSION_BYTES_MAX + if known.encrypted { MESSAGE_2_OVERHEAD } else { 0 })?
            }
            State::Message3(known, _) => {
                self.framed(EXTENSION_BYTES_MAX + if known.encrypted { MESSAGE_3_OVERHEAD } else { 0 })?
            }
            State::LastVerdict(ends, ..) => {
                self.framed(VERDICT_BYTES_MAX + if ends.encrypted { TAG_BYTES } else { 0 })?
            }
            State::Admission(_)
            | State::DialerConfirmation(..)
            | State::ListenerConfirmation(..)
            | State::Done
            | State::Failed(_) => return Ok(None),
        };
        Ok(Some(wanted))
    }

    /// The extent of a message behind its length.
    fn framed(&self, limit: usize) -> Result<usize, HandshakeError> {
        let Some(length) = self.inbox.first_chunk() else { return Ok(2) };
        let given = usize::from(u16::from_be_bytes(*length));
        if given > limit {
            return Err(HandshakeError::Oversized { stage: self.stage(), given, limit });
        }
        Ok(2 + given)
    }

    fn send(&mut self, bytes: Vec<u8>) {
        self.outputs.push_back(HandshakeOutput::Send(bytes));
    }

    fn failure(&self) -> Option<HandshakeError> {
        match &self.state {
            State::Failed(error) => Some(error.clone()),
            _ => None,
        }
    }

    fn check_time(&mut self, now: Instant) -> Result<(), HandshakeError> {
        if let Some(error) = self.failure() {
            self.due = None;
            return Err(error);
        }
        if now >= self.deadline && !matches!(self.state, State::Done) {
            let error = HandshakeError::Timeout { stage: self.stage() };
            return Err(self.fail_telling(Voice::Silent, error));
        }
        Ok(())
    }

    /// An error in what is arriving, with the voice that the state has.
    fn fail(&mut self, error: HandshakeError) -> HandshakeError {
        let voice = match self.state {
            State::PeerHello => Voice::Clear,
            _ => Voice::Silent,
        };
        self.fail_telling(voice, error)
    }

    /// Ends the handshake: drops its secrets and what it was about to say, and tells the peer why.
    fn fail_telling(&mut self, voice: Voice, error: HandshakeError) -> HandshakeError {
        self.inbox = Vec::new();
        // Questions to the node are void; bytes that were due still go out, in order, before the refusal.
        self.outputs.retain(|output| matches!(output, HandshakeOutput::Send(_)));
        if let Some(refusal) = error.refusal() {
            let verdict = Verdict::Refused(refusal);
            match voice {
                Voice::Silent => {}
                Voice::Clear => {
                    let mut bytes = Vec::new();
                    verdict.encode(&mut bytes);
                    self.send(bytes);
                }
                Voice::Record(mut ends) => {
                    let bytes = verdict_record(&mut ends.sealer, &verdict);
                    self.send(bytes);
                }
            }
        }
        self.state = State::Failed(error.clone());
        error
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Done => write!(f, "Exchange({:?}, done)", self.side),
            State::Failed(error) => write!(f, "Exchange({:?}, failed: {error})", self.side),
            _ => write!(f, "Exchange({:?}, waiting for {})", self.side, self.stage()),
        }
    }
}

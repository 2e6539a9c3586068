//! What each message of a handshake means, and what follows from it.

use super::{Ends, Exchange, Known, Side, State, Voice};
use crate::cipher::Suite;
use crate::noise::{Session, prologue};
use crate::primitives::Primitives;
use crate::{
    Allowlist, Denied, Established, HandshakeError, HandshakeOutput, Opener, Peer, PublicKey, Sealer, Stage,
};
use hew_wire::{DecodeError, Extension, Hello, Verdict, feature};

impl Exchange {
    /// Carries out one complete message in the inbox.
    pub(super) fn step(&mut self) -> Result<(), HandshakeError> {
        let mut message = std::mem::take(&mut self.inbox);
        // Until a branch puts the next state in, the old one is gone: a failure cannot fall back into it.
        match std::mem::replace(&mut self.state, State::Done) {
            State::PeerHello => self.peer_hello(&message),
            State::HelloVerdict => self.verdict_on_hello(&message, |_| State::PeerHello),
            State::AnswerVerdict(known, extension) => {
                self.verdict_on_hello(&message, |_| State::Message1(known, extension))?;
                if known.encrypted { Ok(()) } else { self.listener_speaks_plainly() }
            }
            State::Message1(known, extension) => self.message_1(&message[2..], known, &extension),
            State::Message2(known, extension, session) => {
                self.message_2(&message[2..], known, extension, session)
            }
            State::Message3(known, session) => self.message_3(&message[2..], known, session),
            State::LastVerdict(ends, peer, theirs) => {
                self.last_verdict(&mut message[2..], ends, peer, theirs)
            }
            waiting @ (State::Admission(_)
            | State::DialerConfirmation(..)
            | State::ListenerConfirmation(..)
            | State::Done
            | State::Failed(_)) => {
                self.state = waiting;
                Ok(())
            }
        }
    }

    /// Everything about a hello that costs nothing, before anything is computed for it.
    fn peer_hello(&mut self, message: &[u8]) -> Result<(), HandshakeError> {
        match self.judge_hello(message) {
            Ok(known) => {
                self.outputs.push_back(HandshakeOutput::Admit { hello: known.hello });
                self.state = State::Admission(known);
                Ok(())
            }
            Err(error) => Err(self.fail_telling(Voice::Clear, error)),
        }
    }

    fn judge_hello(&self, message: &[u8]) -> Result<Known, HandshakeError> {
        let truncated = HandshakeError::Malformed {
            stage: Stage::Hello,
            error: DecodeError::Truncated { what: "hello" },
        };
        let hello = Hello::decode(message.first_chunk().ok_or(truncated)?)?;
        self.hello.check(&hello)?;
        let offers = hello.has(feature::ENCRYPTED);
        let encrypted = self.identity.rules.encrypted(offers, self.peer_is_local)?;
        let key = PublicKey::new(hello.public_key);
        if let Some(pair) = &self.identity.keypair
            && pair.public() == key
        {
            return Err(HandshakeError::Reflection);
        }
        if hello.node == self.hello.node {
            return Err(HandshakeError::NodeIdConflict { node: hello.node });
        }
        self.allowed(&Peer { node: hello.node, key, proven: false })?;
        Ok(Known { hello, encrypted })
    }

    fn verdict_on_hello(
        &mut self,
        message: &[u8],
        next: impl FnOnce(&mut Self) -> State,
    ) -> Result<(), HandshakeError> {
        match Verdict::decode(message) {
            Ok(Verdict::Accepted) => {
                self.state = next(self);
                Ok(())
            }
            Ok(Verdict::Refused(refusal)) => {
                Err(self.fail_telling(Voice::Silent, HandshakeError::Refused(refusal)))
            }
            Err(error) => {
                let error = HandshakeError::Malformed { stage: Stage::Hello, error };
                Err(self.fail_telling(Voice::Silent, error))
            }
        }
    }

    /// Dialer, step 3 and message 1.
    pub(super) fn dialer_goes_on(
        &mut self,
        known: Known,
        extension: Extension,
    ) -> Result<(), HandshakeError> {
        let mut bytes = vec![0];
        let mut session = self.session(known);
        if let Some(session) = &mut session
            && let Err(error) = session.write(Stage::Message1, &[], &mut bytes)
        {
            return Err(self.fail_telling(Voice::Clear, error));
        }
        self.send(bytes);
        self.state = State::Message2(known, extension, session);
        Ok(())
    }

    /// Listener without encryption: its extension, in the clear, in the place of message 2.
    fn listener_speaks_plainly(&mut self) -> Result<(), HandshakeError> {
        if let State::Message1(known, extension) = &self.state {
            let (known, bytes) = (*known, framed_extension(extension));
            self.send(bytes);
            self.state = State::Message3(known, None);
        }
        Ok(())
    }

    /// Listener: the first message that costs something, answered by message 2.
    fn message_1(
        &mut self,
        message: &[u8],
        known: Known,
        extension: &Extension,
    ) -> Result<(), HandshakeError> {
        let mut bytes = Vec::new();
        let mut answer = || {
            let mut session = self.session(known).ok_or(HandshakeError::EncryptionRequired)?;
            session.read(Stage::Message1, message)?;
            // What fails in computing the answer is the fault of the key in message 1.
            session.write(Stage::Message1, &extension.encode(), &mut bytes)?;
            Ok(session)
        };
        match answer() {
            Ok(session) => {
                self.send(bytes);
                self.state = State::Message3(known, Some(session));
                Ok(())
            }
            Err(error) => Err(self.fail_telling(Voice::Silent, error)),
        }
    }

    /// Dialer: the listener's identity.
    fn message_2(
        &mut self,
        message: &[u8],
        known: Known,
        ours: Extension,
        mut session: Option<Session>,
    ) -> Result<(), HandshakeError> {
        let read = self
            .read_identity(Stage::Message2, message, session.as_mut())
            .and_then(|(key, payload)| self.judge_identity(Stage::Message2, known, key, &payload));
        match read {
            Ok((peer, theirs)) => {
                self.outputs.push_back(HandshakeOutput::Confirm { peer, extension: theirs.clone() });
                self.state = State::DialerConfirmation(known, ours, session, peer, theirs);
                Ok(())
            }
            Err(error) => Err(self.fail_telling(Voice::Silent, error)),
        }
    }

    /// Listener: the dialer's identity.
    fn message_3(
        &mut self,
        message: &[u8],
        known: Known,
        mut session: Option<Session>,
    ) -> Result<(), HandshakeError> {
        let (key, payload) = match self.read_identity(Stage::Message3, message, session.as_mut()) {
            Ok(read) => read,
            // There are no keys yet to answer with.
            Err(error) => return Err(self.fail_telling(Voice::Silent, error)),
        };
        let ends = self.ends(known, session);
        match self.judge_identity(Stage::Message3, known, key, &payload) {
            Ok((peer, theirs)) => {
                self.outputs.push_back(HandshakeOutput::Confirm { peer, extension: theirs.clone() });
                self.state = State::ListenerConfirmation(ends, peer, theirs);
                Ok(())
            }
            Err(error) => Err(self.fail_telling(Voice::Record(Box::new(ends)), error)),
        }
    }

    /// Opens a message that proves the peer's key. The key is asked for only after the message has opened.
    fn read_identity(
        &self,
        stage: Stage,
        message: &[u8],
        session: Option<&mut Session>,
    ) -> Result<(Option<PublicKey>, Vec<u8>), HandshakeError> {
        match session {
            None => Ok((None, message.to_vec())),
            Some(session) => {
                let payload = session.read(stage, message)?;
                let key = session.proven_key().ok_or(HandshakeError::Noise { stage })?;
                Ok((Some(key), payload))
            }
        }
    }

    fn judge_identity(
        &self,
        stage: Stage,
        known: Known,
        proven: Option<PublicKey>,
        payload: &[u8],
    ) -> Result<(Peer, Extension), HandshakeError> {
        let claimed = PublicKey::new(known.hello.public_key);
        let node = known.hello.node;
        if let Some(proven) = proven
            && !proven.matches(&known.hello.public_key)
        {
            return Err(HandshakeError::KeyMismatch { node, claimed });
        }
        let peer = Peer { node, key: claimed, proven: proven.is_some() };
        // Again: the list may have changed since the hello.
        self.allowed(&peer)?;
        let extension =
            Extension::decode(payload).map_err(|error| HandshakeError::Malformed { stage, error })?;
        Ok((peer, extension))
    }

    /// Dialer: our identity, for a listener that was confirmed.
    pub(super) fn write_message_3(
        &self,
        known: Known,
        mut session: Option<Session>,
        ours: &Extension,
        bytes: &mut Vec<u8>,
    ) -> Result<Ends, HandshakeError> {
        match &mut session {
            None => bytes.extend_from_slice(&framed_extension(ours)),
            Some(session) => session.write(Stage::Message3, &ours.encode(), bytes)?,
        }
        Ok(self.ends(known, session))
    }

    fn last_verdict(
        &mut self,
        record: &mut [u8],
        mut ends: Ends,
        peer: Peer,
        theirs: Extension,
    ) -> Result<(), HandshakeError> {
        let stage = Stage::Verdict;
        let verdict =
            ends.opener.open(record).map_err(|_| HandshakeError::Noise { stage }).and_then(|text| {
                Verdict::decode(text).map_err(|error| HandshakeError::Malformed { stage, error })
            });
        match verdict {
            Ok(Verdict::Accepted) => {
                self.establish(ends, peer, theirs);
                Ok(())
            }
            Ok(Verdict::Refused(refusal)) => {
                Err(self.fail_telling(Voice::Silent, HandshakeError::Refused(refusal)))
            }
            Err(error) => Err(self.fail_telling(Voice::Silent, error)),
        }
    }

    pub(super) fn establish(&mut self, ends: Ends, peer: Peer, extension: Extension) {
        let Ends { sealer, opener, encrypted, features } = ends;
        let established = Established { peer, extension, sealer, opener, encrypted, features };
        self.outputs.push_back(HandshakeOutput::Established(established));
        self.state = State::Done;
    }

    /// A fresh Noise session, or `None` for a link without encryption.
    fn session(&self, known: Known) -> Option<Session> {
        if !known.encrypted {
            return None;
        }
        let primitives = Primitives {
            keypair: self.identity.keypair.clone()?,
            entropy: self.identity.entropy.clone(),
            computations: self.identity.computations.clone(),
        };
        // From the bytes of the wire: decoding and encoding a hello loses nothing, every bit of it has a field.
        let (ours, theirs) = (self.hello.encode(), known.hello.encode());
        let suite = match self.hello.has(feature::AES_256_GCM) && known.hello.has(feature::AES_256_GCM) {
            true => Suite::Aes256Gcm,
            false => Suite::ChaCha20Poly1305,
        };
        Some(match self.side {
            Side::Dialer => Session::initiator(suite, &prologue(&ours, &theirs), primitives),
            Side::Listener => Session::responder(suite, &prologue(&theirs, &ours), primitives),
        })
    }

    fn ends(&self, known: Known, session: Option<Session>) -> Ends {
        let encrypted = session.is_some();
        let (sealer, opener) = session.map_or_else(|| (Sealer::plain(), Opener::plain()), Session::finish);
        Ends { sealer, opener, encrypted, features: self.hello.features & known.hello.features }
    }

    fn allowed(&self, peer: &Peer) -> Result<(), HandshakeError> {
        let check = |list: &Allowlist| list.check(peer.node, &peer.key);
        self.identity.allowlist.as_ref().map_or(Ok(()), check).map_err(|denied| not_allowed(peer, denied))
    }

    /// As [`Exchange::allowed`], and the node id belongs to the key from now on, if the key is proven.
    pub(super) fn admit(&self, peer: &Peer) -> Result<(), HandshakeError> {
        match &self.identity.allowlist {
            Some(list) if peer.proven => {
                list.admit(peer.node, &peer.key).map_err(|denied| not_allowed(peer, denied))
            }
            Some(_) | None => self.allowed(peer),
        }
    }
}

fn not_allowed(peer: &Peer, denied: Denied) -> HandshakeError {
    HandshakeError::NotAllowed { node: peer.node, key: peer.key, denied }
}

fn framed_extension(extension: &Extension) -> Vec<u8> {
    let payload = extension.encode();
    // At most EXTENSION_BYTES_MAX.
    let mut bytes = (payload.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(&payload);
    bytes
}

pub(super) fn verdict_record(sealer: &mut Sealer, verdict: &Verdict) -> Vec<u8> {
    let (mut text, mut bytes) = (Vec::new(), Vec::new());
    verdict.encode(&mut text);
    sealer.seal_record(&[&text], &mut bytes).expect("a verdict fits into the first record of a session");
    bytes
}

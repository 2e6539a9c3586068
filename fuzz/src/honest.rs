//! Two honest sides whose bytes are the same in every run: what a fuzzer starts from, and what it cannot get past.

use crate::targets::{ours, setup};
use hew_security::danger::{keypair_from_seed, noise_from_seed};
use hew_security::testkit::direction;
use hew_security::{
    Admission, Allowlist, Authenticator, Entry, Exchange, Handshake, HandshakeOutput, NoiseXx, Opener,
};
use hew_wire::NodeId;
use std::sync::OnceLock;

/// Node ids of the two.
const DIALER: u16 = 1;
const LISTENER: u16 = 9;
/// What the records of the honest stream hold, by length.
const TEXTS: [usize; 7] = [0, 1, 15, 16, 64, 300, 2];

/// How a link is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cipher {
    Aes,
    ChaCha,
    Plain,
}

impl Cipher {
    pub(crate) fn from_byte(byte: u8) -> Cipher {
        match byte % 3 {
            0 => Cipher::Aes,
            1 => Cipher::ChaCha,
            _ => Cipher::Plain,
        }
    }
}

/// What each side of a handshake says.
pub(crate) struct Talk {
    pub(crate) from_dialer: Vec<u8>,
    pub(crate) from_listener: Vec<u8>,
}

/// An authenticator that makes the same keys in every run, with AES where the machine has it.
fn authenticator(node: u16, aes: bool) -> NoiseXx {
    let entry = |id: u16| Entry::new(keypair_from_seed(id.into()).public(), Some(NodeId::from_raw(id)));
    let list = Allowlist::strict([entry(DIALER), entry(LISTENER)]);
    let noise = noise_from_seed(keypair_from_seed(node.into()), list, node.into());
    if aes { noise } else { noise.without_aes() }
}

pub(crate) fn dialer(aes: bool) -> Exchange {
    authenticator(DIALER, aes).dial(setup(DIALER))
}

pub(crate) fn listener(aes: bool) -> Exchange {
    authenticator(LISTENER, aes).accept(setup(LISTENER))
}

/// The handshake of the two.
pub(crate) fn talk(aes: bool) -> &'static Talk {
    static TALKS: [OnceLock<Talk>; 2] = [const { OnceLock::new() }; 2];
    TALKS[usize::from(aes)].get_or_init(|| {
        let (mut one, mut two) = (dialer(aes), listener(aes));
        let mut talk = Talk { from_dialer: Vec::new(), from_listener: Vec::new() };
        loop {
            let said = say(&mut one);
            hear_all(&mut two, &said);
            talk.from_dialer.extend_from_slice(&said);
            let answered = say(&mut two);
            hear_all(&mut one, &answered);
            talk.from_listener.extend_from_slice(&answered);
            if said.is_empty() && answered.is_empty() {
                return talk;
            }
        }
    })
}

fn hear_all(handshake: &mut Exchange, bytes: &[u8]) {
    let taken = handshake.handle_bytes(setup(DIALER).now, bytes).expect("an honest side says nothing wrong");
    assert_eq!(taken, bytes.len());
}

/// Carries out what a handshake asks for, and returns what it says.
fn say(handshake: &mut Exchange) -> Vec<u8> {
    let now = setup(DIALER).now;
    let mut said = Vec::new();
    while let Some(output) = handshake.poll() {
        let answered = match output {
            HandshakeOutput::Send(bytes) => {
                said.extend_from_slice(&bytes);
                Ok(())
            }
            HandshakeOutput::Admit { .. } => {
                handshake.handle_admission(now, Admission::Accept { extension: ours() })
            }
            HandshakeOutput::Confirm { .. } => handshake.handle_confirmation(now, Ok(())),
            HandshakeOutput::Established(_) => Ok(()),
        };
        answered.expect("each question is answered once");
    }
    said
}

/// An honest stream of records: the texts in it, and where each record ends.
pub(crate) struct Stream {
    pub(crate) bytes: Vec<u8>,
    pub(crate) texts: Vec<Vec<u8>>,
    pub(crate) ends: Vec<usize>,
}

pub(crate) fn records(cipher: Cipher) -> Stream {
    let mut stream = Stream { bytes: Vec::new(), texts: Vec::new(), ends: Vec::new() };
    let (mut sealer, _) = ends(cipher);
    for length in TEXTS {
        let text: Vec<u8> = (0..length).map(|at| (at + length) as u8).collect();
        sealer.seal_record(&[&text], &mut stream.bytes).expect("a text of one record");
        stream.texts.push(text);
        stream.ends.push(stream.bytes.len());
    }
    stream
}

/// What opens the honest stream.
pub(crate) fn opener(cipher: Cipher) -> Opener {
    ends(cipher).1
}

fn ends(cipher: Cipher) -> (hew_security::Sealer, Opener) {
    match cipher {
        Cipher::Aes => direction(Some((true, [3; 32]))),
        Cipher::ChaCha => direction(Some((false, [3; 32]))),
        Cipher::Plain => direction(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::hear;

    #[test]
    fn each_side_gets_through_with_what_the_other_says() {
        for aes in [true, false] {
            let talk = talk(aes);
            let heard = hear(listener(aes), &talk.from_dialer, 7);
            assert_eq!((heard.taken, heard.is_up), (talk.from_dialer.len(), true));
            let heard = hear(dialer(aes), &talk.from_listener, 7);
            assert_eq!((heard.taken, heard.is_up), (talk.from_listener.len(), true));
        }
    }
}

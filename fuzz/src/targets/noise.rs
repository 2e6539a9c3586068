//! What comes through Noise: the messages of handshakes, and records. Neither can be forged.

use super::hear;
use crate::honest::{self, Cipher};
use hew_security::RecordError;

/// A listener that hears these bytes is up exactly if they begin with what an honest dialer says. The first byte says
/// whether with AES, and how large the pieces are.
pub(crate) fn responder(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let aes = choice & 1 == 0;
    let honest = &honest::talk(aes).from_dialer;
    let heard = hear(honest::listener(aes), bytes, pieces(*choice));
    assert_eq!(heard.is_up, bytes.starts_with(honest));
    assert!(!heard.is_up || heard.taken == honest.len(), "what follows stays with the caller");
}

/// The same of a dialer, which is answered.
pub(crate) fn initiator(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let aes = choice & 1 == 0;
    let honest = &honest::talk(aes).from_listener;
    let heard = hear(honest::dialer(aes), bytes, pieces(*choice));
    assert_eq!(heard.is_up, bytes.starts_with(honest));
    assert!(!heard.is_up || heard.taken == honest.len(), "what follows stays with the caller");
}

fn pieces(choice: u8) -> usize {
    1 + usize::from(choice >> 1) * 5
}

/// What opens is what was sealed, in its order and from its beginning, however it arrives; the first record that does not
/// open is the last. Without encryption, what a simple reader finds. The first byte says which cipher, and how large the
/// pieces are.
pub(crate) fn records(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let cipher = Cipher::from_byte(*choice);
    let mut opener = honest::opener(cipher);
    let (mut buffer, mut opened, mut error) = (Vec::new(), Vec::new(), None);
    for piece in bytes.chunks(1 + usize::from(choice / 3) * 7) {
        buffer.extend_from_slice(piece);
        loop {
            match opener.open_first(&mut buffer) {
                Ok(None) => break,
                Ok(Some((length, plaintext))) => {
                    opened.push(plaintext.to_vec());
                    buffer.drain(..length);
                }
                Err(RecordError::SessionOver) if error.is_some() => break,
                Err(first) => assert_eq!(error.replace(first), None, "the session was over"),
            }
        }
    }
    let expected = match cipher {
        Cipher::Plain => lengths_and_bytes(bytes),
        Cipher::Aes | Cipher::ChaCha => {
            let honest = honest::records(cipher);
            let same = honest.bytes.iter().zip(bytes).take_while(|(one, other)| one == other).count();
            let whole = honest.ends.iter().filter(|&&end| end <= same).count();
            honest.texts[..whole].to_vec()
        }
    };
    assert_eq!(opened, expected);
    assert!(cipher != Cipher::Plain || error.is_none());
    assert_eq!(opener.records(), opened.len() as u64 + u64::from(error == Some(RecordError::NotAuthentic)));
}

fn lengths_and_bytes(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let Some((text, rest)) = rest.split_at_checked(u16::from_be_bytes(*length).into()) else { break };
        texts.push(text.to_vec());
        bytes = rest;
    }
    texts
}

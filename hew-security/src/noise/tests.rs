//! Published vectors through our session and record layer.

use super::*;
use crate::primitives::{Computations, Entropy};
use serde_json::Value;

const VECTORS: &str = include_str!("../../tests/vectors/cacophony_xx_25519.json");

fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hexadecimal text");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A session of one side of a vector, and its handshake messages come with payloads of their own.
fn session(vector: &Value, initiator: bool) -> Session {
    let name = vector["protocol_name"].as_str().unwrap();
    let side = if initiator { "init" } else { "resp" };
    let bytes = |field: &str| -> [u8; 32] { unhex(&vector[format!("{side}_{field}")]).try_into().unwrap() };
    let suite = if name.contains("AESGCM") { Suite::Aes256Gcm } else { Suite::ChaCha20Poly1305 };
    let primitives = Primitives {
        keypair: Arc::new(StaticKeypair::from_boxed(Box::new(bytes("static")))),
        entropy: Entropy::Fixed(bytes("ephemeral")),
        computations: Computations::default(),
    };
    Session::new(name, suite, initiator, &unhex(&vector[format!("{side}_prologue")]), primitives)
}

#[test]
fn cacophony_vectors_are_reproduced_with_their_records() {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 8);
    for vector in vectors {
        let name = &vector["protocol_name"];
        let messages = vector["messages"].as_array().unwrap();
        let (handshake, transport) = messages.split_at(3);
        let mut sides = [session(vector, true), session(vector, false)];
        let keys = [sides[0].primitives.keypair.public(), sides[1].primitives.keypair.public()];
        for (index, message) in handshake.iter().enumerate() {
            let (payload, ciphertext) = (unhex(&message["payload"]), unhex(&message["ciphertext"]));
            let [initiator, responder] = &mut sides;
            let (writer, reader) =
                if index % 2 == 0 { (initiator, responder) } else { (responder, initiator) };
            let mut wire = Vec::new();
            writer.write(Stage::Message1, &payload, &mut wire).unwrap();
            assert_eq!(wire[2..], ciphertext, "{name}, message {index}");
            assert_eq!(usize::from(u16::from_be_bytes([wire[0], wire[1]])), ciphertext.len());
            assert_eq!(reader.read(Stage::Message1, &wire[2..]).unwrap(), payload, "{name}, message {index}");
        }
        let hash = unhex(&vector["handshake_hash"]);
        assert!(sides.iter().all(|side| side.state.get_handshake_hash() == hash), "{name}");
        assert_eq!(sides[0].proven_key(), Some(keys[1]));
        assert_eq!(sides[1].proven_key(), Some(keys[0]));

        let [initiator, responder] = sides;
        let (mut initiator, mut responder) = (initiator.finish(), responder.finish());
        for (index, message) in transport.iter().enumerate() {
            let (payload, ciphertext) = (unhex(&message["payload"]), unhex(&message["ciphertext"]));
            // The sides go on taking turns: after message 3 it is the responder's.
            let (sealer, opener) = match index % 2 {
                0 => (&mut responder.0, &mut initiator.1),
                _ => (&mut initiator.0, &mut responder.1),
            };
            let mut wire = Vec::new();
            sealer.seal_record(&[&payload], &mut wire).unwrap();
            assert_eq!(wire[2..], ciphertext, "{name}, record {index}");
            assert_eq!(opener.open(&mut wire[2..]).unwrap(), payload, "{name}, record {index}");
        }
        assert!(transport.len() >= 3);
    }
}

#[test]
fn the_prologue_is_these_bytes() {
    let bytes = prologue(&[1; HELLO_BYTES], &[2; HELLO_BYTES]);
    assert_eq!(bytes, [&b"hew/noise/1"[..], &[0, 48], &[1; 48], &[0, 48], &[2; 48]].concat());
}

#[test]
fn both_suites_have_names_that_the_library_knows() {
    for suite in [Suite::ChaCha20Poly1305, Suite::Aes256Gcm] {
        let primitives = |id| Primitives {
            keypair: Arc::new(crate::danger::keypair_from_seed(id)),
            entropy: Entropy::Seed(id),
            computations: Computations::default(),
        };
        let mut initiator = Session::initiator(suite, b"same", primitives(1));
        let mut responder = Session::responder(suite, b"same", primitives(2));
        let mut wire = Vec::new();
        initiator.write(Stage::Message1, &[], &mut wire).unwrap();
        assert_eq!(wire.len(), 2 + MESSAGE_1_BYTES);
        responder.read(Stage::Message1, &wire[2..]).unwrap();
        wire.clear();
        responder.write(Stage::Message2, &[0; 10], &mut wire).unwrap();
        assert_eq!(wire.len(), 2 + MESSAGE_2_OVERHEAD + 10);
        initiator.read(Stage::Message2, &wire[2..]).unwrap();
        wire.clear();
        initiator.write(Stage::Message3, &[0; 10], &mut wire).unwrap();
        assert_eq!(wire.len(), 2 + MESSAGE_3_OVERHEAD + 10);
        responder.read(Stage::Message3, &wire[2..]).unwrap();
        // Three computations of a secret and one of an ephemeral key.
        assert_eq!(initiator.primitives.computations.count(), 4);
        assert_eq!(responder.primitives.computations.count(), 4);
    }
}

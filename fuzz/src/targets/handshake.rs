//! What a stranger may say: hellos, verdicts, extensions, and whole handshakes.

use hew_security::danger::{Plaintext, keypair_from_seed};
use hew_security::{Admission, Allowlist, Authenticator, Handshake, HandshakeOutput, NoiseXx, Setup};
use hew_wire::{
    EXTENSION_BYTES_MAX, Extension, HELLO_BYTES, Hello, Incarnation, Name, NodeId, Role, VERDICT_BYTES_MAX,
    Verdict,
};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A hello that is read is written the same.
pub(crate) fn hello(bytes: &[u8]) {
    let Some(bytes) = bytes.first_chunk::<HELLO_BYTES>() else { return };
    let Ok(hello) = Hello::decode(bytes) else { return };
    assert_eq!(hello.encode(), *bytes);
    assert!(!hello.node.is_local());
    hello.check(&Hello { node: NodeId::from_raw(1), ..hello }).expect("equal versions and schemas");
}

/// The extent of a verdict is where it ends, and asks for more until then.
pub(crate) fn verdict(bytes: &[u8]) {
    let extent = Verdict::extent(bytes);
    assert!((1..=VERDICT_BYTES_MAX).contains(&extent));
    let Some(whole) = bytes.get(..extent) else {
        assert!(Verdict::decode(bytes).is_err());
        return;
    };
    let verdict = Verdict::decode(whole).expect("any status and any reason are a verdict");
    assert_eq!(Verdict::decode(bytes).is_ok(), extent == bytes.len());
    let mut written = Vec::new();
    verdict.encode(&mut written);
    assert_eq!(Verdict::decode(&written), Ok(verdict));
}

/// An extension that is read is written in the shortest form, which is read as the same.
pub(crate) fn extension(bytes: &[u8]) {
    let Ok(extension) = Extension::decode(bytes) else { return };
    let written = extension.encode();
    assert!(written.len() <= bytes.len() && written.len() <= EXTENSION_BYTES_MAX);
    assert_eq!(Extension::decode(&written), Ok(extension));
}

/// A side that hears these bytes, in pieces: it answers, refuses or waits, and takes no more than it may before the
/// other has proven who it is. The first byte says which side hears, how it is set up and how large the pieces are.
pub(crate) fn handshake(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let piece = 1 + usize::from(choice >> 2) * 5;
    let noise = || NoiseXx::new(keypair_from_seed(9), Allowlist::open());
    let _ = match choice & 3 {
        0 => hear(noise().accept(setup(9)), bytes, piece),
        1 => hear(noise().dial(setup(9)), bytes, piece),
        2 => hear(Plaintext::on_local_addresses().accept(setup(9)), bytes, piece),
        _ => hear(Plaintext::on_local_addresses().dial(setup(9)), bytes, piece),
    };
}

/// What a handshake made of some bytes.
pub(crate) struct Heard {
    pub(crate) taken: usize,
    pub(crate) is_up: bool,
}

/// Lets a handshake hear `bytes` in pieces of a size, and agrees with whatever it asks.
pub(crate) fn hear(mut handshake: impl Handshake, bytes: &[u8], piece: usize) -> Heard {
    let mut now = start();
    let mut rest = bytes;
    let mut taken = 0;
    loop {
        while let Some(output) = handshake.poll() {
            let answered = match output {
                HandshakeOutput::Send(_) => Ok(()),
                HandshakeOutput::Admit { .. } => {
                    let extension = ours();
                    handshake.handle_admission(now, Admission::Accept { extension })
                }
                HandshakeOutput::Confirm { .. } => handshake.handle_confirmation(now, Ok(())),
                HandshakeOutput::Established(_) => return Heard { taken, is_up: true },
            };
            if answered.is_err() {
                return Heard { taken, is_up: false };
            }
        }
        now += Duration::from_millis(1);
        let offered = &rest[..rest.len().min(piece)];
        match handshake.handle_bytes(now, offered) {
            Ok(0) | Err(_) => break,
            Ok(bytes) => {
                assert!(bytes <= offered.len());
                taken += bytes;
                rest = &rest[bytes..];
            }
        }
        assert!(taken <= 2 * 1024, "{taken} bytes were taken from somebody who has proven nothing");
    }
    let _ = handshake.handle_end();
    Heard { taken, is_up: false }
}

/// What a handshake of node `id` begins with.
pub(crate) fn setup(id: u16) -> Setup {
    Setup { peer_is_local: true, ..Setup::new(start(), NodeId::from_raw(id)) }
}

pub(crate) fn ours() -> Extension {
    Extension {
        incarnation: Incarnation(1),
        node_name: None,
        cluster: Name::new("hew").expect("a name"),
        role: Role::Member,
        version_min: 1,
        version_max: 1,
        frame_bytes_max: 65_536,
        listen: None,
        session: 0,
        fresh: 1,
        received: 0,
        compression: 0,
    }
}

/// Some moment; which one does not matter.
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

//! The two examples in `docs/protocol.md` are what the code does, byte for byte.
//!
//! The handshake is carried out with a Noise library, as a third party would, from the keys and the plaintext that stand
//! on the page. When something has changed on purpose, the failing tests print what the page should say.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

use hew_wire::control::Control;
use hew_wire::frame::{Frame, FrameKind, MessageHead, ReplyHead, read_number};
use hew_wire::{
    Extension, HELLO_BYTES, Hello, NodeId, PROTOCOL_VERSION, SCHEMA, Verdict, feature, schema_hash,
};
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Dialer,
    Listener,
}

use Side::{Dialer, Listener};

/// What one side sends in one go.
type Step = (Side, Vec<u8>);

#[allow(clippy::disallowed_methods)] // The test has files; the crate has not.
fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    String::from_utf8(std::fs::read(page).unwrap()).unwrap()
}

/// The text of a section, up to the next.
fn section<'p>(page: &'p str, title: &str) -> &'p str {
    let (_, rest) = page.split_once(&format!("\n## {title}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

/// Lines `D …` and `L …`, each with those that go on behind two spaces.
fn steps(section: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in section.lines() {
        let (side, text) = match line.split_at_checked(2) {
            Some(("D ", text)) => (Some(Dialer), text),
            Some(("L ", text)) => (Some(Listener), text),
            Some(("  ", text)) => (None, text),
            _ => continue,
        };
        match side {
            Some(side) => steps.push((side, unhex(text))),
            None => steps.last_mut().unwrap().1.extend(unhex(text)),
        }
    }
    steps
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    assert!(digits.len().is_multiple_of(2), "{text}");
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes behind a length, which is theirs.
fn measured(bytes: &[u8]) -> &[u8] {
    let (length, rest) = bytes.split_first_chunk().unwrap();
    assert_eq!(usize::from(u16::from_be_bytes(*length)), rest.len(), "{}", hex(bytes));
    rest
}

fn plaintext() -> Vec<Step> {
    let page = page();
    let steps = steps(section(&page, "Example: plaintext"));
    let sides: Vec<_> = steps.iter().map(|(side, _)| *side).collect();
    let (d, l) = (Dialer, Listener);
    assert_eq!(sides, [d, l, d, l, d, l, l, d, d, l, d, l, d, d]);
    steps
}

fn hello(node: u16, features: u32, public_key: [u8; 32]) -> Hello {
    let node = NodeId::new(node).unwrap();
    Hello { version: PROTOCOL_VERSION, node, schema: schema_hash(), features, public_key }
}

#[test]
fn the_handshake_in_plaintext_is_as_shown() {
    let steps = plaintext();
    let verdict_and_hello = [&[0], &hello(1, 0, [0; 32]).encode()[..]].concat();
    assert_eq!(hex(&steps[0].1), hex(&hello(2, 0, [0; 32]).encode()));
    assert_eq!(hex(&steps[1].1), hex(&verdict_and_hello));
    assert_eq!(Verdict::decode(&steps[2].1), Ok(Verdict::Accepted));
    let extensions = [3, 4].map(|step| {
        let bytes = measured(&steps[step].1);
        let extension = Extension::decode(bytes).unwrap();
        assert_eq!(extension.encode(), bytes, "in the shortest form");
        extension
    });
    let session = extensions[0].fresh.wrapping_add(extensions[1].fresh);
    let page = page();
    assert!(page.contains(&format!("the session's id is {session:#x}")), "{session:#x}");
    assert_eq!(Verdict::decode(measured(&steps[5].1)), Ok(Verdict::Accepted));
}

#[test]
fn the_frames_are_as_shown() {
    let mut told = Vec::new();
    for (_, record) in &plaintext()[6..] {
        let mut rest = measured(record);
        while !rest.is_empty() {
            let (frame, after) = Frame::split(rest).unwrap();
            told.push(tell(&frame));
            rest = after;
        }
    }
    let expected = [
        "start 1",
        "start 1",
        "message 0 to 1.54450605522944: 05",
        "ack 1",
        "question 1: c0",
        "ack 2",
        "answer 0: 05",
        "ack 1",
        "goodbye leaving",
    ];
    assert_eq!(told, expected);
}

fn tell(frame: &Frame<'_>) -> String {
    match FrameKind::from_u8(frame.header.kind).unwrap() {
        FrameKind::Message => {
            let (head, payload) = MessageHead::decode(frame).unwrap();
            match head.reply {
                None => format!("message {} to {}: {}", head.msg_type, head.target, hex(payload)),
                Some(_) => format!("question {}: {}", head.msg_type, hex(payload)),
            }
        }
        FrameKind::Reply => {
            let (head, value) = ReplyHead::decode(frame).unwrap();
            format!("answer {}: {}", head.status, hex(value))
        }
        FrameKind::Start => format!("start {}", read_number(frame).unwrap()),
        FrameKind::Ack => format!("ack {}", read_number(frame).unwrap()),
        FrameKind::Goodbye => format!("goodbye {}", String::from_utf8_lossy(frame.body)),
        FrameKind::Control => format!("{:?}", Control::decode(frame.body)),
        FrameKind::Fragment | FrameKind::Heartbeat => "something else".into(),
    }
}

#[test]
fn the_schema_describes_these_records() {
    use hew_security::{RECORD_BYTES_MAX, RECORD_PLAINTEXT_BYTES_MAX, REKEY_RECORDS};
    let tag = RECORD_BYTES_MAX - RECORD_PLAINTEXT_BYTES_MAX;
    let line = format!("record: length u16be, sealed bytes, tag {tag}, rekey every {REKEY_RECORDS};");
    assert!(SCHEMA.lines().any(|found| found.starts_with(&line)), "{line}");
}

/// The keys of one side.
struct Keys {
    secret: [u8; 32],
    public: [u8; 32],
    ephemeral: [u8; 32],
}

impl Keys {
    fn of(side: &str, section: &str) -> Keys {
        let [secret, public, ephemeral] = ["static secret", "static public", "ephemeral secret"]
            .map(|which| key(section, &format!("{side} {which}")));
        let derived = x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(secret));
        assert_eq!(*derived.as_bytes(), public, "the public key of the {side}");
        Keys { secret, public, ephemeral }
    }
}

fn library<'k>(keys: &'k Keys, prologue: &'k [u8]) -> snow::Builder<'k> {
    let builder = snow::Builder::new("Noise_XX_25519_ChaChaPoly_BLAKE2s".parse().unwrap());
    let builder = builder.prologue(prologue).unwrap().local_private_key(&keys.secret).unwrap();
    builder.fixed_ephemeral_key_for_testing_only(&keys.ephemeral)
}

/// The 32 bytes on the line that begins with these words.
fn key(section: &str, words: &str) -> [u8; 32] {
    let found = section.lines().find_map(|line| {
        let line: Vec<_> = line.split_whitespace().collect();
        (line.len() == 4 && line[..3].join(" ") == words).then(|| unhex(line[3]))
    });
    found.unwrap().try_into().unwrap()
}

#[test]
fn the_encrypted_example_is_the_same_story() {
    let page = page();
    let section = section(&page, "Example: Noise");
    let story = plaintext();
    let [listener, dialer] = ["listener", "dialer"].map(|side| Keys::of(side, section));
    let hellos = [hello(2, feature::ENCRYPTED, dialer.public), hello(1, feature::ENCRYPTED, listener.public)];
    let [from_dialer, from_listener] = hellos.map(|hello| hello.encode());
    let mut prologue = b"hew/noise/1".to_vec();
    for hello in [&from_dialer, &from_listener] {
        prologue.extend((HELLO_BYTES as u16).to_be_bytes());
        prologue.extend(hello);
    }
    let mut initiator = library(&dialer, &prologue).build_initiator().unwrap();
    let mut responder = library(&listener, &prologue).build_responder().unwrap();

    let mut buffer = vec![0; 65_535];
    let mut message = |from: &mut snow::HandshakeState, to: &mut snow::HandshakeState, payload: &[u8]| {
        let length = from.write_message(payload, &mut buffer).unwrap();
        let message = buffer[..length].to_vec();
        let length = to.read_message(&message, &mut buffer).unwrap();
        assert_eq!(buffer[..length], *payload);
        with_length(&message)
    };
    let mut expected = vec![(Dialer, from_dialer.to_vec()), (Listener, [&[0], &from_listener[..]].concat())];
    let first = message(&mut initiator, &mut responder, &[]);
    expected.push((Dialer, [&[0], &first[..]].concat()));
    expected.push((Listener, message(&mut responder, &mut initiator, measured(&story[3].1))));
    expected.push((Dialer, message(&mut initiator, &mut responder, measured(&story[4].1))));

    let (mut initiator, mut responder) =
        (initiator.into_transport_mode().unwrap(), responder.into_transport_mode().unwrap());
    for (side, record) in &story[5..] {
        let sealing = match side {
            Dialer => &mut initiator,
            Listener => &mut responder,
        };
        let length = sealing.write_message(measured(record), &mut buffer).unwrap();
        expected.push((*side, with_length(&buffer[..length])));
    }
    let shown = steps(section);
    assert!(shown == expected, "the page should say\n{}", expected.iter().map(line).collect::<String>());
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

/// A step as the page shows it.
fn line((side, bytes): &Step) -> String {
    let letter = match side {
        Dialer => 'D',
        Listener => 'L',
    };
    let digits = hex(bytes);
    let lines: Vec<_> = digits.as_bytes().chunks(110).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("{letter} {}\n", lines.join("\n  "))
}

//! Hellos that are none, or not true.

use super::*;

/// Sends a hello of the evil node with `change` made to it, and hears the verdict.
pub(crate) fn with_hello(stage: &Stage, change: impl FnOnce(&mut [u8; 48])) -> Result<Heard, Heard> {
    let mut bytes = hello(EVIL, &stage.key.public);
    change(&mut bytes);
    say(stage, &bytes)
}

pub(crate) fn say(stage: &Stage, bytes: &[u8]) -> Result<Heard, Heard> {
    let mut wire = Wire::connect(stage.address);
    wire.send(bytes);
    wire.read_hello()?;
    Ok(Heard::Odd("the hello was accepted".into()))
}

/// After a hello that is accepted: what follows, and the end.
pub(crate) fn after_hello(stage: &Stage, bytes: &[u8]) -> Result<Heard, Heard> {
    let mut wire = Wire::connect(stage.address);
    wire.send(&hello(EVIL, &stage.key.public));
    wire.read_hello()?;
    wire.send(bytes);
    Ok(wire.fate())
}

/// The target's own hello.
pub(crate) fn target_hello(stage: &Stage) -> Result<[u8; 48], Heard> {
    let mut wire = Wire::connect(stage.address);
    wire.send(&hello(EVIL, &stage.key.public));
    wire.read_hello()
}

pub(crate) const HELLOS: &[Row] = &[
    row("wrong magic", |s| with_hello(s, |h| h[0] = b'h'), Verdict(6), &[("refusal bad_magic", 1)]),
    row("another protocol", |s| say(s, b"GET / HTTP/1.1\r\n\r\n"), Verdict(6), &[("refusal bad_magic", 1)]),
    row("control characters for a magic", |s| say(s, b"\x1b[2J\n"), Verdict(6), &[("refusal bad_magic", 1)]),
    row("version 0", |s| with_hello(s, |h| h[5] = 0), Verdict(1), &[("refusal version_mismatch", 1)]),
    row("version 2", |s| with_hello(s, |h| h[5] = 2), Verdict(1), &[("refusal version_mismatch", 1)]),
    row(
        "version 65535",
        |s| with_hello(s, |h| h[4..6].fill(0xFF)),
        Verdict(1),
        &[("refusal version_mismatch", 1)],
    ),
    row("wrong schema", |s| with_hello(s, |h| h[11] ^= 1), Verdict(2), &[("refusal schema_mismatch", 1)]),
    row("node id 0", |s| with_hello(s, |h| h[6..8].fill(0)), Verdict(6), &[("refusal node_id_zero", 1)]),
    row(
        "a mandatory flag that nobody knows",
        |s| with_hello(s, |h| h[13] |= 1),
        Verdict(6),
        &[("refusal unknown_flags", 1)],
    ),
    row(
        "the node's own id",
        |s| with_hello(s, |h| h[7] = TARGET as u8),
        Verdict(3),
        &[("refusal own_node_id", 1)],
    ),
    row(
        "its own hello, reflected",
        |s| target_hello(s).and_then(|hello| say(s, &hello)),
        Verdict(4),
        // The connection that fetched the hello was closed in the middle.
        &[("refusal reflection", 1), ("refusal closed_hello", 1)],
    ),
    row(
        "its own key under another id",
        |s| {
            let own = target_hello(s)?;
            with_hello(s, |h| h[16..].copy_from_slice(&own[16..]))
        },
        Verdict(4),
        &[("refusal reflection", 1), ("refusal closed_hello", 1)],
    ),
    row("unknown key", |s| with_hello(s, |h| h[47] ^= 1), Verdict(4), &[("refusal unknown_key", 1)]),
    row("all-zero key", |s| with_hello(s, |h| h[16..].fill(0)), Verdict(4), &[("refusal zero_key", 1)]),
    row(
        "a listed key under another's id",
        |s| with_hello(s, |h| h[7] = GOOD as u8),
        Verdict(3),
        &[("refusal node_pinned_elsewhere", 1)],
    ),
    row(
        "a listed key under an id that nobody has",
        |s| with_hello(s, |h| h[6] = 7),
        Verdict(4),
        &[("refusal key_pinned_elsewhere", 1)],
    ),
    row(
        "another's key under the own id",
        |s| with_hello(s, |h| h[16..].copy_from_slice(s.good_key.as_bytes())),
        Verdict(3),
        &[("refusal node_pinned_elsewhere", 1)],
    ),
    row(
        "encryption not offered",
        |s| with_hello(s, |h| h[15] &= !1),
        Verdict(7),
        &[("refusal encryption_required", 1)],
    ),
    row(
        "a whole handshake in plaintext",
        |s| {
            let mut bytes = hello(EVIL, &s.key.public);
            bytes[15] &= !1;
            let payload = extension(Role::Client, s.next_incarnation()).encode();
            let mut all = bytes.to_vec();
            all.push(0);
            all.extend_from_slice(&(payload.len() as u16).to_be_bytes());
            all.extend_from_slice(&payload);
            say(s, &all)
        },
        Verdict(7),
        &[("refusal encryption_required", 1)],
    ),
    row(
        "an application frame right after the hello",
        |s| after_hello(s, &message(s.counter.pid(), 0, None, b"\x01")),
        Closed,
        // Its first byte, the kind, is where a verdict is awaited.
        &[("refusal refused_version_mismatch", 1)],
    ),
    row(
        "a plaintext frame in place of message 1",
        |s| after_hello(s, &[&[0][..], &message(s.counter.pid(), 0, None, b"\x01")].concat()),
        Closed,
        &[("refusal oversized_message_1", 1)],
    ),
    row(
        "a plaintext record in place of message 1",
        |s| {
            let frame = frame(FrameKind::Heartbeat, 0, &[]);
            after_hello(s, &[&[0, 0, frame.len() as u8][..], &frame].concat())
        },
        Closed,
        &[("refusal noise_message_1", 1)],
    ),
    row(
        "a verdict full of escapes",
        |s| after_hello(s, b"\x04\x0d\x1b[31m\nnode 2 ok"),
        Closed,
        &[("refusal refused_not_allowed", 1)],
    ),
    row(
        "a verdict that is not UTF-8",
        |s| after_hello(s, b"\xfe\x03\xff\xfe\x80"),
        Closed,
        &[("refusal refused_unknown", 1)],
    ),
    row(
        "a hello cut off",
        |s| {
            let mut wire = Wire::connect(s.address);
            wire.send(&hello(EVIL, &s.key.public)[..20]);
            wire.finish();
            Ok(wire.fate())
        },
        Closed,
        &[("refusal closed_hello", 1)],
    ),
    row(
        "a connection and not a byte",
        |s| {
            let mut wire = Wire::connect(s.address);
            wire.finish();
            Ok(wire.fate())
        },
        Closed,
        &[("refusal closed_hello", 1)],
    ),
    row(
        "a hello byte by byte, quick enough",
        |s| {
            let mut wire = Wire::connect(s.address);
            for byte in hello(EVIL, &s.key.public) {
                std::thread::sleep(Duration::from_millis(50));
                wire.send(&[byte]);
            }
            wire.read_hello()?;
            Ok(Heard::Alive)
        },
        Alive,
        &[("refusal closed_hello", 1)],
    ),
    row(
        "a byte each second",
        |s| {
            let mut wire = Wire::connect(s.address);
            let begun = Instant::now();
            for byte in hello(EVIL, &s.key.public) {
                if !wire.try_send(&[byte]) || begun.elapsed() > Duration::from_secs(12) {
                    break;
                }
                std::thread::sleep(Duration::from_secs(1));
            }
            expect_within(begun, 4..=11, wire.fate())
        },
        Closed,
        &[("refusal timeout_hello", 1)],
    ),
    row(
        "silence",
        |s| {
            let begun = Instant::now();
            let heard = Wire::connect(s.address).fate();
            expect_within(begun, 4..=11, heard)
        },
        Closed,
        &[("refusal timeout_hello", 1)],
    ),
];

#[test]
fn hellos() {
    run(HELLOS);
}

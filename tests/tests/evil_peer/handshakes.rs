//! What comes after the hello: keys, messages 1 to 3, extensions.

use super::*;

/// A handshake of the evil node with `change` made to what it says.
pub(crate) fn with_script(stage: &Stage, change: impl FnOnce(&mut Script)) -> Result<Heard, Heard> {
    let mut script = stage.script(Role::Client);
    change(&mut script);
    Ok(script.dial(stage.address)?.start().pulse())
}

/// A handshake of the evil node whose extension is these MessagePack entries.
pub(crate) fn with_entries(stage: &Stage, entries: &[&[u8]]) -> Result<Heard, Heard> {
    with_script(stage, |script| {
        script.extension = [&[0x80 | entries.len() as u8][..], &entries.concat()].concat();
    })
}

pub(crate) const INCARNATION: &[u8] = b"\x01\xcd\xff\xff";
pub(crate) const CLUSTER: &[u8] = b"\x03\xa3hew";
pub(crate) const CLIENT: &[u8] = b"\x04\x01";
pub(crate) const VERSION_MIN: &[u8] = b"\x05\x01";
pub(crate) const VERSION_MAX: &[u8] = b"\x06\x01";
pub(crate) const FRAME_MAX: &[u8] = b"\x07\xce\x00\x10\x00\x00";

pub(crate) const HANDSHAKES: &[Row] = &[
    row("no flaw", |s| with_script(s, |_| ()), Alive, &[]),
    row(
        "a hello changed on the way, in a flag that nobody has to know",
        |s| {
            with_script(s, |x| {
                x.flipped = Some(15 * 8 + 6);
                x.bluff = true;
            })
        },
        Closed,
        &[("refusal noise_message_3", 1)],
    ),
    row(
        "message 1 empty",
        |s| with_script(s, |x| x.message_1 = |m| *m = vec![0, 0]),
        Closed,
        &[("refusal noise_message_1", 1)],
    ),
    row(
        "message 1 of 31 bytes",
        |s| {
            with_script(s, |x| {
                x.message_1 = |m| {
                    m.truncate(33);
                    m[1] = 31;
                }
            })
        },
        Closed,
        &[("refusal noise_message_1", 1)],
    ),
    row(
        "message 1 of 65535 bytes",
        |s| with_script(s, |x| x.message_1 = |m| m[..2].fill(0xFF)),
        Closed,
        &[("refusal oversized_message_1", 1)],
    ),
    row(
        "message 1 of zeros, a point of low order",
        |s| with_script(s, |x| x.message_1 = |m| m[2..].fill(0)),
        Closed,
        &[("refusal noise_message_1", 1)],
    ),
    row(
        "message 1 with a flipped bit",
        |s| {
            with_script(s, |x| {
                x.message_1 = |m| m[9] ^= 4;
                x.bluff = true;
            })
        },
        Closed,
        &[("refusal noise_message_3", 1)],
    ),
    row(
        "message 3 empty",
        |s| with_script(s, |x| x.message_3 = |m| *m = vec![0, 0]),
        Closed,
        &[("refusal noise_message_3", 1)],
    ),
    row(
        "message 3 of 65535 bytes",
        |s| with_script(s, |x| x.message_3 = |m| m[..2].fill(0xFF)),
        Closed,
        &[("refusal oversized_message_3", 1)],
    ),
    row(
        "message 3 with a bit flipped in its key",
        |s| with_script(s, |x| x.message_3 = |m| m[2] ^= 1),
        Closed,
        &[("refusal noise_message_3", 1)],
    ),
    row(
        "message 3 with a bit flipped in its extension",
        |s| with_script(s, |x| x.message_3 = |m| m[60] ^= 0x80),
        Closed,
        &[("refusal noise_message_3", 1)],
    ),
    row(
        "message 3 with a bit flipped in its last tag",
        |s| {
            with_script(s, |x| {
                x.message_3 = |m| {
                    let last = m.len() - 1;
                    m[last] ^= 1;
                }
            })
        },
        Closed,
        &[("refusal noise_message_3", 1)],
    ),
    row(
        "message 3 a byte short",
        |s| {
            with_script(s, |x| {
                x.message_3 = |m| {
                    m.pop();
                    m[1] -= 1;
                }
            })
        },
        Closed,
        &[("refusal noise_message_3", 1)],
    ),
    row(
        "another listed node's key in the hello, the own one in message 3",
        |s| {
            let mut script = s.script(Role::Client);
            script.hello = hello(ACCOMPLICE, &s.accomplice.public);
            Ok(script.dial(s.address)?.pulse())
        },
        Sealed(4),
        &[("refusal key_mismatch", 1)],
    ),
    row(
        "the healthy node's id and key in the hello, the own one in message 3",
        |s| {
            let mut script = s.script(Role::Member);
            script.hello = hello(GOOD, &s.good_key);
            Ok(script.dial(s.address)?.pulse())
        },
        Sealed(4),
        &[("refusal key_mismatch", 1)],
    ),
    row(
        "the healthy node named, and nothing proven",
        |s| {
            let mut wire = Wire::connect(s.address);
            wire.send(&hello(GOOD, &s.good_key));
            wire.read_hello()?;
            wire.finish();
            Ok(wire.fate())
        },
        Closed,
        &[("refusal closed_hello", 1)],
    ),
    row(
        "another cluster",
        |s| with_entries(s, &[INCARNATION, b"\x03\xa3abc", CLIENT, VERSION_MIN, VERSION_MAX, FRAME_MAX]),
        Sealed(8),
        &[("refusal cluster_mismatch", 1)],
    ),
    row(
        "an extension that is no map",
        |s| with_script(s, |x| x.extension = vec![0xC1]),
        Sealed(6),
        &[("refusal malformed_message_3", 1)],
    ),
    row(
        "an empty extension",
        |s| with_script(s, |x| x.extension = vec![]),
        Sealed(6),
        &[("refusal malformed_message_3", 1)],
    ),
    row(
        "an extension without anything",
        |s| with_entries(s, &[]),
        Sealed(6),
        &[("refusal malformed_message_3", 1)],
    ),
    row(
        "bytes after the extension",
        |s| with_script(s, |x| x.extension.push(0xC0)),
        Sealed(6),
        &[("refusal malformed_message_3", 1)],
    ),
    row(
        "an extension cut off",
        |s| {
            with_script(s, |x| {
                x.extension.pop();
            })
        },
        Sealed(6),
        &[("refusal malformed_message_3", 1)],
    ),
    row(
        "an extension a byte too long",
        |s| with_script(s, |x| x.extension = vec![0xC0; hew_wire::EXTENSION_BYTES_MAX + 1]),
        Closed,
        &[("refusal oversized_message_3", 1)],
    ),
    row(
        "an extension with a key twice",
        |s| {
            with_entries(s, &[INCARNATION, INCARNATION, CLUSTER, CLIENT, VERSION_MIN, VERSION_MAX, FRAME_MAX])
        },
        Sealed(6),
        &[("refusal malformed_message_3", 1)],
    ),
    row(
        "an extension with an unknown role",
        |s| with_entries(s, &[INCARNATION, CLUSTER, b"\x04\x02", VERSION_MIN, VERSION_MAX, FRAME_MAX]),
        Sealed(6),
        &[("refusal malformed_message_3", 1)],
    ),
    row(
        "an extension that nests deeply in a key that nobody knows",
        |s| {
            let deep = [&[0x20][..], &[0x91; 500], &[0xC0]].concat();
            with_entries(s, &[INCARNATION, CLUSTER, CLIENT, VERSION_MIN, VERSION_MAX, FRAME_MAX, &deep])
        },
        Sealed(6),
        &[("refusal malformed_message_3", 1)],
    ),
    row(
        "an extension that declares 2^32 - 1 entries",
        |s| with_script(s, |x| x.extension = vec![0xDF, 0xFF, 0xFF, 0xFF, 0xFF]),
        Sealed(6),
        &[("refusal malformed_message_3", 1)],
    ),
    row(
        "a node name with an escape and a newline",
        |s| {
            let name = b"\x02\xab\x1b[31m\nroot:";
            with_entries(s, &[INCARNATION, name, CLUSTER, CLIENT, VERSION_MIN, VERSION_MAX, FRAME_MAX])
        },
        Sealed(6),
        &[("refusal malformed_message_3", 1)],
    ),
    row(
        "a cluster name with a newline",
        |s| with_entries(s, &[INCARNATION, b"\x03\xa4hew\n", CLIENT, VERSION_MIN, VERSION_MAX, FRAME_MAX]),
        Sealed(6),
        &[("refusal malformed_message_3", 1)],
    ),
    row(
        "an address with an escape",
        |s| {
            let listen = b"\x08\xa6\x1b[31m.";
            with_entries(s, &[INCARNATION, CLUSTER, CLIENT, VERSION_MIN, VERSION_MAX, FRAME_MAX, listen])
        },
        Sealed(6),
        &[("refusal malformed_message_3", 1)],
    ),
    row(
        "an incarnation older than the one that is known",
        |s| {
            let incarnation = s.next_incarnation();
            let script = Script::new(ACCOMPLICE, &s.accomplice, &extension(Role::Client, incarnation));
            let alive = script.dial(s.address)?.start().pulse();
            if alive != Heard::Alive {
                return Ok(Heard::Odd(format!("the first of the two: {alive}")));
            }
            let older = extension(Role::Client, incarnation - 1);
            Ok(Script::new(ACCOMPLICE, &s.accomplice, &older).dial(s.address)?.start().pulse())
        },
        Sealed(3),
        &[("refusal older_incarnation", 1)],
    ),
    row(
        "frames claimed to be received that were never sent, in a session that never was",
        |s| {
            let mut words = extension(Role::Client, s.next_incarnation());
            (words.session, words.received) = (u64::MAX, u64::MAX);
            Ok(Script::new(EVIL, &s.key, &words).dial(s.address)?.start().pulse())
        },
        Alive,
        &[],
    ),
    row(
        "an older start that comes through after a newer one",
        |s| {
            // The first start is silent; each later one waits a while for a sign of its life.
            let first = s.next_incarnation();
            let script = |incarnation| Script::new(EVIL, &s.key, &extension(Role::Client, incarnation));
            let _silent = script(first).dial(s.address)?;
            let newest = script(first + 2).begin(s.address)?;
            let middle = script(first + 1).begin(s.address)?;
            // Both are judged while the first is known, the newest is admitted first.
            let newest = newest.send_message_3();
            std::thread::sleep(Duration::from_millis(100));
            let middle = middle.send_message_3();
            let mut newest = newest.finish()?;
            let middle = middle.finish().map(|mut link| link.start().pulse());
            let alive = newest.start().pulse();
            if middle == Ok(Heard::Alive) {
                return Ok(Heard::Odd("the older start took over".into()));
            }
            Ok(alive)
        },
        Alive,
        &[("refusal node_id_conflict", 1)],
    ),
];

#[test]
fn handshakes() {
    run(HANDSHAKES);
}

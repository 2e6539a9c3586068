//! One table of attacks, each with what must come of it, against a real node over TCP.
//!
//! After every row the node still serves a healthy peer over the same connection as before, nothing has panicked, and
//! exactly the named counters have moved.

use hew_node::{Actor, Context, Incarnation, Name, NodeId, Outcome, Pid, SERVICE_SERIAL};
use hew_tests::actors::Counter;
use hew_tests::evil::Heard;
use hew_tests::evil::forge::{Halfway, Script, Wire, extension, hello};
use hew_tests::evil::link::{EvilLink, control, fragment, frame, message, number, raw_frame, reply};
use hew_tests::evil::stage::{ACCOMPLICE, EVIL, GOOD, Stage, TARGET};
use hew_wire::control::Control;
use hew_wire::frame::{FragmentHead, FrameKind, flags};
use hew_wire::membership::{MemberState, MemberUpdate, MembershipMessage};
use hew_wire::registry::{Page, Put, RegistryMessage};
use hew_wire::{ExitReason, Role};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// What the evil peer must hear.
#[derive(Clone, Copy, Debug)]
enum Hears {
    /// A verdict in the clear with this status.
    Verdict(u8),
    /// A verdict in a record with this status.
    Sealed(u8),
    Closed,
    Alive,
}
use Hears::{Alive, Closed, Sealed, Verdict};

struct Row {
    name: &'static str,
    attack: fn(&Stage) -> Result<Heard, Heard>,
    hears: Hears,
    /// Counters of the node that must have moved, and by how much; no others may.
    counts: &'static [(&'static str, u64)],
}

const fn row(
    name: &'static str,
    attack: fn(&Stage) -> Result<Heard, Heard>,
    hears: Hears,
    counts: &'static [(&'static str, u64)],
) -> Row {
    Row { name, attack, hears, counts }
}

/// Runs every row on one stage; all complaints are told together.
fn run(rows: &[Row]) {
    let stage = Stage::set();
    let complaints: Vec<String> = rows.iter().flat_map(|row| run_row(&stage, row)).collect();
    stage.strike();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// Runs one row, and says what is wrong afterwards.
fn run_row(stage: &Stage, row: &Row) -> Vec<String> {
    let mut complaints = Vec::new();
    let before = stage.counted();
    let heard = (row.attack)(stage).unwrap_or_else(|heard| heard);
    let fits = match (&heard, row.hears) {
        (Heard::Refused { status, sealed: false, reason }, Verdict(expected))
        | (Heard::Refused { status, sealed: true, reason }, Sealed(expected)) => {
            *status == expected && !reason.is_empty() && !reason.chars().any(char::is_control)
        }
        (Heard::Closed, Closed) | (Heard::Alive, Alive) => true,
        _ => false,
    };
    if !fits {
        complaints.push(format!("{}: heard {heard}, expected {:?}", row.name, row.hears));
    }
    let expected: BTreeMap<String, u64> =
        row.counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    let moved = || {
        let now = stage.counted();
        let moved = now.into_iter().map(|(name, count)| {
            let by = count - before.get(&name).copied().unwrap_or(0);
            (name, by)
        });
        moved.filter(|(_, by)| *by > 0).collect::<BTreeMap<String, u64>>()
    };
    if !stage.eventually(Duration::from_secs(3), || moved() == expected) {
        complaints.push(format!("{}: counted {:?}, expected {expected:?}", row.name, moved()));
    }
    complaints.extend(stage.complaints().into_iter().map(|text| format!("{}: {text}", row.name)));
    complaints
}

// ---- hellos ----

/// Sends a hello of the evil node with `change` made to it, and hears the verdict.
fn with_hello(stage: &Stage, change: impl FnOnce(&mut [u8; 48])) -> Result<Heard, Heard> {
    let mut bytes = hello(EVIL, &stage.key.public);
    change(&mut bytes);
    say(stage, &bytes)
}

fn say(stage: &Stage, bytes: &[u8]) -> Result<Heard, Heard> {
    let mut wire = Wire::connect(stage.address);
    wire.send(bytes);
    wire.read_hello()?;
    Ok(Heard::Odd("the hello was accepted".into()))
}

/// After a hello that is accepted: what follows, and the end.
fn after_hello(stage: &Stage, bytes: &[u8]) -> Result<Heard, Heard> {
    let mut wire = Wire::connect(stage.address);
    wire.send(&hello(EVIL, &stage.key.public));
    wire.read_hello()?;
    wire.send(bytes);
    Ok(wire.fate())
}

/// The target's own hello.
fn target_hello(stage: &Stage) -> Result<[u8; 48], Heard> {
    let mut wire = Wire::connect(stage.address);
    wire.send(&hello(EVIL, &stage.key.public));
    wire.read_hello()
}

const HELLOS: &[Row] = &[
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
        &[("refusal node_id_conflict", 1)],
    ),
    row(
        "its own hello, reflected",
        |s| target_hello(s).and_then(|hello| say(s, &hello)),
        Verdict(4),
        // The connection that fetched the hello was closed in the middle.
        &[("refusal reflection", 1), ("refusal closed", 1)],
    ),
    row(
        "its own key under another id",
        |s| {
            let own = target_hello(s)?;
            with_hello(s, |h| h[16..].copy_from_slice(&own[16..]))
        },
        Verdict(4),
        &[("refusal reflection", 1), ("refusal closed", 1)],
    ),
    row("unknown key", |s| with_hello(s, |h| h[47] ^= 1), Verdict(4), &[("refusal unknown_key", 1)]),
    row("all-zero key", |s| with_hello(s, |h| h[16..].fill(0)), Verdict(4), &[("refusal zero_key", 1)]),
    row(
        "a listed key under another's id",
        |s| with_hello(s, |h| h[7] = GOOD as u8),
        Verdict(4),
        &[("refusal key_pinned_elsewhere", 1)],
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
        Verdict(4),
        &[("refusal key_pinned_elsewhere", 1)],
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
        &[("refusal oversized", 1)],
    ),
    row(
        "a plaintext record in place of message 1",
        |s| {
            let frame = frame(FrameKind::Heartbeat, 0, &[]);
            after_hello(s, &[&[0, 0, frame.len() as u8][..], &frame].concat())
        },
        Closed,
        &[("refusal noise", 1)],
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
        &[("refusal closed", 1)],
    ),
    row(
        "a connection and not a byte",
        |s| {
            let mut wire = Wire::connect(s.address);
            wire.finish();
            Ok(wire.fate())
        },
        Closed,
        &[("refusal closed", 1)],
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
        &[("refusal closed", 1)],
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
        &[("refusal timeout", 1)],
    ),
    row(
        "silence",
        |s| {
            let begun = Instant::now();
            let heard = Wire::connect(s.address).fate();
            expect_within(begun, 4..=11, heard)
        },
        Closed,
        &[("refusal timeout", 1)],
    ),
];

fn expect_within(
    begun: Instant,
    seconds: std::ops::RangeInclusive<u64>,
    heard: Heard,
) -> Result<Heard, Heard> {
    let took = begun.elapsed().as_secs();
    if seconds.contains(&took) { Ok(heard) } else { Ok(Heard::Odd(format!("{heard} after {took} s"))) }
}

#[test]
fn hellos() {
    run(HELLOS);
}

// ---- the rest of the handshake ----

/// A handshake of the evil node with `change` made to what it says.
fn with_script(stage: &Stage, change: impl FnOnce(&mut Script)) -> Result<Heard, Heard> {
    let mut script = stage.script(Role::Client);
    change(&mut script);
    Ok(script.dial(stage.address)?.start().pulse())
}

/// A handshake of the evil node whose extension is these MessagePack entries.
fn with_entries(stage: &Stage, entries: &[&[u8]]) -> Result<Heard, Heard> {
    with_script(stage, |script| {
        script.extension = [&[0x80 | entries.len() as u8][..], &entries.concat()].concat();
    })
}

const INCARNATION: &[u8] = b"\x01\xcd\xff\xff";
const CLUSTER: &[u8] = b"\x03\xa3hew";
const CLIENT: &[u8] = b"\x04\x01";
const VERSION_MIN: &[u8] = b"\x05\x01";
const VERSION_MAX: &[u8] = b"\x06\x01";
const FRAME_MAX: &[u8] = b"\x07\xce\x00\x10\x00\x00";

const HANDSHAKES: &[Row] = &[
    row("no flaw", |s| with_script(s, |_| ()), Alive, &[]),
    row(
        "message 1 empty",
        |s| with_script(s, |x| x.message_1 = |m| *m = vec![0, 0]),
        Closed,
        &[("refusal noise", 1)],
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
        &[("refusal noise", 1)],
    ),
    row(
        "message 1 of 65535 bytes",
        |s| with_script(s, |x| x.message_1 = |m| m[..2].fill(0xFF)),
        Closed,
        &[("refusal oversized", 1)],
    ),
    row(
        "message 1 of zeros, a point of low order",
        |s| with_script(s, |x| x.message_1 = |m| m[2..].fill(0)),
        Closed,
        &[("refusal noise", 1)],
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
        &[("refusal noise", 1)],
    ),
    row(
        "message 3 empty",
        |s| with_script(s, |x| x.message_3 = |m| *m = vec![0, 0]),
        Closed,
        &[("refusal noise", 1)],
    ),
    row(
        "message 3 of 65535 bytes",
        |s| with_script(s, |x| x.message_3 = |m| m[..2].fill(0xFF)),
        Closed,
        &[("refusal oversized", 1)],
    ),
    row(
        "message 3 with a bit flipped in its key",
        |s| with_script(s, |x| x.message_3 = |m| m[2] ^= 1),
        Closed,
        &[("refusal noise", 1)],
    ),
    row(
        "message 3 with a bit flipped in its extension",
        |s| with_script(s, |x| x.message_3 = |m| m[60] ^= 0x80),
        Closed,
        &[("refusal noise", 1)],
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
        &[("refusal noise", 1)],
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
        &[("refusal noise", 1)],
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
        &[("refusal closed", 1)],
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
        &[("refusal malformed", 1)],
    ),
    row(
        "an empty extension",
        |s| with_script(s, |x| x.extension = vec![]),
        Sealed(6),
        &[("refusal malformed", 1)],
    ),
    row("an extension without anything", |s| with_entries(s, &[]), Sealed(6), &[("refusal malformed", 1)]),
    row(
        "bytes after the extension",
        |s| with_script(s, |x| x.extension.push(0xC0)),
        Sealed(6),
        &[("refusal malformed", 1)],
    ),
    row(
        "an extension cut off",
        |s| {
            with_script(s, |x| {
                x.extension.pop();
            })
        },
        Sealed(6),
        &[("refusal malformed", 1)],
    ),
    row(
        "an extension a byte too long",
        |s| with_script(s, |x| x.extension = vec![0xC0; hew_wire::EXTENSION_BYTES_MAX + 1]),
        Closed,
        &[("refusal oversized", 1)],
    ),
    row(
        "an extension with a key twice",
        |s| {
            with_entries(s, &[INCARNATION, INCARNATION, CLUSTER, CLIENT, VERSION_MIN, VERSION_MAX, FRAME_MAX])
        },
        Sealed(6),
        &[("refusal malformed", 1)],
    ),
    row(
        "an extension with an unknown role",
        |s| with_entries(s, &[INCARNATION, CLUSTER, b"\x04\x02", VERSION_MIN, VERSION_MAX, FRAME_MAX]),
        Sealed(6),
        &[("refusal malformed", 1)],
    ),
    row(
        "an extension that nests deeply in a key that nobody knows",
        |s| {
            let deep = [&[0x20][..], &[0x91; 500], &[0xC0]].concat();
            with_entries(s, &[INCARNATION, CLUSTER, CLIENT, VERSION_MIN, VERSION_MAX, FRAME_MAX, &deep])
        },
        Sealed(6),
        &[("refusal malformed", 1)],
    ),
    row(
        "an extension that declares 2^32 - 1 entries",
        |s| with_script(s, |x| x.extension = vec![0xDF, 0xFF, 0xFF, 0xFF, 0xFF]),
        Sealed(6),
        &[("refusal malformed", 1)],
    ),
    row(
        "a node name with an escape and a newline",
        |s| {
            let name = b"\x02\xab\x1b[31m\nroot:";
            with_entries(s, &[INCARNATION, name, CLUSTER, CLIENT, VERSION_MIN, VERSION_MAX, FRAME_MAX])
        },
        Sealed(6),
        &[("refusal malformed", 1)],
    ),
    row(
        "a cluster name with a newline",
        |s| with_entries(s, &[INCARNATION, b"\x03\xa4hew\n", CLIENT, VERSION_MIN, VERSION_MAX, FRAME_MAX]),
        Sealed(6),
        &[("refusal malformed", 1)],
    ),
    row(
        "an address with an escape",
        |s| {
            let listen = b"\x08\xa6\x1b[31m.";
            with_entries(s, &[INCARNATION, CLUSTER, CLIENT, VERSION_MIN, VERSION_MAX, FRAME_MAX, listen])
        },
        Sealed(6),
        &[("refusal malformed", 1)],
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
        &[("refusal node_id_conflict", 1)],
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

// ---- a listener that is dialled ----

/// Has the node dial an evil listener; what the node says of it. The listener's side is `play`.
fn dialed(
    stage: &Stage,
    play: impl FnOnce(&TcpListener) -> Result<Heard, Heard> + Send + 'static,
) -> Result<Heard, Heard> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it listens").to_string();
    let playing = std::thread::spawn(move || play(&listener).unwrap_or_else(|heard| heard));
    let connected = stage.runtime.block_on(stage.target.connect(&address));
    let heard = playing.join().expect("the evil listener does not panic");
    match connected {
        Ok(node) => Ok(Heard::Odd(format!("the node connected to {node}"))),
        Err(error) if error.to_string().chars().any(char::is_control) => {
            Ok(Heard::Odd(format!("an error holds control characters: {error:?}")))
        }
        Err(_) => Ok(heard),
    }
}

fn dialed_with(stage: &Stage, change: impl FnOnce(&mut Script)) -> Result<Heard, Heard> {
    let mut script = stage.script(Role::Member);
    change(&mut script);
    dialed(stage, move |listener| script.accept(listener).map(|mut link| link.fate()))
}

/// A listener that goes through the handshake and answers the node's message 3 with this verdict.
fn dialed_and_told(stage: &Stage, verdict: &'static [u8]) -> Result<Heard, Heard> {
    let script = stage.script(Role::Member);
    dialed(stage, move |listener| {
        let mut link = script.accept(listener)?;
        link.send(verdict);
        Ok(link.fate())
    })
}

const LISTENERS: &[Row] = &[
    row(
        "a listener of another protocol",
        |s| {
            dialed(s, |listener| {
                let mut wire = Wire::new(listener.accept().expect("the node dials").0);
                wire.send(b"\0HTTP/1.1 400 Bad Request\r\n\r\n");
                wire.read_exact::<48>()?;
                Err(match wire.read_exact::<1>()? {
                    [status] => wire.read_reason(status, false),
                })
            })
        },
        Verdict(6),
        &[("refusal bad_magic", 1)],
    ),
    row(
        "a listener that refuses with escapes",
        |s| {
            dialed(s, |listener| {
                let mut wire = Wire::new(listener.accept().expect("the node dials").0);
                wire.send(b"\x04\x08\x1b[31m\n\n\n");
                wire.read_exact::<48>()?;
                Ok(wire.fate())
            })
        },
        Closed,
        &[("refusal refused_not_allowed", 1)],
    ),
    row(
        "a listener with the node's own id",
        |s| {
            dialed(s, {
                let hello = hello(TARGET, &s.key.public);
                move |listener| {
                    let mut wire = Wire::new(listener.accept().expect("the node dials").0);
                    wire.send(&[&[0][..], &hello].concat());
                    wire.read_exact::<48>()?;
                    let [status] = wire.read_exact::<1>()?;
                    Ok(wire.read_reason(status, false))
                }
            })
        },
        Verdict(3),
        &[("refusal node_id_conflict", 1)],
    ),
    row(
        "a listener with an unknown key",
        |s| dialed_with(s, |x| x.hello[40] ^= 1),
        Verdict(4),
        &[("refusal unknown_key", 1)],
    ),
    row(
        "a listener without encryption",
        |s| dialed_with(s, |x| x.hello[15] &= !1),
        Verdict(7),
        &[("refusal encryption_required", 1)],
    ),
    row(
        "a listener that reflects",
        |s| {
            dialed(s, |listener| {
                let mut wire = Wire::new(listener.accept().expect("the node dials").0);
                let hello = wire.read_exact::<48>()?;
                wire.send(&[&[0][..], &hello].concat());
                let [status] = wire.read_exact::<1>()?;
                Ok(wire.read_reason(status, false))
            })
        },
        Verdict(4),
        &[("refusal reflection", 1)],
    ),
    row(
        "message 2 empty",
        |s| dialed_with(s, |x| x.message_2 = |m| *m = vec![0, 0]),
        Closed,
        &[("refusal noise", 1)],
    ),
    row(
        "message 2 of 65535 bytes",
        |s| dialed_with(s, |x| x.message_2 = |m| m[..2].fill(0xFF)),
        Closed,
        &[("refusal oversized", 1)],
    ),
    row(
        "message 2 with a bit flipped in its ephemeral key",
        |s| dialed_with(s, |x| x.message_2 = |m| m[4] ^= 1),
        Closed,
        &[("refusal noise", 1)],
    ),
    row(
        "message 2 with a bit flipped in its static key",
        |s| dialed_with(s, |x| x.message_2 = |m| m[40] ^= 1),
        Closed,
        &[("refusal noise", 1)],
    ),
    row(
        "message 2 with a bit flipped in its extension",
        |s| dialed_with(s, |x| x.message_2 = |m| m[90] ^= 1),
        Closed,
        &[("refusal noise", 1)],
    ),
    row(
        "message 2 proves another key than the hello names",
        |s| {
            let accomplice = s.accomplice.public;
            dialed_with(s, |x| x.hello = hello(ACCOMPLICE, &accomplice))
        },
        Closed,
        &[("refusal key_mismatch", 1)],
    ),
    row(
        "message 2 with an extension that is no map",
        |s| dialed_with(s, |x| x.extension = vec![0xC1]),
        Closed,
        &[("refusal malformed", 1)],
    ),
    row(
        "a last verdict that refuses with escapes",
        |s| dialed_and_told(s, b"\x05\x05\x1b[2J\n"),
        Closed,
        &[("refusal refused_busy", 1)],
    ),
    row(
        "a last verdict that is none",
        |s| dialed_and_told(s, b"\0\0\0"),
        Closed,
        &[("refusal malformed", 1)],
    ),
    row(
        "a last verdict that does not open",
        |s| {
            let script = s.script(Role::Member);
            dialed(s, move |listener| {
                let mut link = script.accept(listener)?;
                let mut record = link.seal(&[0]);
                record[5] ^= 1;
                link.wire.send(&record);
                Ok(link.fate())
            })
        },
        Closed,
        &[("refusal noise", 1)],
    ),
];

#[test]
fn listeners() {
    run(LISTENERS);
}

// ---- records and frames ----

/// On a link that has started: these bytes in one record, and what comes of it.
fn with_frames(stage: &Stage, frames: &[&[u8]]) -> Result<Heard, Heard> {
    let mut link = stage.client()?;
    link.send(&frames.concat());
    Ok(link.pulse())
}

/// On a link that has not started: these frames, each in a record of its own.
fn instead_of_start(stage: &Stage, frames: &[&[u8]]) -> Result<Heard, Heard> {
    let mut link = stage.script(Role::Client).dial(stage.address)?;
    for frame in frames {
        link.send(frame);
    }
    Ok(link.pulse())
}

fn add(stage: &Stage) -> Vec<u8> {
    message(stage.counter.pid(), 0, None, b"\x01")
}

fn total(stage: &Stage) -> u64 {
    stage.runtime.block_on(stage.counter.ask(Counter::Get)).expect("the counter lives")
}

/// Runs an attack, and complains if the counter was reached.
fn undelivered(
    stage: &Stage,
    attack: impl FnOnce(&mut EvilLink) -> Result<Heard, Heard>,
) -> Result<Heard, Heard> {
    let before = total(stage);
    let heard = attack(&mut stage.client()?)?;
    let after = total(stage);
    if before == after { Ok(heard) } else { Ok(Heard::Odd(format!("{heard}, and {after} after {before}"))) }
}

const RECORDS: &[Row] = &[
    row(
        "a record of garbage",
        |s| {
            undelivered(s, |link| {
                link.wire.send(&[&[0, 100][..], &[0x5A; 100]].concat());
                Ok(link.fate())
            })
        },
        Closed,
        &[("violation record_not_authentic", 1)],
    ),
    row(
        "a flipped record, then a good one",
        |s| {
            undelivered(s, |link| {
                let mut record = link.seal(&add(s));
                record[10] ^= 1;
                let good = link.seal(&add(s));
                link.wire.send(&[record, good].concat());
                Ok(link.fate())
            })
        },
        Closed,
        &[("violation record_not_authentic", 1)],
    ),
    row(
        "a record twice",
        |s| {
            let before = total(s);
            let mut link = s.client()?;
            let record = link.seal(&add(s));
            link.wire.send(&[&record[..], &record].concat());
            let heard = link.fate();
            match total(s) - before {
                1 => Ok(heard),
                times => Ok(Heard::Odd(format!("{heard}, and delivered {times} times"))),
            }
        },
        Closed,
        &[("violation record_not_authentic", 1)],
    ),
    row(
        "two records swapped",
        |s| {
            undelivered(s, |link| {
                let (first, second) = (link.seal(&add(s)), link.seal(&add(s)));
                link.wire.send(&[second, first].concat());
                Ok(link.fate())
            })
        },
        Closed,
        &[("violation record_not_authentic", 1)],
    ),
    row(
        "a record left out",
        |s| {
            undelivered(s, |link| {
                link.seal(&add(s));
                link.send(&add(s));
                Ok(link.fate())
            })
        },
        Closed,
        &[("violation record_not_authentic", 1)],
    ),
    row(
        "a record in plaintext",
        |s| {
            undelivered(s, |link| {
                let frame = add(s);
                link.wire.send(&[&(frame.len() as u16).to_be_bytes()[..], &frame].concat());
                Ok(link.fate())
            })
        },
        Closed,
        &[("violation record_not_authentic", 1)],
    ),
    row(
        "a record of length 0",
        |s| {
            undelivered(s, |link| {
                link.wire.send(&[0, 0]);
                Ok(link.fate())
            })
        },
        Closed,
        &[("violation record_truncated", 1)],
    ),
    row(
        "a record shorter than its tag",
        |s| {
            undelivered(s, |link| {
                link.wire.send(&[&[0, 15][..], &[0; 15]].concat());
                Ok(link.fate())
            })
        },
        Closed,
        &[("violation record_truncated", 1)],
    ),
    row("a record that holds nothing", |s| with_frames(s, &[]), Alive, &[]),
    row(
        "a record cut off by the end of the stream",
        |s| {
            undelivered(s, |link| {
                let record = link.seal(&add(s));
                link.wire.send(&record[..record.len() - 1]);
                link.wire.finish();
                Ok(link.fate())
            })
        },
        Closed,
        &[],
    ),
    row("a frame without a start", |s| instead_of_start(s, &[]), Closed, &[("violation no_start", 1)]),
    row(
        "a second start",
        |s| with_frames(s, &[&number(FrameKind::Start, 1)]),
        Closed,
        &[("violation second_start", 1)],
    ),
    row(
        "a start with a gap",
        |s| instead_of_start(s, &[&number(FrameKind::Start, 2)]),
        Closed,
        &[("violation gap", 1)],
    ),
    row(
        "a start at the end of all numbers",
        |s| instead_of_start(s, &[&number(FrameKind::Start, u64::MAX)]),
        Closed,
        &[("violation gap", 1)],
    ),
    row(
        "a start at 0",
        |s| instead_of_start(s, &[&number(FrameKind::Start, 0)]),
        Closed,
        &[("violation gap", 1)],
    ),
    row(
        "a start without its number",
        |s| instead_of_start(s, &[&frame(FrameKind::Start, 0, &[0; 7])]),
        Closed,
        &[("violation undecodable", 1)],
    ),
    row(
        "an acknowledgement of frames never sent",
        |s| with_frames(s, &[&number(FrameKind::Ack, 1_000_000)]),
        Closed,
        &[("violation never_sent", 1)],
    ),
    row(
        "an acknowledgement of everything",
        |s| with_frames(s, &[&number(FrameKind::Ack, u64::MAX)]),
        Closed,
        &[("violation never_sent", 1)],
    ),
    row(
        "a frame of 4 GiB, says its header",
        |s| {
            undelivered(s, |link| {
                link.send(&[raw_frame(1, 0, u32::MAX, &[0; 20]), add(s)].concat());
                Ok(link.fate())
            })
        },
        Closed,
        &[("violation undecodable", 1)],
    ),
    row(
        "a frame cut by the record's end",
        |s| with_frames(s, &[&raw_frame(1, 0, 21, &[0; 20])]),
        Closed,
        &[("violation undecodable", 1)],
    ),
    row(
        "a frame's header cut by the record's end",
        |s| with_frames(s, &[&[1, 1, 0, 0, 0]]),
        Closed,
        &[("violation undecodable", 1)],
    ),
    row(
        "a message shorter than its fields",
        |s| with_frames(s, &[&raw_frame(1, 0, 19, &[0; 19])]),
        Closed,
        &[("violation undecodable", 1)],
    ),
    row(
        "a question shorter than its fields",
        |s| with_frames(s, &[&raw_frame(1, flags::REPLY, 27, &[0; 27])]),
        Closed,
        &[("violation undecodable", 1)],
    ),
    row(
        "a reply shorter than its fields",
        |s| with_frames(s, &[&raw_frame(2, 0, 8, &[0; 8])]),
        Closed,
        &[("violation undecodable", 1)],
    ),
    row(
        "a frame of an unknown kind",
        |s| with_frames(s, &[&raw_frame(0x7F, 0, 3, b"abc"), &raw_frame(0xF0, 0, 0, b"")]),
        Alive,
        &[("unknown_skipped", 2)],
    ),
    row(
        "a flag that must be understood and is not",
        |s| {
            undelivered(s, |link| {
                let mut frame = add(s);
                frame[3] |= 0x80;
                link.send(&frame);
                Ok(link.pulse())
            })
        },
        Alive,
        &[("unknown_skipped", 1)],
    ),
    row(
        "a goodbye, and more",
        |s| {
            undelivered(s, |link| {
                let goodbye = frame(FrameKind::Goodbye, 0, b"\x1b[31m\nbye");
                link.send(&[goodbye, add(s)].concat());
                link.send(&add(s));
                Ok(link.fate())
            })
        },
        Closed,
        &[],
    ),
    row(
        "a reply to a question that was never asked",
        |s| with_frames(s, &[&reply(7, 0, b"\xc0"), &reply(u64::MAX, 200, b"\xff")]),
        Alive,
        &[("replies_unexpected", 2)],
    ),
    // Fragments.
    row(
        "a fragment with a gap",
        |s| with_frames(s, &[&fragment(1, 100, 0, &[0; 10]), &fragment(1, 100, 11, &[0; 10])]),
        Closed,
        &[("violation out_of_order", 1)],
    ),
    row(
        "fragments that overlap",
        |s| with_frames(s, &[&fragment(1, 100, 0, &[0; 10]), &fragment(1, 100, 9, &[0; 10])]),
        Closed,
        &[("violation out_of_order", 1)],
    ),
    row(
        "a fragment from the middle",
        |s| with_frames(s, &[&fragment(1, 100, 50, &[0; 10])]),
        Closed,
        &[("violation out_of_order", 1)],
    ),
    row(
        "a total that changes",
        |s| with_frames(s, &[&fragment(1, 100, 0, &[0; 10]), &fragment(1, 90, 10, &[0; 10])]),
        Closed,
        &[("violation out_of_order", 1)],
    ),
    row(
        "a fragment beyond its total",
        |s| with_frames(s, &[&fragment(1, 9, 0, &[0; 10])]),
        Closed,
        &[("violation undecodable", 1)],
    ),
    row(
        "a fragment at the end of all numbers",
        |s| with_frames(s, &[&fragment(1, u32::MAX, u32::MAX, &[0; 10])]),
        Closed,
        &[("violation undecodable", 1)],
    ),
    row(
        "an empty fragment",
        |s| with_frames(s, &[&fragment(1, 9, 0, &[])]),
        Closed,
        &[("violation undecodable", 1)],
    ),
    row(
        "a fragmented frame of 4 GiB",
        |s| with_frames(s, &[&fragment(1, u32::MAX, 0, &[0; 10])]),
        Alive,
        &[("messages_refused", 1)],
    ),
    row(
        "a fragment inside a fragment",
        |s| {
            let mut inner = Vec::new();
            FragmentHead { id: 9, total: 4, offset: 0 }.write(&mut inner, 1, b"abcd");
            with_frames(s, &[&fragment(1, inner.len() as u32, 0, &inner)])
        },
        Closed,
        &[("violation nested", 1)],
    ),
    row(
        "a control message inside a fragment",
        |s| {
            let inner = control(&Control::Kill { target: s.counter.pid() });
            with_frames(s, &[&fragment(1, inner.len() as u32, 0, &inner)])
        },
        Closed,
        &[("violation nested", 1)],
    ),
    row(
        "a fragmented frame shorter than its header says",
        |s| {
            let inner = raw_frame(1, 0, 1000, &[0; 20]);
            with_frames(s, &[&fragment(1, inner.len() as u32, 0, &inner)])
        },
        Closed,
        &[("violation undecodable", 1)],
    ),
    row(
        "65 frames that stay incomplete",
        |s| {
            let parts: Vec<_> = (0..65).map(|id| fragment(id, 100, 0, &[0; 10])).collect();
            with_frames(s, &[&parts.concat()])
        },
        Closed,
        &[("violation over_budget", 1)],
    ),
    row(
        "a fragment that is never finished, and silence",
        |s| {
            let mut link = s.client()?;
            let begun = Instant::now();
            link.send(&fragment(1, 100, 0, &[0; 10]));
            let heard = link.fate();
            expect_within(begun, 4..=12, heard)
        },
        Closed,
        &[],
    ),
];

#[test]
fn records_and_frames() {
    run(RECORDS);
}

// ---- messages and control ----

/// Takes no messages from outside.
struct Private;

impl Actor for Private {
    type Message = ();

    async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
        Outcome::Continue
    }
}

/// Asks, and gives the status of the reply as what was heard, if it is the expected one.
fn asked(stage: &Stage, target: Pid, msg_type: i32, payload: &[u8], status: u8) -> Result<Heard, Heard> {
    let mut link = stage.client()?;
    link.send(&message(target, msg_type, Some(77), payload));
    let (head, _) = link.read_reply()?;
    if (head.reference, head.status) != (77, status) {
        return Ok(Heard::Odd(format!("the answer is {head:?}, expected status {status}")));
    }
    Ok(link.pulse())
}

fn told(stage: &Stage, target: Pid, msg_type: i32, payload: &[u8]) -> Result<Heard, Heard> {
    with_frames(stage, &[&message(target, msg_type, None, payload)])
}

/// These bytes as a control message.
fn with_control(stage: &Stage, body: &[u8]) -> Result<Heard, Heard> {
    with_frames(stage, &[&frame(FrameKind::Control, 0, body)])
}

fn update(node: u16, incarnation: u64) -> MemberUpdate {
    MemberUpdate {
        node: NodeId::from_raw(node),
        incarnation: Incarnation(incarnation),
        refutation: 0,
        state: MemberState::Alive,
        address: String::new(),
        suspectors: Vec::new(),
    }
}

/// A member that says this about members.
fn gossiped(stage: &Stage, update: MemberUpdate) -> Result<Heard, Heard> {
    let mut link = stage.member()?;
    link.send(&control(&Control::Membership(MembershipMessage::Gossip { updates: vec![update] })));
    let heard = link.pulse();
    link.send(&frame(FrameKind::Goodbye, 0, b"done"));
    Ok(heard)
}

const GET: i32 = 1;
/// A reply address that is the frame's own.
const NIL: &[u8] = b"\xc0";

const MESSAGES: &[Row] = &[
    row(
        "a message for another node's actor",
        |s| told(s, Pid::new(NodeId::from_raw(GOOD), 5), 0, b"\x01"),
        Alive,
        &[("messages_refused", 1)],
    ),
    row(
        "a message for node 0",
        |s| told(s, Pid::new(NodeId::LOCAL, s.counter.pid().serial()), 0, b"\x01"),
        Alive,
        &[("messages_refused", 1)],
    ),
    row(
        "a message for nobody",
        |s| told(s, Pid::new(NodeId::from_raw(TARGET), 0xFFFF_FFFF), 0, b"\x01"),
        Alive,
        &[("messages_refused", 1)],
    ),
    row(
        "a message that cannot be read",
        |s| told(s, s.counter.pid(), 0, b"\xc1"),
        Alive,
        &[("messages_refused", 1)],
    ),
    row(
        "a message of no known type",
        |s| told(s, s.counter.pid(), i32::MIN, b"\x01"),
        Alive,
        &[("messages_refused", 1)],
    ),
    row(
        "a message with bytes after it",
        |s| told(s, s.counter.pid(), 0, b"\x01\x01"),
        Alive,
        &[("messages_refused", 1)],
    ),
    row(
        "a message with a count of 2^32 - 1",
        |s| told(s, s.counter.pid(), 0, b"\xdd\xff\xff\xff\xff"),
        Alive,
        &[("messages_refused", 1)],
    ),
    row(
        "a message of 1,000,000 nested arrays",
        |s| {
            let mut whole = Vec::new();
            hew_wire::frame::MessageHead {
                target: s.counter.pid(),
                source: Pid::from_raw(0),
                msg_type: 0,
                reply: None,
            }
            .write(&mut whole, 1, &vec![0x91; 1_000_000]);
            let mut link = s.client()?;
            let mut offset = 0;
            for part in whole.chunks(60_000) {
                link.send(&fragment(3, whole.len() as u32, offset, part));
                offset += part.len() as u32;
            }
            Ok(link.pulse())
        },
        Alive,
        &[("messages_refused", 1)],
    ),
    row(
        "a question without a place for the answer",
        |s| told(s, s.counter.pid(), GET, NIL),
        Alive,
        &[("messages_refused", 1)],
    ),
    row("a good question", |s| asked(s, s.counter.pid(), GET, NIL, 0), Alive, &[]),
    row(
        "a question for another node's actor",
        |s| asked(s, Pid::new(NodeId::from_raw(GOOD), 5), GET, NIL, 20),
        Alive,
        &[("messages_refused", 1)],
    ),
    row(
        "a question for nobody",
        |s| asked(s, Pid::new(NodeId::from_raw(TARGET), 0xFFFF_FFFF), GET, NIL, 20),
        Alive,
        &[("messages_refused", 1)],
    ),
    row(
        "a question that cannot be read",
        |s| asked(s, s.counter.pid(), GET, b"\xc1", 5),
        Alive,
        &[("messages_refused", 1)],
    ),
    row(
        "a question for an actor that takes nothing from outside",
        |s| asked(s, s.target.system().spawn(Private).pid(), 0, NIL, 4),
        Alive,
        &[("messages_refused", 1)],
    ),
    row(
        "a question whose answer goes to node 0",
        |s| asked(s, s.counter.pid(), GET, b"\x92\x00\x07", 5),
        Alive,
        &[("messages_refused", 1)],
    ),
    // Control.
    row("control: garbage", |s| with_control(s, b"\xc1\xc1\xc1"), Closed, &[("violation undecodable", 1)]),
    row("control: nothing", |s| with_control(s, b""), Closed, &[("violation undecodable", 1)]),
    row(
        "control: not a map",
        |s| with_control(s, b"\x93\x01\x02\x03"),
        Closed,
        &[("violation undecodable", 1)],
    ),
    row(
        "control: a tag of a later version",
        |s| with_control(s, b"\x81\xa6\x1b[31mx\xc0"),
        Alive,
        &[("unknown_skipped", 1)],
    ),
    row(
        "control: 40,000 nested arrays",
        |s| with_control(s, &[&b"\x81\xa6member"[..], &[0x91; 40_000], NIL].concat()),
        Closed,
        &[("violation undecodable", 1)],
    ),
    row(
        "control: too long",
        |s| with_control(s, &[&b"\x81\xa6member\xc6\x00\x00\xd0\x00"[..], &[0; 0xD000]].concat()),
        Closed,
        &[("violation undecodable", 1)],
    ),
    row(
        "control: a count of 2^32 - 1",
        |s| with_control(s, b"\x81\xa6member\xdd\xff\xff\xff\xff"),
        Closed,
        &[("violation undecodable", 1)],
    ),
    row(
        "control: 1000 updates",
        |s| {
            let body = [
                &b"\x81\xa6member\x81\xa6gossip\x81\xa1u\xdc\x03\xe8"[..],
                &b"\x82\xa1n\x05\xa1i\x01".repeat(1000),
            ]
            .concat();
            with_control(s, &body)
        },
        Closed,
        &[("violation undecodable", 1)],
    ),
    row(
        "a monitor for another node's actor",
        |s| {
            let mut link = s.client()?;
            link.send(&control(&Control::Monitor {
                reference: 9,
                target: Pid::new(NodeId::from_raw(GOOD), 5),
            }));
            let down = link.read_control(|control| match control {
                Control::Down { reference, reason } => Some((reference, reason)),
                _ => None,
            })?;
            if down != (9, ExitReason::NoProcess) {
                return Ok(Heard::Odd(format!("down: {down:?}")));
            }
            Ok(link.pulse())
        },
        Alive,
        &[("control foreign_monitor", 1)],
    ),
    row(
        "a down for a monitor that was never made",
        |s| {
            with_frames(
                s,
                &[&control(&Control::Down { reference: 1, reason: ExitReason::crashed("\x1b[31m\n") })],
            )
        },
        Alive,
        &[("control unexpected_down", 1)],
    ),
    row(
        "a link between two others",
        |s| {
            with_frames(
                s,
                &[&control(&Control::Link {
                    from: Pid::new(NodeId::from_raw(GOOD), 5),
                    to: s.counter.pid(),
                })],
            )
        },
        Alive,
        &[("control foreign_link", 1)],
    ),
    row(
        "an exit in another's name",
        |s| {
            with_frames(
                s,
                &[&control(&Control::Exit {
                    from: Pid::new(NodeId::from_raw(GOOD), 5),
                    to: s.counter.pid(),
                    reason: ExitReason::Killed,
                })],
            )
        },
        Alive,
        &[("control foreign_link", 1)],
    ),
    row(
        "an exit to an actor that is not linked",
        |s| {
            let from = Pid::new(NodeId::from_raw(EVIL), 5);
            let heard = with_frames(
                s,
                &[&control(&Control::Exit { from, to: s.counter.pid(), reason: ExitReason::Killed })],
            );
            total(s);
            heard
        },
        Alive,
        &[],
    ),
    row(
        "a kill for the node's own service",
        |s| {
            with_frames(
                s,
                &[&control(&Control::Kill { target: Pid::new(NodeId::from_raw(TARGET), SERVICE_SERIAL) })],
            )
        },
        Alive,
        &[("control service_is_not_stopped", 1)],
    ),
    row(
        "membership from a client",
        |s| {
            with_frames(
                s,
                &[&control(&Control::Membership(MembershipMessage::Ping { seq: 1, updates: vec![] }))],
            )
        },
        Alive,
        &[("control unknown_sender", 1)],
    ),
    row("membership: about node 0", |s| gossiped(s, update(0, 5)), Alive, &[("control invalid_update", 1)]),
    row(
        "membership: an incarnation at the end of all numbers",
        |s| gossiped(s, update(GOOD, u64::MAX)),
        Alive,
        &[("control invalid_update", 1)],
    ),
    row(
        "membership: a refutation at the end of all numbers, of a node that nobody has",
        |s| gossiped(s, MemberUpdate { refutation: u32::MAX, state: MemberState::Dead, ..update(900, 5) }),
        Alive,
        &[],
    ),
    row(
        "membership: a join as another",
        |s| {
            let mut link = s.member()?;
            link.send(&control(&Control::Membership(MembershipMessage::Join { member: update(GOOD, 5) })));
            Ok(link.pulse())
        },
        Alive,
        &[("control invalid_update", 1)],
    ),
    row(
        "registry: a page with another's actor",
        |s| {
            let put = Put {
                seq: 1,
                name: Name::new("stolen").expect("a name"),
                pid: s.counter.pid(),
                stamp: 1,
                priority: 255,
            };
            let incarnation = s.next_incarnation();
            let page = Page {
                owner: NodeId::from_raw(EVIL),
                incarnation: Incarnation(incarnation),
                scan: None,
                after: 0,
                upto: 1,
                head: 1,
                answer: None,
                end: false,
                forward: true,
                puts: vec![put],
                deletes: vec![],
            };
            let words = extension(Role::Member, incarnation);
            let mut link = Script::new(EVIL, &s.key, &words).dial(s.address)?;
            link.start().send(&control(&Control::Registry(RegistryMessage::Page(page))));
            let heard = link.pulse();
            match s.target.whereis("stolen") {
                None => Ok(heard),
                Some(pid) => Ok(Heard::Odd(format!("{heard}, and the name means {pid}"))),
            }
        },
        Alive,
        &[("control registry", 1)],
    ),
];

#[test]
fn messages_and_control() {
    run(MESSAGES);
}

// ---- more than one connection ----

/// The session that the node says it still has.
fn session_of(handshake: &Halfway) -> u64 {
    handshake.theirs.as_ref().map_or(0, |theirs| theirs.session)
}

const TOGETHER: &[Row] = &[
    row("a question that is none", |s| asked(s, s.counter.pid(), 0, b"\x01", 2), Alive, &[]),
    row(
        "a session that ends while it is being continued",
        |s| {
            let incarnation = s.next_incarnation();
            let words = extension(Role::Client, incarnation);
            let mut first = Script::new(EVIL, &s.key, &words).dial(s.address)?;
            let alive = first.start().pulse();
            if alive != Heard::Alive {
                return Ok(alive);
            }
            let probe = Script::new(EVIL, &s.key, &words).begin(s.address)?;
            let session = session_of(&probe);
            let mut again = extension(Role::Client, incarnation);
            (again.session, again.received) = (session, 0);
            let continued = Script::new(EVIL, &s.key, &again).begin(s.address)?;
            // A client that says goodbye has ended its session.
            first.send(&frame(FrameKind::Goodbye, 0, b"done"));
            first.fate();
            drop(probe);
            std::thread::sleep(Duration::from_millis(200));
            let _continued = continued.send_message_3().finish().map(|mut link| link.start().pulse());
            let after = Script::new(EVIL, &s.key, &words).begin(s.address)?;
            if session != 0 && session_of(&after) == session {
                return Ok(Heard::Odd("a session that had ended goes on, and counts from 1 again".into()));
            }
            Ok(Heard::Alive)
        },
        Alive,
        &[("refusal attach", 1), ("refusal closed", 2)],
    ),
    row(
        "bytes that never become a record, one every half second",
        |s| {
            let mut link = s.client()?;
            let begun = Instant::now();
            link.wire.send(&[0xFF, 0xFF]);
            while begun.elapsed() < Duration::from_secs(14) && link.wire.try_send(&[0]) {
                std::thread::sleep(Duration::from_millis(500));
            }
            let heard = link.fate();
            expect_within(begun, 4..=12, heard)
        },
        Closed,
        &[],
    ),
    row(
        "a lie about the healthy node: suspected beyond refutation",
        |s| {
            let suspect = MemberUpdate {
                refutation: u32::MAX,
                state: MemberState::Suspect,
                suspectors: vec![NodeId::from_raw(EVIL)],
                ..update(GOOD, s.good.incarnation().0)
            };
            let heard = gossiped(s, suspect);
            // Longer than any suspicion lasts.
            std::thread::sleep(Duration::from_secs(20));
            heard
        },
        Alive,
        &[("control invalid_update", 1)],
    ),
    row(
        "256 half-open connections that have said a byte, and one that needs a moment",
        |s| {
            let talkers: Vec<Wire> = (0..256)
                .map(|_| {
                    let mut wire = Wire::connect(s.address);
                    wire.send(b"H");
                    wire
                })
                .collect();
            std::thread::sleep(Duration::from_millis(500));
            let mut honest = Wire::connect(s.address);
            std::thread::sleep(Duration::from_millis(300));
            let mut one_more = Wire::connect(s.address);
            one_more.send(b"H");
            std::thread::sleep(Duration::from_millis(300));
            honest.send(&hello(EVIL, &s.key.public));
            let heard = honest.read_hello();
            drop(talkers);
            heard?;
            Ok(Heard::Alive)
        },
        Alive,
        &[("refusal closed", 256), ("refusal half_open_evicted", 2)],
    ),
];

/// Runs the row of that name on a stage of its own.
fn run_alone(name: &str) {
    let row = TOGETHER.iter().find(|row| row.name == name).expect("a row of that name");
    run(std::slice::from_ref(row));
}

#[test]
fn a_question_that_is_none_is_answered() {
    run_alone("a question that is none");
}

#[test]
fn a_session_that_has_ended_is_not_continued() {
    run_alone("a session that ends while it is being continued");
}

#[test]
fn bytes_of_no_record_are_no_sign_of_life() {
    run_alone("bytes that never become a record, one every half second");
}

#[test]
fn talkers_do_not_crowd_out_whoever_needs_a_moment() {
    run_alone("256 half-open connections that have said a byte, and one that needs a moment");
}

#[test]
fn a_lie_beyond_refutation_does_not_end_a_living_link() {
    run_alone("a lie about the healthy node: suspected beyond refutation");
}

#[test]
fn a_flood_that_never_pauses_delays_others_little() {
    let stage = Stage::set();
    let mut link = stage.client().expect("a link");
    let frames = message(Pid::new(NodeId::from_raw(TARGET), 0xFFFF_FFFF), 0, None, b"").repeat(2000);
    let begun = Instant::now();
    let rounds = stage.answered();
    let mut open = true;
    while open && begun.elapsed() < Duration::from_secs(6) {
        let records: Vec<u8> = (0..32).flat_map(|_| link.seal(&frames)).collect();
        open = link.wire.try_send(&records);
    }
    let rounds = stage.answered() - rounds;
    let refused = stage.target.stats().messages_refused;
    println!("{rounds} questions of the good nodes answered beside {refused} messages of the flood");
    drop(link);
    assert_eq!(stage.complaints(), Vec::<String>::new());
    assert!(rounds >= 60, "only {rounds} answers in 6 s");
    stage.strike();
}

#[test]
fn the_table_is_long_enough() {
    let tables = [HELLOS, HANDSHAKES, LISTENERS, RECORDS, MESSAGES, TOGETHER];
    let mut names: Vec<_> = tables.iter().flat_map(|rows| rows.iter().map(|row| row.name)).collect();
    let rows = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows, "two rows have one name");
    assert!(rows >= 120, "{rows} rows");
}

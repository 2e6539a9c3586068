//! An evil listener that the node dials.

use super::*;

/// Has the node dial an evil listener; what the node says of it. The listener's side is `play`.
pub(crate) fn dialed(
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

pub(crate) fn dialed_with(stage: &Stage, change: impl FnOnce(&mut Script)) -> Result<Heard, Heard> {
    let mut script = stage.script(Role::Member);
    change(&mut script);
    dialed(stage, move |listener| script.accept(listener).map(|mut link| link.fate()))
}

/// A listener that goes through the handshake and answers the node's message 3 with this verdict.
pub(crate) fn dialed_and_told(stage: &Stage, verdict: &'static [u8]) -> Result<Heard, Heard> {
    let script = stage.script(Role::Member);
    dialed(stage, move |listener| {
        let mut link = script.accept(listener)?;
        link.send(verdict);
        Ok(link.fate())
    })
}

pub(crate) const LISTENERS: &[Row] = &[
    row(
        "a listener of another protocol",
        |s| {
            dialed(s, |listener| {
                let mut wire = Wire::accept(listener);
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
                let mut wire = Wire::accept(listener);
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
                    let mut wire = Wire::accept(listener);
                    wire.send(&[&[0][..], &hello].concat());
                    wire.read_exact::<48>()?;
                    let [status] = wire.read_exact::<1>()?;
                    Ok(wire.read_reason(status, false))
                }
            })
        },
        Verdict(3),
        &[("refusal own_node_id", 1)],
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
                let mut wire = Wire::accept(listener);
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
        "a listener's hello changed on the way, in a flag that nobody has to know",
        |s| dialed_with(s, |x| x.flipped = Some(15 * 8 + 6)),
        Closed,
        &[("refusal noise_message_2", 1)],
    ),
    row(
        "message 2 empty",
        |s| dialed_with(s, |x| x.message_2 = |m| *m = vec![0, 0]),
        Closed,
        &[("refusal noise_message_2", 1)],
    ),
    row(
        "message 2 of 65535 bytes",
        |s| dialed_with(s, |x| x.message_2 = |m| m[..2].fill(0xFF)),
        Closed,
        &[("refusal oversized_message_2", 1)],
    ),
    row(
        "message 2 with a bit flipped in its ephemeral key",
        |s| dialed_with(s, |x| x.message_2 = |m| m[4] ^= 1),
        Closed,
        &[("refusal noise_message_2", 1)],
    ),
    row(
        "message 2 with a bit flipped in its static key",
        |s| dialed_with(s, |x| x.message_2 = |m| m[40] ^= 1),
        Closed,
        &[("refusal noise_message_2", 1)],
    ),
    row(
        "message 2 with a bit flipped in its extension",
        |s| dialed_with(s, |x| x.message_2 = |m| m[90] ^= 1),
        Closed,
        &[("refusal noise_message_2", 1)],
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
        &[("refusal malformed_message_2", 1)],
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
        &[("refusal malformed_verdict", 1)],
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
        &[("refusal noise_verdict", 1)],
    ),
];

#[test]
fn listeners() {
    run(LISTENERS);
}

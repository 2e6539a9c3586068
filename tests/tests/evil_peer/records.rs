//! Records and frames of a link that is up.

use super::*;

/// On a link that has started: these bytes in one record, and what comes of it.
pub(crate) fn with_frames(stage: &Stage, frames: &[&[u8]]) -> Result<Heard, Heard> {
    let mut link = stage.client()?;
    link.send(&frames.concat());
    Ok(link.pulse())
}

/// On a link that has not started: these frames, each in a record of its own.
pub(crate) fn instead_of_start(stage: &Stage, frames: &[&[u8]]) -> Result<Heard, Heard> {
    let mut link = stage.script(Role::Client).dial(stage.address)?;
    for frame in frames {
        link.send(frame);
    }
    Ok(link.pulse())
}

pub(crate) fn add(stage: &Stage) -> Vec<u8> {
    message(stage.counter.pid(), 0, None, b"\x01")
}

pub(crate) fn total(stage: &Stage) -> u64 {
    stage.runtime.block_on(stage.counter.ask(Counter::Get)).expect("the counter lives")
}

/// Runs an attack, and complains if the counter was reached.
pub(crate) fn undelivered(
    stage: &Stage,
    attack: impl FnOnce(&mut EvilLink) -> Result<Heard, Heard>,
) -> Result<Heard, Heard> {
    let before = total(stage);
    let heard = attack(&mut stage.client()?)?;
    let after = total(stage);
    if before == after { Ok(heard) } else { Ok(Heard::Odd(format!("{heard}, and {after} after {before}"))) }
}

pub(crate) const RECORDS: &[Row] = &[
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
    row(
        "the stream cut after each of the first 21 records",
        |s| {
            for records in 0..=20 {
                let before = total(s);
                let mut link = s.client()?;
                for _ in 0..records {
                    link.send(&add(s));
                }
                link.wire.finish();
                let heard = link.fate();
                let after = total(s);
                if (&heard, after - before) != (&Heard::Closed, records) {
                    return Ok(Heard::Odd(format!("{heard}, and {after} after {before} and {records}")));
                }
            }
            Ok(Heard::Closed)
        },
        Closed,
        &[("end truncated", 21)],
    ),
    row(
        "65,536 records, and then one under the same keys",
        |s| {
            let mut link = s.client()?;
            // The start was the first.
            for _ in 0..31 {
                let records: Vec<u8> = (0..2114).flat_map(|_| link.seal(&[])).collect();
                link.wire.send(&records);
            }
            let alive = link.pulse();
            if alive != Heard::Alive {
                return Ok(alive);
            }
            link.send(&add(s));
            Ok(link.fate())
        },
        Closed,
        &[("violation record_not_authentic", 1)],
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
        &[("end truncated", 1)],
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
        &[("violation truncated", 1)],
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
        &[("violation truncated", 1)],
    ),
    row(
        "a frame cut by the record's end",
        |s| with_frames(s, &[&raw_frame(1, 0, 21, &[0; 20])]),
        Closed,
        &[("violation truncated", 1)],
    ),
    row(
        "a frame's header cut by the record's end",
        |s| with_frames(s, &[&[1, 1, 0, 0, 0]]),
        Closed,
        &[("violation truncated", 1)],
    ),
    row(
        "a message shorter than its fields",
        |s| with_frames(s, &[&raw_frame(1, 0, 19, &[0; 19])]),
        Closed,
        &[("violation truncated", 1)],
    ),
    row(
        "a question shorter than its fields",
        |s| with_frames(s, &[&raw_frame(1, flags::REPLY, 27, &[0; 27])]),
        Closed,
        &[("violation truncated", 1)],
    ),
    row(
        "a reply shorter than its fields",
        |s| with_frames(s, &[&raw_frame(2, 0, 8, &[0; 8])]),
        Closed,
        &[("violation truncated", 1)],
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
        &[("end goodbye", 1)],
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
        &[("violation fragment_gap", 1)],
    ),
    row(
        "fragments that overlap",
        |s| with_frames(s, &[&fragment(1, 100, 0, &[0; 10]), &fragment(1, 100, 9, &[0; 10])]),
        Closed,
        &[("violation fragment_overlap", 1)],
    ),
    row(
        "a fragment from the middle",
        |s| with_frames(s, &[&fragment(1, 100, 50, &[0; 10])]),
        Closed,
        &[("violation fragment_gap", 1)],
    ),
    row(
        "a total that changes",
        |s| with_frames(s, &[&fragment(1, 100, 0, &[0; 10]), &fragment(1, 90, 10, &[0; 10])]),
        Closed,
        &[("violation fragment_total", 1)],
    ),
    row(
        "a fragment beyond its total",
        |s| with_frames(s, &[&fragment(1, 9, 0, &[0; 10])]),
        Closed,
        &[("violation invalid", 1)],
    ),
    row(
        "a fragment at the end of all numbers",
        |s| with_frames(s, &[&fragment(1, u32::MAX, u32::MAX, &[0; 10])]),
        Closed,
        &[("violation invalid", 1)],
    ),
    row(
        "an empty fragment",
        |s| with_frames(s, &[&fragment(1, 9, 0, &[])]),
        Closed,
        &[("violation invalid", 1)],
    ),
    row(
        "a fragmented frame of 4 GiB",
        |s| with_frames(s, &[&fragment(1, u32::MAX, 0, &[0; 10])]),
        Alive,
        &[("message too_large", 1)],
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
        &[("violation truncated", 1)],
    ),
    row(
        "65 frames that stay incomplete",
        |s| {
            let parts: Vec<_> = (0..65).map(|id| fragment(id, 100, 0, &[0; 10])).collect();
            with_frames(s, &[&parts.concat()])
        },
        Closed,
        &[("violation too_many_incomplete", 1)],
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
        &[("end silence", 1)],
    ),
];

#[test]
fn records_and_frames() {
    run(RECORDS);
}

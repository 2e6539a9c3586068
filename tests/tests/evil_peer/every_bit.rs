//! Each bit of each hello, and each bit and byte of a record, changed on the way: nothing comes through.

use super::*;
use crate::listeners::dialed;
use crate::records::{add, total};
use hew_wire::frame::FRAME_HEADER_BYTES;

const BITS: usize = hew_wire::HELLO_BYTES * 8;

/// Attempts a handshake with each bit flipped. Each must be refused or closed, and counted once.
fn each_bit(attempt: fn(&Stage, usize) -> Result<Heard, Heard>) {
    let stage = Stage::set();
    let connections = stage.target.stats().connections;
    let refusals = || stage.target.stats().refusals.values().sum::<u64>();
    let before = refusals();
    for bit in 0..BITS {
        let heard = attempt(&stage, bit).unwrap_or_else(|heard| heard);
        assert!(matches!(heard, Heard::Refused { .. } | Heard::Closed), "bit {bit}: {heard}");
    }
    let counted = || refusals() - before == BITS as u64;
    assert!(stage.eventually(Duration::from_secs(10), counted), "{:?}", stage.target.stats().refusals);
    assert_eq!(stage.target.stats().connections, connections, "{:?}", stage.target.stats());
    assert_eq!(stage.complaints(), Vec::<String>::new());
    stage.strike();
}

#[test]
fn no_bit_of_a_dialers_hello_can_be_flipped_on_the_way() {
    each_bit(|stage, bit| {
        let mut script = stage.script(Role::Member);
        (script.flipped, script.bluff) = (Some(bit), true);
        Ok(script.dial(stage.address)?.start().pulse())
    });
}

#[test]
fn no_bit_of_a_listeners_hello_can_be_flipped_on_the_way() {
    each_bit(|stage, bit| {
        let mut script = stage.script(Role::Member);
        script.flipped = Some(bit);
        dialed(stage, move |listener| {
            let mut link = script.accept(listener)?;
            // Whoever comes so far is let in.
            link.send(&[0]);
            Ok(link.fate())
        })
    });
}

/// A record of 64 bytes behind its length, which would reach the counter, and a good one after it.
fn records(stage: &Stage, link: &mut EvilLink) -> (Vec<u8>, Vec<u8>) {
    let mut plain = add(stage);
    let rest = 64 - 16 - plain.len() - FRAME_HEADER_BYTES;
    plain.extend(frame(FrameKind::Heartbeat, 0, &vec![0; rest]));
    let record = link.seal(&plain);
    assert_eq!(record.len(), 2 + 64);
    (record, link.seal(&add(stage)))
}

/// Sends a good record behind what `changes` makes of a record, for each of so many; neither may reach the counter.
fn each_change(changes: usize, change: fn(&mut Vec<u8>, usize)) {
    let stage = Stage::set();
    let before = total(&stage);
    for number in 0..changes {
        let mut link = stage.client().expect("a link");
        let (mut record, good) = records(&stage, &mut link);
        change(&mut record, number);
        link.wire.send(&[record, good].concat());
        link.wire.finish();
        let heard = link.fate();
        assert_eq!(heard, Heard::Closed, "change {number}");
        assert_eq!(total(&stage), before, "change {number}");
    }
    assert_eq!(stage.complaints(), Vec::<String>::new());
    stage.strike();
}

#[test]
fn no_bit_of_a_record_can_be_flipped() {
    each_change(66 * 8, |record, bit| record[bit / 8] ^= 1 << (bit % 8));
}

#[test]
fn a_record_cannot_be_cut_at_any_byte() {
    // Cut at its very beginning, it is left out.
    each_change(66, Vec::truncate);
}

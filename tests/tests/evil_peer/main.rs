//! One table of attacks, each with what must come of it, against a real node over TCP.
//!
//! After every row the node still serves a healthy peer over the same connection as before, nothing has panicked, and
//! exactly the named counters have moved.

mod compression;
mod handshakes;
mod hellos;
mod listeners;
mod messages;
mod records;
mod together;

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

fn expect_within(
    begun: Instant,
    seconds: std::ops::RangeInclusive<u64>,
    heard: Heard,
) -> Result<Heard, Heard> {
    let took = begun.elapsed().as_secs();
    if seconds.contains(&took) { Ok(heard) } else { Ok(Heard::Odd(format!("{heard} after {took} s"))) }
}

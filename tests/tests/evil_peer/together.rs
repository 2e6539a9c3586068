//! What takes more than one connection, or a while: rows that run alone.

use super::*;
use crate::compression::COMPRESSION;
use crate::handshakes::HANDSHAKES;
use crate::hellos::HELLOS;
use crate::listeners::LISTENERS;
use crate::messages::*;
use crate::records::*;

/// The session that the node says it still has.
pub(crate) fn session_of(handshake: &Halfway) -> u64 {
    handshake.theirs.as_ref().map_or(0, |theirs| theirs.session)
}

pub(crate) const TOGETHER: &[Row] = &[
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
        &[("refusal session_ended", 1), ("refusal closed_message_3", 2)],
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
        &[("end silence", 1)],
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
        &[("refusal closed_hello", 256), ("refusal half_open_evicted", 2)],
    ),
];

/// Runs the row of that name on a stage of its own.
pub(crate) fn run_alone(name: &str) {
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
    let tables = [COMPRESSION, HELLOS, HANDSHAKES, LISTENERS, RECORDS, MESSAGES, TOGETHER];
    let mut names: Vec<_> = tables.iter().flat_map(|rows| rows.iter().map(|row| row.name)).collect();
    let rows = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows, "two rows have one name");
    assert!(rows >= 120, "{rows} rows");
}

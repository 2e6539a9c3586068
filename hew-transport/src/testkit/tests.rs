//! The kit runs for the three transports of this crate, and notices transports that break their promises.

mod faulty;

use super::*;
use crate::{Mem, Tcp};
use faulty::{Fault, Faulty};
use std::sync::atomic::{AtomicU16, Ordering};

/// A loopback address of its own for each setup, so that a port that a case gives back is not taken by another test.
fn loopback() -> Addr {
    static SETUPS: AtomicU16 = AtomicU16::new(0);
    let [a, b] = (std::process::id() as u16).to_be_bytes();
    let [.., c] = SETUPS.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    Addr::from(std::net::SocketAddr::from(([127, a | 1, b, c.wrapping_add(2)], 0)))
}

crate::conformance!(tcp, {
    let addr = loopback();
    Setup::new(Tcp::new(), move |_| addr.clone())
});

crate::conformance!(mem, Setup::new(Mem::new(), |n| Addr::mem(&format!("n{n}")).unwrap()));

crate::conformance!(unix, {
    let directory = tempfile::tempdir().unwrap();
    Setup::new(crate::Unix::new(), move |n| Addr::unix(directory.path().join(n.to_string())).unwrap())
});

/// Writes a test for each row: the kit notices the fault by the case, and says so in these words.
macro_rules! noticed {
    ($($name:ident: $fault:ident, $case:ident, $words:literal;)*) => {$(
        #[test]
        #[should_panic(expected = $words)]
        fn $name() {
            let addresses = |n| Addr::mem(&format!("n{n}")).unwrap();
            // What hangs because of the fault hangs long enough after a moment.
            let setup = Setup::new(Faulty::new(Fault::$fault), addresses).patience(Duration::from_millis(300));
            run(setup, cases::$case);
        }
    )*};
}

noticed! {
    changed_bytes: Changes, bytes_arrive_in_order, "other bytes arrive";
    lost_bytes: Loses, bytes_arrive_in_order, "other bytes arrive";
    skipped_buffers: SkipsBuffers, vectored_writes_of_many_buffers_keep_their_order, "the stream ends after 1000";
    lost_rests: LosesRests, reads_of_any_size_keep_the_rest, "other bytes arrive";
    a_shared_room: SharesRoom, a_full_direction_leaves_the_other_free, "waited 300ms";
    a_room_for_all: SharesRoom, a_connection_nobody_reads_holds_up_no_other, "waited 300ms";
    one_at_a_time: AcceptsOneAtATime, a_connection_nobody_reads_holds_up_no_other, "waited 300ms: accept";
    forgotten_writers: ForgetsWriters, both_directions_wait_and_go_on, "waited 300ms: write on";
    busy_waiting: Spins, waiting_costs_nothing, "a waiting read was polled";
    a_waker_kept: KeepsFirstWaker, the_last_waker_is_woken, "waited 300ms: read";
    writes_after_a_close: IgnoresClose, a_write_after_close_fails, "Ok(4)";
    halves_that_go_together: DropsTogether, dropping_the_reader_while_the_peer_writes_harms_nothing_else, "write: broken pipe";
    a_forgotten_failure: ForgetsFailure, a_writer_that_failed_stays_failed, "after a failure Ok(5)";
    a_half_that_leaks: Leaks, halves_may_be_dropped_in_either_order, "waited 300ms: read until it ends";
    addresses_of_other_schemes: TakesEveryScheme, other_schemes_are_unsupported, "this must fail";
    errors_of_the_wrong_kind: HidesRefusal, dialling_nobody_is_refused, "cannot connect";
    errors_of_the_wrong_kind_among_many: HidesRefusal, many_diallers_of_nobody_are_all_refused, "cannot connect";
    diallers_that_wait_for_ever: WaitsForListeners, many_diallers_of_nobody_are_all_refused, "waited 300ms: connect";
    diallers_that_must_speak_first: HearsAfterSpeaking, the_accepting_side_may_speak_first, "waited 300ms: read";
    connections_kept_pending: KeepsListeners, many_connections_nobody_accepted_all_end, "waited 300ms: read until it ends";
    an_address_kept: KeepsListeners, a_cancelled_accept_frees_the_address, "connect after the cancel: this must fail";
    threads_shut_out: OneThread, many_threads_dial_at_once, "waited 300ms: accept";
    listeners_mixed_up: ConnectsToFirst, listeners_do_not_mix, "a connection came to another listener";
    connections_that_fail_together: FailsTogether, a_connection_that_vanishes_harms_no_other, "connection reset";
}

/// The list in the macro, which is what runs, has every case.
#[test]
fn every_case_is_a_test() {
    let count = |source: &str| source.matches("\npub async fn ").count();
    let written = [
        include_str!("cases/bytes.rs"),
        include_str!("cases/cancel.rs"),
        include_str!("cases/connect.rs"),
        include_str!("cases/end.rs"),
        include_str!("cases/several.rs"),
        include_str!("cases/waiting.rs"),
    ]
    .map(count);
    let kit = include_str!("mod.rs");
    let list = kit.split_once("$setup,\n").unwrap().1.split_once(");").unwrap().0;
    assert_eq!(list.split_whitespace().count(), written.iter().sum::<usize>());
}

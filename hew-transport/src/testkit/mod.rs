//! The conformance kit: the promises of [`Transport`] as tests that any transport can run (feature `testkit`).
//!
//! [`conformance!`](crate::conformance) turns each case of [`cases`] into a test of its own name. A case fails by a
//! panic that says what was waited for; nothing waits longer than [`Setup::patience`].

pub mod cases;

use crate::addr::Addr;
use crate::error::TransportError;
use crate::transport::{Connection, Listener, Transport};
use async_executor::{Executor, Task};
use async_io::Timer;
use futures_lite::FutureExt;
use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a case waits for any one thing, by default.
pub const WAIT_MAX: Duration = Duration::from_secs(10);

thread_local! {
    /// The patience of the case that runs on this thread.
    static PATIENCE: Cell<Duration> = const { Cell::new(WAIT_MAX) };
}

/// Writes a module of tests, one for each conformance case.
///
/// The first argument names the module. The second is an expression of type [`Setup`](crate::testkit::Setup), evaluated
/// for each test anew, in the scope in which the macro stands.
///
/// ```
/// use hew_transport::testkit::Setup;
/// use hew_transport::{Addr, Mem};
///
/// hew_transport::conformance!(mem, Setup::new(Mem::new(), |n| Addr::mem(&format!("n{n}")).unwrap()));
/// ```
#[macro_export]
macro_rules! conformance {
    ($module:ident, $setup:expr) => {
        $crate::conformance!(@tests $module, $setup,
            bytes_arrive_in_order
            single_bytes_arrive_in_order
            vectored_writes_keep_their_order
            vectored_writes_of_many_buffers_keep_their_order
            reads_of_any_size_keep_the_rest
            large_transfers_cross_in_both_directions
            empty_writes_are_not_an_end
            empty_reads_take_nothing
            writers_wait_when_nobody_reads
            both_directions_wait_and_go_on
            a_full_direction_leaves_the_other_free
            halves_work_on_different_threads
            waiting_costs_nothing
            the_last_waker_is_woken
            close_ends_reads_after_every_byte
            a_half_closed_connection_still_works_the_other_way
            both_sides_may_close_at_once
            the_end_is_read_again
            a_write_after_close_fails
            closing_twice_is_fine
            dropping_the_writer_closes
            dropping_the_writer_leaves_the_reader_working
            dropping_the_reader_leaves_the_writer_working
            dropping_the_reader_while_the_peer_writes_harms_nothing_else
            halves_may_be_dropped_in_either_order
            dropping_both_halves_ends_the_peers_reads
            dropping_both_halves_fails_the_peers_writes
            a_writer_that_failed_stays_failed
            a_waiting_read_ends_when_the_peer_vanishes
            a_waiting_write_fails_when_the_peer_vanishes
            the_local_address_can_be_dialled
            peers_are_named
            the_accepting_side_may_speak_first
            dialling_nobody_is_refused
            many_diallers_of_nobody_are_all_refused
            an_address_in_use_is_not_given_twice
            a_dropped_listener_frees_its_address
            accepted_connections_outlive_the_listener
            connections_nobody_accepted_end_with_the_listener
            many_connections_nobody_accepted_all_end
            connections_before_accept_are_kept
            a_waiting_accept_is_woken
            a_dialler_that_leaves_at_once_harms_nobody
            a_hundred_connections_do_not_mix
            connections_one_after_another
            many_threads_dial_at_once
            listeners_do_not_mix
            a_connection_nobody_reads_holds_up_no_other
            a_connection_that_vanishes_harms_no_other
            other_schemes_are_unsupported
            a_cancelled_accept_loses_no_connection
            a_cancelled_accept_frees_the_address
            a_cancelled_connect_harms_nobody
            a_cancelled_read_loses_no_byte
            a_cancelled_write_takes_no_byte
        );
    };
    (@tests $module:ident, $setup:expr, $($case:ident)*) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[test]
                fn $case() {
                    $crate::testkit::run($setup, $crate::testkit::cases::$case);
                }
            )*
        }
    };
}

/// What a case needs to know about a transport: the transport itself, and addresses to listen at.
pub struct Setup<T> {
    transport: T,
    addresses: Box<dyn FnMut(u32) -> Addr + Send>,
    patience: Duration,
}

impl<T: Transport> Setup<T> {
    /// `addresses` gives an address that is free to listen at, another one for each number: 0, 1, 2 … . With port 0 it
    /// may be the same each time. It keeps what the addresses need, such as a directory, alive until the case ends.
    pub fn new(transport: T, addresses: impl FnMut(u32) -> Addr + Send + 'static) -> Setup<T> {
        Setup { transport, addresses: Box::new(addresses), patience: WAIT_MAX }
    }

    /// How long a case waits for any one thing, instead of [`WAIT_MAX`]: more for a transport over a slow wire.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Setup<T> {
        self.patience = patience;
        self
    }
}

impl<T> fmt::Debug for Setup<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Setup")
    }
}

/// Runs one case.
///
/// # Panics
/// If the transport breaks the promise that the case is about, or something takes longer than [`Setup::patience`].
pub fn run<T: Transport, F: Future<Output = ()>>(setup: Setup<T>, case: impl FnOnce(Kit<T>) -> F) {
    PATIENCE.set(setup.patience);
    let executor = Arc::new(Executor::new());
    let kit = Kit {
        transport: Arc::new(setup.transport),
        addresses: Arc::new(Mutex::new((0, setup.addresses))),
        executor: executor.clone(),
    };
    async_io::block_on(executor.run(case(kit)));
}

/// What a case works with.
pub struct Kit<T> {
    transport: Arc<T>,
    addresses: Arc<Mutex<NumberedAddresses>>,
    executor: Arc<Executor<'static>>,
}

type NumberedAddresses = (u32, Box<dyn FnMut(u32) -> Addr + Send>);
type ConnectionOf<T> = Connection<<T as Transport>::Reader, <T as Transport>::Writer>;

/// A listener, and both ends of one connection to it.
struct Pair<T: Transport> {
    listener: T::Listener,
    dialled: ConnectionOf<T>,
    accepted: ConnectionOf<T>,
}

impl<T: Transport> Kit<T> {
    fn addr(&self) -> Addr {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, of) = &mut *addresses;
        *number += 1;
        of(*number - 1)
    }

    async fn listen(&self) -> T::Listener {
        let addr = self.addr();
        must("listen", within("listen", self.transport.listen(&addr)).await)
    }

    /// An address that was free a moment ago.
    async fn nobody(&self) -> Addr {
        self.listen().await.local_addr()
    }

    async fn connect(&self, addr: &Addr) -> ConnectionOf<T> {
        must("connect", within("connect", self.transport.connect(addr)).await)
    }

    async fn accept(&self, listener: &mut T::Listener) -> ConnectionOf<T> {
        must("accept", within("accept", listener.accept()).await)
    }

    async fn pair(&self) -> Pair<T> {
        let mut listener = self.listen().await;
        let addr = listener.local_addr();
        let (dialled, accepted) =
            futures_lite::future::zip(self.connect(&addr), self.accept(&mut listener)).await;
        Pair { listener, dialled, accepted }
    }

    fn spawn<R: Send + 'static>(&self, work: impl Future<Output = R> + Send + 'static) -> Task<R> {
        self.executor.spawn(work)
    }
}

impl<T> Clone for Kit<T> {
    fn clone(&self) -> Kit<T> {
        Kit {
            transport: self.transport.clone(),
            addresses: self.addresses.clone(),
            executor: self.executor.clone(),
        }
    }
}

impl<T> fmt::Debug for Kit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kit")
    }
}

/// What `work` gives, if it gives it in time.
async fn within<R>(what: &str, work: impl Future<Output = R>) -> R {
    let patience = PATIENCE.get();
    let late = async {
        Timer::after(patience).await;
        panic!("waited {patience:?}: {what}")
    };
    // The deadline is looked at first: a wake-up that was lost must not pass because the deadline woke the task.
    late.or(work).await
}

#[track_caller]
fn must<R, E: fmt::Display>(what: &str, result: Result<R, E>) -> R {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error}"),
    }
}

#[track_caller]
fn must_fail<R, E>(what: &str, result: Result<R, E>) -> E {
    match result {
        Ok(_) => panic!("{what}: this must fail"),
        Err(error) => error,
    }
}

#[track_caller]
fn must_name(error: &TransportError, addr: &Addr) {
    assert!(error.to_string().contains(&addr.to_string()), "the error must name {addr}: {error}");
}

/// Runs a unit test that must not hang.
#[cfg(test)]
pub(crate) fn block_on<R>(test: impl Future<Output = R>) -> R {
    async_io::block_on(within("the end of the test", test))
}

#[cfg(test)]
mod tests;

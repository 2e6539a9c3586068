//! The frame of a program: its clock, the end of all its actors, and what its checks have in common.

use crate::measure::{Failure, complain};
use hew_actor::Outcome;
use std::fmt::{Debug, Display};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How long a program may take, and so any part of it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A program that has ended with the right result.
pub(crate) struct Played {
    /// From before the first spawn until the last actor ended.
    pub(crate) took: Duration,
    /// Messages and answers that were handled.
    pub(crate) messages: u64,
}

/// Measures a program, and collects what its actors report.
pub(crate) struct Clock<T> {
    start: Instant,
    reports: Receiver<T>,
}

impl<T> Clock<T> {
    /// Starts. Each actor of the program gets a clone of the sender, whether it has something to report or not, and
    /// nobody else keeps one: when the last clone is gone, so are the actors.
    pub(crate) fn start() -> (Clock<T>, Sender<T>) {
        let (report, reports) = channel();
        (Clock { start: Instant::now(), reports }, report)
    }

    /// Waits until every actor has ended; how long that took, and the reports in the order in which they came.
    pub(crate) fn stop(self) -> Result<(Duration, Vec<T>), Failure> {
        let mut reports = Vec::new();
        loop {
            match self.reports.recv_timeout(DEADLINE.saturating_sub(self.start.elapsed())) {
                Ok(report) => reports.push(report),
                Err(RecvTimeoutError::Disconnected) => return Ok((self.start.elapsed(), reports)),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("actors are left after {} s", DEADLINE.as_secs()).into());
                }
            }
        }
    }
}

/// Fails unless the two are equal.
pub(crate) fn expect<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Result<(), Failure> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?} instead of {expected:?}").into()) }
}

/// What a handler returns after its last send. No program goes on after a message that was refused.
pub(crate) fn sent<E: Display>(result: Result<(), E>) -> Outcome {
    match result {
        Ok(()) => Outcome::Continue,
        Err(error) => crash(&error.to_string()),
    }
}

/// As [`sent`], for a handler that has nothing more to do.
pub(crate) fn sent_last<E: Display>(result: Result<(), E>) -> Outcome {
    match sent(result) {
        Outcome::Continue => Outcome::Stop,
        other => other,
    }
}

/// Ends the actor, and says why: the checks will only see that something is missing.
pub(crate) fn crash(why: &str) -> Outcome {
    complain(why);
    Outcome::Crash(why.to_string())
}

/// The failure of a message from outside of the program.
pub(crate) fn gone<E>(_: E) -> Failure {
    "an actor ended too early".into()
}

//! What was not handled, counted by reason.

use std::sync::atomic::{AtomicU64, Ordering};

/// Messages, answers and signals that reached nobody, by reason, since the system was made.
///
/// Every message that was accepted is handled or counted here exactly once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetters {
    /// Sent to an actor that had ended or never was (not counted when the sender got the message back).
    pub no_process: u64,
    /// The mailbox was full and its policy, or the policy for messages from the network, drops the new one.
    pub full: u64,
    /// Dropped from a full mailbox to make room for a newer message.
    pub dropped_old: u64,
    /// Replaced in a full mailbox by a newer message with the same key.
    pub coalesced: u64,
    /// Still waiting in the mailbox when its actor ended.
    pub stopped: u64,
    /// Bytes from the network that were not a message of the actor.
    pub undecodable: u64,
    /// Bytes from the network for an actor without a decoder.
    pub not_remote: u64,
    /// Answers that came after the asker had stopped waiting.
    pub late_replies: u64,
    /// Exit signals to actors whose system lane was full or that had ended.
    pub signals: u64,
    /// Timed messages whose actor had ended when their time came.
    pub timers: u64,
}

impl DeadLetters {
    /// Messages that were accepted or offered and reached no handler: all but answers and signals.
    pub fn messages(&self) -> u64 {
        self.no_process
            + self.full
            + self.dropped_old
            + self.coalesced
            + self.stopped
            + self.undecodable
            + self.not_remote
            + self.timers
    }
}

/// A reason for which something reached nobody: the fields of [`DeadLetters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    NoProcess,
    Full,
    DroppedOld,
    Coalesced,
    Stopped,
    Undecodable,
    NotRemote,
    LateReply,
    Signal,
    Timer,
}

const REASONS: usize = 10;

/// The live counters behind [`DeadLetters`]. Written by any thread; only sums are read, so `Relaxed` is enough.
#[derive(Debug, Default)]
pub(crate) struct Counters([AtomicU64; REASONS]);

impl Counters {
    pub(crate) fn add(&self, reason: Reason, count: u64) {
        if count > 0 {
            self.0[reason as usize].fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(crate) fn snapshot(&self) -> DeadLetters {
        let read = |reason: Reason| self.0[reason as usize].load(Ordering::Relaxed);
        DeadLetters {
            no_process: read(Reason::NoProcess),
            full: read(Reason::Full),
            dropped_old: read(Reason::DroppedOld),
            coalesced: read(Reason::Coalesced),
            stopped: read(Reason::Stopped),
            undecodable: read(Reason::Undecodable),
            not_remote: read(Reason::NotRemote),
            late_replies: read(Reason::LateReply),
            signals: read(Reason::Signal),
            timers: read(Reason::Timer),
        }
    }
}

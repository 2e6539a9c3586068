//! What was not handled, counted by reason, and told to those who observe it.

use crate::lock::Lock;
use crate::sync::{AtomicBool, AtomicU64, Ordering};
use async_channel::{Receiver, Sender};
use hew_wire::Pid;
use std::fmt;
use std::sync::{Arc, Weak};

/// Dead letters that wait in one [`DeadLetterStream`]; more are counted as missed.
pub const DEAD_LETTERS_WAITING_MAX: usize = 1024;

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

/// Something that reached nobody, as a [`DeadLetterStream`] tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Why.
    pub reason: DeadLetterReason,
    /// The actor that did not get it; `None` for answers, whose asker is not known any more.
    pub target: Option<Pid>,
    /// How many, with this reason at this moment.
    pub count: u64,
}

/// A reason for which something reached nobody: the fields of [`DeadLetters`], where each is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields of `DeadLetters` say it")]
pub enum DeadLetterReason {
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

pub(crate) use DeadLetterReason as Reason;

const REASONS: usize = 10;

/// The live counters behind [`DeadLetters`], and who observes them. Counters are written by any thread; only sums are
/// read, so `Relaxed` is enough.
#[derive(Default)]
pub(crate) struct Counters {
    counts: [AtomicU64; REASONS],
    /// Whether `observers` holds any. Written under its lock; who reads a stale `false` missed what came just before.
    observed: AtomicBool,
    observers: Lock<Vec<Observer>>,
}

/// The other end of a stream. The only sender: the stream ends with the system.
struct Observer {
    letters: Sender<DeadLetter>,
    missed: Arc<AtomicU64>,
}

impl Counters {
    /// Counts what `target` did not get, and tells the observers.
    pub(crate) fn add(&self, reason: Reason, count: u64, target: impl FnOnce() -> Option<Pid>) {
        if count == 0 {
            return;
        }
        self.counts[reason as usize].fetch_add(count, Ordering::Relaxed);
        if self.observed.load(Ordering::Relaxed) {
            self.tell(DeadLetter { reason, target: target(), count });
        }
    }

    fn tell(&self, letter: DeadLetter) {
        for observer in self.observers.lock().iter() {
            if observer.letters.try_send(letter).is_err() {
                observer.missed.fetch_add(letter.count, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn observe(self: &Arc<Counters>) -> DeadLetterStream {
        let (letters, waiting) = async_channel::bounded(DEAD_LETTERS_WAITING_MAX);
        let missed = Arc::new(AtomicU64::new(0));
        let mut observers = self.observers.lock();
        observers.push(Observer { letters, missed: missed.clone() });
        self.observed.store(true, Ordering::Relaxed);
        drop(observers);
        DeadLetterStream { waiting, missed, counters: Arc::downgrade(self) }
    }

    pub(crate) fn snapshot(&self) -> DeadLetters {
        let read = |reason: Reason| self.counts[reason as usize].load(Ordering::Relaxed);
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

/// Dead letters from the moment at which it was made, in the order in which they were counted; see
/// [`System::dead_letter_stream`](crate::System::dead_letter_stream). Dropping it ends the observation.
pub struct DeadLetterStream {
    waiting: Receiver<DeadLetter>,
    missed: Arc<AtomicU64>,
    counters: Weak<Counters>,
}

impl DeadLetterStream {
    /// Waits for the next one; `None` when the system is gone.
    pub async fn next(&mut self) -> Option<DeadLetter> {
        self.waiting.recv().await.ok()
    }

    /// The next one, if one waits.
    pub fn try_next(&mut self) -> Option<DeadLetter> {
        self.waiting.try_recv().ok()
    }

    /// How many were not told because [`DEAD_LETTERS_WAITING_MAX`] others waited already.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl Drop for DeadLetterStream {
    fn drop(&mut self) {
        if let Some(counters) = self.counters.upgrade() {
            let mut observers = counters.observers.lock();
            observers.retain(|other| !Arc::ptr_eq(&other.missed, &self.missed));
            counters.observed.store(!observers.is_empty(), Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for DeadLetterStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetterStream")
            .field("waiting", &self.waiting.len())
            .field("missed", &self.missed())
            .finish()
    }
}

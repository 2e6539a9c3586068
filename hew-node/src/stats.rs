//! Counters of a node: what was carried, and what was not and why.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A snapshot of a node's counters since its start. Local dead letters are counted by
/// [`hew_actor::System::dead_letters`]; these are the ones between nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeStats {
    /// Messages queued for other nodes.
    pub messages_sent: u64,
    /// Messages from other nodes that reached a mailbox.
    pub messages_received: u64,
    /// Messages from other nodes that reached none; also counted by reason in the local dead letters.
    pub messages_refused: u64,
    /// Messages queued or unacknowledged when the session with their node ended. Some of the unacknowledged ones may
    /// have been handled.
    pub messages_lost: u64,
    /// Replies that were lost in the same way, or that did not fit into the room for replies.
    pub replies_lost: u64,
    /// Messages and replies among those queued that went compressed.
    pub messages_compressed: u64,
    /// Bytes by which they were shorter than their payloads.
    pub bytes_saved: u64,
    /// Replies that came for no open ask.
    pub replies_unexpected: u64,
    /// Frames and control messages of a later version, skipped.
    pub unknown_skipped: u64,
    /// Connections that were established.
    pub connections: u64,
    /// Established connections that continued a session.
    pub resumed: u64,
    /// Dials and accepted connections that were not established, by reason.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Established connections that ended because the peer broke a rule, by rule.
    pub violations: BTreeMap<&'static str, u64>,
    /// Messages among [`NodeStats::messages_refused`], and replies of which the same is true, by reason: `no_process`,
    /// `full` or ended meanwhile, `undecodable`, `not_remote` for an actor that takes nothing from outside, `foreign_target`
    /// for one of another node, `too_large`, and `decompression` for payloads that lie.
    pub refused: BTreeMap<&'static str, u64>,
    /// Established connections that ended otherwise, by cause: `closed` by this node, `goodbye` of the peer; without a
    /// goodbye: `truncated`, when the stream ended, `io`, when it failed, and `silence`.
    pub ends: BTreeMap<&'static str, u64>,
    /// Membership and registry messages that were refused, by reason.
    pub control_errors: BTreeMap<&'static str, u64>,
    /// What peers did without the permission for it, by permission.
    pub denied: BTreeMap<&'static str, u64>,
}

/// One of the plain counters of [`NodeStats`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    MessagesSent,
    MessagesReceived,
    MessagesRefused,
    MessagesLost,
    RepliesLost,
    MessagesCompressed,
    BytesSaved,
    RepliesUnexpected,
    UnknownSkipped,
    Connections,
    Resumed,
}

const COUNTS: usize = 11;

/// The live counters. Any thread writes; only sums are read, so `Relaxed` is enough.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    counts: [AtomicU64; COUNTS],
    reasons: Mutex<Reasons>,
}

#[derive(Debug, Default)]
struct Reasons {
    refusals: BTreeMap<&'static str, u64>,
    violations: BTreeMap<&'static str, u64>,
    refused: BTreeMap<&'static str, u64>,
    ends: BTreeMap<&'static str, u64>,
    control_errors: BTreeMap<&'static str, u64>,
    denied: BTreeMap<&'static str, u64>,
}

impl Stats {
    pub(crate) fn add(&self, count: Count, by: u64) {
        if by > 0 {
            self.counts[count as usize].fetch_add(by, Ordering::Relaxed);
        }
    }

    pub(crate) fn refusal(&self, reason: &'static str) {
        *self.reasons().refusals.entry(reason).or_default() += 1;
    }

    pub(crate) fn violation(&self, rule: &'static str) {
        *self.reasons().violations.entry(rule).or_default() += 1;
    }

    /// Counts messages that reached no mailbox.
    pub(crate) fn refused(&self, reason: &'static str, by: u64) {
        if by > 0 {
            self.add(Count::MessagesRefused, by);
            *self.reasons().refused.entry(reason).or_default() += by;
        }
    }

    pub(crate) fn end(&self, cause: &'static str) {
        *self.reasons().ends.entry(cause).or_default() += 1;
    }

    pub(crate) fn control_error(&self, reason: &'static str) {
        *self.reasons().control_errors.entry(reason).or_default() += 1;
    }

    pub(crate) fn denied(&self, permission: &'static str) {
        *self.reasons().denied.entry(permission).or_default() += 1;
    }

    pub(crate) fn snapshot(&self) -> NodeStats {
        let read = |count: Count| self.counts[count as usize].load(Ordering::Relaxed);
        let reasons = self.reasons();
        NodeStats {
            messages_sent: read(Count::MessagesSent),
            messages_received: read(Count::MessagesReceived),
            messages_refused: read(Count::MessagesRefused),
            messages_lost: read(Count::MessagesLost),
            replies_lost: read(Count::RepliesLost),
            messages_compressed: read(Count::MessagesCompressed),
            bytes_saved: read(Count::BytesSaved),
            replies_unexpected: read(Count::RepliesUnexpected),
            unknown_skipped: read(Count::UnknownSkipped),
            connections: read(Count::Connections),
            resumed: read(Count::Resumed),
            refusals: reasons.refusals.clone(),
            violations: reasons.violations.clone(),
            refused: reasons.refused.clone(),
            ends: reasons.ends.clone(),
            control_errors: reasons.control_errors.clone(),
            denied: reasons.denied.clone(),
        }
    }

    fn reasons(&self) -> std::sync::MutexGuard<'_, Reasons> {
        // Only additions happen under this lock.
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_where_they_were_written() {
        let stats = Stats::default();
        stats.add(Count::MessagesSent, 2);
        stats.add(Count::Resumed, 3);
        stats.refusal("not_allowed");
        stats.refusal("not_allowed");
        stats.violation("gap");
        let snapshot = stats.snapshot();
        assert_eq!((snapshot.messages_sent, snapshot.resumed, snapshot.connections), (2, 3, 0));
        assert_eq!(snapshot.refusals, BTreeMap::from([("not_allowed", 2)]));
        assert_eq!(snapshot.violations, BTreeMap::from([("gap", 1)]));
    }
}

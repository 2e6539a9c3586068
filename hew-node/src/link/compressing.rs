//! Whether a payload goes out compressed: asked before the link's queue is locked.
//!
//! Tried for payloads of at least [`COMPRESS_FROM_BYTES`] to a peer that reads them, unless what went there lately did not
//! shrink. Everything else goes the short way, which costs a comparison.

use super::peer::{Peer, PushError};
use crate::shared::Shared;
use crate::stats::Count;
use hew_wire::compression::{COMPRESS_FROM_BYTES, Compressor};
use hew_wire::frame::{MessageHead, ReplyHead};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

/// Room for compressed payloads that a thread keeps between two of them.
const ROOM_BYTES_MAX: usize = 256 * 1024;

thread_local! {
    /// Made by the first payload that this thread compresses.
    static COMPRESSOR: RefCell<Option<Compressor>> = const { RefCell::new(None) };
}

impl Shared {
    /// Queues a message of a user.
    pub(crate) fn push_message(
        &self,
        peer: &Peer,
        head: &MessageHead,
        payload: &[u8],
    ) -> Result<(), PushError> {
        if self.push_shorter(peer, payload, |payload| peer.push_message_compressed(head, payload))? {
            return Ok(());
        }
        peer.push_message(head, payload)
    }

    /// Queues the answer to an ask of the peer.
    pub(crate) fn push_reply(&self, peer: &Peer, head: &ReplyHead, value: &[u8]) -> Result<(), PushError> {
        if self.push_shorter(peer, value, |value| peer.push_reply_compressed(head, value))? {
            return Ok(());
        }
        peer.push_reply(head, value)
    }

    /// Whether the payload was queued in its compressed form; if not, nothing was.
    #[inline]
    fn push_shorter(
        &self,
        peer: &Peer,
        payload: &[u8],
        push: impl FnOnce(&[u8]) -> Result<bool, PushError>,
    ) -> Result<bool, PushError> {
        if payload.len() < COMPRESS_FROM_BYTES || !peer.is_compressing() || !peer.attempts().next() {
            return Ok(false);
        }
        COMPRESSOR.with_borrow_mut(|compressor| {
            let compressor = compressor.get_or_insert_default();
            let shorter = compressor.compress(payload);
            peer.attempts().note(shorter.is_some());
            let queued = match shorter {
                Some(shorter) => push(shorter).inspect(|&queued| {
                    if queued {
                        self.stats.add(Count::MessagesCompressed, 1);
                        self.stats.add(Count::BytesSaved, (payload.len() - shorter.len()) as u64);
                    }
                }),
                None => Ok(false),
            };
            compressor.trim(ROOM_BYTES_MAX);
            queued
        })
    }
}

/// Whether compressing is worth trying: after each payload that did not shrink twice as many are left alone, up to
/// [`Attempts::SKIPPED_MAX`]; after one that did, none. Any thread writes: two that meet may try once too often.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// How many payloads to leave alone before the next attempt.
    left: AtomicU32,
    /// How many will be after the next failure; 0 for one.
    after_failure: AtomicU32,
}

impl Attempts {
    /// Most payloads that are left alone in a row.
    const SKIPPED_MAX: u32 = 64;

    /// Whether to try the next payload.
    pub(crate) fn next(&self) -> bool {
        let left = self.left.load(Ordering::Relaxed);
        if left > 0 {
            self.left.store(left - 1, Ordering::Relaxed);
        }
        left == 0
    }

    /// Whether a payload that was tried did shrink.
    pub(crate) fn note(&self, did_shrink: bool) {
        let now = if did_shrink { 0 } else { self.after_failure.load(Ordering::Relaxed).max(1) };
        self.left.store(now, Ordering::Relaxed);
        self.after_failure.store((2 * now).min(Self::SKIPPED_MAX), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_shrink_is_tried_ever_less_often_and_what_does_always() {
        let attempts = Attempts::default();
        let tried = |count: u32, did_shrink: bool| -> Vec<u32> {
            let tried = (0..count).filter(|_| {
                let tries = attempts.next();
                if tries {
                    attempts.note(did_shrink);
                }
                tries
            });
            tried.collect()
        };
        assert_eq!(tried(260, false), [0, 2, 5, 10, 19, 36, 69, 134, 199]);
        // The first one that is tried again turns that around.
        assert_eq!(tried(10, true), [4, 5, 6, 7, 8, 9]);
        assert_eq!(tried(4, false), [0, 2]);
    }
}

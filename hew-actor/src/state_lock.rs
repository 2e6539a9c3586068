//! A lock whose word also holds a state that others read without it.
//!
//! One bit of the word is the lock; the other 63 belong to the user, who reads them any time, changes them while holding
//! the lock, and publishes them by unlocking. So a decision like "empty and nobody runs it" is one load of one word, and
//! taking and releasing the lock are one compare-exchange and one store.
//!
//! Critical sections are a few instructions. Who finds the lock taken spins a little, then gives its processor away.

use crate::sync::{AtomicU64, Crowd, MutPtr, Ordering, UnsafeCell, peek};
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

/// The bit of the word that is the lock.
const LOCKED: u64 = 1;

/// Data behind a lock, and a word of state.
pub(crate) struct StateLock<T> {
    /// Written under the lock only. Each unlock (`Release`) pairs with the next lock (`Acquire`), and with loads of
    /// [`StateLock::word`].
    word: AtomicU64,
    crowd: Crowd,
    data: UnsafeCell<T>,
}

// SAFETY: the data is reached through a `Guard` only, of which one exists at a time: `lock` makes it after its
// compare-exchange has set LOCKED, and its drop clears that bit. So sharing the lock is sending the data around.
unsafe impl<T: Send> Sync for StateLock<T> {}

impl<T> StateLock<T> {
    /// An open lock; the lowest bit of `word` must be 0.
    pub(crate) fn new(word: u64, data: T) -> StateLock<T> {
        debug_assert_eq!(word & LOCKED, 0, "the lowest bit is the lock");
        StateLock { word: AtomicU64::new(word), crowd: Crowd::new(), data: UnsafeCell::new(data) }
    }

    /// The state as it was published last.
    #[inline]
    pub(crate) fn word(&self) -> u64 {
        self.word.load(Ordering::Acquire) & !LOCKED
    }

    /// The state, for a decision that need not see anything else that happened before.
    #[inline]
    pub(crate) fn word_relaxed(&self) -> u64 {
        self.word.load(Ordering::Relaxed) & !LOCKED
    }

    /// Takes the lock.
    #[inline(always)]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        let seen = peek(&self.word);
        let taken = seen & LOCKED == 0
            && self
                .word
                .compare_exchange_weak(seen, seen | LOCKED, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
        let word = if taken { seen } else { self.contend() };
        Guard { word, data: ManuallyDrop::new(self.data.get_mut()), lock: self }
    }

    #[cold]
    fn contend(&self) -> u64 {
        let mut attempt = 0;
        loop {
            let seen = peek(&self.word);
            if seen & LOCKED == 0 {
                let taken = self.word.compare_exchange_weak(
                    seen,
                    seen | LOCKED,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                );
                if taken.is_ok() {
                    return seen;
                }
            }
            self.crowd.wait(attempt, seen & LOCKED != 0);
            attempt = attempt.saturating_add(1);
        }
    }
}

/// The lock, held. Dropping it publishes the word and unlocks; that store is the last that it does with the lock, which
/// may be freed by whoever acts on the new word.
pub(crate) struct Guard<'a, T> {
    word: u64,
    /// Given up before the word is published.
    data: ManuallyDrop<MutPtr<T>>,
    lock: &'a StateLock<T>,
}

impl<T> Guard<'_, T> {
    /// The state, as it will be published.
    #[inline]
    pub(crate) fn word(&self) -> u64 {
        self.word
    }

    /// Changes the state; others see it when the guard is dropped.
    #[inline]
    pub(crate) fn set_word(&mut self, word: u64) {
        debug_assert_eq!(word & LOCKED, 0, "the lowest bit is the lock");
        self.word = word;
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one (see `Sync` above), and it borrows the lock, which therefore lives.
        unsafe { MutPtr::deref(&self.data) }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `&mut self` excludes other references through this guard.
        unsafe { MutPtr::deref(&self.data) }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: not used after this; the guard is being dropped.
        unsafe { ManuallyDrop::drop(&mut self.data) };
        let crowd = self.lock.crowd.clone();
        self.lock.word.store(self.word, Ordering::Release);
        crowd.dismiss();
    }
}

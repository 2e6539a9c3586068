//! A mutex whose holders never panic, or leave the value whole if they do.

use crate::sync::{Mutex, MutexGuard};
use std::sync::PoisonError;

/// A [`Mutex`] without poisoning: no code of users runs under any lock of this crate, and each critical section
/// leaves its value in order at every step.
#[derive(Debug)]
pub(crate) struct Lock<T>(Mutex<T>);

impl<T: Default> Default for Lock<T> {
    fn default() -> Lock<T> {
        Lock::new(T::default())
    }
}

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Lock<T> {
        Lock(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The timers of a machine: at most one deadline per kind, taken in order of time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// A set of deadlines, keyed by what they are for. Ties are taken in order of the key, so that runs are repeatable.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    by_time: BTreeSet<(Instant, K)>,
    by_key: BTreeMap<K, Instant>,
}

impl<K: Copy + Ord> Timers<K> {
    pub(crate) fn new() -> Timers<K> {
        Timers { by_time: BTreeSet::new(), by_key: BTreeMap::new() }
    }

    /// Sets the deadline of `key`, replacing an earlier one.
    pub(crate) fn set(&mut self, key: K, at: Instant) {
        if let Some(earlier) = self.by_key.insert(key, at) {
            self.by_time.remove(&(earlier, key));
        }
        self.by_time.insert((at, key));
    }

    pub(crate) fn cancel(&mut self, key: K) {
        if let Some(at) = self.by_key.remove(&key) {
            self.by_time.remove(&(at, key));
        }
    }

    pub(crate) fn clear(&mut self) {
        self.by_time.clear();
        self.by_key.clear();
    }

    pub(crate) fn is_set(&self, key: K) -> bool {
        self.by_key.contains_key(&key)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|&(at, _)| at)
    }

    /// Takes the earliest timer whose deadline is not after `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<K> {
        let &(at, key) = self.by_time.first()?;
        if at > now {
            return None;
        }
        self.by_time.pop_first();
        self.by_key.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::tests::start;
    use std::time::Duration;

    #[test]
    fn timers_fire_in_order_of_time_once() {
        let (t0, s) = (start(), Duration::from_secs(1));
        let mut timers = Timers::new();
        timers.set('b', t0 + s);
        timers.set('a', t0 + s);
        timers.set('c', t0);
        timers.set('c', t0 + 3 * s);
        timers.set('d', t0);
        timers.cancel('d');
        assert_eq!(timers.next(), Some(t0 + s));
        assert_eq!(timers.pop_due(t0), None);
        assert_eq!(timers.pop_due(t0 + s), Some('a'));
        assert_eq!(timers.pop_due(t0 + s), Some('b'));
        assert_eq!(timers.pop_due(t0 + 2 * s), None);
        assert_eq!(timers.pop_due(t0 + 3 * s), Some('c'));
        assert_eq!(timers.next(), None);
    }
}

//! The hybrid logical clock that stamps registrations.

/// How far a stamp may run ahead of the node's own wall clock, in milliseconds.
///
/// Without this bound one node whose clock is wrong by a year would push every other node's stamps a year ahead.
pub(crate) const DRIFT_MS_MAX: u64 = 500;

/// Stamps registrations so that whoever has seen another registration gets a later stamp, within a bound.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    seen: u64,
}

impl Clock {
    /// Takes note of a stamp of another node.
    pub(crate) fn observe(&mut self, stamp: u64) {
        self.seen = self.seen.max(stamp);
    }

    /// The stamp of a registration made at wall-clock time `unix_ms`.
    pub(crate) fn stamp(&self, unix_ms: u64) -> u64 {
        unix_ms.max(self.seen.saturating_add(1).min(unix_ms.saturating_add(DRIFT_MS_MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_follow_what_was_seen_within_the_drift() {
        let mut clock = Clock::default();
        assert_eq!(clock.stamp(1000), 1000);
        clock.observe(1200);
        assert_eq!(clock.stamp(1000), 1201, "later than what was seen");
        assert_eq!(clock.stamp(2000), 2000, "own time is later");
        clock.observe(u64::MAX);
        assert_eq!(clock.stamp(1000), 1500, "a wild clock moves others by 500 ms at most");
        assert_eq!(clock.stamp(u64::MAX), u64::MAX);
    }
}

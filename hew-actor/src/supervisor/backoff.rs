//! How long to wait before a restart.

use std::time::Duration;

/// Wait before the second restart in a row, by default; the first comes at once.
pub const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest wait before a restart, by default.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Waits between the restarts of one child: none, then `min`, doubling to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff::new(BACKOFF_MIN, BACKOFF_MAX)
    }
}

impl Backoff {
    /// A `max` below `min` is raised to it.
    pub(crate) fn new(min: Duration, max: Duration) -> Backoff {
        Backoff { min, max: max.max(min) }
    }

    /// The wait before restart number `attempt` in a row, from 0, with jitter: up to a quarter drawn from `random` is
    /// added, so that many children that failed together do not return together. Near the maximum it is taken off.
    pub(crate) fn delay(self, attempt: u32, random: u64) -> Duration {
        let Some(doublings) = attempt.checked_sub(1) else { return Duration::ZERO };
        let base = self.min.saturating_mul(1 << doublings.min(31)).min(self.max);
        let quarter = base / 4;
        let choices = u64::try_from(quarter.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        let jitter = Duration::from_nanos(random % choices);
        let is_near_max = base.checked_add(quarter).is_none_or(|most| most > self.max);
        if is_near_max { base - jitter } else { base + jitter }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_within_its_bounds() {
        let delay = |attempt, random| Backoff::default().delay(attempt, random);
        for random in [0, 1, 17, 12_345, u64::MAX] {
            assert_eq!(delay(0, random), Duration::ZERO);
            let mut before = Duration::ZERO;
            for attempt in 1..9 {
                let wait = delay(attempt, random);
                let base = BACKOFF_MIN * (1 << (attempt - 1));
                assert!(wait >= base && wait <= base + base / 4, "{attempt}: {wait:?}");
                assert!(wait > before);
                before = wait;
            }
            // 25.6 s, and then the maximum: less a quarter at most.
            assert!(delay(9, random) <= BACKOFF_MIN * 256 && delay(9, random) >= BACKOFF_MIN * 192);
            for attempt in (10..100).chain([u32::MAX]) {
                let wait = delay(attempt, random);
                assert!(wait <= BACKOFF_MAX && wait >= BACKOFF_MAX * 3 / 4, "{wait:?}");
            }
        }
        assert_ne!(delay(5, 1), delay(5, 2));
    }

    #[test]
    fn bounds_are_those_of_the_child() {
        let (min, max) = (Duration::from_secs(1), Duration::from_secs(4));
        for (backoff, attempt, least, most) in [
            (Backoff::new(min, max), 1, 1000, 1250),
            (Backoff::new(min, max), 2, 2000, 2500),
            (Backoff::new(min, max), 3, 3000, 4000),
            (Backoff::new(min, max), 9, 3000, 4000),
            // A maximum below the minimum.
            (Backoff::new(max, min), 1, 3000, 4000),
            (Backoff::new(Duration::ZERO, Duration::ZERO), 9, 0, 0),
            (Backoff::new(Duration::MAX, Duration::MAX), 0, 0, 0),
        ] {
            for random in [0, 7, 1 << 33, u64::MAX] {
                let wait = backoff.delay(attempt, random).as_millis();
                assert!((least..=most).contains(&wait), "{backoff:?} {attempt}: {wait}");
            }
        }
        assert!(Backoff::new(Duration::MAX, Duration::MAX).delay(9, 7) > Duration::from_secs(1 << 60));
    }
}

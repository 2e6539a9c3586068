//! How long to wait before a restart.

use std::time::Duration;

/// Wait before the second restart in a row; the first comes at once.
pub const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest wait before a restart.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// The wait before restart number `attempt` in a row, from 0: none, then [`BACKOFF_MIN`] doubling to [`BACKOFF_MAX`],
/// plus up to a quarter drawn from `random`, so that many children that failed together do not return together. Near
/// the maximum the quarter is taken off.
pub(crate) fn delay(attempt: u32, random: u64) -> Duration {
    let Some(doublings) = attempt.checked_sub(1) else { return Duration::ZERO };
    let base = BACKOFF_MIN.saturating_mul(1 << doublings.min(16)).min(BACKOFF_MAX);
    let quarter_ms = (base.as_millis() / 4) as u64;
    let jitter = Duration::from_millis(random % (quarter_ms + 1));
    if base + base / 4 > BACKOFF_MAX { base - jitter } else { base + jitter }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_within_its_bounds() {
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
            for attempt in 10..100 {
                let wait = delay(attempt, random);
                assert!(wait <= BACKOFF_MAX && wait >= BACKOFF_MAX * 3 / 4, "{wait:?}");
            }
        }
        assert_ne!(delay(5, 1), delay(5, 2));
    }
}

//! When a connection was idle for so long that it is closed until somebody has something to send.

use super::connection::HEARTBEAT_AFTER;
use std::time::{Duration, Instant};

/// Watches the progress of one connection's session. Looks at the pace of heartbeats, for which the writer wakes anyhow.
pub(super) struct IdleWatch {
    timeout: Duration,
    look_at: Instant,
    /// The session has not got on from here.
    progress: u64,
    since: Instant,
}

impl IdleWatch {
    pub(super) fn new(timeout: Duration, now: Instant, progress: u64) -> IdleWatch {
        IdleWatch { timeout, look_at: now + HEARTBEAT_AFTER, progress, since: now }
    }

    /// Whether the time is over; `progress` is asked for once per heartbeat.
    pub(super) fn is_over(&mut self, now: Instant, progress: impl FnOnce() -> u64) -> bool {
        if now < self.look_at {
            return false;
        }
        self.look_at = now + HEARTBEAT_AFTER;
        let progress = progress();
        if progress != self.progress {
            (self.progress, self.since) = (progress, now);
        }
        now >= self.since + self.timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_from_the_last_progress_that_was_seen() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut watch = IdleWatch::new(Duration::from_secs(3), start, 7);
        assert!(!watch.is_over(start, || unreachable!("it is too early")));
        assert!(!watch.is_over(at(2), || 7));
        assert!(!watch.is_over(at(4), || 8), "it has got on");
        assert!(!watch.is_over(at(6), || 8));
        assert!(watch.is_over(at(7), || 8));
    }
}

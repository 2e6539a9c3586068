//! How many restarts are too many.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Restarts allowed within a window of time.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    restarts_max: u32,
    window: Duration,
    /// Times of the restarts within the window, at most `restarts_max`.
    recent: VecDeque<Instant>,
}

impl Budget {
    pub(crate) fn new(restarts_max: u32, window: Duration) -> Budget {
        Budget { restarts_max, window, recent: VecDeque::new() }
    }

    /// Takes one restart out of the budget; `false` if there is none left.
    pub(crate) fn spend(&mut self, now: Instant) -> bool {
        while let Some(&oldest) = self.recent.front()
            && now.saturating_duration_since(oldest) >= self.window
        {
            self.recent.pop_front();
        }
        if self.recent.len() >= self.restarts_max as usize {
            return false;
        }
        self.recent.push_back(now);
        true
    }

    pub(crate) fn restarts_max(&self) -> u32 {
        self.restarts_max
    }

    pub(crate) fn window(&self) -> Duration {
        self.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_leave_the_budget_after_the_window() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut budget = Budget::new(2, Duration::from_secs(10));
        assert!(budget.spend(at(0)));
        assert!(budget.spend(at(9)));
        assert!(!budget.spend(at(9)));
        assert!(budget.spend(at(10)));
        assert!(!budget.spend(at(18)));
        assert!(budget.spend(at(19)));
    }

    #[test]
    fn a_budget_of_nothing_allows_nothing() {
        assert!(!Budget::new(0, Duration::from_secs(1)).spend(Instant::now()));
    }
}

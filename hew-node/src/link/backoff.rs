//! How long to wait before the next attempt to connect.

use std::time::Duration;

/// Wait before the second attempt; doubled for each further one.
const FIRST: Duration = Duration::from_millis(50);
/// Longest wait.
const LONGEST: Duration = Duration::from_secs(5);

/// Exponential back-off from 50 ms to 5 s, each wait drawn from its upper half, so that nodes which lost the same peer do not
/// come back in step.
#[derive(Debug)]
pub(crate) struct Backoff {
    attempts: u32,
    random: fastrand::Rng,
}

impl Backoff {
    pub(crate) fn new(seed: u64) -> Backoff {
        Backoff { attempts: 0, random: fastrand::Rng::with_seed(seed) }
    }

    /// The wait after one more failed attempt.
    pub(crate) fn next(&mut self) -> Duration {
        let ceiling = FIRST.saturating_mul(1 << self.attempts.min(16)).min(LONGEST);
        self.attempts = self.attempts.saturating_add(1);
        ceiling.mul_f64(0.5 + self.random.f64() / 2.0)
    }

    /// An attempt succeeded.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_begin_again() {
        let mut backoff = Backoff::new(1);
        let mut ceiling = FIRST;
        for _ in 0..40 {
            let wait = backoff.next();
            assert!(wait >= ceiling / 2 && wait <= ceiling, "{wait:?} of {ceiling:?}");
            ceiling = (ceiling * 2).min(LONGEST);
        }
        backoff.reset();
        assert!(backoff.next() <= FIRST);
        assert_ne!(Backoff::new(1).next(), Backoff::new(2).next());
    }
}

//! The round-trip time to one member, and how long to wait for its answer.

use std::time::Duration;

/// A smoothed round-trip time and its deviation, as TCP keeps them (RFC 6298).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rtt {
    estimate: Option<(Duration, Duration)>,
}

impl Rtt {
    pub(crate) fn sample(&mut self, rtt: Duration) {
        self.estimate = Some(match self.estimate {
            None => (rtt, rtt / 2),
            Some((mean, deviation)) => ((mean * 7 + rtt) / 8, (deviation * 3 + mean.abs_diff(rtt)) / 4),
        });
    }

    pub(crate) fn mean(&self) -> Option<Duration> {
        self.estimate.map(|(mean, _)| mean)
    }

    /// Three times the mean plus four deviations (about the 99th percentile), between `min` and `max`; `max` while
    /// nothing is known.
    pub(crate) fn timeout(&self, min: Duration, max: Duration) -> Duration {
        let Some((mean, deviation)) = self.estimate else { return max };
        (3 * (mean + 4 * deviation)).clamp(min.min(max), max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_follows_the_samples_within_its_bounds() {
        let ms = Duration::from_millis;
        let mut rtt = Rtt::default();
        assert_eq!(rtt.timeout(ms(20), ms(500)), ms(500));
        (0..50).for_each(|_| rtt.sample(ms(1)));
        assert_eq!(rtt.timeout(ms(20), ms(500)), ms(20));
        (0..50).for_each(|_| rtt.sample(ms(50)));
        let timeout = rtt.timeout(ms(20), ms(500));
        assert!(timeout > ms(140) && timeout < ms(170), "{timeout:?}");
        rtt.sample(ms(5000));
        assert_eq!(rtt.timeout(ms(20), ms(500)), ms(500));
    }
}

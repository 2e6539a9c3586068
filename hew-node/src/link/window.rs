//! How many bytes may be on their way to a peer: enough to keep the connection busy, and no more.
//!
//! What has been written waits in the sockets' buffers, megabytes of them, before anything that is written later. So the
//! lanes would order nothing as soon as bulk flows. The window keeps bulk in the lanes instead: it is a
//! little more than the product of the highest rate at which acknowledgements came lately and the shortest time that one took, as in BBR (Cardwell et al.,
//! ACM Queue 14(5), 2016), and grows for as long as the connection takes more. Control frames do not wait for it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The smallest window: a peer acknowledges at least every quarter of this.
const BYTES_MIN: usize = 256 * 1024;
/// Writes whose acknowledgement is waited for to measure; others are not measured.
const MARKS_MAX: usize = 64;
/// How much more than the product may be on its way, so that the window grows while the connection takes more.
const GAIN: f64 = 1.25;
/// For how long a rate counts; a time counts so many times as long, since bulk that waits in buffers lengthens it.
const MEMORY: Duration = Duration::from_secs(5);
const MEMORIES: u32 = 12;
/// Shortest time that is believed: clocks are no better, and virtual ones stand still.
const ROUND_TRIP_MIN: Duration = Duration::from_micros(10);

/// A write.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Number of its last frame.
    last: u64,
    at: Instant,
    /// Bytes that had been acknowledged then.
    acknowledged: u64,
}

/// The best of the measurements in the current period and in the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Best {
    now: Option<f64>,
    before: Option<f64>,
}

impl Best {
    fn add(&mut self, value: f64, better: fn(f64, f64) -> f64) {
        self.now = Some(self.now.map_or(value, |best| better(best, value)));
    }

    fn value(&self, better: fn(f64, f64) -> f64) -> Option<f64> {
        match (self.now, self.before) {
            (Some(a), Some(b)) => Some(better(a, b)),
            (a, b) => a.or(b),
        }
    }

    fn turn(&mut self) {
        *self = Best { now: None, before: self.now };
    }
}

/// See the module's documentation. Pure: time is an argument.
#[derive(Debug)]
pub(super) struct Window {
    bytes: usize,
    bytes_max: usize,
    acknowledged: u64,
    marks: VecDeque<Mark>,
    /// Bytes per second.
    rate: Best,
    /// Seconds.
    round_trip: Best,
    period_ends: Option<Instant>,
    periods: u32,
}

impl Window {
    /// Never more than `bytes_max`, unless that is less than the smallest window.
    pub(super) fn new(bytes_max: usize) -> Window {
        Window {
            bytes: BYTES_MIN,
            bytes_max,
            acknowledged: 0,
            marks: VecDeque::new(),
            rate: Best::default(),
            round_trip: Best::default(),
            period_ends: None,
            periods: 0,
        }
    }

    /// Whether more may be written while so many bytes are on their way.
    pub(super) fn has_room(&self, on_their_way: usize) -> bool {
        on_their_way < self.bytes
    }

    /// Frames up to `last` are being written.
    pub(super) fn wrote(&mut self, now: Instant, last: u64) {
        if self.marks.len() < MARKS_MAX {
            self.marks.push_back(Mark { last, at: now, acknowledged: self.acknowledged });
        }
    }

    /// Frames up to `number`, so many bytes more, have been received.
    pub(super) fn acknowledged(&mut self, now: Instant, number: u64, bytes: usize) {
        self.acknowledged += bytes as u64;
        let mut newest = None;
        while let Some(mark) = self.marks.front().copied().filter(|mark| mark.last <= number) {
            self.marks.pop_front();
            newest = Some(mark);
        }
        let Some(mark) = newest else { return };
        if *self.period_ends.get_or_insert(now + MEMORY) <= now {
            self.period_ends = Some(now + MEMORY);
            self.rate.turn();
            self.periods += 1;
            if self.periods.is_multiple_of(MEMORIES) {
                self.round_trip.turn();
            }
        }
        let took = now.saturating_duration_since(mark.at).max(ROUND_TRIP_MIN).as_secs_f64();
        self.rate.add((self.acknowledged - mark.acknowledged) as f64 / took, f64::max);
        self.round_trip.add(took, f64::min);
        let (rate, round_trip) = (self.rate.value(f64::max), self.round_trip.value(f64::min));
        if let (Some(rate), Some(round_trip)) = (rate, round_trip) {
            let wanted = (GAIN * rate * round_trip) as usize;
            self.bytes = wanted.min(self.bytes_max).max(BYTES_MIN);
        }
    }

    /// The connection broke: what was on its way says nothing about the next one.
    pub(super) fn interrupted(&mut self) {
        *self = Window { acknowledged: self.acknowledged, ..Window::new(self.bytes_max) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Sends through a pipe of this rate (bytes per millisecond) and latency for a while: the window, the bytes per
    /// millisecond that got through at the end.
    fn flow(window: &mut Window, rate: usize, latency_ms: u32, rounds: u32) -> (usize, usize) {
        let start = Instant::now();
        let mut pipe: VecDeque<(u32, u64, usize)> = VecDeque::new();
        let (mut number, mut on_their_way, mut through, mut backlog) = (0, 0, 0, 0);
        for ms in 0..rounds {
            let now = start + ms * MS;
            let mut arrived = 0;
            while let Some(&(due, last, bytes)) = pipe.front()
                && due <= ms
                && arrived + bytes <= rate + backlog
            {
                pipe.pop_front();
                arrived += bytes;
                on_their_way -= bytes;
                window.acknowledged(now, last, bytes);
            }
            backlog = if pipe.is_empty() { 0 } else { (rate + backlog - arrived).min(rate) };
            if ms >= rounds / 2 {
                through += arrived;
            }
            while window.has_room(on_their_way) {
                number += 1;
                on_their_way += 60_000;
                window.wrote(now, number);
                pipe.push_back((ms + latency_ms, number, 60_000));
            }
        }
        (window.bytes, through / (rounds / 2) as usize)
    }

    #[test]
    fn a_short_way_keeps_the_smallest_window() {
        let mut window = Window::new(8 << 20);
        assert!(window.has_room(BYTES_MIN - 1) && !window.has_room(BYTES_MIN));
        // 100 MB/s and a millisecond: 200 kB would do.
        assert_eq!(flow(&mut window, 100_000, 1, 1_000).0, BYTES_MIN);
    }

    #[test]
    fn a_long_fat_way_is_filled() {
        let mut window = Window::new(64 << 20);
        // 100 MB/s and 100 ms: 10 MB are on their way.
        let (bytes, rate) = flow(&mut window, 100_000, 100, 8_000);
        assert!(rate > 90_000, "{rate} bytes per ms");
        assert!((10 << 20..40 << 20).contains(&bytes), "{bytes}");
    }

    #[test]
    fn the_bound_holds_and_a_break_begins_anew() {
        let mut window = Window::new(2 << 20);
        assert_eq!(flow(&mut window, 100_000, 100, 4_000).0, 2 << 20);
        window.interrupted();
        assert!(!window.has_room(BYTES_MIN) && window.marks.is_empty());
    }

    #[test]
    fn marks_are_bounded() {
        let mut window = Window::new(1 << 20);
        let now = Instant::now();
        (0..10_000).for_each(|number| window.wrote(now, number));
        assert_eq!(window.marks.len(), MARKS_MAX);
        window.acknowledged(now, 10_000, 1);
        assert!(window.marks.is_empty());
    }
}

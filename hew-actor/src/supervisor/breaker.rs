//! Whether a child that crashes too often is left alone for a while.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Limits of one child, after which it is left alone: see [`ChildSpec::circuit_breaker`](crate::ChildSpec::circuit_breaker).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitBreaker {
    /// Crashes within [`window`](Self::window) that are answered with a restart; one more opens the circuit. 0: the
    /// first one does.
    pub crashes_max: u32,
    /// How long a crash counts, and how long a child that is tried again must run for the circuit to close.
    pub window: Duration,
    /// How long an open circuit keeps the child down.
    pub cooldown: Duration,
}

/// The state of a child's circuit breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Circuit {
    /// The child is restarted when it crashes. Always so without a breaker.
    #[default]
    Closed,
    /// It crashed too often and stays down until the cooldown is over.
    Open,
    /// The cooldown is over and the child is tried once: a crash opens the circuit again; having run for the window
    /// closes it.
    HalfOpen,
}

/// Decides after each crash.
#[derive(Clone, Debug)]
pub(crate) struct Breaker {
    limits: CircuitBreaker,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// Times of the crashes within the window, at most `crashes_max`.
    Closed {
        recent: VecDeque<Instant>,
    },
    Open,
    /// Since when the child runs, if it does.
    HalfOpen {
        since: Option<Instant>,
    },
}

/// What follows a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As without a breaker.
    Restart,
    /// The circuit is open: try again after this time.
    TryAfter(Duration),
}

impl Breaker {
    pub(crate) fn new(limits: CircuitBreaker) -> Breaker {
        Breaker { limits, state: State::Closed { recent: VecDeque::new() } }
    }

    /// The state at `now`.
    pub(crate) fn circuit(&self, now: Instant) -> Circuit {
        match self.state {
            State::Closed { .. } => Circuit::Closed,
            State::Open => Circuit::Open,
            State::HalfOpen { since } if self.has_survived(since, now) => Circuit::Closed,
            State::HalfOpen { .. } => Circuit::HalfOpen,
        }
    }

    /// The child crashed, or could not be started.
    pub(crate) fn crashed(&mut self, now: Instant) -> Verdict {
        self.settle(now);
        match &mut self.state {
            State::Closed { recent } => {
                while let Some(&oldest) = recent.front()
                    && now.saturating_duration_since(oldest) >= self.limits.window
                {
                    recent.pop_front();
                }
                if recent.len() < self.limits.crashes_max as usize {
                    recent.push_back(now);
                    return Verdict::Restart;
                }
            }
            State::Open | State::HalfOpen { .. } => {}
        }
        self.state = State::Open;
        Verdict::TryAfter(self.limits.cooldown)
    }

    /// The cooldown is over: the child is tried.
    pub(crate) fn try_again(&mut self) {
        if matches!(self.state, State::Open) {
            self.state = State::HalfOpen { since: None };
        }
    }

    /// The child runs from now on.
    pub(crate) fn started(&mut self, now: Instant) {
        if let State::HalfOpen { since } = &mut self.state {
            *since = Some(now);
        }
    }

    /// The child does not run any more, for whatever reason: what it has survived counts. Whether that has closed the
    /// circuit.
    pub(crate) fn stopped(&mut self, now: Instant) -> bool {
        let survived = self.settle(now);
        if let State::HalfOpen { since } = &mut self.state {
            *since = None;
        }
        survived
    }

    /// Forgets all crashes.
    pub(crate) fn reset(&mut self) {
        self.state = State::Closed { recent: VecDeque::new() };
    }

    /// Closes the circuit of a tried child that has run for the window. Whether it was that.
    fn settle(&mut self, now: Instant) -> bool {
        let survived = matches!(self.state, State::HalfOpen { since } if self.has_survived(since, now));
        if survived {
            self.reset();
        }
        survived
    }

    fn has_survived(&self, since: Option<Instant>, now: Instant) -> bool {
        since.is_some_and(|since| now.saturating_duration_since(since) >= self.limits.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: CircuitBreaker =
        CircuitBreaker { crashes_max: 2, window: Duration::from_secs(10), cooldown: Duration::from_secs(60) };
    const WAIT: Verdict = Verdict::TryAfter(LIMITS.cooldown);

    enum Step {
        Crash(Verdict),
        TryAgain,
        Started,
        Stopped,
        Reset,
        Look,
    }
    use Step::{Crash, Look, Reset, Started, Stopped, TryAgain};

    /// Each step at its second, with the state after it.
    fn check(name: &str, limits: CircuitBreaker, steps: &[(u64, Step, Circuit)]) {
        let begin = Instant::now();
        let mut breaker = Breaker::new(limits);
        for (number, (second, step, circuit)) in steps.iter().enumerate() {
            let now = begin + Duration::from_secs(*second);
            match step {
                Crash(verdict) => assert_eq!(breaker.crashed(now), *verdict, "{name}, step {number}"),
                TryAgain => breaker.try_again(),
                Started => breaker.started(now),
                Stopped => drop(breaker.stopped(now)),
                Reset => breaker.reset(),
                Look => {}
            }
            assert_eq!(breaker.circuit(now), *circuit, "{name}, step {number}");
        }
    }

    #[test]
    fn the_table_of_the_circuit() {
        use Circuit::{Closed, HalfOpen, Open};
        use Verdict::Restart;
        let open = || [(0, Crash(Restart), Closed), (1, Crash(Restart), Closed), (2, Crash(WAIT), Open)];
        let after = |steps: Vec<(u64, Step, Circuit)>| open().into_iter().chain(steps).collect::<Vec<_>>();
        for (name, limits, steps) in [
            ("one more than the most opens", LIMITS, open().into()),
            (
                "crashes leave the window",
                LIMITS,
                vec![
                    (0, Crash(Restart), Closed),
                    (9, Crash(Restart), Closed),
                    (10, Crash(Restart), Closed),
                    (18, Crash(WAIT), Open),
                ],
            ),
            (
                "a most of none",
                CircuitBreaker { crashes_max: 0, ..LIMITS },
                vec![(0, Crash(WAIT), Open), (60, TryAgain, HalfOpen), (60, Crash(WAIT), Open)],
            ),
            ("time alone changes nothing", LIMITS, after(vec![(1000, Look, Open), (1000, Started, Open)])),
            (
                "survived",
                LIMITS,
                after(vec![
                    (62, TryAgain, HalfOpen),
                    (63, Started, HalfOpen),
                    (72, Look, HalfOpen),
                    (73, Look, Closed),
                    (74, Crash(Restart), Closed),
                    (75, Crash(Restart), Closed),
                    (76, Crash(WAIT), Open),
                ]),
            ),
            (
                "crashed on trial",
                LIMITS,
                after(vec![
                    (62, TryAgain, HalfOpen),
                    (62, Started, HalfOpen),
                    (71, Crash(WAIT), Open),
                    (131, TryAgain, HalfOpen),
                    (131, Started, HalfOpen),
                    (141, Crash(Restart), Closed),
                ]),
            ),
            (
                "never started on trial",
                LIMITS,
                after(vec![(62, TryAgain, HalfOpen), (500, Look, HalfOpen), (501, Crash(WAIT), Open)]),
            ),
            (
                "stopped on trial, for another's sake",
                LIMITS,
                after(vec![
                    (62, TryAgain, HalfOpen),
                    (62, Started, HalfOpen),
                    (70, Stopped, HalfOpen),
                    (75, Started, HalfOpen),
                    (80, Look, HalfOpen),
                    (85, Stopped, Closed),
                ]),
            ),
            (
                "a closed circuit is not tried",
                LIMITS,
                vec![(0, TryAgain, Closed), (0, Started, Closed), (1, Crash(Restart), Closed)],
            ),
            ("reset", LIMITS, after(vec![(3, Reset, Closed), (4, Crash(Restart), Closed)])),
        ] {
            check(name, limits, &steps);
        }
    }
}

//! Whose turn it is to be stopped or started.

use std::collections::BTreeSet;

/// The children that are to be stopped and started for each other's sake, by number, which is the order of their
/// start. Each is in at most one set.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Run, and will be asked to stop when those after them have ended.
    to_stop: BTreeSet<u64>,
    /// Asked to stop, and not ended.
    stopping: BTreeSet<u64>,
    /// Down for the time of their back-off.
    waiting: BTreeSet<u64>,
    /// Down, to be started.
    to_start: BTreeSet<u64>,
    /// Their start hook runs.
    starting: BTreeSet<u64>,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask this child to stop.
    Stop(u64),
    /// Start this child.
    Start(u64),
}

impl Plan {
    pub(crate) fn stop(&mut self, child: u64) {
        self.forget(child);
        self.to_stop.insert(child);
    }

    pub(crate) fn start(&mut self, child: u64) {
        self.forget(child);
        self.to_start.insert(child);
    }

    pub(crate) fn wait(&mut self, child: u64) {
        self.forget(child);
        self.waiting.insert(child);
    }

    /// The child is where it should be, or none of the plan's business.
    pub(crate) fn forget(&mut self, child: u64) {
        for set in
            [&mut self.to_stop, &mut self.stopping, &mut self.waiting, &mut self.to_start, &mut self.starting]
        {
            set.remove(&child);
        }
    }

    pub(crate) fn will_stop(&self, child: u64) -> bool {
        self.to_stop.contains(&child)
    }

    /// The next step, noted as under way; `None` while something has to happen first.
    ///
    /// Stops are one at a time, last first. With `ordered`, so are starts, first first, after all stops, and nobody
    /// overtakes an earlier one that waits; without it starts do not wait for anything.
    pub(crate) fn next(&mut self, ordered: bool) -> Option<Step> {
        if self.stopping.is_empty()
            && let Some(last) = self.to_stop.pop_last()
        {
            self.stopping.insert(last);
            return Some(Step::Stop(last));
        }
        let first = *self.to_start.first()?;
        if ordered {
            let stops = !self.to_stop.is_empty() || !self.stopping.is_empty();
            let waits = self.waiting.first().is_some_and(|&waits| waits < first);
            if stops || waits || !self.starting.is_empty() {
                return None;
            }
        }
        self.to_start.remove(&first);
        self.starting.insert(first);
        Some(Step::Start(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_are_last_first_and_one_at_a_time() {
        let mut plan = Plan::default();
        [1, 3, 2].into_iter().for_each(|child| plan.stop(child));
        plan.start(4);
        for child in [3, 2, 1] {
            assert_eq!(plan.next(true), Some(Step::Stop(child)));
            assert_eq!(plan.next(true), None);
            plan.start(child);
        }
        for child in 1..5 {
            assert_eq!(plan.next(true), Some(Step::Start(child)));
            assert_eq!(plan.next(true), None);
            plan.forget(child);
        }
        assert_eq!(plan.next(true), None);
    }

    #[test]
    fn in_order_nobody_overtakes_one_that_waits() {
        let mut plan = Plan::default();
        plan.wait(2);
        plan.start(1);
        plan.start(3);
        assert_eq!(plan.next(true), Some(Step::Start(1)));
        plan.forget(1);
        assert_eq!(plan.next(true), None);
        plan.start(2);
        assert_eq!(plan.next(true), Some(Step::Start(2)));
        plan.forget(2);
        assert_eq!(plan.next(true), Some(Step::Start(3)));
    }

    #[test]
    fn without_order_starts_wait_for_nothing() {
        let mut plan = Plan::default();
        plan.wait(1);
        plan.start(2);
        plan.start(3);
        assert_eq!(plan.next(false), Some(Step::Start(2)));
        assert_eq!(plan.next(false), Some(Step::Start(3)));
        assert_eq!(plan.next(false), None);
    }
}

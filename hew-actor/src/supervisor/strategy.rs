//! Which children a failure concerns, and which ends are failures.

use hew_wire::ExitReason;
use std::ops::RangeInclusive;

/// What happens to the other children when one fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Nothing; only the failed one is restarted.
    #[default]
    OneForOne,
    /// All are stopped, last started first, and all are started again in order.
    OneForAll,
    /// Those started after it are stopped, last started first, and started again after it in order.
    RestForOne,
}

/// When a child that ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Always, also after a normal end.
    #[default]
    Permanent,
    /// After every end but a normal one.
    Transient,
    /// Never.
    Temporary,
}

impl Strategy {
    /// The numbers of the children that are stopped and started again when number `failed` is. Children are numbered
    /// in the order of their start.
    pub(crate) fn affected(self, failed: u64) -> RangeInclusive<u64> {
        match self {
            Strategy::OneForOne => failed..=failed,
            Strategy::OneForAll => 0..=u64::MAX,
            Strategy::RestForOne => failed..=u64::MAX,
        }
    }

    /// Whether children are always started one after the other, or only at first.
    pub(crate) fn is_ordered(self) -> bool {
        match self {
            Strategy::OneForOne => false,
            Strategy::OneForAll | Strategy::RestForOne => true,
        }
    }
}

impl Restart {
    /// Whether a child is started again after this end.
    pub(crate) fn wanted_after(self, reason: &ExitReason) -> bool {
        match self {
            Restart::Permanent => true,
            Restart::Transient => !reason.is_normal(),
            Restart::Temporary => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_concern_one_all_or_the_rest() {
        let affected = |strategy: Strategy| (0..4).filter(move |n| strategy.affected(1).contains(n));
        assert!(affected(Strategy::OneForOne).eq([1]));
        assert!(affected(Strategy::OneForAll).eq([0, 1, 2, 3]));
        assert!(affected(Strategy::RestForOne).eq([1, 2, 3]));
    }

    #[test]
    fn the_table_of_restarts() {
        let crash = ExitReason::crashed("x");
        for (restart, normal, crashed) in [
            (Restart::Permanent, true, true),
            (Restart::Transient, false, true),
            (Restart::Temporary, false, false),
        ] {
            assert_eq!(restart.wanted_after(&ExitReason::Normal), normal);
            assert_eq!(restart.wanted_after(&crash), crashed);
            assert_eq!(restart.wanted_after(&ExitReason::Killed), crashed);
        }
    }
}

//! Which children a failure concerns, and which ends are failures.

use hew_wire::ExitReason;
use std::ops::Range;

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
    /// The children, by position, that are stopped and started again when `failed` of `count` is.
    pub(crate) fn affected(self, failed: usize, count: usize) -> Range<usize> {
        match self {
            Strategy::OneForOne => failed..failed + 1,
            Strategy::OneForAll => 0..count,
            Strategy::RestForOne => failed..count,
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
        assert_eq!(Strategy::OneForOne.affected(1, 4), 1..2);
        assert_eq!(Strategy::OneForAll.affected(1, 4), 0..4);
        assert_eq!(Strategy::RestForOne.affected(1, 4), 1..4);
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

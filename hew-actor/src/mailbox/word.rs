//! The word of a mailbox: how many messages wait, who has the turn, and where the actor is in its life.

use crate::lifecycle::Lifecycle;

/// Who has the actor's turn: at most one holds it, which is what makes it handle one message at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nobody: the actor waits. Who ends that schedules the actor, and only who does.
    Parked,
    /// A run queue.
    Queued,
    /// A thread.
    Running,
}

/// The state of a mailbox; bit 0 is the lock's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

const TURN: u64 = 0b11 << 1;
const LIFE: u64 = 0b11 << 3;
/// Inside a handler that waits: messages do not end that.
const BUSY: u64 = 1 << 5;
/// Woken while it ran.
const WOKEN: u64 = 1 << 6;
/// The system lane, a stop or a kill waits.
const URGENT: u64 = 1 << 7;
const STOP: u64 = 1 << 8;
/// Accepts nothing more, and ends when empty.
const DRAINING: u64 = 1 << 9;
/// Senders wait for room.
const WAITERS: u64 = 1 << 10;
/// The time at which the next message comes is to be noted.
const TIMED: u64 = 1 << 11;
/// Senders have waited for room since the mailbox was made.
const AWAITED: u64 = 1 << 12;
const COUNT_SHIFT: u32 = 32;

macro_rules! flags {
    ($($flag:ident $is:ident $set:ident;)*) => {
        $(
            #[inline]
            pub(crate) fn $is(self) -> bool {
                self.0 & $flag != 0
            }

            #[inline]
            #[must_use]
            pub(crate) fn $set(self, on: bool) -> Word {
                Word(if on { self.0 | $flag } else { self.0 & !$flag })
            }
        )*
    };
}

impl Word {
    /// Alive, empty, and in a run queue: that of its spawner.
    pub(crate) const FIRST: Word = Word((Turn::Queued as u64) << 1);

    flags! {
        BUSY is_busy busy;
        WOKEN is_woken woken;
        URGENT is_urgent urgent;
        STOP is_stop stop;
        DRAINING is_draining draining;
        WAITERS has_waiters waiters;
        TIMED is_timed timed;
        AWAITED was_awaited awaited;
    }

    #[inline]
    pub(crate) fn turn(self) -> Turn {
        match (self.0 & TURN) >> 1 {
            0 => Turn::Parked,
            1 => Turn::Queued,
            _ => Turn::Running,
        }
    }

    #[inline]
    #[must_use]
    pub(crate) fn with_turn(self, turn: Turn) -> Word {
        Word(self.0 & !TURN | (turn as u64) << 1)
    }

    /// Whether it waits for a message: the next one ends that.
    #[inline]
    pub(crate) fn is_idle(self) -> bool {
        self.0 & (TURN | BUSY) == 0
    }

    /// Whether there is nothing but messages to look at: nobody waits for anything else, and nothing has to be noted.
    #[inline]
    pub(crate) fn is_plain(self) -> bool {
        self.0 & (LIFE | BUSY | WOKEN | URGENT | STOP | DRAINING | WAITERS | TIMED) == 0
    }

    /// Whether the queue accepts messages.
    #[inline]
    pub(crate) fn is_open(self) -> bool {
        self.0 & (LIFE | DRAINING) == 0
    }

    /// Whether the mailbox was closed: the actor runs its end, or has ended.
    pub(crate) fn is_closed(self) -> bool {
        self.0 & LIFE != 0
    }

    /// Messages that were accepted and that the actor has not begun to handle, or a few more.
    #[inline]
    pub(crate) fn count(self) -> usize {
        (self.0 >> COUNT_SHIFT) as usize
    }

    #[inline]
    #[must_use]
    pub(crate) fn plus(self, messages: usize) -> Word {
        Word(self.0 + ((messages as u64) << COUNT_SHIFT))
    }

    #[inline]
    #[must_use]
    pub(crate) fn minus(self, messages: usize) -> Word {
        debug_assert!(messages <= self.count(), "more messages taken than came");
        Word(self.0 - ((messages as u64) << COUNT_SHIFT))
    }

    pub(crate) fn lifecycle(self) -> Lifecycle {
        match ((self.0 & LIFE) >> 3, self.turn()) {
            (1, _) => Lifecycle::Stopping,
            (2, _) => Lifecycle::Stopped,
            (3, _) => Lifecycle::Crashed,
            (_, Turn::Parked) if self.is_busy() => Lifecycle::Running,
            (_, Turn::Parked) => Lifecycle::Idle,
            (_, Turn::Queued) => Lifecycle::Runnable,
            (_, Turn::Running) => Lifecycle::Running,
        }
    }

    /// The step to `Stopping`, `Stopped` or `Crashed`; the others are steps of the turn.
    #[must_use]
    pub(crate) fn with_end(self, end: Lifecycle) -> Word {
        let life = match end {
            Lifecycle::Stopping => 1,
            Lifecycle::Stopped => 2,
            Lifecycle::Crashed => 3,
            Lifecycle::Idle | Lifecycle::Runnable | Lifecycle::Running => 0,
        };
        Word(self.0 & !LIFE | life << 3)
    }

    /// This word if the step from `before` is legal by the table of [`Lifecycle`].
    pub(crate) fn checked_after(self, before: Word) -> Word {
        let (from, to) = (before.lifecycle(), self.lifecycle());
        debug_assert!(from == to || from.allows(to), "{from:?} -> {to:?}");
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_do_not_touch_each_other() {
        let full = (1 << 24) - 1;
        let word = Word::FIRST.plus(full).busy(true).stop(true).waiters(true).timed(true);
        assert_eq!((word.count(), word.turn(), word.lifecycle()), (full, Turn::Queued, Lifecycle::Runnable));
        let word = word.with_turn(Turn::Parked).minus(full - 1);
        assert_eq!((word.count(), word.turn(), word.lifecycle()), (1, Turn::Parked, Lifecycle::Running));
        assert!(word.is_busy() && word.is_stop() && word.has_waiters() && word.is_timed());
        assert!(!word.is_woken() && !word.is_urgent() && !word.is_draining() && word.is_open());
        assert!(!word.is_idle() && word.busy(false).is_idle());
        assert!(!word.draining(true).is_open());
        for end in [Lifecycle::Stopping, Lifecycle::Stopped, Lifecycle::Crashed] {
            let ended = word.with_end(end);
            assert_eq!((ended.lifecycle(), ended.count()), (end, 1));
            assert!(ended.is_closed() && !ended.is_open());
        }
        assert_eq!(word.0 & 1, 0);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "Stopped -> Idle")]
    fn a_step_that_is_not_in_the_table_is_a_bug() {
        let ended = Word::FIRST.with_end(Lifecycle::Stopped);
        let _ = ended.with_end(Lifecycle::Idle).with_turn(Turn::Parked).checked_after(ended);
    }
}

//! Run queues: one for each worker, from which the others steal, and one for what comes from outside.

use crate::job::Job;
use crate::options::Priority;
use crate::state_lock::StateLock;
use std::collections::VecDeque;

/// Of this many turns, one looks at the normal class before the high one.
const NORMAL_FIRST: u32 = 8;
/// Of this many turns, one looks at the low class before both.
const LOW_FIRST: u32 = 32;
/// Most jobs that are stolen at once.
pub(super) const STEAL_MAX: usize = 128;

/// Jobs by class, first in, first out within each. The word of the lock holds how many there are, so that an empty queue
/// is seen without the lock.
pub(super) struct RunQueue {
    lanes: StateLock<Lanes>,
}

#[derive(Default)]
struct Lanes {
    lanes: [VecDeque<Job>; 3],
    /// Turns, modulo [`LOW_FIRST`].
    turn: u32,
}

impl RunQueue {
    pub(super) fn new() -> RunQueue {
        RunQueue { lanes: StateLock::new(0, Lanes::default()) }
    }

    /// Jobs that wait, or waited a moment ago.
    #[inline]
    pub(super) fn len(&self) -> usize {
        (self.lanes.word() >> 1) as usize
    }

    /// Adds a job; how many wait now.
    #[inline]
    pub(super) fn push(&self, job: Job, priority: Priority) -> usize {
        let mut lanes = self.lanes.lock();
        lanes.lanes[priority as usize].push_back(job);
        let word = lanes.word() + 2;
        lanes.set_word(word);
        (word >> 1) as usize
    }

    /// Takes the job whose turn it is.
    #[inline]
    pub(super) fn pop(&self) -> Option<Job> {
        if self.lanes.word_relaxed() == 0 {
            return None;
        }
        let mut lanes = self.lanes.lock();
        let job = lanes.next()?;
        let word = lanes.word() - 2;
        lanes.set_word(word);
        Some(job)
    }

    /// Takes half of the jobs, at least one, the oldest of each class, in their order.
    pub(super) fn steal(&self) -> Stolen {
        let mut stolen = Stolen::default();
        if self.len() == 0 {
            return stolen;
        }
        let mut lanes = self.lanes.lock();
        for (from, to) in lanes.lanes.iter_mut().zip(&mut stolen.lanes) {
            let half = from.len().div_ceil(2).min(STEAL_MAX - stolen.count);
            to.extend(from.drain(..half));
            stolen.count += half;
        }
        let word = lanes.word() - 2 * stolen.count as u64;
        lanes.set_word(word);
        stolen
    }

    /// Adds what was stolen from another queue.
    pub(super) fn take_in(&self, stolen: Stolen) {
        let mut lanes = self.lanes.lock();
        for (to, from) in lanes.lanes.iter_mut().zip(stolen.lanes) {
            to.extend(from);
        }
        let word = lanes.word() + 2 * stolen.count as u64;
        lanes.set_word(word);
    }
}

impl Lanes {
    #[inline]
    fn next(&mut self) -> Option<Job> {
        if self.lanes[0].is_empty() && self.lanes[2].is_empty() {
            return self.lanes[1].pop_front();
        }
        self.turn = (self.turn + 1) % LOW_FIRST;
        let [high, normal, low] = &mut self.lanes;
        if self.turn == 0 && !low.is_empty() {
            return low.pop_front();
        }
        if self.turn.is_multiple_of(NORMAL_FIRST) && !normal.is_empty() {
            return normal.pop_front();
        }
        high.pop_front().or_else(|| normal.pop_front()).or_else(|| low.pop_front())
    }
}

/// Jobs on their way from one queue to another.
#[derive(Default)]
pub(super) struct Stolen {
    lanes: [VecDeque<Job>; 3],
    pub(super) count: usize,
}

impl Stolen {
    /// The first one, to be run at once.
    pub(super) fn pop(&mut self) -> Option<Job> {
        let job = self.lanes.iter_mut().find_map(VecDeque::pop_front)?;
        self.count -= 1;
        Some(job)
    }
}

//! The tasks of a runtime that have not finished, so that its shutdown reaches those that wait.

use crate::lock::Lock;
use std::task::Waker;

/// A waker of each task, by a number that is used again.
#[derive(Default)]
pub(super) struct Tasks(Lock<Slots>);

#[derive(Default)]
struct Slots {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
    /// Numbers in use.
    living: usize,
    closed: bool,
}

impl Tasks {
    /// A number for a new task.
    pub(super) fn reserve(&self) -> usize {
        let mut slots = self.0.lock();
        slots.living += 1;
        match slots.free.pop() {
            Some(number) => number,
            None => {
                slots.wakers.push(None);
                slots.wakers.len() - 1
            }
        }
    }

    /// Notes how a task is reached.
    pub(super) fn note(&self, number: usize, waker: Waker) {
        let old = self.0.lock().wakers.get_mut(number).and_then(|slot| slot.replace(waker));
        drop(old);
    }

    /// A task has finished or was dropped.
    pub(super) fn release(&self, number: usize) {
        let mut slots = self.0.lock();
        slots.living -= 1;
        if slots.closed {
            return;
        }
        let waker = slots.wakers.get_mut(number).and_then(Option::take);
        slots.free.push(number);
        drop(slots);
        drop(waker);
    }

    /// How many there are.
    pub(super) fn living(&self) -> usize {
        self.0.lock().living
    }

    /// All of them. Numbers are not used again after this.
    pub(super) fn take_all(&self) -> Vec<Waker> {
        let mut slots = self.0.lock();
        slots.closed = true;
        slots.wakers.iter_mut().filter_map(Option::take).collect()
    }
}

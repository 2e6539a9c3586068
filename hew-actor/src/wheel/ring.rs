//! A doubly linked list through the entries of a slab; its end is found from its beginning.

use super::slab::{NIL, Slab};

/// The first entry of a closed ring, or [`NIL`].
#[derive(Clone, Copy)]
pub(super) struct Ring(u32);

impl Ring {
    pub(super) const EMPTY: Ring = Ring(NIL);

    pub(super) fn append<T>(&mut self, slab: &mut Slab<T>, index: u32) {
        if self.is_empty() {
            let entry = slab.entry_mut(index);
            (entry.prev, entry.next) = (index, index);
            self.0 = index;
            return;
        }
        let first = slab.entry_mut(self.0);
        let last = std::mem::replace(&mut first.prev, index);
        slab.entry_mut(last).next = index;
        let entry = slab.entry_mut(index);
        (entry.prev, entry.next) = (last, self.0);
    }

    pub(super) fn unlink<T>(&mut self, slab: &mut Slab<T>, index: u32) {
        let entry = slab.entry(index);
        let (prev, next) = (entry.prev, entry.next);
        if next == index {
            self.0 = NIL;
            return;
        }
        slab.entry_mut(prev).next = next;
        slab.entry_mut(next).prev = prev;
        if self.0 == index {
            self.0 = next;
        }
    }

    pub(super) fn pop<T>(&mut self, slab: &mut Slab<T>) -> Option<u32> {
        let first = self.first()?;
        self.unlink(slab, first);
        Some(first)
    }

    /// Sorts by deadline; equal ones keep their order.
    pub(super) fn sort<T>(&mut self, slab: &mut Slab<T>) {
        if self.is_sorted(slab) {
            return;
        }
        let mut entries = Vec::new();
        while let Some(index) = self.pop(slab) {
            entries.push((slab.entry(index).deadline, index));
        }
        entries.sort_by_key(|&(deadline, _)| deadline);
        for (_, index) in entries {
            self.append(slab, index);
        }
    }

    pub(super) fn first(&self) -> Option<u32> {
        (!self.is_empty()).then_some(self.0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0 == NIL
    }

    fn is_sorted<T>(&self, slab: &Slab<T>) -> bool {
        let Some(mut index) = self.first() else { return true };
        loop {
            let entry = slab.entry(index);
            if entry.next == self.0 {
                return true;
            }
            if slab.entry(entry.next).deadline < entry.deadline {
                return false;
            }
            index = entry.next;
        }
    }
}

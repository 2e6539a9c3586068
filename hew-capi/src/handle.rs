//! Handles: what C holds is a number in the shape of a pointer, never an address.
//!
//! A table gives each object a number made of its kind, its slot and the slot's generation. A handle that was freed, of
//! another kind, or made up is found out by looking, and nothing is dereferenced. The kind is in the topmost byte, which
//! makes the number an address that no 64-bit machine maps: C code that looks through a handle faults at once.

use crate::error::{Failure, HEW_ERR_OOM, HEW_ERR_STALE};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Most objects of one kind that live at once.
pub(crate) const HANDLES_MAX: usize = 1 << 26;

const SLOT_SHIFT: u32 = 4;
const SLOT_BITS: u32 = 26;
const GENERATION_SHIFT: u32 = SLOT_SHIFT + SLOT_BITS;
const GENERATION_BITS: u32 = 26;
const GENERATION_MAX: u32 = (1 << GENERATION_BITS) - 1;
const KIND_SHIFT: u32 = GENERATION_SHIFT + GENERATION_BITS;

/// What a handle is for. The numbers are part of handles only; they mean nothing outside of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Actor = 0x41,
    ReplyChannel = 0x42,
    Node = 0x43,
    NodeOptions = 0x44,
    Cluster = 0x45,
    Allowlist = 0x46,
    TimerWheel = 0x47,
    TimerEntry = 0x48,
    Scope = 0x49,
    Group = 0x4A,
    Transport = 0x4B,
    Supervisor = 0x4C,
}

/// All living objects of one kind.
pub(crate) struct Table<T> {
    kind: Kind,
    /// What texts of failures call the object.
    what: &'static str,
    slots: RwLock<Slots<T>>,
}

struct Slots<T> {
    slots: Vec<Slot<T>>,
    /// Slots without an object. A slot whose generations are used up is in neither list: it is lost, which costs its
    /// bytes once in 67 million frees.
    free: Vec<u32>,
}

struct Slot<T> {
    generation: u32,
    object: Option<Arc<T>>,
}

impl<T> Table<T> {
    pub(crate) const fn new(kind: Kind, what: &'static str) -> Table<T> {
        Table { kind, what, slots: RwLock::new(Slots { slots: Vec::new(), free: Vec::new() }) }
    }

    /// A handle for `object`.
    ///
    /// # Errors
    /// [`HANDLES_MAX`] objects live.
    pub(crate) fn insert(&self, object: Arc<T>) -> Result<usize, Failure> {
        let mut slots = self.write();
        let index = match slots.free.pop() {
            Some(index) => index,
            None if slots.slots.len() < HANDLES_MAX => {
                slots.slots.push(Slot { generation: 0, object: None });
                // Below HANDLES_MAX, which fits.
                (slots.slots.len() - 1) as u32
            }
            None => {
                let text = format!("there are {HANDLES_MAX} {}s, which is the limit", self.what);
                return Err(Failure::new(HEW_ERR_OOM, text));
            }
        };
        let slot = &mut slots.slots[index as usize];
        slot.object = Some(object);
        Ok(self.encode(index, slot.generation))
    }

    /// The object of a handle.
    ///
    /// # Errors
    /// NULL, a handle of something else, or one that was freed.
    pub(crate) fn find(&self, handle: usize) -> Result<Arc<T>, Failure> {
        let (index, generation) = self.decode(handle)?;
        let slots = self.read();
        let slot = slots.slots.get(index as usize).filter(|slot| slot.generation == generation);
        slot.and_then(|slot| slot.object.clone()).ok_or_else(|| self.stale())
    }

    /// Frees the handle and returns its object.
    ///
    /// # Errors
    /// As [`Table::find`].
    pub(crate) fn remove(&self, handle: usize) -> Result<Arc<T>, Failure> {
        let (index, generation) = self.decode(handle)?;
        let mut slots = self.write();
        let Slots { slots, free } = &mut *slots;
        let slot = slots.get_mut(index as usize).filter(|slot| slot.generation == generation);
        let slot = slot.ok_or_else(|| self.stale())?;
        let object = slot.object.take().ok_or_else(|| self.stale())?;
        if slot.generation < GENERATION_MAX {
            slot.generation += 1;
            free.push(index);
        }
        Ok(object)
    }

    /// All living objects with their handles.
    pub(crate) fn all(&self) -> Vec<(usize, Arc<T>)> {
        let slots = self.read();
        let living = slots.slots.iter().enumerate().filter_map(|(index, slot)| {
            // `insert` made the index from a u32.
            Some((self.encode(index as u32, slot.generation), slot.object.clone()?))
        });
        living.collect()
    }

    fn encode(&self, index: u32, generation: u32) -> usize {
        (self.kind as usize) << KIND_SHIFT
            | (generation as usize) << GENERATION_SHIFT
            | (index as usize) << SLOT_SHIFT
    }

    fn decode(&self, handle: usize) -> Result<(u32, u32), Failure> {
        if handle == 0 {
            return Err(Failure::null(self.what));
        }
        if handle >> KIND_SHIFT != self.kind as usize || handle & ((1 << SLOT_SHIFT) - 1) != 0 {
            return Err(Failure::invalid(format!("{handle:#x} is no {}", self.what)));
        }
        let index = handle >> SLOT_SHIFT & ((1 << SLOT_BITS) - 1);
        let generation = handle >> GENERATION_SHIFT & GENERATION_MAX as usize;
        // Both are masked to fewer than 32 bits.
        Ok((index as u32, generation as u32))
    }

    fn stale(&self) -> Failure {
        Failure::new(HEW_ERR_STALE, format!("this {} was freed", self.what))
    }

    fn read(&self) -> RwLockReadGuard<'_, Slots<T>> {
        // Nothing under this lock panics between two steps that belong together.
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Slots<T>> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number as C holds it.
pub(crate) fn pointer<H>(handle: usize) -> *mut H {
    std::ptr::without_provenance_mut(handle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::HEW_ERR_INVALID;

    #[test]
    fn a_handle_finds_its_object_until_it_is_freed() {
        let table = Table::new(Kind::Actor, "actor");
        let one = table.insert(Arc::new(1)).unwrap();
        let two = table.insert(Arc::new(2)).unwrap();
        assert_eq!((*table.find(one).unwrap(), *table.find(two).unwrap()), (1, 2));
        assert_eq!(*table.remove(one).unwrap(), 1);
        for failure in [table.find(one).unwrap_err(), table.remove(one).unwrap_err()] {
            assert_eq!(failure, Failure::new(HEW_ERR_STALE, "this actor was freed"));
        }
        let three = table.insert(Arc::new(3)).unwrap();
        assert_ne!(one, three, "a slot is used again under another number");
        assert!(table.find(one).is_err());
        assert_eq!(table.all().len(), 2);
    }

    #[test]
    fn handles_of_other_kinds_and_made_up_numbers_are_refused() {
        let table = Table::new(Kind::Actor, "actor");
        let handle = table.insert(Arc::new(1)).unwrap();
        let nodes = Table::new(Kind::Node, "node");
        let node = nodes.insert(Arc::new(1)).unwrap();
        assert_eq!(table.find(0).unwrap_err().text, "actor is NULL");
        for wrong in [node, handle | 1, 0x1000, usize::MAX, &raw const table as usize] {
            assert_eq!(table.find(wrong).unwrap_err().code, HEW_ERR_INVALID, "{wrong:#x}");
        }
        let beyond = table.encode(7, 0);
        assert_eq!(table.find(beyond).unwrap_err().code, HEW_ERR_STALE);
    }

    #[test]
    fn a_slot_whose_generations_are_used_up_is_not_used_again() {
        let table = Table::new(Kind::Actor, "actor");
        table.insert(Arc::new(0)).unwrap();
        table.write().slots[0].generation = GENERATION_MAX;
        let last = table.encode(0, GENERATION_MAX);
        table.remove(last).unwrap();
        let next = table.insert(Arc::new(1)).unwrap();
        assert_eq!(table.decode(next).unwrap(), (1, 0));
        assert_eq!(table.find(last).unwrap_err().code, HEW_ERR_STALE);
    }
}

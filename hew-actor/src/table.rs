//! The living actors by serial.

use crate::cell::AnyCell;
use crate::lock::Lock;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Locks that the table is spread over, so that workers rarely meet; a power of two.
const SHARDS: usize = 64;

type Shard = Lock<HashMap<u64, Arc<dyn AnyCell>, BuildHasherDefault<SerialHasher>>>;

pub(crate) struct Table {
    shards: [Shard; SHARDS],
    /// Entries of all shards, counted under the lock of the entry's shard: who finds an actor gone finds it uncounted.
    len: AtomicUsize,
}

impl Default for Table {
    fn default() -> Table {
        Table { shards: std::array::from_fn(|_| Lock::default()), len: AtomicUsize::new(0) }
    }
}

impl Table {
    /// Adds an actor; `false` if its serial is taken.
    pub(crate) fn insert(&self, cell: Arc<dyn AnyCell>) -> bool {
        use std::collections::hash_map::Entry;
        let serial = cell.serial();
        match self.shard(serial).lock().entry(serial) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(cell);
                self.len.fetch_add(1, Ordering::SeqCst);
                true
            }
        }
    }

    pub(crate) fn remove(&self, serial: u64) {
        let mut shard = self.shard(serial).lock();
        let removed = shard.remove(&serial);
        if removed.is_some() {
            self.len.fetch_sub(1, Ordering::SeqCst);
        }
        drop(shard);
        drop(removed);
    }

    pub(crate) fn find(&self, serial: u64) -> Option<Arc<dyn AnyCell>> {
        self.shard(serial).lock().get(&serial).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }

    /// All actors in order of their serials, so that nothing depends on the order of the map.
    pub(crate) fn all(&self) -> Vec<Arc<dyn AnyCell>> {
        let mut all: Vec<_> =
            self.shards.iter().flat_map(|shard| shard.lock().values().cloned().collect::<Vec<_>>()).collect();
        all.sort_by_key(|cell| cell.serial());
        all
    }

    fn shard(&self, serial: u64) -> &Shard {
        &self.shards[serial as usize % SHARDS]
    }
}

/// A hash for serials: they are numbers that this process counts up itself, so nobody can choose colliding ones.
#[derive(Default)]
pub(crate) struct SerialHasher(u64);

impl Hasher for SerialHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(self.0 ^ u64::from(byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        // Fibonacci hashing: the map takes its bits from both ends.
        let product = value.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ (product >> 32);
    }
}

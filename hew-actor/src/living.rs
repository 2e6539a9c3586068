//! How many actors live, counted so that workers do not meet at the counter.

use crate::sync::{AtomicUsize, Ordering};

/// Counters that the actors are spread over, by serial.
const SHARDS: u64 = 16;

/// Actors that have been spawned and whose end is not over: everyone who wants to hear of it has not been told.
pub(crate) struct Living([Shard; SHARDS as usize]);

/// A line of the cache for itself.
#[repr(align(128))]
#[derive(Default)]
struct Shard {
    /// Those without and those with a supervisor. Changes and the reads of `count` are `SeqCst`: who saw the last one go
    /// has seen all that it did.
    counts: [AtomicUsize; 2],
}

impl Default for Living {
    fn default() -> Living {
        Living(std::array::from_fn(|_| Shard::default()))
    }
}

impl Living {
    fn counter(&self, serial: u64, supervised: bool) -> &AtomicUsize {
        &self.0[(serial % SHARDS) as usize].counts[usize::from(supervised)]
    }

    pub(crate) fn add(&self, serial: u64, supervised: bool) {
        self.counter(serial, supervised).fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn remove(&self, serial: u64, supervised: bool) {
        self.counter(serial, supervised).fetch_sub(1, Ordering::SeqCst);
    }

    /// Those with, or those without a supervisor. While none are spawned, nought is final.
    pub(crate) fn count(&self, supervised: bool) -> usize {
        self.0.iter().map(|shard| shard.counts[usize::from(supervised)].load(Ordering::SeqCst)).sum()
    }

    /// All of them.
    pub(crate) fn all(&self) -> usize {
        self.count(false) + self.count(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn those_with_and_without_a_supervisor_are_counted_apart() {
        let (mut random, living) = (fastrand::Rng::with_seed(4), Living::default());
        let mut model: [Vec<u64>; 2] = Default::default();
        for serial in 0..10_000 {
            let supervised = random.bool();
            let ours = &mut model[usize::from(supervised)];
            if random.u8(0..3) > 0 || ours.is_empty() {
                living.add(serial, supervised);
                ours.push(serial);
            } else {
                living.remove(ours.swap_remove(random.usize(..ours.len())), supervised);
            }
            let expected = [false, true].map(|supervised| model[usize::from(supervised)].len());
            assert_eq!([living.count(false), living.count(true)], expected);
            assert_eq!(living.all(), expected[0] + expected[1]);
        }
    }

    #[test]
    fn many_threads_count_as_one() {
        let living = Arc::new(Living::default());
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let living = living.clone();
                std::thread::spawn(move || {
                    for serial in 0..2000 {
                        living.add(serial, thread % 2 == 0);
                        // One of four stays.
                        if serial % 4 != 0 {
                            living.remove(serial, thread % 2 == 0);
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((living.count(false), living.count(true), living.all()), (1000, 1000, 2000));
    }
}

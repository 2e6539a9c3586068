//! The living actors by serial.

use crate::cell::AnyCell;
use crate::lock::Lock;
use std::sync::Arc;

/// Locks that the table is spread over, so that workers rarely meet; a power of two.
const SHARDS: u64 = 64;
/// Smallest number of places of a shard that holds anything; a power of two.
const PLACES_MIN: usize = 8;

/// Serials are counted up, so neighbours go to different shards, and within a shard to different places.
pub(crate) struct Table {
    shards: [Lock<Shard<Arc<dyn AnyCell>>>; SHARDS as usize],
}

/// Open addressing with linear probing. A serial belongs to the place that its higher bits say, or to the first free one
/// after it; taking one out moves those after it back, so that there are no gaps on the way to any.
struct Shard<T> {
    places: Vec<Option<T>>,
    len: usize,
}

/// What a shard holds.
trait Serial {
    fn serial(&self) -> u64;
}

impl Serial for Arc<dyn AnyCell> {
    #[inline]
    fn serial(&self) -> u64 {
        (**self).serial()
    }
}

impl<T> Default for Shard<T> {
    fn default() -> Shard<T> {
        Shard { places: Vec::new(), len: 0 }
    }
}

impl Default for Table {
    fn default() -> Table {
        Table { shards: std::array::from_fn(|_| Lock::default()) }
    }
}

impl Table {
    /// Adds an actor; `false` if its serial is taken.
    pub(crate) fn insert(&self, cell: Arc<dyn AnyCell>) -> bool {
        self.shard(cell.serial()).lock().insert(cell)
    }

    pub(crate) fn remove(&self, serial: u64) {
        let removed = self.shard(serial).lock().remove(serial);
        drop(removed);
    }

    pub(crate) fn find(&self, serial: u64) -> Option<Arc<dyn AnyCell>> {
        let shard = self.shard(serial).lock();
        shard.places.get(shard.position(serial)?)?.clone()
    }

    /// Living actors. Who has seen an actor gone finds it uncounted.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len).sum()
    }

    /// All actors in order of their serials.
    pub(crate) fn all(&self) -> Vec<Arc<dyn AnyCell>> {
        let of_shard = |shard: &Lock<Shard<Arc<dyn AnyCell>>>| {
            shard.lock().places.iter().flatten().cloned().collect::<Vec<_>>()
        };
        let mut all: Vec<_> = self.shards.iter().flat_map(of_shard).collect();
        all.sort_by_key(|cell| cell.serial());
        all
    }

    fn shard(&self, serial: u64) -> &Lock<Shard<Arc<dyn AnyCell>>> {
        &self.shards[(serial % SHARDS) as usize]
    }
}

impl<T: Serial> Shard<T> {
    /// Where the serial belongs, in a shard that has places.
    fn home(&self, serial: u64) -> usize {
        (serial / SHARDS) as usize & (self.places.len() - 1)
    }

    fn next(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
    }

    fn position(&self, serial: u64) -> Option<usize> {
        if self.places.is_empty() {
            return None;
        }
        let mut place = self.home(serial);
        // There is always a free place.
        while let Some(cell) = &self.places[place] {
            if cell.serial() == serial {
                return Some(place);
            }
            place = self.next(place);
        }
        None
    }

    fn insert(&mut self, cell: T) -> bool {
        if self.position(cell.serial()).is_some() {
            return false;
        }
        // At most 7/8 full.
        if (self.len + 1) * 8 > self.places.len() * 7 {
            self.resize((self.places.len() * 2).max(PLACES_MIN));
        }
        self.put(cell);
        self.len += 1;
        true
    }

    /// Puts a cell that is not there into a shard with room.
    fn put(&mut self, cell: T) {
        let mut place = self.home(cell.serial());
        while self.places[place].is_some() {
            place = self.next(place);
        }
        self.places[place] = Some(cell);
    }

    fn resize(&mut self, places: usize) {
        let old = std::mem::take(&mut self.places);
        self.places.resize_with(places, || None);
        old.into_iter().flatten().for_each(|cell| self.put(cell));
    }

    fn remove(&mut self, serial: u64) -> Option<T> {
        let mut gap = self.position(serial)?;
        let removed = self.places[gap].take();
        self.len -= 1;
        let mut place = self.next(gap);
        while let Some(cell) = &self.places[place] {
            // Those whose way from home leads over the gap move into it.
            let mask = self.places.len() - 1;
            let (from_home, from_gap) =
                (place.wrapping_sub(self.home(cell.serial())) & mask, place.wrapping_sub(gap) & mask);
            if from_home >= from_gap {
                self.places.swap(gap, place);
                gap = place;
            }
            place = self.next(place);
        }
        // Far fewer than it was made for: a burst is over.
        if self.places.len() > PLACES_MIN && self.len * 8 < self.places.len() {
            self.resize((self.places.len() / 4).max(PLACES_MIN));
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    impl Serial for u64 {
        fn serial(&self) -> u64 {
            *self
        }
    }

    impl Shard<u64> {
        /// Everything that is there is found, nothing else is, and the room fits.
        fn check(&self, model: &BTreeSet<u64>) {
            assert_eq!(self.len, model.len());
            let held: BTreeSet<u64> = self.places.iter().flatten().copied().collect();
            assert_eq!(held, *model);
            for &serial in model {
                assert_eq!(self.places[self.position(serial).unwrap()], Some(serial));
            }
            let places = self.places.len();
            assert!(places == 0 || places.is_power_of_two() && places >= PLACES_MIN);
            assert!(self.len * 8 <= places * 7, "{} in {places}", self.len);
            assert!(places <= PLACES_MIN || (self.len + 1) * 8 >= places, "{} in {places}", self.len);
        }
    }

    #[test]
    fn a_shard_does_what_a_set_does() {
        let mut random = fastrand::Rng::with_seed(3);
        let (mut wrapped, mut largest) = (0, 0);
        for round in 0..50 {
            let (mut shard, mut model) = (Shard::default(), BTreeSet::new());
            // Either from a few, which meet on the way from the last places to the first; or from many, in a burst that
            // comes and goes.
            let few = round % 2 == 0;
            let draw = |random: &mut fastrand::Rng| {
                let number = if few { random.u64(0..4) * 8 + random.u64(5..8) } else { random.u64(0..1000) };
                number * SHARDS + 7
            };
            for step in 0..2000 {
                let serial = draw(&mut random);
                let more = if step < 1000 { 3 } else { 1 };
                if random.u64(0..4) < more {
                    assert_eq!(shard.insert(serial), model.insert(serial));
                } else {
                    assert_eq!(shard.remove(serial), model.take(&serial));
                }
                let other = draw(&mut random);
                assert_eq!(shard.position(other).is_some(), model.contains(&other));
                largest = largest.max(shard.places.len());
                if few || step % 50 == 0 {
                    shard.check(&model);
                    let strays = |(place, serial): (usize, &Option<u64>)| {
                        serial.is_some_and(|serial| shard.home(serial) > place)
                    };
                    wrapped += usize::from(shard.places.iter().enumerate().any(strays));
                }
            }
            for serial in model.clone() {
                assert_eq!(shard.remove(serial), Some(serial));
                model.remove(&serial);
                shard.check(&model);
            }
            assert_eq!(shard.remove(7), None);
            assert!(shard.places.len() <= PLACES_MIN);
        }
        assert!(wrapped > 100 && largest >= 512, "{wrapped} around the end, {largest} places");
    }

    #[test]
    fn a_shard_without_places_is_empty() {
        let mut shard = Shard::<u64>::default();
        assert_eq!((shard.position(7), shard.remove(7)), (None, None));
        shard.check(&BTreeSet::new());
    }
}

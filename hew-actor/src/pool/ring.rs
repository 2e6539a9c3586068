//! Which member a key belongs to: a ring of points, and hashes that are the same in every process.

use std::hash::{Hash, Hasher};

/// Points that each member has on the ring of a pool with [`PoolStrategy::ConsistentHash`](crate::PoolStrategy).
///
/// The shares of equal members differ by about one part in the square root of this.
pub const VIRTUAL_POINTS: u32 = 128;

/// The points of all members, sorted. A key belongs to the member of the next point after its hash.
///
/// As in Karger et al., "Consistent Hashing and Random Trees" (1997): a member's points depend on nothing but its own
/// identity, so another one that comes or goes moves only the keys that it gains or loses.
#[derive(Clone, Default)]
pub(super) struct Ring {
    points: Box<[Point]>,
}

#[derive(Clone, Copy)]
struct Point {
    hash: u64,
    /// The identity of the member: decides between points that fall together, whoever came first.
    id: u64,
    /// The place of the member in the list.
    place: u32,
}

impl Ring {
    /// This ring with a member more, whose place is `place`.
    pub(super) fn with(&self, id: u64, place: u32) -> Ring {
        let point = |number| Point { hash: mix(mix(id) ^ u64::from(number)), id, place };
        let mut new: Vec<Point> = (0..VIRTUAL_POINTS).map(point).collect();
        new.sort_unstable_by_key(Point::order);
        let mut points = Vec::with_capacity(self.points.len() + new.len());
        let mut new = new.into_iter().peekable();
        for old in &self.points {
            while let Some(point) = new.next_if(|point| point.order() < old.order()) {
                points.push(point);
            }
            points.push(*old);
        }
        points.extend(new);
        Ring { points: points.into() }
    }

    /// This ring without the member at `place`; the places after it move up by one.
    pub(super) fn without(&self, place: u32) -> Ring {
        let left = self.points.iter().filter(|point| point.place != place);
        let moved = left.map(|&point| Point { place: point.place - u32::from(point.place > place), ..point });
        Ring { points: moved.collect() }
    }

    /// The place of the member that the hash of a key belongs to; `None` if there is no member.
    pub(super) fn owner(&self, hash: u64) -> Option<usize> {
        let next = self.points.partition_point(|point| point.hash < hash);
        let point = self.points.get(next).or_else(|| self.points.first())?;
        Some(point.place as usize)
    }
}

impl Point {
    fn order(&self) -> (u64, u64) {
        (self.hash, self.id)
    }
}

/// A hash of `key` that depends on what its [`Hash`] writes and on nothing else.
pub(super) fn stable_hash(key: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = Fnv::default();
    key.hash(&mut hasher);
    hasher.finish()
}

/// Spreads every bit of `value` over the whole word: the finalizer of SplitMix64 (Steele et al., 2014).
pub(super) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// FNV-1a of 64 bits, mixed at the end. Numbers are written little-endian and sizes with 64 bits, so that machines
/// agree.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        mix(self.0)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn write_u16(&mut self, value: u16) {
        self.write(&value.to_le_bytes());
    }

    fn write_u32(&mut self, value: u32) {
        self.write(&value.to_le_bytes());
    }

    fn write_u64(&mut self, value: u64) {
        self.write(&value.to_le_bytes());
    }

    fn write_u128(&mut self, value: u128) {
        self.write(&value.to_le_bytes());
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn write_i16(&mut self, value: i16) {
        self.write(&value.to_le_bytes());
    }

    fn write_i32(&mut self, value: i32) {
        self.write(&value.to_le_bytes());
    }

    fn write_i64(&mut self, value: i64) {
        self.write(&value.to_le_bytes());
    }

    fn write_i128(&mut self, value: i128) {
        self.write(&value.to_le_bytes());
    }

    fn write_isize(&mut self, value: isize) {
        self.write_i64(value as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(ids: &[u64]) -> Ring {
        let mut ring = Ring::default();
        for (place, id) in ids.iter().enumerate() {
            ring = ring.with(*id, place as u32);
        }
        ring
    }

    #[test]
    fn hashes_are_the_same_in_every_process() {
        // Fixed numbers: another process, version or machine must find the same owners.
        assert_eq!(stable_hash(&7u64), 0xfe79_3e3c_e142_343a);
        assert_eq!(stable_hash("order-7"), 0xea8f_d850_fbf0_bff1);
        assert_eq!(stable_hash(&(1u32, -2i64, 3usize, "x")), 0x6d69_8813_fd6b_6c48);
        assert_eq!(mix(1), 0x910a_2dec_8902_5cc1);
    }

    #[test]
    fn the_order_of_coming_and_going_does_not_matter() {
        let (ids, others) = ([30, 10, 20, 40], [99, 40, 20, 30, 10]);
        // Leaves 40, 20, 30, 10 after the first has gone.
        let (one, two) = (ring(&ids), ring(&others).without(0));
        for key in 0..5_000u64 {
            let hash = stable_hash(&key);
            let owners = (one.owner(hash).unwrap(), two.owner(hash).unwrap());
            assert_eq!(ids[owners.0], others[owners.1 + 1], "{key}");
        }
    }

    #[test]
    fn points_that_fall_together_belong_to_the_same_member_whoever_came_first() {
        let point = |id, place| Point { hash: 5, id, place };
        let mut points = [point(2, 0), point(1, 1)];
        points.sort_by_key(Point::order);
        let ring = Ring { points: points.into() };
        assert_eq!(ring.owner(5), Some(1));
        assert_eq!(ring.owner(6), Some(1), "after the last point the ring begins again");
        assert_eq!(Ring::default().owner(5), None);
    }
}

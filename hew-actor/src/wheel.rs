//! A hierarchical timing wheel: values that become due at ticks.
//!
//! After Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 7, with one rule for the place of an
//! entry: its level is that of the highest digit, in base 64, in which its deadline differs from the present tick, and
//! its slot there is that digit of the deadline. Two things follow from it, as the rule holds between any two calls:
//!
//! - Slots need no wrapping: the occupied ones of a level lie ahead of the present digit (on the lowest level, also on
//!   it), and what is on a lower level is due before everything on a higher one. So the next slot is the first bit of
//!   the first bitmap that is not zero, however far away it is.
//! - Entries of one deadline share a slot at any time. They are appended to it, and a cascade moves them in order to a
//!   slot that they share again. So they become due in the order of their insertion, without numbers that say so.
//!
//! Deadlines that were over before the insertion are in a list of their own, which is sorted when it is due.
//!
//! There is no clock here: who owns a wheel says what a tick is and when it is over.

#[cfg(test)]
mod model;
mod ring;
mod slab;
mod touches;

use ring::Ring;
pub(crate) use slab::Key;
use slab::{PAGES_MAX, Slab};

/// Bits of a tick that choose the slot of a level.
const BITS: u32 = 6;

const SLOTS: usize = 1 << BITS;

/// Enough for every tick of 64 bits, so that no deadline is too far away.
const LEVELS: usize = u64::BITS.div_ceil(BITS) as usize;

/// Values with deadlines. An entry costs the value and up to 32 bytes, if the value asks for no more than the alignment
/// of a `u64`; as entries leave, memory is given back but for a few pages (`slab::SPARE_PAGES`).
pub(crate) struct Wheel<T> {
    now: u64,
    /// Which slots of a level hold entries, one bit each.
    occupied: [u64; LEVELS],
    slots: [[Ring; SLOTS]; LEVELS],
    /// Entries whose deadline is before `now`.
    overdue: Ring,
    /// No later than any deadline in `overdue`, unless that is empty.
    overdue_from: u64,
    slab: Slab<T>,
}

#[derive(Clone, Copy)]
struct Slot {
    level: usize,
    number: usize,
}

impl<T> Wheel<T> {
    /// An empty wheel at tick 0. It takes about 3 KB, and no memory of the heap.
    pub(crate) const fn new() -> Wheel<T> {
        Wheel::with_pages(PAGES_MAX)
    }

    /// Adds a value that becomes due when the wheel advances to `deadline`, or at the next advance if that is over.
    ///
    /// # Errors
    /// The value, if `slab::ENTRIES_MAX` (2^32 - 256) entries are pending. Nothing changed.
    pub(crate) fn insert(&mut self, deadline: u64, value: T) -> Result<Key, T> {
        let key = self.slab.insert(deadline, value)?;
        self.link(key.index, deadline);
        Ok(key)
    }

    /// Takes out the value of a key of this wheel; `None` if it became due, was cancelled or was drained before.
    pub(crate) fn cancel(&mut self, key: Key) -> Option<T> {
        self.slab.find(key)?;
        self.take(key.index)
    }

    /// Hands out what has a deadline up to `now`: by deadline, and by insertion among equal ones. Time does not run
    /// backwards: an earlier tick than that of the last call counts as that one.
    ///
    /// The work is in the entries that become due or come closer, not in the ticks that pass. If `due` panics, its value
    /// is lost and the others remain, for the next call.
    pub(crate) fn advance(&mut self, now: u64, mut due: impl FnMut(T)) {
        let target = now.max(self.now);
        self.overdue.sort(&mut self.slab);
        while let Some(value) = self.overdue.first().and_then(|index| self.take(index)) {
            due(value);
        }
        while let Some((slot, start)) = self.first_slot().filter(|&(_, start)| start <= target) {
            self.now = start;
            if slot.level > 0 {
                self.cascade(slot);
                continue;
            }
            while let Some(value) = self.ring(slot).first().and_then(|index| self.take(index)) {
                due(value);
            }
        }
        self.now = target;
    }

    /// Takes out everything, as if it were due. The tick stays.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        let now = self.now;
        let mut values = Vec::with_capacity(self.len());
        self.advance(u64::MAX, |value| values.push(value));
        self.now = now;
        values
    }

    /// A tick that no pending deadline is before; `None` if nothing is pending.
    ///
    /// It is the earliest deadline itself if that lies in the present 64 ticks, counted from a multiple of 64. Else it
    /// may be earlier, and an advance to it brings the entries concerned to a lower level, where it is closer: at most
    /// 10 such steps lead to the exact deadline. Among deadlines that were over when they were inserted, it may be one
    /// that was cancelled.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        if self.overdue.is_empty() {
            self.first_slot().map(|(_, start)| start)
        } else {
            Some(self.overdue_from)
        }
    }

    /// Values that are pending.
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    const fn with_pages(pages_max: usize) -> Wheel<T> {
        Wheel {
            now: 0,
            occupied: [0; LEVELS],
            slots: [[Ring::EMPTY; SLOTS]; LEVELS],
            overdue: Ring::EMPTY,
            overdue_from: 0,
            slab: Slab::new(pages_max),
        }
    }

    fn link(&mut self, index: u32, deadline: u64) {
        match self.slot_of(deadline) {
            Some(Slot { level, number }) => {
                self.slots[level][number].append(&mut self.slab, index);
                self.occupied[level] |= 1 << number;
            }
            None => {
                self.overdue_from =
                    if self.overdue.is_empty() { deadline } else { deadline.min(self.overdue_from) };
                self.overdue.append(&mut self.slab, index);
            }
        }
    }

    /// Takes the value of a linked entry out of its list and of the slab.
    fn take(&mut self, index: u32) -> Option<T> {
        // The present tick still leads to the list that the entry was put into; see the rule above.
        match self.slot_of(self.slab.entry(index).deadline) {
            Some(Slot { level, number }) => {
                let ring = &mut self.slots[level][number];
                ring.unlink(&mut self.slab, index);
                if ring.is_empty() {
                    self.occupied[level] &= !(1 << number);
                }
            }
            None => self.overdue.unlink(&mut self.slab, index),
        }
        self.slab.remove(index)
    }

    /// Moves the entries of a slot that the present tick has come to, each to a lower level.
    fn cascade(&mut self, Slot { level, number }: Slot) {
        let mut ring = std::mem::replace(&mut self.slots[level][number], Ring::EMPTY);
        self.occupied[level] &= !(1 << number);
        while let Some(index) = ring.pop(&mut self.slab) {
            let deadline = self.slab.entry(index).deadline;
            self.link(index, deadline);
        }
    }

    /// The place of a deadline at the present tick; `None` if it is over.
    fn slot_of(&self, deadline: u64) -> Option<Slot> {
        if deadline < self.now {
            return None;
        }
        // The lowest bit changes no level but gives equal ticks the lowest one.
        let level = ((deadline ^ self.now) | 1).ilog2() / BITS;
        let number = (deadline >> (level * BITS)) as usize % SLOTS;
        Some(Slot { level: level as usize, number })
    }

    /// The first slot with entries, and the tick at which it begins.
    fn first_slot(&self) -> Option<(Slot, u64)> {
        let level = self.occupied.iter().position(|&bits| bits != 0)?;
        let number = self.occupied[level].trailing_zeros() as usize;
        let shift = level as u32 * BITS;
        let digits_above = (self.now >> shift) & !(SLOTS as u64 - 1);
        Some((Slot { level, number }, (digits_above | number as u64) << shift))
    }

    fn ring(&self, Slot { level, number }: Slot) -> &Ring {
        &self.slots[level][number]
    }
}

#[cfg(test)]
mod tests {
    use super::slab::{ENTRIES_PER_PAGE, SPARE_PAGES};
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Ticks at and around the places where a digit changes, of all levels.
    fn edges() -> Vec<u64> {
        let mut edges = vec![0, 1, 62, 63, 64, 65, 127, 128, 129, 4095, 4096, 4097, u64::MAX - 1, u64::MAX];
        for level in 3..LEVELS as u32 {
            let edge = 1 << (level * BITS);
            edges.extend([edge - 1, edge, edge + 1, 3 * edge + 7]);
        }
        edges
    }

    fn wheel_at<T>(now: u64) -> Wheel<T> {
        let mut wheel = Wheel::new();
        wheel.advance(now, |_| panic!("nothing was inserted"));
        wheel
    }

    fn insert<T>(wheel: &mut Wheel<T>, deadline: u64, value: T) -> Key {
        wheel.insert(deadline, value).ok().expect("far below the bound")
    }

    fn due<T>(wheel: &mut Wheel<T>, now: u64) -> Vec<T> {
        let mut values = Vec::new();
        wheel.advance(now, |value| values.push(value));
        values
    }

    #[test]
    fn a_value_is_due_at_its_tick_and_not_before() {
        for now in edges() {
            for deadline in edges() {
                let case = format!("inserted at {now} for {deadline}");
                let mut wheel = wheel_at(now);
                insert(&mut wheel, deadline, ());
                assert!(wheel.next_deadline() <= Some(deadline), "{case}");
                if deadline > now {
                    assert_eq!(due(&mut wheel, deadline - 1), [], "{case}");
                    assert_eq!(wheel.next_deadline().map(|next| next <= deadline), Some(true), "{case}");
                }
                assert_eq!(due(&mut wheel, deadline), [()], "{case}");
                assert_eq!((wheel.len(), wheel.next_deadline()), (0, None), "{case}");
            }
        }
    }

    #[test]
    fn the_next_deadline_leads_to_the_value_in_a_step_per_level() {
        for now in edges() {
            for deadline in edges().into_iter().filter(|&deadline| deadline > now) {
                let mut wheel = wheel_at(now);
                insert(&mut wheel, deadline, ());
                let mut steps = 0;
                while let Some(next) = wheel.next_deadline() {
                    let values = due(&mut wheel, next);
                    assert_eq!(values.len(), usize::from(next == deadline), "{now} to {deadline}, at {next}");
                    steps += 1;
                    assert!(steps <= LEVELS, "{now} to {deadline}");
                }
            }
        }
    }

    #[test]
    fn the_next_deadline_is_exact_when_it_is_near() {
        for (now, deadline) in
            [(0, 0), (0, 1), (0, 63), (64, 64), (64, 127), (4000, 4031), (u64::MAX, u64::MAX)]
        {
            let mut wheel = wheel_at(now);
            insert(&mut wheel, u64::MAX, ());
            insert(&mut wheel, deadline, ());
            assert_eq!(wheel.next_deadline(), Some(deadline), "at {now}");
        }
    }

    #[test]
    fn equal_deadlines_keep_the_order_of_insertion_across_levels() {
        for deadline in edges() {
            // The closer the tick has come, the lower the level that an insertion goes to.
            let approach = (0..u64::BITS).rev().map(|bit| deadline & u64::MAX << bit);
            let mut wheel = Wheel::new();
            let mut expected = Vec::new();
            for now in approach.filter(|&now| now < deadline) {
                assert_eq!(due(&mut wheel, now), [], "for {deadline}");
                insert(&mut wheel, deadline, expected.len());
                expected.push(expected.len());
            }
            assert_eq!(due(&mut wheel, u64::MAX), expected, "for {deadline}");
        }
    }

    #[test]
    fn one_advance_hands_out_by_deadline() {
        let mut wheel = Wheel::new();
        let mut edges = edges();
        for &deadline in edges.iter().rev().chain(&edges) {
            insert(&mut wheel, deadline, deadline);
        }
        edges.extend_from_within(..);
        edges.sort_unstable();
        assert_eq!(due(&mut wheel, u64::MAX), edges);
    }

    #[test]
    fn deadlines_that_are_over_come_first_and_in_order() {
        let mut wheel = wheel_at(100);
        for (deadline, value) in [(100, 'f'), (7, 'b'), (101, 'g'), (99, 'e'), (7, 'c'), (0, 'a'), (64, 'd')]
        {
            insert(&mut wheel, deadline, value);
        }
        assert_eq!(wheel.next_deadline(), Some(0));
        assert_eq!(due(&mut wheel, 100), ['a', 'b', 'c', 'd', 'e', 'f']);
        assert_eq!(wheel.next_deadline(), Some(101));
        insert(&mut wheel, 3, 'x');
        assert_eq!(wheel.next_deadline(), Some(3), "the earlier bound does not outlive its entries");
    }

    #[test]
    fn time_does_not_run_backwards() {
        let mut wheel = wheel_at(1000);
        insert(&mut wheel, 999, "over");
        insert(&mut wheel, 1000, "now");
        insert(&mut wheel, 1001, "later");
        assert_eq!(due(&mut wheel, 5), ["over", "now"]);
        assert_eq!(due(&mut wheel, 1001), ["later"]);
    }

    #[test]
    fn cancel_takes_any_one_out_of_a_slot() {
        for deadline in [3, 10, 11, 64, 100, 4096, 1 << 42, u64::MAX] {
            for len in 1..=5 {
                for position in 0..len {
                    let case = format!("{position} of {len} at {deadline}");
                    let mut wheel = wheel_at(10);
                    let keys: Vec<Key> = (0..len).map(|value| insert(&mut wheel, deadline, value)).collect();
                    assert_eq!(wheel.cancel(keys[position]), Some(position), "{case}");
                    assert_eq!(wheel.cancel(keys[position]), None, "{case}");
                    assert_eq!(wheel.len(), len - 1, "{case}");
                    assert_eq!(wheel.next_deadline().is_some(), len > 1, "{case}");
                    // What is appended afterwards must find the end of the list.
                    insert(&mut wheel, deadline, len);
                    let expected: Vec<usize> = (0..=len).filter(|&value| value != position).collect();
                    assert_eq!(due(&mut wheel, deadline), expected, "{case}");
                }
            }
        }
    }

    #[test]
    fn a_key_whose_value_left_names_nothing() {
        let mut wheel = Wheel::new();
        let fired = insert(&mut wheel, 1, "fired");
        assert_eq!(due(&mut wheel, 1), ["fired"]);
        let cancelled = insert(&mut wheel, 70, "cancelled");
        assert_eq!(wheel.cancel(cancelled), Some("cancelled"));
        let drained = insert(&mut wheel, 5000, "drained");
        assert_eq!(wheel.drain(), ["drained"]);
        let pending = insert(&mut wheel, 2, "pending");
        assert!(
            [fired, cancelled, drained].iter().all(|stale| stale.index == pending.index),
            "one entry, used again"
        );
        for stale in [fired, cancelled, drained] {
            assert_eq!(wheel.cancel(stale), None);
        }
        assert_eq!(due(&mut wheel, 2), ["pending"]);
    }

    #[test]
    fn draining_empties_the_wheel_in_order_and_keeps_its_tick() {
        let mut wheel = wheel_at(50);
        for deadline in [1 << 50, 60, 40, 51, 4096] {
            insert(&mut wheel, deadline, deadline);
        }
        assert_eq!(wheel.drain(), [40, 51, 60, 4096, 1 << 50]);
        assert_eq!((wheel.len(), wheel.next_deadline()), (0, None));
        insert(&mut wheel, 51, 51);
        assert_eq!(due(&mut wheel, 50), []);
        assert_eq!(due(&mut wheel, 51), [51]);
    }

    #[test]
    fn a_panic_of_the_receiver_loses_one_value() {
        for bad in ["over", "over too", "first", "second", "third"] {
            let mut wheel = wheel_at(10);
            for (deadline, value) in
                [(4, "over"), (5, "over too"), (70, "first"), (70, "second"), (71, "third")]
            {
                insert(&mut wheel, deadline, value);
            }
            let mut seen = Vec::new();
            let advance = AssertUnwindSafe(|| {
                wheel.advance(80, |value| {
                    seen.push(value);
                    assert_ne!(value, bad);
                });
            });
            assert!(catch_unwind(advance).is_err());
            insert(&mut wheel, 70, "fourth");
            seen.extend(due(&mut wheel, 80));
            let mut expected = vec!["over", "over too", "first", "second", "third"];
            // Inserted after the tick had come to 71, it is over; else it waits behind its equals.
            expected.insert(if bad == "third" { 5 } else { 4 }, "fourth");
            assert_eq!(seen, expected, "after {bad:?}");
        }
    }

    #[test]
    fn a_full_wheel_hands_the_value_back() {
        let mut wheel = Wheel::with_pages(2);
        let keys: Vec<Key> = (0..2 * ENTRIES_PER_PAGE).map(|value| insert(&mut wheel, 9, value)).collect();
        assert_eq!(wheel.insert(9, 1_000_000), Err(1_000_000));
        assert_eq!(wheel.len(), 2 * ENTRIES_PER_PAGE);
        assert_eq!(wheel.cancel(keys[300]), Some(300));
        insert(&mut wheel, 9, 1_000_001);
        assert_eq!(wheel.insert(9, 1_000_002), Err(1_000_002));
        assert_eq!(due(&mut wheel, 9).len(), 2 * ENTRIES_PER_PAGE);
    }

    #[test]
    fn an_empty_stretch_costs_nothing() {
        let mut wheel = Wheel::new();
        insert(&mut wheel, u64::MAX, ());
        wheel.slab.take_touches();
        assert_eq!(due(&mut wheel, 15 << 60), [], "2^64 ticks one by one would not end");
        let cascade = wheel.slab.take_touches();
        assert!(cascade < 20, "{cascade}");
        assert_eq!(due(&mut wheel, (15 << 60) + (1 << 53)), []);
        assert_eq!(wheel.slab.take_touches(), 0);
    }

    /// How often entries are touched while `count` timers are inserted and cancelled, and while they become due.
    fn touches(count: u64) -> (u64, u64) {
        const KEPT: usize = SPARE_PAGES * ENTRIES_PER_PAGE;
        let mut wheel = Wheel::new();
        // Spread over five minutes, as the deadlines of asks are when a tick is a millisecond.
        let deadlines =
            || (0..count).map(|value: u64| 1 + value.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 300_000);
        let keys: Vec<Key> = deadlines().map(|deadline| insert(&mut wheel, deadline, deadline)).collect();
        assert_eq!(wheel.len(), keys.len());
        assert!(wheel.slab.capacity() < keys.len() + ENTRIES_PER_PAGE);
        // Not in the order of the insertions, so that most leave the middle of a list.
        for key in keys.iter().skip(1).step_by(2).chain(keys.iter().step_by(2)) {
            assert!(wheel.cancel(*key).is_some());
        }
        assert_eq!((wheel.len(), wheel.next_deadline()), (0, None));
        assert!(wheel.slab.capacity() <= KEPT, "{} of {count} are kept", wheel.slab.capacity());
        let cancelled = wheel.slab.take_touches();
        for deadline in deadlines() {
            insert(&mut wheel, deadline, deadline);
        }
        assert!(due(&mut wheel, 300_000).is_sorted());
        assert!(wheel.slab.capacity() <= KEPT, "{} of {count} are kept", wheel.slab.capacity());
        (cancelled, wheel.slab.take_touches())
    }

    #[test]
    fn a_million_timers_are_linear_work_and_give_their_memory_back() {
        for count in [10_000, 1_000_000] {
            let (cancelled, due) = touches(count);
            assert!(cancelled <= 11 * count, "{cancelled} for {count}");
            // Up to three cascades more, as 300,000 ticks are less than 64^4.
            assert!(due <= 11 * count + 3 * 9 * count, "{due} for {count}");
        }
    }
}

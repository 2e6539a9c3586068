//! The wheel does what an ordered map does, over random sequences of calls.

use super::slab::{ENTRIES_PER_PAGE, Key};
use super::{BITS, LEVELS, SLOTS, Wheel};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Pages of the wheel under test, so few that a sequence fills them.
const PAGES: usize = 7;

#[derive(Clone, Debug)]
enum Call {
    /// Inserts one value for each.
    Insert(Vec<Tick>),
    /// Inserts that many values, a few ticks apart.
    Burst(Tick, usize),
    /// Cancels one of all the keys that there ever were.
    Cancel(prop::sample::Index),
    /// Cancels every so-manieth of all the keys that there ever were.
    CancelEach(usize),
    Advance(Tick),
    /// Advances to the next deadline that the wheel reports, so many times.
    Follow(usize),
    Drain,
}

/// A tick, as seen from the present one.
#[derive(Clone, Debug)]
enum Tick {
    Before(u64),
    After(u64),
    /// Close to where a digit of that level changes next.
    Edge(u32, i64),
    Any(u64),
    Last,
}

impl Tick {
    fn from(&self, now: u64) -> u64 {
        match *self {
            Tick::Before(ticks) => now.saturating_sub(ticks),
            Tick::After(ticks) => now.saturating_add(ticks),
            Tick::Edge(level, offset) => {
                let width = 1 << (level * BITS);
                (now / width * width).saturating_add(width).saturating_add_signed(offset)
            }
            Tick::Any(tick) => tick,
            Tick::Last => u64::MAX,
        }
    }
}

fn tick() -> impl Strategy<Value = Tick> {
    prop_oneof![
        2 => (0..100u64).prop_map(Tick::Before),
        6 => (0..200u64).prop_map(Tick::After),
        4 => (0..64u32, any::<u64>()).prop_map(|(bits, ticks)| Tick::After(ticks >> bits)),
        6 => (0..LEVELS as u32, -2..3i64).prop_map(|(level, offset)| Tick::Edge(level, offset)),
        1 => any::<u64>().prop_map(Tick::Any),
        1 => Just(Tick::Last),
    ]
}

/// Ticks to advance to: mostly near ones, as time does not come back from the last.
fn step() -> impl Strategy<Value = Tick> {
    prop_oneof![
        1 => (0..10u64).prop_map(Tick::Before),
        8 => (0..200u64).prop_map(Tick::After),
        4 => (20..64u32, any::<u64>()).prop_map(|(bits, ticks)| Tick::After(ticks >> bits)),
        6 => (0..LEVELS as u32 - 2, -2..3i64).prop_map(|(level, offset)| Tick::Edge(level, offset)),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        8 => prop::collection::vec(tick(), 1..8).prop_map(Call::Insert),
        1 => (tick(), 1..2 * ENTRIES_PER_PAGE).prop_map(|(tick, count)| Call::Burst(tick, count)),
        6 => any::<prop::sample::Index>().prop_map(Call::Cancel),
        1 => (1..4usize).prop_map(Call::CancelEach),
        6 => step().prop_map(Call::Advance),
        2 => (1..15usize).prop_map(Call::Follow),
        1 => Just(Call::Drain),
    ]
}

/// The wheel and the map: by deadline, then by number of the insertion, which is the value.
struct Pair {
    wheel: Wheel<usize>,
    map: BTreeMap<(u64, usize), Key>,
    now: u64,
    /// Keys and deadlines of all insertions, by number.
    inserted: Vec<(Key, u64)>,
}

impl Pair {
    fn new() -> Pair {
        Pair { wheel: Wheel::with_pages(PAGES), map: BTreeMap::new(), now: 0, inserted: Vec::new() }
    }

    fn call(&mut self, call: Call) {
        match call {
            Call::Insert(ticks) => ticks.iter().for_each(|tick| self.insert(tick.from(self.now))),
            Call::Burst(tick, count) => {
                let from = tick.from(self.now);
                (0..count as u64).for_each(|number| self.insert(from.saturating_add(number * 7 % 50)));
            }
            Call::Cancel(_) if self.inserted.is_empty() => {}
            Call::Cancel(index) => self.cancel(index.index(self.inserted.len())),
            Call::CancelEach(stride) => {
                (0..self.inserted.len()).step_by(stride).for_each(|number| self.cancel(number))
            }
            Call::Advance(tick) => self.advance(tick.from(self.now)),
            Call::Follow(times) => {
                for _ in 0..times {
                    if let Some(next) = self.wheel.next_deadline() {
                        self.advance(next);
                    }
                }
            }
            Call::Drain => {
                let expected: Vec<usize> =
                    std::mem::take(&mut self.map).into_keys().map(|(_, value)| value).collect();
                assert_eq!(self.wheel.drain(), expected);
            }
        }
        self.check();
    }

    fn insert(&mut self, deadline: u64) {
        let value = self.inserted.len();
        let room = self.map.len() < PAGES * ENTRIES_PER_PAGE;
        match self.wheel.insert(deadline, value) {
            Ok(key) => {
                assert!(room);
                self.map.insert((deadline, value), key);
                self.inserted.push((key, deadline));
            }
            Err(refused) => assert_eq!((refused, room), (value, false)),
        }
    }

    fn cancel(&mut self, number: usize) {
        let (key, deadline) = self.inserted[number];
        let expected = self.map.remove(&(deadline, number)).map(|_| number);
        assert_eq!(self.wheel.cancel(key), expected);
    }

    fn advance(&mut self, tick: u64) {
        self.now = self.now.max(tick);
        let later = match self.now.checked_add(1) {
            Some(next) => self.map.split_off(&(next, 0)),
            None => BTreeMap::new(),
        };
        let expected: Vec<usize> =
            std::mem::replace(&mut self.map, later).into_keys().map(|(_, value)| value).collect();
        let mut due = Vec::new();
        self.wheel.advance(tick, |value| due.push(value));
        assert_eq!(due, expected, "at {}", self.now);
    }

    fn check(&self) {
        self.wheel.slab.check();
        assert_eq!(self.wheel.len(), self.map.len());
        let next = self.wheel.next_deadline();
        let Some((&(first, _), _)) = self.map.first_key_value() else {
            assert_eq!(next, None);
            return;
        };
        assert!(next.is_some_and(|next| next <= first), "{next:?} for {first}");
        // A bound that lies behind would be of no use, except for what was over already.
        assert!(first < self.now || next >= Some(self.now), "{next:?} at {}", self.now);
        if first >= self.now && first / SLOTS as u64 == self.now / SLOTS as u64 {
            assert_eq!(next, Some(first), "in the lowest level");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_wheel_is_an_ordered_map(calls in prop::collection::vec(call(), 1..60)) {
        let mut pair = Pair::new();
        for call in calls {
            pair.call(call);
        }
        pair.call(Call::Drain);
    }
}

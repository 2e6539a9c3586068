//! Where in a queue the messages of each key are, for mailboxes that coalesce.
//!
//! Every step is O(1): messages of one key form a chain from the oldest to the newest.

use std::collections::{HashMap, VecDeque};

/// What makes messages replace each other: message type and key.
pub(crate) type Key = (i32, u64);

/// The keys of the messages that wait, in their order.
#[derive(Default)]
pub(crate) struct Keys {
    /// One for each message that waits.
    entries: VecDeque<Entry>,
    /// Number of the front entry, counted from the first message ever.
    front: u64,
    /// Oldest and newest entry of each key that waits. Keys come from the program itself and from its peers; the map's
    /// own random hash keeps them from choosing collisions, and nothing depends on its order.
    ends: HashMap<Key, (u64, u64)>,
}

struct Entry {
    key: Option<Key>,
    /// The next younger entry with this key.
    next: Option<u64>,
}

impl Keys {
    /// The message that was pushed to the back has this key.
    pub(crate) fn push(&mut self, key: Option<Key>) {
        let number = self.front + self.entries.len() as u64;
        self.entries.push_back(Entry { key, next: None });
        let Some(key) = key else { return };
        let newest = &mut self.ends.entry(key).or_insert((number, number)).1;
        let before = std::mem::replace(newest, number);
        if before != number {
            self.entries[(before - self.front) as usize].next = Some(number);
        }
    }

    /// The message at the front was taken.
    pub(crate) fn pop(&mut self) {
        let Some(Entry { key, next }) = self.entries.pop_front() else { return };
        self.front += 1;
        let Some(key) = key else { return };
        match (next, self.ends.get_mut(&key)) {
            (Some(next), Some(ends)) => ends.0 = next,
            (None, _) | (_, None) => drop(self.ends.remove(&key)),
        }
    }

    /// Where the oldest message with this key waits.
    pub(crate) fn position(&self, key: Option<Key>) -> Option<usize> {
        let (oldest, _) = self.ends.get(&key?)?;
        Some((oldest - self.front) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_each_key_is_found_as_by_searching() {
        let mut random = fastrand::Rng::with_seed(7);
        let (mut keys, mut model) = (Keys::default(), VecDeque::new());
        for _ in 0..100_000 {
            let key = random.bool().then(|| (random.i32(0..3), random.u64(0..4)));
            match random.u8(0..3) {
                0 if model.len() < 50 => {
                    keys.push(key);
                    model.push_back(key);
                }
                1 => {
                    keys.pop();
                    model.pop_front();
                }
                _ => {
                    let found = key.and_then(|key| model.iter().position(|&other| other == Some(key)));
                    assert_eq!(keys.position(key), found);
                }
            }
            assert!(keys.ends.len() <= keys.entries.len());
        }
    }
}

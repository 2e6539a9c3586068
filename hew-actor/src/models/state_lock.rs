//! The lock under everything else: one holder, and a word that says what was done before it.

use super::check;
use crate::state_lock::StateLock;
use loom::thread::spawn;
use std::sync::Arc;

/// Three that add: each sees what the one before has done, and the word follows.
#[test]
fn one_at_a_time_holds_the_lock() {
    check(|| {
        let lock = Arc::new(StateLock::new(0, 0));
        let add = |lock: &StateLock<u64>| {
            let mut count = lock.lock();
            *count += 1;
            let word = count.word() + 2;
            count.set_word(word);
        };
        let others = [lock.clone(), lock.clone()].map(|lock| spawn(move || add(&lock)));
        add(&lock);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!((lock.word(), *lock.lock()), (6, 3));
    });
}

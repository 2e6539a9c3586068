//! The mailbox against everybody who pushes, wakes, stops and kills.

use super::check;
use crate::error::TrySendError;
use crate::mailbox::{Batch, Mailbox, Next, Pause, SystemMessage};
use crate::options::{MailboxOptions, Overflow};
use crate::sync::UnsafeCell;
use hew_wire::ExitReason;
use loom::thread::spawn;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// A mailbox and its consumer, which runs on the thread that is told to schedule it, as on any thread of a run queue.
struct Site {
    mailbox: Mailbox<u32>,
    /// Touched by the consumer between its visits: loom fails when two of them are not in an order.
    turn: UnsafeCell<()>,
    /// What became of it. A lock of `std`, which puts nothing in an order as far as loom knows.
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    handled: Vec<u32>,
    refused: Vec<u32>,
    left: Vec<u32>,
    stops: usize,
    kills: usize,
    drained: usize,
    /// How often a hook was continued.
    resumed: usize,
}

impl Site {
    /// With an idle consumer.
    fn new(capacity: usize) -> Arc<Site> {
        let site = Site::queued(capacity);
        site.run();
        site
    }

    /// With a consumer that is in a run queue, that of its spawner: `run` begins its turn.
    fn queued(capacity: usize) -> Arc<Site> {
        let options = MailboxOptions {
            capacity: Some(capacity),
            overflow: Overflow::Fail,
            ..MailboxOptions::default()
        };
        Arc::new(Site {
            mailbox: Mailbox::new(options, 1),
            turn: UnsafeCell::new(()),
            seen: Mutex::new(Seen::default()),
        })
    }

    fn see(&self, f: impl FnOnce(&mut Seen)) {
        f(&mut self.seen.lock().unwrap());
    }

    fn push(&self, message: u32) {
        match self.mailbox.try_push(message, false, Instant::now) {
            Ok(pushed) => self.follow(pushed.wake),
            Err(TrySendError::Closed { message, .. } | TrySendError::Full(message)) => {
                self.see(|seen| seen.refused.push(message));
            }
            Err(TrySendError::Unencodable { .. }) => unreachable!("it is local"),
        }
    }

    fn stop(&self) {
        self.follow(self.mailbox.push_system(SystemMessage::Stop).1);
    }

    fn follow(&self, wake: bool) {
        if wake {
            self.run();
        }
    }

    /// A turn of the consumer.
    fn run(&self) {
        let mut batch = Batch::default();
        loop {
            let next = self.mailbox.next(&mut batch, false);
            if let Next::Rest(parking) = next {
                assert!(batch.messages.is_empty() && batch.begun == 0, "parked with messages");
                return drop(parking);
            }
            let turn = self.turn.get_mut();
            match next {
                Next::Messages => {
                    batch.begun += batch.messages.len() as u32;
                    self.see(|seen| seen.handled.extend(batch.messages.drain(..)));
                }
                Next::System(SystemMessage::Stop) => {
                    self.see(|seen| seen.stops += 1);
                    drop(turn);
                    return self.end();
                }
                Next::Drained => {
                    self.see(|seen| seen.drained += 1);
                    drop(turn);
                    return self.end();
                }
                Next::Killed(_) => {
                    self.see(|seen| seen.kills += 1);
                    drop(turn);
                    return self.end();
                }
                Next::System(_) | Next::Rest(_) => unreachable!(),
            }
        }
    }

    fn end(&self) {
        let left = self.mailbox.close(&ExitReason::Normal);
        self.see(|seen| seen.left.extend(left));
        self.mailbox.finish(&ExitReason::Normal);
    }

    /// The consumer's hook waits: whether it goes on at once.
    fn pause(&self) -> bool {
        match self.mailbox.pause(&mut Batch::default()) {
            Pause::Rest(parking) => {
                drop(parking);
                false
            }
            Pause::Woken => true,
            Pause::Killed(_) => {
                let _turn = self.turn.get_mut();
                self.see(|seen| seen.kills += 1);
                false
            }
        }
    }

    /// The hook is continued, by whoever is told to schedule, and waits again.
    fn resume(&self) {
        loop {
            let killed = self.mailbox.resume().is_some();
            let turn = self.turn.get_mut();
            self.see(|seen| {
                seen.resumed += 1;
                seen.kills += usize::from(killed);
            });
            drop(turn);
            if killed || !self.pause() {
                return;
            }
        }
    }

    fn wake_hook(&self) {
        if self.mailbox.woken() {
            self.resume();
        }
    }

    fn kill_hook(&self) {
        if self.mailbox.kill(ExitReason::Killed) {
            self.resume();
        }
    }
}

/// Going idle against a push: every message is handled, in order, and one thread at a time runs the consumer.
#[test]
fn a_push_is_seen_by_a_consumer_that_goes_idle() {
    check(|| {
        let site = Site::queued(100);
        let other = site.clone();
        let producer = spawn(move || {
            other.push(1);
            other.push(2);
        });
        site.run();
        producer.join().unwrap();
        assert_eq!(site.seen.lock().unwrap().handled, [1, 2]);
        assert_eq!(site.mailbox.len(), 0);
    });
}

/// The same with the exact accounting of small mailboxes.
#[test]
fn a_push_is_seen_by_a_small_mailbox_that_goes_idle() {
    check(|| {
        let site = Site::queued(2);
        let other = site.clone();
        let producer = spawn(move || {
            other.push(1);
            other.push(2);
        });
        site.run();
        producer.join().unwrap();
        assert_eq!(site.seen.lock().unwrap().handled, [1, 2]);
        assert_eq!(site.mailbox.len(), 0);
    });
}

/// Two producers at an idle mailbox: one of them ends the wait, both messages are handled, each producer's in its order.
#[test]
fn one_of_two_producers_schedules() {
    check(|| {
        let site = Site::new(100);
        let other = site.clone();
        let producer = spawn(move || {
            other.push(1);
            other.push(2);
        });
        site.push(11);
        site.push(12);
        producer.join().unwrap();
        let mut handled = std::mem::take(&mut site.seen.lock().unwrap().handled);
        assert!(
            handled.iter().filter(|n| **n < 10).is_sorted()
                && handled.iter().filter(|n| **n > 10).is_sorted()
        );
        handled.sort_unstable();
        assert_eq!(handled, [1, 2, 11, 12]);
    });
}

/// Closing against pushes: a message is handled, left behind or given back, exactly one of these.
#[test]
fn a_push_into_a_closing_mailbox_is_left_or_given_back() {
    check(|| {
        let site = Site::queued(100);
        let other = site.clone();
        let producer = spawn(move || {
            other.push(1);
            other.push(2);
        });
        site.end();
        producer.join().unwrap();
        let seen = site.seen.lock().unwrap();
        let mut all = [seen.left.clone(), seen.refused.clone()].concat();
        all.sort_unstable();
        assert_eq!((all, seen.handled.len()), (vec![1, 2], 0));
    });
}

/// Draining against a push: what was accepted is handled before the end, what was not is given back.
#[test]
fn what_a_draining_mailbox_accepted_is_handled() {
    check(|| {
        let site = Site::new(100);
        let other = site.clone();
        let producer = spawn(move || {
            other.push(1);
            other.push(2);
        });
        site.follow(site.mailbox.drain());
        producer.join().unwrap();
        let seen = site.seen.lock().unwrap();
        let mut all = [seen.handled.clone(), seen.refused.clone()].concat();
        all.sort_unstable();
        assert_eq!((all, seen.left.len(), seen.drained), (vec![1, 2], 0, 1));
    });
}

/// Stops against a push, at an idle mailbox: the consumer ends once, and the message is handled, left or given back.
#[test]
fn a_stop_ends_the_consumer_whatever_is_pushed() {
    check(|| {
        let site = Site::new(100);
        let (first, second) = (site.clone(), site.clone());
        let threads = [spawn(move || first.push(1)), spawn(move || second.stop())];
        site.stop();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let seen = site.seen.lock().unwrap();
        assert_eq!(seen.handled.len() + seen.left.len() + seen.refused.len(), 1);
        assert_eq!(seen.stops, 1);
    });
}

/// A kill against a consumer that goes idle, and a push: it ends, once.
#[test]
fn a_kill_ends_a_consumer_that_goes_idle() {
    check(|| {
        let site = Site::queued(100);
        let (first, second) = (site.clone(), site.clone());
        let threads = [
            spawn(move || first.push(1)),
            spawn(move || second.follow(second.mailbox.kill(ExitReason::Killed))),
        ];
        site.run();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let seen = site.seen.lock().unwrap();
        assert_eq!(seen.handled.len() + seen.left.len() + seen.refused.len(), 1);
        assert_eq!(seen.kills, 1);
    });
}

/// A waker against the pause of its hook: the hook goes on once more, or again at once; it is never left asleep.
#[test]
fn a_hook_that_is_woken_while_it_pauses_goes_on() {
    check(|| {
        let site = Site::queued(100);
        assert!(site.mailbox.resume().is_none());
        let other = site.clone();
        let waker = spawn(move || {
            other.wake_hook();
            // A message does not end the wait.
            other.push(1);
        });
        if site.pause() {
            site.resume();
        }
        waker.join().unwrap();
        let seen = site.seen.lock().unwrap();
        assert_eq!((seen.resumed, seen.handled.len(), seen.kills), (1, 0, 0));
    });
}

/// A waker and a kill against the pause: one of them or the pause itself goes on, and the kill arrives once.
#[test]
fn a_kill_reaches_a_hook_that_pauses_and_is_woken() {
    check(|| {
        let site = Site::queued(100);
        assert!(site.mailbox.resume().is_none());
        let (first, second) = (site.clone(), site.clone());
        let threads = [spawn(move || first.wake_hook()), spawn(move || second.kill_hook())];
        if site.pause() {
            site.resume();
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(site.seen.lock().unwrap().kills, 1);
    });
}

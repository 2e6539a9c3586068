//! What the machine allows: a queue with nothing around it.
//!
//! A locked vector which the consumer swaps for an empty one: one lock and one store per message, no actor, no task, no
//! wake-up, no policy. A mailbox that takes messages one at a time from anybody cannot be much better.

use crate::measure::Failure;
use hew_actor::System;
use std::hint::{black_box, spin_loop};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A message of 16 bytes.
type Raw = [u64; 2];

/// As many messages may wait as in the mailbox of an actor.
const CAPACITY: usize = hew_actor::MAILBOX_CAPACITY;

#[derive(Default)]
struct Queue(Mutex<Vec<Raw>>);

impl Queue {
    /// Whether there was room.
    fn push(&self, message: Raw) -> bool {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = queue.len() < CAPACITY;
        if room {
            queue.push(message);
        }
        room
    }

    fn swap(&self, other: &mut Vec<Raw>) {
        std::mem::swap(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), other);
    }
}

/// Producer and consumer take turns in one thread, a queue at a time.
pub(crate) fn queue_in_one_thread(count: u64) -> Result<Duration, Failure> {
    let queue = Queue::default();
    let (mut batch, mut taken) = (Vec::new(), 0);
    let start = Instant::now();
    let mut number = 0;
    while taken < count {
        while number < count && queue.push(black_box([number, 7])) {
            number += 1;
        }
        queue.swap(&mut batch);
        taken += batch.drain(..).map(|message| black_box(message)[1] / 7).sum::<u64>();
    }
    Ok(start.elapsed())
}

/// Producer and consumer are threads that spin when they have to wait.
pub(crate) fn queue_between_threads(count: u64) -> Result<Duration, Failure> {
    let queue = Queue::default();
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..count {
                while !queue.push(black_box([number, 7])) {
                    back_off();
                }
            }
        });
        let (mut batch, mut taken) = (Vec::new(), 0);
        while taken < count {
            queue.swap(&mut batch);
            if batch.len() < CAPACITY / 8 {
                back_off();
            }
            taken += batch.drain(..).map(|message| black_box(message)[1] / 7).sum::<u64>();
        }
    });
    Ok(start.elapsed())
}

/// What a program without actors would use: tasks of the same runtime and a bounded channel.
pub(crate) fn channel(system: &System, senders: u64, count: u64) -> Result<Duration, Failure> {
    let each = count.div_ceil(senders);
    let (sender, receiver) = async_channel::bounded::<Raw>(CAPACITY);
    let (done, report) = std::sync::mpsc::channel();
    let start = Instant::now();
    for _ in 0..senders {
        let sender = sender.clone();
        let send = async move {
            for number in 0..each {
                if sender.send(black_box([number, 7])).await.is_err() {
                    return;
                }
            }
        };
        system.runtime().spawn(send).detach();
    }
    drop(sender);
    let receive = async move {
        let mut taken = 0;
        while let Ok(message) = receiver.recv().await {
            taken += black_box(message)[1] / 7;
        }
        let _ = done.send(taken);
    };
    system.runtime().spawn(receive).detach();
    let taken = report.recv_timeout(Duration::from_secs(60))?;
    if taken != each * senders {
        return Err(format!("the channel delivered {taken} of {}", each * senders).into());
    }
    Ok(start.elapsed().mul_f64(count as f64 / taken as f64))
}

/// Lets something gather: whoever looks all the time only keeps the other side from its lock.
fn back_off() {
    for _ in 0..32 {
        spin_loop();
    }
    // Matters only when the machine has other things to do.
    std::thread::yield_now();
}

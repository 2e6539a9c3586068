//! The run queues: taking, adding and stealing.

use super::Tally;
use crate::job::Job;
use crate::models::check;
use crate::options::Priority;
use crate::scratch::Scratch;
use crate::threads::queue::RunQueue;
use loom::thread::spawn;
use std::iter::from_fn;
use std::sync::Arc;

fn run(jobs: Vec<Job>) {
    let mut scratch = Scratch::default();
    jobs.into_iter().for_each(|job| job.run(&mut scratch));
}

/// Stealing against taking and adding: each job is in one hand, and the queue counts right.
#[test]
fn a_job_is_taken_or_stolen_once() {
    check(|| {
        let (queue, tally) = (Arc::new(RunQueue::new()), Tally::default());
        queue.push(tally.job(), Priority::Normal);
        queue.push(tally.job(), Priority::High);
        let from = queue.clone();
        let thief = spawn(move || from.steal());
        let mut taken: Vec<Job> = queue.pop().into_iter().collect();
        queue.push(tally.job(), Priority::Low);
        taken.extend(queue.pop());
        let mut stolen = thief.join().unwrap();
        taken.extend(from_fn(|| stolen.pop()));
        assert_eq!((stolen.count, queue.len()), (0, 3 - taken.len()));
        taken.extend(from_fn(|| queue.pop()));
        run(taken);
        assert_eq!((tally.run(), tally.gone(), queue.len()), (3, 3, 0));
    });
}

/// Two thieves, one of which puts what is left into its own queue, from which the owner takes meanwhile.
#[test]
fn two_thieves_share_what_they_find() {
    check(|| {
        let (queue, own, tally) = (Arc::new(RunQueue::new()), Arc::new(RunQueue::new()), Tally::default());
        for _ in 0..4 {
            queue.push(tally.job(), Priority::Normal);
        }
        let (from, to) = (queue.clone(), own.clone());
        let thief = spawn(move || {
            let mut stolen = from.steal();
            let first = stolen.pop();
            to.take_in(stolen);
            first
        });
        let mut stolen = queue.steal();
        let mut all: Vec<Job> = from_fn(|| stolen.pop()).collect();
        all.extend(own.pop());
        all.extend(thief.join().unwrap());
        all.extend(from_fn(|| own.pop().or_else(|| queue.pop())));
        run(all);
        assert_eq!((tally.run(), tally.gone(), queue.len(), own.len()), (4, 4, 0, 0));
    });
}

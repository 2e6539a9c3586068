//! Workers that go to sleep, and those who wake them. A job that nobody comes for leaves a worker asleep for ever, which
//! loom reports as a deadlock.

use super::{job, start};
use crate::job::Job;
use crate::models::check;
use crate::options::Priority;
use crate::threads::core::Core;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread::spawn;
use std::sync::Arc;

/// A core, and jobs that close it when the last of them runs.
struct Jobs {
    core: Arc<Core>,
    left: Arc<AtomicUsize>,
}

impl Jobs {
    fn new(workers: usize, jobs: usize) -> Jobs {
        Jobs { core: Arc::new(Core::new(1, workers)), left: Arc::new(AtomicUsize::new(jobs)) }
    }

    fn one(&self) -> Job {
        let (core, left) = (self.core.clone(), self.left.clone());
        job(async move {
            if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                core.close();
            }
        })
    }
}

/// Jobs from outside against the only worker, which looks, goes to sleep, is woken or sees them by itself, and sleeps
/// again: none is left.
#[test]
fn a_worker_that_goes_to_sleep_finds_what_comes() {
    check(|| {
        let jobs = Jobs::new(1, 2);
        let worker = start(&jobs.core, 0);
        jobs.core.schedule(jobs.one(), Priority::Normal);
        jobs.core.schedule(jobs.one(), Priority::Normal);
        worker.join().unwrap();
        assert_eq!(jobs.left.load(Ordering::Acquire), 0);
    });
}

/// The same from two threads: who finds that somebody is being woken leaves its job to that one.
#[test]
fn two_that_wake_one_worker_are_both_heard() {
    check(|| {
        let jobs = Jobs::new(1, 2);
        let worker = start(&jobs.core, 0);
        let (core, first, second) = (jobs.core.clone(), jobs.one(), jobs.one());
        let pusher = spawn(move || core.schedule(first, Priority::Normal));
        jobs.core.schedule(second, Priority::Normal);
        pusher.join().unwrap();
        worker.join().unwrap();
        assert_eq!(jobs.left.load(Ordering::Acquire), 0);
    });
}

/// Two workers, of which one watches over the other, and a job from outside while they go to sleep.
#[test]
fn one_of_two_workers_that_go_to_sleep_finds_what_comes() {
    check(|| {
        let jobs = Jobs::new(2, 1);
        let workers = [start(&jobs.core, 0), start(&jobs.core, 1)];
        jobs.core.schedule(jobs.one(), Priority::Normal);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert_eq!(jobs.left.load(Ordering::Acquire), 0);
    });
}

/// The same with a vital task, and one that a worker spawns itself, for which it wakes nobody.
#[test]
fn a_worker_that_goes_to_sleep_finds_vital_tasks() {
    check(|| {
        let jobs = Jobs::new(1, 3);
        let worker = start(&jobs.core, 0);
        let (core, own, second) = (jobs.core.clone(), jobs.one(), jobs.one());
        jobs.core.schedule_vital(job(async move { core.schedule_vital(own) }));
        jobs.core.schedule_vital(second);
        jobs.core.schedule(jobs.one(), Priority::Normal);
        worker.join().unwrap();
        assert_eq!(jobs.left.load(Ordering::Acquire), 0);
    });
}

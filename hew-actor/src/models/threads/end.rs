//! The end of a runtime against everybody who still brings something.

use super::{Tally, start};
use crate::lock::Lock;
use crate::models::check;
use crate::models::stage::{Ear, Notes, Tell};
use crate::options::{Priority, SystemConfig};
use crate::runtime::Runtime;
use crate::scratch::Scratch;
use crate::sync::join_detached;
use crate::system::System;
use crate::threads::Threads;
use crate::threads::core::Core;
use loom::thread::{JoinHandle, spawn};
use std::sync::Arc;

/// A runtime whose worker, if there is one, is a thread of the model.
struct Site {
    threads: Arc<Threads>,
    worker: Option<JoinHandle<()>>,
}

impl Site {
    fn new(has_worker: bool) -> Site {
        let core = Arc::new(Core::new(1, 1));
        let worker = has_worker.then(|| start(&core, 0));
        let (workers, rng) = (Lock::new(Vec::new()), Lock::new(fastrand::Rng::with_seed(1)));
        Site { threads: Arc::new(Threads { core, workers, name: String::new(), rng }), worker }
    }

    /// As [`Threads::shutdown`] does it, with the worker of the model. To be dropped when the other threads are gone.
    fn shut_down(self) -> Arc<Threads> {
        self.threads.core.close();
        if let Some(worker) = self.worker {
            worker.join().unwrap();
        }
        self.threads.shutdown();
        self.threads
    }
}

/// A job from outside against the end: the worker runs it, or a sweep drops it.
#[test]
fn a_job_that_comes_at_the_end_is_run_or_dropped() {
    check(|| {
        let (site, tally) = (Site::new(true), Tally::default());
        let (threads, job) = (site.threads.clone(), tally.job());
        let scheduling = spawn(move || threads.schedule(job, Priority::Normal));
        let _threads = site.shut_down();
        scheduling.join().unwrap();
        join_detached();
        assert!(tally.run() <= tally.gone());
        assert_eq!(tally.gone(), 1);
    });
}

/// Spawning against the end: the future is run or dropped, once.
#[test]
fn a_task_that_is_spawned_at_the_end_is_run_or_dropped() {
    check(|| {
        let (site, tally) = (Site::new(false), Tally::default());
        let (threads, work) = (site.threads.clone(), tally.work());
        let spawning = spawn(move || threads.spawn(work, false).detach());
        let _threads = site.shut_down();
        spawning.join().unwrap();
        join_detached();
        assert!(tally.run() <= tally.gone());
        assert_eq!(tally.gone(), 1);
    });
}

/// A message to an idle actor against the end: the actor ends all the same, and the message is handled, counted or given
/// back.
#[test]
fn an_actor_that_is_woken_at_the_end_ends() {
    check(|| {
        let (site, notes) = (Site::new(false), Notes::default());
        let system = System::new(Runtime::real(site.threads.clone()), SystemConfig::default());
        let actor = system.spawn(Ear(notes.clone()));
        let started = site.threads.core.injector.pop().expect("its first turn");
        started.run(&mut Scratch::default());
        let sender = spawn(move || actor.try_send(Tell::Note(1)).is_ok());
        let _threads = site.shut_down();
        let sent = sender.join().unwrap();
        join_detached();
        assert!(system.is_empty(), "an actor has not ended");
        let lost = system.dead_letters().messages() as usize;
        assert_eq!(notes.lock().unwrap().len() + lost, usize::from(sent));
        assert_eq!(Arc::strong_count(&notes), 1);
    });
}

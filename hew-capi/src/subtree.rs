//! A supervisor below another one: an actor that keeps the tree running, and ends with it.

use crate::landing::{self, Call};
use crate::process::Process;
use crate::supervisor;
use crate::types::HewSupervisor;
use hew_actor::{Actor, Context, Outcome, Signal};
use hew_wire::ExitReason;
use std::sync::{Arc, Mutex, PoisonError};

/// Makes a child supervisor anew.
#[derive(Clone, Copy)]
pub(crate) struct Init(unsafe extern "C" fn() -> *mut HewSupervisor);

impl Init {
    /// # Safety
    /// The function may be called at any time, on any thread.
    pub(crate) unsafe fn new(function: unsafe extern "C" fn() -> *mut HewSupervisor) -> Init {
        Init(function)
    }
}

impl Call for Init {
    type Output = *mut HewSupervisor;

    fn run(&self) -> *mut HewSupervisor {
        // SAFETY: the condition of `Init::new`.
        unsafe { (self.0)() }
    }
}

/// The place of one child supervisor.
pub(crate) struct Subtree {
    /// What the parent knows it by.
    pub(crate) name: String,
    handle: Mutex<usize>,
    init: Option<Init>,
    /// Whether it was started once: what comes after that is made anew.
    started: Mutex<bool>,
}

impl Subtree {
    pub(crate) fn new(name: String, handle: usize, init: Option<Init>) -> Subtree {
        Subtree { name, handle: Mutex::new(handle), init, started: Mutex::new(false) }
    }

    /// The handle of the supervisor that fills the place now.
    pub(crate) fn handle(&self) -> usize {
        *self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills the place anew, if there is a function for it and the first supervisor was used.
    fn renew(&self, process: &Process) -> Result<(), String> {
        let again =
            std::mem::replace(&mut *self.started.lock().unwrap_or_else(PoisonError::into_inner), true);
        let Some(init) = self.init.filter(|_| again) else { return Ok(()) };
        // The function may start the tree, and wait for it.
        let stand_in = process.workers.stand_in().map_err(|failure| failure.text)?;
        let made = landing::call(&init)?;
        drop(stand_in);
        if made.is_null() {
            return Err("the init function gave no supervisor".into());
        }
        let old =
            std::mem::replace(&mut *self.handle.lock().unwrap_or_else(PoisonError::into_inner), made.addr());
        if old != made.addr() {
            supervisor::free(old);
        }
        Ok(())
    }
}

/// Starts the child supervisor, ends when it ends, and stops it when it is stopped itself.
pub(crate) struct SubtreeActor {
    subtree: Arc<Subtree>,
    process: Arc<Process>,
}

impl SubtreeActor {
    pub(crate) fn new(subtree: &Arc<Subtree>, process: &Arc<Process>) -> SubtreeActor {
        SubtreeActor { subtree: Arc::clone(subtree), process: Arc::clone(process) }
    }
}

impl Actor for SubtreeActor {
    type Message = ();

    async fn started(&mut self, context: &mut Context<()>) -> Outcome {
        if let Err(text) = self.subtree.renew(&self.process) {
            return Outcome::Crash(text);
        }
        let entry = match supervisor::find(self.subtree.handle()) {
            Ok(entry) => entry,
            Err(failure) => return Outcome::Crash(failure.text),
        };
        match entry.start(&self.process).await {
            Ok(running) => {
                context.monitor(running.pid());
                Outcome::Continue
            }
            Err(failure) => Outcome::Crash(failure.text),
        }
    }

    async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
        Outcome::Continue
    }

    async fn signal(&mut self, signal: Signal, _: &mut Context<()>) -> Outcome {
        match signal {
            Signal::Down { reason: ExitReason::Normal, .. } => Outcome::Stop,
            Signal::Down { reason, .. } => Outcome::Crash(reason.to_string()),
            Signal::Exit { .. } => Outcome::Continue,
        }
    }

    async fn stopped(&mut self, _: &ExitReason, _: &mut Context<()>) {
        if let Ok(entry) = supervisor::find(self.subtree.handle()) {
            entry.stop().await;
        }
    }
}

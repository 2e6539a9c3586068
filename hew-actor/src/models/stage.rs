//! A system whose actors run on the threads of a model: each runs what is ready, and nobody waits for work.

use crate::actor::{Actor, Outcome, Signal};
use crate::context::Context;
use crate::monitor::MonitorRef;
use crate::options::SystemConfig;
use crate::simulation::{Simulation, Stuck};
use crate::system::System;
use hew_wire::Pid;
use std::future::pending;
use std::sync::{Arc, Mutex};

pub(crate) struct Stage {
    pub(crate) simulation: Simulation,
    pub(crate) system: System,
}

impl Stage {
    pub(crate) fn new() -> Arc<Stage> {
        let simulation = Simulation::new(1);
        let system = System::new(simulation.runtime(), SystemConfig::default());
        Arc::new(Stage { simulation, system })
    }

    /// Runs actors until none is ready and no timer is set. Another thread may do so at the same time.
    pub(crate) fn run(&self) {
        assert!(matches!(self.simulation.run(pending::<()>()), Err(Stuck::Deadlock(_))));
    }

    /// What the table keeps alive of an actor.
    pub(crate) fn memory(&self, pid: Pid) -> Memory {
        let cell = self.system.shared().find(pid).expect("it lives");
        Memory(Arc::downgrade(&cell))
    }
}

/// The memory of an actor.
pub(crate) struct Memory(std::sync::Weak<dyn crate::cell::AnyCell>);

impl Memory {
    /// Nobody has a reference of it any more.
    pub(crate) fn is_freed(&self) -> bool {
        self.0.strong_count() == 0
    }
}

/// What an [`Ear`] notes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard {
    Message(u32),
    Signal(Signal),
    /// It has demonitored or unlinked, with this result.
    Forgot(bool),
}

/// What an [`Ear`] is told.
pub(crate) enum Tell {
    Note(u32),
    Forget(MonitorRef),
    Unlink(Pid),
}

/// Notes what it hears.
pub(crate) struct Ear(pub(crate) Notes);

pub(crate) type Notes = Arc<Mutex<Vec<Heard>>>;

impl Actor for Ear {
    type Message = Tell;

    async fn started(&mut self, context: &mut Context<Tell>) -> Outcome {
        context.trap_exit(true);
        Outcome::Continue
    }

    async fn handle(&mut self, message: Tell, context: &mut Context<Tell>) -> Outcome {
        let heard = match message {
            Tell::Note(n) => Heard::Message(n),
            Tell::Forget(monitor) => Heard::Forgot(context.demonitor(monitor)),
            Tell::Unlink(pid) => {
                context.unlink(pid);
                Heard::Forgot(true)
            }
        };
        self.0.lock().unwrap().push(heard);
        Outcome::Continue
    }

    async fn signal(&mut self, signal: Signal, _: &mut Context<Tell>) -> Outcome {
        self.0.lock().unwrap().push(Heard::Signal(signal));
        Outcome::Continue
    }
}

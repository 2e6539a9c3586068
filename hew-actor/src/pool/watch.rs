//! Hearing of the end of actors, here and on other nodes, for whoever keeps a list of them.

use crate::actor::{Actor, Outcome, Signal};
use crate::context::Context;
use crate::lock::Lock;
use crate::monitor::MonitorRef;
use crate::options::SpawnOptions;
use crate::reference::ActorRef;
use crate::system::System;
use hew_wire::{ExitReason, NodeId, Pid};
use std::convert::Infallible;
use std::sync::{Arc, Weak};

/// What the sentinel of a list is called in diagnostics.
const SENTINEL_LABEL: &str = "sentinel";

/// Keeps a list of actors that end.
pub(crate) trait Hearer: Send + Sync + 'static {
    /// The actor with this [`key`] has ended. `monitor` says which watch of it fired, if it is on another node.
    ///
    /// Called on the thread where the actor ends, also before [`Watches::watch`] returns.
    fn ended(&self, key: Pid, monitor: Option<MonitorRef>, reason: ExitReason);
}

/// One watch, to be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// A callback on an actor of this system.
    Here(MonitorRef),
    /// A monitor that the sentinel holds.
    Elsewhere(MonitorRef),
}

/// The system is shutting down, so nothing can monitor actors of other nodes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShuttingDown;

/// The PID by which a list knows an actor: with node 0 for the actors of `system`, whose PIDs change once, when the
/// process starts a node.
pub(crate) fn key(system: &System, pid: Pid) -> Pid {
    let here = pid.node().is_local() || pid.node() == system.node();
    if here { Pid::new(NodeId::LOCAL, pid.serial()) } else { pid }
}

/// The watches of one list.
///
/// Actors of this system are watched by callbacks. Only an actor can monitor those of other nodes, so the first of them
/// makes a sentinel, an actor without messages, which ends with this value. If somebody ends it earlier, ends elsewhere
/// are not heard of any more.
pub(crate) struct Watches {
    system: System,
    sentinel: Lock<Option<ActorRef<Infallible>>>,
}

impl Watches {
    pub(crate) fn new(system: &System) -> Watches {
        Watches { system: system.clone(), sentinel: Lock::new(None) }
    }

    pub(crate) fn system(&self) -> &System {
        &self.system
    }

    /// Tells `hearer` once when the actor ends, at once if it has, and never after [`Watches::unwatch`] has returned,
    /// except for an end that is being told at that moment. Does not keep `hearer`.
    ///
    /// No lock may be held that [`Hearer::ended`] takes.
    pub(crate) fn watch<H: Hearer>(&self, key: Pid, hearer: &Arc<H>) -> Result<Watch, ShuttingDown> {
        if !key.node().is_local() {
            let sentinel = self.sentinel(hearer)?;
            return Ok(Watch::Elsewhere(self.system.monitor(sentinel, key)));
        }
        let hearer = Arc::downgrade(hearer);
        let monitor = self.system.watch(key, move |_, reason| {
            if let Some(hearer) = hearer.upgrade() {
                hearer.ended(key, None, reason);
            }
        });
        Ok(Watch::Here(monitor))
    }

    pub(crate) fn unwatch(&self, watch: Watch) {
        match watch {
            Watch::Here(monitor) => drop(self.system.unwatch(monitor)),
            Watch::Elsewhere(monitor) => {
                let sentinel = self.sentinel.lock().as_ref().map(ActorRef::pid);
                if let Some(sentinel) = sentinel {
                    self.system.demonitor(sentinel, monitor);
                }
            }
        }
    }

    fn sentinel<H: Hearer>(&self, hearer: &Arc<H>) -> Result<Pid, ShuttingDown> {
        if let Some(sentinel) = &*self.sentinel.lock() {
            return Ok(sentinel.pid());
        }
        let options = SpawnOptions { label: Some(SENTINEL_LABEL.into()), ..SpawnOptions::default() };
        let spawned = self.system.spawn_with(Sentinel { hearer: Arc::downgrade(hearer) }, options);
        let spare = spawned.map_err(|_| ShuttingDown)?;
        let mut sentinel = self.sentinel.lock();
        match &*sentinel {
            // Someone else was faster.
            Some(sentinel) => {
                spare.stop();
                Ok(sentinel.pid())
            }
            None => Ok(sentinel.insert(spare).pid()),
        }
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        if let Some(sentinel) = self.sentinel.lock().take() {
            sentinel.stop();
        }
    }
}

/// Monitors actors of other nodes for a list.
struct Sentinel<H> {
    hearer: Weak<H>,
}

impl<H: Hearer> Actor for Sentinel<H> {
    type Message = Infallible;

    async fn handle(&mut self, message: Infallible, _: &mut Context<Infallible>) -> Outcome {
        match message {}
    }

    async fn signal(&mut self, signal: Signal, _: &mut Context<Infallible>) -> Outcome {
        match (signal, self.hearer.upgrade()) {
            (Signal::Down { monitor, pid, reason }, Some(hearer)) => {
                hearer.ended(pid, Some(monitor), reason);
                Outcome::Continue
            }
            (Signal::Exit { .. }, Some(_)) => Outcome::Continue,
            (_, None) => Outcome::Stop,
        }
    }
}

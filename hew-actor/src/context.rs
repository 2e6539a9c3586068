//! What an actor can do from inside its own handlers.

use crate::actor::Actor;
use crate::cell::Cell;
use crate::monitor::MonitorRef;
use crate::reference::ActorRef;
use crate::runtime::Runtime;
use crate::system::System;
use crate::timer::TimerRef;
use hew_wire::Pid;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The view that a running actor has of itself and its system.
pub struct Context<M> {
    cell: Arc<Cell<M>>,
    /// Calls of [`Context::cooperate`] between two that give way, and how many are left.
    per_turn: u32,
    left: u32,
}

impl<M: Send + 'static> Context<M> {
    pub(crate) fn new(cell: Arc<Cell<M>>, per_turn: u32) -> Context<M> {
        Context { cell, per_turn, left: per_turn }
    }

    /// A reference to this actor.
    pub fn this(&self) -> ActorRef<M> {
        ActorRef::local(self.cell.clone())
    }

    /// The PID of this actor.
    pub fn pid(&self) -> Pid {
        self.cell.pid()
    }

    /// The system this actor lives in.
    pub fn system(&self) -> System {
        System::from_shared(self.cell.shared.clone())
    }

    /// The runtime: clock, timers, randomness, tasks.
    pub fn runtime(&self) -> &Runtime {
        &self.cell.shared.runtime
    }

    /// Spawns another actor with default options; it does not end with this one unless linked.
    pub fn spawn<A: Actor>(&self, actor: A) -> ActorRef<A::Message> {
        self.system().spawn(actor)
    }

    /// Watches another actor: exactly one [`Signal::Down`](crate::Signal::Down) comes when it ends, at once if it has.
    pub fn monitor(&self, target: Pid) -> MonitorRef {
        self.cell.shared.monitor(self.cell.pid(), target)
    }

    /// Stops watching. After this returns, no signal of that monitor arrives. Whether it had not fired yet.
    pub fn demonitor(&self, monitor: MonitorRef) -> bool {
        self.cell.shared.demonitor(self.cell.pid(), monitor)
    }

    /// Links this actor and another: when one ends abnormally so does the other, unless it traps exits.
    ///
    /// If the other has ended, the exit signal comes at once.
    pub fn link(&self, other: Pid) {
        self.cell.shared.link(self.cell.pid(), other);
    }

    /// Removes a link. After this returns, no exit signal of that link arrives.
    pub fn unlink(&self, other: Pid) {
        self.cell.shared.unlink(self.cell.pid(), other);
    }

    /// Whether exit signals come as [`Signal::Exit`](crate::Signal::Exit) instead of ending this actor. At first not.
    pub fn trap_exit(&self, trap: bool) {
        // Read by this actor's own task only.
        self.cell.trap_exit.store(trap, Ordering::Relaxed);
    }

    /// Sends `message` to this actor after `delay`. The timer ends with the actor.
    pub fn send_after(&self, delay: Duration, message: M) -> TimerRef {
        self.this().send_after(delay, message)
    }

    /// Sends what `make` makes to this actor every `period`; see [`ActorRef::send_every`].
    ///
    /// # Panics
    /// When `period` is zero.
    pub fn send_every(&self, period: Duration, make: impl FnMut() -> M + Send + 'static) -> TimerRef {
        self.this().send_every(period, make)
    }

    /// A point at which a handler that computes for long lets other actors run. Each call counts as a message; every
    /// [`messages_per_turn`](crate::SpawnOptions::messages_per_turn)-th one gives the worker away and goes on when this
    /// actor's turn comes again. Whether it did.
    pub async fn cooperate(&mut self) -> bool {
        self.left -= 1;
        if self.left > 0 {
            return false;
        }
        self.left = self.per_turn;
        futures_lite::future::yield_now().await;
        true
    }

    /// Asks this actor to stop, as [`ActorRef::stop`] does: after the message at hand, before those that wait.
    pub fn stop(&self) {
        self.this().stop();
    }
}

impl<M> fmt::Debug for Context<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("pid", &self.cell.pid()).finish()
    }
}

//! The supervisor itself.

use crate::actor::{Actor, Outcome, Signal};
use crate::context::Context;
use crate::reply::ReplyTo;
use crate::supervisor::Strategy;
use crate::supervisor::budget::Budget;
use crate::supervisor::child::{ChildSpec, Vacancy};
use crate::supervisor::family::{Family, GiveUp};
use crate::supervisor::handle::{AddChildError, ChildInfo, Request, SupervisorMessage, SupervisorRef};
use crate::supervisor::place::ChildRef;
use crate::supervisor::remains::Remains;
use crate::supervisor::supervised::{State, Then, queue};
use crate::system::System;
use hew_wire::{ExitReason, Pid};
use std::sync::Arc;
use std::time::Duration;

/// Restarts that a supervisor allows itself within [`RESTART_WINDOW`] by default.
const RESTARTS_MAX: u32 = 3;
const RESTART_WINDOW: Duration = Duration::from_secs(5);

/// An actor that keeps others running.
///
/// # Starting and restarting
/// Children are started in the order in which they were added, each after the start hook of the one before has ended.
/// One that cannot be started then makes the supervisor crash. A child that ends later is started again as its
/// [`Restart`](crate::Restart) says, with those that its [`Strategy`] names. The first restart comes at once, later
/// ones in a row after the waits of [`ChildSpec::backoff`]; a child that has lived for the restart window starts
/// afresh. When the restarts within the window are more than the budget, the supervisor stops its children and crashes
/// itself, which is for its own supervisor to deal with. [`ChildSpec::circuit_breaker`] keeps one child from getting
/// that far.
///
/// # Never two at once
/// A child is not started before the one that had its place has ended: its `stopped` hook and its `Drop` are over, it
/// was killed if it did not stop within its deadline, and if it was a supervisor, all below it has ended too. A child
/// that does not even end when it is killed, because it blocks its thread, is reported as
/// [`ChildState::Stuck`](crate::ChildState::Stuck) and keeps its place until it ends after all; what was to be started
/// in its place, or after it for the strategy's sake, waits.
///
/// The supervisor itself never waits for a child: meanwhile it answers, adds, removes, and restarts others. Only its
/// own start and its own end take as long as those of its children.
///
/// # Ending
/// It stops its children one after the other, last started first, each within its deadline: see
/// [`ChildSpec::stop_deadline`]. It does not wait longer than [`KILL_DEADLINE`](crate::KILL_DEADLINE) for one that was
/// killed. When it is killed itself, its children end at once by their links, in no order; those that trap exits are
/// asked to stop, and killed when their deadlines are over.
///
/// A supervisor is an actor: as the child of another one it is made anew by the closure of its specification.
///
/// ```
/// # use hew_actor::*;
/// # struct Echo;
/// # impl Actor for Echo {
/// #     type Message = ReplyTo<u8>;
/// #     async fn handle(&mut self, reply: ReplyTo<u8>, _: &mut Context<ReplyTo<u8>>) -> Outcome {
/// #         reply.send(7);
/// #         Outcome::Crash("every time".into())
/// #     }
/// # }
/// # let simulation = Simulation::new(1);
/// # let system = System::new(simulation.runtime(), SystemConfig::default());
/// # simulation.run(async {
/// let mut supervisor = Supervisor::new(Strategy::OneForOne);
/// let echo = supervisor.add(&system, ChildSpec::new("echo", || Echo))?;
/// supervisor.spawn(&system);
/// assert_eq!(echo.ask(|reply| reply).await?, 7); // and then it crashes
/// assert_eq!(echo.ask(|reply| reply).await?, 7); // its successor
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap().unwrap();
/// ```
pub struct Supervisor {
    family: Family,
    /// Known once it runs.
    home: Option<(System, Pid)>,
    /// Told when its children have been started for the first time.
    ready: Option<ReplyTo<()>>,
    /// Who asked for the children before that.
    early: Vec<ReplyTo<Vec<ChildInfo>>>,
}

impl Supervisor {
    /// A supervisor without children, with a budget of 3 restarts in 5 seconds.
    pub fn new(strategy: Strategy) -> Supervisor {
        let budget = Budget::new(RESTARTS_MAX, RESTART_WINDOW);
        Supervisor { family: Family::new(strategy, budget), home: None, ready: None, early: Vec::new() }
    }

    /// Allows `restarts_max` restarts within `window`; one more and the supervisor crashes.
    pub fn budget(mut self, restarts_max: u32, window: Duration) -> Supervisor {
        self.family.budget = Budget::new(restarts_max, window);
        self
    }

    /// Adds a child, to be started after those added before. The reference works once the supervisor runs.
    ///
    /// # Errors
    /// [`AddChildError::NameTaken`], [`AddChildError::TooMany`].
    pub fn add<M: Send + 'static>(
        &mut self,
        system: &System,
        spec: ChildSpec<M>,
    ) -> Result<ChildRef<M>, AddChildError> {
        let (child, place) = spec.split();
        self.family.begin_with(child)?;
        Ok(ChildRef::new(system.clone(), place))
    }

    /// Adds a child that nobody needs a reference to now; see [`SupervisorRef::child`].
    ///
    /// # Errors
    /// [`AddChildError::NameTaken`], [`AddChildError::TooMany`].
    pub fn with<M: Send + 'static>(mut self, spec: ChildSpec<M>) -> Result<Supervisor, AddChildError> {
        self.family.begin_with(spec.split().0)?;
        Ok(self)
    }

    /// Spawns the supervisor. A child that cannot be started makes it crash, as a child that fails later would: see
    /// [`System::ended`].
    pub fn spawn(self, system: &System) -> SupervisorRef {
        SupervisorRef::new(system.spawn(self))
    }

    /// It becomes the child of another one, which hears when it is `ready` and waits for what remains of it.
    pub(crate) fn place_below(&mut self, ready: ReplyTo<()>) -> Arc<Remains> {
        self.ready = Some(ready);
        self.family.remains.clone()
    }

    fn asked(&mut self, request: Request, context: &Context<SupervisorMessage>) {
        match request {
            Request::Look => {}
            Request::Children(reply) if self.family.is_up() => {
                reply.send(self.family.infos(context.runtime().now()));
            }
            Request::Children(reply) => queue(&mut self.early, reply),
            Request::Count(reply) => reply.send(self.family.len()),
            Request::Find { name, reply } => reply.send(self.family.find(&name)),
            Request::Add { child, reply } => self.family.add(child, reply),
            Request::Remove { name, reply } => self.family.remove(&name, reply, context),
            Request::Restart { name, reply } => self.family.restart(&name, reply, context),
        }
    }

    /// Takes the next steps after something happened.
    fn go_on(&mut self, so_far: Result<(), GiveUp>, context: &Context<SupervisorMessage>) -> Outcome {
        if let Err(GiveUp(text)) = so_far {
            return Outcome::Crash(text);
        }
        self.family.proceed(context);
        if self.family.is_up() {
            if let Some(ready) = self.ready.take() {
                ready.send(());
            }
            for reply in self.early.drain(..) {
                reply.send(self.family.infos(context.runtime().now()));
            }
        }
        Outcome::Continue
    }
}

impl Actor for Supervisor {
    type Message = SupervisorMessage;

    async fn started(&mut self, context: &mut Context<SupervisorMessage>) -> Outcome {
        context.trap_exit(true);
        self.home = Some((context.system(), context.pid()));
        self.go_on(Ok(()), context)
    }

    async fn handle(
        &mut self,
        message: SupervisorMessage,
        context: &mut Context<SupervisorMessage>,
    ) -> Outcome {
        let caught_up = self.family.catch_up(context);
        if caught_up.is_ok() {
            self.asked(message.0, context);
        }
        self.go_on(caught_up, context)
    }

    async fn signal(&mut self, signal: Signal, context: &mut Context<SupervisorMessage>) -> Outcome {
        match signal {
            Signal::Down { monitor, reason, .. } => {
                let result = self.family.down(monitor, reason, context);
                self.go_on(result, context)
            }
            // Monitors tell the ends of children; what else comes here is a parent or a stranger.
            Signal::Exit { reason: ExitReason::Normal, .. } => Outcome::Continue,
            Signal::Exit { from, .. } if self.family.is_child(from, context) => Outcome::Continue,
            Signal::Exit { from, reason } => Outcome::Crash(format!("linked {from} ended: {reason}")),
        }
    }

    async fn stopped(&mut self, _: &ExitReason, context: &mut Context<SupervisorMessage>) {
        let (system, hurry) = (context.system(), self.family.remains.clone());
        for one in self.family.in_reverse() {
            let Some((tenant, kill_at)) = one.left(context.runtime().now()) else { continue };
            one.child.vacate(Vacancy::Gone(ExitReason::NoProcess));
            one.enter(State::Ending { tenant: tenant.clone(), kill_at, then: Then::Remove, stuck: false });
            context.unlink(tenant.pid);
            system.stop(tenant.pid);
            if tenant.end(&system, kill_at, &hurry).await {
                one.enter(State::Gone);
            }
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let mut left = Vec::new();
        if let Some((system, _)) = &self.home {
            let now = system.runtime().now();
            left.extend(self.family.in_reverse().filter_map(|one| one.left(now)));
        }
        match &self.home {
            Some((system, pid)) if !left.is_empty() => self.family.remains.settle(system, *pid, left),
            Some(_) | None => self.family.remains.nothing(),
        }
    }
}

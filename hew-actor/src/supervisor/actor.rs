//! The supervisor itself.

use crate::actor::{Actor, Outcome, Signal};
use crate::context::Context;
use crate::error::AskError;
use crate::monitor::MonitorRef;
use crate::reference::ActorRef;
use crate::reply::ReplyTo;
use crate::supervisor::backoff;
use crate::supervisor::budget::Budget;
use crate::supervisor::child::{Child, ChildRef, ChildSpec, KILL_DEADLINE, Vacancy};
use crate::supervisor::{Restart, Strategy};
use crate::system::System;
use hew_wire::{ExitReason, Pid};
use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Restarts that a supervisor allows itself within [`RESTART_WINDOW`] by default.
const RESTARTS_MAX: u32 = 3;
const RESTART_WINDOW: Duration = Duration::from_secs(5);

/// An actor that keeps others running.
///
/// Children are started in the order in which they were added, each after the start hook of the one before has ended,
/// and stopped in the reverse order. The start of a child never overlaps the end of its predecessor. The first restart
/// comes at once, later ones in a row after a wait that doubles from [`BACKOFF_MIN`](crate::BACKOFF_MIN) to
/// [`BACKOFF_MAX`](crate::BACKOFF_MAX), with jitter; a child that has lived for the restart window starts afresh. When
/// the restarts within the window are more than the budget, the supervisor stops its children and crashes itself,
/// which is for its own supervisor to deal with. When it ends without being able to stop them (killed), they end with
/// it, as they are linked.
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
    strategy: Strategy,
    budget: Budget,
    children: Vec<Supervised>,
    next_id: u64,
}

/// A child and what became of it.
struct Supervised {
    /// Never reused: children that are removed change the positions of others.
    id: u64,
    child: Child,
    state: State,
    /// Restarts in a row.
    attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Not started yet, or stopped to be started again.
    Down,
    Running {
        pid: Pid,
        monitor: MonitorRef,
        since: Instant,
    },
    /// Ended and not to be restarted.
    Gone,
}

/// What a [`SupervisorRef`] sends.
pub struct SupervisorMessage(Request);

impl fmt::Debug for SupervisorMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorMessage").finish_non_exhaustive()
    }
}

enum Request {
    /// The wait before a restart is over: start this child, and those stopped for its sake. Out of date if the child
    /// has been restarted since, by another's failure.
    Start {
        id: u64,
        attempts: u32,
    },
    Children(ReplyTo<Vec<ChildInfo>>),
    Add {
        child: Child,
        reply: ReplyTo<Result<(), AddChildError>>,
    },
    Remove {
        name: String,
        reply: ReplyTo<bool>,
    },
}

/// One child, as [`SupervisorRef::children`] shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildInfo {
    /// Its name.
    pub name: String,
    /// Its present actor; `None` while it is being restarted or when it is gone.
    pub pid: Option<Pid>,
    /// Restarts in a row.
    pub restarts: u32,
}

/// A child was not added. The supervisor goes on as before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddChildError {
    /// There is a child of that name.
    #[error("there is a child {0:?} already")]
    NameTaken(String),
    /// It did not start; the text says why.
    #[error("child {name:?} did not start: {error}")]
    NotStarted {
        /// Its name.
        name: String,
        /// Why.
        error: String,
    },
    /// The supervisor did not answer.
    #[error("the supervisor did not answer: {0}")]
    Supervisor(AskError),
}

impl Supervisor {
    /// A supervisor without children, with a budget of 3 restarts in 5 seconds.
    pub fn new(strategy: Strategy) -> Supervisor {
        Supervisor {
            strategy,
            budget: Budget::new(RESTARTS_MAX, RESTART_WINDOW),
            children: Vec::new(),
            next_id: 0,
        }
    }

    /// Allows `restarts_max` restarts within `window`; one more and the supervisor crashes.
    pub fn budget(mut self, restarts_max: u32, window: Duration) -> Supervisor {
        self.budget = Budget::new(restarts_max, window);
        self
    }

    /// Adds a child, to be started after those added before. The reference works once the supervisor runs.
    ///
    /// # Errors
    /// [`AddChildError::NameTaken`].
    pub fn add<M: Send + 'static>(
        &mut self,
        system: &System,
        spec: ChildSpec<M>,
    ) -> Result<ChildRef<M>, AddChildError> {
        let (child, place) = spec.split();
        self.push(child)?;
        Ok(ChildRef::new(system.clone(), place))
    }

    /// Adds a child that nobody needs a reference to.
    ///
    /// # Errors
    /// [`AddChildError::NameTaken`].
    pub fn with<M: Send + 'static>(mut self, spec: ChildSpec<M>) -> Result<Supervisor, AddChildError> {
        self.push(spec.split().0)?;
        Ok(self)
    }

    /// Spawns the supervisor. A child that cannot be started makes it crash, as a child that fails later would: see
    /// [`System::ended`].
    pub fn spawn(self, system: &System) -> SupervisorRef {
        SupervisorRef { actor: system.spawn(self) }
    }

    fn push(&mut self, child: Child) -> Result<(), AddChildError> {
        if self.children.iter().any(|other| other.child.name == child.name) {
            return Err(AddChildError::NameTaken(child.name.clone()));
        }
        self.next_id += 1;
        self.children.push(Supervised { id: self.next_id, child, state: State::Down, attempts: 0 });
        Ok(())
    }

    /// Starts what is down among these children, in order. Stops at the first that cannot be started.
    async fn start(
        &mut self,
        range: Range<usize>,
        context: &Context<SupervisorMessage>,
    ) -> Result<(), (usize, String)> {
        let system = context.system();
        for index in range {
            let Some(one) = self.children.get_mut(index) else { break };
            if one.state != State::Down {
                continue;
            }
            let pid = one.child.start(&system).await.map_err(|error| (index, error))?;
            let monitor = context.monitor(pid);
            context.link(pid);
            one.state = State::Running { pid, monitor, since: context.runtime().now() };
        }
        Ok(())
    }

    /// Stops these children, last started first, each within its deadline.
    async fn stop(&mut self, range: Range<usize>, context: &Context<SupervisorMessage>) {
        let system = context.system();
        for one in self.children[range].iter_mut().rev() {
            let State::Running { pid, monitor, .. } = one.state else { continue };
            one.state = State::Down;
            one.child.vacate(Vacancy::Awaited);
            context.demonitor(monitor);
            context.unlink(pid);
            system.stop(pid);
            let runtime = system.runtime();
            if runtime.timeout(one.child.stop_deadline, system.ended(pid)).await.is_err() {
                tracing::warn!(child = one.child.name, %pid, "child did not stop within its deadline: killed");
                system.kill(pid);
                drop(runtime.timeout(KILL_DEADLINE, system.ended(pid)).await);
            }
        }
    }

    /// A child ended by itself.
    async fn child_ended(
        &mut self,
        monitor: MonitorRef,
        reason: ExitReason,
        context: &Context<SupervisorMessage>,
    ) -> Outcome {
        let now = context.runtime().now();
        let ended = |one: &Supervised| matches!(one.state, State::Running { monitor: m, .. } if m == monitor);
        let Some(failed) = self.children.iter().position(ended) else { return Outcome::Continue };
        let (window, one) = (self.budget.window(), &mut self.children[failed]);
        if let State::Running { pid, since, .. } = one.state {
            // The exit signal of the link, which follows this signal, would look like that of a stranger.
            context.unlink(pid);
            if now.saturating_duration_since(since) >= window {
                one.attempts = 0;
            }
        }
        one.state = State::Down;
        if !one.child.restart.wanted_after(&reason) || context.system().is_shutting_down() {
            one.state = State::Gone;
            one.child.vacate(Vacancy::Gone(reason));
            return Outcome::Continue;
        }
        one.child.vacate(Vacancy::Awaited);
        self.restart(failed, &reason.to_string(), context).await
    }

    /// Stops those that must follow a failed child, and starts them again now or later.
    async fn restart(&mut self, failed: usize, why: &str, context: &Context<SupervisorMessage>) -> Outcome {
        let mut why = why.to_owned();
        let mut failed = failed;
        loop {
            let now = context.runtime().now();
            let name = self.children[failed].child.name.clone();
            if !self.budget.spend(now) {
                let (most, window) = (self.budget.restarts_max(), self.budget.window());
                return Outcome::Crash(format!(
                    "child {name:?} ended ({why}) after {most} restarts in {window:?}"
                ));
            }
            tracing::info!(child = name, why, "restarting");
            let affected = self.strategy.affected(failed, self.children.len());
            self.stop(affected.clone(), context).await;
            self.bury_temporary(affected.clone(), failed);
            let one = &mut self.children[failed];
            let wait = backoff::delay(one.attempts, context.runtime().seed());
            one.attempts = one.attempts.saturating_add(1);
            if !wait.is_zero() {
                let request = Request::Start { id: one.id, attempts: one.attempts };
                context.send_after(wait, SupervisorMessage(request));
                return Outcome::Continue;
            }
            match self.start(affected, context).await {
                Ok(()) => return Outcome::Continue,
                Err((index, error)) => (failed, why) = (index, error),
            }
        }
    }

    /// Temporary children that were stopped for another's sake do not come back.
    fn bury_temporary(&mut self, range: Range<usize>, failed: usize) {
        for (index, one) in self.children.iter_mut().enumerate() {
            let stopped = range.contains(&index) && index != failed && one.state == State::Down;
            if stopped && one.child.restart == Restart::Temporary {
                one.state = State::Gone;
                one.child.vacate(Vacancy::Gone(ExitReason::Normal));
            }
        }
    }

    /// The wait before a restart is over.
    async fn start_again(&mut self, id: u64, attempts: u32, context: &Context<SupervisorMessage>) -> Outcome {
        let due = |one: &Supervised| one.id == id && one.attempts == attempts && one.state == State::Down;
        let Some(failed) = self.children.iter().position(due) else { return Outcome::Continue };
        match self.start(self.strategy.affected(failed, self.children.len()), context).await {
            Ok(()) => Outcome::Continue,
            Err((index, error)) => self.restart(index, &error, context).await,
        }
    }

    async fn add_running(
        &mut self,
        child: Child,
        context: &Context<SupervisorMessage>,
    ) -> Result<(), AddChildError> {
        let name = child.name.clone();
        self.push(child)?;
        let index = self.children.len() - 1;
        match self.start(index..index + 1, context).await {
            Ok(()) => Ok(()),
            Err((_, error)) => {
                self.children.pop();
                Err(AddChildError::NotStarted { name, error })
            }
        }
    }

    fn infos(&self) -> Vec<ChildInfo> {
        let info = |one: &Supervised| ChildInfo {
            name: one.child.name.clone(),
            pid: match one.state {
                State::Running { pid, .. } => Some(pid),
                State::Down | State::Gone => None,
            },
            restarts: one.attempts,
        };
        self.children.iter().map(info).collect()
    }
}

impl Actor for Supervisor {
    type Message = SupervisorMessage;

    async fn started(&mut self, context: &mut Context<SupervisorMessage>) -> Outcome {
        context.trap_exit(true);
        match self.start(0..self.children.len(), context).await {
            Ok(()) => Outcome::Continue,
            Err((index, error)) => {
                let name = &self.children[index].child.name;
                Outcome::Crash(format!("child {name:?} did not start: {error}"))
            }
        }
    }

    async fn handle(
        &mut self,
        message: SupervisorMessage,
        context: &mut Context<SupervisorMessage>,
    ) -> Outcome {
        match message.0 {
            Request::Start { id, attempts } => return self.start_again(id, attempts, context).await,
            Request::Children(reply) => reply.send(self.infos()),
            Request::Add { child, reply } => reply.send(self.add_running(child, context).await),
            Request::Remove { name, reply } => {
                let index = self.children.iter().position(|one| one.child.name == name);
                if let Some(index) = index {
                    self.stop(index..index + 1, context).await;
                    drop(self.children.remove(index));
                }
                reply.send(index.is_some());
            }
        }
        Outcome::Continue
    }

    async fn signal(&mut self, signal: Signal, context: &mut Context<SupervisorMessage>) -> Outcome {
        match signal {
            Signal::Down { monitor, reason, .. } => self.child_ended(monitor, reason, context).await,
            // Children's ends are told by their monitors; what comes here is a parent or a stranger.
            Signal::Exit { reason: ExitReason::Normal, .. } => Outcome::Continue,
            Signal::Exit { from, reason } => Outcome::Crash(format!("linked {from} ended: {reason}")),
        }
    }

    async fn stopped(&mut self, _: &ExitReason, context: &mut Context<SupervisorMessage>) {
        self.stop(0..self.children.len(), context).await;
    }
}

/// A handle to a running supervisor. Cheap to clone; dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct SupervisorRef {
    actor: ActorRef<SupervisorMessage>,
}

impl SupervisorRef {
    /// The supervisor as an actor: to stop, monitor or link it.
    pub fn actor(&self) -> &ActorRef<SupervisorMessage> {
        &self.actor
    }

    /// The supervisor's PID.
    pub fn pid(&self) -> Pid {
        self.actor.pid()
    }

    /// Its children, in the order of their start.
    ///
    /// # Errors
    /// [`AskError`]: the supervisor has ended, or was busy stopping or starting children for too long.
    pub async fn children(&self) -> Result<Vec<ChildInfo>, AskError> {
        self.actor.ask(|reply| SupervisorMessage(Request::Children(reply))).await
    }

    /// Starts one more child, after the others.
    ///
    /// # Errors
    /// [`AddChildError`]; after [`AddChildError::Supervisor`] with a timeout it may still be added.
    pub async fn add<M: Send + 'static>(&self, spec: ChildSpec<M>) -> Result<ChildRef<M>, AddChildError> {
        let (child, place) = spec.split();
        let answer = self.actor.ask(|reply| SupervisorMessage(Request::Add { child, reply })).await;
        answer.map_err(AddChildError::Supervisor)??;
        Ok(ChildRef::new(self.actor.system(), place))
    }

    /// Stops a child and forgets it; `false` if there is none of that name.
    ///
    /// # Errors
    /// As [`SupervisorRef::children`]; after a timeout the child may still be removed.
    pub async fn remove(&self, name: impl Into<String>) -> Result<bool, AskError> {
        let name = name.into();
        self.actor.ask(|reply| SupervisorMessage(Request::Remove { name, reply })).await
    }

    /// Asks the supervisor to stop its children, last started first, and then itself.
    pub fn stop(&self) {
        self.actor.stop();
    }
}

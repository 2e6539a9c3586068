//! One supervised child: its specification, its place, and the reference that survives restarts.

use crate::actor::Actor;
use crate::error::{AskError, SendError, TrySendError};
use crate::lock::Lock;
use crate::options::SpawnOptions;
use crate::reference::{ASK_DEADLINE, ActorRef, BoxFuture};
use crate::reply::{self, ReplyTo};
use crate::supervisor::Restart;
use crate::system::System;
use crate::unwind;
use event_listener::Event;
use hew_wire::{ExitReason, Pid};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long a child's start hook may take by default.
pub const START_DEADLINE: Duration = Duration::from_secs(30);
/// How long a child may take to stop, by default, before it is killed.
pub const STOP_DEADLINE: Duration = Duration::from_secs(5);
/// Longest wait for an actor that was killed: one that blocks its thread without awaiting is then left to itself.
pub(crate) const KILL_DEADLINE: Duration = Duration::from_secs(5);

/// How to make, restart and stop one child whose messages are `M`.
pub struct ChildSpec<M> {
    name: String,
    restart: Restart,
    start_deadline: Duration,
    stop_deadline: Duration,
    options: SpawnOptions<M>,
    make: Make<M>,
}

impl<M: Send + 'static> ChildSpec<M> {
    /// A permanent child. `make` makes the actor value, at each start anew; the name is for humans and for
    /// [`SupervisorRef::remove`](crate::SupervisorRef::remove), and is unique within a supervisor.
    pub fn new<A: Actor<Message = M>>(
        name: impl Into<String>,
        mut make: impl FnMut() -> A + Send + 'static,
    ) -> ChildSpec<M> {
        ChildSpec {
            name: name.into(),
            restart: Restart::Permanent,
            start_deadline: START_DEADLINE,
            stop_deadline: STOP_DEADLINE,
            options: SpawnOptions::default(),
            make: Box::new(move |system, options| {
                let actor = unwind::catch(&mut make)?;
                let (started, answer) = reply::channel(system.counters_shared());
                let spawned = system.spawn_inner(actor, options, Some(started));
                spawned.map(|actor| (actor, answer)).map_err(|error| error.to_string())
            }),
        }
    }

    /// When it is started again. Default [`Restart::Permanent`].
    pub fn restart(self, restart: Restart) -> ChildSpec<M> {
        ChildSpec { restart, ..self }
    }

    /// How long its start hook may take. Default [`START_DEADLINE`].
    pub fn start_deadline(self, start_deadline: Duration) -> ChildSpec<M> {
        ChildSpec { start_deadline, ..self }
    }

    /// How long it may take to stop before it is killed. Default [`STOP_DEADLINE`].
    pub fn stop_deadline(self, stop_deadline: Duration) -> ChildSpec<M> {
        ChildSpec { stop_deadline, ..self }
    }

    /// Mailbox, decoder and the rest. Without a label the child's name becomes its label.
    pub fn options(self, options: SpawnOptions<M>) -> ChildSpec<M> {
        ChildSpec { options, ..self }
    }

    /// The child without its type, and the reference with it.
    pub(crate) fn split(self) -> (Child, Arc<Place<M>>) {
        let place = Arc::new(Place { state: Lock::new(Occupant::Awaited), changed: Event::new() });
        let mut options = self.options;
        options.label.get_or_insert_with(|| self.name.clone());
        let (mut make, start_deadline) = (self.make, self.start_deadline);
        let seat = place.clone();
        let start = move |system: &System| -> BoxFuture<'static, Result<Pid, String>> {
            let made = make(system, options.clone());
            let (system, seat) = (system.clone(), seat.clone());
            Box::pin(async move {
                let (actor, started) = made?;
                match system.runtime().timeout(start_deadline, started).await {
                    Ok(Ok(())) => {
                        let pid = actor.pid();
                        seat.set(Occupant::Running(actor));
                        Ok(pid)
                    }
                    Ok(Err(error)) => {
                        // The next attempt must not overlap its end.
                        system.ended(actor.pid()).await;
                        Err(match error {
                            AskError::Ended(reason) => reason.to_string(),
                            other => other.to_string(),
                        })
                    }
                    Err(_) => {
                        actor.kill();
                        drop(system.runtime().timeout(KILL_DEADLINE, system.ended(actor.pid())).await);
                        Err(format!("not started within {start_deadline:?}"))
                    }
                }
            })
        };
        let seat = place.clone();
        let vacate = move |occupant: Vacancy| match occupant {
            Vacancy::Awaited => seat.set(Occupant::Awaited),
            Vacancy::Gone(reason) => seat.set(Occupant::Gone(reason)),
        };
        let child = Child {
            name: self.name,
            restart: self.restart,
            stop_deadline: self.stop_deadline,
            start: Box::new(start),
            vacate: Box::new(vacate),
        };
        (child, place)
    }
}

impl<M> fmt::Debug for ChildSpec<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("name", &self.name)
            .field("restart", &self.restart)
            .finish_non_exhaustive()
    }
}

/// Makes the actor of a child and waits for its start hook.
type Start = Box<dyn FnMut(&System) -> BoxFuture<'static, Result<Pid, String>> + Send>;

/// Makes the actor of a child whose messages are `M`; the answer comes when its start hook is over.
type Make<M> =
    Box<dyn FnMut(&System, SpawnOptions<M>) -> Result<(ActorRef<M>, reply::Answer<()>), String> + Send>;

/// A child as its supervisor sees it.
pub(crate) struct Child {
    pub(crate) name: String,
    pub(crate) restart: Restart,
    pub(crate) stop_deadline: Duration,
    start: Start,
    vacate: Box<dyn Fn(Vacancy) + Send>,
}

/// Why nobody is in the place.
pub(crate) enum Vacancy {
    /// It will be started again.
    Awaited,
    /// It will not.
    Gone(ExitReason),
}

impl Child {
    /// Makes the actor and waits for its start hook.
    pub(crate) fn start(&mut self, system: &System) -> BoxFuture<'static, Result<Pid, String>> {
        (self.start)(system)
    }

    /// Tells the holders of references that the child is not there.
    pub(crate) fn vacate(&self, vacancy: Vacancy) {
        (self.vacate)(vacancy);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.vacate(Vacancy::Gone(ExitReason::NoProcess));
    }
}

/// Where the references of a child find its present actor.
pub(crate) struct Place<M> {
    state: Lock<Occupant<M>>,
    /// Fires after each change of `state`.
    changed: Event,
}

enum Occupant<M> {
    Awaited,
    Running(ActorRef<M>),
    Gone(ExitReason),
}

impl<M> Place<M> {
    fn set(&self, occupant: Occupant<M>) {
        let mut state = self.state.lock();
        // The first reason stays: dropping the child afterwards says less.
        if matches!((&*state, &occupant), (Occupant::Gone(_), Occupant::Gone(_))) {
            return;
        }
        let old = std::mem::replace(&mut *state, occupant);
        drop(state);
        drop(old);
        self.changed.notify(usize::MAX);
    }
}

/// A reference to a supervised child: always to the actor that fills its place at the moment. Cheap to clone.
///
/// While the child is being restarted, [`ChildRef::send`] and [`ChildRef::ask`] wait for it.
pub struct ChildRef<M> {
    system: System,
    place: Arc<Place<M>>,
}

impl<M: Send + 'static> ChildRef<M> {
    pub(crate) fn new(system: System, place: Arc<Place<M>>) -> ChildRef<M> {
        ChildRef { system, place }
    }

    /// The present actor; `None` while it is being restarted or when it is gone.
    pub fn actor(&self) -> Option<ActorRef<M>> {
        match &*self.place.state.lock() {
            Occupant::Running(actor) => Some(actor.clone()),
            Occupant::Awaited | Occupant::Gone(_) => None,
        }
    }

    /// The present actor's PID, which changes with each restart.
    pub fn pid(&self) -> Option<Pid> {
        self.actor().map(|actor| actor.pid())
    }

    /// Waits for the child to be there.
    ///
    /// # Errors
    /// Why it is gone: it ended and is not restarted, it was removed, or its supervisor ended.
    pub async fn ready(&self) -> Result<ActorRef<M>, ExitReason> {
        self.other_than(None).await
    }

    /// Waits for an actor that is not `ended`.
    async fn other_than(&self, ended: Option<Pid>) -> Result<ActorRef<M>, ExitReason> {
        loop {
            let changed = self.place.changed.listen();
            match &*self.place.state.lock() {
                Occupant::Running(actor) if Some(actor.pid()) != ended => return Ok(actor.clone()),
                Occupant::Gone(reason) => return Err(reason.clone()),
                Occupant::Running(_) | Occupant::Awaited => {}
            }
            changed.await;
        }
    }

    /// As [`ActorRef::send`]; a message that meets the child's end goes to its successor.
    ///
    /// # Errors
    /// As [`ActorRef::send`]; [`SendError::Closed`] only when the child is gone.
    pub async fn send(&self, message: M) -> Result<(), SendError<M>> {
        let (mut message, mut ended) = (message, None);
        loop {
            let actor = match self.other_than(ended).await {
                Ok(actor) => actor,
                Err(reason) => return Err(SendError::Closed { message, reason }),
            };
            match actor.send(message).await {
                Err(SendError::Closed { message: back, .. }) => message = back,
                result => return result,
            }
            ended = Some(actor.pid());
        }
    }

    /// As [`ActorRef::try_send`].
    ///
    /// # Errors
    /// As [`ActorRef::try_send`]; [`TrySendError::Full`] also while the child is being restarted.
    pub fn try_send(&self, message: M) -> Result<(), TrySendError<M>> {
        let gone = match &*self.place.state.lock() {
            Occupant::Running(actor) => Ok(Some(actor.clone())),
            Occupant::Awaited => Ok(None),
            Occupant::Gone(reason) => Err(reason.clone()),
        };
        match gone {
            Ok(Some(actor)) => actor.try_send(message),
            Ok(None) => Err(TrySendError::Full(message)),
            Err(reason) => Err(TrySendError::Closed { message, reason }),
        }
    }

    /// As [`ActorRef::ask`].
    ///
    /// # Errors
    /// As [`ChildRef::ask_within`].
    pub async fn ask<R: Send + 'static>(&self, make: impl FnOnce(ReplyTo<R>) -> M) -> Result<R, AskError> {
        self.ask_within(ASK_DEADLINE, make).await
    }

    /// As [`ActorRef::ask_within`]; the deadline includes the wait for a restart.
    ///
    /// # Errors
    /// [`AskError`]. A question that was taken by an actor that then ended is not asked again.
    pub async fn ask_within<R: Send + 'static>(
        &self,
        deadline: Duration,
        make: impl FnOnce(ReplyTo<R>) -> M,
    ) -> Result<R, AskError> {
        let (reply, answer) = reply::channel(self.system.counters_shared());
        let message = make(reply);
        let round_trip = async {
            self.send(message).await.map_err(AskError::from)?;
            answer.await
        };
        self.system.runtime().timeout(deadline, round_trip).await.unwrap_or(Err(AskError::Timeout))
    }
}

impl<M> Clone for ChildRef<M> {
    fn clone(&self) -> ChildRef<M> {
        ChildRef { system: self.system.clone(), place: self.place.clone() }
    }
}

impl<M> fmt::Debug for ChildRef<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.place.state.lock();
        match &*state {
            Occupant::Awaited => f.write_str("ChildRef(restarting)"),
            Occupant::Running(actor) => write!(f, "ChildRef({})", actor.pid()),
            Occupant::Gone(reason) => write!(f, "ChildRef(gone: {reason})"),
        }
    }
}

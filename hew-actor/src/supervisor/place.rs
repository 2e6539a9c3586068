//! The place of a child, and the reference that survives restarts.

use crate::error::{AskError, SendError, TrySendError};
use crate::lock::Lock;
use crate::reference::{ASK_DEADLINE, ActorRef};
use crate::reply::{self, ReplyTo};
use crate::system::System;
use event_listener::Event;
use hew_wire::{ExitReason, Pid};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Where the references of a child find its present actor.
pub(crate) struct Place<M> {
    state: Lock<State<M>>,
    /// Fires after each change of `state`.
    changed: Event,
}

struct State<M> {
    occupant: Occupant<M>,
    /// The last actor that was there.
    last: Option<Pid>,
}

pub(crate) enum Occupant<M> {
    /// Nobody, and it will be filled again.
    Awaited,
    Running(ActorRef<M>),
    /// Nobody, and it will not.
    Gone(ExitReason),
}

impl<M> Place<M> {
    pub(crate) fn new() -> Place<M> {
        Place { state: Lock::new(State { occupant: Occupant::Awaited, last: None }), changed: Event::new() }
    }

    pub(crate) fn set(&self, occupant: Occupant<M>) {
        let mut state = self.state.lock();
        // The first reason stays: dropping the child afterwards says less.
        if matches!((&state.occupant, &occupant), (Occupant::Gone(_), Occupant::Gone(_))) {
            return;
        }
        if let Occupant::Running(actor) = &occupant {
            state.last = Some(actor.pid());
        }
        let old = std::mem::replace(&mut state.occupant, occupant);
        drop(state);
        drop(old);
        self.changed.notify(usize::MAX);
    }
}

/// A reference to a supervised child: always to the actor that fills its place at the moment. Cheap to clone.
///
/// While the child is being restarted, also while it waits for that because of its back-off or its circuit breaker,
/// [`ChildRef::send`] and [`ChildRef::ask`] wait for it, and [`ChildRef::try_send`] says that it is full.
pub struct ChildRef<M> {
    system: System,
    place: Arc<Place<M>>,
}

impl<M: Send + 'static> ChildRef<M> {
    pub(crate) fn new(system: System, place: Arc<Place<M>>) -> ChildRef<M> {
        ChildRef { system, place }
    }

    pub(crate) fn system(&self) -> &System {
        &self.system
    }

    /// The PID of the last actor that was there.
    pub(crate) fn last(&self) -> Option<Pid> {
        self.place.state.lock().last
    }

    /// The present actor; `None` while it is being restarted or when it is gone.
    pub fn actor(&self) -> Option<ActorRef<M>> {
        match &self.place.state.lock().occupant {
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
            match &self.place.state.lock().occupant {
                Occupant::Running(actor) if Some(actor.pid()) != ended => return Ok(actor.clone()),
                Occupant::Gone(reason) => return Err(reason.clone()),
                Occupant::Running(_) | Occupant::Awaited => {}
            }
            changed.await;
        }
    }

    /// As [`ActorRef::send`]; a message that meets the child's end goes to its successor. Waits as long as it takes.
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
    /// As [`ActorRef::try_send`]; [`TrySendError::Full`] also while there is nobody in the child's place, and
    /// [`TrySendError::Closed`] only when the child is gone.
    pub fn try_send(&self, message: M) -> Result<(), TrySendError<M>> {
        let occupant = match &self.place.state.lock().occupant {
            Occupant::Running(actor) => Ok(Some(actor.clone())),
            Occupant::Awaited => Ok(None),
            Occupant::Gone(reason) => Err(reason.clone()),
        };
        match occupant {
            Ok(Some(actor)) => match actor.try_send(message) {
                // It has ended just now, which its supervisor will see to.
                Err(TrySendError::Closed { message, .. }) => Err(TrySendError::Full(message)),
                result => result,
            },
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
        let (reply, answer) = reply::channel(self.system.counters());
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
        match &state.occupant {
            Occupant::Awaited => f.write_str("ChildRef(restarting)"),
            Occupant::Running(actor) => write!(f, "ChildRef({})", actor.pid()),
            Occupant::Gone(reason) => write!(f, "ChildRef(gone: {reason})"),
        }
    }
}

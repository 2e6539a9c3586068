//! The handle of a running supervisor: what can be asked of it.

use crate::error::AskError;
use crate::reference::{ASK_DEADLINE, ActorRef};
use crate::reply::ReplyTo;
use crate::supervisor::breaker::Circuit;
use crate::supervisor::child::{Child, ChildSpec};
use crate::supervisor::place::{ChildRef, Place};
use hew_wire::Pid;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long [`SupervisorRef::add`], [`SupervisorRef::remove`] and [`SupervisorRef::restart`] wait for a child to start
/// or to end.
pub const CHILD_DEADLINE: Duration = Duration::from_secs(60);

/// What a [`SupervisorRef`] sends.
pub struct SupervisorMessage(pub(crate) Request);

impl SupervisorMessage {
    /// Makes the supervisor look at its events.
    pub(crate) fn look() -> SupervisorMessage {
        SupervisorMessage(Request::Look)
    }
}

impl fmt::Debug for SupervisorMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorMessage").finish_non_exhaustive()
    }
}

/// An `Arc<Place<M>>`, whatever `M` is.
pub(crate) type AnyPlace = Arc<dyn Any + Send + Sync>;

pub(crate) enum Request {
    Look,
    Children(ReplyTo<Vec<ChildInfo>>),
    Count(ReplyTo<usize>),
    Find { name: String, reply: ReplyTo<Option<AnyPlace>> },
    Add { child: Child, reply: ReplyTo<Result<(), AddChildError>> },
    Remove { name: String, reply: ReplyTo<bool> },
    Restart { name: String, reply: ReplyTo<Result<(), RestartChildError>> },
}

/// Where a child is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChildState {
    /// It waits for its turn, its back-off or the cooldown of its circuit to be started.
    Waiting,
    /// Its start hook runs.
    Starting,
    /// It runs.
    Running,
    /// It was asked to stop or was killed, and has not ended; or it was a supervisor, and something below it has not.
    Stopping,
    /// It was killed and has not ended within [`KILL_DEADLINE`](crate::KILL_DEADLINE): it blocks its thread. It keeps
    /// its place until it ends after all.
    Stuck,
    /// It ended and is not restarted.
    Ended,
}

/// One child, as [`SupervisorRef::children`] shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildInfo {
    /// Its name.
    pub name: String,
    /// Its present actor, if it runs.
    pub pid: Option<Pid>,
    /// Restarts in a row.
    pub restarts: u32,
    /// Where it is in its life.
    pub state: ChildState,
    /// The state of its circuit breaker; [`Circuit::Closed`] without one.
    pub circuit: Circuit,
}

/// A child was not added. The supervisor goes on as before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddChildError {
    /// There is a child of that name, perhaps one that is being removed and has not ended.
    #[error("there is a child {0:?} already")]
    NameTaken(String),
    /// There are [`CHILDREN_MAX`](crate::CHILDREN_MAX) children.
    #[error("there are {0} children, which is the limit")]
    TooMany(usize),
    /// It did not start, or was removed before it had; the text says why.
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

/// A child was not restarted by name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestartChildError {
    /// There is no child of that name, or it is being removed. Nothing changed.
    #[error("there is no child {0:?}")]
    NoChild(String),
    /// The old one has ended, and the new one did not start; the text says why. It is a crash of the child, with all
    /// that follows from one.
    #[error("child {name:?} did not start: {error}")]
    NotStarted {
        /// Its name.
        name: String,
        /// Why.
        error: String,
    },
    /// The supervisor did not answer. The child may still be restarted.
    #[error("the supervisor did not answer: {0}")]
    Supervisor(AskError),
}

/// A handle to a running supervisor. Cheap to clone; dropping it changes nothing.
///
/// [`Supervisor::spawn`](crate::Supervisor::spawn) gives one to that supervisor. One made `from` the [`ChildRef`] of a
/// nested supervisor survives its restarts: it is always to the supervisor that fills the place at the moment, and
/// while there is none, questions wait for it within their deadline.
#[derive(Clone, Debug)]
pub struct SupervisorRef {
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    Actor(ActorRef<SupervisorMessage>),
    Nested(ChildRef<SupervisorMessage>),
}

impl From<ChildRef<SupervisorMessage>> for SupervisorRef {
    fn from(child: ChildRef<SupervisorMessage>) -> SupervisorRef {
        SupervisorRef { way: Way::Nested(child) }
    }
}

impl SupervisorRef {
    pub(crate) fn new(actor: ActorRef<SupervisorMessage>) -> SupervisorRef {
        SupervisorRef { way: Way::Actor(actor) }
    }

    /// The supervisor as an actor: to stop, monitor or link it. Of a nested one the present actor; while there is none,
    /// the last one, which has ended, or before its first start an actor that never was.
    pub fn actor(&self) -> ActorRef<SupervisorMessage> {
        match &self.way {
            Way::Actor(actor) => actor.clone(),
            Way::Nested(child) => child.actor().unwrap_or_else(|| {
                let system = child.system();
                // No actor has serial 0.
                let pid = child.last().unwrap_or(Pid::new(system.node(), 0));
                ActorRef::nobody(system, pid)
            }),
        }
    }

    /// The PID of [`SupervisorRef::actor`].
    pub fn pid(&self) -> Pid {
        self.actor().pid()
    }

    /// Its children, in the order of their start, without temporary ones that have ended.
    ///
    /// While the supervisor itself starts, the answer comes when its children have been started for the first time.
    /// From then on it is answered at once, whatever children are being started, stopped or waited for.
    ///
    /// # Errors
    /// [`AskError`]: the supervisor has ended, or did not answer within [`ASK_DEADLINE`].
    pub async fn children(&self) -> Result<Vec<ChildInfo>, AskError> {
        self.ask(ASK_DEADLINE, Request::Children).await
    }

    /// How many children [`SupervisorRef::children`] lists. Answered at once, also while the supervisor itself starts.
    ///
    /// # Errors
    /// As [`SupervisorRef::children`].
    pub async fn count(&self) -> Result<usize, AskError> {
        self.ask(ASK_DEADLINE, Request::Count).await
    }

    /// The child of that name; `None` if there is none, or if its messages are not `M`.
    ///
    /// # Errors
    /// As [`SupervisorRef::count`].
    pub async fn child<M: Send + 'static>(
        &self,
        name: impl Into<String>,
    ) -> Result<Option<ChildRef<M>>, AskError> {
        let name = name.into();
        let place = self.ask(ASK_DEADLINE, |reply| Request::Find { name, reply }).await?;
        let place = place.and_then(|place| place.downcast::<Place<M>>().ok());
        Ok(place.map(|place| ChildRef::new(self.actor().system(), place)))
    }

    /// Adds one more child, after the others, and waits for its start, up to [`CHILD_DEADLINE`].
    ///
    /// With [`Strategy::OneForOne`](crate::Strategy::OneForOne) it is started at once, with the other strategies after
    /// those that are being started at the moment.
    ///
    /// # Errors
    /// [`AddChildError`]; after [`AddChildError::Supervisor`] with a timeout it may still be added.
    pub async fn add<M: Send + 'static>(&self, spec: ChildSpec<M>) -> Result<ChildRef<M>, AddChildError> {
        let (child, place) = spec.split();
        let answer = self.ask(CHILD_DEADLINE, |reply| Request::Add { child, reply }).await;
        answer.map_err(AddChildError::Supervisor)??;
        Ok(ChildRef::new(self.actor().system(), place))
    }

    /// Stops a child and forgets it; `false` if there is none of that name. Waits for its end, up to
    /// [`CHILD_DEADLINE`]; the name is free from then on.
    ///
    /// # Errors
    /// As [`SupervisorRef::count`]; after a timeout the child is removed as soon as it ends.
    pub async fn remove(&self, name: impl Into<String>) -> Result<bool, AskError> {
        let name = name.into();
        self.ask(CHILD_DEADLINE, |reply| Request::Remove { name, reply }).await
    }

    /// Stops a child, if it runs, starts it anew and waits for its start, up to [`CHILD_DEADLINE`].
    ///
    /// Costs no budget and concerns no other child. A child that waits for its back-off or for its circuit is started
    /// without waiting further, one that had ended for good is started again; back-off and circuit breaker start afresh.
    ///
    /// # Errors
    /// [`RestartChildError`].
    pub async fn restart(&self, name: impl Into<String>) -> Result<(), RestartChildError> {
        let name = name.into();
        let answer = self.ask(CHILD_DEADLINE, |reply| Request::Restart { name, reply }).await;
        answer.map_err(RestartChildError::Supervisor)?
    }

    /// Asks the supervisor to stop its children, last started first, and then itself. A nested one is started again
    /// after that, unless its parent's specification says otherwise.
    pub fn stop(&self) {
        self.actor().stop();
    }

    async fn ask<R: Send + 'static>(
        &self,
        deadline: Duration,
        request: impl FnOnce(ReplyTo<R>) -> Request,
    ) -> Result<R, AskError> {
        let make = |reply| SupervisorMessage(request(reply));
        match &self.way {
            Way::Actor(actor) => actor.ask_within(deadline, make).await,
            Way::Nested(child) => child.ask_within(deadline, make).await,
        }
    }
}

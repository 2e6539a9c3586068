//! How to make, restart and stop one child.

use crate::actor::Actor;
use crate::error::AskError;
use crate::options::SpawnOptions;
use crate::reference::{ActorRef, BoxFuture};
use crate::reply;
use crate::supervisor::backoff::Backoff;
use crate::supervisor::breaker::CircuitBreaker;
use crate::supervisor::place::{Occupant, Place};
use crate::supervisor::remains::{Remains, Tenant};
use crate::supervisor::{Restart, Supervisor, SupervisorMessage};
use crate::system::System;
use crate::unwind;
use hew_wire::ExitReason;
use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long a child's start hook may take by default.
pub const START_DEADLINE: Duration = Duration::from_secs(30);
/// How long a child that is not a supervisor may take to stop, by default, before it is killed.
pub const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// How to make, restart and stop one child whose messages are `M`.
pub struct ChildSpec<M> {
    settings: Settings,
    options: SpawnOptions<M>,
    make: Make<M>,
}

/// What does not depend on the child's type.
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) restart: Restart,
    pub(crate) start_deadline: Option<Duration>,
    pub(crate) stop_deadline: Option<Duration>,
    pub(crate) backoff: Backoff,
    pub(crate) breaker: Option<CircuitBreaker>,
}

impl<M: Send + 'static> ChildSpec<M> {
    /// A permanent child. `make` makes the actor value, at each start anew; the name is for humans and for
    /// [`SupervisorRef::remove`](crate::SupervisorRef::remove), and is unique within a supervisor.
    ///
    /// `make` runs in the supervisor and keeps it busy. Its panics count as a failed start.
    pub fn new<A: Actor<Message = M>>(
        name: impl Into<String>,
        mut make: impl FnMut() -> A + Send + 'static,
    ) -> ChildSpec<M> {
        let waits_for_others = TypeId::of::<A>() == TypeId::of::<Supervisor>();
        ChildSpec {
            settings: Settings {
                name: name.into(),
                restart: Restart::Permanent,
                start_deadline: (!waits_for_others).then_some(START_DEADLINE),
                stop_deadline: (!waits_for_others).then_some(STOP_DEADLINE),
                backoff: Backoff::default(),
                breaker: None,
            },
            options: SpawnOptions::default(),
            make: Box::new(move |system, options| {
                let mut actor = unwind::catch(&mut make)?;
                let below = (&mut actor as &mut dyn Any).downcast_mut::<Supervisor>().map(|supervisor| {
                    let (ready, is_ready) = reply::channel(system.counters());
                    (supervisor.place_below(ready), is_ready)
                });
                let (started, has_started) = reply::channel(system.counters());
                let spawned = system.spawn_inner(actor, options, Some(started));
                let actor = spawned.map_err(|error| error.to_string())?;
                Ok(match below {
                    None => Made { actor, remains: None, started: Box::pin(has_started) },
                    // A supervisor has started when its children have.
                    Some((remains, is_ready)) => Made {
                        actor,
                        remains: Some(remains),
                        started: Box::pin(async {
                            has_started.await?;
                            is_ready.await
                        }),
                    },
                })
            }),
        }
    }

    /// When it is started again. Default [`Restart::Permanent`].
    pub fn restart(mut self, restart: Restart) -> ChildSpec<M> {
        self.settings.restart = restart;
        self
    }

    /// How long its start hook may take; it is killed then, and has failed to start. Default [`START_DEADLINE`]; for a
    /// supervisor, as long as its children take.
    pub fn start_deadline(mut self, start_deadline: Duration) -> ChildSpec<M> {
        self.settings.start_deadline = Some(start_deadline);
        self
    }

    /// How long it may take to stop before it is killed. Default [`STOP_DEADLINE`]; for a supervisor, as long as its
    /// children take, which have deadlines of their own. A supervisor that is killed has its children killed, too.
    pub fn stop_deadline(mut self, stop_deadline: Duration) -> ChildSpec<M> {
        self.settings.stop_deadline = Some(stop_deadline);
        self
    }

    /// Waits between its restarts in a row: none before the first, `min` before the second, doubling up to `max`; with
    /// jitter of up to a quarter. A `max` below `min` is raised to it. Default [`BACKOFF_MIN`](crate::BACKOFF_MIN) and
    /// [`BACKOFF_MAX`](crate::BACKOFF_MAX).
    pub fn backoff(mut self, min: Duration, max: Duration) -> ChildSpec<M> {
        self.settings.backoff = Backoff::new(min, max);
        self
    }

    /// Leaves the child alone for a while when it crashes too often, instead of using up the budget of its supervisor.
    /// Default: no breaker.
    ///
    /// A crash that opens the circuit, or keeps it open, is answered with no restart: it costs no budget and concerns
    /// no sibling, whatever the strategy. After the cooldown the child alone is started, once, which costs no budget
    /// either; running for the window closes the circuit. Crashes that the closed circuit lets pass are answered as
    /// without a breaker. That the child cannot be started counts as a crash, except when its supervisor itself starts.
    pub fn circuit_breaker(mut self, breaker: CircuitBreaker) -> ChildSpec<M> {
        self.settings.breaker = Some(breaker);
        self
    }

    /// Mailbox, decoder and the rest. Without a label the child's name becomes its label.
    pub fn options(self, options: SpawnOptions<M>) -> ChildSpec<M> {
        ChildSpec { options, ..self }
    }

    /// The child without its type, and its place with it.
    pub(crate) fn split(self) -> (Child, Arc<Place<M>>) {
        let place = Arc::new(Place::new());
        let (settings, mut options, mut make) = (self.settings, self.options, self.make);
        options.label.get_or_insert_with(|| settings.name.clone());
        let seat = place.clone();
        let launch = move |system: &System| {
            let Made { actor, remains, started } = make(system, options.clone())?;
            let seat = seat.clone();
            Ok(Launch {
                tenant: Tenant { pid: actor.pid(), remains },
                started,
                occupy: Box::new(move || seat.set(Occupant::Running(actor))),
            })
        };
        let seat = place.clone();
        let vacate = move |vacancy: Vacancy| match vacancy {
            Vacancy::Awaited => seat.set(Occupant::Awaited),
            Vacancy::Gone(reason) => seat.set(Occupant::Gone(reason)),
        };
        let child =
            Child { settings, place: place.clone(), launch: Box::new(launch), vacate: Box::new(vacate) };
        (child, place)
    }
}

impl ChildSpec<SupervisorMessage> {
    /// A permanent child that is a supervisor. `init` makes it, at each start anew, with specifications of its children:
    /// the whole subtree starts afresh, after the old one has ended as a whole.
    ///
    /// It has started when its children have, and has no deadlines of its own unless they are set. The reference that
    /// survives its restarts is `SupervisorRef::from` the [`ChildRef`](crate::ChildRef).
    pub fn supervisor(
        name: impl Into<String>,
        init: impl FnMut() -> Supervisor + Send + 'static,
    ) -> ChildSpec<SupervisorMessage> {
        ChildSpec::new(name, init)
    }
}

impl<M> fmt::Debug for ChildSpec<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("name", &self.settings.name)
            .field("restart", &self.settings.restart)
            .finish_non_exhaustive()
    }
}

/// Resolves when a start hook is over, or with the reason why it never will be.
pub(crate) type Started = BoxFuture<'static, Result<(), AskError>>;

/// An actor that was spawned and whose messages are `M`.
struct Made<M> {
    actor: ActorRef<M>,
    remains: Option<Arc<Remains>>,
    started: Started,
}

/// Makes and spawns the actor of a child whose messages are `M`.
type Make<M> = Box<dyn FnMut(&System, SpawnOptions<M>) -> Result<Made<M>, String> + Send>;

/// Makes and spawns the actor of a child, whatever its messages are.
type Launcher = Box<dyn FnMut(&System) -> Result<Launch, String> + Send>;

/// An actor that was spawned for a child.
pub(crate) struct Launch {
    pub(crate) tenant: Tenant,
    pub(crate) started: Started,
    /// Lets the holders of references find it.
    pub(crate) occupy: Box<dyn FnOnce() + Send>,
}

/// A child as its supervisor sees it.
pub(crate) struct Child {
    pub(crate) settings: Settings,
    /// An `Arc<Place<M>>` inside.
    pub(crate) place: Arc<dyn Any + Send + Sync>,
    launch: Launcher,
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
    /// Makes and spawns the actor.
    pub(crate) fn launch(&mut self, system: &System) -> Result<Launch, String> {
        (self.launch)(system)
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

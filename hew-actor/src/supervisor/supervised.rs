//! One child of a supervisor, and where it is in its life.

use crate::error::AskError;
use crate::monitor::MonitorRef;
use crate::reply::ReplyTo;
use crate::supervisor::breaker::{Breaker, Circuit};
use crate::supervisor::child::Child;
use crate::supervisor::handle::{AddChildError, ChildInfo, ChildState, RestartChildError};
use crate::supervisor::remains::Tenant;
use crate::task::Task;
use hew_wire::ExitReason;
use std::time::Instant;

/// Most callers of [`SupervisorRef::children`](crate::SupervisorRef::children),
/// [`SupervisorRef::remove`](crate::SupervisorRef::remove) or
/// [`SupervisorRef::restart`](crate::SupervisorRef::restart) that wait for the same; more hear
/// [`AskError::Full`](crate::AskError::Full).
pub const CALLERS_MAX: usize = 1024;

/// A child and what became of it.
pub(crate) struct Supervised {
    pub(crate) child: Child,
    pub(crate) state: State,
    /// Counts the states: what tasks of an earlier one report is out of date.
    epoch: u64,
    /// Works for the present state; dropped, and so cancelled, with it.
    work: Option<Task<()>>,
    /// Restarts in a row.
    pub(crate) attempts: u32,
    pub(crate) breaker: Option<Breaker>,
    /// Whether it ever ran.
    pub(crate) was_up: bool,
    /// Who hears that it runs for the first time.
    pub(crate) added: Option<ReplyTo<Result<(), AddChildError>>>,
    /// Who hears that it is gone.
    pub(crate) removals: Vec<ReplyTo<bool>>,
    /// Who hears that it runs again.
    pub(crate) restarts: Vec<ReplyTo<Result<(), RestartChildError>>>,
}

pub(crate) enum State {
    /// Not there, and to be started sooner or later.
    Down,
    Starting {
        tenant: Tenant,
        monitor: MonitorRef,
        occupy: Box<dyn FnOnce() + Send>,
        /// Its monitor was faster than the report of its start.
        ended: Option<ExitReason>,
    },
    Running {
        tenant: Tenant,
        monitor: MonitorRef,
        since: Instant,
    },
    Ending {
        tenant: Tenant,
        /// When it is killed, unless it has ended.
        kill_at: Option<Instant>,
        then: Then,
        stuck: bool,
    },
    /// Ended and not to be restarted.
    Gone,
}

/// What happens when a child has ended.
pub(crate) enum Then {
    /// It is started again, if it is of a kind that is.
    Restart,
    /// It is started again, because somebody said so.
    Start,
    /// It is forgotten.
    Remove,
    /// It ended by itself for this reason.
    Fail(ExitReason),
}

impl Supervised {
    pub(crate) fn new(child: Child) -> Supervised {
        let breaker = child.settings.breaker.map(Breaker::new);
        Supervised {
            child,
            state: State::Down,
            epoch: 0,
            work: None,
            attempts: 0,
            breaker,
            was_up: false,
            added: None,
            removals: Vec::new(),
            restarts: Vec::new(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.child.settings.name
    }

    /// The next state; the epoch of what is reported from it.
    pub(crate) fn enter(&mut self, state: State) -> u64 {
        (self.state, self.work) = (state, None);
        self.epoch += 1;
        self.epoch
    }

    /// Gives the present state a task.
    pub(crate) fn work(&mut self, task: Task<()>) {
        self.work = Some(task);
    }

    pub(crate) fn is_present(&self, epoch: u64) -> bool {
        self.epoch == epoch
    }

    /// The actor that has not ended yet, and when it is killed if it is asked to stop `now` or was before.
    pub(crate) fn left(&self, now: Instant) -> Option<(Tenant, Option<Instant>)> {
        match &self.state {
            State::Starting { tenant, .. } | State::Running { tenant, .. } => {
                Some((tenant.clone(), self.kill_at(now)))
            }
            State::Ending { tenant, kill_at, .. } => Some((tenant.clone(), *kill_at)),
            State::Down | State::Gone => None,
        }
    }

    /// When the child is killed if it is asked to stop `now`.
    pub(crate) fn kill_at(&self, now: Instant) -> Option<Instant> {
        self.child.settings.stop_deadline.and_then(|deadline| now.checked_add(deadline))
    }

    pub(crate) fn info(&self, now: Instant) -> ChildInfo {
        let (state, pid) = match &self.state {
            State::Down => (ChildState::Waiting, None),
            State::Starting { .. } => (ChildState::Starting, None),
            State::Running { tenant, .. } => (ChildState::Running, Some(tenant.pid)),
            State::Ending { stuck: false, .. } => (ChildState::Stopping, None),
            State::Ending { stuck: true, .. } => (ChildState::Stuck, None),
            State::Gone => (ChildState::Ended, None),
        };
        let circuit = self.breaker.as_ref().map_or(Circuit::Closed, |breaker| breaker.circuit(now));
        ChildInfo { name: self.name().to_owned(), pid, restarts: self.attempts, state, circuit }
    }

    /// The child runs: tells those who wait for that.
    pub(crate) fn tell_started(&mut self) {
        if let Some(added) = self.added.take() {
            added.send(Ok(()));
        }
        self.restarts.drain(..).for_each(|reply| reply.send(Ok(())));
    }

    /// The child could not be started: tells those who wait for that.
    pub(crate) fn tell_not_started(&mut self, why: &str) {
        let (name, error) = (self.name().to_owned(), why.to_owned());
        if let Some(added) = self.added.take() {
            added.send(Err(AddChildError::NotStarted { name: name.clone(), error: error.clone() }));
        }
        for reply in self.restarts.drain(..) {
            reply.send(Err(RestartChildError::NotStarted { name: name.clone(), error: error.clone() }));
        }
    }
}

/// Lets one more caller wait.
pub(crate) fn queue<T: Send>(callers: &mut Vec<ReplyTo<T>>, caller: ReplyTo<T>) {
    if callers.len() < CALLERS_MAX {
        callers.push(caller);
    } else {
        caller.fail(AskError::Full);
    }
}

//! An actor that keeps a named actor alive in the cluster: when it ends, wherever it was, it is started again here.

use hew_node::{Actor, Context, MonitorRef, Name, Node, Outcome, Pid, RegisterError, Signal, SpawnError};
use std::time::{Duration, Instant};

/// Restarts within [`BUDGET_WINDOW`] after which the supervisor gives up: what ends that often would end again.
const BUDGET: usize = 5;
const BUDGET_WINDOW: Duration = Duration::from_secs(30);
/// Pause before the first restart of a window; each further one doubles it, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Messages of the supervisor.
pub(super) enum Supervise {
    /// The pause before a restart is over.
    Restart,
}

/// What the supervisor tells whoever set it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// The actor ended; it is started again after this pause.
    Down { pid: Pid, reason: String, pause: Duration },
    /// It was started again under its name.
    Restarted { pid: Pid },
    /// Somebody else had started it already.
    Adopted { pid: Pid },
    /// Starting it again failed.
    Failed { why: String },
}

/// Starts the supervised actor and says which it is.
type Start = Box<dyn Fn(&Node) -> Result<Pid, SpawnError> + Send>;

/// See the module's documentation.
pub(super) struct Supervisor {
    node: Node,
    name: Name,
    start: Start,
    notify: Box<dyn Fn(Notice) + Send>,
    watched: (Pid, Option<MonitorRef>),
    budget: Budget,
}

impl Supervisor {
    /// Supervises `pid`, which has the name now.
    pub(super) fn new(
        node: Node,
        name: Name,
        pid: Pid,
        start: impl Fn(&Node) -> Result<Pid, SpawnError> + Send + 'static,
        notify: impl Fn(Notice) + Send + 'static,
    ) -> Supervisor {
        let (start, notify) = (Box::new(start), Box::new(notify));
        Supervisor { node, name, start, notify, watched: (pid, None), budget: Budget::default() }
    }

    fn watch(&mut self, pid: Pid, context: &Context<Supervise>) {
        self.watched = (pid, Some(context.monitor(pid)));
    }

    /// Plans a restart, or gives up when there were too many.
    fn plan(&mut self, context: &Context<Supervise>, notice: impl FnOnce(Duration) -> Notice) -> Outcome {
        let Some(pause) = self.budget.take(context.runtime().now()) else {
            return Outcome::Crash(format!("{BUDGET} restarts of {} within {BUDGET_WINDOW:?}", self.name));
        };
        (self.notify)(notice(pause));
        context.send_after(pause, Supervise::Restart);
        Outcome::Continue
    }

    /// One more actor that does what the ended one did, under its name.
    fn restart(&self) -> Result<Restarted, String> {
        if let Some(holder) = self.node.whereis(self.name.as_str())
            && holder != self.watched.0
        {
            return Ok(Restarted::Elsewhere(holder));
        }
        let pid = (self.start)(&self.node).map_err(|error| error.to_string())?;
        match self.node.register_pid(self.name.as_str(), pid) {
            Ok(()) => Ok(Restarted::Here(pid)),
            Err(error) => {
                self.node.system().kill(pid);
                match error {
                    RegisterError::Taken { holder, .. } if holder != self.watched.0 => {
                        Ok(Restarted::Elsewhere(holder))
                    }
                    // The name of the ended actor has not been taken away everywhere yet: the next attempt finds it free.
                    error => Err(error.to_string()),
                }
            }
        }
    }
}

enum Restarted {
    Here(Pid),
    Elsewhere(Pid),
}

impl Actor for Supervisor {
    type Message = Supervise;

    async fn started(&mut self, context: &mut Context<Supervise>) -> Outcome {
        self.watch(self.watched.0, context);
        Outcome::Continue
    }

    async fn handle(&mut self, message: Supervise, context: &mut Context<Supervise>) -> Outcome {
        let Supervise::Restart = message;
        match self.restart() {
            Ok(Restarted::Here(pid)) => {
                self.watch(pid, context);
                (self.notify)(Notice::Restarted { pid });
                Outcome::Continue
            }
            Ok(Restarted::Elsewhere(pid)) => {
                self.watch(pid, context);
                (self.notify)(Notice::Adopted { pid });
                Outcome::Continue
            }
            Err(why) => self.plan(context, |_| Notice::Failed { why }),
        }
    }

    async fn signal(&mut self, signal: Signal, context: &mut Context<Supervise>) -> Outcome {
        match signal {
            Signal::Down { monitor, pid, reason } if self.watched.1 == Some(monitor) => {
                self.watched.1 = None;
                self.plan(context, |pause| Notice::Down { pid, reason: reason.to_string(), pause })
            }
            Signal::Down { .. } | Signal::Exit { .. } => Outcome::Continue,
        }
    }
}

/// How often and how soon something may be started again.
#[derive(Debug, Default)]
struct Budget {
    /// When the restarts of the current window were planned; at most [`BUDGET`].
    taken: Vec<Instant>,
}

impl Budget {
    /// The pause before the next restart, or `None` when there are none left.
    fn take(&mut self, now: Instant) -> Option<Duration> {
        self.taken.retain(|&at| now < at + BUDGET_WINDOW);
        if self.taken.len() == BUDGET {
            return None;
        }
        let doublings = u32::try_from(self.taken.len()).unwrap_or(u32::MAX);
        self.taken.push(now);
        Some(PAUSE_MIN.saturating_mul(2u32.saturating_pow(doublings)).min(PAUSE_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_until_the_budget_is_spent_and_the_window_gives_it_back() {
        let (mut budget, start) = (Budget::default(), Instant::now());
        let pauses: Vec<_> = (0..BUDGET).map(|_| budget.take(start).unwrap().as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160]);
        assert_eq!(budget.take(start + BUDGET_WINDOW / 2), None);
        assert_eq!(budget.take(start + BUDGET_WINDOW), Some(PAUSE_MIN));
    }
}

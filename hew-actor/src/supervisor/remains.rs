//! What is left of a supervisor that ended before its children, and how children are ended.
//!
//! Whoever fills the place of a supervisor anew waits for its [`Remains`] too, so that the children of the old one and
//! of the new one never overlap.

use crate::lock::Lock;
use crate::system::System;
use event_listener::Event;
use futures_lite::future::or;
use hew_wire::Pid;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait for the end of a child that was killed. One that blocks its thread without awaiting is then reported as
/// stuck, and keeps its place until it ends after all.
pub const KILL_DEADLINE: Duration = Duration::from_secs(5);

/// The actor in a child's place.
#[derive(Clone)]
pub(crate) struct Tenant {
    pub(crate) pid: Pid,
    /// If it is a supervisor.
    pub(crate) remains: Option<Arc<Remains>>,
}

impl Tenant {
    /// Waits until the actor has ended, and if it is a supervisor, all below it.
    pub(crate) async fn over(&self, system: &System) {
        system.ended(self.pid).await;
        if let Some(remains) = &self.remains {
            remains.until(|state| state.over).await;
        }
    }

    /// Whether nothing is left below an actor that has ended.
    pub(crate) fn left_nothing(&self) -> bool {
        self.remains.as_ref().is_none_or(|remains| remains.state.lock().over)
    }

    /// Waits for the end of an actor that was asked to stop; kills it, with all below it, at `kill_at` or as soon as
    /// its supervisor is in a `hurry`. `false`: not even that has ended it within [`KILL_DEADLINE`].
    pub(crate) async fn end(&self, system: &System, kill_at: Option<Instant>, hurry: &Remains) -> bool {
        let runtime = system.runtime();
        let ended = async {
            self.over(system).await;
            true
        };
        let late = async {
            match kill_at {
                Some(kill_at) => runtime.sleep_until(kill_at).await,
                None => pending().await,
            }
        };
        let patience = async {
            or(late, hurry.until(|state| state.hurried)).await;
            false
        };
        // An end at the last moment is in time.
        if or(ended, patience).await {
            return true;
        }
        tracing::warn!(pid = %self.pid, "a child did not end in time: killed");
        if let Some(remains) = &self.remains {
            remains.change(|state| state.hurried = true);
        }
        system.kill(self.pid);
        if runtime.timeout(KILL_DEADLINE, self.over(system)).await.is_ok() {
            return true;
        }
        tracing::error!(pid = %self.pid, "a child that was killed does not end: its place stays taken");
        false
    }
}

/// Whether all children of one supervisor value have ended.
#[derive(Default)]
pub(crate) struct Remains {
    state: Lock<State>,
    /// Fires after each change of `state`.
    changed: Event,
}

#[derive(Default)]
struct State {
    /// The supervisor is gone, and so are its children.
    over: bool,
    /// What is left must be killed.
    hurried: bool,
}

impl Remains {
    /// The supervisor is gone, and left nothing.
    pub(crate) fn nothing(&self) {
        self.change(|state| state.over = true);
    }

    /// The supervisor is gone: sees to it that the children it `left` end, each by its time, and then says so.
    ///
    /// Children hear of the end by their links. One that traps exits does not end by that, so all are asked to stop.
    pub(crate) fn settle(
        self: &Arc<Self>,
        system: &System,
        supervisor: Pid,
        left: Vec<(Tenant, Option<Instant>)>,
    ) {
        let (this, of) = (self.clone(), system.clone());
        let settling = async move {
            // Let the links speak first: they say why.
            of.ended(supervisor).await;
            let mut ends = Vec::new();
            for (tenant, kill_at) in left {
                of.stop(tenant.pid);
                let (system, hurry) = (of.clone(), this.clone());
                ends.push(of.runtime().spawn(async move {
                    if !tenant.end(&system, kill_at, &hurry).await {
                        tenant.over(&system).await;
                    }
                }));
            }
            for end in ends {
                end.fallible().await;
            }
            this.nothing();
        };
        system.runtime().spawn(settling).detach();
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        self.changed.notify(usize::MAX);
    }

    async fn until(&self, condition: impl Fn(&State) -> bool) {
        loop {
            let changed = self.changed.listen();
            if condition(&self.state.lock()) {
                return;
            }
            changed.await;
        }
    }
}

//! A monitor that a program holds, for an actor on any node.

use crate::shared::Shared;
use event_listener::Event;
use hew_actor::MonitorRef;
use hew_wire::{ExitReason, NodeId, Pid};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

#[derive(Default)]
struct State {
    reason: Mutex<Option<ExitReason>>,
    ended: Event,
}

impl State {
    fn reason(&self) -> MutexGuard<'_, Option<ExitReason>> {
        // Only moves happen under this lock.
        self.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, reason: ExitReason) {
        *self.reason() = Some(reason);
        self.ended.notify(usize::MAX);
    }
}

enum Watch {
    Local(MonitorRef),
    Remote(u64),
}

/// Waits for the end of an actor; made by [`Node::monitor`](crate::Node::monitor). Dropping it takes it back.
pub struct Monitor {
    target: Pid,
    state: Arc<State>,
    shared: Weak<Shared>,
    watch: Watch,
}

impl Monitor {
    pub(crate) fn new(shared: &Arc<Shared>, target: Pid) -> Monitor {
        let state = Arc::new(State::default());
        let ending = Arc::clone(&state);
        let watch = if target.node() == shared.id || target.node() == NodeId::LOCAL {
            Watch::Local(shared.system.watch(target, move |_, reason| ending.end(reason)))
        } else {
            let on_down = Box::new(move |_, reason| ending.end(reason));
            Watch::Remote(shared.monitor_remote(None, target, on_down))
        };
        Monitor { target, state, shared: Arc::downgrade(shared), watch }
    }

    /// The actor that is watched.
    pub fn target(&self) -> Pid {
        self.target
    }

    /// Resolves when the actor has ended or cannot be reached any more; again at once when called again. Cancelling
    /// loses nothing.
    pub async fn down(&self) -> ExitReason {
        loop {
            let listener = self.state.ended.listen();
            if let Some(reason) = self.state.reason().clone() {
                return reason;
            }
            listener.await;
        }
    }

    /// Why the actor ended, if it has.
    pub fn reason(&self) -> Option<ExitReason> {
        self.state.reason().clone()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else { return };
        match self.watch {
            Watch::Local(watch) => drop(shared.system.unwatch(watch)),
            Watch::Remote(reference) => drop(shared.demonitor_remote(reference, self.target)),
        }
    }
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor").field("target", &self.target).field("reason", &self.reason()).finish()
    }
}

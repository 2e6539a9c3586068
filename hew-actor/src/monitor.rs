//! Who wants to hear of an actor's end, and whose end an actor wants to hear of.

use crate::lock::Lock;
use hew_wire::{ExitReason, Pid};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One monitor: made by watching an actor, named in the message that tells its end. Never reused in a system.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonitorRef {
    id: u64,
    target: Pid,
}

impl MonitorRef {
    /// The monitor with these parts; for references that crossed a C boundary or a link.
    pub const fn from_parts(id: u64, target: Pid) -> MonitorRef {
        MonitorRef { id, target }
    }

    /// The number, from 1.
    pub const fn id(self) -> u64 {
        self.id
    }

    /// The actor that is watched.
    pub const fn target(self) -> Pid {
        self.target
    }
}

impl fmt::Debug for MonitorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "monitor {} of {}", self.id, self.target)
    }
}

/// Who hears of an end.
pub(crate) enum Watcher {
    /// An actor of the same system, by serial.
    Actor(u64),
    /// A callback.
    Call(Box<dyn FnOnce(Pid, ExitReason) + Send>),
}

/// The relations of one actor to others. Local actors are named by PIDs with node 0, so that starting a node changes
/// nothing here.
///
/// Each relation between local actors is kept on both sides. The side that hears decides: removing the entry there is
/// the one step after which the signal is delivered, or never will be. It is pushed into the system lane under this
/// lock, so that whoever removes the entry first (`demonitor`, `unlink`) can also clear the lane.
#[derive(Default)]
pub(crate) struct Relations {
    state: Lock<State>,
}

#[derive(Default)]
struct State {
    ended: Option<ExitReason>,
    watchers: BTreeMap<u64, Watcher>,
    links: BTreeSet<Pid>,
    monitoring: BTreeMap<u64, Pid>,
}

/// What an ended actor leaves behind.
pub(crate) struct Estate {
    pub(crate) watchers: BTreeMap<u64, Watcher>,
    pub(crate) links: BTreeSet<Pid>,
    pub(crate) monitoring: BTreeMap<u64, Pid>,
}

impl Relations {
    /// Takes everything; from now on additions are refused.
    pub(crate) fn end(&self, reason: ExitReason) -> Estate {
        let mut state = self.state.lock();
        state.ended = Some(reason);
        Estate {
            watchers: std::mem::take(&mut state.watchers),
            links: std::mem::take(&mut state.links),
            monitoring: std::mem::take(&mut state.monitoring),
        }
    }

    pub(crate) fn ended(&self) -> Option<ExitReason> {
        self.state.lock().ended.clone()
    }

    /// Adds a watcher of this actor; gives it back with the reason if the actor has ended.
    pub(crate) fn add_watcher(&self, id: u64, watcher: Watcher) -> Result<(), (Watcher, ExitReason)> {
        let mut state = self.state.lock();
        if let Some(reason) = &state.ended {
            return Err((watcher, reason.clone()));
        }
        state.watchers.insert(id, watcher);
        Ok(())
    }

    /// The watcher that will now hear nothing.
    pub(crate) fn remove_watcher(&self, id: u64) -> Option<Watcher> {
        self.state.lock().watchers.remove(&id)
    }

    /// Notes that this actor monitors `target`; whether it lives.
    pub(crate) fn add_monitoring(&self, id: u64, target: Pid) -> bool {
        let mut state = self.state.lock();
        if state.ended.is_some() {
            return false;
        }
        state.monitoring.insert(id, target);
        true
    }

    /// Ends this actor's side of a monitor and, if it was there, runs `deliver` under the lock.
    pub(crate) fn take_monitoring(&self, id: u64, deliver: impl FnOnce()) -> Option<Pid> {
        let mut state = self.state.lock();
        let target = state.monitoring.remove(&id)?;
        deliver();
        Some(target)
    }

    /// Ends this actor's side of a monitor and runs `clear` under the lock, whether it was there or not.
    pub(crate) fn demonitor(&self, id: u64, clear: impl FnOnce()) -> Option<Pid> {
        let mut state = self.state.lock();
        let target = state.monitoring.remove(&id);
        clear();
        target
    }

    /// Links this actor to `peer`; the reason if it has ended.
    pub(crate) fn add_link(&self, peer: Pid) -> Result<(), ExitReason> {
        let mut state = self.state.lock();
        if let Some(reason) = &state.ended {
            return Err(reason.clone());
        }
        state.links.insert(peer);
        Ok(())
    }

    /// Ends this actor's side of a link and, if it was there, runs `deliver` under the lock.
    pub(crate) fn take_link(&self, peer: Pid, deliver: impl FnOnce()) -> bool {
        let mut state = self.state.lock();
        let found = state.links.remove(&peer);
        if found {
            deliver();
        }
        found
    }

    /// Ends this actor's side of a link and runs `clear` under the lock, whether it was there or not.
    pub(crate) fn unlink(&self, peer: Pid, clear: impl FnOnce()) -> bool {
        let mut state = self.state.lock();
        let found = state.links.remove(&peer);
        clear();
        found
    }
}

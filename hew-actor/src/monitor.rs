//! Who wants to hear of an actor's end, and whose end an actor wants to hear of.

use crate::ending::Ending;
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
enum State {
    /// As most actors are for all their lives.
    #[default]
    Unrelated,
    Related(Box<Estate>),
    Ended(Ending),
}

/// What an actor has, and leaves behind when it ends.
#[derive(Default)]
pub(crate) struct Estate {
    pub(crate) watchers: BTreeMap<u64, Watcher>,
    pub(crate) links: BTreeSet<Pid>,
    pub(crate) monitoring: BTreeMap<u64, Pid>,
}

impl State {
    /// What there is, to add to it; the reason if the actor has ended.
    fn addable(&mut self) -> Result<&mut Estate, ExitReason> {
        if matches!(self, State::Unrelated) {
            *self = State::Related(Box::default());
        }
        match self {
            State::Related(estate) => Ok(estate),
            State::Ended(reason) => Err(reason.reason()),
            State::Unrelated => unreachable!("related above"),
        }
    }

    /// What there is, to take from it.
    fn present(&mut self) -> Option<&mut Estate> {
        match self {
            State::Related(estate) => Some(estate),
            State::Unrelated | State::Ended(_) => None,
        }
    }
}

impl Relations {
    /// Takes everything; from now on additions are refused.
    pub(crate) fn end(&self, reason: &ExitReason) -> Option<Box<Estate>> {
        match std::mem::replace(&mut *self.state.lock(), State::Ended(Ending::from(reason))) {
            State::Related(estate) => Some(estate),
            State::Unrelated | State::Ended(_) => None,
        }
    }

    pub(crate) fn ended(&self) -> Option<ExitReason> {
        match &*self.state.lock() {
            State::Ended(reason) => Some(reason.reason()),
            State::Unrelated | State::Related(_) => None,
        }
    }

    /// Adds a watcher of this actor; gives it back with the reason if the actor has ended.
    pub(crate) fn add_watcher(&self, id: u64, watcher: Watcher) -> Result<(), (Watcher, ExitReason)> {
        match self.state.lock().addable() {
            Ok(estate) => {
                estate.watchers.insert(id, watcher);
                Ok(())
            }
            Err(reason) => Err((watcher, reason)),
        }
    }

    /// The watcher that will now hear nothing.
    pub(crate) fn remove_watcher(&self, id: u64) -> Option<Watcher> {
        self.state.lock().present()?.watchers.remove(&id)
    }

    /// Notes that this actor monitors `target`; whether it lives.
    pub(crate) fn add_monitoring(&self, id: u64, target: Pid) -> bool {
        self.state.lock().addable().map(|estate| estate.monitoring.insert(id, target)).is_ok()
    }

    /// Ends this actor's side of a monitor and, if it was there, runs `deliver` under the lock.
    pub(crate) fn take_monitoring(&self, id: u64, deliver: impl FnOnce()) -> Option<Pid> {
        let mut state = self.state.lock();
        let target = state.present()?.monitoring.remove(&id)?;
        deliver();
        Some(target)
    }

    /// Ends this actor's side of a monitor and runs `clear` under the lock, whether it was there or not.
    pub(crate) fn demonitor(&self, id: u64, clear: impl FnOnce()) -> Option<Pid> {
        let mut state = self.state.lock();
        let target = state.present().and_then(|estate| estate.monitoring.remove(&id));
        clear();
        target
    }

    /// Links this actor to `peer`; the reason if it has ended.
    pub(crate) fn add_link(&self, peer: Pid) -> Result<(), ExitReason> {
        self.state.lock().addable().map(|estate| estate.links.insert(peer)).map(drop)
    }

    /// Ends this actor's side of a link and, if it was there, runs `deliver` under the lock.
    pub(crate) fn take_link(&self, peer: Pid, deliver: impl FnOnce()) -> bool {
        let mut state = self.state.lock();
        let found = state.present().is_some_and(|estate| estate.links.remove(&peer));
        if found {
            deliver();
        }
        found
    }

    /// Ends this actor's side of a link and runs `clear` under the lock, whether it was there or not.
    pub(crate) fn unlink(&self, peer: Pid, clear: impl FnOnce()) -> bool {
        let mut state = self.state.lock();
        let found = state.present().is_some_and(|estate| estate.links.remove(&peer));
        clear();
        found
    }
}

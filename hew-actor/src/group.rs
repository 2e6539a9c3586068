//! Groups: actors of any kind that are waited for, stopped or killed together.

use crate::lock::Lock;
use crate::monitor::MonitorRef;
use crate::pool::watch::{Hearer, ShuttingDown, Watch, Watches, key};
use crate::reference::ActorRef;
use crate::runtime::Elapsed;
use crate::system::System;
use event_listener::Event;
use hew_wire::{ExitReason, Pid};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Most living members of a [`Group`].
pub const GROUP_MEMBERS_MAX: usize = 65_536;
/// Most ends that a [`Group`] keeps. Older ones are forgotten, and counted.
pub const GROUP_ENDS_MAX: usize = 65_536;

/// An actor was not added to a group. The group has not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// It is in the group and lives.
    #[error("the actor is a member already")]
    AlreadyMember,
    /// The group has [`GROUP_MEMBERS_MAX`] members.
    #[error("the group is full")]
    Full,
    /// The actor is of another node, where a PID is not enough to stop it: use [`Group::add_ref`].
    #[error("the actor is of another node")]
    NotLocal,
    /// The reference belongs to another [`System`] of this process.
    #[error("the reference is of another system")]
    OtherSystem,
    /// The system is shutting down, so the ends of actors of other nodes cannot be heard of any more.
    #[error("the actor system is shutting down")]
    ShuttingDown,
}

/// How the members of a [`Group`] have ended so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Who and why, in the order in which they ended; the last [`GROUP_ENDS_MAX`].
    pub kept: Vec<(Pid, ExitReason)>,
    /// Earlier ones that were forgotten.
    pub forgotten: u64,
}

/// Actors that are waited for, stopped or killed together. Cheap to clone.
///
/// A group does not care what its members are, so it does not send to them; a [`Pool`](crate::Pool) does, also to all
/// at once. It keeps how they ended, and does not end them when its last handle is dropped.
///
/// ```
/// # use hew_actor::*;
/// # use std::time::Duration;
/// # struct Job;
/// # impl Actor for Job {
/// #     type Message = ();
/// #     async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome { Outcome::Stop }
/// # }
/// # let simulation = Simulation::new(1);
/// # let system = System::new(simulation.runtime(), SystemConfig::default());
/// let group = Group::new(&system);
/// for _ in 0..3 {
///     group.add(system.spawn(Job).pid())?;
/// }
/// group.stop_all();
/// # let ends = simulation.run(async {
/// let ends = group.wait_within(Duration::from_secs(1)).await?;
/// # Ok::<Ends, Elapsed>(ends) })??;
/// assert!(ends.kept.iter().all(|(_, reason)| reason.is_normal()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Group {
    roster: Arc<Roster>,
}

impl Group {
    /// An empty group.
    pub fn new(system: &System) -> Group {
        Group {
            roster: Arc::new(Roster {
                watches: Watches::new(system),
                state: Lock::new(State::default()),
                emptied: Event::new(),
            }),
        }
    }

    /// Adds an actor of this system, at most [`GROUP_MEMBERS_MAX`] that live. One that has ended, or never was, counts
    /// as ended with [`ExitReason::NoProcess`].
    ///
    /// # Errors
    /// [`GroupError`]; the group has not changed.
    pub fn add(&self, pid: Pid) -> Result<(), GroupError> {
        let key = key(self.roster.system(), pid);
        if !key.node().is_local() {
            return Err(GroupError::NotLocal);
        }
        self.roster.add(key, Hold::Here)
    }

    /// As [`Group::add`], for actors here or on other nodes.
    ///
    /// A member on another node ends with what its monitor says; with members there the group has an actor of its own,
    /// which counts in [`System::len`] and ends with it.
    ///
    /// # Errors
    /// [`GroupError`]; the group has not changed.
    pub fn add_ref<M: Send + 'static>(&self, actor: &ActorRef<M>) -> Result<(), GroupError> {
        // Each system has counters of its own.
        if !Arc::ptr_eq(actor.system().counters(), self.roster.system().counters()) {
            return Err(GroupError::OtherSystem);
        }
        let key = key(self.roster.system(), actor.pid());
        let hold = if key.node().is_local() { Hold::Here } else { Hold::Elsewhere(Arc::new(actor.clone())) };
        self.roster.add(key, hold)
    }

    /// Members that live.
    pub fn len(&self) -> usize {
        self.roster.state.lock().living.len()
    }

    /// Whether no member lives.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until no member lives, also of those added while it waits, and says how they ended since the group was
    /// made. At once if there is none. Any number of tasks may wait; each gets the whole list.
    pub async fn wait(&self) -> Ends {
        loop {
            let emptied = self.roster.emptied.listen();
            {
                let state = self.roster.state.lock();
                if state.living.is_empty() {
                    return state.ends(self.roster.system());
                }
            }
            emptied.await;
        }
    }

    /// As [`Group::wait`], but for no longer than `deadline`.
    ///
    /// # Errors
    /// [`Elapsed`]: members live; [`Group::ends`] has those that do not.
    pub async fn wait_within(&self, deadline: Duration) -> Result<Ends, Elapsed> {
        self.roster.system().runtime().timeout(deadline, self.wait()).await
    }

    /// How members have ended so far.
    pub fn ends(&self) -> Ends {
        self.roster.state.lock().ends(self.roster.system())
    }

    /// Asks every member to stop, as [`ActorRef::stop`] does, and does not wait.
    pub fn stop_all(&self) {
        for (key, hold) in self.roster.holds() {
            match hold {
                Hold::Here => drop(self.roster.system().stop(key)),
                Hold::Elsewhere(actor) => actor.stop(),
            }
        }
    }

    /// Ends every member, as [`ActorRef::kill`] does, and does not wait.
    pub fn kill_all(&self) {
        for (key, hold) in self.roster.holds() {
            match hold {
                Hold::Here => drop(self.roster.system().kill(key)),
                Hold::Elsewhere(actor) => actor.kill(),
            }
        }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("living", &self.len()).finish_non_exhaustive()
    }
}

/// The members of one group and their ends.
struct Roster {
    watches: Watches,
    state: Lock<State>,
    /// Fires when no member lives any more.
    emptied: Event,
}

#[derive(Default)]
struct State {
    living: BTreeMap<Pid, Member>,
    ends: VecDeque<(Pid, ExitReason)>,
    forgotten: u64,
}

struct Member {
    hold: Hold,
    /// `None` until [`Roster::add`] has it.
    watch: Option<Watch>,
}

/// How a member is stopped.
#[derive(Clone)]
enum Hold {
    Here,
    Elsewhere(Arc<dyn Stoppable>),
}

/// An actor reference without its message type.
trait Stoppable: Send + Sync {
    fn stop(&self);
    fn kill(&self);
}

impl<M: Send + 'static> Stoppable for ActorRef<M> {
    fn stop(&self) {
        ActorRef::stop(self);
    }

    fn kill(&self) {
        ActorRef::kill(self);
    }
}

impl Roster {
    fn system(&self) -> &System {
        self.watches.system()
    }

    fn add(self: &Arc<Self>, key: Pid, hold: Hold) -> Result<(), GroupError> {
        {
            let mut state = self.state.lock();
            if state.living.contains_key(&key) {
                return Err(GroupError::AlreadyMember);
            }
            if state.living.len() >= GROUP_MEMBERS_MAX {
                return Err(GroupError::Full);
            }
            state.living.insert(key, Member { hold, watch: None });
        }
        // May tell of the end before it returns, therefore not under the lock.
        let watch = self.watches.watch(key, self);
        let mut state = self.state.lock();
        match watch {
            Ok(watch) => {
                if let Some(member) = state.living.get_mut(&key) {
                    member.watch = Some(watch);
                }
                Ok(())
            }
            Err(ShuttingDown) => {
                let member = state.living.remove(&key);
                let emptied = state.living.is_empty();
                drop(state);
                drop(member);
                if emptied {
                    self.emptied.notify(usize::MAX);
                }
                Err(GroupError::ShuttingDown)
            }
        }
    }

    fn holds(&self) -> Vec<(Pid, Hold)> {
        self.state.lock().living.iter().map(|(key, member)| (*key, member.hold.clone())).collect()
    }
}

impl Hearer for Roster {
    fn ended(&self, key: Pid, monitor: Option<MonitorRef>, reason: ExitReason) {
        let mut state = self.state.lock();
        let heard = |member: &Member| match (monitor, member.watch) {
            (Some(monitor), Some(watch)) => watch == Watch::Elsewhere(monitor),
            (None, _) | (_, None) => true,
        };
        if !state.living.get(&key).is_some_and(heard) {
            return;
        }
        let member = state.living.remove(&key);
        if state.ends.len() == GROUP_ENDS_MAX {
            state.ends.pop_front();
            state.forgotten += 1;
        }
        state.ends.push_back((key, reason));
        let emptied = state.living.is_empty();
        drop(state);
        drop(member);
        if emptied {
            self.emptied.notify(usize::MAX);
        }
    }
}

impl Drop for Roster {
    fn drop(&mut self) {
        let living = std::mem::take(&mut self.state.lock().living);
        for watch in living.values().filter_map(|member| member.watch) {
            self.watches.unwatch(watch);
        }
    }
}

impl State {
    fn ends(&self, system: &System) -> Ends {
        let shown =
            |pid: Pid| if pid.node().is_local() { Pid::new(system.node(), pid.serial()) } else { pid };
        let kept = self.ends.iter().map(|(pid, reason)| (shown(*pid), reason.clone())).collect();
        Ends { kept, forgotten: self.forgotten }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Actor, Context, Outcome, Simulation, SystemConfig};

    struct Nobody;

    impl Actor for Nobody {
        type Message = ();
        async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
            Outcome::Continue
        }
    }

    #[test]
    fn a_group_takes_its_watches_back() {
        let simulation = Simulation::new(1);
        let system = System::new(simulation.runtime(), SystemConfig::default());
        let (group, actor) = (Group::new(&system), system.spawn(Nobody));
        group.add(actor.pid()).unwrap();
        let watches = |group: &Group| -> Vec<Option<Watch>> {
            group.roster.state.lock().living.values().map(|member| member.watch).collect()
        };
        let [Some(Watch::Here(monitor))] = watches(&group)[..] else { panic!("one was added") };
        let second = group.clone();
        drop(group);
        assert_eq!(watches(&second), [Some(Watch::Here(monitor))], "a handle is left");
        drop(second);
        assert!(!system.unwatch(monitor), "taken back with the last handle");
    }

    #[test]
    fn an_end_is_told_to_the_membership_that_it_belongs_to() {
        let simulation = Simulation::new(1);
        let system = System::new(simulation.runtime(), SystemConfig::default());
        let (group, actor) = (Group::new(&system), system.spawn(Nobody));
        group.add(actor.pid()).unwrap();
        let key = key(&system, actor.pid());
        group.roster.ended(key, Some(MonitorRef::from_parts(999, key)), ExitReason::Killed);
        assert_eq!((group.len(), group.ends().kept.len()), (1, 0), "a monitor of an earlier membership");
        group.roster.ended(key, None, ExitReason::Killed);
        group.roster.ended(key, None, ExitReason::Killed);
        assert_eq!((group.len(), group.ends().kept.len()), (0, 1));
    }
}

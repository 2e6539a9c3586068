//! Monitors, links and exit signals, within the system and to other nodes.

use crate::monitor::{Estate, MonitorRef, Watcher};
use crate::system::Shared;
use crate::unwind;
use hew_wire::{ExitReason, Pid};

/// The other nodes, as far as monitors and links need them; the node implements it.
///
/// Calls come from any thread, also from inside handlers and while an actor ends; they must not wait. Calling back
/// into the [`System`](crate::System) is allowed.
pub trait Outside: Send + Sync {
    /// A local actor monitors one elsewhere. Must lead to exactly one
    /// [`System::notify_down`](crate::System::notify_down) with this monitor, unless demonitored before.
    fn monitor(&self, monitor: MonitorRef, watcher: Pid, target: Pid);
    /// The monitor is not wanted any more, or its watcher has ended.
    fn demonitor(&self, monitor: MonitorRef, watcher: Pid, target: Pid);
    /// A local actor links itself to one elsewhere. Its end, or its absence, must lead to
    /// [`System::link_ended`](crate::System::link_ended).
    fn link(&self, local: Pid, remote: Pid);
    /// A local actor unlinked itself.
    fn unlink(&self, local: Pid, remote: Pid);
    /// `from`, a local actor, has ended, and `target` elsewhere was linked to it. The link is gone.
    fn exit(&self, target: Pid, from: Pid, reason: ExitReason);
}

impl Shared {
    pub(crate) fn watch(&self, pid: Pid, f: Box<dyn FnOnce(Pid, ExitReason) + Send>) -> MonitorRef {
        let monitor = MonitorRef::from_parts(self.take_reference(), pid);
        let refused = match self.find(pid) {
            Some(cell) => cell.relations().add_watcher(monitor.id(), Watcher::Call(f)).err(),
            None => Some((Watcher::Call(f), ExitReason::NoProcess)),
        };
        if let Some((Watcher::Call(f), reason)) = refused {
            unwind::contained(|| f(self.shown(pid), reason));
        }
        monitor
    }

    pub(crate) fn unwatch(&self, monitor: MonitorRef) -> bool {
        let watcher =
            self.find(monitor.target()).and_then(|cell| cell.relations().remove_watcher(monitor.id()));
        match watcher {
            Some(Watcher::Call(f)) => {
                unwind::contained(|| drop(f));
                true
            }
            Some(Watcher::Actor(_)) | None => false,
        }
    }

    pub(crate) fn monitor(&self, watcher: Pid, target: Pid) -> MonitorRef {
        let monitor = MonitorRef::from_parts(self.take_reference(), target);
        let Some(watching) = self.find(watcher) else { return monitor };
        // First the watcher's side: it is what makes the signal arrive once.
        if !watching.relations().add_monitoring(monitor.id(), self.inner(target)) {
            return monitor;
        }
        if !self.is_local(target) {
            match self.outside() {
                Some(outside) => outside.monitor(monitor, self.shown(watcher), target),
                None => drop(watching.down(monitor, target, ExitReason::NodeDown)),
            }
            return monitor;
        }
        let refused = match self.find(target) {
            Some(cell) => {
                let watcher = Watcher::Actor(watching.serial());
                let refused = cell.relations().add_watcher(monitor.id(), watcher).err();
                // A watcher that ended before this line may have looked for its entry before it was there.
                if watching.relations().ended().is_some() {
                    cell.relations().remove_watcher(monitor.id());
                }
                refused.map(|(_, reason)| reason)
            }
            None => Some(ExitReason::NoProcess),
        };
        if let Some(reason) = refused {
            watching.down(monitor, self.shown(target), reason);
        }
        monitor
    }

    pub(crate) fn demonitor(&self, watcher: Pid, monitor: MonitorRef) -> bool {
        let Some(watching) = self.find(watcher) else { return false };
        let Some(target) = watching.demonitor(monitor.id()) else { return false };
        self.stop_watching(monitor.id(), watching.serial(), target);
        true
    }

    pub(crate) fn link(&self, a: Pid, b: Pid) {
        let (a, b) = (self.inner(a), self.inner(b));
        if a == b {
            return;
        }
        match (self.is_local(a), self.is_local(b)) {
            (true, true) => self.link_local(a, b),
            (true, false) => self.link_outside(a, b),
            (false, true) => self.link_outside(b, a),
            (false, false) => {}
        }
    }

    fn link_local(&self, a: Pid, b: Pid) {
        let add = |one: Pid, other: Pid| match self.find(one) {
            Some(cell) => cell.relations().add_link(other).map(|()| cell),
            None => Err(ExitReason::NoProcess),
        };
        // A side that is dead or dies meanwhile does not find the other in its own relations, so the other is told
        // here. Whoever takes the entry out, this or the end of the actor, delivers the signal.
        match add(a, b) {
            Err(reason) => {
                if let Some(cell) = self.find(b) {
                    cell.exit(self.shown(a), reason);
                }
            }
            Ok(first) => match add(b, a) {
                Err(reason) => {
                    first.link_ended(b, self.shown(b), reason);
                }
                Ok(second) => {
                    if let Some(reason) = first.relations().ended() {
                        second.link_ended(a, self.shown(a), reason);
                    }
                }
            },
        }
    }

    fn link_outside(&self, local: Pid, remote: Pid) {
        let Some(cell) = self.find(local) else { return };
        if cell.relations().add_link(remote).is_err() {
            return;
        }
        match self.outside() {
            Some(outside) => outside.link(self.shown(local), remote),
            None => drop(cell.link_ended(remote, remote, ExitReason::NodeDown)),
        }
    }

    pub(crate) fn unlink(&self, a: Pid, b: Pid) {
        let (a, b) = (self.inner(a), self.inner(b));
        for (one, other) in [(a, b), (b, a)] {
            if let Some(cell) = self.find(one) {
                let was_linked = cell.unlink(other);
                if was_linked
                    && !self.is_local(other)
                    && let Some(outside) = self.outside()
                {
                    outside.unlink(self.shown(one), other);
                }
            }
        }
    }

    /// Tells everyone who had a relation with an actor that it has ended.
    pub(crate) fn settle(&self, serial: u64, estate: Estate, reason: &ExitReason) {
        let own = Pid::new(hew_wire::NodeId::LOCAL, serial);
        let shown = self.shown(own);
        for (id, watcher) in estate.watchers {
            match watcher {
                Watcher::Actor(watcher) => {
                    if let Some(cell) = self.cell(watcher) {
                        cell.down(MonitorRef::from_parts(id, shown), shown, reason.clone());
                    }
                }
                Watcher::Call(f) => unwind::contained(|| f(shown, reason.clone())),
            }
        }
        for peer in estate.links {
            if let Some(cell) = self.find(peer) {
                cell.link_ended(own, shown, reason.clone());
            } else if let Some(outside) = self.outside()
                && !self.is_local(peer)
            {
                outside.exit(peer, shown, reason.clone());
            }
        }
        for (id, target) in estate.monitoring {
            self.stop_watching(id, serial, target);
        }
    }

    /// Ends the target's side of a monitor.
    fn stop_watching(&self, id: u64, watcher: u64, target: Pid) {
        if let Some(cell) = self.find(target) {
            cell.relations().remove_watcher(id);
        } else if let Some(outside) = self.outside()
            && !self.is_local(target)
        {
            let watcher = self.shown(Pid::new(hew_wire::NodeId::LOCAL, watcher));
            outside.demonitor(MonitorRef::from_parts(id, target), watcher, target);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::*;
    use hew_wire::ExitReason;
    use std::sync::{Arc, Mutex};

    /// Notes the signals it gets.
    struct Ear(Arc<Mutex<Vec<Signal>>>);

    impl Actor for Ear {
        type Message = ();
        async fn started(&mut self, context: &mut Context<()>) -> Outcome {
            context.trap_exit(true);
            Outcome::Continue
        }
        async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
            Outcome::Continue
        }
        async fn signal(&mut self, signal: Signal, _: &mut Context<()>) -> Outcome {
            self.0.lock().unwrap().push(signal);
            Outcome::Continue
        }
    }

    #[test]
    fn an_actor_at_the_moment_of_its_end_refuses_and_the_signal_comes_at_once() {
        let simulation = Simulation::new(1);
        let system = System::new(simulation.runtime(), SystemConfig::default());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (ear, ending) = (system.spawn(Ear(heard.clone())), system.spawn(Ear(Arc::default())));
        // Its relations are closed though it was found in the table: the moment that a race would have to hit.
        let cell = system.shared().find(ending.pid()).unwrap();
        cell.relations().end(&ExitReason::Killed);
        let (pid, reason) = (ending.pid(), ExitReason::Killed);
        let monitor = system.monitor(ear.pid(), pid);
        system.link(ear.pid(), pid);
        system.link(pid, ear.pid());
        simulation.run_for(std::time::Duration::from_secs(1)).unwrap();
        let exit = || Signal::Exit { from: pid, reason: reason.clone() };
        let down = Signal::Down { monitor, pid, reason: reason.clone() };
        assert_eq!(*heard.lock().unwrap(), [down, exit(), exit()]);
        let told = Arc::new(Mutex::new(None));
        let telling = told.clone();
        system.watch(pid, move |_, reason| *telling.lock().unwrap() = Some(reason));
        assert_eq!(*told.lock().unwrap(), Some(ExitReason::Killed));
    }
}

//! Links and monitors between actors.

use crate::actor::find;
use crate::actor_entry::ActorEntry;
use crate::error::{Failure, HEW_ERR_ACTOR_STOPPED, value, void};
use crate::process::{Process, running_process};
use crate::types::HewActor;
use hew_wire::Pid;
use std::sync::Arc;

fn live(actor: *const HewActor) -> Result<(Arc<ActorEntry>, Arc<Process>, Pid), Failure> {
    let entry = find(actor)?;
    let ended = || Failure::new(HEW_ERR_ACTOR_STOPPED, "the process that the actor belongs to was shut down");
    let process = entry.process().ok_or_else(ended)?;
    let pid = entry.actor()?.pid();
    Ok((entry, process, pid))
}

/// Links two actors: when one ends abnormally the other crashes too, unless it traps exits; then it gets
/// `HEW_MSG_EXIT`. An actor that has ended already counts as ending now, with reason -16.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_link(a: *mut HewActor, b: *mut HewActor) {
    void("hew_actor_link", || {
        let ((_, process, a), (_, _, b)) = (live(a)?, live(b)?);
        process.system.link(a, b);
        Ok(())
    });
}

/// Removes a link; after this returns, no exit signal of it arrives.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_unlink(a: *mut HewActor, b: *mut HewActor) {
    void("hew_actor_unlink", || {
        let ((_, process, a), (_, _, b)) = (live(a)?, live(b)?);
        process.system.unlink(a, b);
        Ok(())
    });
}

/// Links an actor of this process with one anywhere, by PID.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_link_pid(actor: *mut HewActor, pid: u64) {
    void("hew_actor_link_pid", || {
        let (_, process, own) = live(actor)?;
        process.system.link(own, Pid::from_raw(pid));
        Ok(())
    });
}

/// Removes a link of `hew_actor_link_pid`.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_unlink_pid(actor: *mut HewActor, pid: u64) {
    void("hew_actor_unlink_pid", || {
        let (_, process, own) = live(actor)?;
        process.system.unlink(own, Pid::from_raw(pid));
        Ok(())
    });
}

/// Makes `watcher` hear of the end of `target`: exactly one `HEW_MSG_DOWN`, at once if it has ended. Answers the
/// reference that the message carries; 0 on failure.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_monitor(watcher: *mut HewActor, target: *mut HewActor) -> u64 {
    value("hew_actor_monitor", 0, || {
        let target = find(target)?.actor()?.pid();
        monitor(watcher, target)
    })
}

/// As `hew_actor_monitor` for an actor anywhere, by PID. The end of its node is its end, with reason -17.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_monitor_pid(watcher: *mut HewActor, target: u64) -> u64 {
    value("hew_actor_monitor_pid", 0, || monitor(watcher, Pid::from_raw(target)))
}

fn monitor(watcher: *mut HewActor, target: Pid) -> Result<u64, Failure> {
    let (entry, process, own) = live(watcher)?;
    if entry.end().is_some() {
        return Err(Failure::new(HEW_ERR_ACTOR_STOPPED, "the watcher has ended"));
    }
    // Held while the monitor is made: its signal, which takes the entry out, must find it.
    let mut monitors = process.monitors();
    let monitor = process.system.monitor(own, target);
    monitors.insert(monitor.id(), (own, monitor));
    entry.add_monitor(monitor.id());
    drop(monitors);
    if entry.end().is_some() {
        // It ended meanwhile, and may have looked for its monitors before this one was there.
        process.monitors().remove(&monitor.id());
    }
    Ok(monitor.id())
}

/// Removes a monitor; after this returns, no message of it arrives. Unknown or fired references: no effect.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_demonitor(reference: u64) {
    void("hew_actor_demonitor", || {
        let Some(process) = running_process() else { return Ok(()) };
        let Some((watcher, monitor)) = process.monitors().remove(&reference) else { return Ok(()) };
        process.system.demonitor(watcher, monitor);
        Ok(())
    });
}

/// Whether exit signals arrive as `HEW_MSG_EXIT` (not 0) instead of crashing the actor (0, as at first).
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_trap_exit(actor: *mut HewActor, on: i32) {
    void("hew_actor_trap_exit", || {
        find(actor)?.set_trap_exit(on != 0);
        Ok(())
    });
}

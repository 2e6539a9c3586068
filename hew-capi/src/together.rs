//! Several actors waited for, or stopped, together: scopes and groups.

use crate::actor::{await_end, find_any};
use crate::actor_entry::ActorEntry;
use crate::error::{Failure, HEW_ERR_OOM, HEW_ERR_TIMEOUT, status, value, void};
use crate::handle::{Kind, Table, pointer};
use crate::reply::deadline;
use crate::running;
use crate::types::{HewActorGroup, HewScope};
use crate::workers::blocking;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, PoisonError};

/// Most actors of one scope or group.
const MEMBERS_MAX: usize = 1 << 20;

static SCOPES: Table<Members> = Table::new(Kind::Scope, "scope");
static GROUPS: Table<Members> = Table::new(Kind::Group, "group");

#[derive(Default)]
struct Members {
    actors: Mutex<Vec<Arc<ActorEntry>>>,
}

impl Members {
    fn add(&self, actor: *const c_void) -> Result<(), Failure> {
        let entry = find_any(actor)?;
        let mut actors = self.actors.lock().unwrap_or_else(PoisonError::into_inner);
        if actors.len() == MEMBERS_MAX {
            actors.retain(|actor| actor.end().is_none());
        }
        if actors.len() == MEMBERS_MAX {
            return Err(Failure::new(
                HEW_ERR_OOM,
                format!("{MEMBERS_MAX} actors live in it, which is the limit"),
            ));
        }
        actors.push(entry);
        Ok(())
    }

    /// Those in it now; who is added meanwhile is looked at in the next round.
    fn living(&self) -> Vec<Arc<ActorEntry>> {
        let mut actors = self.actors.lock().unwrap_or_else(PoisonError::into_inner);
        actors.retain(|actor| actor.end().is_none());
        actors.clone()
    }

    fn wait_all(&self) -> Result<(), Failure> {
        loop {
            let living = self.living();
            if living.is_empty() {
                return Ok(());
            }
            living.iter().try_for_each(|actor| await_end(actor))?;
        }
    }

    fn wait_until(&self, ms: i32) -> Result<(), Failure> {
        let deadline = deadline(ms);
        let living = self.living();
        if living.iter().any(|actor| running::pid().is_some() && running::pid() == actor.pid()) {
            return Err(Failure::invalid("an actor that waits for its own end would wait for ever"));
        }
        blocking(|| living.iter().try_for_each(|actor| actor.wait_for_end(deadline).map(drop)))?
            .ok_or_else(|| Failure::new(HEW_ERR_TIMEOUT, format!("they have not all ended within {ms} ms")))
    }
}

/// An empty scope, freed by `hew_scope_free`.
#[unsafe(no_mangle)]
pub extern "C" fn hew_scope_create() -> *mut HewScope {
    value("hew_scope_create", null_mut(), || SCOPES.insert(Arc::default()).map(pointer))
}

/// Puts an actor into a scope: 0 or a negative code.
#[unsafe(no_mangle)]
pub extern "C" fn hew_scope_spawn(scope: *mut HewScope, actor: *mut c_void) -> i32 {
    status("hew_scope_spawn", || SCOPES.find(scope.addr())?.add(actor))
}

/// Waits until all actors of a scope have ended, also those that are put in meanwhile. Not for one of them.
#[unsafe(no_mangle)]
pub extern "C" fn hew_scope_wait_all(scope: *mut HewScope) {
    void("hew_scope_wait_all", || SCOPES.find(scope.addr())?.wait_all());
}

/// Frees a scope; its actors live on.
#[unsafe(no_mangle)]
pub extern "C" fn hew_scope_free(scope: *mut HewScope) {
    if !scope.is_null() {
        void("hew_scope_free", || SCOPES.remove(scope.addr()).map(drop));
    }
}

/// An empty group, freed by `hew_actor_group_destroy`.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_group_new() -> *mut HewActorGroup {
    value("hew_actor_group_new", null_mut(), || GROUPS.insert(Arc::default()).map(pointer))
}

/// Puts an actor into a group: 0 or a negative code.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_group_add(group: *mut HewActorGroup, actor: *mut c_void) -> i32 {
    status("hew_actor_group_add", || GROUPS.find(group.addr())?.add(actor))
}

/// Waits until all actors of a group have ended. Not for one of them.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_group_wait_all(group: *mut HewActorGroup) {
    void("hew_actor_group_wait_all", || GROUPS.find(group.addr())?.wait_all());
}

/// As `hew_actor_group_wait_all`, for at most `ms` milliseconds (negative: for ever): 0, `HEW_ERR_TIMEOUT`, or another
/// negative code.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_group_wait_timeout(group: *mut HewActorGroup, ms: i32) -> i32 {
    status("hew_actor_group_wait_timeout", || GROUPS.find(group.addr())?.wait_until(ms))
}

/// Stops all actors of a group, as `hew_actor_stop` does. Does not wait.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_group_stop_all(group: *mut HewActorGroup) {
    void("hew_actor_group_stop_all", || {
        for actor in GROUPS.find(group.addr())?.living() {
            actor.actor()?.stop();
        }
        Ok(())
    });
}

/// Frees a group; its actors live on.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_group_destroy(group: *mut HewActorGroup) {
    if !group.is_null() {
        void("hew_actor_group_destroy", || GROUPS.remove(group.addr()).map(drop));
    }
}

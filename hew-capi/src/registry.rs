//! Names of actors within this process. Names that other nodes see are `hew_node_register`.

use crate::actor::find_any;
use crate::boundary::text;
use crate::error::{Failure, HEW_ERR_INVALID, status, value, void};
use hew_wire::Name;
use std::collections::BTreeMap;
use std::ffi::{c_char, c_void};
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most names of one process.
const NAMES_MAX: usize = 1 << 20;

/// Name → handle of its actor.
static NAMES: Mutex<BTreeMap<Name, usize>> = Mutex::new(BTreeMap::new());

fn names() -> MutexGuard<'static, BTreeMap<Name, usize>> {
    // Only map operations happen under this lock.
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes all names away.
pub(crate) fn clear() {
    names().clear();
}

/// Whether the handle is of an actor that lives.
fn lives(handle: usize) -> bool {
    find_any(std::ptr::without_provenance(handle)).is_ok_and(|entry| entry.end().is_none())
}

/// # Safety
/// `name` is NULL or a text that ends with NUL.
unsafe fn name_of(name: *const c_char) -> Result<Name, Failure> {
    // SAFETY: the condition of this function.
    Name::new(unsafe { text("name", name) }?).map_err(|error| Failure::invalid(error.to_string()))
}

/// Gives an actor of this process a name. -1 if a living actor has it, another negative code for a bad name or actor.
/// The name goes when the actor ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_registry_register(name: *const c_char, actor: *mut c_void) -> i32 {
    status("hew_registry_register", || {
        // SAFETY: hew.h, Conventions: `name` is NULL or ends with NUL.
        let name = unsafe { name_of(name) }?;
        let entry = find_any(actor)?;
        if entry.end().is_some() {
            return Err(Failure::new(crate::error::HEW_ERR_ACTOR_STOPPED, "the actor has ended"));
        }
        let mut names = names();
        if let Some(holder) = names.get(&name)
            && lives(*holder)
        {
            return Err(Failure::new(-1, format!("name {name} is taken")));
        }
        if names.len() == NAMES_MAX {
            names.retain(|_, handle| lives(*handle));
        }
        if names.len() == NAMES_MAX {
            return Err(Failure::new(
                crate::error::HEW_ERR_OOM,
                format!("there are {NAMES_MAX} names, the limit"),
            ));
        }
        names.insert(name, actor.addr());
        Ok(())
    })
}

/// The actor that has the name; NULL if nobody has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_registry_lookup(name: *const c_char) -> *mut c_void {
    value("hew_registry_lookup", null_mut(), || {
        // SAFETY: hew.h, Conventions: `name` is NULL or ends with NUL.
        let name = unsafe { name_of(name) }?;
        let holder = names().get(&name).copied().filter(|handle| lives(*handle));
        let nobody = || Failure::new(HEW_ERR_INVALID, format!("nobody is registered as {name}"));
        holder.map(crate::handle::pointer).ok_or_else(nobody)
    })
}

/// Takes a name away. A negative code if nobody has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_registry_unregister(name: *const c_char) -> i32 {
    status("hew_registry_unregister", || {
        // SAFETY: hew.h, Conventions: `name` is NULL or ends with NUL.
        let name = unsafe { name_of(name) }?;
        match names().remove(&name) {
            Some(handle) if lives(handle) => Ok(()),
            _ => Err(Failure::invalid(format!("nobody is registered as {name}"))),
        }
    })
}

/// How many living actors' names there are.
#[unsafe(no_mangle)]
pub extern "C" fn hew_registry_count() -> i32 {
    value("hew_registry_count", 0, || {
        let mut names = names();
        names.retain(|_, handle| lives(*handle));
        // At most NAMES_MAX.
        Ok(names.len() as i32)
    })
}

/// Takes all names away.
#[unsafe(no_mangle)]
pub extern "C" fn hew_registry_clear() {
    void("hew_registry_clear", || {
        clear();
        Ok(())
    });
}

//! The current node, as `Node::…` of the language uses it: one for each process, made and started in one step.

use crate::boundary::{text, text_to_malloc};
use crate::error::{Failure, HEW_ERR_INVALID, HEW_ERR_OOM, status, value};
use crate::node::{NodeEntry, connect, lookup, split};
use crate::options::Settings;
use crate::process::process;
use crate::security::{allow, load};
use hew_security::{Allowlist, Entry, PublicKey};
use hew_wire::{NodeId, Pid};
use std::ffi::{c_char, c_int};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Names the id of the current node, for programs that are started with one.
const ID_VARIABLE: &str = "HEW_NODE_ID";

/// What was set before the start, and the node after it.
#[derive(Default)]
struct Current {
    key_file: Option<String>,
    /// Strict once a peer was allowed.
    allowlist: Option<Allowlist>,
    node: Option<Arc<NodeEntry>>,
}

static CURRENT: Mutex<Current> = Mutex::new(Current { key_file: None, allowlist: None, node: None });

fn current() -> MutexGuard<'static, Current> {
    // Its fields are set in single steps.
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stops the current node, if it was started here.
pub(crate) fn stop() {
    let node = current().node.take();
    if let Some(node) = node {
        // Only a callback cannot stop its node, and the caller of this is none.
        let _ = node.stop();
    }
}

/// The id in the address, in the environment, or a free choice.
fn choose_id(address: &str) -> Result<(u16, &str), Failure> {
    let (id, address) = split(address)?;
    if let Some(id) = id {
        return Ok((id.raw(), address));
    }
    if let Ok(text) = std::env::var(ID_VARIABLE) {
        let id: Option<u16> = text.parse().ok().filter(|id| *id > 0);
        let id = id.ok_or_else(|| Failure::invalid(format!("{ID_VARIABLE} is {text:?}, not 1 to 65535")))?;
        return Ok((id, address));
    }
    let random =
        getrandom::u64().map_err(|error| Failure::new(HEW_ERR_OOM, format!("no randomness: {error}")))?;
    // Less than 65,535, so that the id fits and is never 0.
    Ok(((random % 65_535) as u16 + 1, address))
}

/// Starts the current node at "id@host:port" or "host:port". Without an id it is `HEW_NODE_ID` of the environment, else
/// drawn at random; two nodes with one id refuse each other. Fails if a node runs in this process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_api_start(address: *const c_char) -> c_int {
    status("hew_node_api_start", || {
        // SAFETY: hew.h, Conventions: `address` is NULL or ends with NUL.
        let (id, bind) = choose_id(unsafe { text("address", address) }?)?;
        let mut current = current();
        if let Ok(node) = process()?.current_node() {
            return Err(Failure::invalid(format!("node {} runs in this process", node.id())));
        }
        let settings = Settings {
            bind: Some(bind.to_owned()),
            key_file: current.key_file.clone(),
            allowlist: current.allowlist.clone(),
            ..Settings::default()
        };
        let node = Arc::new(NodeEntry::new(id, settings));
        node.start()?;
        current.node = Some(node);
        Ok(())
    })
}

/// Stops the current node; without one: no effect.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_api_shutdown() -> c_int {
    status("hew_node_api_shutdown", || {
        let node = current().node.take();
        node.map_or(Ok(()), |node| node.stop())
    })
}

/// Connects the current node; see `hew_node_connect`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_api_connect(address: *const c_char) -> c_int {
    status("hew_node_api_connect", || {
        // SAFETY: hew.h, Conventions: `address` is NULL or ends with NUL.
        let address = unsafe { text("address", address) }?;
        connect(&*process()?.current_node()?, address)
    })
}

/// Sets the key file of the current node, before it starts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_api_load_keys(path: *const c_char) -> c_int {
    status("hew_node_api_load_keys", || {
        // SAFETY: hew.h, Conventions: `path` is NULL or ends with NUL.
        let path = unsafe { text("path", path) }?;
        load(path)?;
        let mut current = current();
        if current.node.is_some() {
            return Err(Failure::invalid("the current node runs already, with another key"));
        }
        current.key_file = Some(path.to_owned());
        Ok(())
    })
}

/// Lets node `id` in with this key of 64 hexadecimal digits, and nobody else who was not allowed in the same way. The
/// first call comes before the start; later ones at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_api_allow_peer(id: u16, key_hex: *const c_char) -> c_int {
    status("hew_node_api_allow_peer", || {
        let id = NodeId::new(id).map_err(|error| Failure::invalid(error.to_string()))?;
        // SAFETY: hew.h, Conventions: `key_hex` is NULL or ends with NUL.
        let text = unsafe { text("key_hex", key_hex) }?;
        let key: PublicKey = text.parse().map_err(|error| Failure::invalid(format!("key_hex: {error}")))?;
        if key.is_zero() {
            return Err(Failure::invalid("key_hex is all zeros, which is no key"));
        }
        let mut current = current();
        if current.node.is_some() && current.allowlist.is_none() {
            return Err(Failure::invalid(
                "the current node was started without an allowlist: allow the first peer before",
            ));
        }
        let list = current.allowlist.get_or_insert_with(|| Allowlist::strict([]));
        allow(list, Entry::new(key, Some(id)))
    })
}

/// The public key of the current node, or of the key file that was loaded: 64 hexadecimal digits from `malloc`. NULL
/// without either.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_api_identity_key() -> *mut c_char {
    value("hew_node_api_identity_key", null_mut(), || {
        let (node, key_file) = {
            let current = current();
            (current.node.clone(), current.key_file.clone())
        };
        let key = match (node, key_file) {
            (Some(node), _) => node.public_key()?,
            (None, Some(path)) => load(&path)?.public(),
            (None, None) => {
                return Err(Failure::new(HEW_ERR_INVALID, "no node was started and no key file loaded"));
            }
        };
        text_to_malloc(&key.to_hex())
    })
}

/// Gives an actor of the current node a name; see `hew_node_register`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_api_register_by_pid(name: *const c_char, pid: u64) -> c_int {
    status("hew_node_api_register_by_pid", || {
        // SAFETY: hew.h, Conventions: `name` is NULL or ends with NUL.
        let name = unsafe { text("name", name) }?;
        process()?.current_node()?.register(name, Pid::from_raw(pid))
    })
}

/// Takes a name from an actor of the current node.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_api_unregister(name: *const c_char) -> c_int {
    status("hew_node_api_unregister", || {
        // SAFETY: hew.h, Conventions: `name` is NULL or ends with NUL.
        let name = unsafe { text("name", name) }?;
        process()?.current_node()?.unregister(name)
    })
}

/// The PID of a name, as far as the current node knows; 0 if it knows none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_api_lookup(name: *const c_char) -> u64 {
    value("hew_node_api_lookup", 0, || {
        // SAFETY: hew.h, Conventions: `name` is NULL or ends with NUL.
        let name = unsafe { text("name", name) }?;
        lookup(&*process()?.current_node()?, name)
    })
}

//! Nodes: starting, stopping, names, sending and asking through them.

use crate::any_node::AnyNode;
use crate::boundary::{bytes, text, text_or_null, text_to_malloc, to_malloc, write};
use crate::channel::ask_failure;
use crate::cluster::Listener;
use crate::error::{
    Failure, HEW_ERR_CLOSED, HEW_ERR_NOT_ALLOWED, HEW_ERR_OOM, HEW_ERR_STALE, status, value, void,
};
use crate::handle::{Kind, Table, pointer};
use crate::options::{Settings, Setup, settings};
use crate::process::{Process, process, set_local_node};
use crate::security::{is_allowed, public_key};
use crate::send;
use crate::transport::Entry;
use crate::types::{HewNode, HewNodeOptions};
use crate::workers::wait;
use hew_actor::RawMessage;
use hew_node::{NoiseXx, Tcp};
use hew_security::{Allowlist, PublicKey};
use hew_wire::{NodeId, Pid};
use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

static NODES: Table<NodeEntry> = Table::new(Kind::Node, "node");

/// What the handle of a node stands for: a node that may be started, runs, or has stopped.
pub(crate) struct NodeEntry {
    id: u16,
    settings: Settings,
    /// Made by the first start and kept for later ones: a node is the same one for as long as its handle lives.
    identity: Mutex<Option<(NoiseXx, PublicKey)>>,
    /// Held while the node starts and stops.
    running: Mutex<Option<Running>>,
    pub(crate) listener: Arc<Listener>,
    /// The handle of its cluster, 0 until it is asked for.
    cluster: Mutex<usize>,
}

struct Running {
    node: Arc<dyn AnyNode>,
    /// The process whose current node it is.
    current_of: Weak<Process>,
    /// Whom it lets in.
    allowlist: Allowlist,
}

impl NodeEntry {
    pub(crate) fn new(id: u16, settings: Settings) -> NodeEntry {
        NodeEntry {
            id,
            settings,
            identity: Mutex::new(None),
            running: Mutex::new(None),
            listener: Arc::default(),
            cluster: Mutex::new(0),
        }
    }

    /// The node, if it runs.
    pub(crate) fn node(&self) -> Result<Arc<dyn AnyNode>, Failure> {
        self.node_and_allowlist().map(|(node, _)| node)
    }

    fn node_and_allowlist(&self) -> Result<(Arc<dyn AnyNode>, Allowlist), Failure> {
        let running = self.running();
        let both = running.as_ref().map(|running| (Arc::clone(&running.node), running.allowlist.clone()));
        both.ok_or_else(|| Failure::new(HEW_ERR_CLOSED, format!("node {} is not running", self.id)))
    }

    /// Its static public key, made now if it has none yet.
    pub(crate) fn public_key(&self) -> Result<PublicKey, Failure> {
        self.identity().map(|(_, key)| key)
    }

    fn identity(&self) -> Result<(NoiseXx, PublicKey), Failure> {
        let mut identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        match &*identity {
            Some(identity) => Ok(identity.clone()),
            None => Ok(identity.insert(self.settings.authenticator()?).clone()),
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        // It is set and taken in single steps.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the node; the first of the process becomes its current one. A running node is success.
    pub(crate) fn start(&self) -> Result<(), Failure> {
        let mut running = self.running();
        if running.is_some() {
            return Ok(());
        }
        let id = NodeId::new(self.id).map_err(|error| Failure::invalid(error.to_string()))?;
        let (authenticator, _) = self.identity()?;
        let allowlist_file = self.settings.follow(&authenticator)?;
        let allowlist = authenticator.allowlist().clone();
        let process = process()?;
        let tcp;
        let transport = match &self.settings.transport {
            Some(transport) => &**transport,
            None => {
                tcp = Entry::new(Tcp::new());
                &tcp
            }
        };
        // Held until the node runs, so that no two nodes become the current one.
        let mut current = process.current_slot();
        let first = current.is_none();
        if first {
            // What an earlier node, or hew_pid_set_local_node, left behind.
            process.system.set_node(NodeId::LOCAL);
        }
        let system = first.then(|| process.system.clone());
        let setup = Setup { id, settings: self.settings.clone(), authenticator, allowlist_file, system };
        let started = wait(transport.start(setup)).and_then(|started| started);
        let node = match started {
            Ok(node) => node,
            Err(failure) => {
                if first {
                    process.system.set_node(crate::process::local_node());
                }
                return Err(failure);
            }
        };
        if first {
            *current = Some(Arc::clone(&node));
            set_local_node(id);
        }
        drop(current);
        let current_of = if first { Arc::downgrade(&process) } else { Weak::new() };
        self.listener.follow(&node);
        *running = Some(Running { node, current_of, allowlist });
        Ok(())
    }

    /// Stops the node if it runs, and waits for its end.
    pub(crate) fn stop(&self) -> Result<(), Failure> {
        if self.listener.is_current_thread() {
            return Err(Failure::invalid("a callback of the node cannot stop it"));
        }
        let mut running = self.running();
        let Some(Running { node, current_of, .. }) = running.take() else { return Ok(()) };
        let waited = wait(node.shutdown());
        if let Some(process) = current_of.upgrade() {
            *process.current_slot() = None;
        }
        self.listener.join();
        waited
    }

    /// Frees the handle of its cluster.
    fn forget_cluster(&self) {
        let cluster = *self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        if cluster != 0 {
            crate::cluster::forget(cluster);
        }
    }

    /// The handle of its cluster.
    pub(crate) fn cluster_handle(
        &self,
        make: impl FnOnce() -> Result<usize, Failure>,
    ) -> Result<usize, Failure> {
        let mut cluster = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        if *cluster == 0 {
            *cluster = make()?;
        }
        Ok(*cluster)
    }
}

/// The node of a handle.
pub(crate) fn find(node: *const HewNode) -> Result<Arc<NodeEntry>, Failure> {
    NODES.find(node.addr())
}

/// Stops every node of this process.
pub(crate) fn stop_all() {
    for (_, entry) in NODES.all() {
        // Only a callback cannot stop its node, and the caller of this is none.
        let _ = entry.stop();
    }
    crate::current::stop();
}

fn limit(ms: i32) -> Option<Duration> {
    u64::try_from(ms).ok().map(Duration::from_millis)
}

/// A node over TCP that will listen at `bind` ("host:port"; port 0 takes a free one; NULL: not at all), with an identity
/// of its own for as long as the handle lives. `id`, 1 to 65,535, is unique in the cluster. Nothing happens before
/// `hew_node_start`. The caller frees it with `hew_node_free`. NULL on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_new(id: u16, bind: *const c_char) -> *mut HewNode {
    value("hew_node_new", null_mut(), || {
        // SAFETY: hew.h, Conventions: `bind` is NULL or ends with NUL.
        let bind = unsafe { text_or_null("bind", bind) }?.map(str::to_owned);
        NODES.insert(Arc::new(NodeEntry::new(id, Settings { bind, ..Settings::default() }))).map(pointer)
    })
}

/// A node with options (NULL: the defaults), which stay the caller's and may be changed or freed afterwards.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_new_with(id: u16, options: *mut HewNodeOptions) -> *mut HewNode {
    value("hew_node_new_with", null_mut(), || {
        NODES.insert(Arc::new(NodeEntry::new(id, settings(options)?))).map(pointer)
    })
}

/// Starts the node: when this returns 0 it listens, and joining goes on in the background. The first node that runs in a
/// process is its current one: the actors of the process are that node's, and their PIDs show its id from now on. A node
/// that runs: no effect. A node that has stopped starts again, with the same identity.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_start(node: *mut HewNode) -> c_int {
    status("hew_node_start", || find(node)?.start())
}

/// Stops the node: what was sent is delivered, the others hear that it leaves, its address is free. The actors of the
/// process live on. A node that does not run: no effect. Not for callbacks of this node.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_stop(node: *mut HewNode) -> c_int {
    status("hew_node_stop", || find(node)?.stop())
}

/// Stops the node and frees it.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_free(node: *mut HewNode) {
    if node.is_null() {
        return;
    }
    void("hew_node_free", || {
        find(node)?.stop()?;
        let entry = NODES.remove(node.addr())?;
        entry.forget_cluster();
        Ok(())
    });
}

/// The id that the node was made with; 0 on failure.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_id(node: *mut HewNode) -> u16 {
    value("hew_node_id", 0, || Ok(find(node)?.id))
}

/// Where the running node listens, as text from `malloc`; NULL if it does not.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_address(node: *mut HewNode) -> *mut c_char {
    value("hew_node_address", null_mut(), || {
        let address = find(node)?.node()?.address();
        text_to_malloc(&address.ok_or_else(|| Failure::invalid("the node does not listen"))?)
    })
}

/// Writes the 32 bytes of the node's public key, by which others recognise it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_identity_key(node: *mut HewNode, key: *mut u8) -> c_int {
    status("hew_node_identity_key", || {
        if key.is_null() {
            return Err(Failure::null("key"));
        }
        let public = find(node)?.public_key()?;
        // SAFETY: hew.h, Conventions: `key` has room for 32 bytes; not NULL by the lines above.
        unsafe { write("key", key.cast::<[u8; 32]>(), *public.as_bytes()) }
    })
}

/// Trusts a key of 32 bytes no more: who is connected with it is cut off at once, and it stays refused until it is added to the
/// node's list again, which outlives stops of the node but not the process: remove it from files, too. The other nodes of the
/// cluster are told, and do the same where this one has `HEW_MAY_ADMINISTRATION`. 0, also if it was revoked before.
///
/// `HEW_ERR_INVALID`: the key is NULL or zero. `HEW_ERR_CLOSED`: the node does not run. `HEW_ERR_OOM`: as many keys are
/// revoked as can be (131,072), and an open list still lets this one in.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_revoke_key(node: *mut HewNode, key: *const u8) -> c_int {
    status("hew_node_revoke_key", || {
        // SAFETY: hew.h, Conventions: `key` is NULL or has 32 bytes.
        let key = unsafe { public_key("key", key) }?;
        let (node, allowlist) = find(node)?.node_and_allowlist()?;
        node.revoke_key(&key);
        if is_allowed(&allowlist, &key) {
            return Err(Failure::new(HEW_ERR_OOM, format!("key {key}: no more keys can be revoked")));
        }
        Ok(())
    })
}

/// Gives an actor of this node a name by which every node of the cluster finds it, until it ends.
/// `HEW_ERR_NOT_ALLOWED`: another actor has the name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_register(node: *mut HewNode, name: *const c_char, pid: u64) -> c_int {
    status("hew_node_register", || {
        // SAFETY: hew.h, Conventions: `name` is NULL or ends with NUL.
        let name = unsafe { text("name", name) }?;
        find(node)?.node()?.register(name, Pid::from_raw(pid))
    })
}

/// Takes a name from an actor of this node.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_unregister(node: *mut HewNode, name: *const c_char) -> c_int {
    status("hew_node_unregister", || {
        // SAFETY: hew.h, Conventions: `name` is NULL or ends with NUL.
        let name = unsafe { text("name", name) }?;
        find(node)?.node()?.unregister(name)
    })
}

/// The PID of the actor that has the name anywhere in the cluster, as far as the node knows now; 0 if it knows none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_lookup(node: *mut HewNode, name: *const c_char) -> u64 {
    value("hew_node_lookup", 0, || {
        // SAFETY: hew.h, Conventions: `name` is NULL or ends with NUL.
        let name = unsafe { text("name", name) }?;
        lookup(&*find(node)?.node()?, name)
    })
}

/// The PID of a name, or the failure that says that there is none.
pub(crate) fn lookup(node: &dyn AnyNode, name: &str) -> Result<u64, Failure> {
    let nobody = || {
        Failure::new(
            HEW_ERR_STALE,
            format!("nobody is registered as {name:?}, as far as node {} knows", node.id()),
        )
    };
    node.whereis(name).map(Pid::raw).ok_or_else(nobody)
}

/// As `hew_node_lookup`, and waits for the name for at most `ms` milliseconds; negative: for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_wait_name(node: *mut HewNode, name: *const c_char, ms: i32) -> u64 {
    value("hew_node_wait_name", 0, || {
        // SAFETY: hew.h, Conventions: `name` is NULL or ends with NUL.
        let name = unsafe { text("name", name) }?;
        let node = find(node)?.node()?;
        wait(node.wait_name(name, limit(ms)))?.map(Pid::raw)
    })
}

/// Waits until `count` members of the cluster, this node included, are alive: 0, or `HEW_ERR_TIMEOUT` after `ms`
/// milliseconds; negative: for ever.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_wait_members(node: *mut HewNode, count: i32, ms: i32) -> c_int {
    status("hew_node_wait_members", || {
        let count = usize::try_from(count).map_err(|_| Failure::invalid(format!("count is {count}")))?;
        let node = find(node)?.node()?;
        wait(node.wait_members(count, limit(ms)))?
    })
}

/// Sends through this node; see `hew_actor_send_by_id`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_send(
    node: *mut HewNode,
    pid: u64,
    msg_type: i32,
    data: *const u8,
    size: usize,
) -> c_int {
    status("hew_node_send", || {
        // SAFETY: hew.h, Conventions: `data` is NULL or has `size` bytes.
        let data = unsafe { bytes("data", data.cast(), size) }?;
        send::send(&find(node)?.node()?.actor(Pid::from_raw(pid))?, msg_type, data)
    })
}

/// Asks an actor of any node, and waits for at most `ms` milliseconds (negative: for ever). On 0, `*reply` is a copy of
/// the answer from `malloc`, or NULL if it is empty, and `*reply_size` its bytes; otherwise NULL and 0. NULL for `reply`
/// drops the answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_ask(
    node: *mut HewNode,
    pid: u64,
    msg_type: i32,
    data: *const u8,
    size: usize,
    ms: i32,
    reply: *mut *mut c_void,
    reply_size: *mut usize,
) -> c_int {
    status("hew_node_ask", || {
        // SAFETY: hew.h, Conventions: `reply` and `reply_size` are NULL or have room for their types; `data` is NULL or
        // has `size` bytes.
        let data = unsafe {
            write("reply", reply, null_mut())?;
            write("reply_size", reply_size, 0)?;
            bytes("data", data.cast(), size)
        }?;
        let answer = ask(&*find(node)?.node()?, Pid::from_raw(pid), msg_type, data, ms)?;
        // SAFETY: as above.
        unsafe {
            if !reply.is_null() {
                write("reply", reply, to_malloc(&answer)?)?;
            }
            write("reply_size", reply_size, answer.len())
        }
    })
}

fn ask(node: &dyn AnyNode, pid: Pid, msg_type: i32, data: &[u8], ms: i32) -> Result<Vec<u8>, Failure> {
    let actor = node.actor(pid)?;
    if actor.is_local() {
        return send::ask(&actor, msg_type, data, crate::reply::deadline(ms));
    }
    let deadline = limit(ms).unwrap_or(Duration::MAX);
    let question = actor.ask_within(deadline, |reply| RawMessage {
        msg_type,
        payload: data.to_vec(),
        reply: Some(reply),
    });
    wait(question)?.map(|answer| answer.0).map_err(|error| {
        let failure = ask_failure(&error);
        Failure { text: format!("{pid}: {}", failure.text), ..failure }
    })
}

/// Connects to the node at "host:port" or "id@host:port" and joins its cluster; 0 if there is a connection, also if
/// there was one before. `HEW_ERR_TRANSPORT`: nobody answers there; `HEW_ERR_NOT_ALLOWED`: one of the two refuses the
/// other, or it is another node than `id`. A connection that breaks later is made again by the node.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_connect(node: *mut HewNode, address: *const c_char) -> c_int {
    status("hew_node_connect", || {
        // SAFETY: hew.h, Conventions: `address` is NULL or ends with NUL.
        let address = unsafe { text("address", address) }?;
        connect(&*find(node)?.node()?, address)
    })
}

/// Connects to "host:port" or "id@host:port".
pub(crate) fn connect(node: &dyn AnyNode, target: &str) -> Result<(), Failure> {
    let (wanted, address) = split(target)?;
    let found = wait(node.connect(address))??;
    match wanted {
        Some(wanted) if wanted != found => {
            let text = format!("{target}: node {found} is there, not node {wanted}");
            Err(Failure::new(HEW_ERR_NOT_ALLOWED, text))
        }
        _ => Ok(()),
    }
}

/// The node id and the address of "id@address"; no id without an `@`.
pub(crate) fn split(target: &str) -> Result<(Option<NodeId>, &str), Failure> {
    let Some((id, address)) = target.split_once('@') else { return Ok((None, target)) };
    let wrong = || Failure::invalid(format!("{target:?}: {id:?} is no node id (1 to 65535)"));
    let id = id.parse().ok().and_then(|id| NodeId::new(id).ok()).ok_or_else(wrong)?;
    Ok((Some(id), address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_begin_with_the_id_that_is_expected_there() {
        assert_eq!(split("127.0.0.1:1").unwrap(), (None, "127.0.0.1:1"));
        assert_eq!(split("7@[::1]:1").unwrap(), (Some(NodeId::from_raw(7)), "[::1]:1"));
        for wrong in ["0@h:1", "x@h:1", "65536@h:1", "@h:1"] {
            assert!(split(wrong).unwrap_err().text.contains("no node id"), "{wrong}");
        }
    }
}

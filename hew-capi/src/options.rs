//! How a node is made: its options, and what they come to when it starts.

use crate::boundary::text;
use crate::error::{Failure, HEW_ERR_OOM, status, value, void};
use crate::handle::{Kind, Table, pointer};
use crate::security::{allow, allowlist, load, public_key};
use crate::transport;
use crate::types::{HewNodeOptions, HewPeerAllowlist, HewTransport};
use hew_cluster::SwimConfig;
use hew_node::{NoiseXx, System};
use hew_security::{Allowlist, Entry, Policy, PublicKey, StaticKeypair};
use hew_transport::Addr;
use hew_wire::{Name, NodeId};
use std::ffi::{c_char, c_int};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, PoisonError};

/// Every link is encrypted (the default).
pub const HEW_SECURITY_REQUIRED: i32 = 0;
/// Links are encrypted when the peer can; plaintext reaches local addresses only.
pub const HEW_SECURITY_OPTIONAL: i32 = 1;
/// Nothing is encrypted and nothing is proven; local addresses only.
pub const HEW_SECURITY_OFF: i32 = 2;

/// For machines in one data centre: a silent crash is known to all after 4 to 5 s (the default).
pub const HEW_MEMBERSHIP_LAN: i32 = 0;
/// For a quiet network: a silent crash is known to all after 1 to 1.3 s.
pub const HEW_MEMBERSHIP_FAST: i32 = 1;
/// For processes on one machine.
pub const HEW_MEMBERSHIP_LOCAL: i32 = 2;

/// Most seeds, and most pinned peers, of one node.
const LIST_MAX: usize = 1024;

/// What was set.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) bind: Option<String>,
    pub(crate) advertise: Option<String>,
    pub(crate) transport: Option<Arc<transport::Entry>>,
    pub(crate) key_file: Option<String>,
    pub(crate) allowlist: Option<Allowlist>,
    pub(crate) pins: Vec<(NodeId, PublicKey)>,
    pub(crate) policy: Policy,
    pub(crate) cluster: Option<String>,
    pub(crate) preset: Preset,
    pub(crate) outgoing_bytes_max: Option<usize>,
    pub(crate) seeds: Vec<String>,
}

#[derive(Clone, Copy, Default)]
pub(crate) enum Preset {
    #[default]
    Lan,
    Fast,
    Local,
}

/// Everything that a start needs.
pub(crate) struct Setup {
    pub(crate) id: NodeId,
    pub(crate) settings: Settings,
    pub(crate) authenticator: NoiseXx,
    /// The actors of the process, if the node is to be its current one.
    pub(crate) system: Option<System>,
}

impl Settings {
    pub(crate) fn swim(&self) -> SwimConfig {
        match self.preset {
            Preset::Lan => SwimConfig::lan(),
            Preset::Fast => SwimConfig::fast(),
            Preset::Local => SwimConfig::local(),
        }
    }

    /// Who the node is and whom it lets in: its key file or a key for its lifetime, its allowlist or any key.
    ///
    /// # Errors
    /// The key file cannot be used, or the allowlist is full.
    pub(crate) fn authenticator(&self) -> Result<(NoiseXx, PublicKey), Failure> {
        let keypair = match &self.key_file {
            Some(path) => load(path)?,
            None => StaticKeypair::generate()
                .map_err(|error| Failure::new(HEW_ERR_OOM, format!("no randomness for a key: {error}")))?,
        };
        let allowlist = self.allowlist.clone().unwrap_or_else(Allowlist::open);
        for (node, key) in &self.pins {
            allow(&allowlist, Entry::new(*key, Some(*node)))?;
        }
        let key = keypair.public();
        Ok((NoiseXx::with_policy(keypair, allowlist, self.policy), key))
    }
}

static OPTIONS: Table<Mutex<Settings>> = Table::new(Kind::NodeOptions, "set of node options");

/// The settings of a handle as they are now; NULL: the defaults.
pub(crate) fn settings(options: *const HewNodeOptions) -> Result<Settings, Failure> {
    if options.is_null() {
        return Ok(Settings::default());
    }
    let options = OPTIONS.find(options.addr())?;
    let settings = options.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(settings)
}

fn set(
    function: &str,
    options: *mut HewNodeOptions,
    change: impl FnOnce(&mut Settings) -> Result<(), Failure>,
) -> c_int {
    status(function, || {
        let options = OPTIONS.find(options.addr())?;
        let mut settings = options.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut settings)
    })
}

fn addr(what: &str, text: &str) -> Result<String, Failure> {
    text.parse::<Addr>()
        .map(|_| text.to_owned())
        .map_err(|error| Failure::invalid(format!("{what}: {error}")))
}

/// Options with their defaults: TCP, no address to listen at, a key for the node's lifetime, any peer's key, cluster
/// "hew". The caller frees them with `hew_node_options_free`. NULL if there are too many.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_options_new() -> *mut HewNodeOptions {
    value("hew_node_options_new", null_mut(), || OPTIONS.insert(Arc::default()).map(pointer))
}

/// Frees the options; nodes that were made with them keep their own.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_options_free(options: *mut HewNodeOptions) {
    if !options.is_null() {
        void("hew_node_options_free", || OPTIONS.remove(options.addr()).map(drop));
    }
}

/// Where the node listens; port 0 takes a free one, see `hew_node_address`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_options_bind(
    options: *mut HewNodeOptions,
    address: *const c_char,
) -> c_int {
    set("hew_node_options_bind", options, |settings| {
        // SAFETY: hew.h, Conventions: `address` is NULL or ends with NUL.
        settings.bind = Some(addr("address", unsafe { text("address", address) }?)?);
        Ok(())
    })
}

/// Where others dial the node, if that is not where it listens.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_options_advertise(
    options: *mut HewNodeOptions,
    address: *const c_char,
) -> c_int {
    set("hew_node_options_advertise", options, |settings| {
        // SAFETY: hew.h, Conventions: `address` is NULL or ends with NUL.
        settings.advertise = Some(addr("address", unsafe { text("address", address) }?)?);
        Ok(())
    })
}

/// How the bytes get to others. A transport of the program's own is copied, and belongs to the options and the nodes made
/// with them: `destroy` is called after the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_options_transport(
    options: *mut HewNodeOptions,
    transport: *mut HewTransport,
) -> c_int {
    set("hew_node_options_transport", options, |settings| {
        // SAFETY: hew.h gives the functions of `HewTransportOps` and who may call them until when.
        settings.transport = Some(unsafe { transport::entry(transport) }?);
        Ok(())
    })
}

/// The key file that says who the node is; it is read now, to find out whether it can be, and at each start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_options_key_file(
    options: *mut HewNodeOptions,
    path: *const c_char,
) -> c_int {
    set("hew_node_options_key_file", options, |settings| {
        // SAFETY: hew.h, Conventions: `path` is NULL or ends with NUL.
        let path = unsafe { text("path", path) }?;
        load(path)?;
        settings.key_file = Some(path.to_owned());
        Ok(())
    })
}

/// Which keys may connect; the node and the caller share the list.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_options_allowlist(
    options: *mut HewNodeOptions,
    list: *mut HewPeerAllowlist,
) -> c_int {
    set("hew_node_options_allowlist", options, |settings| {
        settings.allowlist = Some(allowlist(list)?);
        Ok(())
    })
}

/// Lets node `id` in with this key of 32 bytes, and nobody else under that id. May be called for several keys.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_options_pin_peer(
    options: *mut HewNodeOptions,
    id: u16,
    key: *const u8,
) -> c_int {
    set("hew_node_options_pin_peer", options, |settings| {
        let id = NodeId::new(id).map_err(|error| Failure::invalid(error.to_string()))?;
        // SAFETY: hew.h, Conventions: `key` is NULL or has 32 bytes.
        let key = unsafe { public_key("key", key) }?;
        push(&mut settings.pins, (id, key), "pinned peers")
    })
}

/// `HEW_SECURITY_…`: how much encryption the node asks for, whatever its peers want.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_options_security(options: *mut HewNodeOptions, policy: c_int) -> c_int {
    set("hew_node_options_security", options, |settings| {
        settings.policy = match policy {
            HEW_SECURITY_REQUIRED => Policy::Required,
            HEW_SECURITY_OPTIONAL => Policy::Optional,
            HEW_SECURITY_OFF => Policy::Off,
            other => return Err(Failure::invalid(format!("{other} is no security policy (0 to 2)"))),
        };
        Ok(())
    })
}

/// The cluster that the node belongs to; nodes of different clusters refuse each other.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_options_cluster(
    options: *mut HewNodeOptions,
    name: *const c_char,
) -> c_int {
    set("hew_node_options_cluster", options, |settings| {
        // SAFETY: hew.h, Conventions: `name` is NULL or ends with NUL.
        let name =
            Name::new(unsafe { text("name", name) }?).map_err(|error| Failure::invalid(error.to_string()))?;
        settings.cluster = Some(name.as_str().to_owned());
        Ok(())
    })
}

/// `HEW_MEMBERSHIP_…`: how soon a node that is gone is noticed. The same on all nodes of a cluster.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_options_membership(options: *mut HewNodeOptions, preset: c_int) -> c_int {
    set("hew_node_options_membership", options, |settings| {
        settings.preset = match preset {
            HEW_MEMBERSHIP_LAN => Preset::Lan,
            HEW_MEMBERSHIP_FAST => Preset::Fast,
            HEW_MEMBERSHIP_LOCAL => Preset::Local,
            other => return Err(Failure::invalid(format!("{other} is no membership preset (0 to 2)"))),
        };
        Ok(())
    })
}

/// Most bytes that are queued for, or not acknowledged by, each other node; from 65,536. Default 8 MiB. Replies have as much
/// room for themselves, and so have the control messages of the node.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_options_outgoing_bytes_max(options: *mut HewNodeOptions, bytes: usize) -> c_int {
    set("hew_node_options_outgoing_bytes_max", options, |settings| {
        if bytes < 65_536 {
            return Err(Failure::invalid(format!("{bytes} bytes are less than 65536")));
        }
        settings.outgoing_bytes_max = Some(bytes);
        Ok(())
    })
}

/// An address to join the cluster by; may be called for several, which are tried for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_options_join(
    options: *mut HewNodeOptions,
    address: *const c_char,
) -> c_int {
    set("hew_node_options_join", options, |settings| {
        // SAFETY: hew.h, Conventions: `address` is NULL or ends with NUL.
        let address = addr("address", unsafe { text("address", address) }?)?;
        push(&mut settings.seeds, address, "seeds")
    })
}

fn push<T>(list: &mut Vec<T>, value: T, what: &str) -> Result<(), Failure> {
    if list.len() == LIST_MAX {
        return Err(Failure::new(HEW_ERR_OOM, format!("there are {LIST_MAX} {what}, which is the limit")));
    }
    list.push(value);
    Ok(())
}

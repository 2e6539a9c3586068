//! How a node is made: its options, and what they come to when it starts.

use crate::boundary::text;
use crate::error::{Failure, HEW_ERR_OOM, status, value, void};
use crate::handle::{Kind, Table, pointer};
use crate::security::{allow, allowlist, follow, load, public_key};
use crate::transport;
use crate::types::{HewNodeOptions, HewPeerAllowlist, HewTransport};
use hew_cluster::SwimConfig;
use hew_node::{Compression, NoiseXx, System};
use hew_security::{Allowlist, AllowlistFile, Entry, Policy, PublicKey, StaticKeypair};
use hew_transport::Addr;
use hew_wire::{Name, NodeId};
use std::ffi::{c_char, c_int};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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

/// Payloads travel as they are (the default).
pub const HEW_COMPRESSION_OFF: i32 = 0;
/// Payloads of at least 4,096 bytes travel as LZ4 where that makes them a sixteenth shorter.
pub const HEW_COMPRESSION_LZ4: i32 = 1;

/// Longest idle timeout: a day.
const IDLE_SECONDS_MAX: u32 = 24 * 3600;
/// Longest time of looking for what comes next.
const SPIN_US_MAX: u32 = 1000;
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
    /// Beside neither a list nor pinned peers: what the file says replaces all that is in a list.
    pub(crate) allowlist_file: Option<String>,
    pub(crate) pins: Vec<(NodeId, PublicKey)>,
    pub(crate) policy: Policy,
    pub(crate) cluster: Option<String>,
    pub(crate) preset: Preset,
    pub(crate) outgoing_bytes_max: Option<usize>,
    /// Zero: never.
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) spin: Duration,
    pub(crate) compression: Compression,
    pub(crate) state_file: Option<String>,
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
    /// The file that the authenticator's list follows.
    pub(crate) allowlist_file: Option<AllowlistFile>,
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

    /// Who the node is and whom it lets in: its key file or a key for its lifetime, its allowlist or any key. The list of an
    /// allowlist file is empty until it [follows](Settings::follow) the file.
    ///
    /// # Errors
    /// The key file cannot be used, or the allowlist is full.
    pub(crate) fn authenticator(&self) -> Result<(NoiseXx, PublicKey), Failure> {
        let keypair = match &self.key_file {
            Some(path) => load(path)?,
            None => StaticKeypair::generate()
                .map_err(|error| Failure::new(HEW_ERR_OOM, format!("no randomness for a key: {error}")))?,
        };
        let allowlist = match (&self.allowlist, &self.allowlist_file) {
            (Some(list), _) => list.clone(),
            (None, Some(_)) => Allowlist::strict([]),
            (None, None) => Allowlist::open(),
        };
        for (node, key) in &self.pins {
            allow(&allowlist, Entry::new(*key, Some(*node)))?;
        }
        let key = keypair.public();
        Ok((NoiseXx::with_policy(keypair, allowlist, self.policy), key))
    }

    /// Reads the allowlist file, if there is one, into the list of the authenticator.
    ///
    /// # Errors
    /// The file cannot be used.
    pub(crate) fn follow(&self, authenticator: &NoiseXx) -> Result<Option<AllowlistFile>, Failure> {
        let path = self.allowlist_file.as_deref();
        path.map(|path| follow(path, authenticator.allowlist().clone())).transpose()
    }

    /// That no allowlist file was set, which allows nothing beside it.
    fn has_no_file(&self) -> Result<(), Failure> {
        match &self.allowlist_file {
            Some(path) => {
                Err(Failure::invalid(format!("the allowlist file {path} was set: write peers into it")))
            }
            None => Ok(()),
        }
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

/// The key file that says who the node is; it is read now, to find out whether it can be, and by each node once, which keeps
/// the key for as long as its handle lives.
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

/// Which keys may connect; the node and the caller share the list. Not beside `hew_node_options_allowlist_file`.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_options_allowlist(
    options: *mut HewNodeOptions,
    list: *mut HewPeerAllowlist,
) -> c_int {
    set("hew_node_options_allowlist", options, |settings| {
        settings.has_no_file()?;
        settings.allowlist = Some(allowlist(list)?);
        Ok(())
    })
}

/// Which keys may connect, under which node ids, and what their peers may do, as a file says that the node follows: a change
/// holds within a second, for those who are connected as for those who come. Only what is listed is let in. The file has a
/// line for each peer: its node id or `*`, its key in hexadecimal, and if it is not the default what it may do, as in
/// `may=lookup,monitor` (the names of `HEW_MAY_…` in small letters, `all` or `none`). `#` begins a comment line.
///
/// The file is read now, to find out whether it can be, and at each start. One that cannot be read while the node runs
/// changes nothing. Replace it by renaming another one into its place.
///
/// `HEW_ERR_INVALID`, with a text that names the file, the cause, and the line if there is one: it is no regular file, does
/// not belong to this user or root, can be written by others, is empty or longer than 32 MiB, a line is wrong, or the
/// system refuses. Also if an allowlist or a pinned peer was set, which cannot be beside a file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_options_allowlist_file(
    options: *mut HewNodeOptions,
    path: *const c_char,
) -> c_int {
    set("hew_node_options_allowlist_file", options, |settings| {
        // SAFETY: hew.h, Conventions: `path` is NULL or ends with NUL.
        let path = unsafe { text("path", path) }?;
        if settings.allowlist.is_some() || !settings.pins.is_empty() {
            return Err(Failure::invalid(format!(
                "an allowlist or a pinned peer was set, which the allowlist file {path} would replace"
            )));
        }
        follow(path, Allowlist::strict([]))?;
        settings.allowlist_file = Some(path.to_owned());
        Ok(())
    })
}

/// Lets node `id` in with this key of 32 bytes, and nobody else under that id. May be called for several keys. Not beside
/// `hew_node_options_allowlist_file`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_options_pin_peer(
    options: *mut HewNodeOptions,
    id: u16,
    key: *const u8,
) -> c_int {
    set("hew_node_options_pin_peer", options, |settings| {
        settings.has_no_file()?;
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

/// After how many seconds without anything sent in either direction the connection with a member is closed, to be made
/// again by the next message; up to 86,400 (a day), 0 for never, default 60. Sessions, monitors and open questions stay.
/// Nodes without an address to be dialled at keep their connections.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_options_idle_timeout(options: *mut HewNodeOptions, seconds: u32) -> c_int {
    set("hew_node_options_idle_timeout", options, |settings| {
        at_most("seconds", seconds, IDLE_SECONDS_MAX)?;
        settings.idle_timeout = Some(Duration::from_secs(seconds.into()));
        Ok(())
    })
}

/// For how many microseconds a connection looks for what comes next before it sleeps; up to 1,000, default 0. With 30 here
/// and at the other node an idle machine answers sooner; a machine with more work than processors becomes slower.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_options_spin(options: *mut HewNodeOptions, microseconds: u32) -> c_int {
    set("hew_node_options_spin", options, |settings| {
        at_most("microseconds", microseconds, SPIN_US_MAX)?;
        settings.spin = Duration::from_micros(microseconds.into());
        Ok(())
    })
}

/// `HEW_COMPRESSION_…`: whether messages and replies are compressed, to and from nodes that are set up so as well. For networks
/// slower than 10 Gbit/s; not where a payload holds a secret beside bytes that others choose, for its length tells about it.
#[unsafe(no_mangle)]
pub extern "C" fn hew_node_options_compression(options: *mut HewNodeOptions, compression: c_int) -> c_int {
    set("hew_node_options_compression", options, |settings| {
        settings.compression = match compression {
            HEW_COMPRESSION_OFF => Compression::Off,
            HEW_COMPRESSION_LZ4 => Compression::Lz4,
            other => return Err(Failure::invalid(format!("{other} is no compression (0 or 1)"))),
        };
        Ok(())
    })
}

/// The file in which the node keeps the greatest number of its starts, so that others believe in it even if the clock of the
/// machine went back. It is made by the first start, for its owner only, best beside the key file. Default: none, which
/// trusts the clock. One file for each node; it is read and written at each start, which fails with `HEW_ERR_INVALID` and a
/// text that names the file and the cause if it is a link, of others, or holds anything else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_node_options_state_file(
    options: *mut HewNodeOptions,
    path: *const c_char,
) -> c_int {
    set("hew_node_options_state_file", options, |settings| {
        // SAFETY: hew.h, Conventions: `path` is NULL or ends with NUL.
        settings.state_file = Some(unsafe { text("path", path) }?.to_owned());
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

fn at_most(what: &str, given: u32, max: u32) -> Result<(), Failure> {
    if given <= max {
        return Ok(());
    }
    Err(Failure::invalid(format!("{given} {what} are more than {max}")))
}

fn push<T>(list: &mut Vec<T>, value: T, what: &str) -> Result<(), Failure> {
    if list.len() == LIST_MAX {
        return Err(Failure::new(HEW_ERR_OOM, format!("there are {LIST_MAX} {what}, which is the limit")));
    }
    list.push(value);
    Ok(())
}

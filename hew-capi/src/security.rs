//! Keys, key files and allowlists.

use crate::boundary::{array, text, write};
use crate::error::{Failure, HEW_ERR_INVALID, HEW_ERR_OOM, status, value, void};
use crate::handle::{Kind, Table, pointer};
use crate::types::HewPeerAllowlist;
use hew_security::{
    ALLOWLIST_ENTRIES_MAX, Allowlist, AllowlistFile, Denied, Entry, KEY_FILE_BYTES, Permissions, PublicKey,
    StaticKeypair,
};
use hew_wire::NodeId;
use rustix::fs::{Mode, OFlags};
use std::ffi::{c_char, c_int};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::sync::Arc;
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};
use zeroize::Zeroizing;

/// Any key may connect; a removed one may not.
pub const HEW_ALLOWLIST_OPEN: i32 = 0;
/// Only listed keys may connect.
pub const HEW_ALLOWLIST_STRICT: i32 = 1;

/// May send messages to actors, and ask them.
pub const HEW_MAY_SEND: u32 = 1 << 0;
/// May learn names, members, and what the node says of itself, and take part in the registry.
pub const HEW_MAY_LOOKUP: u32 = 1 << 1;
/// May be told when an actor ends.
pub const HEW_MAY_MONITOR: u32 = 1 << 2;
/// May start actors; guards nothing yet.
pub const HEW_MAY_SPAWN: u32 = 1 << 3;
/// May end actors.
pub const HEW_MAY_KILL: u32 = 1 << 4;
/// May link actors, and send them exit signals.
pub const HEW_MAY_EXIT_SIGNALS: u32 = 1 << 5;
/// May have keys revoked.
pub const HEW_MAY_ADMINISTRATION: u32 = 1 << 6;
/// What a peer may do of which nothing else is said: all but `HEW_MAY_ADMINISTRATION`.
pub const HEW_MAY_DEFAULT: u32 = (1 << 6) - 1;
/// Everything.
pub const HEW_MAY_ALL: u32 = (1 << 7) - 1;

static ALLOWLISTS: Table<Allowlist> = Table::new(Kind::Allowlist, "allowlist");

/// The list of a handle.
pub(crate) fn allowlist(list: *const HewPeerAllowlist) -> Result<Allowlist, Failure> {
    ALLOWLISTS.find(list.addr()).map(|list| Allowlist::clone(&list))
}

/// Makes a fresh pair of 32 bytes each from the operating system's random source.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_noise_keygen(public_key: *mut u8, private_key: *mut u8) -> c_int {
    status("hew_noise_keygen", || {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut secret[..])
            .map_err(|error| Failure::new(HEW_ERR_OOM, format!("no randomness: {error}")))?;
        // SAFETY: hew.h, Conventions: both are NULL or have 32 bytes.
        unsafe { give_pair(public_key, private_key, &public_of(&secret), &secret) }
    })
}

/// Writes a key file: 64 bytes, the public then the private key, for its owner only, never through a symbolic link. A
/// file that is there is replaced.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_noise_key_save(
    path: *const c_char,
    public_key: *const u8,
    private_key: *const u8,
) -> c_int {
    status("hew_noise_key_save", || {
        // SAFETY: hew.h, Conventions: `path` is NULL or ends with NUL; the keys are NULL or have 32 bytes.
        let (path, public, secret) = unsafe {
            let secret = Zeroizing::new(array::<32>("private_key", private_key)?);
            (text("path", path)?, array::<32>("public_key", public_key)?, secret)
        };
        if public_of(&secret) != public {
            return Err(Failure::invalid("the public key does not belong to the private key"));
        }
        let mut bytes = Zeroizing::new([0; KEY_FILE_BYTES]);
        bytes[..32].copy_from_slice(&public);
        bytes[32..].copy_from_slice(&secret[..]);
        save(Path::new(path), &bytes[..])
            .map_err(|error| Failure::new(HEW_ERR_INVALID, format!("key file {path}: {error}")))
    })
}

/// Reads a key file. Refuses a symbolic link, another length, a file of somebody else or open to others, and a pair
/// that does not belong together.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_noise_key_load(
    path: *const c_char,
    public_key: *mut u8,
    private_key: *mut u8,
) -> c_int {
    status("hew_noise_key_load", || {
        // SAFETY: hew.h, Conventions: `path` is NULL or ends with NUL.
        let path = unsafe { text("path", path) }?;
        let pair = load(path)?;
        let bytes = secret_bytes(Path::new(path))
            .map_err(|error| Failure::invalid(format!("key file {path}: cannot read it: {error}")))?;
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(&bytes[32..]);
        // The file may have been exchanged between the two reads: then it is not what was judged.
        if public_of(&secret) != *pair.public().as_bytes() {
            return Err(Failure::invalid(format!("key file {path}: changed while it was read")));
        }
        // SAFETY: hew.h, Conventions: both are NULL or have 32 bytes.
        unsafe { give_pair(public_key, private_key, pair.public().as_bytes(), &secret) }
    })
}

/// # Safety
/// Both pointers are NULL or have room for 32 bytes.
unsafe fn give_pair(
    public_key: *mut u8,
    private_key: *mut u8,
    public: &[u8; 32],
    secret: &[u8; 32],
) -> Result<(), Failure> {
    for (what, pointer) in [("public_key", public_key), ("private_key", private_key)] {
        if pointer.is_null() {
            return Err(Failure::null(what));
        }
    }
    // SAFETY: not NULL by the loop above; the rest is the condition of this function.
    unsafe {
        write("public_key", public_key.cast::<[u8; 32]>(), *public)?;
        write("private_key", private_key.cast::<[u8; 32]>(), *secret)
    }
}

fn public_of(secret: &[u8; 32]) -> [u8; 32] {
    x25519(*secret, X25519_BASEPOINT_BYTES)
}

/// The pair of a key file.
///
/// # Errors
/// Names the file and the cause.
pub(crate) fn load(path: &str) -> Result<StaticKeypair, Failure> {
    StaticKeypair::load(path).map_err(|error| Failure::invalid(error.to_string()))
}

fn secret_bytes(path: &Path) -> std::io::Result<Zeroizing<[u8; KEY_FILE_BYTES]>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let mut bytes = Zeroizing::new([0; KEY_FILE_BYTES]);
    file.read_exact(&mut bytes[..])?;
    Ok(bytes)
}

/// Writes beside the file and renames: whoever reads sees the old one or the new one, and a link is replaced, not
/// followed.
fn save(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if std::fs::symlink_metadata(path).is_ok_and(|old| !old.file_type().is_file()) {
        return Err(std::io::Error::other("is a link, a directory or a device, and is left as it is"));
    }
    let name = path.file_name().ok_or_else(|| std::io::Error::other("the path has no file name"))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{:016x}.tmp", fastrand::u64(..)));
    let temporary = Temporary(path.with_file_name(temporary));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = rustix::fs::open(&temporary.0, flags, mode)?;
    // The umask can only have taken bits away; give them back.
    rustix::fs::fchmod(&file, mode)?;
    let mut file = File::from(file);
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary.0, path)
}

/// A file that is removed if it still has its name.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // After the rename the name is gone already.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// An empty list of keys, `HEW_ALLOWLIST_OPEN` or `HEW_ALLOWLIST_STRICT`; NULL for another mode. The caller frees it
/// with `hew_allowlist_free`; nodes that were made with it keep it, and see what is added and removed.
#[unsafe(no_mangle)]
pub extern "C" fn hew_allowlist_new(mode: c_int) -> *mut HewPeerAllowlist {
    value("hew_allowlist_new", null_mut(), || {
        let list = match mode {
            HEW_ALLOWLIST_OPEN => Allowlist::open(),
            HEW_ALLOWLIST_STRICT => Allowlist::strict([]),
            mode => return Err(Failure::invalid(format!("mode {mode} is neither open (0) nor strict (1)"))),
        };
        ALLOWLISTS.insert(Arc::new(list)).map(pointer)
    })
}

/// Adds a key of 32 bytes, for any node id, with `HEW_MAY_DEFAULT`. A key that was removed or revoked is let in again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_allowlist_add(list: *mut HewPeerAllowlist, key: *const u8) -> c_int {
    status("hew_allowlist_add", || {
        // SAFETY: hew.h, Conventions: `key` is NULL or has 32 bytes.
        let key = unsafe { public_key("key", key) }?;
        allow(&allowlist(list)?, Entry::new(key, None))
    })
}

/// Adds a key of 32 bytes with what its peer may do, `HEW_MAY_…` bits or 0 for nothing, under node id `node`, which keys that
/// are not added for it have no more; 0: under any id. A peer that may do nothing can still be connected, be a member, be
/// sent to, and answer. What was said before of the same key and id is replaced; peers that are connected have their new
/// permissions within a second. A key that was removed or revoked is let in again.
///
/// `HEW_ERR_INVALID`: the key is NULL or zero, or a bit has no meaning. `HEW_ERR_OOM`: the list has 131,072 entries. The list
/// is as it was then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_allowlist_permit(
    list: *mut HewPeerAllowlist,
    key: *const u8,
    node: u16,
    permissions: u32,
) -> c_int {
    status("hew_allowlist_permit", || {
        // SAFETY: hew.h, Conventions: `key` is NULL or has 32 bytes.
        let key = unsafe { public_key("key", key) }?;
        let permissions = permissions_of(permissions)?;
        let node = NodeId::new(node).ok();
        allow(&allowlist(list)?, Entry { permissions, ..Entry::new(key, node) })
    })
}

/// Removes a key, which is refused from now on, on an open list as on a strict one; its peer is cut off within a second. A
/// negative code if it was removed or revoked before and not added since.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_allowlist_remove(list: *mut HewPeerAllowlist, key: *const u8) -> c_int {
    status("hew_allowlist_remove", || {
        // SAFETY: hew.h, Conventions: `key` is NULL or has 32 bytes.
        let key = unsafe { public_key("key", key) }?;
        if allowlist(list)?.revoke(&key) {
            return Ok(());
        }
        Err(Failure::invalid(format!("key {key} was removed before")))
    })
}

/// 1 if the key may connect, else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_allowlist_check(list: *mut HewPeerAllowlist, key: *const u8) -> c_int {
    value("hew_allowlist_check", 0, || {
        // SAFETY: hew.h, Conventions: `key` is NULL or has 32 bytes.
        let key = unsafe { public_key("key", key) }?;
        Ok(c_int::from(is_allowed(&allowlist(list)?, &key)))
    })
}

/// Frees the handle; nodes that use the list keep it.
#[unsafe(no_mangle)]
pub extern "C" fn hew_allowlist_free(list: *mut HewPeerAllowlist) {
    if !list.is_null() {
        void("hew_allowlist_free", || ALLOWLISTS.remove(list.addr()).map(drop));
    }
}

/// A key argument.
///
/// # Safety
/// `key` is NULL or has 32 bytes.
pub(crate) unsafe fn public_key(what: &str, key: *const u8) -> Result<PublicKey, Failure> {
    // SAFETY: the condition is the same.
    let key = PublicKey::new(unsafe { array(what, key) }?);
    if key.is_zero() {
        return Err(Failure::invalid(format!("{what} is all zeros, which is no key")));
    }
    Ok(key)
}

/// Bits of `HEW_MAY_…`.
fn permissions_of(bits: u32) -> Result<Permissions, Failure> {
    let known = u8::try_from(bits).ok().map(Permissions::from_bits);
    known.filter(|permissions| u32::from(permissions.bits()) == bits).ok_or_else(|| {
        Failure::invalid(format!(
            "permissions {bits:#x} have bits without a meaning: all are {HEW_MAY_ALL:#x}"
        ))
    })
}

/// Reads an allowlist file into `list`, and follows it from now on.
///
/// # Errors
/// Names the file and the cause; the list is as it was then.
pub(crate) fn follow(path: &str, list: Allowlist) -> Result<AllowlistFile, Failure> {
    AllowlistFile::load_into(path, list).map_err(|error| Failure::invalid(error.to_string()))
}

/// Lists a key.
pub(crate) fn allow(list: &Allowlist, entry: Entry) -> Result<(), Failure> {
    if list.entries().len() >= ALLOWLIST_ENTRIES_MAX {
        let text = format!("the list has {ALLOWLIST_ENTRIES_MAX} entries, which is the limit");
        return Err(Failure::new(HEW_ERR_OOM, text));
    }
    list.allow(entry);
    Ok(())
}

/// Whether there is a node id under which the key may connect.
pub(crate) fn is_allowed(list: &Allowlist, key: &PublicKey) -> bool {
    if list.entries().iter().any(|entry| entry.key == *key) {
        return true;
    }
    // Not listed: an open list lets it in under an id that is not taken, unless it was revoked.
    list.is_open() && !matches!(list.check(NodeId::LOCAL, key), Err(Denied::Revoked | Denied::ZeroKey))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hew_security::Permission;

    #[test]
    fn permissions_have_the_bits_of_their_numbers() {
        let bits = [
            (HEW_MAY_SEND, Permission::Send),
            (HEW_MAY_LOOKUP, Permission::Lookup),
            (HEW_MAY_MONITOR, Permission::Monitor),
            (HEW_MAY_SPAWN, Permission::Spawn),
            (HEW_MAY_KILL, Permission::Kill),
            (HEW_MAY_EXIT_SIGNALS, Permission::ExitSignals),
            (HEW_MAY_ADMINISTRATION, Permission::Administration),
        ];
        assert_eq!(bits.map(|(_, permission)| permission), Permission::ALL);
        for (bit, permission) in bits {
            assert_eq!(permissions_of(bit), Ok(Permissions::NONE.with(permission)));
        }
        assert_eq!(permissions_of(0), Ok(Permissions::NONE));
        assert_eq!(permissions_of(HEW_MAY_DEFAULT), Ok(Permissions::default()));
        assert_eq!(permissions_of(HEW_MAY_ALL), Ok(Permissions::ALL));
    }

    #[test]
    fn bits_without_a_meaning_are_refused() {
        for bits in [HEW_MAY_ALL + 1, 0x101, u32::MAX] {
            let failure = permissions_of(bits).unwrap_err();
            assert!(failure.text.contains(&format!("{bits:#x}")), "{}", failure.text);
        }
    }
}

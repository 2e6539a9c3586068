//! Authentication and encryption of links: Noise XX, keys, allowlists and records.
//!
//! A connection goes through these steps, and through no others:
//!
//! 1. dialer → listener: hello, 48 bytes.
//! 2. listener → dialer: verdict. After a verdict of 0 the listener's hello, 48 bytes, follows at once; after any other
//!    status a reason follows and the listener closes.
//! 3. dialer → listener: verdict, with the same meaning.
//! 4. Noise XX, messages 1, 2 and 3, each a length (u16, big-endian) and so many bytes. The dialer is the initiator.
//!    The prologue is `hew/noise/1`, then the dialer's and the listener's hello as they were on the wire, each behind
//!    its length (u16, big-endian). Message 1 has no payload; messages 2 and 3 carry an
//!    [`Extension`](hew_wire::Extension).
//! 5. listener → dialer: one sealed record that holds a verdict. After 0 the link is up on both sides.
//!
//! Message 2 can be read by whoever dials with an allowed *public* key, before that dialer has proven anything: an
//! extension holds nothing that must stay secret. Message 3 is read by the proven listener only.
//!
//! A dialer that dislikes the listener's proven identity closes without sending message 3, so that a wrong listener
//! never learns its extension.
//!
//! **Without encryption** (local addresses by policy, others only through [`danger`]) the order is the same without
//! Noise: message 2 is the listener's extension and message 3 the dialer's, in the clear behind the same lengths,
//! there is no message 1, and the verdict of step 5 is in a record that is a length and the bytes themselves.
//!
//! **Records**, afterwards in each direction: a length (u16, big-endian) and so many bytes of ciphertext, the last 16
//! of which are the tag. See [`Sealer`] and [`Opener`].
//!
//! Everything here is a pure machine: bytes and time come in through [`Handshake`]'s verbs, bytes and events come out
//! of [`Handshake::poll`]. This crate knows nothing of sockets, and reads nothing but key files and allowlists.

#![forbid(unsafe_code)]

mod allowlist;
mod allowlist_file;
mod authenticator;
mod cipher;
mod error;
mod exchange;
mod key;
mod key_file;
mod noise;
mod noise_xx;
mod permissions;
mod policy;
mod primitives;
mod private_file;
mod record;

pub mod danger;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;

// The tests of the kit share their drivers with the tests outside of the crate, which know it by this name.
#[cfg(test)]
extern crate self as hew_security;

pub use allowlist::{ALLOWLIST_ENTRIES_MAX, Allowlist, AllowlistError, Denied, Entry};
pub use allowlist_file::{
    ALLOWLIST_FILE_BYTES_MAX, AllowlistFile, AllowlistFileError, AllowlistFileProblem, Reload,
};
pub use authenticator::{
    Admission, Authenticator, DEADLINE_DEFAULT, Established, Handshake, HandshakeOutput, Peer, Rights, Setup,
};
pub use error::{HandshakeError, Stage};
pub use exchange::{Exchange, UNPROVEN_BYTES_MAX};
pub use key::{InvalidKey, PublicKey, StaticKeypair};
pub use key_file::{KEY_FILE_BYTES, KeyFileError, KeyFileProblem, Overwrite};
pub use noise_xx::NoiseXx;
pub use permissions::{Permission, Permissions, UnknownPermission};
pub use policy::Policy;
pub use private_file::{PrivateFileProblem, write_private_file};
pub use record::{
    Opener, RECORD_BYTES_MAX, RECORD_PLAINTEXT_BYTES_MAX, RECORDS_MAX, REKEY_RECORDS, RecordError, Sealer,
    TAG_BYTES,
};

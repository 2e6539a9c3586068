//! The bodies of the targets, by what they read.

mod files;
mod handshake;
mod link;
mod noise;
mod payload;

pub(crate) use files::{allowlist, allowlist_file, key_file};
pub(crate) use handshake::{extension, handshake, hear, hello, ours, setup, verdict};
pub(crate) use link::{control, frames, reassembly};
pub(crate) use noise::{initiator, records, responder};
pub(crate) use payload::{decompress, message, value};

use hew_transport::Addr;

/// Text that is an address is written as one that is equal.
pub(crate) fn address(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match text.parse::<Addr>() {
        Ok(addr) => assert_eq!(addr.to_string().parse(), Ok(addr.clone()), "{addr}"),
        Err(error) => assert!(error.to_string().len() < 4000, "an error quotes a bounded part"),
    }
}

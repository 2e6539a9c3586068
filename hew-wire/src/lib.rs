//! Bytes and values: identities, hello, frames, control messages and payloads of the Hew protocol.
//!
//! Everything that crosses a link is encoded and decoded here and nowhere else. This crate knows nothing of sockets,
//! clocks or threads; decoding is total: any bytes give a value or a [`DecodeError`], never a panic, and nothing is
//! allocated on the word of a peer. `docs/protocol.md` describes the same bytes for readers without Rust.

#![forbid(unsafe_code)]

mod error;
mod exit;
mod id;
mod name;

pub mod membership;
pub mod registry;

pub use error::DecodeError;
pub use exit::{EXIT_TEXT_BYTES_MAX, ExitReason};
pub use id::{
    Incarnation, InvalidNodeId, InvalidPid, NodeId, Pid, SERIAL_BITS, SERIAL_MAX, SERIAL_RESERVED,
};
pub use name::{InvalidName, NAME_BYTES_MAX, Name};

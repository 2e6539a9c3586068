//! Bytes and values: identities, hello, frames, control messages and payloads of the Hew protocol.
//!
//! Everything that crosses a link is encoded and decoded here and nowhere else. This crate knows nothing of sockets,
//! clocks or threads; decoding is total: any bytes give a value or a [`DecodeError`], never a panic, and nothing is
//! allocated on the word of a peer. `docs/protocol.md` describes the same bytes for readers without Rust.

#![forbid(unsafe_code)]

mod error;
mod exit;
mod extension;
mod hello;
mod id;
mod name;
mod schema;
mod token;

pub mod compression;
pub mod control;
pub mod frame;
pub mod membership;
pub mod payload;
pub mod registry;
pub mod scan;

pub use error::DecodeError;
pub use exit::{EXIT_TEXT_BYTES_MAX, ExitReason};
pub use extension::{EXTENSION_BYTES_MAX, Extension, LISTEN_BYTES_MAX, Role, check_listen};
pub use hello::{
    HELLO_BYTES, HELLO_MAGIC, Hello, HelloError, PROTOCOL_VERSION, REASON_BYTES_MAX, Refusal, RefusalStatus,
    VERDICT_BYTES_MAX, Verdict, feature,
};
pub use id::{Incarnation, InvalidNodeId, InvalidPid, NodeId, Pid, SERIAL_BITS, SERIAL_MAX, SERIAL_RESERVED};
pub use name::{InvalidName, NAME_BYTES_MAX, Name};
pub use schema::{SCHEMA, schema_hash};

//! The C ABI of the Hew runtime: `libhew.a`, `libhew.so` and `include/hew.h`.
//!
//! One file for each group of functions; `boundary` reads and writes C's memory, `handle` keeps what C holds, `error`
//! turns failures and panics into codes and texts, `landing` calls C so that `hew_panic` ends a handler and nothing
//! else. The header is generated from this crate (`tests/header.rs`), with the conventions that every function relies
//! on written on top: an unsafe function here names the sentence of those that makes it sound.

// The contract of each unsafe function is the page of conventions in hew.h; the SAFETY comment at each unsafe block says
// which sentence of it is meant, for which argument.
#![allow(clippy::missing_safety_doc)]

pub mod actor;
mod actor_entry;
mod any_node;
mod boundary;
mod c_actor;
mod channel;
pub mod cluster;
pub mod current;
pub mod error;
mod foreign;
mod handle;
pub mod landing;
pub mod node;
pub mod options;
pub mod pid;
pub mod process;
pub mod registry;
pub mod relation;
pub mod reply;
mod running;
pub mod security;
mod send;
pub mod shutdown;
mod streams;
mod subtree;
pub mod supervisor;
pub mod timer;
pub mod together;
pub mod transport;
pub mod types;
pub mod wire_buf;
mod workers;

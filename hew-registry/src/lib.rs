//! Names: a gossiped registry as a pure state machine.
//!
//! A name belongs to one actor in the whole cluster. Each node keeps the log of its own names and is the only one who
//! writes to it; every other node holds a copy of every log, so that a lookup is a read of a local table
//! ([`NameTable`]) and never touches the network. Copies follow by pushes, differences are found by digests and
//! repaired by pulls. A node that is down hides all its names at once, without a message. Two nodes that registered
//! the same name without knowing of each other are judged by the same pure rule everywhere ([`Policy`]), and the
//! loser's own node takes the losing entry back.
//!
//! This crate knows nothing of links, sockets, clocks or threads: time, randomness and messages are arguments.
//!
//! # Driving a registry
//! [`Registry`] has the shape of all protocol machines here. The driver
//! - tells it of every member by [`Registry::handle_peer`]: [`PeerEvent::NodeUp`] and [`PeerEvent::NodeDown`] or
//!   [`PeerEvent::NodeLeft`] as membership says so, [`PeerEvent::SessionUp`] and [`PeerEvent::SessionDown`] as
//!   sessions come and go. The names of a node are visible from its `NodeUp` to its `NodeDown`, never without;
//! - says `SessionUp` before it hands over the first message of that session;
//! - drains [`Registry::poll`] until `None` after every call, then asks [`Registry::poll_timeout`] when to call
//!   [`Registry::handle_timeout`]. Changes made between two drains travel together;
//! - gives all calls a `now` that never goes back.
//!
//! # Trust
//! Members trust each other's relays: what node Y says about the log of node X is accepted if it continues the copy
//! at hand. What X itself says of its own log overrules it: a copy that does not agree with the digest of its owner
//! is read anew from the owner. No message can make a registry panic, or hold more than [`Config`] allows.

#![forbid(unsafe_code)]

mod clock;
mod config;
mod error;
mod gossip;
mod local;
mod log;
mod output;
mod own;
mod peers;
mod pulls;
mod registry;
mod table;

pub use config::{Config, Policy};
pub use error::{RegisterError, RegistryError, UnregisterError};
pub use gossip::{Gossip, Stats};
pub use hew_wire::registry::{DeleteReason, RegistryMessage};
pub use local::LocalOnly;
pub use output::{Output, PeerEvent, RegistryEvent};
pub use registry::Registry;
pub use table::{Entry, NameTable};

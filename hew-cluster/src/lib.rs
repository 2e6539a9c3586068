//! Membership: which nodes are in the cluster, and which of them are alive.
//!
//! Two implementations of one trait, [`Membership`], both pure state machines: [`Swim`] (SWIM with Lifeguard; nodes
//! join, are watched by each other, and leave) and [`StaticList`] (a fixed list, judged by links alone). Both are
//! given what happened and the time, and queue [`Output`]s: messages to send, addresses to dial, events to report.
//!
//! Two nodes, whose link is up and carries what they send at once:
//!
//! ```
//! use hew_cluster::{LinkEvent, LocalMember, Membership, MembershipEvent, Output, Swim, SwimConfig};
//! use hew_wire::{Incarnation, NodeId};
//! use std::time::Instant;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Instant::now();
//! let ids = [NodeId::new(1)?, NodeId::new(2)?];
//! let local = |node| LocalMember { node, incarnation: Incarnation(1), address: Some(format!("host{node}:9000")) };
//! let mut nodes = [
//!     Swim::new(local(ids[0]), SwimConfig::lan(), 1, now)?,
//!     Swim::new(local(ids[1]), SwimConfig::lan(), 2, now)?,
//! ];
//! // Node 2 has dialled node 1 as its seed.
//! let up = |from, seed| LinkEvent::Up { incarnation: Incarnation(1), address: local(from).address, seed };
//! nodes[0].handle_link(now, ids[1], up(ids[1], None))?;
//! nodes[1].handle_link(now, ids[0], up(ids[0], Some("host1:9000".into())))?;
//! let mut is_joined = false;
//! for i in [0, 1, 0, 1, 0, 1] {
//!     while let Some(output) = nodes[i].poll() {
//!         match output {
//!             Output::Send { message, .. } => nodes[1 - i].handle_message(now, ids[i], message)?,
//!             Output::Dial { .. } => {}
//!             Output::Event { event, .. } => is_joined |= event == MembershipEvent::Joined { through: ids[0] },
//!         }
//!     }
//! }
//! assert!(is_joined);
//! assert!(nodes[1].member(ids[0]).is_some_and(|member| member.is_up()));
//! // Then: sleep until `poll_timeout()`, call `handle_timeout(now)`, drain again.
//! # Ok(())
//! # }
//! ```
//!
//! This crate knows nothing of links, sockets, clocks or threads. The same seed and the same inputs give the same
//! outputs, on every machine.

#![forbid(unsafe_code)]

mod broadcast;
mod config;
mod member;
mod membership;
mod rotation;
mod rtt;
mod static_list;
mod suspicion;
mod swim;
mod timers;

pub use config::{InvalidConfig, SwimConfig};
pub use hew_wire::membership::MemberState;
pub use member::Member;
pub use membership::{
    DownReason, LinkEvent, LocalMember, Membership, MembershipError, MembershipEvent, Output,
};
pub use static_list::{StaticConfig, StaticList};
pub use swim::{MEMBERS_MAX, RELAYS_MAX, SEEDS_MAX, Swim};

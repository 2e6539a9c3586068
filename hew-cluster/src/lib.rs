//! Membership: which nodes are in the cluster, and which of them are alive.
//!
//! Two implementations of one trait, [`Membership`], both pure state machines: [`Swim`] (SWIM with Lifeguard; nodes
//! join, are watched by each other, and leave) and [`StaticList`] (a fixed list, judged by links alone). Both are
//! given what happened and the time, and queue [`Output`]s: messages to send, addresses to dial, events to report.
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

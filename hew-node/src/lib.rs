//! A node: links to other nodes, routing, and the composition of every layer.
//!
//! ```
//! use hew_node::{Actor, Context, Node, NodeId, Outcome, ReplyTo};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! enum Counter {
//!     Add(u64),
//!     Get(ReplyTo<u64>),
//! }
//!
//! struct CounterActor {
//!     total: u64,
//! }
//!
//! impl Actor for CounterActor {
//!     type Message = Counter;
//!
//!     async fn handle(&mut self, message: Counter, _: &mut Context<Counter>) -> Outcome {
//!         match message {
//!             Counter::Add(n) => self.total += n,
//!             Counter::Get(reply) => reply.send(self.total),
//!         }
//!         Outcome::Continue
//!     }
//! }
//!
//! # futures_lite::future::block_on(async {
//! let first = Node::builder(NodeId::new(1)?).listen("127.0.0.1:0").start().await?;
//! let counter = first.spawn(CounterActor { total: 0 });
//! first.register("counter", &counter).await?;
//!
//! let address = first.local_addr().expect("it listens").to_string();
//! let second = Node::builder(NodeId::new(2)?).listen("127.0.0.1:0").join(address).start().await?;
//! let remote = second.wait_for::<Counter>("counter", std::time::Duration::from_secs(10)).await?;
//! remote.send(Counter::Add(2)).await?;
//! assert_eq!(remote.ask(Counter::Get).await?, 2);
//! # second.shutdown().await;
//! # first.shutdown().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! [`Node`] is what a program holds. Below it, [`Stack`] names the four layers that can be exchanged. This crate knows
//! nothing of the C ABI; clock, timers, randomness and tasks come from [`Runtime`], so that whole clusters run in
//! virtual time.

#![forbid(unsafe_code)]

mod asks;
mod builder;
mod core;
mod crossing;
mod error;
mod events;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod link;
mod monitor;
mod monitors;
mod node;
mod outside;
mod peers;
mod remote;
mod rights;
mod service;
mod shared;
mod stack;
mod state_file;
mod stats;

pub use builder::{
    CLUSTER_DEFAULT, IDLE_TIMEOUT_DEFAULT, MembershipSetup, NodeBuilder, OUTGOING_BYTES_DEFAULT,
    PAYLOAD_BYTES_MAX, RegistrySetup,
};
pub use error::{ConnectError, LookupError, RegisterError, StartError, UnregisterError};
pub use events::{EVENTS_WAITING_MAX, EventStream, NodeEvent};
pub use hew_actor::{
    Actor, ActorRef, AskError, Context, Elapsed, MailboxOptions, MonitorRef, Outcome, Overflow, Raw,
    RawMessage, RawReply, ReplyTo, Runtime, RuntimeConfig, SendError, Signal, Simulation, SpawnError,
    SpawnOptions, System, SystemConfig, TrySendError,
};
pub use hew_cluster::{DownReason, SwimConfig};
pub use hew_security::{
    Allowlist, AllowlistFile, NoiseXx, Permission, Permissions, PublicKey, StaticKeypair,
};
pub use hew_transport::{Addr, Mem, Tcp, Unix};
pub use hew_wire::compression::Compression;
pub use hew_wire::{ExitReason, Incarnation, Name, NodeId, Pid};
pub use link::half_open::{
    ACCEPTS_PER_SECOND_DEFAULT, ACCEPTS_PER_SECOND_MAX, HALF_OPEN_MAX, HALF_OPEN_PER_ADDRESS_DEFAULT,
};
pub use link::session::LinkInfo;
pub use monitor::Monitor;
pub use node::{DRAIN_DEADLINE, Node};
pub use service::{MemberInfo, NAMES_PER_ANSWER_MAX, NameInfo, NodeInfo, NodeRequest, SERVICE_SERIAL};
pub use stack::{
    Compose, DefaultStack, Stack, WithAuthenticator, WithMembership, WithRegistry, WithTransport,
};
pub use state_file::{StateFileError, StateFileProblem};
pub use stats::NodeStats;

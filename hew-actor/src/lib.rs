//! Actors on one machine: mailboxes, scheduling, lifecycle, ask, monitors, links, timers, supervision.
//!
//! An [`Actor`] is a value that handles one message at a time; a [`System`] holds the actors of one node and runs them
//! on a [`Runtime`], which is real (threads of its own) or simulated (one thread, virtual time, every order drawn from
//! a seed). [`ActorRef`] sends and asks; [`ReplyTo`] answers.
//!
//! This crate knows nothing of other machines. What it leaves open for them are traits that a node implements:
//! [`RemoteActor`] and [`RemoteMailbox`] (where messages go), [`Outside`] (where monitors and links go) and
//! [`boundary::Boundary`] (how reply addresses become bytes).

#![deny(unsafe_code)]

mod actor;
#[allow(unsafe_code, reason = "see docs/unsafe.md")]
mod body;
#[allow(unsafe_code, reason = "see docs/unsafe.md")]
pub mod boundary;
#[allow(unsafe_code, reason = "see docs/unsafe.md")]
mod cell;
mod context;
mod counters;
#[allow(unsafe_code, reason = "see docs/unsafe.md")]
mod current;
mod ending;
mod error;
mod group;
mod inbox;
#[allow(unsafe_code, reason = "see docs/unsafe.md")]
mod job;
mod lifecycle;
mod living;
mod lock;
mod mailbox;
mod metrics;
#[cfg(all(test, loom))]
mod models;
mod monitor;
mod nudge;
mod options;
mod outside;
mod pool;
mod raw;
mod reference;
mod reply;
#[allow(unsafe_code, reason = "see docs/unsafe.md")]
mod run;
mod runtime;
#[cfg(all(test, shuttle))]
mod scenarios;
#[allow(unsafe_code, reason = "see docs/unsafe.md")]
mod scratch;
mod select;
mod simulation;
#[allow(unsafe_code, reason = "see docs/unsafe.md")]
mod state_lock;
mod supervisor;
#[allow(unsafe_code, reason = "see docs/unsafe.md")]
mod sync;
mod system;
mod table;
mod task;
mod threads;
mod timer;
mod unwind;
mod wait;
mod wheel;

pub use actor::{Actor, Outcome, Signal};
pub use boundary::{Boundary, ExportedReply, ImportedActor, RemoteReply, ReplyAddress};
pub use cell::Decoder;
pub use context::Context;
pub use counters::{DEAD_LETTERS_WAITING_MAX, DeadLetter, DeadLetterReason, DeadLetterStream, DeadLetters};
pub use error::{AskError, DeliverError, SendError, SpawnError, TrySendError};
pub use group::{Ends, GROUP_ENDS_MAX, GROUP_MEMBERS_MAX, Group, GroupError};
pub use inbox::{Delivered, Inbox};
pub use lifecycle::Lifecycle;
pub use mailbox::{BULK_MIN, SETTLE_MAX, SIGNALS_MAX};
pub use metrics::{TIME_BUCKETS, Times, TypeMetrics};
pub use monitor::MonitorRef;
pub use options::{
    CoalesceKey, MAILBOX_CAPACITY, MAILBOX_CAPACITY_MAX, MailboxOptions, MailboxStats, Overflow, Priority,
    SpawnOptions, SystemConfig, Weigh,
};
pub use outside::Outside;
pub use pool::{
    Broadcast, LEAST_LOADED_SCAN_MAX, POOL_MEMBERS_MAX, Pool, PoolError, PoolSendError, PoolStrategy,
    VIRTUAL_POINTS,
};
pub use raw::RawMessage;
pub use reference::{
    ASK_DEADLINE, ActorRef, BoxFuture, Outgoing, Refused, RemoteActor, RemoteMailbox, Sending,
};
pub use reply::{Raw, RawReply, ReplySink, ReplyTo};
pub use run::MESSAGES_PER_TURN;
pub use runtime::{Elapsed, Runtime, RuntimeConfig, Sleep, WORKERS_MAX};
pub use select::{Select, SelectError, SelectOk, SelectOkError, select, select_ok, select_within};
pub use simulation::{POLLS_PER_INSTANT_MAX, Simulation, Stuck, UNIX_MS_BASE};
pub use supervisor::{
    AddChildError, BACKOFF_MAX, BACKOFF_MIN, CALLERS_MAX, CHILD_DEADLINE, CHILDREN_MAX, ChildInfo, ChildRef,
    ChildSpec, ChildState, Circuit, CircuitBreaker, KILL_DEADLINE, Restart, RestartChildError,
    START_DEADLINE, STOP_DEADLINE, Strategy, Supervisor, SupervisorMessage, SupervisorRef,
};
pub use system::{ShutdownReport, System};
pub use task::Task;
pub use timer::TimerRef;

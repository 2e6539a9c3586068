//! Actors on one machine: mailboxes, scheduling, lifecycle, ask, monitors, links, timers, supervision.
//!
//! An [`Actor`] is a value that handles one message at a time; a [`System`] holds the actors of one node and runs them
//! on a [`Runtime`], which is real (threads of its own) or simulated (one thread, virtual time, every order drawn from
//! a seed). [`ActorRef`] sends and asks; [`ReplyTo`] answers.
//!
//! This crate knows nothing of other machines. What it leaves open for them are traits that a node implements:
//! [`RemoteActor`] and [`RemoteMailbox`] (where messages go), [`Outside`] (where monitors and links go) and
//! [`boundary::Boundary`] (how reply addresses become bytes).

#![forbid(unsafe_code)]

mod actor;
pub mod boundary;
mod cell;
mod context;
mod counters;
mod current;
mod error;
mod lifecycle;
mod lock;
mod mailbox;
mod monitor;
mod options;
mod outside;
mod raw;
mod reference;
mod reply;
mod run;
mod runtime;
mod simulation;
mod supervisor;
mod system;
mod table;
mod task;
mod threads;
mod timer;
mod unwind;
mod wait;

pub use actor::{Actor, Outcome, Signal};
pub use boundary::{Boundary, ExportedReply, ImportedActor, RemoteReply, ReplyAddress};
pub use cell::Decoder;
pub use context::Context;
pub use counters::DeadLetters;
pub use error::{AskError, DeliverError, SendError, SpawnError, TrySendError};
pub use lifecycle::Lifecycle;
pub use mailbox::{BATCH_MAX, SIGNALS_MAX};
pub use monitor::MonitorRef;
pub use options::{
    CoalesceKey, MAILBOX_CAPACITY, MAILBOX_CAPACITY_MAX, MailboxOptions, Overflow, SpawnOptions, SystemConfig,
};
pub use outside::Outside;
pub use raw::RawMessage;
pub use reference::{ASK_DEADLINE, ActorRef, BoxFuture, Outgoing, Refused, RemoteActor, RemoteMailbox};
pub use reply::{Raw, RawReply, ReplySink, ReplyTo};
pub use run::MESSAGES_PER_TURN;
pub use runtime::{Elapsed, Runtime, RuntimeConfig, Sleep, WORKERS_MAX};
pub use simulation::{POLLS_PER_INSTANT_MAX, Simulation, Stuck, UNIX_MS_BASE};
pub use supervisor::{
    AddChildError, BACKOFF_MAX, BACKOFF_MIN, ChildInfo, ChildRef, ChildSpec, Restart, START_DEADLINE,
    STOP_DEADLINE, Strategy, Supervisor, SupervisorMessage, SupervisorRef,
};
pub use system::{ShutdownReport, System};
pub use task::Task;
pub use timer::TimerRef;

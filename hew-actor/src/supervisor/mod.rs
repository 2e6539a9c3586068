//! Supervisors: actors that start, watch, restart and stop other actors.

mod actor;
mod backoff;
mod budget;
mod child;
mod strategy;

pub use actor::{AddChildError, ChildInfo, Supervisor, SupervisorMessage, SupervisorRef};
pub use backoff::{BACKOFF_MAX, BACKOFF_MIN};
pub use child::{ChildRef, ChildSpec, START_DEADLINE, STOP_DEADLINE};
pub use strategy::{Restart, Strategy};

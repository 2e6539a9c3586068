//! Supervisors: actors that start, watch, restart and stop other actors.

mod actor;
mod backoff;
mod breaker;
mod budget;
mod child;
mod events;
mod family;
mod handle;
mod place;
mod plan;
mod remains;
mod strategy;
mod supervised;

pub use actor::Supervisor;
pub use backoff::{BACKOFF_MAX, BACKOFF_MIN};
pub use breaker::{Circuit, CircuitBreaker};
pub use child::{ChildSpec, START_DEADLINE, STOP_DEADLINE};
pub use family::CHILDREN_MAX;
pub use handle::{
    AddChildError, CHILD_DEADLINE, ChildInfo, ChildState, RestartChildError, SupervisorMessage, SupervisorRef,
};
pub use place::ChildRef;
pub use remains::KILL_DEADLINE;
pub use strategy::{Restart, Strategy};
pub use supervised::CALLERS_MAX;

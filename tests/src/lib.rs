//! Tests that cross crates: simulation, real processes, C programs.
//!
//! What several of them need is here; the tests themselves are in `tests/`, one file a story.

#![forbid(unsafe_code)]

pub mod actors;
pub mod again;
pub mod chaos;
pub mod cluster;
pub mod elsewhere;
pub mod evil;
pub mod real;
pub mod talk;
pub mod targets;
pub mod usage;

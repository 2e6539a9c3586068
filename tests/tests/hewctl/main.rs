//! The command line, as its users meet it: the real program, in processes of its own.

// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

mod cluster;
mod demo;
mod files;
mod process;
mod refusals;
mod scene;

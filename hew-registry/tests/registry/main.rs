//! Stories of the gossip registry, told in a small simulated network.

#![allow(clippy::unwrap_used)] // All of this is tests; clippy knows only the functions marked so.

mod conflict;
mod hostile;
mod merge;
mod random;
mod simulation;
mod spread;

//! Stories of the gossip registry, told in a small simulated network.

mod conflict;
mod hostile;
mod merge;
mod random;
mod simulation;
mod spread;

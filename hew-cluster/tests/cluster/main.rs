//! The membership of whole clusters, on a simulated network and in virtual time.

// The simulation is test code outside `#[test]` functions; measured figures are printed.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod crashes;
mod healing;
mod hostile;
mod joining;
mod random;
mod sim;
mod single;
mod speed;
mod suspicion;

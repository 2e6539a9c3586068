//! The membership of whole clusters, on a simulated network and in virtual time.

mod crashes;
mod joining;
mod sim;

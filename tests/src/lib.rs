//! Tests that cross crates: simulation, real processes, C programs.

//! Chores of the workspace: tests, benchmarks, checks.
fn main() {}

//! Names: a gossiped registry as a pure state machine.

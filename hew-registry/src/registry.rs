//! The trait that every registry implements.

use crate::{NameTable, Output, PeerEvent, RegisterError, RegistryError, UnregisterError};
use hew_wire::registry::RegistryMessage;
use hew_wire::{Incarnation, Name, NodeId, Pid};
use std::time::Instant;

/// Maps names to actors, as a pure state machine.
///
/// The crate's documentation says how to drive one. Outputs depend on the inputs and the seed only.
pub trait Registry: Send + 'static {
    /// Gives `name` to the local actor `pid`.
    ///
    /// `unix_ms` is the wall clock in milliseconds since 1970; it decides which of two concurrent registrations is
    /// newer, and nothing else. When this returns, lookups on this node find the actor; other nodes follow.
    ///
    /// # Errors
    /// [`RegisterError`]; nothing changed.
    fn register(&mut self, now: Instant, unix_ms: u64, name: Name, pid: Pid) -> Result<(), RegisterError>;

    /// Takes `name` from the local actor that has it, and says which one that was.
    ///
    /// # Errors
    /// [`UnregisterError`]; nothing changed.
    fn unregister(&mut self, now: Instant, name: &Name) -> Result<Pid, UnregisterError>;

    /// Takes all names from the local actor `pid`, because it ended. Does nothing if it has none.
    fn forget_pid(&mut self, now: Instant, pid: Pid);

    /// Handles a message of the node `from`.
    ///
    /// # Errors
    /// [`RegistryError`]: the message breaks a rule and was dropped; nothing changed. The driver counts it and may
    /// close the session.
    fn handle_message(
        &mut self,
        now: Instant,
        from: NodeId,
        message: RegistryMessage,
    ) -> Result<(), RegistryError>;

    /// Handles what membership or the links say about the node `peer`, of which `incarnation` is meant.
    ///
    /// News of an incarnation older than the newest known one, and of this node itself, change nothing.
    fn handle_peer(&mut self, now: Instant, peer: NodeId, incarnation: Incarnation, event: PeerEvent);

    /// Handles that time passed. Calling it early or late is harmless.
    fn handle_timeout(&mut self, now: Instant);

    /// When to call [`Registry::handle_timeout`] next; `None`: not before another input.
    fn poll_timeout(&self) -> Option<Instant>;

    /// The next output, in order; `None` when there is nothing more to do now.
    fn poll(&mut self) -> Option<Output>;

    /// The table for lookups. Cheap to clone; every clone sees the same names.
    fn table(&self) -> NameTable;
}

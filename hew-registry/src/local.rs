//! The registry of a node that is alone.

use crate::own::Own;
use crate::{
    DeleteReason, NameTable, Output, PeerEvent, Policy, RegisterError, Registry, RegistryError,
    RegistryEvent, UnregisterError,
};
use hew_wire::registry::RegistryMessage;
use hew_wire::{Incarnation, Name, NodeId, Pid};
use std::collections::VecDeque;
use std::time::Instant;

/// Most names of a [`LocalOnly`] registry.
const NAMES_MAX: usize = 1 << 20;

/// A registry for one node, without messages: other nodes neither hear of its names nor are heard. It holds at most
/// 1,048,576 names.
#[derive(Debug)]
pub struct LocalOnly {
    table: NameTable,
    own: Own,
    events: VecDeque<RegistryEvent>,
}

impl LocalOnly {
    /// An empty registry of `node`, which may be [`NodeId::LOCAL`].
    pub fn new(node: NodeId) -> LocalOnly {
        LocalOnly {
            // Nobody but this process chooses names, so the hash needs no secret.
            table: NameTable::new(0, Policy::KeepNewest),
            own: Own::new(node, Incarnation(0)),
            events: VecDeque::new(),
        }
    }

    fn delete(&mut self, name: &Name, reason: DeleteReason) -> Option<Pid> {
        // No deletion is kept: there is nobody to tell.
        let (pid, _) = self.own.delete(&self.table, name, reason, 0)?;
        let reason = Some(reason);
        self.events.push_back(RegistryEvent::Unregistered { name: name.clone(), pid, reason });
        Some(pid)
    }
}

impl Registry for LocalOnly {
    fn register(&mut self, _: Instant, unix_ms: u64, name: Name, pid: Pid) -> Result<(), RegisterError> {
        self.own.register(&self.table, &name, pid, unix_ms, NAMES_MAX)?;
        self.events.push_back(RegistryEvent::Registered { name, pid });
        Ok(())
    }

    fn unregister(&mut self, _: Instant, name: &Name) -> Result<Pid, UnregisterError> {
        self.delete(name, DeleteReason::Unregistered).ok_or(UnregisterError::NotFound)
    }

    fn forget_pid(&mut self, _: Instant, pid: Pid) {
        for name in self.own.names_of(pid) {
            self.delete(&name, DeleteReason::Ended);
        }
    }

    fn handle_message(&mut self, _: Instant, from: NodeId, _: RegistryMessage) -> Result<(), RegistryError> {
        Err(RegistryError::LocalOnly { from })
    }

    fn handle_peer(&mut self, _: Instant, _: NodeId, _: Incarnation, _: PeerEvent) {}

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn poll(&mut self) -> Option<Output> {
        self.events.pop_front().map(Output::Event)
    }

    fn table(&self) -> NameTable {
        self.table.clone()
    }
}

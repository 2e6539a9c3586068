//! The names of this node's own actors.

use crate::log::Log;
use crate::table::{Change, NameTable, Owner};
use crate::{DeleteReason, RegisterError};
use hew_wire::{Incarnation, Name, NodeId, Pid};
use std::collections::BTreeSet;

/// The log of this node, and which actor has which names.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) node: NodeId,
    pub(crate) log: Log,
    /// `(pid, Some(name))` for each name; `(pid, None)` is never in it and sorts before them all.
    by_pid: BTreeSet<(Pid, Option<Name>)>,
}

impl Own {
    pub(crate) fn new(node: NodeId, incarnation: Incarnation) -> Own {
        Own { node, log: Log::new(Owner::new(node, incarnation, true)), by_pid: BTreeSet::new() }
    }

    /// Gives `name` to `pid`, if nobody has it.
    pub(crate) fn register(
        &mut self,
        table: &NameTable,
        name: &Name,
        pid: Pid,
        stamp: u64,
        names_max: usize,
    ) -> Result<Change, RegisterError> {
        if pid.node() != self.node {
            return Err(RegisterError::NotLocal { pid, node: self.node });
        }
        if let Some(entry) = table.lookup(name.as_str()) {
            return Err(RegisterError::Taken { holder: entry.pid });
        }
        if self.log.names() >= names_max {
            return Err(RegisterError::Full { limit: names_max });
        }
        self.by_pid.insert((pid, Some(name.clone())));
        Ok(self.log.write_put(table, name.clone(), pid, stamp))
    }

    /// Takes `name` from whoever of this node has it.
    pub(crate) fn delete(
        &mut self,
        table: &NameTable,
        name: &Name,
        reason: DeleteReason,
        deletes_max: usize,
    ) -> Option<(Pid, Change)> {
        let (pid, change) = self.log.write_delete(table, name, reason, deletes_max)?;
        self.by_pid.remove(&(pid, Some(name.clone())));
        Some((pid, change))
    }

    /// The names of one actor.
    pub(crate) fn names_of(&self, pid: Pid) -> Vec<Name> {
        let of_pid = self.by_pid.range((pid, None)..).take_while(|(held, _)| *held == pid);
        of_pid.filter_map(|(_, name)| name.clone()).collect()
    }

    /// All names of this node.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Name> {
        self.by_pid.iter().filter_map(|(_, name)| name.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Policy;

    #[test]
    fn names_belong_to_their_actor() {
        let node = NodeId::new(1).unwrap();
        let table = NameTable::new(0, Policy::KeepNewest);
        let mut own = Own::new(node, Incarnation(1));
        let (first, second) = (Pid::new(node, 2000), Pid::new(node, 2001));
        let name = |text: &str| Name::new(text).unwrap();
        for (text, pid) in [("b", second), ("a", first), ("c", first)] {
            own.register(&table, &name(text), pid, 1, 3).unwrap();
        }
        assert_eq!(own.names_of(first), [name("a"), name("c")]);
        let error = own.register(&table, &name("a"), second, 1, 3).unwrap_err();
        assert_eq!(error, RegisterError::Taken { holder: first });
        let error = own.register(&table, &name("d"), second, 1, 3).unwrap_err();
        assert_eq!(error, RegisterError::Full { limit: 3 });
        let foreign = Pid::new(NodeId::new(2).unwrap(), 2000);
        let error = own.register(&table, &name("d"), foreign, 1, 3).unwrap_err();
        assert_eq!(error, RegisterError::NotLocal { pid: foreign, node });
        assert_eq!(own.delete(&table, &name("a"), DeleteReason::Ended, 9).unwrap().0, first);
        assert_eq!(own.names_of(first), [name("c")]);
        assert_eq!(own.names().count(), 2);
    }
}

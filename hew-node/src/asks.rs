//! Asks to other nodes that wait for their answer.

use hew_actor::{AskError, ReplySink};
use hew_wire::NodeId;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Asks of this node that may be open at a time; beyond that an ask fails as `Full`.
pub(crate) const OPEN_MAX: usize = 1 << 20;

struct Open {
    target: NodeId,
    sink: ReplySink,
}

struct Table {
    next: u32,
    random: fastrand::Rng,
    /// By reference; the upper half of a reference counts, the lower half is drawn, so that a peer cannot answer
    /// what it was not asked by counting.
    open: BTreeMap<u64, Open>,
}

/// See the module's documentation. Every ask is answered by being taken out, so it is answered once.
pub(crate) struct Asks {
    table: Mutex<Table>,
}

impl Asks {
    pub(crate) fn new(seed: u64) -> Asks {
        let random = fastrand::Rng::with_seed(seed);
        Asks { table: Mutex::new(Table { next: 0, random, open: BTreeMap::new() }) }
    }

    /// An ask goes to `target`; the returned reference goes with it. `withdraw` is called with the reference when the
    /// asker stops waiting.
    ///
    /// # Errors
    /// Too many are open; the sink was dropped, which gives the question back to its message.
    pub(crate) fn open(
        &self,
        target: NodeId,
        sink: ReplySink,
        withdraw: impl FnOnce(u64) + Send + 'static,
    ) -> Result<u64, String> {
        let mut table = self.table();
        if table.open.len() >= OPEN_MAX {
            drop(table);
            drop(sink);
            return Err(format!("{OPEN_MAX} asks are open"));
        }
        table.next = table.next.wrapping_add(1);
        let reference = u64::from(table.next) << 32 | u64::from(table.random.u32(1..));
        // Under the lock that `withdraw` takes: an asker that leaves now finds the ask, or the ask is not entered.
        if sink.on_abandoned(move || withdraw(reference)) {
            table.open.insert(reference, Open { target, sink });
        }
        Ok(reference)
    }

    /// Ends an ask without an answer, or to answer it: whoever gets the sink is the only one.
    pub(crate) fn withdraw(&self, reference: u64) -> Option<ReplySink> {
        self.table().open.remove(&reference).map(|open| open.sink)
    }

    /// The session with `node` has ended: asks that went there are answered with that.
    pub(crate) fn end_node(&self, node: NodeId) {
        let mut table = self.table();
        let (ended, open) =
            std::mem::take(&mut table.open).into_iter().partition(|(_, open)| open.target == node);
        table.open = open;
        drop(table);
        let ended: BTreeMap<u64, Open> = ended;
        for open in ended.into_values() {
            open.sink.complete(Err(AskError::NodeDown));
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Only map operations happen under this lock; sinks are completed and dropped after it.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

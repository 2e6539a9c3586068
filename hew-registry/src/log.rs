//! One owner's log: the changes of its names, as its owner writes them and as everybody else copies them.
//!
//! Changes are numbered 1, 2, 3 … A put is kept while its name is registered, a deletion until there are too many
//! of them; what a later change has overtaken is not kept. So a log has holes, takes no more memory than its names
//! and a bounded number of deletions, and can still bring any older copy up to date: by the changes after the
//! copy's last one, or, if deletions after it are forgotten, by a scan of all names.

use crate::table::{Change, Claim, NameTable, Owner};
use hew_wire::registry::{
    Delete, DeleteReason, OwnerDigest, PAGE_BYTES_BASE, PAGE_DELETES_MAX, PAGE_PUTS_MAX, Page, Pull, Put,
    REGISTRY_MESSAGE_BYTES_MAX,
};
use hew_wire::{Name, Pid};
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};
use std::sync::Arc;

/// The changes of the names of one incarnation of one node.
#[derive(Debug)]
pub(crate) struct Log {
    owner: Arc<Owner>,
    /// Number of the last change.
    seq: u64,
    /// Deletions up to this number are forgotten.
    floor: u64,
    /// Sum of the fingerprints of `puts`.
    content: u64,
    /// By number. For each of them, and for nothing else, the table has a claim of `owner`.
    puts: BTreeMap<u64, Put>,
    /// By number.
    deletes: BTreeMap<u64, Delete>,
}

/// What applying a page did to the lookups of one name.
#[derive(Debug)]
pub(crate) struct Effect {
    pub(crate) name: Name,
    pub(crate) change: Change,
    pub(crate) reason: Option<DeleteReason>,
}

/// How a page relates to the copy it is applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authority {
    /// It adds to the copy.
    Adds,
    /// It comes from the owner, to repair the copy: where they differ, the page is right.
    Overrules,
}

impl Log {
    pub(crate) fn new(owner: Arc<Owner>) -> Log {
        Log { owner, seq: 0, floor: 0, content: 0, puts: BTreeMap::new(), deletes: BTreeMap::new() }
    }

    /// Writes a put; the owner's side.
    pub(crate) fn write_put(&mut self, table: &NameTable, name: Name, pid: Pid, stamp: u64) -> Change {
        self.seq += 1;
        self.insert(table, Put { seq: self.seq, name, pid, stamp, priority: 0 })
    }

    /// Writes a deletion, if the name is there; the owner's side.
    pub(crate) fn write_delete(
        &mut self,
        table: &NameTable,
        name: &Name,
        reason: DeleteReason,
        deletes_max: usize,
    ) -> Option<(Pid, Change)> {
        let seq = table.claim(name, &self.owner)?.seq;
        let (put, change) = self.remove(table, seq)?;
        self.seq += 1;
        self.deletes.insert(self.seq, Delete { seq: self.seq, name: name.clone(), reason });
        self.forget_deletes(deletes_max);
        Some((put.pid, change))
    }

    /// Merges a page that passed its checks into this copy, except for its position: the caller advances that.
    pub(crate) fn apply(
        &mut self,
        table: &NameTable,
        page: Page,
        authority: Authority,
        deletes_max: usize,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        for seq in self.unlisted(&page, authority) {
            if let Some((put, change)) = self.remove(table, seq) {
                effects.push(Effect { name: put.name, change, reason: None });
            }
        }
        if authority == Authority::Overrules {
            let wrong: Vec<u64> = span(&self.deletes, page.after, page.upto).map(|(&seq, _)| seq).collect();
            for seq in wrong {
                self.deletes.remove(&seq);
            }
        }
        for delete in page.deletes {
            let held = table.claim(&delete.name, &self.owner).map(|claim| claim.seq);
            if let Some(seq) = held.filter(|&seq| seq < delete.seq)
                && let Some((put, change)) = self.remove(table, seq)
            {
                effects.push(Effect { name: put.name, change, reason: Some(delete.reason) });
            }
            if delete.seq > self.floor {
                self.deletes.insert(delete.seq, delete);
            }
        }
        for put in page.puts {
            // What is numbered up to `seq` is held already, or a later change has overtaken it.
            let known = authority == Authority::Adds && put.seq <= self.seq;
            if known || self.puts.contains_key(&put.seq) {
                continue;
            }
            match table.claim(&put.name, &self.owner).map(|claim| claim.seq) {
                Some(held) if held > put.seq => continue,
                Some(held) => self.drop_put(held),
                None => {}
            }
            let name = put.name.clone();
            let change = self.insert(table, put);
            effects.push(Effect { name, change, reason: None });
        }
        self.forget_deletes(deletes_max);
        effects
    }

    /// Says that this copy now holds everything up to `seq`.
    pub(crate) fn advance(&mut self, seq: u64) {
        self.seq = self.seq.max(seq);
    }

    /// Ends a scan that began when the sender's last change was `since`: deletions up to there were not told.
    pub(crate) fn end_scan(&mut self, since: u64) {
        self.floor = self.floor.max(since);
        self.deletes = self.deletes.split_off(&since.saturating_add(1));
    }

    /// Drops everything beyond `head`, which the owner says is its last change, and takes that as the position.
    pub(crate) fn truncate(&mut self, table: &NameTable, head: u64) -> Vec<Effect> {
        self.seq = head;
        self.floor = self.floor.min(head);
        let beyond = |seq: &u64| *seq > head;
        self.deletes.retain(|seq, _| !beyond(seq));
        let wrong: Vec<u64> = self.puts.keys().copied().filter(beyond).collect();
        let removed = wrong.into_iter().filter_map(|seq| self.remove(table, seq));
        removed.map(|(put, change)| Effect { name: put.name, change, reason: None }).collect()
    }

    /// Takes up to `limit` claims out of the table; the log must not be used for anything else afterwards.
    /// Returns how many there were.
    pub(crate) fn sweep(&mut self, table: &NameTable, limit: usize) -> usize {
        let mut swept = 0;
        while swept < limit
            && let Some((_, put)) = self.puts.pop_first()
        {
            table.remove(&put.name, &self.owner);
            swept += 1;
        }
        swept
    }

    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Number of the last change.
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// The number of names.
    pub(crate) fn names(&self) -> usize {
        self.puts.len()
    }

    /// The names, in the order in which they were registered.
    pub(crate) fn puts(&self) -> impl Iterator<Item = &Put> {
        self.puts.values()
    }

    pub(crate) fn digest(&self) -> OwnerDigest {
        OwnerDigest {
            owner: self.owner.node,
            incarnation: self.owner.incarnation,
            seq: self.seq,
            content: self.content,
        }
    }

    /// Where an answer to `pull` begins, as the `after` and `scan` of its first page.
    pub(crate) fn answer_from(&self, pull: &Pull) -> (u64, Option<u64>) {
        let is_position = pull.after <= self.seq;
        match pull.scan {
            Some(since) if is_position && self.floor <= since && since <= self.seq => {
                (pull.after, Some(since))
            }
            None if is_position && self.floor <= pull.after && pull.after > 0 => (pull.after, None),
            Some(_) | None => (0, Some(self.seq)),
        }
    }

    /// Whether an answer can go on with a page after `after`: no deletion that it needs was forgotten meanwhile.
    pub(crate) fn can_continue(&self, after: u64, scan: Option<u64>) -> bool {
        after <= self.seq && self.floor <= scan.unwrap_or(after)
    }

    /// The page that begins after the change `after`, as full as the limits of a page allow.
    pub(crate) fn page(&self, after: u64, scan: Option<u64>) -> Page {
        let mut page = Page {
            owner: self.owner.node,
            incarnation: self.owner.incarnation,
            scan,
            after,
            upto: self.seq.max(after),
            head: self.seq.max(after),
            answer: None,
            end: false,
            forward: false,
            puts: Vec::new(),
            deletes: Vec::new(),
        };
        let mut bytes = PAGE_BYTES_BASE;
        let mut last = after;
        let mut puts = span(&self.puts, after, self.seq).peekable();
        let mut deletes = span(&self.deletes, after.max(scan.unwrap_or(0)), self.seq).peekable();
        loop {
            let next_delete = deletes.peek().map(|&(&seq, _)| seq);
            let is_put = match (puts.peek(), next_delete) {
                (Some(&(&put, _)), Some(delete)) => put <= delete,
                (next_put, _) => next_put.is_some(),
            };
            if is_put && let Some((&seq, put)) = puts.next() {
                bytes += put.bytes_max();
                if bytes > REGISTRY_MESSAGE_BYTES_MAX || page.puts.len() == PAGE_PUTS_MAX {
                    page.upto = last;
                    return page;
                }
                page.puts.push(put.clone());
                last = seq;
            } else if let Some((&seq, delete)) = deletes.next() {
                bytes += delete.bytes_max();
                if bytes > REGISTRY_MESSAGE_BYTES_MAX || page.deletes.len() == PAGE_DELETES_MAX {
                    page.upto = last;
                    return page;
                }
                page.deletes.push(delete.clone());
                last = seq;
            } else {
                return page;
            }
        }
    }

    /// The numbers of the puts that `page`, by not listing them, says are gone.
    fn unlisted(&self, page: &Page, authority: Authority) -> Vec<u64> {
        let mut listed = page.puts.iter().peekable();
        let mut gone = Vec::new();
        for (&seq, held) in span(&self.puts, page.after, page.upto) {
            while listed.next_if(|put| put.seq < seq).is_some() {}
            let is_listed = match (listed.peek(), authority) {
                (Some(put), Authority::Adds) => put.seq == seq,
                (Some(put), Authority::Overrules) => *put == held,
                (None, _) => false,
            };
            if !is_listed {
                gone.push(seq);
            }
        }
        gone
    }

    fn insert(&mut self, table: &NameTable, put: Put) -> Change {
        let Put { seq, pid, stamp, priority, .. } = put;
        let claim = Claim { owner: self.owner.clone(), pid, stamp, seq, priority };
        let change = table.put(&put.name, claim);
        self.content = self.content.wrapping_add(put.fingerprint());
        self.puts.insert(seq, put);
        change
    }

    fn remove(&mut self, table: &NameTable, seq: u64) -> Option<(Put, Change)> {
        let put = self.puts.remove(&seq)?;
        self.content = self.content.wrapping_sub(put.fingerprint());
        let (_, change) = table.remove(&put.name, &self.owner)?;
        Some((put, change))
    }

    /// Drops a put whose claim in the table is about to be replaced.
    fn drop_put(&mut self, seq: u64) {
        if let Some(put) = self.puts.remove(&seq) {
            self.content = self.content.wrapping_sub(put.fingerprint());
        }
    }

    fn forget_deletes(&mut self, deletes_max: usize) {
        while self.deletes.len() > deletes_max
            && let Some((seq, _)) = self.deletes.pop_first()
        {
            self.floor = seq;
        }
    }
}

/// The elements numbered `after + 1` to `upto`; none if that range is empty or reversed.
fn span<T>(map: &BTreeMap<u64, T>, after: u64, upto: u64) -> impl Iterator<Item = (&u64, &T)> {
    map.range((Excluded(after), Included(upto.max(after))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Policy;
    use hew_wire::{Incarnation, NodeId};

    const DELETES_MAX: usize = 100;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn log() -> (NameTable, Log) {
        let owner = Owner::new(NodeId::new(1).unwrap(), Incarnation(1), true);
        (NameTable::new(1, Policy::KeepNewest), Log::new(owner))
    }

    /// Writes `+name` and `-name`.
    fn write(table: &NameTable, log: &mut Log, changes: &[&str]) {
        for change in changes {
            let text = name(&change[1..]);
            if change.starts_with('+') {
                let pid = Pid::new(log.owner().node, 2000 + log.seq());
                log.write_put(table, text, pid, 1);
            } else {
                log.write_delete(table, &text, DeleteReason::Unregistered, DELETES_MAX).expect("it is there");
            }
        }
    }

    fn names(table: &NameTable) -> Vec<String> {
        table.names().into_iter().map(|(name, _)| name.to_string()).collect()
    }

    fn seqs(page: &Page) -> (Vec<u64>, Vec<u64>) {
        (
            page.puts.iter().map(|put| put.seq).collect(),
            page.deletes.iter().map(|delete| delete.seq).collect(),
        )
    }

    #[test]
    fn pages_leave_out_what_was_overtaken() {
        let (table, mut log) = log();
        write(&table, &mut log, &["+a", "+b", "-a", "+a", "+c", "-c"]);
        assert_eq!(seqs(&log.page(0, None)), (vec![2, 4], vec![3, 6]));
        assert_eq!(seqs(&log.page(3, None)), (vec![4], vec![6]));
        assert_eq!(
            seqs(&log.page(0, Some(5))),
            (vec![2, 4], vec![6]),
            "deletions before a scan are left out"
        );
        let end = log.page(6, None);
        assert_eq!((end.after, end.upto, end.head), (6, 6, 6));
    }

    #[test]
    fn a_page_of_an_older_state_brings_nothing_back() {
        let (owner_table, mut owner) = log();
        write(&owner_table, &mut owner, &["+a", "+b", "+c"]);
        let old = owner.page(0, Some(3));
        write(&owner_table, &mut owner, &["-a", "-b", "+b"]);
        let (table, mut copy) = log();
        copy.apply(&table, owner.page(0, None), Authority::Adds, DELETES_MAX);
        copy.advance(6);
        let before = (names(&table), copy.digest());
        assert_eq!(before.0, ["b", "c"]);
        copy.apply(&table, old, Authority::Adds, DELETES_MAX);
        assert_eq!((names(&table), copy.digest()), before);
    }

    #[test]
    fn a_newer_entry_is_not_replaced_by_an_older_one() {
        let (owner_table, mut owner) = log();
        write(&owner_table, &mut owner, &["+a"]);
        let old = owner.page(0, None);
        write(&owner_table, &mut owner, &["-a", "+a"]);
        let (table, mut copy) = log();
        // In the middle of a scan: the later part of the log came by another way.
        copy.apply(&table, owner.page(1, None), Authority::Adds, DELETES_MAX);
        let before = table.lookup("a");
        copy.apply(&table, old, Authority::Adds, DELETES_MAX);
        assert_eq!(table.lookup("a"), before);
        assert_eq!(copy.names(), 1);
    }

    #[test]
    fn only_forgotten_deletions_make_a_scan_necessary() {
        let (table, mut log) = log();
        for _ in 0..DELETES_MAX + 5 {
            write(&table, &mut log, &["+a", "-a"]);
        }
        let head = log.seq();
        let pull = |after, scan| {
            let (owner, incarnation) = (log.owner().node, log.owner().incarnation);
            log.answer_from(&Pull { number: 1, owner, incarnation, after, scan })
        };
        // The deletions 2, 4, 6, 8 and 10 are forgotten.
        assert_eq!(pull(10, None), (10, None));
        assert_eq!(pull(9, None), (0, Some(head)));
        assert_eq!(pull(0, None), (0, Some(head)), "who has nothing needs no deletions");
        assert_eq!(pull(head + 1, None), (0, Some(head)), "who has too much");
        assert_eq!(pull(5, Some(10)), (5, Some(10)));
        assert_eq!(pull(5, Some(9)), (0, Some(head)), "a scan that missed deletions begins anew");
        assert_eq!(pull(5, Some(head + 1)), (0, Some(head)));
        assert!(log.can_continue(10, None) && !log.can_continue(9, None));
        assert!(log.can_continue(9, Some(10)) && !log.can_continue(9, Some(9)));
    }
}

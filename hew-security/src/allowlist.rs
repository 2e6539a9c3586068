//! Who may connect: which keys, under which node ids.
//!
//! The text form has one line per peer: a node id or `*`, the key in hexadecimal, if it is not the default what the peer may
//! do (`may=` and [`Permissions`]), and a comment. `#` begins a comment line. A key may have several lines, and a node id several keys, which is how keys are exchanged: list both, restart
//! or reload the nodes, remove the old one.
//!
//! ```text
//! # the two nodes of the shop
//! 1  422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079  till
//! 2  8c7ba3e577a85b6282791a7649f3a49b62af9aafd556640fe3f178d834c37b7b  may=lookup,monitor  dashboard
//! *  c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552  anywhere
//! ```

use crate::{Permissions, PublicKey, Rights};
use hew_wire::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Most lines of an allowlist.
pub const ALLOWLIST_ENTRIES_MAX: usize = 131_072;

/// One line of an allowlist: a key, and the node id it may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: PublicKey,
    /// The node id that the key is pinned to; `None` for any id that is not pinned to other keys.
    pub node: Option<NodeId>,
    /// What the peer may do.
    pub permissions: Permissions,
    /// For people.
    pub comment: String,
}

impl Entry {
    /// A key under one node id, or with `None` under any, with the default permissions and no comment.
    pub fn new(key: PublicKey, node: Option<NodeId>) -> Entry {
        Entry { key, node, permissions: Permissions::default(), comment: String::new() }
    }
}

/// Why a key is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The key is not listed.
    #[error("the key is not on the allowlist")]
    UnknownKey,
    /// The key is listed, but for other node ids, and this one belongs to nobody.
    #[error("the key is pinned to another node id")]
    KeyPinnedElsewhere,
    /// The node id is listed with other keys, or was first seen with another.
    #[error("the node id is pinned to another key")]
    NodePinnedElsewhere,
    /// The key was revoked.
    #[error("the key was revoked")]
    Revoked,
    /// The key is all zeros, which is no key.
    #[error("the key is all zeros")]
    ZeroKey,
}

/// A text that is not an allowlist. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("allowlist, line {line}: {reason}")]
pub struct AllowlistError {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong with it; quoted text is escaped.
    pub reason: String,
}

/// Who may connect. A handle: clones share one list, which can be changed while it is in use.
#[derive(Clone)]
pub struct Allowlist {
    shared: Arc<Shared>,
}

struct Shared {
    state: RwLock<State>,
    // Written by whoever changes the state, after the change and while holding the lock; read without the lock by
    // whoever re-checks live sessions: the Release store pairs with the Acquire load in `generation`.
    generation: AtomicU64,
}

struct State {
    mode: Mode,
    tables: Tables,
    /// The first proven key of each node id that no line pins. At most one per node id: 65,535.
    learned: BTreeMap<NodeId, PublicKey>,
    /// Keys refused whatever the mode and the lines say, at most [`ALLOWLIST_ENTRIES_MAX`]. Only [`Allowlist::allow`] takes one
    /// out.
    revoked: BTreeSet<PublicKey>,
}

/// What the lines say.
#[derive(Default)]
struct Tables {
    /// The node ids of each listed key; `None` among them is `*`.
    keys: BTreeMap<PublicKey, BTreeMap<Option<NodeId>, Line>>,
    /// The listed keys of each pinned node id.
    nodes: BTreeMap<NodeId, BTreeSet<PublicKey>>,
}

/// What a line says of a key and a node id.
struct Line {
    permissions: Permissions,
    comment: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Strict,
    Open,
}

impl Allowlist {
    /// Only listed keys, each under its node id.
    pub fn strict(entries: impl IntoIterator<Item = Entry>) -> Allowlist {
        Allowlist::with(Mode::Strict, entries)
    }

    /// Any key; the first proven key of a node id keeps the id. Whoever comes first wins: for networks where nobody
    /// else can connect.
    pub fn open() -> Allowlist {
        Allowlist::with(Mode::Open, [])
    }

    fn with(mode: Mode, entries: impl IntoIterator<Item = Entry>) -> Allowlist {
        let tables = Tables::of(entries);
        let state = State { mode, tables, learned: BTreeMap::new(), revoked: BTreeSet::new() };
        Allowlist { shared: Arc::new(Shared { state: RwLock::new(state), generation: AtomicU64::new(0) }) }
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`AllowlistError`] names the line: no node id, no key, a key that is not 64 hexadecimal digits or is zero, or
    /// more than [`ALLOWLIST_ENTRIES_MAX`] lines.
    pub fn parse(text: &str) -> Result<Vec<Entry>, AllowlistError> {
        let (mut entries, mut seen) = (Vec::new(), BTreeMap::new());
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry = parse_line(line).map_err(|reason| AllowlistError { line: index + 1, reason })?;
            if entries.len() == ALLOWLIST_ENTRIES_MAX {
                let reason = format!("more than {ALLOWLIST_ENTRIES_MAX} entries");
                return Err(AllowlistError { line: index + 1, reason });
            }
            let line = (entry.key, entry.node);
            if seen.insert(line, entry.permissions).is_some_and(|before| before != entry.permissions) {
                let reason = "the key is listed above for the same node id with other permissions".into();
                return Err(AllowlistError { line: index + 1, reason });
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Whether `key` may be node `node`. Changes nothing, so it may be asked about keys that are only claimed.
    ///
    /// # Errors
    /// [`Denied`] says why not.
    pub fn check(&self, node: NodeId, key: &PublicKey) -> Result<(), Denied> {
        self.read().check(node, key)
    }

    /// What `key` may do as node `node`: what the line with that id says, else the one with `*`, else the default.
    pub fn rights(&self, node: NodeId, key: &PublicKey) -> Rights {
        self.read().rights(node, key)
    }

    /// Like [`Allowlist::check`] for a key that was proven: a node id that no line pins belongs to this key from now
    /// on.
    ///
    /// # Errors
    /// [`Denied`]; nothing was changed then.
    pub fn admit(&self, node: NodeId, key: &PublicKey) -> Result<(), Denied> {
        let mut state = self.write();
        state.check(node, key)?;
        if !state.tables.nodes.contains_key(&node) {
            // Not a change of the rules for anybody who is connected: the generation stays.
            state.learned.insert(node, *key);
        }
        Ok(())
    }

    /// Adds one entry.
    pub fn allow(&self, entry: Entry) {
        let mut state = self.write();
        state.revoked.remove(&entry.key);
        state.insert(entry);
        self.changed();
    }

    /// Removes all entries of a key, and whatever was pinned to it. It is refused from now on, also if a file or
    /// [`Allowlist::replace`] brings an entry of it, until [`Allowlist::allow`] lets it in again. Returns whether it was not
    /// revoked before. What is revoked when [`ALLOWLIST_ENTRIES_MAX`] keys are is removed only.
    pub fn revoke(&self, key: &PublicKey) -> bool {
        let mut state = self.write();
        if state.revoked.contains(key) {
            return false;
        }
        let listed = state.remove(key);
        let has_room = state.revoked.len() < ALLOWLIST_ENTRIES_MAX;
        let revoked = has_room && state.revoked.insert(*key);
        self.changed();
        listed || revoked
    }

    /// Whether a key was revoked, and not allowed again since.
    pub fn is_revoked(&self, key: &PublicKey) -> bool {
        self.read().revoked.contains(key)
    }

    /// The keys that were revoked.
    pub fn revoked(&self) -> Vec<PublicKey> {
        self.read().revoked.iter().copied().collect()
    }

    /// Replaces all entries by others, in one step: whoever asks meanwhile is answered by the old ones or by the new.
    pub fn replace(&self, entries: impl IntoIterator<Item = Entry>) {
        // Made beforehand: handshakes wait for the exchange only.
        let fresh = Tables::of(entries);
        let mut state = self.write();
        let old = std::mem::replace(&mut state.tables, fresh);
        state.forget_unlisted();
        self.changed();
        drop(state);
        drop(old);
    }

    /// A number that grows with every change. Who sees another number than last time asks [`Allowlist::check`] again
    /// for each live session.
    pub fn generation(&self) -> u64 {
        // Acquire: pairs with the Release in `changed`.
        self.shared.generation.load(Ordering::Acquire)
    }

    /// Whether keys that are not listed are let in.
    pub fn is_open(&self) -> bool {
        self.read().mode == Mode::Open
    }

    /// All entries, by key.
    pub fn entries(&self) -> Vec<Entry> {
        let state = self.read();
        let lines =
            state.tables.keys.iter().flat_map(|(key, nodes)| nodes.iter().map(move |line| (key, line)));
        lines
            .map(|(key, (node, Line { permissions, comment }))| Entry {
                key: *key,
                node: *node,
                permissions: *permissions,
                comment: comment.clone(),
            })
            .collect()
    }

    /// The keys that node ids without a line were first seen with.
    pub fn learned(&self) -> Vec<(NodeId, PublicKey)> {
        self.read().learned.iter().map(|(node, key)| (*node, *key)).collect()
    }

    fn changed(&self) {
        // Release: pairs with the Acquire in `generation`.
        self.shared.generation.fetch_add(1, Ordering::Release);
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        // Every change leaves the tables whole between two statements that can panic, so a poisoned lock is usable.
        self.shared.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.shared.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Allowlist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.read();
        let mode = if state.mode == Mode::Open { "Open" } else { "Strict" };
        write!(f, "Allowlist({mode}, {} keys)", state.tables.keys.len())
    }
}

impl State {
    fn check(&self, node: NodeId, key: &PublicKey) -> Result<(), Denied> {
        if key.is_zero() {
            return Err(Denied::ZeroKey);
        }
        if self.revoked.contains(key) {
            return Err(Denied::Revoked);
        }
        let is_taken = || {
            self.tables.nodes.contains_key(&node) || self.learned.get(&node).is_some_and(|first| first != key)
        };
        match self.tables.keys.get(key) {
            Some(nodes) if nodes.contains_key(&Some(node)) => Ok(()),
            None if self.mode == Mode::Strict => Err(Denied::UnknownKey),
            // Of a key that is known to be another's, too, this is what matters to whoever has the node id.
            Some(_) | None if is_taken() => Err(Denied::NodePinnedElsewhere),
            Some(nodes) if !nodes.contains_key(&None) => Err(Denied::KeyPinnedElsewhere),
            Some(_) | None => Ok(()),
        }
    }

    fn rights(&self, node: NodeId, key: &PublicKey) -> Rights {
        if let Err(denied) = self.check(node, key) {
            let has_other =
                self.tables.nodes.get(&node).is_some_and(|keys| {
                    keys.iter().any(|other| other != key && !self.revoked.contains(other))
                });
            return if has_other { Rights::Retired(denied) } else { Rights::Refused(denied) };
        }
        let lines = self.tables.keys.get(key);
        let line = lines.and_then(|lines| lines.get(&Some(node)).or_else(|| lines.get(&None)));
        Rights::Granted(line.map_or_else(Permissions::default, |line| line.permissions))
    }

    fn insert(&mut self, entry: Entry) {
        if let Some(node) = entry.node {
            self.learned.remove(&node);
        }
        self.tables.insert(entry);
    }

    fn remove(&mut self, key: &PublicKey) -> bool {
        self.learned.retain(|_, first| first != key);
        self.tables.remove(key)
    }

    /// What was learned about node ids that lines pin now is void. A strict list also forgets what it learned about keys
    /// that are listed no longer, or only for other node ids.
    fn forget_unlisted(&mut self) {
        let State { mode, tables: Tables { keys, nodes }, learned, .. } = self;
        let is_listed = |key: &PublicKey| keys.get(key).is_some_and(|nodes| nodes.contains_key(&None));
        learned.retain(|node, key| !nodes.contains_key(node) && (*mode == Mode::Open || is_listed(key)));
    }
}

impl Tables {
    fn of(entries: impl IntoIterator<Item = Entry>) -> Tables {
        let mut tables = Tables::default();
        entries.into_iter().for_each(|entry| tables.insert(entry));
        tables
    }

    fn insert(&mut self, entry: Entry) {
        if let Some(node) = entry.node {
            self.nodes.entry(node).or_default().insert(entry.key);
        }
        let line = Line { permissions: entry.permissions, comment: entry.comment };
        self.keys.entry(entry.key).or_default().insert(entry.node, line);
    }

    fn remove(&mut self, key: &PublicKey) -> bool {
        self.nodes.retain(|_, keys| {
            keys.remove(key);
            !keys.is_empty()
        });
        self.keys.remove(key).is_some()
    }
}

fn parse_line(line: &str) -> Result<Entry, String> {
    let (node, rest) =
        line.split_once(char::is_whitespace).ok_or("expected: node-id|* key [may=permissions] [comment]")?;
    let word = |text: &str| match text.trim_start().split_once(char::is_whitespace) {
        Some((word, rest)) => (word.to_owned(), rest.trim().to_owned()),
        None => (text.trim().to_owned(), String::new()),
    };
    let (key, rest) = word(rest);
    let (permissions, comment) = match rest.strip_prefix("may=") {
        Some(rest) => {
            let (names, comment) = word(rest);
            (names.parse().map_err(|error| format!("{error}"))?, comment)
        }
        None => (Permissions::default(), rest),
    };
    let node = match node {
        "*" => None,
        id => Some(id.parse().map_err(|error| format!("{error}, or *"))?),
    };
    let key: PublicKey = key.parse().map_err(|error| format!("{error}"))?;
    if key.is_zero() {
        return Err(Denied::ZeroKey.to_string());
    }
    let is_misplaced = comment.split_whitespace().any(looks_like_permissions);
    if is_misplaced {
        return Err("permissions, as in may=lookup, stand in one word right behind the key".into());
    }
    Ok(Entry { key, node, permissions, comment })
}

/// Whether a word of a comment looks as if it was meant to restrict the peer, which it would not.
fn looks_like_permissions(word: &str) -> bool {
    let is_may = |word: &str| word.eq_ignore_ascii_case("may");
    word.split_once('=').is_some_and(|(name, _)| name.is_empty() || is_may(name))
}

impl fmt::Display for Entry {
    /// The line of the text form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            Some(node) => write!(f, "{node} {}", self.key.to_hex())?,
            None => write!(f, "* {}", self.key.to_hex())?,
        }
        if self.permissions != Permissions::default() {
            write!(f, " may={}", self.permissions)?;
        }
        let comment = self.comment.trim();
        if !comment.is_empty() {
            f.write_str(" ")?;
            // What would be taken for permissions is shown with a colon.
            let readable = match comment.split_whitespace().any(looks_like_permissions) {
                true => &comment.replace('=', ":"),
                false => comment,
            };
            // One line stays one line; quotes and letters stay as they are.
            for character in readable.chars() {
                match character.is_control() {
                    true => write!(f, "{}", character.escape_debug())?,
                    false => f.write_char(character)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> PublicKey {
        PublicKey::new([byte; 32])
    }

    fn node(id: u16) -> NodeId {
        NodeId::new(id).unwrap()
    }

    fn entry(id: Option<u16>, byte: u8) -> Entry {
        Entry::new(key(byte), id.map(node))
    }

    #[test]
    fn s3_a_strict_list_has_a_reason_for_each_refusal() {
        let list = Allowlist::strict([entry(Some(1), 0xA1), entry(Some(2), 0xA2), entry(None, 0xA3)]);
        let check =
            |id, byte, expected| assert_eq!(list.check(node(id), &key(byte)), expected, "{id} {byte:02x}");
        check(1, 0xA1, Ok(()));
        check(2, 0xA2, Ok(()));
        check(3, 0xA3, Ok(()));
        check(2, 0xA1, Err(Denied::NodePinnedElsewhere));
        check(3, 0xA1, Err(Denied::KeyPinnedElsewhere));
        check(1, 0xA3, Err(Denied::NodePinnedElsewhere));
        check(1, 0xA4, Err(Denied::UnknownKey));
        check(4, 0xA4, Err(Denied::UnknownKey));
        check(4, 0x00, Err(Denied::ZeroKey));
    }

    #[test]
    fn s15_an_open_list_pins_the_first_proven_key() {
        let list = Allowlist::open();
        assert_eq!(list.check(node(1), &key(1)), Ok(()));
        // A key that is only claimed pins nothing.
        assert_eq!(list.admit(node(1), &key(2)), Ok(()));
        assert_eq!(list.check(node(1), &key(1)), Err(Denied::NodePinnedElsewhere));
        assert_eq!(list.admit(node(1), &key(1)), Err(Denied::NodePinnedElsewhere));
        assert_eq!(list.check(node(1), &key(2)), Ok(()));
        assert_eq!(list.check(node(2), &key(1)), Ok(()));
        assert_eq!(list.learned(), [(node(1), key(2))]);
        assert_eq!(list.check(node(1), &PublicKey::ZERO), Err(Denied::ZeroKey));
    }

    #[test]
    fn an_unpinned_key_of_a_strict_list_pins_its_first_id_for_itself() {
        let list = Allowlist::strict([entry(None, 1), entry(None, 2)]);
        list.admit(node(7), &key(1)).unwrap();
        assert_eq!(list.check(node(7), &key(2)), Err(Denied::NodePinnedElsewhere));
        // When the holder of the id is gone from the list, the id is free again.
        list.replace([entry(None, 2)]);
        assert_eq!(list.check(node(7), &key(2)), Ok(()));
    }

    #[test]
    fn two_keys_may_share_a_node_id_while_keys_are_exchanged() {
        let list = Allowlist::strict([entry(Some(1), 1), entry(Some(1), 2)]);
        assert_eq!(list.admit(node(1), &key(1)), Ok(()));
        assert_eq!(list.admit(node(1), &key(2)), Ok(()));
        assert!(list.revoke(&key(1)));
        assert_eq!(list.check(node(1), &key(1)), Err(Denied::Revoked));
        assert_eq!(list.rights(node(1), &key(1)), Rights::Retired(Denied::Revoked));
        assert_eq!(list.check(node(1), &key(2)), Ok(()));
        assert!(list.revoke(&key(2)) && !list.revoke(&key(2)));
        assert_eq!(list.rights(node(1), &key(2)), Rights::Refused(Denied::Revoked));
        // No list brings them back, only a decision about the key does.
        list.replace([entry(Some(1), 1)]);
        assert_eq!(list.check(node(1), &key(1)), Err(Denied::Revoked));
        assert_eq!(list.revoked(), [key(1), key(2)]);
        list.allow(entry(Some(1), 1));
        assert_eq!(list.check(node(1), &key(1)), Ok(()));
    }

    #[test]
    fn s16_what_looks_like_permissions_and_is_none_is_refused() {
        let hex = key(1).to_hex();
        for rest in ["dashboard may=lookup", "May=none", "the may =lookup", "may = none", "may=none may=all"]
        {
            assert!(Allowlist::parse(&format!("1 {hex} {rest}\n")).is_err(), "{rest}");
        }
        let twice =
            |second: &str| Allowlist::parse(&format!("1 {hex} may=none\n* {hex}\n1 {hex} {second}\n"));
        assert_eq!(twice("may=none x").map(|entries| entries.len()), Ok(3));
        assert_eq!(twice("may=all").unwrap_err().line, 3);
        for comment in ["may=all", " may=all", "\u{a0}may=all", "x MAY=all"] {
            let entry = Entry { comment: comment.into(), ..Entry::new(key(1), None) };
            let read = Allowlist::parse(&entry.to_string()).unwrap();
            assert_eq!(read[0].permissions, Permissions::default(), "{comment}");
        }
    }

    #[test]
    fn s16_a_line_says_what_a_peer_may_do() {
        let hex = [1, 2, 3].map(|byte| key(byte).to_hex());
        let text = format!(
            "1 {} may=lookup,monitor the dashboard\n* {} may=none\n2 {} may=all\n3 {} maybe not\n",
            hex[0], hex[1], hex[1], hex[2]
        );
        let entries = Allowlist::parse(&text).unwrap();
        let shown: Vec<_> = entries.iter().map(Entry::to_string).collect();
        assert_eq!(shown.join("\n") + "\n", text);
        let list = Allowlist::strict(entries);
        let check = |id, byte, expected: &str| {
            let granted = Rights::Granted(expected.parse().unwrap());
            assert_eq!(list.rights(node(id), &key(byte)), granted, "{id} {byte}");
        };
        check(1, 1, "lookup,monitor");
        check(2, 2, "all");
        check(9, 2, "none");
        check(3, 3, "send,lookup,monitor,spawn,kill,exit_signals");
        assert_eq!(list.rights(node(2), &key(1)), Rights::Retired(Denied::NodePinnedElsewhere));
        assert_eq!(list.rights(node(9), &key(9)), Rights::Refused(Denied::UnknownKey));
        let open = Allowlist::open();
        assert_eq!(open.rights(node(1), &key(1)), Rights::Granted(Permissions::default()));
    }

    #[test]
    fn every_change_is_seen_by_all_handles() {
        let list = Allowlist::strict([entry(Some(1), 1)]);
        let handle = list.clone();
        let mut before = list.generation();
        let mut grown = || {
            let now = handle.generation();
            let grown = now > before;
            before = now;
            grown
        };
        list.allow(entry(Some(2), 2));
        assert!(grown() && handle.check(node(2), &key(2)).is_ok());
        assert!(list.revoke(&key(2)));
        assert!(grown() && handle.check(node(2), &key(2)).is_err());
        list.replace([]);
        assert!(grown() && handle.check(node(1), &key(1)).is_err());
        let _ = list.check(node(1), &key(1));
        assert!(!grown());
    }

    #[test]
    fn an_open_list_can_revoke_and_allow_again() {
        let list = Allowlist::open();
        list.admit(node(1), &key(1)).unwrap();
        assert!(list.revoke(&key(1)));
        assert_eq!(list.check(node(1), &key(1)), Err(Denied::Revoked));
        assert_eq!(list.check(node(1), &key(2)), Ok(()), "the id is free again");
        list.allow(entry(Some(1), 1));
        assert_eq!(list.check(node(1), &key(1)), Ok(()));
        assert_eq!(list.check(node(1), &key(2)), Err(Denied::NodePinnedElsewhere));
    }

    #[test]
    fn the_text_form_reads_back() {
        let hex = key(0xAB).to_hex();
        let text = format!(
            "# peers\n\n 1\t{hex}  the \"till's\" Büro  \n* {hex}\r\n   # more\n65535 {}\n",
            hex.to_uppercase()
        );
        let entries = Allowlist::parse(&text).unwrap();
        let shown: Vec<_> = entries.iter().map(Entry::to_string).collect();
        assert_eq!(
            shown,
            [format!("1 {hex} the \"till's\" Büro"), format!("* {hex}"), format!("65535 {hex}")]
        );
        assert_eq!(Allowlist::parse(&shown.join("\n")).unwrap(), entries);
        assert_eq!(Allowlist::strict(entries.clone()).entries().len(), 3);
        let forged = Entry { comment: "a\n* b".into(), ..entries[0].clone() };
        assert_eq!(Allowlist::parse(&forged.to_string()).unwrap().len(), 1);
    }

    #[test]
    fn a_bad_line_is_named() {
        let hex = key(1).to_hex();
        let check = |line: &str, part: &str| {
            let error = Allowlist::parse(&format!("# first\n{line}\n")).unwrap_err();
            assert_eq!(error.line, 2);
            assert!(error.to_string().contains(part), "{error}");
        };
        check("1", "expected");
        check(&format!("0 {hex}"), "node id");
        check(&format!("x\u{1b}[0m {hex}"), "\\u{1b}");
        check(&format!("65536 {hex}"), "65536");
        check("1 abc", "64 hexadecimal digits");
        check(&format!("1 {}", "0".repeat(64)), "zeros");
        let many = format!("* {hex}\n").repeat(ALLOWLIST_ENTRIES_MAX + 1);
        assert_eq!(Allowlist::parse(&many).unwrap_err().line, ALLOWLIST_ENTRIES_MAX + 1);
    }
}

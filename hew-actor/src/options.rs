//! Settings of systems, actors and mailboxes.

use crate::cell::Decoder;
use crate::run::MESSAGES_PER_TURN;
use hew_wire::{NodeId, SERIAL_RESERVED};
use std::fmt;
use std::sync::Arc;

/// Messages that wait in a mailbox by default.
pub const MAILBOX_CAPACITY: usize = 1024;
/// Largest capacity of a mailbox; larger wishes are cut to it.
pub const MAILBOX_CAPACITY_MAX: usize = 1 << 24;

/// Settings of a [`System`](crate::System).
#[derive(Clone, Debug)]
pub struct SystemConfig {
    /// The node that the actors belong to. Default [`NodeId::LOCAL`]: a process without a node.
    pub node: NodeId,
    /// Serial of the first actor, at least [`SERIAL_RESERVED`] (lower values are raised to it), usually
    /// [`Incarnation::first_serial`](hew_wire::Incarnation::first_serial).
    pub first_serial: u64,
    /// Mailbox capacity of actors that ask for none. Default [`MAILBOX_CAPACITY`].
    pub mailbox_capacity: usize,
    /// Whether actors are measured, by type; see [`System::metrics`](crate::System::metrics). Costs two readings of the
    /// clock for each message. Default `false`: it costs nothing.
    pub metrics: bool,
}

impl Default for SystemConfig {
    fn default() -> SystemConfig {
        SystemConfig {
            node: NodeId::LOCAL,
            first_serial: SERIAL_RESERVED,
            mailbox_capacity: MAILBOX_CAPACITY,
            metrics: false,
        }
    }
}

/// Settings of one actor.
pub struct SpawnOptions<M> {
    /// What diagnostics call it. Default: nothing.
    pub label: Option<String>,
    /// Its mailbox.
    pub mailbox: MailboxOptions<M>,
    /// Makes its messages from bytes; without one it takes no messages from other nodes. Default `None`.
    pub decoder: Option<Decoder<M>>,
    /// Serial of a service, 1 to 1,023, so that other nodes can address it without asking. Default `None`: the next.
    pub serial: Option<u64>,
    /// Messages it handles before the next actor's turn; at least 1. Default [`MESSAGES_PER_TURN`].
    pub messages_per_turn: u32,
    /// Which of those that are ready to run come first. Default [`Priority::Normal`].
    pub priority: Priority,
    /// Its handlers keep their thread for long: it runs on a thread of a pool for such work instead of stalling a
    /// worker. Costs a change of threads for each activation. Default `false`.
    pub blocking: bool,
}

/// Which of the actors and tasks that are ready to run come first.
///
/// A higher class comes first, but does not starve the others: of eight turns of a worker one goes to the normal class
/// before the high one, and of 32 one to the low class before both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Before the others.
    High,
    /// As most are.
    #[default]
    Normal,
    /// When there is nothing else to do, and now and then.
    Low,
}

impl Priority {
    /// The classes, the first one first.
    pub const ALL: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

    /// The class with this position; the last one for larger numbers.
    #[inline]
    pub(crate) fn from_number(number: u8) -> Priority {
        match number {
            0 => Priority::High,
            1 => Priority::Normal,
            _ => Priority::Low,
        }
    }
}

impl<M> Default for SpawnOptions<M> {
    fn default() -> SpawnOptions<M> {
        SpawnOptions {
            label: None,
            mailbox: MailboxOptions::default(),
            decoder: None,
            serial: None,
            messages_per_turn: MESSAGES_PER_TURN,
            priority: Priority::default(),
            blocking: false,
        }
    }
}

impl<M> Clone for SpawnOptions<M> {
    fn clone(&self) -> SpawnOptions<M> {
        SpawnOptions {
            label: self.label.clone(),
            mailbox: self.mailbox.clone(),
            decoder: self.decoder.clone(),
            serial: self.serial,
            messages_per_turn: self.messages_per_turn,
            priority: self.priority,
            blocking: self.blocking,
        }
    }
}

impl<M> fmt::Debug for SpawnOptions<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnOptions")
            .field("label", &self.label)
            .field("mailbox", &self.mailbox)
            .field("serial", &self.serial)
            .field("priority", &self.priority)
            .field("blocking", &self.blocking)
            .finish_non_exhaustive()
    }
}

/// What a full mailbox does with one more message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// `send` waits. Messages from the network are dropped as under [`Overflow::DropNew`], since a link must not wait.
    #[default]
    Block,
    /// `send` drops the new message, which is counted as a dead letter, and succeeds.
    DropNew,
    /// The oldest waiting message is dropped and counted; `send` and `try_send` succeed.
    DropOld,
    /// `send` fails with the message.
    Fail,
}

/// Which messages replace each other in a full mailbox: those with equal keys. `None` never replaces nor is replaced.
pub type CoalesceKey<M> = Arc<dyn Fn(&M) -> Option<(i32, u64)> + Send + Sync>;

/// How many bytes a message counts for in what a mailbox reports; its bound is always in messages. Called twice for each
/// message, and must say the same both times.
pub type Weigh<M> = Arc<dyn Fn(&M) -> usize + Send + Sync>;

/// Settings of a mailbox.
pub struct MailboxOptions<M> {
    /// Messages that may wait, 1 to [`MAILBOX_CAPACITY_MAX`]; values outside are moved to the nearest bound. `None`
    /// (the default): the system's default.
    pub capacity: Option<usize>,
    /// What happens when it is full. Default [`Overflow::Block`].
    pub overflow: Overflow,
    /// When full, a message replaces the oldest waiting one with the same key, in place; if there is none, `overflow`
    /// decides. Default `None`: nothing is replaced.
    pub coalesce: Option<CoalesceKey<M>>,
    /// How large messages are, with what they own. Default `None`: as large as their type.
    pub weigh: Option<Weigh<M>>,
}

impl<M> Default for MailboxOptions<M> {
    fn default() -> MailboxOptions<M> {
        MailboxOptions { capacity: None, overflow: Overflow::Block, coalesce: None, weigh: None }
    }
}

impl<M> Clone for MailboxOptions<M> {
    fn clone(&self) -> MailboxOptions<M> {
        MailboxOptions {
            capacity: self.capacity,
            overflow: self.overflow,
            coalesce: self.coalesce.clone(),
            weigh: self.weigh.clone(),
        }
    }
}

impl<M> fmt::Debug for MailboxOptions<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailboxOptions")
            .field("capacity", &self.capacity)
            .field("overflow", &self.overflow)
            .field("coalesce", &self.coalesce.is_some())
            .field("weigh", &self.weigh.is_some())
            .finish()
    }
}

/// What a mailbox holds; see [`System::mailbox_stats`](crate::System::mailbox_stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailboxStats {
    /// Messages that wait, those that the actor has taken and not begun included; for capacities from
    /// [`BULK_MIN`](crate::BULK_MIN) on it may be up to [`SETTLE_MAX`](crate::SETTLE_MAX) too many.
    pub messages: usize,
    /// Their bytes: as [`MailboxOptions::weigh`] says, else as large as their type.
    pub bytes: usize,
    /// Messages that were refused by the network's side, dropped, or replaced because the mailbox was full.
    pub dropped: u64,
}

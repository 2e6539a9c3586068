//! What the system, references and the actor's own task share about one actor.

use crate::counters::Reason;
use crate::error::DeliverError;
use crate::lifecycle::Lifecycle;
use crate::mailbox::{Mailbox, SystemMessage};
use crate::monitor::{MonitorRef, Relations};
use crate::system::Shared;
use hew_wire::{ExitReason, Pid};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// Makes a message of an actor from a message type and payload bytes; the text says what is wrong with them.
///
/// Runs while the boundary of the frame is entered, so that reply addresses and references can be decoded.
pub type Decoder<M> = Arc<dyn Fn(i32, &[u8]) -> Result<M, String> + Send + Sync>;

/// One actor.
pub(crate) struct Cell<M> {
    pub(crate) serial: u64,
    pub(crate) shared: Arc<Shared>,
    pub(crate) mailbox: Mailbox<M>,
    pub(crate) relations: Relations,
    /// Whether exit signals arrive as messages. Written by its owner, read by its own task.
    pub(crate) trap_exit: AtomicBool,
    /// The actor for whose full mailbox this one's handler waits; 0: none. See `wait.rs`.
    pub(crate) waiting_on: AtomicU64,
    pub(crate) decoder: Option<Decoder<M>>,
    pub(crate) label: Option<Arc<str>>,
    /// Stopped by its supervisor rather than by the shutdown of the system.
    pub(crate) supervised: bool,
}

impl<M> Cell<M> {
    /// Its PID as everyone sees it now.
    pub(crate) fn pid(&self) -> Pid {
        Pid::new(self.shared.node(), self.serial)
    }
}

/// A [`Cell`] without its message type.
pub(crate) trait AnyCell: Send + Sync {
    fn serial(&self) -> u64;
    fn label(&self) -> Option<Arc<str>>;
    fn is_supervised(&self) -> bool;
    fn lifecycle(&self) -> Lifecycle;
    fn mailbox_len(&self) -> usize;
    fn relations(&self) -> &Relations;
    fn waiting_on(&self) -> &AtomicU64;
    fn stop(&self);
    fn kill(&self, reason: ExitReason);
    fn drain(&self);
    fn deliver(&self, msg_type: i32, payload: &[u8]) -> Result<(), DeliverError>;
    /// An exit signal without a link.
    fn exit(&self, from: Pid, reason: ExitReason);
    /// The exit signal of a link that exists no more.
    fn link_ended(&self, peer: Pid, shown: Pid, reason: ExitReason) -> bool;
    fn unlink(&self, peer: Pid) -> bool;
    fn down(&self, monitor: MonitorRef, shown: Pid, reason: ExitReason) -> bool;
    fn demonitor(&self, id: u64) -> Option<Pid>;
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<M: Send + 'static> AnyCell for Cell<M> {
    fn serial(&self) -> u64 {
        self.serial
    }

    fn label(&self) -> Option<Arc<str>> {
        self.label.clone()
    }

    fn is_supervised(&self) -> bool {
        self.supervised
    }

    fn lifecycle(&self) -> Lifecycle {
        self.mailbox.lifecycle()
    }

    fn mailbox_len(&self) -> usize {
        self.mailbox.len()
    }

    fn relations(&self) -> &Relations {
        &self.relations
    }

    fn waiting_on(&self) -> &AtomicU64 {
        &self.waiting_on
    }

    fn stop(&self) {
        self.mailbox.push_system(SystemMessage::Stop);
    }

    fn kill(&self, reason: ExitReason) {
        self.mailbox.kill(reason);
    }

    fn drain(&self) {
        self.mailbox.drain();
    }

    fn deliver(&self, msg_type: i32, payload: &[u8]) -> Result<(), DeliverError> {
        use crate::error::{AskError, TrySendError};
        use crate::mailbox::discard;
        let counters = &self.shared.counters;
        let Some(decoder) = &self.decoder else {
            counters.add(Reason::NotRemote, 1);
            return Err(DeliverError::NotRemote);
        };
        let decoded = crate::unwind::catch(|| decoder(msg_type, payload)).unwrap_or_else(Err);
        let message = decoded.map_err(|text| {
            counters.add(Reason::Undecodable, 1);
            DeliverError::Undecodable(text)
        })?;
        match self.mailbox.try_push(message, counters) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed { message, reason }) => {
                counters.add(Reason::NoProcess, discard([message], AskError::Ended(reason)));
                Err(DeliverError::NoProcess)
            }
            Err(error @ (TrySendError::Full(_) | TrySendError::Unencodable { .. })) => {
                counters.add(Reason::Full, discard([error.into_message()], AskError::Full));
                Err(DeliverError::Full)
            }
        }
    }

    fn exit(&self, from: Pid, reason: ExitReason) {
        if !self.mailbox.push_system(SystemMessage::Exit { from, reason, link: false }) {
            self.shared.counters.add(Reason::Signal, 1);
        }
    }

    fn link_ended(&self, peer: Pid, shown: Pid, reason: ExitReason) -> bool {
        self.relations.take_link(peer, || {
            if !self.mailbox.push_system(SystemMessage::Exit { from: shown, reason, link: true }) {
                self.shared.counters.add(Reason::Signal, 1);
            }
        })
    }

    fn unlink(&self, peer: Pid) -> bool {
        let shared = &self.shared;
        self.relations.unlink(peer, || {
            self.mailbox.retain_system(|message| match message {
                SystemMessage::Exit { from, link: true, .. } => shared.inner(*from) != peer,
                _ => true,
            });
        })
    }

    fn down(&self, monitor: MonitorRef, shown: Pid, reason: ExitReason) -> bool {
        let delivered = self.relations.take_monitoring(monitor.id(), || {
            self.mailbox.push_system(SystemMessage::Down { monitor, pid: shown, reason });
        });
        delivered.is_some()
    }

    fn demonitor(&self, id: u64) -> Option<Pid> {
        self.relations.demonitor(id, || {
            self.mailbox.retain_system(
                |message| !matches!(message, SystemMessage::Down { monitor, .. } if monitor.id() == id),
            );
        })
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

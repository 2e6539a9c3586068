//! Messages from the network for one actor, decoded one by one and put into its mailbox together.

use crate::cell::{Cell, Tail};
use crate::counters::Reason;
use crate::error::DeliverError;
use crate::system::System;
use crate::unwind;
use hew_wire::Pid;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// Gathers messages for one actor, so that a burst costs one lock and one wake-up; from [`System::inbox`].
///
/// What is gathered is delivered by [`Inbox::deliver`], at the latest when the inbox is dropped, in the order in which it
/// came. It keeps the memory of an actor that has ended, so it is not to be kept for long.
pub struct Inbox(Box<dyn AnyInbox>);

/// What became of the messages of an [`Inbox`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// They are in the mailbox.
    pub accepted: u64,
    /// They were dropped, counted as dead letters, and reply addresses in them answered.
    pub refused: u64,
}

impl System {
    /// A place to gather messages for the actor with this PID; `None` if there is none here.
    pub fn inbox(&self, pid: Pid) -> Option<Inbox> {
        Some(Inbox(self.shared().find(pid)?.inbox()))
    }
}

impl Inbox {
    /// Decodes a message and keeps it until [`Inbox::deliver`]. As with [`System::deliver`], enter the frame's boundary
    /// around the call.
    ///
    /// # Errors
    /// [`DeliverError::Undecodable`] or [`DeliverError::NotRemote`]; it is counted as a dead letter, and a reply address in
    /// it has been answered.
    pub fn gather(&mut self, msg_type: i32, payload: &[u8]) -> Result<(), DeliverError> {
        self.0.gather(msg_type, payload)
    }

    /// Puts what was gathered into the mailbox, without waiting.
    pub fn deliver(&mut self) -> Delivered {
        self.0.deliver()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.0.deliver();
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

/// An [`Inbox`] without its message type.
pub(crate) trait AnyInbox: Send {
    fn gather(&mut self, msg_type: i32, payload: &[u8]) -> Result<(), DeliverError>;
    fn deliver(&mut self) -> Delivered;
}

/// Of an actor that handles messages of type `M`.
pub(crate) struct TypedInbox<M, T: ?Sized> {
    pub(crate) messages: VecDeque<M>,
    pub(crate) cell: Arc<Cell<M, T>>,
}

impl<M: Send + 'static, T: Tail + 'static> AnyInbox for TypedInbox<M, T> {
    fn gather(&mut self, msg_type: i32, payload: &[u8]) -> Result<(), DeliverError> {
        let message = self.cell.decode(msg_type, payload)?;
        self.messages.push_back(message);
        Ok(())
    }

    fn deliver(&mut self) -> Delivered {
        let mut delivered = Delivered::default();
        let gathered = self.messages.len() as u64;
        if gathered == 0 {
            return delivered;
        }
        self.cell.push_all(&mut self.messages);
        // A swapped queue comes back empty.
        delivered.accepted = gathered - self.messages.len() as u64;
        while let Some(message) = self.messages.pop_front() {
            match self.cell.accept(message) {
                Ok(()) => delivered.accepted += 1,
                Err(_) => delivered.refused += 1,
            }
        }
        delivered
    }
}

impl<M: Send + 'static, T: Tail + 'static> Cell<M, T> {
    /// A message from bytes, if this actor takes messages as bytes.
    pub(crate) fn decode(&self, msg_type: i32, payload: &[u8]) -> Result<M, DeliverError> {
        let Some(decoder) = self.extras.as_ref().and_then(|extras| extras.decoder.as_ref()) else {
            self.shared.lost(Reason::NotRemote, self.serial, 1);
            return Err(DeliverError::NotRemote);
        };
        unwind::catch(|| decoder(msg_type, payload)).unwrap_or_else(Err).map_err(|text| {
            self.shared.lost(Reason::Undecodable, self.serial, 1);
            DeliverError::Undecodable(text)
        })
    }
}

//! The system lane: what the system tells an actor.

use crate::monitor::MonitorRef;
use hew_wire::{ExitReason, Pid};
use std::collections::VecDeque;

/// Most exit signals that wait in a system lane; more are dropped and counted. Stops and monitors are not bounded by
/// this: there is at most one stop, and one message for each monitor that the actor itself made.
pub const SIGNALS_MAX: usize = 65_536;

/// A message of the system lane.
#[derive(Debug)]
pub(crate) enum SystemMessage {
    Stop,
    Exit { from: Pid, reason: ExitReason, link: bool },
    Down { monitor: MonitorRef, pid: Pid, reason: ExitReason },
}

/// System messages in the order in which they came.
#[derive(Default)]
pub(crate) struct Lane {
    messages: VecDeque<SystemMessage>,
    /// Exit signals among them.
    signals: usize,
}

impl Lane {
    /// Adds a message; `false`: there are too many signals.
    pub(crate) fn push(&mut self, message: SystemMessage) -> bool {
        if matches!(message, SystemMessage::Exit { .. }) {
            if self.signals == SIGNALS_MAX {
                return false;
            }
            self.signals += 1;
        }
        self.messages.push_back(message);
        true
    }

    pub(crate) fn pop(&mut self) -> Option<SystemMessage> {
        let message = self.messages.pop_front()?;
        self.signals -= usize::from(matches!(message, SystemMessage::Exit { .. }));
        Some(message)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&SystemMessage) -> bool) {
        self.messages.retain(keep);
        self.signals = self.messages.iter().filter(|m| matches!(m, SystemMessage::Exit { .. })).count();
    }
}

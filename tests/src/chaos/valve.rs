//! What a test does by hand to a connection that is under way.

use super::fate::Way;
use event_listener::{Event, EventListener};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What becomes of the bytes in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Flow {
    /// They pass.
    #[default]
    Pass,
    /// They wait on the way.
    Hold,
    /// They vanish without a sign.
    Swallow,
    /// Both streams end.
    End,
}

#[derive(Debug, Default)]
struct State {
    forth: Flow,
    back: Flow,
    /// Nothing is to go wrong any more.
    calm: bool,
}

/// One for each connection.
#[derive(Debug, Default)]
pub(super) struct Valve {
    state: Mutex<State>,
    changed: Event,
}

impl Valve {
    pub(super) fn set(&self, way: Way, flow: Flow) {
        match way {
            Way::Forth => self.lock().forth = flow,
            Way::Back => self.lock().back = flow,
        }
        self.changed.notify(usize::MAX);
    }

    pub(super) fn calm(&self) {
        self.lock().calm = true;
        self.changed.notify(usize::MAX);
    }

    pub(super) fn flow(&self, way: Way) -> Flow {
        match way {
            Way::Forth => self.lock().forth,
            Way::Back => self.lock().back,
        }
    }

    pub(super) fn is_calm(&self) -> bool {
        self.lock().calm
    }

    /// Resolves when something was set; made before looking.
    pub(super) fn listen(&self) -> EventListener {
        self.changed.listen()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

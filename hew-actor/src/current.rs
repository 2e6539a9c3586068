//! Which actor the current thread is running, and what becomes of reply addresses that are dropped unanswered.

use crate::error::AskError;
use std::cell::{Cell, RefCell};

/// The actor whose task this thread is polling.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Current {
    /// Which system of this process.
    pub(crate) system: u64,
    /// Which of its actors.
    pub(crate) serial: u64,
}

/// Something that owes an answer and was dropped.
pub(crate) type Orphan = Box<dyn FnOnce(AskError)>;

thread_local! {
    static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
    /// What an address that is dropped now answers; `None`: `NoReply`.
    static FATE: RefCell<Option<AskError>> = const { RefCell::new(None) };
    /// Addresses dropped while a handler unwinds: they wait for the text of its panic.
    static ORPHANS: RefCell<Vec<Orphan>> = const { RefCell::new(Vec::new()) };
}

/// The actor that this thread is running, if any.
pub(crate) fn current() -> Option<Current> {
    CURRENT.get()
}

/// Runs one poll of an actor's task.
pub(crate) fn enter<R>(current: Current, poll: impl FnOnce() -> R) -> R {
    struct Restore(Option<Current>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let restore = Restore(CURRENT.replace(Some(current)));
    let result = poll();
    drop(restore);
    // A handler that catches a panic of its own leaves orphans that no end of the actor will answer.
    answer_orphans(&AskError::NoReply);
    result
}

/// Answers the addresses that were dropped during a panic on this thread.
pub(crate) fn answer_orphans(error: &AskError) {
    let orphans = ORPHANS.with_borrow_mut(std::mem::take);
    for orphan in orphans {
        orphan(error.clone());
    }
}

/// Runs `f`; reply addresses that it drops answer `error`.
pub(crate) fn discarding<R>(error: AskError, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<AskError>);
    impl Drop for Restore {
        fn drop(&mut self) {
            set_fate(self.0.take());
        }
    }
    let _restore = Restore(set_fate(Some(error)));
    f()
}

/// Sets what addresses that are dropped from now on answer, and returns what was set.
pub(crate) fn set_fate(error: Option<AskError>) -> Option<AskError> {
    FATE.try_with(|fate| std::mem::replace(&mut *fate.borrow_mut(), error)).unwrap_or(None)
}

/// An address was dropped unanswered: answers it now, or when the panic under way is understood.
pub(crate) fn orphaned(orphan: impl FnOnce(AskError) + 'static) {
    let fate = FATE.try_with(|fate| fate.borrow().clone()).unwrap_or(None);
    match fate {
        Some(error) => orphan(error),
        None if std::thread::panicking() && current().is_some() => {
            ORPHANS.with_borrow_mut(|orphans| orphans.push(Box::new(orphan)));
        }
        None => orphan(AskError::NoReply),
    }
}

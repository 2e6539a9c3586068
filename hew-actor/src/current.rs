//! Which actor the current thread is running, and what becomes of reply addresses that are dropped unanswered.

use crate::error::AskError;
use crate::nudge::Nudge;
use crate::sync::thread_local;
use std::cell::{Cell, RefCell};
use std::task::Waker;

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
    /// Its system and serial; systems are counted from 1, so 0 is none.
    static CURRENT: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    /// The data of its own waker, and the alarm for its questions; null outside of [`enter`].
    static NUDGE: Cell<(*const (), *const Nudge)> = const { Cell::new((std::ptr::null(), std::ptr::null())) };
    /// What an address that is dropped now answers; `None`: `NoReply`.
    static FATE: RefCell<Option<AskError>> = const { RefCell::new(None) };
    /// Addresses dropped while a handler unwinds: they wait for the text of its panic.
    static ORPHANS: RefCell<Vec<Orphan>> = const { RefCell::new(Vec::new()) };
    /// Whether there are any.
    static ORPHANED: Cell<bool> = const { Cell::new(false) };
}

/// The actor that this thread is running, if any.
pub(crate) fn current() -> Option<Current> {
    let (system, serial) = CURRENT.get();
    (system != 0).then_some(Current { system, serial })
}

/// The alarm of the actor that this thread is running, if `waker` is that actor's own: if its call polls whatever is
/// polled now.
pub(crate) fn with_nudge<R>(waker: &Waker, f: impl FnOnce(&Nudge) -> R) -> Option<R> {
    let (own, nudge) = NUDGE.get();
    if waker.data() != own {
        return None;
    }
    // SAFETY: null, or what `enter` was given as a reference; it takes the pointer away before it returns.
    unsafe { nudge.as_ref() }.map(f)
}

/// Runs one activation of an actor.
#[inline]
pub(crate) fn enter<R>(current: Current, waker: &Waker, nudge: &Nudge, poll: impl FnOnce() -> R) -> R {
    struct Restore((u64, u64), (*const (), *const Nudge));
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
            NUDGE.set(self.1);
        }
    }
    let restore = Restore(
        CURRENT.replace((current.system, current.serial)),
        NUDGE.replace((waker.data(), std::ptr::from_ref(nudge))),
    );
    let result = poll();
    drop(restore);
    result
}

/// Answers the addresses that were dropped during a panic on this thread.
#[inline]
pub(crate) fn answer_orphans(error: &AskError) {
    if ORPHANED.get() {
        answer_all(error);
    }
}

#[cold]
fn answer_all(error: &AskError) {
    ORPHANED.set(false);
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
            ORPHANED.set(true);
        }
        None => orphan(AskError::NoReply),
    }
}

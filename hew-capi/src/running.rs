//! Which actor of this process the current thread is running.

use crate::actor_entry::ActorEntry;
use hew_wire::Pid;
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    static RUNNING: RefCell<Option<Arc<ActorEntry>>> = const { RefCell::new(None) };
}

/// Runs `f` as the handler of `entry`.
pub(crate) fn enter<R>(entry: &Arc<ActorEntry>, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<Arc<ActorEntry>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            RUNNING.set(self.0.take());
        }
    }
    let _restore = Restore(RUNNING.replace(Some(Arc::clone(entry))));
    f()
}

/// The actor whose handler this thread is in.
pub(crate) fn actor() -> Option<Arc<ActorEntry>> {
    RUNNING.try_with(|running| running.borrow().clone()).unwrap_or(None)
}

/// Its PID.
pub(crate) fn pid() -> Option<Pid> {
    actor().and_then(|entry| entry.pid())
}

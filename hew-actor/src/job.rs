//! What run queues hold: the turn of an actor, or a task that was woken.

use crate::scratch::Scratch;
use std::ptr::NonNull;

/// Runs an actor of one type. The pointer is that of an `Arc` of its cell, which the call takes over.
///
/// # Safety
/// As for [`ActorJob::new`].
pub(crate) type Run = unsafe fn(NonNull<()>, &mut Scratch);

/// Something to run.
pub(crate) enum Job {
    Actor(ActorJob),
    Task(async_task::Runnable),
}

/// The turn of one actor, of which there is one: who holds it runs the actor, and nobody else does.
///
/// It owns a strong reference of the actor's cell. While the actor is parked that reference is nobody's, and who ends
/// the wait takes it up again with the turn. A turn that is dropped without being run leaks its actor; no code does that.
pub(crate) struct ActorJob {
    cell: NonNull<()>,
    run: Run,
}

// SAFETY: a cell is `Send` and `Sync` (`System::spawn_inner` makes both of them from one), and the turn of an actor may
// pass from thread to thread, as actors are `Send`.
unsafe impl Send for ActorJob {}

impl ActorJob {
    /// The turn of the actor whose cell this is.
    ///
    /// # Safety
    /// `cell` comes from `Arc::into_raw` of the cell that `run` is for, the caller owns that strong reference, and has
    /// just taken the actor out of the state in which nobody has its turn (or just made it).
    #[inline]
    pub(crate) unsafe fn new(cell: NonNull<()>, run: Run) -> ActorJob {
        ActorJob { cell, run }
    }
}

impl Job {
    /// Runs it until it waits, has ended, or its turn is over.
    #[inline]
    pub(crate) fn run(self, scratch: &mut Scratch) {
        match self {
            // SAFETY: `ActorJob::new` had the turn and the reference, and `self` gives both up here.
            Job::Actor(ActorJob { cell, run }) => unsafe { run(cell, scratch) },
            Job::Task(runnable) => {
                runnable.run();
            }
        }
    }
}

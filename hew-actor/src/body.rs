//! The private part of an actor's cell: the actor value, its context, and where it is in its hooks.
//!
//! Only who has the actor's turn touches it. The turn is a [`Job`](crate::job::Job), of which the mailbox makes sure that
//! there is one; so each access here relies on the same fact, and every function says so.

use crate::actor::Actor;
use crate::cell::{Cell, Tail};
use crate::context::Context;
use crate::ending::Ending;
use crate::mailbox::Batch;
use crate::nudge::Nudge;
use crate::reply::ReplyTo;
use crate::run;
use crate::scratch::{Scratch, Waiting};
use crate::sync::UnsafeCell;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

/// What only the runner of an actor may touch. Three cells, because a hook that waits keeps the actor and its context
/// borrowed while its progress goes on.
pub(crate) struct Body<A: Actor> {
    actor: std::cell::UnsafeCell<Option<A>>,
    context: std::cell::UnsafeCell<Option<Context<A::Message>>>,
    /// In a cell of [`sync`](crate::sync), so that a model sees it when two threads run one actor.
    progress: UnsafeCell<Progress<A::Message>>,
    nudge: Nudge,
    per_turn: u32,
}

// SAFETY: the cells are reached through `Runner` only, which one thread at a time has (see `Runner::new`), so sharing a
// body is sending what is in it: the actor and its messages are `Send` by their traits, the context holds a reference to a
// cell, which is `Sync`, and the hook is `Send` by its type.
unsafe impl<A: Actor> Sync for Body<A> {}

impl<A: Actor> Tail for Body<A> {}

/// Where an actor is in its hooks.
pub(crate) struct Progress<M> {
    /// The hook that waits. It borrows the actor and the context.
    pub(crate) waiting: Option<Waiting>,
    pub(crate) stage: Stage,
    pub(crate) batch: Batch<M>,
    /// Answered when the start hook is over.
    pub(crate) started: Option<Box<ReplyTo<()>>>,
    /// Why it ends, if it ended now.
    pub(crate) end: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The start hook comes, or waits.
    Starting,
    /// Messages come, or the handler of one waits.
    Serving,
    /// The mailbox is closed; the stop hook comes, or waits.
    Stopping,
}

impl<A: Actor> Body<A> {
    pub(crate) fn new(actor: A, per_turn: u32, started: Option<ReplyTo<()>>) -> Body<A> {
        let progress = Progress {
            waiting: None,
            stage: Stage::Starting,
            batch: Batch::default(),
            started: started.map(Box::new),
            end: Ending::Killed,
        };
        Body {
            actor: std::cell::UnsafeCell::new(Some(actor)),
            context: std::cell::UnsafeCell::new(None),
            progress: UnsafeCell::new(progress),
            nudge: Nudge::default(),
            per_turn: per_turn.max(1),
        }
    }
}

/// A cell, by whoever has the turn of its actor.
pub(crate) struct Runner<'a, A: Actor> {
    cell: &'a Arc<Cell<A::Message, Body<A>>>,
}

impl<'a, A: Actor> Runner<'a, A> {
    /// # Safety
    /// The caller has the turn of this actor, and keeps it for `'a`; it has no other runner.
    unsafe fn new(cell: &'a Arc<Cell<A::Message, Body<A>>>) -> Runner<'a, A> {
        Runner { cell }
    }

    #[inline]
    pub(crate) fn cell(&self) -> &'a Cell<A::Message, Body<A>> {
        self.cell
    }

    #[inline]
    pub(crate) fn per_turn(&self) -> u32 {
        self.cell.tail.per_turn
    }

    /// The alarm for the actor's questions.
    #[inline]
    pub(crate) fn nudge(&self) -> &'a Nudge {
        &self.cell.tail.nudge
    }

    /// Runs `f` with the progress, apart from which `f` may use everything here but this function.
    #[inline]
    pub(crate) fn with_progress<R>(
        &mut self,
        f: impl FnOnce(&mut Self, &mut Progress<A::Message>) -> R,
    ) -> R {
        let pointer = self.cell.tail.progress.get_mut();
        // SAFETY: by `Runner::new` nobody else has access; `f` has none through `self`, as said above: this is called once
        // for each activation, by `run::activate`.
        let progress = unsafe { pointer.deref() };
        f(self, progress)
    }

    /// The actor and its context, for a hook.
    ///
    /// # Safety
    /// No hook waits, and whatever the result is borrowed for ends before the next call and before
    /// [`Runner::take_actor`].
    #[inline]
    pub(crate) unsafe fn actor(&mut self) -> Option<(&'a mut A, &'a mut Context<A::Message>)> {
        let body = &self.cell.tail;
        // SAFETY: by `Runner::new` nobody else has access, and by this function's contract no earlier borrow is left.
        let (actor, context) = unsafe { (&mut *body.actor.get(), &mut *body.context.get()) };
        Some((actor.as_mut()?, context.as_mut()?))
    }

    /// Takes the actor value out, to drop it.
    ///
    /// # Safety
    /// No hook waits.
    pub(crate) unsafe fn take_actor(&mut self) -> Option<A> {
        // SAFETY: as in `actor`.
        unsafe { &mut *self.cell.tail.actor.get() }.take()
    }

    /// Takes the context out; with it goes a reference of the cell to itself.
    ///
    /// # Safety
    /// No hook waits.
    pub(crate) unsafe fn take_context(&mut self) -> Option<Context<A::Message>> {
        // SAFETY: as in `actor`.
        unsafe { &mut *self.cell.tail.context.get() }.take()
    }
}

/// Gives a new cell its context. Until this and the first job, nobody runs the actor.
pub(crate) fn furnish<A: Actor>(cell: &Arc<Cell<A::Message, Body<A>>>) {
    let shared: Arc<Cell<A::Message>> = cell.clone();
    // SAFETY: the cell was just made by `System::spawn_inner`, which calls this before it shows it to anybody.
    unsafe { *cell.tail.context.get() = Some(Context::new(shared, cell.tail.per_turn)) };
}

/// Empties a cell that was never scheduled, and so breaks the circle that `furnish` closed.
pub(crate) fn unfurnish<A: Actor>(cell: &Arc<Cell<A::Message, Body<A>>>) {
    // SAFETY: nobody has the turn of an actor that was never scheduled, and its only holder is the caller.
    let mut runner = unsafe { Runner::new(cell) };
    // SAFETY: no hook has begun.
    drop(unsafe { (runner.take_actor(), runner.take_context()) });
}

/// Puts a new actor into a run queue for the first time.
pub(crate) fn launch<A: Actor>(cell: &Arc<Cell<A::Message, Body<A>>>) {
    let _taken_over = Arc::into_raw(cell.clone());
    // SAFETY: a new mailbox says `Turn::Queued`, so nobody else schedules; the reference was made in the line above.
    unsafe { cell.schedule() };
}

/// Runs an actor until it waits, has ended, or its turn is over: the [`Run`](crate::job::Run) of its type.
///
/// # Safety
/// As for [`ActorJob::new`](crate::job::ActorJob::new), for a cell of `A`.
pub(crate) unsafe fn run<A: Actor>(cell: NonNull<()>, scratch: &mut Scratch) {
    // SAFETY: the caller's reference. It is not dropped by leaving this function, because a parked actor keeps it.
    let cell = ManuallyDrop::new(unsafe { Arc::from_raw(cell.as_ptr().cast::<Cell<A::Message, Body<A>>>()) });
    // SAFETY: the caller has the turn. It ends when `activate` says so, and the runner with it.
    let runner = unsafe { Runner::<A>::new(&cell) };
    match run::activate(runner, scratch) {
        // The last thing: from then on somebody else may run, end and free it.
        run::Rest::Parked(parking) => return drop(parking),
        // SAFETY: `activate` has set it to queued, and the reference goes on with the turn.
        run::Rest::Queued => return unsafe { cell.schedule() },
        run::Rest::Over => {}
    }
    drop(ManuallyDrop::into_inner(cell));
}

/// The waker of an actor's hooks, without a reference of its own: for as long as the actor runs.
pub(crate) fn waker<A: Actor>(runner: &Runner<'_, A>) -> ManuallyDrop<Waker> {
    let pointer = Arc::as_ptr(runner.cell).cast();
    // SAFETY: the functions of the table do what `RawWaker` asks for, for a pointer from `Arc`. This waker owns no reference
    // and must not be dropped, which `ManuallyDrop` sees to; the runner's cell outlives the poll for which it is made.
    ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(pointer, Wakers::<A>::TABLE)) })
}

struct Wakers<A>(std::marker::PhantomData<A>);

impl<A: Actor> Wakers<A> {
    const TABLE: &'static RawWakerVTable =
        &RawWakerVTable::new(Self::clone, Self::wake, Self::wake_by_ref, Self::drop);

    /// # Safety
    /// `data` is that of a waker of this table whose cell lives. So in the functions below.
    unsafe fn clone(data: *const ()) -> RawWaker {
        // SAFETY: the pointer is an `Arc`'s, and the waker that is cloned keeps its cell alive.
        unsafe { Arc::increment_strong_count(data.cast::<Cell<A::Message, Body<A>>>()) };
        RawWaker::new(data, Self::TABLE)
    }

    /// # Safety
    /// As for `clone`; the waker's reference is given up.
    unsafe fn wake(data: *const ()) {
        // SAFETY: the waker's own reference, which `clone` made.
        unsafe { Arc::from_raw(data.cast::<Cell<A::Message, Body<A>>>()) }.woken();
    }

    /// # Safety
    /// As for `clone`.
    unsafe fn wake_by_ref(data: *const ()) {
        // SAFETY: the waker keeps its cell alive for the call.
        unsafe { &*data.cast::<Cell<A::Message, Body<A>>>() }.woken();
    }

    /// # Safety
    /// As for `wake`.
    unsafe fn drop(data: *const ()) {
        // SAFETY: as in `wake`.
        drop(unsafe { Arc::from_raw(data.cast::<Cell<A::Message, Body<A>>>()) });
    }
}

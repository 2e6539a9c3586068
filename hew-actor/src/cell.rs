//! What the system, references and whoever runs the actor share about one actor.

use crate::counters::Reason;
use crate::error::{AskError, DeliverError, TrySendError};
use crate::inbox::{AnyInbox, TypedInbox};
use crate::job::{ActorJob, Job, Run};
use crate::lifecycle::Lifecycle;
use crate::mailbox::{Mailbox, SystemMessage, Turn};
use crate::metrics::Kind;
use crate::monitor::{MonitorRef, Relations};
use crate::options::Priority;
use crate::reference::ActorRef;
use crate::sync::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use crate::system::Shared;
use hew_wire::{ExitReason, Pid};
use std::any::Any;
use std::collections::VecDeque;
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;
use std::sync::atomic::AtomicPtr;

/// Makes a message of an actor from a message type and payload bytes; the text says what is wrong with them.
///
/// Runs while the boundary of the frame is entered, so that reply addresses and references can be decoded.
pub type Decoder<M> = Arc<dyn Fn(i32, &[u8]) -> Result<M, String> + Send + Sync>;

/// One actor. Its tail is the actor itself ([`Body`](crate::body::Body)), of a type that references do not know.
pub(crate) struct Cell<M, T: ?Sized = dyn Tail> {
    pub(crate) serial: u64,
    pub(crate) shared: Arc<Shared>,
    pub(crate) mailbox: Mailbox<M>,
    pub(crate) relations: Relations,
    /// The actor for whose full mailbox this one's handler waits; 0: none. See `wait.rs`.
    pub(crate) waiting_on: AtomicU64,
    /// Whether exit signals arrive as messages. Written by its owner, read by whoever runs it.
    pub(crate) trap_exit: AtomicBool,
    /// A [`Priority`], by position. Written by anybody, read by whoever schedules it.
    pub(crate) priority: AtomicU8,
    /// Runs on threads of its own.
    pub(crate) blocking: bool,
    /// Stopped by its supervisor rather than by the shutdown of the system.
    pub(crate) supervised: bool,
    pub(crate) extras: Option<Box<Extras<M>>>,
    /// What `Arc::into_raw` of this cell returns; written once, by [`Cell::settle_in`], before anybody else sees it.
    own: AtomicPtr<()>,
    run: Run,
    pub(crate) tail: T,
}

/// What lies behind the shared part of a cell.
pub(crate) trait Tail: Send + Sync {}

/// What few actors have.
pub(crate) struct Extras<M> {
    pub(crate) decoder: Option<Decoder<M>>,
    pub(crate) label: Option<Arc<str>>,
    /// With metrics: those of the actor's type.
    pub(crate) kind: Option<Arc<Kind>>,
}

/// How a cell is made.
pub(crate) struct Blueprint<M> {
    pub(crate) serial: u64,
    pub(crate) shared: Arc<Shared>,
    pub(crate) mailbox: Mailbox<M>,
    pub(crate) extras: Option<Box<Extras<M>>>,
    pub(crate) priority: Priority,
    pub(crate) blocking: bool,
    pub(crate) supervised: bool,
}

impl<M, T> Cell<M, T> {
    pub(crate) fn new(blueprint: Blueprint<M>, run: Run, tail: T) -> Arc<Cell<M, T>> {
        let Blueprint { serial, shared, mailbox, extras, priority, blocking, supervised } = blueprint;
        let cell = Arc::new(Cell {
            serial,
            shared,
            mailbox,
            relations: Relations::default(),
            waiting_on: AtomicU64::new(0),
            trap_exit: AtomicBool::new(false),
            priority: AtomicU8::new(priority as u8),
            blocking,
            supervised,
            extras,
            own: AtomicPtr::new(null_mut()),
            run,
            tail,
        });
        cell.own.store(Arc::as_ptr(&cell).cast_mut().cast(), std::sync::atomic::Ordering::Relaxed);
        cell
    }
}

impl<M, T: ?Sized> Cell<M, T> {
    /// Its PID as everyone sees it now.
    pub(crate) fn pid(&self) -> Pid {
        Pid::new(self.shared.node(), self.serial)
    }

    pub(crate) fn kind(&self) -> Option<&Arc<Kind>> {
        self.extras.as_ref()?.kind.as_ref()
    }

    /// Puts the turn of this actor into a run queue.
    ///
    /// # Safety
    /// The caller has its turn: it has just ended its wait (the mailbox told it to schedule), or ran it until now and
    /// has set it to queued, or has just made it. It gives up a strong reference of the cell: the one that a parked
    /// actor leaves behind, the one with which it ran, or one that it made for this.
    #[inline]
    pub(crate) unsafe fn schedule(&self) {
        let own = self.own.load(std::sync::atomic::Ordering::Relaxed);
        let Some(own) = NonNull::new(own) else { unreachable!("set when the cell was made") };
        // SAFETY: `own` is what `Arc::into_raw` returns and `run` is for this type of cell (both by `Cell::new`); turn and
        // reference are the caller's.
        let job = Job::Actor(unsafe { ActorJob::new(own, self.run) });
        let runtime = &self.shared.runtime;
        if self.blocking {
            return runtime.schedule_blocking(job);
        }
        runtime.schedule(job, Priority::from_number(self.priority.load(Ordering::Relaxed)));
    }

    /// Schedules the actor if its mailbox says that its wait has just ended.
    #[inline]
    fn follow(&self, wake: bool) {
        if wake {
            // SAFETY: the mailbox ends the wait of a parked actor exactly once (it sets `Turn::Queued` under its lock) and
            // tells it to this caller only; the reference is the one that the actor left behind when it was parked.
            unsafe { self.schedule() };
        }
    }

    /// Sends without waiting; see [`Mailbox::try_push`].
    #[inline(always)]
    pub(crate) fn try_send(&self, message: M, announce: bool) -> Result<(), TrySendError<M>> {
        let pushed = self.mailbox.try_push(message, announce, || self.shared.runtime.now())?;
        self.follow(pushed.wake);
        if let Some((displaced, reason)) = pushed.displaced {
            self.shared.discard([displaced], reason, AskError::Full, self.serial);
        }
        Ok(())
    }

    /// Sends what came from another node, without waiting.
    pub(crate) fn accept(&self, message: M) -> Result<(), DeliverError> {
        let shared = &self.shared;
        match self.try_send(message, false) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed { message, reason }) => {
                shared.discard([message], Reason::NoProcess, AskError::Ended(reason), self.serial);
                Err(DeliverError::NoProcess)
            }
            Err(error @ (TrySendError::Full(_) | TrySendError::Unencodable { .. })) => {
                self.mailbox.note_dropped();
                shared.discard([error.into_message()], Reason::Full, AskError::Full, self.serial);
                Err(DeliverError::Full)
            }
        }
    }

    /// Sends as many as there is room for at once; the others stay.
    pub(crate) fn push_all(&self, messages: &mut VecDeque<M>) {
        self.follow(self.mailbox.push_all(messages, || self.shared.runtime.now()));
    }

    pub(crate) fn stop(&self) {
        self.follow(self.mailbox.push_system(SystemMessage::Stop).1);
    }

    pub(crate) fn kill(&self, reason: ExitReason) {
        self.follow(self.mailbox.kill(reason));
    }

    pub(crate) fn drain(&self) {
        self.follow(self.mailbox.drain());
    }

    pub(crate) fn woken(&self) {
        self.follow(self.mailbox.woken());
    }

    /// Puts a message into the system lane; whether it was accepted.
    fn tell(&self, message: SystemMessage) -> bool {
        let (accepted, wake) = self.mailbox.push_system(message);
        self.follow(wake);
        accepted
    }
}

/// A [`Cell`] without its message type.
pub(crate) trait AnyCell: Send + Sync {
    fn serial(&self) -> u64;
    fn label(&self) -> Option<Arc<str>>;
    fn is_supervised(&self) -> bool;
    fn lifecycle(&self) -> Lifecycle;
    /// Whether its turn is in a run queue, or on its way to one.
    fn is_queued(&self) -> bool;
    fn mailbox_len(&self) -> usize;
    fn mailbox_bytes(&self) -> usize;
    fn mailbox_dropped(&self) -> u64;
    fn kind(&self) -> Option<Arc<Kind>>;
    fn priority(&self) -> &AtomicU8;
    fn relations(&self) -> &Relations;
    fn waiting_on(&self) -> &AtomicU64;
    fn stop(&self);
    fn kill(&self, reason: ExitReason);
    fn drain(&self);
    fn deliver(&self, msg_type: i32, payload: &[u8]) -> Result<(), DeliverError>;
    fn inbox(self: Arc<Self>) -> Box<dyn AnyInbox>;
    /// An exit signal without a link.
    fn exit(&self, from: Pid, reason: ExitReason);
    /// The exit signal of a link that exists no more.
    fn link_ended(&self, peer: Pid, shown: Pid, reason: ExitReason) -> bool;
    fn unlink(&self, peer: Pid) -> bool;
    fn down(&self, monitor: MonitorRef, shown: Pid, reason: ExitReason) -> bool;
    fn demonitor(&self, id: u64) -> Option<Pid>;
    /// Sets `place`, an `Option<ActorRef<M>>`, if `M` is what this actor handles.
    fn refer(self: Arc<Self>, place: &mut dyn Any);
}

impl<M: Send + 'static, T: Tail + 'static> AnyCell for Cell<M, T> {
    fn serial(&self) -> u64 {
        self.serial
    }

    fn label(&self) -> Option<Arc<str>> {
        self.extras.as_ref()?.label.clone()
    }

    fn is_supervised(&self) -> bool {
        self.supervised
    }

    fn lifecycle(&self) -> Lifecycle {
        self.mailbox.lifecycle()
    }

    fn is_queued(&self) -> bool {
        self.mailbox.word().turn() == Turn::Queued
    }

    fn mailbox_len(&self) -> usize {
        self.mailbox.len()
    }

    fn mailbox_bytes(&self) -> usize {
        self.mailbox.bytes()
    }

    fn mailbox_dropped(&self) -> u64 {
        self.mailbox.dropped()
    }

    fn kind(&self) -> Option<Arc<Kind>> {
        Cell::kind(self).cloned()
    }

    fn priority(&self) -> &AtomicU8 {
        &self.priority
    }

    fn relations(&self) -> &Relations {
        &self.relations
    }

    fn waiting_on(&self) -> &AtomicU64 {
        &self.waiting_on
    }

    fn stop(&self) {
        Cell::stop(self);
    }

    fn kill(&self, reason: ExitReason) {
        Cell::kill(self, reason);
    }

    fn drain(&self) {
        Cell::drain(self);
    }

    fn deliver(&self, msg_type: i32, payload: &[u8]) -> Result<(), DeliverError> {
        self.accept(self.decode(msg_type, payload)?)
    }

    fn inbox(self: Arc<Self>) -> Box<dyn AnyInbox> {
        Box::new(TypedInbox { messages: VecDeque::new(), cell: self })
    }

    fn exit(&self, from: Pid, reason: ExitReason) {
        if !self.tell(SystemMessage::Exit { from, reason, link: false }) {
            self.shared.lost(Reason::Signal, self.serial, 1);
        }
    }

    fn link_ended(&self, peer: Pid, shown: Pid, reason: ExitReason) -> bool {
        self.relations.take_link(peer, || {
            if !self.tell(SystemMessage::Exit { from: shown, reason, link: true }) {
                self.shared.lost(Reason::Signal, self.serial, 1);
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
            self.tell(SystemMessage::Down { monitor, pid: shown, reason });
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

    fn refer(self: Arc<Self>, place: &mut dyn Any) {
        if let Some(place) = place.downcast_mut::<Option<ActorRef<M>>>() {
            *place = Some(ActorRef::local(self));
        }
    }
}

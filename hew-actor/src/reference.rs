//! References to actors: send, ask, stop.

use crate::boundary::{self, ImportedActor};
use crate::cell::Cell;
use crate::counters::Reason;
use crate::error::{AskError, SendError, TrySendError};
use crate::options::Overflow;
use crate::reply::{self, ReplyTo};
use crate::system::{Shared, System};
use crate::timer::{self, TimerRef};
use crate::wait;
use hew_wire::payload::encode_payload;
use hew_wire::{ExitReason, Pid};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

/// How long [`ActorRef::ask`] waits for an answer.
pub const ASK_DEADLINE: Duration = Duration::from_secs(5);

/// A boxed future, for traits used as objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A reference to an actor that handles messages of type `M`, here or on another node. Cheap to clone.
///
/// It does not keep the actor alive, but it keeps the memory in which the actor was. Two references are equal when their
/// PIDs are.
pub struct ActorRef<M> {
    place: Place<M>,
}

enum Place<M> {
    Local(Arc<Cell<M>>),
    Elsewhere(Arc<Elsewhere<M>>),
}

/// An actor that is not one of this system.
struct Elsewhere<M> {
    pid: Pid,
    system: System,
    /// `None`: an actor of this node that had ended when the reference was decoded.
    mailbox: Option<Arc<dyn RemoteActor<M>>>,
}

/// The way to an actor of another node for one message type; the node implements it.
pub trait RemoteActor<M>: Send + Sync {
    /// Hands the message to the link without waiting.
    ///
    /// # Errors
    /// The message was not sent and comes back, with reply addresses in it working as before.
    fn try_send(&self, target: Pid, message: M) -> Result<(), TrySendError<M>>;
    /// Resolves when, after [`TrySendError::Full`], it is worth trying again. May resolve early.
    fn ready(&self) -> BoxFuture<'_, ()>;
    /// Whether so much waits in the link that a sender should give it its turn before it goes on. Default: no.
    fn is_crowded(&self) -> bool {
        false
    }
    /// Asks the actor to stop.
    fn stop(&self, target: Pid);
    /// Ends the actor without asking.
    fn kill(&self, target: Pid);
}

/// The way to another node for messages of any type as bytes; the node implements it once.
///
/// Wrapped by [`ActorRef::remote_encoded`] into a [`RemoteActor`] for each message type that serde can write.
pub trait RemoteMailbox: Send + Sync {
    /// Encodes the message, with a boundary of its own entered, and hands it to the link without waiting.
    ///
    /// # Errors
    /// The message was not sent.
    fn try_send(&self, target: Pid, message: &dyn Outgoing) -> Result<(), Refused>;
    /// As [`RemoteActor::ready`].
    fn ready(&self) -> BoxFuture<'_, ()>;
    /// As [`RemoteActor::is_crowded`].
    fn is_crowded(&self) -> bool {
        false
    }
    /// As [`RemoteActor::stop`].
    fn stop(&self, target: Pid);
    /// As [`RemoteActor::kill`].
    fn kill(&self, target: Pid);
}

/// A message that can be written as bytes, whatever its type.
pub trait Outgoing {
    /// Appends the payload to `out` and returns the message type. On errors `out` holds garbage after its old end.
    ///
    /// # Errors
    /// The text says what cannot be written.
    fn encode(&self, out: &mut Vec<u8>) -> Result<i32, String>;
}

/// Why a [`RemoteMailbox`] did not take a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The link has no room now.
    Full,
    /// The actor or its node is gone.
    Closed(ExitReason),
    /// The message cannot be written as bytes.
    Unencodable(String),
}

struct Typed<'a, M>(&'a M);

impl<M: Serialize> Outgoing for Typed<'_, M> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<i32, String> {
        encode_payload(self.0, out).map_err(|error| error.to_string())
    }
}

/// A [`RemoteMailbox`] as a [`RemoteActor`] of each type that serde can write.
struct Encoded(Arc<dyn RemoteMailbox>);

impl<M: Serialize + Send> RemoteActor<M> for Encoded {
    fn try_send(&self, target: Pid, message: M) -> Result<(), TrySendError<M>> {
        self.0.try_send(target, &Typed(&message)).map_err(|refused| match refused {
            Refused::Full => TrySendError::Full(message),
            Refused::Closed(reason) => TrySendError::Closed { message, reason },
            Refused::Unencodable(error) => TrySendError::Unencodable { message, error },
        })
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        self.0.ready()
    }

    fn is_crowded(&self) -> bool {
        self.0.is_crowded()
    }

    fn stop(&self, target: Pid) {
        self.0.stop(target);
    }

    fn kill(&self, target: Pid) {
        self.0.kill(target);
    }
}

impl<M: Send + 'static> ActorRef<M> {
    pub(crate) fn local(cell: Arc<Cell<M>>) -> ActorRef<M> {
        ActorRef { place: Place::Local(cell) }
    }

    /// A reference to an actor of another node. `system` provides the clock for asks.
    pub fn remote(system: &System, pid: Pid, mailbox: Arc<dyn RemoteActor<M>>) -> ActorRef<M> {
        ActorRef::elsewhere(system, pid, Some(mailbox))
    }

    /// A reference to an actor of another node that takes messages as bytes.
    pub fn remote_encoded(system: &System, pid: Pid, mailbox: Arc<dyn RemoteMailbox>) -> ActorRef<M>
    where
        M: Serialize,
    {
        ActorRef::remote(system, pid, Arc::new(Encoded(mailbox)))
    }

    pub(crate) fn nobody(system: &System, pid: Pid) -> ActorRef<M> {
        ActorRef::elsewhere(system, pid, None)
    }

    fn elsewhere(system: &System, pid: Pid, mailbox: Option<Arc<dyn RemoteActor<M>>>) -> ActorRef<M> {
        ActorRef { place: Place::Elsewhere(Arc::new(Elsewhere { pid, system: system.clone(), mailbox })) }
    }

    /// Sends a message; waits while the mailbox is full, if its policy is [`Overflow::Block`].
    ///
    /// The call itself sends the message if there is room; the future is for waiting, and for hearing what became of it.
    /// To another node it also gives the link its turn now and then, so that senders do not run far ahead of it.
    /// Cancelled while it waits (dropped, timed out), the message is dropped with it and was not sent. An actor that waits
    /// here inside its handler handles nothing meanwhile; actors that would wait for each other in a circle get
    /// [`SendError::Full`] instead, whoever closes the circle, and so does one that would wait for itself.
    ///
    /// # Errors
    /// [`SendError`] with the message. Under [`Overflow::DropNew`] a message that finds the mailbox full is dropped
    /// and counted, and that is not an error.
    #[inline(always)]
    pub fn send(&self, message: M) -> Sending<'_, M> {
        Sending(match (self.try_send(message), &self.place) {
            (Ok(()), Place::Local(_)) => Sent::Taken,
            (Ok(()), Place::Elsewhere(elsewhere)) => elsewhere.sent(),
            (Err(error), _) => self.not_sent(error),
        })
    }

    /// What `send` does with a message that was not taken at once.
    #[cold]
    fn not_sent(&self, error: TrySendError<M>) -> Sent<'_, M> {
        let message = match error {
            TrySendError::Full(message) => message,
            error => return Sent::Refused(Box::new(error.into())),
        };
        match &self.place {
            Place::Local(cell) => match cell.mailbox.overflow() {
                Overflow::Block => Sent::Waits(Box::pin(wait::send(cell, message))),
                Overflow::DropNew => {
                    cell.mailbox.note_dropped();
                    cell.shared.discard([message], Reason::Full, AskError::Full, cell.serial);
                    Sent::Taken
                }
                Overflow::DropOld | Overflow::Fail => Sent::Refused(Box::new(SendError::Full(message))),
            },
            Place::Elsewhere(elsewhere) => match &elsewhere.mailbox {
                Some(mailbox) => Sent::Waits(Box::pin(async move {
                    let mut message = message;
                    loop {
                        mailbox.ready().await;
                        match mailbox.try_send(elsewhere.pid, message) {
                            Ok(()) => return Ok(()),
                            Err(TrySendError::Full(back)) => message = back,
                            Err(error) => return Err(error.into()),
                        }
                    }
                })),
                None => Sent::Refused(Box::new(SendError::Closed { message, reason: ExitReason::NoProcess })),
            },
        }
    }

    /// Sends a message without waiting, also when the policy is [`Overflow::Block`].
    ///
    /// # Errors
    /// [`TrySendError`] with the message. [`TrySendError::Full`] under every policy but [`Overflow::DropOld`].
    #[inline(always)]
    pub fn try_send(&self, message: M) -> Result<(), TrySendError<M>> {
        match &self.place {
            Place::Local(cell) => cell.try_send(message, false),
            Place::Elsewhere(elsewhere) => elsewhere.try_send(message),
        }
    }

    /// Asks a question and waits up to [`ASK_DEADLINE`] for the answer: `actor.ask(Counter::Get).await?`.
    ///
    /// # Errors
    /// As [`ActorRef::ask_within`].
    pub async fn ask<R: Send + 'static>(&self, make: impl FnOnce(ReplyTo<R>) -> M) -> Result<R, AskError> {
        self.ask_within(ASK_DEADLINE, make).await
    }

    /// Asks a question and waits up to `deadline` for the answer, including the time to send it.
    ///
    /// Dropping the future cancels the question as the deadline does: an answer that comes later is dropped and
    /// counted.
    ///
    /// # Errors
    /// [`AskError`]; at once, not after the deadline, if the actor has ended or ends before it answers.
    pub async fn ask_within<R: Send + 'static>(
        &self,
        deadline: Duration,
        make: impl FnOnce(ReplyTo<R>) -> M,
    ) -> Result<R, AskError> {
        let shared = self.shared();
        let (reply, answer) = reply::channel(&shared.counters);
        let sending = self.send(make(reply));
        reply::await_answer(&shared.runtime, deadline, sending, answer).await
    }

    /// Sends `message` after `delay`, unless cancelled or the actor has ended by then.
    pub fn send_after(&self, delay: Duration, message: M) -> TimerRef {
        timer::send_after(self, delay, message)
    }

    /// Sends what `make` makes to the actor every `period`, the first time after one; see [`TimerRef`].
    ///
    /// A time at which the mailbox has no room, or which has passed when the one before is done, is left out: messages
    /// do not pile up. The timer ends with the actor, or when it is cancelled.
    ///
    /// # Panics
    /// When `period` is zero.
    pub fn send_every(&self, period: Duration, make: impl FnMut() -> M + Send + 'static) -> TimerRef {
        timer::send_every(self, period, make)
    }

    /// Asks the actor to stop: it finishes the message at hand and ends. Messages that wait become dead letters.
    pub fn stop(&self) {
        match &self.place {
            Place::Local(cell) => cell.stop(),
            Place::Elsewhere(elsewhere) => {
                if let Some(mailbox) = &elsewhere.mailbox {
                    mailbox.stop(elsewhere.pid);
                }
            }
        }
    }

    /// Ends the actor with [`ExitReason::Killed`] at its next await, without its `stopped` hook.
    pub fn kill(&self) {
        match &self.place {
            Place::Local(cell) => cell.kill(ExitReason::Killed),
            Place::Elsewhere(elsewhere) => {
                if let Some(mailbox) = &elsewhere.mailbox {
                    mailbox.kill(elsewhere.pid);
                }
            }
        }
    }

    /// Takes no more messages, handles those that wait, then ends normally. On another node: as [`ActorRef::stop`].
    pub fn close(&self) {
        match &self.place {
            Place::Local(cell) => cell.drain(),
            Place::Elsewhere(_) => self.stop(),
        }
    }

    /// Messages that wait in the mailbox; 0 for an actor of another node.
    pub fn mailbox_len(&self) -> usize {
        match &self.place {
            Place::Local(cell) => cell.mailbox.len(),
            Place::Elsewhere(_) => 0,
        }
    }

    /// What a full mailbox does; an actor of another node lets its senders wait.
    pub(crate) fn overflow(&self) -> Overflow {
        match &self.place {
            Place::Local(cell) => cell.mailbox.overflow(),
            Place::Elsewhere(_) => Overflow::Block,
        }
    }

    /// Whether, as far as is known here, the actor has not ended.
    pub(crate) fn takes_messages(&self) -> bool {
        match &self.place {
            Place::Local(cell) => cell.mailbox.word().is_open(),
            Place::Elsewhere(elsewhere) => elsewhere.mailbox.is_some(),
        }
    }

    pub(crate) fn downgrade(&self) -> WeakRef<M> {
        match &self.place {
            Place::Local(cell) => WeakRef::Local(Arc::downgrade(cell)),
            Place::Elsewhere(_) => WeakRef::Strong(self.clone()),
        }
    }
}

impl<M> ActorRef<M> {
    /// The PID, as other nodes see it too once this process has started a node.
    pub fn pid(&self) -> Pid {
        match &self.place {
            Place::Local(cell) => cell.pid(),
            Place::Elsewhere(elsewhere) => elsewhere.pid,
        }
    }

    /// Whether the actor is of this system.
    pub fn is_local(&self) -> bool {
        match &self.place {
            Place::Local(_) => true,
            Place::Elsewhere(elsewhere) => elsewhere.mailbox.is_none(),
        }
    }

    /// The system that this reference belongs to.
    pub fn system(&self) -> System {
        System::from_shared(self.shared().clone())
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        match &self.place {
            Place::Local(cell) => &cell.shared,
            Place::Elsewhere(elsewhere) => elsewhere.system.shared(),
        }
    }
}

impl<M: Send + 'static> Elsewhere<M> {
    fn try_send(&self, message: M) -> Result<(), TrySendError<M>> {
        match &self.mailbox {
            Some(mailbox) => mailbox.try_send(self.pid, message),
            None => Err(TrySendError::Closed { message, reason: ExitReason::NoProcess }),
        }
    }

    /// A message was sent: whether its sender goes on at once.
    fn sent(&self) -> Sent<'_, M> {
        match &self.mailbox {
            Some(mailbox) if mailbox.is_crowded() => Sent::Yields,
            _ => Sent::Taken,
        }
    }
}

/// What became of a message that was sent, and the wait for room if there was none; see [`ActorRef::send`].
#[must_use = "a message that found no room is dropped unless this is awaited"]
pub struct Sending<'a, M>(Sent<'a, M>);

/// As small as can be: it is a part of every handler that sends.
enum Sent<'a, M> {
    Taken,
    /// It was taken, and others are to have their turn.
    Yields,
    Refused(Box<SendError<M>>),
    Waits(BoxFuture<'a, Result<(), SendError<M>>>),
}

// Nothing in it is pinned in place.
impl<M> Unpin for Sending<'_, M> {}

impl<M: Send + 'static> Future for Sending<'_, M> {
    type Output = Result<(), SendError<M>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<M>>> {
        match &mut self.0 {
            Sent::Taken => return Poll::Ready(Ok(())),
            Sent::Yields => {
                self.0 = Sent::Taken;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Sent::Waits(waiting) => return waiting.as_mut().poll(cx),
            Sent::Refused(_) => {}
        }
        match std::mem::replace(&mut self.0, Sent::Taken) {
            Sent::Refused(error) => Poll::Ready(Err(*error)),
            Sent::Taken | Sent::Yields | Sent::Waits(_) => Poll::Ready(Ok(())),
        }
    }
}

impl<M> fmt::Debug for Sending<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Sent::Taken | Sent::Yields => "Sending(taken)",
            Sent::Refused(_) => "Sending(refused)",
            Sent::Waits(_) => "Sending(waiting)",
        })
    }
}

/// A reference that does not keep the memory of an ended actor.
pub(crate) enum WeakRef<M> {
    Local(Weak<Cell<M>>),
    Strong(ActorRef<M>),
}

impl<M: Send + 'static> WeakRef<M> {
    pub(crate) fn upgrade(&self) -> Option<ActorRef<M>> {
        match self {
            WeakRef::Local(cell) => cell.upgrade().map(ActorRef::local),
            WeakRef::Strong(reference) => Some(reference.clone()),
        }
    }
}

impl<M> Clone for ActorRef<M> {
    fn clone(&self) -> ActorRef<M> {
        let place = match &self.place {
            Place::Local(cell) => Place::Local(cell.clone()),
            Place::Elsewhere(elsewhere) => Place::Elsewhere(elsewhere.clone()),
        };
        ActorRef { place }
    }
}

impl<M> PartialEq for ActorRef<M> {
    fn eq(&self, other: &ActorRef<M>) -> bool {
        self.pid() == other.pid()
    }
}

impl<M> Eq for ActorRef<M> {}

impl<M> Hash for ActorRef<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Not the node: that of a local actor changes once, when this process starts a node.
        self.pid().serial().hash(state);
    }
}

impl<M> fmt::Debug for ActorRef<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorRef<{}>", self.pid())
    }
}

impl<M> Serialize for ActorRef<M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;
        let pid = boundary::with_current("an actor reference", |boundary| boundary.export_actor(self.pid()));
        pid.map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de, M: Serialize + Send + 'static> Deserialize<'de> for ActorRef<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ActorRef<M>, D::Error> {
        use serde::de::Error;
        boundary::with_current("an actor reference", |_| Ok(())).map_err(D::Error::custom)?;
        let pid = Pid::deserialize(deserializer)?;
        let imported = boundary::with_current("an actor reference", |boundary| boundary.import_actor(pid));
        match imported.map_err(D::Error::custom)? {
            ImportedActor::Remote(system, mailbox) => Ok(ActorRef::remote_encoded(&system, pid, mailbox)),
            ImportedActor::Local(system) => match system.resolve(pid) {
                Some(reference) => Ok(reference),
                None if system.is_alive(pid) => {
                    Err(D::Error::custom(format_args!("{pid} takes other messages than the reference says")))
                }
                None => Ok(ActorRef::nobody(&system, pid)),
            },
        }
    }
}

//! Reply addresses: values that answer one question once.

use crate::boundary::{self, Boundary, ExportedReply, RemoteReply, ReplyAddress};
use crate::counters::{Counters, Reason};
use crate::current;
use crate::error::AskError;
use crate::lock::Lock;
use crate::reference::Sending;
use crate::runtime::{Runtime, Sleep};
use crate::state_lock::StateLock;
use hew_wire::payload::{decode_value, encode_value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Where to send the answer to a question, once.
///
/// An actor gets it inside a message (see [`ActorRef::ask`](crate::ActorRef::ask)) and may answer at once, keep it for
/// later, or pass it on to another actor. Dropped without an answer it tells the asker why: that its actor ended, if
/// that is why it was dropped, else [`AskError::NoReply`].
///
/// It can be encoded and decoded with serde as part of a message between nodes, and only there: on the wire it is nil
/// for the frame's own reply address, else the array `[node, reference]`.
pub struct ReplyTo<T: Send + 'static> {
    target: Option<Target<T>>,
}

enum Target<T> {
    Local(Arc<Slot<T>>),
    Remote { relay: Arc<Relay>, encode: fn(&T) -> Result<Vec<u8>, String> },
}

/// Bytes that are an answer as they are, for actors that speak bytes; see [`RawReply`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw(pub Vec<u8>);

/// A reply address whose answer is bytes, verbatim also between nodes.
pub type RawReply = ReplyTo<Raw>;

impl<T: Send + 'static> ReplyTo<T> {
    /// Answers. An answer that nobody waits for any more is dropped and counted.
    pub fn send(mut self, value: T) {
        match &self.target {
            Some(Target::Local(slot)) => slot.complete(Ok(value)),
            Some(Target::Remote { relay, encode }) => {
                // A panic in T's Serialize leaves the target in place, so that the asker still hears of it.
                let encode_all = || encode(&value).map_err(AskError::Unencodable);
                let mut answer = None;
                relay.reply.encoding(&mut || answer = Some(encode_all()));
                let never = || Err(AskError::Unencodable("the answer was not encoded".into()));
                relay.complete(answer.unwrap_or_else(never));
            }
            None => {}
        }
        self.target = None;
    }

    /// Answers that there is no answer, and why.
    pub fn fail(mut self, error: AskError) {
        match self.target.take() {
            Some(Target::Local(slot)) => slot.complete(Err(error)),
            Some(Target::Remote { relay, .. }) => relay.complete(Err(error)),
            None => {}
        }
    }

    /// Whether the asker, as far as this node knows, still waits.
    pub fn is_awaited(&self) -> bool {
        match &self.target {
            Some(Target::Local(slot)) => slot.is_awaited(),
            Some(Target::Remote { relay, .. }) => !relay.state.lock().done,
            None => false,
        }
    }

    fn from_parts(reply: Arc<dyn RemoteReply>, encode: fn(&T) -> Result<Vec<u8>, String>) -> ReplyTo<T> {
        let relay = Arc::new(Relay { reply, state: Lock::new(RelayState::default()) });
        ReplyTo { target: Some(Target::Remote { relay, encode }) }
    }

    /// A sink for this address; see [`ReplySink`].
    fn export(&self, decode: fn(&[u8]) -> Result<T, String>) -> Option<ReplySink> {
        let sink: Box<dyn Sink> = match self.target.as_ref()? {
            Target::Local(slot) => {
                slot.state.lock().sinks += 1;
                Box::new(SlotSink { slot: slot.clone(), decode })
            }
            Target::Remote { relay, .. } => {
                relay.state.lock().sinks += 1;
                Box::new(RelaySink { relay: relay.clone() })
            }
        };
        Some(ReplySink { sink: Some(sink) })
    }
}

impl<T: Serialize + Send + 'static> ReplyTo<T> {
    /// An address whose answers go to another node, as MessagePack.
    pub fn from_remote(reply: Arc<dyn RemoteReply>) -> ReplyTo<T> {
        ReplyTo::from_parts(reply, |value| {
            let mut bytes = Vec::new();
            encode_value(value, &mut bytes).map_err(|error| error.to_string())?;
            Ok(bytes)
        })
    }
}

impl ReplyTo<Raw> {
    /// An address whose answers go to another node, verbatim.
    pub fn from_remote_raw(reply: Arc<dyn RemoteReply>) -> RawReply {
        ReplyTo::from_parts(reply, |raw| Ok(raw.0.clone()))
    }

    /// A sink whose bytes are the answer, for a message that leaves this node; `None` if it was answered already.
    pub fn sink(&self) -> Option<ReplySink> {
        self.export(|bytes| Ok(Raw(bytes.to_vec())))
    }

    /// Answers with a copy of `bytes`.
    pub fn send_bytes(self, bytes: &[u8]) {
        self.send(Raw(bytes.to_vec()));
    }
}

impl<T: Send + 'static> Drop for ReplyTo<T> {
    fn drop(&mut self) {
        match self.target.take() {
            Some(Target::Local(slot)) => slot.orphan(),
            Some(Target::Remote { relay, .. }) => relay.orphan(),
            None => {}
        }
    }
}

impl<T: Send + 'static> fmt::Debug for ReplyTo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyTo").field("awaited", &self.is_awaited()).finish()
    }
}

impl<T: DeserializeOwned + Send + 'static> Serialize for ReplyTo<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;
        let decode = |bytes: &[u8]| decode_value(bytes).map_err(|error| error.to_string());
        let export = |boundary: &dyn Boundary| {
            boundary.export_reply(self.export(decode).ok_or("this reply address was answered")?)
        };
        match boundary::with_current("a reply address", export).map_err(S::Error::custom)? {
            ExportedReply::Frame => serializer.serialize_none(),
            ExportedReply::Address(address) => serializer.serialize_some(&address),
        }
    }
}

impl<'de, T: Serialize + Send + 'static> Deserialize<'de> for ReplyTo<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ReplyTo<T>, D::Error> {
        use serde::de::Error;
        // Asked even for what is read before it, so that the error is about the boundary if there is none.
        boundary::with_current("a reply address", |_| Ok(())).map_err(D::Error::custom)?;
        let address = Option::<ReplyAddress>::deserialize(deserializer)?;
        let reply = boundary::with_current("a reply address", |boundary| match address {
            None => boundary.import_frame_reply(),
            Some(address) => boundary.import_reply(address),
        });
        Ok(ReplyTo::from_remote(reply.map_err(D::Error::custom)?))
    }
}

/// The place on the asking side that takes the answer to a question that left this node, whatever its type.
///
/// While at least one sink of a question exists, dropping the message with its [`ReplyTo`] answers nothing: the answer
/// is the sinks' business. Dropping a sink is [`ReplySink::revoke`].
pub struct ReplySink {
    sink: Option<Box<dyn Sink>>,
}

trait Sink: Send + Sync {
    fn complete(&self, answer: Result<&[u8], AskError>);
    fn release(&self);
    fn is_awaited(&self) -> bool;
    fn on_abandoned(&self, f: Box<dyn FnOnce() + Send>) -> bool;
}

impl ReplySink {
    /// Answers the question: bytes from the wire (MessagePack of the asked type, or raw) or why there are none.
    ///
    /// Bytes that are not the asked type answer [`AskError::Undecodable`]. Only the first answer counts. Decodes on
    /// this thread, so enter a [`Boundary`](crate::boundary::Boundary) around it if answers may hold references.
    pub fn complete(mut self, answer: Result<&[u8], AskError>) {
        if let Some(sink) = self.sink.take() {
            sink.complete(answer);
            sink.release();
        }
    }

    /// Gives the question back to the message, which was not sent: its [`ReplyTo`] works as before. If the message is
    /// gone, the asker hears [`AskError::NoReply`].
    pub fn revoke(self) {
        drop(self);
    }

    /// Whether the asker still waits. If not, the sink can be dropped.
    pub fn is_awaited(&self) -> bool {
        self.sink.as_ref().is_some_and(|sink| sink.is_awaited())
    }

    /// Calls `f` once when the asker stops waiting without an answer (deadline, cancelled), on the asker's thread.
    ///
    /// `false`: it has stopped waiting already, and `f` will not be called. `f` is never called inside this call, so
    /// the caller may hold the lock under which `f` forgets the question. A later call replaces `f`. Questions that
    /// came from another node are not known to be abandoned: always `true`, never called.
    pub fn on_abandoned(&self, f: impl FnOnce() + Send + 'static) -> bool {
        self.sink.as_ref().is_some_and(|sink| sink.on_abandoned(Box::new(f)))
    }
}

impl Drop for ReplySink {
    fn drop(&mut self) {
        if let Some(sink) = self.sink.take() {
            sink.release();
        }
    }
}

impl fmt::Debug for ReplySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplySink").field("awaited", &self.is_awaited()).finish()
    }
}

struct SlotSink<T> {
    slot: Arc<Slot<T>>,
    decode: fn(&[u8]) -> Result<T, String>,
}

impl<T: Send> Sink for SlotSink<T> {
    fn complete(&self, answer: Result<&[u8], AskError>) {
        self.slot.complete(answer.and_then(|bytes| (self.decode)(bytes).map_err(AskError::Undecodable)));
    }

    fn release(&self) {
        if self.slot.sink_gone() {
            self.slot.complete(Err(AskError::NoReply));
        }
    }

    fn is_awaited(&self) -> bool {
        self.slot.is_awaited()
    }

    fn on_abandoned(&self, f: Box<dyn FnOnce() + Send>) -> bool {
        let mut state = self.slot.state.lock();
        if !matches!(state.progress, Progress::Waiting) {
            return false;
        }
        let old = state.abandoned.replace(f);
        drop(state);
        drop(old);
        true
    }
}

/// A question that came from another node and goes on to a third: its answer comes back through here.
struct RelaySink {
    relay: Arc<Relay>,
}

impl Sink for RelaySink {
    fn complete(&self, answer: Result<&[u8], AskError>) {
        self.relay.complete(answer.map(<[u8]>::to_vec));
    }

    fn release(&self) {
        if self.relay.sink_gone() {
            self.relay.complete(Err(AskError::NoReply));
        }
    }

    fn is_awaited(&self) -> bool {
        !self.relay.state.lock().done
    }

    fn on_abandoned(&self, _: Box<dyn FnOnce() + Send>) -> bool {
        true
    }
}

/// The answering end towards another node; guards "exactly once".
struct Relay {
    reply: Arc<dyn RemoteReply>,
    state: Lock<RelayState>,
}

#[derive(Default)]
struct RelayState {
    done: bool,
    sinks: u32,
    message_gone: bool,
}

impl Relay {
    fn complete(&self, answer: Result<Vec<u8>, AskError>) {
        if !std::mem::replace(&mut self.state.lock().done, true) {
            self.reply.send(answer);
        }
    }

    /// The address was dropped. If nothing else can answer, tells the asker.
    fn orphan(self: Arc<Self>) {
        let last = {
            let mut state = self.state.lock();
            state.message_gone = true;
            state.sinks == 0 && !state.done
        };
        if last {
            current::orphaned(move |error| self.complete(Err(error)));
        }
    }

    fn sink_gone(&self) -> bool {
        let mut state = self.state.lock();
        state.sinks -= 1;
        state.sinks == 0 && state.message_gone && !state.done
    }
}

/// The asking end of a question on this node.
struct Slot<T> {
    state: StateLock<State<T>>,
    counters: Arc<Counters>,
}

struct State<T> {
    progress: Progress<T>,
    waker: Option<Waker>,
    sinks: u32,
    message_gone: bool,
    abandoned: Option<Box<dyn FnOnce() + Send>>,
}

enum Progress<T> {
    Waiting,
    Done(Result<T, AskError>),
    /// The asker has its answer, or stopped waiting.
    Over,
}

impl<T> Slot<T> {
    fn complete(&self, answer: Result<T, AskError>) {
        let mut state = self.state.lock();
        if matches!(state.progress, Progress::Waiting) {
            state.progress = Progress::Done(answer);
            let (waker, abandoned) = (state.waker.take(), state.abandoned.take());
            drop(state);
            drop(abandoned);
            if let Some(waker) = waker {
                waker.wake();
            }
            return;
        }
        drop(state);
        if answer.is_ok() {
            self.counters.add(Reason::LateReply, 1, || None);
        }
    }

    fn is_awaited(&self) -> bool {
        matches!(self.state.lock().progress, Progress::Waiting)
    }

    /// The address was dropped. If nothing else can answer, tells the asker.
    fn orphan(self: Arc<Self>)
    where
        T: 'static,
    {
        let last = {
            let mut state = self.state.lock();
            state.message_gone = true;
            state.sinks == 0 && matches!(state.progress, Progress::Waiting)
        };
        if last {
            current::orphaned(move |error| self.complete(Err(error)));
        }
    }

    fn sink_gone(&self) -> bool {
        let mut state = self.state.lock();
        state.sinks -= 1;
        state.sinks == 0 && state.message_gone && matches!(state.progress, Progress::Waiting)
    }
}

/// A reply address and the future of its answer.
pub(crate) fn channel<T: Send + 'static>(counters: &Arc<Counters>) -> (ReplyTo<T>, Answer<T>) {
    let state =
        State { progress: Progress::Waiting, waker: None, sinks: 0, message_gone: false, abandoned: None };
    let slot = Arc::new(Slot { state: StateLock::new(0, state), counters: counters.clone() });
    (ReplyTo { target: Some(Target::Local(slot.clone())) }, Answer { slot })
}

/// The answer to a question. Dropping it means that nobody waits any more.
pub(crate) struct Answer<T> {
    slot: Arc<Slot<T>>,
}

impl<T> Future for Answer<T> {
    type Output = Result<T, AskError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, AskError>> {
        let mut state = self.slot.state.lock();
        match std::mem::replace(&mut state.progress, Progress::Over) {
            Progress::Done(answer) => Poll::Ready(answer),
            Progress::Waiting => {
                state.progress = Progress::Waiting;
                let old = match &mut state.waker {
                    Some(waker) if waker.will_wake(cx.waker()) => None,
                    waker => waker.replace(cx.waker().clone()),
                };
                drop(state);
                drop(old);
                Poll::Pending
            }
            Progress::Over => Poll::Ready(Err(AskError::NoReply)),
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        let mut state = self.slot.state.lock();
        let progress = std::mem::replace(&mut state.progress, Progress::Over);
        let (waker, abandoned) = (state.waker.take(), state.abandoned.take());
        drop(state);
        drop(waker);
        match (progress, abandoned) {
            (Progress::Waiting, Some(abandoned)) => abandoned(),
            (Progress::Done(Ok(answer)), _) => {
                // It came between the deadline and this line.
                self.slot.counters.add(Reason::LateReply, 1, || None);
                drop(answer);
            }
            _ => {}
        }
    }
}

/// Sends a question and waits for its answer, both within `deadline`.
pub(crate) async fn await_answer<M: Send + 'static, T>(
    runtime: &Runtime,
    deadline: Duration,
    mut sending: Sending<'_, M>,
    mut answer: Answer<T>,
) -> Result<T, AskError> {
    let mut sent = false;
    let mut timer = Timer::Unset;
    poll_fn(|cx| {
        if !sent {
            match Pin::new(&mut sending).poll(cx) {
                Poll::Ready(Ok(())) => sent = true,
                // Dropping the message answers its reply address; the error at hand says more.
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => {}
            }
        }
        if sent && let Poll::Ready(answer) = Pin::new(&mut answer).poll(cx) {
            return Poll::Ready(answer);
        }
        // An answer that is there at once costs no timer.
        timer.poll(runtime, deadline, cx).map(|()| Err(AskError::Timeout))
    })
    .await
}

/// What watches over the deadline of a question.
enum Timer {
    Unset,
    /// The alarm of the actor that asks, which is polled by it.
    Nudge(Instant),
    /// One of its own.
    Sleep(Sleep),
}

impl Timer {
    fn poll(&mut self, runtime: &Runtime, deadline: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let now = match self {
            Timer::Sleep(sleep) => return Pin::new(sleep).poll(cx),
            Timer::Unset | Timer::Nudge(_) => runtime.now(),
        };
        let due = match self {
            Timer::Nudge(due) => Some(*due),
            // In virtual time an alarm that is left would be a time to which the clock jumps.
            _ if runtime.is_simulated() => None,
            _ => now.checked_add(deadline),
        };
        if let Some(due) = due {
            if now >= due {
                return Poll::Ready(());
            }
            if current::with_nudge(cx.waker(), |nudge| nudge.ensure(runtime, now, due, cx.waker())).is_some()
            {
                *self = Timer::Nudge(due);
                return Poll::Pending;
            }
        }
        let mut sleep = match due {
            Some(due) => runtime.sleep_until(due),
            None => runtime.sleep(deadline),
        };
        let polled = Pin::new(&mut sleep).poll(cx);
        *self = Timer::Sleep(sleep);
        polled
    }
}

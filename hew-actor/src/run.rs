//! The task of one actor: its loop and its end.

use crate::actor::{Actor, Outcome, Signal};
use crate::cell::{AnyCell, Cell};
use crate::context::Context;
use crate::counters::Reason;
use crate::current::{self, Current, discarding};
use crate::error::AskError;
use crate::mailbox::{Mailbox, Next, SystemMessage, discard};
use crate::reply::ReplyTo;
use crate::unwind;
use hew_wire::ExitReason;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

/// Messages that an actor handles before the next actor's turn.
pub const MESSAGES_PER_TURN: u32 = 256;

/// The future that is the actor.
pub(crate) fn task<A: Actor>(
    actor: A,
    cell: Arc<Cell<A::Message>>,
    per_turn: u32,
    started: Option<ReplyTo<()>>,
) -> impl Future<Output = ()> + Send {
    let current = Current { system: cell.shared.id, serial: cell.serial };
    let context = Context::new(cell.clone());
    let life = Life {
        actor: Some(actor),
        context,
        batch: VecDeque::new(),
        cell,
        per_turn: per_turn.max(1),
        started,
        end: ExitReason::Killed,
    };
    async move {
        let mut life = pin!(life.live());
        poll_fn(|cx| current::enter(current, || life.as_mut().poll(cx))).await;
    }
}

/// A living actor. Dropping it is its end, also when the runtime drops the task.
struct Life<A: Actor> {
    /// `None` only while dropping.
    actor: Option<A>,
    context: Context<A::Message>,
    /// Taken from the mailbox, not yet handled.
    batch: VecDeque<A::Message>,
    cell: Arc<Cell<A::Message>>,
    per_turn: u32,
    /// Answered when the start hook is over.
    started: Option<ReplyTo<()>>,
    /// Why it ends, if it were dropped now.
    end: ExitReason,
}

/// How a handler did not end.
enum Broken {
    Panicked(ExitReason),
    Killed(ExitReason),
}

impl<A: Actor> Life<A> {
    async fn live(mut self) {
        let reason = match self.start().await {
            Ok(None) => self.serve().await,
            Ok(Some(reason)) => Ok(reason),
            Err(broken) => Err(broken),
        };
        let (reason, killed) = match reason {
            Ok(reason) | Err(Broken::Panicked(reason)) => (reason, false),
            Err(Broken::Killed(reason)) => (reason, true),
        };
        self.close(&reason);
        self.end = reason.clone();
        if !killed {
            self.stopped(&reason).await;
        }
    }

    /// Runs the start hook; a reason if that is the end already.
    async fn start(&mut self) -> Result<Option<ExitReason>, Broken> {
        let Some(actor) = &mut self.actor else { return Ok(Some(ExitReason::Normal)) };
        let context = &mut self.context;
        let outcome = guarded(&self.cell.mailbox, async { actor.started(context).await }).await?;
        if outcome == Outcome::Continue
            && let Some(started) = self.started.take()
        {
            started.send(());
        }
        Ok(reason_of(outcome))
    }

    /// Handles signals and messages until the end, and returns its reason.
    async fn serve(&mut self) -> Result<ExitReason, Broken> {
        let mut turn = 0;
        loop {
            let mailbox = &self.cell.mailbox;
            match poll_fn(|cx| mailbox.poll_next(cx, &mut self.batch)).await {
                Next::Killed(reason) => return Err(Broken::Killed(reason)),
                Next::Drained => return Ok(ExitReason::Normal),
                Next::System(message) => {
                    turn += 1;
                    if let Some(reason) = self.system_message(message).await? {
                        return Ok(reason);
                    }
                }
                Next::Messages => {
                    let Some(actor) = &mut self.actor else { return Ok(ExitReason::Normal) };
                    while turn < self.per_turn
                        && let Some(message) = self.batch.pop_front()
                    {
                        turn += 1;
                        let context = &mut self.context;
                        let handling = async { actor.handle(message, context).await };
                        let outcome = guarded(&self.cell.mailbox, handling).await?;
                        if let Some(reason) = reason_of(outcome) {
                            return Ok(reason);
                        }
                        if self.cell.mailbox.is_urgent() {
                            break;
                        }
                    }
                }
            }
            if turn >= self.per_turn {
                turn = 0;
                self.cell.mailbox.yielded();
                futures_lite::future::yield_now().await;
            }
        }
    }

    async fn system_message(&mut self, message: SystemMessage) -> Result<Option<ExitReason>, Broken> {
        let signal = match message {
            SystemMessage::Stop => return Ok(Some(ExitReason::Normal)),
            SystemMessage::Down { monitor, pid, reason } => Signal::Down { monitor, pid, reason },
            SystemMessage::Exit { from, reason, .. } => {
                if !self.cell.trap_exit.load(Ordering::Relaxed) {
                    let end = (!reason.is_normal()).then(|| ExitReason::linked(format!("{from}: {reason}")));
                    return Ok(end);
                }
                Signal::Exit { from, reason }
            }
        };
        let Some(actor) = &mut self.actor else { return Ok(Some(ExitReason::Normal)) };
        let context = &mut self.context;
        let outcome = guarded(&self.cell.mailbox, async { actor.signal(signal, context).await }).await?;
        Ok(reason_of(outcome))
    }

    /// Closes the mailbox. What waits hears of the end now, not after the stop hook.
    fn close(&mut self, reason: &ExitReason) {
        let left = self.cell.mailbox.close(reason);
        let taken = std::mem::take(&mut self.batch);
        let count = discard(taken.into_iter().chain(left), AskError::Ended(reason.clone()));
        self.cell.shared.counters.add(Reason::Stopped, count);
    }

    async fn stopped(&mut self, reason: &ExitReason) {
        let Some(actor) = &mut self.actor else { return };
        let context = &mut self.context;
        let hook = guarded(&self.cell.mailbox, async { actor.stopped(reason, context).await }).await;
        match hook {
            // The first failure is the reason.
            Err(Broken::Panicked(panic)) if reason.is_normal() => self.end = panic,
            Ok(()) | Err(Broken::Panicked(_) | Broken::Killed(_)) => {}
        }
    }
}

impl<A: Actor> Drop for Life<A> {
    fn drop(&mut self) {
        // Set by `Cut` if a handler was dropped in the middle.
        current::set_fate(None);
        let mut reason = self.end.clone();
        self.close(&reason);
        let actor = self.actor.take();
        let dropped = discarding(AskError::Ended(reason.clone()), || unwind::catch(|| drop(actor)));
        if let Err(text) = dropped {
            let panic = ExitReason::crashed(text);
            current::answer_orphans(&AskError::Ended(panic.clone()));
            if reason.is_normal() {
                reason = panic;
            }
        }
        if let Some(started) = self.started.take() {
            started.fail(AskError::Ended(reason.clone()));
        }
        self.cell.mailbox.finish(&reason);
        self.cell.shared.bury(&*self.cell as &dyn AnyCell, reason);
    }
}

fn reason_of(outcome: Outcome) -> Option<ExitReason> {
    match outcome {
        Outcome::Continue => None,
        Outcome::Stop => Some(ExitReason::Normal),
        Outcome::Crash(text) => Some(ExitReason::crashed(text)),
    }
}

/// Runs one handler: its panics stop here, and a kill ends it at its next await.
async fn guarded<M, R>(mailbox: &Mailbox<M>, handler: impl Future<Output = R>) -> Result<R, Broken> {
    let mut handler = pin!(Some(handler));
    // Dropped before the handler, if both are dropped.
    let cut = Cut { armed: true };
    let result = poll_fn(|cx| {
        let Some(future) = handler.as_mut().as_pin_mut() else { return Poll::Pending };
        match unwind::catch(|| future.poll(cx)) {
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Ok(Poll::Pending) => match mailbox.poll_killed(cx) {
                Some(reason) => Poll::Ready(Err(Broken::Killed(reason))),
                None => Poll::Pending,
            },
            Err(text) => Poll::Ready(Err(Broken::Panicked(ExitReason::crashed(text)))),
        }
    })
    .await;
    cut.disarm();
    if let Err(Broken::Panicked(reason) | Broken::Killed(reason)) = &result {
        let error = AskError::Ended(reason.clone());
        current::answer_orphans(&error);
        discarding(error.clone(), || unwind::contained(|| handler.set(None)));
        current::answer_orphans(&error);
    }
    result
}

/// Stands for a handler that was dropped with the task, when the runtime was shut down: its reply addresses answer
/// that the actor was killed. [`Life`]'s drop, which follows, ends that.
struct Cut {
    armed: bool,
}

impl Cut {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        if self.armed {
            current::set_fate(Some(AskError::Ended(ExitReason::Killed)));
        }
    }
}

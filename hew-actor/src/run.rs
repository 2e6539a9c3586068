//! One activation of an actor: its hooks, one after the other, and its end.

use crate::actor::{Actor, Outcome, Signal};
use crate::body::{self, Progress, Runner, Stage};
use crate::cell::AnyCell;
use crate::counters::Reason;
use crate::current::{self, Current, discarding};
use crate::ending::Ending;
use crate::error::AskError;
use crate::mailbox::{Next, Parking, Pause, SystemMessage};
use crate::metrics::Probe;
use crate::scratch::Scratch;
use crate::sync::Ordering;
use crate::unwind;
use hew_wire::ExitReason;
use std::future::Future;
use std::task::{Context as TaskContext, Poll};

/// Messages that an actor handles before the next actor's turn.
pub const MESSAGES_PER_TURN: u32 = 256;

/// What became of the turn.
pub(crate) enum Rest<'a, M> {
    /// The actor waits; it is not ours any more once this is dropped.
    Parked(Parking<'a, M>),
    /// It has more to do, and is to be put into a run queue.
    Queued,
    /// It has ended.
    Over,
}

/// How a stretch of hooks ended.
enum Step<'a, M> {
    Parked(Parking<'a, M>),
    Queued,
    /// The actor ends, or its stop hook is over.
    End(ExitReason),
    /// It ends without its stop hook.
    Killed(ExitReason),
}

/// Runs an actor from where it was.
pub(crate) fn activate<'a, A: Actor>(
    mut runner: Runner<'a, A>,
    scratch: &mut Scratch,
) -> Rest<'a, A::Message> {
    let cell = runner.cell();
    if cell.shared.runtime.is_shut_down() {
        // Whoever asks for more meanwhile is not heard: there is nobody to run it.
        let _ = cell.mailbox.kill(ExitReason::Killed);
    }
    let current = Current { system: cell.shared.id, serial: cell.serial };
    let waker = body::waker(&runner);
    current::enter(current, &waker, runner.nudge(), || {
        runner.with_progress(|runner, progress| {
            let mut cx = TaskContext::from_waker(&waker);
            loop {
                let mut stretch = Activation { runner, scratch, cx: &mut cx };
                let step = match unwind::catch(|| stretch.go_on(progress)) {
                    Ok(step) => step,
                    Err(text) => {
                        let reason = ExitReason::crashed(text);
                        break_off(progress, scratch, &reason);
                        if progress.stage == Stage::Stopping {
                            // The first failure is the reason.
                            if matches!(progress.end, Ending::Normal) {
                                progress.end = Ending::from(&reason);
                            }
                            end(runner, progress);
                            return Rest::Over;
                        }
                        Step::End(reason)
                    }
                };
                match step {
                    Step::Parked(parking) => return Rest::Parked(parking),
                    Step::Queued => return Rest::Queued,
                    Step::End(reason) if progress.stage != Stage::Stopping => {
                        close(runner, progress, &reason);
                        progress.end = Ending::from(&reason);
                        progress.stage = Stage::Stopping;
                    }
                    Step::End(_) => {
                        end(runner, progress);
                        return Rest::Over;
                    }
                    Step::Killed(reason) => {
                        break_off(progress, scratch, &reason);
                        if progress.stage != Stage::Stopping {
                            close(runner, progress, &reason);
                            progress.end = Ending::from(&reason);
                        }
                        end(runner, progress);
                        return Rest::Over;
                    }
                }
            }
        })
    })
}

/// A stretch of hooks on this thread.
struct Activation<'a, 'b, 'c, A: Actor> {
    runner: &'a mut Runner<'b, A>,
    scratch: &'a mut Scratch,
    cx: &'a mut TaskContext<'c>,
}

impl<'b, A: Actor> Activation<'_, 'b, '_, A> {
    /// Runs hooks until one waits, the turn is over, or the actor ends. Panics with the hook that panics.
    fn go_on(&mut self, progress: &mut Progress<A::Message>) -> Step<'b, A::Message> {
        let mut budget = self.runner.per_turn();
        if let Some(waiting) = &mut progress.waiting {
            if let Some(reason) = self.runner.cell().mailbox.resume() {
                return Step::Killed(reason);
            }
            match waiting.as_mut().poll(self.cx) {
                Poll::Pending => return self.pause(progress),
                Poll::Ready(outcome) => {
                    progress.waiting = None;
                    budget -= 1;
                    if let Some(end) = after(progress, outcome) {
                        return end;
                    }
                }
            }
        }
        match progress.stage {
            Stage::Starting => self.start(progress, budget),
            Stage::Serving => self.serve(progress, budget),
            Stage::Stopping => self.stop(progress),
        }
    }

    fn start(&mut self, progress: &mut Progress<A::Message>, budget: u32) -> Step<'b, A::Message> {
        if let Some(reason) = self.runner.cell().mailbox.resume() {
            return Step::Killed(reason);
        }
        // SAFETY: no hook has begun, and `begin` polls or keeps this one.
        let Some((actor, context)) = (unsafe { self.runner.actor() }) else {
            return Step::End(ExitReason::Normal);
        };
        let outcome = match self.begin(progress, || actor.started(context)) {
            Ok(outcome) => outcome,
            Err(step) => return step,
        };
        match after(progress, outcome) {
            Some(end) => end,
            None => self.serve(progress, budget),
        }
    }

    /// Handles signals and messages.
    fn serve(&mut self, progress: &mut Progress<A::Message>, mut budget: u32) -> Step<'b, A::Message> {
        let cell = self.runner.cell();
        let probe = Probe::of(cell);
        let settle_every = cell.mailbox.settle_every();
        loop {
            if budget == 0 {
                cell.mailbox.requeue(&mut progress.batch);
                return Step::Queued;
            }
            // A handler that caught a panic of its own leaves orphans that no end of the actor will answer. Not later: what
            // they wake may be this actor.
            current::answer_orphans(&AskError::NoReply);
            match cell.mailbox.next(&mut progress.batch, probe.is_timed()) {
                Next::Rest(parking) => return Step::Parked(parking),
                Next::Killed(reason) => return Step::Killed(reason),
                Next::Drained => return Step::End(ExitReason::Normal),
                Next::System(message) => {
                    budget -= 1;
                    if let Err(step) = self.system_message(progress, message) {
                        return step;
                    }
                }
                Next::Messages => {
                    while budget > 0
                        && let Some(message) = progress.batch.messages.pop_front()
                    {
                        budget -= 1;
                        progress.batch.begun += 1;
                        // SAFETY: no hook waits here: one that does ends this loop, by `begin`.
                        let Some((actor, context)) = (unsafe { self.runner.actor() }) else {
                            return Step::End(ExitReason::Normal);
                        };
                        let begun = if probe.is_none() {
                            self.begin(progress, || actor.handle(message, context))
                        } else {
                            probe.begin(&mut progress.batch, || cell.shared.runtime.now());
                            self.begin(progress, || probe.watch(&cell.shared, actor.handle(message, context)))
                        };
                        match begun {
                            Ok(Outcome::Continue) => {}
                            Ok(outcome) => return Step::End(reason_of(outcome)),
                            Err(step) => return step,
                        }
                        if cell.mailbox.word().is_urgent() {
                            break;
                        }
                        if progress.batch.begun >= settle_every {
                            cell.mailbox.settle(&mut progress.batch);
                        }
                    }
                }
            }
        }
    }

    fn system_message(
        &mut self,
        progress: &mut Progress<A::Message>,
        message: SystemMessage,
    ) -> Result<(), Step<'b, A::Message>> {
        let signal = match message {
            SystemMessage::Stop => return Err(Step::End(ExitReason::Normal)),
            SystemMessage::Down { monitor, pid, reason } => Signal::Down { monitor, pid, reason },
            SystemMessage::Exit { from, reason, .. } => {
                if !self.runner.cell().trap_exit.load(Ordering::Relaxed) {
                    if reason.is_normal() {
                        return Ok(());
                    }
                    return Err(Step::End(ExitReason::linked(format!("{from}: {reason}"))));
                }
                Signal::Exit { from, reason }
            }
        };
        // SAFETY: as in `serve`.
        let Some((actor, context)) = (unsafe { self.runner.actor() }) else {
            return Err(Step::End(ExitReason::Normal));
        };
        match self.begin(progress, || actor.signal(signal, context))? {
            Outcome::Continue => Ok(()),
            outcome => Err(Step::End(reason_of(outcome))),
        }
    }

    /// Runs the stop hook.
    fn stop(&mut self, progress: &mut Progress<A::Message>) -> Step<'b, A::Message> {
        let reason = progress.end.reason();
        // SAFETY: the hook before this one is over: it ended the actor, or was broken off.
        let Some((actor, context)) = (unsafe { self.runner.actor() }) else {
            return Step::End(ExitReason::Normal);
        };
        let hook = async move {
            actor.stopped(&reason, context).await;
            Outcome::Stop
        };
        match self.begin(progress, || hook) {
            Ok(_) => Step::End(ExitReason::Normal),
            Err(step) => step,
        }
    }

    /// Begins a hook: its outcome, or how this stretch ends because the hook waits.
    #[inline(always)]
    fn begin<F>(
        &mut self,
        progress: &mut Progress<A::Message>,
        hook: impl FnOnce() -> F,
    ) -> Result<Outcome, Step<'b, A::Message>>
    where
        F: Future<Output = Outcome> + Send,
    {
        // SAFETY: the hook borrows the actor and the context. If it waits it goes to `progress.waiting`, which is emptied
        // before either is touched: by `go_on`, which returns while it waits, or by `break_off`. After a panic, `activate`
        // calls `break_off`, which clears the scratch memory.
        match unsafe { self.scratch.begin(hook, self.cx) } {
            Ok(outcome) => Ok(outcome),
            Err(waiting) => {
                progress.waiting = Some(waiting);
                Err(self.pause(progress))
            }
        }
    }

    /// The hook that was begun waits.
    fn pause(&mut self, progress: &mut Progress<A::Message>) -> Step<'b, A::Message> {
        // As in `serve`.
        current::answer_orphans(&AskError::NoReply);
        match self.runner.cell().mailbox.pause(&mut progress.batch) {
            Pause::Rest(parking) => Step::Parked(parking),
            Pause::Woken => Step::Queued,
            Pause::Killed(reason) => Step::Killed(reason),
        }
    }
}

/// What follows from the outcome of a hook; nothing, if the actor goes on.
fn after<'a, M>(progress: &mut Progress<M>, outcome: Outcome) -> Option<Step<'a, M>> {
    if outcome != Outcome::Continue || progress.stage == Stage::Stopping {
        return Some(Step::End(reason_of(outcome)));
    }
    if progress.stage == Stage::Starting {
        progress.stage = Stage::Serving;
        if let Some(started) = progress.started.take() {
            started.send(());
        }
    }
    None
}

fn reason_of(outcome: Outcome) -> ExitReason {
    match outcome {
        Outcome::Continue | Outcome::Stop => ExitReason::Normal,
        Outcome::Crash(text) => ExitReason::crashed(text),
    }
}

/// Drops the hook that panicked or waits. What its reply addresses answer is the end of the actor.
fn break_off<M>(progress: &mut Progress<M>, scratch: &mut Scratch, reason: &ExitReason) {
    let error = AskError::Ended(reason.clone());
    current::answer_orphans(&error);
    let waiting = progress.waiting.take();
    discarding(error.clone(), || {
        unwind::contained(|| drop(waiting));
        unwind::contained(|| scratch.clear());
    });
    current::answer_orphans(&error);
}

/// Closes the mailbox. What waits hears of the end now, not after the stop hook.
fn close<A: Actor>(runner: &Runner<'_, A>, progress: &mut Progress<A::Message>, reason: &ExitReason) {
    let cell = runner.cell();
    let batch = std::mem::take(&mut progress.batch);
    let left = cell.mailbox.close(reason);
    let error = AskError::Ended(reason.clone());
    cell.shared.discard(batch.messages.into_iter().chain(left), Reason::Stopped, error, cell.serial);
}

/// Drops the actor and tells everyone. Not run by a panic: everything of users is contained.
fn end<A: Actor>(runner: &mut Runner<'_, A>, progress: &mut Progress<A::Message>) {
    let mut reason = progress.end.reason();
    let cell = runner.cell();
    // SAFETY: no hook waits: the last one is over, or was broken off.
    let (actor, context) = unsafe { (runner.take_actor(), runner.take_context()) };
    let dropped = discarding(AskError::Ended(reason.clone()), || unwind::catch(|| drop(actor)));
    if let Err(text) = dropped {
        let panic = ExitReason::crashed(text);
        current::answer_orphans(&AskError::Ended(panic.clone()));
        if reason.is_normal() {
            reason = panic;
        }
    }
    if let Some(started) = progress.started.take() {
        started.fail(AskError::Ended(reason.clone()));
    }
    runner.nudge().cancel(&cell.shared.runtime);
    cell.mailbox.finish(&reason);
    cell.shared.bury(cell as &dyn AnyCell, reason);
    drop(context);
}

//! The mailbox: a bounded queue of messages and a system lane, emptied in batches by one actor.
//!
//! # Contract
//! - Many producers, one consumer (the actor's task). What one producer pushed in order is taken in order.
//! - "Empty and idle", "full", "closed" and the actor's [`Lifecycle`] are decided under the same lock as the queue: a
//!   push either sees the idle waker and wakes the actor, or the actor sees the message. Exactly one push wakes it.
//! - The system lane comes first and is not counted in the capacity. Only this crate writes to it.
//! - The consumer takes a batch: up to an eighth of the capacity, at most [`BATCH_MAX`], so that at most `capacity`
//!   messages wait and a few have been taken. A mailbox of fewer than 16 gives one at a time, and its bound is exact.
//! - `close` is final: later pushes give the message back with the reason.
//! - Messages are dropped outside the lock, and a panic in a message's `Drop` goes no further.

use crate::counters::{Counters, Reason};
use crate::current::discarding;
use crate::error::{AskError, TrySendError};
use crate::lifecycle::Lifecycle;
use crate::lock::Lock;
use crate::monitor::MonitorRef;
use crate::options::{CoalesceKey, MAILBOX_CAPACITY_MAX, MailboxOptions, Overflow};
use event_listener::{Event, EventListener};
use hew_wire::{ExitReason, Pid};
use std::collections::VecDeque;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

/// Most messages that an actor takes out of its mailbox at once.
pub const BATCH_MAX: usize = 256;
/// Most exit signals that wait in a system lane; more are dropped and counted. Stops and monitors are not bounded by
/// this: there is at most one stop, and one message for each monitor that the actor itself made.
pub const SIGNALS_MAX: usize = 65_536;

/// A message of the system lane.
#[derive(Debug)]
pub(crate) enum SystemMessage {
    Stop,
    Exit { from: Pid, reason: ExitReason, link: bool },
    Down { monitor: MonitorRef, pid: Pid, reason: ExitReason },
}

/// What the actor does next.
#[derive(Debug)]
pub(crate) enum Next {
    /// End now.
    Killed(ExitReason),
    System(SystemMessage),
    /// There are messages in the batch.
    Messages,
    /// It was asked to end after its last message, and that was it.
    Drained,
}

pub(crate) struct Mailbox<M> {
    state: Lock<State<M>>,
    /// Whether the system lane or a kill waits. Written under the lock; the actor reads it between messages, where a
    /// stale `false` only means that it looks one message later.
    urgent: AtomicBool,
    /// Fires when messages were taken and when the mailbox closes.
    space: Event,
    capacity: usize,
    overflow: Overflow,
    coalesce: Option<CoalesceKey<M>>,
}

struct State<M> {
    queue: VecDeque<M>,
    /// With coalescing, the key of each message in `queue`; otherwise empty.
    keys: VecDeque<Option<(i32, u64)>>,
    system: VecDeque<SystemMessage>,
    /// Exit signals in `system`.
    signals: usize,
    stop_requested: bool,
    kill: Option<ExitReason>,
    /// Wakes the idle actor, for anything.
    idle: Option<Waker>,
    /// Wakes the actor whose handler waits for something, for a kill only.
    busy: Option<Waker>,
    /// Accepts nothing more, and ends when empty.
    draining: bool,
    closed: Option<ExitReason>,
    lifecycle: Lifecycle,
}

impl<M> Mailbox<M> {
    pub(crate) fn new(options: MailboxOptions<M>, default_capacity: usize) -> Mailbox<M> {
        let state = State {
            queue: VecDeque::new(),
            keys: VecDeque::new(),
            system: VecDeque::new(),
            signals: 0,
            stop_requested: false,
            kill: None,
            idle: None,
            busy: None,
            draining: false,
            closed: None,
            lifecycle: Lifecycle::Runnable,
        };
        Mailbox {
            state: Lock::new(state),
            urgent: AtomicBool::new(false),
            space: Event::new(),
            capacity: options.capacity.unwrap_or(default_capacity).clamp(1, MAILBOX_CAPACITY_MAX),
            overflow: options.overflow,
            coalesce: options.coalesce,
        }
    }

    pub(crate) fn overflow(&self) -> Overflow {
        self.overflow
    }

    pub(crate) fn lifecycle(&self) -> Lifecycle {
        self.state.lock().lifecycle
    }

    /// Messages that wait, without those that the actor has taken.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().queue.len()
    }

    /// Pushes without waiting. When full, coalesces or drops the oldest where the policy says so, else gives back.
    pub(crate) fn try_push(&self, message: M, counters: &Counters) -> Result<(), TrySendError<M>> {
        // Code of users does not run under the lock.
        let key = self.coalesce.as_ref().and_then(|key_of| key_of(&message));
        let mut state = self.state.lock();
        if let Some(reason) = state.refusal() {
            return Err(TrySendError::Closed { message, reason });
        }
        let (dropped, reason) = if state.queue.len() < self.capacity {
            (None, Reason::Full)
        } else if let Some(position) = state.position(key) {
            let old = std::mem::replace(&mut state.queue[position], message);
            drop(state);
            counters.add(Reason::Coalesced, discard([old], AskError::Full));
            return Ok(());
        } else if self.overflow == Overflow::DropOld {
            if self.coalesce.is_some() {
                state.keys.pop_front();
            }
            (state.queue.pop_front(), Reason::DroppedOld)
        } else {
            return Err(TrySendError::Full(message));
        };
        state.queue.push_back(message);
        if self.coalesce.is_some() {
            state.keys.push_back(key);
        }
        wake(state);
        if dropped.is_some() {
            counters.add(reason, discard(dropped, AskError::Full));
        }
        Ok(())
    }

    /// A listener for the next time that pushing is worth another try. Listen first, then try, then wait.
    pub(crate) fn space(&self) -> EventListener {
        self.space.listen()
    }

    /// Puts a message into the system lane; whether it was accepted.
    pub(crate) fn push_system(&self, message: SystemMessage) -> bool {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            return false;
        }
        match &message {
            SystemMessage::Stop if std::mem::replace(&mut state.stop_requested, true) => return true,
            SystemMessage::Exit { .. } if state.signals == SIGNALS_MAX => return false,
            SystemMessage::Exit { .. } => state.signals += 1,
            SystemMessage::Stop | SystemMessage::Down { .. } => {}
        }
        state.system.push_back(message);
        self.urgent.store(true, Ordering::Relaxed);
        wake(state);
        true
    }

    /// Takes waiting messages out of the system lane: what was unlinked or demonitored no longer arrives.
    pub(crate) fn retain_system(&self, keep: impl Fn(&SystemMessage) -> bool) {
        let mut state = self.state.lock();
        state.system.retain(keep);
        state.signals = state.system.iter().filter(|m| matches!(m, SystemMessage::Exit { .. })).count();
    }

    /// Ends the actor at its next await, before anything else.
    pub(crate) fn kill(&self, reason: ExitReason) {
        let mut state = self.state.lock();
        if state.lifecycle.is_over() || state.kill.is_some() {
            return;
        }
        state.kill = Some(reason);
        self.urgent.store(true, Ordering::Relaxed);
        let busy = state.busy.take();
        wake(state);
        if let Some(busy) = busy {
            busy.wake();
        }
    }

    /// Accepts nothing more; the actor ends normally after what waits.
    pub(crate) fn drain(&self) {
        let mut state = self.state.lock();
        if state.closed.is_none() {
            state.draining = true;
            wake(state);
            self.space.notify(usize::MAX);
        }
    }

    /// Whether the actor should look at its system lane before the next message.
    pub(crate) fn is_urgent(&self) -> bool {
        self.urgent.load(Ordering::Relaxed)
    }

    /// The consumer's step: what to do next, or nothing, and then the next push wakes `cx`.
    ///
    /// `batch` holds what was taken and not yet handled; it is refilled only when empty.
    pub(crate) fn poll_next(&self, cx: &Context<'_>, batch: &mut VecDeque<M>) -> Poll<Next> {
        let mut state = self.state.lock();
        state.run();
        if let Some(reason) = state.kill.take() {
            return Poll::Ready(Next::Killed(reason));
        }
        let message = state.system.pop_front();
        self.urgent.store(!state.system.is_empty(), Ordering::Relaxed);
        if let Some(message) = message {
            if matches!(message, SystemMessage::Exit { .. }) {
                state.signals -= 1;
            }
            return Poll::Ready(Next::System(message));
        }
        if !batch.is_empty() {
            return Poll::Ready(Next::Messages);
        }
        let taken = self.take(&mut state, batch);
        if taken > 0 {
            drop(state);
            self.space.notify(taken);
            return Poll::Ready(Next::Messages);
        }
        if state.draining {
            return Poll::Ready(Next::Drained);
        }
        state.advance(Lifecycle::Idle);
        let old = match &mut state.idle {
            Some(waker) if waker.will_wake(cx.waker()) => None,
            waker => waker.replace(cx.waker().clone()),
        };
        drop(state);
        drop(old);
        Poll::Pending
    }

    fn take(&self, state: &mut State<M>, batch: &mut VecDeque<M>) -> usize {
        let batch_max = (self.capacity / 8).clamp(1, BATCH_MAX);
        if state.queue.len() <= batch_max {
            std::mem::swap(&mut state.queue, batch);
        } else {
            batch.extend(state.queue.drain(..batch_max));
        }
        if self.coalesce.is_some() {
            state.keys.drain(..batch.len());
        }
        batch.len()
    }

    /// The turn of the actor is over though it has more to do.
    pub(crate) fn yielded(&self) {
        let mut state = self.state.lock();
        if state.lifecycle == Lifecycle::Running {
            state.advance(Lifecycle::Runnable);
        }
    }

    /// The consumer waits inside a handler: a kill, if there is one, else the next one wakes `cx`.
    pub(crate) fn poll_killed(&self, cx: &Context<'_>) -> Option<ExitReason> {
        let mut state = self.state.lock();
        if let Some(reason) = state.kill.take() {
            return Some(reason);
        }
        let old = match &mut state.busy {
            Some(waker) if waker.will_wake(cx.waker()) => None,
            waker => waker.replace(cx.waker().clone()),
        };
        drop(state);
        drop(old);
        None
    }

    /// Accepts nothing more, from now on with this reason; what waited comes back. Only the first call counts.
    pub(crate) fn close(&self, reason: &ExitReason) -> VecDeque<M> {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            return VecDeque::new();
        }
        state.closed = Some(reason.clone());
        state.advance(Lifecycle::Stopping);
        let queue = std::mem::take(&mut state.queue);
        let system = std::mem::take(&mut state.system);
        let wakers = (state.idle.take(), state.busy.take());
        drop(state);
        drop((system, wakers));
        self.space.notify(usize::MAX);
        queue
    }

    /// The end is over. The reason may have changed since `close`, by a panic on the way out.
    pub(crate) fn finish(&self, reason: &ExitReason) {
        let mut state = self.state.lock();
        state.closed = Some(reason.clone());
        state.kill = None;
        let busy = state.busy.take();
        state.advance(match reason {
            ExitReason::Normal | ExitReason::Killed => Lifecycle::Stopped,
            ExitReason::Crashed(_) | ExitReason::Linked(_) | ExitReason::NoProcess | ExitReason::NodeDown => {
                Lifecycle::Crashed
            }
        });
        drop(state);
        drop(busy);
    }
}

impl<M> State<M> {
    fn refusal(&self) -> Option<ExitReason> {
        match &self.closed {
            Some(reason) => Some(reason.clone()),
            None if self.draining => Some(ExitReason::Normal),
            None => None,
        }
    }

    fn position(&self, key: Option<(i32, u64)>) -> Option<usize> {
        key.and_then(|key| self.keys.iter().position(|&waiting| waiting == Some(key)))
    }

    fn advance(&mut self, next: Lifecycle) {
        debug_assert!(self.lifecycle.allows(next), "{:?} -> {next:?}", self.lifecycle);
        self.lifecycle = next;
    }

    fn run(&mut self) {
        // Idle when something else than a push woke the task.
        if self.lifecycle == Lifecycle::Idle {
            self.advance(Lifecycle::Runnable);
        }
        if self.lifecycle == Lifecycle::Runnable {
            self.advance(Lifecycle::Running);
        }
    }
}

/// Unlocks, and wakes the actor if it is idle.
fn wake<M>(mut state: MutexGuard<'_, State<M>>) {
    if state.lifecycle != Lifecycle::Idle {
        return;
    }
    let Some(waker) = state.idle.take() else { return };
    state.advance(Lifecycle::Runnable);
    drop(state);
    waker.wake();
}

/// Drops messages that are not handled; reply addresses in them answer `error`.
pub(crate) fn discard<M>(messages: impl IntoIterator<Item = M>, error: AskError) -> u64 {
    let mut count = 0;
    discarding(error, || {
        for message in messages {
            count += 1;
            crate::unwind::contained(|| drop(message));
        }
    });
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn mailbox(capacity: usize, overflow: Overflow) -> Mailbox<u32> {
        Mailbox::new(MailboxOptions { capacity: Some(capacity), overflow, coalesce: None }, 1)
    }

    fn next(mailbox: &Mailbox<u32>, batch: &mut VecDeque<u32>) -> Poll<Next> {
        mailbox.poll_next(&Context::from_waker(Waker::noop()), batch)
    }

    fn exit() -> SystemMessage {
        SystemMessage::Exit { from: Pid::from_raw(1), reason: ExitReason::Normal, link: false }
    }

    #[test]
    fn capacities_are_moved_into_their_bounds() {
        assert_eq!(mailbox(0, Overflow::Fail).capacity, 1);
        assert_eq!(mailbox(usize::MAX, Overflow::Fail).capacity, MAILBOX_CAPACITY_MAX);
        let options = MailboxOptions { capacity: None, ..MailboxOptions::default() };
        assert_eq!(Mailbox::<u32>::new(options, 77).capacity, 77);
    }

    #[test]
    fn a_batch_is_an_eighth_and_the_rest_stays_in_order() {
        let counters = Counters::default();
        for (capacity, batch_size) in [(1, 1), (15, 1), (16, 2), (1024, 128), (1 << 20, BATCH_MAX)] {
            let mailbox = mailbox(capacity, Overflow::Fail);
            let count = capacity.min(1000) as u32;
            (0..count).for_each(|n| mailbox.try_push(n, &counters).unwrap());
            let (mut batch, mut all) = (VecDeque::new(), Vec::new());
            while let Poll::Ready(Next::Messages) = next(&mailbox, &mut batch) {
                assert!(batch.len() <= batch_size, "{capacity}");
                all.extend(batch.drain(..));
            }
            assert_eq!(all, (0..count).collect::<Vec<_>>());
            assert_eq!(mailbox.lifecycle(), Lifecycle::Idle);
        }
    }

    #[test]
    fn the_system_lane_comes_first_and_is_bounded() {
        let mailbox = mailbox(1, Overflow::Fail);
        mailbox.try_push(1, &Counters::default()).unwrap();
        for _ in 0..SIGNALS_MAX {
            assert!(mailbox.push_system(exit()));
        }
        assert!(!mailbox.push_system(exit()));
        // What an actor asked for, and a stop, always fit.
        let monitor = MonitorRef::from_parts(1, Pid::from_raw(1));
        let down = SystemMessage::Down { monitor, pid: Pid::from_raw(1), reason: ExitReason::Normal };
        assert!(mailbox.push_system(down));
        assert!(mailbox.push_system(SystemMessage::Stop) && mailbox.push_system(SystemMessage::Stop));
        let mut batch = VecDeque::new();
        let mut count = 0;
        while let Poll::Ready(Next::System(_)) = next(&mailbox, &mut batch) {
            count += 1;
        }
        assert_eq!(count, SIGNALS_MAX + 2);
        assert_eq!(batch, [1]);
        // There is room for signals again.
        assert!(mailbox.push_system(exit()));
        mailbox.retain_system(|_| false);
        assert!(mailbox.push_system(exit()));
    }

    #[test]
    fn exactly_one_push_wakes_the_idle_actor() {
        struct Count(std::sync::atomic::AtomicU32);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Count>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let (count, counters) = (Arc::new(Count(0.into())), Counters::default());
        let waker = Waker::from(count.clone());
        let mailbox = mailbox(10, Overflow::Fail);
        let mut batch = VecDeque::new();
        for round in 1..4 {
            assert!(mailbox.poll_next(&Context::from_waker(&waker), &mut batch).is_pending());
            assert_eq!(mailbox.lifecycle(), Lifecycle::Idle);
            mailbox.try_push(1, &counters).unwrap();
            assert_eq!(mailbox.lifecycle(), Lifecycle::Runnable);
            mailbox.try_push(2, &counters).unwrap();
            mailbox.push_system(exit());
            assert_eq!(count.0.load(Ordering::SeqCst), round);
            while next(&mailbox, &mut batch).is_ready() {
                batch.clear();
            }
        }
    }

    #[test]
    fn closing_gives_back_what_waits_and_refuses_the_rest() {
        let counters = Counters::default();
        let mailbox = mailbox(10, Overflow::Block);
        (0..3).for_each(|n| mailbox.try_push(n, &counters).unwrap());
        assert_eq!(mailbox.close(&ExitReason::Killed), [0, 1, 2]);
        assert!(mailbox.close(&ExitReason::Normal).is_empty());
        let Err(TrySendError::Closed { message: 7, reason: ExitReason::Killed }) =
            mailbox.try_push(7, &counters)
        else {
            panic!("pushed")
        };
        assert!(!mailbox.push_system(SystemMessage::Stop));
        mailbox.finish(&ExitReason::crashed("x"));
        assert_eq!(mailbox.lifecycle(), Lifecycle::Crashed);
    }
}

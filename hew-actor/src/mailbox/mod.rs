//! The mailbox: a bounded queue of messages and a system lane, emptied in batches by one actor.
//!
//! # Contract
//! - Many producers, one consumer (whoever runs the actor). What one producer pushed in order is taken in order.
//! - "Empty and idle", "full", "closed", the actor's [`Lifecycle`] and who has its turn are one word, which is also the
//!   lock of the queue (see [`Word`] and [`StateLock`]): a push either ends the wait of an idle actor, and is then the
//!   only one that does, or the actor sees the message.
//! - Who ends the wait is told so (`true`) and must schedule the actor.
//! - The system lane comes first and is not counted in the capacity. Only this crate writes to it.
//! - The consumer takes all that waits at once, and messages it has taken count as waiting until it handles them; it
//!   gives their room back at least every [`SETTLE_MAX`] messages. Mailboxes of fewer than [`BULK_MIN`] messages, and
//!   those that look into their queue (coalescing, dropping the oldest, weighing), give one at a time. So there are never
//!   more unhandled messages than the capacity.
//! - `close` is final: later pushes give the message back with the reason.
//! - Messages are dropped outside the lock, and a panic in a message's `Drop` goes no further.

mod keys;
mod lane;
mod push;
mod word;

pub use lane::SIGNALS_MAX;
pub(crate) use lane::SystemMessage;
pub(crate) use word::{Turn, Word};

use crate::ending::Ending;
use crate::lifecycle::Lifecycle;
use crate::options::{CoalesceKey, MAILBOX_CAPACITY_MAX, MailboxOptions, Overflow, Weigh};
use crate::state_lock::{Guard, StateLock};
use crate::sync::Event;
use hew_wire::ExitReason;
use lane::Lane;
use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

/// Smallest capacity of a mailbox whose messages are taken many at a time.
pub const BULK_MIN: usize = 16;
/// Most messages that an actor handles before it gives their room back.
pub const SETTLE_MAX: usize = 64;
/// Room for more messages than this is given back to the allocator when a mailbox becomes empty.
const ROOM_KEPT: usize = 1024;

/// What the actor does next.
#[derive(Debug)]
pub(crate) enum Next<'a, M> {
    /// End now.
    Killed(ExitReason),
    System(SystemMessage),
    /// There are messages in the batch.
    Messages,
    /// It was asked to end after its last message, and that was it.
    Drained,
    /// Nothing: the actor is to be parked.
    Rest(Parking<'a, M>),
}

/// What becomes of an actor whose hook waits.
#[derive(Debug)]
pub(crate) enum Pause<'a, M> {
    /// It is to be parked, until its waker schedules it.
    Rest(Parking<'a, M>),
    /// It was woken in the meantime, and is to be scheduled.
    Woken,
    Killed(ExitReason),
}

/// The mailbox, locked: dropping this parks the actor, as the last thing that its runner does. From then on somebody else
/// may run it, or have freed it.
pub(crate) struct Parking<'a, M>(#[allow(dead_code, reason = "held")] Guard<'a, State<M>>);

impl<M> fmt::Debug for Parking<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parking")
    }
}

/// When a message came, for the time it spends in the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) came: Instant,
    /// Messages before it.
    pub(crate) ahead: usize,
}

/// What the consumer holds between its visits.
pub(crate) struct Batch<M> {
    /// Taken and not yet handled.
    pub(crate) messages: VecDeque<M>,
    /// Begun since the last visit: their room is to be given back.
    pub(crate) begun: u32,
    pub(crate) sample: Option<Box<Sample>>,
}

impl<M> Default for Batch<M> {
    fn default() -> Batch<M> {
        Batch { messages: VecDeque::new(), begun: 0, sample: None }
    }
}

pub(crate) struct Mailbox<M> {
    state: StateLock<State<M>>,
    /// Fires for those who wait for room, who set `WAITERS` first, when half of it is free and when the mailbox closes.
    space: Event,
    capacity: u32,
    overflow: Overflow,
    /// Messages are taken one at a time.
    exact: bool,
    rules: Option<Box<Rules<M>>>,
}

/// What few mailboxes have.
struct Rules<M> {
    coalesce: Option<CoalesceKey<M>>,
    weigh: Option<Weigh<M>>,
}

struct State<M> {
    queue: VecDeque<M>,
    /// Made when first needed.
    rare: Option<Box<Rare>>,
    closed: Option<Ending>,
}

#[derive(Default)]
struct Rare {
    lane: Lane,
    kill: Option<ExitReason>,
    /// With coalescing, the keys of what is in the queue.
    keys: keys::Keys,
    /// With weighing, the bytes of what is in the queue.
    bytes: usize,
    dropped: u64,
    sample: Option<Sample>,
}

impl<M> State<M> {
    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }
}

impl<M> Mailbox<M> {
    pub(crate) fn new(options: MailboxOptions<M>, default_capacity: usize) -> Mailbox<M> {
        let capacity = options.capacity.unwrap_or(default_capacity).clamp(1, MAILBOX_CAPACITY_MAX);
        let has_rules = options.coalesce.is_some() || options.weigh.is_some();
        Mailbox {
            state: StateLock::new(Word::FIRST.0, State { queue: VecDeque::new(), rare: None, closed: None }),
            space: Event::new(),
            capacity: capacity as u32,
            overflow: options.overflow,
            exact: capacity < BULK_MIN || has_rules || options.overflow == Overflow::DropOld,
            rules: has_rules.then(|| Box::new(Rules { coalesce: options.coalesce, weigh: options.weigh })),
        }
    }

    pub(crate) fn overflow(&self) -> Overflow {
        self.overflow
    }

    /// The state as it is at this moment.
    #[inline]
    pub(crate) fn word(&self) -> Word {
        Word(self.state.word_relaxed())
    }

    pub(crate) fn lifecycle(&self) -> Lifecycle {
        Word(self.state.word()).lifecycle()
    }

    /// Messages that were accepted and not begun, at most [`SETTLE_MAX`] too many.
    pub(crate) fn len(&self) -> usize {
        Word(self.state.word()).count()
    }

    /// Bytes of what waits: as it weighs, or as large as its type is.
    pub(crate) fn bytes(&self) -> usize {
        let state = self.state.lock();
        match &state.rare {
            Some(rare) if self.weigh().is_some() => rare.bytes,
            _ => Word(state.word()).count() * size_of::<M>(),
        }
    }

    /// Messages that were refused, dropped or replaced because the mailbox was full.
    pub(crate) fn dropped(&self) -> u64 {
        self.state.lock().rare.as_ref().map_or(0, |rare| rare.dropped)
    }

    pub(crate) fn note_dropped(&self) {
        self.state.lock().rare().dropped += 1;
    }

    fn weigh(&self) -> Option<&Weigh<M>> {
        self.rules.as_ref()?.weigh.as_ref()
    }

    /// Takes the front of the queue, with what belongs to it.
    fn take_one(&self, state: &mut Guard<'_, State<M>>) -> Option<M> {
        let message = state.queue.pop_front()?;
        if let Some(rare) = &mut state.rare {
            rare.keys.pop();
            rare.sample = match rare.sample {
                Some(Sample { ahead: 0, .. }) | None => None,
                Some(sample) => Some(Sample { ahead: sample.ahead - 1, ..sample }),
            };
        }
        Some(message)
    }

    /// Puts a message into the system lane: whether it was accepted, and whether the actor is to be scheduled.
    pub(crate) fn push_system(&self, message: SystemMessage) -> (bool, bool) {
        let mut state = self.state.lock();
        let word = Word(state.word());
        if word.is_closed() {
            return (false, false);
        }
        let mut next = word.urgent(true);
        if matches!(message, SystemMessage::Stop) {
            if word.is_stop() {
                return (true, false);
            }
            next = next.stop(true);
            // A stop that is the first of its lane needs no memory: the bit says it.
            if state.rare.as_ref().is_none_or(|rare| rare.lane.is_empty()) {
                return (true, schedule_idle(&mut state, next));
            }
        }
        if word.is_stop() && state.rare.as_ref().is_none_or(|rare| rare.lane.is_empty()) {
            // Behind a stop nothing is heard any more.
            return (true, false);
        }
        if !state.rare().lane.push(message) {
            return (false, false);
        }
        (true, schedule_idle(&mut state, next))
    }

    /// Takes waiting messages out of the system lane: what was unlinked or demonitored no longer arrives.
    pub(crate) fn retain_system(&self, keep: impl Fn(&SystemMessage) -> bool) {
        if let Some(rare) = &mut self.state.lock().rare {
            rare.lane.retain(keep);
        }
    }

    /// Ends the actor at its next await, before anything else; whether it is to be scheduled.
    pub(crate) fn kill(&self, reason: ExitReason) -> bool {
        let mut state = self.state.lock();
        let word = Word(state.word());
        if word.lifecycle().is_over() || state.rare.as_ref().is_some_and(|rare| rare.kill.is_some()) {
            return false;
        }
        state.rare().kill = Some(reason);
        let parked = word.turn() == Turn::Parked;
        let next = word.urgent(true).woken(true);
        state.set_word(if parked { next.with_turn(Turn::Queued) } else { next }.0);
        parked
    }

    /// Accepts nothing more; the actor ends normally after what waits. Whether it is to be scheduled.
    pub(crate) fn drain(&self) -> bool {
        let mut state = self.state.lock();
        let word = Word(state.word());
        if word.is_closed() {
            return false;
        }
        let wake = schedule_idle(&mut state, word.draining(true).waiters(false));
        drop(state);
        if word.was_awaited() {
            self.space.notify(usize::MAX);
        }
        wake
    }

    /// The waker of a waiting hook was called; whether the actor is to be scheduled.
    pub(crate) fn woken(&self) -> bool {
        let mut state = self.state.lock();
        let word = Word(state.word());
        match word.turn() {
            Turn::Parked if word.is_busy() => {
                state.set_word(word.with_turn(Turn::Queued).checked_after(word).0);
                true
            }
            // Queued or running with a hook under way, or about to be: it will look again.
            Turn::Queued | Turn::Running => {
                state.set_word(word.woken(true).0);
                false
            }
            // A waker that outlived its hook.
            Turn::Parked => false,
        }
    }

    /// The consumer begins or continues a hook; a kill if there is one.
    pub(crate) fn resume(&self) -> Option<ExitReason> {
        let mut state = self.state.lock();
        let word = Word(state.word());
        state.set_word(word.with_turn(Turn::Running).busy(false).woken(false).checked_after(word).0);
        state.rare.as_mut().and_then(|rare| rare.kill.take())
    }

    /// The consumer's hook waits: parks the actor, unless it was woken or killed since [`Mailbox::resume`] or
    /// [`Mailbox::next`].
    pub(crate) fn pause(&self, batch: &mut Batch<M>) -> Pause<'_, M> {
        let mut state = self.state.lock();
        if let Some(reason) = state.rare.as_mut().and_then(|rare| rare.kill.take()) {
            return Pause::Killed(reason);
        }
        let before = Word(state.word());
        let (mut word, room) = self.settled(before, batch);
        if room > 0 {
            // Told before the actor is parked, when it is no longer ours, and without the lock.
            state.set_word(self.announced(word, room).0);
            drop(state);
            self.notify(room);
            state = self.state.lock();
            if let Some(reason) = state.rare.as_mut().and_then(|rare| rare.kill.take()) {
                return Pause::Killed(reason);
            }
            word = Word(state.word());
        }
        let woken = word.is_woken();
        let turn = if woken { Turn::Queued } else { Turn::Parked };
        state.set_word(word.busy(true).woken(false).with_turn(turn).checked_after(before).0);
        if woken { Pause::Woken } else { Pause::Rest(Parking(state)) }
    }

    /// The consumer's step: what to do next, or nothing, and then the actor is parked.
    ///
    /// The batch is refilled only when empty.
    #[inline]
    pub(crate) fn next(&self, batch: &mut Batch<M>, timed: bool) -> Next<'_, M> {
        let mut state = self.state.lock();
        let before = Word(state.word());
        if before.is_plain() && !self.exact && !timed && batch.messages.is_empty() {
            let word = before.minus(batch.begun as usize);
            if !state.queue.is_empty() {
                batch.begun = 0;
                std::mem::swap(&mut state.queue, &mut batch.messages);
                state.set_word(word.with_turn(Turn::Running).0);
                return Next::Messages;
            }
            if batch.messages.capacity().max(state.queue.capacity()) <= ROOM_KEPT {
                batch.begun = 0;
                // By way of running, if this is the first visit of the turn.
                state.set_word(word.with_turn(Turn::Parked).0);
                return Next::Rest(Parking(state));
            }
        }
        self.next_of_all(state, before, batch, timed)
    }

    /// The consumer's step in general.
    fn next_of_all<'a>(
        &'a self,
        mut state: Guard<'a, State<M>>,
        before: Word,
        batch: &mut Batch<M>,
        timed: bool,
    ) -> Next<'a, M> {
        let (mut word, room) = self.settled(before, batch);
        if word.turn() == Turn::Queued {
            word = word.with_turn(Turn::Running);
        }
        word = word.woken(false);
        if word.is_urgent()
            && let Some(urgent) = take_urgent(&mut state, &mut word)
        {
            self.publish(state, before, word, room);
            return urgent;
        }
        if !batch.messages.is_empty() {
            self.publish(state, before, word, room);
            return Next::Messages;
        }
        if state.queue.is_empty() {
            return self.rest(state, before, word, batch, room);
        }
        if self.exact {
            batch.sample =
                state.rare.as_ref().and_then(|rare| rare.sample).filter(|s| s.ahead == 0).map(Box::new);
            batch.messages.extend(self.take_one(&mut state));
            // By being taken it is begun.
            word = word.minus(1);
        } else {
            std::mem::swap(&mut state.queue, &mut batch.messages);
            batch.sample = state.rare.as_mut().and_then(|rare| rare.sample.take()).map(Box::new);
        }
        let word = if timed {
            word.timed(state.rare.as_ref().is_none_or(|rare| rare.sample.is_none()))
        } else {
            word
        };
        self.publish(state, before, word, room);
        if self.rules.is_some()
            && let Some(message) = batch.messages.front()
        {
            self.unweigh(message);
        }
        Next::Messages
    }

    /// Unlocks with a new word, and tells those that wait for room.
    #[inline]
    fn publish(&self, mut state: Guard<'_, State<M>>, before: Word, word: Word, room: usize) {
        state.set_word(self.announced(word, room).checked_after(before).0);
        drop(state);
        self.notify(room);
    }

    /// Nothing waits.
    #[inline]
    fn rest<'a>(
        &'a self,
        mut state: Guard<'a, State<M>>,
        before: Word,
        mut word: Word,
        batch: &mut Batch<M>,
        room: usize,
    ) -> Next<'a, M> {
        if word.is_draining() {
            self.publish(state, before, word, room);
            return Next::Drained;
        }
        if room > 0 {
            // Told before the actor is parked, when it is no longer ours, and without the lock.
            self.publish(state, before, word, room);
            state = self.state.lock();
            word = Word(state.word());
            if word.is_urgent() || !state.queue.is_empty() || word.is_draining() {
                // What came meanwhile is for the next visit.
                return Next::Messages;
            }
        }
        if batch.messages.capacity() > ROOM_KEPT || state.queue.capacity() > ROOM_KEPT {
            // Once for each burst, so the time under the lock does not matter.
            batch.messages = VecDeque::new();
            state.queue = VecDeque::new();
        }
        state.set_word(word.with_turn(Turn::Parked).checked_after(word).0);
        Next::Rest(Parking(state))
    }

    /// Gives back the room of the messages that were begun, if that is due.
    #[inline]
    pub(crate) fn settle(&self, batch: &mut Batch<M>) {
        let word = self.word();
        let due = word.has_waiters() || word.count() >= self.capacity as usize / 2;
        if self.exact || !due {
            return;
        }
        let state = self.state.lock();
        let word = Word(state.word());
        let (next, room) = self.settled(word, batch);
        self.publish(state, word, next, room);
    }

    /// How many messages are begun between two calls of [`Mailbox::settle`].
    #[inline]
    pub(crate) fn settle_every(&self) -> u32 {
        (self.capacity / 8).clamp(1, SETTLE_MAX as u32)
    }

    /// The word after the room of `begun` messages was given back, and for how many that wait for room there is some.
    #[inline]
    fn settled(&self, word: Word, batch: &mut Batch<M>) -> (Word, usize) {
        let begun = std::mem::take(&mut batch.begun) as usize;
        let word = if self.exact { word } else { word.minus(begun) };
        if !word.has_waiters() {
            return (word, 0);
        }
        let (count, capacity) = (word.count(), self.capacity as usize);
        (word, if count <= capacity / 2 { capacity - count } else { 0 })
    }

    /// The word without `WAITERS` when some are about to be told: they set it again, or pass it on.
    #[inline]
    fn announced(&self, word: Word, room: usize) -> Word {
        if room == 0 { word } else { word.waiters(false) }
    }

    #[inline]
    fn notify(&self, room: usize) {
        if room > 0 {
            self.space.notify(room);
        }
    }

    /// The turn of the actor is over though it has more to do.
    pub(crate) fn requeue(&self, batch: &mut Batch<M>) {
        let state = self.state.lock();
        let before = Word(state.word());
        let (word, room) = self.settled(before, batch);
        // Queued, the actor is still ours until its job is in a run queue.
        self.publish(state, before, word.with_turn(Turn::Queued), room);
    }

    /// Accepts nothing more, from now on with this reason; what waited comes back. Only the first call counts.
    pub(crate) fn close(&self, reason: &ExitReason) -> VecDeque<M> {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            return VecDeque::new();
        }
        state.closed = Some(Ending::from(reason));
        let before = Word(state.word());
        let word = before.minus(before.count()).waiters(false).with_end(Lifecycle::Stopping);
        state.set_word(word.checked_after(before).0);
        let queue = std::mem::take(&mut state.queue);
        let lane = state.rare.as_mut().map(|rare| std::mem::take(&mut rare.lane));
        drop(state);
        drop(lane);
        if before.was_awaited() {
            self.space.notify(usize::MAX);
        }
        queue
    }

    /// The end is over. The reason may have changed since `close`, by a panic on the way out.
    pub(crate) fn finish(&self, reason: &ExitReason) {
        let mut state = self.state.lock();
        state.closed = Some(Ending::from(reason));
        let rare = state.rare.take();
        let before = Word(state.word());
        let end = match reason {
            ExitReason::Normal | ExitReason::Killed => Lifecycle::Stopped,
            ExitReason::Crashed(_)
            | ExitReason::Linked(_)
            | ExitReason::NoProcess
            | ExitReason::NodeDown
            | ExitReason::NotAllowed => Lifecycle::Crashed,
        };
        state.set_word(before.with_end(end).checked_after(before).0);
        drop(state);
        drop(rare);
    }
}

/// Publishes `next`, with which an idle actor is scheduled; whether it was idle.
fn schedule_idle<M>(state: &mut Guard<'_, State<M>>, next: Word) -> bool {
    let wake = next.is_idle();
    state.set_word(if wake { next.with_turn(Turn::Queued) } else { next }.0);
    wake
}

/// The kill, the stop or the message of the system lane that comes next.
fn take_urgent<'a, M>(state: &mut Guard<'a, State<M>>, word: &mut Word) -> Option<Next<'a, M>> {
    let is_stop = word.is_stop();
    let Some(rare) = &mut state.rare else {
        return is_stop.then_some(Next::System(SystemMessage::Stop));
    };
    if let Some(reason) = rare.kill.take() {
        return Some(Next::Killed(reason));
    }
    if let Some(message) = rare.lane.pop() {
        *word = word.urgent(!rare.lane.is_empty() || (is_stop && !matches!(message, SystemMessage::Stop)));
        return Some(Next::System(message));
    }
    if is_stop {
        return Some(Next::System(SystemMessage::Stop));
    }
    *word = word.urgent(false);
    None
}

#[cfg(test)]
mod tests;

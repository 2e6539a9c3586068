//! The producers' side of a mailbox: pushing, what a full mailbox does, and waiting for room.

use super::word::{Turn, Word};
use super::{Mailbox, Rules, Sample, State, keys};
use crate::counters::Reason;
use crate::ending::Ending;
use crate::error::TrySendError;
use crate::options::Overflow;
use crate::state_lock::Guard;
use crate::sync::EventListener;
use hew_wire::ExitReason;
use std::collections::VecDeque;
use std::time::Instant;

impl<M> Mailbox<M> {
    /// Pushes without waiting. When full, coalesces or drops the oldest where the policy says so, else gives back; then
    /// `announce` says that the caller is going to wait for room, for which it listens already.
    ///
    /// `Ok` holds whether the actor is to be scheduled, and what the new message displaced.
    #[inline(always)]
    pub(crate) fn try_push(
        &self,
        message: M,
        announce: bool,
        now: impl Fn() -> Instant,
    ) -> Result<Pushed<M>, TrySendError<M>> {
        if let Some(rules) = &self.rules {
            return self.push_by_rules(rules, message, announce, now);
        }
        let mut state = self.state.lock();
        let word = Word(state.word());
        if !word.is_open() {
            let reason = refusal(&state);
            return Err(TrySendError::Closed { message, reason });
        }
        if word.count() >= self.capacity as usize {
            return self.overflowing(state, message, announce, None, now);
        }
        let wake = append(&mut state, word, message, now);
        Ok(Pushed { wake, displaced: None })
    }

    /// Pushes as many as there is room for, all at once: whether the actor is to be scheduled. What is left in `messages`
    /// has to be pushed one by one, which also says why.
    pub(crate) fn push_all(&self, messages: &mut VecDeque<M>, now: impl Fn() -> Instant) -> bool {
        if self.rules.is_some() {
            return false;
        }
        let mut state = self.state.lock();
        let word = Word(state.word());
        let room = (self.capacity as usize).saturating_sub(word.count()).min(messages.len());
        if !word.is_open() || room == 0 {
            return false;
        }
        let wake = count_in(&mut state, word, room, now);
        if room < messages.len() {
            state.queue.extend(messages.drain(..room));
        } else if state.queue.is_empty() {
            std::mem::swap(&mut state.queue, messages);
        } else {
            state.queue.append(messages);
        }
        wake
    }

    #[cold]
    fn overflowing(
        &self,
        mut state: Guard<'_, State<M>>,
        message: M,
        announce: bool,
        notes: Option<Notes>,
        now: impl Fn() -> Instant,
    ) -> Result<Pushed<M>, TrySendError<M>> {
        let word = Word(state.word());
        // Taken ones count, but they are no longer here to be dropped.
        if self.overflow == Overflow::DropOld
            && let Some(oldest) = self.take_one(&mut state)
        {
            state.rare().dropped += 1;
            note(&mut state, notes);
            let wake = append(&mut state, word.minus(1), message, now);
            return Ok(Pushed { wake, displaced: Some((oldest, Reason::DroppedOld)) });
        }
        if announce {
            state.set_word(word.waiters(true).awaited(true).0);
        }
        drop(state);
        Err(TrySendError::Full(message))
    }

    #[cold]
    fn push_by_rules(
        &self,
        rules: &Rules<M>,
        message: M,
        announce: bool,
        now: impl Fn() -> Instant,
    ) -> Result<Pushed<M>, TrySendError<M>> {
        // Code of users does not run under the lock.
        let key = rules.coalesce.as_ref().map(|key_of| key_of(&message));
        let bytes = rules.weigh.as_ref().map_or(0, |weigh| weigh(&message));
        let notes = Some(Notes { key, bytes });
        let mut state = self.state.lock();
        let word = Word(state.word());
        if !word.is_open() {
            let reason = refusal(&state);
            return Err(TrySendError::Closed { message, reason });
        }
        let pushed = if word.count() < self.capacity as usize {
            note(&mut state, notes);
            Pushed { wake: append(&mut state, word, message, now), displaced: None }
        } else if let Some(position) = state.rare().keys.position(key.flatten()) {
            let old = std::mem::replace(&mut state.queue[position], message);
            let rare = state.rare();
            rare.dropped += 1;
            rare.bytes += bytes;
            drop(state);
            Pushed { wake: false, displaced: Some((old, Reason::Coalesced)) }
        } else {
            self.overflowing(state, message, announce, notes, now)?
        };
        if let Some((old, _)) = &pushed.displaced {
            self.unweigh(old);
        }
        Ok(pushed)
    }

    /// A weighed message has left the queue.
    pub(crate) fn unweigh(&self, message: &M) {
        if let Some(weigh) = self.weigh() {
            let bytes = weigh(message);
            let mut state = self.state.lock();
            let rare = state.rare();
            rare.bytes = rare.bytes.saturating_sub(bytes);
        }
    }

    /// A listener for the next time that pushing is worth another try. Listen first, then try with `announce`, then
    /// wait.
    pub(crate) fn space(&self) -> EventListener {
        self.space.listen()
    }

    /// Somebody who waited for room has got some, or waits no more: the next one is told if there is more, else that is
    /// noted for the actor. Not under the lock, as the list of those who wait has one of its own.
    pub(crate) fn pass_on(&self) {
        if self.space.total_listeners() == 0 {
            return;
        }
        let mut state = self.state.lock();
        let word = Word(state.word());
        let has_room = !word.is_open() || word.count() < self.capacity as usize;
        if !has_room {
            state.set_word(word.waiters(true).0);
        }
        drop(state);
        if has_room {
            self.space.notify(1);
        }
    }
}

/// A message that was taken into a mailbox.
pub(crate) struct Pushed<M> {
    /// The actor is to be scheduled.
    pub(crate) wake: bool,
    /// What had to go for it.
    pub(crate) displaced: Option<(M, Reason)>,
}

/// What the rules of a mailbox say about a message.
#[derive(Clone, Copy)]
struct Notes {
    /// With coalescing, its key.
    key: Option<Option<keys::Key>>,
    bytes: usize,
}

/// Notes a message that is about to be appended.
fn note<M>(state: &mut State<M>, notes: Option<Notes>) {
    if let Some(Notes { key, bytes }) = notes {
        let rare = state.rare();
        if let Some(key) = key {
            rare.keys.push(key);
        }
        rare.bytes += bytes;
    }
}

/// Appends to an open mailbox with room; whether the actor is to be scheduled.
#[inline(always)]
fn append<M>(state: &mut Guard<'_, State<M>>, word: Word, message: M, now: impl Fn() -> Instant) -> bool {
    let wake = count_in(state, word, 1, now);
    state.queue.push_back(message);
    wake
}

/// Counts messages that are about to be appended; whether the actor is to be scheduled, which counts as done.
#[inline(always)]
fn count_in<M>(
    state: &mut Guard<'_, State<M>>,
    word: Word,
    messages: usize,
    now: impl Fn() -> Instant,
) -> bool {
    let mut next = word.plus(messages);
    if word.is_timed() {
        let ahead = state.queue.len();
        state.rare().sample = Some(Sample { came: now(), ahead });
        next = next.timed(false);
    }
    let wake = word.is_idle();
    if wake {
        next = next.with_turn(Turn::Queued);
    }
    state.set_word(next.0);
    wake
}

/// Why an actor that does not take messages does not.
fn refusal<M>(state: &State<M>) -> ExitReason {
    // Draining is an end by request.
    state.closed.as_ref().map_or(ExitReason::Normal, Ending::reason)
}

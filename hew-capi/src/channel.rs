//! One answer on its way to whoever waits: what a reply channel is inside.

use crate::error::{Failure, HEW_ERR_CLOSED, HEW_ERR_TIMEOUT};
use crate::workers::blocking;
use hew_actor::{AskError, RemoteReply};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The place where one answer arrives, at most once.
pub(crate) struct Channel {
    state: Mutex<State>,
}

struct State {
    progress: Progress,
    /// Threads that wait for this channel, perhaps among others.
    waiting: Vec<Arc<Bell>>,
    /// Called when the answer comes and nobody wants it any more.
    abandoned: Option<Box<dyn FnOnce() + Send>>,
}

enum Progress {
    Open,
    Done(Result<Vec<u8>, AskError>),
    Taken,
}

/// Wakes one thread.
#[derive(Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Channel {
    pub(crate) fn new() -> Arc<Channel> {
        let state = State { progress: Progress::Open, waiting: Vec::new(), abandoned: None };
        Arc::new(Channel { state: Mutex::new(state) })
    }

    /// The answer, or why there is none. Only the first counts; whether it was this one.
    pub(crate) fn complete(&self, answer: Result<Vec<u8>, AskError>) -> bool {
        let mut state = self.state();
        if !matches!(state.progress, Progress::Open) {
            return false;
        }
        if let Some(abandoned) = state.abandoned.take() {
            state.progress = Progress::Taken;
            drop(state);
            abandoned();
            return true;
        }
        state.progress = Progress::Done(answer);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.iter().for_each(|bell| bell.ring());
        true
    }

    /// Whether an answer is there and not taken.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.state().progress, Progress::Done(_))
    }

    /// Takes the answer.
    pub(crate) fn take(&self) -> Option<Result<Vec<u8>, Failure>> {
        let mut state = self.state();
        match std::mem::replace(&mut state.progress, Progress::Taken) {
            Progress::Open => {
                state.progress = Progress::Open;
                None
            }
            Progress::Done(answer) => Some(answer.map_err(|error| ask_failure(&error))),
            Progress::Taken => {
                Some(Err(Failure::new(HEW_ERR_CLOSED, "the answer of this reply channel was taken already")))
            }
        }
    }

    /// Calls `f` when the answer comes instead of keeping it; at once if it is there.
    pub(crate) fn abandon(&self, f: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        if matches!(state.progress, Progress::Open) {
            state.abandoned = Some(Box::new(f));
            return;
        }
        drop(state);
        f();
    }

    /// Somebody wants the answer after all.
    pub(crate) fn want(&self) {
        self.state().abandoned = None;
    }

    /// Waits for the answer and takes it.
    ///
    /// # Errors
    /// Why there is no answer, or `HEW_ERR_TIMEOUT`.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Result<Vec<u8>, Failure> {
        if let Some(answer) = self.take() {
            return answer;
        }
        let first = wait_for_first(&[Some(self)], deadline)?;
        match first.and_then(|_| self.take()) {
            Some(answer) => answer,
            None => Err(Failure::new(HEW_ERR_TIMEOUT, "no answer within the deadline")),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is behind this lock changes in single steps.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until one of the channels is ready, and says which; of several, the first in the list. `None` after the
/// deadline.
///
/// # Errors
/// This is a handler, and too many of them wait already.
pub(crate) fn wait_for_first(
    channels: &[Option<&Channel>],
    deadline: Option<Instant>,
) -> Result<Option<usize>, Failure> {
    let ready = || channels.iter().position(|channel| channel.is_some_and(Channel::is_ready));
    let bell = Arc::new(Bell::default());
    for channel in channels.iter().flatten() {
        channel.state().waiting.push(Arc::clone(&bell));
    }
    // Looked at after the bell hangs everywhere: what comes later rings it.
    let first = match ready() {
        Some(first) => Ok(Some(first)),
        None => blocking(|| if bell.wait(deadline) { ready() } else { None }),
    };
    for channel in channels.iter().flatten() {
        channel.state().waiting.retain(|other| !Arc::ptr_eq(other, &bell));
    }
    first
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Whether it rang before the deadline.
    fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !*rung {
            rung = match deadline {
                None => self.changed.wait(rung).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
                    self.changed.wait_timeout(rung, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        true
    }
}

/// A reply address whose answer goes to a channel of this process.
pub(crate) struct ToChannel(pub(crate) Arc<Channel>);

impl RemoteReply for ToChannel {
    fn send(&self, answer: Result<Vec<u8>, AskError>) {
        self.0.complete(answer);
    }
}

/// The failure of a question, with the code of its cause.
pub(crate) fn ask_failure(error: &AskError) -> Failure {
    use crate::error::{
        HEW_ERR_ACTOR_STOPPED, HEW_ERR_MAILBOX_FULL, HEW_ERR_NODE_DOWN, HEW_ERR_NOT_ALLOWED,
        HEW_ERR_SERIALIZE, HEW_ERR_STALE,
    };
    use hew_wire::ExitReason;
    let code = match error {
        AskError::Timeout => HEW_ERR_TIMEOUT,
        AskError::NoReply => HEW_ERR_CLOSED,
        AskError::Ended(ExitReason::NodeDown) | AskError::NodeDown => HEW_ERR_NODE_DOWN,
        AskError::Ended(ExitReason::NoProcess) => HEW_ERR_STALE,
        AskError::Ended(
            ExitReason::Normal | ExitReason::Killed | ExitReason::Crashed(_) | ExitReason::Linked(_),
        ) => HEW_ERR_ACTOR_STOPPED,
        AskError::Full => HEW_ERR_MAILBOX_FULL,
        AskError::NotAllowed | AskError::Ended(ExitReason::NotAllowed) => HEW_ERR_NOT_ALLOWED,
        AskError::Undecodable(_) | AskError::Unencodable(_) => HEW_ERR_SERIALIZE,
    };
    Failure::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn soon() -> Option<Instant> {
        Some(Instant::now() + Duration::from_millis(5))
    }

    #[test]
    fn only_the_first_answer_counts_and_is_taken_once() {
        let channel = Channel::new();
        assert!(channel.complete(Ok(vec![1])));
        assert!(!channel.complete(Ok(vec![2])));
        assert_eq!(channel.wait(None), Ok(vec![1]));
        assert_eq!(channel.wait(None).unwrap_err().code, HEW_ERR_CLOSED);
    }

    #[test]
    fn an_answer_wakes_who_waits_for_any_of_several() {
        let (one, two) = (Channel::new(), Channel::new());
        assert_eq!(wait_for_first(&[Some(&one), None, Some(&two)], soon()), Ok(None));
        let later = Arc::clone(&two);
        let answering = std::thread::spawn(move || later.complete(Ok(vec![7])));
        assert_eq!(wait_for_first(&[Some(&one), None, Some(&two)], None), Ok(Some(2)));
        assert!(answering.join().unwrap());
        assert!(one.state().waiting.is_empty(), "nobody waits for the loser any more");
    }

    #[test]
    fn an_abandoned_channel_is_told_when_its_answer_comes() {
        let (told, heard) = std::sync::mpsc::channel();
        let channel = Channel::new();
        let tell = told.clone();
        channel.abandon(move || tell.send(1).unwrap());
        assert!(heard.try_recv().is_err());
        channel.complete(Ok(Vec::new()));
        assert_eq!(heard.try_recv(), Ok(1));

        let done = Channel::new();
        done.complete(Ok(Vec::new()));
        done.abandon(move || told.send(2).unwrap());
        assert_eq!(heard.try_recv(), Ok(2));
    }

    #[test]
    fn a_channel_that_is_wanted_again_keeps_its_answer() {
        let channel = Channel::new();
        channel.abandon(|| panic!("nobody gave it up in the end"));
        channel.want();
        channel.complete(Ok(vec![3]));
        assert_eq!(channel.wait(None), Ok(vec![3]));
        let waiting = Channel::new();
        assert_eq!(waiting.wait(soon()).unwrap_err().code, HEW_ERR_TIMEOUT);
    }
}

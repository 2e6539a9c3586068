//! The first answer of several questions.

use crate::error::AskError;
use crate::lock::Lock;
use crate::runtime::{Elapsed, Runtime};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// [`select`] has no answer to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// There was nothing to wait for.
    #[error("there is no question to wait for")]
    Empty,
    /// The time given to [`select_within`] is over. All questions were cancelled.
    #[error("no question was answered in time")]
    Elapsed,
}

/// [`select_ok`] has no answer to give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectOkError {
    /// There was nothing to wait for.
    #[error("there is no question to wait for")]
    Empty,
    /// No question was answered with a value; why, in the order of the list.
    #[error("none of {} questions was answered", .0.len())]
    Failed(Vec<AskError>),
}

/// Waits for the first of several questions to be answered or to fail, and cancels the others by dropping them.
///
/// Gives the place in the list and the result of the question that is ready first: in the order in which they become
/// ready, also if several do before this is polled again, and in the order of the list if several are ready at the
/// first poll. The others are dropped before this resolves: their late answers are dropped and counted in
/// [`DeadLetters::late_replies`](crate::DeadLetters::late_replies), and
/// [`ReplyTo::is_awaited`](crate::ReplyTo::is_awaited) says that nobody waits. Questions of different types fit into
/// one list as [`BoxFuture`](crate::BoxFuture)s.
///
/// Nothing is asked before the first poll. Each question costs two allocations; a wake costs a poll of the question
/// that woke, however many there are.
///
/// ```
/// # use hew_actor::*;
/// # struct Echo;
/// # impl Actor for Echo {
/// #     type Message = ReplyTo<u8>;
/// #     async fn handle(&mut self, reply: ReplyTo<u8>, _: &mut Context<ReplyTo<u8>>) -> Outcome {
/// #         reply.send(7);
/// #         Outcome::Continue
/// #     }
/// # }
/// # let simulation = Simulation::new(1);
/// # let system = System::new(simulation.runtime(), SystemConfig::default());
/// # let replicas = [system.spawn(Echo), system.spawn(Echo)];
/// # simulation.run(async {
/// let (place, answer) = select(replicas.iter().map(|replica| replica.ask(|reply| reply))).await?;
/// assert!(place < 2 && answer? == 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap().unwrap();
/// ```
///
/// # Errors
/// [`SelectError::Empty`] for an empty list.
pub fn select<T, F: Future<Output = Result<T, AskError>>>(asks: impl IntoIterator<Item = F>) -> Select<F> {
    Select { race: Race::new(asks) }
}

/// As [`select`], but for no longer than `deadline`; then all questions are cancelled.
///
/// # Errors
/// [`SelectError`].
pub async fn select_within<T, F: Future<Output = Result<T, AskError>>>(
    runtime: &Runtime,
    deadline: Duration,
    asks: impl IntoIterator<Item = F>,
) -> Result<(usize, Result<T, AskError>), SelectError> {
    runtime.timeout(deadline, select(asks)).await.unwrap_or_else(|Elapsed| Err(SelectError::Elapsed))
}

/// As [`select`], but passes over questions that fail: gives the first value, or all errors.
///
/// # Errors
/// [`SelectOkError`].
pub fn select_ok<T, F: Future<Output = Result<T, AskError>>>(
    asks: impl IntoIterator<Item = F>,
) -> SelectOk<F> {
    let race = Race::new(asks);
    SelectOk { errors: race.asks.iter().map(|_| None).collect(), race }
}

/// The future of [`select`].
#[must_use = "nothing is asked unless this is awaited"]
pub struct Select<F> {
    race: Race<F>,
}

impl<T, F: Future<Output = Result<T, AskError>>> Future for Select<F> {
    type Output = Result<(usize, Result<T, AskError>), SelectError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let first = std::task::ready!(self.race.poll_next(cx));
        self.race.cancel();
        Poll::Ready(first.ok_or(SelectError::Empty))
    }
}

impl<F> fmt::Debug for Select<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").field("open", &self.race.open).finish()
    }
}

/// The future of [`select_ok`].
#[must_use = "nothing is asked unless this is awaited"]
pub struct SelectOk<F> {
    race: Race<F>,
    /// What failed so far, in the order of the list.
    errors: Vec<Option<AskError>>,
}

impl<T, F: Future<Output = Result<T, AskError>>> Future for SelectOk<F> {
    type Output = Result<(usize, T), SelectOkError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match std::task::ready!(self.race.poll_next(cx)) {
                Some((place, Ok(value))) => {
                    self.race.cancel();
                    return Poll::Ready(Ok((place, value)));
                }
                Some((place, Err(error))) => self.errors[place] = Some(error),
                None if self.errors.is_empty() => return Poll::Ready(Err(SelectOkError::Empty)),
                None => {
                    let errors = std::mem::take(&mut self.errors).into_iter().flatten().collect();
                    return Poll::Ready(Err(SelectOkError::Failed(errors)));
                }
            }
        }
    }
}

impl<F> fmt::Debug for SelectOk<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectOk").field("open", &self.race.open).finish()
    }
}

/// Futures of which only those are polled that were woken.
struct Race<F> {
    asks: Vec<Option<Pin<Box<F>>>>,
    wakers: Vec<Waker>,
    woken: Arc<Woken>,
    /// Asks that are left.
    open: usize,
}

impl<F: Future> Race<F> {
    fn new(asks: impl IntoIterator<Item = F>) -> Race<F> {
        let asks: Vec<_> = asks.into_iter().map(|ask| Some(Box::pin(ask))).collect();
        let count = asks.len();
        let queue = Queue { places: (0..count).collect(), queued: vec![true; count], task: None };
        let woken = Arc::new(Woken(Lock::new(queue)));
        let waker = |place| Waker::from(Arc::new(Bell { place, woken: woken.clone() }));
        Race { asks, wakers: (0..count).map(waker).collect(), open: count, woken }
    }

    /// The next one that is ready, with its place; `None` when none is left.
    ///
    /// Polls as many as are in the queue when it begins. One that is woken meanwhile wakes the task again, so that
    /// others have their turn.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<(usize, F::Output)>> {
        if self.open == 0 {
            return Poll::Ready(None);
        }
        for _ in 0..self.woken.begin(cx.waker()) {
            let Some(place) = self.woken.next() else { break };
            let Some(ask) = &mut self.asks[place] else { continue };
            if let Poll::Ready(output) = ask.as_mut().poll(&mut Context::from_waker(&self.wakers[place])) {
                self.asks[place] = None;
                self.open -= 1;
                return Poll::Ready(Some((place, output)));
            }
        }
        Poll::Pending
    }
}

impl<F> Race<F> {
    /// Drops what is left, in the order of the list.
    fn cancel(&mut self) {
        self.open = 0;
        self.asks.clear();
    }
}

impl<F> Drop for Race<F> {
    fn drop(&mut self) {
        // Wakers of the asks may live on in others' hands; the task does not have to.
        let task = self.woken.0.lock().task.take();
        drop(task);
    }
}

/// Which asks of a race were woken.
struct Woken(Lock<Queue>);

struct Queue {
    /// In the order of their wakes, each at most once.
    places: VecDeque<usize>,
    queued: Vec<bool>,
    /// The task that polls the race, until it is woken.
    task: Option<Waker>,
}

impl Woken {
    /// Notes whom to wake from now on, and says how many are woken.
    fn begin(&self, task: &Waker) -> usize {
        let mut queue = self.0.lock();
        let old = match &mut queue.task {
            Some(known) if known.will_wake(task) => None,
            known => known.replace(task.clone()),
        };
        let count = queue.places.len();
        drop(queue);
        drop(old);
        count
    }

    /// Takes one out before it is polled: a wake during the poll puts it back.
    fn next(&self) -> Option<usize> {
        let mut queue = self.0.lock();
        let place = queue.places.pop_front()?;
        queue.queued[place] = false;
        Some(place)
    }

    fn wake(&self, place: usize) {
        let mut queue = self.0.lock();
        if std::mem::replace(&mut queue.queued[place], true) {
            return;
        }
        queue.places.push_back(place);
        let task = queue.task.take();
        drop(queue);
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// The waker of one ask.
struct Bell {
    place: usize,
    woken: Arc<Woken>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.woken.wake(self.place);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.wake(self.place);
    }
}

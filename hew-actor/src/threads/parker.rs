//! How a worker sleeps: in the reactor, so that it wakes from a socket without another thread in between.

use crate::lock::Lock;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::time::Instant;

/// Where one worker sleeps and is woken.
#[derive(Default)]
pub(super) struct Parker {
    /// A wake-up that the worker has not seen. Written by anybody (`SeqCst`, after what the wake-up is about), taken by
    /// the worker, which then looks for that.
    notified: AtomicBool,
    waker: Lock<Option<Waker>>,
}

/// What a worker keeps between its sleeps.
#[derive(Default)]
pub(super) struct Bed {
    timer: Option<(Instant, async_io::Timer)>,
}

impl Parker {
    /// Wakes the worker, or keeps it from falling asleep the next time.
    pub(super) fn wake(&self) {
        if !self.notified.swap(true, Ordering::SeqCst) {
            let waker = self.waker.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Sleeps until somebody wakes this worker or, if given, until the deadline. Sockets are served meanwhile.
    pub(super) fn sleep(&self, bed: &mut Bed, deadline: Option<Instant>) {
        if self.notified.swap(false, Ordering::SeqCst) {
            return;
        }
        bed.set(deadline);
        async_io::block_on(poll_fn(|cx| {
            let mut waker = self.waker.lock();
            if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
            drop(waker);
            if self.notified.swap(false, Ordering::SeqCst) {
                return Poll::Ready(());
            }
            match &mut bed.timer {
                Some((_, timer)) => Pin::new(timer).poll(cx).map(drop),
                None => Poll::Pending,
            }
        }));
    }
}

impl Bed {
    fn set(&mut self, deadline: Option<Instant>) {
        match (&mut self.timer, deadline) {
            (None, None) => {}
            (Some((set, _)), Some(deadline)) if *set == deadline => {}
            (Some((set, timer)), Some(deadline)) => {
                timer.set_at(deadline);
                *set = deadline;
            }
            (timer, Some(deadline)) => *timer = Some((deadline, async_io::Timer::at(deadline))),
            (timer, None) => *timer = None,
        }
    }
}

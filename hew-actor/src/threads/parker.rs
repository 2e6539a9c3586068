//! How a worker sleeps: in the reactor, so that it wakes from a socket without another thread in between.
//!
//! The whole life of a worker is one call of `async_io::block_on`, and each sleep a future that is not ready. Entering and
//! leaving `block_on` for each sleep would wake the thread of `async-io` each time, which then keeps the reactor: everything
//! that happens to a socket would go through one thread more.

use super::worker::Step;
use crate::lock::Lock;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// Where one worker sleeps and is woken.
#[derive(Default)]
pub(super) struct Parker {
    /// A wake-up that the worker has not seen. Written by anybody (`SeqCst`, after what the wake-up is about), taken by
    /// the worker, which then looks for that.
    notified: AtomicBool,
    waker: Lock<Option<Waker>>,
}

/// The time at which a worker wakes by itself.
#[derive(Default)]
struct Bed {
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

    /// Takes steps until one says to leave. `asleep` hears when the worker falls asleep, and when it is awake again.
    pub(super) fn drive(&self, mut step: impl FnMut() -> Step, asleep: impl Fn(bool)) {
        let mut bed = Bed::default();
        async_io::block_on(poll_fn(|cx| {
            asleep(false);
            loop {
                match step() {
                    Step::Again => {}
                    Step::Serve => {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Step::Sleep(deadline) => {
                        if self.falls_asleep(&mut bed, deadline, cx) {
                            asleep(true);
                            return Poll::Pending;
                        }
                    }
                    Step::Leave => return Poll::Ready(()),
                }
            }
        }));
    }

    /// Whether nobody has called and it is not the time yet.
    fn falls_asleep(&self, bed: &mut Bed, deadline: Option<Instant>, cx: &mut Context<'_>) -> bool {
        if self.notified.swap(false, Ordering::SeqCst) {
            return false;
        }
        let mut waker = self.waker.lock();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        drop(waker);
        if self.notified.swap(false, Ordering::SeqCst) {
            return false;
        }
        bed.set(deadline);
        match &mut bed.timer {
            Some((_, timer)) => Pin::new(timer).poll(cx).is_pending(),
            None => true,
        }
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

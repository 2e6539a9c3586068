//! Looking at a connection for a short while before sleeping.
//!
//! Going to sleep and being woken costs some 20 us on each side, more than the whole way of a small message. A reader that
//! looks again and again for about as long as an answer takes saves both, and costs a processor that long whenever nothing
//! comes. So it is off unless asked for, bounded, gives everything else its turn between two looks, and stops trying on a
//! connection on which it is in vain.

use futures_lite::future;
use futures_lite::io::AsyncRead;
use hew_actor::Runtime;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Longest time that may be asked for.
pub(crate) const SPIN_MAX: Duration = Duration::from_millis(1);
/// After this many times in vain, only one of 2 to the power of it is tried.
const MISSES_MAX: u32 = 6;

/// Whether looking pays on one connection.
#[derive(Debug)]
pub(super) struct Spin {
    most: Duration,
    /// Times in vain since the last that was not.
    misses: u32,
    /// Reads to let pass before it is tried again.
    skip: u32,
}

impl Spin {
    /// `most` is how long a read may take that way; zero: none.
    pub(super) fn new(most: Duration, runtime: &Runtime) -> Spin {
        // Virtual time does not pass while something runs.
        let most = if runtime.is_simulated() { Duration::ZERO } else { most.min(SPIN_MAX) };
        Spin { most, misses: 0, skip: 0 }
    }

    /// Reads if something comes soon; `None`: nothing did, or it is not worth trying. `writes` counts what was written to the
    /// same peer: an answer is waited for from then on.
    pub(super) async fn read(
        &mut self,
        runtime: &Runtime,
        stream: &mut (impl AsyncRead + Unpin),
        buffer: &mut [u8],
        writes: impl Fn() -> u64,
    ) -> Option<io::Result<usize>> {
        if self.most.is_zero() {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        let (mut until, mut seen) = (runtime.now() + self.most, writes());
        loop {
            // A waker that wakes nobody: our sockets do not even note it, and no other thread is woken for what is seen here.
            let looked = Pin::new(&mut *stream).poll_read(&mut Context::from_waker(Waker::noop()), buffer);
            if let Poll::Ready(result) = looked {
                self.misses = 0;
                return Some(result);
            }
            let (now, written) = (runtime.now(), writes());
            if seen != written {
                (until, seen) = (now + self.most, written);
            } else if now >= until {
                self.misses = (self.misses + 1).min(MISSES_MAX);
                self.skip = (1 << self.misses) - 2;
                return None;
            }
            future::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hew_actor::RuntimeConfig;
    use std::task::Wake;

    /// Has something at every look after so many.
    struct After(u32);

    impl AsyncRead for After {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            if self.0 == 0 {
                buffer[0] = 7;
                return Poll::Ready(Ok(1));
            }
            self.0 -= 1;
            Poll::Pending
        }
    }

    fn read(spin: &mut Spin, runtime: &Runtime, looks: u32) -> Option<usize> {
        let mut stream = After(looks);
        let read = future::block_on(spin.read(runtime, &mut stream, &mut [0; 8], || 0));
        read.map(|result| result.expect("it never fails"))
    }

    fn runtime() -> Runtime {
        Runtime::start(RuntimeConfig { workers: 1, ..RuntimeConfig::default() }).expect("threads")
    }

    #[test]
    fn what_comes_soon_is_read_and_what_does_not_is_tried_less_and_less() {
        let runtime = runtime();
        let mut spin = Spin::new(SPIN_MAX, &runtime);
        assert_eq!(read(&mut spin, &runtime, 3), Some(1));
        let mut tried = 0;
        for _ in 0..1000 {
            let before = spin.misses.max(spin.skip);
            assert_eq!(read(&mut spin, &runtime, u32::MAX), None);
            tried += u32::from(spin.skip >= before);
        }
        assert!((10..40).contains(&tried), "{tried} of 1000");
        spin.skip = 0;
        assert_eq!(read(&mut spin, &runtime, 3), Some(1));
        assert_eq!(read(&mut spin, &runtime, 3), Some(1), "it pays again");
        runtime.shutdown();
    }

    #[test]
    fn it_is_off_when_nothing_was_asked_for_and_in_virtual_time() {
        let real = runtime();
        assert_eq!(read(&mut Spin::new(Duration::ZERO, &real), &real, 0), None);
        let simulated = hew_actor::Simulation::new(1).runtime();
        assert_eq!(read(&mut Spin::new(SPIN_MAX, &simulated), &simulated, 0), None);
        real.shutdown();
    }

    #[test]
    fn others_have_their_turn_between_two_looks() {
        struct Count(std::sync::atomic::AtomicU32);
        impl Wake for Count {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        }
        let runtime = runtime();
        let mut spin = Spin::new(SPIN_MAX, &runtime);
        let count = std::sync::Arc::new(Count(0.into()));
        let waker = Waker::from(std::sync::Arc::clone(&count));
        let (mut stream, mut buffer) = (After(3), [0; 8]);
        let mut reading = std::pin::pin!(spin.read(&runtime, &mut stream, &mut buffer, || 0));
        let mut polls = 1;
        while reading.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            polls += 1;
        }
        assert_eq!((polls, count.0.load(std::sync::atomic::Ordering::SeqCst)), (4, 3));
        runtime.shutdown();
    }
}

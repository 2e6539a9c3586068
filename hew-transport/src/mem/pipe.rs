//! One direction of an in-memory connection: a bounded queue of bytes that can be held, ended and broken.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The queue between one writer and one reader.
///
/// Wakers are called and dropped after the lock is given back: an executor may run a task from within `wake`, and the
/// last waker of a task that was given up may drop its future, and with it the other half of this very pipe.
#[derive(Debug)]
pub(super) struct Pipe {
    state: Mutex<State>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<u8>,
    /// While the pipe is held: how many bytes of the queue had arrived before. Neither the bytes behind them nor what
    /// one side does to the other is seen until the pipe is released.
    held: Option<usize>,
    /// The writer was closed or dropped: after the queue comes the end.
    ended: bool,
    /// The reader was dropped: what is written goes nowhere.
    abandoned: bool,
    /// The connection was broken: both sides see a reset, and what was on the way is lost.
    broken: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Who waits for a pipe that has changed.
#[derive(Debug)]
#[must_use]
pub(super) struct Wakers {
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Wakers {
    pub(super) fn wake(self) {
        wake(self.reader);
        wake(self.writer);
    }
}

impl Pipe {
    /// An empty pipe that takes `bytes_max` bytes, at least 1, before its writer waits.
    pub(super) fn new(bytes_max: usize) -> Pipe {
        Pipe { state: Mutex::default(), bytes_max: bytes_max.max(1) }
    }

    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        match state.read(buffer) {
            Some(result) => {
                let waker = state.writer.take();
                drop(state);
                wake(waker);
                Poll::Ready(result)
            }
            None => {
                let replaced = state.reader.replace(cx.waker().clone());
                drop(state);
                drop(replaced);
                Poll::Pending
            }
        }
    }

    pub(super) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        match state.write(buffers, self.bytes_max) {
            Some(result) => {
                let waker = state.reader.take();
                drop(state);
                wake(waker);
                Poll::Ready(result)
            }
            None => {
                let replaced = state.writer.replace(cx.waker().clone());
                drop(state);
                drop(replaced);
                Poll::Pending
            }
        }
    }

    /// Nothing more will be written.
    pub(super) fn end(&self) {
        self.change(|state| state.ended = true);
    }

    /// Nothing more will be read.
    pub(super) fn abandon(&self) {
        self.change(|state| {
            state.abandoned = true;
            if state.held.is_none() {
                state.queue = VecDeque::new();
            }
        });
    }

    /// Resets the connection. What a held pipe hides, it does not hide this: it is the network that tells.
    pub(super) fn sever(&self) {
        self.change(|state| {
            state.broken = true;
            state.queue = VecDeque::new();
        });
    }

    /// Stops delivery, or lets everything through that was stopped. The caller wakes, once it holds no lock.
    pub(super) fn hold(&self, hold: bool) -> Wakers {
        let mut state = self.lock();
        state.held = match (hold, state.held) {
            (true, None) => Some(state.queue.len()),
            (true, held) => held,
            (false, _) => None,
        };
        Wakers { reader: state.reader.take(), writer: state.writer.take() }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let wakers = Wakers { reader: state.reader.take(), writer: state.writer.take() };
        drop(state);
        wakers.wake();
    }

    /// A panic cannot leave the state half changed: none of the changes can panic between two steps.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What a read gives now; `None`: wait.
    fn read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        if self.broken {
            return Some(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let arrived = self.held.unwrap_or(self.queue.len());
        let bytes = buffer.len().min(arrived);
        if bytes == 0 && !buffer.is_empty() {
            return (self.ended && self.held.is_none()).then_some(Ok(0));
        }
        let (front, back) = self.queue.as_slices();
        let cut = bytes.min(front.len());
        buffer[..cut].copy_from_slice(&front[..cut]);
        buffer[cut..bytes].copy_from_slice(&back[..bytes - cut]);
        self.queue.drain(..bytes);
        if let Some(held) = &mut self.held {
            *held -= bytes;
        }
        Some(Ok(bytes))
    }

    /// What a write gives now; `None`: wait.
    fn write(&mut self, buffers: &[IoSlice<'_>], bytes_max: usize) -> Option<io::Result<usize>> {
        if self.broken {
            return Some(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if self.ended || (self.abandoned && self.held.is_none()) {
            return Some(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut free = bytes_max - self.queue.len();
        if free == 0 && buffers.iter().any(|buffer| !buffer.is_empty()) {
            return None;
        }
        let before = self.queue.len();
        for buffer in buffers {
            let bytes = buffer.len().min(free);
            self.queue.extend(&buffer[..bytes]);
            free -= bytes;
        }
        Some(Ok(self.queue.len() - before))
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::Wake;

    fn write(pipe: &Pipe, bytes: &[u8]) -> Poll<Result<usize, io::ErrorKind>> {
        let mut cx = Context::from_waker(Waker::noop());
        pipe.poll_write(&mut cx, &[IoSlice::new(bytes)]).map_err(|error| error.kind())
    }

    fn read(pipe: &Pipe, bytes: usize) -> Poll<Result<Vec<u8>, io::ErrorKind>> {
        let mut buffer = vec![0; bytes];
        let mut cx = Context::from_waker(Waker::noop());
        let read = pipe.poll_read(&mut cx, &mut buffer).map_err(|error| error.kind());
        read.map_ok(|bytes| buffer[..bytes].to_vec())
    }

    fn got(bytes: &[u8]) -> Poll<Result<Vec<u8>, io::ErrorKind>> {
        Poll::Ready(Ok(bytes.to_vec()))
    }

    #[test]
    fn a_full_pipe_takes_a_part_then_waits() {
        let pipe = Pipe::new(4);
        assert_eq!(write(&pipe, b"abcdef"), Poll::Ready(Ok(4)));
        assert_eq!(write(&pipe, b"e"), Poll::Pending);
        assert_eq!(write(&pipe, b""), Poll::Ready(Ok(0)));
        assert_eq!(read(&pipe, 3), got(b"abc"));
        assert_eq!(write(&pipe, b"xyz1"), Poll::Ready(Ok(3)));
        assert_eq!(read(&pipe, 9), got(b"dxyz"), "also where the queue wraps around");
        assert_eq!(read(&pipe, 9), Poll::Pending);
        assert_eq!(read(&pipe, 0), got(b""));
    }

    #[test]
    fn dropping_a_waker_may_touch_the_pipe() {
        struct Owner(Arc<Pipe>);
        impl Wake for Owner {
            fn wake(self: Arc<Self>) {}
        }
        impl Drop for Owner {
            fn drop(&mut self) {
                self.0.abandon();
            }
        }
        let pipe = Arc::new(Pipe::new(1));
        for _ in 0..2 {
            let owner = Waker::from(Arc::new(Owner(pipe.clone())));
            assert!(pipe.poll_read(&mut Context::from_waker(&owner), &mut [0]).is_pending());
        }
        assert_eq!(read(&pipe, 1), Poll::Pending);
        assert_eq!(write(&pipe, b"x"), Poll::Ready(Err(io::ErrorKind::BrokenPipe)));
    }

    #[test]
    fn a_pipe_of_no_bytes_has_one() {
        assert_eq!(write(&Pipe::new(0), b"ab"), Poll::Ready(Ok(1)));
    }

    #[test]
    fn the_end_comes_after_the_bytes() {
        let pipe = Pipe::new(9);
        assert_eq!(write(&pipe, b"ab"), Poll::Ready(Ok(2)));
        pipe.end();
        assert_eq!(write(&pipe, b"c"), Poll::Ready(Err(io::ErrorKind::BrokenPipe)));
        assert_eq!(read(&pipe, 9), got(b"ab"));
        assert_eq!((read(&pipe, 9), read(&pipe, 9)), (got(b""), got(b"")));
    }

    #[test]
    fn a_held_pipe_shows_only_what_had_arrived() {
        let pipe = Pipe::new(9);
        assert_eq!(write(&pipe, b"ab"), Poll::Ready(Ok(2)));
        pipe.hold(true).wake();
        assert_eq!(write(&pipe, b"cd"), Poll::Ready(Ok(2)));
        pipe.hold(true).wake();
        assert_eq!(read(&pipe, 1), got(b"a"));
        assert_eq!(read(&pipe, 9), got(b"b"));
        assert_eq!(read(&pipe, 9), Poll::Pending);
        pipe.end();
        assert_eq!(read(&pipe, 9), Poll::Pending, "the end is held as well");
        pipe.hold(false).wake();
        assert_eq!((read(&pipe, 9), read(&pipe, 9)), (got(b"cd"), got(b"")));
    }

    #[test]
    fn a_held_pipe_hides_that_the_reader_is_gone() {
        let pipe = Pipe::new(2);
        pipe.hold(true).wake();
        pipe.abandon();
        assert_eq!(write(&pipe, b"abc"), Poll::Ready(Ok(2)));
        assert_eq!(write(&pipe, b"c"), Poll::Pending);
        pipe.hold(false).wake();
        assert_eq!(write(&pipe, b"c"), Poll::Ready(Err(io::ErrorKind::BrokenPipe)));
    }

    #[test]
    fn a_severed_pipe_resets_both_sides_and_loses_what_was_on_the_way() {
        for hold in [false, true] {
            let pipe = Pipe::new(9);
            pipe.hold(hold).wake();
            assert_eq!(write(&pipe, b"ab"), Poll::Ready(Ok(2)));
            pipe.sever();
            assert_eq!(read(&pipe, 9), Poll::Ready(Err(io::ErrorKind::ConnectionReset)));
            assert_eq!(write(&pipe, b"c"), Poll::Ready(Err(io::ErrorKind::ConnectionReset)));
        }
    }
}

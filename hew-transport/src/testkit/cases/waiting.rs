//! Cases about what it costs to wait, and who is woken.

use super::super::Kit;
use super::*;
use crate::transport::{Listener, Transport};
use async_io::Timer;
use futures_lite::future::{poll_fn, race, zip};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How long the cost of waiting is measured.
const MEASURED: Duration = Duration::from_millis(200);
/// How often a task that waits may be polled meanwhile: a reactor may wake it for nothing now and then, no timer may.
const POLLS_MAX: u32 = 40;

/// A read, a write and an accept that wait are woken when there is something, not to look whether there is.
pub async fn waiting_costs_nothing<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    fill(&mut pair.dialled.writer, 1).await;
    let listener = &mut pair.listener;
    for (what, polls) in [
        ("read", polls_of(pair.dialled.reader.read(&mut [0])).await),
        ("write", polls_of(pair.dialled.writer.write(&[0])).await),
        ("accept", polls_of(listener.accept()).await),
    ] {
        assert!(polls <= POLLS_MAX, "a waiting {what} was polled {polls} times in {MEASURED:?}");
    }
}

/// How often `waiting`, which is not ready before, is polled in [`MEASURED`].
async fn polls_of<R>(waiting: impl Future<Output = R>) -> u32 {
    let mut waiting = pin!(waiting);
    let mut polls = 0;
    let counted = poll_fn(|cx| {
        polls += 1;
        // A transport may have made a little more room by itself, and be done: it does not wait then.
        if polls > POLLS_MAX { Poll::Ready(()) } else { waiting.as_mut().poll(cx).map(|_| ()) }
    });
    race(counted, async {
        Timer::after(MEASURED).await;
    })
    .await;
    polls
}

/// Whoever polled last is woken, not whoever polled first: a half may move from one task to another.
pub async fn the_last_waker_is_woken<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    let addr = pair.listener.local_addr();

    assert!(poll_once_by_nobody(pair.accepted.reader.read(&mut [0])).is_pending(), "nothing was written");
    let mut reader = pair.accepted.reader;
    let read = kit.spawn(async move {
        expect_stream(&mut reader, 1, 0, 1).await;
        reader
    });
    let write = async {
        pass_the_turn().await;
        send_stream(&mut pair.dialled.writer, 1, 1, 1).await;
    };
    let (_, mut reader) = zip(write, read).await;

    let filled = fill(&mut pair.dialled.writer, 2).await;
    let taken = match poll_once_by_nobody(pair.dialled.writer.write(&stream_bytes(2, filled, 1))) {
        Poll::Ready(written) => must("write", written),
        Poll::Pending => 0,
    };
    let from = filled + taken;
    let mut writer = pair.dialled.writer;
    let write = kit.spawn(async move {
        let part = stream_bytes(2, from, 300_000);
        must("write on", within("write on", writer.write_all(&part)).await);
    });
    let read = async {
        pass_the_turn().await;
        expect_stream(&mut reader, 2, 0, from + 300_000).await;
    };
    zip(read, write).await;

    let mut listener = pair.listener;
    assert!(poll_once_by_nobody(listener.accept()).is_pending(), "nobody has dialled");
    let acceptor = kit.clone();
    let accept = kit.spawn(async move { acceptor.accept(&mut listener).await });
    let dial = async {
        pass_the_turn().await;
        kit.connect(&addr).await
    };
    let (mut dialled, mut accepted) = zip(dial, accept).await;
    expect_echo(&mut dialled, &mut accepted, 3).await;
}

/// Polls with a waker that wakes nobody.
fn poll_once_by_nobody<R>(waiting: impl Future<Output = R>) -> Poll<R> {
    pin!(waiting).poll(&mut Context::from_waker(Waker::noop()))
}

/// Lets the task that was spawned last run until it waits; if it has not by then, the case shows less, not something
/// else.
async fn pass_the_turn() {
    for _ in 0..10 {
        futures_lite::future::yield_now().await;
    }
}

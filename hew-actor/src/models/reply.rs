//! The slot of a reply: who answers, who waits, and who gives up.

use super::{block_on, check};
use crate::counters::Counters;
use crate::error::AskError;
use crate::reply::{Raw, RawReply, channel};
use futures_lite::future::poll_once;
use loom::thread::spawn;
use std::sync::Arc;

/// Waiting against the answer: it arrives, and its waker is called.
#[test]
fn an_answer_wakes_who_waits() {
    check(|| {
        let (reply, answer) = channel::<u32>(&Arc::new(Counters::default()));
        let thread = spawn(move || reply.send(7));
        assert_eq!(block_on(answer), Ok(7));
        thread.join().unwrap();
    });
}

/// Giving up against the answer, as a deadline does: it was received, or counted as late; never both, never neither.
#[test]
fn an_answer_is_received_or_late() {
    check(|| {
        let counters = Arc::new(Counters::default());
        let (reply, mut answer) = channel::<Arc<()>>(&counters);
        let value = Arc::new(());
        let sent = value.clone();
        let thread = spawn(move || reply.send(sent));
        let received = block_on(poll_once(&mut answer));
        let count = u64::from(received.is_some());
        drop((received, answer));
        thread.join().unwrap();
        assert_eq!(counters.snapshot().late_replies + count, 1);
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

/// The address is dropped while the asker waits: it hears so.
#[test]
fn an_address_that_is_dropped_answers() {
    check(|| {
        let (reply, answer) = channel::<u32>(&Arc::new(Counters::default()));
        let thread = spawn(move || drop(reply));
        assert_eq!(block_on(answer), Err(AskError::NoReply));
        thread.join().unwrap();
    });
}

/// The message is dropped while the last sink of its question goes, unanswered: one of the two tells the asker.
#[test]
fn the_last_of_address_and_sink_answers() {
    check(|| {
        let (reply, answer): (RawReply, _) = channel(&Arc::new(Counters::default()));
        let sink = reply.sink().unwrap();
        let thread = spawn(move || drop(reply));
        sink.revoke();
        thread.join().unwrap();
        assert_eq!(block_on(answer), Err(AskError::NoReply));
    });
}

/// Two sinks answer, the message is dropped: the asker hears the first answer and the other is counted.
#[test]
fn one_of_two_answers_counts() {
    check(|| {
        let counters = Arc::new(Counters::default());
        let (reply, answer): (RawReply, _) = channel(&counters);
        let (first, second) = (reply.sink().unwrap(), reply.sink().unwrap());
        let threads = [spawn(move || first.complete(Ok(&[1]))), spawn(move || second.complete(Ok(&[2])))];
        drop(reply);
        let heard = block_on(answer);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(heard == Ok(Raw(vec![1])) || heard == Ok(Raw(vec![2])));
        assert_eq!(counters.snapshot().late_replies, 1);
    });
}

/// Giving up against a sink that wants to hear of it: it hears once, or is told at once that it is too late.
#[test]
fn a_question_is_abandoned_once() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    check(|| {
        let (reply, answer): (RawReply, _) = channel(&Arc::new(Counters::default()));
        let (sink, calls) = (reply.sink().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counting = calls.clone();
        let thread = spawn(move || drop(answer));
        let noted = sink.on_abandoned(move || {
            counting.fetch_add(1, Ordering::Relaxed);
        });
        thread.join().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), usize::from(noted));
        assert!(!sink.is_awaited() && !reply.is_awaited());
    });
}

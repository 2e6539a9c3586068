//! Tests of the mailbox's rules, one consumer and one producer at a time; races are in the models.

use super::*;
use crate::counters::Reason;
use crate::error::TrySendError;
use crate::monitor::MonitorRef;
use crate::options::CoalesceKey;
use hew_wire::Pid;
use std::sync::Arc;

fn mailbox(capacity: usize, overflow: Overflow) -> Mailbox<u32> {
    Mailbox::new(MailboxOptions { capacity: Some(capacity), overflow, ..MailboxOptions::default() }, 1)
}

/// Pushes and says whether the actor is to be scheduled.
fn push(mailbox: &Mailbox<u32>, message: u32) -> Result<bool, TrySendError<u32>> {
    mailbox.try_push(message, false, Instant::now).map(|pushed| pushed.wake)
}

fn exit() -> SystemMessage {
    SystemMessage::Exit { from: Pid::from_raw(1), reason: ExitReason::Normal, link: false }
}

#[test]
fn capacities_are_moved_into_their_bounds() {
    assert_eq!(mailbox(0, Overflow::Fail).capacity, 1);
    assert_eq!(mailbox(usize::MAX, Overflow::Fail).capacity as usize, MAILBOX_CAPACITY_MAX);
    assert_eq!(Mailbox::<u32>::new(MailboxOptions::default(), 77).capacity, 77);
}

#[test]
fn no_more_wait_than_the_capacity_taken_ones_included_and_order_is_kept() {
    for capacity in [1, 2, 15, 16, 17, 100, 1024] {
        let mailbox = mailbox(capacity, Overflow::Fail);
        let (mut batch, mut sent, mut handled) = (Batch::default(), 0, 0);
        let mut random = fastrand::Rng::with_seed(capacity as u64);
        while handled < 10_000 {
            for _ in 0..random.usize(0..capacity * 2) {
                match push(&mailbox, sent) {
                    Ok(_) => sent += 1,
                    Err(error) => {
                        assert!(error.is_full());
                        let waiting = (sent - handled) as usize;
                        // What was begun and not settled may still be counted, and nothing else.
                        assert!(
                            waiting <= capacity && waiting + mailbox.settle_every() as usize >= capacity,
                            "{waiting}"
                        );
                        break;
                    }
                }
                assert!((sent - handled) as usize <= capacity);
            }
            for _ in 0..random.usize(0..capacity * 2) {
                match mailbox.next(&mut batch, false) {
                    Next::Messages => {}
                    Next::Rest(_) => break,
                    other => panic!("{other:?}"),
                }
                let Some(message) = batch.messages.pop_front() else { continue };
                assert_eq!(message, handled);
                handled += 1;
                batch.begun += 1;
            }
        }
    }
}

#[test]
fn small_mailboxes_are_exact_while_a_message_is_handled() {
    let mailbox = mailbox(1, Overflow::Fail);
    push(&mailbox, 1).unwrap();
    assert!(push(&mailbox, 2).unwrap_err().is_full());
    let mut batch = Batch::default();
    assert!(matches!(mailbox.next(&mut batch, false), Next::Messages));
    assert_eq!(batch.messages.pop_front(), Some(1));
    // One is being handled, one waits.
    push(&mailbox, 2).unwrap();
    assert!(push(&mailbox, 3).unwrap_err().is_full());
}

#[test]
fn dropping_the_oldest_keeps_the_youngest() {
    let mailbox = mailbox(100, Overflow::DropOld);
    for n in 0..150 {
        let pushed = mailbox.try_push(n, false, Instant::now).unwrap();
        assert_eq!(pushed.displaced, (n >= 100).then(|| (n - 100, Reason::DroppedOld)));
    }
    assert_eq!((mailbox.len(), mailbox.dropped()), (100, 50));
    let mut batch = Batch::default();
    for n in 50..150 {
        assert!(matches!(mailbox.next(&mut batch, false), Next::Messages));
        assert_eq!(batch.messages.pop_front(), Some(n));
    }
    assert!(matches!(mailbox.next(&mut batch, false), Next::Rest(_)));
}

#[test]
fn equal_keys_replace_in_place_only_when_full_and_weights_follow() {
    let key: CoalesceKey<u32> = Arc::new(|n| (n % 10 != 9).then_some((0, u64::from(n % 10))));
    let options = MailboxOptions {
        capacity: Some(3),
        overflow: Overflow::DropOld,
        coalesce: Some(key),
        weigh: Some(Arc::new(|&n| n as usize)),
    };
    let mailbox = Mailbox::new(options, 1);
    let displaced = |n| mailbox.try_push(n, false, Instant::now).unwrap().displaced;
    for n in [1, 2, 11] {
        assert_eq!(displaced(n), None);
    }
    // The oldest of two with key 1.
    assert_eq!(displaced(21), Some((1, Reason::Coalesced)));
    assert_eq!(mailbox.bytes(), 21 + 2 + 11);
    // No key, and a key that does not wait: the fallback.
    assert_eq!(displaced(9), Some((21, Reason::DroppedOld)));
    assert_eq!(displaced(3), Some((2, Reason::DroppedOld)));
    assert_eq!(displaced(31), Some((11, Reason::Coalesced)));
    assert_eq!((mailbox.bytes(), mailbox.dropped()), (31 + 9 + 3, 4));
    let mut batch = Batch::default();
    for n in [31, 9, 3] {
        assert!(matches!(mailbox.next(&mut batch, false), Next::Messages));
        assert_eq!(batch.messages.pop_front(), Some(n));
    }
    assert_eq!((mailbox.bytes(), mailbox.len()), (0, 0));
}

#[test]
fn the_system_lane_comes_first_and_is_bounded() {
    let mailbox = mailbox(1, Overflow::Fail);
    push(&mailbox, 1).unwrap();
    for _ in 0..SIGNALS_MAX {
        assert!(mailbox.push_system(exit()).0);
    }
    assert!(!mailbox.push_system(exit()).0);
    // What an actor asked for, and a stop, always fit.
    let monitor = MonitorRef::from_parts(1, Pid::from_raw(1));
    let down = SystemMessage::Down { monitor, pid: Pid::from_raw(1), reason: ExitReason::Normal };
    assert!(mailbox.push_system(down).0);
    assert!(mailbox.push_system(SystemMessage::Stop).0 && mailbox.push_system(SystemMessage::Stop).0);
    let (mut batch, mut count) = (Batch::default(), 0);
    while let Next::System(message) = mailbox.next(&mut batch, false) {
        count += 1;
        if matches!(message, SystemMessage::Stop) {
            break;
        }
    }
    assert_eq!(count, SIGNALS_MAX + 2);
}

#[test]
fn a_stop_needs_no_memory_and_nothing_is_heard_behind_it() {
    let mailbox = mailbox(4, Overflow::Fail);
    let mut batch = Batch::default();
    assert!(matches!(mailbox.next(&mut batch, false), Next::Rest(_)));
    assert_eq!(mailbox.push_system(SystemMessage::Stop), (true, true));
    assert_eq!(mailbox.push_system(SystemMessage::Stop), (true, false));
    assert_eq!(mailbox.push_system(exit()), (true, false));
    assert!(mailbox.state.lock().rare.is_none());
    assert!(matches!(mailbox.next(&mut batch, false), Next::System(SystemMessage::Stop)));
}

#[test]
fn signals_that_came_before_a_stop_are_heard_before_it() {
    let mailbox = mailbox(4, Overflow::Fail);
    mailbox.push_system(exit());
    mailbox.push_system(SystemMessage::Stop);
    let mut batch = Batch::default();
    assert!(matches!(mailbox.next(&mut batch, false), Next::System(SystemMessage::Exit { .. })));
    assert!(mailbox.word().is_urgent());
    assert!(matches!(mailbox.next(&mut batch, false), Next::System(SystemMessage::Stop)));
}

#[test]
fn exactly_one_push_ends_a_wait() {
    let mailbox = mailbox(100, Overflow::Fail);
    let mut batch = Batch::default();
    for _ in 0..3 {
        assert!(matches!(mailbox.next(&mut batch, false), Next::Rest(_)));
        assert_eq!(mailbox.lifecycle(), Lifecycle::Idle);
        assert!(push(&mailbox, 1).unwrap());
        assert_eq!(mailbox.lifecycle(), Lifecycle::Runnable);
        assert!(!push(&mailbox, 2).unwrap());
        assert_eq!(mailbox.push_system(exit()), (true, false));
        assert!(!mailbox.kill(ExitReason::Killed));
        assert!(matches!(mailbox.next(&mut batch, false), Next::Killed(_)));
        assert!(matches!(mailbox.next(&mut batch, false), Next::System(_)));
        assert!(matches!(mailbox.next(&mut batch, false), Next::Messages));
        assert_eq!(mailbox.lifecycle(), Lifecycle::Running);
        batch.begun += batch.messages.drain(..).count() as u32;
    }
}

#[test]
fn a_hook_that_waits_is_woken_by_its_waker_and_by_a_kill_only() {
    let mailbox = mailbox(100, Overflow::Fail);
    let mut batch = Batch::default();
    assert!(mailbox.resume().is_none());
    assert!(matches!(mailbox.pause(&mut batch), Pause::Rest(_)));
    assert_eq!(mailbox.lifecycle(), Lifecycle::Running);
    assert!(!push(&mailbox, 1).unwrap() && mailbox.push_system(exit()) == (true, false));
    assert!(mailbox.woken() && !mailbox.woken());
    assert!(mailbox.resume().is_none());
    // Woken while it is polled: it is not parked.
    assert!(!mailbox.woken());
    assert!(matches!(mailbox.pause(&mut batch), Pause::Woken));
    assert!(mailbox.resume().is_none());
    assert!(matches!(mailbox.pause(&mut batch), Pause::Rest(_)));
    assert!(mailbox.kill(ExitReason::Killed));
    assert!(mailbox.resume().is_some());
}

#[test]
fn closing_gives_back_what_waits_and_refuses_the_rest() {
    let mailbox = mailbox(10, Overflow::Block);
    (0..3).for_each(|n| assert!(push(&mailbox, n).is_ok()));
    assert!(mailbox.resume().is_none());
    assert_eq!(mailbox.close(&ExitReason::Killed), [0, 1, 2]);
    assert!(mailbox.close(&ExitReason::Normal).is_empty());
    let Err(TrySendError::Closed { message: 7, reason: ExitReason::Killed }) = push(&mailbox, 7) else {
        panic!("pushed")
    };
    assert_eq!(mailbox.push_system(SystemMessage::Stop), (false, false));
    mailbox.finish(&ExitReason::crashed("x"));
    assert_eq!((mailbox.lifecycle(), mailbox.len()), (Lifecycle::Crashed, 0));
}

#[test]
fn a_burst_does_not_keep_its_memory() {
    let mailbox = mailbox(100_000, Overflow::Fail);
    let mut batch = Batch::default();
    for _ in 0..2 {
        (0..100_000).for_each(|n| assert!(push(&mailbox, n).is_ok()));
        while matches!(mailbox.next(&mut batch, false), Next::Messages) {
            batch.begun += batch.messages.drain(..).count() as u32;
        }
        assert_eq!(batch.messages.capacity() + mailbox.state.lock().queue.capacity(), 0);
    }
}

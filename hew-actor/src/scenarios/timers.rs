//! Timers that are cancelled while they fire.

use super::*;

const TIMERS: usize = 3;

/// Cancelled or sent, never both, never neither.
fn once() {
    let stage = Stage::new();
    let actor = stage.system.spawn(Counter::new(&stage.census));
    let delay = |n: usize| Duration::from_millis(n as u64 / 2);
    let timers: Vec<_> = (0..TIMERS).map(|n| actor.send_after(delay(n), stage.census.one())).collect();
    let cancellers = [0, 1].map(|_| {
        let timers = timers.clone();
        thread(move || timers.iter().filter(|timer| timer.cancel()).count() as u64)
    });
    let ends = pick(3) == 0;
    if ends {
        actor.stop();
    }
    let cancelled: u64 = cancellers.into_iter().map(|canceller| canceller.join().unwrap()).sum();
    assert!(timers.iter().all(|timer| !timer.is_pending()));
    actor.close();
    wait(stage.system.ended(actor.pid()));
    let letters = stage.system.dead_letters();
    let fired = stage.census.count() + letters.messages();
    assert_eq!(cancelled + fired, TIMERS as u64, "{letters:?}");
    assert!(ends || letters.messages() == 0, "{letters:?}");
    drop((actor, timers));
    stage.close();
}

/// After a cancel nothing comes any more.
fn again_and_again() {
    let stage = Stage::new();
    let actor = stage.system.spawn(Counter::new(&stage.census));
    let (tally, census) = (Tally::default(), stage.census.clone());
    let made = tally.clone();
    let timer = actor.send_every(Duration::from_millis(1), move || {
        made.add();
        census.one()
    });
    wait(tally.reaches(2));
    let others = [0, 1].map(|_| {
        let timer = timer.clone();
        thread(move || timer.cancel())
    });
    let cancels = others.into_iter().map(|other| other.join().unwrap()).filter(|by| *by).count();
    assert_eq!(cancels, 1, "one of two cancels ends a timer");
    let sent = stage.census.count() + actor.mailbox_len() as u64;
    actor.close();
    wait(stage.system.ended(actor.pid()));
    assert!(stage.census.count() <= sent.max(tally.count()));
    drop((actor, timer));
    stage.close();
}

/// A sleep wakes, also when it is set while the workers fall asleep, and one that is dropped does not.
fn sleeps() {
    let stage = Stage::new();
    let sleepers = [1, 2].map(|millis| {
        let runtime = stage.runtime.clone();
        stage.runtime.spawn(async move {
            runtime.sleep(Duration::from_millis(millis)).await;
            runtime.timeout(Duration::from_millis(1), std::future::pending::<()>()).await.is_err()
        })
    });
    wait(stage.runtime.sleep(Duration::from_millis(pick(4) as u64)));
    assert!(sleepers.map(wait).into_iter().all(|timed_out| timed_out));
    stage.close();
}

#[test]
fn timers_once_random() {
    check(once);
}

#[test]
fn timers_once_priorities() {
    check_priorities(once);
}

#[test]
fn timers_again_and_again() {
    check(again_and_again);
}

#[test]
fn timers_sleeps() {
    check(sleeps);
}

//! Alarms: keys that are used again, and workers that sleep while one is set.

use super::start;
use crate::models::check;
use crate::runtime::Alarm;
use crate::threads::alarms::Alarms;
use crate::threads::core::Core;
use loom::thread::spawn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn counting(counter: &Arc<AtomicUsize>) -> Alarm {
    let counter = counter.clone();
    Alarm::Call(Box::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
    }))
}

/// An alarm goes off while its key is used to cancel it, and the next alarm takes its place: the old key never reaches
/// the new alarm, and each alarm goes off once or comes back once.
#[test]
fn the_key_of_an_alarm_never_cancels_the_next_one() {
    check(|| {
        let base = Instant::now() - Duration::from_secs(1);
        let (alarms, first, second) = (Arc::new(Alarms::new(base)), Arc::default(), Arc::default());
        let Ok((old, _)) = alarms.set(base, counting(&first)) else { unreachable!("there is room") };
        let turning = alarms.clone();
        let worker = spawn(move || turning.turn(Instant::now()));
        let Ok((new, _)) = alarms.set(base, counting(&second)) else { unreachable!("there is room") };
        let cancelled = usize::from(alarms.cancel(old).is_some());
        worker.join().unwrap();
        alarms.turn(Instant::now());
        assert_eq!(first.load(Ordering::Relaxed) + cancelled, 1);
        assert_eq!(second.load(Ordering::Relaxed), 1);
        assert!(alarms.cancel(new).is_none() && alarms.cancel(old).is_none());
    });
}

/// Closing against setting: the alarm is refused or comes back from the close.
#[test]
fn an_alarm_is_refused_or_left_when_the_alarms_close() {
    check(|| {
        let alarms = Arc::new(Alarms::new(Instant::now()));
        let setting = alarms.clone();
        let thread = spawn(move || {
            let later = Instant::now() + Duration::from_secs(1000);
            setting.set(later, counting(&Arc::default())).is_err()
        });
        let left = alarms.close().len();
        assert_eq!(usize::from(thread.join().unwrap()) + left, 1);
    });
}

/// An alarm is set while the only worker goes to sleep: it hears of it. Else it sleeps for ever.
#[test]
fn a_worker_that_goes_to_sleep_hears_of_a_new_alarm() {
    check(|| {
        let mut core = Core::new(1, 1);
        // Its clock has gone on by more than a tick, so that what is set is due, whatever time the model takes.
        let base = Instant::now() - Duration::from_secs(1);
        core.alarms = Alarms::new(base);
        let core = Arc::new(core);
        let worker = start(&core, 0);
        let closing = core.clone();
        let alarm = Alarm::Call(Box::new(move || closing.close()));
        assert!(core.set_alarm(base, alarm).is_ok());
        worker.join().unwrap();
    });
}

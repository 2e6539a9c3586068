//! Actors are spawned, sent to and ended in every way, by several threads at once.

use super::*;
use hew_wire::ExitReason;

const THREADS: usize = 2;
const ACTORS: usize = 3;

fn storm() {
    let stage = Stage::new();
    let spawner = |stage: &Stage| {
        let (system, census) = (stage.system.clone(), stage.census.clone());
        move || {
            let (mut accepted, mut pids) = (0, Vec::new());
            for _ in 0..ACTORS {
                let actor = system.spawn(Counter::new(&census));
                pids.push(actor.pid());
                accepted += u64::from(actor.try_send(census.one()).is_ok());
                match pick(3) {
                    0 => actor.stop(),
                    1 => actor.kill(),
                    _ => actor.close(),
                }
                accepted += u64::from(actor.try_send(census.one()).is_ok());
            }
            for pid in pids {
                let reason = wait(system.ended(pid));
                assert!(matches!(reason, ExitReason::Normal | ExitReason::Killed | ExitReason::NoProcess));
                assert!(!system.is_alive(pid), "told of its end, and found alive");
            }
            accepted
        }
    };
    let threads: Vec<_> = (0..THREADS).map(|_| thread(spawner(&stage))).collect();
    let accepted: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    let letters = stage.system.dead_letters();
    assert_eq!(stage.census.count() + letters.stopped, accepted, "{letters:?}");
    assert_eq!(letters.messages(), letters.stopped);
    stage.close();
}

/// What comes while the workers fall asleep, or have slept for long, wakes one of them.
fn lull() {
    let stage = Stage::new();
    let tally = Tally::default();
    for round in 1..=3 {
        // So many looks of the watch, after the last of which it sleeps as well.
        (0..[0, 30, 800][pick(3)]).for_each(|_| shuttle::thread::yield_now());
        match pick(3) {
            0 => wait(stage.runtime.sleep(Duration::from_millis(1))),
            1 => drop(stage.system.spawn(Counter::new(&stage.census)).try_send(stage.census.one())),
            _ => {}
        }
        let (counted, noted) = (stage.census.one(), tally.clone());
        let task = async move {
            drop(counted);
            noted.add();
        };
        stage.runtime.spawn(task).detach();
        wait(tally.reaches(round));
    }
    stage.close();
}

#[test]
fn lull_random() {
    check(lull);
}

#[test]
fn lull_priorities() {
    check_priorities(lull);
}

#[test]
fn storm_random() {
    check(storm);
}

#[test]
fn storm_priorities() {
    check_priorities(storm);
}

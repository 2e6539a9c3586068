//! Actors whose handlers wait are killed while what they wait for comes.

use super::*;
use hew_wire::ExitReason;

/// Waits for a tally in its handler.
struct Patient {
    alone: Alone,
    tally: Tally,
    stopped: Tally,
}

impl Actor for Patient {
    type Message = Counted;

    async fn handle(&mut self, message: Counted, _: &mut Context<Counted>) -> Outcome {
        message.census.handled();
        let _inside = self.alone.enter();
        let inside = message.census.one();
        self.tally.reaches(1).await;
        futures_lite::future::yield_now().await;
        drop(inside);
        Outcome::Continue
    }

    async fn stopped(&mut self, _: &ExitReason, _: &mut Context<Counted>) {
        self.stopped.add();
    }
}

fn kills() {
    let stage = Stage::new();
    let (tally, stopped) = <(Tally, Tally)>::default();
    let patient =
        Patient { alone: Alone::new(&stage.census), tally: tally.clone(), stopped: stopped.clone() };
    let patient = stage.system.spawn(patient);
    let accepted = (0..2).filter(|_| patient.try_send(stage.census.one()).is_ok()).count() as u64;
    let killers = [0, 1].map(|which| {
        let (patient, tally) = (patient.clone(), tally.clone());
        thread(move || {
            if which == 0 {
                tally.add();
            }
            patient.kill();
        })
    });
    let reason = wait(stage.system.ended(patient.pid()));
    assert!(matches!(reason, ExitReason::Killed | ExitReason::NoProcess), "{reason}");
    killers.into_iter().for_each(|killer| killer.join().unwrap());
    assert_eq!(stopped.count(), 0, "the stop hook of an actor that was killed");
    assert_eq!(stage.census.count() + stage.system.dead_letters().stopped, accepted);
    drop((patient, tally));
    stage.close();
}

/// What a handler waits for comes as often as it waits: nothing is lost between its poll and its rest.
fn wakes() {
    let stage = Stage::new();
    let (tally, stopped) = <(Tally, Tally)>::default();
    let patient =
        Patient { alone: Alone::new(&stage.census), tally: tally.clone(), stopped: stopped.clone() };
    let patient = stage.system.spawn(patient);
    for _ in 0..2 {
        patient.try_send(stage.census.one()).unwrap();
    }
    let waker = {
        let tally = tally.clone();
        thread(move || tally.add())
    };
    patient.close();
    assert_eq!(wait(stage.system.ended(patient.pid())).to_string(), ExitReason::Normal.to_string());
    waker.join().unwrap();
    assert_eq!((stage.census.count(), stopped.count()), (2, 1));
    drop((patient, tally));
    stage.close();
}

#[test]
fn kills_random() {
    check(kills);
}

#[test]
fn kills_priorities() {
    check_priorities(kills);
}

#[test]
fn kills_wakes() {
    check(wakes);
}

//! The one alarm that an actor needs for the deadlines of its questions.
//!
//! A question sets an alarm for a deadline that is almost never reached. Setting and removing it would cost as much as the
//! rest of the question. So an actor keeps one alarm, at or before the earliest of its deadlines, and leaves it when the
//! answer comes: most questions find it early enough already. When it goes off the actor's hook is polled; questions whose
//! time has come end, others set it anew.

use crate::runtime::{Alarm, AlarmKey, Runtime};
use std::cell::Cell;
use std::task::Waker;
use std::time::Instant;

/// The alarm of one actor. Touched only by whoever runs it.
#[derive(Default)]
pub(crate) struct Nudge {
    /// The alarm that was set last; it may have gone off.
    set: Cell<Option<Box<Armed>>>,
}

struct Armed {
    at: Instant,
    key: AlarmKey,
}

impl Nudge {
    /// Sees to it that `waker`, the actor's, is called at `deadline` or before.
    pub(crate) fn ensure(&self, runtime: &Runtime, now: Instant, deadline: Instant, waker: &Waker) {
        let armed = self.set.take();
        if let Some(early) = armed.as_ref().filter(|armed| armed.at > now && armed.at <= deadline) {
            debug_assert!(early.at <= deadline);
            self.set.set(armed);
            return;
        }
        // One alarm for each actor, however many questions: what it leaves out, its going off sets again.
        if let Some(other) = &armed {
            drop(runtime.cancel_alarm(other.key));
        }
        // A runtime that was shut down ends its actors.
        if let Ok(key) = runtime.set_alarm(deadline, Alarm::Wake(waker.clone())) {
            let new = Armed { at: deadline, key };
            self.set.set(Some(match armed {
                Some(mut place) => {
                    *place = new;
                    place
                }
                None => Box::new(new),
            }));
        }
    }

    /// Takes the alarm back: the actor has ended.
    pub(crate) fn cancel(&self, runtime: &Runtime) {
        if let Some(armed) = self.set.take() {
            drop(runtime.cancel_alarm(armed.key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::Simulation;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::time::Duration;

    const MS: Duration = Duration::from_millis(1);

    #[derive(Default)]
    struct Calls(AtomicUsize);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A nudge in a world of its own, whose alarms are seen by the wakers that they hold.
    struct World {
        simulation: Simulation,
        nudge: Nudge,
        calls: Arc<Calls>,
        waker: Waker,
    }

    impl World {
        fn new() -> World {
            let calls = Arc::<Calls>::default();
            let waker = Waker::from(calls.clone());
            World { simulation: Simulation::new(1), nudge: Nudge::default(), calls, waker }
        }

        fn ensure(&self, after: Duration) {
            let (runtime, waker) = (self.simulation.runtime(), &self.waker);
            self.nudge.ensure(&runtime, runtime.now(), runtime.now() + after, waker);
        }

        /// Alarms that are set.
        fn alarms(&self) -> usize {
            Arc::strong_count(&self.calls) - 2
        }

        fn calls(&self) -> usize {
            self.calls.0.load(Ordering::SeqCst)
        }

        fn run_for(&self, duration: Duration) {
            self.simulation.run_for(duration).unwrap();
        }
    }

    #[test]
    fn ten_thousand_questions_leave_one_alarm() {
        let world = World::new();
        for _ in 0..10_000 {
            world.ensure(5000 * MS);
            assert_eq!(world.alarms(), 1);
            world.run_for(MS);
        }
        // Each time one went off, the next question set the next one.
        assert_eq!((world.calls(), world.alarms()), (2, 0));
        world.ensure(5000 * MS);
        world.nudge.cancel(&world.simulation.runtime());
        assert_eq!(world.alarms(), 0);
        world.run_for(10_000 * MS);
        assert_eq!(world.calls(), 2);
    }

    #[test]
    fn the_alarm_is_never_later_than_the_earliest_deadline() {
        let world = World::new();
        for after in [5000, 3000, 4000, 50, 2000] {
            world.ensure(after * MS);
            assert_eq!(world.alarms(), 1);
        }
        world.run_for(49 * MS);
        assert_eq!(world.calls(), 0);
        world.run_for(MS);
        assert_eq!((world.calls(), world.alarms()), (1, 0));
        // Who was called looks at what is left, and sets it again.
        for after in [4950, 1950, 2950] {
            world.ensure(after * MS);
        }
        world.run_for(1949 * MS);
        assert_eq!(world.calls(), 1);
        world.run_for(MS);
        assert_eq!((world.calls(), world.alarms()), (2, 0));
    }
}

//! The lives of a child never overlap, and the supervisor answers while one ends.

use super::*;
use std::sync::{Condvar, Mutex};

const STRATEGIES: [Strategy; 3] = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];

/// Several children that take their time and fail in every way, at random.
async fn storm(system: System, strategy: Strategy) {
    let log = Log::default();
    let mut supervisor = Supervisor::new(strategy).budget(u32::MAX, 3600 * SECOND);
    let runtime = system.runtime().clone();
    let any = move |_| {
        let seed = runtime.seed();
        Habits {
            starts_for: MS * (seed % 4) as u32,
            stops_for: MS * (seed >> 8 & 15) as u32,
            panics_in_stopped: seed >> 16 & 7 == 0,
            panics_in_drop: seed >> 24 & 7 == 0,
            ..Habits::default()
        }
    };
    let children = ["a", "b", "c", "d"].map(|name| {
        // Half of the stops take longer than that, and are kills.
        let spec = member(name, &log, any.clone()).stop_deadline(8 * MS).backoff(MS, 4 * MS);
        supervisor.add(&system, spec).unwrap()
    });
    let supervisor = supervisor.spawn(&system);
    for _ in 0..60 {
        let seed = system.runtime().seed();
        let child = &children[(seed % 4) as usize];
        let name = ["a", "b", "c", "d"][(seed % 4) as usize];
        match seed >> 8 & 7 {
            0 => drop(child.actor().map(|actor| actor.kill())),
            1 => {
                let supervisor = supervisor.clone();
                system.runtime().spawn(async move { supervisor.restart(name).await.unwrap_or(()) }).detach();
            }
            2 => drop(child.try_send(run(|_| Outcome::Stop))),
            _ => drop(child.try_send(crash())),
        }
        system.runtime().sleep(MS * (seed >> 16 & 7) as u32).await;
    }
    let ended = watched(&system, supervisor.pid());
    supervisor.stop();
    assert_eq!(ended.await, ExitReason::Normal);
    let story = log.lines();
    check_serial(&story);
    assert!(story.iter().filter(|line| line.ends_with("made")).count() > 20, "{story:#?}");
    assert_eq!(
        story.iter().filter(|line| line.ends_with("made")).count(),
        story.iter().filter(|line| line.ends_with("dropped")).count()
    );
    assert_eq!(system.len(), 0);
}

#[test]
fn restarts_are_strictly_serial() {
    for strategy in STRATEGIES {
        for seed in 0..SEEDS {
            simulated(seed, |system| storm(system, strategy));
        }
        threaded(2, |system| storm(system, strategy));
    }
}

#[test]
fn a_slow_stop_delays_the_group_and_not_the_supervisor() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let log = Log::default();
            let mut supervisor = Supervisor::new(Strategy::OneForAll);
            let a = supervisor.add(&system, plain("a", &log)).unwrap();
            let slow = |_| Habits { stops_for: 3 * SECOND, ..Habits::default() };
            let slow = supervisor.add(&system, member("slow", &log, slow)).unwrap();
            let c = supervisor.add(&system, plain("c", &log)).unwrap();
            let supervisor = supervisor.spawn(&system);
            let old = c.ready().await.unwrap().pid();
            log.take();
            crash_now(&system, &a).await;
            let begin = system.runtime().now();
            system.runtime().sleep(SECOND).await;
            // Answered at once, in the middle of it.
            assert_eq!(info(&supervisor, "slow").await.state, ChildState::Stopping);
            assert_eq!(info(&supervisor, "c").await.state, ChildState::Waiting);
            assert_eq!(system.runtime().now() - begin, SECOND);
            renewed(&c, old).await;
            assert_eq!(system.runtime().now() - begin, 3 * SECOND);
            assert!(slow.actor().is_some());
            let expected = [
                "a#1 stopping",
                "a#1 stopped",
                "a#1 dropped",
                "c#1 stopping",
                "c#1 stopped",
                "c#1 dropped",
                "slow#1 stopping",
                "slow#1 stopped",
                "slow#1 dropped",
                "a#2 made",
                "a#2 starting",
                "a#2 started",
                "slow#2 made",
                "slow#2 starting",
                "slow#2 started",
                "c#2 made",
                "c#2 starting",
                "c#2 started",
            ];
            assert_eq!(log.take(), lines(&expected));
        });
    }
}

#[test]
fn a_slow_child_does_not_delay_the_restart_of_another() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let log = Log::default();
            let mut supervisor = Supervisor::new(Strategy::OneForOne);
            let slow = |n| Habits { starts_for: 20 * SECOND * (n > 1).into(), ..Habits::default() };
            let slow = supervisor.add(&system, member("slow", &log, slow)).unwrap();
            let other = supervisor.add(&system, plain("other", &log)).unwrap();
            let supervisor = supervisor.spawn(&system);
            let old = other.ready().await.unwrap().pid();
            crash_now(&system, &slow).await;
            system.runtime().sleep(SECOND).await;
            assert_eq!(info(&supervisor, "slow").await.state, ChildState::Starting);
            let begin = system.runtime().now();
            crash_now(&system, &other).await;
            renewed(&other, old).await;
            assert!(supervisor.add(plain("third", &log)).await.is_ok());
            assert_eq!(supervisor.remove("third").await, Ok(true));
            assert_eq!(system.runtime().now(), begin);
            // Not even its stop waits for the start.
            supervisor.stop();
            system.ended(supervisor.pid()).await;
            assert_eq!(system.runtime().now(), begin + STOP_DEADLINE);
            assert_eq!(log.lines().last().unwrap(), "slow#2 dropped");
        });
    }
}

#[test]
fn a_child_that_does_not_stop_in_time_is_killed() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let log = Log::default();
            let mut supervisor = Supervisor::new(Strategy::OneForAll);
            let a = supervisor.add(&system, plain("a", &log)).unwrap();
            let slow = |_| Habits { stops_for: 3600 * SECOND, ..Habits::default() };
            let slow = member("slow", &log, slow).stop_deadline(3 * SECOND);
            let slow = supervisor.add(&system, slow).unwrap();
            let supervisor = supervisor.spawn(&system);
            let old = slow.ready().await.unwrap().pid();
            let begin = system.runtime().now();
            crash_now(&system, &a).await;
            renewed(&slow, old).await;
            assert_eq!(system.runtime().now() - begin, 3 * SECOND);
            assert_eq!(supervisor.remove("slow").await, Ok(true));
            assert_eq!(system.runtime().now() - begin, 6 * SECOND);
            check_serial(&log.lines());
        });
    }
}

#[test]
fn a_start_hook_that_hangs_is_killed() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let (log, begin) = (Log::default(), system.runtime().now());
            let slow = |n| Habits { starts_for: 3600 * SECOND * (n == 1).into(), ..Habits::default() };
            let slow = member("slow", &log, slow).start_deadline(2 * SECOND);
            let supervisor = Supervisor::new(Strategy::OneForOne).with(slow).unwrap().spawn(&system);
            let ExitReason::Crashed(text) = system.ended(supervisor.pid()).await else { panic!("no crash") };
            assert!(text.contains("not started within 2s"), "{text}");
            assert_eq!(system.runtime().now() - begin, 2 * SECOND);
            assert_eq!(log.take(), lines(&["slow#1 made", "slow#1 starting", "slow#1 dropped"]));
        });
    }
}

/// Blocks its thread until it is released.
#[derive(Clone, Default)]
struct Block(Arc<(Mutex<bool>, Condvar)>);

impl Block {
    fn wait(&self) {
        let mut released = self.0.0.lock().unwrap();
        while !*released {
            released = self.0.1.wait(released).unwrap();
        }
    }

    fn release(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

/// Releases when the test is over, also when it has failed.
impl Drop for Block {
    fn drop(&mut self) {
        self.release();
    }
}

#[test]
fn a_child_that_never_ends_keeps_its_place() {
    threaded(2, |system| async move {
        let (log, block) = (Log::default(), Block::default());
        let mut supervisor = Supervisor::new(Strategy::OneForOne);
        let stuck = plain("stuck", &log).stop_deadline(MS);
        let stuck = supervisor.add(&system, stuck).unwrap();
        let other = supervisor.add(&system, plain("other", &log)).unwrap();
        let supervisor = supervisor.spawn(&system);
        let (entered, blocks) = (Gate::default(), Block(block.0.clone()));
        let entering = entered.clone();
        stuck.ready().await.unwrap();
        let blocking = run(move |_| {
            entering.open();
            blocks.wait();
            Outcome::Continue
        });
        stuck.send(blocking).await.unwrap();
        entered.wait().await;
        let restarting = {
            let supervisor = supervisor.clone();
            system.runtime().spawn(async move { supervisor.restart("stuck").await })
        };
        // Reported after the deadline of the kill, while the supervisor does its work.
        let mut states = Vec::new();
        while states.last() != Some(&ChildState::Stuck) {
            let state = info(&supervisor, "stuck").await.state;
            if states.last() != Some(&state) {
                states.push(state);
            }
            assert!(supervisor.restart("other").await.is_ok());
            system.runtime().sleep(50 * MS).await;
        }
        assert!(states.ends_with(&[ChildState::Stopping, ChildState::Stuck]), "{states:?}");
        let question = |reply| Cmd::Next(1, reply);
        assert_eq!(other.ask(question).await, Ok(2));
        assert_eq!(
            supervisor.add(plain("stuck", &log)).await.unwrap_err(),
            AddChildError::NameTaken("stuck".into())
        );
        assert!(matches!(stuck.try_send(crash()), Err(TrySendError::Full(_))));
        // It ends after all, and its place is filled again.
        assert!(!log.lines().contains(&"stuck#1 dropped".into()));
        block.release();
        assert_eq!(restarting.await, Ok(()));
        assert_eq!(stuck.ask(question).await, Ok(2));
        check_serial(&log.lines());
    });
}

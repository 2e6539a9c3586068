//! Supervisors below supervisors.

use super::*;

/// A supervisor of one child, `leaf`, with a budget of one restart, that counts how often it is made.
fn fragile(
    log: &Log,
    made: &Arc<AtomicU64>,
    habits: Habits,
) -> impl FnMut() -> Supervisor + Send + Clone + 'static {
    let (log, made) = (log.clone(), made.clone());
    move || {
        let number = made.fetch_add(1, Ordering::SeqCst);
        // One story for all incarnations, so that lives that overlap are seen.
        let (log, first) = (log.clone(), number * 1000);
        let leaf = ChildSpec::new("leaf", {
            let mut n = first;
            move || {
                n += 1;
                let scripted = Scripted::new("leaf", &Log::default());
                let leaf = Member { scripted, habits, title: format!("leaf#{n}"), log: log.clone() };
                leaf.note("made");
                leaf
            }
        });
        Supervisor::new(Strategy::OneForOne).budget(1, 3600 * SECOND).with(leaf).unwrap()
    }
}

async fn crash_leaf(system: &System, supervisor: &SupervisorRef) {
    let leaf = supervisor.child::<Cmd>("leaf").await.unwrap().unwrap();
    crash_now(system, &leaf).await;
    system.runtime().sleep(SECOND).await;
}

#[test]
fn a_nested_supervisor_that_gives_up_is_made_anew_by_its_parent() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let (log, made) = (Log::default(), Arc::default());
            let mut parent = Supervisor::new(Strategy::OneForOne);
            let spec = ChildSpec::supervisor("nested", fragile(&log, &made, Habits::default()));
            let nested = SupervisorRef::from(parent.add(&system, spec).unwrap());
            let parent = parent.spawn(&system);
            assert_eq!(nested.count().await, Ok(1));
            let first = nested.pid();
            for _ in 0..2 {
                crash_leaf(&system, &nested).await;
            }
            assert_eq!(made.load(Ordering::SeqCst), 2);
            // The same reference, another supervisor, with a budget of its own.
            assert_ne!(nested.pid(), first);
            let children = nested.children().await.unwrap();
            assert_eq!((children[0].state, children[0].restarts), (ChildState::Running, 0));
            assert_eq!(info(&parent, "nested").await.restarts, 1);
            assert_eq!(nested.remove("leaf").await, Ok(true));
            assert_eq!(system.shutdown(SECOND).await, ShutdownReport { stopped: 2, killed: 0, stuck: 0 });
            check_serial(&log.lines());
        });
    }
}

#[test]
fn a_budget_that_is_used_up_goes_up_two_levels() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let (log, made, mids) = (Log::default(), Arc::default(), Arc::new(AtomicU64::new(0)));
            let low = fragile(&log, &made, Habits::default());
            let making = mids.clone();
            let mid = ChildSpec::supervisor("mid", move || {
                making.fetch_add(1, Ordering::SeqCst);
                let low = ChildSpec::supervisor("low", low.clone());
                Supervisor::new(Strategy::OneForOne).budget(1, 3600 * SECOND).with(low).unwrap()
            });
            let mut root = Supervisor::new(Strategy::OneForOne).budget(1, 3600 * SECOND);
            let mid = SupervisorRef::from(root.add(&system, mid).unwrap());
            let root = root.spawn(&system);
            let ended = watched(&system, root.pid());
            let story = [(1, 1), (2, 1), (2, 1), (3, 2), (3, 2), (4, 2), (4, 2)];
            for (crash, expected) in story.into_iter().enumerate() {
                let low = mid.child::<SupervisorMessage>("low").await.unwrap().unwrap();
                low.ready().await.unwrap();
                crash_leaf(&system, &SupervisorRef::from(low)).await;
                let made = (made.load(Ordering::SeqCst), mids.load(Ordering::SeqCst));
                assert_eq!(made, expected, "after crash {crash}");
                assert!(system.is_alive(root.pid()));
            }
            // And past the root.
            let low = mid.child::<SupervisorMessage>("low").await.unwrap().unwrap();
            crash_leaf(&system, &SupervisorRef::from(low)).await;
            let ExitReason::Crashed(text) = ended.await else { panic!("no crash") };
            assert!(["mid", "low", "leaf"].iter().all(|name| text.contains(name)), "{text}");
            assert_eq!(system.len(), 0);
            check_serial(&log.lines());
        });
    }
}

#[test]
fn the_subtree_of_a_killed_supervisor_ends_before_the_new_one_starts() {
    let story = |system: System| async move {
        let (log, made) = (Log::default(), Arc::default());
        // Neither ends by an exit signal, nor at once.
        let habits = Habits { stops_for: 30 * MS, traps_exits: true, ..Habits::default() };
        let low = fragile(&log, &made, habits);
        let mid = move || {
            Supervisor::new(Strategy::OneForOne).with(ChildSpec::supervisor("low", low.clone())).unwrap()
        };
        let mut root = Supervisor::new(Strategy::OneForOne).budget(100, SECOND);
        let mid = SupervisorRef::from(root.add(&system, ChildSpec::supervisor("mid", mid)).unwrap());
        let root = root.spawn(&system);
        for round in 1..10 {
            let low = mid.child::<SupervisorMessage>("low").await.unwrap().unwrap();
            let low_pid = low.ready().await.unwrap().pid();
            let killed = if round % 2 == 0 { mid.pid() } else { low_pid };
            system.kill(killed);
            system.ended(killed).await;
            let leaf = async {
                loop {
                    let low = mid.child::<SupervisorMessage>("low").await.unwrap().unwrap();
                    if low.ready().await.is_ok_and(|low| low.pid() != low_pid) {
                        break SupervisorRef::from(low).child::<Cmd>("leaf").await.unwrap().unwrap();
                    }
                    system.runtime().sleep(MS).await;
                }
            };
            leaf.await.ready().await.unwrap();
        }
        root.stop();
        system.ended(root.pid()).await;
        let story = log.lines();
        check_serial(&story);
        assert_eq!(story.iter().filter(|line| line.ends_with("made")).count(), 10);
        assert_eq!(story.iter().filter(|line| line.ends_with("stopped")).count(), 10);
    };
    for seed in 0..SEEDS {
        simulated(seed, story);
    }
    threaded(2, story);
}

#[test]
fn a_supervisor_has_started_when_its_children_have() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let (log, made) = (Log::default(), Arc::default());
            let slow = Habits { starts_for: 2 * SECOND, ..Habits::default() };
            let root = Supervisor::new(Strategy::OneForOne)
                .with(ChildSpec::supervisor("nested", fragile(&log, &made, slow)))
                .unwrap()
                .with(plain("after", &log))
                .unwrap()
                .spawn(&system);
            root.children().await.unwrap();
            let story = log.lines();
            let at = |line: &str| story.iter().position(|other| other == line).unwrap();
            assert!(at("leaf#1 started") < at("after#1 made"), "{story:#?}");
        });
    }
}

#[test]
fn a_reference_to_a_nested_supervisor_waits_for_it() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let (log, made) = (Log::default(), Arc::default());
            let mut root = Supervisor::new(Strategy::OneForOne);
            let slow = Habits { starts_for: 2 * SECOND, ..Habits::default() };
            let spec = ChildSpec::supervisor("nested", fragile(&log, &made, slow));
            let nested = SupervisorRef::from(root.add(&system, spec).unwrap());
            // Nobody yet.
            assert!(!system.is_alive(nested.pid()));
            let root = root.spawn(&system);
            assert_eq!(nested.children().await.unwrap().len(), 1);
            let (old, begin) = (nested.pid(), system.runtime().now());
            nested.actor().kill();
            system.ended(old).await;
            assert_eq!(nested.pid(), old);
            assert_eq!(nested.children().await.unwrap().len(), 1);
            assert_eq!(system.runtime().now() - begin, 2 * SECOND);
            assert_ne!(nested.pid(), old);
            assert_eq!(root.remove("nested").await, Ok(true));
            assert_eq!(nested.children().await, Err(AskError::Ended(ExitReason::NoProcess)));
        });
    }
}

#[test]
fn the_subtree_of_a_supervisor_that_was_killed_while_it_started_ends_too() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let log = Log::default();
            let habits = Habits { stops_for: 300 * MS, traps_exits: true, ..Habits::default() };
            let leaf = fragile(&log, &Arc::default(), habits);
            let late = log.clone();
            let nested = ChildSpec::supervisor("nested", move || {
                let late = member("late", &late, |_| Habits { starts_for: SECOND, ..Habits::default() });
                leaf.clone()().with(late).unwrap()
            });
            let root = Supervisor::new(Strategy::OneForOne).with(nested).unwrap().spawn(&system);
            root.children().await.unwrap();
            for _ in 0..2 {
                let labelled = |pid: &hew_wire::Pid| system.label(*pid).as_deref() == Some("nested");
                let nested = system.pids().into_iter().find(labelled).unwrap();
                system.kill(nested);
                // The second time in the middle of its start.
                system.runtime().sleep(SECOND / 2).await;
            }
            // `late` hears of the end when its start hook is over.
            assert_eq!(info(&root, "nested").await.state, ChildState::Stopping);
            system.runtime().sleep(3 * SECOND).await;
            assert_eq!(info(&root, "nested").await.state, ChildState::Running);
            // `late` counts from one in each subtree.
            let story: Vec<_> = log.lines().into_iter().filter(|line| line.starts_with("leaf")).collect();
            check_serial(&story);
            assert_eq!(story.iter().filter(|line| line.ends_with("made")).count(), 3);
        });
    }
}

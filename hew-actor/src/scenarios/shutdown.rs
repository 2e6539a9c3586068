//! The runtime is shut down while actors and tasks are in the middle of everything.

use super::*;

/// Waits in its handler for something that never comes, or spawns, or sets a timer.
struct Busy {
    alone: Alone,
    census: Census,
}

enum Task {
    Plain(#[allow(dead_code)] Counted),
    Wait(Counted),
    Spawn(#[allow(dead_code)] Counted),
    Later(Counted),
    Ask(#[allow(dead_code)] Counted, ReplyTo<()>),
}

impl Actor for Busy {
    type Message = Task;

    async fn handle(&mut self, task: Task, context: &mut Context<Task>) -> Outcome {
        let _inside = self.alone.enter();
        match task {
            Task::Plain(_) => {}
            Task::Wait(counted) => {
                let _counted = counted;
                std::future::pending::<()>().await;
            }
            Task::Spawn(_) => {
                context.spawn(Counter::new(&self.census)).try_send(self.census.one()).ok();
            }
            Task::Later(counted) => {
                context.send_after(Duration::from_millis(pick(3) as u64), Task::Plain(counted));
            }
            Task::Ask(_, reply) => reply.send(()),
        }
        Outcome::Continue
    }
}

fn task(census: &Census) -> Task {
    match pick(4) {
        0 => Task::Plain(census.one()),
        1 => Task::Wait(census.one()),
        2 => Task::Spawn(census.one()),
        _ => Task::Later(census.one()),
    }
}

/// Threads of others go on sending, spawning and asking during and after the shutdown: each ask is answered, and
/// nothing is left.
fn while_others_go_on() {
    let stage = Stage::new();
    let busy = stage.system.spawn(Busy { alone: Alone::new(&stage.census), census: stage.census.clone() });
    let others = [0, 1].map(|kind| {
        let (system, census, busy) = (stage.system.clone(), stage.census.clone(), busy.clone());
        thread(move || {
            busy.try_send(task(&census)).ok();
            if kind == 0 {
                system.spawn(Counter::new(&census)).try_send(census.one()).ok();
                busy.try_send(task(&census)).ok();
            } else {
                let ask = busy.ask(|reply| Task::Ask(census.one(), reply));
                assert!(matches!(wait(ask), Ok(()) | Err(AskError::Ended(_) | AskError::Timeout)));
            }
        })
    });
    stage.runtime.shutdown();
    others.into_iter().for_each(|other| other.join().unwrap());
    drop(busy);
    stage.close();
}

/// An actor and a task that are spawned at the last moment end too.
fn against_a_spawn() {
    let stage = Stage::new();
    let spawner = {
        let (runtime, system, census) = (stage.runtime.clone(), stage.system.clone(), stage.census.clone());
        thread(move || {
            if pick(2) == 0 {
                drop(system.spawn(Counter::new(&census)));
            } else {
                let counted = census.one();
                runtime.spawn(async move { drop(counted) }).detach();
            }
        })
    };
    stage.runtime.shutdown();
    spawner.join().unwrap();
    stage.close();
}

/// Tasks that are woken, cancelled and spawned while the runtime goes down.
fn with_tasks() {
    let stage = Stage::new();
    let tally = Tally::default();
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let (counted, tally) = (stage.census.one(), tally.clone());
            stage.runtime.spawn(async move {
                tally.reaches(1).await;
                counted.census.handled();
            })
        })
        .collect();
    let waker = {
        let (tally, runtime, census) = (tally.clone(), stage.runtime.clone(), stage.census.clone());
        thread(move || {
            tally.add();
            let counted = census.one();
            runtime.spawn(async move { drop(counted) }).detach();
        })
    };
    stage.runtime.shutdown();
    waker.join().unwrap();
    for task in tasks {
        if pick(2) == 0 {
            let _ = wait(task.fallible());
        }
    }
    drop(tally);
    stage.close();
}

#[test]
fn shutdown_while_others_go_on_random() {
    check(while_others_go_on);
}

#[test]
fn shutdown_while_others_go_on_priorities() {
    check_priorities(while_others_go_on);
}

#[test]
fn shutdown_with_tasks() {
    check(with_tasks);
}

#[test]
fn shutdown_with_tasks_priorities() {
    check_priorities(with_tasks);
}

#[test]
fn shutdown_against_a_spawn() {
    check_priorities(against_a_spawn);
}

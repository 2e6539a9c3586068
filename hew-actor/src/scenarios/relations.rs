//! Monitors and links, made, removed and fired at once.

use super::*;
use hew_wire::Pid;

enum Do {
    Monitor(Pid),
    Demonitor,
    Link(Pid),
    /// Answers with the signals of monitors and of links that came.
    Count(ReplyTo<(u64, u64)>),
}

/// Watches others.
struct Watcher {
    alone: Alone,
    monitors: Vec<MonitorRef>,
    /// Monitors that were removed, whether they had fired or not.
    removed: Vec<MonitorRef>,
    downs: u64,
    exits: u64,
    /// Signals that came.
    settled: Tally,
    after_removal: Tally,
}

impl Actor for Watcher {
    type Message = Do;

    async fn started(&mut self, context: &mut Context<Do>) -> Outcome {
        context.trap_exit(true);
        Outcome::Continue
    }

    async fn handle(&mut self, order: Do, context: &mut Context<Do>) -> Outcome {
        let _inside = self.alone.enter();
        match order {
            Do::Monitor(target) => self.monitors.push(context.monitor(target)),
            Do::Demonitor => {
                if let Some(&monitor) = self.monitors.first() {
                    context.demonitor(monitor);
                    self.removed.push(monitor);
                }
            }
            Do::Link(target) => context.link(target),
            Do::Count(reply) => reply.send((self.downs, self.exits)),
        }
        Outcome::Continue
    }

    async fn signal(&mut self, signal: Signal, _: &mut Context<Do>) -> Outcome {
        let _inside = self.alone.enter();
        match signal {
            Signal::Down { monitor, .. } => {
                self.downs += 1;
                if self.removed.contains(&monitor) {
                    self.after_removal.add();
                }
            }
            Signal::Exit { .. } => self.exits += 1,
        }
        self.settled.add();
        Outcome::Continue
    }
}

fn watcher(stage: &Stage, settled: &Tally, after_removal: &Tally) -> ActorRef<Do> {
    stage.system.spawn(Watcher {
        alone: Alone::new(&stage.census),
        monitors: Vec::new(),
        removed: Vec::new(),
        downs: 0,
        exits: 0,
        settled: settled.clone(),
        after_removal: after_removal.clone(),
    })
}

/// Each monitor and each link gives exactly one signal, whether made before, while, or after its target ends.
fn ends() {
    let stage = Stage::new();
    let (settled, after_removal, called) = <(Tally, Tally, Tally)>::default();
    let target = stage.system.spawn(Counter::new(&stage.census));
    let watchers = [0, 1].map(|_| watcher(&stage, &settled, &after_removal));
    let threads = watchers.clone().map(|watcher| {
        let (pid, system, called) = (target.pid(), stage.system.clone(), called.clone());
        thread(move || {
            watcher.try_send(Do::Monitor(pid)).unwrap();
            watcher.try_send(Do::Link(pid)).unwrap();
            watcher.try_send(Do::Monitor(pid)).unwrap();
            system.watch(pid, move |_, _| called.add());
        })
    });
    target.kill();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    wait(called.reaches(2));
    // Two monitors and a link for each of the two.
    wait(settled.reaches(6));
    for watcher in &watchers {
        assert_eq!(wait(watcher.ask(Do::Count)).unwrap(), (2, 1));
    }
    assert_eq!(called.count(), 2);
    drop((target, watchers));
    stage.close();
}

/// No signal comes of a monitor that was removed, also if its target was ending; and a watch says whether it was called.
fn removals() {
    let stage = Stage::new();
    let (settled, after_removal, called) = <(Tally, Tally, Tally)>::default();
    let target = stage.system.spawn(Counter::new(&stage.census));
    let watcher = watcher(&stage, &settled, &after_removal);
    watcher.try_send(Do::Monitor(target.pid())).unwrap();
    let calling = called.clone();
    let watch = stage.system.watch(target.pid(), move |_, _| calling.add());
    let remover = {
        let (system, watcher) = (stage.system.clone(), watcher.clone());
        thread(move || {
            watcher.try_send(Do::Demonitor).unwrap();
            system.unwatch(watch)
        })
    };
    target.stop();
    let unwatched = remover.join().unwrap();
    wait(stage.system.ended(target.pid()));
    wait(called.reaches(u64::from(!unwatched)));
    let (downs, exits) = wait(watcher.ask(Do::Count)).unwrap();
    assert!(downs <= 1 && exits == 0);
    assert_eq!(after_removal.count(), 0, "a signal of a monitor that was removed");
    assert_eq!(called.count(), u64::from(!unwatched));
    drop((target, watcher));
    stage.close();
}

/// Two linked actors end together, whoever of them is first, and whenever they were linked.
fn links() {
    let stage = Stage::new();
    let pair = [0, 1].map(|_| stage.system.spawn(Counter::new(&stage.census)));
    let pids = pair.each_ref().map(ActorRef::pid);
    let linker = {
        let system = stage.system.clone();
        thread(move || system.link(pids[0], pids[1]))
    };
    pair[pick(2)].kill();
    linker.join().unwrap();
    for pid in pids {
        wait(stage.system.ended(pid));
    }
    drop(pair);
    stage.close();
}

#[test]
fn relations_ends_random() {
    check(ends);
}

#[test]
fn relations_ends_priorities() {
    check_priorities(ends);
}

#[test]
fn relations_removals() {
    check(removals);
}

#[test]
fn relations_links() {
    check(links);
}

//! Whoever wants to hear of an end hears of it exactly once.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod common;

use common::*;
use hew_actor::*;
use hew_wire::{ExitReason, NodeId, Pid};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn pair(system: &System, log: &Log) -> (ActorRef<Cmd>, ActorRef<Cmd>) {
    (system.spawn(Scripted::new("a", log)), system.spawn(Scripted::new("b", log)))
}

/// Waits, in virtual time, until nothing moves, and returns what happened apart from the hooks.
async fn signals(system: &System, log: &Log) -> Vec<String> {
    system.runtime().sleep(SECOND).await;
    log.take().into_iter().filter(|line| line.contains("hears") || line.contains("linked")).collect()
}

#[test]
fn a_monitor_tells_the_end_once_with_the_reason() {
    simulated(1, |system| async move {
        let log = Log::default();
        let (a, b) = pair(&system, &log);
        let monitor = system.monitor(a.pid(), b.pid());
        assert_eq!(monitor.target(), b.pid());
        b.send(Cmd::Panic("boom")).await.unwrap();
        assert_eq!(signals(&system, &log).await, ["a hears down: crashed: boom"]);
        assert!(!system.demonitor(a.pid(), monitor));
        assert!(system.is_alive(a.pid()));
    });
}

#[test]
fn each_monitor_has_its_own_signal() {
    simulated(2, |system| async move {
        let log = Log::default();
        let (a, b) = pair(&system, &log);
        let first = system.monitor(a.pid(), b.pid());
        let second = system.monitor(a.pid(), b.pid());
        assert_ne!(first, second);
        assert!(system.demonitor(a.pid(), first));
        b.stop();
        assert_eq!(signals(&system, &log).await, ["a hears down: normal"]);
    });
}

#[test]
fn monitoring_the_dead_or_the_unknown_answers_at_once() {
    simulated(3, |system| async move {
        let log = Log::default();
        let (a, b) = pair(&system, &log);
        b.stop();
        system.ended(b.pid()).await;
        system.monitor(a.pid(), b.pid());
        system.monitor(a.pid(), Pid::new(NodeId::LOCAL, 999_999));
        let down = "a hears down: no such process";
        assert_eq!(signals(&system, &log).await, [down, down]);
        // Of another node, and there are none.
        system.monitor(a.pid(), Pid::new(NodeId::new(9).unwrap(), 5000));
        assert_eq!(signals(&system, &log).await, ["a hears down: node down"]);
    });
}

#[test]
fn after_demonitor_returns_nothing_arrives_even_if_it_was_on_its_way() {
    simulated(4, |system| async move {
        let log = Log::default();
        let (a, b) = pair(&system, &log);
        let (entered, gate) = (Gate::default(), Gate::default());
        let monitor = system.monitor(a.pid(), b.pid());
        let kept = system.monitor(a.pid(), b.pid());
        a.send(Cmd::Wait(entered.clone(), gate.clone())).await.unwrap();
        entered.wait().await;
        b.stop();
        system.ended(b.pid()).await;
        // Both signals wait in the system lane of `a`.
        assert!(!system.demonitor(a.pid(), monitor));
        gate.open();
        assert_eq!(signals(&system, &log).await, ["a hears down: normal"]);
        assert_ne!(monitor, kept);
    });
}

#[test]
fn an_end_of_the_watcher_leaves_nothing_behind() {
    simulated(5, |system| async move {
        let log = Log::default();
        let (a, b) = pair(&system, &log);
        system.monitor(a.pid(), b.pid());
        a.stop();
        system.ended(a.pid()).await;
        b.stop();
        assert!(signals(&system, &log).await.is_empty());
    });
}

#[test]
fn a_watch_calls_once_and_after_unwatch_never() {
    simulated(6, |system| async move {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let note = || {
            let calls = calls.clone();
            move |pid, reason| calls.lock().unwrap().push((pid, reason))
        };
        let actor = system.spawn(Scripted::default());
        let removed = system.watch(actor.pid(), note());
        let kept = system.watch(actor.pid(), note());
        assert!(system.unwatch(removed));
        assert!(!system.unwatch(removed));
        actor.send(run(|_| Outcome::Crash("why not".into()))).await.unwrap();
        system.ended(actor.pid()).await;
        assert_eq!(*calls.lock().unwrap(), [(actor.pid(), ExitReason::crashed("why not"))]);
        assert!(!system.unwatch(kept));
        // At once, for the dead.
        system.watch(actor.pid(), note());
        assert_eq!(calls.lock().unwrap()[1], (actor.pid(), ExitReason::NoProcess));
    });
}

#[test]
fn a_link_takes_the_other_along_only_on_abnormal_ends() {
    simulated(7, |system| async move {
        let log = Log::default();
        let (a, b) = pair(&system, &log);
        system.link(a.pid(), b.pid());
        b.stop();
        assert!(signals(&system, &log).await.is_empty());
        assert!(system.is_alive(a.pid()));
        let b = system.spawn(Scripted::new("b", &log));
        system.link(b.pid(), a.pid());
        b.send(Cmd::Panic("boom")).await.unwrap();
        let expected = format!("a stopped: linked actor ended: {}: crashed: boom", b.pid());
        assert_eq!(signals(&system, &log).await, [expected]);
        assert!(!system.is_alive(a.pid()));
    });
}

#[test]
fn links_reach_along_a_chain() {
    simulated(8, |system| async move {
        let log = Log::default();
        let chain: Vec<_> = (0..100).map(|_| system.spawn(Scripted::new("x", &log))).collect();
        for two in chain.windows(2) {
            system.link(two[0].pid(), two[1].pid());
        }
        chain[50].kill();
        system.runtime().sleep(SECOND).await;
        assert_eq!(system.len(), 0);
    });
}

#[test]
fn who_traps_exits_hears_instead_of_ending() {
    simulated(9, |system| async move {
        let log = Log::default();
        let a = system.spawn(Scripted::with("a", &log, |a| a.trap_exit = true));
        settled(&a).await;
        for (end, expected) in [
            (Cmd::Panic("boom"), "a hears exit: crashed: boom"),
            (run(|_| Outcome::Stop), "a hears exit: normal"),
        ] {
            let b = system.spawn(Scripted::new("b", &log));
            system.link(a.pid(), b.pid());
            b.send(end).await.unwrap();
            assert_eq!(signals(&system, &log).await, [expected]);
        }
        system.exit(a.pid(), Pid::from_raw(5), ExitReason::Killed);
        assert_eq!(signals(&system, &log).await, ["a hears exit: killed"]);
        a.send(run(|context| {
            context.trap_exit(false);
            Outcome::Continue
        }))
        .await
        .unwrap();
        settled(&a).await;
        system.exit(a.pid(), Pid::from_raw(5), ExitReason::Normal);
        settled(&a).await;
        system.exit(a.pid(), Pid::from_raw(5), ExitReason::Killed);
        assert_eq!(system.ended(a.pid()).await, ExitReason::linked("0.5: killed"));
    });
}

#[test]
fn linking_to_the_dead_is_an_exit_signal_at_once() {
    simulated(10, |system| async move {
        let log = Log::default();
        let (a, b) = pair(&system, &log);
        b.kill();
        system.ended(b.pid()).await;
        let pid = b.pid();
        a.send(run(move |context| {
            context.link(pid);
            Outcome::Continue
        }))
        .await
        .unwrap();
        assert_eq!(system.ended(a.pid()).await, ExitReason::linked(format!("{pid}: no such process")));
    });
}

#[test]
fn after_unlink_returns_nothing_arrives_even_if_it_was_on_its_way() {
    simulated(11, |system| async move {
        let log = Log::default();
        let a = system.spawn(Scripted::with("a", &log, |a| a.trap_exit = true));
        let b = system.spawn(Scripted::new("b", &log));
        system.link(a.pid(), b.pid());
        let (entered, gate) = (Gate::default(), Gate::default());
        a.send(Cmd::Wait(entered.clone(), gate.clone())).await.unwrap();
        entered.wait().await;
        b.kill();
        system.ended(b.pid()).await;
        // An exit signal without a link is not touched by unlinking.
        system.exit(a.pid(), b.pid(), ExitReason::crashed("by hand"));
        system.unlink(a.pid(), b.pid());
        gate.open();
        assert_eq!(signals(&system, &log).await, ["a hears exit: crashed: by hand"]);
    });
}

#[test]
fn relations_survive_the_start_of_a_node() {
    simulated(12, |system| async move {
        let log = Log::default();
        let a = system.spawn(Scripted::with("a", &log, |a| a.trap_exit = true));
        let (b, c) = pair(&system, &log);
        let before = (a.pid(), b.pid(), c.pid());
        system.link(before.0, before.1);
        system.link(before.0, before.2);
        let monitor = system.monitor(before.0, before.1);
        system.set_node(NodeId::new(3).unwrap());
        system.unlink(before.0, c.pid());
        b.kill();
        c.kill();
        assert_eq!(signals(&system, &log).await, ["a hears down: killed", "a hears exit: killed"]);
        assert!(!system.demonitor(before.0, monitor));
    });
}

/// A world outside that notes what it is told.
#[derive(Default)]
struct Noted(Log);

impl Outside for Noted {
    fn monitor(&self, _: MonitorRef, watcher: Pid, target: Pid) {
        self.0.add(format!("monitor {watcher} {target}"));
    }
    fn demonitor(&self, _: MonitorRef, watcher: Pid, target: Pid) {
        self.0.add(format!("demonitor {watcher} {target}"));
    }
    fn link(&self, local: Pid, remote: Pid) {
        self.0.add(format!("link {local} {remote}"));
    }
    fn unlink(&self, local: Pid, remote: Pid) {
        self.0.add(format!("unlink {local} {remote}"));
    }
    fn exit(&self, target: Pid, from: Pid, reason: ExitReason) {
        self.0.add(format!("exit {target} {from} {reason}"));
    }
}

#[test]
fn monitors_and_links_to_other_nodes_go_outside_and_come_back_once() {
    simulated(13, |system| async move {
        system.set_node(NodeId::new(1).unwrap());
        let outside = Arc::new(Noted::default());
        system.set_outside(outside.clone());
        let log = Log::default();
        let a = system.spawn(Scripted::with("a", &log, |a| a.trap_exit = true));
        let (me, there) = (a.pid(), Pid::new(NodeId::new(2).unwrap(), 5000));
        settled(&a).await;
        let first = system.monitor(me, there);
        let second = system.monitor(me, there);
        assert!(system.demonitor(me, second));
        system.link(me, there);
        assert_eq!(
            outside.0.take(),
            [
                format!("monitor {me} {there}"),
                format!("monitor {me} {there}"),
                format!("demonitor {me} {there}"),
                format!("link {me} {there}")
            ]
        );
        assert!(system.notify_down(me, first, there, ExitReason::NodeDown));
        assert!(!system.notify_down(me, first, there, ExitReason::NodeDown));
        assert!(!system.notify_down(me, second, there, ExitReason::NodeDown));
        assert!(system.link_ended(me, there, ExitReason::NodeDown));
        assert!(!system.link_ended(me, there, ExitReason::NodeDown));
        assert_eq!(signals(&system, &log).await, ["a hears down: node down", "a hears exit: node down"]);
        // What is left when it ends is told outside.
        system.monitor(me, there);
        assert!(system.link_from_outside(me, there));
        system.link(me, Pid::new(NodeId::new(3).unwrap(), 1));
        system.unlink(me, Pid::new(NodeId::new(3).unwrap(), 1));
        outside.0.take();
        a.kill();
        system.ended(me).await;
        system.runtime().sleep(SECOND).await;
        assert_eq!(
            outside.0.take(),
            [format!("exit {there} {me} killed"), format!("demonitor {me} {there}")]
        );
        assert!(!system.link_from_outside(me, there));
    });
}

/// Counts the signals of its monitors; its messages are numbers to check.
struct Counting(Arc<AtomicU64>);

impl Actor for Counting {
    type Message = Cmd;
    async fn handle(&mut self, message: Cmd, _: &mut Context<Cmd>) -> Outcome {
        if let Cmd::Next(_, reply) = message {
            reply.send(self.0.load(Ordering::SeqCst));
        }
        Outcome::Continue
    }
    async fn signal(&mut self, signal: Signal, _: &mut Context<Cmd>) -> Outcome {
        if let Signal::Down { reason: ExitReason::Normal | ExitReason::NoProcess, .. } = signal {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        Outcome::Continue
    }
}

/// A watch that counts.
fn counting(calls: &Arc<AtomicU64>) -> impl FnOnce(Pid, ExitReason) + Send + use<> {
    let calls = calls.clone();
    move |_, _| {
        calls.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn ten_thousand_races_of_monitor_against_exit_give_one_signal_each() {
    const RACES: u64 = 10_000;
    threaded(2, |system| async move {
        let downs = Arc::new(AtomicU64::new(0));
        let calls = Arc::new(AtomicU64::new(0));
        let watcher = system.spawn(Counting(downs.clone()));
        for race in 0..RACES {
            let target = system.spawn(Scripted::default());
            let pid = target.pid();
            if race % 2 == 0 {
                // The end comes from a worker, the monitor from here.
                target.stop();
                system.monitor(watcher.pid(), pid);
                system.watch(pid, counting(&calls));
            } else {
                let (monitoring, me) = (system.clone(), watcher.pid());
                let calls = calls.clone();
                system
                    .runtime()
                    .spawn(async move {
                        monitoring.monitor(me, pid);
                        monitoring.watch(pid, counting(&calls));
                    })
                    .detach();
                target.stop();
            }
        }
        while downs.load(Ordering::SeqCst) < RACES || calls.load(Ordering::SeqCst) < RACES {
            system.runtime().sleep(Duration::from_millis(1)).await;
        }
        // Anything that came twice is there after the next question.
        assert_eq!(watcher.ask(|reply| Cmd::Next(0, reply)).await, Ok(RACES));
        assert_eq!(calls.load(Ordering::SeqCst), RACES);
        assert_eq!(system.len(), 1);
    });
}

#[test]
fn races_of_link_unlink_and_exit_end_in_one_signal_or_none() {
    threaded(2, |system| async move {
        for round in 0..3000 {
            let (a, b) = (system.spawn(Scripted::default()), system.spawn(Scripted::default()));
            let (ended, pids) = (watched(&system, a.pid()), (a.pid(), b.pid()));
            let linking = system.clone();
            let task = system.runtime().spawn(async move {
                // Either side may be the one that ends meanwhile.
                if round % 2 == 0 {
                    linking.link(pids.0, pids.1)
                } else {
                    linking.link(pids.1, pids.0)
                }
                if round % 3 == 0 {
                    linking.unlink(pids.0, pids.1);
                }
            });
            b.kill();
            task.await;
            if round % 3 == 0 {
                a.stop();
                // Nothing, or the signal before the unlink.
                let reason = ended.await;
                assert!(matches!(reason, ExitReason::Normal | ExitReason::Linked(_)), "{reason}");
            } else {
                assert!(matches!(ended.await, ExitReason::Linked(_)));
            }
        }
    });
}

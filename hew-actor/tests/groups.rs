//! Groups wait for actors of any kind, stop them together, and know how they ended.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod common;

use common::*;
use futures_lite::future::{poll_once, yield_now};
use hew_actor::*;
use hew_wire::{ExitReason, NodeId, Pid};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// An actor of another kind than [`Scripted`].
struct Other;

impl Actor for Other {
    type Message = u8;
    async fn handle(&mut self, message: u8, _: &mut Context<u8>) -> Outcome {
        if message == 0 { Outcome::Stop } else { Outcome::Crash("told to".into()) }
    }
}

fn sorted(ends: Ends) -> Vec<(Pid, ExitReason)> {
    let mut kept = ends.kept;
    kept.sort_by_key(|(pid, _)| *pid);
    kept
}

#[test]
fn a_group_waits_until_all_have_ended_and_says_how() {
    for seed in 0..200 {
        simulated(seed, |system| async move {
            let group = Group::new(&system);
            assert_eq!(group.wait().await, Ends::default(), "nobody to wait for");
            let a = system.spawn(Scripted::default());
            let (b, c) = (system.spawn(Other), system.spawn(Other));
            for pid in [a.pid(), b.pid(), c.pid()] {
                group.add(pid).unwrap();
                assert_eq!(group.add(pid), Err(GroupError::AlreadyMember));
            }
            assert_eq!(group.len(), 3);
            let waiters = [group.clone(), group.clone()].map(|group| {
                let task = async move { group.wait().await };
                system.runtime().spawn(task)
            });
            b.send(0).await.unwrap();
            c.send(1).await.unwrap();
            system.ended(b.pid()).await;
            system.ended(c.pid()).await;
            assert_eq!(group.len(), 1);
            assert_eq!(group.wait_within(SECOND).await, Err(Elapsed));
            assert!(waiters.iter().all(|waiter| !waiter.is_finished()));
            // Added while they wait.
            let late = system.spawn(Other);
            group.add(late.pid()).unwrap();
            a.kill();
            system.ended(a.pid()).await;
            system.runtime().sleep(SECOND).await;
            assert!(waiters.iter().all(|waiter| !waiter.is_finished()));
            late.stop();
            let expected = [
                (a.pid(), ExitReason::Killed),
                (b.pid(), ExitReason::Normal),
                (c.pid(), ExitReason::crashed("told to")),
                (late.pid(), ExitReason::Normal),
            ];
            for waiter in waiters {
                assert_eq!(sorted(waiter.await), expected);
            }
            let ends = group.wait_within(SECOND).await.unwrap();
            assert_eq!(ends, group.ends());
            assert_eq!(ends.kept[3].0, late.pid(), "in the order in which they ended");
        });
    }
}

#[test]
fn an_actor_that_has_ended_counts_as_ended() {
    simulated(1, |system| async move {
        let (group, actor) = (Group::new(&system), system.spawn(Other));
        actor.kill();
        system.ended(actor.pid()).await;
        group.add(actor.pid()).unwrap();
        assert_eq!(group.wait().await.kept, [(actor.pid(), ExitReason::NoProcess)]);
        let there = Pid::new(NodeId::new(7).unwrap(), 5000);
        assert_eq!(group.add(there), Err(GroupError::NotLocal));
        let foreign = System::new(system.runtime().clone(), SystemConfig::default());
        assert_eq!(group.add_ref(&foreign.spawn(Other)), Err(GroupError::OtherSystem));
        // Its PID changes when the process becomes a node; it stays the same member.
        let actor = system.spawn(Other);
        group.add_ref(&actor).unwrap();
        system.set_node(NodeId::new(7).unwrap());
        assert_eq!(group.add(actor.pid()), Err(GroupError::AlreadyMember));
        actor.stop();
        assert_eq!(group.wait().await.kept[1], (actor.pid(), ExitReason::Normal));
    });
}

#[test]
fn a_group_stops_or_kills_its_members_and_nobody_else() {
    for kill in [false, true] {
        simulated(2, |system| async move {
            let (group, log) = (Group::new(&system), Log::default());
            let stranger = system.spawn(Scripted::new("stranger", &log));
            let a = system.spawn(Scripted::new("a", &log));
            let b = system.spawn(Other);
            settled(&a).await;
            group.add(a.pid()).unwrap();
            group.add_ref(&b).unwrap();
            if kill {
                group.kill_all()
            } else {
                group.stop_all()
            }
            let ends = group.wait_within(SECOND).await.unwrap();
            let reason = if kill { ExitReason::Killed } else { ExitReason::Normal };
            assert_eq!(sorted(ends), [(a.pid(), reason.clone()), (b.pid(), reason)]);
            // A kill leaves no time for the stop hook.
            assert_eq!(log.lines().contains(&"a stopped: normal".into()), !kill);
            assert!(system.is_alive(stranger.pid()));
        });
    }
}

#[test]
fn a_group_has_a_bounded_number_of_members_and_ends() {
    simulated(3, |system| async move {
        let group = Group::new(&system);
        let nobody = |number: usize| Pid::new(NodeId::LOCAL, 1_000_000_000 + number as u64);
        for number in 0..GROUP_ENDS_MAX + 3 {
            group.add(nobody(number)).unwrap();
        }
        let ends = group.wait().await;
        assert_eq!((ends.kept.len(), ends.forgotten), (GROUP_ENDS_MAX, 3));
        assert_eq!(ends.kept[0].0, nobody(3), "the oldest are forgotten");
        for _ in 0..GROUP_MEMBERS_MAX {
            group.add(system.spawn(Other).pid()).unwrap();
        }
        assert_eq!(group.add(system.spawn(Other).pid()), Err(GroupError::Full));
        assert_eq!(group.len(), GROUP_MEMBERS_MAX);
    });
}

/// Another node, which notes what it is told.
#[derive(Default)]
struct Elsewhere {
    log: Log,
    monitors: Mutex<Vec<(MonitorRef, Pid)>>,
}

impl RemoteActor<u8> for Elsewhere {
    fn try_send(&self, _: Pid, _: u8) -> Result<(), TrySendError<u8>> {
        Ok(())
    }
    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
    fn stop(&self, target: Pid) {
        self.log.add(format!("stop {target}"));
    }
    fn kill(&self, target: Pid) {
        self.log.add(format!("kill {target}"));
    }
}

impl Outside for Elsewhere {
    fn monitor(&self, monitor: MonitorRef, watcher: Pid, _: Pid) {
        self.monitors.lock().unwrap().push((monitor, watcher));
    }
    fn demonitor(&self, _: MonitorRef, _: Pid, target: Pid) {
        self.log.add(format!("demonitor {target}"));
    }
    fn link(&self, _: Pid, _: Pid) {}
    fn unlink(&self, _: Pid, _: Pid) {}
    fn exit(&self, _: Pid, _: Pid, _: ExitReason) {}
}

#[test]
fn members_on_other_nodes_are_waited_for_and_stopped_too() {
    simulated(4, |system| async move {
        system.set_node(NodeId::new(1).unwrap());
        let elsewhere = Arc::new(Elsewhere::default());
        system.set_outside(elsewhere.clone());
        let pid = |serial| Pid::new(NodeId::new(2).unwrap(), serial);
        let group = Group::new(&system);
        for serial in [5000, 5001] {
            group.add_ref(&ActorRef::remote(&system, pid(serial), elsewhere.clone())).unwrap();
        }
        group.stop_all();
        group.kill_all();
        let told = ["stop 2.5000", "stop 2.5001", "kill 2.5000", "kill 2.5001"];
        assert_eq!(elsewhere.log.take(), told);
        let monitors = elsewhere.monitors.lock().unwrap().clone();
        let mut waiting = Box::pin(group.wait());
        assert!(poll_once(waiting.as_mut()).await.is_none());
        let (monitor, sentinel) = monitors[1];
        assert!(system.notify_down(sentinel, monitor, pid(5001), ExitReason::NodeDown));
        while group.len() == 2 {
            yield_now().await;
        }
        assert!(poll_once(waiting.as_mut()).await.is_none());
        let (monitor, sentinel) = monitors[0];
        assert!(system.notify_down(sentinel, monitor, pid(5000), ExitReason::Normal));
        let expected = [(pid(5001), ExitReason::NodeDown), (pid(5000), ExitReason::Normal)];
        assert_eq!(waiting.await.kept, expected);

        // The last handle takes its monitors and its sentinel with it.
        group.add_ref(&ActorRef::remote(&system, pid(5002), elsewhere.clone())).unwrap();
        drop(group);
        assert_eq!(elsewhere.log.take(), ["demonitor 2.5002"]);
        system.ended(sentinel).await;
        assert!(system.is_empty());
        system.shutdown(SECOND).await;
        let group = Group::new(&system);
        let there = ActorRef::remote(&system, pid(5003), elsewhere.clone());
        assert_eq!(group.add_ref(&there), Err(GroupError::ShuttingDown));
        assert_eq!(group.wait().await, Ends::default());
    });
}

#[test]
fn actors_that_end_while_they_are_added_are_not_waited_for_in_vain() {
    threaded(2, |system| async move {
        let group = Group::new(&system);
        let mut pids = Vec::new();
        for _ in 0..2_000 {
            let actor = system.spawn(Other);
            let victim = actor.clone();
            let ending = system.runtime().spawn(async move { victim.kill() });
            group.add(actor.pid()).unwrap();
            pids.push(actor.pid());
            ending.await;
        }
        let ends = sorted(group.wait_within(PATIENCE).await.unwrap());
        assert_eq!(ends.iter().map(|(pid, _)| *pid).collect::<Vec<Pid>>(), pids, "each once");
        let reasons = [ExitReason::Killed, ExitReason::NoProcess];
        assert!(ends.iter().all(|(_, reason)| reasons.contains(reason)));
    });
}

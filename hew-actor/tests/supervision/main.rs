//! Supervisors keep their children running, within limits: what the stories share.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

#[path = "../common/mod.rs"]
mod common;

mod breaker;
mod dynamic;
mod nested;
mod references;
mod restarts;
mod serial;
mod shutdown;

use common::*;
use hew_actor::*;
use hew_wire::ExitReason;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
/// Orders of everything that a story is told in.
const SEEDS: u64 = 50;

/// How one incarnation of a [`Member`] lives.
#[derive(Clone, Copy, Default)]
struct Habits {
    starts_for: Duration,
    stops_for: Duration,
    panics_in_started: bool,
    panics_in_stopped: bool,
    panics_in_drop: bool,
    traps_exits: bool,
}

/// Logs every step of its life with its name and number.
struct Member {
    /// What it does with messages.
    scripted: Scripted,
    habits: Habits,
    title: String,
    log: Log,
}

impl Member {
    fn note(&self, what: &str) {
        self.log.add(format!("{} {what}", self.title));
    }
}

impl Actor for Member {
    type Message = Cmd;

    async fn started(&mut self, context: &mut Context<Cmd>) -> Outcome {
        self.note("starting");
        context.trap_exit(self.habits.traps_exits);
        context.runtime().sleep(self.habits.starts_for).await;
        assert!(!self.habits.panics_in_started, "in started");
        self.note("started");
        Outcome::Continue
    }

    async fn handle(&mut self, message: Cmd, context: &mut Context<Cmd>) -> Outcome {
        self.scripted.handle(message, context).await
    }

    async fn stopped(&mut self, _: &ExitReason, context: &mut Context<Cmd>) {
        self.note("stopping");
        context.runtime().sleep(self.habits.stops_for).await;
        assert!(!self.habits.panics_in_stopped, "in stopped");
        self.note("stopped");
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.note("dropped");
        assert!(!self.habits.panics_in_drop, "in drop");
    }
}

/// A child whose habits depend on which incarnation it is, from 1.
fn member(
    name: impl Into<String>,
    log: &Log,
    habits_of: impl Fn(u64) -> Habits + Send + 'static,
) -> ChildSpec<Cmd> {
    let (name, log, made) = (name.into(), log.clone(), Arc::new(AtomicU64::new(0)));
    ChildSpec::new(name.clone(), move || {
        let number = made.fetch_add(1, Ordering::SeqCst) + 1;
        let scripted = Scripted::new("member", &Log::default());
        let member = Member {
            scripted,
            habits: habits_of(number),
            title: format!("{name}#{number}"),
            log: log.clone(),
        };
        member.note("made");
        member
    })
}

fn plain(name: impl Into<String>, log: &Log) -> ChildSpec<Cmd> {
    member(name, log, |_| Habits::default())
}

/// Each child's life is over before its next one begins.
fn check_serial(lines: &[String]) {
    let mut present: BTreeMap<&str, &str> = BTreeMap::new();
    for line in lines {
        let (title, what) = line.split_once(' ').unwrap();
        let (name, _) = title.split_once('#').unwrap();
        match what {
            "made" => assert_eq!(present.insert(name, title), None, "two at once: {line} in {lines:#?}"),
            "dropped" => assert_eq!(present.remove(name), Some(title), "{line} in {lines:#?}"),
            _ => assert_eq!(present.get(name), Some(&title), "{line} in {lines:#?}"),
        }
    }
}

fn crash() -> Cmd {
    Cmd::Panic("boom")
}

/// Crashes the present actor of a child and waits until its supervisor has noticed.
async fn crash_now(system: &System, child: &ChildRef<Cmd>) {
    let present = child.ready().await.unwrap();
    present.send(crash()).await.unwrap();
    system.ended(present.pid()).await;
    while child.pid() == Some(present.pid()) {
        futures_lite::future::yield_now().await;
    }
}

/// Waits until a new actor fills the place.
async fn renewed(child: &ChildRef<Cmd>, old: hew_wire::Pid) -> ActorRef<Cmd> {
    loop {
        let present = child.ready().await.unwrap();
        if present.pid() != old {
            return present;
        }
        futures_lite::future::yield_now().await;
    }
}

async fn info(supervisor: &SupervisorRef, name: &str) -> ChildInfo {
    let children = supervisor.children().await.unwrap();
    children.into_iter().find(|child| child.name == name).unwrap()
}

fn lines(expected: &[&str]) -> Vec<String> {
    expected.iter().map(|&line| line.to_owned()).collect()
}

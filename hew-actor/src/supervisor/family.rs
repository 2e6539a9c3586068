//! The children of a running supervisor, and what follows from what happens to them.
//!
//! Nothing here waits: whatever takes time is a task of the child's present state, which reports when it is over.

use crate::context::Context;
use crate::monitor::MonitorRef;
use crate::reply::ReplyTo;
use crate::supervisor::Strategy;
use crate::supervisor::breaker::Verdict;
use crate::supervisor::budget::Budget;
use crate::supervisor::child::{Child, Launch, Vacancy};
use crate::supervisor::events::{Event, Events, Happening, Reporter};
use crate::supervisor::handle::{AddChildError, AnyPlace, ChildInfo, RestartChildError, SupervisorMessage};
use crate::supervisor::plan::{Plan, Step};
use crate::supervisor::remains::Remains;
use crate::supervisor::strategy::Restart;
use crate::supervisor::supervised::{State, Supervised, Then, queue};
use hew_wire::{ExitReason, Pid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most children of one supervisor, with those that have ended and are still listed.
pub const CHILDREN_MAX: usize = 65_536;

/// The supervisor crashes with this text.
pub(crate) struct GiveUp(pub(crate) String);

type Scene = Context<SupervisorMessage>;

pub(crate) struct Family {
    strategy: Strategy,
    pub(crate) budget: Budget,
    /// By number, which is the order of their start and is never reused.
    children: BTreeMap<u64, Supervised>,
    names: BTreeMap<String, u64>,
    /// Numbers by serial, of children whose actors have not been seen to end.
    living: BTreeMap<u64, u64>,
    plan: Plan,
    /// Those that the supervisor began with and that never ran.
    first: BTreeSet<u64>,
    next_number: u64,
    events: Arc<Events>,
    pub(crate) remains: Arc<Remains>,
}

impl Family {
    pub(crate) fn new(strategy: Strategy, budget: Budget) -> Family {
        Family {
            strategy,
            budget,
            children: BTreeMap::new(),
            names: BTreeMap::new(),
            living: BTreeMap::new(),
            plan: Plan::default(),
            first: BTreeSet::new(),
            next_number: 1,
            events: Arc::default(),
            remains: Arc::default(),
        }
    }

    /// A child that the supervisor begins with.
    pub(crate) fn begin_with(&mut self, child: Child) -> Result<(), AddChildError> {
        let number = self.push(child)?;
        self.first.insert(number);
        Ok(())
    }

    fn push(&mut self, child: Child) -> Result<u64, AddChildError> {
        if self.names.contains_key(&child.settings.name) {
            return Err(AddChildError::NameTaken(child.settings.name.clone()));
        }
        if self.children.len() == CHILDREN_MAX {
            return Err(AddChildError::TooMany(CHILDREN_MAX));
        }
        let number = self.next_number;
        self.next_number += 1;
        self.names.insert(child.settings.name.clone(), number);
        self.children.insert(number, Supervised::new(child));
        self.plan.start(number);
        Ok(number)
    }

    /// Whether the children that the supervisor began with have been started.
    pub(crate) fn is_up(&self) -> bool {
        self.first.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.children.len()
    }

    pub(crate) fn infos(&self, now: Instant) -> Vec<ChildInfo> {
        self.children.values().map(|one| one.info(now)).collect()
    }

    pub(crate) fn find(&self, name: &str) -> Option<AnyPlace> {
        Some(self.children.get(self.names.get(name)?)?.child.place.clone())
    }

    /// The children, last started first.
    pub(crate) fn in_reverse(&mut self) -> impl Iterator<Item = &mut Supervised> {
        self.children.values_mut().rev()
    }

    /// Whether this is a child of this supervisor that has not been seen to end.
    pub(crate) fn is_child(&self, pid: Pid, scene: &Scene) -> bool {
        let is_local = pid.node().is_local() || pid.node() == scene.system().node();
        is_local && self.living.contains_key(&pid.serial())
    }

    pub(crate) fn add(&mut self, child: Child, reply: ReplyTo<Result<(), AddChildError>>) {
        match self.push(child) {
            Ok(number) => {
                if let Some(one) = self.children.get_mut(&number) {
                    one.added = Some(reply);
                }
            }
            Err(error) => reply.send(Err(error)),
        }
    }

    pub(crate) fn remove(&mut self, name: &str, reply: ReplyTo<bool>, scene: &Scene) {
        let Some(&number) = self.names.get(name) else { return reply.send(false) };
        let Some(one) = self.children.get_mut(&number) else { return reply.send(false) };
        queue(&mut one.removals, reply);
        match &mut one.state {
            State::Down | State::Gone => self.forget(number),
            State::Ending { then, .. } => {
                *then = Then::Remove;
                self.plan.forget(number);
            }
            State::Starting { .. } | State::Running { .. } => {
                self.plan.forget(number);
                let kill_at = one.kill_at(scene.runtime().now());
                self.end(number, Then::Remove, kill_at, scene);
            }
        }
    }

    pub(crate) fn restart(
        &mut self,
        name: &str,
        reply: ReplyTo<Result<(), RestartChildError>>,
        scene: &Scene,
    ) {
        let found = self.names.get(name).and_then(|&number| Some((number, self.children.get_mut(&number)?)));
        let Some((number, one)) = found.filter(|(_, one)| one.removals.is_empty()) else {
            return reply.send(Err(RestartChildError::NoChild(name.to_owned())));
        };
        queue(&mut one.restarts, reply);
        one.attempts = 0;
        if let Some(breaker) = &mut one.breaker {
            breaker.reset();
        }
        match &mut one.state {
            State::Down | State::Gone => {
                one.child.vacate(Vacancy::Awaited);
                one.enter(State::Down);
                self.plan.start(number);
            }
            State::Ending { then, .. } => *then = Then::Start,
            // Its turn to stop comes, and then to start.
            State::Running { .. } if self.plan.will_stop(number) => {}
            State::Starting { .. } | State::Running { .. } => {
                self.plan.forget(number);
                let kill_at = one.kill_at(scene.runtime().now());
                self.end(number, Then::Start, kill_at, scene);
            }
        }
    }

    /// Takes all steps that can be taken now.
    pub(crate) fn proceed(&mut self, scene: &Scene) {
        while let Some(step) = self.plan.next(self.strategy.is_ordered() || !self.is_up()) {
            match step {
                Step::Start(number) => self.start(number, scene),
                Step::Stop(number) => {
                    let Some(one) = self.children.get(&number) else { continue };
                    let kill_at = one.kill_at(scene.runtime().now());
                    self.end(number, Then::Restart, kill_at, scene);
                }
            }
        }
    }

    /// What the tasks have reported.
    pub(crate) fn catch_up(&mut self, scene: &Scene) -> Result<(), GiveUp> {
        for Event { child, epoch, what } in self.events.take() {
            if self.children.get(&child).is_some_and(|one| one.is_present(epoch)) {
                self.happened(child, what, scene)?;
                self.proceed(scene);
            }
        }
        Ok(())
    }

    fn happened(&mut self, number: u64, what: Happening, scene: &Scene) -> Result<(), GiveUp> {
        let Some(one) = self.children.get_mut(&number) else { return Ok(()) };
        let now = scene.runtime().now();
        match what {
            Happening::Due => {
                if let Some(breaker) = &mut one.breaker {
                    breaker.try_again();
                }
                self.plan.start(number);
            }
            Happening::Started => return self.started(number, scene),
            Happening::NotStarted(reason) => match &one.state {
                State::Starting { .. } => {
                    let kill_at = one.kill_at(now);
                    self.end(number, Then::Fail(reason), kill_at, scene);
                }
                _ => return self.ended(number, reason, scene),
            },
            Happening::StartOverdue => {
                let deadline = one.child.settings.start_deadline.unwrap_or(Duration::MAX);
                let reason = ExitReason::crashed(format!("not started within {deadline:?}"));
                self.end(number, Then::Fail(reason), Some(now), scene);
            }
            Happening::Stuck => {
                if let State::Ending { stuck, .. } = &mut one.state {
                    *stuck = true;
                }
            }
            Happening::Over => return self.over(number, scene),
        }
        Ok(())
    }

    /// Makes and spawns the actor of a child.
    fn start(&mut self, number: u64, scene: &Scene) {
        let Some(one) = self.children.get_mut(&number) else { return };
        let mut reporter = Reporter {
            events: self.events.clone(),
            supervisor: scene.this(),
            child: number,
            epoch: one.enter(State::Down),
        };
        let Launch { tenant, started, occupy } = match one.child.launch(&scene.system()) {
            Ok(launch) => launch,
            // By report, so that a child that always fails cannot keep the supervisor busy.
            Err(why) => return reporter.report(Happening::NotStarted(ExitReason::crashed(why))),
        };
        self.living.insert(tenant.pid.serial(), number);
        let monitor = scene.monitor(tenant.pid);
        scene.link(tenant.pid);
        reporter.epoch = one.enter(State::Starting { tenant, monitor, occupy, ended: None });
        let deadline = one.child.settings.start_deadline.unwrap_or(Duration::MAX);
        let runtime = scene.runtime().clone();
        one.work(scene.runtime().spawn(async move {
            reporter.report(match runtime.timeout(deadline, started).await {
                Ok(Ok(())) => Happening::Started,
                Ok(Err(crate::AskError::Ended(reason))) => Happening::NotStarted(reason),
                Ok(Err(error)) => Happening::NotStarted(ExitReason::crashed(error.to_string())),
                Err(_) => Happening::StartOverdue,
            });
        }));
    }

    /// The start hook of a child is over.
    fn started(&mut self, number: u64, scene: &Scene) -> Result<(), GiveUp> {
        let Some(one) = self.children.get_mut(&number) else { return Ok(()) };
        let State::Starting { tenant, monitor, occupy, ended } =
            std::mem::replace(&mut one.state, State::Down)
        else {
            return Ok(());
        };
        let now = scene.runtime().now();
        one.enter(State::Running { tenant, monitor, since: now });
        one.was_up = true;
        if let Some(breaker) = &mut one.breaker {
            breaker.started(now);
        }
        occupy();
        one.tell_started();
        self.plan.forget(number);
        self.first.remove(&number);
        match ended {
            Some(reason) => self.down(monitor, reason, scene),
            None => Ok(()),
        }
    }

    /// Asks a child to stop. It is killed at `kill_at`.
    fn end(&mut self, number: u64, then: Then, kill_at: Option<Instant>, scene: &Scene) {
        let Some(one) = self.children.get_mut(&number) else { return };
        let (tenant, monitor) = match &one.state {
            State::Starting { tenant, monitor, .. } | State::Running { tenant, monitor, .. } => {
                (tenant.clone(), *monitor)
            }
            State::Down | State::Ending { .. } | State::Gone => return,
        };
        one.child.vacate(Vacancy::Awaited);
        if let Some(breaker) = &mut one.breaker {
            breaker.stopped(scene.runtime().now());
        }
        scene.demonitor(monitor);
        let (system, hurry) = (scene.system(), self.remains.clone());
        system.stop(tenant.pid);
        let reporter = Reporter {
            events: self.events.clone(),
            supervisor: scene.this(),
            child: number,
            epoch: one.enter(State::Ending { tenant: tenant.clone(), kill_at, then, stuck: false }),
        };
        one.work(scene.runtime().spawn(async move {
            if !tenant.end(&system, kill_at, &hurry).await {
                reporter.report(Happening::Stuck);
                tenant.over(&system).await;
            }
            reporter.report(Happening::Over);
        }));
    }

    /// A monitor has fired.
    pub(crate) fn down(
        &mut self,
        monitor: MonitorRef,
        reason: ExitReason,
        scene: &Scene,
    ) -> Result<(), GiveUp> {
        let Some(&number) = self.living.get(&monitor.target().serial()) else { return Ok(()) };
        let Some(one) = self.children.get_mut(&number) else { return Ok(()) };
        let now = scene.runtime().now();
        let kill_at = one.kill_at(now);
        match &mut one.state {
            // What it ended of is in the report that follows.
            State::Starting { ended, monitor: m, .. } if *m == monitor => *ended = Some(reason),
            State::Running { tenant, monitor: m, since } if *m == monitor => {
                let survived = one.breaker.as_mut().is_some_and(|breaker| breaker.stopped(now));
                if survived || now.saturating_duration_since(*since) >= self.budget.window() {
                    one.attempts = 0;
                }
                let then = if self.plan.will_stop(number) { Then::Restart } else { Then::Fail(reason) };
                if tenant.left_nothing() {
                    let tenant = tenant.clone();
                    one.child.vacate(Vacancy::Awaited);
                    one.enter(State::Ending { tenant, kill_at, then, stuck: false });
                    return self.over(number, scene);
                }
                self.end(number, then, kill_at, scene);
            }
            State::Starting { .. } | State::Running { .. } => {}
            State::Down | State::Ending { .. } | State::Gone => {}
        }
        Ok(())
    }

    /// A child has ended, with all below it.
    fn over(&mut self, number: u64, scene: &Scene) -> Result<(), GiveUp> {
        let Some(one) = self.children.get_mut(&number) else { return Ok(()) };
        let State::Ending { tenant, then, .. } = std::mem::replace(&mut one.state, State::Down) else {
            return Ok(());
        };
        one.enter(State::Down);
        self.living.remove(&tenant.pid.serial());
        // An exit signal of the link that comes later would look like that of a stranger.
        scene.unlink(tenant.pid);
        self.plan.forget(number);
        match then {
            // Stopped for another's sake it does not come back.
            Then::Restart if one.child.settings.restart == Restart::Temporary && one.restarts.is_empty() => {
                self.retire(number, ExitReason::Normal);
            }
            Then::Restart | Then::Start => self.plan.start(number),
            Then::Remove => self.forget(number),
            Then::Fail(reason) => return self.ended(number, reason, scene),
        }
        Ok(())
    }

    /// A child ended by itself or could not be started, and nothing of it is left.
    fn ended(&mut self, number: u64, reason: ExitReason, scene: &Scene) -> Result<(), GiveUp> {
        self.plan.forget(number);
        let (now, runtime) = (scene.runtime().now(), scene.runtime());
        let Some(one) = self.children.get_mut(&number) else { return Ok(()) };
        let name = one.name().to_owned();
        if !one.was_up && self.first.contains(&number) {
            return Err(GiveUp(format!("child {name:?} did not start: {reason}")));
        }
        one.tell_not_started(&reason.to_string());
        if !one.was_up {
            self.forget(number);
            return Ok(());
        }
        if !one.child.settings.restart.wanted_after(&reason) || scene.system().is_shutting_down() {
            self.retire(number, reason);
            return Ok(());
        }
        let reporter = Reporter {
            events: self.events.clone(),
            supervisor: scene.this(),
            child: number,
            epoch: one.enter(State::Down),
        };
        let due_after = |one: &mut Supervised, wait| {
            let (sleep, reporter) = (runtime.sleep(wait), reporter.clone());
            one.work(runtime.spawn(async move {
                sleep.await;
                reporter.report(Happening::Due);
            }));
        };
        if let Some(breaker) = &mut one.breaker {
            if reason.is_normal() {
                breaker.stopped(now);
            } else if let Verdict::TryAfter(cooldown) = breaker.crashed(now) {
                tracing::warn!(child = name, %reason, ?cooldown, "crashes too often: left alone");
                one.attempts = one.attempts.saturating_add(1);
                due_after(one, cooldown);
                return Ok(());
            }
        }
        if !self.budget.spend(now) {
            let (most, window) = (self.budget.restarts_max(), self.budget.window());
            return Err(GiveUp(format!(
                "child {name:?} ended ({reason}) after {most} restarts in {window:?}"
            )));
        }
        tracing::info!(child = name, %reason, "restarting");
        let wait = one.child.settings.backoff.delay(one.attempts, runtime.seed());
        one.attempts = one.attempts.saturating_add(1);
        if wait.is_zero() {
            self.plan.start(number);
        } else {
            due_after(one, wait);
            self.plan.wait(number);
        }
        for (&other, one) in self.children.range(self.strategy.affected(number)) {
            if matches!(one.state, State::Starting { .. } | State::Running { .. }) {
                self.plan.stop(other);
            }
        }
        Ok(())
    }

    /// The child is not started again, unless somebody says so.
    fn retire(&mut self, number: u64, reason: ExitReason) {
        let Some(one) = self.children.get_mut(&number) else { return };
        one.child.vacate(Vacancy::Gone(reason));
        one.enter(State::Gone);
        // Nobody asks for these again.
        if one.child.settings.restart == Restart::Temporary {
            self.forget(number);
        }
    }

    /// The child is none of this supervisor's any more.
    fn forget(&mut self, number: u64) {
        self.plan.forget(number);
        self.first.remove(&number);
        let Some(mut one) = self.children.remove(&number) else { return };
        self.names.remove(one.name());
        one.tell_not_started("it was removed");
        let mut removals = std::mem::take(&mut one.removals).into_iter();
        if let Some(first) = removals.next() {
            first.send(true);
        }
        removals.for_each(|reply| reply.send(false));
    }
}

//! The actors of one node.

use crate::actor::Actor;
use crate::body::{self, Body};
use crate::cell::{AnyCell, Blueprint, Cell, Extras};
use crate::counters::{Counters, DeadLetterStream, DeadLetters, Reason};
use crate::current;
use crate::error::{AskError, DeliverError, SpawnError};
use crate::lifecycle::Lifecycle;
use crate::living::Living;
use crate::lock::Lock;
use crate::mailbox::Mailbox;
use crate::metrics::{Kinds, TypeMetrics};
use crate::monitor::MonitorRef;
use crate::options::{MailboxStats, Priority, SpawnOptions, SystemConfig};
use crate::outside::Outside;
use crate::reference::ActorRef;
use crate::reply::ReplyTo;
use crate::runtime::{Runtime, Tenant};
use crate::sync::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Event, Ordering};
use crate::table::Table;
use crate::unwind;
use hew_wire::{ExitReason, NodeId, Pid, SERIAL_MAX, SERIAL_RESERVED};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

static NEXT_ID: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

/// What [`System::shutdown`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Actors that were alive when it began.
    pub stopped: usize,
    /// Those of them that had not ended by the deadline and were killed.
    pub killed: usize,
    /// Those that did not end even then, because their handlers block without awaiting.
    pub stuck: usize,
}

/// The actors of one node: spawning, finding, ending, monitors and links. Cheap to clone.
#[derive(Clone)]
pub struct System {
    shared: Arc<Shared>,
}

/// What the handles of a system and its actors share.
pub(crate) struct Shared {
    /// Tells the systems of a process apart.
    pub(crate) id: u64,
    pub(crate) runtime: Runtime,
    pub(crate) counters: Arc<Counters>,
    /// The node id, written by `set_node`.
    node: AtomicU16,
    next_serial: AtomicU64,
    next_reference: AtomicU64,
    mailbox_capacity: usize,
    pub(crate) table: Table,
    /// With metrics: those of each type of actors.
    kinds: Option<Kinds>,
    outside: Lock<Option<Arc<dyn Outside>>>,
    /// No actor is spawned any more.
    closing: AtomicBool,
    living: Living,
    /// Fires when an actor has ended and everyone was told, if somebody waits.
    ended: Event,
    /// Who waits for `ended`.
    waiting: AtomicUsize,
}

impl System {
    /// A system without actors. It uses the runtime but does not own it.
    pub fn new(runtime: Runtime, config: SystemConfig) -> System {
        let system = System {
            shared: Arc::new(Shared {
                id: NEXT_ID.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
                runtime,
                counters: Arc::new(Counters::default()),
                node: AtomicU16::new(config.node.raw()),
                next_serial: AtomicU64::new(config.first_serial.max(SERIAL_RESERVED)),
                next_reference: AtomicU64::new(1),
                mailbox_capacity: config.mailbox_capacity,
                table: Table::default(),
                kinds: config.metrics.then(Kinds::default),
                outside: Lock::new(None),
                closing: AtomicBool::new(false),
                living: Living::default(),
                ended: Event::new(),
                waiting: AtomicUsize::new(0),
            }),
        };
        let tenant: Arc<dyn Tenant> = system.shared.clone();
        system.shared.runtime.attach(&tenant);
        system
    }

    pub(crate) fn from_shared(shared: Arc<Shared>) -> System {
        System { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.shared.counters
    }

    /// The runtime the actors run on.
    pub fn runtime(&self) -> &Runtime {
        &self.shared.runtime
    }

    /// The node id; [`NodeId::LOCAL`] until [`System::set_node`].
    pub fn node(&self) -> NodeId {
        self.shared.node()
    }

    /// The actor of this system whose handler the current thread is running, if it is running one.
    pub fn current(&self) -> Option<Pid> {
        let current = current::current().filter(|current| current.system == self.shared.id)?;
        Some(Pid::new(self.node(), current.serial))
    }

    /// This process became a node: every actor's PID shows it from now on. PIDs with node 0 still mean this system.
    pub fn set_node(&self, node: NodeId) {
        self.shared.node.store(node.raw(), Ordering::Release);
    }

    /// Connects the system to other nodes: monitors, links and exit signals whose other end is not here go to
    /// `outside` from now on. A later call replaces an earlier one: the process has started another node.
    pub fn set_outside(&self, outside: Arc<dyn Outside>) {
        let earlier = self.shared.outside.lock().replace(outside);
        drop(earlier);
    }

    /// Spawns an actor with default options. On a system that shuts down, the reference is to an ended actor.
    pub fn spawn<A: Actor>(&self, actor: A) -> ActorRef<A::Message> {
        match self.spawn_with(actor, SpawnOptions::default()) {
            Ok(reference) => reference,
            Err(SpawnError::ShuttingDown | SpawnError::SerialNotReserved(_) | SpawnError::SerialTaken(_)) => {
                ActorRef::nobody(self, Pid::new(self.node(), self.shared.take_serial()))
            }
        }
    }

    /// Spawns an actor.
    ///
    /// # Errors
    /// [`SpawnError`]; the actor value was dropped.
    pub fn spawn_with<A: Actor>(
        &self,
        actor: A,
        options: SpawnOptions<A::Message>,
    ) -> Result<ActorRef<A::Message>, SpawnError> {
        self.spawn_inner(actor, options, None)
    }

    /// Spawns an actor. With `started`, which is answered when its start hook is over, it belongs to a supervisor,
    /// which stops it during [`System::shutdown`].
    pub(crate) fn spawn_inner<A: Actor>(
        &self,
        actor: A,
        options: SpawnOptions<A::Message>,
        started: Option<ReplyTo<()>>,
    ) -> Result<ActorRef<A::Message>, SpawnError> {
        let shared = &self.shared;
        if shared.closing.load(Ordering::SeqCst) || shared.runtime.is_shut_down() {
            return Err(SpawnError::ShuttingDown);
        }
        if let Some(serial) = options.serial
            && !(1..SERIAL_RESERVED).contains(&serial)
        {
            return Err(SpawnError::SerialNotReserved(serial));
        }
        let SpawnOptions { label, mailbox, decoder, serial, messages_per_turn, priority, blocking } = options;
        let kind = shared.kinds.as_ref().map(|kinds| kinds.of::<A>());
        let has_extras = label.is_some() || decoder.is_some() || kind.is_some();
        let supervised = started.is_some();
        let blueprint = Blueprint {
            serial: serial.unwrap_or_else(|| shared.take_serial()),
            shared: shared.clone(),
            mailbox: Mailbox::new(mailbox, shared.mailbox_capacity),
            extras: has_extras
                .then(|| Box::new(Extras { decoder, label: label.map(Arc::from), kind: kind.clone() })),
            priority,
            blocking,
            supervised,
        };
        let cell = Cell::new(blueprint, body::run::<A>, Body::new(actor, messages_per_turn, started));
        body::furnish(&cell);
        shared.living.add(cell.serial, supervised);
        if !shared.table.insert(cell.clone()) {
            shared.living.remove(cell.serial, supervised);
            body::unfurnish(&cell);
            return Err(SpawnError::SerialTaken(cell.serial));
        }
        if let Some(kind) = kind {
            kind.note_spawn();
        }
        body::launch(&cell);
        if shared.closing.load(Ordering::SeqCst) {
            // Shutdown may have listed the actors before this one was in the table.
            cell.stop();
        }
        // If the runtime was shut down since, nobody else would run it to its end.
        shared.runtime.sweep();
        Ok(ActorRef::local(cell))
    }

    /// The living actor with this PID; `None` if it has ended, is of another node, or takes other messages.
    pub fn resolve<M: Send + 'static>(&self, pid: Pid) -> Option<ActorRef<M>> {
        let mut reference: Option<ActorRef<M>> = None;
        self.shared.find(pid)?.refer(&mut reference);
        reference
    }

    /// Whether an actor of this system with this PID takes messages or is running its end.
    pub fn is_alive(&self, pid: Pid) -> bool {
        self.shared.find(pid).is_some()
    }

    /// Where the actor is in its life; `None` when it is over or the PID is of another node.
    pub fn lifecycle(&self, pid: Pid) -> Option<Lifecycle> {
        Some(self.shared.find(pid)?.lifecycle())
    }

    /// What [`SpawnOptions::label`] said.
    pub fn label(&self, pid: Pid) -> Option<String> {
        Some(self.shared.find(pid)?.label()?.to_string())
    }

    /// Messages that wait in the actor's mailbox.
    pub fn mailbox_len(&self, pid: Pid) -> Option<usize> {
        Some(self.shared.find(pid)?.mailbox_len())
    }

    /// What waits in the actor's mailbox, and what it had to refuse; `None` when the actor has ended or is elsewhere.
    pub fn mailbox_stats(&self, pid: Pid) -> Option<MailboxStats> {
        let cell = self.shared.find(pid)?;
        Some(MailboxStats {
            messages: cell.mailbox_len(),
            bytes: cell.mailbox_bytes(),
            dropped: cell.mailbox_dropped(),
        })
    }

    /// Changes which of those that are ready to run come first, from the actor's next activation on; whether there is
    /// such an actor here.
    pub fn set_priority(&self, pid: Pid, priority: Priority) -> bool {
        let cell = self.shared.find(pid);
        cell.map(|cell| cell.priority().store(priority as u8, Ordering::Relaxed)).is_some()
    }

    /// The actor's [`Priority`].
    pub fn priority(&self, pid: Pid) -> Option<Priority> {
        let cell = self.shared.find(pid)?;
        Some(Priority::from_number(cell.priority().load(Ordering::Relaxed)))
    }

    /// As [`ActorRef::stop`]; whether there was such an actor here.
    pub fn stop(&self, pid: Pid) -> bool {
        self.shared.find(pid).map(|cell| cell.stop()).is_some()
    }

    /// As [`ActorRef::kill`]; whether there was such an actor here.
    pub fn kill(&self, pid: Pid) -> bool {
        self.end(pid, ExitReason::Killed)
    }

    /// As [`ActorRef::close`]; whether there was such an actor here.
    pub fn close(&self, pid: Pid) -> bool {
        self.shared.find(pid).map(|cell| cell.drain()).is_some()
    }

    /// Ends an actor as [`System::kill`] does, with a reason of the caller's.
    pub fn end(&self, pid: Pid, reason: ExitReason) -> bool {
        self.shared.find(pid).map(|cell| cell.kill(reason)).is_some()
    }

    /// Living actors.
    pub fn len(&self) -> usize {
        self.shared.table.len()
    }

    /// Whether no actor lives.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The PIDs of the living actors, in order of their serials.
    pub fn pids(&self) -> Vec<Pid> {
        self.shared.table.all().iter().map(|cell| self.shared.shown_serial(cell.serial())).collect()
    }

    /// Delivers a message from the network. Never waits: a full mailbox drops it (after coalescing or dropping the
    /// oldest, if its policy is that).
    ///
    /// Enter the frame's boundary around the call, so that the message may hold reply addresses. `from` is the sender,
    /// for diagnostics.
    ///
    /// # Errors
    /// The message was dropped and counted as a dead letter; a reply address in it has been answered.
    pub fn deliver(
        &self,
        pid: Pid,
        from: Option<Pid>,
        msg_type: i32,
        payload: &[u8],
    ) -> Result<(), DeliverError> {
        let result = match self.shared.find(pid) {
            Some(cell) => cell.deliver(msg_type, payload),
            None => {
                self.shared.lost(Reason::NoProcess, pid.serial(), 1);
                Err(DeliverError::NoProcess)
            }
        };
        if let Err(error) = &result {
            tracing::debug!(%pid, ?from, msg_type, %error, "message not delivered");
        }
        result
    }

    /// Calls `f` exactly once, when the actor ends, on the thread where it ends; at once with
    /// [`ExitReason::NoProcess`] if there is no such actor here. `f` must not block; its panics go nowhere.
    pub fn watch(&self, pid: Pid, f: impl FnOnce(Pid, ExitReason) + Send + 'static) -> MonitorRef {
        self.shared.watch(pid, Box::new(f))
    }

    /// Removes a watch. `true`: it has not fired and never will. `false`: it fired, is firing, or was removed.
    pub fn unwatch(&self, monitor: MonitorRef) -> bool {
        self.shared.unwatch(monitor)
    }

    /// Waits until the actor has ended, and says why; at once with [`ExitReason::NoProcess`] if there is none.
    pub async fn ended(&self, pid: Pid) -> ExitReason {
        if self.shared.find(pid).is_none() {
            return ExitReason::NoProcess;
        }
        struct Unwatch(System, MonitorRef);
        impl Drop for Unwatch {
            fn drop(&mut self) {
                self.0.unwatch(self.1);
            }
        }
        let (reply, answer) = crate::reply::channel(self.counters());
        let _unwatch = Unwatch(self.clone(), self.watch(pid, move |_, reason| reply.send(reason)));
        answer.await.unwrap_or(ExitReason::NoProcess)
    }

    /// Makes `watcher`, an actor of this system, monitor `target`, an actor anywhere.
    pub fn monitor(&self, watcher: Pid, target: Pid) -> MonitorRef {
        self.shared.monitor(watcher, target)
    }

    /// Removes a monitor of `watcher`. After this returns no signal of it arrives. Whether it had not fired yet.
    pub fn demonitor(&self, watcher: Pid, monitor: MonitorRef) -> bool {
        self.shared.demonitor(watcher, monitor)
    }

    /// Tells a local `watcher` that the `target` of its monitor on another node has ended; ignored if it does not wait
    /// for that monitor any more. Whether it did.
    pub fn notify_down(&self, watcher: Pid, monitor: MonitorRef, target: Pid, reason: ExitReason) -> bool {
        self.shared.find(watcher).is_some_and(|cell| cell.down(monitor, target, reason))
    }

    /// Links two actors, of which at least one is of this system.
    pub fn link(&self, a: Pid, b: Pid) {
        self.shared.link(a, b);
    }

    /// Removes the link. After this returns no exit signal of it reaches an actor of this system.
    pub fn unlink(&self, a: Pid, b: Pid) {
        self.shared.unlink(a, b);
    }

    /// Notes on the local side that `peer`, on another node, has linked itself to `local`: `peer` hears of its end
    /// through [`Outside::exit`]. `false`: there is no such actor, and the peer's node must tell it so.
    pub fn link_from_outside(&self, local: Pid, peer: Pid) -> bool {
        self.shared.find(local).is_some_and(|cell| cell.relations().add_link(self.shared.inner(peer)).is_ok())
    }

    /// Removes what [`System::link_from_outside`] noted.
    pub fn unlink_from_outside(&self, local: Pid, peer: Pid) {
        if let Some(cell) = self.shared.find(local) {
            cell.unlink(self.shared.inner(peer));
        }
    }

    /// The exit signal of a link: `from`, on another node, has ended. Ignored unless the two are linked. Whether they
    /// were; the link is gone.
    pub fn link_ended(&self, pid: Pid, from: Pid, reason: ExitReason) -> bool {
        self.shared.find(pid).is_some_and(|cell| cell.link_ended(self.shared.inner(from), from, reason))
    }

    /// An exit signal, link or not: ends the actor with [`ExitReason::Linked`], unless it traps exits or `reason` is
    /// normal. Whether there was such an actor here.
    pub fn exit(&self, pid: Pid, from: Pid, reason: ExitReason) -> bool {
        match self.shared.find(pid) {
            Some(cell) => {
                cell.exit(from, reason);
                true
            }
            None => {
                self.shared.lost(Reason::Signal, pid.serial(), 1);
                false
            }
        }
    }

    /// What reached nobody, by reason.
    pub fn dead_letters(&self) -> DeadLetters {
        self.shared.counters.snapshot()
    }

    /// Everything that reaches nobody from now on, one by one. Any number of streams may observe at once, and each is
    /// bounded.
    pub fn dead_letter_stream(&self) -> DeadLetterStream {
        self.shared.counters.observe()
    }

    /// What the actors of each type do, in order of the types' names; nothing unless [`SystemConfig::metrics`] was set.
    ///
    /// Walks over all living actors.
    pub fn metrics(&self) -> Vec<TypeMetrics> {
        let Some(kinds) = &self.shared.kinds else { return Vec::new() };
        let mut queued: Vec<(usize, u64)> = Vec::new();
        for cell in self.shared.table.all() {
            if let Some(kind) = cell.kind() {
                let (key, waiting) = (Arc::as_ptr(&kind).addr(), cell.mailbox_len() as u64);
                match queued.iter_mut().find(|(other, _)| *other == key) {
                    Some((_, sum)) => *sum += waiting,
                    None => queued.push((key, waiting)),
                }
            }
        }
        kinds.snapshot(|kind| {
            let key = Arc::as_ptr(kind).addr();
            queued.iter().find(|(other, _)| *other == key).map_or(0, |(_, sum)| *sum)
        })
    }

    /// Whether [`System::shutdown`] has begun.
    pub fn is_shutting_down(&self) -> bool {
        self.shared.closing.load(Ordering::SeqCst)
    }

    /// Stops all actors and waits until they have ended. From now on no actor is spawned.
    ///
    /// Children of supervisors are stopped by those, in their order. What has not ended after `deadline` is killed,
    /// and waited for again, for at most a second.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        let shared = &self.shared;
        shared.closing.store(true, Ordering::SeqCst);
        let living = shared.table.all();
        let mut report = ShutdownReport { stopped: living.len(), ..ShutdownReport::default() };
        living.iter().filter(|cell| !cell.is_supervised()).for_each(|cell| cell.stop());
        drop(living);
        let all_stopped = async {
            shared.until(|| shared.living.count(false) == 0).await;
            // Children whose supervisor was killed.
            shared.table.all().iter().for_each(|cell| cell.stop());
            shared.until_empty().await;
        };
        if shared.runtime.timeout(deadline, all_stopped).await.is_ok() {
            return report;
        }
        let left = shared.table.all();
        report.killed = left.len();
        left.iter().for_each(|cell| cell.kill(ExitReason::Killed));
        drop(left);
        if shared.runtime.timeout(Duration::from_secs(1), shared.until_empty()).await.is_err() {
            report.stuck = shared.table.len();
        }
        report
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System").field("node", &self.node()).field("actors", &self.len()).finish()
    }
}

impl Shared {
    /// Where the other nodes are reached, if there are any.
    pub(crate) fn outside(&self) -> Option<Arc<dyn Outside>> {
        self.outside.lock().clone()
    }

    pub(crate) fn node(&self) -> NodeId {
        NodeId::from_raw(self.node.load(Ordering::Acquire))
    }

    /// Whether the PID is of this system.
    pub(crate) fn is_local(&self, pid: Pid) -> bool {
        pid.node().is_local() || pid.node() == self.node()
    }

    /// The PID as [`Relations`] keep it: node 0 for local actors.
    pub(crate) fn inner(&self, pid: Pid) -> Pid {
        if self.is_local(pid) { Pid::new(NodeId::LOCAL, pid.serial()) } else { pid }
    }

    /// The PID as everyone sees it.
    pub(crate) fn shown(&self, pid: Pid) -> Pid {
        if self.is_local(pid) { self.shown_serial(pid.serial()) } else { pid }
    }

    fn shown_serial(&self, serial: u64) -> Pid {
        Pid::new(self.node(), serial)
    }

    pub(crate) fn cell(&self, serial: u64) -> Option<Arc<dyn AnyCell>> {
        self.table.find(serial)
    }

    /// The living local actor with this PID.
    pub(crate) fn find(&self, pid: Pid) -> Option<Arc<dyn AnyCell>> {
        if self.is_local(pid) { self.cell(pid.serial()) } else { None }
    }

    pub(crate) fn take_reference(&self) -> u64 {
        self.next_reference.fetch_add(1, Ordering::Relaxed)
    }

    fn take_serial(&self) -> u64 {
        loop {
            let serial = self.next_serial.fetch_add(1, Ordering::Relaxed) & SERIAL_MAX;
            if serial >= SERIAL_RESERVED {
                return serial;
            }
        }
    }

    /// Takes an ended actor out of the table, then tells everyone who wants to hear of its end: whoever hears no longer
    /// finds it.
    pub(crate) fn bury(&self, cell: &dyn AnyCell, reason: ExitReason) {
        self.table.remove(cell.serial());
        if let Some(kind) = cell.kind() {
            kind.note_end();
        }
        if let Some(estate) = cell.relations().end(&reason) {
            self.settle(cell.serial(), *estate, &reason);
        }
        self.living.remove(cell.serial(), cell.is_supervised());
        // Pairs with the addition in `until`: either this sees who waits, or that sees that this actor is gone.
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.ended.notify(usize::MAX);
        }
    }

    /// Counts what the actor of this serial did not get.
    pub(crate) fn lost(&self, reason: Reason, serial: u64, count: u64) {
        self.counters.add(reason, count, || Some(self.shown_serial(serial)));
    }

    /// Drops messages that are not handled, and counts them; reply addresses in them answer `error`.
    pub(crate) fn discard<M>(
        &self,
        messages: impl IntoIterator<Item = M>,
        reason: Reason,
        error: AskError,
        serial: u64,
    ) {
        let mut messages = messages.into_iter().peekable();
        if messages.peek().is_none() {
            return;
        }
        let mut count = 0;
        current::discarding(error, || {
            for message in messages {
                count += 1;
                unwind::contained(|| drop(message));
            }
        });
        self.lost(reason, serial, count);
    }

    async fn until_empty(&self) {
        self.until(|| self.living.all() == 0).await;
    }

    /// Waits until the ends of actors have made this true.
    async fn until(&self, condition: impl Fn() -> bool) {
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.waiting);
        loop {
            let ended = self.ended.listen();
            if condition() {
                return;
            }
            ended.await;
        }
    }
}

impl Tenant for Shared {
    fn end_all(&self) -> usize {
        let living = self.table.all();
        living.iter().for_each(|cell| cell.kill(ExitReason::Killed));
        living.len()
    }

    fn any_queued(&self) -> bool {
        self.table.all().iter().any(|cell| cell.is_queued())
    }
}

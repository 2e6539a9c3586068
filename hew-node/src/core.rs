//! The part of a node that depends on its stack: membership and registry under one lock, and what they want done.

use crate::events::NodeEvent;
use crate::link::block::Lost;
use crate::link::connection::End;
use crate::link::connector;
use crate::link::half_open::{HalfOpen, Pace};
use crate::link::peer::{Agreed, AttachError, Attached, Peer, Standing};
use crate::rights::PassedOn;
use crate::shared::{ControlPlane, FRAME_EXTRA_BYTES, Shared};
use crate::stack::Stack;
use event_listener::Event;
use futures_lite::future;
use hew_cluster::{
    DownReason, LinkEvent, Membership, MembershipError, MembershipEvent, Output as MembershipOutput,
};
use hew_registry::{NameTable, Output as RegistryOutput, PeerEvent, Registry, RegistryError, RegistryEvent};
use hew_security::{Permission, PublicKey};
use hew_transport::Addr;
use hew_wire::control::Control;
use hew_wire::membership::MembershipMessage;
use hew_wire::registry::RegistryMessage;
use hew_wire::{Extension, Incarnation, NodeId, PROTOCOL_VERSION, Role};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long a member that has left may keep its connection.
const GOODBYE_GRACE: Duration = Duration::from_secs(2);

/// The two machines that speak for the node.
pub(crate) struct Machines<S: Stack> {
    pub(crate) membership: S::Membership,
    pub(crate) registry: S::Registry,
    /// When the timer task looks next; `None`: when it is woken.
    next_timeout: Option<Instant>,
}

/// See the module's documentation.
///
/// Everything the machines want is done under their lock, in their order: queueing frames, publishing events, ending
/// sessions. None of that waits or calls back into this type.
pub(crate) struct Core<S: Stack> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) transport: S::Transport,
    pub(crate) authenticator: S::Authenticator,
    pub(crate) names: NameTable,
    /// Where others can dial this node.
    pub(crate) advertised: Option<String>,
    pub(crate) half_open: HalfOpen,
    pub(crate) passed_on: PassedOn,
    machines: Mutex<Machines<S>>,
    timer: Event,
    stopping: AtomicBool,
    stopped: Event,
    left: AtomicBool,
    has_left: Event,
    /// Addresses that are being dialled because membership wants to know who is there.
    dialing: Mutex<BTreeSet<String>>,
    this: Weak<Core<S>>,
}

pub(crate) struct Parts<S: Stack> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) transport: S::Transport,
    pub(crate) authenticator: S::Authenticator,
    pub(crate) membership: S::Membership,
    pub(crate) registry: S::Registry,
    pub(crate) advertised: Option<String>,
    pub(crate) pace: Pace,
}

impl<S: Stack> Core<S> {
    pub(crate) fn new(parts: Parts<S>) -> Arc<Core<S>> {
        let Parts { shared, transport, authenticator, membership, registry, advertised, pace } = parts;
        Arc::new_cyclic(|this: &Weak<Core<S>>| {
            let control: Weak<dyn ControlPlane> = Weak::<Core<S>>::clone(this);
            // Set once: a `Shared` belongs to one core.
            let _ = shared.control.set(control);
            Core {
                names: registry.table(),
                shared,
                transport,
                authenticator,
                advertised,
                half_open: HalfOpen::new(pace),
                passed_on: PassedOn::default(),
                machines: Mutex::new(Machines { membership, registry, next_timeout: None }),
                timer: Event::new(),
                stopping: AtomicBool::new(false),
                stopped: Event::new(),
                left: AtomicBool::new(false),
                has_left: Event::new(),
                dialing: Mutex::default(),
                this: Weak::clone(this),
            }
        })
    }

    /// Gives the machines an input and does what they want.
    pub(crate) fn drive<T>(&self, f: impl FnOnce(&mut Machines<S>, Instant) -> T) -> T {
        let mut machines = self.machines();
        // Taken under the lock: the machines never see time go back.
        let now = self.shared.runtime.now();
        let result = f(&mut machines, now);
        self.pump(&mut machines, now);
        let next = machines.poll_timeout();
        let sooner = next.is_some_and(|next| machines.next_timeout.is_none_or(|waiting| next < waiting));
        drop(machines);
        if sooner {
            self.timer.notify(usize::MAX);
        }
        result
    }

    /// What `f` sees of the machines.
    pub(crate) fn look<T>(&self, f: impl FnOnce(&Machines<S>) -> T) -> T {
        f(&self.machines())
    }

    /// Calls the machines when their time has come, until the node stops.
    pub(crate) async fn run_timers(self: Arc<Self>) {
        while !self.is_stopping() {
            let woken = self.timer.listen();
            let next = {
                let mut machines = self.machines();
                machines.next_timeout = machines.poll_timeout();
                machines.next_timeout
            };
            match next {
                Some(at) => {
                    let timer = self.shared.runtime.sleep_until(at);
                    future::or(woken, async {
                        timer.await;
                    })
                    .await;
                }
                None => woken.await,
            }
            self.drive(|machines, now| {
                machines.membership.handle_timeout(now);
                machines.registry.handle_timeout(now);
            });
        }
    }

    // ---- connections ----

    /// What this node says about itself to `peer`.
    pub(crate) fn extension(&self, peer: Option<&Peer>) -> Extension {
        let (session, received) = peer.map_or((0, 0), Peer::session);
        Extension {
            incarnation: self.shared.incarnation,
            node_name: self.shared.name.clone(),
            cluster: self.shared.cluster.clone(),
            role: self.shared.role,
            version_min: PROTOCOL_VERSION,
            version_max: PROTOCOL_VERSION,
            frame_bytes_max: u32::try_from(self.shared.bounds.payload_bytes_max + FRAME_EXTRA_BYTES)
                .unwrap_or(u32::MAX),
            listen: self.advertised.clone(),
            session,
            fresh: self.shared.runtime.seed(),
            received,
            compression: self.shared.compression.bits(),
        }
    }

    /// A connection to `peer` was established: it becomes the current one of its session, and membership and registry
    /// hear of it.
    pub(crate) fn attach(
        &self,
        peer: &Arc<Peer>,
        agreed: Agreed,
        theirs: &Extension,
        address: Option<String>,
        seed: Option<String>,
        close: Arc<Event>,
    ) -> Result<Attached, AttachError> {
        let (role, incarnation, encrypted) = (theirs.role, agreed.incarnation, agreed.encrypted);
        self.drive(|machines, now| {
            if self.is_stopping() {
                return Err(AttachError::Stopping);
            }
            let attached = match peer.attach(now, agreed, close) {
                Ok(attached) => attached,
                Err(error) => {
                    if matches!(error, AttachError::NeverSent(_)) {
                        let reason = error.code();
                        tracing::info!(node = %self.shared.id, peer = %peer.node, reason, %error, "session ended");
                        self.shared.stats.violation("never_sent");
                        self.end_session(machines, now, peer, role == Role::Member);
                    }
                    return Err(error);
                }
            };
            if let Some(lost) = attached.lost {
                self.shared.session_over(peer.node, lost);
                let known = peer.incarnation().unwrap_or(incarnation);
                machines.registry.handle_peer(now, peer.node, known, PeerEvent::SessionDown);
            }
            if role == Role::Member && self.shared.role == Role::Member {
                let event = LinkEvent::Up { incarnation, address, seed };
                if let Err(error) = machines.membership.handle_link(now, peer.node, event) {
                    peer.detach(attached.generation, false);
                    return Err(error.into());
                }
                if !attached.resumed {
                    machines.registry.handle_peer(now, peer.node, incarnation, PeerEvent::SessionUp);
                }
            }
            let resumed = attached.resumed;
            self.shared.events.publish(&NodeEvent::LinkUp { node: peer.node, encrypted, resumed });
            Ok(attached)
        })
    }

    /// A connection ended.
    pub(crate) fn detach(&self, peer: &Arc<Peer>, generation: u64, end: &End, is_member: bool) {
        let is_idle = is_member && matches!(end, End::Idle);
        // Who cannot be dialled does not wait for the other to do so.
        if !peer.detach(generation, is_idle && self.advertised.is_some()) {
            return;
        }
        let cause = end.to_string();
        self.drive(|machines, now| {
            self.shared.events.publish(&NodeEvent::LinkDown { node: peer.node, cause });
            if is_member {
                let event = if is_idle { LinkEvent::Idle } else { LinkEvent::Broken };
                self.note_link(machines, now, peer.node, event);
            }
        });
    }

    /// An attempt to reach a known node failed.
    pub(crate) fn unreachable(&self, node: NodeId, refused: bool) {
        self.drive(|machines, now| {
            self.note_link(machines, now, node, LinkEvent::Unreachable { refused });
        });
    }

    /// The peer of connection `generation` broke a rule: its session is over, and a new one may begin.
    pub(crate) fn reset_session(&self, peer: &Arc<Peer>, generation: u64, is_member: bool) {
        self.drive(|machines, now| {
            if peer.is_current(generation) {
                self.end_session(machines, now, peer, is_member);
            }
        });
    }

    /// Ends the session with a peer that may begin a new one at once.
    fn end_session(&self, machines: &mut Machines<S>, now: Instant, peer: &Arc<Peer>, is_member: bool) {
        let (standing, incarnation) = (peer.standing(), peer.incarnation());
        if let Some(incarnation) = incarnation.filter(|_| is_member) {
            machines.registry.handle_peer(now, peer.node, incarnation, PeerEvent::SessionDown);
        }
        let lost = peer.end_session();
        self.shared.session_over(peer.node, lost);
        if standing == Standing::Reachable {
            peer.set_reachable(None, None);
        }
    }

    /// The peer may not be connected any more: its session is over, and it is not dialled again.
    pub(crate) fn expel(&self, peer: &Arc<Peer>, cause: String) {
        self.drive(|machines, now| {
            let is_member = machines.membership.member(peer.node).is_some();
            if let Some(incarnation) = peer.incarnation().filter(|_| is_member) {
                machines.registry.handle_peer(now, peer.node, incarnation, PeerEvent::SessionDown);
            }
            let was_connected = peer.is_connected();
            let lost = peer.end_session();
            self.shared.session_over(peer.node, lost);
            if was_connected {
                self.shared.events.publish(&NodeEvent::LinkDown { node: peer.node, cause });
            }
            if is_member {
                self.note_link(machines, now, peer.node, LinkEvent::Broken);
            }
        });
    }

    /// The session with a peer that is no member is over.
    pub(crate) fn forget_client(&self, peer: &Arc<Peer>) {
        let lost = peer.end_session();
        self.shared.session_over(peer.node, lost);
    }

    // ---- end ----

    /// Tells the members that this node leaves, and waits until enough of them know.
    pub(crate) async fn leave(&self) {
        if self.shared.role == Role::Client {
            return;
        }
        let has_left = self.has_left.listen();
        self.drive(|machines, now| machines.membership.leave(now));
        if !self.left.load(Ordering::Acquire) {
            future::or(has_left, self.stopped()).await;
        }
    }

    /// Tasks of this node end from here on.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.stopped.notify(usize::MAX);
        self.timer.notify(usize::MAX);
        for peer in self.shared.peers.all() {
            peer.note_change();
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Resolves when the node stops.
    pub(crate) async fn stopped(&self) {
        loop {
            let listener = self.stopped.listen();
            if self.is_stopping() {
                return;
            }
            listener.await;
        }
    }

    pub(crate) fn this(&self) -> Option<Arc<Core<S>>> {
        self.this.upgrade()
    }

    // ---- what the machines want ----

    fn machines(&self) -> MutexGuard<'_, Machines<S>> {
        // A machine that panicked is in an unknown state; going on with it could answer monitors wrongly. Its node
        // keeps what it has and hears nothing more, which others see as a silent node.
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pump(&self, machines: &mut Machines<S>, now: Instant) {
        loop {
            if let Some(output) = machines.membership.poll() {
                self.do_membership(machines, now, output);
            } else if let Some(output) = machines.registry.poll() {
                self.do_registry(output);
            } else {
                return;
            }
        }
    }

    fn do_membership(&self, machines: &mut Machines<S>, now: Instant, output: MembershipOutput) {
        match output {
            MembershipOutput::Send { to, message } => {
                let peer = self.shared.peer(to);
                if peer.is_connected() || peer.standing() == Standing::Reachable {
                    self.shared.send_control(&peer, &Control::Membership(message));
                } else {
                    self.note_link(machines, now, to, LinkEvent::Unreachable { refused: false });
                }
            }
            MembershipOutput::Dial { node, address } => self.dial_once(node, address),
            MembershipOutput::Event { event, .. } => self.do_membership_event(machines, now, event),
        }
    }

    fn do_membership_event(&self, machines: &mut Machines<S>, now: Instant, event: MembershipEvent) {
        let event = match event {
            MembershipEvent::Joined { through } => NodeEvent::Joined { through },
            MembershipEvent::Up { node, incarnation, address } => {
                let address = address.and_then(|address| address.parse::<Addr>().ok());
                self.shared.peer(node).set_reachable(Some(incarnation), address);
                machines.registry.handle_peer(now, node, incarnation, PeerEvent::NodeUp);
                NodeEvent::MemberUp { node, incarnation }
            }
            MembershipEvent::Suspect { node, .. } => NodeEvent::MemberSuspect { node },
            MembershipEvent::Alive { node, .. } => NodeEvent::MemberAlive { node },
            MembershipEvent::Down { node, incarnation, reason } => {
                self.end_member(machines, now, node, incarnation, reason);
                NodeEvent::MemberDown { node, incarnation, reason }
            }
            MembershipEvent::Isolated { .. } => NodeEvent::Isolated,
            MembershipEvent::Rejoined => NodeEvent::Rejoined,
            MembershipEvent::Conflict { claimed } => {
                let detail = format!("others know incarnation {claimed} of this node's id");
                NodeEvent::Conflict { node: self.shared.id, detail }
            }
            MembershipEvent::HasLeft { .. } => {
                self.left.store(true, Ordering::Release);
                self.has_left.notify(usize::MAX);
                return;
            }
        };
        self.shared.events.publish(&event);
    }

    fn end_member(
        &self,
        machines: &mut Machines<S>,
        now: Instant,
        node: NodeId,
        incarnation: Incarnation,
        reason: DownReason,
    ) {
        let down = if reason == DownReason::Left { PeerEvent::NodeLeft } else { PeerEvent::NodeDown };
        machines.registry.handle_peer(now, node, incarnation, down);
        let peer = self.shared.peer(node);
        // A newer incarnation that is connected already has a session of its own.
        if peer.incarnation().is_some_and(|current| current > incarnation) {
            return;
        }
        machines.registry.handle_peer(now, node, incarnation, PeerEvent::SessionDown);
        if reason == DownReason::Left && peer.is_connected() {
            self.let_go(peer, incarnation);
            return;
        }
        let lost = peer.end_session();
        self.shared.session_over(node, lost);
    }

    /// A member that leaves still waits for the acknowledgement of its leave, and says goodbye: whoever waits for its
    /// actors is answered now, and its session ends with its connection.
    fn let_go(&self, peer: Arc<Peer>, incarnation: Incarnation) {
        peer.stop_dialing();
        self.shared.session_over(peer.node, Lost::default());
        let Some(core) = self.this() else { return };
        let runtime = self.shared.runtime.clone();
        let ending = async move {
            let gone = future::or(peer.wait_until_disconnected(), core.stopped());
            let _ = core.shared.runtime.timeout(GOODBYE_GRACE, gone).await;
            core.drive(|_, _| {
                // Unless it has come back meanwhile.
                if peer.standing() == Standing::Gone && peer.incarnation() == Some(incarnation) {
                    let lost = peer.end_session();
                    core.shared.session_over(peer.node, lost);
                }
            });
        };
        runtime.spawn(ending).detach();
    }

    fn do_registry(&self, output: RegistryOutput) {
        let event = match output {
            RegistryOutput::Send { to, message } => {
                let peer = self.shared.peer(to);
                if peer.rights().has(Permission::Lookup) {
                    self.shared.send_control(&peer, &Control::Registry(message));
                }
                return;
            }
            RegistryOutput::Event(event) => event,
        };
        let event = match event {
            RegistryEvent::Registered { name, pid } => NodeEvent::NameUp { name, pid },
            RegistryEvent::Unregistered { name, pid, .. } => NodeEvent::NameDown { name, pid },
            RegistryEvent::Lost { name, loser, winner } => NodeEvent::NameLost { name, pid: loser, winner },
            // Told as the node's own going up and down.
            RegistryEvent::NodeShown { .. } | RegistryEvent::NodeHidden { .. } => return,
        };
        self.shared.events.publish(&event);
    }

    fn note_link(&self, machines: &mut Machines<S>, now: Instant, node: NodeId, event: LinkEvent) {
        if let Err(error) = machines.membership.handle_link(now, node, event) {
            self.note_membership_error(&error);
        }
    }

    fn note_membership_error(&self, error: &MembershipError) {
        let reason = match error {
            MembershipError::OwnId { .. } => "own_id",
            MembershipError::UnknownSender { .. } => "unknown_sender",
            MembershipError::Stale { .. } => "stale",
            MembershipError::InvalidUpdate { .. } => "invalid_update",
            MembershipError::TableFull { .. } => "table_full",
            MembershipError::NotListed { .. } => "not_listed",
        };
        tracing::debug!(node = %self.shared.id, reason, %error, "membership input refused");
        self.shared.stats.control_error(reason);
    }

    /// Dials in a task of its own, unless the address is being dialled.
    pub(crate) fn dial_once(&self, node: Option<NodeId>, address: String) {
        let Some(core) = self.this() else { return };
        let mut dialing = self.dialing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_stopping() || !dialing.insert(address.clone()) {
            return;
        }
        drop(dialing);
        let runtime = self.shared.runtime.clone();
        runtime
            .spawn(async move {
                let established = connector::dial_for_membership(&core, node, &address).await;
                core.dialing.lock().unwrap_or_else(PoisonError::into_inner).remove(&address);
                if let Some(link) = established {
                    link.run(&core).await;
                }
            })
            .detach();
    }
}

/// A short stable name for counters.
fn registry_reason(error: &RegistryError) -> &'static str {
    match error {
        RegistryError::NoSession { .. } => "registry_no_session",
        RegistryError::LocalOnly { .. } => "registry_local_only",
        RegistryError::NoOwner => "registry_no_owner",
        RegistryError::ForeignPid { .. } => "registry_foreign_pid",
        RegistryError::BadPage { .. } => "registry_bad_page",
        RegistryError::OwnerFull { .. } => "registry_owner_full",
        RegistryError::TableFull { .. } => "registry_full",
        _ => "registry",
    }
}

impl<S: Stack> Machines<S> {
    fn poll_timeout(&self) -> Option<Instant> {
        match (self.membership.poll_timeout(), self.registry.poll_timeout()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

impl<S: Stack> ControlPlane for Core<S> {
    fn handle_membership(&self, from: NodeId, message: MembershipMessage) {
        self.drive(|machines, now| {
            if let Err(error) = machines.membership.handle_message(now, from, message) {
                self.note_membership_error(&error);
            }
        });
    }

    fn handle_registry(&self, from: NodeId, message: RegistryMessage) {
        self.drive(|machines, now| {
            if let Err(error) = machines.registry.handle_message(now, from, message) {
                let reason = registry_reason(&error);
                tracing::debug!(node = %self.shared.id, reason, %error, "registry message refused");
                self.shared.stats.control_error(reason);
            }
        });
    }

    fn handle_heard(&self, from: NodeId) {
        self.drive(|machines, now| self.note_link(machines, now, from, LinkEvent::Heard));
    }

    fn handle_revocation(&self, from: NodeId, key: &str) {
        match key.parse::<PublicKey>() {
            Ok(key) => {
                self.revoke(&key, Some(from));
            }
            Err(error) => {
                tracing::debug!(node = %self.shared.id, %error, "revocation refused");
                self.shared.stats.control_error("revocation");
            }
        }
    }

    fn handle_overflow(&self, peer: &Arc<Peer>) {
        let Some(core) = self.this() else { return };
        let peer = Arc::clone(peer);
        // In a task of its own: whoever queues control messages may do so under the machines' lock.
        let ending = async move {
            core.drive(|machines, now| {
                core.end_session(machines, now, &peer, core.shared.role == Role::Member)
            });
        };
        self.shared.runtime.spawn(ending).detach();
    }

    fn adopt(&self, peer: &Arc<Peer>) {
        let Some(core) = self.this() else { return };
        let peer = Arc::clone(peer);
        self.shared.runtime.spawn(connector::keep_connected(core, peer)).detach();
    }
}

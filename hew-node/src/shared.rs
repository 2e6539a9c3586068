//! What every part of a node shares, whatever its stack: identity, peers, open asks, monitors, events, counters.

use crate::asks::Asks;
use crate::crossing::Crossing;
use crate::events::Events;
use crate::link::block::Lost;
use crate::link::incoming::Violation;
use crate::link::peer::{Peer, PushError};
use crate::monitors::{Monitors, OnDown, Reserved};
use crate::outside::RemoteLinks;
use crate::peers::Peers;
use crate::stats::{Count, Stats};
use hew_actor::{AskError, DeliverError, ReplyAddress, ReplySink, Runtime, System};
use hew_security::Permission;
use hew_wire::compression::Compression;
use hew_wire::control::Control;
use hew_wire::frame::{FRAME_HEADER_BYTES, Frame, FrameHeader, FrameKind, MessageHead, ReplyHead};
use hew_wire::membership::MembershipMessage;
use hew_wire::registry::RegistryMessage;
use hew_wire::{DecodeError, ExitReason, Incarnation, Name, NodeId, Pid, Role, SERIAL_RESERVED};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

/// The parts of a node that depend on its stack, for those that do not.
pub(crate) trait ControlPlane: Send + Sync {
    /// A membership message came in.
    fn handle_membership(&self, from: NodeId, message: MembershipMessage);
    /// A registry message came in.
    fn handle_registry(&self, from: NodeId, message: RegistryMessage);
    /// Anything came in.
    fn handle_heard(&self, from: NodeId);
    /// A peer that may do so revokes a key.
    fn handle_revocation(&self, from: NodeId, key: &str);
    /// A peer missed a control message: its session has to end.
    fn handle_overflow(&self, peer: &Arc<Peer>);
    /// A peer was mentioned for the first time: somebody has to connect to it.
    fn adopt(&self, peer: &Arc<Peer>);
}

/// For what concerns no actor.
const NOBODY: Pid = Pid::from_raw(0);

/// What a frame may have beside a message's payload, with room for later versions.
pub(crate) const FRAME_EXTRA_BYTES: usize = 1024;

/// Counts payloads over this node's limit.
const TOO_LARGE: &str = "too_large";

/// The bounds of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes queued or unacknowledged per peer.
    pub(crate) outgoing_bytes_max: usize,
    /// Bytes of one message's payload.
    pub(crate) payload_bytes_max: usize,
    /// How long the reader of a connection looks for more before it sleeps.
    pub(crate) spin: Duration,
}

/// See the module's documentation.
pub(crate) struct Shared {
    pub(crate) id: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) name: Option<Name>,
    pub(crate) cluster: Name,
    pub(crate) role: Role,
    /// Clock, timers, randomness and tasks of links and of the control plane.
    pub(crate) runtime: Runtime,
    pub(crate) system: System,
    pub(crate) bounds: Bounds,
    /// After how long without anything sent in either direction a connection is closed until something is.
    pub(crate) idle_timeout: Option<Duration>,
    /// What this node offers to its peers.
    pub(crate) compression: Compression,
    pub(crate) peers: Peers,
    pub(crate) asks: Asks,
    pub(crate) monitors: Monitors,
    pub(crate) links: RemoteLinks,
    pub(crate) events: Events,
    pub(crate) stats: Stats,
    pub(crate) control: OnceLock<Weak<dyn ControlPlane>>,
}

impl Shared {
    // ---- what goes out ----

    /// The peer with that id; made if it was never mentioned.
    pub(crate) fn peer(&self, node: NodeId) -> Arc<Peer> {
        let Bounds { outgoing_bytes_max, payload_bytes_max, .. } = self.bounds;
        let frame_bytes_max = payload_bytes_max + FRAME_EXTRA_BYTES;
        let (peer, made) = self.peers.peer_or(node, || Peer::new(node, outgoing_bytes_max, frame_bytes_max));
        if made && node != self.id {
            self.with_control(|control| control.adopt(&peer));
        }
        peer
    }

    /// The PID that messages of the running code come from: that of the actor whose handler runs, if one does.
    pub(crate) fn sender(&self) -> Pid {
        self.system.current().unwrap_or(Pid::from_raw(0))
    }

    /// Whether a payload is within this node's limit and the peer's.
    pub(crate) fn check_size(&self, peer: &Peer, payload_bytes: usize) -> Result<(), String> {
        let (own, theirs) = (self.bounds.payload_bytes_max, peer.payload_bytes_max());
        if payload_bytes <= own.min(theirs) {
            return Ok(());
        }
        let (whose, limit) = if own <= theirs { (self.id, own) } else { (peer.node, theirs) };
        Err(format!("a payload of {payload_bytes} bytes is over the limit of {limit} of node {whose}"))
    }

    pub(crate) fn push_control(&self, peer: &Arc<Peer>, control: &Control) -> Result<(), PushError> {
        let result = peer.push_control(control);
        if result == Err(PushError::Full) {
            // A peer that takes no control messages any more cannot be told what it must know: its session ends.
            self.stats.violation("control_overflow");
            self.with_control(|control| control.handle_overflow(peer));
        }
        result
    }

    /// As [`Shared::push_control`], where nothing has to be done if the peer is gone.
    pub(crate) fn send_control(&self, peer: &Arc<Peer>, control: &Control) {
        let _ = self.push_control(peer, control);
    }

    /// Opens an ask that goes to `target`, for a reply address that is being encoded.
    pub(crate) fn open_ask(self: &Arc<Self>, target: NodeId, sink: ReplySink) -> Result<u64, String> {
        let shared = Arc::downgrade(self);
        self.asks.open(target, sink, move |reference| {
            if let Some(shared) = shared.upgrade() {
                shared.asks.withdraw(reference);
            }
        })
    }

    /// Answers a question that came from another node, or one of this node whose address came back.
    pub(crate) fn send_reply(self: &Arc<Self>, address: ReplyAddress, answer: Result<Vec<u8>, AskError>) {
        if address.node == self.id {
            match self.asks.withdraw(address.reference) {
                Some(sink) => {
                    let crossing = Crossing::incoming(self, self.id, None);
                    crossing.enter(|| sink.complete(answer.as_deref().map_err(Clone::clone)));
                }
                None => self.stats.add(Count::RepliesUnexpected, 1),
            }
            return;
        }
        let peer = self.peer(address.node);
        let reference = address.reference;
        let pushed = match &answer {
            Ok(value) => match self.check_size(&peer, value.len()) {
                Ok(()) => self.push_reply(&peer, &ReplyHead { reference, status: 0 }, value),
                Err(text) => push_error(&peer, reference, &AskError::Unencodable(text)),
            },
            Err(error) => push_error(&peer, reference, error),
        };
        if pushed.is_err() {
            self.stats.add(Count::RepliesLost, 1);
        }
    }

    /// Watches an actor of another node. `watcher` is the id of a local actor's monitor, to take it back by.
    pub(crate) fn monitor_remote(&self, watcher: Option<u64>, target: Pid, on_down: OnDown) -> u64 {
        let reference = self.monitors.add_outbound(watcher, target, on_down);
        let peer = self.peer(target.node());
        if self.push_control(&peer, &Control::Monitor { reference, target }).is_err() {
            self.monitors.fire(target.node(), reference, ExitReason::NodeDown);
        }
        reference
    }

    /// Takes a monitor of this node back. Returns whether it had not fired; then it never will.
    pub(crate) fn demonitor_remote(&self, reference: u64, target: Pid) -> bool {
        let removed = self.monitors.remove_outbound(reference);
        if removed {
            self.send_control(&self.peer(target.node()), &Control::Demonitor { reference });
        }
        removed
    }

    /// As [`Shared::demonitor_remote`], by the id of a local actor's monitor.
    pub(crate) fn demonitor_remote_actor(&self, watcher: u64, target: Pid) {
        if let Some(reference) = self.monitors.outbound_of(watcher) {
            self.demonitor_remote(reference, target);
        }
    }

    // ---- what comes in ----

    /// Whether the peer may send this message. If not, it is counted, and answered if it is a question.
    #[inline]
    pub(crate) fn may_send(self: &Arc<Self>, peer: &Arc<Peer>, head: &MessageHead) -> bool {
        // Services tell what the node knows.
        let is_service = head.target.serial() < SERIAL_RESERVED;
        let needed = if is_service { Permission::Lookup } else { Permission::Send };
        self.may(peer, needed, head.target) || {
            self.stats.add(Count::MessagesRefused, 1);
            Crossing::incoming(self, peer.node, head.reply).refuse(AskError::NotAllowed);
            false
        }
    }

    pub(crate) fn receive_message(self: &Arc<Self>, peer: &Arc<Peer>, head: &MessageHead, payload: &[u8]) {
        let crossing = Crossing::incoming(self, peer.node, head.reply);
        if payload.len() > self.bounds.payload_bytes_max {
            return self.refuse_too_large(&crossing);
        }
        if head.target.node() != self.id {
            // Messages are not forwarded; a node id that is not ours is a stale or invented PID.
            self.stats.refused("foreign_target", 1);
            return crossing.refuse(AskError::Ended(ExitReason::NoProcess));
        }
        let source = (head.source.raw() != 0).then_some(head.source);
        match crossing.enter(|| self.system.deliver(head.target, source, head.msg_type, payload)) {
            Ok(()) => {
                self.stats.add(Count::MessagesReceived, 1);
                // A question whose message has no place for a reply address will never be answered otherwise.
                crossing.refuse(AskError::NoReply);
            }
            Err(error) => self.refuse(&crossing, error),
        }
    }

    /// A message was not delivered: counts that, and answers it if it was a question.
    pub(crate) fn refuse(&self, crossing: &Crossing<'_>, error: DeliverError) {
        let (reason, answer) = match error {
            DeliverError::NoProcess => ("no_process", AskError::Ended(ExitReason::NoProcess)),
            DeliverError::Full => ("full", AskError::Full),
            DeliverError::Undecodable(text) => ("undecodable", AskError::Undecodable(text)),
            DeliverError::NotRemote => ("not_remote", AskError::NotAllowed),
        };
        self.stats.refused(reason, 1);
        crossing.refuse(answer);
    }

    /// As [`Shared::refuse`], for a payload over the limit.
    pub(crate) fn refuse_too_large(&self, crossing: &Crossing<'_>) {
        self.stats.refused(TOO_LARGE, 1);
        crossing.refuse(AskError::Undecodable(self.too_large()));
    }

    fn too_large(&self) -> String {
        format!("larger than the limit of {} bytes of node {}", self.bounds.payload_bytes_max, self.id)
    }

    /// `beginning` is the first part of a message or reply that is larger than this node takes.
    pub(crate) fn refuse_oversized(self: &Arc<Self>, peer: &Arc<Peer>, beginning: &[u8]) {
        let body = beginning.get(FRAME_HEADER_BYTES..).unwrap_or_default();
        match FrameHeader::decode(beginning) {
            Ok(header) => self.refuse_frame(peer, &Frame { header, body }, TOO_LARGE, self.too_large()),
            Err(_) => self.stats.refused(TOO_LARGE, 1),
        }
    }

    /// A compressed payload of a message or reply lies.
    pub(crate) fn refuse_compressed(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        frame: &Frame<'_>,
        error: &DecodeError,
    ) {
        let reason = match error {
            DecodeError::TooLarge { .. } => TOO_LARGE,
            _ => "decompression",
        };
        self.refuse_frame(peer, frame, reason, error.to_string());
    }

    /// The payload of a message or reply is none: counts that, and answers whoever waits here or there.
    fn refuse_frame(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        frame: &Frame<'_>,
        reason: &'static str,
        text: String,
    ) {
        self.stats.refused(reason, 1);
        let error = AskError::Undecodable(text);
        match FrameKind::from_u8(frame.header.kind) {
            Some(FrameKind::Message) => {
                if let Ok((head, _)) = MessageHead::decode(frame) {
                    Crossing::incoming(self, peer.node, head.reply).refuse(error);
                }
            }
            Some(FrameKind::Reply) => {
                if let Ok((head, _)) = ReplyHead::decode(frame)
                    && let Some(sink) = self.asks.withdraw(head.reference)
                {
                    sink.complete(Err(error));
                }
            }
            _ => {}
        }
    }

    pub(crate) fn receive_reply(self: &Arc<Self>, peer: &Arc<Peer>, head: &ReplyHead, value: &[u8]) {
        let Some(sink) = self.asks.withdraw(head.reference) else {
            self.stats.add(Count::RepliesUnexpected, 1);
            return;
        };
        let answer = match head.status {
            0 => Ok(value),
            code => Err(AskError::from_code(code, &String::from_utf8_lossy(value))),
        };
        Crossing::incoming(self, peer.node, None).enter(|| sink.complete(answer));
    }

    pub(crate) fn receive_control(self: &Arc<Self>, peer: &Arc<Peer>, body: &[u8]) -> Result<(), Violation> {
        let control = match Control::decode(body) {
            Ok(control) => control,
            Err(DecodeError::Unknown { .. }) => {
                self.skip_unknown();
                return Ok(());
            }
            Err(error) => return Err(Violation::Control(error)),
        };
        match control {
            Control::Membership(message) => {
                self.with_control(|control| control.handle_membership(peer.node, message));
            }
            Control::Registry(_) if !self.may(peer, Permission::Lookup, NOBODY) => {}
            Control::Registry(message) => {
                self.with_control(|control| control.handle_registry(peer.node, message));
            }
            Control::Monitor { reference, target } if !self.may(peer, Permission::Monitor, target) => {
                self.send_control(peer, &Control::Down { reference, reason: ExitReason::NotAllowed });
            }
            Control::Monitor { reference, target } => self.receive_monitor(peer, reference, target),
            Control::Demonitor { reference } => {
                if let Some(watch) = self.monitors.remove_inbound(peer.node, reference) {
                    self.system.unwatch(watch);
                }
            }
            Control::Down { reference, reason } => {
                if !self.monitors.fire(peer.node, reference, reason) {
                    // Taken back while the answer was on its way, or a peer that makes things up.
                    self.control_error(peer, "unexpected_down");
                }
            }
            Control::Link { from, to } if !self.may(peer, Permission::ExitSignals, to) => {
                self.send_control(
                    peer,
                    &Control::Exit { from: to, to: from, reason: ExitReason::NotAllowed },
                );
            }
            Control::Link { from, to } => self.receive_link(peer, from, to),
            Control::Unlink { from, to } => self.receive_unlink(peer, from, to),
            Control::Exit { from, to, reason } => self.receive_exit(peer, from, to, reason),
            Control::Stop { target } | Control::Kill { target }
                if !self.may(peer, Permission::Kill, target) => {}
            Control::Stop { target } if is_ended_from_elsewhere(target) => {
                self.system.stop(target);
            }
            Control::Kill { target } if is_ended_from_elsewhere(target) => {
                self.system.kill(target);
            }
            Control::Stop { .. } | Control::Kill { .. } => self.control_error(peer, "service_is_not_stopped"),
            Control::Denied { permission, target } => self.receive_denied(peer, &permission, target),
            Control::Revoke { .. } if !self.may(peer, Permission::Administration, NOBODY) => {}
            Control::Revoke { key } => {
                self.with_control(|control| control.handle_revocation(peer.node, &key))
            }
        }
        Ok(())
    }

    pub(crate) fn count_connection(&self, resumed: bool) {
        self.stats.add(Count::Connections, 1);
        self.stats.add(Count::Resumed, u64::from(resumed));
    }

    /// A control message of a peer was refused; the connection goes on.
    pub(crate) fn control_error(&self, peer: &Peer, reason: &'static str) {
        // Not louder: a peer may send as many as it likes.
        tracing::debug!(node = %self.id, peer = %peer.node, reason, "control message refused");
        self.stats.control_error(reason);
    }

    pub(crate) fn skip_unknown(&self) {
        self.stats.add(Count::UnknownSkipped, 1);
    }

    fn receive_monitor(self: &Arc<Self>, peer: &Arc<Peer>, reference: u64, target: Pid) {
        let refused = match self.monitors.reserve_inbound(peer.node, reference) {
            Reserved::New if target.node() == self.id => None,
            Reserved::New => {
                self.monitors.remove_inbound(peer.node, reference);
                Some("foreign_monitor")
            }
            Reserved::Full => Some("too_many_monitors"),
            Reserved::InUse => {
                self.control_error(peer, "monitor_in_use");
                return;
            }
        };
        if let Some(reason) = refused {
            self.control_error(peer, reason);
            self.send_control(peer, &Control::Down { reference, reason: ExitReason::NoProcess });
            return;
        }
        let (shared, watching) = (Arc::downgrade(self), Arc::clone(peer));
        let watch = self.system.watch(target, move |_, reason| {
            let Some(shared) = shared.upgrade() else { return };
            if shared.monitors.end_inbound(watching.node, reference) {
                shared.send_control(&watching, &Control::Down { reference, reason });
            }
        });
        self.monitors.fill_inbound(peer.node, reference, watch);
    }

    // ---- ends ----

    /// The session with `node` is over, and with it everything that pointed there: asks, monitors and links are
    /// answered, each exactly once.
    pub(crate) fn session_over(&self, node: NodeId, lost: Lost) {
        self.stats.add(Count::MessagesLost, lost.messages);
        self.stats.add(Count::RepliesLost, lost.replies);
        self.asks.end_node(node);
        for watch in self.monitors.end_node(node) {
            self.system.unwatch(watch);
        }
        for (local, remote) in self.links.end_node(node) {
            self.system.link_ended(local, remote, ExitReason::NodeDown);
        }
    }

    fn with_control(&self, f: impl FnOnce(&dyn ControlPlane)) {
        if let Some(control) = self.control.get().and_then(Weak::upgrade) {
            f(&*control);
        }
    }

    pub(crate) fn handle_heard(&self, node: NodeId) {
        self.with_control(|control| control.handle_heard(node));
    }
}

/// Services of a node end with their node only.
fn is_ended_from_elsewhere(target: Pid) -> bool {
    target.serial() >= SERIAL_RESERVED
}

fn push_error(peer: &Arc<Peer>, reference: u64, error: &AskError) -> Result<(), PushError> {
    let (status, text) = error.to_code();
    peer.push_reply(&ReplyHead { reference, status }, text.as_bytes())
}

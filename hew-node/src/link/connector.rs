//! Dials other nodes: those that are to be connected always, and those that membership wants to know about.

use super::backoff::Backoff;
use super::connection::{self, Wires};
use super::gate::{LinkGate, Side};
use super::handshake;
use super::peer::{AttachError, Attached, Peer, Standing};
use crate::core::Core;
use crate::events::NodeEvent;
use crate::stack::Stack;
use event_listener::Event;
use futures_lite::future;
use hew_cluster::{LinkEvent, Membership};
use hew_security::{Authenticator, HandshakeError, Setup};
use hew_transport::{Addr, Connection, Transport, TransportError};
use hew_wire::{Extension, NodeId, RefusalStatus, Role};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Head start of the node with the smaller id, so that two nodes that want each other rarely dial at once.
const HEAD_START: Duration = Duration::from_millis(100);
/// A connection that stood this long, or on which the session got on, was a good one: the next dial comes soon.
const GOOD_CONNECTION: Duration = Duration::from_secs(1);
/// Dials of one seed at the start of a node, about half a minute's worth.
const SEED_DIALS_MAX: usize = 10;
/// How long the session with a client is kept after its connection broke.
const CLIENT_GRACE: Duration = Duration::from_secs(10);

/// Why a dial led to no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("{0}")]
    Transport(#[from] TransportError),
    #[error("{addr}: {error}")]
    Handshake { addr: Addr, error: HandshakeError, code: &'static str },
    #[error("{addr}: {reason}")]
    Attach { addr: Addr, reason: AttachError },
    #[error("node {node} is connected already")]
    Connected { node: NodeId },
    #[error("this node is stopping")]
    Stopping,
}

impl DialError {
    /// A short stable name for counters.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            DialError::Transport(error) if error.is_refused() => "connection_refused",
            DialError::Transport(_) => "transport",
            DialError::Handshake { code, .. } => code,
            DialError::Attach { reason, .. } => reason.code(),
            DialError::Connected { .. } => "connected",
            DialError::Stopping => "stopping",
        }
    }

    /// The node at the other end, if the dial failed only because there is a connection to it.
    pub(crate) fn connected_node(&self) -> Option<NodeId> {
        match self {
            DialError::Connected { node } => Some(*node),
            _ => None,
        }
    }

    fn is_connection_refused(&self) -> bool {
        matches!(self, DialError::Transport(error) if error.is_refused())
    }

    /// Whether this only means that another connection to the same node is there.
    fn is_busy(&self) -> bool {
        match self {
            DialError::Handshake {
                error: HandshakeError::Refused(refusal) | HandshakeError::RefusedHere(refusal),
                ..
            } => refusal.status == RefusalStatus::Busy,
            DialError::Connected { .. } => true,
            _ => false,
        }
    }

    fn is_conflict(&self) -> bool {
        match self {
            DialError::Handshake { error: HandshakeError::Refused(refusal), .. } => {
                refusal.status == RefusalStatus::NodeIdConflict
            }
            _ => false,
        }
    }
}

/// A connection that is attached to its session and waits to be run.
pub(crate) struct Link<R, W> {
    pub(crate) peer: Arc<Peer>,
    wires: Wires<R, W>,
    attached: Attached,
    close: Arc<Event>,
    is_member: bool,
}

pub(crate) type LinkOf<S> =
    Link<<<S as Stack>::Transport as Transport>::Reader, <<S as Stack>::Transport as Transport>::Writer>;

impl<R, W> Link<R, W>
where
    R: futures_lite::io::AsyncRead + Unpin + Send + 'static,
    W: futures_lite::io::AsyncWrite + Unpin + Send + 'static,
{
    /// Attaches what a handshake has established.
    pub(crate) fn attach<S: Stack>(
        core: &Core<S>,
        gate: &LinkGate<'_, S>,
        wires: Wires<R, W>,
        proven: &hew_security::Peer,
        theirs: &Extension,
        encrypted: bool,
        (address, seed): (Option<String>, Option<String>),
    ) -> Result<Link<R, W>, AttachError> {
        let generation = core.authenticator.generation();
        let (peer, agreed) = gate.agreed(proven, theirs, encrypted)?;
        let close = Arc::new(Event::new());
        let attached = core.attach(&peer, agreed, theirs, address, seed, Arc::clone(&close))?;
        let is_member = theirs.role == Role::Member && core.shared.role == Role::Member;
        core.shared.count_connection(attached.resumed);
        if core.authenticator.generation() != generation {
            // Whoever looks at all connections may have looked before this was one.
            core.check_rights(&peer);
        }
        if is_member && !attached.resumed {
            core.pass_revocations_on(&peer);
        }
        Ok(Link { peer, wires, attached, close, is_member })
    }

    /// Runs the connection to its end, and says how it came.
    pub(crate) async fn run<S: Stack>(self, core: &Arc<Core<S>>) -> Ran {
        let Link { peer, wires, attached, close, is_member } = self;
        let generation = attached.generation;
        let running = connection::run(&core.shared, &peer, wires, &attached, &close, is_member);
        // A node that was dropped on a runtime of others must fall silent, as one that crashed.
        let stopped = async {
            core.stopped().await;
            connection::End::Closed
        };
        let end = future::or(running, stopped).await;
        let (stats, reason) = (&core.shared.stats, end.code());
        let is_violation = matches!(end, connection::End::Violation(_));
        if is_violation || matches!(end, connection::End::Record(_)) {
            stats.violation(reason);
        } else {
            stats.end(reason);
        }
        tracing::info!(node = %core.shared.id, peer = %peer.node, reason, cause = %end, "connection ended");
        core.detach(&peer, generation, &end, is_member);
        if is_violation {
            // On a new connection the same frames would come again, and the same violation.
            core.reset_session(&peer, generation, is_member);
        }
        if !is_member {
            let grace =
                if matches!(end, connection::End::Goodbye(_)) { Duration::ZERO } else { CLIENT_GRACE };
            let core = Arc::clone(core);
            let runtime = core.shared.runtime.clone();
            // In a task of its own: a client dials again meanwhile.
            let forgetting = async move {
                if !grace.is_zero() {
                    future::or(core.shared.runtime.sleep(grace), core.stopped()).await;
                }
                if !peer.is_connected() && peer.is_current(generation) {
                    core.forget_client(&peer);
                }
            };
            runtime.spawn(forgetting).detach();
        }
        match end {
            connection::End::Violation(_) => Ran::Violated,
            connection::End::Idle => Ran::Idle,
            _ => Ran::Ended,
        }
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// The peer broke a rule.
    Violated,
    /// It was idle.
    Idle,
    /// In another way.
    Ended,
}

/// Connects to `addr` and shakes hands.
pub(crate) async fn dial<S: Stack>(
    core: &Core<S>,
    addr: &Addr,
    expected: Option<NodeId>,
    seed: Option<String>,
) -> Result<LinkOf<S>, DialError> {
    let dialing = async {
        let connection = core.transport.connect(addr).await?;
        let now = core.shared.runtime.now();
        let mut setup = Setup::new(now, core.shared.id);
        setup.peer_is_local = addr.is_loopback_or_local();
        let handshake = core.authenticator.dial(setup);
        let mut gate = LinkGate::new(core, Side::Dialer { expected });
        let seen = connection.peer.clone();
        let (wires, proven, theirs, encrypted) =
            handshake::run(&core.shared.runtime, handshake, connection, &mut gate, || {}).await.map_err(
                |error| match gate.connected() {
                    Some(node) => DialError::Connected { node },
                    None => {
                        gate.report_conflict(&error);
                        let code = gate.reason_code(&error);
                        DialError::Handshake { addr: addr.clone(), error, code }
                    }
                },
            )?;
        let address = reachable_address(theirs.listen.as_deref(), &seen);
        Link::attach(core, &gate, wires, &proven, &theirs, encrypted, (address, seed))
            .map_err(|reason| DialError::Attach { addr: addr.clone(), reason })
    };
    let stopped = async {
        core.stopped().await;
        Err(DialError::Stopping)
    };
    future::or(dialing, stopped).await
}

/// Where a peer can be dialled: what it advertises, with the address it was seen at in place of "any address".
pub(crate) fn reachable_address(listen: Option<&str>, seen: &Addr) -> Option<String> {
    let listen = listen?;
    let advertised: Addr = listen.parse().ok()?;
    if !advertised.is_unspecified() {
        return Some(listen.to_owned());
    }
    match (seen.socket_addr(), advertised.port()) {
        (Some(_), Some(port)) => Some(seen.with_port(port).to_string()),
        _ => None,
    }
}

/// One attempt that membership asked for; what it led to is told to membership.
pub(crate) async fn dial_for_membership<S: Stack>(
    core: &Arc<Core<S>>,
    node: Option<NodeId>,
    address: &str,
) -> Option<LinkOf<S>> {
    let addr: Addr = match address.parse() {
        Ok(addr) => addr,
        Err(error) => {
            tracing::warn!(node = %core.shared.id, %error, "membership names an address that is none");
            return None;
        }
    };
    let seed = node.is_none().then(|| address.to_owned());
    match dial(&**core, &addr, node, seed.clone()).await {
        Ok(link) => Some(link),
        Err(error) => {
            report(core, &addr, &error);
            if let Some(node) = node {
                core.unreachable(node, error.is_connection_refused());
            } else if let Some(node) = error.connected_node() {
                core.join_through_connected(node, seed);
            }
            None
        }
    }
}

/// Keeps a connection to `peer` for as long as it is reachable, until the node stops. One that was idle is made again when
/// there is something to send.
pub(crate) async fn keep_connected<S: Stack>(core: Arc<Core<S>>, peer: Arc<Peer>) {
    let runtime = core.shared.runtime.clone();
    let mut backoff = Backoff::new(runtime.seed());
    let goes_first = core.shared.id < peer.node;
    let mut wanted_since: Option<Instant> = None;
    loop {
        let (changed, work) = (peer.listen_for_change(), peer.work().listen());
        if core.is_stopping() {
            return;
        }
        let address = peer.address().filter(|_| peer.standing() == Standing::Reachable);
        let is_dormant = peer.is_dormant();
        let Some(address) = address.filter(|_| !peer.is_connected() && peer.wants_connection()) else {
            wanted_since = None;
            let work = async { if is_dormant { work.await } else { future::pending().await } };
            future::or(future::or(changed, work), core.stopped()).await;
            continue;
        };
        // The other side of a dormant link does not know that there is something to send.
        if !goes_first && !is_dormant {
            // Give the other side its head start; anything that happens meanwhile is looked at anew.
            let at = *wanted_since.get_or_insert_with(|| runtime.now()) + HEAD_START;
            if runtime.now() < at {
                let waited = async {
                    runtime.sleep_until(at).await;
                };
                future::or(changed, waited).await;
                continue;
            }
        }
        match dial(&*core, &address, Some(peer.node), None).await {
            Ok(link) => {
                let (since, progress) = (runtime.now(), peer.progress());
                let ran = link.run(&core).await;
                let got_on = runtime.now() >= since + GOOD_CONNECTION || peer.progress() != progress;
                if ran != Ran::Violated && got_on {
                    backoff.reset();
                }
                // A peer that ends one after the other so is not dialled faster than one that breaks them.
                if ran == Ran::Idle && runtime.now() >= since + GOOD_CONNECTION {
                    continue;
                }
            }
            Err(DialError::Stopping) => return,
            Err(error) => {
                report(&core, &address, &error);
                if !error.is_busy() {
                    peer.end_dormancy();
                    core.unreachable(peer.node, error.is_connection_refused());
                }
            }
        }
        // Waited out even if something is queued meanwhile: a peer that cannot be reached is not dialled faster
        // because many want to.
        let until = runtime.now() + backoff.next();
        while runtime.now() < until && !peer.is_connected() && !core.is_stopping() {
            let changed = peer.listen_for_change();
            let waited = async {
                runtime.sleep_until(until).await;
            };
            future::or(future::or(changed, waited), core.stopped()).await;
        }
        if peer.is_connected() {
            backoff.reset();
        }
    }
}

/// Dials a seed at the start of the node, and again with back-off for as long as the node is alone. Later it is
/// membership that has seeds dialled, now and then and for ever.
pub(crate) async fn dial_seed<S: Stack>(core: Arc<Core<S>>, address: String) {
    let mut backoff = Backoff::new(core.shared.runtime.seed());
    for _ in 0..SEED_DIALS_MAX {
        core.dial_once(None, address.clone());
        future::or(core.shared.runtime.sleep(backoff.next()), core.stopped()).await;
        let is_alone = core.look(|machines| machines.membership.members().nth(1).is_none());
        if core.is_stopping() || !is_alone {
            return;
        }
    }
}

/// Counts and logs a failed dial, and publishes it.
fn report<S: Stack>(core: &Core<S>, addr: &Addr, error: &DialError) {
    note(core, error);
    if !error.is_busy() && !error.is_connection_refused() {
        let (address, cause) = (addr.to_string(), error.to_string());
        core.shared.events.publish(&NodeEvent::Refused { address, cause });
    }
}

/// Counts and logs a failed dial; a conflict is published, too.
pub(crate) fn note<S: Stack>(core: &Core<S>, error: &DialError) {
    let (node, reason) = (core.shared.id, error.code());
    core.shared.stats.refusal(reason);
    if error.is_busy() {
        // Dials that cross are nothing to worry about.
        tracing::debug!(%node, reason, %error, "dial failed");
    } else {
        tracing::info!(%node, reason, %error, "dial failed");
    }
    if error.is_conflict() {
        let detail = error.to_string();
        core.shared.events.publish(&NodeEvent::Conflict { node, detail });
    }
}

impl<S: Stack> Core<S> {
    /// A seed turned out to be a node that this one is connected to already: that connection serves the join.
    fn join_through_connected(&self, node: NodeId, seed: Option<String>) {
        let peer = self.shared.peer(node);
        let Some(incarnation) = peer.incarnation() else { return };
        let address = peer.address().map(|known| known.to_string());
        self.drive(|machines, now| {
            let event = LinkEvent::Up { incarnation, address, seed };
            if let Err(error) = machines.membership.handle_link(now, peer.node, event) {
                tracing::debug!(node = %self.shared.id, %error, "join through a connected seed");
            }
        });
    }
}

/// Both halves of a transport's connection.
pub(crate) type ConnectionOf<S> = Connection<
    <<S as Stack>::Transport as Transport>::Reader,
    <<S as Stack>::Transport as Transport>::Writer,
>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_is_replaced_by_the_one_seen() {
        let check = |listen: Option<&str>, seen: &str, expected: Option<&str>| {
            let seen: Addr = seen.parse().unwrap();
            assert_eq!(reachable_address(listen, &seen).as_deref(), expected, "{listen:?} seen at {seen}");
        };
        check(None, "10.0.0.1:4000", None);
        check(Some("10.0.0.2:9000"), "10.0.0.1:4000", Some("10.0.0.2:9000"));
        check(Some("0.0.0.0:9000"), "10.0.0.1:4000", Some("10.0.0.1:9000"));
        check(Some("[::]:9000"), "[fe80::1]:4000", Some("[fe80::1]:9000"));
        check(Some("mem:a"), "mem:b", Some("mem:a"));
        check(Some("not an address"), "10.0.0.1:4000", None);
    }
}

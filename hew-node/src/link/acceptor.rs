//! Lets other nodes in: accepts connections, bounds those that have not proven who they are, shakes hands.

use super::connector::{ConnectionOf, Link, reachable_address};
use super::gate::{LinkGate, Side};
use super::half_open::{Crowded, Place};
use super::handshake;
use crate::core::Core;
use crate::events::NodeEvent;
use crate::stack::Stack;
use futures_lite::future;
use futures_lite::io::AsyncWriteExt;
use hew_security::{Authenticator, HandshakeError, Setup};
use hew_transport::{Listener, Transport};
use hew_wire::{Refusal, RefusalStatus, Verdict};
use std::sync::Arc;
use std::time::Duration;

/// Pause after an accept that failed for want of resources; doubled up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// Accepts connections until the node stops.
pub(crate) async fn accept_all<S: Stack>(
    core: Arc<Core<S>>,
    mut listener: <S::Transport as Transport>::Listener,
) {
    let mut pause = PAUSE_FIRST;
    loop {
        let accepted = future::or(async { Some(listener.accept().await) }, async {
            core.stopped().await;
            None
        })
        .await;
        match accepted {
            None => return,
            Some(Ok(connection)) => {
                pause = PAUSE_FIRST;
                let serving = Arc::clone(&core);
                core.shared.runtime.spawn(serve(serving, connection)).detach();
                // It takes its place, and others leave theirs, before more are let in.
                future::yield_now().await;
            }
            Some(Err(error)) if error.is_transient() => {
                tracing::warn!(node = %core.shared.id, %error, "accept failed; trying again");
                core.shared.stats.refusal("accept");
                future::or(core.shared.runtime.sleep(pause), core.stopped()).await;
                pause = (pause * 2).min(PAUSE_LONGEST);
            }
            Some(Err(error)) => {
                tracing::error!(node = %core.shared.id, %error, "the listener has failed");
                let address = listener.local_addr().to_string();
                core.shared.events.publish(&NodeEvent::Refused { address, cause: error.to_string() });
                return;
            }
        }
    }
}

/// One accepted connection, from its handshake to its end.
async fn serve<S: Stack>(core: Arc<Core<S>>, connection: ConnectionOf<S>) {
    let address = connection.peer.to_string();
    let failed = {
        let place = match core.half_open.enter(core.shared.runtime.now(), &connection.peer) {
            Ok(place) => place,
            Err(crowded) => return turn_away(&core, connection, crowded).await,
        };
        let establishing = async { Some(establish(&core, connection, &place).await) };
        let evicted = async {
            future::or(place.evicted(), core.stopped()).await;
            None
        };
        future::or(establishing, evicted).await
    };
    match failed {
        Some(Ok(link)) => {
            link.run(&core).await;
        }
        Some(Err((code, cause, is_busy))) => {
            core.shared.stats.refusal(code);
            let node = core.shared.id;
            if is_busy {
                // Dials that cross are nothing to worry about.
                tracing::debug!(%node, peer = %address, reason = code, %cause, "peer refused");
            } else {
                tracing::info!(%node, peer = %address, reason = code, %cause, "peer refused");
                core.shared.events.publish(&NodeEvent::Refused { address, cause });
            }
        }
        None => {
            core.shared.stats.refusal("half_open_evicted");
            // Not louder: there is one for each connection of a flood.
            tracing::debug!(node = %core.shared.id, peer = %address, reason = "half_open_evicted", "peer refused");
        }
    }
}

/// Closes a connection for which there is no place. The peer hears why if its system takes a few bytes at once: nothing is
/// kept for its sake.
async fn turn_away<S: Stack>(core: &Core<S>, mut connection: ConnectionOf<S>, crowded: Crowded) {
    core.shared.stats.refusal(crowded.code());
    let peer = &connection.peer;
    // Not louder: there is one for each connection of a flood.
    tracing::debug!(node = %core.shared.id, %peer, reason = crowded.code(), cause = %crowded, "peer refused");
    let mut verdict = Vec::new();
    Verdict::Refused(Refusal::new(RefusalStatus::Busy, crowded.to_string())).encode(&mut verdict);
    let _ = future::poll_once(connection.writer.write_all(&verdict)).await;
}

type Refused = (&'static str, String, bool);

async fn establish<S: Stack>(
    core: &Core<S>,
    connection: ConnectionOf<S>,
    place: &Place<'_>,
) -> Result<super::connector::LinkOf<S>, Refused> {
    let runtime = &core.shared.runtime;
    let accepted = runtime.now();
    let mut setup = Setup::new(accepted, core.shared.id);
    setup.peer_is_local = connection.peer.is_loopback_or_local();
    let handshake = core.authenticator.accept(setup);
    let mut gate = LinkGate::new(core, Side::Listener { accepted });
    let seen = connection.peer.clone();
    let spoke = || place.spoke();
    let (wires, proven, theirs, encrypted) =
        handshake::run(runtime, handshake, connection, &mut gate, spoke).await.map_err(|error| {
            let is_busy = matches!(&error, HandshakeError::RefusedHere(refusal) | HandshakeError::Refused(refusal)
                if refusal.status == RefusalStatus::Busy);
            gate.report_conflict(&error);
            (gate.reason_code(&error), error.to_string(), is_busy || gate.is_superseded(&error))
        })?;
    let address = reachable_address(theirs.listen.as_deref(), &seen);
    Link::attach(core, &gate, wires, &proven, &theirs, encrypted, (address, None))
        .map_err(|error| (error.code(), error.to_string(), false))
}

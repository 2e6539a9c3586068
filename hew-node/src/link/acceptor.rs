//! Lets other nodes in: accepts connections, bounds those that have not proven who they are, shakes hands.

use super::connector::{ConnectionOf, Link, reachable_address};
use super::gate::{LinkGate, Side};
use super::handshake;
use crate::core::Core;
use crate::events::NodeEvent;
use crate::stack::Stack;
use event_listener::Event;
use futures_lite::future;
use hew_security::{Authenticator, HandshakeError, Setup};
use hew_transport::{Listener, Transport};
use hew_wire::RefusalStatus;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Accepted connections that have not finished their handshake. When there are as many, the oldest one makes room: of
/// those that have said nothing, if they are half of all, else of those that have spoken.
pub(crate) const HALF_OPEN_MAX: usize = 256;
/// Pause after an accept that failed for want of resources; doubled up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// The connections that are shaking hands.
#[derive(Default)]
pub(crate) struct HalfOpen {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    open: BTreeMap<u64, Arc<Entry>>,
}

struct Entry {
    evict: Event,
    evicted: AtomicBool,
    spoke: AtomicBool,
}

/// A place among the half-open connections; given back when dropped.
struct Place<'a> {
    half_open: &'a HalfOpen,
    number: u64,
    entry: Arc<Entry>,
}

impl HalfOpen {
    fn enter(&self) -> Place<'_> {
        let mut table = self.table();
        if table.open.len() >= HALF_OPEN_MAX {
            let is_silent = |entry: &Arc<Entry>| !entry.spoke.load(Ordering::Relaxed);
            let silent = table.open.values().filter(|entry| is_silent(entry)).count();
            // The larger half makes room, so that neither silent nor talking connections can crowd out the others.
            let want_silent = 2 * silent >= table.open.len();
            let oldest = table
                .open
                .iter()
                .find(|(_, entry)| is_silent(entry) == want_silent)
                .map(|(number, _)| *number);
            if let Some(entry) = oldest.and_then(|number| table.open.remove(&number)) {
                entry.evicted.store(true, Ordering::SeqCst);
                entry.evict.notify(usize::MAX);
            }
        }
        let number = table.next;
        table.next += 1;
        let entry = Arc::new(Entry {
            evict: Event::new(),
            evicted: AtomicBool::new(false),
            spoke: AtomicBool::new(false),
        });
        table.open.insert(number, Arc::clone(&entry));
        Place { half_open: self, number, entry }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Only map operations happen under this lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Resolves when this connection has to make room.
    async fn evicted(&self) {
        loop {
            let listener = self.entry.evict.listen();
            if self.entry.evicted.load(Ordering::SeqCst) {
                return;
            }
            listener.await;
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.half_open.table().open.remove(&self.number);
    }
}

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
        let place = core.half_open.enter();
        let establishing = async { Some(establish(&core, connection, &place.entry).await) };
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
            if !is_busy {
                tracing::info!(node = %core.shared.id, peer = %address, %cause, "peer refused");
                core.shared.events.publish(&NodeEvent::Refused { address, cause });
            }
        }
        None => core.shared.stats.refusal("half_open_evicted"),
    }
}

type Refused = (&'static str, String, bool);

async fn establish<S: Stack>(
    core: &Core<S>,
    connection: ConnectionOf<S>,
    entry: &Entry,
) -> Result<super::connector::LinkOf<S>, Refused> {
    let runtime = &core.shared.runtime;
    let accepted = runtime.now();
    let mut setup = Setup::new(accepted, core.shared.id);
    setup.peer_is_local = connection.peer.is_loopback_or_local();
    let handshake = core.authenticator.accept(setup);
    let mut gate = LinkGate::new(core, Side::Listener { accepted });
    let seen = connection.peer.clone();
    let spoke = || entry.spoke.store(true, Ordering::Relaxed);
    let (wires, proven, theirs, encrypted) =
        handshake::run(runtime, handshake, connection, &mut gate, spoke).await.map_err(|error| {
            let is_busy = matches!(&error, HandshakeError::RefusedHere(refusal) | HandshakeError::Refused(refusal)
                if refusal.status == RefusalStatus::Busy);
            (error.reason_code(), error.to_string(), is_busy || gate.is_superseded(&error))
        })?;
    let address = reachable_address(theirs.listen.as_deref(), &seen);
    Link::attach(core, &gate, wires, &proven, &theirs, encrypted, (address, None))
        .map_err(|reason| ("attach", reason, false))
}

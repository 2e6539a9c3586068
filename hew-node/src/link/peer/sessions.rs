//! How sessions and connections of a peer begin and end, and what is known of it.

use super::{Peer, Waiting, lock};
use crate::link::block::Lost;
use crate::link::session::{Agreed, AttachError, Attached, Connection, LinkInfo, Standing};
use event_listener::Event;
use hew_transport::Addr;
use hew_wire::Incarnation;
use hew_wire::compression::Compression;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

impl Peer {
    /// The session this node still has with the peer (0: none) and how many frames it has received in it: what the
    /// handshake tells the peer.
    pub(crate) fn session(&self) -> (u64, u64) {
        let state = lock(&self.state);
        (state.session, state.received)
    }

    /// A connection was agreed on. An older one is closed.
    pub(crate) fn attach(
        &self,
        now: Instant,
        agreed: Agreed,
        close: Arc<Event>,
    ) -> Result<Attached, AttachError> {
        let mut state = lock(&self.state);
        let mut outgoing = lock(&self.outgoing);
        // Another handshake of the peer may have come through since this one was judged.
        if let Some(known) = state.incarnation.filter(|known| *known > agreed.incarnation) {
            return Err(AttachError::Older { known, given: agreed.incarnation });
        }
        let resumed = agreed.resumed;
        if resumed && state.session != agreed.session {
            return Err(AttachError::SessionEnded);
        }
        let mut lost = None;
        let start = if resumed {
            outgoing.rewind(now, agreed.received).map_err(AttachError::NeverSent)?
        } else {
            // What was queued before there ever was a session belongs to the new one.
            if state.session != 0 {
                lost = Some(outgoing.clear());
            }
            state.received = 0;
            state.compression = agreed.compression;
            self.is_compressing.store(agreed.compression != Compression::Off, Ordering::Relaxed);
            1
        };
        if let Some(older) = state.connection.take() {
            older.close.notify(usize::MAX);
        }
        state.unacknowledged = 0;
        state.acknowledge_now = false;
        state.generation += 1;
        state.session = agreed.session;
        state.standing = Standing::Reachable;
        state.incarnation = Some(agreed.incarnation);
        state.public_key = Some(agreed.public_key);
        self.rights.set(agreed.permissions);
        self.payload_bytes_max.store(agreed.payload_bytes_max, Ordering::Relaxed);
        let (generation, compression) = (state.generation, state.compression);
        state.connection = Some(Connection {
            generation,
            dialed_here: agreed.dialed_here,
            since: now,
            encrypted: agreed.encrypted,
            close,
            is_closing: false,
        });
        state.encrypted = agreed.encrypted;
        state.dormant = false;
        self.generation.store(generation, Ordering::Release);
        self.gone.store(false, Ordering::SeqCst);
        drop((outgoing, state));
        // What the peer had received, or what was dropped, has made room.
        self.room.notify(usize::MAX);
        self.note_change();
        Ok(Attached { generation, session: agreed.session, start, resumed, compression, lost })
    }

    /// Connection `generation` has ended; `dormant` if that is so that none is made before there is something to send.
    /// Returns whether it was the current one.
    pub(crate) fn detach(&self, generation: u64, dormant: bool) -> bool {
        let mut state = lock(&self.state);
        let current = state.connection.as_ref().is_some_and(|connection| connection.generation == generation);
        if current {
            state.connection = None;
            state.dormant = dormant;
        }
        drop(state);
        if current && !dormant {
            // Those who wait for it to be drained.
            self.room.notify(usize::MAX);
        }
        self.note_change();
        current
    }

    /// The session is over and the peer is gone until it is heard of again. Returns what was lost.
    pub(crate) fn end_session(&self) -> Lost {
        let mut state = lock(&self.state);
        state.standing = Standing::Gone;
        state.session = 0;
        state.received = 0;
        state.dormant = false;
        state.generation += 1;
        self.generation.store(state.generation, Ordering::Release);
        if let Some(connection) = state.connection.take() {
            connection.close.notify(usize::MAX);
        }
        let mut outgoing = lock(&self.outgoing);
        self.gone.store(true, Ordering::SeqCst);
        // What is queued before the next session belongs to it, and nothing is known of that one.
        self.is_compressing.store(false, Ordering::Relaxed);
        let lost = outgoing.clear();
        drop((outgoing, state));
        self.room.notify(usize::MAX);
        self.note_change();
        lost
    }

    /// Membership knows the peer, or somebody configured it: it may be sent to and dialled.
    pub(crate) fn set_reachable(&self, incarnation: Option<Incarnation>, address: Option<Addr>) {
        let mut state = lock(&self.state);
        state.standing = Standing::Reachable;
        if incarnation.is_some() {
            state.incarnation = incarnation;
        }
        if address.is_some() {
            state.address = address;
        }
        self.gone.store(false, Ordering::SeqCst);
        drop(state);
        self.note_change();
    }

    /// The peer says goodbye: its connection stays for as long as it likes, and is not made again.
    pub(crate) fn stop_dialing(&self) {
        lock(&self.state).standing = Standing::Gone;
    }

    /// Resolves when everything queued was acknowledged, or nothing is going to be.
    pub(crate) async fn wait_until_drained(&self) {
        // Senders that wait for room are told of every acknowledgement.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.waiting);
        loop {
            let listener = self.room.listen();
            if self.held_bytes() == 0 || !self.is_connected() && !self.is_dormant() {
                return;
            }
            listener.await;
        }
    }

    /// Resolves when there is no connection.
    pub(crate) async fn wait_until_disconnected(&self) {
        loop {
            let listener = self.changed.listen();
            if !self.is_connected() {
                return;
            }
            listener.await;
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        lock(&self.state).standing
    }

    pub(crate) fn address(&self) -> Option<Addr> {
        lock(&self.state).address.clone()
    }

    pub(crate) fn incarnation(&self) -> Option<Incarnation> {
        lock(&self.state).incarnation
    }

    pub(crate) fn info(&self) -> LinkInfo {
        let outgoing_bytes = self.held_bytes();
        let state = lock(&self.state);
        LinkInfo {
            node: self.node,
            connected: state.connection.is_some(),
            idle: state.dormant,
            encrypted: state.connection.as_ref().is_some_and(|connection| connection.encrypted),
            public_key: state.public_key.filter(|key| !key.is_zero()),
            incarnation: state.incarnation,
            address: state.address.as_ref().map(Addr::to_string),
            outgoing_bytes,
        }
    }

    /// Whether the last connection was idle, and no dial failed since.
    pub(crate) fn is_dormant(&self) -> bool {
        lock(&self.state).dormant
    }

    /// Whether a connection would be of use now.
    pub(crate) fn wants_connection(&self) -> bool {
        !self.is_dormant() || self.held_bytes() > 0
    }

    /// It did not wake up when it was dialled: from now on it is as any that is not connected.
    pub(crate) fn end_dormancy(&self) {
        lock(&self.state).dormant = false;
        self.note_change();
        // Those who wait for it to be drained.
        self.room.notify(usize::MAX);
    }

    /// Whom the last connection of the session was made with.
    pub(crate) fn proven(&self) -> Option<hew_security::Peer> {
        let state = lock(&self.state);
        let key = state.public_key.filter(|_| state.session != 0)?;
        Some(hew_security::Peer { node: self.node, key, proven: state.encrypted })
    }

    /// Ends the current connection without a word; the session stays.
    pub(crate) fn close(&self) {
        if let Some(connection) = &mut lock(&self.state).connection {
            connection.is_closing = true;
            connection.close.notify(usize::MAX);
        }
    }

    /// Whether the current connection is to end.
    pub(crate) fn is_closing(&self) -> bool {
        lock(&self.state).connection.as_ref().is_some_and(|connection| connection.is_closing)
    }

    pub(crate) fn set_dialing(&self, dialing: bool) {
        lock(&self.state).dialing = dialing;
    }

    /// What `f` sees of the connection, and whether a dial is on its way.
    pub(crate) fn with_connection<T>(&self, f: impl FnOnce(Option<&Connection>, bool) -> T) -> T {
        let state = lock(&self.state);
        f(state.connection.as_ref(), state.dialing)
    }

    /// Grows whenever the session gets on, in either direction.
    pub(crate) fn progress(&self) -> u64 {
        let state = lock(&self.state);
        state.received.wrapping_add(lock(&self.outgoing).acknowledged())
    }

    pub(crate) fn is_connected(&self) -> bool {
        lock(&self.state).connection.is_some()
    }

    /// Ends the current connection after what is queued, and tells the peer that it was meant.
    pub(crate) fn say_goodbye(&self, reason: &str) {
        lock(&self.state).goodbye = Some(reason.to_owned());
        self.wake();
    }

    /// Makes the writer ask the peer for a sign of life at once.
    pub(crate) fn ask_for_life(&self) {
        lock(&self.state).life_wanted = true;
        self.wake();
    }

    /// Whether the writer is to ask for a sign of life; it does so now.
    pub(crate) fn take_life_wanted(&self) -> bool {
        std::mem::take(&mut lock(&self.state).life_wanted)
    }

    /// The reason of a goodbye that the writer is to say.
    pub(crate) fn goodbye(&self) -> Option<String> {
        lock(&self.state).goodbye.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hew_security::{Permissions, PublicKey};
    use hew_wire::NodeId;
    use hew_wire::frame::ReplyHead;

    #[test]
    fn what_was_compressed_for_a_session_is_not_queued_for_the_next() {
        let peer = Peer::new(NodeId::from_raw(2), 1 << 20, 1 << 20);
        let head = ReplyHead { reference: 1, status: 0 };
        let attach = |session: u64, resumed: bool, compression: Compression| {
            let agreed = Agreed {
                incarnation: Incarnation(session),
                public_key: PublicKey::new([0; 32]),
                encrypted: false,
                dialed_here: true,
                payload_bytes_max: 1 << 20,
                resumed,
                session,
                received: 0,
                permissions: Permissions::default(),
                compression,
            };
            let now = hew_actor::Simulation::new(0).runtime().now();
            peer.attach(now, agreed, Arc::default()).expect("it is attached").compression
        };
        peer.set_reachable(None, None);
        assert_eq!(peer.push_reply_compressed(&head, b"x"), Ok(false), "before there is a session");
        assert_eq!(attach(1, false, Compression::Lz4), Compression::Lz4);
        assert_eq!(peer.push_reply_compressed(&head, b"x"), Ok(true));
        // The session goes on with what it began with: it has compressed frames to send again.
        assert_eq!(attach(1, true, Compression::Off), Compression::Lz4);
        assert_eq!(peer.push_reply_compressed(&head, b"x"), Ok(true));
        assert_eq!(attach(2, false, Compression::Off), Compression::Off);
        assert_eq!(peer.push_reply_compressed(&head, b"x"), Ok(false));
        assert_eq!(attach(3, false, Compression::Lz4), Compression::Lz4);
        peer.end_session();
        peer.set_reachable(None, None);
        assert_eq!(peer.push_reply_compressed(&head, b"x"), Ok(false), "between two sessions");
        assert_eq!(peer.held_bytes(), 0, "nothing was queued");
    }
}

//! One other node: what is queued for it, what came from it, and the session that ties connections together.

use super::block::{Block, Lost};
use super::compressing::Attempts;
use super::incoming::Incoming;
use super::outgoing::{NeverSent, Outgoing, Room};
pub(crate) use super::session::{Agreed, AttachError, Attached, Connection, LinkInfo, PushError, Standing};
use crate::rights::PeerRights;
use event_listener::{Event, EventListener};
use hew_security::PublicKey;
use hew_transport::Addr;
use hew_wire::compression::Compression;
use hew_wire::control::Control;
use hew_wire::frame::{FrameFront, FrameKind, LANE_CONTROL, LANES, MessageHead, ReplyHead};
use hew_wire::{Incarnation, NodeId, Pid};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Received bytes after which an acknowledgement is sent without waiting for its timer.
/// A quarter of the smallest window of a sender.
const ACKNOWLEDGE_BYTES: usize = 64 * 1024;

/// The lane of answers.
const LANE_REPLIES: u8 = 1;

/// Each time that so many more bytes wait for the writer, a sender lets it have its turn.
const CROWDED_BYTES: usize = 128 * 1024;

#[derive(Debug)]
struct State {
    standing: Standing,
    address: Option<Addr>,
    incarnation: Option<Incarnation>,
    public_key: Option<PublicKey>,
    /// The session's id, the same on both sides; 0 when there is none.
    session: u64,
    /// What the session agreed on when it began: what is sent again must stay what the peer can read.
    compression: Compression,
    /// Sequenced frames received in the session.
    received: u64,
    /// Bytes received since the last acknowledgement was sent.
    unacknowledged: usize,
    /// The peer asked for an acknowledgement, or enough bytes came.
    acknowledge_now: bool,
    connection: Option<Connection>,
    generation: u64,
    dialing: bool,
    /// The last connection was closed for being idle: the next one is made when there is something to send.
    dormant: bool,
    /// When anything was last heard on the current connection.
    heard: Option<Instant>,
    /// Set when this node ends the connection on purpose, after what is queued.
    goodbye: Option<String>,
    /// The writer is to send a heartbeat at once.
    life_wanted: bool,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) node: NodeId,
    // Lock order: state, then outgoing; neither is held while anything outside this file is called.
    state: Mutex<State>,
    outgoing: Mutex<Outgoing>,
    /// Held by the reader of a connection for as long as it lives, so that the reader of the next one begins where it
    /// ended.
    incoming: async_lock::Mutex<Incoming>,
    /// Copy of `State::generation` for the reader, which looks at it for each frame.
    generation: AtomicU64,
    /// The writer, or without a connection the connector, may have something to do.
    work: Event,
    /// Standing, address or connection changed: for those who connect, and those who wait for an end.
    changed: Event,
    /// Room was made for senders that wait.
    room: Event,
    /// Number of senders that wait for room, so that making room costs nothing when nobody does.
    waiting: AtomicUsize,
    /// Largest payload that the peer takes, as it said in the last handshake.
    payload_bytes_max: AtomicUsize,
    /// [`CROWDED_BYTES`] more wait for the writer. Set under the lock of `outgoing`, taken by a sender.
    crowded: AtomicBool,
    /// How often the writer has written. For a reader that waits for an answer; nothing else hangs on it.
    writes: AtomicU64,
    /// `State::compression` is not `Off`, for senders that hold no lock. Written under the lock of `outgoing`, so that what is
    /// queued under it is for the session that agreed.
    is_compressing: AtomicBool,
    attempts: Attempts,
    rights: PeerRights,
    /// `Standing::Gone`, for senders that hold no lock.
    gone: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that can panic runs under these locks, so a poisoned one still holds a consistent value.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Peer {
    pub(crate) fn new(node: NodeId, outgoing_bytes_max: usize, frame_bytes_max: usize) -> Peer {
        Peer {
            node,
            state: Mutex::new(State {
                standing: Standing::Unknown,
                address: None,
                incarnation: None,
                public_key: None,
                session: 0,
                compression: Compression::Off,
                received: 0,
                unacknowledged: 0,
                acknowledge_now: false,
                connection: None,
                generation: 0,
                dialing: false,
                dormant: false,
                heard: None,
                goodbye: None,
                life_wanted: false,
            }),
            outgoing: Mutex::new(Outgoing::new(outgoing_bytes_max)),
            incoming: async_lock::Mutex::new(Incoming::new(frame_bytes_max)),
            generation: AtomicU64::new(0),
            work: Event::new(),
            changed: Event::new(),
            room: Event::new(),
            waiting: AtomicUsize::new(0),
            payload_bytes_max: AtomicUsize::new(usize::MAX),
            crowded: AtomicBool::new(false),
            writes: AtomicU64::new(0),
            is_compressing: AtomicBool::new(false),
            attempts: Attempts::default(),
            rights: PeerRights::default(),
            gone: AtomicBool::new(true),
        }
    }

    // ---- what others queue ----

    /// Queues a message of a user, as it is.
    pub(crate) fn push_message(&self, head: &MessageHead, payload: &[u8]) -> Result<(), PushError> {
        let lane = lane_of(head.source);
        self.push(lane, Room::Message, &head.front(lane, payload.len()), payload)
    }

    /// As [`Peer::push_message`], of a compressed payload: whether the session still takes such. If not, nothing was queued.
    pub(crate) fn push_message_compressed(
        &self,
        head: &MessageHead,
        payload: &[u8],
    ) -> Result<bool, PushError> {
        let lane = lane_of(head.source);
        self.push_compressed(lane, Room::Message, &head.front(lane, payload.len()).compressed(), payload)
    }

    /// Queues the answer to an ask of this peer, as it is.
    pub(crate) fn push_reply(&self, head: &ReplyHead, value: &[u8]) -> Result<(), PushError> {
        self.push(LANE_REPLIES, Room::Reply, &head.front(LANE_REPLIES, value.len()), value)
    }

    /// As [`Peer::push_message_compressed`], of a value.
    pub(crate) fn push_reply_compressed(&self, head: &ReplyHead, value: &[u8]) -> Result<bool, PushError> {
        let front = head.front(LANE_REPLIES, value.len()).compressed();
        self.push_compressed(LANE_REPLIES, Room::Reply, &front, value)
    }

    /// Queues a control message. One that is too long to encode is a defect of the sender and is reported as `Full`.
    pub(crate) fn push_control(&self, control: &Control) -> Result<(), PushError> {
        let mut body = Vec::with_capacity(128);
        control.encode(&mut body).map_err(|_| PushError::Full)?;
        let front = FrameFront::new(FrameKind::Control, LANE_CONTROL, 0, body.len());
        self.push(LANE_CONTROL, Room::Control, &front, &body)
    }

    fn push(&self, lane: u8, room: Room, front: &FrameFront, rest: &[u8]) -> Result<(), PushError> {
        self.append(lock(&self.outgoing), lane, room, front, rest)
    }

    fn push_compressed(
        &self,
        lane: u8,
        room: Room,
        front: &FrameFront,
        rest: &[u8],
    ) -> Result<bool, PushError> {
        let outgoing = lock(&self.outgoing);
        // The session that it was compressed for may be over, and the next one have agreed on nothing.
        if !self.is_compressing() {
            return Ok(false);
        }
        self.append(outgoing, lane, room, front, rest).map(|()| true)
    }

    #[inline]
    fn append(
        &self,
        mut outgoing: MutexGuard<'_, Outgoing>,
        lane: u8,
        room: Room,
        front: &FrameFront,
        rest: &[u8],
    ) -> Result<(), PushError> {
        // Checked under the lock: `end_session` sets it before it clears the queue, so nothing is queued after that.
        if self.gone.load(Ordering::Relaxed) {
            return Err(PushError::Gone);
        }
        let (had_work, before) = (outgoing.has_work(), outgoing.queued_bytes());
        outgoing.push(lane, room, front, rest)?;
        let wake = !had_work && outgoing.has_work();
        if outgoing.queued_bytes() / CROWDED_BYTES > before / CROWDED_BYTES {
            self.crowded.store(true, Ordering::Relaxed);
        }
        drop(outgoing);
        if wake {
            self.work.notify(usize::MAX);
        }
        Ok(())
    }

    /// Whether the peer reads compressed payloads.
    pub(crate) fn is_compressing(&self) -> bool {
        self.is_compressing.load(Ordering::Relaxed)
    }

    /// What the peer may do here.
    pub(crate) fn rights(&self) -> &PeerRights {
        &self.rights
    }

    /// What became of the last attempts to compress something for this peer.
    pub(crate) fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// Whether a sender should let the writer have its turn: what it takes is then still in the processor's caches. Tells
    /// one sender, once for each time.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Relaxed) && self.crowded.swap(false, Ordering::Relaxed)
    }

    /// Resolves when it is worth trying to queue again: room was made, or the peer is gone.
    pub(crate) async fn wait_for_room(&self) {
        // Counted before looking: pairs with the load in `note_acknowledged`, which comes after making room.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.waiting);
        loop {
            let listener = self.room.listen();
            if self.gone.load(Ordering::SeqCst) || lock(&self.outgoing).has_made_room() {
                return;
            }
            listener.await;
        }
    }

    /// Largest payload that the peer takes; what this node takes itself, before the peer has said so.
    pub(crate) fn payload_bytes_max(&self) -> usize {
        self.payload_bytes_max.load(Ordering::Relaxed)
    }

    // ---- what the writer and the connector do ----

    /// Fires when there may be something to do. Listen before looking, so that nothing is missed.
    pub(crate) fn work(&self) -> &Event {
        &self.work
    }

    /// Resolves when standing, address or connection may have changed. Made before looking, too.
    pub(crate) fn listen_for_change(&self) -> EventListener {
        self.changed.listen()
    }

    /// Makes the writer look again.
    fn wake(&self) {
        self.work.notify(usize::MAX);
    }

    /// Makes everybody look again.
    pub(crate) fn note_change(&self) {
        self.work.notify(usize::MAX);
        self.changed.notify(usize::MAX);
    }

    /// Adds what connection `generation` is to send next to `turn`; nothing if that is not the current one any more.
    pub(crate) fn take_turn(&self, now: Instant, generation: u64, turn: &mut Vec<Arc<Block>>) {
        let mut outgoing = lock(&self.outgoing);
        // Checked under the lock, which `attach` holds while it rewinds and changes the generation: the writer of an
        // older connection takes nothing that the new one has to send.
        if self.is_current(generation) {
            outgoing.take(now, turn);
        }
    }

    /// The writer has written something.
    pub(crate) fn note_written(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has.
    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Nothing was sent for a while: gives the memory of buffers back.
    pub(crate) fn trim(&self) {
        lock(&self.outgoing).trim();
    }

    /// Whether anything has not been written yet.
    pub(crate) fn has_queued(&self) -> bool {
        lock(&self.outgoing).has_queued()
    }

    pub(crate) fn held_bytes(&self) -> usize {
        lock(&self.outgoing).held_bytes()
    }

    /// The number to acknowledge and whether that is urgent; none when the peer knows it all.
    pub(crate) fn acknowledgement(&self) -> Option<(u64, bool)> {
        let state = lock(&self.state);
        let due = state.unacknowledged > 0 || state.acknowledge_now;
        due.then_some((state.received, state.acknowledge_now))
    }

    /// As [`Peer::acknowledgement`]; it is going to be sent.
    pub(crate) fn take_acknowledgement(&self) -> Option<u64> {
        let mut state = lock(&self.state);
        if state.unacknowledged == 0 && !state.acknowledge_now {
            return None;
        }
        state.unacknowledged = 0;
        state.acknowledge_now = false;
        Some(state.received)
    }

    // ---- what the reader does ----

    /// What has come in so far, for the reader of a connection; waits for the reader before it.
    pub(crate) async fn incoming(&self) -> async_lock::MutexGuard<'_, Incoming> {
        self.incoming.lock().await
    }

    /// Whether connection `generation` is still the current one.
    pub(crate) fn is_current(&self, generation: u64) -> bool {
        self.generation.load(Ordering::Acquire) == generation
    }

    /// The reader of connection `generation` accepted `bytes` of frames, now `received` in all.
    pub(crate) fn note_received(&self, generation: u64, received: u64, bytes: usize, asked: bool) {
        let mut state = lock(&self.state);
        if state.generation != generation {
            return;
        }
        let first = state.unacknowledged == 0 && bytes > 0;
        state.received = received;
        state.unacknowledged += bytes;
        let urgent = asked || state.unacknowledged >= ACKNOWLEDGE_BYTES;
        state.acknowledge_now |= urgent;
        drop(state);
        // The writer arms its timer on the first bytes and acts at once when it is urgent.
        if first || urgent {
            self.wake();
        }
    }

    pub(crate) fn note_heard(&self, now: Instant) {
        lock(&self.state).heard = Some(now);
    }

    /// When anything was last heard; long ago if never.
    pub(crate) fn heard(&self) -> Option<Instant> {
        lock(&self.state).heard
    }

    pub(crate) fn note_acknowledged(
        &self,
        now: Instant,
        generation: u64,
        number: u64,
    ) -> Result<(), NeverSent> {
        let mut outgoing = lock(&self.outgoing);
        // As in `take_turn`: the number may be of a session that is over.
        if !self.is_current(generation) {
            return Ok(());
        }
        let had_work = outgoing.has_work();
        outgoing.acknowledge(now, number)?;
        let wake = !had_work && outgoing.has_work();
        drop(outgoing);
        if wake {
            self.wake();
        }
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.room.notify(usize::MAX);
        }
        Ok(())
    }

    // ---- sessions and connections ----

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
        });
        state.dormant = false;
        self.generation.store(generation, Ordering::Release);
        self.gone.store(false, Ordering::SeqCst);
        drop((outgoing, state));
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

    /// Whom the current connection was made with.
    pub(crate) fn proven(&self) -> Option<hew_security::Peer> {
        let state = lock(&self.state);
        let connection = state.connection.as_ref()?;
        Some(hew_security::Peer { node: self.node, key: state.public_key?, proven: connection.encrypted })
    }

    /// Ends the current connection without a word; the session stays.
    pub(crate) fn close(&self) {
        if let Some(connection) = &lock(&self.state).connection {
            connection.close.notify(usize::MAX);
        }
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

/// Counts one that waits for room, for as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The lane of a sender: one sender always uses the same, so its messages keep their order.
fn lane_of(source: Pid) -> u8 {
    1 + (source.serial() % u64::from(LANES - 1)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use hew_security::Permissions;

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

    #[test]
    fn senders_spread_over_the_ordinary_lanes() {
        let lanes: std::collections::BTreeSet<u8> =
            (0..100).map(|serial| lane_of(Pid::new(NodeId::from_raw(1), serial))).collect();
        assert_eq!(lanes.into_iter().collect::<Vec<_>>(), (1..LANES).collect::<Vec<_>>());
    }
}

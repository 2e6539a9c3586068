//! One other node: what is queued for it, what came from it, and the session that ties connections together.

mod sessions;

use super::block::Block;
use super::compressing::Attempts;
use super::incoming::Incoming;
use super::outgoing::{NeverSent, Outgoing, Room};
use super::session::Connection;
pub(crate) use super::session::{Agreed, AttachError, Attached, LinkInfo, PushError, Standing};
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
    /// Whether the last connection was, and so whether the key is proven.
    encrypted: bool,
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
                encrypted: false,
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

    /// Adds what connection `generation` is to send next to `turn`, about `turn_bytes`; nothing if that is not the current one
    /// any more.
    pub(crate) fn take_turn(
        &self,
        now: Instant,
        generation: u64,
        turn_bytes: usize,
        turn: &mut Vec<Arc<Block>>,
    ) {
        let mut outgoing = lock(&self.outgoing);
        // Checked under the lock, which `attach` holds while it rewinds and changes the generation: the writer of an
        // older connection takes nothing that the new one has to send.
        if self.is_current(generation) {
            outgoing.take(now, turn_bytes, turn);
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
        // Looked at here, so that those who wait are not woken to find that there is not enough yet.
        let made_room = outgoing.has_made_room() || outgoing.held_bytes() == 0;
        drop(outgoing);
        if wake {
            self.wake();
        }
        if made_room && self.waiting.load(Ordering::SeqCst) > 0 {
            self.room.notify(usize::MAX);
        }
        Ok(())
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

    #[test]
    fn senders_spread_over_the_ordinary_lanes() {
        let lanes: std::collections::BTreeSet<u8> =
            (0..100).map(|serial| lane_of(Pid::new(NodeId::from_raw(1), serial))).collect();
        assert_eq!(lanes.into_iter().collect::<Vec<_>>(), (1..LANES).collect::<Vec<_>>());
    }
}

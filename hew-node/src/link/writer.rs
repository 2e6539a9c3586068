//! The writing half of a connection: turns of blocks as records, acknowledgements, heartbeats, the goodbye.

use super::block::Block;
use super::connection::{AGE_MAX, End, HEARTBEAT_AFTER, SILENCE_MAX};
use super::idle::IdleWatch;
use super::outgoing::TURN_BYTES;
use super::peer::Peer;
use crate::shared::Shared;
use event_listener::listener;
use futures_lite::future;
use futures_lite::io::{AsyncWrite, AsyncWriteExt};
use hew_actor::Sleep;
use hew_security::Sealer;
use hew_wire::frame::{
    FrameKind, LANE_CONTROL, RECORD_PLAINTEXT_BYTES_MAX, flags, write_frame, write_number,
};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait before received frames are acknowledged.
const ACKNOWLEDGE_AFTER: Duration = Duration::from_millis(20);

/// A write that takes longer than this is followed by a short one.
const SLOW_WRITE: Duration = Duration::from_millis(1);
/// Bytes after which the turn of a slow stream ends: with the block that reaches them it is about one record.
const SLOW_TURN_BYTES: usize = 4 * 1024;

pub(super) struct Writer {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    generation: u64,
    sealer: Sealer,
    /// Frames that are not part of the session, before the session's.
    plain: Vec<u8>,
    turn: Vec<Arc<Block>>,
    sealed: Vec<u8>,
    /// When received frames are to be acknowledged, if that is not due to something else before.
    acknowledge_at: Option<Instant>,
    heartbeat_at: Instant,
    /// How much is written in one go: less where that takes long, because control waits for it.
    turn_bytes: usize,
    /// When the connection has served for long enough.
    retire_at: Instant,
    /// If the connection may be closed for being idle.
    idle: Option<IdleWatch>,
    /// Set for the next time something is due, or for an earlier one: setting it anew for each message would cost more than
    /// its going off in vain now and then.
    timer: Option<(Instant, Sleep)>,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        peer: Arc<Peer>,
        generation: u64,
        sealer: Sealer,
        is_member: bool,
    ) -> Writer {
        let now = shared.runtime.now();
        let heartbeat_at = now + HEARTBEAT_AFTER;
        let watch = |timeout| IdleWatch::new(timeout, now, peer.progress());
        // A client cannot be dialled.
        let idle = shared.idle_timeout.filter(|_| is_member).map(watch);
        Writer {
            shared,
            peer,
            generation,
            sealer,
            plain: Vec::new(),
            turn: Vec::new(),
            sealed: Vec::new(),
            acknowledge_at: None,
            heartbeat_at,
            turn_bytes: TURN_BYTES,
            retire_at: now + AGE_MAX,
            idle,
            timer: None,
        }
    }

    pub(super) async fn run<W: AsyncWrite + Unpin>(mut self, mut stream: W, start: u64) -> End {
        write_number(&mut self.plain, FrameKind::Start, start);
        let peer = Arc::clone(&self.peer);
        loop {
            while self.gather() {
                if let Err(end) = self.write(&mut stream).await {
                    return end;
                }
                if self.shared.runtime.now() >= self.retire_at {
                    break;
                }
            }
            // Made before looking again, so that nothing that comes while looking is missed.
            listener!(peer.work() => work);
            let now = self.shared.runtime.now();
            if now >= self.heard(now) + SILENCE_MAX {
                return End::Silence;
            }
            if now >= self.retire_at {
                return self.pause(stream, "renewed").await;
            }
            if self.gather() {
                if let Err(end) = self.write(&mut stream).await {
                    return end;
                }
                continue;
            }
            if !peer.has_queued()
                && let Some(reason) = peer.goodbye()
            {
                return self.say_goodbye(stream, 0, &reason).await;
            }
            if self.is_idle(now) {
                return self.pause(stream, "idle").await;
            }
            let wake_at = self.acknowledge_at.map_or(self.heartbeat_at, |at| at.min(self.heartbeat_at));
            future::or(work, self.sleep_until(wake_at)).await;
        }
    }

    /// Whether nothing was sent for so long, in either direction, that the connection is closed until something is.
    fn is_idle(&mut self, now: Instant) -> bool {
        let peer = &self.peer;
        self.idle.as_mut().is_some_and(|watch| watch.is_over(now, || peer.progress()))
            && peer.held_bytes() == 0
            && peer.acknowledgement().is_none()
            && peer.address().is_some()
    }

    /// When the peer was heard last.
    fn heard(&self, now: Instant) -> Instant {
        self.peer.heard().unwrap_or(now)
    }

    /// Sleeps until `at` or a little earlier.
    async fn sleep_until(&mut self, at: Instant) {
        let now = self.shared.runtime.now();
        let (_, sleep) = match self.timer.take() {
            Some((set, sleep)) if set <= at && set > now => self.timer.insert((set, sleep)),
            _ => self.timer.insert((at, self.shared.runtime.sleep_until(at))),
        };
        Pin::new(sleep).await;
    }

    /// Collects what is to be written now: whether there is anything.
    fn gather(&mut self) -> bool {
        let now = self.shared.runtime.now();
        self.peer.take_turn(now, self.generation, self.turn_bytes, &mut self.turn);
        let due = match self.peer.acknowledgement() {
            None => {
                self.acknowledge_at = None;
                false
            }
            Some((_, urgent)) => {
                let at = *self.acknowledge_at.get_or_insert(now + ACKNOWLEDGE_AFTER);
                urgent || !self.turn.is_empty() || !self.plain.is_empty() || now >= at
            }
        };
        if due && let Some(number) = self.peer.take_acknowledgement() {
            write_number(&mut self.plain, FrameKind::Ack, number);
            self.acknowledge_at = None;
        }
        if now >= self.heartbeat_at || self.peer.take_life_wanted() {
            let is_idle = now >= self.heard(now) + HEARTBEAT_AFTER;
            if is_idle || now < self.heartbeat_at {
                write_frame(&mut self.plain, FrameKind::Heartbeat, LANE_CONTROL, 0, &[]);
            }
            if is_idle {
                self.peer.trim();
                self.sealed = Vec::new();
            }
            self.heartbeat_at = now + HEARTBEAT_AFTER;
        }
        !self.turn.is_empty() || !self.plain.is_empty()
    }

    /// Writes what was collected.
    async fn write<W: AsyncWrite + Unpin>(&mut self, stream: &mut W) -> Result<(), End> {
        self.sealed.clear();
        let first = self.turn.first().map_or(&[][..], |block| block.bytes());
        // What is not part of the session shares a record with what is, where there is room.
        if self.plain.len() + first.len() > RECORD_PLAINTEXT_BYTES_MAX {
            self.sealer.seal_record(&[&self.plain], &mut self.sealed)?;
            self.plain.clear();
        }
        self.sealer.seal_record(&[&self.plain, first], &mut self.sealed)?;
        self.plain.clear();
        for block in self.turn.iter().skip(1) {
            self.sealer.seal_record(&[block.bytes()], &mut self.sealed)?;
        }
        // From here on they are the replay's alone.
        self.turn.clear();
        let began = self.shared.runtime.now();
        let mut writing = pin!(stream.write_all(&self.sealed));
        loop {
            // A peer from which nothing is heard while it takes nothing is gone; one that talks is only slow.
            let heard = self.peer.heard().unwrap_or_else(|| self.shared.runtime.now());
            let limit = self.shared.runtime.sleep_until(heard + SILENCE_MAX);
            let written = future::or(async { Some((&mut writing).await) }, async {
                limit.await;
                None
            });
            match written.await {
                Some(result) => {
                    self.peer.note_written();
                    let is_slow = self.shared.runtime.now() > began + SLOW_WRITE;
                    self.turn_bytes = if is_slow { SLOW_TURN_BYTES } else { TURN_BYTES };
                    return result.map_err(End::Io);
                }
                None if self.peer.heard().is_none_or(|now| now <= heard) => return Err(End::Silence),
                None => {}
            }
        }
    }

    /// Ends the connection, and not the session: whoever has something to send makes the next one.
    async fn pause<W: AsyncWrite + Unpin>(self, stream: W, reason: &str) -> End {
        match self.say_goodbye(stream, flags::IDLE, reason).await {
            End::Closed => End::Idle,
            end => end,
        }
    }

    async fn say_goodbye<W: AsyncWrite + Unpin>(mut self, mut stream: W, flags: u16, reason: &str) -> End {
        write_frame(&mut self.plain, FrameKind::Goodbye, LANE_CONTROL, flags, &[reason.as_bytes()]);
        match self.write(&mut stream).await {
            Ok(()) => match stream.close().await {
                Ok(()) => End::Closed,
                Err(error) => End::Io(error),
            },
            Err(end) => end,
        }
    }
}

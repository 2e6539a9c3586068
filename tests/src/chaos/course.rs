//! One direction of a proxied connection: bytes that come, are on the way for a while, and arrive.

use super::fate::{Fate, Harm, Kind, Way};
use super::valve::{Flow, Valve};
use futures_lite::future;
use futures_lite::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use hew_node::Runtime;
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;
/// With a limit on the rate: bytes written at once, at least.
const SLOW_BYTES: usize = 2 * 1024;
/// And how many times a second at most. Timers of real runtimes are no finer than a millisecond.
const SLOW_WRITES_PER_S: u64 = 500;

/// See the module's documentation.
pub(super) struct Course {
    way: Way,
    fate: Fate,
    /// What is still to go wrong.
    harms: VecDeque<Harm>,
    /// What is on the way, and when it arrives.
    queue: VecDeque<(Instant, Vec<u8>)>,
    /// Bytes of the first of them that have passed.
    begun: usize,
    queued: usize,
    /// Nothing more comes.
    ended: bool,
    /// Bytes that have passed.
    passed: u64,
    /// Nothing passes before.
    free_at: Option<Instant>,
    corrupt_next: bool,
    deaf: bool,
}

/// What has happened in a turn.
enum Step {
    Look,
    Came(usize),
    Ended,
    Gave(io::Result<usize>),
}

impl Course {
    pub(super) fn new(way: Way, fate: &Fate) -> Course {
        Course {
            way,
            harms: fate.harms.iter().copied().filter(|harm| harm.way == way).collect(),
            fate: fate.clone(),
            queue: VecDeque::new(),
            begun: 0,
            queued: 0,
            ended: false,
            passed: 0,
            free_at: None,
            corrupt_next: false,
            deaf: false,
        }
    }

    /// Bytes that have passed.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    /// Carries bytes until something happens that ends the connection, which is told, or nothing more comes.
    pub(super) async fn carry<R, W>(
        &mut self,
        runtime: &Runtime,
        reader: &mut R,
        writer: &mut W,
        valve: &Valve,
        mut told: impl FnMut(Harm),
    ) -> Option<Kind>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            // Made before looking, so that nothing is missed.
            let changed = valve.listen();
            if let Some(ending) = self.do_harm(runtime.now(), valve, &mut told) {
                return Some(ending);
            }
            let flow = if self.deaf { Flow::Swallow } else { valve.flow(self.way) };
            if flow == Flow::End {
                return Some(Kind::End);
            }
            if self.ended && self.queue.is_empty() {
                // The other side may have gone already.
                let _ = writer.close().await;
                return None;
            }
            let looking = async {
                changed.await;
                Step::Look
            };
            let (came, gave) = (self.take(reader, &mut buffer), self.give(runtime, writer, flow));
            match future::or(looking, future::or(came, gave)).await {
                Step::Look => {}
                Step::Came(count) => {
                    self.queued += count;
                    self.queue.push_back((runtime.now() + self.fate.latency, buffer[..count].to_vec()));
                }
                Step::Ended => self.ended = true,
                Step::Gave(Ok(count)) => self.note_passed(runtime.now(), count),
                Step::Gave(Err(_)) => return None,
            }
        }
    }

    /// What is still on the way, and what the sender has written already.
    pub(super) async fn rest<R: AsyncRead + Unpin>(&mut self, reader: &mut R) -> Vec<u8> {
        let mut rest = Vec::with_capacity(self.queued);
        for (_, bytes) in self.queue.drain(..) {
            rest.extend_from_slice(&bytes[std::mem::take(&mut self.begun)..]);
        }
        let mut bytes = [0; READ_BYTES];
        while let Some(Ok(count @ 1..)) = future::poll_once(reader.read(&mut bytes)).await {
            rest.extend_from_slice(&bytes[..count]);
        }
        rest
    }

    fn do_harm(&mut self, now: Instant, valve: &Valve, told: &mut impl FnMut(Harm)) -> Option<Kind> {
        if valve.is_calm() {
            self.harms.clear();
        }
        let harm = self.harms.pop_front_if(|harm| self.passed >= harm.after)?;
        told(harm);
        match harm.kind {
            Kind::Stall(duration) => self.free_at = Some(now + duration),
            Kind::Corrupt => self.corrupt_next = true,
            Kind::Deaf => self.deaf = true,
            Kind::End | Kind::Reset | Kind::Late(_) | Kind::Silence => return Some(harm.kind),
        }
        None
    }

    async fn take<R: AsyncRead + Unpin>(&self, reader: &mut R, buffer: &mut [u8]) -> Step {
        if self.ended || self.queued >= self.fate.room {
            return future::pending().await;
        }
        let room = READ_BYTES.min(self.fate.room - self.queued);
        match reader.read(&mut buffer[..room]).await {
            Ok(0) | Err(_) => Step::Ended,
            Ok(count) => Step::Came(count),
        }
    }

    async fn give<W: AsyncWrite + Unpin>(&self, runtime: &Runtime, writer: &mut W, flow: Flow) -> Step {
        let Some((arrives, bytes)) = self.queue.front().filter(|_| flow != Flow::Hold) else {
            return future::pending().await;
        };
        let bytes = &bytes[self.begun..];
        let at = self.free_at.map_or(*arrives, |free_at| free_at.max(*arrives));
        if at > runtime.now() {
            runtime.sleep_until(at).await;
        }
        if flow == Flow::Swallow {
            return Step::Gave(Ok(bytes.len()));
        }
        let mut count = bytes.len();
        if let Some(rate) = self.fate.bytes_per_s {
            let at_once = usize::try_from(rate / SLOW_WRITES_PER_S).unwrap_or(usize::MAX);
            count = count.min(SLOW_BYTES.max(at_once));
        }
        if let Some(harm) = self.harms.front() {
            count = count.min(usize::try_from(harm.after - self.passed).unwrap_or(usize::MAX));
        }
        if self.corrupt_next {
            return Step::Gave(writer.write(&[bytes[0] ^ 0x10]).await);
        }
        Step::Gave(writer.write(&bytes[..count]).await)
    }

    fn note_passed(&mut self, now: Instant, count: usize) {
        self.corrupt_next = false;
        self.passed += count as u64;
        self.queued -= count;
        self.begun += count;
        if self.queue.front().is_some_and(|(_, bytes)| bytes.len() == self.begun) {
            self.queue.pop_front();
            self.begun = 0;
        }
        if let Some(rate) = self.fate.bytes_per_s {
            let takes = Duration::from_secs_f64(count as f64 / rate as f64);
            self.free_at = Some(self.free_at.map_or(now, |free_at| free_at.max(now)) + takes);
        }
    }
}

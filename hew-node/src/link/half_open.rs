//! The connections that have not proven who they are: how many there may be, from whom, and how fast they may come.
//!
//! An address on another machine has a few places and a pace, so that one that floods is refused and the others do not notice.
//! Addresses of this machine share all places without a pace: every program here has millions of loopback addresses to
//! dial from, so a bound on one would keep out honest clusters and nobody else.

use event_listener::Event;
use hew_transport::Addr;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Accepted connections that have not finished their handshake. When there are as many, the oldest one makes room: of
/// those that have said nothing, if they are half of all, else of those that have spoken.
pub const HALF_OPEN_MAX: usize = 256;
/// Default of [`NodeBuilder::half_open_per_address`](crate::NodeBuilder::half_open_per_address).
pub const HALF_OPEN_PER_ADDRESS_DEFAULT: usize = 8;
/// Default of [`NodeBuilder::accepts_per_second`](crate::NodeBuilder::accepts_per_second).
pub const ACCEPTS_PER_SECOND_DEFAULT: usize = 16;
/// Most connections each second that one address may be allowed.
pub const ACCEPTS_PER_SECOND_MAX: usize = 100_000;
/// An address that was quiet may come with as many connections at once as its pace allows in so many seconds.
const BURST_SECONDS: usize = 4;
/// Addresses whose pace is remembered. When there are more, the one that may send most again is forgotten.
const PACED_MAX: usize = 1024;

/// What one remote address may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Handshakes that it may have open.
    pub(crate) half_open_max: usize,
    /// Connections each second, after a burst of four seconds' worth.
    pub(crate) accepts_per_second: usize,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { half_open_max: HALF_OPEN_PER_ADDRESS_DEFAULT, accepts_per_second: ACCEPTS_PER_SECOND_DEFAULT }
    }
}

/// Why a connection is closed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Crowded {
    #[error("as many handshakes with this address are unfinished as may be")]
    HalfOpen,
    #[error("this address connects too often")]
    TooOften,
}

impl Crowded {
    /// A short stable name for counters.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Crowded::HalfOpen => "half_open_per_address",
            Crowded::TooOften => "accepts_per_address",
        }
    }
}

/// Whom a limit holds for: an address on another machine. Of IPv6 the first 64 bits, because whoever has one address of
/// such a network has all of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    V4([u8; 4]),
    V6([u8; 8]),
    Named(String),
}

impl Origin {
    /// `None` for an address of this machine.
    fn of(peer: &Addr) -> Option<Origin> {
        if peer.is_loopback_or_local() {
            return None;
        }
        Some(match peer.socket_addr().map(|addr| addr.ip().to_canonical()) {
            Some(IpAddr::V4(ip)) => Origin::V4(ip.octets()),
            Some(IpAddr::V6(ip)) => {
                let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                Origin::V6([a, b, c, d, e, f, g, h])
            }
            None => Origin::Named(peer.host().unwrap_or_default()),
        })
    }
}

/// See the module's documentation.
pub(crate) struct HalfOpen {
    pace: Pace,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    open: BTreeMap<u64, Arc<Entry>>,
    paced: BTreeMap<Origin, Allowance>,
}

/// One half-open connection.
pub(crate) struct Entry {
    origin: Option<Origin>,
    evict: Event,
    evicted: AtomicBool,
    spoke: AtomicBool,
}

/// How many connections an address may still make, as of some time: a token bucket.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    thousandths: u64,
    at: Instant,
}

/// A place among the half-open connections; given back when dropped.
pub(crate) struct Place<'a> {
    half_open: &'a HalfOpen,
    number: u64,
    entry: Arc<Entry>,
}

impl HalfOpen {
    pub(crate) fn new(pace: Pace) -> HalfOpen {
        HalfOpen { pace, table: Mutex::default() }
    }

    /// A place for a connection from `peer`. If there is none left, somebody who came earlier makes room; an address that is
    /// over its own limits is refused, and has no effect on others.
    pub(crate) fn enter(&self, now: Instant, peer: &Addr) -> Result<Place<'_>, Crowded> {
        let origin = Origin::of(peer);
        let mut table = self.table();
        if let Some(origin) = &origin {
            table.pace(now, self.pace.accepts_per_second, origin)?;
            let same = table.open.values().filter(|entry| entry.origin.as_ref() == Some(origin)).count();
            if same >= self.pace.half_open_max {
                return Err(Crowded::HalfOpen);
            }
        }
        table.make_room();
        let number = table.next;
        table.next += 1;
        let entry = Arc::new(Entry {
            origin,
            evict: Event::new(),
            evicted: AtomicBool::new(false),
            spoke: AtomicBool::new(false),
        });
        table.open.insert(number, Arc::clone(&entry));
        Ok(Place { half_open: self, number, entry })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Only map operations happen under this lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Takes one connection from what `origin` may still make.
    fn pace(&mut self, now: Instant, per_second: usize, origin: &Origin) -> Result<(), Crowded> {
        let most = Allowance::full(now, per_second);
        let known = self.paced.get(origin).map_or(most, |allowance| allowance.at(now, per_second));
        if known.thousandths < 1000 {
            return Err(Crowded::TooOften);
        }
        if self.paced.len() >= PACED_MAX && !self.paced.contains_key(origin) {
            self.forget_one(now, per_second);
        }
        let left = Allowance { thousandths: known.thousandths - 1000, ..known };
        self.paced.insert(origin.clone(), left);
        Ok(())
    }

    /// Forgets the address that has its whole allowance again, or is nearest to that.
    fn forget_one(&mut self, now: Instant, per_second: usize) {
        let least = self.paced.iter().max_by_key(|(_, allowance)| allowance.at(now, per_second).thousandths);
        if let Some(origin) = least.map(|(origin, _)| origin.clone()) {
            self.paced.remove(&origin);
        }
    }

    /// Has the oldest of the larger half go if all places are taken.
    fn make_room(&mut self) {
        if self.open.len() < HALF_OPEN_MAX {
            return;
        }
        let is_silent = |entry: &Arc<Entry>| !entry.spoke.load(Ordering::Relaxed);
        let silent = self.open.values().filter(|entry| is_silent(entry)).count();
        // The larger half makes room, so that neither silent nor talking connections can crowd out the others.
        let want_silent = 2 * silent >= self.open.len();
        let oldest = self.open.iter().find(|(_, entry)| is_silent(entry) == want_silent);
        let oldest = oldest.map(|(number, _)| *number);
        if let Some(entry) = oldest.and_then(|number| self.open.remove(&number)) {
            entry.evicted.store(true, Ordering::SeqCst);
            entry.evict.notify(usize::MAX);
        }
    }
}

impl Allowance {
    fn full(now: Instant, per_second: usize) -> Allowance {
        Allowance { thousandths: (per_second * BURST_SECONDS) as u64 * 1000, at: now }
    }

    /// What it has grown to.
    fn at(self, now: Instant, per_second: usize) -> Allowance {
        // Thousandths per second are units per millisecond. The time that makes no whole unit is kept for later.
        let passed = now.saturating_duration_since(self.at).as_millis().min(u128::from(u32::MAX)) as u64;
        let most = Allowance::full(now, per_second).thousandths;
        let grown = self.thousandths.saturating_add(passed.saturating_mul(per_second as u64));
        Allowance { thousandths: grown.min(most), at: self.at + Duration::from_millis(passed) }
    }
}

impl Place<'_> {
    /// The peer has said something.
    pub(crate) fn spoke(&self) {
        self.entry.spoke.store(true, Ordering::Relaxed);
    }

    /// Resolves when this connection has to make room.
    pub(crate) async fn evicted(&self) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> Addr {
        text.parse().unwrap()
    }

    fn half_open(half_open_max: usize, accepts_per_second: usize) -> HalfOpen {
        HalfOpen::new(Pace { half_open_max, accepts_per_second })
    }

    fn refusal(half_open: &HalfOpen, now: Instant, peer: &str) -> Option<Crowded> {
        half_open.enter(now, &addr(peer)).err()
    }

    #[test]
    fn one_address_has_its_places_and_another_has_others() {
        let half_open = half_open(8, 1000);
        let now = Instant::now();
        for (inside, same, another) in [
            ("10.0.0.1:1000", "10.0.0.1:65000", "10.0.0.2:1000"),
            ("[2001:db8::1]:1000", "[2001:db8::ffff:1:2:3]:1", "[2001:db8:0:1::1]:1000"),
            ("[::ffff:10.0.0.9]:1000", "10.0.0.9:7", "[::ffff:10.0.0.8]:1000"),
            ("node.example:1000", "node.example:2", "other.example:1000"),
        ] {
            let mut places: Vec<_> =
                (0..8).map(|_| half_open.enter(now, &addr(inside)).expect("room")).collect();
            assert_eq!(refusal(&half_open, now, same), Some(Crowded::HalfOpen), "{same}");
            assert_eq!(refusal(&half_open, now, another), None, "{another}");
            places.pop();
            assert_eq!(refusal(&half_open, now, same), None, "a place was given back");
        }
    }

    #[test]
    fn addresses_of_this_machine_share_all_places() {
        let half_open = half_open(1, 1);
        let now = Instant::now();
        let local = ["127.0.0.1:1", "[::1]:1", "unix:/run/a", "mem:n1", "127.9.9.9:1", "localhost:1"];
        let places: Vec<_> = local.iter().cycle().take(HALF_OPEN_MAX).collect();
        let places: Vec<_> =
            places.iter().map(|peer| half_open.enter(now, &addr(peer)).expect("room")).collect();
        assert!(!places[0].entry.evicted.load(Ordering::SeqCst));
        let _one_more = half_open.enter(now, &addr("mem:n1")).expect("somebody makes room");
        assert!(places[0].entry.evicted.load(Ordering::SeqCst), "the oldest makes room");
        assert!(half_open.table().paced.is_empty(), "nobody here has a pace");
    }

    #[test]
    fn an_address_that_is_refused_takes_nobodys_place() {
        let half_open = half_open(8, 1000);
        let now = Instant::now();
        let others: Vec<_> = (0..HALF_OPEN_MAX - 8)
            .map(|host| {
                half_open.enter(now, &addr(&format!("10.1.{}.{}:1", host / 250, host % 250))).expect("room")
            })
            .collect();
        let _flooding: Vec<_> =
            (0..8).map(|_| half_open.enter(now, &addr("10.0.0.1:1")).expect("room")).collect();
        for _ in 0..1000 {
            assert_eq!(refusal(&half_open, now, "10.0.0.1:1"), Some(Crowded::HalfOpen));
        }
        assert!(others.iter().all(|place| !place.entry.evicted.load(Ordering::SeqCst)));
        assert_eq!(half_open.table().open.len(), HALF_OPEN_MAX);
    }

    #[test]
    fn an_address_has_a_burst_and_then_its_pace() {
        let half_open = half_open(8, 16);
        let begin = Instant::now();
        let taken = |now| {
            std::iter::repeat_with(|| refusal(&half_open, now, "10.0.0.1:1"))
                .take_while(Option::is_none)
                .count()
        };
        assert_eq!(taken(begin), 64);
        assert_eq!(refusal(&half_open, begin, "10.0.0.1:1"), Some(Crowded::TooOften));
        assert_eq!(refusal(&half_open, begin, "10.0.0.2:1"), None);
        // 15 milliseconds are 0.24 connections, and none of them is lost.
        let steps = (1..=1000).map(|step| begin + Duration::from_millis(15 * step));
        assert_eq!(steps.map(taken).sum::<usize>(), 240);
        assert_eq!(taken(begin + Duration::from_secs(3600)), 64);
    }

    #[test]
    fn the_pace_of_so_many_addresses_is_remembered_and_the_busiest_longest() {
        let half_open = half_open(8, 1);
        let now = Instant::now();
        while refusal(&half_open, now, "10.0.0.1:1").is_none() {}
        for host in 0..3 * PACED_MAX {
            assert_eq!(
                refusal(&half_open, now, &format!("[2001:db8:{:x}:{:x}::1]:1", host >> 8, host & 255)),
                None
            );
        }
        assert_eq!(half_open.table().paced.len(), PACED_MAX);
        assert_eq!(refusal(&half_open, now, "10.0.0.1:1"), Some(Crowded::TooOften), "not forgotten");
    }
}

//! What the actors of one type do: how many there are, how long messages wait for them, how long their handlers take.

use crate::cell::Cell;
use crate::mailbox::Batch;
use crate::sync::{AtomicU64, Ordering};
use crate::system::Shared;
use std::any::TypeId;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// Buckets of [`Times`]: the first is for less than 64 ns, each further one for twice as long as the one before, the last
/// for everything above 17 s.
pub const TIME_BUCKETS: usize = 29;
/// The bound of the first bucket.
const FIRST_BUCKET_NS: u64 = 64;

/// What the actors of one type have done since the system was made, and what they are doing; see
/// [`System::metrics`](crate::System::metrics).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TypeMetrics {
    /// The Rust type of the actors.
    pub type_name: &'static str,
    /// Actors spawned.
    pub spawned: u64,
    /// Actors that live.
    pub living: u64,
    /// Messages whose handlers have begun.
    pub handled: u64,
    /// Messages that wait in the mailboxes of the living ones.
    pub queued: u64,
    /// How long messages waited before their handlers began: a sample, of at most one message of each batch that an actor
    /// takes.
    pub queue_time: Times,
    /// How long handlers took from their beginning to their end, waiting included.
    pub handler_time: Times,
}

/// A distribution of durations.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Times {
    /// How many there were.
    pub count: u64,
    /// Their sum.
    pub total: Duration,
    /// The longest.
    pub max: Duration,
    /// How many were shorter than 64 ns, than 128 ns and so on; see [`TIME_BUCKETS`].
    pub buckets: [u64; TIME_BUCKETS],
}

impl Times {
    /// The duration that the share `p` (0 to 1) of all did not exceed, rounded up to the bound of its bucket; zero if
    /// there were none.
    pub fn quantile(&self, p: f64) -> Duration {
        let wanted = (self.count as f64 * p.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(FIRST_BUCKET_NS << index).min(self.max);
            }
        }
        self.max
    }
}

/// The live counters of one type of actors. Written by any thread; only sums are read, so `Relaxed` is enough.
pub(crate) struct Kind {
    type_name: &'static str,
    spawned: AtomicU64,
    living: AtomicU64,
    handled: AtomicU64,
    queue_time: Histogram,
    handler_time: Histogram,
}

struct Histogram {
    total_ns: AtomicU64,
    max_ns: AtomicU64,
    buckets: [AtomicU64; TIME_BUCKETS],
}

impl Histogram {
    fn new() -> Histogram {
        Histogram {
            total_ns: AtomicU64::new(0),
            max_ns: AtomicU64::new(0),
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    fn add(&self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(ns)].fetch_add(1, Ordering::Relaxed);
        self.total_ns.fetch_add(ns, Ordering::Relaxed);
        self.max_ns.fetch_max(ns, Ordering::Relaxed);
    }

    fn snapshot(&self) -> Times {
        let buckets: [u64; TIME_BUCKETS] =
            std::array::from_fn(|index| self.buckets[index].load(Ordering::Relaxed));
        Times {
            count: buckets.iter().sum(),
            total: Duration::from_nanos(self.total_ns.load(Ordering::Relaxed)),
            max: Duration::from_nanos(self.max_ns.load(Ordering::Relaxed)),
            buckets,
        }
    }
}

/// The bucket of a duration.
fn bucket(ns: u64) -> usize {
    let doublings = u64::BITS - (ns / FIRST_BUCKET_NS).leading_zeros();
    (doublings as usize).min(TIME_BUCKETS - 1)
}

impl Kind {
    fn new(type_name: &'static str) -> Kind {
        Kind {
            type_name,
            spawned: AtomicU64::new(0),
            living: AtomicU64::new(0),
            handled: AtomicU64::new(0),
            queue_time: Histogram::new(),
            handler_time: Histogram::new(),
        }
    }

    pub(crate) fn note_spawn(&self) {
        self.spawned.fetch_add(1, Ordering::Relaxed);
        self.living.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_end(&self) {
        self.living.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All types of actors that a system has seen; as many as the program has types.
#[derive(Default)]
pub(crate) struct Kinds(crate::lock::Lock<BTreeMap<TypeId, Arc<Kind>>>);

impl Kinds {
    pub(crate) fn of<A: 'static>(&self) -> Arc<Kind> {
        let mut kinds = self.0.lock();
        kinds
            .entry(TypeId::of::<A>())
            .or_insert_with(|| Arc::new(Kind::new(std::any::type_name::<A>())))
            .clone()
    }

    /// All, in order of their names; `queued` counts what waits for the actors of one kind.
    pub(crate) fn snapshot(&self, queued: impl Fn(&Arc<Kind>) -> u64) -> Vec<TypeMetrics> {
        let kinds: Vec<_> = self.0.lock().values().cloned().collect();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut all: Vec<_> = kinds
            .iter()
            .map(|kind| TypeMetrics {
                type_name: kind.type_name,
                spawned: read(&kind.spawned),
                living: read(&kind.living),
                handled: read(&kind.handled),
                queued: queued(kind),
                queue_time: kind.queue_time.snapshot(),
                handler_time: kind.handler_time.snapshot(),
            })
            .collect();
        all.sort_by_key(|metrics| metrics.type_name);
        all
    }
}

/// What is observed during one activation; usually nothing.
pub(crate) struct Probe {
    kind: Option<Arc<Kind>>,
    traced: Option<Traced>,
}

#[derive(Clone, Copy)]
struct Traced {
    type_name: &'static str,
    pid: hew_wire::Pid,
}

impl Probe {
    /// What is to be observed of this actor now.
    #[inline]
    pub(crate) fn of<M, T>(cell: &Cell<M, T>) -> Probe {
        let kind = cell.kind().cloned();
        let traced = tracing::enabled!(target: "hew_actor::handle", tracing::Level::TRACE)
            .then(|| Traced { type_name: std::any::type_name::<M>(), pid: cell.pid() });
        Probe { kind, traced }
    }

    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        self.kind.is_none() && self.traced.is_none()
    }

    /// Whether the mailbox should note when messages come.
    #[inline]
    pub(crate) fn is_timed(&self) -> bool {
        self.kind.is_some()
    }

    /// The next message of the batch is about to be handled.
    pub(crate) fn begin<M>(&self, batch: &mut Batch<M>, now: impl Fn() -> Instant) {
        let Some(kind) = &self.kind else { return };
        kind.handled.fetch_add(1, Ordering::Relaxed);
        match &mut batch.sample {
            Some(sample) if sample.ahead == 0 => {
                kind.queue_time.add(now().saturating_duration_since(sample.came));
                batch.sample = None;
            }
            Some(sample) => sample.ahead -= 1,
            None => {}
        }
    }

    /// The handler, observed.
    pub(crate) fn watch<'a, F: Future + Send + 'a>(
        &self,
        shared: &Arc<Shared>,
        handler: F,
    ) -> impl Future<Output = F::Output> + Send + 'a {
        let span = self.traced.map(|Traced { type_name, pid }| {
            tracing::trace_span!(target: "hew_actor::handle", "handle", message = type_name, %pid)
        });
        let timing = self.kind.clone().map(|kind| (kind, shared.clone(), shared.runtime.now()));
        async move {
            let mut handler = pin!(handler);
            let output = poll_fn(|cx| {
                let _entered = span.as_ref().map(|span| span.enter());
                match handler.as_mut().poll(cx) {
                    Poll::Ready(output) => Poll::Ready(output),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await;
            if let Some((kind, shared, start)) = timing {
                kind.handler_time.add(shared.runtime.now().saturating_duration_since(start));
            }
            output
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_buckets_that_double() {
        for (ns, expected) in [(0, 0), (63, 0), (64, 1), (127, 1), (128, 2), (1 << 33, 28), (u64::MAX, 28)] {
            assert_eq!(bucket(ns), expected, "{ns}");
        }
    }

    #[test]
    fn quantiles_are_rounded_up_to_the_bound_of_their_bucket() {
        let histogram = Histogram::new();
        assert_eq!(histogram.snapshot().quantile(0.5), Duration::ZERO);
        for ns in [10, 100, 100, 5_000] {
            histogram.add(Duration::from_nanos(ns));
        }
        let times = histogram.snapshot();
        assert_eq!(
            (times.count, times.total, times.max),
            (4, Duration::from_nanos(5_210), Duration::from_nanos(5_000))
        );
        assert_eq!(times.quantile(0.0), Duration::from_nanos(64));
        assert_eq!(times.quantile(0.5), Duration::from_nanos(128));
        assert_eq!(times.quantile(1.0), Duration::from_nanos(5_000));
    }
}

//! How long a suspicion lasts: shorter the more members confirm it (Lifeguard section IV-B).

use hew_wire::NodeId;
use hew_wire::membership::SUSPECTORS_MAX;
use std::time::{Duration, Instant};

/// Why a suspicion may end in death sooner than its confirmations say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Evidence {
    /// Probes that failed, here or elsewhere.
    Probes,
    /// Somebody declared it dead. As good as all confirmations, and no better: two halves of a cluster may be merging, or
    /// somebody lies, and the suspect needs the time to refute.
    DeclaredDead,
    /// It was linked or is suspected by others, and its machine refuses a connection to us.
    Refused,
}

/// The bounds of a suspicion, from settings and the size of the cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// With all confirmations.
    pub(crate) min: Duration,
    /// With none.
    pub(crate) max: Duration,
    /// How many confirmations make it the shortest.
    pub(crate) confirmations: usize,
    /// When the suspect's machine refuses connections.
    pub(crate) short: Duration,
}

/// A suspicion of one member.
#[derive(Clone, Debug)]
pub(crate) struct Suspicion {
    started: Instant,
    suspectors: Vec<NodeId>,
    evidence: Evidence,
    postponed: Duration,
    /// Since when it counts whether the suspect is heard.
    watched: Instant,
    extensions: u32,
}

impl Suspicion {
    pub(crate) fn new(now: Instant) -> Suspicion {
        Suspicion {
            started: now,
            suspectors: Vec::new(),
            evidence: Evidence::Probes,
            postponed: Duration::ZERO,
            watched: now,
            extensions: 0,
        }
    }

    /// Adds members who suspect it by their own observation. Returns whether one was new and counts.
    pub(crate) fn confirm(&mut self, suspectors: impl IntoIterator<Item = NodeId>) -> bool {
        let before = self.suspectors.len();
        for node in suspectors {
            if self.suspectors.len() < SUSPECTORS_MAX && !self.suspectors.contains(&node) {
                self.suspectors.push(node);
            }
        }
        self.suspectors.len() > before
    }

    /// Adds evidence; the strongest counts.
    pub(crate) fn strengthen(&mut self, evidence: Evidence) {
        self.evidence = self.evidence.max(evidence);
    }

    /// When it runs out.
    pub(crate) fn deadline(&self, bounds: Bounds) -> Instant {
        let confirmed = self.suspectors.len().saturating_sub(1);
        let length = match self.evidence {
            Evidence::Probes => duration(bounds, confirmed),
            Evidence::DeclaredDead => bounds.min,
            Evidence::Refused => bounds.short.min(bounds.min),
        };
        self.started + length + self.postponed
    }

    /// Lets it last longer by `delay`, because this node was paused meanwhile.
    pub(crate) fn postpone(&mut self, delay: Duration) {
        self.postponed = (self.postponed + delay).min(crate::membership::LONG);
    }

    /// Lets it last longer by `delay` if the suspect itself was heard lately; at most `limit` times. A member that still
    /// sends but does not refute has not been told, or cannot act on it: the limit decides.
    pub(crate) fn extend_if_heard(
        &mut self,
        now: Instant,
        heard: Option<Instant>,
        delay: Duration,
        limit: u32,
    ) -> bool {
        let is_heard = heard.is_some_and(|heard| heard > self.watched);
        if !is_heard || self.extensions >= limit {
            return false;
        }
        self.extensions += 1;
        self.watched = now;
        self.postponed += now.saturating_duration_since(self.started + self.postponed).min(delay) + delay;
        true
    }

    pub(crate) fn evidence(&self) -> Evidence {
        self.evidence
    }

    pub(crate) fn suspectors(&self) -> &[NodeId] {
        &self.suspectors
    }
}

/// Lifeguard's formula: from max to min with the logarithm of the number of confirmations.
fn duration(bounds: Bounds, confirmed: usize) -> Duration {
    if bounds.confirmations == 0 || confirmed >= bounds.confirmations {
        return bounds.min;
    }
    let share = ((confirmed + 1) as f64).ln() / ((bounds.confirmations + 1) as f64).ln();
    bounds.max.saturating_sub((bounds.max.saturating_sub(bounds.min)).mul_f64(share)).max(bounds.min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::tests::start;

    const S: Duration = Duration::from_secs(1);

    fn bounds(confirmations: usize) -> Bounds {
        Bounds { min: 3 * S, max: 18 * S, confirmations, short: S / 2 }
    }

    #[test]
    fn confirmations_shorten_it() {
        let t0 = start();
        let mut suspicion = Suspicion::new(t0);
        let mut lengths = Vec::new();
        for node in [1, 2, 2, 3, 4, 5] {
            suspicion.confirm([NodeId::from_raw(node)]);
            lengths.push((suspicion.deadline(bounds(3)) - t0).as_millis());
        }
        assert_eq!(lengths, [18_000, 10_500, 10_500, 6_112, 3_000, 3_000]);
        assert_eq!(suspicion.suspectors().len(), SUSPECTORS_MAX);
        assert!(!suspicion.confirm([NodeId::from_raw(6)]), "no more than the limit");
    }

    #[test]
    fn nobody_to_confirm_means_the_shortest() {
        let t0 = start();
        assert_eq!(Suspicion::new(t0).deadline(bounds(0)), t0 + 3 * S);
    }

    #[test]
    fn evidence_shortens_and_extension_lengthens() {
        let t0 = start();
        let mut suspicion = Suspicion::new(t0);
        suspicion.strengthen(Evidence::Refused);
        suspicion.strengthen(Evidence::DeclaredDead);
        assert_eq!(suspicion.evidence(), Evidence::Refused);
        assert_eq!(suspicion.deadline(bounds(3)), t0 + S / 2);
        suspicion.postpone(10 * S);
        assert_eq!(suspicion.deadline(bounds(3)), t0 + 10 * S + S / 2);
    }
}

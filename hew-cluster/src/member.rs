//! One member of the cluster as this node knows it, and the rule which of two statements about a member is newer.

use crate::rtt::Rtt;
use crate::suspicion::Suspicion;
use hew_wire::membership::{MemberState, MemberUpdate};
use hew_wire::{Incarnation, NodeId};
use std::time::{Duration, Instant};

/// A member, and what this node knows of it.
///
/// It stays in the table after its death, because its incarnation is the watermark below which nothing about this node
/// id is believed any more.
#[derive(Clone, Debug)]
pub struct Member {
    pub(crate) node: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) refutation: u32,
    pub(crate) state: MemberState,
    pub(crate) address: Option<String>,
    pub(crate) contact: Contact,
    pub(crate) suspicion: Option<Suspicion>,
}

/// What this node itself has seen of a member; never gossiped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contact {
    /// The incarnation at the other end of the link, while there is one.
    pub(crate) linked: Option<Incarnation>,
    /// Whether a link with this incarnation broke or was idle, and none came up since.
    pub(crate) is_broken: bool,
    pub(crate) heard: Option<Instant>,
    pub(crate) rtt: Rtt,
    pub(crate) died: Option<Instant>,
    /// When this node last answered the peer with each kind of costly or reflex message.
    pub(crate) snapshot_sent: Option<Instant>,
    pub(crate) digest_answered: Option<Instant>,
    pub(crate) corrected: Option<Instant>,
    /// A join was sent, and the last page of the reply did not come yet.
    pub(crate) is_join_open: bool,
    /// A digest was sent, whose diff may still be answered.
    pub(crate) is_digest_open: bool,
}

impl Member {
    pub(crate) fn new(
        node: NodeId,
        incarnation: Incarnation,
        state: MemberState,
        address: Option<String>,
    ) -> Member {
        Member {
            node,
            incarnation,
            refutation: 0,
            state,
            address,
            contact: Contact::default(),
            suspicion: None,
        }
    }

    /// Its id.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The highest incarnation of it that is known.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// How often it has refuted in this incarnation, as far as known.
    pub fn refutation(&self) -> u32 {
        self.refutation
    }

    /// What it is thought to be.
    pub fn state(&self) -> MemberState {
        self.state
    }

    /// Whether it counts as there: alive or suspected.
    pub fn is_up(&self) -> bool {
        matches!(self.state, MemberState::Alive | MemberState::Suspect)
    }

    /// Where it can be dialled, if known.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// Whether there is a link with this incarnation of it.
    pub fn is_linked(&self) -> bool {
        self.contact.linked == Some(self.incarnation)
    }

    /// When this node last heard from it; `None` for never, and for this node itself.
    pub fn heard(&self) -> Option<Instant> {
        self.contact.heard
    }

    /// The smoothed round-trip time of pings to it, if one was answered.
    pub fn rtt(&self) -> Option<Duration> {
        self.contact.rtt.mean()
    }

    /// What this node says of it to others.
    pub(crate) fn update(&self) -> MemberUpdate {
        MemberUpdate {
            node: self.node,
            incarnation: self.incarnation,
            refutation: self.refutation,
            state: self.state,
            address: self.address.clone().unwrap_or_default(),
            suspectors: self.suspicion.as_ref().map(|s| s.suspectors().to_vec()).unwrap_or_default(),
        }
    }
}

/// The part of a statement about a member that decides which of two is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) incarnation: Incarnation,
    pub(crate) refutation: u32,
    pub(crate) state: MemberState,
}

/// How a statement that was heard relates to the one that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Of a later start: the known one is over.
    Replaces,
    /// Of the same start, and later.
    Newer,
    /// The same.
    Same,
    /// Of the same start, and overridden by what is known.
    Older,
    /// Of a start that is over.
    Stale,
}

/// The order of statements: the incarnation, then *left* is final, then the refutation, then the state in the order
/// alive, suspect, dead.
pub(crate) fn compare(known: Claim, heard: Claim) -> Verdict {
    use std::cmp::Ordering::{Equal, Greater, Less};
    match heard.incarnation.cmp(&known.incarnation) {
        Greater => return Verdict::Replaces,
        Less => return Verdict::Stale,
        Equal => {}
    }
    match (known.state == MemberState::Left, heard.state == MemberState::Left) {
        (true, true) => return Verdict::Same,
        (true, false) => return Verdict::Older,
        (false, true) => return Verdict::Newer,
        (false, false) => {}
    }
    match (heard.refutation, heard.state).cmp(&(known.refutation, known.state)) {
        Greater => Verdict::Newer,
        Equal => Verdict::Same,
        Less => Verdict::Older,
    }
}

impl From<&Member> for Claim {
    fn from(member: &Member) -> Claim {
        Claim { incarnation: member.incarnation, refutation: member.refutation, state: member.state }
    }
}

impl From<&MemberUpdate> for Claim {
    fn from(update: &MemberUpdate) -> Claim {
        Claim { incarnation: update.incarnation, refutation: update.refutation, state: update.state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use MemberState::{Alive, Dead, Left, Suspect};
    use Verdict::{Newer, Older, Replaces, Same, Stale};

    fn claim((incarnation, refutation, state): (u64, u32, MemberState)) -> Claim {
        Claim { incarnation: Incarnation(incarnation), refutation, state }
    }

    #[test]
    fn a_member_takes_the_memory_that_the_settings_say() {
        let bytes = size_of::<Member>();
        println!("{bytes} bytes");
        assert!(bytes <= 300, "{bytes} bytes");
    }

    #[test]
    fn the_order_of_statements() {
        let table = [
            // known, heard, verdict
            ((5, 0, Alive), (5, 0, Alive), Same),
            ((5, 0, Alive), (5, 0, Suspect), Newer),
            ((5, 0, Alive), (5, 0, Dead), Newer),
            ((5, 0, Alive), (5, 0, Left), Newer),
            ((5, 0, Suspect), (5, 0, Alive), Older),
            ((5, 0, Suspect), (5, 1, Alive), Newer),
            ((5, 0, Suspect), (5, 0, Suspect), Same),
            ((5, 0, Suspect), (5, 0, Dead), Newer),
            ((5, 0, Dead), (5, 0, Alive), Older),
            ((5, 0, Dead), (5, 0, Suspect), Older),
            ((5, 0, Dead), (5, 1, Alive), Newer),
            ((5, 0, Dead), (5, 1, Suspect), Newer),
            ((5, 2, Alive), (5, 1, Dead), Older),
            ((5, 2, Suspect), (5, 1, Dead), Older),
            // Left is final for the incarnation, whatever the refutation.
            ((5, 0, Left), (5, 0, Left), Same),
            ((5, 0, Left), (5, u32::MAX, Alive), Older),
            ((5, 0, Left), (5, u32::MAX, Dead), Older),
            ((5, u32::MAX, Dead), (5, 0, Left), Newer),
            // The incarnation is above all.
            ((5, 9, Left), (6, 0, Alive), Replaces),
            ((5, 9, Alive), (6, 0, Dead), Replaces),
            ((5, 0, Dead), (4, u32::MAX, Alive), Stale),
            ((5, 0, Alive), (4, u32::MAX, Left), Stale),
        ];
        for (known, heard, verdict) in table {
            assert_eq!(compare(claim(known), claim(heard)), verdict, "known {known:?}, heard {heard:?}");
        }
    }

    #[test]
    fn the_order_is_total_within_an_incarnation() {
        let claims: Vec<_> = [Alive, Suspect, Dead, Left]
            .into_iter()
            .flat_map(|state| [0, 1, u32::MAX].map(|refutation| claim((5, refutation, state))))
            .collect();
        for &a in &claims {
            for &b in &claims {
                let expected = match compare(a, b) {
                    Newer => Older,
                    Older => Newer,
                    Same => Same,
                    verdict => panic!("{verdict:?} within one incarnation"),
                };
                assert_eq!(compare(b, a), expected, "{a:?} {b:?}");
            }
        }
    }
}

//! Which of two connections between the same two nodes stays.
//!
//! Two nodes may dial each other at the same moment. Both sides come to the same answer without talking about it: the
//! connection that the node with the smaller id dialled stays. A peer that dials although this node still has a
//! connection to it has lost that connection, unless its dial crossed ours.

use hew_wire::NodeId;

/// What this node has to the peer when the peer's own dial arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Nothing.
    None,
    /// A dial of ours is on its way.
    Dialing,
    /// A connection. `older` tells that it stood before the peer's dial arrived here.
    Connected {
        /// We dialled it.
        dialed_here: bool,
        /// It was up before the offered connection was accepted.
        older: bool,
    },
}

/// The answer to a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The offered connection takes over; an existing one is closed.
    Take,
    /// The offered connection is refused as busy: ours stays.
    Refuse,
}

/// Decides about a connection that `remote` dialled to `local`.
pub(crate) fn settle(local: NodeId, remote: NodeId, existing: Existing) -> Settled {
    match existing {
        Existing::None => Settled::Take,
        // The peer dialled with our connection standing: it has lost it.
        Existing::Connected { older: true, .. } => Settled::Take,
        // The peer's dial replaced by another dial of the same peer: the newer one counts.
        Existing::Connected { dialed_here: false, older: false } => Settled::Take,
        // The dials crossed.
        Existing::Dialing | Existing::Connected { dialed_here: true, older: false } => {
            if local < remote {
                Settled::Refuse
            } else {
                Settled::Take
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crossing_dials_leave_exactly_one_connection() {
        for (a, b) in [(1, 2), (7, 300), (65_534, 65_535)] {
            let (a, b) = (NodeId::from_raw(a), NodeId::from_raw(b));
            for existing in [Existing::Dialing, Existing::Connected { dialed_here: true, older: false }] {
                assert_eq!(settle(a, b, existing), Settled::Refuse, "the smaller id's own dial stays");
                assert_eq!(settle(b, a, existing), Settled::Take, "the larger id gives way");
            }
        }
    }

    #[test]
    fn a_peer_that_lost_its_connection_comes_back() {
        let (a, b) = (NodeId::from_raw(1), NodeId::from_raw(2));
        for (local, remote) in [(a, b), (b, a)] {
            for dialed_here in [true, false] {
                assert_eq!(
                    settle(local, remote, Existing::Connected { dialed_here, older: true }),
                    Settled::Take
                );
            }
            assert_eq!(settle(local, remote, Existing::None), Settled::Take);
        }
    }
}

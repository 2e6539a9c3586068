//! An evil peer: it speaks the protocol well enough to get anywhere, and then breaks one rule.
//!
//! [`forge`] shakes hands by hand, with every byte open to change; [`link`] speaks records and frames afterwards;
//! [`log`] is what nodes say of it;
//! [`stage`] is the world that is attacked: a real node over TCP, and a healthy second node that must not notice.
//! What is attacked, and what must come of it, is the table in `tests/evil_peer.rs`.

pub mod forge;
pub mod link;
pub mod log;
pub mod stage;

use std::fmt;

/// What the evil peer gets to hear in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A verdict other than 0, in the clear or in a record, and nothing after it.
    Refused {
        /// Its status byte.
        status: u8,
        /// Its reason.
        reason: String,
        /// Whether it came in a record, under the session's keys.
        sealed: bool,
    },
    /// The connection was closed without a word.
    Closed,
    /// The node went on, and answers a heartbeat.
    Alive,
    /// Something that is in no rule book.
    Odd(String),
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Heard::Refused { status, reason, sealed } => {
                write!(f, "{} {status}: {reason:?}", if *sealed { "sealed verdict" } else { "verdict" })
            }
            Heard::Closed => f.write_str("closed"),
            Heard::Alive => f.write_str("alive"),
            Heard::Odd(what) => write!(f, "odd: {what}"),
        }
    }
}

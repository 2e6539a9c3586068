//! What a chaos proxy does to one connection.

use std::time::Duration;

/// A direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// From the side that dialled.
    Forth,
    /// To the side that dialled.
    Back,
}

/// How a connection is carried, and what becomes of it. The default is a connection that works.
#[derive(Clone, Debug)]
pub struct Fate {
    /// How long each byte is on its way, in both directions.
    pub latency: Duration,
    /// Bytes that pass per second in each direction; `None`: as many as come.
    pub bytes_per_s: Option<u64>,
    /// Bytes that are on the way at most in each direction, at least 1; then the sender waits.
    pub room: usize,
    /// What goes wrong; in each direction in this order.
    pub harms: Vec<Harm>,
}

/// Something goes wrong when so many bytes have passed in one direction.
#[derive(Clone, Copy, Debug)]
pub struct Harm {
    /// The direction whose bytes are counted.
    pub way: Way,
    /// How many of them pass before.
    pub after: u64,
    /// What happens then.
    pub kind: Kind,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Both streams end; what is on the way is lost.
    End,
    /// Both sides see a reset, where the carrier can do that; what is on the way is lost.
    Reset,
    /// The sender's side sees the end. The receiver's side sees nothing, and after this time it gets what the sender
    /// had sent before, and then the end.
    Late(Duration),
    /// Nothing passes any more in either direction, and neither side is told.
    Silence,
    /// Nothing passes any more in this direction, without a sign; the other one works.
    Deaf,
    /// Nothing passes in this direction for so long; then it goes on.
    Stall(Duration),
    /// A bit of the next byte is changed.
    Corrupt,
}

impl Kind {
    /// A short name for counters.
    pub fn name(self) -> &'static str {
        match self {
            Kind::End => "end",
            Kind::Reset => "reset",
            Kind::Late(_) => "late",
            Kind::Silence => "silence",
            Kind::Deaf => "deaf",
            Kind::Stall(_) => "stall",
            Kind::Corrupt => "corrupt",
        }
    }

    /// Whether the connection cannot go on after it.
    pub fn breaks(self) -> bool {
        !matches!(self, Kind::Stall(_))
    }
}

impl Default for Fate {
    fn default() -> Fate {
        Fate { latency: Duration::ZERO, bytes_per_s: None, room: 256 * 1024, harms: Vec::new() }
    }
}

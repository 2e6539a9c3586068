//! Identities: node ids, incarnations and process ids.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Number of bits of a [`Pid`] that hold the serial.
pub const SERIAL_BITS: u32 = 48;
/// Largest serial: 2^48 − 1.
pub const SERIAL_MAX: u64 = (1 << SERIAL_BITS) - 1;
/// Serials below this are never given to an actor that a program spawned: they address services of the node itself.
pub const SERIAL_RESERVED: u64 = 1024;

/// The number of a node in its cluster, 0 to 65,535.
///
/// 0 ([`NodeId::LOCAL`]) means "this process" and never crosses a link; a node that listens has an id from 1 to 65,535.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(u16);

/// A node id was 0 or not a number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not a node id: expected a number from 1 to 65535")]
pub struct InvalidNodeId {
    given: String,
}

impl NodeId {
    /// "This process", before a node is started.
    pub const LOCAL: NodeId = NodeId(0);

    /// A node id from 1 to 65,535.
    ///
    /// # Errors
    /// [`InvalidNodeId`] for 0.
    pub fn new(id: u16) -> Result<NodeId, InvalidNodeId> {
        if id == 0 {
            return Err(InvalidNodeId { given: "0".into() });
        }
        Ok(NodeId(id))
    }

    /// Any value, including 0; for decoding, where 0 is refused by the caller with a better message.
    pub const fn from_raw(id: u16) -> NodeId {
        NodeId(id)
    }

    /// The number.
    pub const fn raw(self) -> u16 {
        self.0
    }

    /// Whether this is 0, "this process".
    pub const fn is_local(self) -> bool {
        self.0 == 0
    }
}

impl FromStr for NodeId {
    type Err = InvalidNodeId;

    fn from_str(text: &str) -> Result<NodeId, InvalidNodeId> {
        let id = text.parse::<u16>().map_err(|_| InvalidNodeId { given: text.chars().take(32).collect() })?;
        NodeId::new(id)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// One start of a node: greater than that of every earlier start of the same node id.
///
/// By default the milliseconds since 1970 at the start, raised above every earlier one that is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

impl Incarnation {
    /// The greatest one: 2^48, the year 10,889 in milliseconds since 1970. One above it is not believed, because it could leave
    /// its node no room to ever start again.
    pub const MAX: Incarnation = Incarnation(1 << 48);

    /// The serial of the first actor of this incarnation.
    ///
    /// A serial is the incarnation's millisecond times 4,096, modulo 2^48: an incarnation may spawn 4,096 actors per
    /// millisecond of its life before it reaches serials of a later start, and a serial repeats only after 2.17 years.
    pub const fn first_serial(self) -> u64 {
        let serial = self.0.wrapping_shl(12) & SERIAL_MAX;
        if serial < SERIAL_RESERVED { SERIAL_RESERVED } else { serial }
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "i{}", self.0)
    }
}

/// The address of an actor: 16 bits of node id, 48 bits of serial.
///
/// Written as `node.serial`, for example `2.77`. A PID is a plain value: it can be sent, stored and compared. It
/// does not keep the actor alive, and it never comes to mean another actor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pid(u64);

/// Text that is not of the form `node.serial`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not a PID: expected node.serial, for example 2.77")]
pub struct InvalidPid {
    given: String,
}

impl Pid {
    /// The PID of an actor; bits of `serial` above 48 are cut off.
    pub const fn new(node: NodeId, serial: u64) -> Pid {
        Pid(((node.0 as u64) << SERIAL_BITS) | (serial & SERIAL_MAX))
    }

    /// Any 64 bits are a PID.
    pub const fn from_raw(raw: u64) -> Pid {
        Pid(raw)
    }

    /// The 64 bits: `node << 48 | serial`.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The node the actor runs on; [`NodeId::LOCAL`] for an actor of a process that has not started a node.
    pub const fn node(self) -> NodeId {
        NodeId((self.0 >> SERIAL_BITS) as u16)
    }

    /// The actor's number on its node, 0 to 2^48 − 1.
    pub const fn serial(self) -> u64 {
        self.0 & SERIAL_MAX
    }
}

impl FromStr for Pid {
    type Err = InvalidPid;

    fn from_str(text: &str) -> Result<Pid, InvalidPid> {
        let invalid = || InvalidPid { given: text.chars().take(64).collect() };
        let (node, serial) = text.split_once('.').ok_or_else(invalid)?;
        let node = node.parse::<u16>().map_err(|_| invalid())?;
        let serial = serial.parse::<u64>().map_err(|_| invalid())?;
        if serial > SERIAL_MAX {
            return Err(invalid());
        }
        Ok(Pid::new(NodeId(node), serial))
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node(), self.serial())
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{self}>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_node_and_serial() {
        let pid = Pid::new(NodeId(0xBEEF), 0x1234_5678_9ABC);
        assert_eq!(pid.raw(), 0xBEEF_1234_5678_9ABC);
        assert_eq!(pid.node().raw(), 0xBEEF);
        assert_eq!(pid.serial(), 0x1234_5678_9ABC);
        assert_eq!(Pid::new(NodeId(1), u64::MAX).raw(), 0x0001_FFFF_FFFF_FFFF);
    }

    #[test]
    fn a_pid_reads_back_from_its_text() {
        for pid in [Pid::from_raw(0), Pid::from_raw(u64::MAX), Pid::new(NodeId(2), 77)] {
            assert_eq!(pid.to_string().parse::<Pid>().unwrap(), pid);
        }
        for text in ["", "1", "1.", ".1", "65536.1", "1.281474976710656", "-1.2", "1.2.3"] {
            assert!(text.parse::<Pid>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn node_ids_are_1_to_65535() {
        assert!(NodeId::new(0).is_err());
        assert_eq!("65535".parse::<NodeId>().unwrap().raw(), 65535);
        for text in ["0", "65536", "x", "", "-1"] {
            let error = text.parse::<NodeId>().unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn a_later_start_has_later_serials() {
        let (earlier, later) = (Incarnation(1_800_000_000_000), Incarnation(1_800_000_000_001));
        assert_eq!(later.first_serial() - earlier.first_serial(), 4096);
        assert_eq!(Incarnation(0).first_serial(), SERIAL_RESERVED);
    }
}

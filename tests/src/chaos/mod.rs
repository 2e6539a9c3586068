//! A proxy between two nodes that does to their connections what networks do, only more often.
//!
//! It stands between nodes that dial each other through it: a node listens somewhere and advertises the proxy's address.
//! [`fate`] says what is done to a connection, [`proxy`] draws one for each from a seed. The same proxy works over real
//! sockets and over the simulated network, in virtual time; [`carrier`] is the difference.
//!
//! What makes it nastier than a network that just breaks: bytes stay on the way. One side may take a connection for
//! broken, dial again and go on, while what it had sent before still reaches the other side, seconds later.

pub mod carrier;
mod connection;
mod course;
pub mod draw;
pub mod fate;
pub mod proxy;
mod valve;

pub use carrier::{Carrier, TcpCarrier};
pub use fate::{Fate, Harm, Kind, Way};
pub use proxy::{Proxy, Tally};
pub use valve::Flow;

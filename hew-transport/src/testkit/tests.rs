//! The kit runs for the three transports of this crate, and notices transports that break their promises.

use super::*;
use crate::{Mem, Tcp};
use std::sync::atomic::{AtomicU16, Ordering};

/// A loopback address of its own for each setup, so that a port that a case gives back is not taken by another test.
fn loopback() -> Addr {
    static SETUPS: AtomicU16 = AtomicU16::new(0);
    let [a, b] = (std::process::id() as u16).to_be_bytes();
    let [.., c] = SETUPS.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    Addr::from(std::net::SocketAddr::from(([127, a | 1, b, c.wrapping_add(2)], 0)))
}

crate::conformance!(tcp, {
    let addr = loopback();
    Setup::new(Tcp::new(), move |_| addr.clone())
});

crate::conformance!(mem, Setup::new(Mem::new(), |n| Addr::mem(&format!("n{n}")).unwrap()));

crate::conformance!(unix, {
    let directory = tempfile::tempdir().unwrap();
    Setup::new(crate::Unix::new(), move |n| Addr::unix(directory.path().join(n.to_string())).unwrap())
});

//! Why listening, connecting or accepting failed.

use crate::addr::{Addr, Scheme};
use std::io;
use std::time::Duration;

/// A listen, connect or accept that failed. Each message names the address and the cause.
///
/// Whatever failed left nothing behind: no socket, no file, no half-open connection. A listener whose accept failed
/// is still good if [`is_transient`](TransportError::is_transient) says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The address is of another kind than this transport's; nothing was tried.
    #[error("{addr}: this transport takes {takes} addresses only")]
    Unsupported {
        /// The address.
        addr: Addr,
        /// What the transport takes.
        takes: Scheme,
    },
    /// Somebody listens there already.
    #[error("{addr}: the address is already in use")]
    AddressInUse {
        /// The address.
        addr: Addr,
    },
    /// The address is not one of this machine, so that nothing can listen there.
    #[error("{addr}: the address does not belong to this machine")]
    AddressUnavailable {
        /// The address.
        addr: Addr,
    },
    /// The path of a Unix socket is taken by something that is not a socket; it was left alone.
    #[error("{addr}: the path exists and is not a socket")]
    NotASocket {
        /// The address.
        addr: Addr,
    },
    /// Nobody listens there.
    #[error("{addr}: connection refused, nobody listens there")]
    Refused {
        /// The address.
        addr: Addr,
    },
    /// No way leads there.
    #[error("{addr}: unreachable: {source}")]
    Unreachable {
        /// The address.
        addr: Addr,
        /// What the system says.
        source: io::Error,
    },
    /// The host name has no address.
    #[error("{addr}: cannot resolve the host {host:?}: {source}")]
    Resolve {
        /// The address.
        addr: Addr,
        /// The host name.
        host: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// No answer came in time.
    #[error("{addr}: no answer within {after:?}")]
    TimedOut {
        /// The address.
        addr: Addr,
        /// How long was waited.
        after: Duration,
    },
    /// The system does not let this process do it.
    #[error("{addr}: permission denied: {source}")]
    PermissionDenied {
        /// The address.
        addr: Addr,
        /// What the system says.
        source: io::Error,
    },
    /// A host name has several addresses and each of them failed.
    #[error("{addr}: every address of the host failed: {}", join(attempts))]
    AllFailed {
        /// The address that was asked for.
        addr: Addr,
        /// What happened at each address, in the order in which they were tried.
        attempts: Vec<TransportError>,
    },
    /// A connection could not be accepted.
    #[error("{addr}: cannot accept ({}): {source}", if *transient { "the listener is still good" } else { "the listener is unusable" })]
    Accept {
        /// The address of the listener.
        addr: Addr,
        /// Whether the listener is still good.
        transient: bool,
        /// What the system says.
        source: io::Error,
    },
    /// Anything else that the system reports.
    #[error("{addr}: cannot {operation}: {source}")]
    Io {
        /// The address.
        addr: Addr,
        /// What was being done, as in "listen" or "connect".
        operation: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

impl TransportError {
    /// The error of `operation` (as in "listen" or "connect") at `addr`, by what the system says.
    pub fn from_io(addr: &Addr, operation: &'static str, source: io::Error) -> TransportError {
        let addr = addr.clone();
        match source.kind() {
            io::ErrorKind::AddrInUse => TransportError::AddressInUse { addr },
            io::ErrorKind::AddrNotAvailable => TransportError::AddressUnavailable { addr },
            io::ErrorKind::ConnectionRefused => TransportError::Refused { addr },
            io::ErrorKind::PermissionDenied => TransportError::PermissionDenied { addr, source },
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            // The kernel's own patience ended before ours: what it says about the way is more than a duration.
            | io::ErrorKind::TimedOut => TransportError::Unreachable { addr, source },
            _ => TransportError::Io { addr, operation, source },
        }
    }

    /// The address that the operation was about.
    pub fn addr(&self) -> &Addr {
        match self {
            TransportError::Unsupported { addr, .. }
            | TransportError::AddressInUse { addr }
            | TransportError::AddressUnavailable { addr }
            | TransportError::NotASocket { addr }
            | TransportError::Refused { addr }
            | TransportError::Unreachable { addr, .. }
            | TransportError::Resolve { addr, .. }
            | TransportError::TimedOut { addr, .. }
            | TransportError::PermissionDenied { addr, .. }
            | TransportError::AllFailed { addr, .. }
            | TransportError::Accept { addr, .. }
            | TransportError::Io { addr, .. } => addr,
        }
    }

    /// Whether a listener whose accept gave this error is still good: wait a little, then accept again.
    ///
    /// Waiting matters: when the process is out of file descriptors, the connection stays in the queue and the next
    /// accept fails at once. Errors of listen and connect are never transient in this sense.
    pub fn is_transient(&self) -> bool {
        matches!(self, TransportError::Accept { transient: true, .. })
    }

    /// Whether nobody listens at the address, or at any address of the host.
    pub fn is_refused(&self) -> bool {
        match self {
            TransportError::Refused { .. } => true,
            TransportError::AllFailed { attempts, .. } => attempts.iter().all(TransportError::is_refused),
            _ => false,
        }
    }
}

fn join(attempts: &[TransportError]) -> String {
    attempts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_address_and_the_cause() {
        let addr: Addr = "db.example:9000".parse().unwrap();
        for (kind, cause) in [
            (io::ErrorKind::AddrInUse, "in use"),
            (io::ErrorKind::AddrNotAvailable, "this machine"),
            (io::ErrorKind::ConnectionRefused, "refused"),
            (io::ErrorKind::PermissionDenied, "permission denied"),
            (io::ErrorKind::HostUnreachable, "unreachable"),
            (io::ErrorKind::Other, "cannot connect"),
        ] {
            let error = TransportError::from_io(&addr, "connect", kind.into());
            assert_eq!(error.addr(), &addr);
            let text = error.to_string();
            assert!(text.contains("db.example:9000") && text.contains(cause), "{text}");
            assert!(!error.is_transient());
        }
    }

    #[test]
    fn several_failures_are_all_named() {
        let (a, b): (Addr, Addr) = ("[::1]:9".parse().unwrap(), "127.0.0.1:9".parse().unwrap());
        let error = TransportError::AllFailed {
            addr: "localhost:9".parse().unwrap(),
            attempts: vec![TransportError::Refused { addr: a }, TransportError::Refused { addr: b }],
        };
        let text = error.to_string();
        assert!(
            text.contains("localhost:9") && text.contains("[::1]:9") && text.contains("127.0.0.1:9"),
            "{text}"
        );
        assert!(error.is_refused());
    }
}

//! Links: one resumable session with each other node, over whatever connections there are.
//!
//! | file | idea |
//! |---|---|
//! | `outgoing`, `incoming` | the session's two directions as pure machines: lanes, numbers, replay, fragments |
//! | `peer` | one other node: the session, its current connection, and who waits for what |
//! | `settle`, `backoff` | pure decisions: which of two connections stays, how long to wait before dialling again |
//! | `gate` | the node's decisions during a handshake |
//! | `handshake` | drives an [`Authenticator`](hew_security::Authenticator)'s machine over a byte stream |
//! | `connection` | the reader and the writer of an established connection |
//! | `connector`, `acceptor` | who dials when, and who lets others in |

pub(crate) mod acceptor;
pub(crate) mod backoff;
pub(crate) mod connection;
pub(crate) mod connector;
pub(crate) mod gate;
pub(crate) mod handshake;
pub(crate) mod incoming;
pub(crate) mod outgoing;
pub(crate) mod peer;
pub(crate) mod settle;

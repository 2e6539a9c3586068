//! Links: one resumable session with each other node, over whatever connections there are.
//!
//! | file | idea |
//! |---|---|
//! | `outgoing`, `incoming` | the session's two directions as pure machines: lanes, numbers, replay, fragments |
//! | `block`, `window` | what `outgoing` is made of: frames that share a record, and how much may be on its way |
//! | `peer` | one other node: what is queued and what came, and who waits for what; in `sessions` how its connections come and go |
//! | `session` | what is said of it: standing, what a handshake agreed on, what came of that |
//! | `settle`, `backoff` | pure decisions: which of two connections stays, how long to wait before dialling again |
//! | `gate` | the node's decisions during a handshake |
//! | `handshake` | drives an [`Authenticator`](hew_security::Authenticator)'s machine over a byte stream |
//! | `connection` | an established connection: its `reader` and its `writer` |
//! | `idle` | when a connection was idle for so long that it is closed |
//! | `spin` | looks at a connection for a short while before sleeping |
//! | `compressing`, `decompressing` | which payloads go out compressed, and what becomes of those that come so |
//! | `arrivals` | hands what came over to actors, a batch for each |
//! | `connector`, `acceptor` | who dials when, and who lets others in |
//! | `half_open` | how many connections may be unproven, from whom, and how fast they may come |

pub(crate) mod acceptor;
pub(crate) mod arrivals;
pub(crate) mod backoff;
pub(crate) mod block;
pub(crate) mod compressing;
pub(crate) mod connection;
pub(crate) mod connector;
mod decompressing;
pub(crate) mod gate;
pub(crate) mod half_open;
pub(crate) mod handshake;
mod idle;
pub(crate) mod incoming;
pub(crate) mod outgoing;
pub(crate) mod peer;
mod reader;
pub(crate) mod session;
pub(crate) mod settle;
pub(crate) mod spin;
mod window;
mod writer;

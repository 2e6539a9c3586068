//! Ordered byte streams between nodes: the [`Transport`] trait with TCP, Unix and in-memory implementations.
//!
//! This crate moves bytes and knows nothing of what they mean. [`Tcp`] is what nodes use between machines, [`Unix`]
//! between processes of one machine, [`Mem`] inside one process: tests, and simulations with faults.
//!
//! ```
//! use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
//! use hew_transport::{Listener, Mem, Transport};
//!
//! # future::block_on(async {
//! let network = Mem::new();
//! let mut listener = network.listen(&"mem:n1".parse()?).await?;
//! let mut dialled = network.connect(&"mem:n1".parse()?).await?;
//! let mut accepted = listener.accept().await?;
//!
//! dialled.writer.write_all(b"hello").await?;
//! dialled.writer.close().await?;
//! let mut text = String::new();
//! accepted.reader.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! # How to write a transport
//!
//! `docs/transport-guide.md` shows a whole one, step by step. In short:
//!
//! 1. Pick which [`Addr`]s it takes, and answer every other with [`TransportError::Unsupported`].
//! 2. Implement [`Transport`] and [`Listener`] (both under [`macro@async_trait`]) with a reader and a writer of your
//!    own: two types with [`AsyncRead`] and [`AsyncWrite`], which may share the stream behind an `Arc`. The promises
//!    to keep are listed at [`Transport`].
//! 3. Give failures as [`TransportError`]s; [`TransportError::from_io`] sorts what the system reports.
//! 4. In a test, turn on the feature `testkit` and call `conformance!` with the transport and a function that gives
//!    addresses; that one line becomes a named test for each promise. `testkit::Setup` shows how.

#![forbid(unsafe_code)]

mod addr;
mod error;
mod mem;
mod socket;
mod tcp;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
mod transport;
mod unix;

pub use addr::{
    Addr, HOST_BYTES_MAX, HOST_LABEL_BYTES_MAX, InvalidAddr, InvalidAddrReason, MEM_NAME_BYTES_MAX, Scheme,
    UNIX_PATH_BYTES_MAX,
};
pub use async_trait::async_trait;
pub use error::TransportError;
pub use futures_lite::io::{AsyncRead, AsyncWrite};
pub use mem::{Mem, MemListener, MemReader, MemWriter};
pub use tcp::{Tcp, TcpListener, TcpReader, TcpWriter};
pub use transport::{Connection, Listener, Transport};
pub use unix::{Unix, UnixListener, UnixReader, UnixWriter};

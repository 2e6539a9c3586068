//! The kit runs for the three transports of this crate, and notices transports that break their promises.

use super::*;
use crate::{AsyncWrite, Mem, MemListener, MemReader, MemWriter, Tcp};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::{Context, Poll};

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

/// An in-memory transport that breaks one promise.
struct Faulty(Mem, Fault);

#[derive(Clone, Copy)]
enum Fault {
    /// Bytes arrive changed.
    Changes,
    /// A write says that it took more than it did.
    Loses,
    /// A close does nothing.
    IgnoresClose,
    /// Any address does.
    TakesEveryScheme,
    /// A dead address is not told from other trouble.
    HidesRefusal,
}

struct FaultyWriter(Option<MemWriter>, Fault);

struct FaultyListener(MemListener, Fault);

#[crate::async_trait]
impl Transport for Faulty {
    type Listener = FaultyListener;
    type Reader = MemReader;
    type Writer = FaultyWriter;

    async fn listen(&self, addr: &Addr) -> Result<FaultyListener, TransportError> {
        let taken = match self.1 {
            Fault::TakesEveryScheme => Addr::mem("anything").unwrap(),
            _ => addr.clone(),
        };
        Ok(FaultyListener(self.0.listen(&taken).await?, self.1))
    }

    async fn connect(&self, addr: &Addr) -> Result<Connection<MemReader, FaultyWriter>, TransportError> {
        match (self.0.connect(addr).await, self.1) {
            (Err(TransportError::Refused { addr }), Fault::HidesRefusal) => {
                Err(TransportError::Io { addr, operation: "connect", source: io::ErrorKind::Other.into() })
            }
            (connected, fault) => connected.map(|connection| faulty(connection, fault)),
        }
    }
}

#[crate::async_trait]
impl Listener for FaultyListener {
    type Reader = MemReader;
    type Writer = FaultyWriter;

    fn local_addr(&self) -> Addr {
        self.0.local_addr()
    }

    async fn accept(&mut self) -> Result<Connection<MemReader, FaultyWriter>, TransportError> {
        self.0.accept().await.map(|connection| faulty(connection, self.1))
    }
}

fn faulty(connection: ConnectionOf<Mem>, fault: Fault) -> Connection<MemReader, FaultyWriter> {
    let Connection { reader, writer, peer } = connection;
    Connection { reader, writer: FaultyWriter(Some(writer), fault), peer }
}

impl AsyncWrite for FaultyWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let FaultyWriter(Some(writer), fault) = &mut *self else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let sent = match fault {
            Fault::Changes => bytes.iter().map(|byte| byte ^ u8::from(bytes.len() > 1000)).collect(),
            Fault::Loses => bytes[bytes.len() / 1000..].to_vec(),
            _ => bytes.to_vec(),
        };
        let lost = bytes.len() - sent.len();
        Pin::new(writer).poll_write(cx, &sent).map_ok(|written| written + lost)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !matches!(self.1, Fault::IgnoresClose) {
            self.0 = None;
        }
        Poll::Ready(Ok(()))
    }
}

fn faulty_setup(fault: Fault) -> Setup<Faulty> {
    Setup::new(Faulty(Mem::new(), fault), |n| Addr::mem(&format!("n{n}")).unwrap())
}

#[test]
#[should_panic(expected = "other bytes arrive")]
fn the_kit_notices_changed_bytes() {
    run(faulty_setup(Fault::Changes), cases::bytes_arrive_in_order);
}

#[test]
#[should_panic(expected = "other bytes arrive")]
fn the_kit_notices_lost_bytes() {
    run(faulty_setup(Fault::Loses), cases::bytes_arrive_in_order);
}

#[test]
#[should_panic(expected = "Ok(4)")]
fn the_kit_notices_writes_after_a_close() {
    run(faulty_setup(Fault::IgnoresClose), cases::a_write_after_close_fails);
}

#[test]
#[should_panic(expected = "this must fail")]
fn the_kit_notices_addresses_of_other_schemes() {
    run(faulty_setup(Fault::TakesEveryScheme), cases::other_schemes_are_unsupported);
}

#[test]
#[should_panic(expected = "cannot connect")]
fn the_kit_notices_errors_of_the_wrong_kind() {
    run(faulty_setup(Fault::HidesRefusal), cases::dialling_nobody_is_refused);
}

/// The list in the macro, which is what runs, has every case.
#[test]
fn every_case_is_a_test() {
    let count = |source: &str| source.matches("\npub async fn ").count();
    let written = [
        include_str!("cases/bytes.rs"),
        include_str!("cases/cancel.rs"),
        include_str!("cases/connect.rs"),
        include_str!("cases/end.rs"),
    ]
    .map(count);
    let kit = include_str!("mod.rs");
    let list = kit.split_once("$setup,\n").unwrap().1.split_once(");").unwrap().0;
    assert_eq!(list.split_whitespace().count(), written.iter().sum::<usize>());
}

//! A process without free file descriptors: accept says that the listener is still good, does not spin, and goes on.
//!
//! One test only in this file, because the limit it lowers holds for the whole process.

#![allow(clippy::unwrap_used)]

use async_io::{Timer, block_on};
use futures_lite::future::{or, poll_once};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use hew_transport::{Addr, Listener, Tcp, Transport, Unix};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::time::Duration;

/// How long a loop accepts that nothing comes of.
const STARVED: Duration = Duration::from_millis(600);
/// Attempts in that time: at 0, 10, 30, 70, 150, 310 and 560 ms.
const ATTEMPTS_MAX: u32 = 7;
/// Longer than any rest, also on a busy machine.
const RECOVERED: Duration = Duration::from_secs(5);

async fn check(transport: impl Transport, addr: Addr) {
    let mut listener = transport.listen(&addr).await.unwrap();
    let addr = listener.local_addr();
    let mut dialled = transport.connect(&addr).await.unwrap();
    dialled.writer.write_all(b"x").await.unwrap();

    let mut fill = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        fill.push(file);
    }
    let mut attempts = 0;
    let accept_at_once_again = async {
        // One that spins never lets the other future look at its clock.
        while attempts <= ATTEMPTS_MAX {
            let error = listener.accept().await.err().expect("no descriptor is free");
            assert!(error.is_transient(), "{error}");
            assert!(error.to_string().contains(&addr.to_string()), "{error}");
            attempts += 1;
        }
    };
    or(accept_at_once_again, async {
        Timer::after(STARVED).await;
    })
    .await;
    assert!((2..=ATTEMPTS_MAX).contains(&attempts), "{attempts} attempts in {STARVED:?}");
    drop(fill);

    // Giving up in the middle of a rest loses nothing.
    let given_up = poll_once(listener.accept()).await;
    let accepted = match given_up {
        None => {
            or(async { Some(listener.accept().await) }, async {
                Timer::after(RECOVERED).await;
                None
            })
            .await
        }
        // The machine was so busy that the rest was over.
        given_up => given_up,
    };
    let mut accepted = accepted.expect("it accepts again").unwrap();
    accepted.reader.read_exact(&mut [0]).await.unwrap();
    // And without a rest: the next connection is there at once.
    let _second = transport.connect(&addr).await.unwrap();
    assert!(listener.accept().await.is_ok());
}

#[test]
fn accept_goes_on_when_descriptors_are_free_again() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(128), maximum: limit.maximum }).unwrap();
    let directory = tempfile::tempdir().unwrap();
    block_on(async {
        check(Tcp::new(), "127.0.0.1:0".parse().unwrap()).await;
        check(Unix::new(), Addr::unix(directory.path().join("s")).unwrap()).await;
    });
}

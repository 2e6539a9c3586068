//! A process without free file descriptors: accept says that the listener is still good, and it is.
//!
//! One test only in this file, because the limit it lowers holds for the whole process.

#![allow(clippy::unwrap_used)]

use futures_lite::future::block_on;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use hew_transport::{Addr, Listener, Tcp, Transport, Unix};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;

async fn check(transport: impl Transport, addr: Addr) {
    let mut listener = transport.listen(&addr).await.unwrap();
    let mut dialled = transport.connect(&listener.local_addr()).await.unwrap();
    dialled.writer.write_all(b"x").await.unwrap();

    let mut fill = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        fill.push(file);
    }
    for _ in 0..3 {
        let error = listener.accept().await.err().expect("no descriptor is free");
        assert!(error.is_transient(), "{error}");
        assert!(error.to_string().contains(&listener.local_addr().to_string()), "{error}");
    }
    drop(fill);

    let mut accepted = listener.accept().await.unwrap();
    accepted.reader.read_exact(&mut [0]).await.unwrap();
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

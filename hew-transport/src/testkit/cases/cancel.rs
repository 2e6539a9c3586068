//! Cases about futures that are dropped before they are ready.

use super::super::{Kit, must_fail};
use super::*;
use crate::transport::{Listener, Transport};
use async_io::Timer;
use futures_lite::future::zip;
use std::time::{Duration, Instant};

/// Accepts that are dropped while they wait, again and again, lose none of the connections.
pub async fn a_cancelled_accept_loses_no_connection<T: Transport>(kit: Kit<T>) {
    const CONNECTIONS: u8 = 30;
    let mut listener = kit.listen().await;
    let addr = listener.local_addr();
    assert!(poll_once(listener.accept()).await.is_none(), "nobody has dialled");
    let mut dialled = Vec::new();
    let mut numbers = Vec::new();
    for number in 0..CONNECTIONS {
        let mut connection = kit.connect(&addr).await;
        must("write", within("write", connection.writer.write_all(&[number])).await);
        dialled.push(connection);

        let deadline = Instant::now() + PATIENCE.get();
        let mut accepted = loop {
            if let Some(accepted) = poll_once(listener.accept()).await {
                break must("accept", accepted);
            }
            assert!(Instant::now() < deadline, "connection {number} was lost");
            Timer::after(Duration::from_millis(1)).await;
        };
        let mut number = [0];
        must("read", within("read", accepted.reader.read_exact(&mut number)).await);
        numbers.push(number[0]);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..CONNECTIONS).collect::<Vec<_>>());
}

/// A task that waits in accept and is cancelled takes its listener along: the address is free, and nobody answers.
pub async fn a_cancelled_accept_frees_the_address<T: Transport>(kit: Kit<T>) {
    let mut listener = kit.listen().await;
    let addr = listener.local_addr();
    for byte in 0..3 {
        let acceptor = kit.clone();
        let accepting = kit.spawn(async move {
            let mut accepted = acceptor.accept(&mut listener).await;
            // One connection shows that it accepts; then it waits for the next, which never comes.
            expect_stream(&mut accepted.reader, 1, 0, 1).await;
            drop(accepted);
            let _ = listener.accept().await;
        });
        let mut dialled = kit.connect(&addr).await;
        send_stream(&mut dialled.writer, 1, 1, 1).await;
        expect_end(&mut dialled.reader).await;
        assert!(within("cancel", accepting.cancel()).await.is_none(), "it has accepted nobody");
        let refused = within("connect", kit.transport.connect(&addr)).await;
        assert!(must_fail("connect after the cancel", refused).is_refused());

        listener = must("listen again", within("listen", kit.transport.listen(&addr)).await);
        let (mut dialled, mut accepted) = zip(kit.connect(&addr), kit.accept(&mut listener)).await;
        expect_echo(&mut dialled, &mut accepted, byte).await;
    }
}

/// A connect that is dropped half-way leaves at most a connection that ends.
pub async fn a_cancelled_connect_harms_nobody<T: Transport>(kit: Kit<T>) {
    let mut listener = kit.listen().await;
    let addr = listener.local_addr();
    for _ in 0..10 {
        let _ = poll_once(kit.transport.connect(&addr)).await;
    }
    let mut dialled = kit.connect(&addr).await;
    must("write", within("write", dialled.writer.write_all(b"x")).await);
    loop {
        let mut accepted = kit.accept(&mut listener).await;
        // One that was given up ends; it must not stay open, and it has nothing to say.
        let mut byte = [0];
        if let Ok(1) =
            within("read from a connection that was given up", accepted.reader.read(&mut byte)).await
        {
            assert_eq!(byte, *b"x");
            return;
        }
    }
}

/// Reads that are dropped while they wait lose no byte.
pub async fn a_cancelled_read_loses_no_byte<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    for index in 0..50 {
        let mut buffer = [0; 16];
        for _ in 0..3 {
            let read = poll_once(pair.accepted.reader.read(&mut buffer)).await;
            assert!(read.is_none(), "nothing was written, {read:?}");
        }
        must("write", within("write", pair.dialled.writer.write_all(&[byte_at(1, index)])).await);
        expect_stream(&mut pair.accepted.reader, 1, index, 1).await;
    }
}

/// A write that is dropped while it waits has taken nothing.
pub async fn a_cancelled_write_takes_no_byte<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    let mut filled = fill(&mut pair.dialled.writer, 2).await;
    for _ in 0..3 {
        // By now the transport may have made room of its own; what a write says it took counts.
        if let Some(written) = poll_once(pair.dialled.writer.write(&stream_bytes(2, filled, 100))).await {
            filled += must("write", written);
        }
    }
    let end = async {
        must("close", within("close", pair.dialled.writer.close()).await);
    };
    let read = async {
        expect_stream(&mut pair.accepted.reader, 2, 0, filled).await;
        expect_end(&mut pair.accepted.reader).await;
    };
    zip(end, read).await;
}

//! Cases about several connections, listeners and threads at a time.

use super::super::Kit;
use super::*;
use crate::transport::{Listener, Transport};
use futures_lite::future::{block_on, zip};

/// A hundred connections at the same time, each with its own bytes.
pub async fn a_hundred_connections_do_not_mix<T: Transport>(kit: Kit<T>) {
    const CONNECTIONS: usize = 100;
    const BYTES: usize = 20_000;
    let mut listener = kit.listen().await;
    let addr = listener.local_addr();
    let mut tasks = Vec::new();
    for number in 0..CONNECTIONS {
        let (kit, addr) = (kit.clone(), addr.clone());
        tasks.push(kit.clone().spawn(async move {
            let mut dialled = kit.connect(&addr).await;
            must("write", within("write", dialled.writer.write_all(&[number as u8])).await);
            send_stream(&mut dialled.writer, number, BYTES, 1000).await;
            must("close", within("close", dialled.writer.close()).await);
            expect_stream(&mut dialled.reader, number + 1000, 0, BYTES).await;
            expect_end(&mut dialled.reader).await;
        }));
    }
    for _ in 0..CONNECTIONS {
        let mut accepted = kit.accept(&mut listener).await;
        tasks.push(kit.spawn(async move {
            let mut number = [0];
            must("read", within("read", accepted.reader.read_exact(&mut number)).await);
            let number = usize::from(number[0]);
            expect_stream(&mut accepted.reader, number, 0, BYTES).await;
            expect_end(&mut accepted.reader).await;
            send_stream(&mut accepted.writer, number + 1000, BYTES, 1000).await;
        }));
    }
    for task in tasks {
        task.await;
    }
}

/// Hundreds of connections, one after another, with one listener.
pub async fn connections_one_after_another<T: Transport>(kit: Kit<T>) {
    let mut listener = kit.listen().await;
    let addr = listener.local_addr();
    for number in 0..300_u32 {
        let (mut dialled, mut accepted) = zip(kit.connect(&addr), kit.accept(&mut listener)).await;
        expect_echo(&mut dialled, &mut accepted, number as u8).await;
    }
}

/// A transport is one value for all threads: eight of them dial at once, each with an executor of its own.
pub async fn many_threads_dial_at_once<T: Transport>(kit: Kit<T>) {
    const THREADS: usize = 8;
    const BYTES: usize = 50_000;
    let mut listener = kit.listen().await;
    let addr = listener.local_addr();
    let dial = |stream: usize| {
        let (kit, addr) = (kit.clone(), addr.clone());
        std::thread::spawn(move || {
            block_on(async {
                let mut dialled = kit.connect(&addr).await;
                must("write", within("write", dialled.writer.write_all(&[stream as u8])).await);
                send_stream(&mut dialled.writer, stream, BYTES, 3000).await;
                expect_stream(&mut dialled.reader, stream + 100, 0, BYTES).await;
            });
        })
    };
    let threads: Vec<_> = (0..THREADS).map(dial).collect();
    let mut tasks = Vec::new();
    for _ in 0..THREADS {
        let mut accepted = kit.accept(&mut listener).await;
        tasks.push(kit.spawn(async move {
            let mut stream = [0];
            must("read", within("read", accepted.reader.read_exact(&mut stream)).await);
            let stream = usize::from(stream[0]);
            expect_stream(&mut accepted.reader, stream, 0, BYTES).await;
            send_stream(&mut accepted.writer, stream + 100, BYTES, 3000).await;
            // The thread has read everything when its side is dropped.
            expect_end(&mut accepted.reader).await;
        }));
    }
    for task in tasks {
        task.await;
    }
    for thread in threads {
        assert!(thread.join().is_ok(), "a thread could not dial");
    }
}

/// Each of several listeners gets the connections that were dialled to it, also after another is gone.
pub async fn listeners_do_not_mix<T: Transport>(kit: Kit<T>) {
    let mut listeners = [kit.listen().await, kit.listen().await, kit.listen().await];
    let addrs = listeners.each_ref().map(Listener::local_addr);
    assert!(addrs[0] != addrs[1] && addrs[1] != addrs[2] && addrs[0] != addrs[2], "{addrs:?}");
    // The last one is dialled first, so that an order of arrival does not look like an address.
    let mut dialled = Vec::new();
    for (number, addr) in addrs.iter().enumerate().rev() {
        let mut connection = kit.connect(addr).await;
        must("write", within("write", connection.writer.write_all(&[number as u8])).await);
        dialled.push(connection);
    }
    for (number, listener) in listeners.iter_mut().enumerate() {
        let mut accepted = kit.accept(listener).await;
        let mut byte = [0];
        must("read", within("read", accepted.reader.read_exact(&mut byte)).await);
        assert_eq!(usize::from(byte[0]), number, "a connection came to another listener");
    }
    let [first, mut second, third] = listeners;
    drop((first, third));
    let (mut dialled, mut accepted) = zip(kit.connect(&addrs[1]), kit.accept(&mut second)).await;
    expect_echo(&mut dialled, &mut accepted, 2).await;
}

/// A connection that is full in both directions delays neither the accepting of others nor what they carry.
pub async fn a_connection_nobody_reads_holds_up_no_other<T: Transport>(kit: Kit<T>) {
    const OTHERS: u8 = 8;
    let mut full = kit.pair().await;
    let addr = full.listener.local_addr();
    let forth = fill(&mut full.dialled.writer, 1).await;
    let back = fill(&mut full.accepted.writer, 2).await;
    let mut others = Vec::new();
    for number in 0..OTHERS {
        let (mut dialled, mut accepted) = zip(kit.connect(&addr), kit.accept(&mut full.listener)).await;
        expect_echo(&mut dialled, &mut accepted, number).await;
        others.push((dialled, accepted));
    }
    // In another order than they were made.
    for (dialled, accepted) in others.iter_mut().rev() {
        let write = send_stream(&mut dialled.writer, 3, 100_000, 10_000);
        zip(write, expect_stream(&mut accepted.reader, 3, 0, 100_000)).await;
        expect_echo(accepted, dialled, OTHERS).await;
    }
    expect_stream(&mut full.accepted.reader, 1, 0, forth).await;
    expect_stream(&mut full.dialled.reader, 2, 0, back).await;
}

/// Connections to the same listener that are dropped in the middle of their work are not noticed by the others.
pub async fn a_connection_that_vanishes_harms_no_other<T: Transport>(kit: Kit<T>) {
    let mut kept = kit.pair().await;
    let addr = kept.listener.local_addr();
    for byte in 0..10 {
        let (mut dialled, accepted) = zip(kit.connect(&addr), kit.accept(&mut kept.listener)).await;
        fill(&mut dialled.writer, 4).await;
        // One side or the other, with bytes that nobody has read.
        if byte % 2 == 0 {
            drop(dialled);
            expect_echo(&mut kept.dialled, &mut kept.accepted, byte).await;
            drop(accepted);
        } else {
            drop(accepted);
            expect_echo(&mut kept.accepted, &mut kept.dialled, byte).await;
            drop(dialled);
        }
        expect_echo(&mut kept.dialled, &mut kept.accepted, byte).await;
    }
}

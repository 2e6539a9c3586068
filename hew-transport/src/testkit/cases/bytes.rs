//! Cases about bytes: complete, in order, with backpressure.

use super::super::Kit;
use super::*;
use crate::transport::Transport;
use futures_lite::future::zip;
use std::io::IoSlice;

/// What is written in pieces of any size arrives complete and in order.
pub async fn bytes_arrive_in_order<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    let sizes = [1, 2, 3, 7, 64, 1000, 4096, 65_535, 65_536, 65_537, 300_000, 1, 5];
    let total: usize = sizes.iter().sum();
    let write = async {
        let mut at = 0;
        for size in sizes {
            let part = stream_bytes(1, at, size);
            must("write", within("write", pair.dialled.writer.write_all(&part)).await);
            at += size;
        }
        must("flush", within("flush", pair.dialled.writer.flush()).await);
    };
    zip(write, expect_stream(&mut pair.accepted.reader, 1, 0, total)).await;
}

/// Writes and reads of one byte each.
pub async fn single_bytes_arrive_in_order<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    let read = async {
        for index in 0..2000 {
            expect_stream(&mut pair.dialled.reader, 2, index, 1).await;
        }
    };
    zip(send_stream(&mut pair.accepted.writer, 2, 2000, 1), read).await;
}

/// A vectored write takes its buffers in order, empty ones included, and says how many bytes it took.
pub async fn vectored_writes_keep_their_order<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    let total = 400_000;
    let write = async {
        let mut at = 0;
        while at < total {
            let end = total.min(at + 50_000);
            let (a, b) = (at + (end - at) / 3, at + (end - at) / 2);
            let [one, two, three] =
                [(at, a), (a, b), (b, end)].map(|(from, to)| stream_bytes(3, from, to - from));
            let buffers = [IoSlice::new(&one), IoSlice::new(&[]), IoSlice::new(&two), IoSlice::new(&three)];
            let written = within("write", pair.dialled.writer.write_vectored(&buffers)).await;
            at += must("write", written);
            assert!(at <= end, "more bytes were taken than there are");
        }
    };
    zip(write, expect_stream(&mut pair.accepted.reader, 3, 0, total)).await;
}

/// 8 MiB in each direction at the same time.
pub async fn large_transfers_cross_in_both_directions<T: Transport>(kit: Kit<T>) {
    const BYTES: usize = 8 * 1024 * 1024;
    let pair = kit.pair().await;
    let mut tasks = Vec::new();
    for (stream, mut end) in [(4, pair.dialled), (5, pair.accepted)] {
        let expected = 9 - stream;
        let mut writer = end.writer;
        tasks.push(kit.spawn(async move { send_stream(&mut writer, stream, BYTES, 64 * 1024).await }));
        tasks.push(kit.spawn(async move {
            expect_stream(&mut end.reader, expected, 0, BYTES).await;
            expect_end(&mut end.reader).await;
        }));
    }
    for task in tasks {
        task.await;
    }
}

/// A write of no bytes gives 0 and is not seen by the peer.
pub async fn empty_writes_are_not_an_end<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    for index in 0..3 {
        let written = must("write", within("write nothing", pair.dialled.writer.write(&[])).await);
        assert_eq!(written, 0);
        let buffers = [IoSlice::new(&[]), IoSlice::new(&[])];
        let written = within("write nothing", pair.dialled.writer.write_vectored(&buffers)).await;
        assert_eq!(must("write", written), 0);
        must("write", within("write", pair.dialled.writer.write_all(&[byte_at(6, index)])).await);
        expect_stream(&mut pair.accepted.reader, 6, index, 1).await;
    }
}

/// A read into an empty buffer gives 0 and takes nothing.
pub async fn empty_reads_take_nothing<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    send_stream(&mut pair.dialled.writer, 7, 10, 10).await;
    expect_stream(&mut pair.accepted.reader, 7, 0, 1).await;
    assert_eq!(must("read", within("read nothing", pair.accepted.reader.read(&mut [])).await), 0);
    expect_stream(&mut pair.accepted.reader, 7, 1, 9).await;
}

/// A transport buffers a bounded number of bytes; then the writer waits, and goes on when the peer reads.
pub async fn writers_wait_when_nobody_reads<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    let filled = fill(&mut pair.dialled.writer, 8).await;
    let more = 1024 * 1024;
    let write = async {
        let part = stream_bytes(8, filled, more);
        must("write", within("write on", pair.dialled.writer.write_all(&part)).await);
    };
    zip(write, expect_stream(&mut pair.accepted.reader, 8, 0, filled + more)).await;
    // The other direction has buffers of its own.
    expect_echo(&mut pair.accepted, &mut pair.dialled, 8).await;
}

/// Reader and writer are used from two threads, each with an executor of its own.
pub async fn halves_work_on_different_threads<T: Transport>(kit: Kit<T>) {
    const BYTES: usize = 1024 * 1024;
    let pair = kit.pair().await;
    let mut threads = Vec::new();
    for (stream, mut end) in [(10, pair.dialled), (11, pair.accepted)] {
        let expected = 21 - stream;
        let mut writer = end.writer;
        threads.push(std::thread::spawn(move || {
            futures_lite::future::block_on(send_stream(&mut writer, stream, BYTES, 5000));
        }));
        threads.push(std::thread::spawn(move || {
            futures_lite::future::block_on(expect_stream(&mut end.reader, expected, 0, BYTES));
        }));
    }
    for thread in threads {
        // Each of the threads has deadlines of its own.
        assert!(thread.join().is_ok(), "a half failed on its thread");
    }
}

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

/// A vectored write of more buffers than any system call takes, each of them one byte.
pub async fn vectored_writes_of_many_buffers_keep_their_order<T: Transport>(kit: Kit<T>) {
    const BUFFERS: usize = 3000;
    let mut pair = kit.pair().await;
    let bytes = stream_bytes(12, 0, BUFFERS);
    let write = async {
        let mut at = 0;
        while at < BUFFERS {
            let buffers: Vec<_> = bytes[at..].chunks(1).map(IoSlice::new).collect();
            let written = within("write", pair.dialled.writer.write_vectored(&buffers)).await;
            at += must("write", written);
            assert!(at <= BUFFERS, "more bytes were taken than there are");
        }
        must("close", within("close", pair.dialled.writer.close()).await);
    };
    let read = async {
        expect_stream(&mut pair.accepted.reader, 12, 0, BUFFERS).await;
        expect_end(&mut pair.accepted.reader).await;
    };
    zip(write, read).await;
}

/// A read takes as much as its buffer holds; the rest of what was written at once is left for the next.
pub async fn reads_of_any_size_keep_the_rest<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    let sizes = [1, 2, 3, 5, 100, 1, 1000, 7, 4096, 1, 20_000, 3, 65_536, 9, 70_000];
    let total: usize = sizes.iter().sum();
    let read = async {
        let mut at = 0;
        for size in sizes {
            expect_stream(&mut pair.accepted.reader, 13, at, size).await;
            at += size;
        }
    };
    zip(send_stream(&mut pair.dialled.writer, 13, total, total), read).await;
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

/// Both sides write until they have to wait; then both read, and 4 MiB more cross in each direction.
pub async fn both_directions_wait_and_go_on<T: Transport>(kit: Kit<T>) {
    const MORE: usize = 4 * 1024 * 1024;
    let pair = kit.pair().await;
    let mut ends = [(14, pair.dialled), (15, pair.accepted)];
    let mut filled = [0; 2];
    for (filled, (stream, end)) in filled.iter_mut().zip(&mut ends) {
        *filled = fill(&mut end.writer, *stream).await;
    }
    let mut tasks = Vec::new();
    for (index, (stream, mut end)) in ends.into_iter().enumerate() {
        let (sent, expected) = (filled[index], filled[1 - index]);
        let mut writer = end.writer;
        tasks.push(kit.spawn(async move {
            for from in (sent..sent + MORE).step_by(64 * 1024) {
                let part = stream_bytes(stream, from, 64 * 1024);
                must("write on", within("write on", writer.write_all(&part)).await);
            }
        }));
        tasks.push(kit.spawn(async move {
            expect_stream(&mut end.reader, 29 - stream, 0, expected + MORE).await;
            expect_end(&mut end.reader).await;
        }));
    }
    for task in tasks {
        task.await;
    }
}

/// While one direction is full, the other carries 1 MiB as if nothing were.
pub async fn a_full_direction_leaves_the_other_free<T: Transport>(kit: Kit<T>) {
    const BYTES: usize = 1024 * 1024;
    let mut pair = kit.pair().await;
    let filled = fill(&mut pair.dialled.writer, 16).await;
    let write = send_stream(&mut pair.accepted.writer, 17, BYTES, 10_000);
    zip(write, expect_stream(&mut pair.dialled.reader, 17, 0, BYTES)).await;
    expect_stream(&mut pair.accepted.reader, 16, 0, filled).await;
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

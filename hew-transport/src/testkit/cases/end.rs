//! Cases about the end of a connection: close, half-close, and peers that vanish.

use super::super::Kit;
use super::*;
use crate::transport::Transport;
use futures_lite::future::zip;

/// Every byte written before a close arrives; then the end.
pub async fn close_ends_reads_after_every_byte<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    let write = async {
        send_stream(&mut pair.dialled.writer, 1, 500_000, 7777).await;
        must("close", within("close", pair.dialled.writer.close()).await);
    };
    let read = async {
        expect_stream(&mut pair.accepted.reader, 1, 0, 500_000).await;
        expect_end(&mut pair.accepted.reader).await;
    };
    zip(write, read).await;
}

/// After one side has closed, the other may go on for as long as it wants.
pub async fn a_half_closed_connection_still_works_the_other_way<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    must("close", within("close", pair.dialled.writer.close()).await);
    expect_end(&mut pair.accepted.reader).await;
    let write = async {
        send_stream(&mut pair.accepted.writer, 2, 600_000, 9999).await;
        must("close", within("close", pair.accepted.writer.close()).await);
    };
    let read = async {
        expect_stream(&mut pair.dialled.reader, 2, 0, 600_000).await;
        expect_end(&mut pair.dialled.reader).await;
    };
    zip(write, read).await;
}

/// Two sides that write a little and close without reading first both get everything.
pub async fn both_sides_may_close_at_once<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    for (stream, end) in [(3, &mut pair.dialled), (4, &mut pair.accepted)] {
        send_stream(&mut end.writer, stream, 1000, 1000).await;
        must("close", within("close", end.writer.close()).await);
    }
    for (stream, end) in [(4, &mut pair.dialled), (3, &mut pair.accepted)] {
        expect_stream(&mut end.reader, stream, 0, 1000).await;
        expect_end(&mut end.reader).await;
    }
}

/// Reading on after the end gives the end.
pub async fn the_end_is_read_again<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    must("close", within("close", pair.accepted.writer.close()).await);
    for _ in 0..3 {
        expect_end(&mut pair.dialled.reader).await;
    }
}

/// A write after a close is an error, and the peer sees nothing of it.
pub async fn a_write_after_close_fails<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    must("close", within("close", pair.dialled.writer.close()).await);
    for _ in 0..2 {
        let written = within("write after close", pair.dialled.writer.write(b"late")).await;
        assert!(written.is_err(), "{written:?}");
    }
    expect_end(&mut pair.accepted.reader).await;
}

/// Closing what is closed is no error, and neither is dropping it.
pub async fn closing_twice_is_fine<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    for _ in 0..2 {
        must("close", within("close", pair.dialled.writer.close()).await);
    }
    drop(pair.dialled.writer);
    expect_end(&mut pair.accepted.reader).await;
}

/// Dropping the writer does what close does.
pub async fn dropping_the_writer_closes<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    let mut writer = pair.dialled.writer;
    let write = async {
        send_stream(&mut writer, 5, 300_000, 8192).await;
        drop(writer);
    };
    let read = async {
        expect_stream(&mut pair.accepted.reader, 5, 0, 300_000).await;
        expect_end(&mut pair.accepted.reader).await;
    };
    zip(write, read).await;
}

/// Without its writer, a reader still gets what the peer sends.
pub async fn dropping_the_writer_leaves_the_reader_working<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    drop(pair.dialled.writer);
    expect_end(&mut pair.accepted.reader).await;
    send_stream(&mut pair.accepted.writer, 6, 1000, 100).await;
    expect_stream(&mut pair.dialled.reader, 6, 0, 1000).await;
}

/// Without its reader, a writer still sends.
pub async fn dropping_the_reader_leaves_the_writer_working<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    drop(pair.accepted.reader);
    send_stream(&mut pair.accepted.writer, 7, 1000, 100).await;
    expect_stream(&mut pair.dialled.reader, 7, 0, 1000).await;
    drop(pair.accepted.writer);
    expect_end(&mut pair.dialled.reader).await;
}

/// A peer that is writing when the reader goes may fail or go on; what comes from it, and what goes to it, is as before.
pub async fn dropping_the_reader_while_the_peer_writes_harms_nothing_else<T: Transport>(kit: Kit<T>) {
    const BYTES: usize = 200_000;
    let mut pair = kit.pair().await;
    let filled = fill(&mut pair.dialled.writer, 11).await;
    assert!(filled > 0, "nothing was taken");
    drop(pair.accepted.reader);
    // What this gives is not specified, except that it does not take for ever to give it.
    let _ = poll_once(pair.dialled.writer.write(b"more")).await;
    let write = async {
        send_stream(&mut pair.accepted.writer, 12, BYTES, 5000).await;
        must("close", within("close", pair.accepted.writer.close()).await);
    };
    let read = async {
        expect_stream(&mut pair.dialled.reader, 12, 0, BYTES).await;
        expect_end(&mut pair.dialled.reader).await;
    };
    zip(write, read).await;
    drop(pair.accepted.writer);
    expect_failing_writes(&mut pair.dialled.writer).await;
}

/// Whichever half goes first, and on whichever side: when both are gone, so is the connection.
pub async fn halves_may_be_dropped_in_either_order<T: Transport>(kit: Kit<T>) {
    for (dialled_goes, reader_first) in [(true, true), (true, false), (false, true), (false, false)] {
        let pair = kit.pair().await;
        let (gone, mut left) =
            if dialled_goes { (pair.dialled, pair.accepted) } else { (pair.accepted, pair.dialled) };
        let (reader, writer) = (gone.reader, gone.writer);
        if reader_first {
            drop(reader);
            drop(writer);
        } else {
            drop(writer);
            drop(reader);
        }
        expect_over(&mut left.reader).await;
        expect_failing_writes(&mut left.writer).await;
    }
}

/// What was written before both halves are dropped arrives where nothing was left unread; then the end.
pub async fn dropping_both_halves_ends_the_peers_reads<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    send_stream(&mut pair.dialled.writer, 8, 10_000, 1000).await;
    drop(pair.dialled);
    expect_stream(&mut pair.accepted.reader, 8, 0, 10_000).await;
    expect_end(&mut pair.accepted.reader).await;
}

/// Writing to a peer that is gone fails before long.
pub async fn dropping_both_halves_fails_the_peers_writes<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    drop(pair.accepted);
    expect_failing_writes(&mut pair.dialled.writer).await;
    expect_over(&mut pair.dialled.reader).await;
}

/// After a write has failed because the peer is gone, the next fail as well, and a close does not hang.
pub async fn a_writer_that_failed_stays_failed<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    drop(pair.accepted);
    expect_failing_writes(&mut pair.dialled.writer).await;
    for _ in 0..3 {
        let written = within("write again", pair.dialled.writer.write(b"again")).await;
        assert!(written.is_err(), "after a failure {written:?}");
    }
    // Closing what is broken may be an error or not.
    let _ = within("close", pair.dialled.writer.close()).await;
    expect_over(&mut pair.dialled.reader).await;
}

/// A read that waits when the peer goes ends or fails.
pub async fn a_waiting_read_ends_when_the_peer_vanishes<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    let mut reader = pair.dialled.reader;
    let read = kit.spawn(async move { expect_over(&mut reader).await });
    send_stream(&mut pair.accepted.writer, 9, 1, 1).await;
    drop(pair.accepted);
    read.await;
}

/// A write that waits for room when the peer goes fails.
pub async fn a_waiting_write_fails_when_the_peer_vanishes<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    fill(&mut pair.dialled.writer, 10).await;
    let accepted = pair.accepted;
    zip(expect_failing_writes(&mut pair.dialled.writer), async { drop(accepted) }).await;
}

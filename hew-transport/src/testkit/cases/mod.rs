//! The cases of the conformance kit, by topic; each is a promise of [`Transport`](crate::Transport).

mod bytes;
mod cancel;
mod connect;
mod end;
mod several;
mod waiting;

pub use bytes::*;
pub use cancel::*;
pub use connect::*;
pub use end::*;
pub use several::*;
pub use waiting::*;

use super::{PATIENCE, must, within};
use futures_lite::future::poll_once;
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use std::io;

/// More than any transport may buffer between a writer and a reader that does not read.
const BUFFERED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Byte number `index` of the stream `stream`: neighbours differ, and so do the same places of different streams and
/// of one stream moved by a power of two.
fn byte_at(stream: usize, index: usize) -> u8 {
    let mixed =
        (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (stream as u64).wrapping_mul(0xD1B5_4A33);
    (mixed >> 32) as u8
}

fn stream_bytes(stream: usize, from: usize, bytes: usize) -> Vec<u8> {
    (from..from + bytes).map(|index| byte_at(stream, index)).collect()
}

/// Writes `bytes` bytes of the stream, `chunk` at a time.
async fn send_stream(writer: &mut (impl AsyncWrite + Unpin), stream: usize, bytes: usize, chunk: usize) {
    for from in (0..bytes).step_by(chunk) {
        let part = stream_bytes(stream, from, chunk.min(bytes - from));
        must("write", within("write", writer.write_all(&part)).await);
    }
}

/// Reads `bytes` bytes and compares them with those of the stream that begin at `from`.
async fn expect_stream(reader: &mut (impl AsyncRead + Unpin), stream: usize, from: usize, bytes: usize) {
    let mut buffer = vec![0; 64 * 1024];
    let mut at = from;
    while at < from + bytes {
        let part = buffer.len().min(from + bytes - at);
        let read = must("read", within("read", reader.read(&mut buffer[..part])).await);
        assert!(read > 0, "the stream ends after {at} bytes; {} are missing", from + bytes - at);
        assert!(buffer[..read] == stream_bytes(stream, at, read)[..], "other bytes arrive near {at}");
        at += read;
    }
}

/// Reads the end of the stream, and nothing before it.
async fn expect_end(reader: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = [0; 16];
    let read = must("read the end", within("read the end", reader.read(&mut buffer)).await);
    assert_eq!(read, 0, "bytes arrive after the end: {:?}", &buffer[..read]);
}

/// Reads until the end or an error.
async fn expect_over(reader: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(1..) = within("read until it ends or fails", reader.read(&mut buffer)).await {}
}

/// Writes until a write fails, which it must before everything that can be buffered is.
async fn expect_failing_writes(writer: &mut (impl AsyncWrite + Unpin)) -> io::Error {
    let chunk = vec![7; 64 * 1024];
    let mut written = 0;
    while written < BUFFERED_BYTES_MAX {
        match within("write until it fails", writer.write(&chunk)).await {
            Ok(bytes) => written += bytes,
            Err(error) => return error,
        }
    }
    panic!("{written} bytes were written to a peer that is gone");
}

/// Writes the stream until the writer has to wait, dropping the write that does; returns how many bytes it took.
async fn fill(writer: &mut (impl AsyncWrite + Unpin), stream: usize) -> usize {
    let mut written = 0;
    while written < BUFFERED_BYTES_MAX {
        let part = stream_bytes(stream, written, 32 * 1024);
        match poll_once(writer.write(&part)).await {
            Some(bytes) => written += must("write", bytes),
            None => return written,
        }
    }
    panic!("{written} bytes were taken although nobody reads");
}

/// Sends one byte and gets it back: both directions work.
async fn expect_echo<R, W>(from: &mut crate::Connection<R, W>, to: &mut crate::Connection<R, W>, byte: u8)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    for (writer, reader) in [(&mut from.writer, &mut to.reader), (&mut to.writer, &mut from.reader)] {
        let mut got = [!byte];
        must("write", within("write", writer.write_all(&[byte])).await);
        must("read", within("read", reader.read_exact(&mut got)).await);
        assert_eq!(got, [byte]);
    }
}

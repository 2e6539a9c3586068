//! What plain sockets reach between two processes.

use crate::measure::{Failure, Run};
use crate::process::{Process, Role};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Bytes of one write of the stream.
const WRITE_BYTES: usize = 64 << 10;
/// Bytes of one read of the stream.
const READ_BYTES: usize = 256 << 10;
/// Bytes of a ping and of a pong.
const PING_BYTES: usize = 64;

/// What the other process does with a connection, said by its first byte.
const STREAM: u8 = b's';
const PING_PONG: u8 = b'p';

pub(crate) struct Limits {
    pub(crate) stream_bytes_per_second: f64,
    /// Nanoseconds.
    pub(crate) ping_pong_p50: f64,
    /// Nanoseconds.
    pub(crate) ping_pong_p99: f64,
}

pub(crate) fn measure(run: &Run) -> Result<Limits, Failure> {
    let process = Process::start(Role::RawSocket)?;
    let per_write = run.time(16, 1 << 20, |writes| stream(&process.address, writes))?;
    let rounds = run.scale(4_000, 100);
    let (p50, p99) = run.latencies(|| ping_pong(&process.address, rounds))?;
    process.end()?;
    Ok(Limits {
        stream_bytes_per_second: WRITE_BYTES as f64 / per_write.median(),
        ping_pong_p50: p50.median(),
        ping_pong_p99: p99.median(),
    })
}

fn connect(address: &str, purpose: u8) -> Result<TcpStream, Failure> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.write_all(&[purpose])?;
    Ok(stream)
}

/// Until the other side has read the last byte.
fn stream(address: &str, writes: u64) -> Result<Duration, Failure> {
    let mut stream = connect(address, STREAM)?;
    let bytes = vec![7; WRITE_BYTES];
    let start = Instant::now();
    for _ in 0..writes {
        stream.write_all(&bytes)?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut count = [0; 8];
    stream.read_exact(&mut count)?;
    let took = start.elapsed();
    if u64::from_be_bytes(count) != writes * WRITE_BYTES as u64 {
        return Err("the stream lost bytes".into());
    }
    Ok(took)
}

fn ping_pong(address: &str, rounds: u64) -> Result<Vec<u64>, Failure> {
    let mut stream = connect(address, PING_PONG)?;
    let mut bytes = [7; PING_BYTES];
    let mut nanoseconds = Vec::with_capacity(rounds as usize);
    for _ in 0..rounds {
        let start = Instant::now();
        stream.write_all(&bytes)?;
        stream.read_exact(&mut bytes)?;
        nanoseconds.push(start.elapsed().as_nanos() as u64);
    }
    Ok(nanoseconds)
}

/// The other side, one connection at a time; a connection that breaks is the business of the side that measures.
pub(crate) fn serve(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        let _ = serve_one(stream);
    }
}

fn serve_one(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut purpose = [0];
    stream.read_exact(&mut purpose)?;
    if purpose == [PING_PONG] {
        let mut bytes = [0; PING_BYTES];
        loop {
            stream.read_exact(&mut bytes)?;
            stream.write_all(&bytes)?;
        }
    }
    let mut buffer = vec![0; READ_BYTES];
    let mut count = 0;
    loop {
        match stream.read(&mut buffer)? {
            0 => return stream.write_all(&u64::to_be_bytes(count)),
            bytes => count += bytes as u64,
        }
    }
}

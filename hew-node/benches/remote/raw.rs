//! What plain sockets reach between two processes.
//!
//! Each process has a core of its own, as two machines would. Left to itself the kernel sometimes puts both on one core,
//! where nobody sleeps and all bytes stay in its cache: four times the rate and a fifteenth of the latency, by chance.

use crate::measure::{Failure, Run, Samples};
use crate::process::{Process, Role};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
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

/// The process on the other side of the sockets.
pub(crate) struct Raw {
    process: Process,
}

impl Raw {
    pub(crate) fn start() -> Result<Raw, Failure> {
        Ok(Raw { process: Process::start(Role::RawSocket)? })
    }

    pub(crate) fn end(self) -> Result<(), Failure> {
        self.process.end()
    }

    /// Bytes per second of a stream.
    pub(crate) fn stream(&self, run: &Run) -> Result<Samples, Failure> {
        let seconds =
            on_core(Core::Ours, || run.time(16, 1 << 20, |writes| stream(&self.process.address, writes)))?;
        Ok(seconds.map(|seconds| WRITE_BYTES as f64 / seconds))
    }

    /// Median and 99th percentile of a ping-pong, in nanoseconds.
    pub(crate) fn ping_pong(&self, run: &Run) -> Result<(Samples, Samples), Failure> {
        let rounds = run.scale(4_000, 100);
        on_core(Core::Ours, || run.latencies(|| ping_pong(&self.process.address, rounds)))
    }
}

/// Which of the processes a thread works for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Core {
    Ours,
    Theirs,
}

/// Runs `body` in a thread that stays on the first or on the last core that this process may use.
fn on_core<T: Send>(core: Core, body: impl FnOnce() -> Result<T, Failure> + Send) -> Result<T, Failure> {
    let pinned = || {
        let allowed = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|&number| allowed.is_set(number));
        let number = match core {
            Core::Ours => cores.next(),
            Core::Theirs => cores.next_back(),
        };
        let mut only = CpuSet::new();
        only.set(number.ok_or("no core")?);
        sched_setaffinity(None, &only)?;
        body()
    };
    std::thread::scope(|scope| scope.spawn(pinned).join()).map_err(|_| "the measuring thread panicked")?
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
pub(crate) fn serve(listener: &TcpListener) -> Result<(), Failure> {
    on_core(Core::Theirs, || {
        for stream in listener.incoming() {
            let _ = serve_one(stream?);
        }
        Ok(())
    })
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

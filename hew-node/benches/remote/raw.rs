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
const PING_PONG_BUSY: u8 = b'b';

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

    /// The same of one whose processes never sleep: median only.
    pub(crate) fn ping_pong_busy(&self, run: &Run) -> Result<Samples, Failure> {
        let rounds = run.scale(4_000, 100);
        let latencies = || run.latencies(|| ping_pong(&self.process.address, PING_PONG_BUSY, rounds));
        Ok(on_core(Core::Ours, latencies)?.0)
    }

    /// Median and 99th percentile of a ping-pong, in nanoseconds.
    pub(crate) fn ping_pong(&self, run: &Run) -> Result<(Samples, Samples), Failure> {
        let rounds = run.scale(4_000, 100);
        on_core(Core::Ours, || run.latencies(|| ping_pong(&self.process.address, PING_PONG, rounds)))
    }
}

/// Which of the processes a thread works for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Core {
    Ours,
    Theirs,
}

/// Keeps this thread, and those that it starts, on the first or on the last core that there is for it.
pub(crate) fn stay_on(core: Core) -> Result<(), Failure> {
    // A process inherits where its parent stays. The kernel leaves out of this what it may not have.
    let mut all = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|number| all.set(number));
    sched_setaffinity(None, &all)?;
    let allowed = sched_getaffinity(None)?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&number| allowed.is_set(number));
    let number = match core {
        Core::Ours => cores.next(),
        Core::Theirs => cores.next_back(),
    };
    let mut only = CpuSet::new();
    only.set(number.ok_or("no core")?);
    Ok(sched_setaffinity(None, &only)?)
}

/// Runs `body` in a thread that stays on the first or on the last core that this process may use.
fn on_core<T: Send>(core: Core, body: impl FnOnce() -> Result<T, Failure> + Send) -> Result<T, Failure> {
    let pinned = || {
        stay_on(core)?;
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

fn ping_pong(address: &str, purpose: u8, rounds: u64) -> Result<Vec<u64>, Failure> {
    let mut stream = connect(address, purpose)?;
    stream.set_nonblocking(purpose == PING_PONG_BUSY)?;
    let mut bytes = [7; PING_BYTES];
    let mut nanoseconds = Vec::with_capacity(rounds as usize);
    for _ in 0..rounds {
        let start = Instant::now();
        stream.write_all(&bytes)?;
        read_all(&mut stream, &mut bytes)?;
        nanoseconds.push(start.elapsed().as_nanos() as u64);
    }
    Ok(nanoseconds)
}

/// Fills the buffer; without sleeping, if the stream does not block.
fn read_all(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
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
    if purpose == [PING_PONG] || purpose == [PING_PONG_BUSY] {
        stream.set_nonblocking(purpose == [PING_PONG_BUSY])?;
        let mut bytes = [0; PING_BYTES];
        loop {
            read_all(&mut stream, &mut bytes)?;
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

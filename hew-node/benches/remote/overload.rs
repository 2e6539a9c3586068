//! What a node holds for a peer that has stopped: the other process is stopped by a signal while actors send it all they can.

use crate::measure::{Failure, Line, Run};
use crate::pair::Pair;
use crate::process::Role;
use crate::tells::Bulk;
use hew_node::{NodeBuilder, OUTGOING_BYTES_DEFAULT, Stack};
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Prints by how many MiB the memory of this process exceeded, at most, what it had before and the bound for one peer.
pub(crate) fn measure<S: Stack>(
    run: &Run,
    name: &str,
    node: impl Fn() -> NodeBuilder<S>,
) -> Result<(), Failure> {
    let stopped_for = Duration::from_secs(run.scale(30, 1));
    let over = run.repeat_times(1, || {
        let pair = Pair::start(node(), Role::NoiseNode)?;
        let before = resident_bytes()?;
        let bulk = Bulk::start(&pair)?;
        let peer = pair.process.id()?;
        kill_process(peer, Signal::STOP)?;
        // Whatever happens here, a process that is stopped would not end.
        let going_on = GoesOn(peer);
        let (until, mut most) = (Instant::now() + stopped_for, before);
        while Instant::now() < until {
            std::thread::sleep(LOOK_EVERY);
            most = most.max(resident_bytes()?);
        }
        // By now the peer was declared dead, and its messages are dead letters: what the senders got does not matter here.
        drop((bulk, going_on, pair));
        let over = most as f64 - before as f64 - OUTGOING_BYTES_DEFAULT as f64;
        Ok(over / f64::from(1 << 20))
    })?;
    Line::new(name, "MiB", &over).print();
    Ok(())
}

struct GoesOn(Pid);

impl Drop for GoesOn {
    fn drop(&mut self) {
        // It fails only if the process is gone.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

/// Memory of this process that is in use, in bytes (`VmRSS` of proc(5)).
fn resident_bytes() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib << 10)
}

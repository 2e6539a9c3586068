//! What a process uses of the machine.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Resident memory of a process, in KiB.
///
/// # Panics
/// If it does not run.
pub fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs, on Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line VmRSS");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// Processor time that a process has used, in clock ticks of 10 ms.
///
/// # Panics
/// If it does not run.
pub fn ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs, on Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("after the name").split_whitespace().collect();
    // utime and stime are fields 14 and 15; the name is field 2.
    fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number")
}

/// Lets this process open as many files as it may.
///
/// # Panics
/// If the system refuses that.
pub fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    limit_descriptors(limit.maximum);
}

/// Lets this process open so many files.
///
/// # Panics
/// If the system refuses that.
pub fn limit_descriptors(current: Option<u64>) {
    let limit = getrlimit(Resource::Nofile);
    let changed = Rlimit { current, maximum: limit.maximum };
    setrlimit(Resource::Nofile, changed).expect("up to the hard limit");
}

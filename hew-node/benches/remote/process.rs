//! The other process: this executable, started again with a role.

use crate::measure::Failure;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

const OPTION: &str = "--be";
/// How long the other process may take to end after it was told to.
const END_DEADLINE: Duration = Duration::from_secs(15);

/// What the other process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A node whose links are not protected.
    PlainNode,
    /// A node with the default stack.
    NoiseNode,
    /// The same, with links that look for what comes next before they sleep.
    SpinningNode,
    /// Plain sockets.
    RawSocket,
}

impl Role {
    const ALL: [Role; 4] = [Role::PlainNode, Role::NoiseNode, Role::SpinningNode, Role::RawSocket];

    fn word(self) -> &'static str {
        match self {
            Role::PlainNode => "plain-node",
            Role::NoiseNode => "noise-node",
            Role::SpinningNode => "spinning-node",
            Role::RawSocket => "raw-socket",
        }
    }

    /// The role that this process was started for, if it was.
    pub(crate) fn asked_for(arguments: &[String]) -> Option<Role> {
        match arguments {
            [option, word] if option == OPTION => Role::ALL.into_iter().find(|role| role.word() == word),
            _ => None,
        }
    }
}

/// The running process. Dropping it ends it, whatever happened here.
pub(crate) struct Process {
    child: Child,
    /// Closing it tells the other process to end; so does our own death.
    stdin: Option<ChildStdin>,
    /// Where it listens.
    pub(crate) address: String,
}

impl Process {
    /// Starts the process and waits until it says where it listens.
    pub(crate) fn start(role: Role) -> Result<Process, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([OPTION, role.word()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let mut process = Process { child, stdin, address: String::new() };
        let stdout = stdout.ok_or("stdout was piped")?;
        BufReader::new(stdout).read_line(&mut process.address)?;
        process.address.truncate(process.address.trim_end().len());
        if process.address.is_empty() {
            return Err(format!("the {} did not start", role.word()).into());
        }
        Ok(process)
    }

    /// Tells the process to end and waits for it.
    pub(crate) fn end(mut self) -> Result<(), Failure> {
        self.stdin = None;
        let deadline = Instant::now() + END_DEADLINE;
        while Instant::now() < deadline {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("the other process ended with {status}").into()),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        Err(format!("the other process has not ended after {} s", END_DEADLINE.as_secs()).into())
    }
}

impl Process {
    /// The kernel's number for it.
    pub(crate) fn id(&self) -> Result<rustix::process::Pid, Failure> {
        let id = i32::try_from(self.child.id())?;
        Ok(rustix::process::Pid::from_raw(id).ok_or("a process with number 0")?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // By the handle of this one child, which names its process as long as it was not waited for. Errors mean that
        // it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

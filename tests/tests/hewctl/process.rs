//! Starts the real program, with deadlines for everything.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// No test waits longer for anything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The program: beside the C libraries where `cargo xtask test` put them, or where cargo puts it.
fn program() -> PathBuf {
    let path = match std::env::var_os("HEW_BIN_DIR") {
        Some(directory) => Path::new(&directory).join("hewctl"),
        None => {
            let this = std::env::current_exe().unwrap();
            // target/debug/deps/hewctl-… is this executable.
            this.parent().and_then(Path::parent).unwrap().join("hewctl")
        }
    };
    assert!(path.is_file(), "{} does not exist: build it first, `cargo build -p hewctl`", path.display());
    path
}

/// A command that knows nothing of the environment of the tests.
pub(crate) fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).current_dir(directory).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HEW_") {
            command.env_remove(name);
        }
    }
    command
}

/// What a command led to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The only line of stdout as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A process whose output is collected.
pub(crate) struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Running {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Running { child, stdout, stderr, seen: Vec::new() }
    }

    /// The next line of stdout in which `find` sees something.
    pub(crate) fn until<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = self.stdout.recv_timeout(left) else {
                let said: Vec<String> = self.stderr.try_iter().collect();
                panic!("{what} did not come; stdout {:#?}, stderr {said:#?}", self.seen);
            };
            let found = find(&line);
            self.seen.push(line);
            if let Some(found) = found {
                return found;
            }
        }
    }

    /// The next line of stdout that is an object with this field `event`.
    pub(crate) fn event(&mut self, name: &str) -> Value {
        self.until(name, |line| {
            let object: Value = serde_json::from_str(line).unwrap();
            (object["event"] == name).then_some(object)
        })
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it has ended, and everybody who has its output: the processes that it started too.
    pub(crate) fn end(mut self) -> Ended {
        let stdout = self.seen.drain(..).chain(rest(&self.stdout, "stdout")).collect::<Vec<_>>().join("\n");
        let stderr = rest(&self.stderr, "stderr").join("\n");
        let status: ExitStatus = self.child.wait().unwrap();
        Ended { code: status.code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only if it still runs, because a test has failed; std never signals a process that was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Ended {
    Running::start(command(directory, arguments)).end()
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            if sender.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// All lines until the stream ends.
fn rest(stream: &Receiver<String>, name: &str) -> Vec<String> {
    let until = Instant::now() + DEADLINE;
    let mut lines = Vec::new();
    loop {
        match stream.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => lines.push(line),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return lines,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                panic!("{name} does not end; so far {lines:#?}")
            }
        }
    }
}

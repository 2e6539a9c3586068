//! This test binary run again, as a process of its own that does what one test says.
//!
//! A test calls itself by its full name, with [`CHILD`] set, and looks at the beginning whether it is the child. Child
//! and parent talk in lines.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child as Process, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Names the test that a child is to run.
pub const CHILD: &str = "HEW_TEST_CHILD";
/// Nobody waits longer for a line.
const DEADLINE: Duration = Duration::from_secs(60);

/// Whether this process is the child that runs the test `name`.
pub fn is_child(name: &str) -> bool {
    std::env::var(CHILD).is_ok_and(|child| child == name)
}

/// This test binary as a child that runs the test `name`.
///
/// # Panics
/// If the system does not say where this binary is.
pub fn command(name: &str) -> Command {
    let binary = std::env::current_exe().expect("the path of this test");
    let mut command = Command::new(binary);
    command.args(["--exact", name, "--nocapture", "--include-ignored"]).env(CHILD, name);
    command
}

/// Whether this process runs the test `name` alone; if not, starts one that does and waits for it.
///
/// # Panics
/// If the child fails.
pub fn alone(name: &str) -> bool {
    if is_child(name) {
        return true;
    }
    // Its output is this test's, but not its results, which are counted by whoever reads ours.
    let output = command(name).output().expect("the test binary can be started again");
    let told = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("test ") && !line.starts_with("running "))
        .fold(String::new(), |told, line| told + line + "\n");
    assert!(
        output.status.success(),
        "{name}: {}\n{told}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    #[allow(clippy::print_stdout)]
    {
        print!("{told}");
    }
    false
}

/// Says a line to the parent, on a line of its own whatever the test runner has written.
///
/// # Panics
/// If the parent is gone.
pub fn say(words: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{words}").and_then(|()| out.flush()).expect("the parent listens");
}

/// What the parent says, line by line, until it stops.
pub fn orders() -> impl Iterator<Item = String> {
    std::io::stdin().lines().map_while(Result::ok)
}

/// A child, for its parent. Killed when dropped.
pub struct Child {
    process: Process,
    orders: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Child {
    /// Starts it.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(mut command: Command) -> Child {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the test binary can be started again");
        let stdout = process.stdout.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let orders = process.stdin.take();
        Child { process, orders, lines, seen: Vec::new() }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Tells it something.
    ///
    /// # Panics
    /// If it does not listen.
    pub fn order(&mut self, order: &str) {
        let orders = self.orders.as_mut().expect("it was not told to end");
        writeln!(orders, "{order}").expect("it listens to us");
    }

    /// What comes after `begins` on the next line that begins so.
    ///
    /// # Panics
    /// If no such line comes in time.
    pub fn answer(&mut self, begins: &str) -> String {
        let until = Instant::now() + DEADLINE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("it did not say {begins:?}, but {:#?}", self.seen);
            };
            if let Some(rest) = line.strip_prefix(begins) {
                return rest.trim().to_owned();
            }
            self.seen.push(line);
        }
    }

    /// [`Child::order`], then [`Child::answer`].
    pub fn ask(&mut self, order: &str, begins: &str) -> String {
        self.order(order);
        self.answer(begins)
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it is gone.
    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.process), signal)
            .expect("it was not waited for");
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    ///
    /// # Panics
    /// If that fails.
    pub fn kill(mut self) {
        self.process.kill().expect("it was not waited for");
        self.process.wait().expect("it can be waited for");
    }

    /// Lets it end by itself, now that it gets no more orders.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn end(mut self) -> ExitStatus {
        drop(self.orders.take());
        self.process.wait().expect("it can be waited for")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Only if it still runs; std never signals a process that was waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

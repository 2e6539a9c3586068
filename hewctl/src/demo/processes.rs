//! The node processes of a demo, and everything that comes from them in one queue. They end with this value.

use super::protocol::{Answer, Command, Event, Line};
use crate::failure::{Failure, Kind};
use async_signal::{Signal, Signals};
use futures_lite::{StreamExt, future};
use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How long a process gets to end by itself when its stdin has ended.
const ENDING_DEADLINE: Duration = Duration::from_secs(5);
const SIGKILL: i32 = 9;
const ENDING_POLL: Duration = Duration::from_millis(5);

/// Something that came from outside.
enum Incoming {
    Line { node: u16, at: Instant, line: Result<Line, String> },
    Ended { node: u16 },
    Signal,
}

/// An event of a node and when it was heard of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Happened {
    pub(super) node: u16,
    pub(super) at: Instant,
    pub(super) event: Event,
}

/// An answer of a node and when it came.
pub(super) struct Answered {
    pub(super) at: Instant,
    pub(super) answer: Answer,
}

struct Process {
    child: Child,
    /// `None` after the last command.
    commands: Option<ChildStdin>,
    answers: VecDeque<Answered>,
    ended: bool,
}

/// See the module's documentation.
pub(super) struct Processes {
    processes: BTreeMap<u16, Process>,
    queue: Receiver<Incoming>,
    sender: Sender<Incoming>,
    verbose: u8,
}

impl Processes {
    /// None yet. From now on SIGINT and SIGTERM end what waits here with a failure, so that everything is put away.
    pub(super) fn new(verbose: u8) -> Result<Processes, Failure> {
        let (sender, queue) = channel();
        let mut signals = Signals::new([Signal::Int, Signal::Term])
            .map_err(|error| Failure::failed(format_args!("no signal handlers: {error}")))?;
        let of_signals = sender.clone();
        thread("demo-signals", move || {
            while let Some(Ok(_)) = future::block_on(signals.next()) {
                if of_signals.send(Incoming::Signal).is_err() {
                    return;
                }
            }
        })?;
        Ok(Processes { processes: BTreeMap::new(), queue, sender, verbose })
    }

    /// Starts a process for `node` and says its process id.
    pub(super) fn start(&mut self, node: u16) -> Result<u32, Failure> {
        let failed =
            |error| Failure::failed(format_args!("node {node}: no process could be started: {error}"));
        let program = std::env::current_exe().map_err(failed)?;
        let mut child = std::process::Command::new(program)
            .args((0..self.verbose).map(|_| "-v"))
            .arg("demo-node")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A group of its own: the terminal's Ctrl-C is for the demo, which then ends its nodes in order.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let pid = child.id();
        let (commands, output) = (child.stdin.take(), child.stdout.take());
        self.processes.insert(node, Process { child, commands, answers: VecDeque::new(), ended: false });
        let output = output.ok_or_else(|| Failure::failed(format_args!("node {node}: no pipe")))?;
        let sender = self.sender.clone();
        thread("demo-output", move || {
            for line in BufReader::new(output).lines() {
                let at = Instant::now();
                let Ok(line) = line else { break };
                let line = serde_json::from_str(&line).map_err(|error| format!("{error} in {line}"));
                if sender.send(Incoming::Line { node, at, line }).is_err() {
                    return;
                }
            }
            // Nobody listens any more when the demo is over.
            let _ = sender.send(Incoming::Ended { node });
        })?;
        Ok(pid)
    }

    /// Gives `node` something to do; [`Processes::answer`] has what it led to.
    pub(super) fn tell(&mut self, node: u16, command: &Command) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::failed(format_args!("node {node}: {error}"));
        let mut text = serde_json::to_string(command).map_err(|error| failed(error.into()))?;
        text.push('\n');
        let process = self.process(node)?;
        let commands = process.commands.as_mut();
        let commands = commands.ok_or_else(|| Failure::failed(format_args!("node {node} has ended")))?;
        commands.write_all(text.as_bytes()).and_then(|()| commands.flush()).map_err(failed)
    }

    /// The next answer of `node`. Events that come meanwhile go to `on_event`.
    pub(super) fn answer(
        &mut self,
        node: u16,
        deadline: Duration,
        mut on_event: impl FnMut(&Happened),
    ) -> Result<Answered, Failure> {
        let until = Instant::now() + deadline;
        loop {
            let process = self.process(node)?;
            match process.answers.pop_front() {
                Some(Answered { answer: Answer::Failed { why }, .. }) => {
                    return Err(Failure::failed(why).of(format_args!("node {node}")));
                }
                Some(answered) => return Ok(answered),
                None if process.ended => {
                    return Err(Failure::failed(format_args!("the process of node {node} ended")));
                }
                None => {}
            }
            if let Some(happened) = self.receive(until, || format!("an answer of node {node}"))? {
                on_event(&happened);
            }
        }
    }

    /// The next event of any node.
    pub(super) fn event(&mut self, until: Instant, what: &str) -> Result<Happened, Failure> {
        loop {
            if let Some(happened) = self.receive(until, || what.into())? {
                return Ok(happened);
            }
        }
    }

    /// Ends the process of `node` without a word, by SIGKILL. Returns when.
    pub(super) fn kill(&mut self, node: u16) -> Result<Instant, Failure> {
        let failed = |error| Failure::failed(format_args!("node {node} cannot be killed: {error}"));
        let process = self.process(node)?;
        let at = Instant::now();
        process.child.kill().map_err(failed)?;
        let status = process.child.wait().map_err(failed)?;
        if status.signal() != Some(SIGKILL) {
            let text = format!("the process of node {node} ended by itself before it was killed: {status}");
            return Err(Failure::failed(text));
        }
        // Not before: the end of its stdin would be a polite way to end it.
        process.commands = None;
        Ok(at)
    }

    /// Waits for the process of `node`, which was told to shut down, and says whether it ended well.
    pub(super) fn wait(&mut self, node: u16) -> Result<(), Failure> {
        let process = self.process(node)?;
        process.commands = None;
        match wait(&mut process.child) {
            Some(status) if status.success() => Ok(()),
            Some(status) => {
                Err(Failure::failed(format_args!("the process of node {node} ended with {status}")))
            }
            None => Err(Failure::new(Kind::Timeout, format_args!("the process of node {node} does not end"))),
        }
    }

    fn process(&mut self, node: u16) -> Result<&mut Process, Failure> {
        self.processes
            .get_mut(&node)
            .ok_or_else(|| Failure::failed(format_args!("node {node} was not started")))
    }

    /// Takes one thing out of the queue; `Some` if it is an event.
    fn receive(&mut self, until: Instant, what: impl Fn() -> String) -> Result<Option<Happened>, Failure> {
        let left = until.saturating_duration_since(Instant::now());
        match self.queue.recv_timeout(left) {
            Ok(Incoming::Line { node, at, line: Ok(Line::Answer(answer)) }) => {
                self.process(node)?.answers.push_back(Answered { at, answer });
                Ok(None)
            }
            Ok(Incoming::Line { node, at, line: Ok(Line::Event(event)) }) => {
                Ok(Some(Happened { node, at, event }))
            }
            Ok(Incoming::Line { node, line: Err(error), .. }) => {
                Err(Failure::failed(format_args!("node {node} said something strange: {error}")))
            }
            Ok(Incoming::Ended { node }) => {
                self.process(node)?.ended = true;
                Ok(None)
            }
            Ok(Incoming::Signal) => Err(Failure::failed("interrupted; the nodes were ended")),
            Err(RecvTimeoutError::Timeout) => {
                Err(Failure::new(Kind::Timeout, format_args!("waited in vain for {}", what())))
            }
            Err(RecvTimeoutError::Disconnected) => Err(Failure::failed("the queue of the demo is closed")),
        }
    }
}

impl Drop for Processes {
    /// Also after a failure or a panic no process stays: first the end of its stdin asks it to go, then it is killed.
    fn drop(&mut self) {
        for process in self.processes.values_mut() {
            process.commands = None;
        }
        for process in self.processes.values_mut() {
            if wait(&mut process.child).is_none() {
                // Our own child that was not waited for: the process id is still its own.
                let _ = process.child.kill();
                let _ = process.child.wait();
            }
        }
    }
}

/// Waits for a process that is about to end; `None` if it does not in time.
fn wait(child: &mut Child) -> Option<std::process::ExitStatus> {
    let until = Instant::now() + ENDING_DEADLINE;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < until => std::thread::sleep(ENDING_POLL),
            Ok(None) | Err(_) => return None,
        }
    }
}

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(body)
        .map(drop)
        .map_err(|error| Failure::failed(format_args!("no thread: {error}")))
}

//! What the stories share: an actor that does what it is told, a log, a gate, and worlds to run in.
#![allow(dead_code, unreachable_pub, reason = "each story uses a part")]
#![allow(clippy::unwrap_used, reason = "a test may")]

use event_listener::Event;
use hew_actor::*;
use hew_wire::ExitReason;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Far more than any step of a test on threads takes; reaching it is a failure, not a wait.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a story in virtual time.
pub fn simulated<T, F: Future<Output = T>>(seed: u64, story: impl FnOnce(System) -> F) -> T {
    let simulation = Simulation::new(seed);
    let system = System::new(simulation.runtime(), SystemConfig::default());
    simulation.run(story(system)).unwrap()
}

/// Runs a story on worker threads.
pub fn threaded<T, F: Future<Output = T>>(workers: usize, story: impl FnOnce(System) -> F) -> T {
    let runtime =
        Runtime::start(RuntimeConfig { workers, seed: Some(1), ..RuntimeConfig::default() }).unwrap();
    let system = System::new(runtime.clone(), SystemConfig::default());
    let result = runtime.block_on(runtime.timeout(PATIENCE, story(system)));
    let result = result.expect("the story did not end");
    runtime.shutdown();
    result
}

/// Lines in the order in which they happened.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// Opens once.
#[derive(Clone, Default)]
pub struct Gate(Arc<(AtomicBool, Event)>);

impl Gate {
    pub fn open(&self) {
        self.0.0.store(true, Ordering::SeqCst);
        self.0.1.notify(usize::MAX);
    }

    pub async fn wait(&self) {
        while !self.0.0.load(Ordering::SeqCst) {
            let listener = self.0.1.listen();
            if !self.0.0.load(Ordering::SeqCst) {
                listener.await;
            }
        }
    }
}

/// Anything else.
pub type Step = Box<dyn FnOnce(&mut Context<Cmd>) -> Outcome + Send>;

pub enum Cmd {
    /// Adds the number to the log.
    Note(u64),
    /// Opens the first gate, waits for the second, goes on.
    Wait(Gate, Gate),
    /// Answers the number plus one.
    Next(u64, ReplyTo<u64>),
    /// Keeps the reply address for ever.
    Keep(ReplyTo<u64>),
    /// Waits for the gate with a reply address in hand.
    Hold(Gate, ReplyTo<u64>),
    /// Panics with a reply address in hand.
    PanicWith(ReplyTo<u64>),
    Panic(&'static str),
    Run(Step),
}

pub fn run(f: impl FnOnce(&mut Context<Cmd>) -> Outcome + Send + 'static) -> Cmd {
    Cmd::Run(Box::new(f))
}

#[derive(Default)]
pub struct Scripted {
    pub name: &'static str,
    pub log: Log,
    pub trap_exit: bool,
    pub panic_in_started: bool,
    pub panic_in_stopped: bool,
    pub panic_in_drop: bool,
    pub kept: Vec<ReplyTo<u64>>,
}

impl Scripted {
    pub fn new(name: &'static str, log: &Log) -> Scripted {
        Scripted::with(name, log, |_| {})
    }

    pub fn with(name: &'static str, log: &Log, settings: impl FnOnce(&mut Scripted)) -> Scripted {
        let mut scripted = Scripted::default();
        (scripted.name, scripted.log) = (name, log.clone());
        settings(&mut scripted);
        scripted
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        if self.panic_in_drop {
            panic!("in drop");
        }
        self.log.add(format!("{} dropped", self.name));
    }
}

impl Actor for Scripted {
    type Message = Cmd;

    async fn started(&mut self, context: &mut Context<Cmd>) -> Outcome {
        context.trap_exit(self.trap_exit);
        assert!(!self.panic_in_started, "in started");
        self.log.add(format!("{} started", self.name));
        Outcome::Continue
    }

    async fn handle(&mut self, message: Cmd, context: &mut Context<Cmd>) -> Outcome {
        match message {
            Cmd::Note(n) => self.log.add(format!("{} {n}", self.name)),
            Cmd::Wait(entered, gate) => {
                entered.open();
                gate.wait().await;
            }
            Cmd::Next(n, reply) => reply.send(n + 1),
            Cmd::Keep(reply) => self.kept.push(reply),
            Cmd::Hold(entered, reply) => {
                entered.open();
                std::future::pending::<()>().await;
                drop(reply);
            }
            Cmd::PanicWith(_reply) => panic!("with a question"),
            Cmd::Panic(text) => panic!("{text}"),
            Cmd::Run(f) => return f(context),
        }
        Outcome::Continue
    }

    async fn signal(&mut self, signal: Signal, _: &mut Context<Cmd>) -> Outcome {
        match signal {
            Signal::Down { reason, .. } => self.log.add(format!("{} hears down: {reason}", self.name)),
            Signal::Exit { reason, .. } => self.log.add(format!("{} hears exit: {reason}", self.name)),
        }
        Outcome::Continue
    }

    async fn stopped(&mut self, reason: &ExitReason, _: &mut Context<Cmd>) {
        self.log.add(format!("{} stopped: {reason}", self.name));
        assert!(!self.panic_in_stopped, "in stopped");
    }
}

/// Waits until the actor has handled everything that was sent to it before.
pub async fn settled(actor: &ActorRef<Cmd>) {
    // Not into a full mailbox: that may drop the question, or something else for its sake.
    while actor.mailbox_len() > 0 {
        futures_lite::future::yield_now().await;
    }
    actor.ask(|reply| Cmd::Next(0, reply)).await.unwrap();
}

/// Watches from this line on; the future is the reason of the end.
pub fn watched(system: &System, pid: hew_wire::Pid) -> impl Future<Output = ExitReason> + Send + use<> {
    let (gate, reason) = (Gate::default(), Arc::new(Mutex::new(None)));
    let (opens, heard) = (gate.clone(), reason.clone());
    system.watch(pid, move |_, reason| {
        assert!(heard.lock().unwrap().replace(reason).is_none(), "told twice");
        opens.open();
    });
    async move {
        gate.wait().await;
        let reason = reason.lock().unwrap().take();
        reason.unwrap()
    }
}

pub fn notes(name: &str, numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(|n| format!("{name} {n}")).collect()
}

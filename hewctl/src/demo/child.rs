//! One node process of the demo: does what it is told on stdin, and says on stdout what happens.
//!
//! When stdin ends, so does the process: no node outlives its demo.

use super::protocol::{Answer, Command, Event, Line, Link};
use super::supervisor::{Notice, Supervisor};
use crate::actors::{ActorKind, Counter};
use crate::failure::Failure;
use crate::identity::Access;
use crate::{identity, output};
use async_channel::{Receiver, Sender};
use futures_lite::future;
use hew_node::{ActorRef, Elapsed, Name, Node, NodeId, Pid, SwimConfig};
use std::convert::Infallible;
use std::io::BufRead;
use std::time::Duration;

/// Messages that a node sends before it asks how far the counter is.
///
/// A message from the network that finds the mailbox full is dropped and counted, because a link must not wait for one
/// actor. So whoever sends much keeps step with the receiver: an answer means that everything before the question has
/// been handled, because messages of one sender to one receiver keep their order.
const WINDOW: u64 = 2000;
/// Room in the counter's mailbox: for the windows of both senders and their questions, twice over.
const MAILBOX_CAPACITY: usize = 4 * (WINDOW as usize + 1);
/// For everything that a command waits for.
const STEP_DEADLINE: Duration = Duration::from_secs(20);

/// Runs the process to the end of its commands.
pub(crate) fn run() -> Result<(), Failure> {
    let (sender, commands) = async_channel::bounded(1);
    let (open, gone) = async_channel::bounded(1);
    // Ends with the process at the latest: it may be reading when everything else is done.
    std::thread::Builder::new()
        .name("demo-commands".into())
        .spawn(move || read_commands(&sender, open))
        .map_err(|error| Failure::failed(format_args!("no thread for the commands: {error}")))?;
    future::block_on(obey(&commands, &gone))
}

/// Nothing is ever sent through it: it closes when stdin ends.
type StdinOpen = Sender<Infallible>;

fn read_commands(sender: &Sender<Result<Command, String>>, open: StdinOpen) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let command = serde_json::from_str(&line).map_err(|error| format!("{error} in {line}"));
        if sender.send_blocking(command).is_err() {
            break;
        }
    }
    drop(open);
}

async fn obey(
    commands: &Receiver<Result<Command, String>>,
    gone: &Receiver<Infallible>,
) -> Result<(), Failure> {
    let mut node = None;
    while let Ok(command) = commands.recv().await {
        let command = command.map_err(Failure::failed)?;
        let last = command == Command::Shutdown;
        let done = async { Some(carry_out(&mut node, command).await) };
        let abandoned = async {
            // Without the one who waits for it, the command has no purpose.
            let _ = gone.recv().await;
            None
        };
        let Some(answer) = future::or(done, abandoned).await else { break };
        output::json(&Line::Answer(answer.unwrap_or_else(|why| Answer::Failed { why })));
        if last {
            return Ok(());
        }
    }
    if let Some(node) = node {
        node.shutdown().await;
    }
    Err(Failure::failed("the demo that started this node has gone away"))
}

async fn carry_out(node: &mut Option<Node>, command: Command) -> Result<Answer, String> {
    if let Command::Start { id, key, allow, join } = &command {
        let started = start(*id, key, allow, join).await.map_err(|failure| failure.to_string())?;
        let address = started.local_addr().map(|address| address.to_string()).unwrap_or_default();
        let public_key = identity::read_key(key).map_err(|failure| failure.to_string())?.public().to_hex();
        *node = Some(started);
        return Ok(Answer::Started { address, public_key });
    }
    let node = node.as_ref().ok_or("no node was started")?;
    match command {
        Command::Start { .. } => Err("started already".into()),
        Command::AwaitMembers { members } => await_members(node, members).await,
        Command::StartCounter { name } => {
            let pid = start_counter(node).map_err(|error| error.to_string())?;
            node.register_pid(&name, pid).map_err(|error| error.to_string())?;
            Ok(Answer::CounterStarted { pid })
        }
        Command::Supervise { name } => supervise(node, &name).await,
        Command::Find { name } => Ok(Answer::Found { pid: find(node, &name).await?.pid() }),
        Command::Flood { name, messages } => flood(node, &name, messages).await,
        Command::Total { name } => Ok(Answer::Total { total: total(&find(node, &name).await?).await? }),
        Command::AwaitSuccessor { name, old } => await_successor(node, &name, old).await,
        Command::Links => {
            Ok(Answer::Links { links: links(node), messages_refused: node.stats().messages_refused })
        }
        Command::Shutdown => {
            node.shutdown().await;
            Ok(Answer::ShutDown)
        }
    }
}

async fn start(
    id: u16,
    key: &std::path::Path,
    allow: &std::path::Path,
    join: &[String],
) -> Result<Node, Failure> {
    let id = NodeId::new(id).map_err(Failure::usage)?;
    let mut builder = Node::builder(id)
        .name(format!("demo-{id}"))
        .cluster("demo")
        .identity(identity::read_key(key)?, Access::Strict(allow.into()).allowlist()?)
        .swim(SwimConfig::fast())
        .listen("127.0.0.1:0");
    for address in join {
        builder = builder.join(address);
    }
    let node = builder.start().await?;
    let mut events = node.events();
    // A thread of its own, because a write to stdout may block.
    std::thread::Builder::new()
        .name("demo-events".into())
        .spawn(move || {
            while let Some(event) = future::block_on(events.next()) {
                output::json(&Line::Event(Event::of(&event)));
            }
        })
        .map_err(|error| Failure::failed(format_args!("no thread for the events: {error}")))?;
    Ok(node)
}

fn start_counter(node: &Node) -> Result<Pid, hew_node::SpawnError> {
    ActorKind::Counter.spawn(node, Some(MAILBOX_CAPACITY))
}

fn links(node: &Node) -> Vec<Link> {
    let link = |info: hew_node::LinkInfo| Link {
        node: info.node.raw(),
        connected: info.connected,
        encrypted: info.encrypted,
        public_key: info.public_key.map(|key| key.to_hex()),
    };
    node.links().into_iter().map(link).collect()
}

async fn await_members(node: &Node, members: usize) -> Result<Answer, String> {
    let mut events = node.events();
    let complete = async {
        loop {
            let alive = node.members().iter().filter(|member| member.state == "alive").count();
            let linked = node.links().iter().filter(|link| link.connected).count();
            if alive == members && linked + 1 == members {
                return;
            }
            if events.next().await.is_none() {
                future::pending::<()>().await;
            }
        }
    };
    node.runtime().timeout(STEP_DEADLINE, complete).await.map_err(|Elapsed| {
        format!("not {members} members with links within {STEP_DEADLINE:?}, but {:?}", node.members())
    })?;
    Ok(Answer::MembersKnown { members })
}

async fn supervise(node: &Node, name: &str) -> Result<Answer, String> {
    let pid = find(node, name).await?.pid();
    let name = Name::new(name).map_err(|error| error.to_string())?;
    let notify = |notice| {
        output::json(&Line::Event(match notice {
            Notice::Down { pid, reason, pause } => {
                Event::ActorDown { pid, reason, pause_ms: pause.as_millis() as u64 }
            }
            Notice::Restarted { pid } => Event::ActorRestarted { pid },
            Notice::Adopted { pid } => {
                Event::Other { text: format!("the supervisor found {pid} in its place") }
            }
            Notice::Failed { why } => Event::Other { text: format!("the supervisor tries again: {why}") },
        }));
    };
    node.system().spawn(Supervisor::new(node.clone(), name, pid, start_counter, notify));
    Ok(Answer::Supervising { pid })
}

async fn find(node: &Node, name: &str) -> Result<ActorRef<Counter>, String> {
    node.wait_for(name, STEP_DEADLINE).await.map_err(|error| error.to_string())
}

async fn total(counter: &ActorRef<Counter>) -> Result<u64, String> {
    counter
        .ask_within(STEP_DEADLINE, Counter::Get)
        .await
        .map_err(|error| format!("asking {} for its total: {error}", counter.pid()))
}

async fn flood(node: &Node, name: &str, messages: u64) -> Result<Answer, String> {
    let counter = find(node, name).await?;
    let begin = node.runtime().now();
    for number in 1..=messages {
        counter
            .send(Counter::Add(1))
            .await
            .map_err(|error| format!("message {number} to {}: {error}", counter.pid()))?;
        // Also at the end: whoever is asked afterwards, by whomever, has counted all of them.
        if number % WINDOW == 0 || number == messages {
            total(&counter).await?;
        }
    }
    let elapsed_ms = node.runtime().now().duration_since(begin).as_millis() as u64;
    Ok(Answer::Flooded { sent: messages, elapsed_ms })
}

/// Pause after a question that was not answered: the successor may be there before its link is.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Looks again at each event, because a name changes hands by one.
async fn await_successor(node: &Node, name: &str, old: Pid) -> Result<Answer, String> {
    let mut events = node.events();
    let answered = async {
        loop {
            if let Some(pid) = node.whereis(name).filter(|&pid| pid != old)
                && let Some(counter) = node.actor::<Counter>(pid)
            {
                match counter.ask(Counter::Get).await {
                    Ok(total) => return Answer::Successor { pid, total },
                    Err(_) => node.runtime().sleep(ASK_AGAIN).await,
                }
                continue;
            }
            if events.next().await.is_none() {
                future::pending::<()>().await;
            }
        }
    };
    node.runtime()
        .timeout(STEP_DEADLINE, answered)
        .await
        .map_err(|Elapsed| format!("nobody took the place of {old} as {name} within {STEP_DEADLINE:?}"))
}

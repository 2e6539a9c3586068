//! A counter: an actor that owns a number, tasks that tell it to add, and a question that asks how far it is.
//!
//! Shows how to define an actor, spawn it, send to it and ask it. The number needs no lock: an actor handles one
//! message at a time, whoever sends them.
//!
//! Run it with `cargo run -p hew-actor --example counter`.

use hew_actor::{Actor, Context, Outcome, ReplyTo, Runtime, RuntimeConfig, System, SystemConfig};
use std::error::Error;
use std::time::Duration;

/// Tasks that send at the same time.
const TASKS: u64 = 4;
/// What each of them adds, one at a time.
const ADDITIONS: u64 = 1_000;

/// What the counter handles. A question carries the address for its answer.
enum Message {
    Add(u64),
    Total(ReplyTo<u64>),
}

#[derive(Default)]
struct Counter {
    total: u64,
}

impl Actor for Counter {
    type Message = Message;

    async fn handle(&mut self, message: Message, _: &mut Context<Message>) -> Outcome {
        match message {
            Message::Add(number) => self.total += number,
            Message::Total(reply) => reply.send(self.total),
        }
        Outcome::Continue
    }
}

/// What came out.
#[derive(Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) total: u64,
}

/// Lets several tasks count with one counter.
pub(crate) async fn run(system: &System) -> Result<Summary, Box<dyn Error>> {
    let counter = system.spawn(Counter::default());
    let add_all = |_| {
        let counter = counter.clone();
        system.runtime().spawn(async move {
            for _ in 0..ADDITIONS {
                // Waits when the mailbox is full; fails when the counter has ended.
                counter.send(Message::Add(1)).await?;
            }
            Ok::<(), hew_actor::SendError<Message>>(())
        })
    };
    let tasks: Vec<_> = (0..TASKS).map(add_all).collect();
    for task in tasks {
        task.await?;
    }
    // Messages of one sender are handled in order. All additions were sent before this question.
    let total = counter.ask(Message::Total).await?;
    if total != TASKS * ADDITIONS {
        return Err(format!("the counter is at {total} after {TASKS} times {ADDITIONS} additions").into());
    }
    Ok(Summary { total })
}

#[allow(clippy::print_stdout, reason = "it is what an example is for")]
fn main() -> Result<(), Box<dyn Error>> {
    // The runtime has the threads, the system has the actors.
    let runtime = Runtime::start(RuntimeConfig::default())?;
    let system = System::new(runtime.clone(), SystemConfig::default());
    println!("{TASKS} tasks add 1 to a counter, {ADDITIONS} times each");
    let summary = runtime.block_on(run(&system))?;
    println!("the counter is at {}", summary.total);
    runtime.block_on(system.shutdown(Duration::from_secs(5)));
    runtime.shutdown();
    Ok(())
}

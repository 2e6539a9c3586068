//! A pipeline: a fast source, a stage that works on what comes by, and a slow sink.
//!
//! Shows backpressure. Mailboxes are bounded, and `send` waits while one is full: the sink makes the stage wait, and
//! the stage the source, so that only a few items exist at a time, however many there are in all.
//!
//! Run it with `cargo run -p hew-actor --example pipeline`.

use hew_actor::{
    Actor, ActorRef, Context, MailboxOptions, Outcome, ReplyTo, Runtime, RuntimeConfig, SpawnOptions, System,
    SystemConfig,
};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Numbers that go through the pipeline.
const ITEMS: u64 = 200;
/// Messages that may wait in a mailbox.
const CAPACITY: usize = 8;
/// What the sink needs for an item. The others need next to nothing.
const SINK_TIME: Duration = Duration::from_millis(1);
/// Most items that can exist at a time: two mailboxes, and one item in the hands of each of the three.
pub(crate) const IN_FLIGHT_MAX: u64 = 2 * CAPACITY as u64 + 3;

/// What flows through the pipeline.
enum Flow {
    Item(u64),
    /// Comes behind the last item, with the address of whoever waits for the sum.
    End(ReplyTo<u64>),
}

/// The items that exist, and the most that ever did.
#[derive(Default)]
struct InFlight {
    now: AtomicU64,
    most: AtomicU64,
}

/// Makes all items as fast as it can, when it is asked for their sum.
struct Source {
    next: ActorRef<Flow>,
    in_flight: Arc<InFlight>,
}

impl Actor for Source {
    type Message = ReplyTo<u64>;

    async fn handle(&mut self, reply: ReplyTo<u64>, _: &mut Context<ReplyTo<u64>>) -> Outcome {
        for item in 0..ITEMS {
            let now = self.in_flight.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.in_flight.most.fetch_max(now, Ordering::SeqCst);
            if let Err(error) = self.next.send(Flow::Item(item)).await {
                return Outcome::Crash(error.to_string());
            }
        }
        passed(self.next.send(Flow::End(reply)).await)
    }
}

/// Doubles what comes by.
struct Doubler {
    next: ActorRef<Flow>,
}

impl Actor for Doubler {
    type Message = Flow;

    async fn handle(&mut self, flow: Flow, _: &mut Context<Flow>) -> Outcome {
        let flow = match flow {
            Flow::Item(item) => Flow::Item(2 * item),
            end @ Flow::End(_) => end,
        };
        passed(self.next.send(flow).await)
    }
}

/// Adds up what arrives, slowly.
struct Sink {
    sum: u64,
    in_flight: Arc<InFlight>,
}

impl Actor for Sink {
    type Message = Flow;

    async fn handle(&mut self, flow: Flow, context: &mut Context<Flow>) -> Outcome {
        match flow {
            Flow::Item(item) => {
                // Keeps this actor busy, not the thread it runs on.
                context.runtime().sleep(SINK_TIME).await;
                self.sum += item;
                self.in_flight.now.fetch_sub(1, Ordering::SeqCst);
            }
            Flow::End(reply) => reply.send(self.sum),
        }
        Outcome::Continue
    }
}

fn passed<M>(result: Result<(), hew_actor::SendError<M>>) -> Outcome {
    match result {
        Ok(()) => Outcome::Continue,
        Err(error) => Outcome::Crash(error.to_string()),
    }
}

/// What came out of the pipeline, and the most items that were in it at a time.
#[derive(Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) sum: u64,
    pub(crate) most_in_flight: u64,
}

/// Sends all items through a new pipeline.
pub(crate) async fn run(system: &System) -> Result<Summary, Box<dyn Error>> {
    let small = || SpawnOptions {
        mailbox: MailboxOptions { capacity: Some(CAPACITY), ..MailboxOptions::default() },
        ..SpawnOptions::default()
    };
    let in_flight = Arc::new(InFlight::default());
    let sink = system.spawn_with(Sink { sum: 0, in_flight: in_flight.clone() }, small())?;
    let doubler = system.spawn_with(Doubler { next: sink }, small())?;
    let source = system.spawn(Source { next: doubler, in_flight: in_flight.clone() });
    let sum = source.ask_within(Duration::from_secs(60), |reply| reply).await?;
    let summary = Summary { sum, most_in_flight: in_flight.most.load(Ordering::SeqCst) };
    if summary.sum != ITEMS * (ITEMS - 1) || summary.most_in_flight > IN_FLIGHT_MAX {
        return Err(format!("{summary:?}, and at most {IN_FLIGHT_MAX} should have been in flight").into());
    }
    Ok(summary)
}

#[allow(clippy::print_stdout, reason = "it is what an example is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::start(RuntimeConfig::default())?;
    let system = System::new(runtime.clone(), SystemConfig::default());
    println!("{ITEMS} items on their way to a sink that needs {SINK_TIME:?} for each");
    let summary = runtime.block_on(run(&system))?;
    println!("they were doubled and add up to {}", summary.sum);
    println!("at no time were there more than {} of them", summary.most_in_flight);
    runtime.block_on(system.shutdown(Duration::from_secs(5)));
    runtime.shutdown();
    Ok(())
}

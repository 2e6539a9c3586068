//! A pool of workers: an actor that gives work to others in turns and collects what they find.
//!
//! Shows actors that make others, work that is spread over all threads, and a limit to the work that is given out:
//! that is why the pool and a worker never wait for room in each other's mailbox.
//!
//! Run it with `cargo run -p hew-actor --example worker_pool`.

use hew_actor::{
    Actor, ActorRef, AskError, Context, Outcome, ReplyTo, Runtime, RuntimeConfig, System, SystemConfig,
};
use std::error::Error;
use std::ops::Range;
use std::time::Duration;

const WORKERS: usize = 4;
/// Pieces of work that may be with a worker, one at work and one that waits.
const PIECES_PER_WORKER: usize = 2;
/// Primes are counted below this number, in pieces of this length.
const LIMIT: u64 = 20_000;
const PIECE: u64 = 500;
/// How many there are.
const PRIMES: u64 = 2_262;

enum Message {
    /// Counts the primes in each of these ranges.
    Count { ranges: Vec<Range<u64>>, reply: ReplyTo<Summary> },
    /// A worker is done with a range.
    Found { worker: usize, primes: u64 },
}

/// What was found, and how many pieces each worker did.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Summary {
    pub(crate) primes: u64,
    pub(crate) pieces: Vec<u64>,
}

#[derive(Default)]
struct Pool {
    workers: Vec<ActorRef<Range<u64>>>,
    /// Whose turn it is.
    next: usize,
    /// Not given out yet.
    waiting: Vec<Range<u64>>,
    given_out: usize,
    summary: Summary,
    /// Who asked.
    reply: Option<ReplyTo<Summary>>,
}

impl Pool {
    /// Gives out as much as is allowed, and answers when nothing is left.
    async fn go_on(&mut self) -> Outcome {
        while self.given_out < WORKERS * PIECES_PER_WORKER
            && let Some(range) = self.waiting.pop()
        {
            if let Err(error) = self.workers[self.next].send(range).await {
                return Outcome::Crash(error.to_string());
            }
            self.next = (self.next + 1) % WORKERS;
            self.given_out += 1;
        }
        if self.given_out == 0
            && let Some(reply) = self.reply.take()
        {
            reply.send(std::mem::take(&mut self.summary));
        }
        Outcome::Continue
    }
}

impl Actor for Pool {
    type Message = Message;

    async fn started(&mut self, context: &mut Context<Message>) -> Outcome {
        for number in 0..WORKERS {
            let worker = context.spawn(Worker { number, pool: context.this() });
            // When one crashes, all do: half a pool would wait for the other half.
            context.link(worker.pid());
            self.workers.push(worker);
        }
        Outcome::Continue
    }

    async fn handle(&mut self, message: Message, _: &mut Context<Message>) -> Outcome {
        match message {
            // One question at a time.
            Message::Count { reply, .. } if self.reply.is_some() => reply.fail(AskError::Full),
            Message::Count { ranges, reply } => {
                self.summary.pieces = vec![0; WORKERS];
                (self.waiting, self.reply) = (ranges, Some(reply));
            }
            Message::Found { worker, primes } => {
                self.given_out -= 1;
                self.summary.primes += primes;
                self.summary.pieces[worker] += 1;
            }
        }
        self.go_on().await
    }
}

struct Worker {
    number: usize,
    pool: ActorRef<Message>,
}

impl Actor for Worker {
    type Message = Range<u64>;

    async fn handle(&mut self, range: Range<u64>, _: &mut Context<Range<u64>>) -> Outcome {
        let primes = range.filter(|&number| is_prime(number)).count() as u64;
        match self.pool.send(Message::Found { worker: self.number, primes }).await {
            Ok(()) => Outcome::Continue,
            Err(error) => Outcome::Crash(error.to_string()),
        }
    }
}

fn is_prime(number: u64) -> bool {
    let divides = |divisor: u64| number.is_multiple_of(divisor);
    number > 1 && !(2..).take_while(|divisor| divisor * divisor <= number).any(divides)
}

/// Lets a pool count primes.
pub(crate) async fn run(system: &System) -> Result<Summary, Box<dyn Error>> {
    let pool = system.spawn(Pool::default());
    let ranges: Vec<_> = (0..LIMIT / PIECE).map(|piece| piece * PIECE..(piece + 1) * PIECE).collect();
    let pieces = ranges.len() as u64;
    let summary = pool.ask(|reply| Message::Count { ranges, reply }).await?;
    if summary.primes != PRIMES || summary.pieces != [pieces / WORKERS as u64; WORKERS] {
        return Err(format!("{summary:?}, but there are {PRIMES} primes in {pieces} pieces").into());
    }
    Ok(summary)
}

#[allow(clippy::print_stdout, reason = "it is what an example is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::start(RuntimeConfig::default())?;
    let system = System::new(runtime.clone(), SystemConfig::default());
    println!("{WORKERS} workers count the primes below {LIMIT}");
    let summary = runtime.block_on(run(&system))?;
    println!("there are {}; the workers did {:?} pieces of work", summary.primes, summary.pieces);
    runtime.block_on(system.shutdown(Duration::from_secs(5)));
    runtime.shutdown();
    Ok(())
}

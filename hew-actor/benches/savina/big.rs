//! Big: many actors, each of which pings one of them at random, waits for the pong, and pings again.
//!
//! An actor has at most one ping on its way, so that no mailbox holds many more messages than there are actors.

use crate::measure::Failure;
use crate::program::{Clock, Played, crash, expect, gone, sent};
use fastrand::Rng;
use hew_actor::{Actor, ActorRef, Context, Outcome, System};
use hew_wire::ExitReason;
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// Lets each of `workers` actors send `pings`.
pub(crate) fn play(system: &System, workers: u64, pings: u64) -> Result<Played, Failure> {
    let (clock, report) = Clock::start();
    let sink = system.spawn(Sink { workers: Arc::default(), done: 0, _alive: report.clone() });
    let worker = |number| {
        system.spawn(Worker {
            number,
            pings,
            count: Count::default(),
            pinged: None,
            all: Arc::default(),
            random: Rng::with_seed(number),
            sink: sink.clone(),
            report: report.clone(),
        })
    };
    let all: Arc<[_]> = (0..workers).map(worker).collect();
    sink.try_send(ToSink::Meet(all.clone())).map_err(gone)?;
    // All of them know the others before the first pings one.
    for worker in &*all {
        worker.try_send(ToWorker::Meet(all.clone())).map_err(gone)?;
    }
    for worker in &*all {
        worker.try_send(ToWorker::Start).map_err(gone)?;
    }
    drop((all, sink, report));
    let (took, counts) = clock.stop()?;
    let pongs: Vec<u64> = counts.iter().map(|count| count.pongs).collect();
    expect("pongs of each worker", pongs, vec![pings; workers as usize])?;
    expect("pings that were answered", counts.iter().map(|count| count.answered).sum(), workers * pings)?;
    Ok(Played { took, messages: 1 + 2 * workers + 2 * workers * pings + workers })
}

type Workers = Arc<[ActorRef<ToWorker>]>;

#[derive(Clone, Copy, Default)]
struct Count {
    pongs: u64,
    answered: u64,
}

enum ToWorker {
    Meet(Workers),
    Start,
    /// The worker of this number wants a pong.
    Ping(u64),
    /// From the worker of this number.
    Pong(u64),
}

struct Worker {
    number: u64,
    pings: u64,
    count: Count,
    /// Whose pong it waits for.
    pinged: Option<u64>,
    all: Workers,
    random: Rng,
    sink: ActorRef<ToSink>,
    report: Sender<Count>,
}

impl Worker {
    async fn send(&self, target: u64, message: ToWorker) -> Outcome {
        sent(self.all[target as usize].send(message).await)
    }

    async fn ping(&mut self) -> Outcome {
        if self.count.pongs == self.pings {
            return sent(self.sink.send(ToSink::Done).await);
        }
        let target = self.random.u64(..self.all.len() as u64);
        self.pinged = Some(target);
        self.send(target, ToWorker::Ping(self.number)).await
    }
}

impl Actor for Worker {
    type Message = ToWorker;

    async fn handle(&mut self, message: ToWorker, _: &mut Context<ToWorker>) -> Outcome {
        match message {
            ToWorker::Meet(all) => {
                self.all = all;
                Outcome::Continue
            }
            ToWorker::Start => self.ping().await,
            ToWorker::Ping(from) => {
                self.count.answered += 1;
                self.send(from, ToWorker::Pong(self.number)).await
            }
            ToWorker::Pong(from) if self.pinged.take() == Some(from) => {
                self.count.pongs += 1;
                self.ping().await
            }
            ToWorker::Pong(_) => crash("a pong came from somebody else than was pinged"),
        }
    }

    async fn stopped(&mut self, _: &ExitReason, _: &mut Context<ToWorker>) {
        let _ = self.report.send(self.count);
    }
}

enum ToSink {
    Meet(Workers),
    Done,
}

/// Ends all workers when each is done: until then, others may ping them.
struct Sink {
    workers: Workers,
    done: usize,
    _alive: Sender<Count>,
}

impl Actor for Sink {
    type Message = ToSink;

    async fn handle(&mut self, message: ToSink, _: &mut Context<ToSink>) -> Outcome {
        match message {
            ToSink::Meet(workers) => self.workers = workers,
            ToSink::Done => self.done += 1,
        }
        if self.done < self.workers.len() {
            return Outcome::Continue;
        }
        self.workers.iter().for_each(ActorRef::stop);
        Outcome::Stop
    }
}

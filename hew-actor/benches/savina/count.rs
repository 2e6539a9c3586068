//! Count: one actor tells another to count, many times, then asks how far it has come.
//!
//! The counter has the default mailbox, so that the producer waits when it is that far ahead.

use crate::measure::Failure;
use crate::program::{Clock, Played, expect, gone, sent, sent_last};
use hew_actor::{Actor, ActorRef, Context, Outcome, System};
use std::sync::mpsc::Sender;

/// Counts to `count`.
pub(crate) fn play(system: &System, count: u64) -> Result<Played, Failure> {
    let (clock, report) = Clock::start();
    let counter = system.spawn(Counter { total: 0, _alive: report.clone() });
    let producer = system.spawn(Producer { counter, count, report });
    producer.try_send(ToProducer::Start).map_err(gone)?;
    let (took, totals) = clock.stop()?;
    expect("totals", totals, vec![count])?;
    Ok(Played { took, messages: 1 + count + 2 })
}

enum ToProducer {
    Start,
    Total(u64),
}

struct Producer {
    counter: ActorRef<ToCounter>,
    count: u64,
    report: Sender<u64>,
}

impl Actor for Producer {
    type Message = ToProducer;

    async fn handle(&mut self, message: ToProducer, context: &mut Context<ToProducer>) -> Outcome {
        match message {
            ToProducer::Start => {
                for _ in 0..self.count {
                    if let Err(error) = self.counter.send(ToCounter::Increment).await {
                        return sent(Err(error));
                    }
                }
                sent(self.counter.send(ToCounter::Retrieve(context.this())).await)
            }
            ToProducer::Total(total) => {
                let _ = self.report.send(total);
                Outcome::Stop
            }
        }
    }
}

enum ToCounter {
    Increment,
    Retrieve(ActorRef<ToProducer>),
}

struct Counter {
    total: u64,
    _alive: Sender<u64>,
}

impl Actor for Counter {
    type Message = ToCounter;

    async fn handle(&mut self, message: ToCounter, _: &mut Context<ToCounter>) -> Outcome {
        match message {
            ToCounter::Increment => {
                self.total += 1;
                Outcome::Continue
            }
            ToCounter::Retrieve(producer) => sent_last(producer.send(ToProducer::Total(self.total)).await),
        }
    }
}

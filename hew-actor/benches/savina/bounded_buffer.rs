//! Bounded buffer: producers and consumers on both sides of an actor that keeps a bounded number of items.
//!
//! The buffer is bounded by what it asks for, not by its mailbox: a producer makes an item when it is told to, and the
//! buffer tells it so only if there is room for that item and all others that it has asked for. Its mailbox never holds
//! more than a message from each producer and each consumer.
//!
//! In Savina, producers and consumers also compute some thousand logarithms for each item. Here they do not: the
//! figure would be that of the logarithm.

use crate::measure::Failure;
use crate::program::{Clock, Played, expect, gone, sent, sent_last};
use hew_actor::{Actor, ActorRef, Context, Outcome, System};
use std::collections::VecDeque;
use std::sync::mpsc::Sender;

/// Items that the buffer may hold.
const BUFFER: usize = 50;

/// Lets as many producers as consumers, `pairs` of each, exchange `items` items of each producer.
pub(crate) fn play(system: &System, pairs: u64, items: u64) -> Result<Played, Failure> {
    let (clock, report) = Clock::start();
    let buffer = system.spawn(Buffer {
        producers: pairs as usize,
        asked: 0,
        items: VecDeque::new(),
        idle_producers: VecDeque::new(),
        idle_consumers: VecDeque::new(),
        consumers: pairs as usize,
        peak: 0,
        report: report.clone(),
    });
    // Producers first, so that the buffer fills.
    for number in 0..pairs {
        let own = number * items..(number + 1) * items;
        let producer = Producer { buffer: buffer.clone(), items: own, _alive: report.clone() };
        system.spawn(producer).try_send(ToProducer::Start).map_err(gone)?;
    }
    for _ in 0..pairs {
        let consumer = Consumer { buffer: buffer.clone(), items: Vec::new(), report: report.clone() };
        system.spawn(consumer).try_send(ToConsumer::Start).map_err(gone)?;
    }
    drop((buffer, report));
    let (took, reports) = clock.stop()?;
    check(reports, pairs * items)?;
    // An item is asked for, comes, goes, and is consumed.
    Ok(Played { took, messages: 4 * pairs + 4 * pairs * items + 3 * pairs })
}

/// Each item was consumed once, and there never were too many in the buffer.
fn check(reports: Vec<Report>, items: u64) -> Result<(), Failure> {
    let (mut consumed, mut peaks) = (Vec::new(), Vec::new());
    for report in reports {
        match report {
            Report::Peak(peak) => peaks.push(peak),
            Report::Consumed(items) => consumed.extend(items),
        }
    }
    consumed.sort_unstable();
    expect("items consumed", consumed.len() as u64, items)?;
    let wrong = (0..items).zip(consumed).find(|(expected, found)| found != expected);
    expect("the first item that was lost or came twice", wrong, None)?;
    expect("buffers that kept their bound", peaks.iter().filter(|&&peak| peak <= BUFFER).count(), 1)
}

enum Report {
    /// Most items that the buffer held, had they all come that it had asked for.
    Peak(usize),
    Consumed(Vec<u64>),
}

enum ToBuffer {
    /// This producer is ready to make its first item.
    Ready(ActorRef<ToProducer>),
    /// This producer made an item when it was asked to.
    Item(u64, ActorRef<ToProducer>),
    /// A producer was asked for an item and has no more.
    Exhausted,
    /// This consumer wants an item.
    Available(ActorRef<ToConsumer>),
}

struct Buffer {
    items: VecDeque<u64>,
    /// Items that were asked for and have not come.
    asked: usize,
    /// Producers that are not exhausted.
    producers: usize,
    /// Those that wait to be asked for an item.
    idle_producers: VecDeque<ActorRef<ToProducer>>,
    consumers: usize,
    /// Those that wait for an item.
    idle_consumers: VecDeque<ActorRef<ToConsumer>>,
    peak: usize,
    report: Sender<Report>,
}

impl Buffer {
    /// Gives items to whoever wants one, and asks for as many as there is room for.
    async fn balance(&mut self) -> Outcome {
        while !self.items.is_empty()
            && let Some(consumer) = self.idle_consumers.pop_front()
            && let Some(item) = self.items.pop_front()
        {
            if let Err(error) = consumer.send(ToConsumer::Item(item)).await {
                return sent(Err(error));
            }
        }
        while self.items.len() + self.asked < BUFFER
            && let Some(producer) = self.idle_producers.pop_front()
        {
            self.asked += 1;
            self.peak = self.peak.max(self.items.len() + self.asked);
            if let Err(error) = producer.send(ToProducer::Produce).await {
                return sent(Err(error));
            }
        }
        if self.producers > 0 || self.idle_consumers.len() < self.consumers {
            return Outcome::Continue;
        }
        let _ = self.report.send(Report::Peak(self.peak));
        for consumer in &self.idle_consumers {
            if let Err(error) = consumer.send(ToConsumer::End).await {
                return sent(Err(error));
            }
        }
        Outcome::Stop
    }
}

impl Actor for Buffer {
    type Message = ToBuffer;

    async fn handle(&mut self, message: ToBuffer, _: &mut Context<ToBuffer>) -> Outcome {
        match message {
            ToBuffer::Ready(producer) => self.idle_producers.push_back(producer),
            ToBuffer::Item(item, producer) => {
                self.asked -= 1;
                self.items.push_back(item);
                self.idle_producers.push_back(producer);
            }
            ToBuffer::Exhausted => {
                self.asked -= 1;
                self.producers -= 1;
            }
            ToBuffer::Available(consumer) => self.idle_consumers.push_back(consumer),
        }
        self.balance().await
    }
}

enum ToProducer {
    Start,
    Produce,
}

struct Producer {
    buffer: ActorRef<ToBuffer>,
    /// Those that it has not made yet.
    items: std::ops::Range<u64>,
    _alive: Sender<Report>,
}

impl Actor for Producer {
    type Message = ToProducer;

    async fn handle(&mut self, message: ToProducer, context: &mut Context<ToProducer>) -> Outcome {
        match message {
            ToProducer::Start => sent(self.buffer.send(ToBuffer::Ready(context.this())).await),
            ToProducer::Produce => match self.items.next() {
                Some(item) => sent(self.buffer.send(ToBuffer::Item(item, context.this())).await),
                None => sent_last(self.buffer.send(ToBuffer::Exhausted).await),
            },
        }
    }
}

enum ToConsumer {
    Start,
    Item(u64),
    End,
}

struct Consumer {
    buffer: ActorRef<ToBuffer>,
    items: Vec<u64>,
    report: Sender<Report>,
}

impl Actor for Consumer {
    type Message = ToConsumer;

    async fn handle(&mut self, message: ToConsumer, context: &mut Context<ToConsumer>) -> Outcome {
        match message {
            ToConsumer::Start => {}
            ToConsumer::Item(item) => self.items.push(item),
            ToConsumer::End => {
                let _ = self.report.send(Report::Consumed(std::mem::take(&mut self.items)));
                return Outcome::Stop;
            }
        }
        sent(self.buffer.send(ToBuffer::Available(context.this())).await)
    }
}

//! Messages without an answer: actors here send to actors of the other node.
//!
//! Senders wait for room like any program would. Each repetition ends with a question to the receiver, which comes after
//! all messages of its sender: the time runs until the answer is here, and the answer says what was handled.

use crate::measure::Failure;
use crate::messages::{ToSink, Total};
use crate::pair::Pair;
use futures_lite::future;
use hew_actor::Task;
use hew_node::{Actor, ActorRef, AskError, Context, Outcome, ReplyTo, Stack};
use serde_bytes::ByteBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a repetition may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// Payload bytes of one repetition, which a receiver that falls behind would have to hold.
pub(crate) const IN_FLIGHT_BYTES_MAX: u64 = 2 << 30;
/// How long the link may stay full of bulk messages.
const BULK_DEADLINE: Duration = Duration::from_secs(200);
/// Payload bytes of a bulk message.
const BULK_BYTES: usize = 64 << 10;

/// How many messages were sent and handled in which time, or what went wrong.
type Sent = Result<(u64, Duration), String>;

/// Sends and counts.
struct Sender {
    target: ActorRef<ToSink>,
}

enum ToSender {
    Send { count: u64, bytes: usize, reply: ReplyTo<Result<Duration, String>> },
    SendUntil { stop: Arc<AtomicBool>, bytes: usize, reply: ReplyTo<Sent> },
}

impl Sender {
    async fn send(&self, mut more: impl FnMut(u64) -> bool, bytes: usize) -> Sent {
        let template = ByteBuf::from(vec![7; bytes]);
        let start = Instant::now();
        let mut sent = 0;
        while more(sent) {
            let message = ToSink::Data(template.clone());
            self.target.send(message).await.map_err(|error| error.to_string())?;
            sent += 1;
        }
        let handled =
            self.target.ask_within(DEADLINE, ToSink::Total).await.map_err(|error| error.to_string())?;
        let took = start.elapsed();
        let expected = Total { messages: sent, bytes: sent * bytes as u64 };
        if handled == expected {
            Ok((sent, took))
        } else {
            Err(format!("sent {expected:?}, handled {handled:?}"))
        }
    }
}

impl Actor for Sender {
    type Message = ToSender;

    async fn handle(&mut self, message: ToSender, _: &mut Context<ToSender>) -> Outcome {
        match message {
            ToSender::Send { count, bytes, reply } => {
                let result = self.send(|sent| sent < count, bytes).await;
                reply.send(result.map(|(_, took)| took));
            }
            ToSender::SendUntil { stop, bytes, reply } => {
                reply.send(self.send(|_| !stop.load(Ordering::Relaxed), bytes).await);
            }
        }
        Outcome::Stop
    }
}

/// `senders` actors send `count` messages in all, each to a receiver of its own.
pub(crate) fn tell<S: Stack>(
    pair: &Pair<S>,
    senders: u64,
    bytes: usize,
    count: u64,
) -> Result<Duration, Failure> {
    let each = count.div_ceil(senders);
    let runtime = pair.node.runtime();
    let start = Instant::now();
    let tasks: Vec<_> = pair.sinks[..senders as usize]
        .iter()
        .map(|sink| {
            let sender = pair.node.system().spawn(Sender { target: sink.clone() });
            runtime.spawn(async move {
                sender.ask_within(DEADLINE, |reply| ToSender::Send { count: each, bytes, reply }).await
            })
        })
        .collect();
    let mut alone = Duration::ZERO;
    for task in tasks {
        alone = future::block_on(task)??;
    }
    // Of several senders the whole counts, with the time to start them.
    let took = if senders == 1 { alone } else { start.elapsed() };
    Ok(took.mul_f64(count as f64 / (each * senders) as f64))
}

/// An actor that fills the link with large messages until it is stopped.
pub(crate) struct Bulk {
    stop: Arc<AtomicBool>,
    sending: Task<Result<Sent, AskError>>,
}

impl Bulk {
    pub(crate) fn start<S: Stack>(pair: &Pair<S>) -> Result<Bulk, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let sender = pair.node.system().spawn(Sender { target: pair.bulk_sink.clone() });
        let told = Arc::clone(&stop);
        let sending = pair.node.runtime().spawn(async move {
            sender
                .ask_within(BULK_DEADLINE, |reply| ToSender::SendUntil {
                    stop: told,
                    bytes: BULK_BYTES,
                    reply,
                })
                .await
        });
        Ok(Bulk { stop, sending })
    }

    /// Bytes per second that it reached.
    pub(crate) fn stop(self) -> Result<f64, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        let (sent, took) = future::block_on(self.sending)??;
        Ok((sent * BULK_BYTES as u64) as f64 / took.as_secs_f64())
    }
}

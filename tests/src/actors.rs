//! Actors for tests.

use hew_node::{Actor, Context, Outcome, Pid, ReplyTo};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Messages of [`CounterActor`].
#[derive(Debug, Serialize, Deserialize)]
pub enum Counter {
    /// Adds to the total.
    Add(u64),
    /// Asks for the total.
    Get(ReplyTo<u64>),
    /// Asks, and gets no answer.
    Ignore(ReplyTo<u64>),
    /// Crashes the actor.
    Crash(String),
    /// Ends the actor.
    Stop,
}

/// Counts.
#[derive(Debug, Default)]
pub struct CounterActor {
    total: u64,
}

impl Actor for CounterActor {
    type Message = Counter;

    async fn handle(&mut self, message: Counter, _: &mut Context<Counter>) -> Outcome {
        match message {
            Counter::Add(n) => self.total += n,
            Counter::Get(reply) => reply.send(self.total),
            Counter::Ignore(reply) => drop(reply),
            Counter::Crash(text) => return Outcome::Crash(text),
            Counter::Stop => return Outcome::Stop,
        }
        Outcome::Continue
    }
}

/// Messages of [`JournalActor`].
#[derive(Debug, Serialize, Deserialize)]
pub enum Journal {
    /// Number `number` of sender `sender`, with as many bytes as it likes.
    Note {
        /// Who.
        sender: u64,
        /// Counts from 0 for each sender.
        number: u64,
        /// Ballast.
        #[serde(with = "serde_bytes")]
        ballast: Vec<u8>,
    },
    /// Asks for what came: for each sender how many, and the first thing that was out of order.
    Report(ReplyTo<JournalReport>),
}

/// What a [`JournalActor`] has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalReport {
    /// Messages by sender.
    pub received: BTreeMap<u64, u64>,
    /// The first message that was lost, doubled or reordered, in words.
    pub first_error: Option<String>,
}

/// Checks that the numbers of each sender come complete and in order.
#[derive(Debug, Default)]
pub struct JournalActor {
    report: JournalReport,
}

impl Actor for JournalActor {
    type Message = Journal;

    async fn handle(&mut self, message: Journal, _: &mut Context<Journal>) -> Outcome {
        match message {
            Journal::Note { sender, number, .. } => {
                let expected = self.report.received.entry(sender).or_default();
                if number != *expected && self.report.first_error.is_none() {
                    self.report.first_error = Some(format!("{number} of {sender} instead of {expected}"));
                }
                *expected += 1;
            }
            Journal::Report(reply) => reply.send(self.report.clone()),
        }
        Outcome::Continue
    }
}

/// The PID as text, for logs that must be equal in every run.
pub fn show(pid: Pid) -> String {
    pid.to_string()
}

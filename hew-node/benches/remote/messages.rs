//! What the nodes say to each other, and the actors that hear it.

use hew_node::{Actor, Context, Outcome, ReplyTo};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Names of the receivers of messages, one for each pair of actors.
pub(crate) const SINKS: [&str; 4] = ["sink-0", "sink-1", "sink-2", "sink-3"];
/// The receiver of bulk messages, apart from the others.
pub(crate) const BULK_SINK: &str = "sink-bulk";
/// The actor that answers.
pub(crate) const ECHO: &str = "echo";

/// To a receiver of messages.
#[derive(Serialize, Deserialize)]
pub(crate) enum ToSink {
    Data(ByteBuf),
    /// What came since the last question.
    Total(ReplyTo<Total>),
}

/// What a sink handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Total {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// To the actor that answers with what it gets.
#[derive(Serialize, Deserialize)]
pub(crate) enum ToEcho {
    Echo(ByteBuf, ReplyTo<ByteBuf>),
}

#[derive(Default)]
pub(crate) struct Sink {
    total: Total,
}

impl Actor for Sink {
    type Message = ToSink;

    async fn handle(&mut self, message: ToSink, _: &mut Context<ToSink>) -> Outcome {
        match message {
            ToSink::Data(bytes) => {
                self.total.messages += 1;
                self.total.bytes += bytes.len() as u64;
            }
            ToSink::Total(reply) => reply.send(std::mem::take(&mut self.total)),
        }
        Outcome::Continue
    }
}

pub(crate) struct Echo;

impl Actor for Echo {
    type Message = ToEcho;

    async fn handle(&mut self, message: ToEcho, _: &mut Context<ToEcho>) -> Outcome {
        let ToEcho::Echo(bytes, reply) = message;
        reply.send(bytes);
        Outcome::Continue
    }
}

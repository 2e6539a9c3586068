//! The actors that `hewctl` can run: something to send to and to ask.

use hew_node::{
    Actor, AskError, Context, MailboxOptions, Node, Outcome, Pid, Raw, RawMessage, RawReply, ReplyTo,
    SpawnError, SpawnOptions,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Messages of the counter.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Counter {
    /// Type 0: adds to the total.
    Add(u64),
    /// Type 1: asks for the total.
    Get(ReplyTo<u64>),
}

#[derive(Debug, Default)]
struct CounterActor {
    total: u64,
}

impl Actor for CounterActor {
    type Message = Counter;

    async fn handle(&mut self, message: Counter, _: &mut Context<Counter>) -> Outcome {
        match message {
            Counter::Add(n) => self.total = self.total.wrapping_add(n),
            Counter::Get(reply) => reply.send(self.total),
        }
        Outcome::Continue
    }
}

/// Answers every question with the bytes of the question.
struct EchoActor;

impl Actor for EchoActor {
    type Message = RawMessage;

    async fn handle(&mut self, message: RawMessage, _: &mut Context<RawMessage>) -> Outcome {
        if let Some(reply) = message.reply {
            reply.send(Raw(message.payload));
        }
        Outcome::Continue
    }
}

/// Questions that a silent actor holds at most; the oldest is given up for one more.
const SILENT_QUESTIONS_MAX: usize = 1024;

/// Takes everything and answers nothing, to see what a deadline does.
#[derive(Default)]
struct SilentActor {
    questions: std::collections::VecDeque<RawReply>,
}

impl Actor for SilentActor {
    type Message = RawMessage;

    async fn handle(&mut self, message: RawMessage, _: &mut Context<RawMessage>) -> Outcome {
        // A reply address that is dropped tells the asker that no answer comes.
        self.questions.retain(RawReply::is_awaited);
        if self.questions.len() == SILENT_QUESTIONS_MAX
            && let Some(oldest) = self.questions.pop_front()
        {
            oldest.fail(AskError::Full);
        }
        self.questions.extend(message.reply);
        Outcome::Continue
    }
}

/// Which of the actors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActorKind {
    /// Adds up: type 0 adds a number, type 1 asks for the total.
    Counter,
    /// Answers with what it was asked.
    Echo,
    /// Never answers.
    Silent,
}

impl ActorKind {
    const ALL: [ActorKind; 3] = [ActorKind::Counter, ActorKind::Echo, ActorKind::Silent];

    fn name(self) -> &'static str {
        match self {
            ActorKind::Counter => "counter",
            ActorKind::Echo => "echo",
            ActorKind::Silent => "silent",
        }
    }

    /// Starts one on `node`, with room for `capacity` waiting messages.
    pub(crate) fn spawn(self, node: &Node, capacity: Option<usize>) -> Result<Pid, SpawnError> {
        match self {
            ActorKind::Counter => {
                Ok(node.spawn_with(CounterActor::default(), options(self, capacity))?.pid())
            }
            ActorKind::Echo => raw(node, EchoActor, self, capacity),
            ActorKind::Silent => raw(node, SilentActor::default(), self, capacity),
        }
    }
}

fn raw<A: Actor<Message = RawMessage>>(
    node: &Node,
    actor: A,
    kind: ActorKind,
    capacity: Option<usize>,
) -> Result<Pid, SpawnError> {
    let options = SpawnOptions { decoder: Some(RawMessage::decoder()), ..options(kind, capacity) };
    Ok(node.system().spawn_with(actor, options)?.pid())
}

fn options<M>(kind: ActorKind, capacity: Option<usize>) -> SpawnOptions<M> {
    let mailbox = MailboxOptions { capacity, ..MailboxOptions::default() };
    SpawnOptions { label: Some(kind.name().into()), mailbox, ..SpawnOptions::default() }
}

/// An actor to start, and its name: `counter:NAME` or `counter=NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ActorSetting {
    pub(crate) kind: ActorKind,
    pub(crate) name: String,
}

impl FromStr for ActorSetting {
    type Err = String;

    fn from_str(text: &str) -> Result<ActorSetting, String> {
        let kinds = || ActorKind::ALL.map(ActorKind::name).join(", ");
        let (kind, name) = text.split_once([':', '=']).ok_or_else(|| {
            format!("{text:?} is not an actor: expected KIND:NAME, KIND one of {}", kinds())
        })?;
        let kind = ActorKind::ALL
            .into_iter()
            .find(|known| known.name() == kind)
            .ok_or_else(|| format!("{kind:?} is no kind of actor: there are {}", kinds()))?;
        hew_node::Name::new(name).map_err(|error| error.to_string())?;
        Ok(ActorSetting { kind, name: name.into() })
    }
}

impl<'de> Deserialize<'de> for ActorSetting {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<ActorSetting, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for ActorSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_a_kind_and_a_name() {
        let shop = ActorSetting { kind: ActorKind::Counter, name: "shop/visits".into() };
        assert_eq!("counter:shop/visits".parse(), Ok(shop.clone()));
        assert_eq!("counter=shop/visits".parse(), Ok(shop));
        let error = |text: &str| text.parse::<ActorSetting>().unwrap_err();
        assert!(error("counter").contains("expected KIND:NAME"));
        assert!(error("clock:a").contains("\"clock\" is no kind of actor: there are counter, echo, silent"));
        assert!(!error("echo:").is_empty());
    }
}

//! Questions: an actor here asks an actor of the other node, one after the other.

use crate::measure::Failure;
use crate::messages::ToEcho;
use crate::pair::Pair;
use futures_lite::future;
use hew_node::{Actor, ActorRef, Context, Outcome, ReplyTo, Stack};
use serde_bytes::ByteBuf;
use std::time::{Duration, Instant};

/// How long a repetition may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// Payload bytes of a question, and of its answer.
const QUESTION_BYTES: usize = 64;

struct Asker {
    echo: ActorRef<ToEcho>,
}

struct Ask {
    count: u64,
    reply: ReplyTo<Result<Vec<u64>, String>>,
}

impl Asker {
    async fn ask_all(&self, count: u64) -> Result<Vec<u64>, String> {
        let bytes = ByteBuf::from(vec![7; QUESTION_BYTES]);
        let mut nanoseconds = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let start = Instant::now();
            let answer = self.echo.ask_within(DEADLINE, |reply| ToEcho::Echo(bytes.clone(), reply)).await;
            nanoseconds.push(start.elapsed().as_nanos() as u64);
            match answer {
                Ok(answer) if answer == bytes => {}
                Ok(_) => return Err("an answer was not what was asked".into()),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(nanoseconds)
    }
}

impl Actor for Asker {
    type Message = Ask;

    async fn handle(&mut self, Ask { count, reply }: Ask, _: &mut Context<Ask>) -> Outcome {
        reply.send(self.ask_all(count).await);
        Outcome::Stop
    }
}

/// The nanoseconds that each of `count` questions took.
pub(crate) fn ask<S: Stack>(pair: &Pair<S>, count: u64) -> Result<Vec<u64>, Failure> {
    let asker = pair.node.system().spawn(Asker { echo: pair.echo.clone() });
    Ok(future::block_on(asker.ask_within(DEADLINE, |reply| Ask { count, reply }))??)
}

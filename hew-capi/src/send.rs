//! Sending bytes to an actor, with a text for every refusal.

use crate::channel::{Channel, ToChannel, ask_failure};
use crate::error::{Failure, HEW_ERR_ACTOR_STOPPED, HEW_ERR_MAILBOX_FULL, HEW_ERR_STALE};
use crate::running;
use crate::workers::wait;
use hew_actor::{ActorRef, AskError, RawMessage, RawReply, SendError, TrySendError};
use hew_wire::Pid;
use std::sync::Arc;
use std::time::Instant;

/// Sends; waits where the mailbox's policy says so.
///
/// # Errors
/// The message was not sent.
pub(crate) fn send(actor: &ActorRef<RawMessage>, msg_type: i32, data: &[u8]) -> Result<(), Failure> {
    check_type(msg_type)?;
    wait(actor.send(RawMessage::new(msg_type, data)))?.map_err(|error| refused(actor.pid(), error))
}

/// Sends without waiting.
///
/// # Errors
/// `HEW_ERR_MAILBOX_FULL`, `HEW_ERR_ACTOR_STOPPED`, or what is wrong with the message.
pub(crate) fn try_send(actor: &ActorRef<RawMessage>, msg_type: i32, data: &[u8]) -> Result<(), Failure> {
    check_type(msg_type)?;
    actor.try_send(RawMessage::new(msg_type, data)).map_err(|error| match error {
        TrySendError::Full(_) => {
            Failure::new(HEW_ERR_MAILBOX_FULL, format!("{}: the mailbox is full", actor.pid()))
        }
        error => refused(actor.pid(), error.into()),
    })
}

/// Sends a question to an actor of this process; its answer, or why there is none, arrives at `channel`.
///
/// # Errors
/// The question was not sent, and nothing arrives.
pub(crate) fn ask_into(
    actor: &ActorRef<RawMessage>,
    msg_type: i32,
    data: &[u8],
    channel: &Arc<Channel>,
) -> Result<(), Failure> {
    check_type(msg_type)?;
    let reply = RawReply::from_remote_raw(Arc::new(ToChannel(Arc::clone(channel))));
    let message = RawMessage { msg_type, payload: data.to_vec(), reply: Some(reply) };
    wait(actor.send(message))?.map_err(|error| refused(actor.pid(), error))
}

/// Asks an actor of this process and waits.
///
/// # Errors
/// Why there is no answer.
pub(crate) fn ask(
    actor: &ActorRef<RawMessage>,
    msg_type: i32,
    data: &[u8],
    deadline: Option<Instant>,
) -> Result<Vec<u8>, Failure> {
    if running::pid() == Some(actor.pid()) {
        return Err(Failure::invalid("an actor that asks itself would wait for ever"));
    }
    let channel = Channel::new();
    ask_into(actor, msg_type, data, &channel)?;
    channel.wait(deadline)
}

fn check_type(msg_type: i32) -> Result<(), Failure> {
    if msg_type < 0 {
        return Err(Failure::invalid(format!("message type {msg_type}: negative ones belong to the system")));
    }
    Ok(())
}

/// The failure of a message to an actor.
fn refused<M>(pid: Pid, error: SendError<M>) -> Failure {
    let mut failure = ask_failure(&AskError::from(error));
    // An actor whose reference is there has been: it has ended.
    if failure.code == HEW_ERR_STALE {
        failure.code = HEW_ERR_ACTOR_STOPPED;
    }
    failure.text = format!("{pid}: {}", failure.text);
    failure
}

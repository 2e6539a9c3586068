//! `hewctl send` and `hewctl ask`: one message to the actor of a name.

use crate::cli::MessageOptions;
use crate::client::with_client;
use crate::failure::Failure;
use crate::{output, payload};
use hew_node::{Pid, Raw, RawMessage};
use serde_json::json;

/// Sends a message. When it returns, the actor's node has it.
pub(crate) fn send(options: &MessageOptions) -> Result<(), Failure> {
    let payload = payload::encode(options.content.as_ref())?;
    let name = options.name.as_str();
    let pid: Pid = with_client(&options.client, async |client| {
        let actor = client.find(name).await?;
        let message = RawMessage::new(options.msg_type, payload);
        let sent = actor.send(message).await;
        sent.map_err(|error| Failure::failed(error).of(format_args!("{name:?}, {}", actor.pid())))?;
        Ok(actor.pid())
    })?;
    if options.client.json {
        output::json(&json!({ "sent_to": pid.to_string() }));
    } else {
        output::line(format_args!("sent to {name} ({pid}); node {} has it", pid.node()));
    }
    Ok(())
}

/// Asks a question and prints the answer.
pub(crate) fn ask(options: &MessageOptions) -> Result<(), Failure> {
    let payload = payload::encode(options.content.as_ref())?;
    let name = options.name.as_str();
    let answer = with_client(&options.client, async |client| {
        let actor = client.find(name).await?;
        let msg_type = options.msg_type;
        let question = |reply| RawMessage { msg_type, payload, reply: Some(reply) };
        let asked = actor.ask_within(client.left(), question).await;
        let Raw(answer) =
            asked.map_err(|error| Failure::from(error).of(format_args!("{name:?}, {}", actor.pid())))?;
        payload::decode(&answer)
    })?;
    // JSON with and without --json: it is what was asked for.
    output::json(&answer);
    Ok(())
}

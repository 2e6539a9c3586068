//! What the demo and its node processes say to each other: one JSON object per line, on stdin and stdout.

use hew_node::{NodeEvent, Pid};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a node process is told to do. It does one thing after the other and answers each with one [`Answer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum Command {
    /// Starts the node; the first command.
    Start { id: u16, key: PathBuf, allow: PathBuf, join: Vec<String> },
    /// Waits until the node knows so many living members and has a link to each.
    AwaitMembers { members: usize },
    /// Starts a counter under a name.
    StartCounter { name: String },
    /// Starts a supervisor for the actor of that name, wherever it is.
    Supervise { name: String },
    /// Finds the actor of that name.
    Find { name: String },
    /// Sends so many messages to the counter of that name.
    Flood { name: String, messages: u64 },
    /// Asks the counter of that name for its total.
    Total { name: String },
    /// Waits until another actor than `old` has the name and answers.
    AwaitSuccessor { name: String, old: Pid },
    /// Shows its links.
    Links,
    /// Ends in order; the last command.
    Shutdown,
}

/// What a node process says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "says", rename_all = "snake_case")]
pub(super) enum Line {
    /// The answer to the oldest command without one.
    Answer(Answer),
    /// Something happened, whenever.
    Event(Event),
}

/// The answers, in the order of the commands that they belong to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(super) enum Answer {
    Started { address: String, public_key: String },
    MembersKnown { members: usize },
    CounterStarted { pid: Pid },
    Supervising { pid: Pid },
    Found { pid: Pid },
    Flooded { sent: u64, elapsed_ms: u64 },
    Total { total: u64 },
    Successor { pid: Pid, total: u64 },
    Links { links: Vec<Link>, messages_refused: u64 },
    ShutDown,
    Failed { why: String },
}

/// A link as the node process sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Link {
    pub(super) node: u16,
    pub(super) connected: bool,
    pub(super) encrypted: bool,
    pub(super) public_key: Option<String>,
}

/// What happened at a node process, as far as the demo's story needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// Another node is there.
    Up { node: u16 },
    /// Another node is gone.
    Down { node: u16, text: String },
    /// The supervisor saw the actor end.
    ActorDown { pid: Pid, reason: String, pause_ms: u64 },
    /// The supervisor started it again.
    ActorRestarted { pid: Pid },
    /// Anything else, in words.
    Other { text: String },
}

impl Event {
    pub(super) fn of(event: &NodeEvent) -> Event {
        let text = crate::words::sentence(event);
        match event {
            NodeEvent::MemberUp { node, .. } => Event::Up { node: node.raw() },
            NodeEvent::MemberDown { node, .. } => Event::Down { node: node.raw(), text },
            _ => Event::Other { text },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hew_node::NodeId;

    #[test]
    fn lines_read_back() {
        let pid = Pid::new(NodeId::from_raw(2), (1 << 48) - 1);
        let lines = [
            Line::Answer(Answer::Found { pid }),
            Line::Answer(Answer::ShutDown),
            Line::Event(Event::Down { node: 2, text: "node 2 is down\n".into() }),
        ];
        for line in lines {
            let text = serde_json::to_string(&line).unwrap();
            assert!(!text.contains('\n'));
            assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
        }
        let start = Command::Start { id: 1, key: "k".into(), allow: "a".into(), join: vec![] };
        let text = serde_json::to_string(&start).unwrap();
        assert_eq!(serde_json::from_str::<Command>(&text).unwrap(), start);
        assert!(serde_json::from_str::<Command>(r#"{"do":"dance"}"#).is_err());
    }
}

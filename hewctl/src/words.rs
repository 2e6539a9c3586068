//! What happens in a cluster, in plain words and as JSON.

use hew_node::{DownReason, NodeEvent};
use serde_json::{Value, json};

/// One event in one sentence, in one line: what comes from a peer moves no cursor.
pub(crate) fn sentence(event: &NodeEvent) -> String {
    let text = words(event);
    if text.chars().any(char::is_control) { text.escape_debug().to_string() } else { text }
}

fn words(event: &NodeEvent) -> String {
    match event {
        NodeEvent::Joined { through } => format!("joined the cluster through node {through}"),
        NodeEvent::MemberUp { node, .. } => format!("node {node} is up"),
        NodeEvent::MemberSuspect { node } => format!("node {node} does not answer and is suspected"),
        NodeEvent::MemberAlive { node } => format!("node {node} answers again"),
        NodeEvent::MemberDown { node, reason, .. } => {
            format!("node {node} is down: {}", down_reason(*reason))
        }
        NodeEvent::Isolated => "hears so little that it must be cut off itself".into(),
        NodeEvent::Rejoined => "hears the others again".into(),
        NodeEvent::Conflict { node, detail } => format!("node id {node} is claimed by two: {detail}"),
        NodeEvent::LinkUp { node, encrypted, resumed } => {
            let protection = if *encrypted { "encrypted" } else { "NOT encrypted" };
            let again = if *resumed { ", the session goes on" } else { "" };
            format!("link to node {node} is up, {protection}{again}")
        }
        NodeEvent::LinkDown { node, cause } => format!("link to node {node} ended: {cause}"),
        NodeEvent::Refused { address, cause } if cause.starts_with(address.as_str()) => {
            format!("refused: {cause}")
        }
        NodeEvent::Refused { address, cause } => format!("refused: {address}: {cause}"),
        NodeEvent::NameUp { name, pid } => format!("the name {name} means {pid}"),
        NodeEvent::NameDown { name, pid } => format!("the name {name} does not mean {pid} any more"),
        NodeEvent::NameLost { name, pid, winner } => {
            format!(
                "the name {name} went from {pid} to {winner}, which was registered elsewhere at the same time"
            )
        }
        NodeEvent::Stopped => "stopped".into(),
        // The type may grow; what it shows of itself is better than nothing.
        other => format!("{other:?}"),
    }
}

/// One event as an object with the field `event`.
pub(crate) fn object(event: &NodeEvent) -> Value {
    match event {
        NodeEvent::Joined { through } => json!({"event": "joined", "through": through}),
        NodeEvent::MemberUp { node, incarnation } => {
            json!({"event": "member_up", "node": node, "incarnation": incarnation})
        }
        NodeEvent::MemberSuspect { node } => json!({"event": "member_suspect", "node": node}),
        NodeEvent::MemberAlive { node } => json!({"event": "member_alive", "node": node}),
        NodeEvent::MemberDown { node, incarnation, reason } => json!({
            "event": "member_down", "node": node, "incarnation": incarnation, "reason": down_code(*reason),
        }),
        NodeEvent::Isolated => json!({"event": "isolated"}),
        NodeEvent::Rejoined => json!({"event": "rejoined"}),
        NodeEvent::Conflict { node, detail } => {
            json!({"event": "conflict", "node": node, "detail": detail})
        }
        NodeEvent::LinkUp { node, encrypted, resumed } => {
            json!({"event": "link_up", "node": node, "encrypted": encrypted, "resumed": resumed})
        }
        NodeEvent::LinkDown { node, cause } => json!({"event": "link_down", "node": node, "cause": cause}),
        NodeEvent::Refused { address, cause } => {
            json!({"event": "refused", "address": address, "cause": cause})
        }
        NodeEvent::NameUp { name, pid } => {
            json!({"event": "name_up", "name": name.as_str(), "pid": pid.to_string()})
        }
        NodeEvent::NameDown { name, pid } => {
            json!({"event": "name_down", "name": name.as_str(), "pid": pid.to_string()})
        }
        NodeEvent::NameLost { name, pid, winner } => json!({
            "event": "name_lost", "name": name.as_str(), "pid": pid.to_string(), "winner": winner.to_string(),
        }),
        NodeEvent::Stopped => json!({"event": "stopped"}),
        other => json!({"event": "other", "detail": format!("{other:?}")}),
    }
}

fn down_reason(reason: DownReason) -> &'static str {
    match reason {
        DownReason::Timeout => "it did not answer any more",
        DownReason::Refused => "its connection broke and nobody listens there any more",
        DownReason::Replaced => "it was started anew",
        DownReason::Left => "it said goodbye",
        DownReason::Forced => "it was declared so here",
    }
}

fn down_code(reason: DownReason) -> &'static str {
    match reason {
        DownReason::Timeout => "timeout",
        DownReason::Refused => "refused",
        DownReason::Replaced => "replaced",
        DownReason::Left => "left",
        DownReason::Forced => "forced",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hew_node::{Incarnation, NodeId};

    #[test]
    fn an_address_is_not_said_twice() {
        let refused = |cause: &str| {
            sentence(&NodeEvent::Refused { address: "127.0.0.1:9".into(), cause: cause.into() })
        };
        assert_eq!(refused("127.0.0.1:9: no"), "refused: 127.0.0.1:9: no");
        assert_eq!(refused("no"), "refused: 127.0.0.1:9: no");
    }

    #[test]
    fn a_link_without_encryption_is_said_loudly() {
        let node = NodeId::from_raw(2);
        let link = |encrypted| sentence(&NodeEvent::LinkUp { node, encrypted, resumed: false });
        assert_eq!(link(true), "link to node 2 is up, encrypted");
        assert_eq!(link(false), "link to node 2 is up, NOT encrypted");
    }

    #[test]
    fn an_event_names_itself_in_json() {
        let down = NodeEvent::MemberDown {
            node: NodeId::from_raw(2),
            incarnation: Incarnation(7),
            reason: DownReason::Refused,
        };
        let expected = r#"{"event":"member_down","incarnation":7,"node":2,"reason":"refused"}"#;
        assert_eq!(object(&down).to_string(), expected);
    }
}

//! Samples of control messages: monitors, links and ends of actors, membership, registry.

use crate::sample::Sample;
use hew_wire::control::Control;
use hew_wire::membership::{MemberState, MemberUpdate, MembershipMessage};
use hew_wire::registry::{Delete, DeleteReason, OwnerDigest, Page, Pull, Put, RegistryMessage};
use hew_wire::{ExitReason, Incarnation, Name, NodeId, Pid};

const LOCAL: Pid = Pid::new(NodeId::from_raw(1), 7);
const REMOTE: Pid = Pid::new(NodeId::from_raw(2), 0x0506_0708);

pub(crate) fn samples() -> Vec<Sample> {
    [actors(), ends(), membership(), registry()].into_iter().flatten().collect()
}

fn actors() -> Vec<Sample> {
    let (from, to, target, reference) = (LOCAL, REMOTE, REMOTE, 5);
    let reason = ExitReason::Killed;
    vec![
        Sample::control("monitor", "monitor 5 of 2.84281096", Control::Monitor { reference, target }),
        Sample::control("demonitor", "demonitor 5", Control::Demonitor { reference }),
        Sample::control("link", "link of 1.7 and 2.84281096", Control::Link { from, to }),
        Sample::control("unlink", "unlink of 1.7 and 2.84281096", Control::Unlink { from, to }),
        Sample::control(
            "exit",
            "exit signal from 1.7 to 2.84281096: killed",
            Control::Exit { from, to, reason },
        ),
        Sample::control("stop", "stop 2.84281096", Control::Stop { target }),
        Sample::control("kill", "kill 2.84281096", Control::Kill { target }),
        Sample::control(
            "denied",
            "may not kill 2.84281096",
            Control::Denied { permission: "kill".into(), target },
        ),
        Sample::control("revoke", "revoke a key", Control::Revoke { key: "0123456789abcdef".repeat(4) }),
    ]
}

fn ends() -> Vec<Sample> {
    let down = |name: &str, reason: ExitReason| {
        let comment = format!("down of monitor 5: {reason}");
        Sample::control(&format!("down_{name}"), &comment, Control::Down { reference: 5, reason })
    };
    vec![
        down("normal", ExitReason::Normal),
        down("killed", ExitReason::Killed),
        down("crashed", ExitReason::crashed("index out of bounds")),
        down("linked", ExitReason::linked("1.7: killed")),
        down("no_process", ExitReason::NoProcess),
        down("node_down", ExitReason::NodeDown),
        down("not_allowed", ExitReason::NotAllowed),
    ]
}

fn membership() -> Vec<Sample> {
    let member = |name: &str, comment: &str, message| {
        Sample::control(&format!("member_{name}"), comment, Control::Membership(message))
    };
    let alive = MemberUpdate {
        node: NodeId::from_raw(2),
        incarnation: Incarnation(1_800_000_000_000),
        refutation: 0,
        state: MemberState::Alive,
        address: String::new(),
        suspectors: Vec::new(),
    };
    let suspect = MemberUpdate {
        node: NodeId::from_raw(300),
        refutation: 3,
        state: MemberState::Suspect,
        address: "10.0.0.7:9000".into(),
        suspectors: vec![NodeId::from_raw(1), NodeId::from_raw(40_000)],
        ..alive.clone()
    };
    let dead = MemberUpdate { state: MemberState::Dead, ..alive.clone() };
    let left = MemberUpdate { state: MemberState::Left, ..alive.clone() };
    let (seq, updates) = (7, Vec::new());
    let (ping, ack) = (
        MembershipMessage::Ping { seq, updates: vec![alive.clone(), suspect.clone()] },
        MembershipMessage::Ack { seq, updates: updates.clone() },
    );
    let target = NodeId::from_raw(300);
    let request = MembershipMessage::PingRequest { seq, target, wait_ms: 1500, updates: updates.clone() };
    let news = MembershipMessage::Gossip { updates: vec![dead, left.clone()] };
    let page = MembershipMessage::JoinReply { members: vec![alive.clone()], last: true };
    // The same kinds with what the others lack, or without it.
    let news_of = vec![suspect.clone()];
    let more = [
        member("ping_bare", "ping 7 without news", MembershipMessage::Ping { seq, updates: Vec::new() }),
        member("ack_news", "ack of 7 with news", MembershipMessage::Ack { seq, updates: news_of.clone() }),
        member(
            "ping_request_news",
            "ping request 7 with news",
            MembershipMessage::PingRequest { seq, target, wait_ms: 1, updates: news_of.clone() },
        ),
        member("nack_news", "nack of 7 with news", MembershipMessage::Nack { seq, updates: news_of }),
        member("gossip_empty", "no news", MembershipMessage::Gossip { updates: Vec::new() }),
        member(
            "join_reply_empty",
            "a page of members without any, not the last",
            MembershipMessage::JoinReply { members: Vec::new(), last: false },
        ),
        member("members_empty", "no members", MembershipMessage::Members { members: Vec::new() }),
    ];
    let stale = MembershipMessage::Stale { node: target, incarnation: Incarnation(1_800_000_000_001) };
    let digest = MembershipMessage::Digest { buckets: vec![(2, 0x0102_0304_0506_0708), (44, 1)] };
    let samples = [
        member("ping", "ping 7 with news of an alive and a suspect member", ping),
        member("ack", "ack of 7 without news", ack),
        member("ping_request", "ping request 7 for node 300 within 1500 ms", request),
        member("nack", "nack of 7", MembershipMessage::Nack { seq, updates }),
        member("gossip", "news of a dead member and of one that left", news),
        member("join", "join of node 2", MembershipMessage::Join { member: alive.clone() }),
        member("join_reply", "the last page of members", page),
        member("leave", "leave 7 of node 2", MembershipMessage::Leave { seq, member: left }),
        member("stale", "an incarnation of node 300 is over", stale),
        member("digest", "fingerprints of two buckets", digest),
        member("digest_diff", "two buckets differ", MembershipMessage::DigestDiff { buckets: vec![2, 44] }),
        member(
            "members",
            "members of a bucket",
            MembershipMessage::Members { members: vec![alive, suspect] },
        ),
    ];
    samples.into_iter().chain(more).collect()
}

fn registry() -> Vec<Sample> {
    let registry = |name: &str, comment: &str, message| {
        Sample::control(&format!("registry_{name}"), comment, Control::Registry(message))
    };
    let (owner, incarnation) = (NodeId::from_raw(2), Incarnation(1_800_000_000_000));
    let digest = OwnerDigest { owner, incarnation, seq: 9, content: 0x0102_0304_0506_0708 };
    let name = |text: &str| Name::new(text).unwrap();
    let put = |seq, text: &str, priority| Put { seq, name: name(text), pid: REMOTE, stamp: 1000, priority };
    let delete = |seq, text: &str, reason| Delete { seq, name: name(text), reason };
    let full = Page {
        owner,
        incarnation,
        scan: Some(300),
        after: 4,
        upto: 8,
        head: 9,
        answer: Some(6),
        end: true,
        forward: true,
        puts: vec![put(5, "counter", 0), put(6, "clock", 200)],
        deletes: vec![
            delete(7, "a", DeleteReason::Unregistered),
            delete(8, "b", DeleteReason::Ended),
            delete(8, "c", DeleteReason::Conflict { winner: LOCAL }),
        ],
    };
    let least = Page {
        scan: None,
        answer: None,
        end: false,
        forward: false,
        puts: Vec::new(),
        deletes: Vec::new(),
        ..full.clone()
    };
    let pull = Pull { number: 6, owner, incarnation, after: 17, scan: None };
    let in_a_scan = Pull { scan: Some(300), ..pull };
    vec![
        registry(
            "summary",
            "fingerprint of everything",
            RegistryMessage::Summary { fingerprint: 0x0102_0304 },
        ),
        registry(
            "digest",
            "how far one log reaches, and a wish",
            RegistryMessage::Digest { owners: vec![digest], reply: true },
        ),
        registry(
            "digest_no_wish",
            "no logs, and no wish",
            RegistryMessage::Digest { owners: Vec::new(), reply: false },
        ),
        registry("pull", "pull 6 of what follows change 17", RegistryMessage::Pull(pull)),
        registry("pull_scan", "pull 6 in the middle of a scan", RegistryMessage::Pull(in_a_scan)),
        registry("page_full", "a page with every field", RegistryMessage::Page(full)),
        registry("page_least", "a page without changes", RegistryMessage::Page(least)),
    ]
}

//! Messages, questions and control messages of an authenticated peer.

use super::*;
use crate::records::*;

/// Takes no messages from outside.
pub(crate) struct Private;

impl Actor for Private {
    type Message = ();

    async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
        Outcome::Continue
    }
}

/// Asks, and gives the status of the reply as what was heard, if it is the expected one.
pub(crate) fn asked(
    stage: &Stage,
    target: Pid,
    msg_type: i32,
    payload: &[u8],
    status: u8,
) -> Result<Heard, Heard> {
    let mut link = stage.client()?;
    link.send(&message(target, msg_type, Some(77), payload));
    let (head, _) = link.read_reply()?;
    if (head.reference, head.status) != (77, status) {
        return Ok(Heard::Odd(format!("the answer is {head:?}, expected status {status}")));
    }
    Ok(link.pulse())
}

pub(crate) fn told(stage: &Stage, target: Pid, msg_type: i32, payload: &[u8]) -> Result<Heard, Heard> {
    with_frames(stage, &[&message(target, msg_type, None, payload)])
}

/// These bytes as a control message.
pub(crate) fn with_control(stage: &Stage, body: &[u8]) -> Result<Heard, Heard> {
    with_frames(stage, &[&frame(FrameKind::Control, 0, body)])
}

pub(crate) fn update(node: u16, incarnation: u64) -> MemberUpdate {
    MemberUpdate {
        node: NodeId::from_raw(node),
        incarnation: Incarnation(incarnation),
        refutation: 0,
        state: MemberState::Alive,
        address: String::new(),
        suspectors: Vec::new(),
    }
}

/// A member that says this about members.
pub(crate) fn gossiped(stage: &Stage, update: MemberUpdate) -> Result<Heard, Heard> {
    let mut link = stage.member()?;
    link.send(&control(&Control::Membership(MembershipMessage::Gossip { updates: vec![update] })));
    let heard = link.pulse();
    link.send(&frame(FrameKind::Goodbye, 0, b"done"));
    Ok(heard)
}

pub(crate) const GET: i32 = 1;
/// A reply address that is the frame's own.
pub(crate) const NIL: &[u8] = b"\xc0";

pub(crate) const MESSAGES: &[Row] = &[
    row(
        "a message for another node's actor",
        |s| told(s, Pid::new(NodeId::from_raw(GOOD), 5), 0, b"\x01"),
        Alive,
        &[("message foreign_target", 1)],
    ),
    row(
        "a message for node 0",
        |s| told(s, Pid::new(NodeId::LOCAL, s.counter.pid().serial()), 0, b"\x01"),
        Alive,
        &[("message foreign_target", 1)],
    ),
    row(
        "a message for nobody",
        |s| told(s, Pid::new(NodeId::from_raw(TARGET), 0xFFFF_FFFF), 0, b"\x01"),
        Alive,
        &[("message no_process", 1)],
    ),
    row(
        "a message that cannot be read",
        |s| told(s, s.counter.pid(), 0, b"\xc1"),
        Alive,
        &[("message undecodable", 1)],
    ),
    row(
        "a message of no known type",
        |s| told(s, s.counter.pid(), i32::MIN, b"\x01"),
        Alive,
        &[("message undecodable", 1)],
    ),
    row(
        "a message with bytes after it",
        |s| told(s, s.counter.pid(), 0, b"\x01\x01"),
        Alive,
        &[("message undecodable", 1)],
    ),
    row(
        "a message with a count of 2^32 - 1",
        |s| told(s, s.counter.pid(), 0, b"\xdd\xff\xff\xff\xff"),
        Alive,
        &[("message undecodable", 1)],
    ),
    row(
        "a message of 1,000,000 nested arrays",
        |s| {
            let mut whole = Vec::new();
            hew_wire::frame::MessageHead {
                target: s.counter.pid(),
                source: Pid::from_raw(0),
                msg_type: 0,
                reply: None,
            }
            .write(&mut whole, 1, &vec![0x91; 1_000_000]);
            let mut link = s.client()?;
            let mut offset = 0;
            for part in whole.chunks(60_000) {
                link.send(&fragment(3, whole.len() as u32, offset, part));
                offset += part.len() as u32;
            }
            Ok(link.pulse())
        },
        Alive,
        &[("message undecodable", 1)],
    ),
    row(
        "a question without a place for the answer",
        |s| told(s, s.counter.pid(), GET, NIL),
        Alive,
        &[("message undecodable", 1)],
    ),
    row("a good question", |s| asked(s, s.counter.pid(), GET, NIL, 0), Alive, &[]),
    row(
        "a question for another node's actor",
        |s| asked(s, Pid::new(NodeId::from_raw(GOOD), 5), GET, NIL, 20),
        Alive,
        &[("message foreign_target", 1)],
    ),
    row(
        "a question for nobody",
        |s| asked(s, Pid::new(NodeId::from_raw(TARGET), 0xFFFF_FFFF), GET, NIL, 20),
        Alive,
        &[("message no_process", 1)],
    ),
    row(
        "a question that cannot be read",
        |s| asked(s, s.counter.pid(), GET, b"\xc1", 5),
        Alive,
        &[("message undecodable", 1)],
    ),
    row(
        "a question for an actor that takes nothing from outside",
        |s| asked(s, s.target.system().spawn(Private).pid(), 0, NIL, 4),
        Alive,
        &[("message not_remote", 1)],
    ),
    row(
        "a question whose answer goes to node 0",
        |s| asked(s, s.counter.pid(), GET, b"\x92\x00\x07", 5),
        Alive,
        &[("message undecodable", 1)],
    ),
    // Control.
    row(
        "control: garbage",
        |s| with_control(s, b"\xc1\xc1\xc1"),
        Closed,
        &[("violation control_invalid", 1)],
    ),
    row("control: nothing", |s| with_control(s, b""), Closed, &[("violation control_truncated", 1)]),
    row(
        "control: not a map",
        |s| with_control(s, b"\x93\x01\x02\x03"),
        Closed,
        &[("violation control_invalid", 1)],
    ),
    row(
        "control: a tag of a later version",
        |s| with_control(s, b"\x81\xa6\x1b[31mx\xc0"),
        Alive,
        &[("unknown_skipped", 1)],
    ),
    row(
        "control: 40,000 nested arrays",
        |s| with_control(s, &[&b"\x81\xa6member"[..], &[0x91; 40_000], NIL].concat()),
        Closed,
        &[("violation control_too_deep", 1)],
    ),
    row(
        "control: too long",
        |s| with_control(s, &[&b"\x81\xa6member\xc6\x00\x00\xd0\x00"[..], &[0; 0xD000]].concat()),
        Closed,
        &[("violation control_too_large", 1)],
    ),
    row(
        "control: a count of 2^32 - 1",
        |s| with_control(s, b"\x81\xa6member\xdd\xff\xff\xff\xff"),
        Closed,
        &[("violation control_truncated", 1)],
    ),
    row(
        "control: 1000 updates",
        |s| {
            let body = [
                &b"\x81\xa6member\x81\xa6gossip\x81\xa1u\xdc\x03\xe8"[..],
                &b"\x82\xa1n\x05\xa1i\x01".repeat(1000),
            ]
            .concat();
            with_control(s, &body)
        },
        Closed,
        &[("violation control_invalid", 1)],
    ),
    row(
        "a monitor for another node's actor",
        |s| {
            let mut link = s.client()?;
            link.send(&control(&Control::Monitor {
                reference: 9,
                target: Pid::new(NodeId::from_raw(GOOD), 5),
            }));
            let down = link.read_control(|control| match control {
                Control::Down { reference, reason } => Some((reference, reason)),
                _ => None,
            })?;
            if down != (9, ExitReason::NoProcess) {
                return Ok(Heard::Odd(format!("down: {down:?}")));
            }
            Ok(link.pulse())
        },
        Alive,
        &[("control foreign_monitor", 1)],
    ),
    row(
        "a down for a monitor that was never made",
        |s| {
            with_frames(
                s,
                &[&control(&Control::Down { reference: 1, reason: ExitReason::crashed("\x1b[31m\n") })],
            )
        },
        Alive,
        &[("control unexpected_down", 1)],
    ),
    row(
        "a link between two others",
        |s| {
            with_frames(
                s,
                &[&control(&Control::Link {
                    from: Pid::new(NodeId::from_raw(GOOD), 5),
                    to: s.counter.pid(),
                })],
            )
        },
        Alive,
        &[("control foreign_link", 1)],
    ),
    row(
        "an exit in another's name",
        |s| {
            with_frames(
                s,
                &[&control(&Control::Exit {
                    from: Pid::new(NodeId::from_raw(GOOD), 5),
                    to: s.counter.pid(),
                    reason: ExitReason::Killed,
                })],
            )
        },
        Alive,
        &[("control foreign_link", 1)],
    ),
    row(
        "an exit to an actor that is not linked",
        |s| {
            let from = Pid::new(NodeId::from_raw(EVIL), 5);
            let heard = with_frames(
                s,
                &[&control(&Control::Exit { from, to: s.counter.pid(), reason: ExitReason::Killed })],
            );
            total(s);
            heard
        },
        Alive,
        &[],
    ),
    row(
        "a kill for the node's own service",
        |s| {
            with_frames(
                s,
                &[&control(&Control::Kill { target: Pid::new(NodeId::from_raw(TARGET), SERVICE_SERIAL) })],
            )
        },
        Alive,
        &[("control service_is_not_stopped", 1)],
    ),
    row(
        "membership from a client",
        |s| {
            with_frames(
                s,
                &[&control(&Control::Membership(MembershipMessage::Ping { seq: 1, updates: vec![] }))],
            )
        },
        Alive,
        &[("control unknown_sender", 1)],
    ),
    row("membership: about node 0", |s| gossiped(s, update(0, 5)), Alive, &[("control invalid_update", 1)]),
    row(
        "membership: an incarnation at the end of all numbers",
        |s| gossiped(s, update(GOOD, u64::MAX)),
        Alive,
        &[("control invalid_update", 1)],
    ),
    row(
        "membership: a refutation at the end of all numbers, of a node that nobody has",
        |s| gossiped(s, MemberUpdate { refutation: u32::MAX, state: MemberState::Dead, ..update(900, 5) }),
        Alive,
        &[],
    ),
    row(
        "membership: a join as another",
        |s| {
            let mut link = s.member()?;
            link.send(&control(&Control::Membership(MembershipMessage::Join { member: update(GOOD, 5) })));
            Ok(link.pulse())
        },
        Alive,
        &[("control invalid_update", 1)],
    ),
    row(
        "registry: a page with another's actor",
        |s| {
            let put = Put {
                seq: 1,
                name: Name::new("stolen").expect("a name"),
                pid: s.counter.pid(),
                stamp: 1,
                priority: 255,
            };
            let incarnation = s.next_incarnation();
            let page = Page {
                owner: NodeId::from_raw(EVIL),
                incarnation: Incarnation(incarnation),
                scan: None,
                after: 0,
                upto: 1,
                head: 1,
                answer: None,
                end: false,
                forward: true,
                puts: vec![put],
                deletes: vec![],
            };
            let words = extension(Role::Member, incarnation);
            let mut link = Script::new(EVIL, &s.key, &words).dial(s.address)?;
            link.start().send(&control(&Control::Registry(RegistryMessage::Page(page))));
            let heard = link.pulse();
            match s.target.whereis("stolen") {
                None => Ok(heard),
                Some(pid) => Ok(Heard::Odd(format!("{heard}, and the name means {pid}"))),
            }
        },
        Alive,
        &[("control registry_foreign_pid", 1)],
    ),
];

#[test]
fn messages_and_control() {
    run(MESSAGES);
}

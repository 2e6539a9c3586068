//! Samples of what two nodes say to each other about their link and on behalf of their actors.

use crate::sample::{Sample, Subject};
use hew_wire::compression::Compressed;
use hew_wire::frame::{
    FRAME_HEADER_BYTES, FragmentHead, Frame, FrameKind, LANE_CONTROL, MessageHead, ReplyHead, flags,
    read_number, write_frame, write_number,
};
use hew_wire::payload::{decode_payload, decode_value, encode_payload, encode_value};
use hew_wire::{
    DecodeError, Extension, HELLO_BYTES, Hello, Incarnation, Name, NodeId, Pid, Refusal, RefusalStatus, Role,
    Verdict, feature, schema_hash,
};
use serde::{Deserialize, Serialize};

pub(crate) fn samples() -> Vec<Sample> {
    [handshake(), messages(), connection()].into_iter().flatten().collect()
}

fn handshake() -> Vec<Sample> {
    let mut public_key = [0; 32];
    for (i, byte) in public_key.iter_mut().enumerate() {
        *byte = 0xa0 + i as u8;
    }
    let hello = Hello {
        version: 1,
        node: NodeId::from_raw(0x0203),
        schema: 0x1122_3344,
        features: feature::ENCRYPTED | feature::AES_256_GCM,
        public_key,
    };
    // What a node of this version says; a changed schema changes it.
    let plain =
        Hello { node: NodeId::from_raw(1), schema: schema_hash(), features: 0, public_key: [0; 32], ..hello };
    let refused = Verdict::Refused(Refusal::new(RefusalStatus::NodeIdConflict, "node 515 is another's"));
    let full = Extension {
        incarnation: Incarnation(1_800_000_000_000),
        node_name: Some(Name::new("east-1").unwrap()),
        cluster: Name::new("prod").unwrap(),
        role: Role::Client,
        version_min: 1,
        version_max: 2,
        frame_bytes_max: 65_511,
        listen: Some("10.0.0.7:9000".into()),
        session: 7,
        fresh: 0x1122_3344_5566_7788,
        received: 300,
        compression: 1,
    };
    let least = Extension {
        incarnation: Incarnation(1),
        node_name: None,
        cluster: Name::new("c").unwrap(),
        role: Role::Member,
        version_min: 1,
        version_max: 1,
        frame_bytes_max: 1024,
        listen: None,
        session: 0,
        fresh: 0,
        received: 0,
        compression: 0,
    };
    let mut samples = vec![
        hello_sample(
            "hello",
            "hello: version 1, node 515, schema 0x11223344, encrypted, aes_256_gcm, key a0..bf",
            hello,
        ),
        hello_sample("hello_plain", "hello: version 1, node 1, the schema, no features, no key", plain),
        verdict("verdict_accepted", "verdict: accepted", Verdict::Accepted),
        verdict("verdict_refused", "verdict: 3, node id conflict, with a reason", refused),
        verdict(
            "verdict_later",
            "verdict: 200, of a later version",
            status(RefusalStatus::Unknown(200), "no"),
        ),
        extension("extension_full", "handshake extension with every field", full),
        extension("extension_least", "handshake extension with the required fields", least),
    ];
    let known = (1..=8).filter_map(RefusalStatus::from_byte);
    samples.extend(known.map(|known| {
        let (name, comment) =
            (format!("verdict_{}", known.code()), format!("verdict: {}, {known}", known.byte()));
        verdict(&name, &comment, status(known, ""))
    }));
    samples
}

fn status(status: RefusalStatus, reason: &str) -> Verdict {
    Verdict::Refused(Refusal::new(status, reason))
}

fn hello_sample(name: &str, comment: &str, hello: Hello) -> Sample {
    Sample::new(Subject::Handshake, name, comment, hello.encode().into(), hello, |bytes| {
        let bytes: &[u8; HELLO_BYTES] = bytes.try_into().map_err(|_| "not 48 bytes".to_owned())?;
        Hello::decode(bytes).map_err(|error| error.to_string())
    })
}

fn verdict(name: &str, comment: &str, verdict: Verdict) -> Sample {
    let mut bytes = Vec::new();
    verdict.encode(&mut bytes);
    Sample::new(Subject::Handshake, name, comment, bytes, verdict, Verdict::decode)
}

fn extension(name: &str, comment: &str, extension: Extension) -> Sample {
    Sample::new(Subject::Handshake, name, comment, extension.encode(), extension, Extension::decode)
}

/// The messages of an actor, one variant of each shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Order {
    Reset,
    Add(u64),
    Move(i32, i32),
    Rename { from: String, to: Option<String> },
    Fill(Filling),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Filling {
    unit: Unit,
    choices: Vec<Choice>,
    bytes: serde_bytes::ByteBuf,
    amount: f64,
    wide: i128,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Choice {
    Nothing,
    One(u8),
    Two(u8, bool),
    Named { of: char },
}

const SOURCE: Pid = Pid::new(NodeId::from_raw(1), 0x0102);
const TARGET: Pid = Pid::new(NodeId::from_raw(2), 0x0506_0708);

fn messages() -> Vec<Sample> {
    let filling = Filling {
        unit: Unit,
        choices: vec![Choice::Nothing, Choice::One(1), Choice::Two(2, true), Choice::Named { of: 'é' }],
        bytes: serde_bytes::ByteBuf::from(vec![0, 255]),
        amount: 0.5,
        wide: -2,
    };
    let rename = Order::Rename { from: "a".into(), to: None };
    let reply = Some(0x1122_3344_5566_7788);
    vec![
        message("unit", "message 0 without content, from no actor", Pid::from_raw(0), None, Order::Reset),
        message("newtype", "message 1 with 300", SOURCE, None, Order::Add(300)),
        message("tuple", "message 2 with 1 and -1", SOURCE, None, Order::Move(1, -1)),
        message("struct", "message 3 with from: a, to: nil", SOURCE, None, rename),
        message("nested", "message 4 with a value of every other shape", SOURCE, None, Order::Fill(filling)),
        message("with_reply", "message 1 with 7, and a reply reference", SOURCE, reply, Order::Add(7)),
        reply_value(),
        reply_error(),
        message_compressed(),
        reply_compressed(),
    ]
}

/// Forty times `na` behind the front of a byte string: five literals, a match with the two bytes before, and five more.
/// By hand, because another version of the library may find a shorter block.
const SONG: (&[u8], &[u8]) = (b"\xc4\x50", b"\x4f\xc4\x50na\x02\x00\x36\x50anana");

fn message_compressed() -> Sample {
    let head = MessageHead { target: TARGET, source: SOURCE, msg_type: 0, reply: Some(9) };
    let body = [&82_u32.to_le_bytes(), SONG.1].concat();
    let mut bytes = Vec::new();
    head.front(3, body.len()).compressed().write(&mut bytes);
    bytes.extend(&body);
    let comment = "message 0 with 80 bytes, compressed, and a reply reference";
    Sample::frame("message_compressed", comment, bytes, (head, song()), |frame| {
        let (head, rest) = MessageHead::decode(frame)?;
        Ok((head, plain(frame, rest)?))
    })
}

fn reply_compressed() -> Sample {
    let head = ReplyHead { reference: 9, status: 0 };
    let body = [&82_u32.to_le_bytes(), SONG.1].concat();
    let mut bytes = Vec::new();
    head.front(3, body.len()).compressed().write(&mut bytes);
    bytes.extend(&body);
    Sample::frame("reply_compressed", "reply: 80 bytes, compressed", bytes, (head, song()), |frame| {
        let (head, rest) = ReplyHead::decode(frame)?;
        Ok((head, plain(frame, rest)?))
    })
}

fn song() -> Vec<u8> {
    [SONG.0, &b"na".repeat(40)].concat()
}

/// What the rest of a frame stands for.
fn plain(frame: &Frame<'_>, rest: &[u8]) -> Result<Vec<u8>, DecodeError> {
    if !frame.header.is_compressed() {
        return Ok(rest.to_vec());
    }
    Compressed::decode(rest)?.decompress(1024, &mut Vec::new()).map(<[u8]>::to_vec)
}

fn message(name: &str, comment: &str, source: Pid, reply: Option<u64>, order: Order) -> Sample {
    let (mut payload, mut bytes) = (Vec::new(), Vec::new());
    let msg_type = encode_payload(&order, &mut payload).unwrap();
    let head = MessageHead { target: TARGET, source, msg_type, reply };
    head.write(&mut bytes, 3, &payload);
    Sample::frame(&format!("message_{name}"), comment, bytes, (head, order), |frame| {
        let (head, payload) = MessageHead::decode(frame)?;
        Ok((head, decode_payload(head.msg_type, payload)?))
    })
}

fn reply_value() -> Sample {
    let (mut value, mut bytes) = (Vec::new(), Vec::new());
    let answer = (42u64, "forty-two".to_owned());
    encode_value(&answer, &mut value).unwrap();
    let head = ReplyHead { reference: 0x1122_3344_5566_7788, status: 0 };
    head.write(&mut bytes, 3, &value);
    Sample::frame("reply_ok", "reply: 42 and \"forty-two\"", bytes, (head, answer), |frame| {
        let (head, value) = ReplyHead::decode(frame)?;
        Ok((head, decode_value(value)?))
    })
}

fn reply_error() -> Sample {
    let mut bytes = Vec::new();
    let head = ReplyHead { reference: 0x1122_3344_5566_7788, status: 3 };
    let text = b"no such actor".to_vec();
    head.write(&mut bytes, 3, &text);
    Sample::frame("reply_error", "reply: error 3 and its text", bytes, (head, text), |frame| {
        let (head, text) = ReplyHead::decode(frame)?;
        Ok((head, text.to_vec()))
    })
}

fn connection() -> Vec<Sample> {
    let mut fragment = Vec::new();
    let head = FragmentHead { id: 9, total: 100_000, offset: 61_440 };
    let part = b"a part of a larger frame".to_vec();
    head.write(&mut fragment, 5, &part);

    let (mut start, mut ack) = (Vec::new(), Vec::new());
    write_number(&mut start, FrameKind::Start, 1);
    write_number(&mut ack, FrameKind::Ack, 0x0102_0304_0506_0708);
    let (mut heartbeat, mut goodbye, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    write_frame(&mut heartbeat, FrameKind::Heartbeat, LANE_CONTROL, 0, &[]);
    let reason = b"shutting down";
    write_frame(&mut goodbye, FrameKind::Goodbye, LANE_CONTROL, 0, &[reason]);
    write_frame(&mut idle, FrameKind::Goodbye, LANE_CONTROL, flags::IDLE, &[b"idle"]);
    assert_eq!(heartbeat.len(), FRAME_HEADER_BYTES);
    vec![
        Sample::frame("fragment", "fragment of a frame of 100,000 bytes", fragment, (head, part), |frame| {
            let (head, part) = FragmentHead::decode(frame)?;
            Ok((head, part.to_vec()))
        }),
        Sample::frame("start", "start: the next frame is number 1", start, 1, read_number),
        Sample::frame(
            "ack",
            "ack: 0x0102030405060708 frames received",
            ack,
            0x0102_0304_0506_0708,
            read_number,
        ),
        Sample::frame("heartbeat", "heartbeat", heartbeat, Vec::new(), text),
        Sample::frame("goodbye", "goodbye and the reason", goodbye, reason.to_vec(), text),
        Sample::frame(
            "goodbye_idle",
            "goodbye of an idle connection",
            idle,
            (true, b"idle".to_vec()),
            |frame| Ok((frame.header.is_idle(), text(frame)?)),
        ),
    ]
}

fn text(frame: &Frame<'_>) -> Result<Vec<u8>, DecodeError> {
    Ok(frame.body.to_vec())
}

//! What each target begins with: the golden bytes of the protocol, and some that are made.

use crate::honest::{self, Cipher};
use hew_security::danger::keypair_from_seed;
use hew_security::{Overwrite, StaticKeypair};
use hew_wire::compression::Compressor;
use hew_wire::frame::{
    FRAME_HEADER_BYTES, FragmentHead, FrameKind, MessageHead, ReplyHead, write_frame, write_number,
};
use hew_wire::{NodeId, Pid};
use std::fs;
use std::path::{Path, PathBuf};

/// The golden files whose names begin with one of `prefixes`, in the order of their names.
fn golden(prefixes: &[&str]) -> Vec<Vec<u8>> {
    let folder = manifest().join("../hew-wire/tests/golden/v1");
    let mut paths: Vec<_> = entries(&folder);
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".hex") && prefixes.iter().any(|prefix| name.starts_with(prefix))
    });
    paths.iter().map(|path| unhex(&fs::read_to_string(path).expect("a golden file can be read"))).collect()
}

/// What was found before and must not come back: the files in `corpus/<target>`, if there are any.
pub fn found(target: &str) -> Vec<Vec<u8>> {
    let folder = manifest().join("corpus").join(target);
    if !folder.is_dir() {
        return Vec::new();
    }
    entries(&folder).iter().map(|path| fs::read(path).expect("a finding can be read")).collect()
}

/// Writes the seeds of every target to a folder of its name below `folder`, where libFuzzer looks for them.
///
/// # Errors
/// What the file system says.
pub fn write_all(folder: &Path) -> std::io::Result<()> {
    for target in crate::TARGETS {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}

fn manifest() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of this repository can be read");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it has entries").path()).collect();
    paths.sort();
    paths
}

fn unhex(text: &str) -> Vec<u8> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let words = lines.flat_map(str::split_whitespace);
    words.map(|word| u8::from_str_radix(word, 16).expect("golden files are hexadecimal")).collect()
}

/// The golden frames without their headers.
fn bodies(prefixes: &[&str]) -> Vec<Vec<u8>> {
    golden(prefixes).iter().map(|frame| frame[FRAME_HEADER_BYTES..].to_vec()).collect()
}

const FRAMES: [&str; 8] = ["message", "reply", "control", "fragment", "start", "ack", "heartbeat", "goodbye"];

/// Frames one by one, and all of them in a row; the first byte says into which pieces they are cut.
pub(crate) fn frames() -> Vec<Vec<u8>> {
    let mut seeds = golden(&FRAMES);
    seeds.push(seeds.concat());
    seeds.into_iter().enumerate().map(|(cut, frames)| [&[cut as u8][..], &frames].concat()).collect()
}

pub(crate) fn messages() -> Vec<Vec<u8>> {
    golden(&["message", "reply"])
}

/// Payloads, without the head of the message.
pub(crate) fn values() -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> =
        bodies(&["message"]).iter().map(|body| body[MessageHead::BYTES..].to_vec()).collect();
    seeds.extend(bodies(&["control"]));
    seeds.push(b"\x93\xc7\x03\x05abc\xd6\xff\x00\x00\x00\x01\xca\x3f\x80\x00\x00".to_vec());
    seeds.push([vec![0x91; 64], vec![0xc0]].concat());
    seeds
}

/// Compressed payloads: those of the golden frames, and what becomes of payloads of every density; the first byte sets the
/// limit.
pub(crate) fn compressed() -> Vec<Vec<u8>> {
    let message = golden(&["message_compressed"]).concat();
    let reply = golden(&["reply_compressed"]).concat();
    let mut seeds = vec![
        message[FRAME_HEADER_BYTES + MessageHead::BYTES_WITH_REPLY..].to_vec(),
        reply[FRAME_HEADER_BYTES + ReplyHead::BYTES..].to_vec(),
    ];
    let numbers: Vec<u8> = (0..500_u32).flat_map(|number| (number / 3).to_le_bytes()).collect();
    let mut compressor = Compressor::default();
    for payload in [vec![0; 8_000], b"na".repeat(4_000), values().concat(), numbers] {
        seeds.extend(compressor.compress(&payload).map(<[u8]>::to_vec));
    }
    seeds.into_iter().flat_map(|seed| [[&[0], &seed[..]].concat(), [&[255], &seed[..]].concat()]).collect()
}

pub(crate) fn controls() -> Vec<Vec<u8>> {
    bodies(&["control"])
}

pub(crate) fn hellos() -> Vec<Vec<u8>> {
    golden(&["hello"])
}

pub(crate) fn verdicts() -> Vec<Vec<u8>> {
    golden(&["verdict"])
}

pub(crate) fn extensions() -> Vec<Vec<u8>> {
    golden(&["extension"])
}

/// What a stranger may say to a listener, and a listener to a stranger.
pub(crate) fn handshakes() -> Vec<Vec<u8>> {
    let hellos = golden(&["hello"]);
    let plain = golden(&["hello_plain"]).concat();
    let extension = golden(&["extension_full"]).concat();
    let with_length = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let dialer = [&plain[..], &[0], &with_length(&extension), &with_length(&[0])].concat();
    let listener = [&[0][..], &plain, &with_length(&extension), &with_length(&[0])].concat();
    let noise: Vec<_> =
        hellos.iter().map(|hello| [&hello[..], &[0, 0, 32], &[7; 32], &[0, 96], &[8; 96]].concat()).collect();
    let refused = golden(&["verdict"]).concat();
    // The first byte says who it is that hears it, and in which pieces.
    let seeds = [dialer, listener, refused].into_iter().chain(noise);
    seeds.flat_map(|bytes| [0xfc, 0xfd, 0xfe, 0xff, 0].map(|side| [&[side][..], &bytes].concat())).collect()
}

/// What an honest dialer says. The first byte says whether with AES, and into which pieces it is cut.
pub(crate) fn responders() -> Vec<Vec<u8>> {
    conversations(|aes| &honest::talk(aes).from_dialer, 0)
}

/// What an honest listener answers: a verdict, and then its hello.
pub(crate) fn initiators() -> Vec<Vec<u8>> {
    conversations(|aes| &honest::talk(aes).from_listener, 1)
}

/// Whole, with more behind it, and with a feature that nobody knows and anybody may offer: only Noise notices that one.
fn conversations(said: impl Fn(bool) -> &'static Vec<u8>, hello: usize) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (aes, pieces) in [(0, 60), (1, 60), (0, 0), (1, 3)] {
        let said = said(aes == 0);
        let mut offering = said.clone();
        offering[hello + 14] ^= 0x80;
        for bytes in [said.clone(), [said, &b"\0\x10and more"[..]].concat(), offering] {
            seeds.push([&[aes | pieces << 1], &bytes[..]].concat());
        }
    }
    seeds
}

/// Streams of records under each cipher and none: whole, with one doubled, two swapped, one dropped, one under another
/// cipher.
pub(crate) fn records() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (choice, cipher) in [(0, Cipher::Aes), (1, Cipher::ChaCha), (2, Cipher::Plain)] {
        let stream = honest::records(cipher);
        let starts = [0].iter().chain(&stream.ends);
        let one_by_one: Vec<&[u8]> =
            starts.zip(&stream.ends).map(|(&start, &end)| &stream.bytes[start..end]).collect();
        let pick =
            |order: &[usize]| order.iter().flat_map(|&at| one_by_one[at]).copied().collect::<Vec<u8>>();
        for order in [&[0, 1, 2, 3, 4, 5, 6][..], &[0, 1, 1, 2], &[0, 2, 1, 3], &[0, 1, 3, 4]] {
            seeds.push([&[choice + 30], &pick(order)[..]].concat());
        }
        seeds.push([&[choice], &stream.bytes[..]].concat());
        seeds.push([&[(choice + 1) % 3], &stream.bytes[..]].concat());
    }
    seeds
}

/// Key files: good ones, and one with the halves of two.
pub(crate) fn key_files() -> Vec<Vec<u8>> {
    let bytes = |pair: StaticKeypair| {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("key");
        pair.save(&path, Overwrite::Refuse).expect("a key can be saved");
        fs::read(path).expect("and read")
    };
    let (one, two) = (bytes(keypair_from_seed(1)), bytes(keypair_from_seed(2)));
    let mixed = [&one[..32], &two[32..]].concat();
    vec![one, two, mixed]
}

pub(crate) fn allowlists() -> Vec<Vec<u8>> {
    let hex = |seed: u64| keypair_from_seed(seed).public().to_hex();
    let text = |lines: &[String]| lines.join("\n").into_bytes();
    vec![
        text(&[
            "# two of a kind".into(),
            format!("1 {} till", hex(1)),
            format!("2\t{}", hex(2)),
            String::new(),
        ]),
        text(&[format!("* {}  anywhere", hex(1)), format!("1 {}", hex(1)), format!("65535 {}\r", hex(1))]),
        text(&[format!("7 {} old", hex(1)), format!("7 {} new \u{7}", hex(2).to_uppercase())]),
        text(&[format!("0 {}", hex(1))]),
        text(&[format!("* {}", "0".repeat(64))]),
        b"# nobody\n".to_vec(),
        [&text(&[format!("* {}", hex(3))])[..], b" \xff\n"].concat(),
    ]
}

/// Messages in fragments: in order, mixed, too large, cut off by a broken connection; and everything else between them.
pub(crate) fn reassemblies() -> Vec<Vec<u8>> {
    let (target, source) = (Pid::new(NodeId::from_raw(2), 7), Pid::new(NodeId::from_raw(1), 9));
    let whole = |length: usize| {
        let mut frame = Vec::new();
        MessageHead { target, source, msg_type: 1, reply: Some(5) }.write(&mut frame, 1, &vec![7; length]);
        frame
    };
    let parts = |id: u32, frame: &[u8], size: usize| -> Vec<Vec<u8>> {
        let mut offset = 0;
        let cut = frame.chunks(size).map(|part| {
            let mut bytes = Vec::new();
            FragmentHead { id, total: frame.len() as u32, offset }.write(&mut bytes, 1, part);
            offset += part.len() as u32;
            bytes
        });
        cut.collect()
    };
    let mut goodbye = Vec::new();
    write_frame(&mut goodbye, FrameKind::Goodbye, 0, 0, &[b"bye"]);
    let mut ack = Vec::new();
    write_number(&mut ack, FrameKind::Ack, 3);
    let (one, two) = (parts(1, &whole(200), 60), parts(2, &whole(300), 100));
    let mixed: Vec<u8> = one.iter().zip(&two).flat_map(|(one, two)| [&one[..], two].concat()).collect();
    let broken = [&one[0][..], &goodbye, &one[1..].concat(), &ack].concat();
    let too_large = [parts(3, &whole(3000), 900).concat(), whole(10)].concat();
    let many: Vec<u8> = (0..70).flat_map(|id| parts(id, &whole(50), 20).swap_remove(0)).collect();
    let nested = parts(4, &goodbye, 4).concat();
    // The same id again, which is free once its frame is complete.
    let again = [one.concat(), one.concat()].concat();
    vec![again, mixed, broken, too_large, many, nested, golden(&FRAMES).concat()]
}

pub(crate) fn addresses() -> Vec<Vec<u8>> {
    let texts = [
        "10.0.0.1:9000",
        "tcp://db_1.example.:65535",
        "[::1]:9000",
        "[fe80::1%2]:9000",
        "[::ffff:10.0.0.1]:80",
        "unix:/run/hew.sock",
        "unix:///run//hew.sock",
        "mem:a:b/c",
        "127.1:9000",
        "0x7f000001:1",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

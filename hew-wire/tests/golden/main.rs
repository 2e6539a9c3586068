//! Golden bytes: what each thing on the wire looks like in this version of the protocol, one file each.
//!
//! `v<version>/<name>.hex` holds the bytes of the sample of that name, and `schema.txt` the schema. Files of a version
//! that was released are never rewritten (version 1 has not been yet): a changed file is a changed wire, and nodes of the released version would not understand it. So either
//! the change is taken back, or `PROTOCOL_VERSION` goes up and `BLESS=1 cargo test -p hew-wire --test golden` writes
//! the folder of the new version. The same command writes the file of a new sample.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

mod cluster;
mod coverage;
mod links;
mod sample;

use hew_wire::frame::{Frame, FrameHeader, FrameKind, MessageHead};
use hew_wire::{PROTOCOL_VERSION, SCHEMA};
use sample::{Sample, Subject};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

fn samples() -> Vec<Sample> {
    [links::samples(), cluster::samples()].into_iter().flatten().collect()
}

/// The folder of all versions.
fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The folder of this version.
fn folder() -> PathBuf {
    golden().join(format!("v{PROTOCOL_VERSION}"))
}

/// The text of a file of this version, after the missing ones are written, if that is wanted.
fn text(name: &str) -> String {
    static BLESSED: OnceLock<()> = OnceLock::new();
    BLESSED.get_or_init(bless);
    fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}; {HINT}"))
}

const HINT: &str =
    "a new sample, or a new version, is written by BLESS=1 cargo test -p hew-wire --test golden";

#[allow(clippy::disallowed_methods)] // The test has files and an environment; the crate has not.
fn bless() {
    if std::env::var_os("BLESS").is_none() {
        return;
    }
    fs::create_dir_all(folder()).unwrap();
    let samples = samples();
    let files = samples.iter().map(|sample| (file(sample), hex(&sample.comment, &sample.bytes)));
    for (name, text) in files.chain([("schema.txt".into(), SCHEMA.into())]) {
        let path = folder().join(name);
        if !path.exists() {
            fs::write(path, text).unwrap();
        }
    }
}

fn file(sample: &Sample) -> String {
    format!("{}.hex", sample.name)
}

/// The bytes of the sample's file.
fn recorded(sample: &Sample) -> Vec<u8> {
    let text = text(&file(sample));
    unhex(&text).unwrap_or_else(|word| panic!("{}: {word:?} is not a byte in hexadecimal", sample.name))
}

fn hex(comment: &str, bytes: &[u8]) -> String {
    let lines = bytes
        .chunks(16)
        .map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ") + "\n");
    format!("# {comment}\n{}", lines.collect::<String>())
}

fn unhex(text: &str) -> Result<Vec<u8>, &str> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .flat_map(str::split_whitespace)
        .map(|word| if word.len() == 2 { u8::from_str_radix(word, 16).map_err(|_| word) } else { Err(word) })
        .collect()
}

#[test]
fn samples_are_written_as_recorded() {
    for sample in samples() {
        let recorded = recorded(&sample);
        assert!(
            recorded == sample.bytes,
            "the wire has changed and the version of the protocol has not: {} is\n{}instead of\n{}",
            sample.name,
            hex(&sample.comment, &sample.bytes),
            hex("as recorded", &recorded)
        );
    }
}

#[test]
fn recorded_bytes_are_read_as_the_samples() {
    for sample in samples() {
        assert_eq!((sample.is)(&recorded(&sample)), Ok(true), "{}", sample.name);
    }
}

#[test]
fn the_schema_is_the_recorded_one() {
    assert_eq!(
        text("schema.txt"),
        SCHEMA,
        "the schema has changed and the version of the protocol has not: nodes of both kinds refuse each other"
    );
}

#[test]
fn each_file_has_a_sample_and_each_sample_a_file() {
    let samples = samples();
    let names: BTreeSet<_> = samples.iter().map(file).collect();
    assert_eq!(names.len(), samples.len(), "two samples have the same name");
    text("schema.txt");
    let expected: BTreeSet<_> = names.into_iter().chain(["schema.txt".into()]).collect();
    assert_eq!(entries(&folder()), expected, "left: files, right: samples; {HINT}");
}

#[test]
fn each_version_so_far_keeps_its_folder() {
    let versions: BTreeSet<_> = (1..=PROTOCOL_VERSION).map(|version| format!("v{version}")).collect();
    let sources = ["main.rs", "sample.rs", "links.rs", "cluster.rs", "coverage.rs"].map(String::from);
    assert_eq!(entries(&golden()), versions.into_iter().chain(sources).collect(), "left: what is there");
}

fn entries(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}; {HINT}"));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn what_is_cut_off_is_an_error() {
    for sample in samples() {
        let bytes = recorded(&sample);
        for end in 0..bytes.len() {
            assert!((sample.is)(&bytes[..end]).is_err(), "{} cut at {end}", sample.name);
        }
        let longer = [&bytes[..], b"\x00"].concat();
        assert!((sample.is)(&longer).is_err(), "{} and one more byte", sample.name);
    }
}

/// A frame whose header knows that the body is cut is whole; what it says must be something else then.
#[test]
fn frames_with_less_in_them_say_something_else() {
    for sample in samples().into_iter().filter(|sample| sample.subject == Subject::Frame) {
        let bytes = recorded(&sample);
        let (frame, _) = Frame::split(&bytes).unwrap();
        for end in 0..frame.body.len() {
            let header = FrameHeader { length: end as u32, ..frame.header };
            let shorter = [&header.encode()[..], &frame.body[..end]].concat();
            // No payload at all is a short form of nil.
            let nil = sample.name == "message_unit" && end == MessageHead::BYTES;
            assert_eq!((sample.is)(&shorter) == Ok(true), nil, "{} with {end} bytes", sample.name);
            // MessagePack knows its end, whatever the header says.
            let knows_its_end = frame.header.kind == FrameKind::Control as u8;
            assert!(!knows_its_end || (sample.is)(&shorter).is_err(), "{} with {end} bytes", sample.name);
        }
    }
}

#[test]
fn no_flipped_bit_is_a_panic() {
    for sample in samples() {
        let bytes = recorded(&sample);
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            let same = (sample.is)(&flipped) == Ok(true);
            // In a frame it may be the name of an optional field; in the handshake each bit has a meaning.
            let allowed = sample.subject == Subject::Frame;
            assert!(!same || allowed, "{} with bit {at} flipped means the same", sample.name);
        }
    }
}

#[test]
fn the_text_of_a_file_may_be_commented() {
    assert_eq!(unhex("# what it is\n01 ff # two bytes\n\n  7f\n"), Ok(vec![1, 255, 127]));
    assert_eq!(unhex("01 f"), Err("f"));
    assert_eq!(unhex("01 zz"), Err("zz"));
    assert_eq!(unhex(&hex("forty", &[0xa5; 40])), Ok(vec![0xa5; 40]));
}

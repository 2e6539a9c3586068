//! The demo: it tells the truth, and leaves nothing behind.

use crate::process::{Running, command};
use rustix::process::Signal;

/// Starts a demo whose temporary files are in `directory`.
fn start(directory: &std::path::Path, more: &[&str]) -> Running {
    let mut command = command(directory, &[&["demo"], more].concat());
    command.env("TMPDIR", directory);
    Running::start(command)
}

fn is_empty(directory: &std::path::Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}

#[test]
fn the_demo_loses_nothing_and_survives_its_crash() {
    let directory = tempfile::tempdir().unwrap();
    let ended = start(directory.path(), &["--json", "--messages", "20000"]).end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let report = ended.json();
    assert_eq!((&report["ok"], &report["nodes"]), (&true.into(), &3.into()), "{report}");
    assert_eq!((&report["encrypted"], &report["link_ends"]), (&true.into(), &8.into()), "{report}");
    assert_eq!((&report["messages"], &report["lost"]), (&60_000.into(), &0.into()), "{report}");
    assert_eq!((&report["total"], &report["total_after_failover"]), (&40_000.into(), &20_000.into()));
    let ms = |field: &str| report[field].as_u64().unwrap_or_else(|| panic!("{field} in {report}"));
    assert!(ms("restarted_ms") <= ms("failover_ms"), "{report}");
    assert!((1..20_000).contains(&ms("detected_down_ms")), "{report}");
    assert!(is_empty(directory.path()));
}

#[test]
fn the_demo_tells_its_story_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let ended = start(directory.path(), &["--messages", "5000"]).end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let mut story = ended.stdout.as_str();
    for chapter in [
        "made 3 keys",
        "node 1 listens at 127.0.0.1:",
        "all 3 links between nodes [1, 2, 3] are encrypted",
        "node 2 started actor 2.",
        "node 1 asked for the total: 10000 of 10000",
        "killed node 2 with SIGKILL",
        "node 2 is down",
        "found \"counter\" again: it is 1.",
        "node 3 asked for the total: 5000 of 5000",
        "node 1 has shut down",
        "Summary",
        "0 lost",
    ] {
        let at = story.find(chapter).unwrap_or_else(|| panic!("{chapter:?} is missing in {}", ended.stdout));
        story = &story[at + chapter.len()..];
    }
}

#[test]
fn an_interrupted_demo_ends_its_nodes_and_removes_their_keys() {
    for signal in [Signal::INT, Signal::TERM] {
        let directory = tempfile::tempdir().unwrap();
        // More messages than anybody waits for.
        let mut demo = start(directory.path(), &["--messages", "1000000000"]);
        demo.until("the flood", |line| line.contains("messages each").then_some(()));
        assert!(!is_empty(directory.path()));
        demo.signal(signal);
        // The nodes have the same stderr: this returns when they are gone too.
        let ended = demo.end();
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        assert!(ended.stderr.contains("interrupted"), "{ended:#?}");
        assert!(is_empty(directory.path()));
    }
}

#[test]
fn no_node_outlives_a_demo_that_was_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut demo = start(directory.path(), &["--messages", "1000000000"]);
    demo.until("the flood", |line| line.contains("messages each").then_some(()));
    demo.signal(Signal::KILL);
    let ended = demo.end();
    assert_eq!(ended.code, None, "{ended:#?}");
}

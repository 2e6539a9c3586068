//! Rule: time, threads, randomness and the outside world come in through one door.
//!
//! The pure crates get them as arguments. `hew-node` and `hew-actor` get them from the runtime of `hew-actor`, so that a
//! whole node can run in virtual time. clippy sees part of this too; it does not see new names, and it can be allowed
//! away line by line.

use super::finding::Finding;
use super::lexer::Token;
use super::paths::{Mention, mentions};
use super::source::Source;

/// What is kept out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thing {
    Clock,
    Timer,
    Thread,
    Outside,
    Randomness,
    HashOrder,
}

use Thing::{Clock, HashOrder, Outside, Randomness, Thread, Timer};

/// Names that lead to each thing.
const NAMES: &[(Thing, &[&str])] = &[
    (Clock, &["Instant::now", "SystemTime", "UNIX_EPOCH"]),
    (Timer, &["async_io::Timer", "Timer::after", "Timer::interval", "thread::sleep"]),
    (Thread, &["thread::spawn", "thread::scope", "thread::Builder", "thread::park", "blocking::unblock"]),
    (
        Outside,
        &["std::net", "std::fs", "std::env", "std::process", "async_net", "async_io", "socket2", "rustix"],
    ),
    (
        Randomness,
        &["thread_rng", "getrandom", "OsRng", "SystemRandom", "RandomState", "Rng::new", "Rng::default"],
    ),
    (HashOrder, &["HashMap", "HashSet"]),
];

const PURE: &[Thing] = &[Clock, Timer, Thread, Outside, Randomness, HashOrder];
const THROUGH_RUNTIME: &[Thing] = &[Clock, Timer, Thread, Randomness];

/// What each crate keeps out of its product.
const KEPT_OUT: &[(&str, &[Thing])] = &[
    ("hew-wire", PURE),
    ("hew-security", PURE),
    ("hew-cluster", PURE),
    ("hew-registry", PURE),
    ("hew-node", THROUGH_RUNTIME),
    ("hew-actor", THROUGH_RUNTIME),
];

/// Modules that are a door: the path without `.rs`, and what may come in through it.
const DOORS: &[(&str, &[Thing])] = &[
    // Keys are drawn from the operating system, and read and written with its permissions.
    ("hew-security/src/key", &[Randomness]),
    ("hew-security/src/key_file", &[Outside]),
    ("hew-security/src/private_file", &[Outside, Randomness]),
    // Who may connect is read from a file, too.
    ("hew-security/src/allowlist_file", &[Outside]),
    // So are the ephemeral keys of a handshake, unless a test gives a seed.
    ("hew-security/src/primitives", &[Randomness]),
    // The clock, timers, seeds and threads of every node that does not run in virtual time.
    ("hew-actor/src/runtime", THROUGH_RUNTIME),
    ("hew-actor/src/threads", THROUGH_RUNTIME),
    // Where the clock and the threads of a checker replace them.
    ("hew-actor/src/sync", &[Clock, Timer, Thread]),
    // Virtual time starts at some `Instant`, and there is no other way to make one.
    ("hew-actor/src/simulation", &[Clock]),
];

/// Looks at the code of the product, not at tests.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    sources.iter().filter(|source| source.is_rust()).flat_map(check_file).collect()
}

fn check_file(source: &Source) -> Vec<Finding> {
    let door =
        DOORS.iter().find(|(door, _)| is_within(&source.path, door)).map_or(&[][..], |(_, things)| things);
    let Some((_, kept_out)) = KEPT_OUT.iter().find(|(package, _)| *package == source.package) else {
        return Vec::new();
    };
    let tokens = source.production_tokens();
    let mut findings: Vec<Finding> = reached(&tokens)
        .into_iter()
        .filter(|(_, thing, _)| kept_out.contains(thing) && !door.contains(thing))
        .map(|(line, thing, name)| Finding::new(&source.path, line, advice(thing, &name)))
        .collect();
    findings.sort();
    findings.dedup();
    findings
}

fn is_within(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// Line, thing and name of everything in `tokens` that leads to a thing.
fn reached(tokens: &[Token<'_>]) -> Vec<(usize, Thing, String)> {
    let mut found = Vec::new();
    for mention in mentions(tokens) {
        for (thing, names) in NAMES {
            for name in names.iter().filter(|name| mention.contains(name)) {
                found.push((mention.line, *thing, name.to_string()));
            }
        }
        if let Some(function) = global_fastrand(&mention) {
            found.push((mention.line, Randomness, format!("fastrand::{function}")));
        }
    }
    // `instant.elapsed()` reads the clock without naming it.
    for window in tokens.windows(3) {
        if window[0].is_mark(".") && window[1].is_word("elapsed") && window[2].is_mark("(") {
            found.push((window[1].line, Clock, ".elapsed()".into()));
        }
    }
    found
}

/// The free functions of fastrand draw from a generator that nobody seeded.
fn global_fastrand<'a>(mention: &Mention<'a>) -> Option<&'a str> {
    let [.., first, second] = mention.segments[..] else { return None };
    (first == "fastrand" && second.starts_with(char::is_lowercase)).then_some(second)
}

fn advice(thing: Thing, name: &str) -> String {
    let instead = match thing {
        Clock => "the time is an argument, or comes from the runtime",
        Timer => "a machine says when to call it next; the runtime waits",
        Thread => "the runtime starts threads and tasks",
        Outside => "no socket, file, process or environment here (addresses as values: core::net)",
        Randomness => "randomness is a seed, given by the caller or the runtime",
        HashOrder => "iteration must not depend on a hash seed: BTreeMap, BTreeSet",
    };
    format!("`{name}` is kept out of this code: {instead}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&[Source::fixture(path, text)]).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn each_thing_is_seen_in_a_pure_crate() {
        for text in [
            "use std::time::Instant; fn f() { Instant::now(); }",
            "fn f(a: Instant) { a.elapsed(); }",
            "use std::time::{Duration, SystemTime};",
            "use std::time as t; fn f() { t::Instant::now() }",
            "use std::{thread, fmt}; fn f() { thread::spawn(g); }",
            "fn f() { std::thread::sleep(d); }",
            "use std::net::TcpStream;",
            "use std::{fs::File, io};",
            "fn f() { std::env::var(x); }",
            "use std::collections::{BTreeMap, HashMap};",
            "fn f(a: HashSet<u8>) {}",
            "fn f() { rand::thread_rng(); }",
            "fn f() { getrandom::fill(a); }",
            "fn f() { fastrand::u64(..); }",
            "use fastrand::shuffle;",
            "fn f() { fastrand::Rng::new(); }",
            "use fastrand::Rng as R; fn f() { R::new(); }",
        ] {
            assert_eq!(lines("hew-cluster/src/swim.rs", text), [1], "{text}");
        }
    }

    #[test]
    fn what_is_allowed_is_not_seen() {
        for text in [
            "use std::time::{Duration, Instant}; fn f(now: Instant) { now.duration_since(a); }",
            "fn f(seed: u64) { fastrand::Rng::with_seed(seed); }",
            "use core::net::SocketAddr;",
            "// Instant::now, HashMap\nconst A: &str = \"std::fs\";",
            "#[cfg(test)] mod tests { use std::collections::HashMap; fn f() { Instant::now(); } }",
            "const V: &str = env!(\"CARGO_PKG_VERSION\");",
        ] {
            assert_eq!(lines("hew-cluster/src/swim.rs", text), [0; 0], "{text}");
        }
    }

    #[test]
    fn every_door_leads_to_a_module() {
        let root = crate::workspace::load().unwrap().workspace_root;
        for (door, _) in DOORS {
            let exists = root.join(format!("{door}.rs")).exists() || root.join(door).is_dir();
            assert!(exists, "{door}");
        }
    }

    #[test]
    fn each_crate_has_its_own_list() {
        let hashed = "use std::collections::HashMap;";
        let clock = "\nfn f() { Instant::now(); }";
        let random = "fn f() { getrandom::fill(a); }";
        let file = "use std::fs;";
        for (path, text, expected) in [
            ("hew-wire/src/a.rs", clock, 1),
            ("hew-wire/tests/a.rs", clock, 0),
            ("hew-node/src/a.rs", clock, 1),
            ("hew-node/src/a.rs", random, 1),
            ("hew-node/src/a.rs", hashed, 0),
            ("hew-actor/src/timer.rs", clock, 1),
            ("hew-actor/src/runtime.rs", clock, 0),
            ("hew-actor/src/runtime/real.rs", clock, 0),
            ("hew-actor/src/runtime_of.rs", clock, 1),
            ("hew-security/src/noise.rs", file, 1),
            ("hew-security/src/key_file.rs", file, 0),
            ("hew-security/src/allowlist_file.rs", file, 0),
            ("hew-security/src/allowlist_file.rs", random, 1),
            ("hew-security/src/allowlist.rs", file, 1),
            ("hew-security/src/private_file.rs", random, 0),
            ("hew-security/src/key.rs", random, 0),
            ("hew-security/src/key.rs", file, 1),
            ("hew-security/src/key_file.rs", hashed, 1),
            ("hew-transport/src/tcp.rs", clock, 0),
            ("hewctl/src/main.rs", clock, 0),
        ] {
            assert_eq!(lines(path, text).len(), expected, "{path}: {text}");
        }
    }
}

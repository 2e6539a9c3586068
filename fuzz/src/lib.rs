//! What reads bytes from a network, as fuzz targets that are tests as well.
//!
//! A target is a plain function of bytes that panics when something is wrong: when the code does, and when a promise
//! does not hold, such as "what is read is written the same". `cargo test` runs each over its seeds, over these cut at
//! every byte, over what was found before (`corpus/<target>/`) and over some thousand mutations that are the same in
//! every run. libFuzzer runs them without end: `cargo xtask fuzz`, see `docs/fuzzing.md`.

#![forbid(unsafe_code)]

mod honest;
pub mod mutate;
pub mod seeds;
mod targets;

use std::sync::OnceLock;

/// Which target the program for libFuzzer runs.
pub const TARGET_VARIABLE: &str = "HEW_FUZZ_TARGET";

/// What a fuzzer runs.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Also the name of its folder in `corpus`.
    pub name: &'static str,
    /// Panics when something is wrong.
    pub run: fn(&[u8]),
    /// What to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// How many mutations `cargo test` tries.
    pub mutations: usize,
}

/// Every target, one line each.
#[rustfmt::skip]
pub const TARGETS: &[Target] = &[
    Target { name: "frames", run: targets::frames, seeds: seeds::frames, mutations: 5000 },
    Target { name: "message", run: targets::message, seeds: seeds::messages, mutations: 5000 },
    Target { name: "value", run: targets::value, seeds: seeds::values, mutations: 5000 },
    Target { name: "decompress", run: targets::decompress, seeds: seeds::compressed, mutations: 5000 },
    Target { name: "control", run: targets::control, seeds: seeds::controls, mutations: 10_000 },
    Target { name: "hello", run: targets::hello, seeds: seeds::hellos, mutations: 3000 },
    Target { name: "verdict", run: targets::verdict, seeds: seeds::verdicts, mutations: 3000 },
    Target { name: "extension", run: targets::extension, seeds: seeds::extensions, mutations: 5000 },
    Target { name: "handshake", run: targets::handshake, seeds: seeds::handshakes, mutations: 300 },
    Target { name: "responder", run: targets::responder, seeds: seeds::responders, mutations: 300 },
    Target { name: "initiator", run: targets::initiator, seeds: seeds::initiators, mutations: 300 },
    Target { name: "records", run: targets::records, seeds: seeds::records, mutations: 5000 },
    Target { name: "reassembly", run: targets::reassembly, seeds: seeds::reassemblies, mutations: 5000 },
    Target { name: "address", run: targets::address, seeds: seeds::addresses, mutations: 5000 },
    Target { name: "key_file", run: targets::key_file, seeds: seeds::key_files, mutations: 1000 },
    Target { name: "allowlist", run: targets::allowlist, seeds: seeds::allowlists, mutations: 5000 },
    Target { name: "allowlist_file", run: targets::allowlist_file, seeds: seeds::allowlists, mutations: 1000 },
];

/// The target that the environment names.
///
/// # Panics
/// If it names none that there is.
pub fn chosen() -> fn(&[u8]) {
    static CHOSEN: OnceLock<fn(&[u8])> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let name = std::env::var(TARGET_VARIABLE).unwrap_or_default();
        let found = TARGETS.iter().find(|target| target.name == name);
        let names = || TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
        found.unwrap_or_else(|| panic!("{TARGET_VARIABLE}={name:?} is none of {}", names())).run
    })
}

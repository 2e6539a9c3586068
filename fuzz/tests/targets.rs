//! Every target over its seeds, over these cut at every byte, over what was found before, and over mutations that are
//! the same in every run.
//!
//! `HEW_FUZZ_MUTATIONS` multiplies their number. A failure prints the bytes.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

use hew_fuzz::mutate::{Chance, mutated};
use hew_fuzz::{TARGETS, Target, seeds};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

fn run(target: &Target, bytes: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).is_err() {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{} fails on {hex}", target.name);
    }
}

fn exercise(target: &Target) {
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    run(target, &[]);
    for seed in seeds.iter().chain(&seeds::found(target.name)) {
        for end in 0..=seed.len() {
            run(target, &seed[..end]);
        }
    }
    let factor = std::env::var("HEW_FUZZ_MUTATIONS").map_or(1, |factor| factor.parse().unwrap());
    let mut chance = Chance::new(1);
    for _ in 0..target.mutations * factor {
        run(target, &mutated(&seeds, &mut chance));
    }
}

#[test]
fn every_target_holds_over_seeds_and_mutations() {
    // As many threads as there are processors; the targets take different times.
    let next = AtomicUsize::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(target) = TARGETS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    exercise(target);
                }
            });
        }
    });
}

#[test]
fn every_golden_file_is_the_seed_of_a_target() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../hew-wire/tests/golden/v1");
    let files =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: Vec<_> = files.filter(|name| name.ends_with(".hex")).collect();
    let seeds = |name: &str| (TARGETS.iter().find(|target| target.name == name).unwrap().seeds)().len();
    // The last seed of the frames is all of them in a row.
    let known = seeds("frames") - 1 + seeds("hello") + seeds("verdict") + seeds("extension");
    assert_eq!(known, files.len());
}

#[test]
fn every_folder_of_findings_belongs_to_a_target() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || TARGETS.iter().any(|target| target.name == name), "{name}");
    }
}

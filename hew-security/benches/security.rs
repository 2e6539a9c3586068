//! What protection costs: records that are sealed and opened again, and handshakes.
//!
//! `cargo bench -p hew-security --bench security -- [--quick] [NAME…]` prints one JSON object per line. Both sides run on
//! one thread, in memory, and what is counted is the time of its processor, not of the clock on the wall.
//!
//! Each line holds in `limit` what the primitives alone reach in the same run. The two take turns of about half a
//! millisecond each, and each figure is the median turn: what the machine does otherwise meets both.

#[allow(
    clippy::disallowed_methods,
    reason = "the product does without clocks and threads, not what measures it"
)]
#[path = "../../hew-actor/benches/local/measure.rs"]
mod measure;
#[path = "security/pair.rs"]
mod pair;
#[path = "security/raw.rs"]
mod raw;
#[path = "security/turns.rs"]
mod turns;

use hew_security::{NoiseXx, RECORD_PLAINTEXT_BYTES_MAX};
use hew_wire::feature;
use measure::{Failure, Line, Run, complain, warn_of_debug_build};
use pair::Pair;
use raw::RawAead;
use std::process::ExitCode;

/// Plain bytes of a record. The largest is what fits into one: 64 KiB without the tag and a byte.
const SIZES: [(&str, usize); 4] = [
    ("security/seal_open_64k", RECORD_PLAINTEXT_BYTES_MAX),
    ("security/seal_open_16k", 16 << 10),
    ("security/seal_open_1k", 1 << 10),
    ("security/seal_open_64", 64),
];
const HANDSHAKE: &str = "security/handshake_cpu";

fn main() -> ExitCode {
    match measure_all(&Run::from_arguments(std::env::args().skip(1))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&format!("security: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn measure_all(run: &Run) -> Result<(), Failure> {
    warn_of_debug_build();
    run.start_watchdog();
    let agreed = Pair::new(|noise| noise);
    let has_aes = agreed.dialer.features_of_hello() & feature::AES_256_GCM != 0;
    // The plain names are what two nodes of this machine agree on.
    records(run, "", &agreed, has_aes)?;
    if has_aes {
        records(run, "_chacha", &Pair::new(NoiseXx::without_aes), false)?;
    }
    if run.wants(HANDSHAKE) {
        handshake(run, &agreed)?;
    }
    Ok(())
}

/// Bytes per second that are sealed as a link seals them, copied into their record, and opened where they lie.
fn records(run: &Run, suffix: &str, pair: &Pair, aes: bool) -> Result<(), Failure> {
    for (name, bytes) in SIZES {
        let name = format!("{name}{suffix}");
        if !run.wants(&name) {
            continue;
        }
        let (mut sealer, mut opener) = pair.direction()?;
        let mut raw = RawAead::new(aes, bytes);
        let (text, mut wire) = (vec![7; bytes], Vec::new());
        let (seconds, limit) = turns::take(
            run,
            || {
                wire.clear();
                sealer.seal_record(&[&text], &mut wire)?;
                Ok(opener.open(&mut wire[2..]).map(drop)?)
            },
            || raw.seal_and_open(),
        )?;
        let (mut sealer, mut opener) = pair.direction()?;
        let mut wire = vec![0; 2 + bytes];
        let (in_place, limit_of_it) = turns::take(
            run,
            || {
                wire.truncate(2 + bytes);
                sealer.seal_in_place(&mut wire, 0)?;
                Ok(opener.open(&mut wire[2..]).map(drop)?)
            },
            || raw.seal_and_open(),
        )?;
        let rate = |seconds: f64| bytes as f64 / seconds;
        Line::new(&name, "B/s", &seconds.map(rate))
            .limit(limit.map(rate))
            .with("in_place", rate(in_place.median()))
            .with("in_place_ratio", limit_of_it.median() / in_place.median())
            .print();
    }
    Ok(())
}

/// Microseconds of a handshake, both sides together, beside the computations on the curve that are in it.
fn handshake(run: &Run, pair: &Pair) -> Result<(), Failure> {
    let before = pair.x25519_computations();
    pair.shake_hands()?;
    let computations = pair.x25519_computations() - before;
    if computations != raw::COMPUTATIONS {
        return Err(format!("a handshake made {computations} computations on the curve").into());
    }
    let mut curve = raw::Curve::new();
    let shake_hands = || pair.shake_hands().map(drop);
    let compute = || {
        curve.compute();
        Ok(())
    };
    let (seconds, limit) = turns::take(run, shake_hands, compute)?;
    let microseconds = |seconds: f64| seconds * 1e6;
    Line::new(HANDSHAKE, "us", &seconds.map(microseconds))
        .limit(limit.map(microseconds))
        .with("x25519_computations", computations as f64)
        .print();
    Ok(())
}

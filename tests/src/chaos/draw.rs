//! Fates drawn at random, as the stories about broken connections want them.

use super::fate::{Fate, Harm, Kind, Way};
use std::time::Duration;

/// The bytes of a handshake in one direction, roughly: a harm before this strikes during it.
const HANDSHAKE_BYTES: u64 = 600;
/// The first frames after it, roughly: the start, and what is sent again.
const RESUME_BYTES: u64 = 6_000;
/// Longest time for which bytes stay on the way after their sender has given the connection up.
const LATE_MAX: Duration = Duration::from_secs(5);

/// A connection that breaks: in either direction, a third of them during the handshake and a third soon after it, in
/// every way there is. `bytes_max` bounds what passes before; `is_real` leaves out what would cost seconds of real
/// time for one connection.
pub fn broken(random: &mut fastrand::Rng, bytes_max: u64, is_real: bool) -> Fate {
    let after = match random.u32(..3) {
        0 => random.u64(..HANDSHAKE_BYTES),
        1 => random.u64(HANDSHAKE_BYTES..RESUME_BYTES),
        _ => RESUME_BYTES + (random.f64().powi(3) * bytes_max as f64) as u64,
    };
    let kind = match random.u32(..32) {
        0..=5 => Kind::End,
        6..=11 => Kind::Reset,
        // The peer needs seconds to notice these.
        12 if !is_real => Kind::Silence,
        13 if !is_real => Kind::Deaf,
        12..=17 => Kind::Corrupt,
        // Most while the next handshake is under way, some long after.
        18..=27 => Kind::Late(Duration::from_secs_f64(random.f64() * 0.2)),
        _ => Kind::Late(LATE_MAX.mul_f64(random.f64())),
    };
    let way = if random.bool() { Way::Forth } else { Way::Back };
    let latency = Duration::from_micros(random.u64(..20_000));
    let mut harms = vec![Harm { way, after, kind }];
    if !is_real && random.u32(..16) == 0 {
        let kind = Kind::Stall(LATE_MAX.mul_f64(random.f64()));
        harms.insert(0, Harm { way, after: random.u64(..=after), kind });
    }
    Fate { latency, harms, ..Fate::default() }
}

//! Two things that are measured in turns, so that what the machine does otherwise meets both.

use crate::measure::{Failure, Run, Samples};
use rustix::time::{ClockId, clock_gettime};

/// How long a turn takes, roughly, in seconds: long beside reading the clock, short beside a time slice.
const TURN: f64 = 500e-6;

/// Seconds per operation of `one` and of `other`.
pub(crate) fn take(
    run: &Run,
    mut one: impl FnMut() -> Result<(), Failure>,
    mut other: impl FnMut() -> Result<(), Failure>,
) -> Result<(Samples, Samples), Failure> {
    let (count_one, count_other) = (operations(&mut one)?, operations(&mut other)?);
    let turns = run.scale(250, 10);
    run.repeat_pairs(|| {
        let (mut ones, mut others) = (Vec::new(), Vec::new());
        for _ in 0..turns {
            ones.push(turn(count_one, &mut one)?);
            others.push(turn(count_other, &mut other)?);
        }
        Ok((median(ones), median(others)))
    })
}

/// How many operations fill a turn. Finding out is the warm-up.
fn operations(body: &mut impl FnMut() -> Result<(), Failure>) -> Result<u64, Failure> {
    let mut count = 1;
    while turn(count, body)? * (count as f64) < TURN {
        count *= 2;
    }
    Ok(count)
}

/// Seconds per operation, of `count` in a row.
fn turn(count: u64, body: &mut impl FnMut() -> Result<(), Failure>) -> Result<f64, Failure> {
    let before = processor_seconds();
    for _ in 0..count {
        body()?;
    }
    Ok((processor_seconds() - before) / count as f64)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What this thread has used of its processor.
fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

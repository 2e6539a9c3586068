//! The examples do what they say, on threads and in many orders of virtual time.

mod common;

#[path = "../examples/bank.rs"]
#[allow(dead_code, reason = "`main` is for whoever runs the example")]
mod bank;
#[path = "../examples/counter.rs"]
#[allow(dead_code, reason = "`main` is for whoever runs the example")]
mod counter;
#[path = "../examples/ping_pong.rs"]
#[allow(dead_code, reason = "`main` is for whoever runs the example")]
mod ping_pong;
#[path = "../examples/pipeline.rs"]
#[allow(dead_code, reason = "`main` is for whoever runs the example")]
mod pipeline;
#[path = "../examples/worker_pool.rs"]
#[allow(dead_code, reason = "`main` is for whoever runs the example")]
mod worker_pool;

use common::{simulated, threaded};
use hew_actor::System;
use std::fmt::Debug;

/// Orders of events in which each example runs in virtual time.
const SEEDS: u64 = 20;

/// Runs an example on one and on two threads, then in virtual time, and shows each result to `check`.
fn check_everywhere<T: Debug, E: Debug>(
    run: impl AsyncFn(&System) -> Result<T, E>,
    check: impl Fn(&T) -> bool,
) {
    let story = async |system: System| run(&system).await;
    for workers in [1, 2] {
        let result = threaded(workers, story);
        assert!(result.as_ref().is_ok_and(&check), "{workers} workers: {result:?}");
    }
    for seed in 0..SEEDS {
        let result = simulated(seed, story);
        assert!(result.as_ref().is_ok_and(&check), "seed {seed}: {result:?}");
    }
}

#[test]
fn the_counter_counts_everything() {
    check_everywhere(counter::run, |summary| summary.total == 4_000);
}

#[test]
fn both_players_hit_the_ball_in_turns() {
    check_everywhere(ping_pong::run, |summary| (summary.ping, summary.pong) == (10_000, 10_000));
}

#[test]
fn no_money_is_lost_or_created_in_a_crash() {
    check_everywhere(bank::run, |summary| {
        summary.alice + summary.bob == 200 && summary.restarts == bank::CRASHES
    });
}

#[test]
fn a_fast_source_waits_for_a_slow_sink() {
    check_everywhere(pipeline::run, |summary| {
        summary.sum == 39_800 && summary.most_in_flight <= pipeline::IN_FLIGHT_MAX
    });
    // In virtual time the source is faster than the sink whatever else the machine does.
    let summary = simulated(1, async |system: System| pipeline::run(&system).await).unwrap();
    assert_eq!(summary.most_in_flight, pipeline::IN_FLIGHT_MAX);
}

#[test]
fn the_pool_does_all_the_work_in_turns() {
    check_everywhere(worker_pool::run, |summary| summary.primes == 2_262 && summary.pieces == [10; 4]);
}

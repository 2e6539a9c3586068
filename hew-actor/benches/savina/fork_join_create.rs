//! Fork-join creation: one actor makes many others, each of which does one small piece of work and ends.

use crate::fork_join_throughput::work;
use crate::measure::Failure;
use crate::program::{Clock, Played, expect, gone, sent};
use hew_actor::{Actor, Context, Outcome, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;

/// Makes `count` actors.
pub(crate) fn play(system: &System, count: u64) -> Result<Played, Failure> {
    let (clock, alive) = Clock::start();
    let tally = Arc::new(Tally { done: AtomicU64::new(0), identities: AtomicU64::new(0), alive });
    let maker = system.spawn(Maker { count, tally });
    maker.try_send(()).map_err(gone)?;
    let (took, tallies) = clock.stop()?;
    expect("pieces of work, sum of their numbers", tallies, vec![(count, count * (count - 1) / 2)])?;
    Ok(Played { took, messages: 1 + count })
}

/// What all actors of the program share; the last of them reports it. A report from each would measure the channel.
struct Tally {
    done: AtomicU64,
    identities: AtomicU64,
    alive: Sender<(u64, u64)>,
}

impl Drop for Tally {
    fn drop(&mut self) {
        let _ = self.alive.send((*self.done.get_mut(), *self.identities.get_mut()));
    }
}

struct Maker {
    count: u64,
    tally: Arc<Tally>,
}

impl Actor for Maker {
    type Message = ();

    async fn handle(&mut self, (): (), context: &mut Context<()>) -> Outcome {
        for number in 0..self.count {
            let worker = context.spawn(Worker { tally: self.tally.clone() });
            if let Err(error) = worker.send(Piece(number)).await {
                return sent(Err(error));
            }
        }
        Outcome::Stop
    }
}

struct Piece(u64);

struct Worker {
    tally: Arc<Tally>,
}

impl Actor for Worker {
    type Message = Piece;

    async fn handle(&mut self, Piece(number): Piece, _: &mut Context<Piece>) -> Outcome {
        work();
        // The drop of the last reference sees all of these.
        self.tally.done.fetch_add(1, Ordering::Relaxed);
        self.tally.identities.fetch_add(number, Ordering::Relaxed);
        Outcome::Stop
    }
}

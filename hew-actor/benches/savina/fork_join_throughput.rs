//! Fork-join throughput: one actor gives many others small pieces of work, in turns.
//!
//! The workers have the default mailbox, so that the source waits for one that is that far behind.

use crate::measure::Failure;
use crate::program::{Clock, Played, expect, gone, sent};
use hew_actor::{Actor, ActorRef, Context, Outcome, System};
use std::hint::black_box;
use std::sync::mpsc::Sender;

/// Gives each of `workers` actors `pieces` of work.
pub(crate) fn play(system: &System, workers: u64, pieces: u64) -> Result<Played, Failure> {
    let (clock, report) = Clock::start();
    let crew = (0..workers).map(|_| system.spawn(Worker { pieces, done: 0, report: report.clone() }));
    let source = system.spawn(Source { workers: crew.collect(), pieces, _alive: report });
    source.try_send(()).map_err(gone)?;
    let (took, done) = clock.stop()?;
    expect("pieces that each worker did", done, vec![pieces; workers as usize])?;
    Ok(Played { took, messages: 1 + workers * pieces })
}

/// The work that Savina lets an actor do for a message.
pub(crate) fn work() {
    let sine = black_box(37.2_f64).sin();
    black_box(sine * sine);
}

struct Piece;

struct Source {
    workers: Vec<ActorRef<Piece>>,
    pieces: u64,
    _alive: Sender<u64>,
}

impl Actor for Source {
    type Message = ();

    async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
        for _ in 0..self.pieces {
            for worker in &self.workers {
                if let Err(error) = worker.send(Piece).await {
                    return sent(Err(error));
                }
            }
        }
        Outcome::Stop
    }
}

struct Worker {
    pieces: u64,
    done: u64,
    report: Sender<u64>,
}

impl Actor for Worker {
    type Message = Piece;

    async fn handle(&mut self, Piece: Piece, _: &mut Context<Piece>) -> Outcome {
        work();
        self.done += 1;
        if self.done < self.pieces {
            return Outcome::Continue;
        }
        let _ = self.report.send(self.done);
        Outcome::Stop
    }
}

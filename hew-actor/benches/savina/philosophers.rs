//! Dining philosophers: neighbours share forks, and an arbitrator decides who may take two and eat.
//!
//! As in Savina, a philosopher who is refused asks again at once. How many messages that makes depends on the order in
//! which they are handled. A philosopher has at most two messages on the way to the arbitrator.

use crate::measure::Failure;
use crate::program::{Clock, Played, crash, expect, gone, sent, sent_last};
use hew_actor::{Actor, ActorRef, Context, Outcome, System};
use std::sync::mpsc::Sender;

/// Lets each of `philosophers` eat `meals` times.
pub(crate) fn play(system: &System, philosophers: u64, meals: u64) -> Result<Played, Failure> {
    let (clock, report) = Clock::start();
    let arbitrator = system.spawn(Arbitrator {
        forks: vec![None; philosophers as usize],
        hungry: philosophers,
        _alive: report.clone(),
    });
    for seat in 0..philosophers as usize {
        let diner = Diner { meals: 0, refusals: 0 };
        let arbitrator = arbitrator.clone();
        let philosopher = Philosopher { seat, meals, diner, arbitrator, report: report.clone() };
        system.spawn(philosopher).try_send(ToPhilosopher::Start).map_err(gone)?;
    }
    drop((arbitrator, report));
    let (took, diners) = clock.stop()?;
    let eaten: Vec<u64> = diners.iter().map(|diner| diner.meals).collect();
    expect("meals of each philosopher", eaten, vec![meals; philosophers as usize])?;
    let refusals: u64 = diners.iter().map(|diner| diner.refusals).sum();
    // A meal is asked for, allowed and over.
    Ok(Played { took, messages: philosophers + 3 * philosophers * meals + 2 * refusals + philosophers })
}

/// What became of a philosopher.
#[derive(Clone, Copy)]
struct Diner {
    meals: u64,
    refusals: u64,
}

enum ToArbitrator {
    Hungry {
        seat: usize,
        philosopher: ActorRef<ToPhilosopher>,
    },
    /// Puts both forks back.
    Eaten {
        seat: usize,
    },
    /// Will not be hungry again.
    Sated,
}

struct Arbitrator {
    /// The seat of whoever has the fork. A fork lies to the left of the seat of its number.
    forks: Vec<Option<usize>>,
    /// Philosophers that are not sated.
    hungry: u64,
    _alive: Sender<Diner>,
}

impl Arbitrator {
    fn forks_of(&self, seat: usize) -> [usize; 2] {
        [seat, (seat + 1) % self.forks.len()]
    }
}

impl Actor for Arbitrator {
    type Message = ToArbitrator;

    async fn handle(&mut self, message: ToArbitrator, _: &mut Context<ToArbitrator>) -> Outcome {
        match message {
            ToArbitrator::Hungry { seat, philosopher } => {
                let forks = self.forks_of(seat);
                if forks.iter().any(|&fork| self.forks[fork].is_some()) {
                    return sent(philosopher.send(ToPhilosopher::Wait).await);
                }
                forks.iter().for_each(|&fork| self.forks[fork] = Some(seat));
                sent(philosopher.send(ToPhilosopher::Eat).await)
            }
            ToArbitrator::Eaten { seat } => {
                // Whoever ate beside this one has taken a fork away from it.
                let kept = self.forks_of(seat).iter().all(|&fork| self.forks[fork].take() == Some(seat));
                if kept { Outcome::Continue } else { crash("two neighbours ate at once") }
            }
            ToArbitrator::Sated => {
                self.hungry -= 1;
                if self.hungry == 0 { Outcome::Stop } else { Outcome::Continue }
            }
        }
    }
}

enum ToPhilosopher {
    Start,
    Eat,
    Wait,
}

struct Philosopher {
    seat: usize,
    meals: u64,
    diner: Diner,
    arbitrator: ActorRef<ToArbitrator>,
    report: Sender<Diner>,
}

impl Actor for Philosopher {
    type Message = ToPhilosopher;

    async fn handle(&mut self, message: ToPhilosopher, context: &mut Context<ToPhilosopher>) -> Outcome {
        match message {
            ToPhilosopher::Start => {}
            ToPhilosopher::Wait => self.diner.refusals += 1,
            ToPhilosopher::Eat => {
                self.diner.meals += 1;
                if let Err(error) = self.arbitrator.send(ToArbitrator::Eaten { seat: self.seat }).await {
                    return sent(Err(error));
                }
            }
        }
        if self.diner.meals < self.meals {
            let (seat, philosopher) = (self.seat, context.this());
            return sent(self.arbitrator.send(ToArbitrator::Hungry { seat, philosopher }).await);
        }
        let _ = self.report.send(self.diner);
        sent_last(self.arbitrator.send(ToArbitrator::Sated).await)
    }
}

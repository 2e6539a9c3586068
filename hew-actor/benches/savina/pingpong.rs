//! Ping-pong: two actors pass one message there and back.
//!
//! At most one message is on its way.

use crate::measure::Failure;
use crate::program::{Clock, Played, expect, gone, sent, sent_last};
use hew_actor::{Actor, ActorRef, Context, Outcome, System};
use std::sync::mpsc::Sender;

/// Plays `rounds` pings and pongs.
pub(crate) fn play(system: &System, rounds: u64) -> Result<Played, Failure> {
    let (clock, report) = Clock::start();
    let pong = system.spawn(Pong { pings: 0, report: report.clone() });
    let ping = system.spawn(Ping { pong, rounds, pongs: 0, report });
    ping.try_send(ToPing::Start).map_err(gone)?;
    drop(ping);
    let (took, mut counts) = clock.stop()?;
    counts.sort_unstable();
    expect("pings and pongs", counts, vec![("pings", rounds), ("pongs", rounds)])?;
    Ok(Played { took, messages: 1 + 2 * rounds + 1 })
}

type Count = (&'static str, u64);

enum ToPing {
    Start,
    Pong,
}

struct Ping {
    pong: ActorRef<ToPong>,
    rounds: u64,
    pongs: u64,
    report: Sender<Count>,
}

impl Actor for Ping {
    type Message = ToPing;

    async fn handle(&mut self, message: ToPing, context: &mut Context<ToPing>) -> Outcome {
        match message {
            ToPing::Start => {}
            ToPing::Pong => self.pongs += 1,
        }
        if self.pongs < self.rounds {
            return sent(self.pong.send(ToPong::Ping(context.this())).await);
        }
        let _ = self.report.send(("pongs", self.pongs));
        sent_last(self.pong.send(ToPong::End).await)
    }
}

enum ToPong {
    Ping(ActorRef<ToPing>),
    End,
}

struct Pong {
    pings: u64,
    report: Sender<Count>,
}

impl Actor for Pong {
    type Message = ToPong;

    async fn handle(&mut self, message: ToPong, _: &mut Context<ToPong>) -> Outcome {
        match message {
            ToPong::Ping(from) => {
                self.pings += 1;
                sent(from.send(ToPing::Pong).await)
            }
            ToPong::End => {
                let _ = self.report.send(("pings", self.pings));
                Outcome::Stop
            }
        }
    }
}

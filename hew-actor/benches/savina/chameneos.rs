//! Chameneos: creatures that meet in pairs at a mall, and change their colours when they do.
//!
//! A creature has at most one message on its way, to the mall or to another creature.

use crate::measure::Failure;
use crate::program::{Clock, Played, expect, gone, sent, sent_last};
use hew_actor::{Actor, ActorRef, Context, Outcome, System};
use std::sync::mpsc::Sender;

/// Lets `creatures` meet until there have been `meetings`.
pub(crate) fn play(system: &System, creatures: u64, meetings: u64) -> Result<Played, Failure> {
    let (clock, report) = Clock::start();
    let mall =
        system.spawn(Mall { waiting: None, meetings_left: meetings, creatures, _alive: report.clone() });
    for number in 0..creatures {
        let colour = [Colour::Blue, Colour::Red, Colour::Yellow][(number % 3) as usize];
        let creature = Creature { colour, mall: mall.clone(), meetings: 0, report: report.clone() };
        system.spawn(creature).try_send(ToCreature::Start).map_err(gone)?;
    }
    drop((mall, report));
    let (took, met) = clock.stop()?;
    expect("creatures that faded", met.len() as u64, creatures)?;
    // Two creatures take part in each.
    expect("meetings that creatures took part in", met.iter().sum(), 2 * meetings)?;
    // For a meeting, two come to the mall, one hears of the other, and the other of the first.
    Ok(Played { took, messages: creatures + 4 * meetings + 3 * creatures })
}

#[derive(Clone, Copy, PartialEq)]
enum Colour {
    Blue,
    Red,
    Yellow,
}

impl Colour {
    /// The colour of both after a meeting: the same if they had the same, else the third.
    fn complement(self, other: Colour) -> Colour {
        match (self, other) {
            (Colour::Blue, Colour::Blue) | (Colour::Red, Colour::Yellow) | (Colour::Yellow, Colour::Red) => {
                Colour::Blue
            }
            (Colour::Red, Colour::Red) | (Colour::Blue, Colour::Yellow) | (Colour::Yellow, Colour::Blue) => {
                Colour::Red
            }
            (Colour::Yellow, Colour::Yellow) | (Colour::Blue, Colour::Red) | (Colour::Red, Colour::Blue) => {
                Colour::Yellow
            }
        }
    }
}

enum ToMall {
    Meet { colour: Colour, creature: ActorRef<ToCreature> },
    Faded,
}

struct Mall {
    waiting: Option<ActorRef<ToCreature>>,
    meetings_left: u64,
    /// Those that have not faded.
    creatures: u64,
    _alive: Sender<u64>,
}

impl Actor for Mall {
    type Message = ToMall;

    async fn handle(&mut self, message: ToMall, _: &mut Context<ToMall>) -> Outcome {
        match message {
            ToMall::Meet { creature, .. } if self.meetings_left == 0 => {
                sent(creature.send(ToCreature::Fade).await)
            }
            ToMall::Meet { colour, creature } => match self.waiting.take() {
                None => {
                    self.waiting = Some(creature);
                    Outcome::Continue
                }
                Some(waiting) => {
                    self.meetings_left -= 1;
                    sent(waiting.send(ToCreature::Meet { colour, creature }).await)
                }
            },
            ToMall::Faded => {
                self.creatures -= 1;
                if self.creatures == 0 { Outcome::Stop } else { Outcome::Continue }
            }
        }
    }
}

enum ToCreature {
    Start,
    /// Another creature, which has not heard of this one, came to the mall.
    Meet {
        colour: Colour,
        creature: ActorRef<ToCreature>,
    },
    /// What this creature's colour is after a meeting.
    Change(Colour),
    Fade,
}

struct Creature {
    colour: Colour,
    mall: ActorRef<ToMall>,
    meetings: u64,
    report: Sender<u64>,
}

impl Actor for Creature {
    type Message = ToCreature;

    async fn handle(&mut self, message: ToCreature, context: &mut Context<ToCreature>) -> Outcome {
        match message {
            ToCreature::Start => {}
            ToCreature::Meet { colour, creature } => {
                self.meetings += 1;
                self.colour = self.colour.complement(colour);
                if let Err(error) = creature.send(ToCreature::Change(self.colour)).await {
                    return sent(Err(error));
                }
            }
            ToCreature::Change(colour) => {
                self.meetings += 1;
                self.colour = colour;
            }
            ToCreature::Fade => {
                let _ = self.report.send(self.meetings);
                return sent_last(self.mall.send(ToMall::Faded).await);
            }
        }
        sent(self.mall.send(ToMall::Meet { colour: self.colour, creature: context.this() }).await)
    }
}

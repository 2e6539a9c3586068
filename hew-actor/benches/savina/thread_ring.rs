//! Thread ring: actors in a circle, one of which has the token and passes it on.
//!
//! At most one message is on its way.

use crate::measure::Failure;
use crate::program::{Clock, Played, expect, gone, sent, sent_last};
use hew_actor::{Actor, ActorRef, Context, Outcome, System};
use std::sync::mpsc::Sender;

/// Passes a token on `hops` times, in a circle of `actors`.
pub(crate) fn play(system: &System, actors: u64, hops: u64) -> Result<Played, Failure> {
    let (clock, report) = Clock::start();
    let link = |_| system.spawn(Link { actors, next: None, passed: 0, report: report.clone() });
    let ring: Vec<_> = (0..actors).map(link).collect();
    drop(report);
    for (link, next) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        link.try_send(Token::Join(next.clone())).map_err(gone)?;
    }
    ring[0].try_send(Token::Hop(hops)).map_err(gone)?;
    let (took, passed) = clock.stop()?;
    expect("actors that passed the token on", passed.len() as u64, actors)?;
    expect("hops", passed.iter().sum(), hops)?;
    let uneven = passed.iter().any(|passed| passed.abs_diff(hops / actors) > 1);
    expect("whether some have passed it on more often than others", uneven, false)?;
    Ok(Played { took, messages: actors + (hops + 1) + (actors - 1) })
}

enum Token {
    Join(ActorRef<Token>),
    /// How often it is to be passed on.
    Hop(u64),
    /// How many actors, from this one on, have to end.
    End(u64),
}

struct Link {
    actors: u64,
    next: Option<ActorRef<Token>>,
    passed: u64,
    report: Sender<u64>,
}

impl Actor for Link {
    type Message = Token;

    async fn handle(&mut self, token: Token, _: &mut Context<Token>) -> Outcome {
        let left = match token {
            Token::Join(next) => {
                self.next = Some(next);
                return Outcome::Continue;
            }
            Token::Hop(0) => self.actors,
            Token::Hop(left) => {
                self.passed += 1;
                return sent(self.pass_on(Token::Hop(left - 1)).await);
            }
            Token::End(left) => left,
        };
        let _ = self.report.send(self.passed);
        if left == 1 { Outcome::Stop } else { sent_last(self.pass_on(Token::End(left - 1)).await) }
    }
}

impl Link {
    async fn pass_on(&self, token: Token) -> Result<(), String> {
        let next = self.next.as_ref().ok_or("the ring is open")?;
        next.send(token).await.map_err(|error| error.to_string())
    }
}

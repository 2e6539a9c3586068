//! Ping-pong: two actors pass a ball to each other until it has been hit often enough.
//!
//! Shows that references to actors, and addresses for answers, are values that travel in messages: whoever hits the
//! ball last answers the question with which the game began, and none of the two had to know the one who asked.
//!
//! Run it with `cargo run -p hew-actor --example ping_pong`.

use hew_actor::{Actor, ActorRef, Context, Outcome, ReplyTo, Runtime, RuntimeConfig, System, SystemConfig};
use std::error::Error;
use std::time::Duration;

/// How often each of the two hits the ball.
const ROUNDS: u64 = 10_000;

enum Message {
    Ball {
        /// How often it is to be hit, this time included.
        hits_left: u64,
        /// Who gets it next.
        partner: ActorRef<Message>,
        /// Who wants to know when the game is over, and hears how often the last player has hit the ball.
        over: ReplyTo<u64>,
    },
    Hits(ReplyTo<u64>),
}

#[derive(Default)]
struct Player {
    hits: u64,
}

impl Actor for Player {
    type Message = Message;

    async fn handle(&mut self, message: Message, context: &mut Context<Message>) -> Outcome {
        match message {
            Message::Ball { hits_left, partner, over } => {
                self.hits += 1;
                if hits_left == 1 {
                    over.send(self.hits);
                    return Outcome::Continue;
                }
                let ball = Message::Ball { hits_left: hits_left - 1, partner: context.this(), over };
                // A ball that cannot be passed on is dropped here with the address in it, so that whoever asked hears
                // that there will be no answer.
                if let Err(error) = partner.send(ball).await {
                    return Outcome::Crash(error.to_string());
                }
            }
            Message::Hits(reply) => reply.send(self.hits),
        }
        Outcome::Continue
    }
}

/// How often each player has hit the ball.
#[derive(Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) ping: u64,
    pub(crate) pong: u64,
}

/// Plays one game.
pub(crate) async fn run(system: &System) -> Result<Summary, Box<dyn Error>> {
    let (ping, pong) = (system.spawn(Player::default()), system.spawn(Player::default()));
    let serve = |over| Message::Ball { hits_left: 2 * ROUNDS, partner: pong.clone(), over };
    let hits_of_last = ping.ask(serve).await?;
    let summary = Summary { ping: ping.ask(Message::Hits).await?, pong: pong.ask(Message::Hits).await? };
    if (hits_of_last, &summary) != (ROUNDS, &Summary { ping: ROUNDS, pong: ROUNDS }) {
        return Err(format!("{summary:?} after {ROUNDS} rounds").into());
    }
    Ok(summary)
}

#[allow(clippy::print_stdout, reason = "it is what an example is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::start(RuntimeConfig::default())?;
    let system = System::new(runtime.clone(), SystemConfig::default());
    let start = runtime.now();
    let summary = runtime.block_on(run(&system))?;
    println!("ping hit the ball {} times, pong {} times", summary.ping, summary.pong);
    println!("that took {:?}", runtime.now() - start);
    runtime.block_on(system.shutdown(Duration::from_secs(5)));
    runtime.shutdown();
    Ok(())
}

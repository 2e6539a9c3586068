//! What is measured: actors that send, answer, pass on, start and stop.
//!
//! Each scene checks that everything that was sent was handled, and fails if something stays away.

use crate::measure::Failure;
use futures_lite::future;
use hew_actor::{Actor, ActorRef, Context, Outcome, ReplyTo, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// How long a scene may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// Actors of the ring.
pub(crate) const RING_ACTORS: u64 = 503;
/// Actors that are alive at a time when spawning and stopping.
const SPAWN_BATCH: u64 = 1_000;

/// A message of 16 bytes.
struct Small {
    number: u64,
    value: u64,
}

const _: () = assert!(size_of::<Small>() == 16);

fn wait<T>(done: &Receiver<T>) -> Result<T, Failure> {
    Ok(done.recv_timeout(DEADLINE).map_err(|cause| format!("an actor did not report: {cause}"))?)
}

fn gone<E>(_: E) -> Failure {
    "an actor ended too early".into()
}

// ---- one way ----

/// Counts what it gets, and reports when it has everything.
struct Sink {
    expected: u64,
    handled: u64,
    sum: u64,
    done: Sender<(Instant, u64)>,
}

impl Actor for Sink {
    type Message = Small;

    async fn handle(&mut self, message: Small, _: &mut Context<Small>) -> Outcome {
        self.handled += 1;
        self.sum = self.sum.wrapping_add(message.number ^ message.value);
        if self.handled < self.expected {
            return Outcome::Continue;
        }
        // Nobody waits any more if the scene has failed.
        let _ = self.done.send((Instant::now(), self.sum));
        Outcome::Stop
    }
}

/// Sends its numbers when it is told to.
struct Source {
    target: ActorRef<Small>,
    count: u64,
}

impl Actor for Source {
    type Message = ();

    async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
        for number in 0..self.count {
            if self.target.send(Small { number, value: 0 }).await.is_err() {
                return Outcome::Crash("the sink is gone".into());
            }
        }
        Outcome::Stop
    }
}

/// `senders` actors send `count` messages in all to one actor with the default mailbox.
pub(crate) fn one_way(system: &System, senders: u64, count: u64) -> Result<Duration, Failure> {
    let each = count.div_ceil(senders);
    let (done, report) = channel();
    let sink = system.spawn(Sink { expected: each * senders, handled: 0, sum: 0, done });
    let sources: Vec<_> =
        (0..senders).map(|_| system.spawn(Source { target: sink.clone(), count: each })).collect();
    let start = Instant::now();
    for source in &sources {
        source.try_send(()).map_err(gone)?;
    }
    let (end, sum) = wait(&report)?;
    let expected = (each * (each - 1) / 2).wrapping_mul(senders);
    if sum != expected {
        return Err(format!("other messages came than were sent: {sum} instead of {expected}").into());
    }
    Ok((end - start).mul_f64(count as f64 / (each * senders) as f64))
}

// ---- ping-pong ----

enum Ball {
    /// Boxed, because a queue has room for the largest variant in every place, and this one comes once.
    Start(Box<Game>),
    Ping {
        number: u64,
        from: ActorRef<Ball>,
    },
    Pong {
        number: u64,
    },
}

struct Game {
    partner: ActorRef<Ball>,
    rounds: u64,
    start: Instant,
    done: Sender<Duration>,
}

/// Serves or returns.
#[derive(Default)]
struct Player {
    game: Option<Game>,
}

impl Actor for Player {
    type Message = Ball;

    async fn handle(&mut self, ball: Ball, context: &mut Context<Ball>) -> Outcome {
        let number = match ball {
            Ball::Ping { number, from } => {
                return outcome(from.send(Ball::Pong { number }).await);
            }
            Ball::Start(game) => {
                self.game = Some(Game { start: Instant::now(), ..*game });
                0
            }
            Ball::Pong { number } => number + 1,
        };
        let Some(game) = &self.game else { return Outcome::Crash("no game".into()) };
        if number < game.rounds {
            return outcome(game.partner.send(Ball::Ping { number, from: context.this() }).await);
        }
        let _ = game.done.send(game.start.elapsed());
        game.partner.stop();
        Outcome::Stop
    }
}

fn outcome<E: std::fmt::Display>(result: Result<(), E>) -> Outcome {
    match result {
        Ok(()) => Outcome::Continue,
        Err(error) => Outcome::Crash(error.to_string()),
    }
}

/// Two actors pass one message there and back.
pub(crate) fn ping_pong(system: &System, rounds: u64) -> Result<Duration, Failure> {
    let (server, partner) = (system.spawn(Player::default()), system.spawn(Player::default()));
    let (done, report) = channel();
    let game = Game { partner, rounds, start: Instant::now(), done };
    server.try_send(Ball::Start(Box::new(game))).map_err(gone)?;
    wait(&report)
}

// ---- ask ----

enum Question {
    AddOne(u64, ReplyTo<u64>),
}

struct Answerer;

impl Actor for Answerer {
    type Message = Question;

    async fn handle(&mut self, question: Question, _: &mut Context<Question>) -> Outcome {
        let Question::AddOne(number, reply) = question;
        reply.send(number + 1);
        Outcome::Continue
    }
}

struct Asker {
    answerer: ActorRef<Question>,
    count: u64,
    done: Sender<Result<Vec<u64>, String>>,
}

impl Asker {
    async fn ask_all(&self) -> Result<Vec<u64>, String> {
        let mut nanoseconds = Vec::with_capacity(self.count as usize);
        for number in 0..self.count {
            let start = Instant::now();
            let answer = self.answerer.ask(|reply| Question::AddOne(number, reply)).await;
            nanoseconds.push(start.elapsed().as_nanos() as u64);
            match answer {
                Ok(answer) if answer == number + 1 => {}
                Ok(answer) => return Err(format!("{number} + 1 is not {answer}")),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(nanoseconds)
    }
}

impl Actor for Asker {
    type Message = ();

    async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
        let _ = self.done.send(self.ask_all().await);
        self.answerer.stop();
        Outcome::Stop
    }
}

/// One actor asks another, `count` times; the nanoseconds that each question took, two readings of the clock included.
pub(crate) fn ask(system: &System, count: u64) -> Result<Vec<u64>, Failure> {
    let answerer = system.spawn(Answerer);
    let (done, report) = channel();
    system.spawn(Asker { answerer, count, done }).try_send(()).map_err(gone)?;
    Ok(wait(&report)??)
}

// ---- spawn and stop ----

struct Brief;

impl Actor for Brief {
    type Message = ();

    async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
        Outcome::Continue
    }
}

/// A task spawns actors, stops them and waits for their ends, a batch at a time.
pub(crate) fn spawn_stop(system: &System, count: u64) -> Result<Duration, Failure> {
    let (done, report) = channel();
    let spawner = system.clone();
    let task = async move {
        let start = Instant::now();
        let mut left = count;
        while left > 0 {
            let batch = left.min(SPAWN_BATCH);
            let actors: Vec<_> = (0..batch).map(|_| spawner.spawn(Brief)).collect();
            for actor in &actors {
                actor.stop();
            }
            // The youngest first: then most of the others have ended, and nothing has to be set up to hear of it.
            for actor in actors.iter().rev() {
                spawner.ended(actor.pid()).await;
            }
            left -= batch;
        }
        let _ = done.send(start.elapsed());
    };
    system.runtime().spawn(task).detach();
    let took = wait(&report)?;
    if !system.is_empty() {
        return Err(format!("{} actors have not ended", system.len()).into());
    }
    Ok(took)
}

// ---- fan-out ----

/// What the members of a crowd share.
struct Tally {
    left: AtomicU64,
    done: Sender<Instant>,
}

struct Member {
    tally: Arc<Tally>,
    total: u64,
}

impl Actor for Member {
    type Message = Small;

    async fn handle(&mut self, message: Small, _: &mut Context<Small>) -> Outcome {
        self.total += message.value;
        if self.tally.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            let _ = self.tally.done.send(Instant::now());
        }
        Outcome::Continue
    }
}

struct Speaker {
    members: Vec<ActorRef<Small>>,
}

impl Actor for Speaker {
    type Message = ();

    async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
        for member in &self.members {
            if let Err(error) = member.send(Small { number: 0, value: 1 }).await {
                return Outcome::Crash(error.to_string());
            }
        }
        Outcome::Continue
    }
}

/// Many idle actors and one that speaks to all of them.
pub(crate) struct Crowd {
    tally: Arc<Tally>,
    count: u64,
    speaker: ActorRef<()>,
    report: Receiver<Instant>,
}

impl Crowd {
    pub(crate) fn gather(system: &System, count: u64) -> Result<Crowd, Failure> {
        let (done, report) = channel();
        let tally = Arc::new(Tally { left: AtomicU64::new(0), done });
        let members = (0..count).map(|_| system.spawn(Member { tally: tally.clone(), total: 0 })).collect();
        let speaker = system.spawn(Speaker { members });
        Ok(Crowd { tally, count, speaker, report })
    }

    /// One message to each; until the last was handled.
    pub(crate) fn tell_all(&self) -> Result<Duration, Failure> {
        self.tally.left.store(self.count, Ordering::Relaxed);
        let start = Instant::now();
        self.speaker.try_send(()).map_err(gone)?;
        Ok(wait(&self.report)? - start)
    }
}

// ---- ring ----

enum Token {
    Join(ActorRef<Token>),
    Hop(u64),
}

struct Link {
    next: Option<ActorRef<Token>>,
    done: Sender<Instant>,
}

impl Actor for Link {
    type Message = Token;

    async fn handle(&mut self, token: Token, _: &mut Context<Token>) -> Outcome {
        match (token, &self.next) {
            (Token::Join(next), _) => {
                self.next = Some(next);
                Outcome::Continue
            }
            (Token::Hop(0), _) => {
                let _ = self.done.send(Instant::now());
                Outcome::Continue
            }
            (Token::Hop(left), Some(next)) => outcome(next.send(Token::Hop(left - 1)).await),
            (Token::Hop(_), None) => Outcome::Crash("the ring is open".into()),
        }
    }
}

/// Actors in a circle, each of which passes the token on.
pub(crate) struct Ring {
    first: ActorRef<Token>,
    report: Receiver<Instant>,
}

impl Ring {
    pub(crate) fn join(system: &System) -> Result<Ring, Failure> {
        let (done, report) = channel();
        let links: Vec<_> =
            (0..RING_ACTORS).map(|_| system.spawn(Link { next: None, done: done.clone() })).collect();
        for (link, next) in links.iter().zip(links.iter().cycle().skip(1)) {
            future::block_on(link.send(Token::Join(next.clone()))).map_err(gone)?;
        }
        Ok(Ring { first: links[0].clone(), report })
    }

    /// The token makes this many hops.
    pub(crate) fn turn(&self, hops: u64) -> Result<Duration, Failure> {
        let start = Instant::now();
        self.first.try_send(Token::Hop(hops)).map_err(gone)?;
        Ok(wait(&self.report)? - start)
    }
}

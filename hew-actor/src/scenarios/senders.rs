//! Many senders, one actor: against its stop, and for the room in its mailbox.

use super::*;

const SENDERS: usize = 2;
const MESSAGES: usize = 3;

fn options(capacity: usize, overflow: Overflow) -> SpawnOptions<Counted> {
    SpawnOptions {
        mailbox: MailboxOptions { capacity: Some(capacity), overflow, ..MailboxOptions::default() },
        messages_per_turn: 2,
        ..SpawnOptions::default()
    }
}

/// What was sent was handled, or came back, or is counted, whatever the policy and however the actor ends.
fn against_a_stop() {
    let stage = Stage::new();
    let overflow = [Overflow::Block, Overflow::DropNew, Overflow::DropOld, Overflow::Fail][pick(4)];
    let options = options([1, 2, BULK_MIN][pick(3)], overflow);
    let actor = stage.system.spawn_with(Counter::new(&stage.census), options).unwrap();
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (actor, census) = (actor.clone(), stage.census.clone());
            thread(move || {
                let refused = (0..MESSAGES).filter(|_| wait(actor.send(census.one())).is_err());
                refused.count() as u64
            })
        })
        .collect();
    match pick(3) {
        0 => actor.stop(),
        1 => actor.close(),
        _ => actor.kill(),
    }
    let refused: u64 = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
    wait(stage.system.ended(actor.pid()));
    let letters = stage.system.dead_letters();
    let sent = (SENDERS * MESSAGES) as u64;
    assert_eq!(stage.census.count() + letters.messages() + refused, sent, "{overflow:?} {letters:?}");
    drop(actor);
    stage.close();
}

/// An actor that sends to another one from its handler.
struct Relay {
    alone: Alone,
    to: ActorRef<Counted>,
}

impl Actor for Relay {
    type Message = Counted;

    async fn handle(&mut self, message: Counted, _: &mut Context<Counted>) -> Outcome {
        let _inside = self.alone.enter();
        match self.to.send(message).await {
            Ok(()) => Outcome::Continue,
            Err(_) => Outcome::Stop,
        }
    }
}

/// Threads, tasks and actors wait for room in one small mailbox: everyone gets through.
fn for_room() {
    let stage = Stage::new();
    // Taken one at a time, or many at a time.
    let capacity = [1, 2, BULK_MIN][pick(3)];
    let actor =
        stage.system.spawn_with(Counter::new(&stage.census), options(capacity, Overflow::Block)).unwrap();
    let relay = stage.system.spawn(Relay { alone: Alone::new(&stage.census), to: actor.clone() });
    let each = if capacity == BULK_MIN { BULK_MIN / 2 + 1 } else { MESSAGES };
    let send_all = |census: Census, to: ActorRef<Counted>| async move {
        for _ in 0..each {
            to.send(census.one()).await.unwrap();
        }
    };
    let senders: Vec<_> = [&actor, &actor, &relay]
        .into_iter()
        .map(|to| {
            let all = send_all(stage.census.clone(), to.clone());
            thread(move || wait(all))
        })
        .collect();
    let task = stage.runtime.spawn(send_all(stage.census.clone(), actor.clone()));
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    wait(task);
    relay.close();
    wait(stage.system.ended(relay.pid()));
    actor.close();
    wait(stage.system.ended(actor.pid()));
    assert_eq!(stage.census.count(), 4 * each as u64);
    assert_eq!(stage.system.dead_letters(), DeadLetters::default());
    drop((actor, relay));
    stage.close();
}

/// A sender that waits for room goes away, by cancelling or because the actor ends: the others go on.
fn for_room_that_is_not_wanted() {
    let stage = Stage::new();
    let actor = stage.system.spawn_with(Counter::new(&stage.census), options(1, Overflow::Block)).unwrap();
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let (actor, census) = (actor.clone(), stage.census.clone());
            stage.runtime.spawn(async move {
                for _ in 0..2 {
                    actor.send(census.one()).await.ok();
                }
            })
        })
        .collect();
    let mut tasks = tasks.into_iter();
    drop(tasks.next());
    if pick(3) == 0 {
        actor.stop();
    }
    tasks.for_each(wait);
    drop(actor);
    stage.close();
}

#[test]
fn senders_against_a_stop_random() {
    check(against_a_stop);
}

#[test]
fn senders_for_room_random() {
    check(for_room);
}

#[test]
fn senders_for_room_priorities() {
    check_priorities(for_room);
}

#[test]
fn senders_for_room_that_is_not_wanted() {
    check(for_room_that_is_not_wanted);
}

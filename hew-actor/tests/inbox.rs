//! Messages from the network that are gathered for one actor and delivered together.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

use hew_actor::*;
use hew_wire::payload::decode_payload;
use std::sync::{Arc, Mutex};

/// Notes what it handles.
struct Notes(Arc<Mutex<Vec<u64>>>);

impl Actor for Notes {
    type Message = u64;

    async fn handle(&mut self, message: u64, _: &mut Context<u64>) -> Outcome {
        self.0.lock().unwrap().push(message);
        Outcome::Continue
    }
}

fn world() -> (Simulation, System) {
    let simulation = Simulation::new(1);
    let system = System::new(simulation.runtime(), SystemConfig::default());
    (simulation, system)
}

/// Everything that reached nobody.
fn dead(system: &System) -> u64 {
    let DeadLetters { no_process, full, dropped_old, stopped, undecodable, .. } = system.dead_letters();
    no_process + full + dropped_old + stopped + undecodable
}

fn options(mailbox: MailboxOptions<u64>) -> SpawnOptions<u64> {
    let decode =
        |msg_type, payload: &[u8]| decode_payload(msg_type, payload).map_err(|error| error.to_string());
    SpawnOptions { decoder: Some(Arc::new(decode)), mailbox, ..SpawnOptions::default() }
}

/// What is handled of the messages 1 to `count`, of which those after `refused_from` do not fit, and what became of them.
fn deliver(mailbox: MailboxOptions<u64>, count: u8) -> (Vec<u64>, Delivered, u64) {
    let (simulation, system) = world();
    let handled = Arc::<Mutex<Vec<u64>>>::default();
    let actor = system.spawn_with(Notes(handled.clone()), options(mailbox)).unwrap();
    let mut inbox = system.inbox(actor.pid()).unwrap();
    for number in 1..=count {
        inbox.gather(0, &[number]).unwrap();
    }
    let delivered = inbox.deliver();
    assert_eq!(inbox.deliver(), Delivered::default(), "nothing is left");
    simulation.run_for(std::time::Duration::from_secs(1)).unwrap();
    let handled = handled.lock().unwrap().clone();
    (handled, delivered, dead(&system))
}

#[test]
fn what_is_gathered_comes_in_order() {
    let (handled, delivered, dead) = deliver(MailboxOptions::default(), 100);
    assert_eq!(handled, (1..=100).collect::<Vec<u64>>());
    assert_eq!((delivered, dead), (Delivered { accepted: 100, refused: 0 }, 0));
}

#[test]
fn what_does_not_fit_is_counted_and_follows_the_policy() {
    let limited = |overflow| MailboxOptions { capacity: Some(20), overflow, ..MailboxOptions::default() };
    let (handled, delivered, dead) = deliver(limited(Overflow::Block), 30);
    assert_eq!(handled, (1..=20).collect::<Vec<u64>>());
    assert_eq!((delivered, dead), (Delivered { accepted: 20, refused: 10 }, 10));
    let (handled, delivered, dead) = deliver(limited(Overflow::DropOld), 30);
    assert_eq!(handled, (11..=30).collect::<Vec<u64>>());
    assert_eq!((delivered, dead), (Delivered { accepted: 30, refused: 0 }, 10));
}

#[test]
fn what_is_for_nobody_or_cannot_be_read_is_counted() {
    let (simulation, system) = world();
    let actor = system.spawn_with(Notes(Arc::default()), options(MailboxOptions::default())).unwrap();
    let mut inbox = system.inbox(actor.pid()).unwrap();
    assert!(matches!(inbox.gather(0, b"\xa1x"), Err(DeliverError::Undecodable(_))));
    inbox.gather(0, &[1]).unwrap();
    inbox.gather(0, &[2]).unwrap();
    actor.kill();
    simulation.run_for(std::time::Duration::from_secs(1)).unwrap();
    assert_eq!(inbox.deliver(), Delivered { accepted: 0, refused: 2 });
    inbox.gather(0, &[3]).unwrap();
    drop(inbox);
    assert_eq!(dead(&system), 4);
    assert!(system.inbox(actor.pid()).is_none());
    let silent = system.spawn_with(Notes(Arc::default()), SpawnOptions::default()).unwrap();
    let mut inbox = system.inbox(silent.pid()).unwrap();
    assert_eq!(inbox.gather(0, &[1]), Err(DeliverError::NotRemote));
}

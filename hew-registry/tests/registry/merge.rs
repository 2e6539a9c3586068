//! Pages in any order, doubled and late, give the same table.

use crate::simulation::{name, node};
use hew_registry::{Config, Gossip, Output, PeerEvent, Registry, RegistryMessage};
use hew_wire::registry::Pull;
use hew_wire::{Incarnation, Pid};
use proptest::prelude::*;
use std::time::Instant;

#[derive(Clone, Debug)]
enum Step {
    Register(u8),
    Unregister(u8),
    /// The owner's changes so far leave as pages, or as a digest if they are too many.
    Push,
    /// Somebody asks the owner for what follows a change; the answer leaves as pages.
    Pull(u64),
    /// One of the pages that are on their way arrives; some stay on their way as well.
    Arrive {
        which: usize,
        again: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6u8).prop_map(Step::Register),
        3 => (0..6u8).prop_map(Step::Unregister),
        2 => Just(Step::Push),
        1 => (0..20u64).prop_map(Step::Pull),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(which, again)| Step::Arrive { which, again }),
    ]
}

const OWNER: u16 = 1;
const RELAY: u16 = 2;
const READER: u16 = 3;

/// The owner, a reader, and the pages between them.
struct Pair {
    now: Instant,
    owner: Gossip,
    reader: Gossip,
    on_the_way: Vec<RegistryMessage>,
}

impl Pair {
    #[allow(clippy::disallowed_methods)]
    fn new(deletes_per_owner_max: usize) -> Pair {
        let now = Instant::now();
        let config = Config { deletes_per_owner_max, ..Config::default() };
        let mut owner = Gossip::new(node(OWNER), Incarnation(1), config.clone(), 1);
        let mut reader = Gossip::new(node(READER), Incarnation(3), config, 1);
        owner.handle_peer(now, node(READER), Incarnation(3), PeerEvent::SessionUp);
        for (peer, incarnation) in [(OWNER, 1), (RELAY, 2)] {
            reader.handle_peer(now, node(peer), Incarnation(incarnation), PeerEvent::SessionUp);
            reader.handle_peer(now, node(peer), Incarnation(incarnation), PeerEvent::NodeUp);
        }
        Pair { now, owner, reader, on_the_way: Vec::new() }
    }

    fn act(&mut self, step: Step, from: u16) {
        match step {
            Step::Register(text) => {
                let pid = Pid::new(node(OWNER), 2000 + u64::from(text));
                let _ = self.owner.register(self.now, 1, name(&format!("n{text}")), pid);
            }
            Step::Unregister(text) => {
                let _ = self.owner.unregister(self.now, &name(&format!("n{text}")));
            }
            Step::Push => self.collect(),
            Step::Pull(after) => {
                self.collect();
                self.ask(Pull {
                    number: 0,
                    owner: node(OWNER),
                    incarnation: Incarnation(1),
                    after,
                    scan: None,
                });
            }
            Step::Arrive { which, again } => {
                if self.on_the_way.is_empty() {
                    return;
                }
                let at = which % self.on_the_way.len();
                let message =
                    if again { self.on_the_way[at].clone() } else { self.on_the_way.swap_remove(at) };
                self.reader.handle_message(self.now, node(from), message).unwrap();
                self.pass_pulls();
            }
        }
    }

    /// The pulls of the reader are answered; the answers join what is on the way.
    fn pass_pulls(&mut self) {
        while let Some(output) = self.reader.poll() {
            if let Output::Send { message: RegistryMessage::Pull(pull), .. } = output {
                self.ask(pull);
            }
        }
    }

    fn ask(&mut self, pull: Pull) {
        self.owner.handle_message(self.now, node(READER), RegistryMessage::Pull(pull)).unwrap();
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(output) = self.owner.poll() {
            if let Output::Send { message, .. } = output {
                self.on_the_way.push(message);
            }
        }
    }

    /// Whatever was going on is over, and the two compare their digests.
    fn settle(&mut self) {
        self.on_the_way.clear();
        self.reader.handle_peer(self.now, node(RELAY), Incarnation(2), PeerEvent::SessionDown);
        self.reader.handle_peer(self.now, node(OWNER), Incarnation(1), PeerEvent::SessionUp);
        self.owner.handle_peer(self.now, node(READER), Incarnation(3), PeerEvent::SessionUp);
        for _ in 0..20 {
            while let Some(output) = self.owner.poll() {
                if let Output::Send { message, .. } = output {
                    self.reader.handle_message(self.now, node(OWNER), message).unwrap();
                }
            }
            while let Some(output) = self.reader.poll() {
                if let Output::Send { to, message } = output
                    && to == node(OWNER)
                {
                    self.owner.handle_message(self.now, node(READER), message).unwrap();
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_pages_gives_the_same_table(
        steps in prop::collection::vec(step(), 1..120),
        deletes_max in prop_oneof![Just(0usize), Just(2), Just(100)],
        from in prop_oneof![Just(OWNER), Just(RELAY)],
    ) {
        let mut pair = Pair::new(deletes_max);
        for step in steps {
            pair.act(step, from);
        }
        pair.settle();
        prop_assert_eq!(pair.reader.table().names(), pair.owner.table().names());
        prop_assert_eq!(pair.reader.fingerprint(), pair.owner.fingerprint());
        if from == RELAY {
            prop_assert_eq!(pair.reader.stats().rereads, 0, "nobody was taken for a liar");
        }
    }

    /// Without the help of digests: once every page has arrived, in whatever order, and every pull was answered,
    /// the reader has everything.
    #[test]
    fn the_last_page_to_arrive_completes_the_table(
        steps in prop::collection::vec(step(), 1..60),
        deletes_max in prop_oneof![Just(0usize), Just(2), Just(100)],
    ) {
        let mut pair = Pair::new(deletes_max);
        for step in steps {
            pair.act(step, OWNER);
        }
        pair.act(Step::Push, OWNER);
        let mut which = 7;
        while !pair.on_the_way.is_empty() {
            which += 11;
            pair.act(Step::Arrive { which, again: false }, OWNER);
        }
        prop_assert_eq!(pair.reader.table().names(), pair.owner.table().names());
    }
}

//! Actors that talk to the journal of another node for as long as they are wanted to.

use crate::actors::{Journal, JournalActor, JournalReport};
use hew_actor::MailboxOptions;
use hew_node::{Actor, ActorRef, Context, Node, Outcome, Runtime, SpawnOptions, Stack};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How much a talker says, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Messages in one go.
    pub burst: u64,
    /// Pause after them.
    pub pause: Duration,
    /// Most bytes of an ordinary message; their sizes go through everything below.
    pub bytes_max: usize,
    /// One message in so many is cut into fragments.
    pub large_every: u64,
}

/// Bytes of a message that is cut into fragments.
const LARGE_BYTES: usize = 150_000;

/// Talkers of one node, and what they have said.
#[derive(Clone)]
pub struct Talk {
    enough: Arc<AtomicBool>,
    said: Arc<Mutex<BTreeMap<u64, u64>>>,
    total: Arc<AtomicU64>,
    silent: Arc<AtomicU64>,
    talkers: u64,
}

struct Talker {
    number: u64,
    journal: ActorRef<Journal>,
    pace: Pace,
    runtime: Runtime,
    talk: Talk,
}

impl Talk {
    /// Has `talkers` actors of `node` talk to `journal`, each an ordinary sender with a lane of its own.
    pub fn begin<S: Stack>(node: &Node<S>, journal: &ActorRef<Journal>, talkers: u64, pace: Pace) -> Talk {
        let talk = Talk {
            enough: Arc::default(),
            said: Arc::default(),
            total: Arc::default(),
            silent: Arc::default(),
            talkers,
        };
        for number in 0..talkers {
            let journal = node.actor(journal.pid()).expect("another node's actor");
            let (runtime, talk) = (node.runtime().clone(), talk.clone());
            let talker = node.system().spawn(Talker { number, journal, pace, runtime, talk });
            talker.try_send(()).expect("an empty mailbox");
        }
        talk
    }

    /// They stop after what they are saying.
    pub fn end(&self) {
        self.enough.store(true, Ordering::SeqCst);
    }

    /// Whether all have stopped.
    pub fn is_over(&self) -> bool {
        self.silent.load(Ordering::SeqCst) == self.talkers
    }

    /// Messages that `send` took, of all talkers.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::SeqCst)
    }

    /// Messages that `send` took, by talker; complete when [`Talk::is_over`].
    pub fn said(&self) -> BTreeMap<u64, u64> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Actor for Talker {
    type Message = ();

    async fn handle(&mut self, (): (), _: &mut Context<()>) -> Outcome {
        // Filled once: filling is what a test without optimization would spend its time on.
        let ballast = vec![7; LARGE_BYTES];
        let mut count = 0;
        while !self.talk.enough.load(Ordering::SeqCst) {
            let is_large = self.pace.large_every > 0 && count % self.pace.large_every == self.number;
            let bytes = if is_large {
                LARGE_BYTES
            } else {
                (count * 37 + self.number) as usize % self.pace.bytes_max
            };
            let note =
                Journal::Note { sender: self.number, number: count, ballast: ballast[..bytes].to_vec() };
            if self.journal.send(note).await.is_err() {
                break;
            }
            count += 1;
            self.talk.total.fetch_add(1, Ordering::SeqCst);
            if count % self.pace.burst == 0 {
                self.runtime.sleep(self.pace.pause).await;
            }
        }
        self.talk.said.lock().unwrap_or_else(PoisonError::into_inner).insert(self.number, count);
        self.talk.silent.fetch_add(1, Ordering::SeqCst);
        Outcome::Stop
    }
}

/// A journal with room for everything that a test sends.
pub fn journal<S: Stack>(node: &Node<S>) -> ActorRef<Journal> {
    let mailbox = MailboxOptions { capacity: Some(1 << 20), ..MailboxOptions::default() };
    let options = SpawnOptions { mailbox, ..SpawnOptions::default() };
    node.spawn_with(JournalActor::default(), options).expect("it is spawned")
}

/// What is wrong with a report of everything that was said in `talk`, if anything is.
pub fn complaint(report: &JournalReport, talk: &Talk) -> Option<String> {
    if let Some(error) = &report.first_error {
        return Some(error.clone());
    }
    let said = talk.said();
    (report.received != said).then(|| format!("received {:?} of {said:?}", report.received))
}

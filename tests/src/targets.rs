//! Actors that say which start of their node they belong to, and know what was meant for another one.

use hew_actor::MailboxOptions;
use hew_node::{Actor, ActorRef, Context, Node, Outcome, ReplyTo, SpawnOptions, Stack};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Messages of a target.
#[derive(Debug, Serialize, Deserialize)]
pub enum Shot {
    /// Meant for an actor of this incarnation.
    At {
        /// That incarnation.
        incarnation: u64,
        /// Ballast.
        #[serde(with = "serde_bytes")]
        ballast: Vec<u8>,
    },
    /// Asks for the incarnation of the actor.
    Whose(ReplyTo<u64>),
}

/// What has hit the targets of one start of a node.
#[derive(Clone, Debug, Default)]
pub struct Hits {
    /// Meant for them.
    pub own: Arc<AtomicU64>,
    /// Meant for another start.
    pub stray: Arc<AtomicU64>,
    /// Questions.
    pub asked: Arc<AtomicU64>,
    /// Where the first number is kept as well, for whoever reads it after this process was killed.
    kept: Option<Arc<File>>,
}

struct Target {
    incarnation: u64,
    hits: Hits,
}

impl Hits {
    /// None so far; what is meant for the targets is kept in this file.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn kept_in(path: &Path) -> Hits {
        let file = File::create(path).expect("the file can be made");
        Hits { kept: Some(Arc::new(file)), ..Hits::default() }
    }

    /// What a process that was killed has kept.
    ///
    /// # Panics
    /// If it has not.
    pub fn read_kept(path: &Path) -> u64 {
        let bytes = std::fs::read(path).expect("the file is there");
        bytes.try_into().map_or(0, u64::from_le_bytes)
    }

    /// Messages that were handled, of any kind.
    pub fn handled(&self) -> u64 {
        let (own, stray) = self.count();
        own + stray + self.asked.load(Ordering::SeqCst)
    }

    fn hit(&self) {
        let own = self.own.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(file) = &self.kept {
            // One worker handles messages one after the other: the number in the file only grows.
            file.write_all_at(&own.to_le_bytes(), 0).expect("the file can be written");
        }
    }

    /// Meant for them, and meant for another start.
    pub fn count(&self) -> (u64, u64) {
        (self.own.load(Ordering::SeqCst), self.stray.load(Ordering::SeqCst))
    }
}

impl Actor for Target {
    type Message = Shot;

    async fn handle(&mut self, message: Shot, _: &mut Context<Shot>) -> Outcome {
        match message {
            Shot::At { incarnation, .. } if incarnation == self.incarnation => {
                self.hits.hit();
            }
            Shot::At { .. } => {
                self.hits.stray.fetch_add(1, Ordering::SeqCst);
            }
            Shot::Whose(reply) => {
                self.hits.asked.fetch_add(1, Ordering::SeqCst);
                reply.send(self.incarnation);
            }
        }
        Outcome::Continue
    }
}

/// Sets up so many targets with room for everything.
pub fn set_up<S: Stack>(node: &Node<S>, count: usize) -> (Vec<ActorRef<Shot>>, Hits) {
    let hits = Hits::default();
    (set_up_with(node, count, &hits), hits)
}

/// As [`set_up`], with hits that are counted elsewhere too.
///
/// # Panics
/// Never: the options ask for nothing that can be refused.
pub fn set_up_with<S: Stack>(node: &Node<S>, count: usize, hits: &Hits) -> Vec<ActorRef<Shot>> {
    let incarnation = node.incarnation().0;
    let targets = (0..count).map(|_| {
        let mailbox = MailboxOptions { capacity: Some(1 << 20), ..MailboxOptions::default() };
        let options = SpawnOptions { mailbox, ..SpawnOptions::default() };
        node.spawn_with(Target { incarnation, hits: hits.clone() }, options).expect("it is spawned")
    });
    targets.collect()
}

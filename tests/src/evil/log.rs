//! What nodes say in the log: how often each has given each reason.
//!
//! One log for the whole process, because `tracing` has one: nodes of one id, in tests that run side by side, share their lines.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, Once, PoisonError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

type Lines = BTreeMap<(String, String), u64>;

static LINES: Mutex<Lines> = Mutex::new(BTreeMap::new());

/// Begins to read what nodes of this process log.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::subscriber::set_global_default(Reasons).expect("nobody else listens in a test");
    });
}

/// How many lines of that node have given this reason so far.
pub fn lines(node: u16, reason: &str) -> u64 {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.get(&(node.to_string(), reason.to_owned())).copied().unwrap_or(0)
}

/// Takes events of nodes that have a reason, and nothing else.
struct Reasons;

impl Subscriber for Reasons {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && metadata.target().starts_with("hew_node")
            && metadata.fields().field("reason").is_some()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        *lines.entry((line.node, line.reason)).or_default() += 1;
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line {
    node: String,
    reason: String,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "reason" {
            value.clone_into(&mut self.reason);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "node" {
            self.node = format!("{value:?}");
        }
    }
}

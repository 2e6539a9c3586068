//! Spans of messages, alone in its process: a subscriber for one thread does not see what other threads met first.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod common;

use common::*;
use hew_actor::*;
use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Takes the time that the message says.
struct Worker;

impl Actor for Worker {
    type Message = Duration;
    async fn handle(&mut self, duration: Duration, context: &mut Context<Duration>) -> Outcome {
        context.runtime().sleep(duration).await;
        Outcome::Continue
    }
}

/// Notes spans of the target, if it is asked to.
#[derive(Clone, Default)]
struct Spans {
    enabled: Arc<AtomicBool>,
    made: Arc<Mutex<Vec<String>>>,
    entered: Arc<AtomicU64>,
}

impl tracing::Subscriber for Spans {
    fn register_callsite(&self, _: &'static tracing::Metadata<'static>) -> tracing::subscriber::Interest {
        tracing::subscriber::Interest::sometimes()
    }

    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        self.enabled.load(Ordering::SeqCst)
            && metadata.target() == "hew_actor::handle"
            && *metadata.level() == tracing::Level::TRACE
    }

    fn new_span(&self, attributes: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
                write!(self.0, " {}={value:?}", field.name()).unwrap();
            }
        }
        let mut text = Text(attributes.metadata().name().to_string());
        attributes.record(&mut text);
        let mut made = self.made.lock().unwrap();
        made.push(text.0);
        tracing::span::Id::from_u64(made.len() as u64)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}

    fn enter(&self, _: &tracing::span::Id) {
        self.entered.fetch_add(1, Ordering::SeqCst);
    }

    fn exit(&self, _: &tracing::span::Id) {
        self.entered.fetch_add(1 << 32, Ordering::SeqCst);
    }
}

#[test]
fn a_traced_message_has_one_span_with_pid_and_type() {
    let spans = Spans::default();
    tracing::subscriber::set_global_default(spans.clone()).unwrap();
    for enabled in [true, false, true] {
        spans.enabled.store(enabled, Ordering::SeqCst);
        let spans = spans.clone();
        simulated(1, |system| async move {
            let worker = system.spawn(Worker);
            for n in 0..3 {
                worker.send(Duration::from_secs(n)).await.unwrap();
            }
            system.runtime().sleep(Duration::from_secs(10)).await;
            let made = std::mem::take(&mut *spans.made.lock().unwrap());
            let entered = spans.entered.swap(0, Ordering::SeqCst);
            if enabled {
                let message = std::any::type_name::<Duration>();
                assert_eq!(made, vec![format!("handle message={message:?} pid={}", worker.pid()); 3]);
                // Entered with each poll, of which the two that wait need two, and left as often.
                assert_eq!(entered, 5 << 32 | 5);
            } else {
                assert_eq!((made, entered), (Vec::<String>::new(), 0));
            }
        });
    }
}

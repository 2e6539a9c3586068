//! What happens in the cluster, for whoever subscribes.

use hew_cluster::DownReason;
use hew_security::Permission;
use hew_wire::{Incarnation, Name, NodeId, Pid};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Events that wait for one slow subscriber; beyond that the oldest are dropped and counted.
pub const EVENTS_WAITING_MAX: usize = 4096;

/// Something that happened in the cluster, as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeEvent {
    /// A seed answered: this node is in the cluster.
    Joined {
        /// The seed's node.
        through: NodeId,
    },
    /// A node is there.
    MemberUp {
        /// The node.
        node: NodeId,
        /// This start of it.
        incarnation: Incarnation,
    },
    /// A node does not answer; it counts as there until it is down.
    MemberSuspect {
        /// The node.
        node: NodeId,
    },
    /// A suspected node answered after all.
    MemberAlive {
        /// The node.
        node: NodeId,
    },
    /// A node is gone. Monitors, links and asks that pointed there are answered before this event.
    MemberDown {
        /// The node.
        node: NodeId,
        /// Which start of it.
        incarnation: Incarnation,
        /// Why.
        reason: DownReason,
    },
    /// This node hears so little that it must be cut off itself.
    Isolated,
    /// The others are heard again.
    Rejoined,
    /// Two nodes claim one id. If it is this node's own, others know an incarnation of it that is not this one, or refuse
    /// this node because of it; if it is another's, that one is connected, and who claimed its id was refused.
    Conflict {
        /// The id.
        node: NodeId,
        /// What is known of it.
        detail: String,
    },
    /// A connection to a node is up.
    LinkUp {
        /// The node.
        node: NodeId,
        /// Whether it is encrypted.
        encrypted: bool,
        /// Whether it continues a session.
        resumed: bool,
    },
    /// A connection to a node ended; the session goes on for as long as the node is not down.
    LinkDown {
        /// The node.
        node: NodeId,
        /// Why.
        cause: String,
    },
    /// A peer was refused, or refused this node.
    Refused {
        /// Its address.
        address: String,
        /// Why.
        cause: String,
    },
    /// A peer refused something that this node may not do there. Told at most once per second, permission and peer.
    Denied {
        /// The peer.
        node: NodeId,
        /// What this node lacks.
        permission: Permission,
        /// The actor that it concerned; 0 if none.
        target: Pid,
    },
    /// The file that the allowlist follows cannot be read. The list stays as it was.
    AllowlistUnreadable {
        /// The file and what is wrong with it.
        cause: String,
    },
    /// A name means an actor now, anywhere in the cluster.
    NameUp {
        /// The name.
        name: Name,
        /// The actor.
        pid: Pid,
    },
    /// A name does not mean that actor any more.
    NameDown {
        /// The name.
        name: Name,
        /// The actor.
        pid: Pid,
    },
    /// A name of an actor of this node went to another one, which was registered at the same time elsewhere.
    NameLost {
        /// The name.
        name: Name,
        /// The actor of this node.
        pid: Pid,
        /// The actor that has the name now.
        winner: Pid,
    },
    /// This node has stopped; the last event.
    Stopped,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<NodeEvent>,
    missed: u64,
    closed: bool,
}

#[derive(Debug, Default)]
struct Subscriber {
    queue: Mutex<Queue>,
    arrived: event_listener::Event,
}

impl Subscriber {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Only pushes and pops happen under this lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All subscribers of a node.
#[derive(Debug, Default)]
pub(crate) struct Events {
    subscribers: Mutex<Vec<Weak<Subscriber>>>,
}

impl Events {
    pub(crate) fn subscribe(&self) -> EventStream {
        let subscriber = Arc::new(Subscriber::default());
        self.subscribers().push(Arc::downgrade(&subscriber));
        EventStream { subscriber }
    }

    pub(crate) fn publish(&self, event: &NodeEvent) {
        self.subscribers().retain(|subscriber| {
            let Some(subscriber) = subscriber.upgrade() else { return false };
            let mut queue = subscriber.queue();
            if queue.waiting.len() == EVENTS_WAITING_MAX {
                queue.waiting.pop_front();
                queue.missed += 1;
            }
            queue.waiting.push_back(event.clone());
            drop(queue);
            subscriber.arrived.notify(usize::MAX);
            true
        });
    }

    /// The node has stopped: streams end after what they hold.
    pub(crate) fn close(&self) {
        for subscriber in self.subscribers().drain(..).filter_map(|subscriber| subscriber.upgrade()) {
            subscriber.queue().closed = true;
            subscriber.arrived.notify(usize::MAX);
        }
    }

    fn subscribers(&self) -> MutexGuard<'_, Vec<Weak<Subscriber>>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The events of a node from the moment of subscribing, in order. Dropping it unsubscribes.
#[derive(Debug)]
pub struct EventStream {
    subscriber: Arc<Subscriber>,
}

impl EventStream {
    /// The next event; `None` when the node has stopped. Cancelling loses nothing.
    pub async fn next(&mut self) -> Option<NodeEvent> {
        loop {
            let listener = self.subscriber.arrived.listen();
            {
                let mut queue = self.subscriber.queue();
                if let Some(event) = queue.waiting.pop_front() {
                    return Some(event);
                }
                if queue.closed {
                    return None;
                }
            }
            listener.await;
        }
    }

    /// The next event if one waits already.
    pub fn try_next(&mut self) -> Option<NodeEvent> {
        self.subscriber.queue().waiting.pop_front()
    }

    /// Events that were dropped because this stream was not read in time.
    pub fn missed(&self) -> u64 {
        self.subscriber.queue().missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::block_on;

    #[test]
    fn a_stream_has_what_happened_since_it_began() {
        let events = Events::default();
        events.publish(&NodeEvent::Isolated);
        let mut stream = events.subscribe();
        events.publish(&NodeEvent::Rejoined);
        events.close();
        assert_eq!(block_on(stream.next()), Some(NodeEvent::Rejoined));
        assert_eq!(block_on(stream.next()), None);
    }

    #[test]
    fn a_slow_subscriber_loses_the_oldest_and_knows_it() {
        let events = Events::default();
        let mut stream = events.subscribe();
        events.publish(&NodeEvent::Isolated);
        for _ in 0..EVENTS_WAITING_MAX {
            events.publish(&NodeEvent::Rejoined);
        }
        assert_eq!(stream.missed(), 1);
        assert_eq!(stream.try_next(), Some(NodeEvent::Rejoined));
    }
}

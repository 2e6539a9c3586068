//! What messages between nodes cost in allocations, counted in virtual time on one thread.
#![allow(unsafe_code, reason = "an allocator that counts")]

use hew_actor::MailboxOptions;
use hew_node::{Actor, ActorRef, SpawnOptions};
use hew_tests::actors::{Counter, CounterActor, Journal, JournalActor};
use hew_tests::cluster::Cluster;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::alloc::{GlobalAlloc, Layout, System as SystemAllocator};
use std::cell::Cell;
use std::time::Duration;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is done by the allocator of the system, with the arguments as they came. What is counted lies in a
// thread-local without a destructor, which neither allocates nor goes before its thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's obligations are the same.
        unsafe { SystemAllocator.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        unsafe { SystemAllocator.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as in `alloc`.
        unsafe { SystemAllocator.realloc(memory, layout, size) }
    }
}

const SOON: Duration = Duration::from_secs(20);
/// Messages of a round: some 350 KB of frames, or 1.5 MB.
const MESSAGES: u64 = 10_000;
/// Rounds until buffers have the size and number that they keep.
const WARM_UP: u64 = 5;
/// What heartbeats, membership and the tasks of two nodes may allocate meanwhile, and the link for a batch.
const OF_OTHERS: u64 = MESSAGES / 20;

/// Sends rounds of messages and counts what sending a round allocates, and everything else until it is acknowledged;
/// `own` of the former for each message are made by `message`.
fn check<A>(actor: A, message: impl Fn(u64) -> A::Message, own: u64, at_receiver: u64)
where
    A: Actor,
    A::Message: Serialize + DeserializeOwned,
{
    let cluster = Cluster::new(1);
    cluster.run(async {
        let first = cluster.start(1).await.expect("the node starts");
        let second = cluster.start(2).await.expect("the node starts");
        second.wait_for_members(2, SOON).await.expect("two members");
        first.wait_for_members(2, SOON).await.expect("two members");
        let mailbox = MailboxOptions { capacity: Some(1 << 16), ..MailboxOptions::default() };
        let options = SpawnOptions { mailbox, ..SpawnOptions::default() };
        let target = second.spawn_with(actor, options).expect("it is spawned");
        let remote: ActorRef<A::Message> = first.actor(target.pid()).expect("another node's actor");
        for round in 0..WARM_UP + 3 {
            let before = ALLOCATIONS.get();
            // Nobody else has a turn meanwhile.
            for number in 0..MESSAGES {
                assert!(remote.try_send(message(round * MESSAGES + number)).is_ok());
            }
            let sent = ALLOCATIONS.get();
            cluster.wait_until("all are acknowledged", SOON, || first.outgoing_bytes(second.id()) == 0).await;
            let sending = sent - before - own * MESSAGES;
            let rest = ALLOCATIONS.get() - sent;
            if round >= WARM_UP {
                // A block for each 64 KiB beyond those that the link keeps.
                assert!(sending <= MESSAGES / 500, "{sending} allocations to send {MESSAGES} messages");
                let most = at_receiver * MESSAGES + OF_OTHERS;
                assert!(rest <= most, "{rest} allocations to carry and receive {MESSAGES} messages");
            }
        }
        assert_eq!(second.stats().messages_received, (WARM_UP + 3) * MESSAGES);
        second.shutdown().await;
        first.shutdown().await;
    });
}

#[test]
fn small_messages_to_another_node_allocate_nothing() {
    check(CounterActor::default(), |_| Counter::Add(1), 0, 0);
}

#[test]
fn messages_with_bytes_allocate_those_where_they_arrive() {
    let note = |number| Journal::Note { sender: 1, number, ballast: vec![7; 100] };
    check(JournalActor::default(), note, 1, 1);
}

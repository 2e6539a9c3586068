//! Records cost no memory once their buffers have grown, counted by an allocator of our own.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod common;

use common::*;
use hew_security::{Established, Opener, RECORD_PLAINTEXT_BYTES_MAX, REKEY_RECORDS, Sealer};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts what each thread allocates: tests run beside each other.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is done by the allocator of the system, with the arguments as they came. What is counted lies in
// a thread-local without a destructor, which neither allocates nor goes before its thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's obligations are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as in `alloc`.
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// Texts of one record, from small to as large as there are, and one that needs two.
const SIZES: [usize; 5] = [64, 1 << 10, 16 << 10, RECORD_PLAINTEXT_BYTES_MAX, 64 << 10];
/// Records before and after the change of the key that are counted.
const AROUND: u64 = 16;

fn allocations_of(body: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    body();
    ALLOCATIONS.get() - before
}

/// Both ends of the direction from the dialer to the listener, with the suite that both have or with ChaCha20-Poly1305.
fn direction(aes: bool) -> (Sealer, Opener) {
    let make = |id| if aes { noise(id) } else { noise(id).without_aes() };
    let link = Link::new(End::dialer(&make(1), remote(1)), End::listener(&make(2), remote(2))).run();
    let up = |end: End| -> Established { end.established.unwrap() };
    (up(link.dialer).sealer, up(link.listener).opener)
}

/// Seals `text` in as many records as it needs and opens them again.
fn carry(sealer: &mut Sealer, opener: &mut Opener, text: &[u8], wire: &mut Vec<u8>) {
    wire.clear();
    sealer.seal(text, wire).unwrap();
    let (mut at, mut opened) = (0, 0);
    while let Some((taken, plaintext)) = opener.open_first(&mut wire[at..]).unwrap() {
        assert!(*plaintext == text[opened..opened + plaintext.len()]);
        at += taken;
        opened += plaintext.len();
    }
    assert_eq!((at, opened), (wire.len(), text.len()));
}

/// The same through the other way to seal, and the other way to open.
fn carry_in_place(sealer: &mut Sealer, opener: &mut Opener, text: &[u8], wire: &mut Vec<u8>) {
    wire.clear();
    wire.extend_from_slice(&[0, 0]);
    wire.extend_from_slice(text);
    sealer.seal_in_place(wire, 0).unwrap();
    assert!(*opener.open(&mut wire[2..]).unwrap() == *text);
}

#[test]
fn the_allocator_counts() {
    assert_eq!(allocations_of(|| drop(std::hint::black_box(Box::new(1)))), 1);
    assert_eq!(allocations_of(|| ()), 0);
}

#[test]
fn records_cost_no_memory_not_even_where_the_key_changes() {
    for aes in [true, false] {
        for bytes in SIZES {
            let (mut sealer, mut opener) = direction(aes);
            let text = vec![7; bytes];
            let mut wire = Vec::new();
            // The first text makes the buffer grow; small ones lead to where the key changes.
            carry(&mut sealer, &mut opener, &text, &mut wire);
            while sealer.records() < REKEY_RECORDS - AROUND {
                carry(&mut sealer, &mut opener, &text[..64], &mut wire);
            }
            let allocations = allocations_of(|| {
                while sealer.records() < REKEY_RECORDS + AROUND {
                    carry(&mut sealer, &mut opener, &text, &mut wire);
                    carry_in_place(&mut sealer, &mut opener, &text[..bytes.min(1 << 10)], &mut wire);
                }
            });
            assert_eq!(allocations, 0, "{bytes} bytes, with AES where there is: {aes}");
            assert!(opener.records() > REKEY_RECORDS, "the key was changed");
        }
    }
}

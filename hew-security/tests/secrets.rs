//! S13: secrets cannot be copied or shown, and are gone when they are dropped.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

mod common;

use common::*;
use hew_security::{NoiseXx, Opener, Overwrite, Sealer, StaticKeypair};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

/// Does not compile when the type has one of the traits: the call is ambiguous then.
macro_rules! assert_lacks {
    ($type:ty: $($trait:path),+) => {{
        $({
            struct Holds;
            trait AmbiguousIfImplemented<Marker> { fn check() {} }
            impl<T: ?Sized> AmbiguousIfImplemented<()> for T {}
            impl<T: ?Sized + $trait> AmbiguousIfImplemented<Holds> for T {}
            <$type as AmbiguousIfImplemented<_>>::check();
        })+
    }};
}

#[test]
fn s13_secrets_cannot_be_copied_compared_or_serialised() {
    assert_lacks!(StaticKeypair: Clone, Copy, PartialEq, std::hash::Hash, std::fmt::Display, AsRef<[u8]>);
    assert_lacks!(StaticKeypair: serde::Serialize, Into<Vec<u8>>, Default);
    assert_lacks!(Sealer: Clone, PartialEq, std::fmt::Display, serde::Serialize);
    assert_lacks!(Opener: Clone, PartialEq, std::fmt::Display, serde::Serialize);
}

#[test]
fn s13_nothing_shows_a_secret() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let pair = StaticKeypair::generate().unwrap();
    pair.save(&path, Overwrite::Refuse).unwrap();
    #[allow(clippy::disallowed_methods)] // The test looks at the file, not the crate.
    let bytes = std::fs::read(&path).unwrap();
    let hex: String = bytes[32..].iter().map(|byte| format!("{byte:02x}")).collect();
    let decimal = format!("{}, {}, {}", bytes[32], bytes[33], bytes[34]);

    let fingerprint = pair.public().to_string();
    let shown_pair = format!("{pair:?} {pair:#?}");
    let list = hew_security::Allowlist::open();
    let authenticator = NoiseXx::new(pair, list.clone());
    let link = Link::new(
        End::dialer(&authenticator, remote(1)),
        End::listener(&NoiseXx::new(keypair(2), list), remote(2)),
    )
    .run();
    let shown =
        format!("{shown_pair} {authenticator:?} {:?} {:?}", link.dialer.handshake, link.dialer.established);
    assert!(shown.contains(&fingerprint));
    assert!(!shown.contains(&hex[..8]) && !shown.contains(&decimal), "{shown}");
}

/// The part of a secret that is searched for: an allocator writes its own notes over the first half of what was freed,
/// and X25519 works on a copy with other bits in the last byte.
const PART: std::ops::Range<usize> = 16..31;

/// How often the bytes whose complement is `complement` occur in the writable memory of this process. The bytes
/// themselves are never put together by the search.
fn occurrences(complement: &[u8; PART.end - PART.start]) -> usize {
    let mut maps = String::new();
    File::options().read(true).open("/proc/self/maps").unwrap().read_to_string(&mut maps).unwrap();
    let memory = File::options().read(true).open("/proc/self/mem").unwrap();
    let mut chunk = vec![0; 1 << 20];
    let mut found = 0;
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, access) = (fields.next().unwrap(), fields.next().unwrap());
        if !access.starts_with("rw") || line.ends_with("[vvar]") {
            continue;
        }
        let (begin, end) = range.split_once('-').unwrap();
        let (begin, end) = (u64::from_str_radix(begin, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
        let mut at = begin;
        while at < end {
            let length = chunk.len().min((end - at) as usize);
            // A part of the memory may have gone since the list was made.
            let Ok(read) = memory.read_at(&mut chunk[..length], at) else { break };
            // The chunk is memory of this process too: what it saw of itself does not count.
            let own = chunk.as_ptr() as u64;
            let hits = chunk[..read].windows(complement.len()).enumerate().filter(|(place, window)| {
                let address = at + *place as u64;
                !(own..own + (1 << 20)).contains(&address)
                    && window.iter().zip(complement).all(|(byte, other)| *byte == !*other)
            });
            found += hits.count();
            chunk[..read].fill(0);
            std::hint::black_box(&mut chunk);
            if read < complement.len() {
                break;
            }
            // Overlap, for what lies across the edge; the last part of a region ends the loop.
            at += if at + read as u64 >= end { read as u64 } else { (read - complement.len() + 1) as u64 };
        }
    }
    found
}

#[test]
#[cfg(target_os = "linux")]
fn s13_a_dropped_secret_is_nowhere_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    StaticKeypair::generate().unwrap().save(&path, Overwrite::Refuse).unwrap();
    let mut complement = [0; PART.end - PART.start];
    for (at, byte) in complement.iter_mut().enumerate() {
        // One byte at a time, so that this test leaves no copy itself.
        let mut one = [0];
        File::options()
            .read(true)
            .open(&path)
            .unwrap()
            .read_exact_at(&mut one, (32 + PART.start + at) as u64)
            .unwrap();
        *byte = !one[0];
    }
    assert_eq!(occurrences(&complement), 0, "left by generating and saving");

    // Many, because freed memory is soon written over by others: one copy could vanish without being wiped.
    let mut pairs: Vec<_> = (0..256).map(|_| StaticKeypair::load(&path).unwrap()).collect();
    assert!(occurrences(&complement) >= pairs.len(), "the search finds what is there");
    let pair = pairs.pop().unwrap();
    drop(pairs);
    let list = hew_security::Allowlist::open();
    let authenticator = NoiseXx::new(pair, list.clone());
    let link = Link::new(
        End::dialer(&authenticator, remote(1)),
        End::listener(&NoiseXx::new(keypair(2), list), remote(2)),
    )
    .run();
    assert!(link.is_up());
    // Handshakes that stop half-way, with the static key in each.
    let halves: Vec<_> = (0..64)
        .map(|_| {
            let mut half = End::listener(&authenticator, remote(1));
            let mut dialer =
                End::dialer(&NoiseXx::new(keypair(3), hew_security::Allowlist::open()), remote(3));
            let answer = half.feed(&dialer.drain());
            half.feed(&dialer.feed(&answer));
            half
        })
        .collect();
    assert!(occurrences(&complement) >= halves.len());
    drop(halves);
    drop(authenticator);
    // The link outlives its handshake, and needs the key no more.
    let End { handshake, established, .. } = link.dialer;
    drop(handshake);
    assert_eq!(occurrences(&complement), 0, "left by loading and by a handshake");
    assert!(established.unwrap().sealer.seal(b"text", &mut Vec::new()).is_ok());
}

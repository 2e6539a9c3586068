//! The canonical description of the control protocol, and its hash.
//!
//! Both sides of a link must mean the same bytes. The hash of this text is in every hello, so that it can differ only
//! when someone changed the wire: whoever changes a layout, a key or a meaning changes its line here, and with it the
//! hash. Messages of users are not in it; they evolve by their own rules.

/// One line for each thing on the wire: its name, a colon, its layout.
///
/// Big-endian and little-endian are `be` and `le`; `?` is an optional field; `{k name type}` is a MessagePack map with
/// integer keys.
pub const SCHEMA: &str = "\
hello: magic 4, version u16be, node u16be, schema u32be, features u32be, key 32
verdict: status u8, if not 0: length u8, reason utf8
features: 0 encrypted, 1 aes_256_gcm, 2 lz4, 16..31 mandatory
order: dialer hello, listener verdict hello, dialer verdict, noise 1 2 3 as length u16be bytes, listener verdict record
noise: XX 25519 ChaChaPoly|AESGCM BLAKE2s, prologue 'hew/noise/1' then each hello as length u16be bytes
extension: {1 incarnation u64, 2 node_name? str, 3 cluster str, 4 role 0 member|1 client, 5 version_min u16, \
6 version_max u16, 7 frame_bytes_max u32, 8 listen? str, 9 session? u64, 10 fresh? u64, 11 received? u64, \
12 key_proof?}
record: length u16be, sealed bytes, tag 16, rekey every 65536; plaintext whole frames
session: goes on if both name the same, else id = max(1, fresh + fresh)
frame: kind u8, lane u8, flags u16le, length u32le, body; kind < 128 is numbered from 1; flags 0x0100 reply
frame 1, message: target u64le, source u64le, type i32le, reply? u64le, payload msgpack
frame 2, reply: reference u64le, status u8, value msgpack | text
frame 3, control: msgpack {tag: {fields}}
frame 4, fragment: id u32le, total u32le, offset u32le, part of a frame 1 | 2
frame 128, start: next u64le
frame 129, ack: received u64le
frame 130, heartbeat: nothing
frame 131, goodbye: reason utf8
control: member, registry, monitor {ref target}, demonitor {ref}, down {ref reason}, link {from to}, unlink {from to}, \
exit {from to reason}, stop {target}, kill {target}
reason: normal | killed | {crashed text} | {linked text} | no_process | node_down
references in payloads: a reply address is nil for the frame's, else [node, reference]; an actor is its pid u64
";

/// FNV-1a over [`SCHEMA`], 32 bits: what the hello carries.
pub const fn schema_hash() -> u32 {
    const HASH: u32 = fnv1a(SCHEMA.as_bytes());
    HASH
}

const fn fnv1a(bytes: &[u8]) -> u32 {
    let mut hash = 0x811c_9dc5_u32;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv1a() {
        // Published test values of FNV-1a, 32 bits.
        assert_eq!(fnv1a(b""), 0x811c_9dc5);
        assert_eq!(fnv1a(b"a"), 0xe40c_292c);
        assert_eq!(fnv1a(b"foobar"), 0xbf9c_f968);
        assert_eq!(schema_hash(), fnv1a(SCHEMA.as_bytes()));
    }

    #[test]
    fn each_line_is_a_name_and_a_layout() {
        let mut names: Vec<_> =
            SCHEMA.lines().map(|line| line.split_once(": ").expect("name: layout").0).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a name is described twice");
    }
}

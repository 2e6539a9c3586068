//! The canonical description of the wire, and its hash.
//!
//! Both sides of a link must mean the same bytes. The hash of this text is in every hello, so that it can differ only
//! when someone changed the wire. Nobody has to remember that: `tests/schema` reads the lines about messages off the
//! types that are sent, and checks the lines about layouts against what the encoders write. Messages of users are not
//! in it; they evolve by their own rules.

/// One line for each thing on the wire: its name, a colon, its layout.
///
/// Big-endian and little-endian are `be` and `le`; `?` is a field that may be absent; `{k type}` is a MessagePack map,
/// `[type]` an array of any length, `(type, type)` an array of so many; other names of types are those of lines.
pub const SCHEMA: &str = include_str!("schema.txt");

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
        assert!(SCHEMA.is_ascii() && SCHEMA.ends_with('\n') && !SCHEMA.contains('\r'));
        let mut names: Vec<_> =
            SCHEMA.lines().map(|line| line.split_once(": ").expect("name: layout").0).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a name is described twice");
    }
}

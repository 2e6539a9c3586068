//! Changes to bytes that are the same in every run.

/// A generator of numbers from a seed: xorshift64*. Not for secrets.
#[derive(Clone, Debug)]
pub struct Chance(u64);

/// What stands at the edges of numbers and lengths, and the markers of MessagePack that declare the most.
const INTERESTING: [&[u8]; 16] = [
    &[0x00],
    &[0xff],
    &[0x7f],
    &[0x80],
    &[0x81],
    &[0x91],
    &[0xc0],
    &[0xc1],
    &[0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff],
    &[0x00, 0x00, 0x00, 0x80],
    &[0xdd, 0xff, 0xff, 0xff, 0xff],
    &[0xdf, 0xff, 0xff, 0xff, 0xff],
    &[0xdb, 0xff, 0xff, 0xff, 0xff],
    &[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0],
];

impl Chance {
    /// The sequence of `seed`, which may be any number.
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        drawn as usize % bound.max(1)
    }
}

/// One to four changes to one of `seeds`: bits, bytes, pieces doubled, removed, moved, or taken from another seed.
///
/// # Panics
/// If there are no seeds.
pub fn mutated(seeds: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = seeds[chance.below(seeds.len())].clone();
    for _ in 0..=chance.below(4) {
        change(&mut bytes, seeds, chance);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], chance: &mut Chance) {
    let at = chance.below(bytes.len() + 1);
    let piece = |bytes: &[u8], chance: &mut Chance| {
        let from = chance.below(bytes.len());
        let length = chance.below((bytes.len() - from).min(40) + 1);
        bytes[from..from + length].to_vec()
    };
    match chance.below(7) {
        0 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
        1 if at < bytes.len() => bytes[at] = chance.below(256) as u8,
        2 => bytes.truncate(at),
        3 => {
            let end = (at + 1 + chance.below(8)).min(bytes.len());
            bytes.drain(at..end.max(at));
        }
        4 => {
            let interesting = INTERESTING[chance.below(INTERESTING.len())];
            let end = (at + interesting.len()).min(bytes.len());
            bytes.splice(at..end, interesting.iter().copied());
        }
        5 => {
            let doubled = piece(bytes, chance);
            bytes.splice(at..at, doubled);
        }
        _ => {
            let others = piece(&seeds[chance.below(seeds.len())], chance);
            bytes.splice(at..at, others);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_changes() {
        let seeds = vec![vec![1, 2, 3, 4, 5], Vec::new(), vec![9; 100]];
        let run = |seed| {
            let mut chance = Chance::new(seed);
            (0..500).map(|_| mutated(&seeds, &mut chance)).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let mut different = run(1);
        different.sort();
        different.dedup();
        assert!(different.len() > 300, "{} of 500 are different", different.len());
    }
}

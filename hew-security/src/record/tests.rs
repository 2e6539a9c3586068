//! Records under attack, and at the edges of their counts.

use super::*;

const SUITES: [Suite; 2] = [Suite::ChaCha20Poly1305, Suite::Aes256Gcm];

fn pair(suite: Suite) -> (Sealer, Opener) {
    (Sealer::sealed(suite, &[3; 32]), Opener::sealed(suite, &[3; 32]))
}

/// Both directions as they are after so many records, with the keys that belong there.
fn pair_after(suite: Suite, records: u64) -> (Sealer, Opener) {
    let (mut sealer, mut opener) = pair(suite);
    for direction in [&mut sealer.direction, &mut opener.direction] {
        // The change at a multiple belongs to the record of that number, which is still to come.
        for _ in 0..records.saturating_sub(1) / REKEY_RECORDS {
            direction.key.as_mut().unwrap().rekey();
        }
        direction.records = records;
    }
    (sealer, opener)
}

/// The bodies of records that hold `texts`.
fn seal_all(sealer: &mut Sealer, texts: &[&[u8]]) -> Vec<Vec<u8>> {
    let seal = |text: &&[u8]| {
        let mut out = Vec::new();
        sealer.seal_record(&[text], &mut out).unwrap();
        assert_eq!(usize::from(u16::from_be_bytes([out[0], out[1]])), out.len() - 2);
        out.split_off(2)
    };
    texts.iter().map(seal).collect()
}

#[test]
fn records_open_in_order() {
    for (mut sealer, mut opener) in [pair(SUITES[0]), pair(SUITES[1]), (Sealer::plain(), Opener::plain())] {
        for text in [&b"one"[..], b"", &[7; RECORD_PLAINTEXT_BYTES_MAX]] {
            let mut wire = Vec::new();
            sealer.seal(text, &mut wire).unwrap();
            let length = wire.len();
            let (taken, opened) = opener.open_first(&mut wire).unwrap().unwrap();
            assert_eq!((taken, &*opened), (length, text));
        }
        assert_eq!((sealer.records(), opener.records()), (3, 3));
    }
}

#[test]
fn long_texts_become_several_records() {
    for length in [RECORD_PLAINTEXT_BYTES_MAX + 1, 3 * RECORD_PLAINTEXT_BYTES_MAX, 200_000] {
        let (mut sealer, mut opener) = pair(SUITES[0]);
        let text: Vec<u8> = (0..length).map(|i| i as u8).collect();
        let mut wire = vec![9];
        sealer.seal(&text, &mut wire).unwrap();
        let (mut at, mut opened) = (1, Vec::new());
        while let Some((taken, plaintext)) = opener.open_first(&mut wire[at..]).unwrap() {
            opened.extend_from_slice(plaintext);
            at += taken;
        }
        assert_eq!(at, wire.len());
        assert!(opened == text);
        assert_eq!(opener.records(), length.div_ceil(RECORD_PLAINTEXT_BYTES_MAX) as u64);
    }
}

#[test]
fn parts_and_in_place_give_the_same_bytes() {
    let mut wires = Vec::new();
    for way in 0..3 {
        let (mut sealer, _) = pair(SUITES[0]);
        let mut out = b"before".to_vec();
        match way {
            0 => sealer.seal(b"head and body", &mut out).unwrap(),
            1 => sealer.seal_record(&[b"head", b" and ", b"body"], &mut out).unwrap(),
            _ => {
                out.extend_from_slice(b"\0\0head and body");
                sealer.seal_in_place(&mut out, 6).unwrap();
            }
        }
        wires.push(out);
    }
    assert!(wires.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn records_are_sealed_and_opened_where_they_lie() {
    for suite in SUITES {
        let (mut sealer, mut opener) = pair(suite);
        let text = vec![7; 3 * RECORD_PLAINTEXT_BYTES_MAX];
        let mut wire = Vec::with_capacity(text.len() + 3 * (HEADER_BYTES + TAG_BYTES));
        let (place, room) = (wire.as_ptr(), wire.capacity());
        sealer.seal(&text, &mut wire).unwrap();
        assert_eq!((wire.as_ptr(), wire.capacity()), (place, room), "nothing was allocated for the records");
        let (_, opened) = opener.open_first(&mut wire).unwrap().unwrap();
        assert_eq!(opened.as_ptr(), place.wrapping_add(HEADER_BYTES));
    }
}

#[test]
fn a_record_that_is_too_long_changes_nothing() {
    let (mut sealer, mut opener) = pair(SUITES[0]);
    let long = vec![0; RECORD_PLAINTEXT_BYTES_MAX + 1];
    let mut out = vec![1, 2];
    let error = RecordError::TooLong { bytes: long.len() };
    assert_eq!(sealer.seal_record(&[&long[1..], &[0]], &mut out), Err(error));
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&long);
    assert_eq!(sealer.seal_in_place(&mut out, 2), Err(error));
    assert_eq!(out, [1, 2], "nothing unsealed stays");
    let mut record = seal_all(&mut sealer, &[b"x"]).remove(0);
    assert_eq!(opener.open(&mut record).unwrap(), b"x");
}

/// Opens `record`, which must fail, and then `valid`, which must fail because of that.
fn assert_ends_the_session(opener: &mut Opener, mut record: Vec<u8>, mut valid: Vec<u8>, what: &str) {
    let error = opener.open(&mut record).expect_err(what);
    assert!(matches!(error, RecordError::NotAuthentic | RecordError::Truncated { .. }), "{what}: {error:?}");
    assert_eq!(opener.open(&mut valid), Err(RecordError::SessionOver), "{what}");
    assert_eq!(opener.open_first(&mut [0, 0]), Err(RecordError::SessionOver), "{what}");
}

#[test]
fn s5_flipped_at_every_bit_and_cut_at_every_byte() {
    for suite in SUITES {
        let plaintext = [5; 64 - TAG_BYTES];
        for bit in 0..64 * 8 {
            let (mut sealer, mut opener) = pair(suite);
            let [first, second] = seal_all(&mut sealer, &[&plaintext, b"next"]).try_into().unwrap();
            let mut flipped = first.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ends_the_session(&mut opener, flipped, first, &format!("bit {bit}"));
            let _ = second;
        }
        for end in 0..64 {
            let (mut sealer, mut opener) = pair(suite);
            let [first] = seal_all(&mut sealer, &[&plaintext]).try_into().unwrap();
            assert_ends_the_session(&mut opener, first[..end].to_vec(), first, &format!("cut at {end}"));
        }
    }
}

#[test]
fn s5_doubled_swapped_and_dropped() {
    let texts: [&[u8]; 3] = [b"first", b"second", b"third"];
    let open = |opener: &mut Opener, record: &Vec<u8>, text: &[u8]| {
        assert_eq!(opener.open(&mut record.clone()).unwrap(), text);
    };
    for suite in SUITES {
        let (mut sealer, mut opener) = pair(suite);
        let [first, second, _] = seal_all(&mut sealer, &texts).try_into().unwrap();
        open(&mut opener, &first, b"first");
        assert_ends_the_session(&mut opener, first, second, "doubled");

        let (mut sealer, mut opener) = pair(suite);
        let [first, second, _] = seal_all(&mut sealer, &texts).try_into().unwrap();
        assert_ends_the_session(&mut opener, second, first, "swapped");

        let (mut sealer, mut opener) = pair(suite);
        let [first, second, third] = seal_all(&mut sealer, &texts).try_into().unwrap();
        open(&mut opener, &first, b"first");
        assert_ends_the_session(&mut opener, third, second, "dropped");
    }
}

#[test]
fn s7_keys_change_in_step_at_each_multiple() {
    for suite in SUITES {
        let mut ciphertexts = Vec::new();
        for change in 1..=10 {
            let (mut sealer, mut opener) = pair_after(suite, change * REKEY_RECORDS - 2);
            for record in 0..4 {
                let before = sealer.records();
                let mut wire = Vec::new();
                sealer.seal_record(&[b"same"], &mut wire).unwrap();
                ciphertexts.push(wire.clone());
                let (_, opened) = opener.open_first(&mut wire).unwrap().unwrap();
                assert_eq!(opened, b"same", "change {change}, record {record}, number {before}");
            }
        }
        let count = ciphertexts.len();
        ciphertexts.sort();
        ciphertexts.dedup();
        assert_eq!(ciphertexts.len(), count, "a key stream was used twice");
    }
}

#[test]
fn s7_a_side_that_does_not_change_its_key_is_noticed() {
    let (mut sealer, _) = pair_after(SUITES[0], REKEY_RECORDS);
    let [record] = seal_all(&mut sealer, &[b"x"]).try_into().unwrap();
    // An opener with the old key, which believes to be at the same record but one that needs no change.
    let mut opener = Opener::sealed(SUITES[0], &[3; 32]);
    let mut copy = record.clone();
    assert!(opener.direction.key.as_ref().unwrap().open(REKEY_RECORDS, &[], &mut copy).is_err());
    // With the changed key it opens under its own number.
    let mut key = opener.direction.key.take().unwrap();
    key.rekey();
    assert_eq!(key.open(REKEY_RECORDS, &[], &mut record.clone()).unwrap(), b"x");
}

#[test]
fn s7_the_hard_limit_ends_both_directions() {
    for suite in SUITES {
        let (mut sealer, mut opener) = pair(suite);
        sealer.direction.records = RECORDS_MAX - 1;
        opener.direction.records = RECORDS_MAX - 1;
        let mut wire = Vec::new();
        sealer.seal_record(&[b"last"], &mut wire).unwrap();
        assert_eq!(opener.open(&mut wire[2..]).unwrap(), b"last");

        let mut out = vec![1];
        assert_eq!(sealer.seal_record(&[b"one more"], &mut out), Err(RecordError::Exhausted));
        assert_eq!(out, [1]);
        assert_eq!(sealer.seal(b"again", &mut out), Err(RecordError::SessionOver));
        assert_eq!(opener.open(&mut [0; 32]), Err(RecordError::Exhausted));
        assert_eq!(opener.open(&mut [0; 32]), Err(RecordError::SessionOver));
        assert_eq!(sealer.records(), RECORDS_MAX);
    }
}

#[test]
fn an_incomplete_record_waits_for_the_rest() {
    let (mut sealer, mut opener) = pair(SUITES[0]);
    let mut wire = Vec::new();
    sealer.seal(b"text", &mut wire).unwrap();
    for end in 0..wire.len() {
        assert_eq!(opener.open_first(&mut wire[..end]), Ok(None), "{end}");
    }
    assert!(opener.open_first(&mut wire).unwrap().is_some());
}

#[test]
fn a_suite_does_not_open_the_records_of_the_other() {
    let (mut sealer, _) = pair(SUITES[0]);
    let (_, mut opener) = pair(SUITES[1]);
    let [record] = seal_all(&mut sealer, &[b"x"]).try_into().unwrap();
    assert_ends_the_session(&mut opener, record.clone(), record, "other suite");
}

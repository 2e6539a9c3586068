//! What an operator may put into files: keys and allowlists.

use hew_security::{
    Allowlist, AllowlistFile, AllowlistFileProblem, Denied, KEY_FILE_BYTES, KeyFileProblem, Overwrite,
    Reload, StaticKeypair,
};
use hew_wire::NodeId;
use std::io::Write;
use tempfile::NamedTempFile;

/// A file of its owner alone.
fn file_of(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file can be made");
    file.write_all(bytes).expect("and written");
    file
}

/// A key file that loads is saved the same; every other one has a wrong length or halves that do not match.
pub(crate) fn key_file(bytes: &[u8]) {
    let file = file_of(bytes);
    match StaticKeypair::load(file.path()) {
        Ok(pair) => {
            assert_eq!(pair.public().as_bytes()[..], bytes[..32]);
            pair.save(file.path(), Overwrite::Replace).expect("what was loaded can be saved");
            assert_eq!(std::fs::read(file.path()).expect("it is there"), bytes);
        }
        Err(error) => match error.problem {
            KeyFileProblem::Length { bytes: length } => {
                assert_ne!(bytes.len(), KEY_FILE_BYTES);
                assert!(length <= bytes.len() as u64);
            }
            KeyFileProblem::Mismatch => assert_eq!(bytes.len(), KEY_FILE_BYTES),
            problem => panic!("{problem}"),
        },
    }
}

/// Text that is an allowlist is written as one that is equal, and allows what it lists; other text is refused with one of
/// its lines, and a bounded part of it.
pub(crate) fn allowlist(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match Allowlist::parse(text) {
        Ok(entries) => {
            let written: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
            assert!(!written.lines().any(|line| line.contains(char::is_control)), "it can be shown");
            let again = Allowlist::parse(&written).expect("what was written can be read");
            assert_eq!(again.len(), entries.len());
            for (entry, again) in entries.iter().zip(&again) {
                assert_eq!((entry.key, entry.node), (again.key, again.node));
            }
            let list = Allowlist::strict(entries.clone());
            for entry in &entries {
                let checked = list.check(entry.node.unwrap_or(NodeId::from_raw(65_535)), &entry.key);
                // A key without a pin may find the id pinned to others, or itself to other ids.
                let is_pinned = matches!(checked, Err(Denied::NodePinnedElsewhere));
                assert!(checked.is_ok() || (entry.node.is_none() && is_pinned), "{entry}: {checked:?}");
            }
        }
        Err(error) => {
            assert!((1..=text.lines().count()).contains(&error.line));
            assert!(error.to_string().len() < 4000, "an error quotes a bounded part");
            assert!(!error.to_string().contains(char::is_control), "and escapes it");
        }
    }
}

/// A list that follows a file with these bytes has what the text says, or what it had before.
pub(crate) fn allowlist_file(bytes: &[u8]) {
    const BEFORE: &str = "7 0700000000000000000000000000000000000000000000000000000000000000 before\n";
    let path = file_of(BEFORE.as_bytes()).into_temp_path();
    let mut file = AllowlistFile::load(&*path).expect("a good list");
    let (before, generation) = (file.allowlist().entries(), file.allowlist().generation());
    file_of(bytes).persist(&path).expect("a file can be put into the place of another");
    let parsed = str::from_utf8(bytes).ok().and_then(|text| Allowlist::parse(text).ok());
    match (file.reload_if_changed(), parsed.filter(|_| !bytes.is_empty())) {
        (Ok(Reload::Replaced), Some(entries)) => {
            assert_eq!(file.allowlist().entries(), Allowlist::strict(entries).entries());
        }
        (Err(error), None) => {
            assert_eq!((file.allowlist().entries(), file.allowlist().generation()), (before, generation));
            if let AllowlistFileProblem::NotText { line } = error.problem {
                assert!((1..=1 + bytes.iter().filter(|&&byte| byte == b'\n').count()).contains(&line));
            }
        }
        (reload, parsed) => panic!("{reload:?}, and the text is {parsed:?}"),
    }
    assert!(matches!(file.reload_if_changed(), Ok(Reload::Unchanged)));
}

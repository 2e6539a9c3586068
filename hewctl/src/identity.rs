//! Who a node is and whom it talks to, from the files that the operator names.

use crate::failure::Failure;
use hew_node::{Allowlist, AllowlistFile, NodeBuilder, StaticKeypair};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Whom a node talks to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// The keys in this file, and no others.
    Strict(PathBuf),
    /// Any key; the first one of each node id keeps it.
    Open,
}

impl Access {
    /// What one place (the command line, the environment, a file) says of it.
    pub(crate) fn from_settings(allow: Option<PathBuf>, open: bool) -> Result<Option<Access>, Failure> {
        match (allow, open) {
            (Some(_), true) => {
                Err(Failure::usage("an allowlist and `open` exclude each other: say one of them"))
            }
            (Some(path), false) => Ok(Some(Access::Strict(path))),
            (None, true) => Ok(Some(Access::Open)),
            (None, false) => Ok(None),
        }
    }

    /// What the flags say, or else the environment. Not by the parser of the command line, for which `--open` and a
    /// variable with an allowlist would exclude each other.
    pub(crate) fn from_flags(allow: Option<PathBuf>, open: bool) -> Result<Option<Access>, Failure> {
        if let Some(access) = Access::from_settings(allow, open)? {
            return Ok(Some(access));
        }
        let is_set = |value: &OsString| !value.is_empty();
        let allow = std::env::var_os("HEW_ALLOW").filter(is_set).map(PathBuf::from);
        let open = std::env::var_os("HEW_OPEN").filter(is_set).is_some_and(|value| value != "0");
        Access::from_settings(allow, open).map_err(|failure| failure.of("HEW_ALLOW and HEW_OPEN"))
    }

    /// The list as it is now.
    pub(crate) fn allowlist(&self) -> Result<Allowlist, Failure> {
        match self {
            Access::Strict(path) => Ok(Allowlist::strict(Allowlist::load(path)?)),
            Access::Open => Ok(Allowlist::open()),
        }
    }

    /// Gives a node its key, and the list, which it follows if that is in a file.
    pub(crate) fn apply(&self, builder: NodeBuilder, keypair: StaticKeypair) -> Result<NodeBuilder, Failure> {
        Ok(match self {
            Access::Strict(path) => builder.identity_with_file(keypair, AllowlistFile::load(path)?),
            Access::Open => builder.identity(keypair, Allowlist::open()),
        })
    }
}

/// Reads a key file.
pub(crate) fn read_key(path: &Path) -> Result<StaticKeypair, Failure> {
    Ok(StaticKeypair::load(path)?)
}

/// A key for this process only.
pub(crate) fn ephemeral_key() -> Result<StaticKeypair, Failure> {
    StaticKeypair::generate().map_err(|error| Failure::failed(format_args!("no key could be made: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_says_one_thing_about_access() {
        let file = || Some(PathBuf::from("a"));
        assert_eq!(Access::from_settings(None, false), Ok(None));
        assert_eq!(Access::from_settings(None, true), Ok(Some(Access::Open)));
        assert_eq!(Access::from_settings(file(), false), Ok(Some(Access::Strict("a".into()))));
        assert!(Access::from_settings(file(), true).is_err());
    }

    #[test]
    fn a_bad_line_is_named_with_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("allow");
        std::fs::write(&path, "# mine\n1 zz\n").unwrap();
        let read = |path: PathBuf| Access::Strict(path).allowlist().unwrap_err().text;
        let text = read(path.clone());
        assert!(text.contains(&path.display().to_string()) && text.contains("line 2"), "{text}");
        let missing = read(directory.path().join("none"));
        assert!(missing.contains("none") && missing.contains("No such file"), "{missing}");
    }
}

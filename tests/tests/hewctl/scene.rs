//! A directory with keys and an allowlist, and nodes that use them.

use crate::process::{Ended, Running, command, run};
use std::path::Path;
use tempfile::TempDir;

/// Keys `1.key`, `2.key`, `operator.key` and `stranger.key`; a list that ties the first two to the nodes of their
/// number and lets the operator in as anybody.
pub(crate) struct Scene {
    directory: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Scene {
        let directory = tempfile::tempdir().unwrap();
        let key = |name: &str| {
            let ended = run(directory.path(), &["keygen", name]);
            assert_eq!(ended.code, Some(0), "{ended:?}");
            ended.stdout
        };
        let list =
            format!("1 {} first\n2 {} second\n* {}\n", key("1.key"), key("2.key"), key("operator.key"));
        std::fs::write(directory.path().join("allow"), list).unwrap();
        key("stranger.key");
        Scene { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Starts a node of the strict cluster and waits until it is ready. Says its address too.
    pub(crate) fn node(&self, id: u16, more: &[&str]) -> (Running, String) {
        let (id, key) = (id.to_string(), format!("{id}.key"));
        let mut arguments = vec!["node", "--json", "--id", &id, "--key", &key, "--allow", "allow"];
        arguments.extend(["--preset", "fast", "--workers", "1"]);
        arguments.extend(more);
        self.ready(&arguments)
    }

    /// Starts a node with these arguments and waits until it is ready.
    pub(crate) fn ready(&self, arguments: &[&str]) -> (Running, String) {
        let mut node = Running::start(command(self.path(), arguments));
        let ready = node.event("ready");
        (node, ready["address"].as_str().unwrap().to_owned())
    }

    /// Runs a command as the operator, who has a key and knows the nodes.
    pub(crate) fn operator(&self, address: &str, arguments: &[&str]) -> Ended {
        let mut all = arguments.to_vec();
        all.extend(["--connect", address, "--key", "operator.key", "--allow", "allow"]);
        run(self.path(), &all)
    }

    /// Runs a command that is to fail with this code and with these words on stderr.
    pub(crate) fn refused(&self, code: i32, words: &[&str], arguments: &[&str]) -> Ended {
        let ended = run(self.path(), arguments);
        check_failure(&ended, code, words);
        ended
    }

    /// The fingerprint of a key of this scene.
    pub(crate) fn fingerprint(&self, name: &str) -> String {
        let pair = hew_security::StaticKeypair::load(self.path().join(name)).unwrap();
        pair.public().to_string()
    }
}

pub(crate) fn check_failure(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{word:?} is not in {ended:#?}");
    }
}

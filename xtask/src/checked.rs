//! Builds of `hew-actor` in which a checker takes the place of the threads, or watches the memory.

use crate::test::{Count, stream};
use crate::{Failure, workspace};
use cargo_metadata::Metadata;
use std::process::Command;

/// One such build, and what is run in it.
pub(crate) struct Checked {
    name: &'static str,
    /// `RUSTFLAGS`, which change every crate: so each build has a folder of its own below `target`.
    flags: &'static str,
    /// After `cargo test -p hew-actor`.
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    /// Runs on the target that is built on, named: the flags are not for build scripts and macros.
    names_target: bool,
}

/// All of them, in their order.
pub(crate) const BUILDS: [Checked; 3] = [
    Checked {
        name: "loom",
        flags: "--cfg loom",
        arguments: &["--lib", "--release", "models"],
        environment: &[],
        names_target: false,
    },
    Checked {
        name: "shuttle",
        flags: "--cfg shuttle",
        arguments: &["--lib", "--release", "scenarios"],
        environment: &[],
        names_target: false,
    },
    Checked {
        name: "asan",
        flags: "-Zsanitizer=address",
        arguments: &["--test", "stress"],
        // The sanitizers are in every compiler, but only unstable flags turn them on.
        environment: &[("RUSTC_BOOTSTRAP", "1"), ("HEW_STRESS", "1000000")],
        names_target: true,
    },
];

impl Checked {
    /// Builds, runs and counts; a build that fails is one failure.
    pub(crate) fn run(&self, metadata: &Metadata) -> Result<Count, Failure> {
        println!("\n{}: {}", self.name, self.flags);
        let (count, succeeded) = stream(self.command(metadata), &mut std::io::stdout())?;
        Ok(count.after_exit(succeeded))
    }

    fn command(&self, metadata: &Metadata) -> Command {
        let mut cargo = workspace::cargo(metadata);
        cargo.args(["test", "-p", "hew-actor"]).args(self.arguments);
        if self.names_target {
            cargo.arg("--target").arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH));
        }
        cargo.arg("--target-dir").arg(metadata.target_directory.join(self.name));
        cargo.env("RUSTFLAGS", self.flags).envs(self.environment.iter().copied());
        cargo
    }
}

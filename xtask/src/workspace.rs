//! What Cargo knows about this workspace.

use crate::Failure;
use cargo_metadata::{Metadata, MetadataCommand};
use std::path::PathBuf;
use std::process::Command;

/// Asks Cargo about the members of the workspace, not about what they download, so that this works offline.
pub(crate) fn load() -> Result<Metadata, Failure> {
    MetadataCommand::new()
        .no_deps()
        .exec()
        .map_err(|cause| Failure::broken("cargo metadata does not describe the workspace", cause))
}

/// The Cargo that started us, at the root of the workspace.
pub(crate) fn cargo(metadata: &Metadata) -> Command {
    let program = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let mut command = Command::new(program);
    command.current_dir(&metadata.workspace_root);
    command
}

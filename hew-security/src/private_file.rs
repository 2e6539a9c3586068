//! Files that their owner alone may read: written whole or not at all, through a loss of power too.

use crate::Overwrite;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why a private file was not written. The file is as it was, unless its directory could not be written to disk.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileProblem {
    /// The path names no file in a directory.
    #[error("the path has no file name")]
    NoFileName,
    /// It exists, and was not to be replaced.
    #[error("exists already")]
    Exists,
    /// The operating system refused.
    #[error("cannot {action}: {error}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Its answer.
        error: io::Error,
    },
}

/// Writes `bytes` to a temporary file of mode 0600 beside `path`, to disk, and gives it that name, to disk. A crash on the
/// way may leave the temporary file, `.NAME.….tmp`, which disturbs nobody. Waits for the disk.
///
/// # Errors
/// [`PrivateFileProblem`].
pub fn write_private_file(path: &Path, bytes: &[u8], overwrite: Overwrite) -> Result<(), PrivateFileProblem> {
    let name = path.file_name().ok_or(PrivateFileProblem::NoFileName)?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let temporary = Temporary::write(directory, name, bytes)?;
    match overwrite {
        Overwrite::Replace => {
            rustix::fs::renameat(CWD, &temporary.path, CWD, path)
                .map_err(|error| io_problem("rename the new file to it")(error.into()))?;
        }
        // A link fails when the name is taken, where a rename would replace it.
        Overwrite::Refuse => {
            rustix::fs::linkat(CWD, &temporary.path, CWD, path, AtFlags::empty()).map_err(
                |error| match error {
                    rustix::io::Errno::EXIST => PrivateFileProblem::Exists,
                    error => io_problem("link the new file to it")(error.into()),
                },
            )?;
        }
    }
    drop(temporary);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(directory, flags, Mode::empty())
        .and_then(rustix::fs::fsync)
        .map_err(|error| io_problem("write its directory to disk")(error.into()))
}

/// A file of this process alone; its name is removed on drop, if it still has it.
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    fn write(directory: &Path, name: &OsStr, bytes: &[u8]) -> Result<Temporary, PrivateFileProblem> {
        let unique = getrandom::u64().map_err(|error| io_problem("make a temporary name")(error.into()))?;
        let mut file_name = OsString::from(".");
        file_name.push(name);
        file_name.push(format!(".{unique:016x}.tmp"));
        let path = directory.join(file_name);

        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::open(&path, flags, mode)
            .map_err(|error| io_problem("create a temporary file beside it")(error.into()))?;
        let temporary = Temporary { path };
        // The umask can only have taken bits away; give them back.
        rustix::fs::fchmod(&file, mode).map_err(|error| io_problem("set its mode")(error.into()))?;
        let mut file = File::from(file);
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io_problem("write it"))?;
        Ok(temporary)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename the name is gone already; otherwise there is nobody left to tell.
        let _ = rustix::fs::unlinkat(CWD, &self.path, AtFlags::empty());
    }
}

fn io_problem(action: &'static str) -> impl Fn(io::Error) -> PrivateFileProblem {
    move |error| PrivateFileProblem::Io { action, error }
}

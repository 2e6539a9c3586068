//! Key files: 64 bytes, the public then the secret half, readable by their owner only.
//!
//! A key file is judged by its open descriptor, never by its path, so that nothing can be exchanged between the check
//! and the read. It is written to a temporary file in the same directory first: a crash leaves the old file, or none,
//! but never half of one.

use crate::private_file::{PrivateFileProblem, write_private_file};
use crate::{PublicKey, StaticKeypair};
use rustix::fs::{FileType, Mode, OFlags};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Length of a key file.
pub const KEY_FILE_BYTES: usize = 64;

/// What to do when the key file exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// Refuse, and leave it as it is.
    Refuse,
    /// Replace it. The key in it is lost.
    Replace,
}

/// A key file could not be read or written. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error("key file {}: {problem}", path.display())]
pub struct KeyFileError {
    /// The file.
    pub path: PathBuf,
    /// The cause.
    pub problem: KeyFileProblem,
}

/// The cause of a [`KeyFileError`].
#[derive(Debug, thiserror::Error)]
pub enum KeyFileProblem {
    /// The path ends in a symbolic link, which is never followed.
    #[error("is a symbolic link, and links are not followed")]
    Link,
    /// It is a directory, a FIFO, a device or a socket.
    #[error("is not a regular file")]
    NotRegular,
    /// It belongs to another user, who could read or exchange it.
    #[error("belongs to user {owner}, not to user {expected} who runs this")]
    Owner {
        /// User id of its owner.
        owner: u32,
        /// User id of this process.
        expected: u32,
    },
    /// Group or others have permissions on it.
    #[error("is open to others: mode {mode:04o}, expected 0600 (chmod 600)")]
    Mode {
        /// Its permission bits.
        mode: u32,
    },
    /// It is shorter or longer than [`KEY_FILE_BYTES`].
    #[error("has {bytes} bytes, expected {KEY_FILE_BYTES}")]
    Length {
        /// Its length.
        bytes: u64,
    },
    /// The public half does not belong to the secret half.
    #[error("the public key in it does not belong to the private key")]
    Mismatch,
    /// There is a file already, and [`Overwrite::Refuse`] was asked for.
    #[error("exists already, and replacing it would destroy the key in it")]
    Exists,
    /// The path names no file in a directory.
    #[error("the path has no file name")]
    NoFileName,
    /// The operating system refused.
    #[error("cannot {action}: {error}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Its answer.
        error: io::Error,
    },
}

impl StaticKeypair {
    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyFileError`] names the path and the cause: a link, not a regular file, another owner, permissions for
    /// group or others, a wrong length, halves that do not belong together, or what the system says.
    pub fn load(path: impl AsRef<Path>) -> Result<StaticKeypair, KeyFileError> {
        let path = path.as_ref();
        load(path).map_err(|problem| KeyFileError { path: path.into(), problem })
    }

    /// Writes a key file of mode 0600.
    ///
    /// # Errors
    /// [`KeyFileError`] names the path and the cause; an existing file is unchanged then.
    pub fn save(&self, path: impl AsRef<Path>, overwrite: Overwrite) -> Result<(), KeyFileError> {
        let path = path.as_ref();
        write_private_file(path, &self.to_file_bytes()[..], overwrite)
            .map_err(KeyFileProblem::from)
            .map_err(|problem| KeyFileError { path: path.into(), problem })
    }
}

fn load(path: &Path) -> Result<StaticKeypair, KeyFileProblem> {
    // NONBLOCK: opening a FIFO must not wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
        rustix::io::Errno::LOOP => KeyFileProblem::Link,
        // A socket cannot be opened at all.
        rustix::io::Errno::NXIO => KeyFileProblem::NotRegular,
        error => io_problem("open it")(error.into()),
    })?;
    let stat = rustix::fs::fstat(&file).map_err(|error| io_problem("inspect it")(error.into()))?;
    judge(&stat, rustix::process::geteuid().as_raw())?;

    // One byte more than is legal, so that a file that grew is noticed.
    let mut bytes = Zeroizing::new([0; KEY_FILE_BYTES + 1]);
    let mut length = 0;
    let mut file = File::from(file);
    while length < bytes.len() {
        match file.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io_problem("read it")(error)),
        }
    }
    if length != KEY_FILE_BYTES {
        return Err(KeyFileProblem::Length { bytes: length as u64 });
    }
    let mut secret = Box::new([0; 32]);
    secret.copy_from_slice(&bytes[32..KEY_FILE_BYTES]);
    let pair = StaticKeypair::from_boxed(secret);
    if !pair.public().matches(&bytes[..32]) || pair.public() == PublicKey::ZERO {
        return Err(KeyFileProblem::Mismatch);
    }
    Ok(pair)
}

/// The rule for an open key file, apart from its content.
fn judge(stat: &rustix::fs::Stat, user: u32) -> Result<(), KeyFileProblem> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(KeyFileProblem::NotRegular);
    }
    if stat.st_uid != user {
        return Err(KeyFileProblem::Owner { owner: stat.st_uid, expected: user });
    }
    let mode = stat.st_mode & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileProblem::Mode { mode });
    }
    if stat.st_size != KEY_FILE_BYTES as i64 {
        return Err(KeyFileProblem::Length { bytes: stat.st_size.try_into().unwrap_or_default() });
    }
    Ok(())
}

impl From<PrivateFileProblem> for KeyFileProblem {
    fn from(problem: PrivateFileProblem) -> KeyFileProblem {
        match problem {
            PrivateFileProblem::NoFileName => KeyFileProblem::NoFileName,
            PrivateFileProblem::Exists => KeyFileProblem::Exists,
            PrivateFileProblem::Io { action, error } => KeyFileProblem::Io { action, error },
        }
    }
}

fn io_problem(action: &'static str) -> impl Fn(io::Error) -> KeyFileProblem {
    move |error| KeyFileProblem::Io { action, error }
}

//! An allowlist in a file, and the list that follows it while nodes use it.
//!
//! The file is no secret, but whoever writes it decides who gets in. It is judged by its open descriptor, as a key file
//! is; other than there, links are followed, because the places that mount configuration are made of them. What a link
//! leads to must satisfy the same rules. The directory is not looked at: who may write in it can put another file of the
//! same owner in this one's place.

use crate::{Allowlist, AllowlistError, Entry};
use rustix::fs::{FileType, Mode, OFlags, Stat};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Longest allowlist file: room for [`ALLOWLIST_ENTRIES_MAX`](crate::ALLOWLIST_ENTRIES_MAX) lines with comments.
pub const ALLOWLIST_FILE_BYTES_MAX: usize = 32 << 20;

/// An allowlist file could not be read. The list that follows it was not changed.
#[derive(Debug, thiserror::Error)]
#[error("allowlist file {}: {problem}", path.display())]
pub struct AllowlistFileError {
    /// The file.
    pub path: PathBuf,
    /// The cause.
    pub problem: AllowlistFileProblem,
}

/// The cause of an [`AllowlistFileError`].
#[derive(Debug, thiserror::Error)]
pub enum AllowlistFileProblem {
    /// It is a directory, a FIFO, a device or a socket.
    #[error("is not a regular file")]
    NotRegular,
    /// It belongs to a user who is neither root nor the one who runs this.
    #[error("belongs to user {owner}, not to user {expected} who runs this, nor to root")]
    Owner {
        /// User id of its owner.
        owner: u32,
        /// User id of this process.
        expected: u32,
    },
    /// Group or others may write it.
    #[error("can be written by others: mode {mode:04o} (chmod go-w)")]
    Writable {
        /// Its permission bits.
        mode: u32,
    },
    /// It is longer than [`ALLOWLIST_FILE_BYTES_MAX`].
    #[error("has more than {ALLOWLIST_FILE_BYTES_MAX} bytes")]
    TooLong,
    /// It has no bytes at all, as a file that is about to be written. One of comments only allows nobody.
    #[error("is empty; to allow nobody, write a comment into it")]
    Empty,
    /// It was written to while it was read.
    #[error("changed while it was read; write another file and rename it")]
    Changing,
    /// It holds bytes that are not UTF-8.
    #[error("line {line}: is not text in UTF-8")]
    NotText {
        /// Number of the line, from 1.
        line: usize,
    },
    /// A line is wrong.
    #[error("line {}: {}", .0.line, .0.reason)]
    Line(AllowlistError),
    /// The operating system refused.
    #[error("cannot {action}: {error}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Its answer.
        error: io::Error,
    },
}

/// What became of a look at an allowlist file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// Nothing is new: neither the file, nor what is wrong with it.
    Unchanged,
    /// The list has the entries of the file now.
    Replaced,
}

/// A strict allowlist that follows a file: what the file says replaces the entries, in one step and for all handles of the
/// list, or not at all.
///
/// ```no_run
/// use hew_security::{AllowlistFile, NoiseXx, StaticKeypair};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut file = AllowlistFile::load("peers")?;
/// let authenticator = NoiseXx::new(StaticKeypair::load("node.key")?, file.allowlist().clone());
/// // Now and then, by whoever has a clock:
/// file.reload_if_changed()?;
/// # let _ = authenticator;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AllowlistFile {
    path: PathBuf,
    list: Allowlist,
    /// What the file was when it was last looked at; `None` when that could not be found out.
    seen: Option<Stamp>,
    /// What was wrong with it then.
    complaint: Option<String>,
}

/// By what a change of a file is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: i64,
    modified: (i64, i64),
    /// Of the content or of who may do what with it. Unlike `modified` it cannot be set.
    changed: (i64, i64),
}

impl Allowlist {
    /// Reads the text form from a file.
    ///
    /// # Errors
    /// [`AllowlistFileError`] names the path, and the line where there is one: not a regular file, an owner who is neither
    /// this user nor root, write permission for group or others, more than [`ALLOWLIST_FILE_BYTES_MAX`] bytes, none at all,
    /// not UTF-8, a wrong line, or what the system says.
    pub fn load(path: impl AsRef<Path>) -> Result<Vec<Entry>, AllowlistFileError> {
        let path = path.as_ref();
        let entries = open(path).and_then(|(file, stat)| read(file, &stat));
        entries.map_err(|problem| AllowlistFileError { path: path.into(), problem })
    }
}

impl AllowlistFile {
    /// Reads `path` into a new strict list.
    ///
    /// # Errors
    /// As [`Allowlist::load`].
    pub fn load(path: impl Into<PathBuf>) -> Result<AllowlistFile, AllowlistFileError> {
        AllowlistFile::load_into(path, Allowlist::strict([]))
    }

    /// Reads `path` into a list that is there, in place of its entries: for a node that starts again with the list that it had,
    /// and with what was revoked in it.
    ///
    /// # Errors
    /// As [`Allowlist::load`]; the list is as it was then.
    pub fn load_into(path: impl Into<PathBuf>, list: Allowlist) -> Result<AllowlistFile, AllowlistFileError> {
        let mut file = AllowlistFile { path: path.into(), list, seen: None, complaint: None };
        file.reload().map(|()| file)
    }

    /// Reads the file again, whether it has changed or not.
    ///
    /// # Errors
    /// As [`Allowlist::load`]; the list is as it was then.
    pub fn reload(&mut self) -> Result<(), AllowlistFileError> {
        self.seen = None;
        self.complaint = None;
        self.reload_if_changed().map(|_| ())
    }

    /// Reads the file again if it has changed since the last look, which costs three system calls if it has not.
    ///
    /// A change is noticed by device, inode, length, and the times of modification and of change. What they miss: a second
    /// change in place, of the same length, within the same tick of the clock of the file system (some milliseconds; two
    /// seconds on some). A file that was renamed into this place has another inode and is never missed.
    ///
    /// # Errors
    /// As [`Allowlist::load`]; the list is as it was then. The same error is not given again until the file or the error
    /// changes.
    pub fn reload_if_changed(&mut self) -> Result<Reload, AllowlistFileError> {
        match self.look() {
            Ok(reload) => Ok(reload),
            Err(problem) => {
                let complaint = problem.to_string();
                if self.complaint.as_ref() == Some(&complaint) {
                    return Ok(Reload::Unchanged);
                }
                self.complaint = Some(complaint);
                Err(AllowlistFileError { path: self.path.clone(), problem })
            }
        }
    }

    /// The list that follows the file.
    pub fn allowlist(&self) -> &Allowlist {
        &self.list
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn look(&mut self) -> Result<Reload, AllowlistFileProblem> {
        let opened = open(&self.path);
        let stamp = opened.as_ref().ok().map(|(_, stat)| Stamp::of(stat));
        if stamp.is_some() && stamp == self.seen {
            return Ok(Reload::Unchanged);
        }
        if self.seen.is_some() {
            // Another file than the one complained about.
            self.complaint = None;
        }
        self.seen = stamp;
        let (file, stat) = opened?;
        let entries = read(file, &stat).inspect_err(|problem| {
            if matches!(problem, AllowlistFileProblem::Changing | AllowlistFileProblem::Io { .. }) {
                // The next look begins anew.
                self.seen = None;
            }
        })?;
        self.list.replace(entries);
        self.complaint = None;
        Ok(Reload::Replaced)
    }
}

impl Stamp {
    fn of(stat: &Stat) -> Stamp {
        // The types of these fields differ between platforms; the values fit.
        #[allow(clippy::unnecessary_cast, clippy::useless_conversion, reason = "not on every platform")]
        Stamp {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            bytes: stat.st_size as i64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }
}

fn open(path: &Path) -> Result<(File, Stat), AllowlistFileProblem> {
    // NONBLOCK: opening a FIFO must not wait for a writer.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
        // A socket cannot be opened at all.
        rustix::io::Errno::NXIO => AllowlistFileProblem::NotRegular,
        error => io_problem("open it")(error.into()),
    })?;
    let stat = rustix::fs::fstat(&file).map_err(|error| io_problem("inspect it")(error.into()))?;
    Ok((File::from(file), stat))
}

fn read(mut file: File, stat: &Stat) -> Result<Vec<Entry>, AllowlistFileProblem> {
    judge(stat, rustix::process::geteuid().as_raw())?;
    let mut bytes = Vec::new();
    // One byte more than is legal, so that a file that grew is noticed.
    let mut limited = Read::by_ref(&mut file).take(ALLOWLIST_FILE_BYTES_MAX as u64 + 1);
    limited.read_to_end(&mut bytes).map_err(io_problem("read it"))?;
    let after = rustix::fs::fstat(&file).map_err(|error| io_problem("inspect it")(error.into()))?;
    if Stamp::of(&after) != Stamp::of(stat) || bytes.len() as i64 != after.st_size {
        return Err(AllowlistFileProblem::Changing);
    }
    let text = str::from_utf8(&bytes).map_err(|error| AllowlistFileProblem::NotText {
        line: 1 + bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count(),
    })?;
    Allowlist::parse(text).map_err(AllowlistFileProblem::Line)
}

/// The rule for an open allowlist file, apart from its content.
fn judge(stat: &Stat, user: u32) -> Result<(), AllowlistFileProblem> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(AllowlistFileProblem::NotRegular);
    }
    if stat.st_uid != user && stat.st_uid != 0 {
        return Err(AllowlistFileProblem::Owner { owner: stat.st_uid, expected: user });
    }
    let mode = stat.st_mode & 0o7777;
    if mode & 0o022 != 0 {
        return Err(AllowlistFileProblem::Writable { mode });
    }
    match stat.st_size {
        0 => Err(AllowlistFileProblem::Empty),
        bytes if bytes > ALLOWLIST_FILE_BYTES_MAX as i64 => Err(AllowlistFileProblem::TooLong),
        _ => Ok(()),
    }
}

fn io_problem(action: &'static str) -> impl Fn(io::Error) -> AllowlistFileProblem {
    move |error| AllowlistFileProblem::Io { action, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s11_the_owner_is_this_user_or_root() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peers");
        #[allow(clippy::disallowed_methods)] // The test writes the file, not the crate.
        std::fs::write(&path, "# nobody\n").unwrap();
        let (_, mut stat) = open(&path).unwrap();
        let mut check = |owner, user, allowed: bool| {
            stat.st_uid = owner;
            assert_eq!(judge(&stat, user).is_ok(), allowed, "of {owner}, read by {user}");
        };
        check(7, 7, true);
        check(0, 7, true);
        check(0, 0, true);
        check(8, 7, false);
        check(7, 0, false);
    }

    #[test]
    fn s11_a_file_that_changes_while_it_is_read_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peers");
        #[allow(clippy::disallowed_methods)]
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write("# nobody\n");
        let (file, stat) = open(&path).unwrap();
        assert_eq!(read(file, &stat).unwrap(), []);
        let (file, stat) = open(&path).unwrap();
        write("# nobody, and not yet all of it\n");
        assert!(matches!(read(file, &stat), Err(AllowlistFileProblem::Changing)));
    }
}

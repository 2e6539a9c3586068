//! The file in which a node keeps its greatest incarnation, so that a clock that goes back does not take it with it.
//!
//! As with a key file, it is judged by its open descriptor, never by its path, and a crash leaves the old file or the new
//! one. It is no lock: two nodes that live at the same time with one file are not noticed here.

use hew_security::{Overwrite, PrivateFileProblem, write_private_file};
use hew_wire::Incarnation;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What a state file begins with; a decimal number and a newline follow.
const BEGINNING: &str = "hew incarnation ";
/// Longer than any state file.
const FILE_BYTES_MAX: usize = 64;

/// A state file could not be used. It is as it was, unless its directory could not be written to disk: then it holds
/// the new incarnation, which no start has.
#[derive(Debug, thiserror::Error)]
#[error("state file {}: {problem}", path.display())]
pub struct StateFileError {
    /// The file.
    pub path: PathBuf,
    /// The cause.
    pub problem: StateFileProblem,
}

/// The cause of a [`StateFileError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateFileProblem {
    /// The path ends in a symbolic link, which is never followed.
    #[error("is a symbolic link, and links are not followed")]
    Link,
    /// It is a directory, a FIFO, a device or a socket.
    #[error("is not a regular file")]
    NotRegular,
    /// It belongs to another user, who could change it.
    #[error("belongs to user {owner}, not to user {expected} who runs this")]
    Owner {
        /// User id of its owner.
        owner: u32,
        /// User id of this process.
        expected: u32,
    },
    /// Group or others may write to it.
    #[error("may be written by others: mode {mode:04o}, expected 0600 (chmod 600)")]
    Mode {
        /// Its permission bits.
        mode: u32,
    },
    /// It holds something else than an incarnation.
    #[error("does not hold an incarnation; a node without a state file begins with the clock")]
    Garbage,
    /// The incarnation that was set is not greater than the one in the file.
    #[error("holds incarnation {stored}, and {given}, which was set for this start, is not greater")]
    NotGreater {
        /// What the file holds.
        stored: Incarnation,
        /// What was set.
        given: Incarnation,
    },
    /// There is no greater incarnation.
    #[error("holds incarnation {stored}, after which there is none")]
    Exhausted {
        /// What the file holds.
        stored: Incarnation,
    },
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

/// The incarnation of a start: the one that was set, or else that of the clock, or one more than the file holds. When this
/// returns, the file holds it, through a loss of power too. Waits for the disk.
pub(crate) fn next_incarnation(
    path: &Path,
    set: Option<Incarnation>,
    clock_ms: u64,
) -> Result<Incarnation, StateFileError> {
    let next = || {
        let stored = read(path)?;
        let next = choose(stored, set, clock_ms)?;
        write_private_file(path, text(next).as_bytes(), Overwrite::Replace)?;
        Ok(next)
    };
    next().map_err(|problem| StateFileError { path: path.into(), problem })
}

fn choose(
    stored: Option<Incarnation>,
    set: Option<Incarnation>,
    clock_ms: u64,
) -> Result<Incarnation, StateFileProblem> {
    let clock_ms = clock_ms.min(Incarnation::MAX.0);
    match (stored, set) {
        (None, Some(given)) => Ok(given),
        (None, None) => Ok(Incarnation(clock_ms)),
        (Some(stored), Some(given)) if given > stored => Ok(given),
        (Some(stored), Some(given)) => Err(StateFileProblem::NotGreater { stored, given }),
        (Some(stored), None) if stored < Incarnation::MAX => Ok(Incarnation(clock_ms.max(stored.0 + 1))),
        (Some(stored), None) => Err(StateFileProblem::Exhausted { stored }),
    }
}

/// What the file holds; `None` if there is none.
fn read(path: &Path) -> Result<Option<Incarnation>, StateFileProblem> {
    // NONBLOCK: opening a FIFO must not wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Err(StateFileProblem::Link),
        // A socket cannot be opened at all.
        Err(Errno::NXIO) => return Err(StateFileProblem::NotRegular),
        Err(error) => return Err(io_problem("open it")(error.into())),
    };
    let stat = rustix::fs::fstat(&file).map_err(|error| io_problem("inspect it")(error.into()))?;
    judge(&stat, rustix::process::geteuid().as_raw())?;
    let mut bytes = Vec::new();
    let mut file = File::from(file).take(FILE_BYTES_MAX as u64);
    file.read_to_end(&mut bytes).map_err(io_problem("read it"))?;
    parse(&bytes).map(Some).ok_or(StateFileProblem::Garbage)
}

/// The rule for an open state file, apart from its content.
fn judge(stat: &rustix::fs::Stat, user: u32) -> Result<(), StateFileProblem> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(StateFileProblem::NotRegular);
    }
    if stat.st_uid != user {
        return Err(StateFileProblem::Owner { owner: stat.st_uid, expected: user });
    }
    let mode = stat.st_mode & 0o7777;
    if mode & 0o022 != 0 {
        return Err(StateFileProblem::Mode { mode });
    }
    Ok(())
}

fn parse(bytes: &[u8]) -> Option<Incarnation> {
    let digits = std::str::from_utf8(bytes).ok()?.strip_prefix(BEGINNING)?.strip_suffix('\n')?;
    let incarnation = Incarnation(digits.parse().ok()?);
    // One text for each number: no sign, no zeros in front.
    (incarnation <= Incarnation::MAX && text(incarnation).as_bytes() == bytes).then_some(incarnation)
}

fn text(incarnation: Incarnation) -> String {
    format!("{BEGINNING}{incarnation}\n")
}

impl From<PrivateFileProblem> for StateFileProblem {
    fn from(problem: PrivateFileProblem) -> StateFileProblem {
        match problem {
            PrivateFileProblem::NoFileName => StateFileProblem::NoFileName,
            // Never said of a file that is to be replaced.
            PrivateFileProblem::Exists => io_problem("replace it")(io::ErrorKind::AlreadyExists.into()),
            PrivateFileProblem::Io { action, error } => StateFileProblem::Io { action, error },
        }
    }
}

fn io_problem(action: &'static str) -> impl Fn(io::Error) -> StateFileProblem {
    move |error| StateFileProblem::Io { action, error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("own.incarnation");
        (directory, path)
    }

    fn next(path: &Path, clock_ms: u64) -> u64 {
        next_incarnation(path, None, clock_ms).unwrap().0
    }

    fn refused(path: &Path, words: &str) {
        let error = next_incarnation(path, None, 7).unwrap_err();
        let told = error.to_string();
        assert!(told.contains(&path.display().to_string()) && told.contains(words), "{told}");
    }

    #[test]
    fn an_incarnation_never_goes_back() {
        let (directory, path) = place();
        // A start that crashed left this.
        fs::write(directory.path().join(".own.incarnation.0123456789abcdef.tmp"), "hew inc").unwrap();
        let starts =
            [1_000_000, 1_000_500, 900_000, 900_001, 0, 1_000_504, 1_000_503].map(|ms| next(&path, ms));
        assert_eq!(starts, [1_000_000, 1_000_500, 1_000_501, 1_000_502, 1_000_503, 1_000_504, 1_000_505]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "hew incarnation 1000505\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing else is left behind");
    }

    #[test]
    fn an_incarnation_that_was_set_must_be_greater() {
        let (_directory, path) = place();
        let set = |given| next_incarnation(&path, Some(Incarnation(given)), 1_000_000);
        assert_eq!(set(500).unwrap(), Incarnation(500), "there was no file");
        for given in [500, 499, 0] {
            let error = set(given).unwrap_err();
            let expected = (Incarnation(500), Incarnation(given));
            assert!(
                matches!(error.problem, StateFileProblem::NotGreater { stored, given } if (stored, given) == expected),
                "{error}"
            );
        }
        assert_eq!(set(501).unwrap(), Incarnation(501));
        assert_eq!(next(&path, 3), 502);
    }

    #[test]
    fn what_is_no_state_file_is_refused_by_name_and_left_alone() {
        let (directory, path) = place();
        let max = Incarnation::MAX.0;
        for garbage in [
            "",
            "\n",
            "7\n",
            "hew incarnation \n",
            "hew incarnation 7",
            "hew incarnation 07\n",
            "hew incarnation +7\n",
            "hew incarnation -7\n",
            "hew incarnation 7\n\n",
            "hew incarnation 7 \n",
            "hew incarnation 99999999999999999999\n",
            &format!("hew incarnation {}\n", max + 1),
            &"hew incarnation 7\n".repeat(1000),
        ] {
            fs::write(&path, garbage).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            refused(&path, "does not hold an incarnation");
            assert_eq!(fs::read_to_string(&path).unwrap(), garbage);
        }
        fs::write(&path, format!("hew incarnation {max}\n")).unwrap();
        refused(&path, "after which there is none");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
        refused(&path, "mode 0620");

        let link = directory.path().join("link");
        symlink(&path, &link).unwrap();
        refused(&link, "symbolic link");
        let fifo = directory.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        refused(&fifo, "not a regular file");
        refused(directory.path(), "not a regular file");
        refused(&directory.path().join("none/state"), "No such file");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3, "nothing else is left behind");
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let (_directory, path) = place();
        next(&path, 1);
        let stat = rustix::fs::stat(&path).unwrap();
        assert!(judge(&stat, stat.st_uid).is_ok());
        let problem = judge(&stat, stat.st_uid + 1).unwrap_err();
        assert!(matches!(problem, StateFileProblem::Owner { .. }), "{problem}");
    }
}

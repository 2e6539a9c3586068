//! Compiling and running C programs against the libraries that the build made.

#![allow(dead_code, unreachable_pub, reason = "each test file is a crate of its own and uses a part of this")]
#![allow(clippy::unwrap_used, reason = "a step that fails ends the test")]

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How long a program may take until its next line or its end.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Which library a program is linked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    Static,
    Shared,
}

pub const BOTH: [Library; 2] = [Library::Static, Library::Shared];

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Where `libhew.a` and `libhew.so` are: `HEW_BIN_DIR`, or beside this test.
pub fn libraries() -> PathBuf {
    let beside = || {
        let test = std::env::current_exe().unwrap();
        test.parent().unwrap().parent().unwrap().to_path_buf()
    };
    let directory = std::env::var_os("HEW_BIN_DIR").map_or_else(beside, PathBuf::from);
    for library in ["libhew.a", "libhew.so"] {
        let path = directory.join(library);
        assert!(path.exists(), "{} is missing: `cargo build -p hew-capi` makes it", path.display());
    }
    directory
}

/// What the static library needs of the system.
fn native_libraries() -> &'static [&'static str] {
    &["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"]
}

/// A compiled test program; its directory goes with it.
pub struct Program {
    path: PathBuf,
    libraries: PathBuf,
    _directory: tempfile::TempDir,
}

/// Compiles `tests/c/<name>.c` as C11 with all warnings as errors.
pub fn compile(name: &str, library: Library) -> Program {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    let libraries = libraries();
    let mut cc = Command::new("cc");
    cc.args([
        "-std=c11",
        "-D_POSIX_C_SOURCE=200809L",
        "-g",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Werror",
        "-I",
    ])
    .arg(root().join("hew-capi/include"))
    .arg(root().join("tests/c").join(name).with_extension("c"))
    .arg("-o")
    .arg(&path);
    match library {
        Library::Static => cc.arg(libraries.join("libhew.a")),
        Library::Shared => cc.arg("-L").arg(&libraries).arg("-l:libhew.so"),
    };
    cc.args(native_libraries());
    let output = cc.output().unwrap_or_else(|error| panic!("cc does not start: {error}"));
    assert!(output.status.success(), "{name} with {library:?}:\n{}", String::from_utf8_lossy(&output.stderr));
    Program { path, libraries, _directory: directory }
}

impl Program {
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.env("LD_LIBRARY_PATH", &self.libraries);
        command
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs it to its end, which must be a success.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> String {
        succeed(self.command().args(arguments))
    }

    /// Starts it, to talk with it.
    pub fn start<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Running {
        let mut child = self
            .command()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", self.path.display()));
        let (send, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let input = child.stdin.take();
        Running { child, input, lines }
    }
}

/// Runs a command to its end, which must be a success within [`DEADLINE`] times four.
pub fn succeed(command: &mut Command) -> String {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    // Read before waiting, so that no full pipe keeps it.
    let (done, finished) = channel();
    let reader = std::thread::spawn(move || {
        let output = collect(&mut child);
        let _ = done.send(());
        output
    });
    if finished.recv_timeout(DEADLINE * 4) == Err(RecvTimeoutError::Timeout) {
        let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
        let output = reader.join().unwrap();
        panic!("{command:?} does not end:\n{}", both(&output));
    }
    let output = reader.join().unwrap();
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, both(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn collect(child: &mut Child) -> Output {
    use std::io::Read;
    let mut errors = child.stderr.take().unwrap();
    let stderr = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        errors.read_to_end(&mut bytes).map(|_| bytes).unwrap_or_default()
    });
    let mut stdout = Vec::new();
    let _ = child.stdout.take().unwrap().read_to_end(&mut stdout);
    Output { status: child.wait().unwrap(), stdout, stderr: stderr.join().unwrap() }
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A program that runs; killed if the test ends before it does.
pub struct Running {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Running {
    /// The rest of its next line, which must begin with `word`.
    pub fn expect(&self, word: &str) -> String {
        let line = match self.lines.recv_timeout(DEADLINE) {
            Ok(line) => line,
            Err(error) => panic!("no line {word:?}: {error}"),
        };
        match line.strip_prefix(word) {
            Some(rest) => rest.trim_start().to_owned(),
            None => panic!("{line:?} does not begin with {word:?}"),
        }
    }

    /// Ends its input.
    pub fn end_input(&mut self) {
        self.input = None;
    }

    /// Kills it, as a crash of the machine would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Waits for its end, which must be a success; what it printed last has been read.
    pub fn finish(mut self) {
        self.input = None;
        match self.lines.recv_timeout(DEADLINE) {
            Err(RecvTimeoutError::Disconnected) => {}
            other => panic!("its output does not end: {other:?}"),
        }
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! Writes the seeds of every target below a folder, and prints the names of the targets.

#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "a command speaks on its standard streams")]
fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: fuzz-seeds FOLDER");
        return ExitCode::from(2);
    };
    match hew_fuzz::seeds::write_all(Path::new(&folder)) {
        Ok(()) => {
            hew_fuzz::TARGETS.iter().for_each(|target| println!("{}", target.name));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: {error}", Path::new(&folder).display());
            ExitCode::FAILURE
        }
    }
}

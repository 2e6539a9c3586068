//! Chores of the workspace: tests, benchmarks, checks. `cargo xtask --help` lists them.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line speaks on its standard streams"
)]

mod bench;
mod checked;
mod fuzz;
mod test;
mod tidy;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Chores of the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct CommandLine {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run every test (unit, documentation, integration, processes, C, under checkers); the last line is `N passed, N failed`.
    Test(test::Options),
    /// Check the rules that neither the compiler nor clippy knows.
    Tidy(tidy::Options),
    /// Run benchmark suites.
    Bench(bench::Options),
    /// Run the fuzz targets under libFuzzer.
    Fuzz(fuzz::Options),
}

/// Exit code for a request that cannot be understood, the same that clap uses.
const EXIT_USAGE: u8 = 2;

/// Why a chore did not succeed.
#[derive(Debug)]
enum Failure {
    /// The request makes no sense: exit code 2.
    Usage(String),
    /// The chore could not be carried out: exit code 1.
    Broken(String),
    /// The chore was carried out and has already printed what is wrong: exit code 1.
    Reported,
}

impl Failure {
    fn broken(what: impl std::fmt::Display, cause: impl std::fmt::Display) -> Failure {
        Failure::Broken(format!("{what}: {cause}"))
    }
}

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().chore {
        Chore::Test(options) => test::run(&options),
        Chore::Tidy(options) => tidy::run(&options),
        Chore::Bench(options) => bench::run(&options),
        Chore::Fuzz(options) => fuzz::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(text)) => {
            eprintln!("error: {text}");
            ExitCode::from(EXIT_USAGE)
        }
        Err(Failure::Broken(text)) => {
            eprintln!("error: {text}");
            ExitCode::FAILURE
        }
        Err(Failure::Reported) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}

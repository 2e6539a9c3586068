//! The operator's command line: keys, nodes, questions to a running cluster, and a demo of it all.
//!
//! Exit codes: 0 done, 1 failed, 2 used wrongly, 3 nobody answers, 4 refused, 124 out of time.

#![forbid(unsafe_code)]

mod actors;
mod cli;
mod demo;
mod failure;
mod identity;
mod moment;
mod output;
mod words;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log(cli.verbose);
    let done = match &cli.command {
        Command::Demo(options) => demo::run(options),
        Command::DemoNode => demo::run_node(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complaint(&failure);
            ExitCode::from(failure.kind.exit_code())
        }
    }
}

/// `-v` and `HEW_LOG` say what the libraries' events are shown of; without them nothing is.
fn log(verbose: u8) {
    let filter = match (verbose, std::env::var("HEW_LOG")) {
        (0, Err(_)) => return,
        (0, Ok(directives)) => EnvFilter::new(directives),
        (1, _) => EnvFilter::new("info"),
        (2, _) => EnvFilter::new("debug"),
        (_, _) => EnvFilter::new("trace"),
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}

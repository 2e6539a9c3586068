//! The operator's command line: keys, nodes, questions to a running cluster, and a demo of it all.
//!
//! Exit codes: 0 done, 1 failed, 2 used wrongly, 3 nobody answers, 4 refused, 124 out of time.

#![forbid(unsafe_code)]

mod actors;
mod cli;
mod client;
mod config;
mod demo;
mod failure;
mod identity;
mod keygen;
mod message;
mod moment;
mod output;
mod payload;
mod query;
mod run;
mod words;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log(cli.verbose);
    let done = match cli.command {
        Command::Keygen(options) => keygen::run(&options),
        Command::Node(options) => run::run(options),
        Command::Members(options) => query::members(&options),
        Command::Names(options) => query::names(&options),
        Command::Info(options) => query::info(&options),
        Command::Send(options) => message::send(&options),
        Command::Ask(options) => message::ask(&options),
        Command::Demo(options) => demo::run(&options, cli.verbose),
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

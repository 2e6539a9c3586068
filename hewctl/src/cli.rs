//! The command line.

use clap::{Args, Parser, Subcommand};

/// Runs and asks nodes of a Hew cluster.
#[derive(Debug, Parser)]
#[command(name = "hewctl", version, max_term_width = 110)]
pub(crate) struct Cli {
    /// Tells on stderr what the libraries do; twice: in detail, three times: everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows a cluster at work: three processes, a counter, a crash, and the counter running again.
    Demo(DemoOptions),
    /// A node process of the demo, driven by lines on stdin.
    #[command(hide = true)]
    DemoNode,
}

#[derive(Debug, Args)]
pub(crate) struct DemoOptions {
    /// Prints one JSON object at the end, and nothing else.
    #[arg(long)]
    pub(crate) json: bool,
    /// Messages from each of the sending nodes.
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    pub(crate) messages: u64,
}

//! The command line.

use crate::actors::ActorSetting;
use crate::config::Preset;
use clap::{Args, Parser, Subcommand};
use hew_node::{Name, NodeId};
use std::path::PathBuf;
use std::time::Duration;

/// Runs nodes of a Hew cluster, and asks them.
///
/// Exit codes: 0 done, 1 failed, 2 used wrongly, 3 nobody answers, 4 refused, 124 out of time.
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
    /// Makes a key, writes it to a file that only you can read, and prints its public half.
    Keygen(KeygenOptions),
    /// Runs a node until it is told to end by SIGINT or SIGTERM.
    Node(NodeOptions),
    /// Shows the members of a cluster.
    Members(ClientOptions),
    /// Shows the names of a cluster and the actors they mean.
    Names(ClientOptions),
    /// Shows what a node says of itself.
    Info(ClientOptions),
    /// Sends a message to the actor of a name.
    Send(MessageOptions),
    /// Asks the actor of a name a question and prints its answer as JSON.
    Ask(MessageOptions),
    /// Shows a cluster at work: three processes, a counter, a crash, and the counter running again.
    Demo(DemoOptions),
    /// A node process of the demo, driven by lines on stdin.
    #[command(hide = true)]
    DemoNode,
}

#[derive(Debug, Args)]
pub(crate) struct KeygenOptions {
    /// The file to write.
    pub(crate) path: PathBuf,
    /// Replaces a file that is there, and with it the identity of whoever uses it.
    #[arg(long)]
    pub(crate) force: bool,
    /// Prints {"public_key": …}.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Settings of a node. Each may also be in the file, under the same name; a flag or its variable wins.
#[derive(Debug, Default, Args)]
pub(crate) struct NodeOptions {
    /// Reads settings from a TOML file.
    #[arg(long, value_name = "FILE", env = "HEW_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The node's number in its cluster, 1 to 65535.
    #[arg(long, value_name = "N", env = "HEW_ID")]
    pub(crate) id: Option<NodeId>,
    /// What people call it.
    #[arg(long, env = "HEW_NAME")]
    pub(crate) name: Option<String>,
    /// The cluster it belongs to [default: hew].
    #[arg(long, env = "HEW_CLUSTER")]
    pub(crate) cluster: Option<String>,
    /// The address to listen at; port 0 takes a free one [default: 127.0.0.1:0].
    #[arg(long, value_name = "ADDR", env = "HEW_LISTEN")]
    pub(crate) listen: Option<String>,
    /// The address that others are told to dial, if it is another one.
    #[arg(long, value_name = "ADDR", env = "HEW_ADVERTISE")]
    pub(crate) advertise: Option<String>,
    /// An address to join the cluster through; may be given several times, or separated by commas.
    #[arg(long, value_name = "ADDR", env = "HEW_JOIN", value_delimiter = ',')]
    pub(crate) join: Vec<String>,
    /// The file with the node's key [default: a key for this run only].
    #[arg(long, value_name = "FILE", env = "HEW_KEY")]
    pub(crate) key: Option<PathBuf>,
    /// The file that keeps the node's incarnation, made if there is none [default: the key's file with `.incarnation` behind its
    /// name, if there is a key].
    #[arg(long, value_name = "FILE", env = "HEW_STATE")]
    pub(crate) state: Option<PathBuf>,
    /// The file with the keys that may connect, one line for each: node id or *, key, comment [env: HEW_ALLOW].
    #[arg(long, value_name = "FILE")]
    pub(crate) allow: Option<PathBuf>,
    /// Lets any key connect; the first one of each node id keeps it [env: HEW_OPEN=1].
    #[arg(long, conflicts_with = "allow")]
    pub(crate) open: bool,
    /// How fast failures are noticed [default: lan].
    #[arg(long, value_enum, env = "HEW_PRESET")]
    pub(crate) preset: Option<Preset>,
    /// Threads for actors [default: one for each processor].
    #[arg(long, value_name = "N", env = "HEW_WORKERS")]
    pub(crate) workers: Option<usize>,
    /// Bytes that may wait for each other node, in MiB [default: 8].
    #[arg(long, value_name = "N", env = "HEW_OUTGOING_MIB")]
    pub(crate) outgoing_mib: Option<usize>,
    /// An actor to start and register: counter=NAME, echo=NAME or silent=NAME; may be given several times.
    #[arg(long = "actor", value_name = "KIND=NAME")]
    pub(crate) actors: Vec<ActorSetting>,
    /// Prints one JSON object for each event.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ClientOptions {
    /// The address of a node; of several, separated by commas, the first that answers is asked.
    #[arg(long, value_name = "ADDR", env = "HEW_CONNECT", value_delimiter = ',', required = true)]
    pub(crate) connect: Vec<String>,
    /// The file with your key [default: a key for this run only, which a strict cluster refuses].
    #[arg(long, value_name = "FILE", env = "HEW_KEY")]
    pub(crate) key: Option<PathBuf>,
    /// The file with the keys of the nodes that you trust [env: HEW_ALLOW].
    #[arg(long, value_name = "FILE")]
    pub(crate) allow: Option<PathBuf>,
    /// Trusts whoever answers [env: HEW_OPEN=1].
    #[arg(long, conflicts_with = "allow")]
    pub(crate) open: bool,
    /// The node id to connect with [default: one from 65000 to 65534 that is free].
    #[arg(long, value_name = "N", env = "HEW_CLIENT_ID")]
    pub(crate) id: Option<NodeId>,
    /// The cluster [default: hew].
    #[arg(long, env = "HEW_CLUSTER")]
    pub(crate) cluster: Option<String>,
    /// Seconds after which the command gives up.
    #[arg(long, value_name = "SECONDS", env = "HEW_TIMEOUT", default_value = "10", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MessageOptions {
    /// The name of the actor.
    #[arg(value_parser = |text: &str| Name::new(text))]
    pub(crate) name: Name,
    /// Which of the actor's messages: its number, from 0.
    #[arg(value_name = "TYPE", allow_negative_numbers = true)]
    pub(crate) msg_type: i32,
    /// What the message holds, as JSON [default: nothing].
    #[arg(value_name = "JSON", value_parser = json, allow_negative_numbers = true)]
    pub(crate) content: Option<serde_json::Value>,
    #[command(flatten)]
    pub(crate) client: ClientOptions,
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

/// Longest time that can be waited for: a day.
const SECONDS_MAX: f64 = 86_400.0;

fn seconds(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected seconds, more than 0 and at most {SECONDS_MAX}");
    let seconds: f64 = text.parse().map_err(|_| expected())?;
    if seconds > 0.0 && seconds <= SECONDS_MAX {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(expected())
    }
}

fn json(text: &str) -> Result<serde_json::Value, String> {
    serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn seconds_have_bounds() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for text in ["", "x", "0", "-1", "1e9", "inf", "NaN"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_message_may_be_negative_and_any_json() {
        let parse = |words: &[&str]| {
            let line = ["hewctl", "ask", "--connect", "a:1", "name"].iter().chain(words);
            match Cli::try_parse_from(line).map(|cli| cli.command) {
                Ok(Command::Ask(options)) => Ok((options.msg_type, options.content)),
                Ok(other) => panic!("{other:?}"),
                Err(error) => Err(error.to_string()),
            }
        };
        assert_eq!(parse(&["1"]), Ok((1, None)));
        assert_eq!(parse(&["0", "-5"]), Ok((0, Some((-5).into()))));
        assert_eq!(parse(&["0", r#"{"a":[1]}"#]), Ok((0, Some(serde_json::json!({"a": [1]})))));
        assert!(parse(&["0", "{a}"]).unwrap_err().contains("not JSON"));
        assert!(parse(&["x"]).is_err());
    }
}

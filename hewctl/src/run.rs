//! `hewctl node`: runs a node until it is told to end, and says what happens.

use crate::cli::NodeOptions;
use crate::config::Settings;
use crate::failure::{Failure, Kind};
use crate::{identity, moment, output, words};
use async_signal::{Signal, Signals};
use futures_lite::{StreamExt, future};
use hew_node::{Addr, Node, NodeEvent, PublicKey};
use serde_json::{Value, json};
use std::fmt::Display;

/// Runs the node.
pub(crate) fn run(options: NodeOptions) -> Result<(), Failure> {
    let speaker = Speaker { json: options.json };
    let settings = Settings::resolve(options)?;
    future::block_on(async {
        // Before the node starts: from the first moment it can be ended in order.
        let signals = Signals::new([Signal::Int, Signal::Term])
            .map_err(|error| Failure::failed(format_args!("no signal handlers: {error}")))?;
        let (node, key) = start(&settings).await?;
        let result = live(&node, key, &settings, signals, &speaker).await;
        node.shutdown().await;
        if result.is_ok() {
            speaker.say("ended in order", json!({ "event": "ended" }));
        }
        result
    })
}

async fn start(settings: &Settings) -> Result<(Node, PublicKey), Failure> {
    let keypair = match &settings.key {
        Some(path) => identity::read_key(path)?,
        None => identity::ephemeral_key()?,
    };
    let key = keypair.public();
    let builder = Node::builder(settings.id).listen(&settings.listen).swim(settings.preset.swim());
    let mut builder = settings.access.apply(builder, keypair)?;
    if let Some(path) = &settings.state {
        builder = builder.state_file(path);
    }
    if let Some(name) = &settings.name {
        builder = builder.name(name);
    }
    if let Some(cluster) = &settings.cluster {
        builder = builder.cluster(cluster);
    }
    if let Some(advertise) = &settings.advertise {
        builder = builder.advertise(advertise);
    }
    for address in &settings.join {
        builder = builder.join(address);
    }
    if let Some(workers) = settings.workers {
        builder = builder.workers(workers);
    }
    if let Some(bytes) = settings.outgoing_bytes_max {
        builder = builder.outgoing_bytes_max(bytes);
    }
    Ok((builder.start().await?, key))
}

/// From the first moment to the signal, or to what makes going on pointless.
async fn live(
    node: &Node,
    key: PublicKey,
    settings: &Settings,
    mut signals: Signals,
    speaker: &Speaker,
) -> Result<(), Failure> {
    let mut events = node.events();
    for actor in &settings.actors {
        let pid = actor.kind.spawn(node, None).map_err(|error| Failure::failed(error).of(actor))?;
        node.register_pid(&actor.name, pid).map_err(|error| Failure::from(error).of(actor))?;
    }
    ready(node, key, settings, speaker);
    let mut is_joined = false;
    loop {
        let happened = async { Happened::Event(events.next().await) };
        let told = async { Happened::Signal(signals.next().await.and_then(Result::ok)) };
        match future::or(told, happened).await {
            Happened::Signal(signal) => {
                let name = signal.map_or("the end of all signals".into(), |signal| format!("{signal:?}"));
                let event = json!({ "event": "ending", "signal": name });
                speaker.say(format_args!("ends: it was told to by {name}"), event);
                return Ok(());
            }
            Happened::Event(None) => return Err(Failure::failed("the node has stopped by itself")),
            Happened::Event(Some(event)) => {
                speaker.say(words::sentence(&event), words::object(&event));
                is_joined |= matches!(event, NodeEvent::Joined { .. });
                if !is_joined && let NodeEvent::Refused { address, .. } = &event {
                    give_up_if_refused(node, key, settings, address).await?;
                }
            }
        }
    }
}

enum Happened {
    Signal(Option<Signal>),
    Event(Option<NodeEvent>),
}

fn ready(node: &Node, key: PublicKey, settings: &Settings, speaker: &Speaker) {
    let address = node.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let identity = if settings.key.is_some() { "" } else { ", made for this run only" };
    let line = format!("node {} is ready: listens at {address}, key {key}{identity}", node.id());
    let object = json!({
        "event": "ready",
        "node": node.id(),
        "address": address,
        "fingerprint": key.to_string(),
        "public_key": key.to_hex(),
        "ephemeral": settings.key.is_none(),
    });
    speaker.say(line, object);
}

/// A node that has never been in its cluster and is refused by a seed ends, so that whoever started it learns why.
///
/// The event does not tell who refused whom, nor whether trying again can help; one more dial does.
async fn give_up_if_refused(
    node: &Node,
    key: PublicKey,
    settings: &Settings,
    address: &str,
) -> Result<(), Failure> {
    let is_seed = |seed: &String| seed.parse::<Addr>().is_ok_and(|seed| seed.to_string() == address);
    if !settings.join.iter().any(is_seed) {
        return Ok(());
    }
    match node.connect(address).await.map_err(Failure::from) {
        Err(failure) if failure.kind == Kind::Denied => {
            Err(failure.of(format_args!("node {} with key {key} cannot join", node.id())))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Says what happens, for people or for programs.
struct Speaker {
    json: bool,
}

impl Speaker {
    fn say(&self, text: impl Display, mut object: Value) {
        let now = moment::now();
        if self.json {
            object["time"] = now.into();
            output::json(&object);
        } else {
            output::line(format_args!("{now}  {text}"));
        }
    }
}

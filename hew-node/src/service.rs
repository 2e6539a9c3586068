//! The service that every node runs under a serial of its own: it answers what operators ask.

use hew_actor::{Actor, ActorRef, Context, Outcome, ReplyTo, SpawnOptions, System};
use hew_wire::payload::decode_payload;
use hew_wire::{NodeId, Pid};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Weak};

/// The serial of the service: `Pid::new(node, SERVICE_SERIAL)` is the service of any node.
pub const SERVICE_SERIAL: u64 = 1;
/// Most names in one answer.
pub const NAMES_PER_ANSWER_MAX: usize = 10_000;

/// What can be asked of a node's service, also from other nodes.
#[derive(Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NodeRequest {
    /// The members that the node knows, itself among them, in order of their ids.
    Members(ReplyTo<Vec<MemberInfo>>),
    /// The names that the node knows, in their order, beginning after the given one; at most
    /// [`NAMES_PER_ANSWER_MAX`].
    Names {
        /// Only names after this one; empty for all.
        after: String,
        /// Where the answer goes.
        reply: ReplyTo<Vec<NameInfo>>,
    },
    /// Which actor a name means.
    Lookup {
        /// The name.
        name: String,
        /// Where the answer goes.
        reply: ReplyTo<Option<Pid>>,
    },
    /// What the node says of itself.
    Info(ReplyTo<NodeInfo>),
}

/// A member of the cluster, as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberInfo {
    /// Its id.
    pub node: NodeId,
    /// `alive`, `suspect`, `dead` or `left`.
    pub state: String,
    /// Which start of it, in milliseconds since 1970 by default.
    pub incarnation: u64,
    /// Where it can be dialled, if it says so.
    pub address: Option<String>,
    /// Whether the answering node has a connection to it; true for itself.
    pub connected: bool,
}

/// A name and its actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameInfo {
    /// The name.
    pub name: String,
    /// The actor.
    pub pid: Pid,
}

/// A node, as it sees itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Its id.
    pub node: NodeId,
    /// Its name for people, if it has one.
    pub name: Option<String>,
    /// Its cluster.
    pub cluster: String,
    /// Which start of it.
    pub incarnation: u64,
    /// The version of its program's Hew libraries.
    pub version: String,
    /// Living actors, services not counted.
    pub actors: u64,
}

/// What the service sees of its node.
pub(crate) trait View: Send + Sync {
    fn members(&self) -> Vec<MemberInfo>;
    fn names(&self, after: &str) -> Vec<NameInfo>;
    fn lookup(&self, name: &str) -> Option<Pid>;
    fn info(&self) -> NodeInfo;
}

struct Service {
    view: Weak<dyn View>,
}

impl Actor for Service {
    type Message = NodeRequest;

    async fn handle(&mut self, request: NodeRequest, _: &mut Context<NodeRequest>) -> Outcome {
        let Some(view) = self.view.upgrade() else { return Outcome::Stop };
        match request {
            NodeRequest::Members(reply) => reply.send(view.members()),
            NodeRequest::Names { after, reply } => reply.send(view.names(&after)),
            NodeRequest::Lookup { name, reply } => reply.send(view.lookup(&name)),
            NodeRequest::Info(reply) => reply.send(view.info()),
        }
        Outcome::Continue
    }
}

/// Starts the service in `system`; `None` if another node of this process runs it there.
pub(crate) fn start(system: &System, view: Weak<dyn View>) -> Option<ActorRef<NodeRequest>> {
    let decoder = Arc::new(|msg_type, payload: &[u8]| {
        decode_payload::<NodeRequest>(msg_type, payload).map_err(|error| error.to_string())
    });
    let options = SpawnOptions {
        label: Some("node service".into()),
        decoder: Some(decoder),
        serial: Some(SERVICE_SERIAL),
        ..SpawnOptions::default()
    };
    system.spawn_with(Service { view }, options).ok()
}

//! A node that uses a cluster without belonging to it, for one command.

use crate::cli::ClientOptions;
use crate::failure::{Failure, Kind};
use crate::identity::{self, Access};
use hew_node::{
    ActorRef, ConnectError, Elapsed, MemberInfo, Node, NodeId, NodeRequest, Pid, RawMessage, ReplyTo,
    SERVICE_SERIAL,
};
use hew_security::Denied;
use std::fmt::Display;
use std::time::Instant;

/// The node ids that clients take unless they are told one. Do not give them to nodes.
///
/// The first one tried depends on the process, so that several clients can be at work at once. One that is taken, or
/// that belongs to another key from an earlier time, leads to the next.
const CLIENT_IDS: std::ops::RangeInclusive<u16> = 65_000..=65_534;
/// Node ids that are tried.
const CLIENT_ID_ATTEMPTS: u16 = 16;

/// A connection to a cluster.
pub(crate) struct Client {
    node: Node,
    /// The node that is asked.
    pub(crate) server: NodeId,
    deadline: Instant,
}

/// Runs `work` with a connection, within the time that the options give, and closes the connection.
pub(crate) fn with_client<T>(
    options: &ClientOptions,
    work: impl AsyncFnOnce(&Client) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let access = Access::from_flags(options.allow.clone(), options.open)?.ok_or_else(|| {
        Failure::usage("whom do you trust? --allow FILE for the keys in a file, --open for whoever answers")
    })?;
    let deadline = Instant::now() + options.timeout;
    futures_lite::future::block_on(async {
        let client = connect(options, &access, deadline).await?;
        let result = client.in_time("an answer", async { work(&client).await }).await;
        // What was sent is acknowledged before this returns, or counted as lost.
        client.node.shutdown().await;
        let lost = client.node.stats().messages_lost;
        match result? {
            Ok(_) if lost > 0 => {
                Err(Failure::failed("the connection broke before the message was acknowledged"))
            }
            other => other,
        }
    })
}

async fn connect(options: &ClientOptions, access: &Access, deadline: Instant) -> Result<Client, Failure> {
    let ids: Vec<NodeId> = match options.id {
        Some(id) => vec![id],
        None => client_ids(std::process::id()),
    };
    let mut last = Failure::failed("no node id is left for a client; say one with --id");
    for id in ids {
        let keypair = match &options.key {
            Some(path) => identity::read_key(path)?,
            None => identity::ephemeral_key()?,
        };
        let key = keypair.public();
        let mut builder = Node::builder(id).client().workers(1).identity(keypair, access.allowlist()?);
        if let Some(cluster) = &options.cluster {
            builder = builder.cluster(cluster);
        }
        let node = builder.start().await?;
        match reach(&node, &options.connect, deadline).await {
            Ok(server) => return Ok(Client { node, server, deadline }),
            Err((failure, id_is_taken)) => {
                node.shutdown().await;
                let whose = if options.key.is_some() {
                    ""
                } else {
                    ", made for this run only (--key FILE has yours)"
                };
                last = match failure.kind {
                    Kind::Denied => failure.of(format_args!("client {id} with key {key}{whose}")),
                    _ => failure,
                };
                if !id_is_taken {
                    break;
                }
            }
        }
    }
    Err(last)
}

/// Connects to the first of the addresses that answers. A failure says too whether another node id may help.
async fn reach(node: &Node, addresses: &[String], deadline: Instant) -> Result<NodeId, (Failure, bool)> {
    let mut failures = Vec::new();
    for address in addresses {
        match in_time(node, deadline, format_args!("a connection to {address}"), node.connect(address)).await
        {
            Ok(Ok(server)) => return Ok(server),
            Ok(Err(error)) => {
                let id_is_taken = is_id_taken(&error);
                failures.push((Failure::from(error), id_is_taken));
            }
            Err(failure) => failures.push((failure, false)),
        }
    }
    // A refusal says more than an address where nobody is.
    let telling = failures.iter().position(|(failure, _)| failure.kind != Kind::Unreachable);
    Err(failures.swap_remove(telling.unwrap_or(0)))
}

fn is_id_taken(error: &ConnectError) -> bool {
    match error {
        ConnectError::Failed { code: "refused_node_id_conflict", .. } => true,
        ConnectError::Failed { code: "refused_not_allowed", cause } => {
            cause.contains(&Denied::NodePinnedElsewhere.to_string())
        }
        _ => false,
    }
}

fn client_ids(process: u32) -> Vec<NodeId> {
    let (first, count) = (*CLIENT_IDS.start(), CLIENT_IDS.end() - CLIENT_IDS.start() + 1);
    let offset = (process % u32::from(count)) as u16;
    (0..CLIENT_ID_ATTEMPTS).map(|attempt| NodeId::from_raw(first + (offset + attempt) % count)).collect()
}

impl Client {
    /// Asks the service of the connected node.
    pub(crate) async fn request<R: Send + 'static>(
        &self,
        make: impl FnOnce(ReplyTo<R>) -> NodeRequest,
    ) -> Result<R, Failure> {
        let pid = Pid::new(self.server, SERVICE_SERIAL);
        let missing = || Failure::failed(format_args!("node {} has no service", self.server));
        let service: ActorRef<NodeRequest> = self.node.actor(pid).ok_or_else(missing)?;
        let left = self.deadline.saturating_duration_since(Instant::now());
        let answer = service.ask_within(left, make).await;
        answer.map_err(|error| Failure::from(error).of(format_args!("node {}", self.server)))
    }

    /// The actor of a name, with a connection to its node.
    pub(crate) async fn find(&self, name: &str) -> Result<ActorRef<RawMessage>, Failure> {
        let lookup = |reply| NodeRequest::Lookup { name: name.into(), reply };
        let pid: Option<Pid> = self.request(lookup).await?;
        let pid = pid.ok_or_else(|| {
            Failure::failed(format_args!(
                "nobody is registered as {name:?}, as far as node {} knows",
                self.server
            ))
        })?;
        if pid.node() != self.server {
            self.connect_to(pid.node())
                .await
                .map_err(|failure| failure.of(format_args!("{name:?} is {pid}")))?;
        }
        self.node
            .raw_actor(pid)
            .ok_or_else(|| Failure::failed(format_args!("{name:?} is {pid}, which cannot be reached")))
    }

    /// Connects to another member at the address that it gives to members.
    async fn connect_to(&self, id: NodeId) -> Result<(), Failure> {
        let members: Vec<MemberInfo> = self.request(NodeRequest::Members).await?;
        let address = members.into_iter().find(|member| member.node == id).and_then(|member| member.address);
        let Some(address) = address else {
            return Err(Failure::new(
                Kind::Unreachable,
                format_args!("node {id} has no address that can be dialled"),
            ));
        };
        let found = self.node.connect(&address).await?;
        if found == id {
            return Ok(());
        }
        Err(Failure::new(Kind::Unreachable, format_args!("at {address} is node {found}, not node {id}")))
    }

    /// Time that is left.
    pub(crate) fn left(&self) -> std::time::Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    async fn in_time<T>(&self, what: impl Display, work: impl Future<Output = T>) -> Result<T, Failure> {
        in_time(&self.node, self.deadline, what, work).await
    }
}

async fn in_time<T>(
    node: &Node,
    deadline: Instant,
    what: impl Display,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    let left = deadline.saturating_duration_since(Instant::now());
    let result = node.runtime().timeout(left, work).await;
    result.map_err(|Elapsed| {
        Failure::new(Kind::Timeout, format_args!("no time left to wait for {what} (--timeout)"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_take_different_ids_from_their_range() {
        for process in [0, 1, 534, 535, u32::MAX] {
            let ids = client_ids(process);
            assert_eq!(ids.len(), usize::from(CLIENT_ID_ATTEMPTS));
            assert!(ids.iter().all(|id| CLIENT_IDS.contains(&id.raw())));
            assert!((1..ids.len()).all(|at| !ids[..at].contains(&ids[at])));
        }
        assert_ne!(client_ids(1)[0], client_ids(2)[0]);
    }

    #[test]
    fn another_id_helps_against_a_taken_one_only() {
        let check = |code, cause: &str, expected| {
            assert_eq!(is_id_taken(&ConnectError::Failed { cause: cause.into(), code }), expected, "{cause}");
        };
        check("refused_node_id_conflict", "taken", true);
        check("refused_not_allowed", "node 7 with key k: the node id is pinned to another key", true);
        check("refused_not_allowed", "node 7 with key k: the key is not on the allowlist", false);
        check("connection_refused", "nobody", false);
    }
}

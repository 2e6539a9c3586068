//! A node of any stack, as the rest of this crate uses it, and its failures as codes.

use crate::error::{
    Failure, HEW_ERR_INVALID, HEW_ERR_NODE_DOWN, HEW_ERR_NOT_ALLOWED, HEW_ERR_OOM, HEW_ERR_STALE,
    HEW_ERR_TIMEOUT, HEW_ERR_TRANSPORT,
};
use hew_actor::{ActorRef, BoxFuture, RawMessage};
use hew_node::{
    ConnectError, EventStream, MemberInfo, Node, NodeId, Pid, PublicKey, RegisterError, Stack, StartError,
    UnregisterError,
};
use std::time::Duration;

/// Longer than anybody waits: 100 years.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A running node.
pub(crate) trait AnyNode: Send + Sync {
    fn id(&self) -> NodeId;
    /// Where it listens, as text.
    fn address(&self) -> Option<String>;
    /// A way to an actor anywhere.
    fn actor(&self, pid: Pid) -> Result<ActorRef<RawMessage>, Failure>;
    fn register(&self, name: &str, pid: Pid) -> Result<(), Failure>;
    fn unregister(&self, name: &str) -> Result<(), Failure>;
    fn whereis(&self, name: &str) -> Option<Pid>;
    /// Waits for a name; `None` waits for ever.
    fn wait_name<'a>(&'a self, name: &'a str, limit: Option<Duration>)
    -> BoxFuture<'a, Result<Pid, Failure>>;
    /// Waits until so many members are alive; `None` waits for ever.
    fn wait_members(&self, count: usize, limit: Option<Duration>) -> BoxFuture<'_, Result<(), Failure>>;
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<NodeId, Failure>>;
    /// Refuses the key from now on; whether that was news.
    fn revoke_key(&self, key: &PublicKey) -> bool;
    fn members(&self) -> Vec<MemberInfo>;
    fn events(&self) -> EventStream;
    fn shutdown(&self) -> BoxFuture<'_, ()>;
}

impl<S: Stack> AnyNode for Node<S> {
    fn id(&self) -> NodeId {
        Node::id(self)
    }

    fn address(&self) -> Option<String> {
        self.local_addr().map(|address| address.to_string())
    }

    fn actor(&self, pid: Pid) -> Result<ActorRef<RawMessage>, Failure> {
        self.raw_actor(pid).ok_or_else(|| crate::actor::no_actor(pid))
    }

    fn register(&self, name: &str, pid: Pid) -> Result<(), Failure> {
        self.register_pid(name, pid).map_err(|error| Failure::new(register_code(&error), error.to_string()))
    }

    fn unregister(&self, name: &str) -> Result<(), Failure> {
        Node::unregister(self, name).map(drop).map_err(|error| {
            let code = match &error {
                UnregisterError::NotOwner { .. } => HEW_ERR_NOT_ALLOWED,
                _ => HEW_ERR_INVALID,
            };
            Failure::new(code, error.to_string())
        })
    }

    fn whereis(&self, name: &str) -> Option<Pid> {
        Node::whereis(self, name)
    }

    fn wait_name<'a>(
        &'a self,
        name: &'a str,
        limit: Option<Duration>,
    ) -> BoxFuture<'a, Result<Pid, Failure>> {
        Box::pin(async move {
            // Subscribed before looking, so that a name that comes in between is not missed.
            let mut events = Node::events(self);
            let found = self.runtime().timeout(limit.unwrap_or(FOR_EVER), async {
                loop {
                    if let Some(pid) = Node::whereis(self, name) {
                        return Some(pid);
                    }
                    events.next().await?;
                }
            });
            match found.await {
                Ok(Some(pid)) => Ok(pid),
                Ok(None) => Err(Failure::new(
                    HEW_ERR_NODE_DOWN,
                    format!("the node stopped before anybody was registered as {name:?}"),
                )),
                Err(_) => {
                    Err(Failure::new(HEW_ERR_TIMEOUT, format!("nobody was registered as {name:?} in time")))
                }
            }
        })
    }

    fn wait_members(&self, count: usize, limit: Option<Duration>) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            self.wait_for_members(count, limit.unwrap_or(FOR_EVER)).await.map_err(|_| {
                let alive = self.members().iter().filter(|member| member.state == "alive").count();
                Failure::new(HEW_ERR_TIMEOUT, format!("{alive} members are alive, not {count}"))
            })
        })
    }

    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<NodeId, Failure>> {
        Box::pin(async move {
            Node::connect(self, address)
                .await
                .map_err(|error| Failure::new(connect_code(&error), error.to_string()))
        })
    }

    fn revoke_key(&self, key: &PublicKey) -> bool {
        Node::revoke_key(self, key)
    }

    fn members(&self) -> Vec<MemberInfo> {
        Node::members(self)
    }

    fn events(&self) -> EventStream {
        Node::events(self)
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(Node::shutdown(self))
    }
}

fn register_code(error: &RegisterError) -> i32 {
    match error {
        RegisterError::NoProcess { .. } => HEW_ERR_STALE,
        RegisterError::Full { .. } => HEW_ERR_OOM,
        RegisterError::Taken { .. } => HEW_ERR_NOT_ALLOWED,
        // A name that is none, an actor of another node, and what may come.
        _ => HEW_ERR_INVALID,
    }
}

fn connect_code(error: &ConnectError) -> i32 {
    match error {
        ConnectError::Address(_) => HEW_ERR_INVALID,
        ConnectError::Failed { code, .. } if code.starts_with("timeout_") => HEW_ERR_TIMEOUT,
        // Nobody is there, or nobody who speaks this protocol.
        ConnectError::Failed { code: "connection_refused" | "transport" | "bad_magic", .. } => {
            HEW_ERR_TRANSPORT
        }
        ConnectError::Failed { code, .. }
            if ["closed_", "malformed_", "oversized_"].iter().any(|begin| code.starts_with(begin)) =>
        {
            HEW_ERR_TRANSPORT
        }
        ConnectError::Failed { code: "stopping", .. } => HEW_ERR_NODE_DOWN,
        // One of the two refuses the other.
        _ => HEW_ERR_NOT_ALLOWED,
    }
}

/// The failure of a node that was not started.
pub(crate) fn start_failure(error: &StartError) -> Failure {
    let code = match error {
        StartError::Listen(_) => HEW_ERR_TRANSPORT,
        StartError::Threads(_) => HEW_ERR_OOM,
        // Settings.
        _ => HEW_ERR_INVALID,
    };
    Failure::new(code, error.to_string())
}

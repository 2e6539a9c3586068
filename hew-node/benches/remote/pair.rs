//! Two nodes, one of them in this process, and references to the actors of the other.

use crate::measure::Failure;
use crate::messages::{BULK_SINK, ECHO, SINKS, ToEcho, ToSink};
use crate::process::{Process, Role};
use futures_lite::future;
use hew_node::{ActorRef, Node, NodeBuilder, Stack};
use std::time::Duration;

/// How long the nodes may take to find each other.
const FIND_DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Pair<S: Stack> {
    pub(crate) node: Node<S>,
    pub(crate) sinks: Vec<ActorRef<ToSink>>,
    pub(crate) bulk_sink: ActorRef<ToSink>,
    pub(crate) echo: ActorRef<ToEcho>,
    pub(crate) process: Process,
}

impl<S: Stack> Pair<S> {
    pub(crate) fn start(node: NodeBuilder<S>, role: Role) -> Result<Pair<S>, Failure> {
        let process = Process::start(role)?;
        let node = node.listen("127.0.0.1:0").join(process.address.as_str());
        future::block_on(async {
            let node = node.start().await?;
            let mut sinks = Vec::new();
            for name in SINKS {
                sinks.push(node.wait_for(name, FIND_DEADLINE).await?);
            }
            let bulk_sink = node.wait_for(BULK_SINK, FIND_DEADLINE).await?;
            let echo = node.wait_for(ECHO, FIND_DEADLINE).await?;
            Ok(Pair { node, sinks, bulk_sink, echo, process })
        })
    }

    /// Ends both nodes, and fails if one connection did not carry everything.
    pub(crate) fn end(self) -> Result<(), Failure> {
        let stats = self.node.stats();
        future::block_on(self.node.shutdown());
        self.process.end()?;
        if stats.connections > 1 || stats.messages_lost > 0 || stats.replies_lost > 0 {
            return Err(format!("the link broke or lost something: {stats:?}").into());
        }
        Ok(())
    }
}

//! Two nodes that talk over the transport: encrypted, with membership and names, as over any other.

#![allow(clippy::unwrap_used)]

use futures_lite::future::block_on;
use hew_node::{Actor, Context, Node, NodeId, Outcome, ReplyTo};
use hew_transport_pipes::Pipes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Double(u64, ReplyTo<u64>);

struct Doubler;

impl Actor for Doubler {
    type Message = Double;

    async fn handle(&mut self, Double(number, reply): Double, _: &mut Context<Double>) -> Outcome {
        reply.send(2 * number);
        Outcome::Continue
    }
}

#[test]
fn an_actor_on_one_node_answers_the_other() {
    block_on(async {
        let pipes = Pipes::default();
        let id = |id| NodeId::new(id).unwrap();
        let first = Node::builder(id(1)).transport(pipes.clone()).listen("mem:one").start().await.unwrap();
        let doubler = first.spawn(Doubler);
        first.register("doubler", &doubler).await.unwrap();

        let second = Node::builder(id(2)).transport(pipes).listen("mem:two").join("mem:one");
        let second = second.start().await.unwrap();
        let remote = second.wait_for::<Double>("doubler", Duration::from_secs(20)).await.unwrap();
        assert_eq!(remote.ask(|reply| Double(21, reply)).await.unwrap(), 42);
        second.shutdown().await;
        first.shutdown().await;
    });
}

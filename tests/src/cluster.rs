//! A whole cluster on one thread, in virtual time, in an order drawn from a seed.

use crate::chaos::{Fate, Proxy};
use hew_cluster::Swim;
use hew_node::{
    Allowlist, Compose, Incarnation, Mem, Node, NodeBuilder, NodeId, NoiseXx, Runtime, Simulation,
    StartError, SwimConfig,
};
use hew_registry::Gossip;
use hew_security::{Entry, danger};
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What simulated nodes are made of: everything real but the network.
pub type SimStack = Compose<Mem, Swim, Gossip, NoiseXx>;
/// A simulated node.
pub type SimNode = Node<SimStack>;

/// Most nodes of a simulated cluster.
pub const NODES_MAX: u16 = 64;

/// A simulated cluster: the world, its network, and a log of what happened when.
pub struct Cluster {
    simulation: Simulation,
    network: Mem,
    allowlist: Vec<Entry>,
    log: Log,
}

/// What happened in a run, line by line. Cheap to clone; all clones are the same log.
#[derive(Clone)]
pub struct Log {
    runtime: Runtime,
    start: std::time::Instant,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Log {
    /// Adds a line with the virtual time.
    pub fn note(&self, what: impl Display) {
        let at = self.runtime.now().duration_since(self.start);
        let line = format!("{:>10.6} {what}", at.as_secs_f64());
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Cluster {
    /// An empty cluster whose every choice follows from `seed`.
    pub fn new(seed: u64) -> Cluster {
        let simulation = Simulation::new(seed);
        let runtime = simulation.runtime();
        let entry = |node: u16| {
            Entry::new(danger::keypair_from_seed(u64::from(node)).public(), Some(NodeId::from_raw(node)))
        };
        let log = Log { start: runtime.now(), runtime, lines: Arc::default() };
        let allowlist = (1..=NODES_MAX).map(entry).collect();
        Cluster { simulation, network: Mem::new(), allowlist, log }
    }

    /// The log.
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// The network, to break it.
    pub fn network(&self) -> &Mem {
        &self.network
    }

    /// The runtime of all nodes.
    pub fn runtime(&self) -> Runtime {
        self.simulation.runtime()
    }

    /// The settings of node `id`, listening at `mem:n<id>` and joining through node 1, with the key of its id and
    /// everyone's key on its allowlist.
    pub fn builder(&self, id: u16) -> NodeBuilder<SimStack> {
        self.builder_with_key(id, u64::from(id))
    }

    /// As [`Cluster::builder`], with the key of another seed.
    pub fn builder_with_key(&self, id: u16, key_seed: u64) -> NodeBuilder<SimStack> {
        let builder = self.alone(id, key_seed);
        if id == 1 { builder } else { builder.join("mem:n1") }
    }

    /// The settings of node `id` behind a proxy that it advertises: others dial it at `mem:p<id>`, as it dials node 1.
    /// Membership is so patient that no broken connection makes a node look dead.
    pub fn proxied_builder(&self, id: u16) -> NodeBuilder<SimStack> {
        let builder = self.alone(id, u64::from(id)).swim(patient()).advertise(format!("mem:p{id}"));
        if id == 1 { builder } else { builder.join("mem:p1") }
    }

    /// The proxy of node `id`, which draws a fate for each connection from the seed.
    pub async fn proxy(
        &self,
        id: u16,
        seed: u64,
        draw: impl FnMut(&mut fastrand::Rng) -> Fate + Send + 'static,
    ) -> Proxy {
        self.proxy_over(self.network(), id, seed, draw).await
    }

    /// As [`Cluster::proxy`], over the network with other settings.
    pub async fn proxy_over(
        &self,
        network: &Mem,
        id: u16,
        seed: u64,
        draw: impl FnMut(&mut fastrand::Rng) -> Fate + Send + 'static,
    ) -> Proxy {
        let carrier = network.endpoint(&format!("p{id}"));
        let (front, back) = (format!("mem:p{id}"), format!("mem:n{id}"));
        Proxy::start(&self.runtime(), carrier, (&front, &back), seed, draw).await
    }

    fn alone(&self, id: u16, key_seed: u64) -> NodeBuilder<SimStack> {
        let runtime = self.runtime();
        let keypair = danger::keypair_from_seed(key_seed);
        let noise =
            danger::noise_from_seed(keypair, Allowlist::strict(self.allowlist.clone()), runtime.seed());
        let name = format!("n{id}");
        Node::builder(NodeId::from_raw(id))
            .swim(SwimConfig::fast())
            .transport(self.network.endpoint(&name))
            .authenticator(noise)
            .runtime(runtime)
            .name(name.clone())
            .listen(format!("mem:{name}"))
    }

    /// Starts node `id` and logs its events from then on.
    pub async fn start(&self, id: u16) -> Result<SimNode, StartError> {
        self.start_as(self.builder(id)).await
    }

    /// Starts node `id` as a later incarnation of itself, by so many seconds.
    pub async fn restart(&self, id: u16, seconds_later: u64) -> Result<SimNode, StartError> {
        let incarnation = Incarnation(self.runtime().unix_ms() + 1000 * seconds_later);
        self.start_as(self.builder(id).incarnation(incarnation)).await
    }

    /// Starts a node and logs its events from then on.
    pub async fn start_as(&self, builder: NodeBuilder<SimStack>) -> Result<SimNode, StartError> {
        let node = builder.start().await?;
        let (mut events, log, id) = (node.events(), self.log(), node.id());
        self.runtime()
            .spawn(async move {
                while let Some(event) = events.next().await {
                    log.note(format_args!("node {id}: {event:?}"));
                }
            })
            .detach();
        Ok(node)
    }

    /// Runs the world until `story` is told.
    ///
    /// # Panics
    /// If the story can never end: it waits for something that cannot happen.
    pub fn run<T>(&self, story: impl Future<Output = T>) -> T {
        match self.simulation.run(story) {
            Ok(value) => value,
            Err(stuck) => panic!("{stuck}; the log ends with\n{}", tail(&self.log.lines())),
        }
    }

    /// Waits until `condition` holds, at most for so long in virtual time.
    ///
    /// # Panics
    /// If it does not hold by then; `what` says what was awaited.
    pub async fn wait_until(&self, what: &str, deadline: Duration, condition: impl Fn() -> bool) {
        let runtime = self.runtime();
        let until = runtime.now() + deadline;
        while !condition() {
            assert!(
                runtime.now() < until,
                "not within {deadline:?}: {what}; log:\n{}",
                tail(&self.log.lines())
            );
            runtime.sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Settings of a membership that suspects nobody within hours: for tests in which links break all the time, or a
/// process is stopped, and nobody is to be declared dead.
pub fn patient() -> SwimConfig {
    SwimConfig { probe_interval: Duration::from_secs(3600), ..SwimConfig::lan() }
}

fn tail(lines: &[String]) -> String {
    lines[lines.len().saturating_sub(40)..].join("\n")
}

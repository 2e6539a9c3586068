//! A running node, as its program uses it.

use crate::builder::NodeBuilder;
use crate::core::Core;
use crate::error::{ConnectError, LookupError, RegisterError, UnregisterError};
use crate::events::{EventStream, NodeEvent};
use crate::link::connector;
use crate::link::peer::LinkInfo;
use crate::monitor::Monitor;
use crate::remote::RemoteNode;
use crate::service::{MemberInfo, NAMES_PER_ANSWER_MAX, NameInfo, NodeInfo, View};
use crate::shared::Shared;
use crate::stack::{DefaultStack, Stack};
use crate::stats::NodeStats;
use futures_lite::future;
use hew_actor::{
    Actor, ActorRef, Elapsed, MonitorRef, RawMessage, Runtime, SpawnError, SpawnOptions, System, Task,
};
use hew_cluster::{MemberState, Membership};
use hew_registry::Registry;
use hew_security::{AllowlistFile, PublicKey};
use hew_transport::Addr;
use hew_wire::payload::decode_payload;
use hew_wire::{Incarnation, Name, NodeId, Pid};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long [`Node::shutdown`] gives actors to end, and then messages to be acknowledged.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
/// How long [`Node::shutdown`] waits for its goodbyes to be written.
const GOODBYE_DEADLINE: Duration = Duration::from_secs(1);

/// What ends with the node.
pub(crate) struct Owned {
    pub(crate) runtime: Option<Runtime>,
    pub(crate) system: bool,
}

struct Inner<S: Stack> {
    core: Arc<Core<S>>,
    owned: Owned,
    local_addr: Option<Addr>,
    service: Option<Pid>,
    /// The watches that take an actor's names away when it ends, for actors that ever had one.
    named: Mutex<BTreeMap<Pid, MonitorRef>>,
    /// Accepts connections; ended before the node counts as stopped, so that its address is free then.
    accepting: Mutex<Option<Task<()>>>,
}

/// A node of a cluster. Cheap to clone; all clones are the same node.
///
/// Dropping the last clone without [`Node::shutdown`] ends the node as a crash would: nobody is told, others find out.
pub struct Node<S: Stack = DefaultStack> {
    inner: Arc<Inner<S>>,
}

impl Node {
    /// Sets up a node with the default stack. `id` must be unique in the cluster.
    ///
    /// ```
    /// use hew_node::{Node, NodeId};
    /// # futures_lite::future::block_on(async {
    /// let node = Node::builder(NodeId::new(1)?).listen("127.0.0.1:0").start().await?;
    /// assert_eq!(node.members().len(), 1);
    /// node.shutdown().await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn builder(id: NodeId) -> NodeBuilder {
        NodeBuilder::new(id)
    }
}

impl<S: Stack> Node<S> {
    pub(crate) fn new(
        core: Arc<Core<S>>,
        owned: Owned,
        listening: Option<(Addr, Task<()>)>,
        service: Option<Pid>,
    ) -> Node<S> {
        let (local_addr, accepting) = listening.unzip();
        let (named, accepting) = (Mutex::default(), Mutex::new(accepting));
        Node { inner: Arc::new(Inner { core, owned, local_addr, service, named, accepting }) }
    }

    // ---- actors ----

    /// Spawns an actor that other nodes can send to.
    ///
    /// # Panics
    /// Never. After [`Node::shutdown`] the reference is to an ended actor.
    pub fn spawn<A>(&self, actor: A) -> ActorRef<A::Message>
    where
        A: Actor,
        A::Message: Serialize + DeserializeOwned,
    {
        match self.spawn_with(actor, SpawnOptions::default()) {
            Ok(reference) => reference,
            Err(error) => unreachable!("default options ask for nothing that can be refused: {error}"),
        }
    }

    /// Spawns an actor with options. Unless they bring a decoder of their own, the actor takes messages of other nodes
    /// as [`hew_wire::payload`] describes them.
    ///
    /// # Errors
    /// [`SpawnError`]; the actor was dropped.
    pub fn spawn_with<A>(
        &self,
        actor: A,
        mut options: SpawnOptions<A::Message>,
    ) -> Result<ActorRef<A::Message>, SpawnError>
    where
        A: Actor,
        A::Message: Serialize + DeserializeOwned,
    {
        if options.decoder.is_none() {
            options.decoder = Some(Arc::new(|msg_type, payload: &[u8]| {
                decode_payload(msg_type, payload).map_err(|error| error.to_string())
            }));
        }
        self.system().spawn_with(actor, options)
    }

    /// A reference to the actor with that PID, on any node. `None` if it is to be an actor of this node and there is
    /// none that takes such messages. For other nodes nothing is asked: whether the actor is there shows when it is
    /// sent to.
    pub fn actor<M>(&self, pid: Pid) -> Option<ActorRef<M>>
    where
        M: Serialize + Send + 'static,
    {
        if self.is_local(pid) {
            return self.system().resolve(pid);
        }
        let node = RemoteNode::new(&self.shared(), pid.node());
        Some(ActorRef::remote_encoded(self.system(), pid, Arc::new(node)))
    }

    /// As [`Node::actor`], for messages as bytes.
    pub fn raw_actor(&self, pid: Pid) -> Option<ActorRef<RawMessage>> {
        if self.is_local(pid) {
            return self.system().resolve(pid);
        }
        let node = RemoteNode::new(&self.shared(), pid.node());
        Some(ActorRef::remote(self.system(), pid, Arc::new(node)))
    }

    /// Watches an actor anywhere. The monitor resolves exactly once: when the actor ends, when its node is down, or at
    /// once if there is no such actor.
    pub fn monitor(&self, pid: Pid) -> Monitor {
        Monitor::new(&self.shared(), pid)
    }

    /// Trusts a key no more: who is connected with it is cut off at once, and it stays refused until
    /// [`Allowlist::allow`](hew_security::Allowlist::allow) lets it in again, in this run of the node: remove it from files, too.
    /// The other nodes of the cluster are told, those that come later as well, and do the same if this one has the permission
    /// [`Administration`](hew_security::Permission::Administration) there. Returns whether that was news here.
    pub fn revoke_key(&self, key: &PublicKey) -> bool {
        self.inner.core.revoke(key, None)
    }

    pub(crate) fn watch_rights(&self, file: Option<AllowlistFile>) {
        let core = Arc::clone(&self.inner.core);
        let runtime = core.shared.runtime.clone();
        runtime.spawn(core.watch_rights(file)).detach();
    }

    /// The actors of this node.
    pub fn system(&self) -> &System {
        &self.inner.core.shared.system
    }

    // ---- names ----

    /// Gives an actor of this node a name, by which it is found on every node. The name goes when the actor ends.
    ///
    /// # Errors
    /// [`RegisterError`]; nothing changed.
    pub async fn register<M>(&self, name: &str, actor: &ActorRef<M>) -> Result<(), RegisterError> {
        self.register_pid(name, actor.pid())
    }

    /// As [`Node::register`], by PID and without a future.
    ///
    /// # Errors
    /// [`RegisterError`]; nothing changed.
    pub fn register_pid(&self, name: &str, pid: Pid) -> Result<(), RegisterError> {
        let name = Name::new(name)?;
        let shared = self.shared();
        let pid = self.own(pid);
        if pid.node() != shared.id {
            return Err(RegisterError::NotLocal { pid, node: shared.id });
        }
        if !shared.system.is_alive(pid) {
            return Err(RegisterError::NoProcess { pid });
        }
        let core = &self.inner.core;
        core.drive(|machines, now| {
            machines.registry.register(now, shared.runtime.unix_ms(), name.clone(), pid)
        })
        .map_err(|error| RegisterError::from_registry(name, error))?;
        self.forget_when_ended(pid);
        Ok(())
    }

    /// Takes a name from an actor of this node, and says which one had it.
    ///
    /// # Errors
    /// [`UnregisterError`]; nothing changed.
    pub fn unregister(&self, name: &str) -> Result<Pid, UnregisterError> {
        let name = Name::new(name)?;
        self.inner.core.drive(|machines, now| machines.registry.unregister(now, &name)).map_err(|error| {
            match error {
                hew_registry::UnregisterError::NotFound => UnregisterError::NotFound { name },
                hew_registry::UnregisterError::NotOwner { holder } => {
                    UnregisterError::NotOwner { name, holder }
                }
            }
        })
    }

    /// The actor that has the name, as far as this node knows now: a look into a table of its own. Whoever has just
    /// joined may want [`Node::wait_for`].
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn lookup<M>(&self, name: &str) -> Result<ActorRef<M>, LookupError>
    where
        M: Serialize + Send + 'static,
    {
        Name::new(name)?;
        let Some(pid) = self.whereis(name) else {
            return Err(LookupError::NotFound { name: name.into(), node: self.id() });
        };
        self.actor(pid).ok_or_else(|| LookupError::OtherMessages { name: name.into(), pid })
    }

    /// The PID of the actor that has the name, as far as this node knows now.
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        self.inner.core.names.lookup(name).map(|entry| entry.pid)
    }

    /// Waits until the name leads to an actor, at most for `deadline`.
    ///
    /// # Errors
    /// [`LookupError`]; [`LookupError::NotFound`] when the deadline has passed.
    pub async fn wait_for<M>(&self, name: &str, deadline: Duration) -> Result<ActorRef<M>, LookupError>
    where
        M: Serialize + Send + 'static,
    {
        // Subscribed before looking, so that a name that comes in between is not missed.
        let mut events = self.events();
        let found = self.runtime().timeout(deadline, async {
            loop {
                match self.lookup(name).await {
                    Err(LookupError::NotFound { .. }) => {}
                    result => return Some(result),
                }
                events.next().await?;
            }
        });
        match found.await {
            Ok(Some(result)) => result,
            Ok(None) | Err(Elapsed) => Err(LookupError::NotFound { name: name.into(), node: self.id() }),
        }
    }

    /// All names that this node knows, in their order.
    pub fn names(&self) -> Vec<(Name, Pid)> {
        self.inner.core.names.names().into_iter().map(|(name, entry)| (name, entry.pid)).collect()
    }

    // ---- cluster ----

    /// This node's id.
    pub fn id(&self) -> NodeId {
        self.inner.core.shared.id
    }

    /// This start of the node.
    pub fn incarnation(&self) -> Incarnation {
        self.inner.core.shared.incarnation
    }

    /// Where the node listens, with port 0 replaced by the port that was given; `None` if it does not.
    pub fn local_addr(&self) -> Option<Addr> {
        self.inner.local_addr.clone()
    }

    /// The PID of this node's service, see [`NodeRequest`](crate::NodeRequest); `None` if another node of this process
    /// has it, because the two share an actor system.
    pub fn service(&self) -> Option<Pid> {
        self.inner.service
    }

    /// The members of the cluster, this node among them, in order of their ids; also those that are down.
    pub fn members(&self) -> Vec<MemberInfo> {
        self.inner.core.members()
    }

    /// Waits until this node knows `count` members that are alive, itself included, at most for `deadline`.
    ///
    /// # Errors
    /// [`Elapsed`] when the deadline has passed.
    pub async fn wait_for_members(&self, count: usize, deadline: Duration) -> Result<(), Elapsed> {
        let mut events = self.events();
        self.runtime()
            .timeout(deadline, async {
                while self.members().iter().filter(|member| member.state == "alive").count() < count {
                    if events.next().await.is_none() {
                        // The node has stopped: more members never come.
                        future::pending::<()>().await;
                    }
                }
            })
            .await
    }

    /// Connects to the node at `address`, whoever it is, and says which one it was. Being connected already is success.
    ///
    /// Members find each other through [`NodeBuilder::join`]; this is for clients, and for joining later.
    ///
    /// # Errors
    /// [`ConnectError`]; it is not tried again.
    pub async fn connect(&self, address: &str) -> Result<NodeId, ConnectError> {
        let addr: Addr = address.parse()?;
        let core = Arc::clone(&self.inner.core);
        // A task of its own: the connection goes on when the caller does not wait for the answer.
        let task = core.shared.runtime.clone().spawn(async move {
            let seed = Some(addr.to_string());
            let link = connector::dial(&*core, &addr, None, seed).await;
            match link {
                Ok(link) => {
                    let node = link.peer.node;
                    link.peer.set_reachable(None, Some(addr));
                    let runtime = core.shared.runtime.clone();
                    runtime.spawn(async move { link.run(&core).await }).detach();
                    Ok(node)
                }
                Err(error) => match error.connected_node() {
                    Some(node) => Ok(node),
                    None => {
                        connector::note(&core, &error);
                        Err(ConnectError::Failed { cause: error.to_string(), code: error.code() })
                    }
                },
            }
        });
        task.await
    }

    /// What happens from now on.
    pub fn events(&self) -> EventStream {
        self.inner.core.shared.events.subscribe()
    }

    /// The counters of this node.
    pub fn stats(&self) -> NodeStats {
        self.inner.core.shared.stats.snapshot()
    }

    /// The other nodes that this one has heard of, and its links to them, in order of their ids.
    pub fn links(&self) -> Vec<LinkInfo> {
        self.inner.core.shared.peers.all().iter().map(|peer| peer.info()).collect()
    }

    /// Bytes that are queued for another node or not acknowledged by it.
    pub fn outgoing_bytes(&self, node: NodeId) -> usize {
        self.inner.core.shared.peers.peer(node).map_or(0, |peer| peer.held_bytes())
    }

    /// The runtime that everything of this node runs on.
    pub fn runtime(&self) -> &Runtime {
        self.inner.core.shared.system.runtime()
    }

    // ---- end ----

    /// Ends the node in order: its actors stop (unless the actor system was given to it), what they sent is delivered,
    /// the others are told that it leaves, connections are closed with a goodbye, threads are joined. Takes at most
    /// about twice [`DRAIN_DEADLINE`] and usually milliseconds. A second call waits for nothing and does no harm.
    pub async fn shutdown(&self) {
        let core = &self.inner.core;
        if core.is_stopping() {
            return;
        }
        if self.inner.owned.system {
            self.system().shutdown(DRAIN_DEADLINE).await;
        }
        let peers = core.shared.peers.all();
        let drained = async {
            for peer in &peers {
                peer.wait_until_drained().await;
            }
        };
        // What is not acknowledged by then is lost, and counted.
        let _ = self.runtime().timeout(DRAIN_DEADLINE, drained).await;
        core.leave().await;
        let said = async {
            for peer in &peers {
                peer.say_goodbye("leaving");
            }
            for peer in &peers {
                peer.wait_until_disconnected().await;
            }
        };
        let _ = self.runtime().timeout(GOODBYE_DEADLINE, said).await;
        self.inner.stop_accepting().await;
        self.inner.stop();
        if let Some(service) = self.inner.service.filter(|_| !self.inner.owned.system) {
            // The system stays with whoever gave it; the next node that gets it has a service of its own.
            self.system().kill(service);
        }
        if let Some(runtime) = &self.inner.owned.runtime {
            runtime.shutdown();
        }
    }

    /// Ends the node at once and without a word, as a crash of its process would: for tests of what others do then.
    pub async fn crash(&self) {
        self.inner.stop();
        self.inner.stop_accepting().await;
        for peer in self.inner.core.shared.peers.all() {
            let lost = peer.end_session();
            self.inner.core.shared.session_over(peer.node, lost);
        }
    }

    fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.inner.core.shared)
    }

    /// PIDs of node 0 mean this process.
    fn own(&self, pid: Pid) -> Pid {
        if pid.node().is_local() { Pid::new(self.id(), pid.serial()) } else { pid }
    }

    fn is_local(&self, pid: Pid) -> bool {
        pid.node().is_local() || pid.node() == self.id()
    }

    fn forget_when_ended(&self, pid: Pid) {
        let mut named = self.inner.named();
        if named.contains_key(&pid) {
            return;
        }
        let inner = Arc::downgrade(&self.inner);
        // Entered before the watch can fire: it takes the entry out.
        named.insert(pid, MonitorRef::from_parts(0, pid));
        drop(named);
        let watch = self.system().watch(pid, move |pid, _| {
            let Some(inner) = inner.upgrade() else { return };
            inner.named().remove(&pid);
            inner.core.drive(|machines, now| machines.registry.forget_pid(now, pid));
        });
        if let Some(entry) = self.inner.named().get_mut(&pid) {
            *entry = watch;
        }
    }
}

impl<S: Stack> Inner<S> {
    fn stop(&self) {
        self.core.stop();
        self.core.shared.events.publish(&NodeEvent::Stopped);
        self.core.shared.events.close();
    }

    async fn stop_accepting(&self) {
        let accepting = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(accepting) = accepting {
            accepting.cancel().await;
        }
    }

    fn named(&self) -> MutexGuard<'_, BTreeMap<Pid, MonitorRef>> {
        // Only map operations happen under this lock.
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Stack> Drop for Inner<S> {
    fn drop(&mut self) {
        if !self.core.is_stopping() {
            self.stop();
            if let Some(runtime) = &self.owned.runtime {
                runtime.shutdown();
            }
        }
    }
}

impl<S: Stack> Clone for Node<S> {
    fn clone(&self) -> Node<S> {
        Node { inner: Arc::clone(&self.inner) }
    }
}

impl<S: Stack> std::fmt::Debug for Node<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("id", &self.id()).field("incarnation", &self.incarnation()).finish()
    }
}

impl<S: Stack> View for Core<S> {
    fn members(&self) -> Vec<MemberInfo> {
        let own = self.shared.id;
        self.look(|machines| {
            let info = |member: &hew_cluster::Member| MemberInfo {
                node: member.node(),
                state: match member.state() {
                    MemberState::Alive => "alive",
                    MemberState::Suspect => "suspect",
                    MemberState::Dead => "dead",
                    MemberState::Left => "left",
                }
                .into(),
                incarnation: member.incarnation().0,
                address: member.address().map(str::to_owned),
                connected: member.node() == own
                    || self.shared.peers.peer(member.node()).is_some_and(|peer| peer.is_connected()),
            };
            machines.membership.members().map(info).collect()
        })
    }

    fn names(&self, after: &str) -> Vec<NameInfo> {
        let names = self.names.names().into_iter().filter(|(name, _)| name.as_str() > after);
        let info = |(name, entry): (Name, hew_registry::Entry)| NameInfo {
            name: name.as_str().to_owned(),
            pid: entry.pid,
        };
        names.take(NAMES_PER_ANSWER_MAX).map(info).collect()
    }

    fn lookup(&self, name: &str) -> Option<Pid> {
        self.names.lookup(name).map(|entry| entry.pid)
    }

    fn info(&self) -> NodeInfo {
        NodeInfo {
            node: self.shared.id,
            name: self.shared.name.as_ref().map(|name| name.as_str().to_owned()),
            cluster: self.shared.cluster.as_str().to_owned(),
            incarnation: self.shared.incarnation.0,
            version: env!("CARGO_PKG_VERSION").into(),
            actors: self.shared.system.len().saturating_sub(1) as u64,
        }
    }
}

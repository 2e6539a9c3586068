//! How a node is set up and started.

use crate::core::{Core, Parts};
use crate::error::StartError;
use crate::link::half_open::{ACCEPTS_PER_SECOND_MAX, HALF_OPEN_MAX, Pace};
use crate::link::spin::SPIN_MAX;
use crate::link::{acceptor, connector};
use crate::node::{Node, Owned};
use crate::outside::ToOthers;
use crate::service;
use crate::shared::{Bounds, Shared};
use crate::stack::{DefaultStack, Stack, WithAuthenticator, WithMembership, WithRegistry, WithTransport};
use crate::state_file;
use hew_actor::{Runtime, RuntimeConfig, System, SystemConfig};
use hew_cluster::{InvalidConfig, LocalMember, Membership, Swim, SwimConfig};
use hew_registry::{Config as RegistryConfig, Gossip};
use hew_security::{Allowlist, AllowlistFile, NoiseXx, StaticKeypair};
use hew_transport::{Addr, Listener, Tcp, Transport};
use hew_wire::compression::Compression;
use hew_wire::frame::PAYLOAD_BYTES_DEFAULT;
use hew_wire::{Incarnation, Name, NodeId, Role};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Default bound on bytes queued or unacknowledged per peer: 8 MiB.
pub const OUTGOING_BYTES_DEFAULT: usize = 8 << 20;
/// Largest bound on one message's payload: 256 MiB.
pub const PAYLOAD_BYTES_MAX: usize = 256 << 20;
/// After how long without anything to send a connection is closed, by default: one minute.
pub const IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// The cluster that a node belongs to if none is named.
pub const CLUSTER_DEFAULT: &str = "hew";

/// What a membership is made from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MembershipSetup {
    /// This node.
    pub local: LocalMember,
    /// Addresses to join by.
    pub seeds: Vec<String>,
    /// For everything that is drawn.
    pub seed: u64,
    /// Now.
    pub now: Instant,
}

/// What a registry is made from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegistrySetup {
    /// This node.
    pub node: NodeId,
    /// This start of it.
    pub incarnation: Incarnation,
    /// For everything that is drawn.
    pub seed: u64,
}

/// Range of the idle timeout, in milliseconds.
const IDLE_MS_MIN: u128 = 1000;
const IDLE_MS_MAX: usize = 24 * 3600 * 1000;

type MakeMembership<M> = Box<dyn FnOnce(MembershipSetup) -> Result<M, InvalidConfig> + Send>;
type MakeRegistry<R> = Box<dyn FnOnce(RegistrySetup) -> R + Send>;
type MakeAuthenticator<A> = Box<dyn FnOnce() -> Result<A, StartError> + Send>;

/// Settings of a node that is going to be started; made by [`Node::builder`].
///
/// Addresses and names are checked by [`NodeBuilder::start`].
#[must_use]
pub struct NodeBuilder<S: Stack = DefaultStack> {
    settings: Settings,
    transport: S::Transport,
    membership: MakeMembership<S::Membership>,
    registry: MakeRegistry<S::Registry>,
    authenticator: MakeAuthenticator<S::Authenticator>,
}

struct Settings {
    id: NodeId,
    name: Option<String>,
    cluster: String,
    role: Role,
    listen: Option<String>,
    advertise: Option<String>,
    seeds: Vec<String>,
    incarnation: Option<Incarnation>,
    state_file: Option<PathBuf>,
    runtime: Option<Runtime>,
    workers: Option<usize>,
    system: Option<System>,
    mailbox_capacity: Option<usize>,
    bounds: Bounds,
    idle_timeout: Option<Duration>,
    allowlist_file: Option<AllowlistFile>,
    pace: Pace,
    compression: Compression,
}

impl NodeBuilder {
    pub(crate) fn new(id: NodeId) -> NodeBuilder {
        NodeBuilder {
            settings: Settings {
                id,
                name: None,
                cluster: CLUSTER_DEFAULT.into(),
                role: Role::Member,
                listen: None,
                advertise: None,
                seeds: Vec::new(),
                incarnation: None,
                state_file: None,
                runtime: None,
                workers: None,
                system: None,
                mailbox_capacity: None,
                bounds: Bounds {
                    outgoing_bytes_max: OUTGOING_BYTES_DEFAULT,
                    payload_bytes_max: PAYLOAD_BYTES_DEFAULT,
                    spin: Duration::ZERO,
                },
                idle_timeout: Some(IDLE_TIMEOUT_DEFAULT),
                allowlist_file: None,
                pace: Pace::default(),
                compression: Compression::Off,
            },
            transport: Tcp::new(),
            membership: swim(SwimConfig::lan()),
            registry: Box::new(|setup| {
                Gossip::new(setup.node, setup.incarnation, RegistryConfig::default(), setup.seed)
            }),
            authenticator: Box::new(|| {
                let keypair = StaticKeypair::generate().map_err(StartError::Identity)?;
                Ok(NoiseXx::new(keypair, Allowlist::open()))
            }),
        }
    }
}

fn swim(config: SwimConfig) -> MakeMembership<Swim> {
    Box::new(move |setup: MembershipSetup| {
        let config = SwimConfig { seeds: setup.seeds, ..config };
        Swim::new(setup.local, config, setup.seed, setup.now)
    })
}

impl<S: Stack> NodeBuilder<S> {
    /// Listens at this address, for example `127.0.0.1:9001`, `[::1]:0`, `unix:/run/hew.sock`. Default: the node does
    /// not listen; it dials others, and they cannot dial it.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.settings.listen = Some(address.into());
        self
    }

    /// Tells others to dial this address instead of the one it listens at; for addresses that are translated.
    pub fn advertise(mut self, address: impl Into<String>) -> Self {
        self.settings.advertise = Some(address.into());
        self
    }

    /// Joins the cluster through this address. May be called for several; they are tried again for ever.
    pub fn join(mut self, address: impl Into<String>) -> Self {
        self.settings.seeds.push(address.into());
        self
    }

    /// The cluster to belong to. Default [`CLUSTER_DEFAULT`]. Nodes of different clusters refuse each other.
    pub fn cluster(mut self, name: impl Into<String>) -> Self {
        self.settings.cluster = name.into();
        self
    }

    /// What people call this node. Default: nothing.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// Uses the cluster through the nodes it [connects](Node::connect) to, without becoming a member of it. Addresses to join by
    /// are of no use then.
    pub fn client(mut self) -> Self {
        self.settings.role = Role::Client;
        self
    }

    /// This start of the node: must be greater than every earlier one of the same node id, and at most
    /// [`Incarnation::MAX`]. Default: the milliseconds since 1970, or more, see [`NodeBuilder::state_file`].
    pub fn incarnation(mut self, incarnation: Incarnation) -> Self {
        self.settings.incarnation = Some(incarnation);
        self
    }

    /// Keeps the greatest incarnation in this file, so that a start is greater than every earlier one even if the clock of
    /// the machine went back: the clock's, or one more than the file holds. The file is made if there is none, best
    /// beside the key and like it on a disk that outlives the process. Default: none, which trusts the clock.
    ///
    /// The node begins only after the file is written through to the disk, for which [`NodeBuilder::start`] waits. A
    /// link, a file of others, or one that holds anything else is refused, and so is an
    /// [incarnation](NodeBuilder::incarnation) that is not greater. Two nodes that live at the same time with one file
    /// are not noticed here: others refuse the second one.
    pub fn state_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.state_file = Some(path.into());
        self
    }

    /// Runs everything of the node on this runtime, which stays the caller's. Default: that of the system that was given, or
    /// else one with [`NodeBuilder::workers`], which ends with the node.
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.settings.runtime = Some(runtime);
        self
    }

    /// Threads that run actors and links, 1 to 256. One more sees to the links when handlers block all of these. Default: as many as there are processors.
    pub fn workers(mut self, workers: usize) -> Self {
        self.settings.workers = Some(workers);
        self
    }

    /// Gives the actors of an existing system to the node. They stay when the node stops.
    pub fn system(mut self, system: System) -> Self {
        self.settings.system = Some(system);
        self
    }

    /// Mailbox capacity of actors that ask for none, at least 1. Default
    /// [`MAILBOX_CAPACITY`](hew_actor::MAILBOX_CAPACITY).
    pub fn mailbox_capacity(mut self, messages: usize) -> Self {
        self.settings.mailbox_capacity = Some(messages);
        self
    }

    /// Bound on the bytes queued or unacknowledged for each other node; from 64 KiB. Default
    /// [`OUTGOING_BYTES_DEFAULT`]. A message is accepted within it, and a larger one when no other message is held. Replies
    /// have as much room for themselves, and so have the control messages of the node.
    pub fn outgoing_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.bounds.outgoing_bytes_max = bytes;
        self
    }

    /// How long a link looks for what comes next before it sleeps; up to 1 ms, more is an error. Default zero: not at all.
    ///
    /// Sleeping and waking cost some 20 us on each side of a question. With 30 us here and at the other node, an idle
    /// machine answers in a third of the time. It costs a processor that long after each message that is followed by
    /// nothing, and on a machine with more work than processors it makes everything slower. While anything else waits for
    /// a worker, that has its turn; a link on which it is in vain stops trying but for one time in 62.
    pub fn spin(mut self, most: Duration) -> Self {
        self.settings.bounds.spin = most;
        self
    }

    /// Closes the connection with a member on which nothing was sent for so long, in either direction, and opens it again when
    /// something is; 1 s to a day, or `None`: never. Default [`IDLE_TIMEOUT_DEFAULT`].
    ///
    /// Nothing else ends with it: the session, monitors and open questions stay, and [`Node::links`] shows the link as
    /// [idle](crate::LinkInfo::idle). The first message afterwards waits for a handshake. What membership and registry send
    /// counts: in small clusters it keeps all connections open, in those of hundreds of nodes it leaves most of them idle,
    /// which saves each of them a descriptor, two tasks and a heartbeat per second. That a node has gone is then noticed by
    /// its silence when it is probed, and not by the end of its connections.
    ///
    /// Not closed are connections of clients and of nodes that do not listen, which could not be dialled, and those of a
    /// membership that [judges by links](hew_cluster::Membership::judges_by_links).
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.idle_timeout = timeout.into();
        self
    }

    /// Bound on the payload of one message to or from other nodes; 1 KiB to [`PAYLOAD_BYTES_MAX`]. Default 64 MiB.
    pub fn payload_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.bounds.payload_bytes_max = bytes;
        self
    }

    /// Handshakes that one remote address may have unfinished at a time, 1 to 256; one more is told that this node is
    /// busy. Of IPv6 an address is a network of 64 bits. Default [`HALF_OPEN_PER_ADDRESS_DEFAULT`](crate::HALF_OPEN_PER_ADDRESS_DEFAULT).
    ///
    /// Raise it where many nodes come from one address, as behind a translation of addresses: what is turned away comes
    /// again, but later. Loopback, Unix and in-memory addresses have no such limit: they share the 256 of all.
    pub fn half_open_per_address(mut self, handshakes: usize) -> Self {
        self.settings.pace.half_open_max = handshakes;
        self
    }

    /// Connections that one remote address may make each second, after a burst of four times as many; 1 to 100,000.
    /// One more is told that this node is busy. Default [`ACCEPTS_PER_SECOND_DEFAULT`](crate::ACCEPTS_PER_SECOND_DEFAULT). Addresses are as in
    /// [`NodeBuilder::half_open_per_address`].
    pub fn accepts_per_second(mut self, connections: usize) -> Self {
        self.settings.pace.accepts_per_second = connections;
        self
    }

    /// Compresses payloads of messages and replies to and from nodes that are set up so as well: each of at least
    /// [`COMPRESS_FROM_BYTES`](hew_wire::compression::COMPRESS_FROM_BYTES) that becomes a sixteenth shorter. Bounds on payloads
    /// count them as they were, the bound on queued bytes as they travel.
    ///
    /// Default [`Compression::Off`]: a processor compresses about as fast as a network of 10 Gbit/s carries the same bytes, and
    /// the length of what was compressed together with a stranger's guess tells the stranger how good the guess was, encrypted
    /// or not. Choose [`Compression::Lz4`] where the network is slower, or costs more than processors do, and where no payload
    /// holds a secret beside bytes that others choose.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.settings.compression = compression;
        self
    }

    /// Carries bytes by another transport. Default [`Tcp`].
    pub fn transport<T: Transport>(self, transport: T) -> NodeBuilder<WithTransport<S, T>> {
        let NodeBuilder { settings, membership, registry, authenticator, .. } = self;
        NodeBuilder { settings, transport, membership, registry, authenticator }
    }

    /// Decides who is alive by another membership. Default [`Swim`] with [`SwimConfig::lan`].
    pub fn membership<M: Membership>(
        self,
        make: impl FnOnce(MembershipSetup) -> Result<M, InvalidConfig> + Send + 'static,
    ) -> NodeBuilder<WithMembership<S, M>> {
        let NodeBuilder { settings, transport, registry, authenticator, .. } = self;
        NodeBuilder { settings, transport, membership: Box::new(make), registry, authenticator }
    }

    /// Decides what names mean by another registry. Default [`Gossip`].
    pub fn registry<R: hew_registry::Registry>(
        self,
        make: impl FnOnce(RegistrySetup) -> R + Send + 'static,
    ) -> NodeBuilder<WithRegistry<S, R>> {
        let NodeBuilder { settings, transport, membership, authenticator, .. } = self;
        NodeBuilder { settings, transport, membership, registry: Box::new(make), authenticator }
    }

    /// Authenticates and protects links by another authenticator. Default: [`NoiseXx`] with a key made for this start,
    /// which accepts any key and pins the first one of each node id.
    pub fn authenticator<A: hew_security::Authenticator>(
        self,
        authenticator: A,
    ) -> NodeBuilder<WithAuthenticator<S, A>> {
        let NodeBuilder { settings, transport, membership, registry, .. } = self;
        let authenticator: MakeAuthenticator<A> = Box::new(move || Ok(authenticator));
        NodeBuilder { settings, transport, membership, registry, authenticator }
    }

    /// Who this node is, and who may talk to it: Noise XX with this key and this list.
    pub fn identity(
        self,
        keypair: StaticKeypair,
        allowlist: Allowlist,
    ) -> NodeBuilder<WithAuthenticator<S, NoiseXx>> {
        self.authenticator(NoiseXx::new(keypair, allowlist))
    }

    /// As [`NodeBuilder::identity`], with the list of a file, which the node follows: a change of the file holds within a second,
    /// for those who are connected as for those who come. A file that cannot be read changes nothing, and is told by
    /// [`NodeEvent::AllowlistUnreadable`](crate::NodeEvent::AllowlistUnreadable). It is read on a thread that also carries
    /// links: keep it on a disk of this machine.
    pub fn identity_with_file(
        self,
        keypair: StaticKeypair,
        file: AllowlistFile,
    ) -> NodeBuilder<WithAuthenticator<S, NoiseXx>> {
        let allowlist = file.allowlist().clone();
        self.allowlist_file(file).identity(keypair, allowlist)
    }

    /// Follows a file, as [`NodeBuilder::identity_with_file`] does, for an [authenticator](NodeBuilder::authenticator) that was
    /// made with its [list](AllowlistFile::allowlist).
    pub fn allowlist_file(mut self, file: AllowlistFile) -> Self {
        self.settings.allowlist_file = Some(file);
        self
    }

    /// Settings of SWIM.
    pub fn swim(self, config: SwimConfig) -> NodeBuilder<WithMembership<S, Swim>> {
        let NodeBuilder { settings, transport, registry, authenticator, .. } = self;
        NodeBuilder { settings, transport, membership: swim(config), registry, authenticator }
    }

    /// Starts the node. When this returns it listens; joining goes on in the background, see
    /// [`Node::wait_for_members`].
    ///
    /// # Errors
    /// [`StartError`] names the setting and the cause.
    pub async fn start(self) -> Result<Node<S>, StartError> {
        let NodeBuilder { mut settings, transport, membership, registry, authenticator } = self;
        let file = settings.allowlist_file.take();
        let checked = settings.check()?;
        let authenticator = authenticator()?;
        let threads = Threads::start(&settings)?;
        let result =
            start(&settings, checked, &threads, transport, membership, registry, authenticator).await;
        match &result {
            Ok(node) => node.watch_rights(file),
            Err(_) => threads.stop(),
        }
        result
    }
}

/// Settings whose text has been read.
struct Checked {
    listen: Option<Addr>,
    advertise: Option<Addr>,
    seeds: Vec<String>,
    name: Option<Name>,
    cluster: Name,
}

impl Settings {
    fn check(&self) -> Result<Checked, StartError> {
        if self.id.is_local() {
            return Err(StartError::NodeId);
        }
        let incarnation = self.incarnation.map_or(0, |incarnation| incarnation.0);
        if incarnation > Incarnation::MAX.0 {
            let (given, max) = (incarnation, Incarnation::MAX.0);
            return Err(StartError::Range { setting: "incarnation", given, min: 0, max });
        }
        range("workers", self.workers.unwrap_or(1), 1, hew_actor::WORKERS_MAX)?;
        range("outgoing_bytes_max", self.bounds.outgoing_bytes_max, 64 << 10, usize::MAX >> 2)?;
        range("payload_bytes_max", self.bounds.payload_bytes_max, 1 << 10, PAYLOAD_BYTES_MAX)?;
        let spin_us = usize::try_from(self.bounds.spin.as_micros()).unwrap_or(usize::MAX);
        range("spin (us)", spin_us, 0, SPIN_MAX.as_micros() as usize)?;
        let idle_ms = self.idle_timeout.map_or(IDLE_MS_MIN, |timeout| timeout.as_millis());
        range(
            "idle_timeout (ms)",
            usize::try_from(idle_ms).unwrap_or(usize::MAX),
            IDLE_MS_MIN as usize,
            IDLE_MS_MAX,
        )?;
        range("half_open_per_address", self.pace.half_open_max, 1, HALF_OPEN_MAX)?;
        range("accepts_per_second", self.pace.accepts_per_second, 1, ACCEPTS_PER_SECOND_MAX)?;
        let capacity = self.mailbox_capacity.unwrap_or(1);
        range("mailbox_capacity", capacity, 1, hew_actor::MAILBOX_CAPACITY_MAX)?;
        if let Some(system) = &self.system
            && !system.node().is_local()
            && system.node() != self.id
        {
            return Err(StartError::SystemTaken { node: system.node() });
        }
        let seeds = self.seeds.iter().map(|seed| address("join", seed).map(|addr| addr.to_string()));
        let advertise = self.advertise.as_deref().map(|text| address("advertise", text)).transpose()?;
        Ok(Checked {
            listen: self.listen.as_deref().map(|text| address("listen", text)).transpose()?,
            advertise,
            seeds: seeds.collect::<Result<_, _>>()?,
            name: self.name.as_deref().map(|text| name("name", text)).transpose()?,
            cluster: name("cluster", &self.cluster)?,
        })
    }
}

fn range(setting: &'static str, given: usize, min: usize, max: usize) -> Result<(), StartError> {
    if (min..=max).contains(&given) {
        return Ok(());
    }
    Err(StartError::Range { setting, given: given as u64, min: min as u64, max: max as u64 })
}

fn address(setting: &'static str, text: &str) -> Result<Addr, StartError> {
    text.parse().map_err(|error| StartError::Address { setting, error })
}

fn name(setting: &'static str, text: &str) -> Result<Name, StartError> {
    Name::new(text).map_err(|error| StartError::Name { setting, error })
}

/// What the node runs on.
struct Threads {
    actors: Runtime,
    /// The handle for links and the control plane, whose tasks are vital: no actor that blocks its worker can make the node
    /// look dead.
    links: Runtime,
    /// They end with the node.
    owned: bool,
}

impl Threads {
    fn start(settings: &Settings) -> Result<Threads, StartError> {
        let (actors, owned) = match (&settings.runtime, &settings.system) {
            (Some(runtime), _) => (runtime.clone(), false),
            (None, Some(system)) => (system.runtime().clone(), false),
            (None, None) => {
                let defaults = RuntimeConfig::default();
                let config = RuntimeConfig {
                    name: format!("hew-{}", settings.id),
                    workers: settings.workers.unwrap_or(defaults.workers),
                    ..defaults
                };
                (Runtime::start(config).map_err(StartError::Threads)?, true)
            }
        };
        match actors.vital() {
            Ok(links) => Ok(Threads { actors, links, owned }),
            Err(error) => {
                if owned {
                    actors.shutdown();
                }
                Err(StartError::Threads(error))
            }
        }
    }

    fn stop(&self) {
        if self.owned {
            self.actors.shutdown();
        }
    }
}

async fn start<S: Stack>(
    settings: &Settings,
    checked: Checked,
    threads: &Threads,
    transport: S::Transport,
    membership: MakeMembership<S::Membership>,
    registry: MakeRegistry<S::Registry>,
    authenticator: S::Authenticator,
) -> Result<Node<S>, StartError> {
    let id = settings.id;
    let links = threads.links.clone();
    let listener = match &checked.listen {
        Some(addr) => Some(transport.listen(addr).await.map_err(StartError::Listen)?),
        None => None,
    };
    // Nobody is let in yet, and a port that is taken has cost no incarnation.
    let incarnation = match &settings.state_file {
        Some(path) => state_file::next_incarnation(path, settings.incarnation, links.unix_ms())?,
        None => settings.incarnation.unwrap_or_else(|| Incarnation(links.unix_ms())),
    };
    let local_addr = listener.as_ref().map(|listener| listener.local_addr());
    let advertised = checked.advertise.or_else(|| local_addr.clone()).map(|addr| addr.to_string());
    // A client is no member of anything.
    let seeds = if settings.role == Role::Member { checked.seeds } else { Vec::new() };
    let membership = membership(MembershipSetup {
        local: LocalMember { node: id, incarnation, address: advertised.clone() },
        seeds: seeds.clone(),
        seed: links.seed(),
        now: links.now(),
    })?;
    let registry = registry(RegistrySetup { node: id, incarnation, seed: links.seed() });
    let system = settings.system.clone().unwrap_or_else(|| {
        let defaults = SystemConfig::default();
        let config = SystemConfig {
            node: id,
            first_serial: incarnation.first_serial(),
            mailbox_capacity: settings.mailbox_capacity.unwrap_or(defaults.mailbox_capacity),
            ..SystemConfig::default()
        };
        System::new(threads.actors.clone(), config)
    });
    system.set_node(id);
    let shared = Arc::new(Shared {
        id,
        incarnation,
        name: checked.name,
        cluster: checked.cluster,
        role: settings.role,
        asks: crate::asks::Asks::new(links.seed()),
        runtime: links.clone(),
        system: system.clone(),
        bounds: settings.bounds,
        // Who is closed for being idle must be able to dial, and be dialled.
        idle_timeout: settings.idle_timeout.filter(|_| {
            advertised.is_some() && settings.role == Role::Member && !membership.judges_by_links()
        }),
        compression: settings.compression,
        peers: Default::default(),
        monitors: Default::default(),
        links: Default::default(),
        events: Default::default(),
        stats: Default::default(),
        control: OnceLock::new(),
    });
    system.set_outside(Arc::new(ToOthers(Arc::downgrade(&shared))));
    let pace = settings.pace;
    let core = Core::new(Parts { shared, transport, authenticator, membership, registry, advertised, pace });
    let view: Arc<dyn service::View> = Arc::<Core<S>>::clone(&core);
    let service = service::start(&system, Arc::downgrade(&view));
    let accepting = listener.map(|listener| links.spawn(acceptor::accept_all(Arc::clone(&core), listener)));
    links.spawn(Arc::clone(&core).run_timers()).detach();
    // Membership may have something to do from the start.
    core.drive(|_, _| ());
    for seed in seeds {
        links.spawn(connector::dial_seed(Arc::clone(&core), seed)).detach();
    }
    let owned =
        Owned { runtime: threads.owned.then(|| threads.actors.clone()), system: settings.system.is_none() };
    Ok(Node::new(core, owned, local_addr.zip(accepting), service.map(|service| service.pid())))
}

//! Pools: messages go to one of several actors, or to all of them.

mod broadcast;
mod choice;
mod error;
mod members;
mod ring;
pub(crate) mod watch;

pub use broadcast::Broadcast;
pub use choice::{LEAST_LOADED_SCAN_MAX, PoolStrategy};
pub use error::{PoolError, PoolSendError};
pub use members::POOL_MEMBERS_MAX;
pub use ring::VIRTUAL_POINTS;

use crate::error::AskError;
use crate::reference::{ASK_DEADLINE, ActorRef};
use crate::reply::{self, ReplyTo};
use crate::system::System;
use choice::Chooser;
use error::Refusal;
use hew_wire::Pid;
use members::{Member, Members};
use ring::stable_hash;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

/// How often one message is offered before the pool counts as empty. Each time, at least one member leaves because it
/// is dead, so only a pool that is filled with dying members meanwhile is taken for empty.
const OFFERS_MAX: usize = POOL_MEMBERS_MAX + 1;

/// Actors of one message type, here or on other nodes, of which one takes each message. Cheap to clone.
///
/// A member leaves at once when it ends, and when a message meets it after it has stopped to take any; that message
/// goes to another one. A pool does not end its members, nor keep them alive; when the last handle is dropped it stops
/// watching them. With members on other nodes it has an actor of its own, which counts in
/// [`System::len`](crate::System::len) and ends with it.
///
/// Choosing takes one lock for as long as it takes to copy a pointer, and reads a list that never changes. Adding or
/// removing a member copies that list (and with [`PoolStrategy::ConsistentHash`] the [`VIRTUAL_POINTS`] of each
/// member); senders do not wait for it.
///
/// ```
/// use hew_actor::*;
///
/// struct Double;
/// impl Actor for Double {
///     type Message = (u64, ReplyTo<u64>);
///     async fn handle(&mut self, (n, reply): Self::Message, _: &mut Context<Self::Message>) -> Outcome {
///         reply.send(2 * n);
///         Outcome::Continue
///     }
/// }
///
/// let simulation = Simulation::new(1);
/// let system = System::new(simulation.runtime(), SystemConfig::default());
/// let pool = Pool::new(&system, PoolStrategy::RoundRobin);
/// for _ in 0..4 {
///     pool.add(system.spawn(Double))?;
/// }
/// let answer = simulation.run(async { pool.ask(|reply| (21, reply)).await })?;
/// assert_eq!(answer, Ok(42));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pool<M: Send + 'static> {
    members: Arc<Members<M>>,
    chooser: Arc<Chooser>,
}

impl<M: Send + 'static> Pool<M> {
    /// An empty pool. Takes one seed from the runtime if the strategy draws.
    pub fn new(system: &System, strategy: PoolStrategy) -> Pool<M> {
        Pool {
            members: Arc::new(Members::new(system, strategy == PoolStrategy::ConsistentHash)),
            chooser: Arc::new(Chooser::new(strategy, system.runtime())),
        }
    }

    /// Adds an actor, at most [`POOL_MEMBERS_MAX`] of them.
    ///
    /// # Errors
    /// [`PoolError`]; the pool has not changed. An actor that ends during the call is refused, or leaves at once.
    pub fn add(&self, actor: ActorRef<M>) -> Result<(), PoolError> {
        self.members.add(actor)
    }

    /// Takes a member out. Messages that it has taken stay with it. Whether it was one.
    pub fn remove(&self, pid: Pid) -> bool {
        self.members.remove(pid)
    }

    /// Members, without those that have ended.
    pub fn len(&self) -> usize {
        self.members.snapshot().members.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The members, in the order in which they were added.
    pub fn members(&self) -> Vec<Pid> {
        self.members.snapshot().members.iter().map(|member| member.actor.pid()).collect()
    }

    /// How members are chosen.
    pub fn strategy(&self) -> PoolStrategy {
        self.chooser.strategy()
    }

    /// The member for the next message, which may end before it gets it; `None` if there is none.
    ///
    /// With [`PoolStrategy::ConsistentHash`], members take turns for messages without a key.
    pub fn pick(&self) -> Option<ActorRef<M>> {
        self.pick_hash(None)
    }

    /// The member for messages with this key. Only [`PoolStrategy::ConsistentHash`] looks at it.
    pub fn pick_for(&self, key: &(impl Hash + ?Sized)) -> Option<ActorRef<M>> {
        self.pick_hash(Some(stable_hash(key)))
    }

    /// Sends a message to a member; waits while all mailboxes are full, if the policy of the chosen one is
    /// [`Overflow::Block`](crate::Overflow::Block).
    ///
    /// If the chosen member is full, the next one that has room takes the message. If none has, this waits for the
    /// chosen one, and chooses again when that ends meanwhile. Cancelled while it waits, the message was not sent.
    ///
    /// # Errors
    /// [`PoolSendError`] with the message. Full mailboxes that drop messages do so as for
    /// [`ActorRef::send`](crate::ActorRef::send).
    pub async fn send(&self, message: M) -> Result<(), PoolSendError<M>> {
        self.send_hash(None, message).await
    }

    /// As [`Pool::send`], to the member that the key belongs to; with [`PoolStrategy::ConsistentHash`] to no other,
    /// also when its mailbox is full.
    ///
    /// # Errors
    /// As [`Pool::send`].
    pub fn send_for<'a, K: Hash + ?Sized>(
        &'a self,
        key: &K,
        message: M,
    ) -> impl Future<Output = Result<(), PoolSendError<M>>> + Send + use<'a, K, M> {
        self.send_hash(Some(stable_hash(key)), message)
    }

    /// Sends a message without waiting to the chosen member, or the next one that has room.
    ///
    /// # Errors
    /// [`PoolSendError`] with the message.
    pub fn try_send(&self, message: M) -> Result<(), PoolSendError<M>> {
        self.try_send_hash(None, message)
    }

    /// As [`Pool::try_send`], to the member that the key belongs to; with [`PoolStrategy::ConsistentHash`] to no
    /// other.
    ///
    /// # Errors
    /// As [`Pool::try_send`].
    pub fn try_send_for(&self, key: &(impl Hash + ?Sized), message: M) -> Result<(), PoolSendError<M>> {
        self.try_send_hash(Some(stable_hash(key)), message)
    }

    /// Asks a member and waits up to [`ASK_DEADLINE`] for the answer.
    ///
    /// # Errors
    /// As [`Pool::ask_within`].
    pub async fn ask<R: Send + 'static>(&self, make: impl FnOnce(ReplyTo<R>) -> M) -> Result<R, AskError> {
        self.ask_hash(None, ASK_DEADLINE, make).await
    }

    /// Asks a member and waits up to `deadline` for the answer, including the time to send.
    ///
    /// A question that no member has taken goes on to the next one; one that was taken is asked once, also when that
    /// member ends before it answers.
    ///
    /// # Errors
    /// As [`ActorRef::ask_within`](crate::ActorRef::ask_within); [`AskError::Ended`] with
    /// [`ExitReason::NoProcess`](hew_wire::ExitReason::NoProcess) if there is no member.
    pub async fn ask_within<R: Send + 'static>(
        &self,
        deadline: Duration,
        make: impl FnOnce(ReplyTo<R>) -> M,
    ) -> Result<R, AskError> {
        self.ask_hash(None, deadline, make).await
    }

    /// As [`Pool::ask`], of the member that the key belongs to.
    ///
    /// # Errors
    /// As [`Pool::ask_within`].
    pub fn ask_for<'a, K: Hash + ?Sized, R: Send + 'static, F: FnOnce(ReplyTo<R>) -> M>(
        &'a self,
        key: &K,
        make: F,
    ) -> impl Future<Output = Result<R, AskError>> + use<'a, K, R, F, M> {
        self.ask_hash(Some(stable_hash(key)), ASK_DEADLINE, make)
    }

    /// As [`Pool::ask_within`], of the member that the key belongs to.
    ///
    /// # Errors
    /// As [`Pool::ask_within`].
    pub fn ask_for_within<'a, K: Hash + ?Sized, R: Send + 'static, F: FnOnce(ReplyTo<R>) -> M>(
        &'a self,
        key: &K,
        deadline: Duration,
        make: F,
    ) -> impl Future<Output = Result<R, AskError>> + use<'a, K, R, F, M> {
        self.ask_hash(Some(stable_hash(key)), deadline, make)
    }

    fn pick_hash(&self, key: Option<u64>) -> Option<ActorRef<M>> {
        let snapshot = self.members.snapshot();
        let place = self.chooser.choose(&snapshot, key)?;
        Some(snapshot.members[place].actor.clone())
    }

    fn try_send_hash(&self, key: Option<u64>, message: M) -> Result<(), PoolSendError<M>> {
        match self.offer(key, message) {
            Ok(()) => Ok(()),
            Err(NotTaken::Full { message, .. }) => Err(PoolSendError::Full(message)),
            Err(NotTaken::Other(error)) => Err(error),
        }
    }

    async fn send_hash(&self, key: Option<u64>, mut message: M) -> Result<(), PoolSendError<M>> {
        for _ in 0..OFFERS_MAX {
            let (back, member) = match self.offer(key, message) {
                Ok(()) => return Ok(()),
                Err(NotTaken::Full { message, member }) => (message, member),
                Err(NotTaken::Other(error)) => return Err(error),
            };
            match member.actor.send(back).await.map_err(Refusal::from) {
                Ok(()) => return Ok(()),
                Err(Refusal::Full(message)) => return Err(PoolSendError::Full(message)),
                Err(Refusal::Unencodable { message, error }) => {
                    return Err(PoolSendError::Unencodable { message, error });
                }
                Err(Refusal::Dead(back)) => {
                    self.members.expel(&member);
                    message = back;
                }
            }
        }
        Err(PoolSendError::NoMember(message))
    }

    async fn ask_hash<R: Send + 'static>(
        &self,
        key: Option<u64>,
        deadline: Duration,
        make: impl FnOnce(ReplyTo<R>) -> M,
    ) -> Result<R, AskError> {
        let system = self.members.system();
        let (reply, answer) = reply::channel(system.counters());
        let message = make(reply);
        let round_trip = async {
            if let Err(error) = self.send_hash(key, message).await {
                // Dropping the message answers its reply address; the error at hand says more.
                return Err(AskError::from(error));
            }
            answer.await
        };
        system.runtime().timeout(deadline, round_trip).await.unwrap_or(Err(AskError::Timeout))
    }

    /// Offers the message to the members until one takes it, and expels those that are dead.
    fn offer(&self, key: Option<u64>, mut message: M) -> Result<(), NotTaken<M>> {
        for _ in 0..OFFERS_MAX {
            let snapshot = self.members.snapshot();
            let Some(first) = self.chooser.choose(&snapshot, key) else { break };
            let count = snapshot.members.len();
            let reach = if self.chooser.is_bound(key) { 1 } else { count };
            let mut full = None;
            for place in (first..first + reach).map(|place| place % count) {
                let member = &snapshot.members[place];
                match member.actor.try_send(message).map_err(Refusal::from) {
                    Ok(()) => return Ok(()),
                    Err(Refusal::Full(back)) => {
                        full.get_or_insert_with(|| member.clone());
                        message = back;
                    }
                    Err(Refusal::Dead(back)) => {
                        self.members.expel(member);
                        message = back;
                    }
                    Err(Refusal::Unencodable { message, error }) => {
                        return Err(NotTaken::Other(PoolSendError::Unencodable { message, error }));
                    }
                }
            }
            if let Some(member) = full {
                return Err(NotTaken::Full { message, member });
            }
        }
        Err(NotTaken::Other(PoolSendError::NoMember(message)))
    }
}

/// A message that nobody took without waiting.
enum NotTaken<M> {
    /// The members are full; this is the chosen one, or the next that lives.
    Full {
        message: M,
        member: Member<M>,
    },
    Other(PoolSendError<M>),
}

impl<M: Send + 'static> Clone for Pool<M> {
    fn clone(&self) -> Pool<M> {
        Pool { members: self.members.clone(), chooser: self.chooser.clone() }
    }
}

impl<M: Send + 'static> fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("strategy", &self.strategy()).field("members", &self.members()).finish()
    }
}

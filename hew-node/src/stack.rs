//! Which implementation of each layer a node is made of.

use hew_cluster::{Membership, Swim};
use hew_registry::{Gossip, Registry};
use hew_security::{Authenticator, NoiseXx};
use hew_transport::{Tcp, Transport};
use std::marker::PhantomData;

/// The four layers that can be exchanged, as one type parameter of [`Node`](crate::Node).
///
/// [`Compose`] makes a stack of any four types; nobody has to implement this.
pub trait Stack: Send + Sync + 'static {
    /// How bytes get to other nodes.
    type Transport: Transport;
    /// Which nodes are alive.
    type Membership: Membership;
    /// Which actor a name means.
    type Registry: Registry;
    /// Who the other nodes are, and how the bytes are protected.
    type Authenticator: Authenticator;
}

/// The stack of a transport `T`, a membership `M`, a registry `R` and an authenticator `A`. A type only; it has no
/// values.
pub struct Compose<T, M, R, A> {
    transport: PhantomData<fn() -> T>,
    membership: PhantomData<fn() -> M>,
    registry: PhantomData<fn() -> R>,
    authenticator: PhantomData<fn() -> A>,
}

impl<T: Transport, M: Membership, R: Registry, A: Authenticator> Stack for Compose<T, M, R, A> {
    type Transport = T;
    type Membership = M;
    type Registry = R;
    type Authenticator = A;
}

/// TCP, SWIM, the gossiped registry and Noise XX.
pub type DefaultStack = Compose<Tcp, Swim, Gossip, NoiseXx>;

/// The stack `S` with the transport `T`.
pub type WithTransport<S, T> =
    Compose<T, <S as Stack>::Membership, <S as Stack>::Registry, <S as Stack>::Authenticator>;
/// The stack `S` with the membership `M`.
pub type WithMembership<S, M> =
    Compose<<S as Stack>::Transport, M, <S as Stack>::Registry, <S as Stack>::Authenticator>;
/// The stack `S` with the registry `R`.
pub type WithRegistry<S, R> =
    Compose<<S as Stack>::Transport, <S as Stack>::Membership, R, <S as Stack>::Authenticator>;
/// The stack `S` with the authenticator `A`.
pub type WithAuthenticator<S, A> =
    Compose<<S as Stack>::Transport, <S as Stack>::Membership, <S as Stack>::Registry, A>;

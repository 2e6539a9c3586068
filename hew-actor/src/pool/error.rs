//! Why a pool did not take a member, or a message.

use crate::error::{AskError, SendError, TrySendError};
use hew_wire::ExitReason;
use std::fmt;

/// An actor was not added to a pool. The pool has not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// It is in the pool, or being added by someone else at this moment.
    #[error("the actor is a member already")]
    AlreadyMember,
    /// The pool has [`POOL_MEMBERS_MAX`](crate::POOL_MEMBERS_MAX) members.
    #[error("the pool is full")]
    Full,
    /// The actor has ended.
    #[error("the actor has ended: {0}")]
    Ended(ExitReason),
    /// The reference belongs to another [`System`](crate::System) of this process.
    #[error("the reference is of another system")]
    OtherSystem,
    /// The system is shutting down, so the ends of actors of other nodes cannot be heard of any more.
    #[error("the actor system is shutting down")]
    ShuttingDown,
}

/// No member of a pool took a message, which comes back. Members that were found dead have left the pool.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolSendError<M> {
    /// The pool has no member that lives.
    NoMember(M),
    /// Every member that may take it is full, and waiting was not wanted: by the caller, by the policy of the mailbox,
    /// or because it could never end.
    Full(M),
    /// The message cannot be written as bytes for the node of the member that was to take it.
    Unencodable {
        /// The message.
        message: M,
        /// What is wrong with it.
        error: String,
    },
}

impl<M> PoolSendError<M> {
    /// The message that was not sent.
    pub fn into_message(self) -> M {
        match self {
            PoolSendError::NoMember(message)
            | PoolSendError::Full(message)
            | PoolSendError::Unencodable { message, .. } => message,
        }
    }

    /// Whether trying again later can help without a new member.
    pub fn is_full(&self) -> bool {
        matches!(self, PoolSendError::Full(_))
    }
}

impl<M> fmt::Display for PoolSendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PoolSendError::NoMember(_) => f.write_str("the pool has no living member"),
            PoolSendError::Full(_) => f.write_str("the mailboxes of the pool are full"),
            PoolSendError::Unencodable { error, .. } => write!(f, "the message cannot be encoded: {error}"),
        }
    }
}

// Without M: Debug, so that `?` and `unwrap` work for every message type.
impl<M> fmt::Debug for PoolSendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PoolSendError::NoMember(_) => f.write_str("NoMember(..)"),
            PoolSendError::Full(_) => f.write_str("Full(..)"),
            PoolSendError::Unencodable { error, .. } => {
                write!(f, "Unencodable {{ error: {error:?}, .. }}")
            }
        }
    }
}

impl<M> std::error::Error for PoolSendError<M> {}

impl<M> From<PoolSendError<M>> for AskError {
    fn from(error: PoolSendError<M>) -> AskError {
        match error {
            PoolSendError::NoMember(_) => AskError::Ended(ExitReason::NoProcess),
            PoolSendError::Full(_) => AskError::Full,
            PoolSendError::Unencodable { error, .. } => AskError::Unencodable(error),
        }
    }
}

/// What one member did with a message that it did not take.
pub(super) enum Refusal<M> {
    Full(M),
    Dead(M),
    Unencodable { message: M, error: String },
}

impl<M> From<TrySendError<M>> for Refusal<M> {
    fn from(error: TrySendError<M>) -> Refusal<M> {
        match error {
            TrySendError::Full(message) => Refusal::Full(message),
            TrySendError::Closed { message, .. } => Refusal::Dead(message),
            TrySendError::Unencodable { message, error } => Refusal::Unencodable { message, error },
        }
    }
}

impl<M> From<SendError<M>> for Refusal<M> {
    fn from(error: SendError<M>) -> Refusal<M> {
        Refusal::from(TrySendError::from(error))
    }
}

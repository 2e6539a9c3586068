//! Why a message, a question, a delivery or a spawn was refused.

use hew_wire::ExitReason;
use std::fmt;

/// A message was not sent. Nothing changed, and the message comes back.
#[derive(Clone, PartialEq, Eq)]
pub enum SendError<M> {
    /// The mailbox is full, and waiting was not wanted (policy `Fail`) or could never end (the actors would wait for
    /// each other in a circle).
    Full(M),
    /// The actor has ended or is ending.
    Closed {
        /// The message.
        message: M,
        /// Why it ended.
        reason: ExitReason,
    },
    /// The message cannot be written as bytes for the actor's node.
    Unencodable {
        /// The message.
        message: M,
        /// What is wrong with it.
        error: String,
    },
}

/// A message was not sent without waiting. Nothing changed, and the message comes back.
#[derive(Clone, PartialEq, Eq)]
pub enum TrySendError<M> {
    /// The mailbox, or the link to its node, is full.
    Full(M),
    /// The actor has ended or is ending.
    Closed {
        /// The message.
        message: M,
        /// Why it ended.
        reason: ExitReason,
    },
    /// The message cannot be written as bytes for the actor's node.
    Unencodable {
        /// The message.
        message: M,
        /// What is wrong with it.
        error: String,
    },
}

macro_rules! common {
    ($error:ident) => {
        impl<M> $error<M> {
            /// The message that was not sent.
            pub fn into_message(self) -> M {
                match self {
                    Self::Full(message)
                    | Self::Closed { message, .. }
                    | Self::Unencodable { message, .. } => message,
                }
            }

            /// The same error with another message in it.
            pub fn map<N>(self, f: impl FnOnce(M) -> N) -> $error<N> {
                match self {
                    Self::Full(message) => $error::Full(f(message)),
                    Self::Closed { message, reason } => $error::Closed { message: f(message), reason },
                    Self::Unencodable { message, error } => {
                        $error::Unencodable { message: f(message), error }
                    }
                }
            }

            /// Whether trying again later can help.
            pub fn is_full(&self) -> bool {
                matches!(self, Self::Full(_))
            }
        }

        impl<M> fmt::Display for $error<M> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::Full(_) => f.write_str("the mailbox is full"),
                    Self::Closed { reason, .. } => write!(f, "the actor has ended: {reason}"),
                    Self::Unencodable { error, .. } => write!(f, "the message cannot be encoded: {error}"),
                }
            }
        }

        // Without M: Debug, so that `?` and `unwrap` work for every message type.
        impl<M> fmt::Debug for $error<M> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::Full(_) => f.write_str("Full(..)"),
                    Self::Closed { reason, .. } => write!(f, "Closed {{ reason: {reason:?}, .. }}"),
                    Self::Unencodable { error, .. } => write!(f, "Unencodable {{ error: {error:?}, .. }}"),
                }
            }
        }

        impl<M> std::error::Error for $error<M> {}
    };
}

common!(SendError);
common!(TrySendError);

impl<M> From<TrySendError<M>> for SendError<M> {
    fn from(error: TrySendError<M>) -> SendError<M> {
        match error {
            TrySendError::Full(message) => SendError::Full(message),
            TrySendError::Closed { message, reason } => SendError::Closed { message, reason },
            TrySendError::Unencodable { message, error } => SendError::Unencodable { message, error },
        }
    }
}

impl<M> From<SendError<M>> for TrySendError<M> {
    fn from(error: SendError<M>) -> TrySendError<M> {
        match error {
            SendError::Full(message) => TrySendError::Full(message),
            SendError::Closed { message, reason } => TrySendError::Closed { message, reason },
            SendError::Unencodable { message, error } => TrySendError::Unencodable { message, error },
        }
    }
}

/// A question was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No answer came within the deadline. One that comes later is dropped and counted.
    #[error("no answer within the deadline")]
    Timeout,
    /// The message was taken, and its reply address was dropped without an answer.
    #[error("the actor did not answer")]
    NoReply,
    /// The actor ended before it answered, or had ended before.
    #[error("the actor has ended: {0}")]
    Ended(ExitReason),
    /// The mailbox or the link was full, and its policy refuses or discards messages then. It was not handled.
    #[error("the mailbox is full")]
    Full,
    /// The actor's node does not let this node ask.
    #[error("not allowed")]
    NotAllowed,
    /// The question could not be read by the actor's node, or the answer by this one.
    #[error("cannot be decoded: {0}")]
    Undecodable(String),
    /// The question or the answer cannot be written as bytes.
    #[error("cannot be encoded: {0}")]
    Unencodable(String),
    /// The actor's node is down or cannot be reached. Whether the message was handled is not known.
    #[error("the node is down")]
    NodeDown,
}

impl AskError {
    /// The stable number of this error, 1 to 255, with its text; how it crosses a link. 0 is left for success.
    pub fn to_code(&self) -> (u8, &str) {
        match self {
            AskError::Timeout => (1, ""),
            AskError::NoReply => (2, ""),
            AskError::Full => (3, ""),
            AskError::NotAllowed => (4, ""),
            AskError::Undecodable(text) => (5, text),
            AskError::Unencodable(text) => (6, text),
            AskError::NodeDown => (7, ""),
            AskError::Ended(ExitReason::Normal) => (16, ""),
            AskError::Ended(ExitReason::Killed) => (17, ""),
            AskError::Ended(ExitReason::Crashed(text)) => (18, text),
            AskError::Ended(ExitReason::Linked(text)) => (19, text),
            AskError::Ended(ExitReason::NoProcess) => (20, ""),
            AskError::Ended(ExitReason::NodeDown) => (21, ""),
            AskError::Ended(ExitReason::NotAllowed) => (22, ""),
        }
    }

    /// The error of a number and a text from a link; a number that this version does not know is
    /// [`AskError::NoReply`]. Texts are cut to [`hew_wire::EXIT_TEXT_BYTES_MAX`].
    pub fn from_code(code: u8, text: &str) -> AskError {
        let cut = || match ExitReason::crashed(text) {
            ExitReason::Crashed(text) => text,
            _ => String::new(),
        };
        match code {
            1 => AskError::Timeout,
            3 => AskError::Full,
            4 => AskError::NotAllowed,
            5 => AskError::Undecodable(cut()),
            6 => AskError::Unencodable(cut()),
            7 => AskError::NodeDown,
            16 => AskError::Ended(ExitReason::Normal),
            17 => AskError::Ended(ExitReason::Killed),
            18 => AskError::Ended(ExitReason::crashed(text)),
            19 => AskError::Ended(ExitReason::linked(text)),
            20 => AskError::Ended(ExitReason::NoProcess),
            21 => AskError::Ended(ExitReason::NodeDown),
            22 => AskError::Ended(ExitReason::NotAllowed),
            _ => AskError::NoReply,
        }
    }
}

impl<M> From<SendError<M>> for AskError {
    fn from(error: SendError<M>) -> AskError {
        match error {
            SendError::Full(_) => AskError::Full,
            SendError::Closed { reason: ExitReason::NodeDown, .. } => AskError::NodeDown,
            SendError::Closed { reason, .. } => AskError::Ended(reason),
            SendError::Unencodable { error, .. } => AskError::Unencodable(error),
        }
    }
}

/// A message from the network was not delivered. It was dropped and counted as a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliverError {
    /// There is no such actor: it ended, or belongs to an earlier start of this node.
    #[error("no such process")]
    NoProcess,
    /// Its mailbox is full.
    #[error("the mailbox is full")]
    Full,
    /// The bytes are not a message of this actor.
    #[error("cannot be decoded: {0}")]
    Undecodable(String),
    /// The actor takes no messages as bytes: it was spawned without a decoder.
    #[error("the actor takes no messages from outside")]
    NotRemote,
}

/// An actor was not spawned. Nothing changed; the actor value was dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// The system or its runtime is shutting down.
    #[error("the actor system is shutting down")]
    ShuttingDown,
    /// Only serials from 1 to 1,023 can be asked for.
    #[error("serial {0} cannot be asked for: only 1 to 1023 are for services")]
    SerialNotReserved(u64),
    /// Another service lives at that serial.
    #[error("serial {0} is taken")]
    SerialTaken(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ask_error_survives_its_code() {
        let reasons = [
            ExitReason::Normal,
            ExitReason::Killed,
            ExitReason::crashed("boom"),
            ExitReason::linked("1.2: boom"),
            ExitReason::NoProcess,
            ExitReason::NodeDown,
        ];
        let mut errors: Vec<AskError> = reasons.into_iter().map(AskError::Ended).collect();
        errors.extend([
            AskError::Timeout,
            AskError::NoReply,
            AskError::Full,
            AskError::NotAllowed,
            AskError::Undecodable("x".into()),
            AskError::Unencodable("y".into()),
            AskError::NodeDown,
        ]);
        for error in errors {
            let (code, text) = error.to_code();
            assert_ne!(code, 0);
            assert_eq!(AskError::from_code(code, text), error);
        }
        assert_eq!(AskError::from_code(200, "?"), AskError::NoReply);
    }

    #[test]
    fn send_errors_give_the_message_back_and_convert() {
        struct NotDebug(u8);
        let error = TrySendError::Closed { message: NotDebug(7), reason: ExitReason::Normal };
        assert_eq!(error.to_string(), "the actor has ended: normal");
        assert_eq!(format!("{error:?}"), "Closed { reason: Normal, .. }");
        let error = TrySendError::from(SendError::from(error));
        assert!(!error.is_full());
        assert_eq!(error.into_message().0, 7);
    }
}

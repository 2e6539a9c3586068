//! Why bytes could not be decoded.

/// Bytes that are not what they should be. Nothing was changed by the attempt to read them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the value does.
    #[error("{what}: the bytes end too early")]
    Truncated {
        /// What was being read.
        what: &'static str,
    },
    /// The value ends before the bytes do.
    #[error("{what}: {bytes} bytes follow the value")]
    Trailing {
        /// What was being read.
        what: &'static str,
        /// How many bytes are left over.
        bytes: usize,
    },
    /// A length or a count is over its limit.
    #[error("{what}: {given} is over the limit of {limit}")]
    TooLarge {
        /// What was being read.
        what: &'static str,
        /// The length or count that the bytes declare.
        given: u64,
        /// The limit.
        limit: u64,
    },
    /// Values are nested deeper than the limit.
    #[error("{what}: nested deeper than {limit}")]
    TooDeep {
        /// What was being read.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A value is there but is not a legal one.
    #[error("{what}: {reason}")]
    Invalid {
        /// What was being read.
        what: &'static str,
        /// What is wrong with it; escaped where it quotes the bytes.
        reason: String,
    },
    /// A kind of frame, message or field that this version does not know. Skipping it is safe.
    #[error("{what}: unknown kind {kind}")]
    Unknown {
        /// What was being read.
        what: &'static str,
        /// The kind, escaped.
        kind: String,
    },
}

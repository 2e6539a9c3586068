//! Why a command failed, and the exit code that says so.

use hew_node::{AskError, ConnectError, LookupError, RegisterError, StartError};
use hew_security::{AllowlistFileError, AllowlistFileProblem, KeyFileError};
use std::fmt;

/// The kinds of failure; each has an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anything that is none of the others.
    Failed,
    /// The command line, the configuration or a value in it makes no sense.
    Usage,
    /// Nobody answers at the address.
    Unreachable,
    /// Somebody answers, and refuses this key, node id or cluster; or is refused.
    Denied,
    /// The time that was given is over.
    Timeout,
}

impl Kind {
    /// The exit code.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Unreachable => 3,
            Kind::Denied => 4,
            // As `timeout` of coreutils.
            Kind::Timeout => 124,
        }
    }
}

/// A command failed: what to tell the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(kind: Kind, text: impl fmt::Display) -> Failure {
        Failure { kind, text: text.to_string() }
    }

    pub(crate) fn failed(text: impl fmt::Display) -> Failure {
        Failure::new(Kind::Failed, text)
    }

    pub(crate) fn usage(text: impl fmt::Display) -> Failure {
        Failure::new(Kind::Usage, text)
    }

    /// The same failure, said to be of `what`.
    pub(crate) fn of(self, what: impl fmt::Display) -> Failure {
        Failure { kind: self.kind, text: format!("{what}: {}", self.text) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Failure {
        Failure::failed(error)
    }
}

impl From<AllowlistFileError> for Failure {
    fn from(error: AllowlistFileError) -> Failure {
        match error.problem {
            AllowlistFileProblem::Line(_) | AllowlistFileProblem::NotText { .. } => Failure::usage(error),
            _ => Failure::failed(error),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Failure {
        let kind = match &error {
            StartError::Address { .. }
            | StartError::Name { .. }
            | StartError::NodeId
            | StartError::Range { .. } => Kind::Usage,
            _ => Kind::Failed,
        };
        Failure::new(kind, error)
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Failure {
        let kind = match &error {
            ConnectError::Address(_) => Kind::Usage,
            ConnectError::Failed { code, .. } => kind_of_code(code),
            _ => Kind::Failed,
        };
        Failure::new(kind, error)
    }
}

/// What a dial that failed for the reason `code` is to an operator.
fn kind_of_code(code: &str) -> Kind {
    match code {
        // The other side answers, and does not go on: it is no node, or it is shutting down.
        "connection_refused" | "transport" | "bad_magic" | "refused_busy" => Kind::Unreachable,
        _ if code.starts_with("closed_") => Kind::Unreachable,
        _ if code.starts_with("timeout_") => Kind::Timeout,
        _ if code.starts_with("noise_") => Kind::Denied,
        "refused_not_allowed"
        | "refused_node_id_conflict"
        | "refused_cluster_mismatch"
        | "refused_encryption_required"
        | "unknown_key"
        | "key_pinned_elsewhere"
        | "node_pinned_elsewhere"
        | "revoked_key"
        | "zero_key"
        | "key_mismatch"
        | "reflection"
        | "node_id_conflict"
        | "own_node_id"
        | "unexpected_node"
        | "older_incarnation"
        | "cluster_mismatch"
        | "encryption_required"
        | "plaintext_refused" => Kind::Denied,
        _ => Kind::Failed,
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Failure {
        let kind = match &error {
            AskError::Timeout => Kind::Timeout,
            AskError::NodeDown => Kind::Unreachable,
            AskError::NotAllowed => Kind::Denied,
            _ => Kind::Failed,
        };
        Failure::new(kind, error)
    }
}

impl From<LookupError> for Failure {
    fn from(error: LookupError) -> Failure {
        let kind = if matches!(error, LookupError::Name(_)) { Kind::Usage } else { Kind::Failed };
        Failure::new(kind, error)
    }
}

impl From<RegisterError> for Failure {
    fn from(error: RegisterError) -> Failure {
        let kind = if matches!(error, RegisterError::Name(_)) { Kind::Usage } else { Kind::Failed };
        Failure::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_exit_code() {
        let kinds = [Kind::Failed, Kind::Usage, Kind::Unreachable, Kind::Denied, Kind::Timeout];
        assert_eq!(kinds.map(Kind::exit_code), [1, 2, 3, 4, 124]);
    }

    #[test]
    fn a_refusal_is_not_an_unreachable_address() {
        let check = |code, kind| {
            let error = ConnectError::Failed { cause: "a:1: why".into(), code };
            assert_eq!(Failure::from(error), Failure::new(kind, "a:1: why"), "{code}");
        };
        check("connection_refused", Kind::Unreachable);
        check("transport", Kind::Unreachable);
        check("timeout_hello", Kind::Timeout);
        check("closed_verdict", Kind::Unreachable);
        check("noise_message_2", Kind::Denied);
        check("refused_not_allowed", Kind::Denied);
        check("unknown_key", Kind::Denied);
        check("schema_mismatch", Kind::Failed);
    }
}

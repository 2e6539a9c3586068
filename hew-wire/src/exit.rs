//! Why an actor ended, as monitors, links and supervisors hear it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest text that an exit reason carries, in bytes; longer texts are cut at a character boundary.
pub const EXIT_TEXT_BYTES_MAX: usize = 1024;

/// Why an actor ended, or why it can no longer be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitReason {
    /// It stopped by itself or was asked to stop, and did.
    #[serde(rename = "normal")]
    Normal,
    /// It was ended without being asked.
    #[serde(rename = "killed")]
    Killed,
    /// Its handler reported a failure, or crashed; the text says how.
    #[serde(rename = "crashed")]
    Crashed(String),
    /// A linked actor ended abnormally; the text is that actor's PID and reason.
    #[serde(rename = "linked")]
    Linked(String),
    /// There is no such actor: it ended earlier, or belongs to an earlier incarnation of its node.
    #[serde(rename = "no_process")]
    NoProcess,
    /// Its node is down, left the cluster, or cannot be reached.
    #[serde(rename = "node_down")]
    NodeDown,
    /// Its node does not let this one watch it or be linked to it.
    #[serde(rename = "not_allowed")]
    NotAllowed,
}

impl ExitReason {
    /// [`ExitReason::Crashed`] with the text cut to [`EXIT_TEXT_BYTES_MAX`].
    pub fn crashed(text: impl Into<String>) -> ExitReason {
        ExitReason::Crashed(cut(text.into()))
    }

    /// [`ExitReason::Linked`] with the text cut to [`EXIT_TEXT_BYTES_MAX`].
    pub fn linked(text: impl Into<String>) -> ExitReason {
        ExitReason::Linked(cut(text.into()))
    }

    /// Whether this is the end that was wanted: [`ExitReason::Normal`].
    pub fn is_normal(&self) -> bool {
        matches!(self, ExitReason::Normal)
    }

    /// The number the C ABI gives to this reason: 0 normal, negative otherwise.
    pub fn code(&self) -> i32 {
        match self {
            ExitReason::Normal => 0,
            ExitReason::Crashed(_) => -1,
            ExitReason::Killed => -2,
            ExitReason::Linked(_) => -3,
            ExitReason::NoProcess => -16,
            ExitReason::NodeDown => -17,
            ExitReason::NotAllowed => -18,
        }
    }
}

fn cut(mut text: String) -> String {
    if text.len() > EXIT_TEXT_BYTES_MAX {
        let end = (0..=EXIT_TEXT_BYTES_MAX).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitReason::Normal => f.write_str("normal"),
            ExitReason::Killed => f.write_str("killed"),
            ExitReason::Crashed(text) => write!(f, "crashed: {}", text.escape_debug()),
            ExitReason::Linked(text) => write!(f, "linked actor ended: {}", text.escape_debug()),
            ExitReason::NoProcess => f.write_str("no such process"),
            ExitReason::NodeDown => f.write_str("node down"),
            ExitReason::NotAllowed => f.write_str("not allowed by its node"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let ExitReason::Crashed(text) = ExitReason::crashed("é".repeat(1000)) else { panic!("not crashed") };
        assert_eq!(text.len(), 1024);
        let ExitReason::Crashed(text) = ExitReason::crashed(format!("x{}", "é".repeat(1000))) else {
            panic!("not crashed")
        };
        assert_eq!(text.len(), 1023);
    }
}

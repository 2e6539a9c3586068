//! What the demo found out, and how it is shown.

use serde::Serialize;

/// The result of a demo; `--json` prints it as one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Report {
    /// Whether everything happened that should.
    pub(super) ok: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// Processes that were a node of the cluster.
    pub(super) nodes: usize,
    /// Whether every link that any node had to any other was seen to be encrypted, and with the other's own key.
    pub(super) encrypted: bool,
    /// Links that were looked at, each from both ends.
    pub(super) link_ends: usize,
    /// Messages that were sent to a living node; questions not counted.
    pub(super) messages: u64,
    /// Of these, how many the counters had not counted when they were asked.
    pub(super) lost: u64,
    /// The total of the first counter.
    pub(super) total: u64,
    /// The total of the second counter, on another node.
    pub(super) total_after_failover: u64,
    /// Messages per second that the first counter got, from both senders together.
    pub(super) messages_per_second: u64,
    /// From SIGKILL until the last of the others said that the node is down.
    pub(super) detected_down_ms: Option<u64>,
    /// From SIGKILL until the new counter had been started and registered.
    pub(super) restarted_ms: Option<u64>,
    /// From SIGKILL until the third node had an answer of the new counter.
    pub(super) failover_ms: Option<u64>,
    /// The whole demo.
    pub(super) elapsed_ms: u64,
}

impl Report {
    /// The end of the story, for people.
    pub(super) fn summary(&self) -> String {
        let ms = |value: Option<u64>| value.map_or("never".into(), |ms| format!("{ms} ms"));
        let encrypted = if self.encrypted { "all encrypted" } else { "NOT all encrypted" };
        format!(
            "\nSummary\n  nodes                  {} processes, {} link ends seen, {encrypted}\n  \
             messages               {} sent to living nodes, {} lost, {} per second before the crash\n  \
             totals                 {} before the crash, {} after it at the new counter\n  \
             crash noticed by all   after {}\n  \
             counter running again  after {}\n  \
             used by node 3 again   after {}\n  \
             everything took        {:.1} s",
            self.nodes,
            self.link_ends,
            self.messages,
            self.lost,
            self.messages_per_second,
            self.total,
            self.total_after_failover,
            ms(self.detected_down_ms),
            ms(self.restarted_ms),
            ms(self.failover_ms),
            self.elapsed_ms as f64 / 1000.0,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_has_the_promised_fields() {
        let report = Report { nodes: 3, encrypted: true, detected_down_ms: Some(5), ..Report::default() };
        let object = serde_json::to_value(&report).unwrap();
        for field in ["nodes", "encrypted", "messages", "lost", "detected_down_ms", "failover_ms"] {
            assert!(object.get(field).is_some(), "{field}");
        }
        assert!(object.get("error").is_none());
        assert!(report.summary().contains("3 processes"));
    }
}

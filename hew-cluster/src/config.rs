//! The settings of SWIM, and three sets of them.

use crate::swim::{MEMBERS_MAX, SEEDS_MAX};
use hew_wire::membership::is_member_address;
use std::time::Duration;

/// Settings of [`Swim`](crate::Swim). All nodes of a cluster should have the same.
///
/// Start from a preset, [`lan`](SwimConfig::lan) (also the default), [`fast`](SwimConfig::fast) or
/// [`local`](SwimConfig::local), and change what must differ. *T* is [`probe_interval`](SwimConfig::probe_interval).
#[derive(Clone, Debug, PartialEq)]
pub struct SwimConfig {
    /// T: every T this node pings one member; a member that cannot be reached by the end of the T is suspected.
    /// Everything else scales with it. Smaller finds crashes sooner and costs more messages and more false alarms;
    /// it should be at least 50 round-trip times. 10 ms to 1 h.
    pub probe_interval: Duration,
    /// Shortest time to wait for a ping's answer before others are asked to help. The wait adapts to the round-trip
    /// time that was measured, three times its 99th percentile, between this and T/2. At least a scheduling delay of
    /// a busy machine; at most T/2.
    pub ping_timeout_min: Duration,
    /// How many others are asked to ping a member that did not answer (k of the paper). More help against broken
    /// paths; three is enough for 25 % loss. 0 to 16; 0 makes every broken path a suspicion.
    pub indirect_probes: usize,
    /// How often news are passed on while there are any. The first push of fresh news does not wait for it. News
    /// reach all N members in about log2(N) + 2 of these. 1 ms to T.
    pub gossip_interval: Duration,
    /// To how many random members news are passed on each time. 1 to 16.
    pub gossip_fanout: usize,
    /// Each piece of news is sent ceil(this × log2(N + 1)) times by each member. 1 to 16; below 3, some members miss news
    /// under loss and learn them by [`sync_interval`](SwimConfig::sync_interval) only.
    pub retransmit_factor: u32,
    /// Suspicion lasts at least this many T, so that the suspect has time to refute: and never less than two times
    /// news need to go around, whoever says what; only
    /// [`refused_suspicion`](SwimConfig::refused_suspicion) is shorter. 1 to 100.
    pub suspicion_periods_min: u32,
    /// Suspicion that nobody else confirms lasts this many times the shortest one. 1 to 100; 1 turns the waiting for
    /// confirmation off.
    pub suspicion_factor_max: u32,
    /// How many others must confirm a suspicion to make it the shortest (K of Lifeguard). 0 to 3; fewer members than
    /// that make it fewer.
    pub confirmations: usize,
    /// How long a member is suspected whose link broke, or whom others suspect, and whose machine then refused the
    /// connection: the process is gone, in all likelihood. No suspicion is shorter. It should be longer than two
    /// gossip intervals and a round trip, so that a member which only stopped listening can refute.
    pub refused_suspicion: Duration,
    /// How often the whole table is compared with that of one random member, to repair what gossip missed.
    pub sync_interval: Duration,
    /// How often, at random times, a member that was declared dead or a seed that is not in the cluster is dialled, so
    /// that the parts of a cluster find each other again. Each node does it with probability 3/N each time.
    pub heal_interval: Duration,
    /// For how long after its death a member is dialled in that way. Seeds are dialled for ever.
    pub dead_dialled: Duration,
    /// While at least three members, and at least a third of all, are suspected by this node itself, it takes itself for
    /// the one that is cut off, and its suspicions last this much longer. Members whose death others declare, or
    /// whose machine refuses connections, are not spared. 0 turns it off.
    pub isolation_hold: Duration,
    /// How long leaving waits for acknowledgements.
    pub leave_timeout: Duration,
    /// Most members in the table, with those that are dead or have left: 2 to 65,535 (the default). One takes about
    /// 300 bytes and its address.
    pub members_max: usize,
    /// Addresses through which the cluster can be found; at most [`SEEDS_MAX`]. The caller dials them at the start; the
    /// machine asks for it again, now and then, whenever none of the members is known to be behind one.
    pub seeds: Vec<String>,
}

/// A setting is out of its range, or does not fit to another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("membership setting {setting}: {rule}")]
pub struct InvalidConfig {
    /// The name of the field.
    pub setting: &'static str,
    /// What it must be.
    pub rule: &'static str,
}

impl SwimConfig {
    /// For machines in one data centre: T = 1 s. A silent crash is known to all after 4 to 5 s, a killed process after 0.5 s.
    pub fn lan() -> SwimConfig {
        SwimConfig::scaled(Duration::from_secs(1))
    }

    /// For a quiet network and machines that are not overloaded: T = 250 ms, four times the messages of
    /// [`lan`](SwimConfig::lan). A silent crash is known to all after 1 to 1.3 s, a killed process after 0.5 s.
    pub fn fast() -> SwimConfig {
        SwimConfig::scaled(Duration::from_millis(250))
    }

    /// For processes on one machine, and for tests: T = 100 ms.
    pub fn local() -> SwimConfig {
        SwimConfig {
            refused_suspicion: Duration::from_millis(200),
            ..SwimConfig::scaled(Duration::from_millis(100))
        }
    }

    fn scaled(t: Duration) -> SwimConfig {
        let gossip_interval = t / 5;
        SwimConfig {
            probe_interval: t,
            ping_timeout_min: Duration::from_millis(20),
            indirect_probes: 3,
            gossip_interval,
            gossip_fanout: 3,
            retransmit_factor: 3,
            suspicion_periods_min: 3,
            suspicion_factor_max: 6,
            confirmations: 3,
            refused_suspicion: (2 * gossip_interval).max(Duration::from_millis(500)),
            sync_interval: 10 * t,
            heal_interval: 10 * t,
            dead_dialled: Duration::from_secs(24 * 3600),
            isolation_hold: 10 * t,
            leave_timeout: Duration::from_secs(1),
            members_max: MEMBERS_MAX,
            seeds: Vec::new(),
        }
    }

    /// Checks every range that the fields' documentation gives.
    ///
    /// # Errors
    /// [`InvalidConfig`] names the first setting that is out of its range.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let check = |ok: bool, setting: &'static str, rule: &'static str| {
            if ok { Ok(()) } else { Err(InvalidConfig { setting, rule }) }
        };
        let (ms, hour, day) =
            (Duration::from_millis(1), Duration::from_secs(3600), Duration::from_secs(86_400));
        let t = self.probe_interval;
        check((10 * ms..=hour).contains(&t), "probe_interval", "must be 10 ms to 1 h")?;
        check((ms..=t / 2).contains(&self.ping_timeout_min), "ping_timeout_min", "must be 1 ms to T/2")?;
        check(self.indirect_probes <= 16, "indirect_probes", "must be at most 16")?;
        check((ms..=t).contains(&self.gossip_interval), "gossip_interval", "must be 1 ms to T")?;
        check((1..=16).contains(&self.gossip_fanout), "gossip_fanout", "must be 1 to 16")?;
        check((1..=16).contains(&self.retransmit_factor), "retransmit_factor", "must be 1 to 16")?;
        check((1..=100).contains(&self.suspicion_periods_min), "suspicion_periods_min", "must be 1 to 100")?;
        check((1..=100).contains(&self.suspicion_factor_max), "suspicion_factor_max", "must be 1 to 100")?;
        check(self.confirmations <= 3, "confirmations", "must be at most 3")?;
        let refused = 2 * self.gossip_interval..=hour;
        check(
            refused.contains(&self.refused_suspicion),
            "refused_suspicion",
            "must be 2 gossip intervals to 1 h",
        )?;
        check((10 * ms..=day).contains(&self.sync_interval), "sync_interval", "must be 10 ms to 24 h")?;
        check((10 * ms..=day).contains(&self.heal_interval), "heal_interval", "must be 10 ms to 24 h")?;
        check(self.dead_dialled <= 365 * day, "dead_dialled", "must be at most 365 days")?;
        check(self.isolation_hold <= day, "isolation_hold", "must be at most 24 h")?;
        check(self.leave_timeout <= hour, "leave_timeout", "must be at most 1 h")?;
        check((2..=MEMBERS_MAX).contains(&self.members_max), "members_max", "must be 2 to 65,535")?;
        check(self.seeds.len() <= SEEDS_MAX, "seeds", "must be at most 64 addresses")?;
        let legal = self.seeds.iter().all(|seed| !seed.is_empty() && is_member_address(seed));
        check(legal, "seeds", "must be 1 to 255 bytes each, without control characters")
    }
}

impl Default for SwimConfig {
    /// [`SwimConfig::lan`].
    fn default() -> SwimConfig {
        SwimConfig::lan()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_legal() {
        for preset in [SwimConfig::lan(), SwimConfig::fast(), SwimConfig::local()] {
            preset.validate().unwrap();
        }
    }

    #[test]
    fn a_setting_out_of_range_is_named() {
        let check = |setting: &str, change: fn(&mut SwimConfig)| {
            let mut config = SwimConfig::lan();
            change(&mut config);
            assert_eq!(config.validate().unwrap_err().setting, setting);
        };
        check("probe_interval", |c| c.probe_interval = Duration::ZERO);
        check("ping_timeout_min", |c| c.ping_timeout_min = Duration::from_secs(1));
        check("gossip_fanout", |c| c.gossip_fanout = 0);
        check("refused_suspicion", |c| c.refused_suspicion = Duration::ZERO);
        check("members_max", |c| c.members_max = 65_536);
        check("seeds", |c| c.seeds = vec![String::new()]);
        check("seeds", |c| c.seeds = vec!["h:1".into(); 65]);
    }
}

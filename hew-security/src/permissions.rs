//! What a peer may do with the actors of a node, beside being connected to it.

use std::fmt::{self, Debug, Display};
use std::str::FromStr;

/// Something that a peer may or may not do. Answers, and what membership says, need no permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Permission {
    /// Send messages to actors, and ask them.
    Send = 0,
    /// Learn names, members, and what the node says of itself; take part in the registry.
    Lookup = 1,
    /// Be told when an actor ends.
    Monitor = 2,
    /// Start actors.
    Spawn = 3,
    /// End actors, by asking or by force.
    Kill = 4,
    /// Link actors, and send them exit signals.
    ExitSignals = 5,
    /// Have keys revoked.
    Administration = 6,
}

impl Permission {
    /// All of them, in the order of their numbers.
    pub const ALL: [Permission; 7] = [
        Permission::Send,
        Permission::Lookup,
        Permission::Monitor,
        Permission::Spawn,
        Permission::Kill,
        Permission::ExitSignals,
        Permission::Administration,
    ];

    /// Its name in allowlists, counters and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Permission::Send => "send",
            Permission::Lookup => "lookup",
            Permission::Monitor => "monitor",
            Permission::Spawn => "spawn",
            Permission::Kill => "kill",
            Permission::ExitSignals => "exit_signals",
            Permission::Administration => "administration",
        }
    }
}

/// What one peer may do. Default: everything but [`Permission::Administration`].
///
/// As text: names with commas in between, `all`, or `none`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Permissions(u8);

impl Permissions {
    /// Nothing: the peer may be connected, be a member, and be sent to and answer.
    pub const NONE: Permissions = Permissions(0);
    /// Everything.
    pub const ALL: Permissions = Permissions((1 << Permission::ALL.len()) - 1);

    /// These and one more.
    pub const fn with(self, permission: Permission) -> Permissions {
        Permissions(self.0 | 1 << permission as u8)
    }

    /// These without one.
    pub const fn without(self, permission: Permission) -> Permissions {
        Permissions(self.0 & !(1 << permission as u8))
    }

    /// Whether it is among them.
    pub const fn has(self, permission: Permission) -> bool {
        self.0 & 1 << permission as u8 != 0
    }

    /// A bit for each, by its number.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The opposite of [`Permissions::bits`]; bits without a meaning are left out.
    pub const fn from_bits(bits: u8) -> Permissions {
        Permissions(bits & Permissions::ALL.0)
    }
}

impl Default for Permissions {
    fn default() -> Permissions {
        Permissions::ALL.without(Permission::Administration)
    }
}

impl Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Permissions::NONE => f.write_str("none"),
            Permissions::ALL => f.write_str("all"),
            some => {
                let mut names = Permission::ALL.into_iter().filter(|permission| some.has(*permission));
                names.next().map_or(Ok(()), |first| f.write_str(first.name()))?;
                names.try_for_each(|permission| write!(f, ",{}", permission.name()))
            }
        }
    }
}

impl Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permissions({self})")
    }
}

/// A text that names no permission.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} is no permission: send, lookup, monitor, spawn, kill, exit_signals, administration; or all, or none"
)]
pub struct UnknownPermission {
    /// What stands there, cut to 64 characters.
    pub found: String,
}

impl FromStr for Permissions {
    type Err = UnknownPermission;

    fn from_str(text: &str) -> Result<Permissions, UnknownPermission> {
        match text {
            "all" => return Ok(Permissions::ALL),
            "none" => return Ok(Permissions::NONE),
            _ => {}
        }
        text.split(',').try_fold(Permissions::NONE, |permissions, name| {
            let permission = Permission::ALL.into_iter().find(|permission| permission.name() == name);
            let unknown = || UnknownPermission { found: name.chars().take(64).collect() };
            permission.map(|permission| permissions.with(permission)).ok_or_else(unknown)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_reads_back() {
        for bits in 0..=Permissions::ALL.bits() {
            let permissions = Permissions::from_bits(bits);
            assert_eq!(permissions.to_string().parse(), Ok(permissions));
            for permission in Permission::ALL {
                assert!(permissions.with(permission).has(permission));
                assert!(!permissions.without(permission).has(permission));
            }
        }
        assert_eq!(Permissions::from_bits(0xFF), Permissions::ALL);
        assert!(!Permissions::default().has(Permission::Administration));
        assert_eq!(Permissions::default().to_string(), "send,lookup,monitor,spawn,kill,exit_signals");
    }

    #[test]
    fn what_is_no_permission_is_named() {
        for (text, found) in
            [("", ""), ("send,", ""), ("send,fly", "fly"), ("Send", "Send"), ("all,send", "all")]
        {
            let error = text.parse::<Permissions>().unwrap_err();
            assert_eq!(error.found, found, "{text:?}");
        }
        let long = "x".repeat(1000).parse::<Permissions>().unwrap_err();
        assert_eq!(long.found.len(), 64);
    }
}

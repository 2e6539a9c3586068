//! Whether a link is encrypted: this side's own decision, never a consequence of what the peer says.

use crate::HandshakeError;

/// How much encryption this side asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Policy {
    /// Every link is encrypted; a peer that cannot is refused.
    #[default]
    Required,
    /// Links are encrypted when the peer can; a peer that cannot is accepted from a local address only, and then
    /// nothing it says about itself is proven. No protection against an active attacker on such an address.
    Optional,
    /// Nothing is encrypted and nothing is proven; local addresses only.
    Off,
}

/// The policy, and whether plaintext may leave the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) policy: Policy,
    pub(crate) plaintext_to_remote: bool,
}

impl Rules {
    /// Whether every connection with such an address is refused, whatever the peer says.
    pub(crate) fn refuses_all(self, peer_is_local: bool) -> bool {
        self.policy == Policy::Off && !peer_is_local && !self.plaintext_to_remote
    }

    /// Whether the link will be encrypted, from what the peer offers.
    pub(crate) fn encrypted(self, peer_offers: bool, peer_is_local: bool) -> Result<bool, HandshakeError> {
        match self.policy {
            Policy::Required | Policy::Optional if peer_offers => Ok(true),
            Policy::Required => Err(HandshakeError::EncryptionRequired),
            Policy::Optional | Policy::Off if peer_is_local || self.plaintext_to_remote => Ok(false),
            Policy::Optional | Policy::Off => Err(HandshakeError::PlaintextRefused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s15_exactly_one_setting_accepts_plaintext_from_a_remote_address() {
        let mut accepting = Vec::new();
        // `plaintext_to_remote` is set by one constructor, which sets the policy to Off.
        let settings =
            [(Policy::Required, false), (Policy::Optional, false), (Policy::Off, false), (Policy::Off, true)];
        for (policy, plaintext_to_remote) in settings {
            let rules = Rules { policy, plaintext_to_remote };
            if rules.encrypted(false, false) == Ok(false) || rules.encrypted(true, false) == Ok(false) {
                accepting.push((policy, plaintext_to_remote));
            }
        }
        assert_eq!(accepting, [(Policy::Off, true)]);
    }

    #[test]
    fn the_table_of_decisions() {
        use HandshakeError::{EncryptionRequired, PlaintextRefused};
        let check = |policy, peer_offers, peer_is_local, expected: Result<bool, HandshakeError>| {
            let rules = Rules { policy, plaintext_to_remote: false };
            assert_eq!(
                rules.encrypted(peer_offers, peer_is_local),
                expected,
                "{policy:?} {peer_offers} {peer_is_local}"
            );
        };
        for local in [false, true] {
            check(Policy::Required, true, local, Ok(true));
            check(Policy::Required, false, local, Err(EncryptionRequired));
            check(Policy::Optional, true, local, Ok(true));
        }
        check(Policy::Optional, false, true, Ok(false));
        check(Policy::Optional, false, false, Err(PlaintextRefused));
        check(Policy::Off, true, true, Ok(false));
        check(Policy::Off, false, true, Ok(false));
        check(Policy::Off, true, false, Err(PlaintextRefused));
        check(Policy::Off, false, false, Err(PlaintextRefused));
    }
}

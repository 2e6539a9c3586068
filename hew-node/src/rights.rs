//! What peers may do here, checked where they do it, and again whenever the authenticator changes its mind.

use crate::core::Core;
use crate::events::NodeEvent;
use crate::link::peer::{Peer, Standing};
use crate::shared::Shared;
use crate::stack::Stack;
use futures_lite::future;
use hew_security::{
    AllowlistFile, Authenticator, Denied, HandshakeError, Permission, Permissions, PublicKey, Reload, Rights,
};
use hew_wire::control::Control;
use hew_wire::{NodeId, Pid};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the allowlist, and the file that it follows, are looked at: who is let in no longer is out within a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A peer is told, and a log written, of a permission that it lacks at most so often.
const DENIED_EVERY: Duration = Duration::from_secs(1);
/// Revoked keys that are passed on to nodes that come later.
const PASSED_ON_MAX: usize = 1024;

/// What one peer may do, and when it was last told that it may not.
#[derive(Debug)]
pub(crate) struct PeerRights {
    permissions: AtomicU8,
    told: Mutex<Told>,
}

/// When something was said last, for each permission.
#[derive(Debug, Default)]
struct Told {
    by_us: [Option<Instant>; Permission::ALL.len()],
    by_them: [Option<Instant>; Permission::ALL.len()],
}

impl Default for PeerRights {
    fn default() -> PeerRights {
        PeerRights { permissions: AtomicU8::new(Permissions::NONE.bits()), told: Mutex::default() }
    }
}

impl PeerRights {
    #[inline]
    pub(crate) fn has(&self, permission: Permission) -> bool {
        // Nothing else hangs on it: a change holds from some message on.
        Permissions::from_bits(self.permissions.load(Ordering::Relaxed)).has(permission)
    }

    pub(crate) fn set(&self, permissions: Permissions) {
        self.permissions.store(permissions.bits(), Ordering::Relaxed);
    }

    /// Whether it is time to tell the peer that it lacks this; it counts as told.
    fn is_to_be_told(&self, now: Instant, permission: Permission) -> bool {
        is_due(&mut self.told().by_us[permission as usize], now)
    }

    /// Whether it is worth hearing from the peer that this node lacks this.
    fn is_to_be_heard(&self, now: Instant, permission: Permission) -> bool {
        is_due(&mut self.told().by_them[permission as usize], now)
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        // Only times are written under this lock.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_due(last: &mut Option<Instant>, now: Instant) -> bool {
    let due = last.is_none_or(|last| now >= last + DENIED_EVERY);
    if due {
        *last = Some(now);
    }
    due
}

/// The revoked keys that this node has passed on.
#[derive(Debug, Default)]
pub(crate) struct PassedOn(Mutex<BTreeSet<PublicKey>>);

impl PassedOn {
    fn add(&self, key: PublicKey) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() < PASSED_ON_MAX {
            keys.insert(key);
        } else {
            tracing::error!(%key, "too many revoked keys: nodes that come later are not told of this one");
        }
    }

    fn all(&self) -> Vec<PublicKey> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}

/// Why a peer that was welcome is not any more.
pub(crate) fn not_allowed(peer: &hew_security::Peer, denied: Denied) -> HandshakeError {
    HandshakeError::NotAllowed { node: peer.node, key: peer.key, denied }
}

impl Shared {
    /// Whether `peer` may do this to `target`; if not, that is counted, and the peer is told now and then.
    #[inline]
    pub(crate) fn may(&self, peer: &Arc<Peer>, permission: Permission, target: Pid) -> bool {
        peer.rights().has(permission) || self.deny(peer, permission, target)
    }

    #[cold]
    fn deny(&self, peer: &Arc<Peer>, permission: Permission, target: Pid) -> bool {
        self.stats.denied(permission.name());
        if peer.rights().is_to_be_told(self.runtime.now(), permission) {
            tracing::warn!(
                node = %self.id, peer = %peer.node, permission = permission.name(), %target,
                "refused: the peer lacks the permission"
            );
            let permission = permission.name().to_owned();
            self.send_control(peer, &Control::Denied { permission, target });
        }
        false
    }

    /// `peer` says that this node lacks a permission there.
    pub(crate) fn receive_denied(&self, peer: &Arc<Peer>, permission: &str, target: Pid) {
        let known = Permission::ALL.into_iter().find(|known| known.name() == permission);
        // Of a later version, or made up; and a peer that says it all the time must not push other events out.
        let Some(permission) = known.filter(|known| peer.rights().is_to_be_heard(self.runtime.now(), *known))
        else {
            self.skip_unknown();
            return;
        };
        tracing::warn!(
            node = %self.id, peer = %peer.node, permission = permission.name(), %target,
            "the peer refuses what this node may not do there"
        );
        self.events.publish(&NodeEvent::Denied { node: peer.node, permission, target });
    }
}

impl<S: Stack> Core<S> {
    /// Follows what the authenticator says, and `file`, until the node stops.
    pub(crate) async fn watch_rights(self: Arc<Self>, mut file: Option<AllowlistFile>) {
        // At first everybody is looked at: some may have been connected before this began.
        let mut seen = None;
        while !self.is_stopping() {
            if let Some(file) = &mut file {
                self.follow(file);
            }
            // Read before looking: what changes meanwhile is looked at the next time.
            let generation = self.authenticator.generation();
            if seen != Some(generation) {
                seen = Some(generation);
                self.check_all_rights();
            }
            future::or(self.shared.runtime.sleep(LOOK_EVERY), self.stopped()).await;
        }
    }

    fn follow(&self, file: &mut AllowlistFile) {
        let path = file.path().display().to_string();
        match file.reload_if_changed() {
            Ok(Reload::Unchanged) => {}
            Ok(Reload::Replaced) => tracing::info!(node = %self.shared.id, %path, "allowlist reloaded"),
            Err(error) => {
                tracing::error!(node = %self.shared.id, %error, "the allowlist stays as it was");
                self.shared.events.publish(&NodeEvent::AllowlistUnreadable { cause: error.to_string() });
            }
        }
    }

    fn check_all_rights(&self) {
        self.shared.peers.all().iter().for_each(|peer| self.check_rights(peer));
    }

    /// Asks the authenticator anew about a peer that there is a session with, connected or not.
    pub(crate) fn check_rights(&self, peer: &Arc<Peer>) {
        loop {
            let generation = self.authenticator.generation();
            self.check_rights_once(peer);
            // Two who do this at the same time might leave the older answer.
            if self.authenticator.generation() == generation {
                return;
            }
        }
    }

    fn check_rights_once(&self, peer: &Arc<Peer>) {
        let Some(proven) = peer.proven() else { return };
        let (denied, is_over) = match self.authenticator.rights(&proven) {
            Rights::Granted(permissions) => return peer.rights().set(permissions),
            Rights::Retired(denied) => (denied, false),
            Rights::Refused(denied) => (denied, true),
        };
        let error = not_allowed(&proven, denied);
        let (reason, cause) = (error.reason_code(), error.to_string());
        self.shared.stats.refusal(reason);
        tracing::warn!(node = %self.shared.id, peer = %peer.node, reason, cause, "not welcome any more");
        if is_over {
            self.expel(peer, cause);
        } else {
            // With its other key it finds the session again.
            peer.close();
        }
    }

    /// Trusts a key no more, and has the others do so too. Returns whether that was news.
    pub(crate) fn revoke(&self, key: &PublicKey, from: Option<NodeId>) -> bool {
        if !self.authenticator.revoke(key) {
            return false;
        }
        tracing::warn!(node = %self.shared.id, %key, from = ?from, "key revoked");
        self.passed_on.add(*key);
        self.check_all_rights();
        for peer in self.shared.peers.all() {
            // Also to those whose connection is idle or broken at this moment: it waits for the next one.
            if peer.standing() == Standing::Reachable && Some(peer.node) != from {
                self.shared.send_control(&peer, &Control::Revoke { key: key.to_hex() });
            }
        }
        true
    }

    /// Tells a node that comes later which keys were revoked.
    pub(crate) fn pass_revocations_on(&self, peer: &Arc<Peer>) {
        // Not what was allowed again since.
        for key in self.passed_on.all().into_iter().filter(|key| self.authenticator.is_revoked(key)) {
            self.shared.send_control(peer, &Control::Revoke { key: key.to_hex() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_told_once_a_second_of_each_permission() {
        let (rights, start) = (PeerRights::default(), Instant::now());
        assert!(!rights.has(Permission::Send));
        rights.set(Permissions::NONE.with(Permission::Send));
        assert!(rights.has(Permission::Send) && !rights.has(Permission::Kill));
        let at = |ms| start + Duration::from_millis(ms);
        assert!(rights.is_to_be_told(at(0), Permission::Kill));
        assert!(!rights.is_to_be_told(at(999), Permission::Kill));
        assert!(rights.is_to_be_told(at(999), Permission::Monitor));
        assert!(rights.is_to_be_heard(at(999), Permission::Kill));
        assert!(rights.is_to_be_told(at(1000), Permission::Kill));
    }
}

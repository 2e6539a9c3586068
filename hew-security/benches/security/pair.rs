//! Two nodes that shake hands in memory.

use crate::measure::Failure;
use hew_security::danger::keypair_from_seed;
use hew_security::{
    Admission, Allowlist, Authenticator, Entry, Established, Exchange, Handshake, HandshakeOutput, NoiseXx,
    Opener, Sealer, Setup,
};
use hew_wire::{Extension, Incarnation, Name, NodeId, Role};
use std::time::Instant;

/// One node: what it proves itself with, and what it says.
pub(crate) struct Node {
    authenticator: NoiseXx,
    setup: Setup,
    extension: Extension,
}

/// A dialer and a listener, each on the allowlist of the other.
pub(crate) struct Pair {
    pub(crate) dialer: Node,
    listener: Node,
}

impl Node {
    fn new(id: u16, allowlist: Allowlist, now: Instant, finish: impl Fn(NoiseXx) -> NoiseXx) -> Node {
        Node {
            authenticator: finish(NoiseXx::new(keypair_from_seed(id.into()), allowlist)),
            setup: Setup::new(now, NodeId::from_raw(id)),
            extension: Extension {
                incarnation: Incarnation(u64::from(id)),
                node_name: Name::new("a-node-of-a-cluster").ok(),
                cluster: Name::new("benchmark").expect("a name"),
                role: Role::Member,
                version_min: 1,
                version_max: 1,
                frame_bytes_max: 64 << 20,
                listen: Some(format!("tcp://10.0.0.{id}:9000")),
                session: 0,
                fresh: 1,
                received: 0,
                compression: 1,
            },
        }
    }

    pub(crate) fn features_of_hello(&self) -> u32 {
        self.authenticator.features()
    }
}

impl Pair {
    pub(crate) fn new(finish: impl Fn(NoiseXx) -> NoiseXx) -> Pair {
        #[allow(
            clippy::disallowed_methods,
            reason = "an `Instant` has no other origin; which one does not matter"
        )]
        let now = Instant::now();
        let entry = |id: u16| Entry::new(keypair_from_seed(id.into()).public(), Some(NodeId::from_raw(id)));
        let node = |id| Node::new(id, Allowlist::strict([entry(1), entry(2)]), now, &finish);
        Pair { dialer: node(1), listener: node(2) }
    }

    /// A whole handshake, from the first hello to the last verdict.
    pub(crate) fn shake_hands(&self) -> Result<(Established, Established), Failure> {
        let (one, two) = (&self.dialer, &self.listener);
        let mut dialer = one.authenticator.dial(one.setup.clone());
        let mut listener = two.authenticator.accept(two.setup.clone());
        loop {
            let (bytes, dialer_is_up) = drain(&mut dialer, one)?;
            hear(&mut listener, two, &bytes)?;
            let (bytes, listener_is_up) = drain(&mut listener, two)?;
            hear(&mut dialer, one, &bytes)?;
            if let Some(listener_is_up) = listener_is_up {
                let (_, dialer_is_up) = drain(&mut dialer, one)?;
                return Ok((dialer_is_up.ok_or("the dialer is not up")?, listener_is_up));
            }
            if dialer_is_up.is_some() || bytes.is_empty() {
                return Err("the handshake stands still".into());
            }
        }
    }

    /// Both ends of what the dialer sends.
    pub(crate) fn direction(&self) -> Result<(Sealer, Opener), Failure> {
        self.shake_hands().map(|(dialer, listener)| (dialer.sealer, listener.opener))
    }

    pub(crate) fn x25519_computations(&self) -> u64 {
        self.dialer.authenticator.x25519_computations() + self.listener.authenticator.x25519_computations()
    }
}

/// Offers all of `bytes`, with the answers of the node in between.
fn hear(handshake: &mut Exchange, node: &Node, bytes: &[u8]) -> Result<(), Failure> {
    let taken = handshake.handle_bytes(node.setup.now, bytes)?;
    if taken == bytes.len() { Ok(()) } else { Err("a handshake left bytes".into()) }
}

/// Carries out what the handshake asks for.
fn drain(handshake: &mut Exchange, node: &Node) -> Result<(Vec<u8>, Option<Established>), Failure> {
    let mut sent = Vec::new();
    while let Some(output) = handshake.poll() {
        match output {
            HandshakeOutput::Send(bytes) => sent.extend_from_slice(&bytes),
            HandshakeOutput::Admit { .. } => {
                let extension = node.extension.clone();
                handshake.handle_admission(node.setup.now, Admission::Accept { extension })?;
            }
            HandshakeOutput::Confirm { .. } => handshake.handle_confirmation(node.setup.now, Ok(()))?,
            HandshakeOutput::Established(established) => return Ok((sent, Some(established))),
        }
    }
    Ok((sent, None))
}

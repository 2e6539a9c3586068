//! What came over a connection in one read, on its way to actors.
//!
//! Of messages that follow one another to the same actor, each costs its decoding and a place in a vector; looking the actor
//! up, locking its mailbox and waking it is done once for all of them. A message that comes alone goes the short way.

use super::peer::Peer;
use crate::crossing::Crossing;
use crate::shared::Shared;
use crate::stats::Count;
use hew_actor::{AskError, Inbox};
use hew_wire::Pid;
use hew_wire::frame::{Frame, FrameKind, MessageHead};
use std::sync::Arc;

/// Actors for which messages are gathered at the same time.
const INBOXES_MAX: usize = 16;

/// See the module's documentation. Messages from one sender to one actor keep their order.
#[derive(Default)]
pub(super) struct Arrivals {
    inboxes: Vec<(Pid, Inbox)>,
}

impl Arrivals {
    /// Takes a message; `rest` is what follows it in its record.
    pub(super) fn add(
        &mut self,
        shared: &Arc<Shared>,
        peer: &Arc<Peer>,
        head: &MessageHead,
        payload: &[u8],
        rest: &[u8],
    ) {
        if !shared.may_send(peer, head) {
            return;
        }
        match self.inbox(shared, head, rest) {
            Some(inbox) => {
                let crossing = Crossing::incoming(shared, peer.node, head.reply);
                let limit = shared.bounds.payload_bytes_max;
                if payload.len() > limit {
                    return shared.refuse_too_large(&crossing);
                }
                match crossing.enter(|| inbox.gather(head.msg_type, payload)) {
                    // A question whose message has no place for a reply address will never be answered otherwise.
                    Ok(()) => crossing.refuse(AskError::NoReply),
                    Err(error) => shared.refuse(&crossing, error),
                }
            }
            None => shared.receive_message(peer, head, payload),
        }
    }

    /// Where messages to the target are gathered, if more than this one is to come.
    fn inbox(&mut self, shared: &Shared, head: &MessageHead, rest: &[u8]) -> Option<&mut Inbox> {
        if let Some(place) = self.inboxes.iter().position(|(pid, _)| *pid == head.target) {
            return Some(&mut self.inboxes[place].1);
        }
        if head.target.node() != shared.id || next_target(rest) != Some(head.target) {
            return None;
        }
        let inbox = shared.system.inbox(head.target)?;
        if self.inboxes.len() == INBOXES_MAX {
            self.deliver(shared);
        }
        self.inboxes.push((head.target, inbox));
        self.inboxes.last_mut().map(|(_, inbox)| inbox)
    }

    /// Puts everything into the mailboxes.
    pub(super) fn deliver(&mut self, shared: &Shared) {
        let (mut accepted, mut refused) = (0, 0);
        for (_, mut inbox) in self.inboxes.drain(..) {
            let delivered = inbox.deliver();
            accepted += delivered.accepted;
            refused += delivered.refused;
        }
        shared.stats.add(Count::MessagesReceived, accepted);
        shared.stats.refused("full", refused);
    }
}

/// The target of the message that comes next, if one does.
fn next_target(rest: &[u8]) -> Option<Pid> {
    let (frame, _) = Frame::split(rest).ok()?;
    if frame.header.kind != FrameKind::Message as u8 {
        return None;
    }
    MessageHead::decode(&frame).ok().map(|(head, _)| head.target)
}

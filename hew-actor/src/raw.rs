//! Actors that speak bytes: compiled programs, C, other languages.

use crate::boundary;
use crate::cell::Decoder;
use crate::reply::RawReply;
use std::sync::Arc;

/// A message as bytes, as it comes from a link or through the C ABI.
#[derive(Debug, Default)]
pub struct RawMessage {
    /// Which of the receiver's messages it is; negative numbers belong to the system.
    pub msg_type: i32,
    /// The content; MessagePack by convention, verbatim in any case.
    pub payload: Vec<u8>,
    /// Where to send the answer, if the sender waits for one.
    pub reply: Option<RawReply>,
}

impl RawMessage {
    /// A message without an answer.
    pub fn new(msg_type: i32, payload: impl Into<Vec<u8>>) -> RawMessage {
        RawMessage { msg_type, payload: payload.into(), reply: None }
    }

    /// The decoder of actors whose message this is: copies the payload and takes the frame's reply address, if any.
    pub fn decoder() -> Decoder<RawMessage> {
        Arc::new(|msg_type, payload| {
            let reply = boundary::with_current("a raw message", |boundary| boundary.import_frame_reply())
                .ok()
                .map(RawReply::from_remote_raw);
            Ok(RawMessage { msg_type, payload: payload.to_vec(), reply })
        })
    }
}

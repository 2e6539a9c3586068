//! A sample: a value, its bytes, and how bytes are told from it.

use hew_wire::DecodeError;
use hew_wire::control::Control;
use hew_wire::frame::{Frame, FrameKind, LANE_CONTROL, write_frame};
use std::fmt::Display;

/// What the bytes of a sample are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A part of the handshake.
    Handshake,
    /// A whole frame.
    Frame,
}

/// A value with a name, and everything the tests ask of it.
pub(crate) struct Sample {
    /// The file's name without its extension.
    pub(crate) name: String,
    /// One line that says what it is.
    pub(crate) comment: String,
    pub(crate) subject: Subject,
    /// The value in its encoding.
    pub(crate) bytes: Vec<u8>,
    /// Whether other bytes have the same meaning; an error if they have none.
    pub(crate) is: Box<Is>,
}

type Is = dyn Fn(&[u8]) -> Result<bool, String>;

impl Sample {
    /// A sample of `bytes` that `read` understands as `value`.
    pub(crate) fn new<T: PartialEq + 'static, E: Display>(
        subject: Subject,
        name: impl Into<String>,
        comment: &str,
        bytes: Vec<u8>,
        value: T,
        read: impl Fn(&[u8]) -> Result<T, E> + 'static,
    ) -> Sample {
        let is = move |bytes: &[u8]| read(bytes).map(|read| read == value).map_err(|error| error.to_string());
        Sample { name: name.into(), comment: comment.into(), subject, bytes, is: Box::new(is) }
    }

    /// A frame that `read` understands as `value`, on the lane and with the flags that it has now.
    pub(crate) fn frame<T: PartialEq + 'static>(
        name: &str,
        comment: &str,
        bytes: Vec<u8>,
        value: T,
        read: impl Fn(&Frame<'_>) -> Result<T, DecodeError> + 'static,
    ) -> Sample {
        let (frame, _) = Frame::split(&bytes).unwrap();
        let (kind, lane, flags) = (frame.header.kind, frame.header.lane, frame.header.flags);
        Sample::new(Subject::Frame, name, comment, bytes, (kind, lane, flags, value), move |bytes| {
            let (frame, rest) = Frame::split(bytes)?;
            if !rest.is_empty() {
                return Err(DecodeError::Trailing { what: "frame", bytes: rest.len() });
            }
            Ok((frame.header.kind, frame.header.lane, frame.header.flags, read(&frame)?))
        })
    }

    /// A control message in its frame.
    pub(crate) fn control(name: &str, comment: &str, control: Control) -> Sample {
        let (mut body, mut bytes) = (Vec::new(), Vec::new());
        control.encode(&mut body).unwrap();
        write_frame(&mut bytes, FrameKind::Control, LANE_CONTROL, 0, &[&body]);
        let name = format!("control_{name}");
        Sample::frame(&name, comment, bytes, control, |frame| Control::decode(frame.body))
    }
}

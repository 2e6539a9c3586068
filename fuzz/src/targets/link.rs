//! What comes over a link: frames, control messages, fragments.

use hew_wire::DecodeError;
use hew_wire::control::Control;
use hew_wire::frame::{
    FRAME_HEADER_BYTES, FragmentHead, Frame, FrameKind, MessageHead, ReplyHead, read_number,
};

/// However the bytes arrive, the same frames come out; and each of them is written as it was read. The first byte says
/// how large the pieces are.
pub(crate) fn frames(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let mut at_once = Vec::new();
    let mut rest = bytes;
    while let Ok((frame, after)) = Frame::split(rest) {
        assert_eq!(frame.encoded_bytes(), rest.len() - after.len());
        look_inside(&frame);
        at_once.push((frame.header, frame.body.to_vec()));
        rest = after;
    }

    let mut in_pieces = Vec::new();
    let mut buffer = Vec::new();
    for piece in bytes.chunks(usize::from(*cut).max(1)) {
        buffer.extend_from_slice(piece);
        while let Ok((frame, after)) = Frame::split(&buffer) {
            in_pieces.push((frame.header, frame.body.to_vec()));
            buffer = after.to_vec();
        }
    }
    assert_eq!(in_pieces, at_once);
    assert_eq!(buffer, rest);

    let mut written = Vec::new();
    for (header, body) in &at_once {
        written.extend(header.encode());
        written.extend(body);
    }
    assert_eq!(written, bytes[..bytes.len() - rest.len()]);
}

fn look_inside(frame: &Frame<'_>) {
    let mut again = Vec::new();
    let Some(kind) = FrameKind::from_u8(frame.header.kind) else { return };
    match kind {
        FrameKind::Message => match MessageHead::decode(frame) {
            Ok((head, payload)) => head.write(&mut again, frame.header.lane, payload),
            Err(_) => return,
        },
        FrameKind::Reply => match ReplyHead::decode(frame) {
            Ok((head, value)) => head.write(&mut again, frame.header.lane, value),
            Err(_) => return,
        },
        FrameKind::Fragment => match FragmentHead::decode(frame) {
            Ok((head, part)) => {
                assert!(!part.is_empty() && head.offset as usize + part.len() <= head.total as usize);
                head.write(&mut again, frame.header.lane, part);
            }
            Err(_) => return,
        },
        FrameKind::Start | FrameKind::Ack => {
            let _ = read_number(frame);
            return;
        }
        FrameKind::Control | FrameKind::Heartbeat | FrameKind::Goodbye => return,
    }
    assert_eq!(again[FRAME_HEADER_BYTES..], *frame.body, "{kind:?}");
}

/// A control message that is read is written and read again as the same.
pub(crate) fn control(bytes: &[u8]) {
    let Ok(control) = Control::decode(bytes) else { return };
    let mut written = Vec::new();
    match control.encode(&mut written) {
        Ok(()) => assert_eq!(Control::decode(&written).as_ref(), Ok(&control)),
        // What was read in a form shorter than ours.
        Err(DecodeError::TooLarge { .. }) => assert!(written.is_empty()),
        Err(error) => panic!("{control:?}: {error}"),
    }
}

/// See [`hew_node::fuzzing::reassemble`].
pub(crate) fn reassembly(bytes: &[u8]) {
    hew_node::fuzzing::reassemble(bytes);
}

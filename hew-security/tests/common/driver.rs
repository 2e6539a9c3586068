//! What a driver of handshakes relies on, of whichever authenticator.

use super::*;
use hew_security::Stage;
use hew_wire::RefusalStatus;

/// All of it. `make` gives the authenticator of a node, `setup` what its handshakes begin with.
pub(crate) fn check_all<A: Authenticator>(make: impl Fn(u16) -> A, setup: impl Fn(u16) -> Setup) {
    let (one, two) = (make(1), make(2));
    let link = || Link::new(End::dialer(&one, setup(1)), End::listener(&two, setup(2)));
    goes_through_in_pieces_of_any_size(&link);
    refusals_reach_the_other_side(&link);
    takes_nothing_while_the_node_decides(&link);
    ends_at_the_deadline_for_ever(&link);
    names_the_end_of_the_connection(&link);
}

fn goes_through_in_pieces_of_any_size<H: Handshake>(link: &impl Fn() -> Link<H>) {
    for chunk in [1, 2, 3, 7, 48, 49, 50, usize::MAX] {
        let link = link().run_with(chunk, &mut |_, _, _| {});
        assert!(link.is_up(), "pieces of {chunk}: {:?}", link.reasons());
        for (end, id) in [(&link.dialer, 2), (&link.listener, 1)] {
            let established = end.established.as_ref().unwrap();
            assert_eq!(established.peer.node, node(id));
            assert_eq!(established.extension, extension(id));
            assert_eq!(end.confirmed, Some((established.peer, extension(id))));
            assert_eq!(end.handshake.poll_timeout(), None);
            assert!(end.incoming.is_empty());
        }
        link.assert_carries_records();
    }
}

fn refusals_reach_the_other_side<H: Handshake>(link: &impl Fn() -> Link<H>) {
    let refusal = |status| Some(Refusal::new(status, "because"));
    let check = |change: &dyn Fn(&mut Link<H>), expected: (&str, &str)| {
        let mut link = link();
        change(&mut link);
        let link = link.run();
        assert_eq!(link.reasons(), expected);
        assert!(link.dialer.established.is_none() && link.listener.established.is_none());
    };
    use RefusalStatus::{Busy, ClusterMismatch};
    check(&|link| link.listener.refuse_hello = refusal(Busy), ("refused_busy", "busy"));
    check(&|link| link.dialer.refuse_hello = refusal(Busy), ("busy", "refused_busy"));
    check(
        &|link| link.listener.refuse_identity = refusal(ClusterMismatch),
        ("refused_cluster_mismatch", "cluster_mismatch"),
    );
    // A dialer that dislikes the listener says nothing to it.
    check(
        &|link| link.dialer.refuse_identity = refusal(ClusterMismatch),
        ("cluster_mismatch", "closed_message_3"),
    );
}

fn takes_nothing_while_the_node_decides<H: Handshake>(link: &impl Fn() -> Link<H>) {
    let Link { mut dialer, listener: End { handshake: mut listener, .. } } = link();
    let hello = dialer.drain();
    let with_more = [&hello[..], &[0, 1, 2]].concat();
    assert_eq!(listener.handle_bytes(start(), &with_more), Ok(hello.len()));
    assert_eq!(listener.handle_bytes(start(), &with_more[hello.len()..]), Ok(0));
    assert!(matches!(listener.poll(), Some(HandshakeOutput::Admit { .. })));
    let out_of_turn = HandshakeError::OutOfTurn { verb: "handle_confirmation" };
    assert_eq!(listener.handle_confirmation(start(), Ok(())), Err(out_of_turn));
    let admission = Admission::Accept { extension: extension(2) };
    assert_eq!(listener.handle_admission(start(), admission.clone()), Ok(()), "nothing was changed by that");
    let out_of_turn = HandshakeError::OutOfTurn { verb: "handle_admission" };
    assert_eq!(listener.handle_admission(start(), admission), Err(out_of_turn));
    assert_eq!(listener.handle_bytes(start(), &[0]), Ok(1));
}

fn ends_at_the_deadline_for_ever<H: Handshake>(link: &impl Fn() -> Link<H>) {
    let Link { mut dialer, mut listener } = link();
    let hello = dialer.drain();
    // The question to the node is void once the time is over.
    assert_eq!(listener.handshake.handle_bytes(start(), &hello), Ok(hello.len()));
    for (end, stage) in [(&mut dialer, Stage::Hello), (&mut listener, Stage::Decision)] {
        assert_eq!(end.handshake.poll_timeout(), Some(after_ms(5_000)));
        assert_eq!(end.handshake.handle_timeout(after_ms(4_999)), Ok(()));
        let timeout = HandshakeError::Timeout { stage };
        assert_eq!(end.handshake.handle_timeout(after_ms(5_000)), Err(timeout.clone()));
        assert_eq!(end.handshake.handle_bytes(after_ms(5_001), &[0]), Err(timeout.clone()));
        assert_eq!(end.handshake.handle_end(), timeout);
        assert_eq!(end.handshake.poll_timeout(), None);
        assert!(end.handshake.poll().is_none(), "nobody is told");
    }
}

fn names_the_end_of_the_connection<H: Handshake>(link: &impl Fn() -> Link<H>) {
    let mut dialer = link().dialer;
    let _ = dialer.drain();
    assert_eq!(dialer.handshake.handle_end(), HandshakeError::Closed { stage: Stage::Hello });
    assert_eq!(dialer.handshake.poll_timeout(), None);
}

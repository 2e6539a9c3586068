//! The scripted authenticator under the drivers of the others, and each of its fates.

#[path = "../../tests/common/mod.rs"]
mod common;

use super::*;
use crate::Stage;
use common::driver;
use common::*;
use hew_wire::RefusalStatus;

fn busy() -> Refusal {
    Refusal::new(RefusalStatus::Busy, "because")
}

/// Node 1 dials node 2; each has its authenticator.
fn run(dialer: &Scripted, listener: &Scripted) -> Link<ScriptedHandshake> {
    Link::new(End::dialer(dialer, remote(1)), End::listener(listener, remote(2))).run()
}

#[test]
fn drivers_can_rely_on_a_scripted_authenticator() {
    driver::check_all(|_| Scripted::new(), remote);
}

#[test]
fn peers_count_as_proven_on_every_address() {
    let link = run(&Scripted::new(), &Scripted::new());
    for (end, id) in [(&link.dialer, 2), (&link.listener, 1)] {
        let established = end.established.as_ref().unwrap();
        assert_eq!((established.peer.node, established.peer.proven), (node(id), true));
        assert_eq!(end.confirmed.as_ref().unwrap().0, established.peer);
        assert!(!established.encrypted);
    }
}

#[test]
fn every_run_sends_the_same_bytes() {
    let sent = || {
        let link = run(&Scripted::new(), &Scripted::new());
        (link.dialer.sent, link.listener.sent)
    };
    assert_eq!(sent(), sent());
}

#[test]
fn each_fate_meets_the_handshake_for_which_it_was_said() {
    let check = |dials: Option<Fate>, accepts: Option<Fate>, expected: (&str, &str)| {
        let (one, two) = (Scripted::new(), Scripted::new());
        let shown = format!("{dials:?} {accepts:?}");
        dials.into_iter().for_each(|fate| one.next_dial(fate));
        accepts.into_iter().for_each(|fate| two.next_accept(fate));
        let link = run(&one, &two);
        assert_eq!(link.reasons(), expected, "{shown}");
        assert!(!link.is_up() && link.dialer.confirmed.is_none() | link.listener.confirmed.is_none());
        assert_eq!(one.fates_left() + two.fates_left(), 0);
        assert!(run(&one, &two).is_up(), "the next goes on again, after {shown}");
    };
    use Fate::{Fails, RefusesHello, RefusesIdentity};
    check(None, Some(RefusesHello(busy())), ("refused_busy", "busy"));
    check(Some(RefusesHello(busy())), None, ("busy", "refused_busy"));
    check(None, Some(RefusesIdentity(busy())), ("refused_busy", "busy"));
    check(Some(RefusesIdentity(busy())), None, ("busy", "closed_message_3"));
    check(None, Some(Fails(HandshakeError::Entropy)), ("closed_hello", "entropy"));
}

#[test]
fn a_refused_hello_does_not_reach_the_node() {
    let two = Scripted::new();
    two.next_accept(Fate::RefusesHello(busy()));
    let link = run(&Scripted::new(), &two);
    assert!(link.listener.hello.is_none());
    two.next_accept(Fate::RefusesIdentity(busy()));
    let link = run(&Scripted::new(), &two);
    assert!(link.listener.hello.is_some() && link.listener.confirmed.is_none());
}

#[test]
fn a_silent_handshake_times_out() {
    let (one, two) = (Scripted::new(), Scripted::new());
    two.next_accept(Fate::IsSilent);
    let mut link = run(&one, &two);
    assert_eq!(link.reasons(), ("none", "none"));
    assert!(link.listener.sent.is_empty() && link.listener.incoming.is_empty());
    let timeout = HandshakeError::Timeout { stage: Stage::Hello };
    for end in [&mut link.dialer, &mut link.listener] {
        assert_eq!(end.handshake.poll_timeout(), Some(after_ms(5_000)));
        assert_eq!(end.handshake.handle_timeout(after_ms(4_999)), Ok(()));
        assert_eq!(end.handshake.handle_timeout(after_ms(5_000)), Err(timeout.clone()));
        assert_eq!(end.handshake.poll_timeout(), None);
    }
    one.next_dial(Fate::IsSilent);
    assert!(run(&one, &two).dialer.sent.is_empty(), "not even a hello");
}

#[test]
fn a_failure_is_due_at_once_and_stays() {
    let one = Scripted::new();
    one.next_dial(Fate::Fails(HandshakeError::Entropy));
    let mut dialer = End::dialer(&one, remote(1));
    assert!(dialer.drain().is_empty());
    assert_eq!(dialer.handshake.poll_timeout(), Some(start()));
    assert_eq!(dialer.handshake.handle_timeout(start()), Err(HandshakeError::Entropy));
    assert_eq!(dialer.handshake.poll_timeout(), None);
    assert_eq!(dialer.handshake.handle_bytes(start(), &[0]), Err(HandshakeError::Entropy));
    assert_eq!(dialer.handshake.handle_end(), HandshakeError::Entropy);
}

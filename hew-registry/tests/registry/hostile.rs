//! A peer that is authenticated and lies: nothing panics, nothing grows without bound, and owners have the last word.

use crate::simulation::{Cluster, ms, name, node};
use hew_registry::{Config, PeerEvent, Registry, RegistryError, RegistryMessage};
use hew_wire::registry::{
    Delete, DeleteReason, OwnerDigest, PAGE_DELETES_MAX, PAGE_PUTS_MAX, Page, Pull, Put,
};
use hew_wire::{Incarnation, NodeId, Pid};
use proptest::prelude::*;

fn put(owner: u16, seq: u64, text: &str) -> Put {
    let pid = Pid::new(NodeId::from_raw(owner), seq.wrapping_add(9000));
    Put { seq, name: name(text), pid, stamp: 1, priority: 0 }
}

fn delete(seq: u64, text: &str) -> Delete {
    Delete { seq, name: name(text), reason: DeleteReason::Unregistered }
}

/// A page that is right in itself: the changes `after + 1` to `upto` of the log of `owner`.
fn page(cluster: &Cluster, owner: u16, after: u64, upto: u64) -> Page {
    Page {
        owner: NodeId::from_raw(owner),
        incarnation: cluster.nodes.get(&owner).map_or(Incarnation(1), |member| member.incarnation),
        scan: None,
        after,
        upto,
        head: upto,
        answer: None,
        end: false,
        forward: false,
        puts: Vec::new(),
        deletes: Vec::new(),
    }
}

/// Nodes 1, 2 and 3; node 2 owns `a`, `b` and `c`; node 3 is the one in whose name the tests lie to node 1.
fn cluster() -> Cluster {
    let mut cluster = Cluster::new(3, Config::default(), 1);
    for text in ["a", "b", "c"] {
        cluster.register(2, text).unwrap();
    }
    cluster.run(ms(20));
    cluster
}

fn check_refused(
    message: impl Fn(&Cluster) -> RegistryMessage,
    is_expected: impl Fn(&RegistryError) -> bool,
) {
    let mut cluster = cluster();
    let before = (cluster.nodes[&1].table.names(), cluster.nodes[&1].gossip.fingerprint());
    let message = message(&cluster);
    let error = cluster.inject(3, 1, message.clone()).expect_err("it breaks a rule");
    assert!(is_expected(&error), "{error} for {message:?}");
    let after = (cluster.nodes[&1].table.names(), cluster.nodes[&1].gossip.fingerprint());
    assert_eq!(before, after, "{message:?}");
    assert_eq!(cluster.nodes[&1].gossip.stats().messages_refused, 1);
}

#[test]
fn a_log_gives_names_to_its_own_actors_only() {
    check_refused(
        |cluster| RegistryMessage::Page(Page { puts: vec![put(1, 4, "x")], ..page(cluster, 2, 3, 4) }),
        |error| matches!(error, RegistryError::ForeignPid { owner, pid } if *owner == node(2) && pid.node() == node(1)),
    );
}

#[test]
fn pages_that_contradict_themselves_are_refused() {
    type Lie = fn(Page) -> Page;
    let lies: [Lie; 10] = [
        |page| Page { after: 5, ..page },
        |page| Page { head: 3, ..page },
        |page| Page { scan: Some(5), ..page },
        |page| Page { puts: vec![put(2, 3, "x")], ..page },
        |page| Page { puts: vec![put(2, 5, "x")], ..page },
        |page| Page { puts: vec![put(2, 4, "x"), put(2, 4, "y")], ..page },
        |page| Page { after: 0, puts: vec![put(2, 2, "x"), put(2, 1, "y")], ..page },
        |page| Page { deletes: vec![delete(3, "a")], ..page },
        |page| Page { puts: (0..=PAGE_PUTS_MAX as u64).map(|i| put(2, 4 + i, "x")).collect(), ..page },
        |page| Page { deletes: (0..=PAGE_DELETES_MAX as u64).map(|i| delete(4 + i, "x")).collect(), ..page },
    ];
    for lie in lies {
        check_refused(
            |cluster| RegistryMessage::Page(lie(page(cluster, 2, 3, 4))),
            |error| matches!(error, RegistryError::BadPage { owner, .. } if *owner == node(2)),
        );
    }
}

#[test]
fn node_0_has_no_log() {
    let is_no_owner = |error: &RegistryError| *error == RegistryError::NoOwner;
    check_refused(|cluster| RegistryMessage::Page(page(cluster, 0, 0, 0)), is_no_owner);
    let owner = NodeId::LOCAL;
    let digest = OwnerDigest { owner, incarnation: Incarnation(1), seq: 1, content: 1 };
    check_refused(|_| RegistryMessage::Digest { owners: vec![digest], reply: true }, is_no_owner);
}

#[test]
fn copies_have_limits() {
    let config = Config { names_per_owner_max: 5, names_max: 8, ..Config::default() };
    let mut cluster = Cluster::new(3, config, 1);
    let puts = |owner, count| (1..=count).map(|i| put(owner, i, &format!("{owner}/{i}"))).collect();
    let lie = Page { puts: puts(2, 11), ..page(&cluster, 2, 0, 11) };
    let error = cluster.inject(2, 1, RegistryMessage::Page(lie)).unwrap_err();
    assert_eq!(error, RegistryError::OwnerFull { owner: node(2), limit: 10 });
    let lie = Page { puts: puts(2, 7), ..page(&cluster, 2, 0, 7) };
    cluster.inject(2, 1, RegistryMessage::Page(lie)).unwrap();
    let lie = Page { puts: puts(3, 2), ..page(&cluster, 3, 0, 2) };
    let error = cluster.inject(3, 1, RegistryMessage::Page(lie)).unwrap_err();
    assert_eq!(error, RegistryError::TableFull { limit: 8 });
    assert_eq!(cluster.nodes[&1].gossip.names_held(), 7);
}

#[test]
fn strangers_are_not_heard() {
    let mut cluster = cluster();
    cluster.disconnect(1, 3);
    let message = RegistryMessage::Summary { fingerprint: 0 };
    assert_eq!(cluster.inject(3, 1, message.clone()), Err(RegistryError::NoSession { from: node(3) }));
    assert_eq!(cluster.inject(77, 1, message), Err(RegistryError::NoSession { from: node(77) }));
}

#[test]
fn what_others_say_about_my_own_log_is_ignored() {
    let mut cluster = cluster();
    cluster.register(1, "mine").unwrap();
    cluster.run(ms(20));
    let lie = Page { deletes: vec![delete(2, "mine")], ..page(&cluster, 1, 1, 2) };
    cluster.inject(3, 1, RegistryMessage::Page(lie)).unwrap();
    assert!(cluster.nodes[&1].table.lookup("mine").is_some());
    assert_eq!(cluster.nodes[&1].gossip.stats().pages_ignored, 1);
    cluster.check_agreement("nothing happened");
}

fn check_repaired(lie: impl Fn(&Cluster) -> Page) {
    let mut cluster = cluster();
    let lie = lie(&cluster);
    cluster.inject(3, 1, RegistryMessage::Page(lie.clone())).unwrap();
    assert_ne!(
        cluster.nodes[&1].table.names(),
        cluster.nodes[&2].table.names(),
        "the lie is believed at first"
    );
    cluster.run(ms(10_000));
    cluster.check_agreement(&format!("after {lie:?}"));
    assert!(cluster.nodes[&1].gossip.stats().rereads > 0);
    // And the copy can be continued.
    let pid = cluster.register(2, "d").unwrap();
    cluster.run(ms(20));
    assert_eq!(cluster.found("d"), (3, [pid].into()));
}

#[test]
fn owners_have_the_last_word() {
    // Changes that the owner never made.
    check_repaired(|cluster| Page { puts: vec![put(2, 4, "x")], ..page(cluster, 2, 3, 4) });
    check_repaired(|cluster| Page { deletes: vec![delete(4, "a")], ..page(cluster, 2, 3, 4) });
    check_repaired(|cluster| Page {
        puts: vec![put(2, u64::MAX, "x")],
        deletes: vec![delete(u64::MAX - 1, "a")],
        ..page(cluster, 2, 0, u64::MAX)
    });
}

#[test]
fn a_copy_of_the_right_length_and_wrong_content_is_found() {
    let mut cluster = Cluster::new(3, Config::default(), 1);
    cluster.disconnect(1, 2);
    cluster.register(2, "a").unwrap();
    let lie = Page { puts: vec![put(2, 1, "b")], ..page(&cluster, 2, 0, 1) };
    cluster.inject(3, 1, RegistryMessage::Page(lie)).unwrap();
    assert!(cluster.nodes[&1].table.lookup("b").is_some());
    cluster.connect(1, 2);
    cluster.run(ms(5000));
    assert!(cluster.nodes[&1].table.lookup("b").is_none());
    cluster.check_agreement("after the owner's digest");
}

#[test]
fn a_repair_that_breaks_off_leaves_a_copy_that_others_can_read() {
    let mut cluster = Cluster::new(3, Config::default(), 1);
    for i in 0..5000 {
        cluster.register(2, &format!("n{i}")).unwrap();
    }
    cluster.run(ms(500));
    cluster.disconnect(1, 2);
    cluster.register(2, "right").unwrap();
    let lie = Page { puts: vec![put(2, 5001, "wrong")], ..page(&cluster, 2, 5000, 5001) };
    cluster.inject(3, 1, RegistryMessage::Page(lie)).unwrap();
    cluster.connect(1, 2);
    // The digest arrives, the pull leaves, the first pages come.
    cluster.run(ms(14));
    assert_eq!(cluster.nodes[&1].gossip.stats().rereads, 0, "not finished");
    cluster.disconnect(1, 2);
    cluster.boot(4);
    cluster.connect(4, 1);
    cluster.run(ms(1000));
    assert!(cluster.nodes[&4].table.len() >= 5000);
    cluster.connect(1, 2);
    cluster.connect(4, 2);
    cluster.run(ms(10_000));
    cluster.check_agreement("after the second try");
}

#[test]
fn an_offer_that_is_not_kept_blocks_a_pull_for_a_while_only() {
    let mut cluster = Cluster::new(3, Config::default(), 1);
    cluster.disconnect(1, 2);
    for i in 0..10 {
        cluster.register(2, &format!("n{i}")).unwrap();
    }
    let incarnation = cluster.nodes[&2].incarnation;
    let digest = OwnerDigest { owner: node(2), incarnation, seq: u64::MAX, content: 1 };
    cluster.inject(3, 1, RegistryMessage::Digest { owners: vec![digest], reply: false }).unwrap();
    cluster.connect(1, 2);
    cluster.run(ms(10_000));
    cluster.check_agreement("after the lie");
}

#[test]
fn digests_of_unknown_nodes_cause_nothing() {
    let mut cluster = cluster();
    let pulls = cluster.nodes[&1].gossip.stats().pulls_sent;
    for owner in 100..2000 {
        let owner = node(owner);
        let digest = OwnerDigest { owner, incarnation: Incarnation(u64::MAX), seq: u64::MAX, content: 1 };
        cluster.inject(3, 1, RegistryMessage::Digest { owners: vec![digest], reply: false }).unwrap();
    }
    assert_eq!(cluster.nodes[&1].gossip.stats().pulls_sent, pulls);
    cluster.run(ms(5000));
    cluster.check_agreement("after the lies");
}

#[test]
fn floods_are_answered_within_limits() {
    let mut cluster = Cluster::new(3, Config::default(), 1);
    for i in 0..2000 {
        cluster.register(1, &format!("n{i}")).unwrap();
    }
    cluster.run(ms(100));
    let now = cluster.now;
    let incarnation = cluster.nodes[&1].incarnation;
    let gossip = &mut cluster.nodes.get_mut(&1).unwrap().gossip;
    for i in 0..10_000 {
        let pull = Pull { number: i, owner: node(1), incarnation, after: 0, scan: None };
        gossip.handle_message(now, node(3), RegistryMessage::Pull(pull)).unwrap();
        gossip.handle_message(now, node(3), RegistryMessage::Summary { fingerprint: i }).unwrap();
    }
    let answers = std::iter::from_fn(|| gossip.poll()).count();
    assert!(answers <= 1 + 4, "one digest, one answer; {answers}");
    let pull = Pull { number: 1, owner: node(9), incarnation, after: 0, scan: None };
    gossip.handle_message(now, node(3), RegistryMessage::Pull(pull)).unwrap();
    assert_eq!(gossip.poll(), None);
    assert_eq!(gossip.stats().pulls_unserved, 1);
}

fn arbitrary_name() -> impl Strategy<Value = String> {
    prop_oneof!["[abc]", "z[0-9]"]
}

/// Numbers near those that are in use, and at the ends.
fn arbitrary_seq() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..8u64, 1 => Just(u64::MAX), 1 => Just(u64::MAX - 1), 1 => any::<u64>()]
}

/// The incarnation of a node of [`cluster`], or another one.
fn arbitrary_incarnation() -> impl Strategy<Value = Incarnation> {
    prop_oneof![6 => 101..104u64, 1 => Just(0), 1 => Just(u64::MAX)].prop_map(Incarnation)
}

fn arbitrary_page() -> impl Strategy<Value = RegistryMessage> {
    let puts = prop::collection::vec((arbitrary_seq(), arbitrary_name(), any::<u64>(), 0..9u8), 0..4);
    let deletes = prop::collection::vec((arbitrary_seq(), arbitrary_name()), 0..4);
    let range = (arbitrary_seq(), arbitrary_seq(), arbitrary_seq(), prop::option::of(arbitrary_seq()));
    let answer = prop::option::of(0..9u64);
    let flags = any::<[bool; 3]>();
    (0..5u16, arbitrary_incarnation(), range, answer, flags, puts, deletes).prop_map(
        |(owner, incarnation, (after, upto, head, scan), answer, [end, forward, sorted], puts, deletes)| {
            let mut ends = [after, upto, head];
            let mut puts: Vec<Put> = puts
                .into_iter()
                // Under its own id the liar claims other names: with those of node 2 it would simply win them.
                .map(|(seq, text, stamp, priority)| {
                    let text = if owner == 2 { text } else { format!("y{text}") };
                    Put { stamp, priority, ..put(owner, seq, &text) }
                })
                .collect();
            let mut deletes: Vec<Delete> =
                deletes.into_iter().map(|(seq, text)| delete(seq, &text)).collect();
            if sorted {
                // Most random pages contradict themselves; these do not.
                ends.sort_unstable();
                puts.sort_by_key(|put| put.seq);
                puts.dedup_by_key(|put| put.seq);
                puts.retain(|put| (ends[0].saturating_add(1)..=ends[1]).contains(&put.seq));
                deletes.sort_by_key(|delete| delete.seq);
                deletes.dedup_by_key(|delete| delete.seq);
                deletes.retain(|delete| (ends[0].saturating_add(1)..=ends[1]).contains(&delete.seq));
            }
            let [after, upto, head] = ends;
            let owner = NodeId::from_raw(owner);
            RegistryMessage::Page(Page {
                owner,
                incarnation,
                scan,
                after,
                upto,
                head,
                answer,
                end,
                forward,
                puts,
                deletes,
            })
        },
    )
}

fn arbitrary_message() -> impl Strategy<Value = RegistryMessage> {
    let owners =
        prop::collection::vec((0..5u16, arbitrary_incarnation(), arbitrary_seq(), any::<u64>()), 0..4);
    let digest = (owners, any::<bool>()).prop_map(|(owners, reply)| RegistryMessage::Digest {
        owners: owners
            .into_iter()
            .map(|(owner, incarnation, seq, content)| OwnerDigest {
                owner: NodeId::from_raw(owner),
                incarnation,
                seq,
                content,
            })
            .collect(),
        reply,
    });
    let pull = (0..5u16, arbitrary_incarnation(), arbitrary_seq(), prop::option::of(arbitrary_seq()))
        .prop_map(|(owner, incarnation, after, scan)| {
            let owner = NodeId::from_raw(owner);
            RegistryMessage::Pull(Pull { number: after, owner, incarnation, after, scan })
        });
    prop_oneof![
        1 => any::<u64>().prop_map(|fingerprint| RegistryMessage::Summary { fingerprint }),
        2 => digest,
        2 => pull,
        6 => arbitrary_page(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Node 3 says anything at all to node 1, and then goes away. Node 1 shows the names of node 2 again.
    #[test]
    fn anything_a_peer_says_is_survived(
        messages in prop::collection::vec((arbitrary_message(), 0..20u64), 1..40),
    ) {
        let mut cluster = cluster();
        for (message, pause) in messages {
            let _ = cluster.inject(3, 1, message);
            cluster.run(ms(pause));
        }
        for other in [1, 2] {
            cluster.disconnect(other, 3);
            cluster.membership(other, 3, PeerEvent::NodeLeft);
        }
        cluster.run(ms(15_000));
        cluster.nodes.remove(&3);
        cluster.check_agreement("after the liar left");
        for member in cluster.nodes.values_mut() {
            prop_assert_eq!(member.gossip.names_held(), 3);
            prop_assert_eq!(member.gossip.poll(), None);
        }
    }
}

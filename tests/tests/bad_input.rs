//! Bad input in Rust: each gives a typed error that names the thing and the cause, and leaves nothing behind.

use hew_node::{ConnectError, LookupError, Node, NodeBuilder, NodeId, Pid, RegisterError, StartError};
use hew_tests::actors::{Counter, CounterActor, Journal};
use std::time::Duration;

fn id(id: u16) -> NodeId {
    NodeId::from_raw(id)
}

fn start(builder: NodeBuilder) -> Result<Node, StartError> {
    futures_lite::future::block_on(builder.start())
}

/// The error of a node that must not start, and whose text must hold all of `texts`.
fn refused(builder: NodeBuilder, texts: &[&str]) -> StartError {
    let error = start(builder).expect_err("it must not start");
    for text in texts {
        assert!(error.to_string().contains(text), "{text:?} is not in {error}");
    }
    error
}

#[test]
fn settings_are_refused_by_name() {
    let node = || Node::builder(id(1));
    assert!(matches!(refused(Node::builder(id(0)), &["1 to 65535"]), StartError::NodeId));
    for (builder, setting) in [
        (node().listen("127.0.0.1"), "listen"),
        (node().listen("127.0.0.1:0").advertise("somewhere:99999"), "advertise"),
        (node().join("http://127.0.0.1:1"), "join"),
    ] {
        assert!(
            matches!(refused(builder, &[setting]), StartError::Address { setting: given, .. } if given == setting)
        );
    }
    assert!(matches!(refused(node().cluster(""), &["cluster", "empty"]), StartError::Name { .. }));
    assert!(matches!(refused(node().name("a\nb"), &["name", "\\n"]), StartError::Name { .. }));
    assert!(matches!(refused(node().workers(0), &["workers", "0"]), StartError::Range { .. }));
    assert!(matches!(refused(node().payload_bytes_max(1), &["payload_bytes_max"]), StartError::Range { .. }));
    for none_or_many in [0, 257] {
        let builder = node().half_open_per_address(none_or_many);
        assert!(matches!(refused(builder, &["half_open_per_address"]), StartError::Range { .. }));
    }
    assert!(matches!(
        refused(node().accepts_per_second(0), &["accepts_per_second"]),
        StartError::Range { .. }
    ));
    assert!(matches!(
        refused(node().outgoing_bytes_max(1), &["outgoing_bytes_max"]),
        StartError::Range { .. }
    ));
}

#[test]
fn a_busy_port_is_named() {
    let first = start(Node::builder(id(1)).listen("127.0.0.1:0")).expect("a free port");
    let address = first.local_addr().expect("it listens").to_string();
    let error = refused(Node::builder(id(2)).listen(address.clone()), &[&address, "in use"]);
    assert!(matches!(error, StartError::Listen(_)));
    futures_lite::future::block_on(first.shutdown());
}

#[test]
fn names_that_lead_nowhere_are_named() {
    futures_lite::future::block_on(async {
        let node = start(Node::builder(id(1))).expect("it starts");
        let counter = node.spawn(CounterActor::default());
        assert!(
            matches!(node.lookup::<Counter>("nobody").await, Err(LookupError::NotFound { name, .. }) if name == "nobody")
        );
        assert!(matches!(node.lookup::<Counter>("").await, Err(LookupError::Name(_))));
        let waited = node.wait_for::<Counter>("nobody", Duration::from_millis(20)).await;
        assert!(matches!(waited, Err(LookupError::NotFound { .. })));
        assert!(matches!(node.register("\u{7}", &counter).await, Err(RegisterError::Name(_))));
        let elsewhere = Pid::new(id(9), 2000);
        assert!(
            matches!(node.register_pid("x", elsewhere), Err(RegisterError::NotLocal { pid, .. }) if pid == elsewhere)
        );
        let nobody = Pid::new(id(1), 5);
        assert_eq!(node.register_pid("x", nobody), Err(RegisterError::NoProcess { pid: nobody }));
        node.register("counter", &counter).await.expect("the name is free");
        let taken = node.register("counter", &node.spawn(CounterActor::default())).await;
        assert!(matches!(taken, Err(RegisterError::Taken { holder, .. }) if holder == counter.pid()));
        let other = node.lookup::<Journal>("counter").await;
        assert!(matches!(other, Err(LookupError::OtherMessages { pid, .. }) if pid == counter.pid()));
        assert!(node.unregister("nobody").expect_err("nobody").to_string().contains("nobody"));
        node.shutdown().await;
    });
}

#[test]
fn an_address_that_cannot_be_connected_to_is_named() {
    futures_lite::future::block_on(async {
        let node = start(Node::builder(id(1)).client()).expect("it starts");
        assert!(matches!(node.connect("127.0.0.1").await, Err(ConnectError::Address(_))));
        // A port that was free a moment ago, so that nobody listens there.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        drop(listener);
        let Err(ConnectError::Failed { cause, code }) = node.connect(&address).await else {
            panic!("nobody is there")
        };
        assert!(cause.contains(&address) && code == "connection_refused", "{code}: {cause}");
        assert!(matches!(node.connect("unix:/nowhere").await, Err(ConnectError::Failed { .. })), "TCP only");
        node.shutdown().await;
    });
}

//! Connections that never prove who they are: what becomes of them, and of those that come beside them.

use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use hew_node::{HALF_OPEN_MAX, HALF_OPEN_PER_ADDRESS_DEFAULT, Node, Stack};
use hew_tests::again::{Child, alone, command, orders, say};
use hew_tests::cluster::Cluster;
use hew_tests::elsewhere::Elsewhere;
use hew_tests::evil::Heard;
use hew_tests::evil::stage::Stage;
use hew_tests::real::{free_address, patient_builder, runtime, wait_until};
use hew_tests::usage::{raise_descriptors, resident_kib};
use hew_transport::{Addr, Connection, MemReader, MemWriter, Transport};
use hew_wire::{RefusalStatus, Verdict};
use rustix::net::{AddressFamily, SocketType};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);

type Stranger = Connection<MemReader, MemWriter>;

/// A node that sees whoever dials it from where their endpoint's name says.
async fn listener(cluster: &Cluster) -> Node<impl Stack> {
    let builder = cluster.builder(1).transport(Elsewhere(cluster.network().endpoint("n1")));
    builder.start().await.expect("the node starts")
}

/// A connection from that address to node 1.
async fn dial(cluster: &Cluster, from: &str) -> Stranger {
    let node: Addr = "mem:n1".parse().expect("an address");
    cluster.network().endpoint(from).connect(&node).await.expect("the node listens")
}

fn refused<S: Stack>(node: &Node<S>, reason: &str) -> u64 {
    node.stats().refusals.get(reason).copied().unwrap_or(0)
}

/// Everything that the node says until it closes.
async fn heard(mut stranger: Stranger) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A connection that is broken off has an end too.
    let _ = stranger.reader.read_to_end(&mut bytes).await;
    bytes
}

#[test]
fn a_byte_each_second_is_closed_after_five() {
    let cluster = Cluster::new(1);
    cluster.run(async {
        let node = listener(&cluster).await;
        let runtime = cluster.runtime();
        let Stranger { mut reader, mut writer, .. } = dial(&cluster, "10.0.0.1").await;
        let begun = runtime.now();
        let trickle = async {
            for byte in [b'H', b'E', b'W', 1, 0, 1, 0, 66].iter().cycle() {
                if writer.write_all(&[*byte]).await.is_err() {
                    break;
                }
                runtime.sleep(Duration::from_secs(1)).await;
            }
        };
        let mut bytes = [0; 1];
        let closed = async {
            let end = reader.read(&mut bytes).await;
            assert!(!matches!(end, Ok(1..)), "the node said {bytes:?}");
        };
        futures_lite::future::or(trickle, closed).await;
        let took = runtime.now() - begun;
        let five = Duration::from_secs(5);
        assert!((five..five + Duration::from_millis(50)).contains(&took), "closed after {took:?}");
        assert_eq!(refused(&node, "timeout_hello"), 1, "{:?}", node.stats().refusals);
        node.shutdown().await;
    });
}

#[test]
fn the_ninth_of_an_address_is_turned_away_and_others_get_in() {
    let cluster = Cluster::new(2);
    cluster.run(async {
        let node = listener(&cluster).await;
        for (silent, same, another) in
            [("10.0.0.1", "10.0.0.1", "10.0.0.2"), ("2001:db8::1", "2001:db8::9:9", "2001:db8:0:1::1")]
        {
            let before = refused(&node, "half_open_per_address");
            let mut places = Vec::new();
            for _ in 0..HALF_OPEN_PER_ADDRESS_DEFAULT {
                places.push(dial(&cluster, silent).await);
            }
            cluster.runtime().sleep(Duration::from_millis(100)).await;
            assert_eq!(refused(&node, "half_open_per_address"), before, "eight have a place");
            let told = heard(dial(&cluster, same).await).await;
            let Ok(Verdict::Refused(refusal)) = Verdict::decode(&told) else { panic!("{told:?}") };
            assert_eq!(refusal.status, RefusalStatus::Busy, "{refusal}");
            assert_eq!(refused(&node, "half_open_per_address"), before + 1);
            // Another address is let in beside them, and this one as soon as there is room.
            let good = cluster.builder(2).transport(cluster.network().endpoint(another));
            let good = cluster.start_as(good).await.expect("the node starts");
            good.wait_for_members(2, Duration::from_secs(1)).await.expect("it gets in");
            good.shutdown().await;
            places.pop();
            cluster.runtime().sleep(Duration::from_millis(100)).await;
            let _again = dial(&cluster, same).await;
            cluster.runtime().sleep(Duration::from_millis(100)).await;
            assert_eq!(refused(&node, "half_open_per_address"), before + 1, "a place was free");
            drop(places);
            cluster.runtime().sleep(Duration::from_secs(10)).await;
        }
        node.shutdown().await;
    });
}

#[test]
fn an_address_that_comes_too_often_is_turned_away_and_others_get_in() {
    let cluster = Cluster::new(3);
    cluster.run(async {
        let builder = cluster.builder(1).transport(Elsewhere(cluster.network().endpoint("n1")));
        let node = builder.accepts_per_second(2).start().await.expect("the node starts");
        let come = async |from: &str| {
            let before = refused(&node, "accepts_per_address");
            // Gone at once, so that no more than one is half-open.
            drop(dial(&cluster, from).await);
            cluster.runtime().sleep(Duration::from_millis(1)).await;
            refused(&node, "accepts_per_address") == before
        };
        for number in 0..8 {
            assert!(come("10.0.0.1").await, "{number} of the burst");
        }
        assert!(!come("10.0.0.1").await, "after the burst");
        assert!(come("10.0.0.2").await, "another address");
        assert!(come("not-an-ip").await, "one of this machine");
        cluster.runtime().sleep(Duration::from_millis(500)).await;
        assert!(come("10.0.0.1").await, "one more after half a second");
        assert!(!come("10.0.0.1").await, "and no second one");
        node.shutdown().await;
    });
}

/// Set for the process that plays the crowd: whom it dials.
const CROWD: &str = "HEW_TEST_CROWD";
/// Connections of the crowd.
const STRANGERS: usize = 10_000;

/// Dials from many addresses of this machine, says nothing, and stays until it gets no more orders.
fn be_the_crowd(node: SocketAddrV4) {
    raise_descriptors();
    let dial = |number: usize| -> rustix::io::Result<OwnedFd> {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
        let from = Ipv4Addr::new(127, 1, (number / 250 % 40) as u8, (number % 250) as u8 + 1);
        rustix::net::bind(&socket, &SocketAddrV4::new(from, 0))?;
        rustix::net::connect(&socket, &node)?;
        Ok(socket)
    };
    let strangers: Vec<OwnedFd> =
        (0..STRANGERS).map(|number| dial(number).expect("the node listens")).collect();
    say(format_args!("dialled {}", strangers.len()));
    orders().for_each(drop);
}

#[test]
fn ten_thousand_silent_connections_cost_little_and_keep_nobody_out() {
    const NAME: &str = "ten_thousand_silent_connections_cost_little_and_keep_nobody_out";
    if let Ok(node) = std::env::var(CROWD) {
        return be_the_crowd(node.parse().expect("an address"));
    }
    if !alone(NAME) {
        return;
    }
    raise_descriptors();
    let stage = Stage::set();
    // Once, so that what is made on first use is there already.
    assert_eq!(stage.client().expect("a link").pulse(), Heard::Alive);
    let before = resident_kib(std::process::id());
    let join = || {
        let begun = Instant::now();
        assert_eq!(stage.client().expect("a link").pulse(), Heard::Alive);
        begun.elapsed()
    };
    let mut crowd = command(NAME);
    crowd.env(CROWD, stage.address.to_string());
    let mut crowd = Child::start(crowd);
    // Of those that come while the crowd does, and then once all of it is there.
    let half = STRANGERS as u64 / 2;
    assert!(stage.eventually(SOON, || refused_by(&stage) >= half), "{:?}", stage.target.stats());
    let beside = join();
    assert_eq!(crowd.answer("dialled "), STRANGERS.to_string());
    let after = join();
    let grown = resident_kib(std::process::id()).saturating_sub(before);
    println!(
        "{STRANGERS} silent connections: {grown} KiB more; a good peer in {beside:?} beside them, {after:?} after"
    );
    assert!(grown < 32 << 10, "{grown} KiB more for {STRANGERS} silent connections");
    for joined in [beside, after] {
        assert!(joined < Duration::from_secs(1), "a good peer needed {joined:?}");
    }
    let evicted = (STRANGERS - HALF_OPEN_MAX) as u64;
    assert!(stage.eventually(SOON, || refused_by(&stage) >= evicted), "{:?}", stage.target.stats());
    assert_eq!(stage.complaints(), Vec::<String>::new());
    assert!(crowd.end().success());
    stage.strike();
}

/// How many strangers have made room, or had no time left.
fn refused_by(stage: &Stage) -> u64 {
    refused(&stage.target, "half_open_evicted") + refused(&stage.target, "timeout_hello")
}

#[test]
fn sixteen_nodes_of_one_machine_come_up_at_once() {
    const NODES: u16 = 16;
    let runtime = runtime(2);
    runtime.block_on(async {
        let addresses: Vec<String> = (1..=NODES).map(|_| free_address()).collect();
        let begun = Instant::now();
        let mut nodes = Vec::new();
        for id in 1..=NODES {
            // Everyone knows everyone from the start, so everyone dials everyone.
            let own = &addresses[usize::from(id) - 1];
            let others = addresses.iter().filter(|address| *address != own);
            let builder = patient_builder(&runtime, id).listen(own);
            let node = others.fold(builder, |builder, seed| builder.join(seed)).start().await;
            nodes.push(node.expect("the node starts"));
        }
        let linked = |node: &Node| node.links().iter().filter(|link| link.connected).count();
        wait_until(&runtime, "all pairs are connected", SOON, || {
            nodes.iter().all(|node| linked(node) == usize::from(NODES) - 1)
        })
        .await;
        let took = begun.elapsed();
        println!("{NODES} nodes and their {} links in {took:?}", NODES * (NODES - 1) / 2);
        for node in &nodes {
            for reason in ["half_open_per_address", "accepts_per_address", "half_open_evicted"] {
                assert_eq!(refused(node, reason), 0, "node {}: {reason}", node.id());
            }
        }
        assert!(took < Duration::from_secs(10), "{took:?}");
        for node in nodes {
            node.crash().await;
        }
    });
    runtime.shutdown();
}

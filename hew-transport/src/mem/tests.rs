//! Unit tests of the in-memory network: names, faults, and that it needs no runtime.

use super::*;
use crate::testkit::block_on;
use futures_lite::future::{poll_once, zip};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::io::ErrorKind;

type Ends = (Connection<MemReader, MemWriter>, Connection<MemReader, MemWriter>);

fn addr(text: &str) -> Addr {
    text.parse().unwrap()
}

/// n2 has dialled n1; what n2 holds comes first.
async fn pair(network: &Mem) -> Ends {
    let mut listener = network.endpoint("n1").listen(&addr("mem:n1")).await.unwrap();
    let dialled = network.endpoint("n2").connect(&addr("mem:n1")).await.unwrap();
    let accepted = listener.accept().await.unwrap();
    (dialled, accepted)
}

async fn read_now(reader: &mut MemReader, bytes: usize) -> Option<Result<Vec<u8>, ErrorKind>> {
    let mut buffer = vec![0; bytes];
    let read = poll_once(reader.read(&mut buffer)).await?;
    Some(read.map(|bytes| buffer[..bytes].to_vec()).map_err(|error| error.kind()))
}

async fn write_now(writer: &mut MemWriter, bytes: &[u8]) -> Option<Result<usize, ErrorKind>> {
    poll_once(writer.write(bytes)).await.map(|written| written.map_err(|error| error.kind()))
}

#[test]
fn connections_come_from_the_endpoint_or_a_fresh_name() {
    block_on(async {
        let network = Mem::new();
        let mut listener = network.listen(&addr("mem:n1")).await.unwrap();
        assert_eq!(listener.local_addr(), addr("mem:n1"));
        for (from, peer) in
            [(network.clone(), "mem:~1"), (network.endpoint("n2"), "mem:n2"), (network.clone(), "mem:~2")]
        {
            let dialled = from.connect(&addr("mem:n1")).await.unwrap();
            assert_eq!(dialled.peer, addr("mem:n1"));
            assert_eq!(listener.accept().await.unwrap().peer, addr(peer));
        }
    });
}

#[test]
fn networks_are_isolated() {
    block_on(async {
        let network = Mem::new();
        let _listener = network.listen(&addr("mem:n1")).await.unwrap();
        let error = Mem::new().connect(&addr("mem:n1")).await.unwrap_err();
        assert!(error.is_refused(), "{error}");
        assert!(network.clone().connect(&addr("mem:n1")).await.is_ok());
    });
}

#[test]
#[should_panic(expected = "white space")]
fn an_endpoint_needs_a_name_that_is_an_address() {
    let _ = Mem::new().endpoint("a b");
}

#[test]
fn a_pipe_is_bounded() {
    block_on(async {
        let network = Mem::new().pipe_bytes_max(5);
        let (mut dialled, mut accepted) = pair(&network).await;
        assert_eq!(write_now(&mut dialled.writer, b"abcdefg").await, Some(Ok(5)));
        assert_eq!(write_now(&mut dialled.writer, b"f").await, None);
        assert_eq!(write_now(&mut accepted.writer, b"other way").await, Some(Ok(5)));
        assert_eq!(read_now(&mut accepted.reader, 2).await, Some(Ok(b"ab".to_vec())));
        assert_eq!(write_now(&mut dialled.writer, b"fgh").await, Some(Ok(2)));

        let (mut dialled, _accepted) = pair(&Mem::new()).await;
        let huge = vec![0; Mem::PIPE_BYTES_MAX + 1];
        assert_eq!(write_now(&mut dialled.writer, &huge).await, Some(Ok(Mem::PIPE_BYTES_MAX)));
    });
}

#[test]
fn sever_resets_both_sides_of_the_pair_and_nothing_else() {
    block_on(async {
        let network = Mem::new();
        let mut listener = network.listen(&addr("mem:n1")).await.unwrap();
        let mut n2 = network.endpoint("n2").connect(&addr("mem:n1")).await.unwrap();
        let mut n1 = listener.accept().await.unwrap();
        let mut n3 = network.endpoint("n3").connect(&addr("mem:n1")).await.unwrap();
        assert_eq!(write_now(&mut n2.writer, b"lost").await, Some(Ok(4)));

        network.sever("n1", "n2");
        for end in [&mut n1, &mut n2] {
            assert_eq!(read_now(&mut end.reader, 9).await, Some(Err(ErrorKind::ConnectionReset)));
            assert_eq!(write_now(&mut end.writer, b"x").await, Some(Err(ErrorKind::ConnectionReset)));
        }
        assert_eq!(write_now(&mut n3.writer, b"x").await, Some(Ok(1)));
        assert!(
            network.endpoint("n2").connect(&addr("mem:n1")).await.is_ok(),
            "new connections are not hindered"
        );

        network.sever_all("n3");
        assert_eq!(write_now(&mut n3.writer, b"x").await, Some(Err(ErrorKind::ConnectionReset)));
    });
}

#[test]
fn sever_wakes_who_waits() {
    block_on(async {
        let network = Mem::new().pipe_bytes_max(1);
        let (mut dialled, mut accepted) = pair(&network).await;
        let read = async { accepted.reader.read(&mut [0]).await.unwrap_err().kind() };
        let write = async {
            let writer = &mut accepted.writer;
            writer.write_all(b"xy").await.unwrap_err().kind()
        };
        let sever = async { network.sever("n2", "n1") };
        let ((read, write), ()) = zip(zip(read, write), sever).await;
        assert_eq!((read, write), (ErrorKind::ConnectionReset, ErrorKind::ConnectionReset));
        assert_eq!(read_now(&mut dialled.reader, 1).await, Some(Err(ErrorKind::ConnectionReset)));
    });
}

#[test]
fn a_partition_holds_bytes_and_ends_until_it_heals() {
    block_on(async {
        let network = Mem::new();
        let (mut dialled, mut accepted) = pair(&network).await;
        assert_eq!(write_now(&mut dialled.writer, b"before").await, Some(Ok(6)));
        network.partition("n1", "n2");
        assert_eq!(write_now(&mut dialled.writer, b"during").await, Some(Ok(6)));
        assert_eq!(write_now(&mut accepted.writer, b"back").await, Some(Ok(4)));
        dialled.writer.close().await.unwrap();
        assert_eq!(read_now(&mut accepted.reader, 99).await, Some(Ok(b"before".to_vec())));
        assert_eq!(read_now(&mut accepted.reader, 99).await, None);
        assert_eq!(read_now(&mut dialled.reader, 99).await, None);

        let rest = async {
            let mut rest = Vec::new();
            accepted.reader.read_to_end(&mut rest).await.unwrap();
            rest
        };
        let (rest, ()) = zip(rest, async { network.heal("n2", "n1") }).await;
        assert_eq!(rest, b"during");
        assert_eq!(read_now(&mut dialled.reader, 99).await, Some(Ok(b"back".to_vec())));
    });
}

#[test]
fn a_partition_hides_that_the_peer_is_gone() {
    block_on(async {
        let network = Mem::new().pipe_bytes_max(2);
        let (mut dialled, accepted) = pair(&network).await;
        network.partition("n1", "n2");
        drop(accepted);
        assert_eq!(read_now(&mut dialled.reader, 1).await, None);
        assert_eq!(write_now(&mut dialled.writer, b"xyz").await, Some(Ok(2)));
        assert_eq!(write_now(&mut dialled.writer, b"z").await, None);
        network.heal_all();
        assert_eq!(read_now(&mut dialled.reader, 1).await, Some(Ok(vec![])));
        assert_eq!(write_now(&mut dialled.writer, b"z").await, Some(Err(ErrorKind::BrokenPipe)));
    });
}

#[test]
fn a_partition_refuses_new_connections_of_the_pair_only() {
    block_on(async {
        let network = Mem::new();
        let _listener = network.endpoint("n1").listen(&addr("mem:front-door")).await.unwrap();
        let (n2, n3) = (network.endpoint("n2"), network.endpoint("n3"));
        // By the address that is dialled, and by the endpoint that listens there.
        for name in ["front-door", "n1"] {
            network.partition(name, "n2");
            let error = n2.connect(&addr("mem:front-door")).await.unwrap_err();
            assert!(matches!(error, TransportError::Unreachable { .. }), "{error}");
            assert!(n3.connect(&addr("mem:front-door")).await.is_ok());
            assert!(network.connect(&addr("mem:front-door")).await.is_ok());
            network.heal(name, "n2");
            assert!(n2.connect(&addr("mem:front-door")).await.is_ok());
        }
    });
}

#[test]
fn a_partition_may_be_one_way() {
    block_on(async {
        let network = Mem::new();
        let (mut dialled, mut accepted) = pair(&network).await;
        network.partition_one_way("n2", "n1");
        assert_eq!(write_now(&mut dialled.writer, b"x").await, Some(Ok(1)));
        assert_eq!(write_now(&mut accepted.writer, b"y").await, Some(Ok(1)));
        assert_eq!(read_now(&mut accepted.reader, 1).await, None);
        assert_eq!(read_now(&mut dialled.reader, 1).await, Some(Ok(b"y".to_vec())));
        let _listener = network.listen(&addr("mem:n1")).await.unwrap();
        assert!(network.endpoint("n2").connect(&addr("mem:n1")).await.is_err());
        // A heal ends one pair's cut; a cut of another pair that concerns the same connection stays.
        network.partition_one_way("n1", "n2");
        network.heal("n1", "n3");
        assert_eq!(read_now(&mut accepted.reader, 1).await, None);
        network.heal("n1", "n2");
        assert_eq!(read_now(&mut accepted.reader, 1).await, Some(Ok(b"x".to_vec())));
    });
}

#[test]
fn a_connect_that_waits_for_room_goes_on_or_is_refused() {
    for goes_on in [true, false] {
        block_on(async {
            let network = Mem::new();
            let mut listener = Some(network.listen(&addr("mem:n1")).await.unwrap());
            let target = addr("mem:n1");
            for _ in 0..network::ACCEPT_BACKLOG {
                network.connect(&target).await.unwrap();
            }
            let act = async {
                match &mut listener {
                    Some(listener) if goes_on => drop(listener.accept().await.unwrap()),
                    _ => listener = None,
                }
            };
            let (connected, ()) = zip(network.connect(&target), act).await;
            assert_eq!(connected.is_ok(), goes_on);
        });
    }
}

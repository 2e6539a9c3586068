//! Cases about listening, dialling and accepting.

use super::super::{Kit, must_fail, must_name};
use super::*;
use crate::addr::Addr;
use crate::error::TransportError;
use crate::transport::{Listener, Transport};
use futures_lite::future::{yield_now, zip};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What `local_addr` says is where to dial.
pub async fn the_local_address_can_be_dialled<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    expect_echo(&mut pair.dialled, &mut pair.accepted, 1).await;
    let addr = pair.listener.local_addr();
    assert_ne!(addr.port(), Some(0), "{addr} cannot be dialled");
    assert_eq!(addr.to_string().parse(), Ok(addr.clone()), "it reads back from its text");
    let again = pair.listener.local_addr();
    assert_eq!(addr, again, "it stays");
}

/// A dialler's peer is the address it dialled; an acceptor's peer has the same scheme.
pub async fn peers_are_named<T: Transport>(kit: Kit<T>) {
    let pair = kit.pair().await;
    assert_eq!(pair.dialled.peer, pair.listener.local_addr());
    assert_eq!(pair.accepted.peer.scheme(), pair.listener.local_addr().scheme());
}

/// A dialler that only listens hears what the accepting side says.
pub async fn the_accepting_side_may_speak_first<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    send_stream(&mut pair.accepted.writer, 1, 1000, 1000).await;
    must("close", within("close", pair.accepted.writer.close()).await);
    expect_stream(&mut pair.dialled.reader, 1, 0, 1000).await;
    expect_end(&mut pair.dialled.reader).await;
    drop(pair.dialled);
    expect_end(&mut pair.accepted.reader).await;
}

/// A connect to an address nobody listens at fails, and says so.
pub async fn dialling_nobody_is_refused<T: Transport>(kit: Kit<T>) {
    let addr = kit.nobody().await;
    let error = must_fail("connect to nobody", within("connect", kit.transport.connect(&addr)).await);
    assert!(error.is_refused(), "{error}");
    must_name(&error, &addr);
}

/// Many at once are refused as one is, where a listener with connections has just been.
pub async fn many_diallers_of_nobody_are_all_refused<T: Transport>(kit: Kit<T>) {
    let pair = kit.pair().await;
    let addr = pair.listener.local_addr();
    drop(pair);
    let dial = || {
        let (kit, addr) = (kit.clone(), addr.clone());
        kit.clone().spawn(async move { within("connect", kit.transport.connect(&addr)).await })
    };
    let diallers: Vec<_> = (0..30).map(|_| dial()).collect();
    for dialler in diallers {
        let error = must_fail("connect to nobody", dialler.await);
        assert!(error.is_refused(), "{error}");
    }
}

/// A second listener at the same address is refused, and the first one does not notice.
pub async fn an_address_in_use_is_not_given_twice<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    let addr = pair.listener.local_addr();
    let error = must_fail("listen twice", within("listen", kit.transport.listen(&addr)).await);
    assert!(matches!(error, TransportError::AddressInUse { .. }), "{error}");
    must_name(&error, &addr);
    expect_echo(&mut pair.dialled, &mut pair.accepted, 2).await;
    let mut dialled = kit.connect(&addr).await;
    // Whoever looked whether somebody answers may have been a connection, too.
    loop {
        let mut accepted = kit.accept(&mut pair.listener).await;
        must("write", within("write", dialled.writer.write_all(b"x")).await);
        if let Ok(1..) = within("read", accepted.reader.read(&mut [0; 16])).await {
            break;
        }
    }
}

/// An address is free as soon as its listener is dropped, though connections made there live on.
pub async fn a_dropped_listener_frees_its_address<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    let addr = pair.listener.local_addr();
    for byte in 0..3 {
        drop(pair.listener);
        let refused = within("connect", kit.transport.connect(&addr)).await;
        assert!(must_fail("connect after the drop", refused).is_refused());
        pair.listener = must("listen again", within("listen", kit.transport.listen(&addr)).await);
        assert_eq!(pair.listener.local_addr(), addr);
        let (mut dialled, mut accepted) = zip(kit.connect(&addr), kit.accept(&mut pair.listener)).await;
        expect_echo(&mut dialled, &mut accepted, byte).await;
    }
    expect_echo(&mut pair.dialled, &mut pair.accepted, 3).await;
}

/// A connection does not need the listener that it came from.
pub async fn accepted_connections_outlive_the_listener<T: Transport>(kit: Kit<T>) {
    let mut pair = kit.pair().await;
    drop(pair.listener);
    expect_echo(&mut pair.dialled, &mut pair.accepted, 4).await;
    expect_echo(&mut pair.accepted, &mut pair.dialled, 5).await;
}

/// A dialler whose connection was never accepted learns that the listener is gone.
pub async fn connections_nobody_accepted_end_with_the_listener<T: Transport>(kit: Kit<T>) {
    let listener = kit.listen().await;
    let mut dialled = kit.connect(&listener.local_addr()).await;
    drop(listener);
    expect_over(&mut dialled.reader).await;
    expect_failing_writes(&mut dialled.writer).await;
}

/// So do all of many, with bytes on the way to a side that never came.
pub async fn many_connections_nobody_accepted_all_end<T: Transport>(kit: Kit<T>) {
    let listener = kit.listen().await;
    let addr = listener.local_addr();
    let mut dialled = Vec::new();
    for stream in 0..20 {
        let mut connection = kit.connect(&addr).await;
        send_stream(&mut connection.writer, stream, 100, 100).await;
        dialled.push(connection);
    }
    drop(listener);
    for mut connection in dialled {
        expect_over(&mut connection.reader).await;
        expect_failing_writes(&mut connection.writer).await;
    }
}

/// Connections made, and bytes written, before accept is called are there when it is.
pub async fn connections_before_accept_are_kept<T: Transport>(kit: Kit<T>) {
    let mut listener = kit.listen().await;
    let addr = listener.local_addr();
    let mut dialled = Vec::new();
    for number in 0..10 {
        let mut connection = kit.connect(&addr).await;
        must("write", within("write", connection.writer.write_all(&[number])).await);
        dialled.push(connection);
    }
    let mut numbers = Vec::new();
    for _ in 0..10 {
        let mut accepted = kit.accept(&mut listener).await;
        let mut number = [0];
        must("read", within("read", accepted.reader.read_exact(&mut number)).await);
        numbers.push(number[0]);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
}

/// An accept that waits in a task of its own is woken by a connection.
pub async fn a_waiting_accept_is_woken<T: Transport>(kit: Kit<T>) {
    let mut listener = kit.listen().await;
    let addr = listener.local_addr();
    let waits = Arc::new(AtomicBool::new(false));
    let (acceptor, told) = (kit.clone(), waits.clone());
    let accepting = kit.spawn(async move {
        // Nothing is awaited between the two, so that who reads the flag finds the accept of the next line waiting.
        told.store(true, Ordering::Release);
        acceptor.accept(&mut listener).await
    });
    while !waits.load(Ordering::Acquire) {
        yield_now().await;
    }
    let mut dialled = kit.connect(&addr).await;
    let mut accepted = accepting.await;
    expect_echo(&mut dialled, &mut accepted, 6).await;
}

/// A dialler that leaves before it is accepted does not keep the listener from accepting others.
pub async fn a_dialler_that_leaves_at_once_harms_nobody<T: Transport>(kit: Kit<T>) {
    let mut listener = kit.listen().await;
    let addr = listener.local_addr();
    for _ in 0..5 {
        drop(kit.connect(&addr).await);
    }
    let mut dialled = kit.connect(&addr).await;
    must("write", within("write", dialled.writer.write_all(b"x")).await);
    let mut left = 0;
    loop {
        match within("accept", listener.accept()).await {
            Ok(mut accepted) => match within("read", accepted.reader.read(&mut [0])).await {
                Ok(1) => break,
                _ => left += 1,
            },
            // Some systems tell of the one who left in this way.
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                left += 1;
            }
        }
        assert!(left <= 5, "more connections were accepted than made");
    }
}

/// Addresses of other schemes are refused by name, by listen and by connect.
pub async fn other_schemes_are_unsupported<T: Transport>(kit: Kit<T>) {
    let own = kit.addr().scheme();
    let mut others = 0;
    for text in ["127.0.0.1:1", "unix:/nobody/listens/here", "mem:nobody"] {
        let addr: Addr = must("parse", text.parse());
        if addr.scheme() == own {
            continue;
        }
        others += 1;
        let listened = within("listen", kit.transport.listen(&addr)).await;
        let connected = within("connect", kit.transport.connect(&addr)).await;
        for error in [must_fail("listen", listened), must_fail("connect", connected)] {
            assert!(matches!(error, TransportError::Unsupported { .. }), "{error}");
            must_name(&error, &addr);
        }
    }
    assert_eq!(others, 2);
}

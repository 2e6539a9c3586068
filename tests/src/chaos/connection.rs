//! One connection through a chaos proxy, from its beginning to whatever end.

use super::carrier::{Carrier, Halves};
use super::course::Course;
use super::fate::{Fate, Harm, Kind, Way};
use super::valve::Valve;
use futures::future::{Either, select};
use futures_lite::future;
use futures_lite::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use hew_node::Runtime;
use std::pin::pin;
use std::time::Duration;

/// What came of it.
pub(super) struct Outcome {
    /// Bytes that passed in either direction.
    pub(super) passed: u64,
    /// Bytes that arrived after their sender had taken the connection for broken.
    pub(super) late: u64,
}

/// Carries a connection from the side that dialled, `client`, to `server`. What goes wrong is told when it does.
pub(super) async fn run<C: Carrier>(
    runtime: &Runtime,
    (mut from_client, mut to_client): Halves<C>,
    (mut from_server, mut to_server): Halves<C>,
    fate: &Fate,
    valve: &Valve,
    told: impl Fn(Harm),
) -> Outcome {
    let (mut forth, mut back) = (Course::new(Way::Forth, fate), Course::new(Way::Back, fate));
    let ending = {
        let forth = pin!(forth.carry(runtime, &mut from_client, &mut to_server, valve, &told));
        let back = pin!(back.carry(runtime, &mut from_server, &mut to_client, valve, &told));
        match select(forth, back).await {
            Either::Left((Some(kind), _)) => Some((Way::Forth, kind)),
            Either::Right((Some(kind), _)) => Some((Way::Back, kind)),
            Either::Left((None, back)) => back.await.map(|kind| (Way::Back, kind)),
            Either::Right((None, forth)) => forth.await.map(|kind| (Way::Forth, kind)),
        }
    };
    let passed = forth.passed() + back.passed();
    let mut late = 0;
    match ending {
        Some((_, Kind::Reset)) => {
            C::reset_on_drop(&to_client);
            C::reset_on_drop(&to_server);
        }
        Some((Way::Forth, Kind::Late(delay))) => {
            let rest = forth.rest(&mut from_client).await;
            drop((from_client, to_client));
            late = deliver_late::<C>(runtime, delay, &rest, (from_server, to_server)).await;
        }
        Some((Way::Back, Kind::Late(delay))) => {
            let rest = back.rest(&mut from_server).await;
            drop((from_server, to_server));
            late = deliver_late::<C>(runtime, delay, &rest, (from_client, to_client)).await;
        }
        Some((_, Kind::Silence)) => {
            // Each side is left to find out by itself.
            future::zip(swallow(&mut from_client), swallow(&mut from_server)).await;
        }
        Some((_, Kind::End | Kind::Deaf | Kind::Stall(_) | Kind::Corrupt)) | None => {}
    }
    Outcome { passed, late }
}

/// The receiver's side does not know that the sender's side is gone; says how much it still took.
async fn deliver_late<C: Carrier>(
    runtime: &Runtime,
    delay: Duration,
    rest: &[u8],
    (mut reader, mut writer): Halves<C>,
) -> u64 {
    let waiting = async {
        runtime.sleep(delay).await;
        true
    };
    let has_closed = async {
        swallow(&mut reader).await;
        false
    };
    // A receiver that has closed takes nothing any more, and would only show that in a later write.
    if !future::or(has_closed, waiting).await || writer.write_all(rest).await.is_err() {
        return 0;
    }
    rest.len() as u64
}

/// Reads to the end.
async fn swallow(reader: &mut (impl AsyncRead + Unpin)) {
    let mut bytes = [0; 4096];
    while matches!(reader.read(&mut bytes).await, Ok(1..)) {}
}

//! Waiting for room in a full mailbox, without circles.

use crate::cell::Cell;
use crate::current::{Current, current};
use crate::error::{SendError, TrySendError};
use crate::sync::Ordering;
use crate::system::Shared;
use std::sync::Arc;

/// Longest chain of actors that is followed to find a circle; longer chains are taken for circles.
const CHAIN_MAX: usize = 1024;

/// Pushes `message` when there is room.
pub(crate) async fn send<M: Send + 'static>(cell: &Arc<Cell<M>>, message: M) -> Result<(), SendError<M>> {
    let _waiting = match Waiting::start(cell) {
        Ok(waiting) => waiting,
        Err(Circle) => return Err(SendError::Full(message)),
    };
    // Whoever was told of room, and does not use it up, tells the next one, also when this is dropped meanwhile.
    struct PassOn<'a, M>(&'a Cell<M>);
    impl<M> Drop for PassOn<'_, M> {
        fn drop(&mut self) {
            self.0.mailbox.pass_on();
        }
    }
    let _pass_on = PassOn(cell);
    let mut message = message;
    loop {
        let space = cell.mailbox.space();
        match cell.try_send(message, true) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(back)) => message = back,
            Err(error) => return Err(error.into()),
        }
        space.await;
    }
}

/// While it lives, the running actor is known to wait for room in another's mailbox.
struct Waiting {
    shared: Arc<Shared>,
    waiter: u64,
}

/// The running actor would wait, over others or directly, for itself.
struct Circle;

impl Waiting {
    /// Notes who waits for whom, then looks for a circle.
    ///
    /// Of several actors that close a circle at once, each has noted its wait before it looks (`SeqCst` on both), so
    /// at least the last sees all the others.
    fn start<M: Send + 'static>(target: &Arc<Cell<M>>) -> Result<Option<Waiting>, Circle> {
        let shared = &target.shared;
        // Outside any actor, or in an actor of another system, nobody waits for the waiter here.
        let Some(Current { system, serial }) = current() else { return Ok(None) };
        if system != shared.id {
            return Ok(None);
        }
        let Some(waiter) = shared.cell(serial) else { return Ok(None) };
        waiter.waiting_on().store(target.serial, Ordering::SeqCst);
        let waiting = Waiting { shared: shared.clone(), waiter: serial };
        let mut next = target.serial;
        for _ in 0..CHAIN_MAX {
            if next == serial {
                return Err(Circle);
            }
            let Some(cell) = shared.cell(next) else { return Ok(Some(waiting)) };
            next = cell.waiting_on().load(Ordering::SeqCst);
            if next == 0 {
                return Ok(Some(waiting));
            }
        }
        Err(Circle)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(waiter) = self.shared.cell(self.waiter) {
            waiter.waiting_on().store(0, Ordering::SeqCst);
        }
    }
}

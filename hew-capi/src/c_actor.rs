//! The actor value behind an actor written in C: its state, its dispatch function, and what the system tells it.

use crate::actor_entry::{ActorEntry, reason_code};
use crate::landing::{self, Call};
use crate::running;
use crate::types::{HEW_MSG_DOWN, HEW_MSG_EXIT, HEW_MSG_STOP, HewDownMessage, HewExitMessage};
use crate::{actor, reply};
use hew_actor::{Actor, AskError, Context, Outcome, RawMessage, Signal};
use hew_wire::ExitReason;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

/// A dispatch function that is not NULL.
pub(crate) type Dispatch = unsafe extern "C" fn(*mut c_void, i32, *mut c_void, usize);

pub(crate) struct CActor {
    state: State,
    dispatch: Dispatch,
    entry: Arc<ActorEntry>,
    handle: usize,
    /// Where a supervised actor tells its handle.
    seat: Option<Arc<Mutex<usize>>>,
}

/// The actor's copy of the state, aligned for any type of C.
struct State {
    memory: Vec<u128>,
}

impl State {
    fn copy_of(bytes: &[u8]) -> State {
        let chunks = bytes.chunks(size_of::<u128>()).map(|chunk| {
            let mut block = [0; size_of::<u128>()];
            block[..chunk.len()].copy_from_slice(chunk);
            u128::from_ne_bytes(block)
        });
        State { memory: chunks.collect() }
    }

    fn pointer(&mut self) -> *mut c_void {
        if self.memory.is_empty() { std::ptr::null_mut() } else { self.memory.as_mut_ptr().cast() }
    }
}

/// One call of a dispatch function.
#[derive(Clone, Copy)]
struct Dispatching {
    dispatch: Dispatch,
    state: *mut c_void,
    msg_type: i32,
    data: *mut c_void,
    size: usize,
}

impl Call for Dispatching {
    type Output = ();

    fn run(&self) {
        // SAFETY: `HewDispatchFn` in hew.h takes these arguments. `state` points into `CActor::state` and `data` into a
        // buffer of `CActor::dispatch`'s caller, both borrowed by `CActor::dispatch` for the call.
        unsafe { (self.dispatch)(self.state, self.msg_type, self.data, self.size) }
    }
}

impl CActor {
    pub(crate) fn new(state: &[u8], dispatch: Dispatch, entry: Arc<ActorEntry>, handle: usize) -> CActor {
        CActor { state: State::copy_of(state), dispatch, entry, handle, seat: None }
    }

    /// This actor under a supervisor.
    pub(crate) fn in_seat(mut self, seat: &Arc<Mutex<usize>>) -> CActor {
        self.seat = Some(Arc::clone(seat));
        self
    }

    /// Runs the dispatch function on this thread; what becomes of the actor then.
    fn dispatch(&mut self, msg_type: i32, data: *mut c_void, size: usize) -> Outcome {
        let call = Dispatching { dispatch: self.dispatch, state: self.state.pointer(), msg_type, data, size };
        match running::enter(&self.entry, || landing::call(&call)) {
            Ok(()) => self.entry.take_wish().unwrap_or(Outcome::Continue),
            Err(text) => Outcome::Crash(text),
        }
    }

    fn deliver(&mut self, message: RawMessage) -> Outcome {
        let RawMessage { msg_type, mut payload, reply } = message;
        // Negative numbers are the system's; whoever sends one, from whichever node, does not speak for it.
        if msg_type < 0 {
            tracing::debug!(actor = ?self.entry.pid(), msg_type, "a message with a number of the system was dropped");
            return Outcome::Continue;
        }
        let Some(reply) = reply else { return self.dispatch_bytes(msg_type, &mut payload) };
        let answer = match reply::Answering::open(reply) {
            Ok(answer) => answer,
            Err(failure) => {
                tracing::warn!(text = failure.text, "a question was refused");
                return Outcome::Continue;
            }
        };
        payload.extend_from_slice(&answer.handle().to_ne_bytes());
        let outcome = self.dispatch_bytes(msg_type, &mut payload);
        answer.close(match &outcome {
            Outcome::Crash(text) => AskError::Ended(ExitReason::crashed(text.clone())),
            Outcome::Continue | Outcome::Stop => AskError::NoReply,
        });
        outcome
    }

    fn dispatch_bytes(&mut self, msg_type: i32, data: &mut [u8]) -> Outcome {
        let pointer = if data.is_empty() { std::ptr::null_mut() } else { data.as_mut_ptr().cast() };
        self.dispatch(msg_type, pointer, data.len())
    }

    /// `T` is one of the `repr(C)` structures of hew.h.
    fn dispatch_event<T: Copy>(&mut self, msg_type: i32, mut event: T) -> Outcome {
        self.dispatch(msg_type, (&raw mut event).cast(), size_of::<T>())
    }
}

impl Actor for CActor {
    type Message = RawMessage;

    async fn started(&mut self, context: &mut Context<RawMessage>) -> Outcome {
        // Always, so that `hew_actor_trap_exit` can be decided from any thread: see `signal`.
        context.trap_exit(true);
        // A supervisor spawns without knowing of entries.
        if let Some(seat) = &self.seat {
            let old =
                std::mem::replace(&mut *seat.lock().unwrap_or_else(PoisonError::into_inner), self.handle);
            actor::forget(old);
            self.entry.spawned(self.handle, context.this());
        }
        Outcome::Continue
    }

    async fn handle(&mut self, message: RawMessage, _: &mut Context<RawMessage>) -> Outcome {
        self.deliver(message)
    }

    async fn signal(&mut self, signal: Signal, context: &mut Context<RawMessage>) -> Outcome {
        match signal {
            Signal::Down { monitor, pid, reason } => {
                if let Some(process) = self.entry.process() {
                    process.monitors().remove(&monitor.id());
                }
                self.entry.forget_monitor(monitor.id());
                let reason = reason_code(&reason);
                let event = HewDownMessage { monitored_actor_id: pid.raw(), ref_id: monitor.id(), reason };
                self.dispatch_event(HEW_MSG_DOWN, event)
            }
            Signal::Exit { from, reason } if self.entry.traps_exit() => {
                let event = HewExitMessage { crashed_actor_id: from.raw(), reason: reason_code(&reason) };
                self.dispatch_event(HEW_MSG_EXIT, event)
            }
            Signal::Exit { from, reason } => {
                if !reason.is_normal() {
                    // What the system does to an actor that does not trap; it acts before the next message.
                    context.system().end(context.pid(), ExitReason::linked(format!("{from}: {reason}")));
                }
                Outcome::Continue
            }
        }
    }

    async fn stopped(&mut self, reason: &ExitReason, _: &mut Context<RawMessage>) {
        if reason.is_normal()
            && let Outcome::Crash(text) = self.dispatch(HEW_MSG_STOP, std::ptr::null_mut(), 0)
        {
            // The system takes the text for the reason of the end.
            std::panic::panic_any(text);
        }
    }
}

impl Drop for CActor {
    fn drop(&mut self) {
        if self.entry.pid().is_none() {
            // It was never started: nobody knows its handle.
            actor::forget(self.handle);
        }
        let Some(process) = self.entry.process() else { return };
        let mut monitors = process.monitors();
        for id in self.entry.take_monitors() {
            monitors.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_a_copy_that_any_type_can_live_in() {
        for size in [0, 1, 15, 16, 17, 100] {
            let bytes: Vec<u8> = (0..size).collect();
            let mut state = State::copy_of(&bytes);
            let copied: Vec<u8> = state.memory.iter().flat_map(|block| block.to_ne_bytes()).collect();
            assert_eq!(copied[..bytes.len()], bytes);
            assert_eq!(state.pointer().is_null(), size == 0);
            assert_eq!(state.pointer().addr() % 16, 0);
        }
    }
}

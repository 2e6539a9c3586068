//! Actors: spawning, sending, asking, ending.

use crate::actor_entry::{ActorEntry, reason_code, trapped};
use crate::boundary::{bytes, read, read_all, to_malloc};
use crate::c_actor::{CActor, Dispatch};
use crate::error::{Failure, HEW_ERR_ACTOR_STOPPED, HEW_ERR_STALE, HEW_ERR_TIMEOUT, status, value, void};
use crate::handle::{Kind, Table, pointer};
use crate::landing::{self, Call};
use crate::process::{Process, process};
use crate::reply::{asking, deadline};
use crate::types::{
    HEW_OVERFLOW_BLOCK, HEW_OVERFLOW_COALESCE, HEW_OVERFLOW_DROP_NEW, HEW_OVERFLOW_DROP_OLD,
    HEW_OVERFLOW_FAIL, HewActor, HewActorOpts, HewDispatchFn, HewReplyChannel,
};
use crate::workers::blocking;
use crate::{running, send};
use hew_actor::{CoalesceKey, MailboxOptions, Outcome, Overflow, RawMessage, SpawnOptions};
use hew_wire::Pid;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Mailbox capacity of actors that ask for none.
const CAPACITY_DEFAULT: usize = 1_048_576;
/// How long `hew_actor_free` waits for a handler to return.
const FREE_DEADLINE: Duration = Duration::from_secs(10);

static ACTORS: Table<ActorEntry> = Table::new(Kind::Actor, "actor");

/// The actor of a handle.
pub(crate) fn find(actor: *const HewActor) -> Result<Arc<ActorEntry>, Failure> {
    ACTORS.find(actor.addr())
}

/// The actor of a handle that came as `void *`.
pub(crate) fn find_any(actor: *const c_void) -> Result<Arc<ActorEntry>, Failure> {
    ACTORS.find(actor.addr())
}

/// Frees all handles.
pub(crate) fn free_all() {
    ACTORS.all().into_iter().for_each(|(handle, _)| forget(handle));
}

fn pid_of(entry: &ActorEntry) -> Result<Pid, Failure> {
    entry.actor().map(|actor| actor.pid())
}

/// The key function of a coalescing mailbox.
#[derive(Clone, Copy)]
struct KeyOf<'a> {
    function: unsafe extern "C" fn(i32, *mut c_void, usize) -> u64,
    message: &'a RawMessage,
}

impl Call for KeyOf<'_> {
    type Output = u64;

    fn run(&self) -> u64 {
        let data = &self.message.payload;
        // SAFETY: `HewCoalesceKeyFn` in hew.h takes these arguments, and reads `size` bytes of `data`, which is
        // borrowed for the call.
        unsafe { (self.function)(self.message.msg_type, data.as_ptr().cast_mut().cast(), data.len()) }
    }
}

fn policy(number: i32) -> Overflow {
    match number {
        HEW_OVERFLOW_BLOCK => Overflow::Block,
        HEW_OVERFLOW_DROP_OLD => Overflow::DropOld,
        HEW_OVERFLOW_FAIL => Overflow::Fail,
        // HEW_OVERFLOW_DROP_NEW, and every number that is none.
        _ => Overflow::DropNew,
    }
}

fn mailbox(options: &HewActorOpts) -> MailboxOptions<RawMessage> {
    let capacity = usize::try_from(options.mailbox_capacity).ok().filter(|capacity| *capacity > 0);
    let (overflow, coalesce) = if options.overflow == HEW_OVERFLOW_COALESCE {
        let key = options.coalesce_key_fn.map(|function| -> CoalesceKey<RawMessage> {
            Arc::new(move |message: &RawMessage| {
                // A question is not replaced: its asker waits.
                let replaceable = message.reply.is_none();
                let key = replaceable.then(|| landing::call(&KeyOf { function, message }).ok()).flatten();
                key.map(|key| (message.msg_type, key))
            })
        });
        (policy(options.coalesce_fallback), key)
    } else {
        (policy(options.overflow), None)
    };
    let capacity = Some(capacity.unwrap_or(CAPACITY_DEFAULT));
    MailboxOptions { capacity, overflow, coalesce, ..MailboxOptions::default() }
}

/// Everything that makes an actor, as often as wanted.
pub(crate) struct Template {
    label: Option<String>,
    state: Vec<u8>,
    dispatch: Dispatch,
    options: SpawnOptions<RawMessage>,
}

impl Template {
    /// `options.init_state` is not looked at; `state` is it.
    ///
    /// # Errors
    /// No dispatch function.
    pub(crate) fn new(
        label: Option<&str>,
        state: &[u8],
        options: &HewActorOpts,
    ) -> Result<Template, Failure> {
        let dispatch = options.dispatch.ok_or_else(|| Failure::null("dispatch"))?;
        let turn = u32::try_from(options.budget).ok().filter(|turn| *turn > 0);
        let options = SpawnOptions {
            label: label.map(str::to_owned),
            mailbox: mailbox(options),
            decoder: Some(RawMessage::decoder()),
            messages_per_turn: turn.unwrap_or(hew_actor::MESSAGES_PER_TURN),
            ..SpawnOptions::default()
        };
        Ok(Template { label: label.map(str::to_owned), state: state.to_vec(), dispatch, options })
    }

    pub(crate) fn spawn_options(&self) -> SpawnOptions<RawMessage> {
        SpawnOptions { label: self.label.clone(), ..self.options.clone() }
    }

    /// An actor value for a supervisor to spawn; when it starts, `seat` shows its handle.
    ///
    /// # Panics
    /// There are as many actors as there may be: the supervisor takes it for a start that failed.
    pub(crate) fn actor(&self, process: &Arc<Process>, seat: &Arc<Mutex<usize>>) -> CActor {
        match self.make(process) {
            Ok((handle, entry)) => CActor::new(&self.state, self.dispatch, entry, handle).in_seat(seat),
            Err(failure) => std::panic::panic_any(failure.text),
        }
    }

    fn make(&self, process: &Arc<Process>) -> Result<(usize, Arc<ActorEntry>), Failure> {
        let entry = Arc::new(ActorEntry::new(process));
        Ok((ACTORS.insert(Arc::clone(&entry))?, entry))
    }

    fn spawn(self) -> Result<usize, Failure> {
        let process = process()?;
        let (handle, entry) = self.make(&process)?;
        let value = CActor::new(&self.state, self.dispatch, Arc::clone(&entry), handle);
        match process.system.spawn_with(value, self.options) {
            Ok(actor) => {
                entry.spawned(handle, actor);
                Ok(handle)
            }
            Err(error) => {
                forget(handle);
                Err(Failure::new(HEW_ERR_ACTOR_STOPPED, error.to_string()))
            }
        }
    }
}

/// Frees the handle of an actor, 0 for none; the actor lives on.
pub(crate) fn forget(handle: usize) {
    // Freed by somebody else meanwhile, or now.
    let _ = ACTORS.remove(handle);
}

/// Spawns an actor.
///
/// # Errors
/// No dispatch function, no state of the given size, or the process shuts down.
///
/// # Safety
/// `options.init_state` is NULL or has `options.state_size` readable bytes.
unsafe fn spawn(options: &HewActorOpts) -> Result<usize, Failure> {
    // SAFETY: the condition of this function.
    let state = unsafe { bytes("the state", options.init_state, options.state_size) }?;
    Template::new(None, state, options)?.spawn()
}

unsafe fn spawn_handle(function: &str, options: &HewActorOpts) -> *mut HewActor {
    value(function, null_mut(), || {
        // SAFETY: the condition is the same.
        unsafe { spawn(options) }.map(pointer)
    })
}

fn options(state: *mut c_void, size: usize, dispatch: HewDispatchFn, capacity: i32) -> HewActorOpts {
    HewActorOpts {
        init_state: state,
        state_size: size,
        dispatch,
        mailbox_capacity: capacity,
        overflow: HEW_OVERFLOW_DROP_NEW,
        coalesce_key_fn: None,
        coalesce_fallback: HEW_OVERFLOW_DROP_NEW,
        budget: 0,
    }
}

/// Spawns an actor with a copy of `size` bytes of `state` (NULL with 0: none) and a mailbox of 1,048,576 messages that
/// drops new ones when full. NULL on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_actor_spawn(
    state: *mut c_void,
    size: usize,
    dispatch: HewDispatchFn,
) -> *mut HewActor {
    // SAFETY: hew.h, Conventions: `state` is NULL or has `size` bytes.
    unsafe { spawn_handle("hew_actor_spawn", &options(state, size, dispatch, 0)) }
}

/// As `hew_actor_spawn`, with a mailbox of `capacity` messages; 0 or less: 1,048,576.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_actor_spawn_bounded(
    state: *mut c_void,
    size: usize,
    dispatch: HewDispatchFn,
    capacity: i32,
) -> *mut HewActor {
    // SAFETY: hew.h, Conventions: `state` is NULL or has `size` bytes.
    unsafe { spawn_handle("hew_actor_spawn_bounded", &options(state, size, dispatch, capacity)) }
}

/// Spawns an actor with all options. NULL on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_actor_spawn_opts(options: *const HewActorOpts) -> *mut HewActor {
    value("hew_actor_spawn_opts", null_mut(), || {
        // SAFETY: hew.h, Conventions: `options` is NULL or a structure, whose `init_state` is NULL or has `state_size`
        // bytes.
        unsafe { spawn(&read("options", options)?) }.map(pointer)
    })
}

/// Sends a copy of `size` bytes of `data`. A message that is refused, because the actor has ended or its mailbox is
/// full, is counted as a dead letter, and `hew_last_error` says so where the mailbox's policy is not to drop it. With
/// `HEW_OVERFLOW_BLOCK` it waits for room. Negative types belong to the system and are refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_actor_send(actor: *mut HewActor, msg_type: i32, data: *mut c_void, size: usize) {
    void("hew_actor_send", || {
        // SAFETY: hew.h, Conventions: `data` is NULL or has `size` bytes.
        let data = unsafe { bytes("data", data, size) }?;
        send::send(find(actor)?.actor()?, msg_type, data)
    });
}

/// Sends without waiting: 0, `HEW_ERR_MAILBOX_FULL`, `HEW_ERR_ACTOR_STOPPED`, or another code for bad arguments.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_actor_try_send(
    actor: *mut HewActor,
    msg_type: i32,
    data: *mut c_void,
    size: usize,
) -> i32 {
    status("hew_actor_try_send", || {
        // SAFETY: hew.h, Conventions: `data` is NULL or has `size` bytes.
        let data = unsafe { bytes("data", data, size) }?;
        send::try_send(find(actor)?.actor()?, msg_type, data)
    })
}

/// Sends to the actor with this PID, of this process or, through its current node, of any other; waits while the link
/// to that node is full. 0 means that the message was taken, not that it has arrived.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_actor_send_by_id(
    pid: u64,
    msg_type: i32,
    data: *mut c_void,
    size: usize,
) -> i32 {
    status("hew_actor_send_by_id", || {
        // SAFETY: hew.h, Conventions: `data` is NULL or has `size` bytes.
        let data = unsafe { bytes("data", data, size) }?;
        send_by_id(Pid::from_raw(pid), msg_type, data)
    })
}

fn send_by_id(pid: Pid, msg_type: i32, data: &[u8]) -> Result<(), Failure> {
    let process = process()?;
    let actor = if process.is_local(pid) {
        process.system.resolve(pid).ok_or_else(|| no_actor(pid))?
    } else {
        process.current_node()?.actor(pid)?
    };
    send::send(&actor, msg_type, data)
}

pub(crate) fn no_actor(pid: Pid) -> Failure {
    Failure::new(HEW_ERR_STALE, format!("{pid} has ended, or never was"))
}

/// Asks and waits for the answer: a copy from `malloc`, which the caller frees. NULL if the answer is empty, or if there
/// is none because the actor ended or crashed, its handler returned without `hew_reply`, or its mailbox is full;
/// `hew_last_error` says which. The handler finds `data` followed by the `HewReplyChannel *`, possibly unaligned.
///
/// A handler may ask: a spare thread takes its place, up to 64 handlers at once. Actors that ask each other in a circle
/// wait for ever; give them a deadline with `hew_actor_ask_timeout`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_actor_ask(
    actor: *mut HewActor,
    msg_type: i32,
    data: *mut c_void,
    size: usize,
) -> *mut c_void {
    // SAFETY: the conditions are the same.
    unsafe { ask("hew_actor_ask", actor, msg_type, data, size, -1) }
}

/// As `hew_actor_ask`, for at most `ms` milliseconds; negative: for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_actor_ask_timeout(
    actor: *mut HewActor,
    msg_type: i32,
    data: *mut c_void,
    size: usize,
    ms: i32,
) -> *mut c_void {
    // SAFETY: the conditions are the same.
    unsafe { ask("hew_actor_ask_timeout", actor, msg_type, data, size, ms) }
}

unsafe fn ask(
    function: &str,
    actor: *mut HewActor,
    msg_type: i32,
    data: *mut c_void,
    size: usize,
    ms: i32,
) -> *mut c_void {
    value(function, null_mut(), || {
        // SAFETY: hew.h, Conventions: `data` is NULL or has `size` bytes.
        let data = unsafe { bytes("data", data, size) }?;
        to_malloc(&send::ask(find(actor)?.actor()?, msg_type, data, deadline(ms))?)
    })
}

/// Asks; the answer arrives at the caller's channel. An actor that cannot answer any more completes the channel with
/// nothing, as a handler that returns without an answer does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_actor_ask_with_channel(
    actor: *mut HewActor,
    msg_type: i32,
    data: *mut c_void,
    size: usize,
    channel: *mut HewReplyChannel,
) {
    void("hew_actor_ask_with_channel", || {
        let channel = asking(channel)?;
        // A selection that lost it may have cancelled it.
        channel.want();
        // SAFETY: hew.h, Conventions: `data` is NULL or has `size` bytes.
        let sent = unsafe { bytes("data", data, size) }
            .and_then(|data| send::ask_into(find(actor)?.actor()?, msg_type, data, &channel));
        if sent.is_err() {
            channel.complete(Err(hew_actor::AskError::NoReply));
        }
        sent
    });
}

/// The running actor; NULL outside of a handler.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_self() -> *mut HewActor {
    pointer(running::actor().map_or(0, |entry| entry.handle()))
}

/// The PID of the running actor; -1 outside of a handler.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_current_id() -> i64 {
    // The same 64 bits; no PID is all ones, since serials never reach that.
    running::pid().map_or(-1, |pid| pid.raw() as i64)
}

/// The PID of an actor, alive or ended; 0 on failure. It changes once, when this process starts its first node.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_pid(actor: *mut HewActor) -> u64 {
    value("hew_actor_pid", 0, || pid_of(&*find(actor)?).map(Pid::raw))
}

/// The PID of the running actor; 0 outside of a handler.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_self_pid() -> u64 {
    running::pid().map_or(0, Pid::raw)
}

/// Stops an actor: it finishes the message at hand, takes no more, handles `HEW_MSG_STOP` and ends. Messages that wait
/// become dead letters. Does not wait.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_stop(actor: *mut HewActor) {
    void("hew_actor_stop", || find(actor)?.actor().map(|actor| actor.stop()));
}

/// Closes an actor's mailbox: it handles what waits, then `HEW_MSG_STOP`, and ends. Does not wait.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_close(actor: *mut HewActor) {
    void("hew_actor_close", || find(actor)?.actor().map(|actor| actor.close()));
}

/// Frees the handle; stops the actor first, and waits for its end for at most 10 seconds. An actor that frees itself is
/// stopped when its handler returns. NULL, an unknown or freed handle: no effect.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_free(actor: *mut HewActor) {
    if actor.is_null() {
        return;
    }
    void("hew_actor_free", || {
        let entry = ACTORS.remove(actor.addr())?;
        entry.actor()?.stop();
        if running::pid() == entry.pid() {
            return Ok(());
        }
        let end = blocking(|| entry.wait_for_end(Instant::now().checked_add(FREE_DEADLINE)))?;
        let late =
            || Failure::new(HEW_ERR_TIMEOUT, "its handler does not return; the handle is freed all the same");
        end.map(drop).ok_or_else(late)
    });
}

/// Ends an actor without `HEW_MSG_STOP`, after the message at hand: as stopped for 0, else as crashed with this code,
/// which links, monitors and `hew_actor_get_error` show.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_trap(actor: *mut HewActor, code: i32) {
    void("hew_actor_trap", || {
        let entry = find(actor)?;
        let actor = entry.actor()?;
        actor.system().end(actor.pid(), trapped(code));
        Ok(())
    });
}

/// Why an actor ended: 0 while it lives and after a normal end, else as `HewExitMessage.reason`.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_get_error(actor: *const HewActor) -> i32 {
    value("hew_actor_get_error", crate::error::HEW_ERR_INVALID, || {
        Ok(find(actor)?.end().map_or(0, |reason| reason_code(&reason)))
    })
}

/// The running actor ends when its handler returns, normally; it handles `HEW_MSG_STOP`.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_self_stop() {
    void("hew_actor_self_stop", || {
        let entry = running::actor().ok_or_else(|| Failure::invalid("no handler runs on this thread"))?;
        entry.wish(Outcome::Stop);
        Ok(())
    });
}

/// Waits until an actor has ended: 0, or a negative code. Not for the actor itself.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_await(actor: *mut HewActor) -> i32 {
    status("hew_actor_await", || await_end(&*find(actor)?))
}

/// Waits until all `count` actors have ended: 0, or a negative code, without waiting, if one of them is NULL or freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_actor_await_all(actors: *const *mut HewActor, count: i64) -> i32 {
    status("hew_actor_await_all", || {
        let count = usize::try_from(count).map_err(|_| Failure::invalid(format!("count is {count}")))?;
        // SAFETY: hew.h, Conventions: `actors` is NULL or has `count` elements.
        let actors = unsafe { read_all("actors", actors, count) }?;
        let entries: Vec<_> = actors.into_iter().map(|actor| find(actor)).collect::<Result<_, _>>()?;
        entries.iter().try_for_each(|entry| await_end(entry))
    })
}

/// Waits for the end of an actor.
///
/// # Errors
/// It is the one whose handler waits, or too many handlers wait.
pub(crate) fn await_end(entry: &ActorEntry) -> Result<(), Failure> {
    if entry.end().is_some() {
        return Ok(());
    }
    if running::pid().is_some_and(|pid| Some(pid) == entry.pid()) {
        return Err(Failure::invalid("an actor that waits for its own end would wait for ever"));
    }
    blocking(|| drop(entry.wait_for_end(None)))
}

/// A yield point of a long handler: lets other threads run. 1 in a handler, 0 elsewhere, where nothing is done.
#[unsafe(no_mangle)]
pub extern "C" fn hew_actor_cooperate() -> i32 {
    if running::actor().is_none() {
        return 0;
    }
    std::thread::yield_now();
    1
}

/// Sleeps; a spare thread takes the place of a handler that does. 0 or less: returns at once.
#[unsafe(no_mangle)]
pub extern "C" fn hew_sleep_ms(ms: i32) {
    void("hew_sleep_ms", || {
        let Ok(ms @ 1..) = u64::try_from(ms) else { return Ok(()) };
        blocking(|| std::thread::sleep(Duration::from_millis(ms)))
    });
}

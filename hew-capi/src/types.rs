//! Types and numbers that C programs see.

use std::ffi::{c_char, c_int, c_void};

/// An actor. The handle is valid until `hew_actor_free`, also after the actor has ended.
pub struct HewActor {
    _opaque: [u8; 0],
}

/// The place where one answer arrives.
pub struct HewReplyChannel {
    _opaque: [u8; 0],
}

/// A full mailbox makes the sender wait.
pub const HEW_OVERFLOW_BLOCK: i32 = 0;
/// A full mailbox drops the new message, and counts it.
pub const HEW_OVERFLOW_DROP_NEW: i32 = 1;
/// A full mailbox drops its oldest message, and counts it.
pub const HEW_OVERFLOW_DROP_OLD: i32 = 2;
/// A full mailbox refuses the new message.
pub const HEW_OVERFLOW_FAIL: i32 = 3;
/// In a full mailbox a message replaces the one with the same key; without one, `coalesce_fallback` decides.
pub const HEW_OVERFLOW_COALESCE: i32 = 4;

/// The system message that ends a life: the last one of an actor that ends normally, without data.
pub const HEW_MSG_STOP: i32 = -1;
/// The system message of a linked actor's end, for an actor that traps exits: `HewExitMessage`.
pub const HEW_MSG_EXIT: i32 = 103;
/// The system message of a monitored actor's end: `HewDownMessage`.
pub const HEW_MSG_DOWN: i32 = 104;

/// Handles one message of an actor. `state` is the actor's own, `data` belongs to the library and is valid until the
/// function returns; the function may change both. It runs on a thread of the library, one message at a time.
pub type HewDispatchFn =
    Option<unsafe extern "C" fn(state: *mut c_void, msg_type: i32, data: *mut c_void, size: usize)>;

/// The key of a message: a waiting message of the same type and key is replaced by a new one. Runs on the sender's
/// thread, or on the link's for messages of other nodes; must not send.
pub type HewCoalesceKeyFn =
    Option<unsafe extern "C" fn(msg_type: i32, data: *mut c_void, size: usize) -> u64>;

/// How `hew_actor_spawn_opts` makes an actor.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HewActorOpts {
    /// Copied; NULL with size 0 is no state.
    pub init_state: *mut c_void,
    /// Bytes of `init_state`.
    pub state_size: usize,
    /// Handles its messages; not NULL.
    pub dispatch: HewDispatchFn,
    /// Messages that may wait; 0 or less: 1,048,576.
    pub mailbox_capacity: i32,
    /// `HEW_OVERFLOW_…`; another number: drop the new message.
    pub overflow: i32,
    /// For `HEW_OVERFLOW_COALESCE`; NULL: nothing is replaced.
    pub coalesce_key_fn: HewCoalesceKeyFn,
    /// `HEW_OVERFLOW_…` for a message without one to replace; `HEW_OVERFLOW_COALESCE`: drop the new message.
    pub coalesce_fallback: i32,
    /// Messages that it handles before another actor's turn; 0 or less: 256.
    pub budget: i32,
}

/// A supervisor: see `hew_supervisor_new`.
pub struct HewSupervisor {
    _opaque: [u8; 0],
}

/// Makes a child supervisor anew, when the one before has given up.
pub type HewSupervisorInitFn = Option<unsafe extern "C" fn() -> *mut HewSupervisor>;

/// How a supervisor makes a child, at each start from the same state.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HewChildSpec {
    /// For people; copied. NULL: no name.
    pub name: *const c_char,
    /// Copied; NULL with size 0 is no state.
    pub init_state: *mut c_void,
    /// Bytes of `init_state`.
    pub init_state_size: usize,
    /// Handles its messages; not NULL.
    pub dispatch: HewDispatchFn,
    /// `HEW_RESTART_…`.
    pub restart_policy: c_int,
    /// As in `HewActorOpts`.
    pub mailbox_capacity: c_int,
    /// As in `HewActorOpts`; `HEW_OVERFLOW_COALESCE`: drop the new message.
    pub overflow: c_int,
}

/// The data of `HEW_MSG_EXIT`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HewExitMessage {
    /// The PID of the actor that ended.
    pub crashed_actor_id: u64,
    /// 0 for a normal end, the code of `hew_actor_trap`, -1 a crash, -2 ended from outside, -3 a linked actor's end,
    /// -16 there was no such actor, -17 its node is down, -18 its node does not allow it.
    pub reason: i32,
}

/// The data of `HEW_MSG_DOWN`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HewDownMessage {
    /// The PID of the actor that ended.
    pub monitored_actor_id: u64,
    /// What `hew_actor_monitor` answered.
    pub ref_id: u64,
    /// As in `HewExitMessage`.
    pub reason: i32,
}

/// A buffer that is written or read field by field. It may be on the caller's stack; a buffer of all zeros is empty.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HewWireBuf {
    /// The bytes: from `malloc` when written, the caller's when read.
    pub data: *mut u8,
    /// Bytes that are used.
    pub len: usize,
    /// Bytes that are allocated; 0 for a buffer that is read.
    pub cap: usize,
    /// Where reading goes on.
    pub read_pos: usize,
}

/// The functions of a transport: an ordered byte stream in each direction, with blocking calls, from any thread. Any of
/// them may be NULL: then it answers -1.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HewTransportOps {
    /// Connects: a connection, 0 or more; -1.
    pub connect: Option<unsafe extern "C" fn(impl_: *mut c_void, address: *const c_char) -> c_int>,
    /// Begins to listen: 0; -1.
    pub listen: Option<unsafe extern "C" fn(impl_: *mut c_void, address: *const c_char) -> c_int>,
    /// Waits for a connection for at most `timeout_ms` milliseconds, negative for ever: the connection; -1.
    pub accept: Option<unsafe extern "C" fn(impl_: *mut c_void, timeout_ms: c_int) -> c_int>,
    /// Sends at least one byte: how many were taken; -1.
    pub send: Option<
        unsafe extern "C" fn(impl_: *mut c_void, conn: c_int, data: *const c_void, len: usize) -> c_int,
    >,
    /// Waits for bytes: how many; 0 when the peer has closed; -1.
    pub recv:
        Option<unsafe extern "C" fn(impl_: *mut c_void, conn: c_int, buf: *mut c_void, cap: usize) -> c_int>,
    /// Closes a connection; calls of `recv` and `send` that wait for it return.
    pub close_conn: Option<unsafe extern "C" fn(impl_: *mut c_void, conn: c_int)>,
    /// The last call: nothing uses the transport any more.
    pub destroy: Option<unsafe extern "C" fn(impl_: *mut c_void)>,
}

/// How the bytes of a node get to others: one of the library's constructors, or a program's own. A program's own is
/// copied by `hew_node_options_transport`, which takes over `impl`.
///
/// cbindgen:field-names=[ops, impl]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HewTransport {
    /// Its functions; valid for as long as anything uses the transport.
    pub ops: *const HewTransportOps,
    /// What they are called with.
    pub impl_: *mut c_void,
}

/// Hears of members of the cluster; see `hew_cluster_set_membership_callback`.
pub type HewMembershipCallback = Option<unsafe extern "C" fn(node_id: u16, event: u8, user: *mut c_void)>;

/// What a timer calls.
pub type HewTimerFn = Option<unsafe extern "C" fn(user: *mut c_void)>;

/// A node: see `hew_node_new`.
pub struct HewNode {
    _opaque: [u8; 0],
}

/// How a node is made: see `hew_node_options_new`.
pub struct HewNodeOptions {
    _opaque: [u8; 0],
}

/// The cluster as one node sees it.
pub struct HewCluster {
    _opaque: [u8; 0],
}

/// Which keys may connect.
pub struct HewPeerAllowlist {
    _opaque: [u8; 0],
}

/// Timers that the program drives itself.
pub struct HewTimerWheel {
    _opaque: [u8; 0],
}

/// One timer of a wheel, until it has fired or was cancelled.
pub struct HewTimerEntry {
    _opaque: [u8; 0],
}

/// Actors that are waited for together.
pub struct HewScope {
    _opaque: [u8; 0],
}

/// Actors that are waited for and stopped together.
pub struct HewActorGroup {
    _opaque: [u8; 0],
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    /// The same numbers are in tests/c/layout.c.
    #[test]
    fn layouts_are_those_of_the_header() {
        assert_eq!(size_of::<HewActorOpts>(), 48);
        assert_eq!(offset_of!(HewActorOpts, init_state), 0);
        assert_eq!(offset_of!(HewActorOpts, state_size), 8);
        assert_eq!(offset_of!(HewActorOpts, dispatch), 16);
        assert_eq!(offset_of!(HewActorOpts, mailbox_capacity), 24);
        assert_eq!(offset_of!(HewActorOpts, overflow), 28);
        assert_eq!(offset_of!(HewActorOpts, coalesce_key_fn), 32);
        assert_eq!(offset_of!(HewActorOpts, coalesce_fallback), 40);
        assert_eq!(offset_of!(HewActorOpts, budget), 44);
        assert_eq!(size_of::<HewChildSpec>(), 48);
        assert_eq!(offset_of!(HewChildSpec, init_state), 8);
        assert_eq!(offset_of!(HewChildSpec, init_state_size), 16);
        assert_eq!(offset_of!(HewChildSpec, dispatch), 24);
        assert_eq!(offset_of!(HewChildSpec, restart_policy), 32);
        assert_eq!(offset_of!(HewChildSpec, mailbox_capacity), 36);
        assert_eq!(offset_of!(HewChildSpec, overflow), 40);
        assert_eq!((size_of::<HewTransport>(), offset_of!(HewTransport, impl_)), (16, 8));
        assert_eq!(size_of::<HewTransportOps>(), 56);
        assert_eq!(offset_of!(HewTransportOps, destroy), 48);
        assert_eq!(size_of::<HewExitMessage>(), 16);
        assert_eq!(offset_of!(HewExitMessage, reason), 8);
        assert_eq!(size_of::<HewDownMessage>(), 24);
        assert_eq!(offset_of!(HewDownMessage, ref_id), 8);
        assert_eq!(offset_of!(HewDownMessage, reason), 16);
        assert_eq!(size_of::<HewWireBuf>(), 32);
        assert_eq!(offset_of!(HewWireBuf, len), 8);
        assert_eq!(offset_of!(HewWireBuf, cap), 16);
        assert_eq!(offset_of!(HewWireBuf, read_pos), 24);
    }
}

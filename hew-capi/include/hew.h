/* Hew: actors, on one machine and across a cluster. This file is generated; see hew-capi/tests/header.rs.
 *
 * Conventions
 *
 * Memory.    A pointer that is not NULL points to as much readable memory (for results: writable) as its type and the size
 *            beside it say, aligned for its type, for as long as the call lasts. A text ends with NUL and is UTF-8. Every
 *            function accepts NULL for every pointer: it fails and says so, or does nothing. Data is copied; the caller
 *            keeps its buffer. What a function gives out "from malloc" the caller frees with free().
 * Handles.   A HewActor *, HewNode * and the like is a number in the shape of a pointer. One that was freed, is of another
 *            kind, or never was, is found out; the call fails with HEW_ERR_STALE or HEW_ERR_INVALID.
 * Failures.  int results: 0 is success, a negative HEW_ERR_... a failure, unless stated. Every call that fails leaves a text
 *            for its thread: hew_last_error(). A panic inside of the library becomes HEW_ERR_PANIC, NULL or 0.
 * Callbacks. Functions of the program run on threads of the library, never under one of its locks. They may call any
 *            function of this header except those that wait for the object which calls them to stop. A handler may wait:
 *            a spare thread takes its place, for up to 64 of them at once. hew_panic() leaves a handler for good. No C++
 *            exception may leave a function that the library calls.
 */


#ifndef HEW_H
#define HEW_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
static_assert(sizeof(void *) == 8 && sizeof(size_t) == 8, "Hew is for 64-bit targets");
#else
_Static_assert(sizeof(void *) == 8 && sizeof(size_t) == 8, "Hew is for 64-bit targets");
#endif

/**
 * A node is there, or answers again after it was suspected.
 */
#define HEW_MEMBER_JOINED 1

/**
 * A node does not answer; it counts as there until it is dead.
 */
#define HEW_MEMBER_SUSPECT 2

/**
 * A node is gone.
 */
#define HEW_MEMBER_DEAD 3

/**
 * A node said goodbye.
 */
#define HEW_MEMBER_LEFT 4

/**
 * Success.
 */
#define HEW_OK 0

/**
 * The mailbox of the actor, or the link to its node, is full.
 */
#define HEW_ERR_MAILBOX_FULL -1

/**
 * The actor has ended or is ending.
 */
#define HEW_ERR_ACTOR_STOPPED -2

/**
 * The time was over.
 */
#define HEW_ERR_TIMEOUT -3

/**
 * The question was dropped without an answer, or what was used has been closed.
 */
#define HEW_ERR_CLOSED -4

/**
 * No memory, no thread, or a table is full.
 */
#define HEW_ERR_OOM -5

/**
 * Bytes that cannot be encoded or decoded, or are more than a message may have.
 */
#define HEW_ERR_SERIALIZE -12

/**
 * The transport failed: nobody listens there, the port is taken, the connection broke.
 */
#define HEW_ERR_TRANSPORT -14

/**
 * A handle that was freed, or a PID of an actor that has ended.
 */
#define HEW_ERR_STALE -16

/**
 * The node is down or unknown, or no node runs.
 */
#define HEW_ERR_NODE_DOWN -17

/**
 * The other node does not allow it, or this one does not allow the other.
 */
#define HEW_ERR_NOT_ALLOWED -18

/**
 * An argument is NULL, malformed or out of its range.
 */
#define HEW_ERR_INVALID -22

/**
 * A panic inside of the library; the text says which.
 */
#define HEW_ERR_PANIC -99

/**
 * Every link is encrypted (the default).
 */
#define HEW_SECURITY_REQUIRED 0

/**
 * Links are encrypted when the peer can; plaintext reaches local addresses only.
 */
#define HEW_SECURITY_OPTIONAL 1

/**
 * Nothing is encrypted and nothing is proven; local addresses only.
 */
#define HEW_SECURITY_OFF 2

/**
 * For machines in one data centre: a silent crash is known to all after 4 to 5 s (the default).
 */
#define HEW_MEMBERSHIP_LAN 0

/**
 * For a quiet network: a silent crash is known to all after 1 to 1.3 s.
 */
#define HEW_MEMBERSHIP_FAST 1

/**
 * For processes on one machine.
 */
#define HEW_MEMBERSHIP_LOCAL 2

/**
 * Payloads travel as they are (the default).
 */
#define HEW_COMPRESSION_OFF 0

/**
 * Payloads of at least 4,096 bytes travel as LZ4 where that makes them a sixteenth shorter.
 */
#define HEW_COMPRESSION_LZ4 1

/**
 * Any key may connect; a removed one may not.
 */
#define HEW_ALLOWLIST_OPEN 0

/**
 * Only listed keys may connect.
 */
#define HEW_ALLOWLIST_STRICT 1

/**
 * May send messages to actors, and ask them.
 */
#define HEW_MAY_SEND (1 << 0)

/**
 * May learn names, members, and what the node says of itself, and take part in the registry.
 */
#define HEW_MAY_LOOKUP (1 << 1)

/**
 * May be told when an actor ends.
 */
#define HEW_MAY_MONITOR (1 << 2)

/**
 * May start actors; guards nothing yet.
 */
#define HEW_MAY_SPAWN (1 << 3)

/**
 * May end actors.
 */
#define HEW_MAY_KILL (1 << 4)

/**
 * May link actors, and send them exit signals.
 */
#define HEW_MAY_EXIT_SIGNALS (1 << 5)

/**
 * May have keys revoked.
 */
#define HEW_MAY_ADMINISTRATION (1 << 6)

/**
 * What a peer may do of which nothing else is said: all but `HEW_MAY_ADMINISTRATION`.
 */
#define HEW_MAY_DEFAULT ((1 << 6) - 1)

/**
 * Everything.
 */
#define HEW_MAY_ALL ((1 << 7) - 1)

/**
 * The process works as usual.
 */
#define HEW_SHUTDOWN_RUNNING 0

/**
 * It was told to shut down.
 */
#define HEW_SHUTDOWN_QUIESCE 1

/**
 * Actors handle what waits for them.
 */
#define HEW_SHUTDOWN_DRAIN 2

/**
 * Nodes, actors and workers stop.
 */
#define HEW_SHUTDOWN_TERMINATE 3

/**
 * It is over.
 */
#define HEW_SHUTDOWN_DONE 4

/**
 * Only the child that ended is started again.
 */
#define HEW_STRATEGY_ONE_FOR_ONE 0

/**
 * All children are stopped, and all are started again.
 */
#define HEW_STRATEGY_ONE_FOR_ALL 1

/**
 * The children that were started after it are stopped, and started again after it.
 */
#define HEW_STRATEGY_REST_FOR_ONE 2

/**
 * Started again after every end.
 */
#define HEW_RESTART_PERMANENT 0

/**
 * Started again after every end but a normal one.
 */
#define HEW_RESTART_TRANSIENT 1

/**
 * Never started again.
 */
#define HEW_RESTART_TEMPORARY 2

/**
 * A full mailbox makes the sender wait.
 */
#define HEW_OVERFLOW_BLOCK 0

/**
 * A full mailbox drops the new message, and counts it.
 */
#define HEW_OVERFLOW_DROP_NEW 1

/**
 * A full mailbox drops its oldest message, and counts it.
 */
#define HEW_OVERFLOW_DROP_OLD 2

/**
 * A full mailbox refuses the new message.
 */
#define HEW_OVERFLOW_FAIL 3

/**
 * In a full mailbox a message replaces the one with the same key; without one, `coalesce_fallback` decides.
 */
#define HEW_OVERFLOW_COALESCE 4

/**
 * The system message that ends a life: the last one of an actor that ends normally, without data.
 */
#define HEW_MSG_STOP -1

/**
 * The system message of a linked actor's end, for an actor that traps exits: `HewExitMessage`.
 */
#define HEW_MSG_EXIT 103

/**
 * The system message of a monitored actor's end: `HewDownMessage`.
 */
#define HEW_MSG_DOWN 104

/**
 * An actor. The handle is valid until `hew_actor_free`, also after the actor has ended.
 */
typedef struct HewActor HewActor;

/**
 * Actors that are waited for and stopped together.
 */
typedef struct HewActorGroup HewActorGroup;

/**
 * The cluster as one node sees it.
 */
typedef struct HewCluster HewCluster;

/**
 * A node: see `hew_node_new`.
 */
typedef struct HewNode HewNode;

/**
 * How a node is made: see `hew_node_options_new`.
 */
typedef struct HewNodeOptions HewNodeOptions;

/**
 * Which keys may connect.
 */
typedef struct HewPeerAllowlist HewPeerAllowlist;

/**
 * The place where one answer arrives.
 */
typedef struct HewReplyChannel HewReplyChannel;

/**
 * Actors that are waited for together.
 */
typedef struct HewScope HewScope;

/**
 * A supervisor: see `hew_supervisor_new`.
 */
typedef struct HewSupervisor HewSupervisor;

/**
 * One timer of a wheel, until it has fired or was cancelled.
 */
typedef struct HewTimerEntry HewTimerEntry;

/**
 * Timers that the program drives itself.
 */
typedef struct HewTimerWheel HewTimerWheel;

/**
 * Handles one message of an actor. `state` is the actor's own, `data` belongs to the library and is valid until the
 * function returns; the function may change both. It runs on a thread of the library, one message at a time.
 */
typedef void (*HewDispatchFn)(void *state, int32_t msg_type, void *data, size_t size);

/**
 * The key of a message: a waiting message of the same type and key is replaced by a new one. Runs on the sender's
 * thread, or on the link's for messages of other nodes; must not send.
 */
typedef uint64_t (*HewCoalesceKeyFn)(int32_t msg_type, void *data, size_t size);

/**
 * How `hew_actor_spawn_opts` makes an actor.
 */
typedef struct HewActorOpts {
    /**
     * Copied; NULL with size 0 is no state.
     */
    void *init_state;
    /**
     * Bytes of `init_state`.
     */
    size_t state_size;
    /**
     * Handles its messages; not NULL.
     */
    HewDispatchFn dispatch;
    /**
     * Messages that may wait; 0 or less: 1,048,576.
     */
    int32_t mailbox_capacity;
    /**
     * `HEW_OVERFLOW_…`; another number: drop the new message.
     */
    int32_t overflow;
    /**
     * For `HEW_OVERFLOW_COALESCE`; NULL: nothing is replaced.
     */
    HewCoalesceKeyFn coalesce_key_fn;
    /**
     * `HEW_OVERFLOW_…` for a message without one to replace; `HEW_OVERFLOW_COALESCE`: drop the new message.
     */
    int32_t coalesce_fallback;
    /**
     * Messages that it handles before another actor's turn; 0 or less: 256.
     */
    int32_t budget;
} HewActorOpts;

/**
 * Hears of members of the cluster; see `hew_cluster_set_membership_callback`.
 */
typedef void (*HewMembershipCallback)(uint16_t node_id, uint8_t event, void *user);

/**
 * The functions of a transport: an ordered byte stream in each direction, with blocking calls, from any thread. Any of
 * them may be NULL: then it answers -1.
 */
typedef struct HewTransportOps {
    /**
     * Connects: a connection, 0 or more; -1.
     */
    int (*connect)(void *impl_, const char *address);
    /**
     * Begins to listen: 0; -1.
     */
    int (*listen)(void *impl_, const char *address);
    /**
     * Waits for a connection for at most `timeout_ms` milliseconds, negative for ever: the connection; -1.
     */
    int (*accept)(void *impl_, int timeout_ms);
    /**
     * Sends at least one byte: how many were taken; -1.
     */
    int (*send)(void *impl_, int conn, const void *data, size_t len);
    /**
     * Waits for bytes: how many; 0 when the peer has closed; -1.
     */
    int (*recv)(void *impl_, int conn, void *buf, size_t cap);
    /**
     * Closes a connection; calls of `recv` and `send` that wait for it return.
     */
    void (*close_conn)(void *impl_, int conn);
    /**
     * The last call: nothing uses the transport any more.
     */
    void (*destroy)(void *impl_);
} HewTransportOps;

/**
 * How the bytes of a node get to others: one of the library's constructors, or a program's own. A program's own is
 * copied by `hew_node_options_transport`, which takes over `impl`.
 *
 */
typedef struct HewTransport {
    /**
     * Its functions; valid for as long as anything uses the transport.
     */
    const struct HewTransportOps *ops;
    /**
     * What they are called with.
     */
    void *impl;
} HewTransport;

/**
 * How a supervisor makes a child, at each start from the same state.
 */
typedef struct HewChildSpec {
    /**
     * For people; copied. NULL: no name.
     */
    const char *name;
    /**
     * Copied; NULL with size 0 is no state.
     */
    void *init_state;
    /**
     * Bytes of `init_state`.
     */
    size_t init_state_size;
    /**
     * Handles its messages; not NULL.
     */
    HewDispatchFn dispatch;
    /**
     * `HEW_RESTART_…`.
     */
    int restart_policy;
    /**
     * As in `HewActorOpts`.
     */
    int mailbox_capacity;
    /**
     * As in `HewActorOpts`; `HEW_OVERFLOW_COALESCE`: drop the new message.
     */
    int overflow;
} HewChildSpec;

/**
 * Makes a child supervisor anew, when the one before has given up.
 */
typedef struct HewSupervisor *(*HewSupervisorInitFn)(void);

/**
 * What a timer calls.
 */
typedef void (*HewTimerFn)(void *user);

/**
 * A buffer that is written or read field by field. It may be on the caller's stack; a buffer of all zeros is empty.
 */
typedef struct HewWireBuf {
    /**
     * The bytes: from `malloc` when written, the caller's when read.
     */
    uint8_t *data;
    /**
     * Bytes that are used.
     */
    size_t len;
    /**
     * Bytes that are allocated; 0 for a buffer that is read.
     */
    size_t cap;
    /**
     * Where reading goes on.
     */
    size_t read_pos;
} HewWireBuf;

/**
 * The data of `HEW_MSG_EXIT`.
 */
typedef struct HewExitMessage {
    /**
     * The PID of the actor that ended.
     */
    uint64_t crashed_actor_id;
    /**
     * 0 for a normal end, the code of `hew_actor_trap`, -1 a crash, -2 ended from outside, -3 a linked actor's end,
     * -16 there was no such actor, -17 its node is down, -18 its node does not allow it.
     */
    int32_t reason;
} HewExitMessage;

/**
 * The data of `HEW_MSG_DOWN`.
 */
typedef struct HewDownMessage {
    /**
     * The PID of the actor that ended.
     */
    uint64_t monitored_actor_id;
    /**
     * What `hew_actor_monitor` answered.
     */
    uint64_t ref_id;
    /**
     * As in `HewExitMessage`.
     */
    int32_t reason;
} HewDownMessage;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Spawns an actor with a copy of `size` bytes of `state` (NULL with 0: none) and a mailbox of 1,048,576 messages that
 * drops new ones when full. NULL on failure.
 */
struct HewActor *hew_actor_spawn(void *state, size_t size, HewDispatchFn dispatch);

/**
 * As `hew_actor_spawn`, with a mailbox of `capacity` messages; 0 or less: 1,048,576.
 */
struct HewActor *hew_actor_spawn_bounded(void *state, size_t size, HewDispatchFn dispatch, int32_t capacity);

/**
 * Spawns an actor with all options. NULL on failure.
 */
struct HewActor *hew_actor_spawn_opts(const struct HewActorOpts *options);

/**
 * Sends a copy of `size` bytes of `data`. A message that is refused, because the actor has ended or its mailbox is
 * full, is counted as a dead letter, and `hew_last_error` says so where the mailbox's policy is not to drop it. With
 * `HEW_OVERFLOW_BLOCK` it waits for room. Negative types belong to the system and are refused.
 */
void hew_actor_send(struct HewActor *actor, int32_t msg_type, void *data, size_t size);

/**
 * Sends without waiting: 0, `HEW_ERR_MAILBOX_FULL`, `HEW_ERR_ACTOR_STOPPED`, or another code for bad arguments.
 */
int32_t hew_actor_try_send(struct HewActor *actor, int32_t msg_type, void *data, size_t size);

/**
 * Sends to the actor with this PID, of this process or, through its current node, of any other; waits while the link
 * to that node is full. 0 means that the message was taken, not that it has arrived.
 */
int32_t hew_actor_send_by_id(uint64_t pid, int32_t msg_type, void *data, size_t size);

/**
 * Asks and waits for the answer: a copy from `malloc`, which the caller frees. NULL if the answer is empty, or if there
 * is none because the actor ended or crashed, its handler returned without `hew_reply`, or its mailbox is full;
 * `hew_last_error` says which. The handler finds `data` followed by the `HewReplyChannel *`, possibly unaligned.
 *
 * A handler may ask: a spare thread takes its place, up to 64 handlers at once. Actors that ask each other in a circle
 * wait for ever; give them a deadline with `hew_actor_ask_timeout`.
 */
void *hew_actor_ask(struct HewActor *actor, int32_t msg_type, void *data, size_t size);

/**
 * As `hew_actor_ask`, for at most `ms` milliseconds; negative: for ever.
 */
void *hew_actor_ask_timeout(struct HewActor *actor, int32_t msg_type, void *data, size_t size, int32_t ms);

/**
 * Asks; the answer arrives at the caller's channel. An actor that cannot answer any more completes the channel with
 * nothing, as a handler that returns without an answer does.
 */
void hew_actor_ask_with_channel(struct HewActor *actor,
                                int32_t msg_type,
                                void *data,
                                size_t size,
                                struct HewReplyChannel *channel);

/**
 * The running actor; NULL outside of a handler.
 */
struct HewActor *hew_actor_self(void);

/**
 * The PID of the running actor; -1 outside of a handler.
 */
int64_t hew_actor_current_id(void);

/**
 * The PID of an actor, alive or ended; 0 on failure. It changes once, when this process starts its first node.
 */
uint64_t hew_actor_pid(struct HewActor *actor);

/**
 * The PID of the running actor; 0 outside of a handler.
 */
uint64_t hew_actor_self_pid(void);

/**
 * Stops an actor: it finishes the message at hand, takes no more, handles `HEW_MSG_STOP` and ends. Messages that wait
 * become dead letters. Does not wait.
 */
void hew_actor_stop(struct HewActor *actor);

/**
 * Closes an actor's mailbox: it handles what waits, then `HEW_MSG_STOP`, and ends. Does not wait.
 */
void hew_actor_close(struct HewActor *actor);

/**
 * Frees the handle; stops the actor first, and waits for its end for at most 10 seconds. An actor that frees itself is
 * stopped when its handler returns. NULL, an unknown or freed handle: no effect.
 */
void hew_actor_free(struct HewActor *actor);

/**
 * Ends an actor without `HEW_MSG_STOP`, after the message at hand: as stopped for 0, else as crashed with this code,
 * which links, monitors and `hew_actor_get_error` show.
 */
void hew_actor_trap(struct HewActor *actor, int32_t code);

/**
 * Why an actor ended: 0 while it lives and after a normal end, else as `HewExitMessage.reason`.
 */
int32_t hew_actor_get_error(const struct HewActor *actor);

/**
 * The running actor ends when its handler returns, normally; it handles `HEW_MSG_STOP`.
 */
void hew_actor_self_stop(void);

/**
 * Waits until an actor has ended: 0, or a negative code. Not for the actor itself.
 */
int32_t hew_actor_await(struct HewActor *actor);

/**
 * Waits until all `count` actors have ended: 0, or a negative code, without waiting, if one of them is NULL or freed.
 */
int32_t hew_actor_await_all(struct HewActor *const *actors, int64_t count);

/**
 * A yield point of a long handler: lets other threads run. 1 in a handler, 0 elsewhere, where nothing is done.
 */
int32_t hew_actor_cooperate(void);

/**
 * Sleeps; a spare thread takes the place of a handler that does. 0 or less: returns at once.
 */
void hew_sleep_ms(int32_t ms);

extern void *malloc(size_t size);

extern void *realloc(void *pointer, size_t size);

extern void free(void *pointer);

/**
 * The cluster of a node; the same handle each time, until the node is freed. NULL on failure.
 */
struct HewCluster *hew_node_cluster(struct HewNode *node);

/**
 * Members that the running node knows, itself and those that are down included; a negative code on failure.
 */
int hew_cluster_member_count(struct HewCluster *cluster);

/**
 * Members that are alive, the node itself included; a negative code on failure.
 */
int hew_cluster_alive_count(struct HewCluster *cluster);

/**
 * Calls `callback(node, HEW_MEMBER_…, user)` for every member that is there and for whatever happens from now on, one
 * after the other on a thread of the library. Another call replaces it, NULL removes it. May be set before the node
 * starts. The callback may use the node, but not stop or free it.
 */
void hew_cluster_set_membership_callback(struct HewCluster *cluster, HewMembershipCallback callback, void *user);

/**
 * Leaves the cluster: stops the node, as `hew_node_stop` does.
 */
void hew_cluster_leave(struct HewCluster *cluster);

/**
 * Starts the current node at "id@host:port" or "host:port". Without an id it is `HEW_NODE_ID` of the environment, else
 * drawn at random; two nodes with one id refuse each other. Fails if a node runs in this process.
 */
int hew_node_api_start(const char *address);

/**
 * Stops the current node; without one: no effect.
 */
int hew_node_api_shutdown(void);

/**
 * Connects the current node; see `hew_node_connect`.
 */
int hew_node_api_connect(const char *address);

/**
 * Sets the key file of the current node, before it starts.
 */
int hew_node_api_load_keys(const char *path);

/**
 * Lets node `id` in with this key of 64 hexadecimal digits, and nobody else who was not allowed in the same way. The
 * first call comes before the start; later ones at any time.
 */
int hew_node_api_allow_peer(uint16_t id, const char *key_hex);

/**
 * The public key of the current node, or of the key file that was loaded: 64 hexadecimal digits from `malloc`. NULL
 * without either.
 */
char *hew_node_api_identity_key(void);

/**
 * Gives an actor of the current node a name; see `hew_node_register`.
 */
int hew_node_api_register_by_pid(const char *name, uint64_t pid);

/**
 * Takes a name from an actor of the current node.
 */
int hew_node_api_unregister(const char *name);

/**
 * The PID of a name, as far as the current node knows; 0 if it knows none.
 */
uint64_t hew_node_api_lookup(const char *name);

/**
 * What went wrong in the last call that failed on this thread; NULL if none did since `hew_clear_error`. The text
 * names the function, the thing and the cause, and is valid until the next call on this thread.
 */
const char *hew_last_error(void);

/**
 * Forgets the text of `hew_last_error`. Calls that succeed leave it alone.
 */
void hew_clear_error(void);

extern int hewi_call(void (*body)(void*), void *argument);

extern void hewi_jump(void);

/**
 * The running actor crashes: this does not return to its handler. Its supervisor, links and monitors hear of it, and
 * who waits for its answer gets NULL. The process goes on. Memory that the handler allocated and did not store is
 * lost. Outside of any handler or callback there is nothing to crash, and the call only sets `hew_last_error`.
 */
void hew_panic(void);

/**
 * As `hew_panic`, with a text that goes into the reason of the end; cut to 1,024 bytes, and what is not UTF-8 in it is
 * replaced.
 */
void hew_panic_msg(const char *message);

/**
 * A node over TCP that will listen at `bind` ("host:port"; port 0 takes a free one; NULL: not at all), with an identity
 * of its own for as long as the handle lives. `id`, 1 to 65,535, is unique in the cluster. Nothing happens before
 * `hew_node_start`. The caller frees it with `hew_node_free`. NULL on failure.
 */
struct HewNode *hew_node_new(uint16_t id, const char *bind);

/**
 * A node with options (NULL: the defaults), which stay the caller's and may be changed or freed afterwards.
 */
struct HewNode *hew_node_new_with(uint16_t id, struct HewNodeOptions *options);

/**
 * Starts the node: when this returns 0 it listens, and joining goes on in the background. The first node that runs in a
 * process is its current one: the actors of the process are that node's, and their PIDs show its id from now on. A node
 * that runs: no effect. A node that has stopped starts again, with the same identity.
 */
int hew_node_start(struct HewNode *node);

/**
 * Stops the node: what was sent is delivered, the others hear that it leaves, its address is free. The actors of the
 * process live on. A node that does not run: no effect. Not for callbacks of this node.
 */
int hew_node_stop(struct HewNode *node);

/**
 * Stops the node and frees it.
 */
void hew_node_free(struct HewNode *node);

/**
 * The id that the node was made with; 0 on failure.
 */
uint16_t hew_node_id(struct HewNode *node);

/**
 * Where the running node listens, as text from `malloc`; NULL if it does not.
 */
char *hew_node_address(struct HewNode *node);

/**
 * Writes the 32 bytes of the node's public key, by which others recognise it.
 */
int hew_node_identity_key(struct HewNode *node, uint8_t *key);

/**
 * Trusts a key of 32 bytes no more: who is connected with it is cut off at once, and it stays refused until it is added to the
 * node's list again, which outlives stops of the node but not the process: remove it from files, too. The other nodes of the
 * cluster are told, and do the same where this one has `HEW_MAY_ADMINISTRATION`. 0, also if it was revoked before.
 *
 * `HEW_ERR_INVALID`: the key is NULL or zero. `HEW_ERR_CLOSED`: the node does not run. `HEW_ERR_OOM`: as many keys are
 * revoked as can be (131,072), and an open list still lets this one in.
 */
int hew_node_revoke_key(struct HewNode *node,
                        const uint8_t *key);

/**
 * Gives an actor of this node a name by which every node of the cluster finds it, until it ends.
 * `HEW_ERR_NOT_ALLOWED`: another actor has the name.
 */
int hew_node_register(struct HewNode *node, const char *name, uint64_t pid);

/**
 * Takes a name from an actor of this node.
 */
int hew_node_unregister(struct HewNode *node, const char *name);

/**
 * The PID of the actor that has the name anywhere in the cluster, as far as the node knows now; 0 if it knows none.
 */
uint64_t hew_node_lookup(struct HewNode *node, const char *name);

/**
 * As `hew_node_lookup`, and waits for the name for at most `ms` milliseconds; negative: for ever.
 */
uint64_t hew_node_wait_name(struct HewNode *node, const char *name, int32_t ms);

/**
 * Waits until `count` members of the cluster, this node included, are alive: 0, or `HEW_ERR_TIMEOUT` after `ms`
 * milliseconds; negative: for ever.
 */
int hew_node_wait_members(struct HewNode *node, int32_t count, int32_t ms);

/**
 * Sends through this node; see `hew_actor_send_by_id`.
 */
int hew_node_send(struct HewNode *node, uint64_t pid, int32_t msg_type, const uint8_t *data, size_t size);

/**
 * Asks an actor of any node, and waits for at most `ms` milliseconds (negative: for ever). On 0, `*reply` is a copy of
 * the answer from `malloc`, or NULL if it is empty, and `*reply_size` its bytes; otherwise NULL and 0. NULL for `reply`
 * drops the answer.
 */
int hew_node_ask(struct HewNode *node,
                 uint64_t pid,
                 int32_t msg_type,
                 const uint8_t *data,
                 size_t size,
                 int32_t ms,
                 void **reply,
                 size_t *reply_size);

/**
 * Connects to the node at "host:port" or "id@host:port" and joins its cluster; 0 if there is a connection, also if
 * there was one before. `HEW_ERR_TRANSPORT`: nobody answers there; `HEW_ERR_NOT_ALLOWED`: one of the two refuses the
 * other, or it is another node than `id`. A connection that breaks later is made again by the node.
 */
int hew_node_connect(struct HewNode *node, const char *address);

/**
 * Options with their defaults: TCP, no address to listen at, a key for the node's lifetime, any peer's key, cluster
 * "hew". The caller frees them with `hew_node_options_free`. NULL if there are too many.
 */
struct HewNodeOptions *hew_node_options_new(void);

/**
 * Frees the options; nodes that were made with them keep their own.
 */
void hew_node_options_free(struct HewNodeOptions *options);

/**
 * Where the node listens; port 0 takes a free one, see `hew_node_address`.
 */
int hew_node_options_bind(struct HewNodeOptions *options, const char *address);

/**
 * Where others dial the node, if that is not where it listens.
 */
int hew_node_options_advertise(struct HewNodeOptions *options, const char *address);

/**
 * How the bytes get to others. A transport of the program's own is copied, and belongs to the options and the nodes made
 * with them: `destroy` is called after the last.
 */
int hew_node_options_transport(struct HewNodeOptions *options,
                               struct HewTransport *transport);

/**
 * The key file that says who the node is; it is read now, to find out whether it can be, and by each node once, which keeps
 * the key for as long as its handle lives.
 */
int hew_node_options_key_file(struct HewNodeOptions *options,
                              const char *path);

/**
 * Which keys may connect; the node and the caller share the list. Not beside `hew_node_options_allowlist_file`.
 */
int hew_node_options_allowlist(struct HewNodeOptions *options, struct HewPeerAllowlist *list);

/**
 * Which keys may connect, under which node ids, and what their peers may do, as a file says that the node follows: a change
 * holds within a second, for those who are connected as for those who come. Only what is listed is let in. The file has a
 * line for each peer: its node id or `*`, its key in hexadecimal, and if it is not the default what it may do, as in
 * `may=lookup,monitor` (the names of `HEW_MAY_…` in small letters, `all` or `none`). `#` begins a comment line.
 *
 * The file is read now, to find out whether it can be, and at each start. One that cannot be read while the node runs
 * changes nothing. Replace it by renaming another one into its place.
 *
 * `HEW_ERR_INVALID`, with a text that names the file, the cause, and the line if there is one: it is no regular file, does
 * not belong to this user or root, can be written by others, is empty or longer than 32 MiB, a line is wrong, or the
 * system refuses. Also if an allowlist or a pinned peer was set, which cannot be beside a file.
 */
int hew_node_options_allowlist_file(struct HewNodeOptions *options,
                                    const char *path);

/**
 * Lets node `id` in with this key of 32 bytes, and nobody else under that id. May be called for several keys. Not beside
 * `hew_node_options_allowlist_file`.
 */
int hew_node_options_pin_peer(struct HewNodeOptions *options,
                              uint16_t id,
                              const uint8_t *key);

/**
 * `HEW_SECURITY_…`: how much encryption the node asks for, whatever its peers want.
 */
int hew_node_options_security(struct HewNodeOptions *options, int policy);

/**
 * The cluster that the node belongs to; nodes of different clusters refuse each other.
 */
int hew_node_options_cluster(struct HewNodeOptions *options, const char *name);

/**
 * `HEW_MEMBERSHIP_…`: how soon a node that is gone is noticed. The same on all nodes of a cluster.
 */
int hew_node_options_membership(struct HewNodeOptions *options, int preset);

/**
 * Most bytes that are queued for, or not acknowledged by, each other node; from 65,536. Default 8 MiB. Replies have as much
 * room for themselves, and so have the control messages of the node.
 */
int hew_node_options_outgoing_bytes_max(struct HewNodeOptions *options,
                                        size_t bytes);

/**
 * After how many seconds without anything sent in either direction the connection with a member is closed, to be made
 * again by the next message; up to 86,400 (a day), 0 for never, default 60. Sessions, monitors and open questions stay.
 * Nodes without an address to be dialled at keep their connections.
 */
int hew_node_options_idle_timeout(struct HewNodeOptions *options, uint32_t seconds);

/**
 * For how many microseconds a connection looks for what comes next before it sleeps; up to 1,000, default 0. With 30 here
 * and at the other node an idle machine answers sooner; a machine with more work than processors becomes slower.
 */
int hew_node_options_spin(struct HewNodeOptions *options,
                          uint32_t microseconds);

/**
 * `HEW_COMPRESSION_…`: whether messages and replies are compressed, to and from nodes that are set up so as well. For networks
 * slower than 10 Gbit/s; not where a payload holds a secret beside bytes that others choose, for its length tells about it.
 */
int hew_node_options_compression(struct HewNodeOptions *options,
                                 int compression);

/**
 * The file in which the node keeps the greatest number of its starts, so that others believe in it even if the clock of the
 * machine went back. It is made by the first start, for its owner only, best beside the key file. Default: none, which
 * trusts the clock. One file for each node; it is read and written at each start, which fails with `HEW_ERR_INVALID` and a
 * text that names the file and the cause if it is a link, of others, or holds anything else.
 */
int hew_node_options_state_file(struct HewNodeOptions *options,
                                const char *path);

/**
 * An address to join the cluster by; may be called for several, which are tried for ever.
 */
int hew_node_options_join(struct HewNodeOptions *options, const char *address);

/**
 * Puts a PID together; the serial is cut to 48 bits.
 */
uint64_t hew_pid_make(uint16_t node, uint64_t serial);

/**
 * The node of a PID; 0 means this process.
 */
uint16_t hew_pid_node(uint64_t pid);

/**
 * The serial of a PID.
 */
uint64_t hew_pid_serial(uint64_t pid);

/**
 * 1 if the PID is of this process: its node is 0 or the local one; else 0.
 */
int32_t hew_pid_is_local(uint64_t pid);

/**
 * Sets the node id that PIDs of this process show. Starting a node does it; while one runs, this is refused.
 */
void hew_pid_set_local_node(uint16_t node);

/**
 * The node id that PIDs of this process show; 0 before a node was started.
 */
uint16_t hew_pid_local_node(void);

/**
 * Starts the workers: as many as there are processors, or `HEW_WORKERS` (1 to 256). Beside them 64 spare threads stand
 * by for handlers that wait. A second call has no effect; after `hew_sched_shutdown` it starts anew. Spawning an actor
 * or starting a node does this by itself. On failure `hew_last_error` says why.
 */
void hew_sched_init(void);

/**
 * Stops nodes, actors and workers, in this order, and joins the threads. Handlers have 5 seconds to return; the thread
 * of one that does not is left behind. Messages that wait are dropped. Not for handlers and callbacks.
 */
void hew_sched_shutdown(void);

/**
 * As `hew_sched_shutdown`, and frees all handles of actors and all names, so that `hew_sched_init` works again.
 */
void hew_runtime_cleanup(void);

/**
 * The version of this library, for example "0.1.0".
 */
const char *hew_version(void);

/**
 * Grows when a program must be compiled anew to work with this library.
 */
uint32_t hew_abi_version(void);

/**
 * Gives an actor of this process a name. -1 if a living actor has it, another negative code for a bad name or actor.
 * The name goes when the actor ends.
 */
int32_t hew_registry_register(const char *name, void *actor);

/**
 * The actor that has the name; NULL if nobody has.
 */
void *hew_registry_lookup(const char *name);

/**
 * Takes a name away. A negative code if nobody has it.
 */
int32_t hew_registry_unregister(const char *name);

/**
 * How many living actors' names there are.
 */
int32_t hew_registry_count(void);

/**
 * Takes all names away.
 */
void hew_registry_clear(void);

/**
 * Links two actors: when one ends abnormally the other crashes too, unless it traps exits; then it gets
 * `HEW_MSG_EXIT`. An actor that has ended already counts as ending now, with reason -16.
 */
void hew_actor_link(struct HewActor *a, struct HewActor *b);

/**
 * Removes a link; after this returns, no exit signal of it arrives.
 */
void hew_actor_unlink(struct HewActor *a, struct HewActor *b);

/**
 * Links an actor of this process with one anywhere, by PID.
 */
void hew_actor_link_pid(struct HewActor *actor, uint64_t pid);

/**
 * Removes a link of `hew_actor_link_pid`.
 */
void hew_actor_unlink_pid(struct HewActor *actor, uint64_t pid);

/**
 * Makes `watcher` hear of the end of `target`: exactly one `HEW_MSG_DOWN`, at once if it has ended. Answers the
 * reference that the message carries; 0 on failure.
 */
uint64_t hew_actor_monitor(struct HewActor *watcher, struct HewActor *target);

/**
 * As `hew_actor_monitor` for an actor anywhere, by PID. The end of its node is its end, with reason -17.
 */
uint64_t hew_actor_monitor_pid(struct HewActor *watcher, uint64_t target);

/**
 * Removes a monitor; after this returns, no message of it arrives. Unknown or fired references: no effect.
 */
void hew_actor_demonitor(uint64_t reference);

/**
 * Whether exit signals arrive as `HEW_MSG_EXIT` (not 0) instead of crashing the actor (0, as at first).
 */
void hew_actor_trap_exit(struct HewActor *actor, int32_t on);

/**
 * A channel for one answer. The caller frees it with `hew_reply_channel_free`. NULL if there are too many.
 */
struct HewReplyChannel *hew_reply_channel_new(void);

/**
 * Answers with a copy of `size` bytes. Only the first answer counts; after it, and after its handler has returned,
 * the channel that a handler was given is freed.
 */
void hew_reply(struct HewReplyChannel *channel, void *value, size_t size);

/**
 * Waits for the answer: a copy from `malloc`. NULL if the answer is empty, or if there will be none because the actor
 * ended or its handler did not answer; `hew_last_error` tells the two apart after `hew_clear_error`.
 */
void *hew_reply_wait(struct HewReplyChannel *channel);

/**
 * As `hew_reply_wait`, for at most `ms` milliseconds; negative: for ever. After a timeout it may be called again.
 */
void *hew_reply_wait_timeout(struct HewReplyChannel *channel, int32_t ms);

/**
 * Frees a channel. An answer that comes later is dropped.
 */
void hew_reply_channel_free(struct HewReplyChannel *channel);

/**
 * Waits until one of `count` channels has an answer (or will never have one) and says which, the first of several; -1
 * after `ms` milliseconds (negative: waits for ever). Take its answer with `hew_reply_wait`, then free it. The others,
 * after a timeout all of them, are cancelled: each is freed when its answer comes, or by `hew_reply_channel_free`,
 * whichever is first; freeing it twice does no harm. NULL and freed channels in the list are passed over.
 */
int32_t hew_select_first(struct HewReplyChannel **channels, int32_t count, int32_t ms);

/**
 * Makes a fresh pair of 32 bytes each from the operating system's random source.
 */
int hew_noise_keygen(uint8_t *public_key, uint8_t *private_key);

/**
 * Writes a key file: 64 bytes, the public then the private key, for its owner only, never through a symbolic link. A
 * file that is there is replaced.
 */
int hew_noise_key_save(const char *path, const uint8_t *public_key, const uint8_t *private_key);

/**
 * Reads a key file. Refuses a symbolic link, another length, a file of somebody else or open to others, and a pair
 * that does not belong together.
 */
int hew_noise_key_load(const char *path, uint8_t *public_key, uint8_t *private_key);

/**
 * An empty list of keys, `HEW_ALLOWLIST_OPEN` or `HEW_ALLOWLIST_STRICT`; NULL for another mode. The caller frees it
 * with `hew_allowlist_free`; nodes that were made with it keep it, and see what is added and removed.
 */
struct HewPeerAllowlist *hew_allowlist_new(int mode);

/**
 * Adds a key of 32 bytes, for any node id, with `HEW_MAY_DEFAULT`. A key that was removed or revoked is let in again.
 */
int hew_allowlist_add(struct HewPeerAllowlist *list, const uint8_t *key);

/**
 * Adds a key of 32 bytes with what its peer may do, `HEW_MAY_…` bits or 0 for nothing, under node id `node`, which keys that
 * are not added for it have no more; 0: under any id. A peer that may do nothing can still be connected, be a member, be
 * sent to, and answer. What was said before of the same key and id is replaced; peers that are connected have their new
 * permissions within a second. A key that was removed or revoked is let in again.
 *
 * `HEW_ERR_INVALID`: the key is NULL or zero, or a bit has no meaning. `HEW_ERR_OOM`: the list has 131,072 entries. The list
 * is as it was then.
 */
int hew_allowlist_permit(struct HewPeerAllowlist *list,
                         const uint8_t *key,
                         uint16_t node,
                         uint32_t permissions);

/**
 * Removes a key, which is refused from now on, on an open list as on a strict one; its peer is cut off within a second. A
 * negative code if it was removed or revoked before and not added since.
 */
int hew_allowlist_remove(struct HewPeerAllowlist *list,
                         const uint8_t *key);

/**
 * 1 if the key may connect, else 0.
 */
int hew_allowlist_check(struct HewPeerAllowlist *list, const uint8_t *key);

/**
 * Frees the handle; nodes that use the list keep it.
 */
void hew_allowlist_free(struct HewPeerAllowlist *list);

/**
 * The phase of the shutdown, `HEW_SHUTDOWN_…`.
 */
int hew_shutdown_phase(void);

/**
 * 1 from `hew_shutdown_initiate` on, else 0; 0 again after `hew_runtime_cleanup`.
 */
int hew_is_shutting_down(void);

/**
 * Begins to shut the process down: actors handle what waits, for at most `drain_ms` milliseconds (0 or less: not at
 * all) and no longer than there is something to do; then everything stops as in `hew_sched_shutdown`. Returns at once,
 * also in a handler; `hew_shutdown_wait` waits. A second call has no effect.
 */
void hew_shutdown_initiate(int64_t drain_ms);

/**
 * Waits until the shutdown is over: 0. A negative code if none was begun, and for handlers, which it would wait for.
 */
int hew_shutdown_wait(void);

/**
 * A supervisor without children: `HEW_STRATEGY_…`, and how many restarts within how many seconds are too many. It does
 * nothing before `hew_supervisor_start`; `hew_supervisor_stop` frees it. NULL on failure.
 */
struct HewSupervisor *hew_supervisor_new(int strategy,
                                         int max_restarts,
                                         int window_secs);

/**
 * Plans a child; its state and name are copied. 0, or a negative code.
 */
int hew_supervisor_add_child_spec(struct HewSupervisor *supervisor, const struct HewChildSpec *spec);

/**
 * Plans a supervisor as a child; it may run already. Its handle belongs to the parent from now on. When it gives up it
 * is made anew from its plan. 0, or a negative code.
 */
int hew_supervisor_add_child_supervisor(struct HewSupervisor *supervisor, struct HewSupervisor *child);

/**
 * As `hew_supervisor_add_child_supervisor`; when the child gives up, the parent calls `init` for another one, which may
 * run already or not, as often as the parent's own budget allows.
 */
int hew_supervisor_add_child_supervisor_with_init(struct HewSupervisor *supervisor,
                                                  struct HewSupervisor *child,
                                                  HewSupervisorInitFn init);

/**
 * Starts the children in the order in which they were planned, and waits for it. A supervisor that runs: no effect.
 */
int hew_supervisor_start(struct HewSupervisor *supervisor);

/**
 * Stops the children, last started first, and frees the tree with the handles of its actors and supervisors. Waits; a
 * child that does not stop within 5 seconds is ended. Not for handlers of the tree.
 */
void hew_supervisor_stop(struct HewSupervisor *supervisor);

/**
 * The actor that fills the place of child `index` (of those that are actors, from 0) now. The handle belongs to the
 * supervisor, and is freed when the child is started again. NULL if there is none at the moment.
 */
struct HewActor *hew_supervisor_get_child(struct HewSupervisor *supervisor, int index);

/**
 * Child supervisor `index` (of those that are supervisors, from 0). The handle belongs to the parent. NULL on failure.
 */
struct HewSupervisor *hew_supervisor_get_child_supervisor(struct HewSupervisor *supervisor, int index);

/**
 * Children that are actors; a negative code on failure.
 */
int hew_supervisor_child_count(struct HewSupervisor *supervisor);

/**
 * 1 if the supervisor runs: it was started, and neither stopped nor gave up; else 0.
 */
int hew_supervisor_is_running(struct HewSupervisor *supervisor);

/**
 * Adds a child to a supervisor that runs, and starts it: its index, or a negative code.
 */
int hew_supervisor_add_child_dynamic(struct HewSupervisor *supervisor, const struct HewChildSpec *spec);

/**
 * Stops child `index` and forgets it; the later ones move down by one. 0, or a negative code.
 */
int hew_supervisor_remove_child(struct HewSupervisor *supervisor, int index);

/**
 * Milliseconds of a clock that only goes forward; its zero is the first call.
 */
uint64_t hew_now_ms(void);

/**
 * An empty wheel, freed by `hew_timer_wheel_free`.
 */
struct HewTimerWheel *hew_timer_wheel_new(void);

/**
 * Frees a wheel; its timers never run.
 */
void hew_timer_wheel_free(struct HewTimerWheel *wheel);

/**
 * Lets `function(user)` run in the first tick after `delay_ms` milliseconds. The handle is valid until the timer has run
 * or was cancelled. NULL on failure.
 */
struct HewTimerEntry *hew_timer_wheel_schedule(struct HewTimerWheel *wheel,
                                               uint64_t delay_ms,
                                               HewTimerFn function,
                                               void *user);

/**
 * Cancels a timer: 0, and it never runs; a negative code if it has run, was cancelled, or is of another wheel.
 */
int hew_timer_wheel_cancel(struct HewTimerWheel *wheel, struct HewTimerEntry *timer);

/**
 * Runs every timer that was due when the call began, in order, on this thread; how many. A timer may schedule others
 * and cancel; those that are due at once run in the next tick. One that calls `hew_panic` is over, the others run.
 */
int hew_timer_wheel_tick(struct HewTimerWheel *wheel);

/**
 * Milliseconds until the next timer is due, 0 if one is; -1 if none waits.
 */
int64_t hew_timer_wheel_next_deadline_ms(struct HewTimerWheel *wheel);

/**
 * An empty scope, freed by `hew_scope_free`.
 */
struct HewScope *hew_scope_create(void);

/**
 * Puts an actor into a scope: 0 or a negative code.
 */
int32_t hew_scope_spawn(struct HewScope *scope, void *actor);

/**
 * Waits until all actors of a scope have ended, also those that are put in meanwhile. Not for one of them.
 */
void hew_scope_wait_all(struct HewScope *scope);

/**
 * Frees a scope; its actors live on.
 */
void hew_scope_free(struct HewScope *scope);

/**
 * An empty group, freed by `hew_actor_group_destroy`.
 */
struct HewActorGroup *hew_actor_group_new(void);

/**
 * Puts an actor into a group: 0 or a negative code.
 */
int32_t hew_actor_group_add(struct HewActorGroup *group, void *actor);

/**
 * Waits until all actors of a group have ended. Not for one of them.
 */
void hew_actor_group_wait_all(struct HewActorGroup *group);

/**
 * As `hew_actor_group_wait_all`, for at most `ms` milliseconds (negative: for ever): 0, `HEW_ERR_TIMEOUT`, or another
 * negative code.
 */
int32_t hew_actor_group_wait_timeout(struct HewActorGroup *group, int32_t ms);

/**
 * Stops all actors of a group, as `hew_actor_stop` does. Does not wait.
 */
void hew_actor_group_stop_all(struct HewActorGroup *group);

/**
 * Frees a group; its actors live on.
 */
void hew_actor_group_destroy(struct HewActorGroup *group);

/**
 * TCP, for addresses like `127.0.0.1:9000`, `[::1]:9000` and `host:9000`. Nodes without a transport have this one.
 */
struct HewTransport *hew_transport_tcp_new(void);

/**
 * Unix sockets, for addresses like "unix:/run/hew.sock".
 */
struct HewTransport *hew_transport_unix_new(void);

/**
 * Memory of this process, for addresses like "mem:name": nodes of one process find each other.
 */
struct HewTransport *hew_transport_mem_new(void);

/**
 * Frees a transport of one of the constructors above, once; nodes that were made with it keep what they need.
 */
void hew_transport_free(struct HewTransport *transport);

/**
 * An empty buffer from the library, freed by `hew_wire_buf_destroy`; NULL without memory.
 */
struct HewWireBuf *hew_wire_buf_new(void);

/**
 * Makes a buffer that reads `size` bytes of the caller's, which must outlive it. What the buffer held before is not
 * freed.
 */
void hew_wire_buf_init_read(struct HewWireBuf *buffer, const uint8_t *data, size_t size);

/**
 * Frees the bytes of a buffer that was written, and makes it empty; the structure itself stays.
 */
void hew_wire_buf_free(struct HewWireBuf *buffer);

/**
 * Frees a buffer of `hew_wire_buf_new` with its bytes.
 */
void hew_wire_buf_destroy(struct HewWireBuf *buffer);

/**
 * Appends a number as LEB128.
 */
int hew_wire_encode_field_varint(struct HewWireBuf *buffer, int number, uint64_t value);

/**
 * Appends 4 bytes, the lowest first.
 */
int hew_wire_encode_field_fixed32(struct HewWireBuf *buffer, int number, uint32_t value);

/**
 * Appends 8 bytes, the lowest first.
 */
int hew_wire_encode_field_fixed64(struct HewWireBuf *buffer, int number, uint64_t value);

/**
 * Appends a length as LEB128 and that many bytes, which must not be the buffer's own.
 */
int hew_wire_encode_field_bytes(struct HewWireBuf *buffer, int number, const void *data, size_t size);

/**
 * Appends the bytes of a text without its NUL.
 */
int hew_wire_encode_field_string(struct HewWireBuf *buffer, int number, const char *string);

/**
 * Reads LEB128, a tag or a number. A negative code for a number that is cut off, too long or larger than 64 bits; the
 * position stays.
 */
int hew_wire_decode_varint(struct HewWireBuf *buffer, uint64_t *value);

/**
 * Reads 4 bytes, the lowest first.
 */
int hew_wire_decode_fixed32(struct HewWireBuf *buffer, uint32_t *value);

/**
 * Reads 8 bytes, the lowest first.
 */
int hew_wire_decode_fixed64(struct HewWireBuf *buffer, uint64_t *value);

/**
 * Reads a length and that many bytes: `*data` points into the buffer's own bytes.
 */
int hew_wire_decode_bytes(struct HewWireBuf *buffer, const void **data, size_t *size);

/**
 * A signed number as an unsigned one that is small when it is: 0, -1, 1, -2 become 0, 1, 2, 3.
 */
uint64_t hew_wire_zigzag_encode(int64_t value);

/**
 * The reverse of `hew_wire_zigzag_encode`.
 */
int64_t hew_wire_zigzag_decode(uint64_t value);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* HEW_H */

/* The layout of what crosses the boundary by value; hew-capi/src/types.rs asserts the same numbers. */
#include <hew.h>

#include <assert.h>
#include <stdio.h>

#define AT(type, field, offset) static_assert(offsetof(type, field) == (offset), #type "." #field)

static_assert(sizeof(HewActorOpts) == 48, "HewActorOpts");
AT(HewActorOpts, init_state, 0);
AT(HewActorOpts, state_size, 8);
AT(HewActorOpts, dispatch, 16);
AT(HewActorOpts, mailbox_capacity, 24);
AT(HewActorOpts, overflow, 28);
AT(HewActorOpts, coalesce_key_fn, 32);
AT(HewActorOpts, coalesce_fallback, 40);
AT(HewActorOpts, budget, 44);

static_assert(sizeof(HewChildSpec) == 48, "HewChildSpec");
AT(HewChildSpec, name, 0);
AT(HewChildSpec, init_state, 8);
AT(HewChildSpec, init_state_size, 16);
AT(HewChildSpec, dispatch, 24);
AT(HewChildSpec, restart_policy, 32);
AT(HewChildSpec, mailbox_capacity, 36);
AT(HewChildSpec, overflow, 40);

static_assert(sizeof(HewTransport) == 16, "HewTransport");
AT(HewTransport, ops, 0);
AT(HewTransport, impl, 8);
static_assert(sizeof(HewTransportOps) == 56, "HewTransportOps");
AT(HewTransportOps, connect, 0);
AT(HewTransportOps, listen, 8);
AT(HewTransportOps, accept, 16);
AT(HewTransportOps, send, 24);
AT(HewTransportOps, recv, 32);
AT(HewTransportOps, close_conn, 40);
AT(HewTransportOps, destroy, 48);

static_assert(sizeof(HewExitMessage) == 16, "HewExitMessage");
AT(HewExitMessage, crashed_actor_id, 0);
AT(HewExitMessage, reason, 8);

static_assert(sizeof(HewDownMessage) == 24, "HewDownMessage");
AT(HewDownMessage, monitored_actor_id, 0);
AT(HewDownMessage, ref_id, 8);
AT(HewDownMessage, reason, 16);

static_assert(sizeof(HewWireBuf) == 32, "HewWireBuf");
AT(HewWireBuf, data, 0);
AT(HewWireBuf, len, 8);
AT(HewWireBuf, cap, 16);
AT(HewWireBuf, read_pos, 24);

static_assert(HEW_OK == 0 && HEW_ERR_MAILBOX_FULL == -1 && HEW_ERR_ACTOR_STOPPED == -2 && HEW_ERR_TIMEOUT == -3 &&
                  HEW_ERR_CLOSED == -4 && HEW_ERR_OOM == -5 && HEW_ERR_SERIALIZE == -12 && HEW_ERR_TRANSPORT == -14 &&
                  HEW_ERR_STALE == -16 && HEW_ERR_NODE_DOWN == -17 && HEW_ERR_NOT_ALLOWED == -18 &&
                  HEW_ERR_INVALID == -22 && HEW_ERR_PANIC == -99,
              "codes");
static_assert(HEW_OVERFLOW_BLOCK == 0 && HEW_OVERFLOW_DROP_NEW == 1 && HEW_OVERFLOW_DROP_OLD == 2 &&
                  HEW_OVERFLOW_FAIL == 3 && HEW_OVERFLOW_COALESCE == 4,
              "overflow policies");
static_assert(HEW_MSG_STOP == -1 && HEW_MSG_EXIT == 103 && HEW_MSG_DOWN == 104, "system messages");
static_assert(HEW_MEMBER_JOINED == 1 && HEW_MEMBER_SUSPECT == 2 && HEW_MEMBER_DEAD == 3 && HEW_MEMBER_LEFT == 4,
              "member events");
static_assert(HEW_ALLOWLIST_OPEN == 0 && HEW_ALLOWLIST_STRICT == 1, "allowlist modes");

int main(void) {
    printf("done\n");
    return 0;
}

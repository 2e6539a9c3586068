/* One program, two processes: `serve` runs a node with a counter, `use ADDRESS` finds it by name, sends to it and asks.
 *
 * serve: prints "listening ADDRESS", then serves until its input ends, then prints "stopped TOTAL".
 * use:   prints "total N" after its messages, waits for a line of input, then for the end of the counter's node, and
 *        prints "down REASON".
 */
#include "check.h"

#include <stdatomic.h>

enum { ADD = 0, GET = 1, CRASH = 2 };
enum { MESSAGES = 1000 };

typedef struct {
    uint64_t total;
} Counter;

static void counter(void *state, int32_t type, void *data, size_t size) {
    Counter *self = state;
    switch (type) {
    case ADD: {
        uint64_t amount;
        CHECK(size == sizeof amount);
        memcpy(&amount, data, sizeof amount);
        self->total += amount;
        break;
    }
    case GET:
        hew_reply(channel_of(data, size), &self->total, sizeof self->total);
        break;
    case HEW_MSG_STOP:
        printf("stopped %llu\n", (unsigned long long)self->total);
        fflush(stdout);
        break;
    }
}

static void wait_for_input(void) {
    char line[16];
    if (fgets(line, sizeof line, stdin) == NULL) {
        return;
    }
}

static HewNode *start(uint16_t id, int security) {
    HewNodeOptions *options = hew_node_options_new();
    CHECK(hew_node_options_bind(options, "127.0.0.1:0") == 0);
    CHECK(hew_node_options_membership(options, HEW_MEMBERSHIP_LOCAL) == 0);
    CHECK(hew_node_options_security(options, security) == 0);
    HewNode *node = hew_node_new_with(id, options);
    hew_node_options_free(options);
    CHECK(node != NULL);
    CHECK(hew_node_start(node) == 0);
    CHECK(hew_node_start(node) == 0);
    CHECK(hew_pid_local_node() == id);
    return node;
}

static int serve(void) {
    hew_sched_init();
    Counter zero = {0};
    HewActor *actor = hew_actor_spawn(&zero, sizeof zero, counter);
    CHECK(actor != NULL);
    HewNode *node = start(1, HEW_SECURITY_REQUIRED);
    CHECK(hew_pid_node(hew_actor_pid(actor)) == 1);
    CHECK(hew_node_register(node, "counter", hew_actor_pid(actor)) == 0);
    char *address = hew_node_address(node);
    printf("listening %s\n", address);
    fflush(stdout);
    free(address);

    wait_for_input();
    hew_actor_free(actor);
    CHECK(hew_node_stop(node) == 0);
    CHECK(hew_node_stop(node) == 0);
    hew_node_free(node);
    hew_sched_shutdown();
    hew_runtime_cleanup();
    return 0;
}

static _Atomic uint64_t monitor_reference;

static void watcher(void *state, int32_t type, void *data, size_t size) {
    (void)state;
    if (type == HEW_MSG_DOWN) {
        HewDownMessage down;
        CHECK(size == sizeof down);
        memcpy(&down, data, sizeof down);
        CHECK(down.ref_id == atomic_load(&monitor_reference));
        CHECK(hew_pid_node(down.monitored_actor_id) == 1);
        printf("down %d\n", down.reason);
        fflush(stdout);
        hew_actor_self_stop();
    }
}

static uint64_t ask_total(HewNode *node, uint64_t pid) {
    void *reply = NULL;
    size_t size = 0;
    CHECK(hew_node_ask(node, pid, GET, NULL, 0, 10000, &reply, &size) == 0);
    CHECK(size == sizeof(uint64_t));
    uint64_t total;
    memcpy(&total, reply, sizeof total);
    free(reply);
    return total;
}

static int use(const char *address) {
    HewNode *node = start(2, HEW_SECURITY_REQUIRED);
    char target[256];
    snprintf(target, sizeof target, "1@%s", address);
    CHECK(hew_node_connect(node, target) == 0);
    snprintf(target, sizeof target, "7@%s", address);
    CHECK_FAILS(hew_node_connect(node, target), HEW_ERR_NOT_ALLOWED, "node 1 is there, not node 7");
    CHECK(hew_node_wait_members(node, 2, 10000) == 0);
    CHECK(hew_cluster_alive_count(hew_node_cluster(node)) == 2);

    uint64_t pid = hew_node_wait_name(node, "counter", 10000);
    CHECK(pid != 0);
    CHECK(hew_pid_node(pid) == 1);
    CHECK(!hew_pid_is_local(pid));
    CHECK(hew_node_lookup(node, "counter") == pid);
    CHECK(hew_node_lookup(node, "nobody") == 0);
    CHECK(strstr(hew_last_error(), "nobody is registered as \"nobody\"") != NULL);

    uint64_t one = 1;
    for (int i = 0; i < MESSAGES; i++) {
        CHECK(hew_actor_send_by_id(pid, ADD, &one, sizeof one) == 0);
    }
    CHECK(hew_node_send(node, pid, ADD, (const uint8_t *)&one, sizeof one) == 0);
    printf("total %llu\n", (unsigned long long)ask_total(node, pid));
    fflush(stdout);

    /* An actor of that node that never was. */
    CHECK_FAILS(hew_node_ask(node, hew_pid_make(1, 5000), GET, NULL, 0, 10000, NULL, NULL), HEW_ERR_STALE,
                "no such process");

    HewActor *actor = hew_actor_spawn(NULL, 0, watcher);
    atomic_store(&monitor_reference, hew_actor_monitor_pid(actor, pid));
    CHECK(atomic_load(&monitor_reference) != 0);
    /* What is answered after it was sent after the monitor. */
    CHECK(ask_total(node, pid) == MESSAGES + 1);
    printf("watching\n");
    fflush(stdout);
    CHECK(hew_actor_await(actor) == 0);
    hew_actor_free(actor);
    hew_node_free(node);
    hew_runtime_cleanup();
    return 0;
}

int main(int count, char **arguments) {
    if (count == 2 && strcmp(arguments[1], "serve") == 0) {
        return serve();
    }
    if (count == 3 && strcmp(arguments[1], "use") == 0) {
        return use(arguments[2]);
    }
    fprintf(stderr, "usage: two_nodes serve | use ADDRESS\n");
    return 2;
}

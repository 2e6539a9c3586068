/* Who may connect to a node, what its peers may do there, and how that changes while it runs. Argument: a directory of its
 * own. */
#include "check.h"

#include <sys/stat.h>

/* Changes of a list hold within a second; slow machines have more. */
#define UNTIL(condition)                                                                                               \
    do {                                                                                                               \
        int left_ = 1000;                                                                                              \
        while (!(condition)) {                                                                                         \
            CHECK(left_-- > 0 && #condition);                                                                          \
            hew_sleep_ms(20);                                                                                          \
        }                                                                                                              \
    } while (0)

static char peers[512];

static void answer(void *state, int32_t type, void *data, size_t size) {
    (void)state;
    if (type == 1) {
        hew_reply(channel_of(data, size), NULL, 0);
    }
}

static int ask(HewNode *node, uint64_t pid) {
    return hew_node_ask(node, pid, 1, NULL, 0, 10000, NULL, NULL);
}

static HewNode *started(uint16_t id, uint8_t key[32]) {
    HewNode *node = hew_node_new(id, "127.0.0.1:0");
    CHECK(hew_node_start(node) == 0);
    CHECK(hew_node_identity_key(node, key) == 0);
    return node;
}

/* Another file in the place of the one that is there, with one line: a key between two texts. */
static void write_peers(const char *before, const uint8_t key[32], const char *after) {
    char fresh[600];
    snprintf(fresh, sizeof fresh, "%s.new", peers);
    FILE *file = fopen(fresh, "w");
    CHECK(file != NULL);
    fputs(before, file);
    for (int i = 0; key != NULL && i < 32; i++) {
        fprintf(file, "%02x", key[i]);
    }
    CHECK(fprintf(file, "%s\n", after) > 0);
    CHECK(fclose(file) == 0);
    CHECK(chmod(fresh, 0644) == 0);
    CHECK(rename(fresh, peers) == 0);
}

static void permissions(void) {
    HewPeerAllowlist *list = hew_allowlist_new(HEW_ALLOWLIST_STRICT);
    HewNodeOptions *options = hew_node_options_new();
    CHECK(hew_node_options_bind(options, "127.0.0.1:0") == 0);
    CHECK(hew_node_options_allowlist(options, list) == 0);
    CHECK_FAILS(hew_node_options_allowlist_file(options, peers), HEW_ERR_INVALID, "an allowlist or a pinned peer was set");
    HewNode *node = hew_node_new_with(1, options);
    hew_node_options_free(options);
    uint8_t unused[32] = {1};
    CHECK_FAILS(hew_node_revoke_key(node, unused), HEW_ERR_CLOSED, "node 1 is not running");
    CHECK(hew_node_start(node) == 0);
    HewActor *actor = hew_actor_spawn(NULL, 0, answer);
    uint64_t pid = hew_actor_pid(actor);
    char *address = hew_node_address(node);

    uint8_t key[32], zeros[32] = {0};
    HewNode *second = started(2, key);
    CHECK_FAILS(hew_allowlist_permit(list, zeros, 2, HEW_MAY_ALL), HEW_ERR_INVALID, "all zeros");
    CHECK_FAILS(hew_allowlist_permit(list, key, 2, HEW_MAY_ALL + 1), HEW_ERR_INVALID, "permissions 0x80");
    CHECK_FAILS(hew_allowlist_permit(list, key, 2, 0x100 | HEW_MAY_SEND), HEW_ERR_INVALID, "permissions 0x101");
    CHECK(hew_allowlist_check(list, key) == 0);
    CHECK(hew_allowlist_permit(list, key, 9, HEW_MAY_ALL) == 0);
    CHECK_FAILS(hew_node_connect(second, address), HEW_ERR_NOT_ALLOWED, "pinned to another node id");
    CHECK(hew_allowlist_permit(list, key, 2, HEW_MAY_LOOKUP | HEW_MAY_MONITOR) == 0);
    CHECK(hew_node_connect(second, address) == 0);
    CHECK_FAILS(ask(second, pid), HEW_ERR_NOT_ALLOWED, "not");
    CHECK(hew_allowlist_permit(list, key, 2, HEW_MAY_DEFAULT) == 0);
    UNTIL(ask(second, pid) == 0);
    CHECK(hew_allowlist_permit(list, key, 2, 0) == 0);
    UNTIL(ask(second, pid) == HEW_ERR_NOT_ALLOWED);

    /* A key that is revoked here, and one that a peer has revoked which may. */
    uint8_t third_key[32], fourth_key[32];
    HewNode *third = started(3, third_key), *fourth = started(4, fourth_key);
    CHECK(hew_allowlist_permit(list, third_key, 0, HEW_MAY_DEFAULT) == 0);
    CHECK(hew_allowlist_permit(list, fourth_key, 0, HEW_MAY_ALL) == 0);
    CHECK(hew_node_connect(third, address) == 0 && hew_node_connect(fourth, address) == 0);
    CHECK(hew_node_revoke_key(node, key) == 0);
    CHECK(hew_node_revoke_key(node, key) == 0);
    CHECK(hew_allowlist_check(list, key) == 0);
    UNTIL(hew_node_connect(second, address) == HEW_ERR_NOT_ALLOWED);
    CHECK(hew_node_revoke_key(fourth, third_key) == 0);
    UNTIL(hew_allowlist_check(list, third_key) == 0);
    UNTIL(hew_node_connect(third, address) == HEW_ERR_NOT_ALLOWED);
    CHECK(hew_allowlist_permit(list, key, 2, HEW_MAY_SEND) == 0);
    UNTIL(hew_node_connect(second, address) == 0);
    CHECK(ask(second, pid) == 0);

    free(address);
    hew_node_free(fourth);
    hew_node_free(third);
    hew_node_free(second);
    hew_node_free(node);
    hew_actor_free(actor);
    hew_allowlist_free(list);
}

static void a_list_in_a_file(void) {
    HewNodeOptions *options = hew_node_options_new();
    CHECK(hew_node_options_bind(options, "127.0.0.1:0") == 0);
    CHECK_FAILS(hew_node_options_allowlist_file(options, peers), HEW_ERR_INVALID, "peers: cannot open it");
    write_peers("# nobody", NULL, "");
    CHECK(hew_node_options_allowlist_file(options, peers) == 0);
    HewPeerAllowlist *list = hew_allowlist_new(HEW_ALLOWLIST_OPEN);
    CHECK_FAILS(hew_node_options_allowlist(options, list), HEW_ERR_INVALID, "write peers into it");
    hew_allowlist_free(list);
    uint8_t key[32] = {1};
    CHECK_FAILS(hew_node_options_pin_peer(options, 12, key), HEW_ERR_INVALID, "write peers into it");
    HewNode *node = hew_node_new_with(11, options);
    hew_node_options_free(options);
    CHECK(hew_node_start(node) == 0);
    HewActor *actor = hew_actor_spawn(NULL, 0, answer);
    char *address = hew_node_address(node);

    HewNode *peer = started(12, key);
    CHECK_FAILS(hew_node_connect(peer, address), HEW_ERR_NOT_ALLOWED, "the key is not on the allowlist");
    write_peers("12 ", key, " may=lookup the till");
    UNTIL(hew_node_connect(peer, address) == 0);
    CHECK_FAILS(ask(peer, hew_actor_pid(actor)), HEW_ERR_NOT_ALLOWED, "not");
    write_peers("12 ", key, "");
    UNTIL(ask(peer, hew_actor_pid(actor)) == 0);

    /* A file that cannot be read changes nothing for a node that runs, and keeps one from starting. */
    write_peers("12 ", NULL, "nonsense");
    hew_sleep_ms(600);
    CHECK(ask(peer, hew_actor_pid(actor)) == 0);
    CHECK(hew_node_stop(node) == 0);
    CHECK_FAILS(hew_node_start(node), HEW_ERR_INVALID, "peers: line 1");
    write_peers("12 ", key, "");
    CHECK(hew_node_start(node) == 0);
    free(address);
    address = hew_node_address(node);
    UNTIL(hew_node_connect(peer, address) == 0);

    /* What was revoked stays so for the life of the handle, whatever the file says. */
    CHECK(hew_node_revoke_key(node, key) == 0);
    UNTIL(hew_node_connect(peer, address) == HEW_ERR_NOT_ALLOWED);
    CHECK(hew_node_stop(node) == 0 && hew_node_start(node) == 0);
    free(address);
    address = hew_node_address(node);
    CHECK_FAILS(hew_node_connect(peer, address), HEW_ERR_NOT_ALLOWED, "the key was revoked");

    free(address);
    hew_node_free(peer);
    hew_node_free(node);
    hew_actor_free(actor);
}

int main(int count, char **arguments) {
    if (count != 2) {
        fprintf(stderr, "usage: rights DIRECTORY\n");
        return 2;
    }
    snprintf(peers, sizeof peers, "%s/peers", arguments[1]);
    hew_sched_init();
    permissions();
    a_list_in_a_file();
    hew_runtime_cleanup();
    printf("done\n");
    return 0;
}

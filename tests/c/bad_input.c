/* Bad input, each with its code and a text that names the thing and the cause. Arguments: a directory of its own, and
 * the address of a port that is taken. */
#define _XOPEN_SOURCE 700
#include "check.h"

#include <sys/stat.h>
#include <unistd.h>

static char directory[512];

static const char *path(const char *name) {
    static char text[1024];
    snprintf(text, sizeof text, "%s/%s", directory, name);
    return text;
}

static void nothing(void *state, int32_t type, void *data, size_t size) {
    (void)state;
    (void)type;
    (void)data;
    (void)size;
}

static void write_file(const char *name, const void *data, size_t size, mode_t mode) {
    FILE *file = fopen(path(name), "wb");
    CHECK(file != NULL);
    CHECK(fwrite(data, 1, size, file) == size);
    CHECK(fclose(file) == 0);
    CHECK(chmod(path(name), mode) == 0);
}

static void key_files(void) {
    uint8_t public_key[32], private_key[32], public_read[32], private_read[32];
    CHECK(hew_noise_keygen(public_key, private_key) == 0);
    CHECK(hew_noise_key_save(path("good"), public_key, private_key) == 0);
    struct stat about;
    CHECK(stat(path("good"), &about) == 0);
    CHECK((about.st_mode & 07777) == 0600 && about.st_size == 64);
    CHECK(hew_noise_key_load(path("good"), public_read, private_read) == 0);
    CHECK(memcmp(public_key, public_read, 32) == 0 && memcmp(private_key, private_read, 32) == 0);

    CHECK_FAILS(hew_noise_key_load(path("absent"), public_read, private_read), HEW_ERR_INVALID, "absent: cannot open");
    write_file("short", public_key, 32, 0600);
    CHECK_FAILS(hew_noise_key_load(path("short"), public_read, private_read), HEW_ERR_INVALID, "short: has 32 bytes");
    uint8_t pair[64];
    memcpy(pair, public_key, 32);
    memcpy(pair + 32, private_key, 32);
    write_file("open", pair, 64, 0644);
    CHECK_FAILS(hew_noise_key_load(path("open"), public_read, private_read), HEW_ERR_INVALID, "open to others: mode 0644");
    pair[0] ^= 1;
    write_file("mismatch", pair, 64, 0600);
    CHECK_FAILS(hew_noise_key_load(path("mismatch"), public_read, private_read), HEW_ERR_INVALID, "does not belong");
    char target[1024];
    snprintf(target, sizeof target, "%s/good", directory);
    CHECK(symlink(target, path("link")) == 0);
    CHECK_FAILS(hew_noise_key_load(path("link"), public_read, private_read), HEW_ERR_INVALID, "symbolic link");
    CHECK_FAILS(hew_noise_key_save(path("link"), public_key, private_key), HEW_ERR_INVALID, "is a link");
    CHECK_FAILS(hew_noise_key_save(path("nowhere/file"), public_key, private_key), HEW_ERR_INVALID, "nowhere/file");
    CHECK_FAILS(hew_noise_key_save(path("wrong"), pair, private_key), HEW_ERR_INVALID, "does not belong");
    /* Replaced, not written into. */
    CHECK(hew_noise_keygen(public_key, private_key) == 0);
    CHECK(hew_noise_key_save(path("good"), public_key, private_key) == 0);

    HewNodeOptions *options = hew_node_options_new();
    CHECK_FAILS(hew_node_options_key_file(options, path("open")), HEW_ERR_INVALID, "open to others");
    CHECK_FAILS(hew_node_api_load_keys(path("absent")), HEW_ERR_INVALID, "absent: cannot open");
    CHECK_FAILS(hew_node_api_allow_peer(1, "12345"), HEW_ERR_INVALID, "key_hex");
    CHECK_FAILS(hew_node_api_allow_peer(0, "12345"), HEW_ERR_INVALID, "0");
    hew_node_options_free(options);
}

static void settings(const char *busy) {
    HewNodeOptions *options = hew_node_options_new();
    CHECK_FAILS(hew_node_options_bind(options, "no address"), HEW_ERR_INVALID, "no address");
    CHECK_FAILS(hew_node_options_join(options, "127.0.0.1:notaport"), HEW_ERR_INVALID, "notaport");
    CHECK_FAILS(hew_node_options_advertise(options, ""), HEW_ERR_INVALID, "address");
    CHECK_FAILS(hew_node_options_security(options, 9), HEW_ERR_INVALID, "9 is no security policy");
    CHECK_FAILS(hew_node_options_membership(options, -1), HEW_ERR_INVALID, "-1 is no membership preset");
    CHECK_FAILS(hew_node_options_cluster(options, ""), HEW_ERR_INVALID, "name");
    CHECK_FAILS(hew_node_options_outgoing_bytes_max(options, 5), HEW_ERR_INVALID, "5 bytes");
    uint8_t zeros[32] = {0};
    CHECK_FAILS(hew_node_options_pin_peer(options, 1, zeros), HEW_ERR_INVALID, "all zeros");
    CHECK_FAILS(hew_node_options_pin_peer(options, 0, zeros), HEW_ERR_INVALID, "0");
    hew_node_options_free(options);

    HewNode *node = hew_node_new(1, "not an address");
    CHECK_FAILS(hew_node_start(node), HEW_ERR_INVALID, "not an address");
    hew_node_free(node);
    node = hew_node_new(0, "127.0.0.1:0");
    CHECK_FAILS(hew_node_start(node), HEW_ERR_INVALID, "0");
    hew_node_free(node);
    node = hew_node_new(1, busy);
    CHECK_FAILS(hew_node_start(node), HEW_ERR_TRANSPORT, busy);
    check_says(__FILE__, __LINE__, "a busy port", "already in use");
    hew_node_free(node);
    node = hew_node_new(1, "unix:/somewhere.sock");
    CHECK_FAILS(hew_node_start(node), HEW_ERR_TRANSPORT, "this transport takes tcp addresses only");
    hew_node_free(node);
    CHECK_FAILS(hew_node_api_start("0@127.0.0.1:0"), HEW_ERR_INVALID, "\"0\" is no node id");
    CHECK_FAILS(hew_node_api_start(busy), HEW_ERR_TRANSPORT, "already in use");
}

static void a_running_node(const char *busy) {
    HewNode *node = hew_node_new(1, "127.0.0.1:0");
    CHECK_FAILS(hew_node_connect(node, busy), HEW_ERR_CLOSED, "node 1 is not running");
    CHECK_FAILS(hew_node_send(node, 1, 0, NULL, 0), HEW_ERR_CLOSED, "node 1 is not running");
    CHECK(hew_node_start(node) == 0);
    CHECK_FAILS(hew_node_api_start("127.0.0.1:0"), HEW_ERR_INVALID, "node 1 runs in this process");
    CHECK_FAILS(hew_node_connect(node, "what is this"), HEW_ERR_INVALID, "what is this");
    CHECK_FAILS(hew_node_connect(node, "x@127.0.0.1:1"), HEW_ERR_INVALID, "\"x\" is no node id");
    CHECK_FAILS(hew_node_connect(node, "127.0.0.1:1"), HEW_ERR_TRANSPORT, "127.0.0.1:1: connection refused");
    CHECK(hew_node_lookup(node, "nobody") == 0);
    check_says(__FILE__, __LINE__, "hew_node_lookup", "nobody is registered as \"nobody\"");
    CHECK(hew_node_wait_name(node, "nobody", 5) == 0);
    check_says(__FILE__, __LINE__, "hew_node_wait_name", "in time");
    CHECK_FAILS(hew_node_unregister(node, "nobody"), HEW_ERR_INVALID, "nobody is registered as nobody");
    CHECK_FAILS(hew_node_register(node, "name", hew_pid_make(1, 77)), HEW_ERR_STALE, "1.77 has ended, or never was");
    CHECK_FAILS(hew_node_register(node, "name", hew_pid_make(2, 77)), HEW_ERR_INVALID, "2.77 is no actor of node 1");
    CHECK_FAILS(hew_node_register(node, "", hew_pid_make(1, 77)), HEW_ERR_INVALID, "name");
    HewActor *one = hew_actor_spawn(NULL, 0, nothing), *two = hew_actor_spawn(NULL, 0, nothing);
    CHECK(hew_node_register(node, "name", hew_actor_pid(one)) == 0);
    CHECK_FAILS(hew_node_register(node, "name", hew_actor_pid(two)), HEW_ERR_NOT_ALLOWED, "name is taken by 1.");
    CHECK_FAILS(hew_node_wait_members(node, 2, 5), HEW_ERR_TIMEOUT, "1 members are alive, not 2");
    CHECK_FAILS(hew_actor_send_by_id(hew_pid_make(9, 5000), 0, NULL, 0), HEW_ERR_NODE_DOWN, "9.5000: the node is down");
    CHECK_FAILS(hew_node_ask(node, hew_actor_pid(one), 0, NULL, 0, 1000, NULL, NULL), HEW_ERR_CLOSED, "did not answer");

    /* Nothing of all that disturbed the node. */
    CHECK(hew_node_lookup(node, "name") == hew_actor_pid(one));
    hew_actor_free(one);
    hew_actor_free(two);
    hew_node_free(node);
}

/* A node that lets only listed keys in, and one whose key is not. */
static void not_allowed(void) {
    HewPeerAllowlist *list = hew_allowlist_new(HEW_ALLOWLIST_STRICT);
    HewNodeOptions *options = hew_node_options_new();
    CHECK(hew_node_options_bind(options, "127.0.0.1:0") == 0);
    CHECK(hew_node_options_key_file(options, path("good")) == 0);
    CHECK(hew_node_options_allowlist(options, list) == 0);
    HewNode *strict = hew_node_new_with(1, options);
    CHECK(hew_node_start(strict) == 0);
    char *address = hew_node_address(strict);

    HewNode *stranger = hew_node_new(2, "127.0.0.1:0");
    CHECK(hew_node_start(stranger) == 0);
    CHECK_FAILS(hew_node_connect(stranger, address), HEW_ERR_NOT_ALLOWED, "the key is not on the allowlist");
    uint8_t key[32];
    CHECK(hew_node_identity_key(stranger, key) == 0);
    CHECK(hew_allowlist_check(list, key) == 0);
    CHECK(hew_allowlist_add(list, key) == 0);
    CHECK(hew_allowlist_check(list, key) == 1);
    CHECK(hew_node_connect(stranger, address) == 0);
    CHECK(hew_allowlist_remove(list, key) == 0);
    CHECK(hew_allowlist_remove(list, key) < 0);

    /* The same node id, with another key. */
    HewNode *twin = hew_node_new(2, "127.0.0.1:0");
    CHECK(hew_node_start(twin) == 0);
    CHECK_FAILS(hew_node_connect(twin, address), HEW_ERR_NOT_ALLOWED, "");
    hew_node_free(twin);

    /* Another cluster. */
    HewNodeOptions *elsewhere = hew_node_options_new();
    CHECK(hew_node_options_cluster(elsewhere, "elsewhere") == 0);
    HewNode *foreigner = hew_node_new_with(3, elsewhere);
    CHECK(hew_node_start(foreigner) == 0);
    CHECK(hew_node_identity_key(foreigner, key) == 0 && hew_allowlist_add(list, key) == 0);
    CHECK_FAILS(hew_node_connect(foreigner, address), HEW_ERR_NOT_ALLOWED, "cluster");
    hew_node_free(foreigner);
    hew_node_options_free(elsewhere);

    free(address);
    hew_node_free(stranger);
    hew_node_free(strict);
    hew_node_options_free(options);
    hew_allowlist_free(list);

    HewPeerAllowlist *open = hew_allowlist_new(HEW_ALLOWLIST_OPEN);
    CHECK(hew_allowlist_check(open, key) == 1);
    CHECK(hew_allowlist_remove(open, key) == 0);
    CHECK(hew_allowlist_check(open, key) == 0);
    CHECK(hew_allowlist_add(open, key) == 0);
    CHECK(hew_allowlist_check(open, key) == 1);
    hew_allowlist_free(open);
}

int main(int count, char **arguments) {
    if (count != 3) {
        fprintf(stderr, "usage: bad_input DIRECTORY BUSY_ADDRESS\n");
        return 2;
    }
    snprintf(directory, sizeof directory, "%s", arguments[1]);
    key_files();
    settings(arguments[2]);
    a_running_node(arguments[2]);
    not_allowed();
    hew_runtime_cleanup();
    printf("done\n");
    return 0;
}

/* Settings of a node, each at the end of its range, and what can be seen of them. Argument: a directory of its own. */
#include "check.h"

#include <stdatomic.h>
#include <sys/stat.h>

enum { PAYLOAD = 60000, MESSAGES = 100 };

static char state_file[512];
static atomic_int received;

static void receive(void *state, int32_t type, void *data, size_t size) {
    (void)state;
    if (type == 1) {
        CHECK(size == PAYLOAD && ((char *)data)[PAYLOAD - 1] == 0);
        atomic_fetch_add(&received, 1);
    } else if (type == 2) {
        hew_reply(channel_of(data, size), NULL, 0);
    }
}

static HewNodeOptions *compressing(void) {
    HewNodeOptions *options = hew_node_options_new();
    CHECK(hew_node_options_bind(options, "127.0.0.1:0") == 0);
    CHECK(hew_node_options_compression(options, 9) == HEW_ERR_INVALID);
    CHECK(hew_node_options_compression(options, HEW_COMPRESSION_OFF) == 0);
    CHECK(hew_node_options_compression(options, HEW_COMPRESSION_LZ4) == 0);
    CHECK(hew_node_options_outgoing_bytes_max(options, 65536) == 0);
    return options;
}

/* What travels compressed arrives as it was, also more of it than has room at a time. */
static void compression(HewNode *node, HewActor *actor) {
    HewNodeOptions *options = compressing();
    CHECK(hew_node_options_spin(options, 0) == 0);
    CHECK(hew_node_options_idle_timeout(options, 0) == 0);
    HewNode *sender = hew_node_new_with(2, options);
    hew_node_options_free(options);
    CHECK(hew_node_start(sender) == 0);
    char *address = hew_node_address(node);
    CHECK(hew_node_connect(sender, address) == 0);
    free(address);
    static const uint8_t zeros[PAYLOAD];
    for (int i = 0; i < MESSAGES; i++) {
        CHECK(hew_node_send(sender, hew_actor_pid(actor), 1, zeros, sizeof zeros) == 0);
    }
    /* What is answered after it was sent after them. */
    CHECK(hew_node_ask(sender, hew_actor_pid(actor), 2, NULL, 0, 10000, NULL, NULL) == 0);
    CHECK(atomic_load(&received) == MESSAGES);
    hew_node_free(sender);
}

static unsigned long long incarnation(void) {
    struct stat about;
    CHECK(stat(state_file, &about) == 0 && (about.st_mode & 07777) == 0600);
    unsigned long long number;
    FILE *file = fopen(state_file, "r");
    CHECK(file != NULL && fscanf(file, "hew incarnation %llu", &number) == 1);
    CHECK(fclose(file) == 0);
    return number;
}

static void a_state_file(HewNode *node) {
    unsigned long long first = incarnation();
    CHECK(hew_node_stop(node) == 0 && hew_node_start(node) == 0);
    CHECK(incarnation() > first);
    CHECK(hew_node_stop(node) == 0);
    FILE *file = fopen(state_file, "w");
    CHECK(file != NULL && fputs("something else\n", file) >= 0 && fclose(file) == 0);
    CHECK_FAILS(hew_node_start(node), HEW_ERR_INVALID, "incarnations: does not hold an incarnation");
}

int main(int count, char **arguments) {
    if (count != 2) {
        fprintf(stderr, "usage: settings DIRECTORY\n");
        return 2;
    }
    snprintf(state_file, sizeof state_file, "%s/incarnations", arguments[1]);
    hew_sched_init();
    HewNodeOptions *options = compressing();
    CHECK_FAILS(hew_node_options_idle_timeout(options, 86401), HEW_ERR_INVALID, "86401 seconds are more than 86400");
    CHECK(hew_node_options_idle_timeout(options, 86400) == 0);
    CHECK_FAILS(hew_node_options_spin(options, 1001), HEW_ERR_INVALID, "1001 microseconds are more than 1000");
    CHECK(hew_node_options_spin(options, 1000) == 0);
    CHECK(hew_node_options_state_file(options, state_file) == 0);
    HewNode *node = hew_node_new_with(1, options);
    hew_node_options_free(options);
    CHECK(hew_node_start(node) == 0);
    HewActor *actor = hew_actor_spawn(NULL, 0, receive);
    compression(node, actor);
    hew_actor_free(actor);
    a_state_file(node);
    hew_node_free(node);
    hew_runtime_cleanup();
    printf("done\n");
    return 0;
}

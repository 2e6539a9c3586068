/* Transports: used directly, chosen for nodes, and written in C. */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static void *echo(void *argument) {
    HewTransport *transport = argument;
    int connection = transport->ops->accept(transport->impl, -1);
    CHECK(connection >= 0);
    char buffer[100];
    int count;
    while ((count = transport->ops->recv(transport->impl, connection, buffer, sizeof buffer)) > 0) {
        CHECK(transport->ops->send(transport->impl, connection, buffer, (size_t)count) == count);
    }
    CHECK(count == 0);
    transport->ops->close_conn(transport->impl, connection);
    return NULL;
}

static void *receive_until_closed(void *argument) {
    HewTransport *transport = ((void **)argument)[0];
    int connection = *((int **)argument)[1];
    char byte;
    CHECK(transport->ops->recv(transport->impl, connection, &byte, 1) == -1);
    return NULL;
}

/* Bytes through a transport, without a node. */
static void bytes_through(HewTransport *server, HewTransport *client, const char *address) {
    CHECK(server->ops->accept(server->impl, 1) == -1);
    CHECK(server->ops->listen(server->impl, address) == 0);
    CHECK(server->ops->accept(server->impl, 5) == -1);
    check_says(__FILE__, __LINE__, "accept", "nobody connected in time");
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, echo, server) == 0);
    int connection = client->ops->connect(client->impl, address);
    CHECK(connection >= 0);
    CHECK(client->ops->send(client->impl, connection, "hew", 3) == 3);
    char buffer[3];
    for (int got = 0; got < 3;) {
        int count = client->ops->recv(client->impl, connection, buffer + got, sizeof buffer - (size_t)got);
        CHECK(count > 0);
        got += count;
    }
    CHECK(memcmp(buffer, "hew", 3) == 0);
    /* Closing wakes whoever waits. */
    void *arguments[] = {client, &connection};
    pthread_t waiting;
    CHECK(pthread_create(&waiting, NULL, receive_until_closed, arguments) == 0);
    hew_sleep_ms(5);
    client->ops->close_conn(client->impl, connection);
    pthread_join(waiting, NULL);
    pthread_join(thread, NULL);
    CHECK(client->ops->send(client->impl, connection, "hew", 3) == -1);
    check_says(__FILE__, __LINE__, "send", "no connection");
}

static void count_messages(void *state, int32_t type, void *data, size_t size) {
    uint64_t *count = state;
    if (type == 0) {
        *count += size;
    } else if (type == 1) {
        hew_reply(channel_of(data, size), count, sizeof *count);
    }
}

static HewNode *start(uint16_t id, HewTransport *transport, const char *address) {
    HewNodeOptions *options = hew_node_options_new();
    CHECK(hew_node_options_bind(options, address) == 0);
    CHECK(hew_node_options_transport(options, transport) == 0);
    CHECK(hew_node_options_membership(options, HEW_MEMBERSHIP_LOCAL) == 0);
    HewNode *node = hew_node_new_with(id, options);
    hew_node_options_free(options);
    CHECK(hew_node_start(node) == 0);
    return node;
}

static atomic_int joined;

static void member(uint16_t node, uint8_t event, void *user) {
    CHECK(user == &joined);
    if (event == HEW_MEMBER_JOINED) {
        CHECK(node == 1);
        atomic_fetch_add(&joined, 1);
    }
}

/* Two nodes of one process over a transport. */
static void nodes_over(HewTransport *one, HewTransport *two, const char *first_address, const char *second_address) {
    uint64_t zero = 0;
    HewActor *actor = hew_actor_spawn(&zero, sizeof zero, count_messages);
    HewNode *first = start(1, one, first_address), *second = start(2, two, second_address);
    atomic_store(&joined, 0);
    hew_cluster_set_membership_callback(hew_node_cluster(second), member, &joined);
    CHECK(hew_node_register(first, "counter", hew_actor_pid(actor)) == 0);
    char *address = hew_node_address(first);
    CHECK(hew_node_connect(second, address) == 0);
    free(address);
    uint64_t pid = hew_node_wait_name(second, "counter", 10000);
    CHECK(pid == hew_actor_pid(actor));
    uint8_t *large = calloc(1, 1000000);
    CHECK(hew_node_send(second, pid, 0, large, 1000000) == 0);
    free(large);
    void *reply;
    size_t size;
    CHECK(hew_node_ask(second, pid, 1, NULL, 0, 10000, &reply, &size) == 0);
    CHECK(size == 8 && *(uint64_t *)reply == 1000000);
    free(reply);
    uint64_t end = hew_now_ms() + 10000;
    while (!atomic_load(&joined)) {
        CHECK(hew_now_ms() < end);
        hew_sleep_ms(1);
    }
    hew_node_free(second);
    hew_node_free(first);
    hew_actor_free(actor);
}

/* ---- a transport of this program: counts, and passes on to one of the library ---- */

typedef struct {
    HewTransport *inner;
    atomic_int sent;
    atomic_int destroyed;
} Counting;

static int counting_connect(void *impl, const char *address) {
    HewTransport *inner = ((Counting *)impl)->inner;
    return inner->ops->connect(inner->impl, address);
}

static int counting_listen(void *impl, const char *address) {
    HewTransport *inner = ((Counting *)impl)->inner;
    return inner->ops->listen(inner->impl, address);
}

static int counting_accept(void *impl, int timeout_ms) {
    HewTransport *inner = ((Counting *)impl)->inner;
    return inner->ops->accept(inner->impl, timeout_ms);
}

static int counting_send(void *impl, int connection, const void *data, size_t size) {
    HewTransport *inner = ((Counting *)impl)->inner;
    int sent = inner->ops->send(inner->impl, connection, data, size > 1000 ? 1000 : size);
    atomic_fetch_add(&((Counting *)impl)->sent, sent > 0 ? sent : 0);
    return sent;
}

static int counting_recv(void *impl, int connection, void *buffer, size_t size) {
    HewTransport *inner = ((Counting *)impl)->inner;
    return inner->ops->recv(inner->impl, connection, buffer, size);
}

static void counting_close(void *impl, int connection) {
    HewTransport *inner = ((Counting *)impl)->inner;
    inner->ops->close_conn(inner->impl, connection);
}

static void counting_destroy(void *impl) {
    atomic_fetch_add(&((Counting *)impl)->destroyed, 1);
}

static const HewTransportOps counting = {counting_connect, counting_listen, counting_accept, counting_send,
                                         counting_recv,    counting_close,  counting_destroy};

static void written_in_c(void) {
    Counting one = {hew_transport_mem_new(), 0, 0}, two = {hew_transport_mem_new(), 0, 0};
    HewTransport first = {&counting, &one}, second = {&counting, &two};
    nodes_over(&first, &second, "mem:c-one", "mem:c-two");
    CHECK(atomic_load(&two.sent) > 1000000);
    uint64_t end = hew_now_ms() + 10000;
    while (!atomic_load(&one.destroyed) || !atomic_load(&two.destroyed)) {
        CHECK(hew_now_ms() < end);
        hew_sleep_ms(1);
    }
    CHECK(atomic_load(&one.destroyed) == 1 && atomic_load(&two.destroyed) == 1);
    hew_transport_free(one.inner);
    hew_transport_free(two.inner);

    /* One that can do nothing. */
    HewTransportOps nothing = {0};
    HewTransport empty = {&nothing, NULL};
    HewNodeOptions *options = hew_node_options_new();
    CHECK(hew_node_options_transport(options, &empty) == 0);
    CHECK(hew_node_options_bind(options, "mem:nowhere") == 0);
    HewNode *node = hew_node_new_with(1, options);
    CHECK_FAILS(hew_node_start(node), HEW_ERR_TRANSPORT, "refused to listen");
    hew_node_free(node);
    hew_node_options_free(options);
}

int main(int count, char **arguments) {
    if (count != 2) {
        fprintf(stderr, "usage: transports DIRECTORY\n");
        return 2;
    }
    char one[512], two[512];
    HewTransport *memory = hew_transport_mem_new(), *other = hew_transport_mem_new();
    bytes_through(memory, other, "mem:direct");
    nodes_over(memory, other, "mem:one", "mem:two");
    hew_transport_free(memory);
    hew_transport_free(other);

    HewTransport *tcp = hew_transport_tcp_new();
    nodes_over(tcp, tcp, "127.0.0.1:0", "127.0.0.1:0");
    hew_transport_free(tcp);

    HewTransport *sockets = hew_transport_unix_new();
    snprintf(one, sizeof one, "unix:%s/direct", arguments[1]);
    bytes_through(sockets, sockets, one);
    snprintf(one, sizeof one, "unix:%s/one", arguments[1]);
    snprintf(two, sizeof two, "unix:%s/two", arguments[1]);
    nodes_over(sockets, sockets, one, two);
    hew_transport_free(sockets);

    written_in_c();
    hew_runtime_cleanup();
    printf("done\n");
    return 0;
}

/* Every function with NULL for every pointer, and every handle after it was freed: a failure or nothing, never a crash. */
#include "check.h"

static void nothing(void *state, int32_t type, void *data, size_t size) {
    (void)state;
    (void)type;
    (void)data;
    (void)size;
}

static void ring(void *user) {
    (void)user;
}

/* All functions that take pointers, in the order of symbols.txt. */
static void null_everywhere(void) {
    uint8_t key[32] = {1};
    uint64_t number = 0;

    CHECK(hew_actor_ask(NULL, 0, NULL, 0) == NULL);
    CHECK(hew_actor_ask(NULL, 0, NULL, 8) == NULL);
    CHECK(hew_actor_ask_timeout(NULL, 0, NULL, 0, 1) == NULL);
    hew_actor_ask_with_channel(NULL, 0, NULL, 0, NULL);
    CHECK_FAILS(hew_actor_await(NULL), HEW_ERR_INVALID, "hew_actor_await: actor is NULL");
    CHECK_FAILS(hew_actor_await_all(NULL, 3), HEW_ERR_INVALID, "actors is NULL");
    CHECK(hew_actor_await_all(NULL, 0) == 0);
    CHECK_FAILS(hew_actor_await_all(NULL, -1), HEW_ERR_INVALID, "count is -1");
    hew_actor_close(NULL);
    hew_actor_demonitor(0);
    hew_actor_free(NULL);
    CHECK(hew_actor_get_error(NULL) < 0);
    CHECK_FAILS(hew_actor_group_add(NULL, NULL), HEW_ERR_INVALID, "group is NULL");
    hew_actor_group_destroy(NULL);
    hew_actor_group_stop_all(NULL);
    hew_actor_group_wait_all(NULL);
    CHECK_FAILS(hew_actor_group_wait_timeout(NULL, 1), HEW_ERR_INVALID, "group is NULL");
    hew_actor_link(NULL, NULL);
    hew_actor_link_pid(NULL, 0);
    CHECK(hew_actor_monitor(NULL, NULL) == 0);
    CHECK(hew_actor_monitor_pid(NULL, 1) == 0);
    CHECK(hew_actor_pid(NULL) == 0);
    hew_actor_send(NULL, 0, NULL, 0);
    CHECK_FAILS(hew_actor_send_by_id(0, 0, NULL, 0), HEW_ERR_STALE, "has ended, or never was");
    CHECK_FAILS(hew_actor_send_by_id(0, 0, NULL, 1), HEW_ERR_INVALID, "data is NULL");
    CHECK(hew_actor_spawn(NULL, 0, NULL) == NULL);
    CHECK(hew_actor_spawn(NULL, 8, nothing) == NULL);
    CHECK(hew_actor_spawn_bounded(NULL, 0, NULL, 1) == NULL);
    CHECK(hew_actor_spawn_opts(NULL) == NULL);
    HewActorOpts options = {0};
    CHECK(hew_actor_spawn_opts(&options) == NULL);
    hew_actor_stop(NULL);
    hew_actor_trap(NULL, 1);
    hew_actor_trap_exit(NULL, 1);
    CHECK_FAILS(hew_actor_try_send(NULL, 0, NULL, 0), HEW_ERR_INVALID, "actor is NULL");
    hew_actor_unlink(NULL, NULL);
    hew_actor_unlink_pid(NULL, 0);
    CHECK_FAILS(hew_allowlist_add(NULL, NULL), HEW_ERR_INVALID, "key is NULL");
    CHECK_FAILS(hew_allowlist_add(NULL, key), HEW_ERR_INVALID, "allowlist is NULL");
    CHECK(hew_allowlist_check(NULL, NULL) == 0);
    CHECK(hew_allowlist_check(NULL, key) == 0);
    hew_allowlist_free(NULL);
    CHECK(hew_allowlist_new(7) == NULL);
    CHECK_FAILS(hew_allowlist_remove(NULL, key), HEW_ERR_INVALID, "allowlist is NULL");
    CHECK(hew_cluster_alive_count(NULL) < 0);
    hew_cluster_leave(NULL);
    CHECK(hew_cluster_member_count(NULL) < 0);
    hew_cluster_set_membership_callback(NULL, NULL, NULL);
    CHECK(hew_node_address(NULL) == NULL);
    CHECK_FAILS(hew_node_api_allow_peer(1, NULL), HEW_ERR_INVALID, "key_hex is NULL");
    CHECK_FAILS(hew_node_api_connect(NULL), HEW_ERR_INVALID, "address is NULL");
    CHECK(hew_node_api_identity_key() == NULL);
    CHECK_FAILS(hew_node_api_load_keys(NULL), HEW_ERR_INVALID, "path is NULL");
    CHECK(hew_node_api_lookup(NULL) == 0);
    CHECK_FAILS(hew_node_api_register_by_pid(NULL, 1), HEW_ERR_INVALID, "name is NULL");
    CHECK(hew_node_api_shutdown() == 0);
    CHECK_FAILS(hew_node_api_start(NULL), HEW_ERR_INVALID, "address is NULL");
    CHECK_FAILS(hew_node_api_unregister(NULL), HEW_ERR_INVALID, "name is NULL");
    CHECK_FAILS(hew_node_ask(NULL, 1, 0, NULL, 0, 1, NULL, NULL), HEW_ERR_INVALID, "node is NULL");
    CHECK(hew_node_cluster(NULL) == NULL);
    CHECK_FAILS(hew_node_connect(NULL, NULL), HEW_ERR_INVALID, "address is NULL");
    hew_node_free(NULL);
    CHECK(hew_node_id(NULL) == 0);
    CHECK_FAILS(hew_node_identity_key(NULL, NULL), HEW_ERR_INVALID, "key is NULL");
    CHECK_FAILS(hew_node_identity_key(NULL, key), HEW_ERR_INVALID, "node is NULL");
    CHECK(hew_node_lookup(NULL, NULL) == 0);
    HewNode *unstarted = hew_node_new(1, NULL);
    CHECK(unstarted != NULL);
    hew_node_free(unstarted);
    unstarted = hew_node_new_with(1, NULL);
    CHECK(unstarted != NULL);
    CHECK_FAILS(hew_node_register(unstarted, NULL, 1), HEW_ERR_INVALID, "name is NULL");
    CHECK_FAILS(hew_node_unregister(unstarted, NULL), HEW_ERR_INVALID, "name is NULL");
    CHECK(hew_node_wait_name(unstarted, NULL, 1) == 0);
    CHECK_FAILS(hew_node_connect(unstarted, NULL), HEW_ERR_INVALID, "address is NULL");
    hew_node_free(unstarted);
    CHECK_FAILS(hew_node_options_advertise(NULL, NULL), HEW_ERR_INVALID, "options is NULL");
    CHECK_FAILS(hew_node_options_allowlist(NULL, NULL), HEW_ERR_INVALID, "options is NULL");
    CHECK_FAILS(hew_node_options_bind(NULL, NULL), HEW_ERR_INVALID, "options is NULL");
    CHECK_FAILS(hew_node_options_cluster(NULL, NULL), HEW_ERR_INVALID, "options is NULL");
    hew_node_options_free(NULL);
    CHECK_FAILS(hew_node_options_join(NULL, NULL), HEW_ERR_INVALID, "options is NULL");
    CHECK_FAILS(hew_node_options_key_file(NULL, NULL), HEW_ERR_INVALID, "options is NULL");
    CHECK_FAILS(hew_node_options_membership(NULL, 0), HEW_ERR_INVALID, "options is NULL");
    CHECK_FAILS(hew_node_options_outgoing_bytes_max(NULL, 1 << 20), HEW_ERR_INVALID, "options is NULL");
    CHECK_FAILS(hew_node_options_pin_peer(NULL, 1, NULL), HEW_ERR_INVALID, "options is NULL");
    CHECK_FAILS(hew_node_options_security(NULL, 0), HEW_ERR_INVALID, "options is NULL");
    CHECK_FAILS(hew_node_options_transport(NULL, NULL), HEW_ERR_INVALID, "options is NULL");
    HewNodeOptions *settings = hew_node_options_new();
    CHECK_FAILS(hew_node_options_advertise(settings, NULL), HEW_ERR_INVALID, "address is NULL");
    CHECK_FAILS(hew_node_options_allowlist(settings, NULL), HEW_ERR_INVALID, "allowlist is NULL");
    CHECK_FAILS(hew_node_options_bind(settings, NULL), HEW_ERR_INVALID, "address is NULL");
    CHECK_FAILS(hew_node_options_cluster(settings, NULL), HEW_ERR_INVALID, "name is NULL");
    CHECK_FAILS(hew_node_options_join(settings, NULL), HEW_ERR_INVALID, "address is NULL");
    CHECK_FAILS(hew_node_options_key_file(settings, NULL), HEW_ERR_INVALID, "path is NULL");
    CHECK_FAILS(hew_node_options_pin_peer(settings, 1, NULL), HEW_ERR_INVALID, "key is NULL");
    CHECK_FAILS(hew_node_options_transport(settings, NULL), HEW_ERR_INVALID, "transport is NULL");
    HewTransport no_functions = {NULL, NULL};
    CHECK_FAILS(hew_node_options_transport(settings, &no_functions), HEW_ERR_INVALID, "ops is NULL");
    hew_node_options_free(settings);
    CHECK_FAILS(hew_node_register(NULL, NULL, 1), HEW_ERR_INVALID, "name is NULL");
    CHECK_FAILS(hew_node_send(NULL, 1, 0, NULL, 0), HEW_ERR_INVALID, "node is NULL");
    CHECK_FAILS(hew_node_start(NULL), HEW_ERR_INVALID, "node is NULL");
    CHECK_FAILS(hew_node_stop(NULL), HEW_ERR_INVALID, "node is NULL");
    CHECK_FAILS(hew_node_unregister(NULL, NULL), HEW_ERR_INVALID, "name is NULL");
    CHECK_FAILS(hew_node_wait_members(NULL, 1, 1), HEW_ERR_INVALID, "node is NULL");
    CHECK(hew_node_wait_name(NULL, NULL, 1) == 0);
    CHECK_FAILS(hew_noise_key_load(NULL, NULL, NULL), HEW_ERR_INVALID, "path is NULL");
    CHECK_FAILS(hew_noise_key_save(NULL, NULL, NULL), HEW_ERR_INVALID, "NULL");
    CHECK_FAILS(hew_noise_keygen(NULL, key), HEW_ERR_INVALID, "public_key is NULL");
    CHECK_FAILS(hew_noise_keygen(key, NULL), HEW_ERR_INVALID, "private_key is NULL");
    hew_panic_msg(NULL);
    CHECK_FAILS(hew_registry_register(NULL, NULL), HEW_ERR_INVALID, "name is NULL");
    CHECK_FAILS(hew_registry_register("name", NULL), HEW_ERR_INVALID, "actor is NULL");
    CHECK(hew_registry_lookup(NULL) == NULL);
    CHECK_FAILS(hew_registry_unregister(NULL), HEW_ERR_INVALID, "name is NULL");
    hew_reply(NULL, NULL, 0);
    hew_reply(NULL, NULL, 8);
    hew_reply_channel_free(NULL);
    CHECK(hew_reply_wait(NULL) == NULL);
    CHECK(hew_reply_wait_timeout(NULL, 1) == NULL);
    CHECK_FAILS(hew_scope_spawn(NULL, NULL), HEW_ERR_INVALID, "scope is NULL");
    hew_scope_free(NULL);
    hew_scope_wait_all(NULL);
    CHECK(hew_select_first(NULL, 1, 1) == -1);
    HewReplyChannel *channels[2] = {NULL, NULL};
    CHECK(hew_select_first(channels, 2, -1) == -1);
    CHECK(hew_select_first(channels, 0, -1) == -1);
    CHECK(hew_select_first(channels, -5, -1) == -1);
    HewChildSpec child = {0};
    HewSupervisor *supervisor = hew_supervisor_new(HEW_STRATEGY_ONE_FOR_ONE, 1, 1);
    CHECK_FAILS(hew_supervisor_add_child_dynamic(NULL, NULL), HEW_ERR_INVALID, "supervisor is NULL");
    CHECK_FAILS(hew_supervisor_add_child_dynamic(supervisor, NULL), HEW_ERR_INVALID, "spec is NULL");
    CHECK_FAILS(hew_supervisor_add_child_spec(NULL, NULL), HEW_ERR_INVALID, "supervisor is NULL");
    CHECK_FAILS(hew_supervisor_add_child_spec(supervisor, NULL), HEW_ERR_INVALID, "spec is NULL");
    CHECK_FAILS(hew_supervisor_add_child_spec(supervisor, &child), HEW_ERR_INVALID, "dispatch is NULL");
    child.restart_policy = 9;
    CHECK_FAILS(hew_supervisor_add_child_spec(supervisor, &child), HEW_ERR_INVALID, "9 is no restart policy");
    CHECK_FAILS(hew_supervisor_add_child_supervisor(NULL, NULL), HEW_ERR_INVALID, "supervisor is NULL");
    CHECK_FAILS(hew_supervisor_add_child_supervisor(supervisor, NULL), HEW_ERR_INVALID, "supervisor is NULL");
    CHECK_FAILS(hew_supervisor_add_child_supervisor_with_init(supervisor, NULL, NULL), HEW_ERR_INVALID, "init is NULL");
    CHECK(hew_supervisor_child_count(NULL) < 0);
    CHECK(hew_supervisor_get_child(NULL, 0) == NULL);
    CHECK(hew_supervisor_get_child(supervisor, -1) == NULL);
    CHECK(hew_supervisor_get_child_supervisor(NULL, 0) == NULL);
    CHECK(hew_supervisor_is_running(NULL) == 0);
    CHECK_FAILS(hew_supervisor_remove_child(NULL, 0), HEW_ERR_INVALID, "supervisor is NULL");
    CHECK_FAILS(hew_supervisor_start(NULL), HEW_ERR_INVALID, "supervisor is NULL");
    hew_supervisor_stop(NULL);
    hew_supervisor_stop(supervisor);
    hew_supervisor_stop(supervisor);
    CHECK_FAILS(hew_timer_wheel_cancel(NULL, NULL), HEW_ERR_INVALID, "timer wheel is NULL");
    hew_timer_wheel_free(NULL);
    CHECK(hew_timer_wheel_next_deadline_ms(NULL) == -1);
    CHECK(hew_timer_wheel_schedule(NULL, 1, ring, NULL) == NULL);
    CHECK(hew_timer_wheel_tick(NULL) == 0);
    HewTimerWheel *wheel = hew_timer_wheel_new();
    CHECK(hew_timer_wheel_schedule(wheel, 1, NULL, NULL) == NULL);
    CHECK_FAILS(hew_timer_wheel_cancel(wheel, NULL), HEW_ERR_INVALID, "timer is NULL");
    hew_timer_wheel_free(wheel);
    hew_transport_free(NULL);
    hew_wire_buf_destroy(NULL);
    hew_wire_buf_free(NULL);
    hew_wire_buf_init_read(NULL, NULL, 0);
    HewWireBuf reader = {0};
    hew_wire_buf_init_read(&reader, NULL, 8);
    CHECK(reader.len == 0);
    const void *bytes;
    size_t size;
    CHECK_FAILS(hew_wire_decode_bytes(NULL, &bytes, &size), HEW_ERR_INVALID, "buffer is NULL");
    CHECK_FAILS(hew_wire_decode_bytes(&reader, NULL, NULL), HEW_ERR_INVALID, "size is NULL");
    CHECK_FAILS(hew_wire_decode_fixed32(NULL, NULL), HEW_ERR_INVALID, "buffer is NULL");
    CHECK_FAILS(hew_wire_decode_fixed64(NULL, &number), HEW_ERR_INVALID, "buffer is NULL");
    CHECK_FAILS(hew_wire_decode_varint(NULL, &number), HEW_ERR_INVALID, "buffer is NULL");
    CHECK_FAILS(hew_wire_encode_field_bytes(NULL, 1, NULL, 0), HEW_ERR_INVALID, "buffer is NULL");
    HewWireBuf buffer = {0};
    CHECK_FAILS(hew_wire_encode_field_bytes(&buffer, 1, NULL, 5), HEW_ERR_INVALID, "data is NULL");
    CHECK_FAILS(hew_wire_encode_field_fixed32(NULL, 1, 1), HEW_ERR_INVALID, "buffer is NULL");
    CHECK_FAILS(hew_wire_encode_field_fixed64(NULL, 1, 1), HEW_ERR_INVALID, "buffer is NULL");
    CHECK_FAILS(hew_wire_encode_field_string(&buffer, 1, NULL), HEW_ERR_INVALID, "string is NULL");
    CHECK_FAILS(hew_wire_encode_field_varint(NULL, 1, 1), HEW_ERR_INVALID, "buffer is NULL");
    CHECK(hew_wire_encode_field_varint(&buffer, 1, 1) == 0);
    hew_wire_buf_init_read(&reader, buffer.data, buffer.len);
    CHECK_FAILS(hew_wire_decode_varint(&reader, NULL), HEW_ERR_INVALID, "result is NULL");
    hew_wire_buf_free(&buffer);
}

/* What was freed, what is of another kind, and what never was. */
static void wrong_handles(void) {
    HewActor *actor = hew_actor_spawn(NULL, 0, nothing);
    uint64_t pid = hew_actor_pid(actor);
    hew_actor_free(actor);
    /* Its place in the table is taken again, its number is not. */
    HewActor *successor = hew_actor_spawn(NULL, 0, nothing);
    CHECK(successor != actor);
    HewNode *node = hew_node_new(9, NULL);
    int on_the_stack = 0;
    HewActor *wrong[] = {actor, (HewActor *)(void *)node, (HewActor *)(void *)&on_the_stack, (HewActor *)(uintptr_t)8,
                         (HewActor *)UINTPTR_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int code = i == 0 ? HEW_ERR_STALE : HEW_ERR_INVALID;
        CHECK_FAILS(hew_actor_try_send(wrong[i], 0, NULL, 0), code, "actor");
        CHECK_FAILS(hew_actor_await(wrong[i]), code, "actor");
        CHECK(hew_actor_ask(wrong[i], 0, NULL, 0) == NULL);
        CHECK(hew_actor_pid(wrong[i]) == 0);
        CHECK(hew_actor_monitor(wrong[i], wrong[i]) == 0);
        hew_actor_send(wrong[i], 0, NULL, 0);
        hew_actor_stop(wrong[i]);
        hew_actor_close(wrong[i]);
        hew_actor_trap(wrong[i], 1);
        hew_actor_link(wrong[i], wrong[i]);
        hew_actor_free(wrong[i]);
        CHECK(hew_registry_register("name", wrong[i]) < 0);
        CHECK_FAILS(hew_node_start((HewNode *)(void *)wrong[i]), i == 1 ? 0 : HEW_ERR_INVALID, i == 1 ? "" : "no node");
        if (i == 1) {
            CHECK(hew_node_stop(node) == 0);
        }
    }
    CHECK_FAILS(hew_actor_send_by_id(pid, 0, NULL, 0), HEW_ERR_STALE, "has ended");
    CHECK(hew_actor_try_send(successor, 0, NULL, 0) == 0);
    HewCluster *cluster = hew_node_cluster(node);
    CHECK(cluster == hew_node_cluster(node));
    hew_node_free(node);
    CHECK_FAILS(hew_node_start(node), HEW_ERR_STALE, "this node was freed");
    hew_node_free(node);
    CHECK(hew_cluster_alive_count(cluster) == HEW_ERR_STALE);
    hew_cluster_leave(cluster);

    HewReplyChannel *channel = hew_reply_channel_new();
    hew_reply_channel_free(channel);
    hew_reply_channel_free(channel);
    hew_reply(channel, NULL, 0);
    CHECK(hew_reply_wait(channel) == NULL);
    HewPeerAllowlist *list = hew_allowlist_new(HEW_ALLOWLIST_OPEN);
    hew_allowlist_free(list);
    hew_allowlist_free(list);
    uint8_t key[32] = {1};
    CHECK_FAILS(hew_allowlist_add(list, key), HEW_ERR_STALE, "this allowlist was freed");
    HewTransport *transport = hew_transport_tcp_new();
    HewTransport copy = *transport;
    hew_transport_free(transport);
    /* Its functions are called with what is gone, or with nothing. */
    CHECK(copy.ops->connect(copy.impl, "127.0.0.1:1") == -1);
    CHECK(copy.ops->listen(copy.impl, NULL) == -1);
    CHECK(copy.ops->accept(NULL, 1) == -1);
    CHECK(copy.ops->send(NULL, 1, NULL, 5) == -1);
    CHECK(copy.ops->recv(NULL, 1, NULL, 5) == -1);
    copy.ops->close_conn(NULL, 1);
    copy.ops->destroy(NULL);
    HewTimerWheel *wheel = hew_timer_wheel_new();
    hew_timer_wheel_free(wheel);
    hew_timer_wheel_free(wheel);
    CHECK(hew_timer_wheel_schedule(wheel, 1, ring, NULL) == NULL);
    HewNodeOptions *options = hew_node_options_new();
    hew_node_options_free(options);
    hew_node_options_free(options);
    CHECK_FAILS(hew_node_options_security(options, 0), HEW_ERR_STALE, "was freed");
    CHECK(hew_node_new_with(1, options) == NULL);
}

int main(void) {
    null_everywhere();
    wrong_handles();
    hew_sched_shutdown();
    hew_runtime_cleanup();
    printf("done\n");
    return 0;
}

/* Actors in one process: messages, questions, panics, links, monitors, ends, names, timers, wire buffers. */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- an actor that does what its messages say ---- */

enum { ADD = 0, GET = 1, PANIC = 2, SILENT = 3, STOP_SELF = 4, FORWARD = 5, LEAN = 6, WAIT = 7, REPLY_TWICE = 8, WHO = 9 };

typedef struct {
    uint64_t total;
    HewActor *next;
} State;

static atomic_int stops;
static atomic_int gate;
static atomic_int begun;

static void dispatch(void *state, int32_t type, void *data, size_t size) {
    State *self = state;
    uint64_t number = 0;
    switch (type) {
    case ADD:
        CHECK(size == sizeof number);
        memcpy(&number, data, sizeof number);
        self->total += number;
        /* The data is the library's copy: this reaches nobody. */
        memset(data, 0xFF, size);
        break;
    case GET:
        hew_reply(channel_of(data, size), &self->total, sizeof self->total);
        break;
    case PANIC:
        hew_panic_msg("as it was told");
        CHECK(!"hew_panic does not return");
        break;
    case SILENT:
        break;
    case STOP_SELF:
        hew_actor_self_stop();
        break;
    case FORWARD: {
        /* Asks while its own asker waits. */
        uint64_t *answer = self->next ? hew_actor_ask(self->next, FORWARD, NULL, 0) : NULL;
        number = answer ? *answer + 1 : 1;
        free(answer);
        hew_reply(channel_of(data, size), &number, sizeof number);
        break;
    }
    case LEAN:
        CHECK(data == NULL && size == 0);
        break;
    case WAIT:
        while (!atomic_load(&gate)) {
            hew_sleep_ms(1);
            hew_actor_cooperate();
        }
        break;
    case REPLY_TWICE:
        number = 1;
        hew_reply(channel_of(data, size), &number, sizeof number);
        number = 2;
        hew_reply(channel_of(data, size), &number, sizeof number);
        CHECK(strstr(hew_last_error(), "freed") != NULL);
        break;
    case WHO: {
        HewActor *me = hew_actor_self();
        CHECK(me != NULL);
        CHECK(hew_actor_pid(me) == hew_actor_self_pid());
        CHECK(hew_actor_current_id() == (int64_t)hew_actor_self_pid());
        number = hew_actor_self_pid();
        hew_reply(channel_of(data, size), &number, sizeof number);
        break;
    }
    case HEW_MSG_STOP:
        CHECK(data == NULL && size == 0);
        atomic_fetch_add(&stops, 1);
        break;
    }
}

static HewActor *spawn(HewActor *next) {
    State state = {0, next};
    HewActor *actor = hew_actor_spawn(&state, sizeof state, dispatch);
    /* The state was copied. */
    memset(&state, 0xFF, sizeof state);
    CHECK(actor != NULL);
    return actor;
}

static void add(HewActor *actor, uint64_t number) {
    hew_actor_send(actor, ADD, &number, sizeof number);
}

static uint64_t ask(HewActor *actor, int32_t type) {
    hew_clear_error();
    uint64_t *answer = hew_actor_ask(actor, type, NULL, 0);
    CHECK(answer != NULL);
    uint64_t number = *answer;
    free(answer);
    return number;
}

static void no_answer(HewActor *actor, int32_t type, const char *words) {
    hew_clear_error();
    CHECK(hew_actor_ask(actor, type, NULL, 0) == NULL);
    check_says(__FILE__, __LINE__, "an ask without an answer", words);
}

/* ---- an actor that keeps what the system tells it ---- */

typedef struct {
    HewReplyChannel *told;
} Watcher;

typedef struct {
    int32_t type;
    uint64_t pid;
    uint64_t reference;
    int32_t reason;
} Event;

static void watcher_dispatch(void *state, int32_t type, void *data, size_t size) {
    Watcher *self = state;
    Event event = {type, 0, 0, 0};
    if (type == HEW_MSG_DOWN) {
        HewDownMessage down;
        CHECK(size == sizeof down);
        memcpy(&down, data, sizeof down);
        event.pid = down.monitored_actor_id;
        event.reference = down.ref_id;
        event.reason = down.reason;
    } else if (type == HEW_MSG_EXIT) {
        HewExitMessage exit;
        CHECK(size == sizeof exit);
        memcpy(&exit, data, sizeof exit);
        event.pid = exit.crashed_actor_id;
        event.reason = exit.reason;
    } else {
        return;
    }
    hew_reply(self->told, &event, sizeof event);
}

static HewActor *spawn_watcher(HewReplyChannel *told) {
    Watcher state = {told};
    HewActor *actor = hew_actor_spawn(&state, sizeof state, watcher_dispatch);
    CHECK(actor != NULL);
    return actor;
}

static Event take_event(HewReplyChannel *told) {
    Event *found = hew_reply_wait_timeout(told, 10000);
    CHECK(found != NULL);
    Event event = *found;
    free(found);
    return event;
}

/* ---- the stories ---- */

static void messages_and_questions(void) {
    HewActor *actor = spawn(NULL);
    uint64_t number = 40;
    hew_actor_send(actor, ADD, &number, sizeof number);
    CHECK(number == 40);
    CHECK(hew_actor_try_send(actor, ADD, &number, sizeof number) == 0);
    CHECK(hew_actor_send_by_id(hew_actor_pid(actor), ADD, &number, sizeof number) == 0);
    hew_actor_send(actor, LEAN, NULL, 0);
    CHECK(ask(actor, GET) == 120);
    CHECK(ask(actor, WHO) == hew_actor_pid(actor));
    CHECK(ask(actor, REPLY_TWICE) == 1);
    no_answer(actor, SILENT, "did not answer");
    CHECK(ask(actor, GET) == 120);

    /* Outside of handlers. */
    CHECK(hew_actor_self() == NULL && hew_actor_current_id() == -1 && hew_actor_self_pid() == 0);
    CHECK(hew_actor_cooperate() == 0);
    hew_actor_self_stop();
    hew_panic();
    check_says(__FILE__, __LINE__, "hew_panic", "nothing crashes");

    CHECK_FAILS(hew_actor_try_send(actor, -1, NULL, 0), HEW_ERR_INVALID, "negative ones belong to the system");
    CHECK_FAILS(hew_actor_try_send(actor, ADD, NULL, 8), HEW_ERR_INVALID, "data is NULL and has 8 bytes");

    int before = atomic_load(&stops);
    hew_actor_stop(actor);
    CHECK(hew_actor_await(actor) == 0);
    CHECK(atomic_load(&stops) == before + 1);
    CHECK(hew_actor_get_error(actor) == 0);
    CHECK_FAILS(hew_actor_try_send(actor, ADD, &number, sizeof number), HEW_ERR_ACTOR_STOPPED, "has ended");
    no_answer(actor, GET, "has ended");
    hew_actor_free(actor);
    CHECK_FAILS(hew_actor_try_send(actor, ADD, &number, sizeof number), HEW_ERR_STALE, "this actor was freed");
    hew_actor_free(actor);
}

static void deadlines(void) {
    atomic_store(&gate, 0);
    HewActor *actor = spawn(NULL);
    hew_actor_send(actor, WAIT, NULL, 0);
    hew_clear_error();
    CHECK(hew_actor_ask_timeout(actor, GET, NULL, 0, 20) == NULL);
    check_says(__FILE__, __LINE__, "hew_actor_ask_timeout", "deadline");
    atomic_store(&gate, 1);
    /* The late answer went to nobody; the actor goes on. */
    CHECK(ask(actor, GET) == 0);
    hew_actor_free(actor);
}

/* More actors than workers, each waiting for the next. */
static void questions_inside_of_handlers(void) {
    enum { CHAIN = 20 };
    HewActor *chain[CHAIN];
    for (int i = 0; i < CHAIN; i++) {
        chain[i] = spawn(i ? chain[i - 1] : NULL);
    }
    CHECK(ask(chain[CHAIN - 1], FORWARD) == CHAIN);
    /* Several chains at once, and again, so that every stand-in must have come back. */
    HewReplyChannel *answers[3];
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 3; i++) {
            answers[i] = hew_reply_channel_new();
            hew_actor_ask_with_channel(chain[CHAIN - 1 - i], FORWARD, NULL, 0, answers[i]);
        }
        for (int i = 0; i < 3; i++) {
            uint64_t *answer = hew_reply_wait(answers[i]);
            CHECK(answer != NULL && *answer == (uint64_t)(CHAIN - i));
            free(answer);
            hew_reply_channel_free(answers[i]);
        }
    }
    for (int i = 0; i < CHAIN; i++) {
        hew_actor_free(chain[i]);
    }
}

static void a_panic_ends_one_actor(void) {
    HewActor *actor = spawn(NULL);
    HewActor *other = spawn(NULL);
    no_answer(actor, PANIC, "as it was told");
    CHECK(hew_actor_await(actor) == 0);
    CHECK(hew_actor_get_error(actor) == -1);
    add(other, 7);
    CHECK(ask(other, GET) == 7);
    CHECK(hew_actor_get_error(other) == 0);
    hew_actor_free(actor);
    hew_actor_free(other);
}

static void every_end_is_told(void) {
    struct {
        int32_t message;
        int trap;
        int32_t reason;
    } ends[] = {{STOP_SELF, 0, 0}, {PANIC, 0, -1}, {SILENT, 7, 7}, {SILENT, -5, -5}};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        HewReplyChannel *told = hew_reply_channel_new();
        HewActor *watcher = spawn_watcher(told);
        HewActor *target = spawn(NULL);
        uint64_t pid = hew_actor_pid(target);
        uint64_t reference = hew_actor_monitor(watcher, target);
        CHECK(reference != 0);
        hew_actor_send(target, ends[i].message, NULL, 0);
        if (ends[i].trap) {
            hew_actor_trap(target, ends[i].trap);
        }
        Event event = take_event(told);
        CHECK(event.type == HEW_MSG_DOWN && event.pid == pid && event.reference == reference);
        CHECK(event.reason == ends[i].reason);
        CHECK(hew_actor_await(target) == 0);
        CHECK(hew_actor_get_error(target) == ends[i].reason);
        hew_reply_channel_free(told);

        /* What has ended answers a monitor at once. */
        told = hew_reply_channel_new();
        HewActor *late = spawn_watcher(told);
        reference = hew_actor_monitor(late, target);
        event = take_event(told);
        CHECK(event.reference == reference && event.reason == -16);
        hew_reply_channel_free(told);
        hew_actor_free(late);
        hew_actor_free(watcher);
        hew_actor_free(target);
    }
    HewActor *target = spawn(NULL);
    HewReplyChannel *told = hew_reply_channel_new();
    HewActor *watcher = spawn_watcher(told);
    hew_actor_demonitor(hew_actor_monitor(watcher, target));
    hew_actor_demonitor(123456789);
    uint64_t kept = hew_actor_monitor(watcher, target);
    hew_actor_free(target);
    /* Only the one that was kept. */
    CHECK(take_event(told).reference == kept);
    hew_reply_channel_free(told);
    hew_actor_free(watcher);
    CHECK(hew_actor_monitor(NULL, NULL) == 0);
}

static void links(void) {
    /* A partner that does not trap ends too. */
    HewActor *one = spawn(NULL), *two = spawn(NULL), *three = spawn(NULL);
    hew_actor_link(one, two);
    hew_actor_link(two, three);
    hew_actor_unlink(two, three);
    hew_actor_send(one, PANIC, NULL, 0);
    CHECK(hew_actor_await(two) == 0);
    CHECK(hew_actor_get_error(two) == -3);
    CHECK(ask(three, GET) == 0);

    /* One that traps gets a message, for a crash and for a normal end. */
    HewReplyChannel *told = hew_reply_channel_new();
    HewActor *trapping = spawn_watcher(told);
    hew_actor_trap_exit(trapping, 1);
    hew_actor_link(trapping, three);
    uint64_t pid = hew_actor_pid(three);
    hew_actor_trap(three, 9);
    Event event = take_event(told);
    CHECK(event.type == HEW_MSG_EXIT && event.pid == pid && event.reason == 9);
    hew_reply_channel_free(told);
    hew_actor_free(trapping);

    /* A normal end does not pull a partner along. */
    HewActor *four = spawn(NULL), *five = spawn(NULL);
    hew_actor_link(four, five);
    hew_actor_free(four);
    CHECK(ask(five, GET) == 0);
    HewActor *all[] = {one, two, three, five};
    hew_actor_stop(five);
    CHECK(hew_actor_await_all(all, 4) == 0);
    for (int i = 0; i < 4; i++) {
        hew_actor_free(all[i]);
    }
    CHECK_FAILS(hew_actor_await_all(all, 4), HEW_ERR_STALE, "freed");
}

static void closing_handles_what_waits(void) {
    atomic_store(&gate, 0);
    HewActor *actor = spawn(NULL);
    hew_actor_send(actor, WAIT, NULL, 0);
    for (int i = 0; i < 100; i++) {
        add(actor, 1);
    }
    HewReplyChannel *answer = hew_reply_channel_new();
    hew_actor_ask_with_channel(actor, GET, NULL, 0, answer);
    int before = atomic_load(&stops);
    hew_actor_close(actor);
    CHECK_FAILS(hew_actor_try_send(actor, LEAN, NULL, 0), HEW_ERR_ACTOR_STOPPED, "ended");
    atomic_store(&gate, 1);
    uint64_t *total = hew_reply_wait(answer);
    CHECK(total != NULL && *total == 100);
    free(total);
    CHECK(hew_actor_await(actor) == 0);
    CHECK(atomic_load(&stops) == before + 1);
    hew_reply_channel_free(answer);
    hew_actor_free(actor);
}

static uint64_t key_of_first_byte(int32_t type, void *data, size_t size) {
    (void)type;
    return size ? *(unsigned char *)data : 0;
}

static void collect(void *state, int32_t type, void *data, size_t size) {
    unsigned char *seen = state;
    if (type == ADD) {
        CHECK(seen[0] < 15 && size == 2);
        seen[++seen[0]] = ((unsigned char *)data)[1];
        atomic_fetch_add(&begun, 1);
    } else if (type == WAIT) {
        atomic_store(&begun, 1);
        while (!atomic_load(&gate)) {
            hew_sleep_ms(1);
        }
    } else if (type == GET) {
        hew_reply(channel_of(data, size), seen, 16);
    }
}

static void full_mailboxes(void) {
    struct {
        int32_t overflow;
        int32_t fallback;
        int last;
        unsigned char seen[4];
    } policies[] = {
        {HEW_OVERFLOW_DROP_NEW, 0, HEW_ERR_MAILBOX_FULL, {2, 10, 11, 0}},
        {HEW_OVERFLOW_DROP_OLD, 0, 0, {2, 11, 22, 0}},
        {HEW_OVERFLOW_FAIL, 0, HEW_ERR_MAILBOX_FULL, {2, 10, 11, 0}},
        /* The third message has the key of the first. */
        {HEW_OVERFLOW_COALESCE, HEW_OVERFLOW_DROP_NEW, 0, {2, 22, 11, 0}},
        {77, 0, HEW_ERR_MAILBOX_FULL, {2, 10, 11, 0}},
    };
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        atomic_store(&gate, 0);
        unsigned char zero[16] = {0};
        HewActorOpts options = {zero, sizeof zero, collect, 2, policies[i].overflow, key_of_first_byte, policies[i].fallback, 1};
        HewActor *actor = hew_actor_spawn_opts(&options);
        CHECK(actor != NULL);
        atomic_store(&begun, 0);
        hew_actor_send(actor, WAIT, NULL, 0);
        /* The message at hand is not in the mailbox any more. */
        while (!atomic_load(&begun)) {
            hew_sleep_ms(1);
        }
        unsigned char first[2] = {1, 10}, second[2] = {2, 11}, third[2] = {1, 22};
        CHECK(hew_actor_try_send(actor, ADD, first, 2) == 0);
        CHECK(hew_actor_try_send(actor, ADD, second, 2) == 0);
        CHECK(hew_actor_try_send(actor, ADD, third, 2) == policies[i].last);
        atomic_store(&gate, 1);
        /* Two of the three, each begins anew; a question before them could push one out. */
        while (atomic_load(&begun) < 3) {
            hew_sleep_ms(1);
        }
        unsigned char *seen = hew_actor_ask(actor, GET, NULL, 0);
        CHECK(seen != NULL);
        CHECK(memcmp(seen, policies[i].seen, 3) == 0);
        free(seen);
        hew_actor_free(actor);
    }
}

static void selection(void) {
    atomic_store(&gate, 0);
    HewActor *slow = spawn(NULL), *fast = spawn(NULL);
    hew_actor_send(slow, WAIT, NULL, 0);
    add(fast, 5);
    HewReplyChannel *channels[2] = {hew_reply_channel_new(), hew_reply_channel_new()};
    hew_actor_ask_with_channel(slow, GET, NULL, 0, channels[0]);
    CHECK(hew_select_first(channels, 2, 10) == -1);
    hew_actor_ask_with_channel(fast, GET, NULL, 0, channels[1]);
    CHECK(hew_select_first(channels, 2, -1) == 1);
    uint64_t *answer = hew_reply_wait(channels[1]);
    CHECK(answer != NULL && *answer == 5);
    free(answer);
    hew_reply_channel_free(channels[1]);
    /* The loser frees itself when its answer comes. */
    atomic_store(&gate, 1);
    CHECK(ask(slow, GET) == 0);
    hew_clear_error();
    CHECK(hew_reply_wait(channels[0]) == NULL);
    check_says(__FILE__, __LINE__, "a cancelled channel", "freed");
    hew_reply_channel_free(channels[0]);

    /* An actor that has ended answers nothing, at once. */
    hew_actor_stop(slow);
    CHECK(hew_actor_await(slow) == 0);
    HewReplyChannel *dead = hew_reply_channel_new();
    hew_actor_ask_with_channel(slow, GET, NULL, 0, dead);
    CHECK(hew_select_first(&dead, 1, -1) == 0);
    CHECK(hew_reply_wait(dead) == NULL);
    hew_reply_channel_free(dead);
    hew_actor_free(slow);
    hew_actor_free(fast);
}

static void names(void) {
    HewActor *actor = spawn(NULL), *other = spawn(NULL);
    CHECK(hew_registry_register("printer", actor) == 0);
    CHECK_FAILS(hew_registry_register("printer", other), -1, "printer is taken");
    CHECK(hew_registry_lookup("printer") == (void *)actor);
    CHECK(hew_registry_count() == 1);
    hew_actor_free(actor);
    /* A name goes with its actor. */
    CHECK(hew_registry_lookup("printer") == NULL);
    CHECK(hew_registry_count() == 0);
    CHECK(hew_registry_register("printer", other) == 0);
    CHECK(hew_registry_unregister("printer") == 0);
    CHECK_FAILS(hew_registry_unregister("printer"), HEW_ERR_INVALID, "nobody is registered as printer");
    CHECK_FAILS(hew_registry_register("", other), HEW_ERR_INVALID, "name");
    CHECK_FAILS(hew_registry_register("printer", &actor), HEW_ERR_INVALID, "is no actor");
    CHECK(hew_registry_register("printer", other) == 0);
    hew_registry_clear();
    CHECK(hew_registry_count() == 0);
    hew_actor_free(other);
}

static void together(void) {
    HewScope *scope = hew_scope_create();
    HewActorGroup *group = hew_actor_group_new();
    HewActor *one = spawn(NULL), *two = spawn(NULL);
    CHECK(hew_scope_spawn(scope, one) == 0 && hew_scope_spawn(scope, two) == 0);
    CHECK(hew_actor_group_add(group, one) == 0 && hew_actor_group_add(group, two) == 0);
    CHECK_FAILS(hew_actor_group_wait_timeout(group, 5), HEW_ERR_TIMEOUT, "not all ended");
    hew_actor_group_stop_all(group);
    hew_scope_wait_all(scope);
    hew_actor_group_wait_all(group);
    CHECK(hew_actor_group_wait_timeout(group, 0) == 0);
    hew_scope_free(scope);
    hew_scope_free(scope);
    hew_actor_group_destroy(group);
    CHECK_FAILS(hew_actor_group_add(group, one), HEW_ERR_STALE, "this group was freed");
    hew_actor_free(one);
    hew_actor_free(two);
}

static void *senders(void *argument) {
    HewActor *actor = argument;
    for (int i = 0; i < 2000; i++) {
        add(actor, 1);
    }
    return NULL;
}

static void many_senders(void) {
    HewActor *actor = spawn(NULL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_create(&threads[i], NULL, senders, actor) == 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK(ask(actor, GET) == 8000);
    hew_actor_free(actor);
}

static void wire_buffers(void) {
    HewWireBuf stack = {0};
    CHECK(hew_wire_encode_field_varint(&stack, 1, 300) == 0);
    CHECK(stack.len == 3 && memcmp(stack.data, "\x08\xAC\x02", 3) == 0);
    CHECK(hew_wire_encode_field_fixed32(&stack, 2, 0x01020304) == 0);
    CHECK(hew_wire_encode_field_fixed64(&stack, 3, UINT64_MAX) == 0);
    CHECK(hew_wire_encode_field_bytes(&stack, 4, "\0\1", 2) == 0);
    CHECK(hew_wire_encode_field_bytes(&stack, 4, NULL, 0) == 0);
    CHECK(hew_wire_encode_field_string(&stack, 5, "hew") == 0);
    char large[5000] = {1};
    CHECK(hew_wire_encode_field_bytes(&stack, 6, large, sizeof large) == 0);
    CHECK_FAILS(hew_wire_encode_field_varint(&stack, 0, 1), HEW_ERR_INVALID, "field 0");

    HewWireBuf reader;
    hew_wire_buf_init_read(&reader, stack.data, stack.len);
    uint64_t tag, number;
    uint32_t small;
    const void *bytes;
    size_t size;
    CHECK(hew_wire_decode_varint(&reader, &tag) == 0 && tag == (1 << 3 | 0));
    CHECK(hew_wire_decode_varint(&reader, &number) == 0 && number == 300);
    CHECK(hew_wire_decode_varint(&reader, &tag) == 0 && tag == (2 << 3 | 5));
    CHECK(hew_wire_decode_fixed32(&reader, &small) == 0 && small == 0x01020304);
    CHECK(hew_wire_decode_varint(&reader, &tag) == 0 && tag == (3 << 3 | 1));
    CHECK(hew_wire_decode_fixed64(&reader, &number) == 0 && number == UINT64_MAX);
    CHECK(hew_wire_decode_varint(&reader, &tag) == 0 && tag == (4 << 3 | 2));
    CHECK(hew_wire_decode_bytes(&reader, &bytes, &size) == 0 && size == 2 && memcmp(bytes, "\0\1", 2) == 0);
    CHECK(hew_wire_decode_varint(&reader, &tag) == 0 && tag == (4 << 3 | 2));
    CHECK(hew_wire_decode_bytes(&reader, &bytes, &size) == 0 && size == 0);
    CHECK(hew_wire_decode_varint(&reader, &tag) == 0 && tag == (5 << 3 | 2));
    CHECK(hew_wire_decode_bytes(&reader, &bytes, &size) == 0 && size == 3 && memcmp(bytes, "hew", 3) == 0);
    CHECK(hew_wire_decode_varint(&reader, &tag) == 0 && tag == (6 << 3 | 2));
    size_t position = reader.read_pos;
    reader.len -= 1;
    CHECK_FAILS(hew_wire_decode_bytes(&reader, &bytes, &size), HEW_ERR_SERIALIZE, "ends within a byte string");
    CHECK(reader.read_pos == position);
    reader.len += 1;
    CHECK(hew_wire_decode_bytes(&reader, &bytes, &size) == 0 && size == sizeof large);
    CHECK_FAILS(hew_wire_decode_varint(&reader, &tag), HEW_ERR_SERIALIZE, "ends within a number");
    CHECK_FAILS(hew_wire_encode_field_varint(&reader, 1, 1), HEW_ERR_INVALID, "for reading");
    hew_wire_buf_free(&reader);
    hew_wire_buf_free(&stack);
    CHECK(stack.data == NULL && stack.len == 0);
    hew_wire_buf_free(&stack);

    HewWireBuf *heap = hew_wire_buf_new();
    CHECK(hew_wire_encode_field_string(heap, 1, "x") == 0);
    hew_wire_buf_destroy(heap);
    CHECK(hew_wire_zigzag_encode(-1) == 1 && hew_wire_zigzag_decode(1) == -1);
}

static void count_up(void *user) {
    ++*(int *)user;
}

static void timers(void) {
    int count = 0;
    HewTimerWheel *wheel = hew_timer_wheel_new();
    CHECK(hew_timer_wheel_next_deadline_ms(wheel) == -1);
    CHECK(hew_timer_wheel_schedule(wheel, 0, count_up, &count) != NULL);
    HewTimerEntry *cancelled = hew_timer_wheel_schedule(wheel, 0, count_up, &count);
    CHECK(hew_timer_wheel_cancel(wheel, cancelled) == 0);
    CHECK_FAILS(hew_timer_wheel_cancel(wheel, cancelled), HEW_ERR_STALE, "freed");
    CHECK(hew_timer_wheel_tick(wheel) == 1 && count == 1);
    hew_timer_wheel_free(wheel);
    CHECK(hew_now_ms() <= hew_now_ms());
}

/* After a cleanup everything begins again. */
static void a_second_life(void) {
    HewActor *before = spawn(NULL);
    uint64_t pid = hew_actor_pid(before);
    hew_sched_shutdown();
    CHECK(hew_actor_spawn(NULL, 0, dispatch) == NULL);
    check_says(__FILE__, __LINE__, "hew_actor_spawn", "shut down");
    hew_sched_shutdown();
    hew_runtime_cleanup();
    hew_runtime_cleanup();
    CHECK_FAILS(hew_actor_try_send(before, LEAN, NULL, 0), HEW_ERR_STALE, "freed");
    hew_sched_init();
    hew_sched_init();
    HewActor *after = spawn(NULL);
    CHECK(hew_actor_pid(after) != pid);
    CHECK_FAILS(hew_actor_send_by_id(pid, LEAN, NULL, 0), HEW_ERR_STALE, "has ended, or never was");
    CHECK(ask(after, GET) == 0);
    hew_actor_free(after);
    hew_runtime_cleanup();
}

static void shutdown_in_phases(void) {
    CHECK(hew_shutdown_phase() == HEW_SHUTDOWN_RUNNING && !hew_is_shutting_down());
    CHECK_FAILS(hew_shutdown_wait(), HEW_ERR_CLOSED, "no shutdown was begun");
    hew_sched_init();
    HewActor *actor = spawn(NULL);
    HewReplyChannel *answer = hew_reply_channel_new();
    atomic_store(&gate, 0);
    hew_actor_send(actor, WAIT, NULL, 0);
    for (int i = 0; i < 1000; i++) {
        add(actor, 1);
    }
    hew_actor_ask_with_channel(actor, GET, NULL, 0, answer);
    uint64_t begin = hew_now_ms();
    hew_shutdown_initiate(60000);
    hew_shutdown_initiate(60000);
    CHECK(hew_is_shutting_down());
    /* What waits is handled, however long the handler at hand takes. */
    hew_sleep_ms(20);
    CHECK(hew_shutdown_phase() == HEW_SHUTDOWN_DRAIN);
    atomic_store(&gate, 1);
    CHECK(hew_shutdown_wait() == 0);
    CHECK(hew_shutdown_phase() == HEW_SHUTDOWN_DONE);
    /* And then there is nothing to wait for. */
    CHECK(hew_now_ms() - begin < 30000);
    uint64_t *total = hew_reply_wait(answer);
    CHECK(total != NULL && *total == 1000);
    free(total);
    hew_reply_channel_free(answer);
    hew_runtime_cleanup();
    CHECK(hew_shutdown_phase() == HEW_SHUTDOWN_RUNNING);
}

int main(void) {
    CHECK(strlen(hew_version()) > 0);
    CHECK(hew_abi_version() == 1);
    CHECK(hew_last_error() == NULL);
    hew_sched_init();
    messages_and_questions();
    deadlines();
    questions_inside_of_handlers();
    a_panic_ends_one_actor();
    every_end_is_told();
    links();
    closing_handles_what_waits();
    full_mailboxes();
    selection();
    names();
    together();
    many_senders();
    wire_buffers();
    timers();
    a_second_life();
    shutdown_in_phases();
    printf("done\n");
    return 0;
}

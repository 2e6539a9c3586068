/* Supervision trees: restarts, budgets, trees below trees, and the order of stopping. */
#include "check.h"

#include <stdatomic.h>

enum { CRASH = 0, STOP = 1, GET = 2 };
enum { DEADLINE_MS = 10000 };

typedef struct {
    int number;
    uint64_t handled;
} State;

static atomic_int stopped[16];
static atomic_int stops;

static void dispatch(void *state, int32_t type, void *data, size_t size) {
    State *self = state;
    switch (type) {
    case CRASH:
        hew_panic();
        break;
    case STOP:
        hew_actor_self_stop();
        break;
    case GET:
        self->handled++;
        hew_reply(channel_of(data, size), self, sizeof *self);
        break;
    case HEW_MSG_STOP:
        atomic_store(&stopped[atomic_fetch_add(&stops, 1)], self->number);
        break;
    }
}

static HewChildSpec spec(int number, int restart, State *state) {
    *state = (State){number, 0};
    return (HewChildSpec){"child", state, sizeof *state, dispatch, restart, 100, HEW_OVERFLOW_DROP_NEW};
}

static void plan(HewSupervisor *supervisor, int number, int restart) {
    State state;
    HewChildSpec child = spec(number, restart, &state);
    CHECK(hew_supervisor_add_child_spec(supervisor, &child) == 0);
    memset(&state, 0xFF, sizeof state);
}

/* What the child answers; waits while it is being restarted. */
static State get(HewSupervisor *supervisor, int index) {
    uint64_t end = hew_now_ms() + DEADLINE_MS;
    for (;;) {
        HewActor *child = hew_supervisor_get_child(supervisor, index);
        State *answer = child ? hew_actor_ask_timeout(child, GET, NULL, 0, DEADLINE_MS) : NULL;
        if (answer != NULL) {
            State state = *answer;
            free(answer);
            return state;
        }
        CHECK(hew_now_ms() < end);
        hew_sleep_ms(1);
    }
}

static void tell(HewSupervisor *supervisor, int index, int32_t message) {
    HewActor *child = hew_supervisor_get_child(supervisor, index);
    CHECK(child != NULL);
    hew_actor_send(child, message, NULL, 0);
    /* Until it has ended: its handle may be freed by then. */
    hew_actor_await(child);
}

static void wait_until_it_gives_up(HewSupervisor *supervisor) {
    uint64_t end = hew_now_ms() + DEADLINE_MS;
    while (hew_supervisor_is_running(supervisor)) {
        CHECK(hew_now_ms() < end);
        hew_sleep_ms(1);
    }
}

static void children_come_back_as_they_began(void) {
    HewSupervisor *supervisor = hew_supervisor_new(HEW_STRATEGY_ONE_FOR_ONE, 10, 60);
    plan(supervisor, 1, HEW_RESTART_PERMANENT);
    plan(supervisor, 2, HEW_RESTART_TRANSIENT);
    plan(supervisor, 3, HEW_RESTART_TEMPORARY);
    CHECK(hew_supervisor_child_count(supervisor) == 3);
    CHECK(hew_supervisor_is_running(supervisor) == 0);
    CHECK(hew_supervisor_get_child(supervisor, 0) == NULL);
    CHECK(hew_supervisor_start(supervisor) == 0);
    CHECK(hew_supervisor_start(supervisor) == 0);
    CHECK(hew_supervisor_is_running(supervisor) == 1);
    CHECK(get(supervisor, 0).handled == 1 && get(supervisor, 0).handled == 2);

    HewActor *before = hew_supervisor_get_child(supervisor, 0);
    tell(supervisor, 0, CRASH);
    State state = get(supervisor, 0);
    CHECK(state.number == 1 && state.handled == 1);
    CHECK_FAILS(hew_actor_try_send(before, CRASH, NULL, 0), HEW_ERR_STALE, "freed");
    /* A permanent child comes back after a normal end too. */
    tell(supervisor, 0, STOP);
    CHECK(get(supervisor, 0).handled == 1);
    /* A transient one after a crash only. */
    tell(supervisor, 1, CRASH);
    CHECK(get(supervisor, 1).number == 2);
    HewActor *transient = hew_supervisor_get_child(supervisor, 1);
    tell(supervisor, 1, STOP);
    HewActor *temporary = hew_supervisor_get_child(supervisor, 2);
    tell(supervisor, 2, CRASH);
    CHECK(get(supervisor, 0).number == 1);
    CHECK(hew_supervisor_get_child(supervisor, 1) == transient);
    CHECK(hew_supervisor_get_child(supervisor, 2) == temporary);
    CHECK(hew_actor_get_error(transient) == 0 && hew_actor_get_error(temporary) == -1);

    State more;
    HewChildSpec child = spec(4, HEW_RESTART_PERMANENT, &more);
    CHECK(hew_supervisor_add_child_dynamic(supervisor, &child) == 3);
    CHECK(get(supervisor, 3).number == 4);
    CHECK(hew_supervisor_remove_child(supervisor, 1) == 0);
    CHECK(hew_supervisor_child_count(supervisor) == 3);
    CHECK(get(supervisor, 2).number == 4);
    CHECK_FAILS(hew_supervisor_remove_child(supervisor, 3), HEW_ERR_INVALID, "no child 3");

    atomic_store(&stops, 0);
    HewActor *last = hew_supervisor_get_child(supervisor, 2);
    hew_supervisor_stop(supervisor);
    /* The last started first; the temporary one had ended. */
    CHECK(atomic_load(&stops) == 2);
    CHECK(atomic_load(&stopped[0]) == 4 && atomic_load(&stopped[1]) == 1);
    CHECK_FAILS(hew_supervisor_start(supervisor), HEW_ERR_STALE, "this supervisor was freed");
    CHECK_FAILS(hew_actor_try_send(last, CRASH, NULL, 0), HEW_ERR_STALE, "freed");
    hew_supervisor_stop(supervisor);
}

static void all_for_one(void) {
    HewSupervisor *supervisor = hew_supervisor_new(HEW_STRATEGY_ONE_FOR_ALL, 10, 60);
    plan(supervisor, 1, HEW_RESTART_PERMANENT);
    plan(supervisor, 2, HEW_RESTART_PERMANENT);
    CHECK(hew_supervisor_start(supervisor) == 0);
    CHECK(get(supervisor, 0).handled == 1 && get(supervisor, 0).handled == 2);
    tell(supervisor, 1, CRASH);
    CHECK(get(supervisor, 1).handled == 1);
    CHECK(get(supervisor, 0).handled == 1);
    hew_supervisor_stop(supervisor);
}

static void too_many_restarts_are_given_up(void) {
    HewSupervisor *supervisor = hew_supervisor_new(HEW_STRATEGY_ONE_FOR_ONE, 0, 60);
    plan(supervisor, 1, HEW_RESTART_PERMANENT);
    CHECK(hew_supervisor_start(supervisor) == 0);
    tell(supervisor, 0, CRASH);
    wait_until_it_gives_up(supervisor);
    hew_supervisor_stop(supervisor);
}

static atomic_int made;

/* As compiled programs do it: the function starts what it makes. */
static HewSupervisor *make_below(void) {
    HewSupervisor *supervisor = hew_supervisor_new(HEW_STRATEGY_ONE_FOR_ONE, 0, 60);
    plan(supervisor, 10 + atomic_fetch_add(&made, 1), HEW_RESTART_PERMANENT);
    CHECK(hew_supervisor_start(supervisor) == 0);
    return supervisor;
}

static void a_tree_below_is_made_anew(void) {
    HewSupervisor *top = hew_supervisor_new(HEW_STRATEGY_ONE_FOR_ONE, 10, 60);
    HewSupervisor *below = make_below();
    plan(top, 1, HEW_RESTART_PERMANENT);
    CHECK(hew_supervisor_add_child_supervisor_with_init(top, below, make_below) == 0);
    CHECK_FAILS(hew_supervisor_add_child_supervisor(below, top), HEW_ERR_INVALID, "below itself");
    CHECK_FAILS(hew_supervisor_add_child_supervisor(top, top), HEW_ERR_INVALID, "below itself");
    CHECK(hew_supervisor_start(top) == 0);
    CHECK(hew_supervisor_get_child_supervisor(top, 0) == below);
    CHECK(get(below, 0).number == 10);

    /* More than its budget: the parent calls the function. */
    tell(below, 0, CRASH);
    uint64_t end = hew_now_ms() + DEADLINE_MS;
    while (hew_supervisor_get_child_supervisor(top, 0) == below) {
        CHECK(hew_now_ms() < end);
        hew_sleep_ms(1);
    }
    HewSupervisor *again = hew_supervisor_get_child_supervisor(top, 0);
    CHECK(get(again, 0).number == 11);
    CHECK(hew_supervisor_is_running(below) == 0);
    CHECK_FAILS(hew_supervisor_start(below), HEW_ERR_STALE, "freed");
    CHECK(get(top, 0).number == 1);

    atomic_store(&stops, 0);
    hew_supervisor_stop(top);
    CHECK(atomic_load(&stops) == 2);
    CHECK(atomic_load(&stopped[0]) == 11 && atomic_load(&stopped[1]) == 1);
    CHECK_FAILS(hew_supervisor_start(again), HEW_ERR_STALE, "freed");
}

static void a_tree_below_without_a_function(void) {
    HewSupervisor *top = hew_supervisor_new(HEW_STRATEGY_ONE_FOR_ONE, 10, 60);
    HewSupervisor *below = hew_supervisor_new(HEW_STRATEGY_ONE_FOR_ONE, 0, 60);
    plan(below, 5, HEW_RESTART_PERMANENT);
    CHECK(hew_supervisor_add_child_supervisor(top, below) == 0);
    CHECK(hew_supervisor_start(top) == 0);
    for (int i = 0; i < 3; i++) {
        State state = get(below, 0);
        CHECK(state.number == 5 && state.handled == 1);
        tell(below, 0, CRASH);
    }
    CHECK(get(below, 0).number == 5);
    hew_supervisor_stop(top);
}

/* Shutting down with a tree that runs ends, and stops the tree. */
static void shutting_down(void) {
    HewSupervisor *top = hew_supervisor_new(HEW_STRATEGY_REST_FOR_ONE, 10, 60);
    HewSupervisor *below = hew_supervisor_new(HEW_STRATEGY_ONE_FOR_ONE, 10, 60);
    plan(top, 1, HEW_RESTART_PERMANENT);
    plan(below, 2, HEW_RESTART_PERMANENT);
    CHECK(hew_supervisor_add_child_supervisor(top, below) == 0);
    CHECK(hew_supervisor_start(top) == 0);
    CHECK(get(below, 0).number == 2);
    atomic_store(&stops, 0);
    uint64_t begin = hew_now_ms();
    hew_sched_shutdown();
    CHECK(hew_now_ms() - begin < 4000);
    CHECK(atomic_load(&stops) == 2);
    CHECK(atomic_load(&stopped[0]) == 2 && atomic_load(&stopped[1]) == 1);
    hew_runtime_cleanup();
    CHECK_FAILS(hew_supervisor_start(top), HEW_ERR_STALE, "freed");
}

int main(void) {
    hew_sched_init();
    CHECK(hew_supervisor_new(3, 1, 1) == NULL);
    CHECK(hew_supervisor_new(0, -1, 1) == NULL);
    children_come_back_as_they_began();
    all_for_one();
    too_many_restarts_are_given_up();
    a_tree_below_is_made_anew();
    a_tree_below_without_a_function();
    shutting_down();
    printf("done\n");
    return 0;
}

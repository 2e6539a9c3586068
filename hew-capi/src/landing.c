/* Where a handler that panics lands: setjmp must be called from C, since it returns twice.
 *
 * The library calls each function of a C program through `hewi_call`. `hew_panic` ends in `hewi_jump`, which leaves the
 * frames of that function as they are and returns from `hewi_call` with 1. Frames between the two belong to the C
 * program, to `hew_panic`, and to the caller's `body`, which owns nothing; no Rust value is skipped.
 */
#include <setjmp.h>
#include <stddef.h>

#define HIDDEN __attribute__((visibility("hidden")))

static _Thread_local jmp_buf *landing;

HIDDEN int hewi_call(void (*body)(void *), void *argument) {
    jmp_buf here;
    jmp_buf *outer = landing;
    /* `_setjmp` does not save the signal mask, which would be a system call for each message. */
    if (_setjmp(here) == 0) {
        landing = &here;
        body(argument);
        landing = outer;
        return 0;
    }
    landing = outer;
    return 1;
}

HIDDEN void hewi_jump(void) {
    if (landing != NULL) {
        _longjmp(*landing, 1);
    }
}

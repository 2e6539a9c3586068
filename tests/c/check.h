/* What the test programs share: a failed check ends the program with a line that says where and why. */
#ifndef HEW_TEST_CHECK_H
#define HEW_TEST_CHECK_H

#include <hew.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void check_failed(const char *file, int line, const char *what) {
    const char *error = hew_last_error();
    fprintf(stderr, "%s:%d: %s; last error: %s\n", file, line, what, error ? error : "none");
    exit(1);
}

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

/* The call fails with this code, and the text of the failure contains these words. */
#define CHECK_FAILS(call, code, words)                                                                                 \
    do {                                                                                                               \
        hew_clear_error();                                                                                             \
        int result_ = (call);                                                                                          \
        if (result_ != (code)) {                                                                                       \
            fprintf(stderr, "%s:%d: answered %d, not %d\n", __FILE__, __LINE__, result_, (int)(code));                 \
            check_failed(__FILE__, __LINE__, #call);                                                                   \
        }                                                                                                              \
        check_says(__FILE__, __LINE__, #call, words);                                                                  \
    } while (0)

static inline void check_says(const char *file, int line, const char *what, const char *words) {
    const char *error = hew_last_error();
    /* No words: success. */
    if (*words == '\0') {
        return;
    }
    if (error == NULL || strstr(error, words) == NULL) {
        fprintf(stderr, "%s:%d: the text must contain \"%s\"\n", file, line, words);
        check_failed(file, line, what);
    }
}

/* The channel that a question leaves after its arguments. */
static inline HewReplyChannel *channel_of(void *data, size_t size) {
    HewReplyChannel *channel;
    memcpy(&channel, (char *)data + size - sizeof channel, sizeof channel);
    return channel;
}

#endif

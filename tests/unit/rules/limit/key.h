/* A limit, the state of one key under it, and what every test of them asks. */
#pragma once

#include "main.h"
#include "rules/limit/limit.h"

#include <inttypes.h>

/* Somewhere in 2023, and the start of a window of any length of whole days. */
#define EPOCH_DAY (UINT64_C(19600) * 86400000000)

struct key {
    struct limit limit;
    struct limit_state state;
    struct limit_log *log; /* the state's, where it has one; freed with the key */
};

/* Zeroed, with room for the limit; NULL where it needs none. */
static inline struct limit_log *key_new_log(const struct limit *limit)
{
    size_t size = limit_log_size(limit);
    if (!size)
        return NULL;
    struct limit_log *log = calloc(1, size);
    if (!log)
        ck_abort_msg("out of memory");
    log->capacity = (uint32_t)limit->units;
    return log;
}

static inline void key_use_log(struct key *key, struct limit_log *log)
{
    key->log = key->state.log = log;
}

static inline struct key key_open(struct limit limit)
{
    const char *expected = limit_check(&limit);
    if (expected)
        ck_abort_msg("expected %s", expected);
    struct key key = {.limit = limit};
    if (limit.algorithm == LIMIT_SLIDING_LOG)
        key_use_log(&key, key_new_log(&limit));
    return key;
}

static inline void key_close(struct key *key)
{
    free(key->log);
    key->log = NULL;
}

static inline size_t key_log_size(const struct key *key)
{
    return sizeof(struct limit_log) + key->log->capacity * sizeof(uint64_t);
}

static inline struct key key_clone(const struct key *key)
{
    struct key clone = *key;
    if (key->log) {
        size_t size = key_log_size(key);
        struct limit_log *log = malloc(size);
        if (!log)
            ck_abort_msg("out of memory");
        memcpy(log, key->log, size);
        key_use_log(&clone, log);
    }
    return clone;
}

/* To the last bit. The three numbers of a sliding window are all of a state. */
static inline bool key_same(const struct key *a, const struct key *b)
{
    if (a->log)
        return memcmp(a->log, b->log, key_log_size(a)) == 0;
    return a->state.sliding.start == b->state.sliding.start &&
           a->state.sliding.current == b->state.sliding.current &&
           a->state.sliding.previous == b->state.sliding.previous;
}

static inline struct limit_result key_take(struct key *key, uint64_t now, uint64_t wanted)
{
    return limit_take(&key->limit, &key->state, now, wanted);
}

static inline struct limit_result key_peek(const struct key *key, uint64_t now, uint64_t wanted)
{
    return limit_peek(&key->limit, &key->state, now, wanted);
}

static inline void key_give(struct key *key, uint64_t now, uint64_t taken_at, uint64_t units)
{
    limit_give(&key->limit, &key->state, now, taken_at, units);
}

static inline bool result_equal(struct limit_result a, struct limit_result b)
{
    return a.granted == b.granted && a.remaining == b.remaining && a.retry_after == b.retry_after &&
           a.reset_after == b.reset_after;
}

static inline void expect_result(int line, struct limit_result got, struct limit_result expected)
{
    ck_assert_msg(result_equal(got, expected),
                  "line %d: granted %" PRIu64 ", remaining %" PRIu64 ", retry %" PRIu64
                  ", reset %" PRIu64 "; expected %" PRIu64 ", %" PRIu64 ", %" PRIu64 ", %" PRIu64,
                  line, got.granted, got.remaining, got.retry_after, got.reset_after,
                  expected.granted, expected.remaining, expected.retry_after, expected.reset_after);
}

/* expect_take(&key, now, wanted, granted, remaining, retry_after, reset_after) */
#define expect_take(key, now, wanted, ...)                                                         \
    expect_result(__LINE__, key_take((key), (now), (wanted)), (struct limit_result){__VA_ARGS__})
#define expect_peek(key, now, wanted, ...)                                                         \
    expect_result(__LINE__, key_peek((key), (now), (wanted)), (struct limit_result){__VA_ARGS__})

__extension__ typedef unsigned __int128 key_wide;

/* The longest that a limit can keep anybody waiting, whatever was taken before. */
static inline uint64_t longest_wait(const struct limit *limit)
{
    switch (limit->algorithm) {
    case LIMIT_SLIDING_WINDOW:
        return 2 * limit->window;
    case LIMIT_TOKEN_BUCKET:
        return limit->units ? (uint64_t)((key_wide)limit->burst * limit->window / limit->units) + 1
                            : 0;
    default:
        return limit->window;
    }
}

/* What one limit algorithm is to limit.c: a row of its table. For rules/limit/ only.
 *
 * Functions here are given limits that passed limit_check and have a capacity of at least 1.
 */
#pragma once

#include "rules/limit/limit.h"

/* Units (below 2^30) times microseconds (below 2^62) don't fit 64 bits. */
__extension__ typedef unsigned __int128 limit__wide;

struct limit__algorithm {
    const char *name;
    /* What limit_check asks besides; NULL when nothing. */
    const char *(*check)(const struct limit *limit);
    /* limit_capacity where that isn't `units`; NULL where it is. */
    uint64_t (*capacity)(const struct limit *limit);
    struct limit_result (*peek)(const struct limit *limit, const struct limit_state *state,
                                uint64_t now, uint64_t wanted);
    /* Charges what a peek of the same state at the same time granted, at least 1. */
    void (*charge)(const struct limit *limit, struct limit_state *state, uint64_t now,
                   uint64_t granted);
    void (*give)(const struct limit *limit, struct limit_state *state, uint64_t now,
                 uint64_t taken_at, uint64_t units);
};

extern const struct limit__algorithm limit__fixed_window;
extern const struct limit__algorithm limit__sliding_window;
extern const struct limit__algorithm limit__token_bucket;
extern const struct limit__algorithm limit__sliding_log;

static inline uint64_t limit__min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t limit__max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline uint64_t limit__window_start(const struct limit *limit, uint64_t time)
{
    return time - time % limit->window;
}

/* Whether `now` is too far behind the key's clock to be merely late. */
static inline bool limit__set_back(const struct limit *limit, uint64_t clock, uint64_t now)
{
    return clock > now && clock - now > limit__max(limit->window, LIMIT_LATE_MAX);
}

/* The part of a result that is the same everywhere, where `available` units can be had. The caller
 * fills in reset_after, and retry_after where that is 0 though not all was granted. */
static inline struct limit_result limit__grant(uint64_t capacity, uint64_t available,
                                               uint64_t wanted)
{
    uint64_t granted = limit__min(wanted, available);
    return (struct limit_result){
        .granted = granted,
        .remaining = available - granted,
        .retry_after = wanted > capacity ? LIMIT_NEVER : 0,
    };
}

/* The arithmetic of the four limit algorithms: pure functions of (state, limit, now, units).
 *
 * Sources: fixed window and sliding window are counters on windows aligned to the epoch; the token
 * bucket is GCRA, the generic cell rate algorithm of ITU-T I.371 (one theoretical arrival time per
 * key); the sliding log keeps the time of each admitted unit. All of it is exact: integers and
 * 128-bit products, nothing rounded that is kept.
 *
 * What each promises never to exceed, whatever the trace, for units granted and not given back:
 *     fixed window     `units` in each window aligned to the epoch; in a trailing window 2 x units
 *     sliding window   units in each aligned window, and the weighted estimate never above units;
 *                      in a trailing window units + floor(units x (window - 2) / window), which is
 *                      close to 2 x units (README, "Choosing an algorithm")
 *     token bucket     burst + units/window x t in any span of t
 *     sliding log      units in any trailing window: a unit granted at t counts in [t, t + window)
 *
 * Time is in microseconds since the Unix epoch, below 2^62. The promises hold on the key's own
 * clock, which is the latest time at which it was granted any (the windows know it to the window).
 * - A time before that is late: threads read the clock apart and then wait for a lock. It is taken
 *   as the key's clock or, within a window, as it stands, whichever admits less. Retry and reset
 *   are then never longer than this limit can cause.
 * - A time before it by more than a window, and more than LIMIT_LATE_MAX, isn't late: the clock was
 *   set back, and the state is one of a future that would not come for long. It is taken as never
 *   seen, so each such step may admit the capacity once more.
 * So after the clock is set back a key stands still for the longer of the two at most.
 *
 * A take that is granted nothing leaves the state as it was, byte for byte: whoever hammers on a
 * refusal doesn't prolong it.
 *
 * A state may have been made under other units or another burst, or even another window (a reload):
 * its counts go on under the new limit. More counted than the limit allows means that nothing
 * remains, for no longer than the new limit can cause.
 *
 * Thread-safe on distinct states. No allocation. Limits must have passed limit_check.
 */
#pragma once

#include "base/base.h"

enum limit_algorithm {
    LIMIT_FIXED_WINDOW,
    LIMIT_SLIDING_WINDOW,
    LIMIT_TOKEN_BUCKET,
    LIMIT_SLIDING_LOG,
    LIMIT_ALGORITHMS,
};

#define LIMIT_UNITS_MAX     UINT64_C(1000000000)     /* units and burst */
#define LIMIT_WINDOW_MIN    UINT64_C(1000)           /* 1 ms */
#define LIMIT_WINDOW_MAX    UINT64_C(31622400000000) /* 366 days */
#define LIMIT_LOG_UNITS_MAX UINT64_C(10000)          /* a sliding log keeps 8 bytes a unit */
#define LIMIT_LATE_MAX      UINT64_C(60000000)       /* 1 minute; see "Time" above */
#define LIMIT_NEVER         UINT64_MAX               /* a retry_after that doesn't come */

/* Immutable once made. 0 <= units <= LIMIT_UNITS_MAX (LIMIT_LOG_UNITS_MAX for a log); 0 refuses
 * everything. */
struct limit {
    enum limit_algorithm algorithm;
    uint64_t units;  /* admitted a window; for the token bucket, the rate is units / window */
    uint64_t window; /* microseconds, LIMIT_WINDOW_MIN..LIMIT_WINDOW_MAX */
    /* Token bucket: its capacity, 1..LIMIT_UNITS_MAX unless units is 0, and such that an empty
     * bucket is full again within LIMIT_WINDOW_MAX. Otherwise unused. */
    uint64_t burst;
};

/* The times of admitted units, newest at `next - 1`; a ring of `capacity` entries. */
struct limit_log {
    uint32_t capacity;
    uint32_t next;
    uint32_t count;
    uint32_t reserved;
    uint64_t latest; /* the key's clock: a unit given back takes its entry along, not this */
    uint64_t times[];
};

/* What is kept of one key. All zero is a key never seen. 24 bytes, so that a store's cell of key,
 * state and expiry is 48. */
struct limit_state {
    union {
        struct {
            uint64_t start; /* of the current window */
            uint64_t count;
        } fixed;
        struct {
            uint64_t start;
            uint64_t current;
            uint64_t previous;
        } sliding;
        struct {
            uint64_t arrival;  /* GCRA's theoretical arrival time, whole microseconds ... */
            uint64_t fraction; /* ... plus fraction / units of one, so that no refill drifts */
            uint64_t latest;   /* the key's clock */
        } bucket;
        struct limit_log *log; /* owned by whoever keeps the state; NULL is an empty log */
    };
};

struct limit_result {
    /* <= wanted. Partial grants happen: the caller gives back what it can't use. */
    uint64_t granted;
    uint64_t remaining; /* units that a take right after this one could get */
    /* Microseconds from now. 0 when all was granted; else the shortest wait until `wanted` units
     * could be had if what was granted is given back and nobody takes any meanwhile; LIMIT_NEVER
     * when more is wanted than can ever be had. */
    uint64_t retry_after;
    /* Microseconds until the key is as good as never seen, if nobody takes any; 0 when it is so. */
    uint64_t reset_after;
};

/* NULL when the limit is in range, else what was expected, a static string. */
const char *limit_check(const struct limit *limit);

/* "fixed-window", ...; LIMIT_ALGORITHMS when the word is none of them. */
const char *limit_algorithm_name(enum limit_algorithm algorithm);
enum limit_algorithm limit_algorithm_parse(struct slice word);

/* The most that can be had at once by a key never seen: burst for a token bucket, else units. */
uint64_t limit_capacity(const struct limit *limit);

/* Bytes of the log that a sliding-log state needs before limit_take; 0 for the other algorithms,
 * and where units is 0. The caller allocates them zeroed, sets capacity = units and state->log. */
size_t limit_log_size(const struct limit *limit);

/* Into a log just made that way, what another one holds, as when a limit was raised: the newest
 * entries where not all fit. */
void limit_log_copy(struct limit_log *to, const struct limit_log *from);

/* Grants as many of `wanted` units as the limit allows at `now` and charges them. wanted >= 1.
 * A sliding log without state->log (or one whose capacity is below units) grants nothing, with a
 * retry_after of LIMIT_NEVER. */
struct limit_result limit_take(const struct limit *limit, struct limit_state *state, uint64_t now,
                               uint64_t wanted);

/* The same answer for wanted = units, changing nothing: what a take at `now` would get. */
struct limit_result limit_peek(const struct limit *limit, const struct limit_state *state,
                               uint64_t now, uint64_t wanted);

/* Gives back units that a take at `taken_at` was granted (taken_at <= now, granted by this state).
 * Exact when now == taken_at and the take was not late: the key's later answers are as if it had
 * never come. Otherwise it gives back what can't admit more than the promise to those who keep
 * their units, and no more:
 *     fixed window     all of it while the take's window is the current one, else nothing
 *     sliding window   the same, and all of it from the previous window while that has weight
 *     token bucket     what a full bucket could not have refilled since: units less those that the
 *                      rate brought since taken_at
 *     sliding log      as many units as are live and were granted at taken_at or before, from the
 *                      newest such back
 * Of a take that was late this may be less than could be, or nothing. */
void limit_give(const struct limit *limit, struct limit_state *state, uint64_t now,
                uint64_t taken_at, uint64_t units);

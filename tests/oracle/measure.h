/* What a log of decisions says about the limiter that made them. Knows the promises of limit.h and
 * shares no code with what keeps them. */
#pragma once

#include <stddef.h>

#include "rules/limit/limit.h"

/* Of 1 unit. */
struct decision {
    uint64_t time; /* all at one clock */
    uint32_t key;
    uint32_t order; /* in which they were made; times only grow with it */
    bool allowed;
};

struct measure {
    uint64_t decisions;
    uint64_t allowed;

    /* The most units of one key admitted in any trailing window (t - window, t]. */
    uint64_t peak;
    /* The most by which the algorithm's own promise was exceeded, in units, in a trailing window or
     * in whatever else limit.h states it for. */
    uint64_t excess;

    /* Against an exact limiter of the trailing window that has admitted the same history: one that
     * allows a request at t iff the limiter under test has so far admitted fewer than `units` of
     * that key in (t - window, t]. So what follows an error is judged by how things then stand. An
     * algorithm that keeps a single unit short of the limit is thereby wrong in nearly all that it
     * denies, though it admits nearly as many: see `allowed`. */
    uint64_t wrong_allows;
    uint64_t wrong_denies;
};

/* The most that this algorithm may admit in a trailing window. */
uint64_t measure_bound(const struct limit *limit);

/* Reorders the decisions by key. */
struct measure measure(const struct limit *limit, struct decision *decisions, size_t count);

/* One key, in a real Redis server and by the pure functions: what is done to one is done to the
 * other, and the answers must be the same. */
#pragma once

#include "server.h"

/* Redis lets a key go by its own clock, and here its time to live is not the time made up. So each
 * key is given long to live once that has been looked at. */
#define TWIN_KEEP_MS "3600000"

struct twin {
    struct server *server;
    char name[64];
    struct limit limit;

    struct limit_state state; /* by the pure functions */
    struct limit_log *log;    /* the state's, of LIMIT_LOG_UNITS_MAX units; the caller's */
    uint64_t most_units;      /* that a log's limit has allowed */

    uint64_t first_at; /* what an agent keeps of a window */
    uint64_t previous;

    uint64_t takes;
};

static inline bool twin_is_window(const struct twin *twin)
{
    return twin->limit.algorithm == LIMIT_FIXED_WINDOW ||
           twin->limit.algorithm == LIMIT_SLIDING_WINDOW;
}

/* What both answer; where they differ, the program ends. now >= 1. */
struct limit_result twin_take(struct twin *twin, uint64_t now, uint64_t wanted);

void twin_give(struct twin *twin, uint64_t now, uint64_t taken_at, uint64_t units);

/* The server loses the key that a take at `now` is of. What an agent knows of it stays. */
void twin_lose(struct twin *twin, uint64_t now);

/* Any bucket, not only one that takes have left so; times below 2^52, fraction below 2^32. */
void twin_set_bucket(struct twin *twin, uint64_t arrival, uint64_t fraction, uint64_t latest);

/* As of a key never seen. */
void twin_empty_log(struct twin *twin);

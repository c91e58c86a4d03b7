/* Tells in the log when a bound begins to be met, and when that is over: one line each, however
 * often it is met in between. The control thread's.
 */
#pragma once

#include "agent/control.h"

/* It is over when the bound hasn't been met for so long (microseconds). */
#define BOUND_QUIET UINT64_C(10000000)

struct bound {
    uint64_t count;  /* how often it has been met, when it was looked at last */
    uint64_t before; /* the same before it began to be */
    uint64_t met_at; /* when that was seen last */
    bool is_met;
};

enum bound_change {
    BOUND_UNCHANGED,
    BOUND_MET,
    BOUND_OVER,
};

/* count: how often it has been met up to now (microseconds). */
enum bound_change bound_look(struct bound *bound, uint64_t count, uint64_t now);

enum bound_kind {
    BOUND_STORE, /* max_keys and log_memory of the memory store */
    BOUND_KEYS,  /* keys of Redis */
    BOUND_PENDING,
    BOUND_KINDS,
};

/* Zero-initialised is: none is met. */
struct bounds {
    struct bound bounds[BOUND_KINDS];
};

/* To be called regularly. */
void bounds_look(struct bounds *bounds, const struct control *control, uint64_t now);

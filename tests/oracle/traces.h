/* The requests that the oracle puts to each algorithm, in order of time. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "rules/limit/limit.h"
#include "tests/unit/random.h"

#define TRACE_KEYS 1000 /* a request's key is below */

struct request {
    uint64_t time;
    uint32_t key;
};

/* Fills `requests` for a limit of so many units a window. */
struct trace {
    const char *name;
    void (*fill)(const struct limit *limit, struct random *random, struct request *requests,
                 size_t count);
};

#define TRACES 6
extern const struct trace traces[TRACES];

/* The one in which every algorithm is made to admit the most that it ever can. */
extern const struct trace *const trace_adversarial;

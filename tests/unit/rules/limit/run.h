/* One trace: a key, the reference for it, and the time. */
#pragma once

#include "key.h"
#include "reference.h"
#include "trace.h"

struct run {
    struct random random;
    struct key key;
    struct reference reference; /* of what was granted and not given back */
    uint64_t now;
};

static inline void run_open(struct run *run, struct random *random, enum limit_algorithm algorithm)
{
    struct limit limit = trace_limit(random, algorithm);
    *run = (struct run){.key = key_open(limit), .now = trace_start(random)};
    run->random.state = random_next(random);
    reference_open(&run->reference, &limit);
}

static inline void run_close(struct run *run)
{
    reference_close(&run->reference);
    key_close(&run->key);
}

static inline void run_failed(const struct run *run, uint64_t wanted, int line,
                              const char *condition)
{
    ck_abort_msg("line %d: %s, limit %" PRIu64 " in %" PRIu64 ", burst %" PRIu64 ", at %" PRIu64
                 " wanting %" PRIu64 ": not %s",
                 line, limit_algorithm_name(run->key.limit.algorithm), run->key.limit.units,
                 run->key.limit.window, run->key.limit.burst, run->now, wanted, condition);
}

/* With `run` and `wanted` in scope. Not ck_assert, which writes to a pipe each time all is well. */
#define expect(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            run_failed(run, wanted, __LINE__, #condition);                                         \
    } while (0)

/* Random numbers that can be had again: each test prints its seed, and SLUICE_TEST_SEED sets it. */
#pragma once

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/base.h"

struct random {
    uint64_t state;
};

static inline struct random random_open(const char *test)
{
    const char *given = getenv("SLUICE_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("%s: SLUICE_TEST_SEED=%" PRIu64 "\n", test, seed);
    fflush(stdout);
    return (struct random){seed};
}

static inline uint64_t random_next(struct random *random)
{
    return chance_next(&random->state);
}

/* 0 <= result < bound; the bias of the remainder doesn't matter for tests. */
static inline uint64_t random_below(struct random *random, uint64_t bound)
{
    return random_next(random) % bound;
}

/* Which key each request of a load is for: uniformly random, by Zipf's law, or one after the other.
 *
 * The same seed gives the same keys. Not thread-safe.
 */
#pragma once

#include <stdint.h>

#define BENCH_KEYS_MAX     100000000
#define BENCH_EXPONENT_MAX 10.0

enum bench_order {
    BENCH_UNIFORM,
    BENCH_ZIPF, /* key k comes in proportion to 1 / (k + 1)^exponent */
    BENCH_IN_TURN,
};

struct bench_keys {
    enum bench_order order;
    uint64_t count;
    uint64_t state; /* of the random numbers; the next key in turn */
    double exponent;
    double first; /* rejection-inversion's constants: see keys.c */
    double last;
    double near;
};

/* count: from 1 to BENCH_KEYS_MAX. exponent: above 0, up to BENCH_EXPONENT_MAX, for BENCH_ZIPF. */
void bench_keys_open(struct bench_keys *keys, enum bench_order order, uint64_t count,
                     double exponent, uint64_t seed);

/* From 0 to count - 1. */
uint64_t bench_keys_next(struct bench_keys *keys);

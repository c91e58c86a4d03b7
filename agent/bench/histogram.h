/* Durations, counted in buckets of a log-linear scale, as HDR histograms do: exact below 256, from
 * there on 128 buckets to each power of two. A percentile read from it is at most 1/128 (0.8 %)
 * above the true one and never below.
 *
 * Fixed memory (37 KB), no allocation; not thread-safe. Zero-initialised is empty and ready.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define BENCH_HISTOGRAM_EXACT 256
#define BENCH_HISTOGRAM_SUB   128
#define BENCH_HISTOGRAM_BITS  42 /* of nanoseconds: 73 minutes; what is longer counts as that */
#define BENCH_HISTOGRAM_BUCKETS                                                                    \
    (BENCH_HISTOGRAM_EXACT + BENCH_HISTOGRAM_SUB * (BENCH_HISTOGRAM_BITS - 8))
#define BENCH_HISTOGRAM_PRECISION (1.0 / BENCH_HISTOGRAM_SUB)

struct bench_histogram {
    uint64_t total; /* how many durations */
    uint64_t sum;   /* nanoseconds, of all of them; exact */
    uint64_t longest;
    uint64_t counts[BENCH_HISTOGRAM_BUCKETS];
};

void bench_histogram_add(struct bench_histogram *histogram, uint64_t nanoseconds);

/* The duration that this share, in thousandths of a percent (99900 is 99.9 %), were within. 0 where
 * there are none. */
uint64_t bench_histogram_percentile(const struct bench_histogram *histogram, uint32_t share);

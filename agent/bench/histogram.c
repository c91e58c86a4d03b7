#include "agent/bench/histogram.h"

/* A duration of n bits, the highest of which is 1, is known by the next seven. */
#define EXACT_BITS 8
#define SUB_BITS   7

static size_t bucket_of(uint64_t nanoseconds)
{
    if (nanoseconds < BENCH_HISTOGRAM_EXACT)
        return (size_t)nanoseconds;
    if (nanoseconds >> BENCH_HISTOGRAM_BITS)
        return BENCH_HISTOGRAM_BUCKETS - 1;
    unsigned shift = 63U - (unsigned)__builtin_clzll(nanoseconds) - SUB_BITS;
    uint64_t sub = (nanoseconds >> shift) - BENCH_HISTOGRAM_SUB;
    return BENCH_HISTOGRAM_EXACT + (size_t)(shift - 1) * BENCH_HISTOGRAM_SUB + (size_t)sub;
}

/* The longest duration that is counted in it. */
static uint64_t bucket_end(size_t bucket)
{
    if (bucket < BENCH_HISTOGRAM_EXACT)
        return bucket;
    size_t above = bucket - BENCH_HISTOGRAM_EXACT;
    unsigned shift = (unsigned)(above / BENCH_HISTOGRAM_SUB) + 1;
    uint64_t sub = above % BENCH_HISTOGRAM_SUB + BENCH_HISTOGRAM_SUB;
    return ((sub + 1) << shift) - 1;
}

void bench_histogram_add(struct bench_histogram *histogram, uint64_t nanoseconds)
{
    histogram->counts[bucket_of(nanoseconds)]++;
    histogram->total++;
    histogram->sum += nanoseconds;
    if (nanoseconds > histogram->longest)
        histogram->longest = nanoseconds;
}

uint64_t bench_histogram_percentile(const struct bench_histogram *histogram, uint32_t share)
{
    unsigned __int128 product = (unsigned __int128)histogram->total * share;
    uint64_t wanted = (uint64_t)((product + 99999) / 100000);
    uint64_t seen = 0;
    for (size_t i = 0; i < BENCH_HISTOGRAM_BUCKETS - 1 && wanted; i++) {
        seen += histogram->counts[i];
        if (seen >= wanted)
            return bucket_end(i) < histogram->longest ? bucket_end(i) : histogram->longest;
    }
    return histogram->longest;
}
